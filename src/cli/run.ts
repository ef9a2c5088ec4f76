import type { Progress } from "../api.js";
import { Pace } from "../work/pace.js";
import type { Warning } from "../wasm/engine.js";
import { Bars } from "./progress.js";
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

/** What a command has to say: for people, and for programs. */
export interface Answer {
  text: string;
  data: Json;
}

/** Prints a line on stderr, which is for all but answers; control characters, of file names for one, are left out. */
export function say(message: string): void {
  process.stderr.write(`cellist: ${message.replace(/\p{Cc}+/gu, " ")}\n`);
}

/**
 * Runs a command and prints its answer on stdout: one JSON object, or text. Progress (where a person is watching) and warnings go
 * to stderr. The first SIGINT or SIGTERM aborts the work, so that it can clean up; a second one ends the process.
 */
export async function run(json: boolean, command: (watch: Watch) => Promise<Answer>): Promise<void> {
  const bars = new Bars(!json && process.stderr.isTTY);
  const stop = new AbortController();
  const interrupt = (): void => stop.abort(new Stopped(130));
  const terminate = (): void => stop.abort(new Stopped(143));
  process.once("SIGINT", interrupt).once("SIGTERM", terminate);
  try {
    const answer = await command({
      signal: stop.signal,
      onProgress: (progress) => bars.show(progress),
      onWarning: ({ message }) => {
        bars.clear();
        say(`warning: ${message}`);
      },
    });
    bars.clear();
    process.stdout.write(`${json ? toJson(answer.data) : answer.text}\n`);
  } finally {
    bars.clear();
    process.off("SIGINT", interrupt).off("SIGTERM", terminate);
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
