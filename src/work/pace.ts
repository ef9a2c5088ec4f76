import type { Work } from "../api.js";
import { what } from "../checks.js";
import { fail } from "../errors.js";

/** Work that yields to the event loop no more often than this, in ms: a frame of a page at 60 Hz is 16. */
const SLICE = 12;

/**
 * Drives long work chunk by chunk: reports progress, notices an abort, and lets the event loop run. When it yields depends on the
 * clock, what is computed does not.
 */
export class Pace {
  readonly #work: Work;
  #last = Date.now();
  #phase = "";
  #done = -1;

  constructor(work: Work = {}) {
    this.#work = work;
  }

  /** Waits for a promise that nobody here can hurry; rejects with the signal's reason as soon as that is aborted. */
  async unlessAborted<T>(promised: () => Promise<T>): Promise<T> {
    const { signal } = this.#work;
    if (signal === undefined) return promised();
    throwIfAborted(signal);
    let stop = (): void => undefined;
    const aborted = new Promise<never>((_, reject) => {
      stop = () => reject(reasonOf(signal));
      signal.addEventListener("abort", stop);
    });
    try {
      return await Promise.race([promised(), aborted]);
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  /** To be called between chunks and once with done = total; throws the signal's reason when aborted. */
  async step(phase: string, done: number, total: number): Promise<void> {
    const { signal, onProgress } = this.#work;
    throwIfAborted(signal);
    const now = Date.now();
    const news = phase !== this.#phase || (done !== this.#done && (now - this.#last >= SLICE || done === total));
    if (onProgress !== undefined && news) {
      onProgress({ phase, done, total });
      this.#done = done;
    }
    this.#phase = phase;
    await this.breathe();
  }

  /** To be called where there is nothing to report: lets the event loop run when it is time, and throws the signal's reason when aborted. */
  async breathe(): Promise<void> {
    if (Date.now() - this.#last >= SLICE) {
      await yieldToEvents();
      this.#last = Date.now();
    }
    throwIfAborted(this.#work.signal);
  }
}

/** Throws ERR_PARAMETER for a signal that can't be listened to, such as the controller of one. */
export function checkSignal(signal: unknown): void {
  if (signal === undefined) return;
  const { aborted, addEventListener, removeEventListener } = (signal ?? {}) as Partial<AbortSignal>;
  if (
    typeof aborted !== "boolean" ||
    typeof addEventListener !== "function" ||
    typeof removeEventListener !== "function"
  )
    fail("ERR_PARAMETER", `signal is ${what(signal)}: give the signal of an AbortController, or leave it out`);
}

/** Throws the reason of a signal that is aborted, of another realm's or a library's too, which may not know how to do that itself. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  if (typeof signal.throwIfAborted === "function") signal.throwIfAborted();
  else if (signal.aborted) throw reasonOf(signal);
}

/** Why a signal was aborted. Signals of before 2022 have no reason. */
export function reasonOf(signal: AbortSignal): Error {
  return "reason" in signal ? (signal.reason as Error) : new DOMException("The operation was aborted", "AbortError");
}

/** Resolves after other events had their turn: the quickest way that the runtime has. */
async function yieldToEvents(): Promise<void> {
  if (typeof setImmediate === "function") {
    await new Promise<void>((resolve) => setImmediate(resolve));
  } else if (typeof MessageChannel === "function") {
    // Not setTimeout: browsers stretch nested timeouts to 4 ms each.
    const { port1, port2 } = new MessageChannel();
    await new Promise((resolve) => {
      port1.onmessage = resolve;
      port2.postMessage(0);
    });
    port1.close();
  } else if (typeof setTimeout === "function") {
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}
