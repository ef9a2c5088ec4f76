import { createInterface } from "node:readline/promises";
import { CommanderError } from "commander";
import type { Progress } from "../api.js";
import { CellistError } from "../errors.js";
import { Pace } from "../work/pace.js";
import type { Warning } from "../wasm/options.js";
import { Bars, takesControlCodes } from "./progress.js";
import { toJson } from "./text.js";
import type { Json } from "./text.js";

/** Bad input that the command line found itself: its message is the one line that is printed. */
export class InputError extends Error {}

/** The reason that work is aborted with when the process gets a signal. */
export class Stopped extends Error {
  /** What a shell expects of a process that a signal ended. */
  readonly exitCode: number;

  /** @param exitCode 128 + the signal's number */
  constructor(exitCode: number) {
    super("stopped: nothing was written");
    this.exitCode = exitCode;
  }
}

/** How a command's work is watched and stopped; goes as it is into whatever takes Work or EngineOptions. */
export interface Watch {
  signal: AbortSignal;
  onProgress: (progress: Progress) => void;
  onWarning: (warning: Warning) => void;
}

/** What a command has to say: for people, and for programs, which get an array as lines of its items. */
export interface Answer {
  text: string;
  data: Json;
}

/** Asks the person at the terminal a question; true for yes. */
export type Ask = (question: string) => Promise<boolean>;

/** Prints a line on stderr, which is for all but answers; control characters, of file names for one, are left out. */
export function say(message: string): void {
  process.stderr.write(`cellist: ${message.replace(/\p{Cc}+/gu, " ")}\n`);
}

/** Says in one line what went wrong and returns the exit code: 1 for bad input, 2 for bad usage. */
export function report(error: unknown): number {
  // commander has said it already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const message = error instanceof Error ? error.message : String(error);
  const known = error instanceof CellistError || error instanceof InputError || error instanceof Stopped;
  say(known ? message : `unexpected error, please report it: ${message}`);
  return error instanceof Stopped ? error.exitCode : 1;
}

/**
 * Runs a command and prints its answer on stdout: one JSON object, or text. Progress (where a person is watching) and warnings go
 * to stderr. The first SIGINT or SIGTERM aborts the work, so that it can clean up; a second one ends the process.
 */
export async function run(
  json: boolean,
  command: (watch: Watch, ask: Ask | undefined) => Promise<Answer>,
): Promise<void> {
  const watched = !json && process.stderr.isTTY;
  const bars = new Bars(watched && takesControlCodes(process.env));
  const stop = new AbortController();
  const interrupt = (): void => stop.abort(new Stopped(130));
  const terminate = (): void => stop.abort(new Stopped(143));
  process.once("SIGINT", interrupt).once("SIGTERM", terminate);
  try {
    const answer = await command(
      {
        signal: stop.signal,
        onProgress: (progress) => bars.show(progress),
        onWarning: ({ message }) => {
          bars.clear();
          say(`warning: ${message}`);
        },
      },
      watched && process.stdin.isTTY ? (question) => confirm(question, stop.signal) : undefined,
    );
    bars.clear();
    const { text, data } = answer;
    const lines: readonly Json[] = Array.isArray(data) ? data : [data];
    const said = json ? lines.map(toJson).join("\n") : text;
    if (said !== "") process.stdout.write(`${said}\n`);
  } finally {
    bars.clear();
    process.off("SIGINT", interrupt).off("SIGTERM", terminate);
  }
}

async function confirm(question: string, signal: AbortSignal): Promise<boolean> {
  // Lines as the terminal gives them: a key for the signal stays one.
  const terminal = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `, { signal })).trim());
  } catch {
    signal.throwIfAborted();
    return false;
  } finally {
    terminal.close();
  }
}

/** Rows of a block: as many as the kernels take at once, so that a search in blocks does the same work as one of all rows. */
const BLOCK = 64;

/** Does synchronous work on n rows block by block: progress is seen and signals are heard in between. Returns the seconds taken. */
export async function inBlocks(
  phase: string,
  n: number,
  watch: Watch,
  work: (first: number, end: number) => void,
): Promise<number> {
  const started = performance.now();
  const pace = new Pace(watch);
  for (let first = 0; first < n; first += BLOCK) {
    work(first, Math.min(first + BLOCK, n));
    await pace.step(phase, Math.min(first + BLOCK, n), n);
  }
  return secondsSince(started);
}

/** Seconds since a time of `performance.now()`, to the millisecond. */
export function secondsSince(started: number): number {
  return Math.round(performance.now() - started) / 1000;
}
