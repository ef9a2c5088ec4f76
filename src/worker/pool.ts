import { what } from "../checks.js";
import { fail } from "../errors.js";
import {
  BELL,
  BUSY,
  CONTROL_BYTES,
  GONE,
  LEFT,
  MAIL,
  MOST_HELPERS,
  MOST_SLOTS,
  slotAt,
  STATES,
  TICKET,
  WAKE,
} from "../threads/control.js";
import type { Team } from "../threads/crew.js";
import type { HelperHello } from "../threads/messages.js";
import type { EngineOptions } from "../wasm/options.js";
import { awaitLock } from "./lock.js";
import { onFailure, startWorker } from "./start.js";
import type { OwnWorker } from "./start.js";

/** Threads of one index at most: the worker that has it, and helpers. */
export const MOST_THREADS: number = MOST_HELPERS + 1;

/** Threads that help an index, for as long as it lives. */
export interface Hired {
  team: Team;
  /** Gives them back. */
  release: () => void;
}

/** The helpers of all indexes of this page: a thread serves any number of them, and is ended with the last one. */
interface Pool {
  control: SharedArrayBuffer;
  words: Int32Array;
  helpers: { number: number; worker: OwnWorker; forget: () => void }[];
  /** Helpers that ever were: numbers are not given twice. */
  last: number;
  /** Those that are taken, and who wants to know of threads that end. */
  slots: Map<number, (reason: string) => void>;
}

let pool: Pool | undefined;

/**
 * Kernels that workers have compiled for threads, by their names: the next index with threads has them at once. Engines optimise kernels
 * while they run, on a core that threads want: of what is kept that is done (two threads then train 30,000 x 256 in .9 of the time).
 */
const modules: Record<string, WebAssembly.Module> = {};

/** Keeps kernels for the next index. */
export function keepModules(compiled: Record<string, WebAssembly.Module>): void {
  Object.assign(modules, compiled);
}

/** The number of threads in options. ERR_PARAMETER for what is none. */
export function threadsOf({ threads }: { threads?: unknown }): number {
  if (threads === undefined) return 1;
  if (typeof threads !== "number" || !Number.isInteger(threads) || threads < 1 || threads > MOST_THREADS)
    fail("ERR_PARAMETER", `threads is ${what(threads)}: give a whole number from 1 to ${MOST_THREADS}`);
  return threads;
}

/** Why there can be no threads here; undefined where there can. */
export function whyNoThreads({ module, moreModule }: EngineOptions): string | undefined {
  if ((module ?? moreModule) !== undefined)
    return "a compiled module can't be made one for shared memory: leave out the options module and moreModule";
  if (typeof SharedArrayBuffer === "undefined" || !(globalThis.crossOriginIsolated ?? true))
    return (
      "there is no shared memory: a page must be cross-origin isolated, that is, be sent with the headers " +
      '"Cross-Origin-Opener-Policy: same-origin" and "Cross-Origin-Embedder-Policy: require-corp"'
    );
  return undefined;
}

/**
 * Hires helpers for an index, starting those that are not there. Throws ERR_UNSUPPORTED where a worker can't be started.
 *
 * @param lost told when one of the pool has ended, and why
 */
export function hire(count: number, lost: (reason: string) => void): Hired {
  const hired = (pool ??= open());
  const { words, helpers, slots } = hired;
  const slot = freeSlot(hired);
  slots.set(slot, lost);
  try {
    while (helpers.length < count && hired.last < MOST_HELPERS) start(hired);
    if (helpers.length === 0) fail("ERR_UNSUPPORTED", "all threads that were started have ended");
  } catch (error) {
    release(hired, slot);
    throw error;
  }
  const team = helpers.slice(0, count).map(({ number, worker }) => {
    const { port1, port2 } = new MessageChannel();
    const hello: HelperHello = { cellistHelper: port2, control: hired.control, number };
    worker.postMessage(hello, [port2] as never[]);
    call(words, number);
    return { number, port: port1 };
  });
  return {
    team: { control: hired.control, slot, helpers: team, modules },
    release: () => release(hired, slot),
  };
}

function open(): Pool {
  const control = new SharedArrayBuffer(CONTROL_BYTES);
  return { control, words: new Int32Array(control), helpers: [], last: 0, slots: new Map() };
}

/** A slot that no index has, and in which no helper is at work for one that had it. */
function freeSlot({ words, slots }: Pool): number {
  for (let slot = 0; slot < MOST_SLOTS; slot++) {
    const busy = slotAt(slot) + BUSY;
    if (!slots.has(slot) && words.subarray(busy, busy + MOST_HELPERS).every((word) => word === 0)) return slot;
  }
  return fail("ERR_UNSUPPORTED", `${MOST_SLOTS} indexes have threads: dispose of one`);
}

function start(hired: Pool): void {
  const { words, helpers } = hired;
  const worker = startWorker();
  const number = hired.last++;
  const watch = new AbortController();
  const gone = (reason: string): void => {
    const at = helpers.indexOf(helper);
    if (at >= 0) helpers.splice(at, 1);
    helper.forget();
    void worker.terminate();
    bury(words, number);
    for (const lost of hired.slots.values()) lost(reason);
  };
  const forgetFailure = onFailure(worker, (reason) => {
    gone(reason);
    return true;
  });
  // In a page there is no other sign that a worker has ended.
  const onMessage = ({ data }: MessageEvent<{ lock?: string } | undefined>): void => {
    if (typeof data?.lock === "string") awaitLock(data.lock, watch.signal, () => gone("it has ended"));
  };
  const target = worker as unknown as Partial<EventTarget>;
  target.addEventListener?.("message", onMessage as EventListener);
  const helper = {
    number,
    worker,
    forget: (): void => {
      forgetFailure();
      watch.abort();
      target.removeEventListener?.("message", onMessage as EventListener);
    },
  };
  helpers.push(helper);
  worker.unref?.();
}

/** Says to all who may wait for a helper that it is no more. */
function bury(words: Int32Array, number: number): void {
  Atomics.store(words, STATES + number, GONE);
  for (let slot = 0; slot < MOST_SLOTS; slot++) {
    const at = slotAt(slot);
    Atomics.store(words, at + BUSY + number, 0);
    Atomics.add(words, at + WAKE, 1);
    Atomics.notify(words, at + WAKE);
  }
}

/** Has a helper hear a message that was sent, though it may be looking for work. */
function call(words: Int32Array, number: number): void {
  Atomics.add(words, MAIL + number, 1);
  Atomics.add(words, BELL, 1);
  Atomics.notify(words, BELL);
}

function release(hired: Pool, slot: number): void {
  const { words, helpers, slots } = hired;
  // Of an index whose worker was ended in the midst of a job, nobody takes a piece any more.
  Atomics.and(words, slotAt(slot) + TICKET, ~LEFT);
  slots.delete(slot);
  if (slots.size > 0) return;
  for (const { worker, forget } of helpers) {
    forget();
    void worker.terminate();
  }
  if (pool === hired) pool = undefined;
}
