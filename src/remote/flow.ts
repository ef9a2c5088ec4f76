import { reasonOf, throwIfAborted } from "../work/pace.js";
import type { Ranges } from "./ranges.js";

/** Bytes of a part, where a file can't be followed from byte to byte. */
export const PART: number = 1 << 18;
/** Bytes of a read while the beginning flows: what has come is put to use while the rest is on its way. */
const SLICE = 1 << 15;
/** Bytes before its end at which what comes next may be asked for: what 20 Mbit/s bring within 50 ms, a round trip. */
const NEARLY = 1 << 17;

/** The bytes of a stretch from the first to the last, as they come. */
export async function* follow(
  ranges: Ranges,
  from: number,
  to: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  if (from < to && ranges.follow !== undefined) {
    yield* ranges.follow(from, to, signal);
    return;
  }
  for (let at = from; at < to; at += PART) yield await ranges.read(at, Math.min(to, at + PART), signal);
}

/**
 * A file whose beginning is on its way, all of it with one request: what lies in it is there once it has come by. Should it break off, what
 * is missing is read as anything else.
 */
export class Flow implements Ranges {
  readonly size: number;
  readonly bridge: number;
  readonly version: string;
  readonly #ranges: Ranges;
  readonly #to: number;
  readonly #closing = new AbortController();
  #bytes: Uint8Array;
  /** Where what is there ends, and whether more comes. */
  #end: number;
  #flows = true;
  #forgotten = false;
  /** Who waits for more. */
  #waiting: (() => void)[] = [];

  /** @param first bytes that are there */
  constructor(ranges: Ranges, first: Uint8Array, to: number) {
    this.size = ranges.size;
    this.bridge = ranges.bridge;
    this.version = ranges.version;
    this.#ranges = ranges;
    this.#to = to;
    this.#bytes = first.slice(0, to);
    this.#end = this.#bytes.length;
    void this.#fill();
  }

  get most(): number | undefined {
    return this.#flows ? SLICE : this.#ranges.most;
  }

  async read(from: number, to: number, signal: AbortSignal): Promise<Uint8Array> {
    if (to <= this.#to) {
      await this.#reach(to, signal);
      if (this.#end >= to && to <= this.#bytes.length) return this.#bytes.slice(from, to);
    }
    return this.#ranges.read(from, to, signal);
  }

  /** Resolves when the beginning is nearly there, or no more of it comes. */
  async nearly(signal: AbortSignal): Promise<void> {
    await this.#reach(this.#to - NEARLY, signal);
  }

  /** Says that nothing of it is wanted any more. */
  forget(): void {
    this.#forgotten = true;
    this.#bytes = new Uint8Array(0);
  }

  close(): void {
    this.#closing.abort();
    this.#ranges.close();
  }

  async #fill(): Promise<void> {
    try {
      for await (const bytes of follow(this.#ranges, this.#end, this.#to, this.#closing.signal)) {
        if (this.#forgotten) return;
        this.#append(bytes);
        this.#wake();
      }
    } catch {
      // Whoever reads what is missing is told.
    } finally {
      this.#flows = false;
      this.#wake();
    }
  }

  /** Takes bytes that have come. Room grows with them: how many there will be is only what a head says. */
  #append(bytes: Uint8Array): void {
    const end = this.#end + bytes.length;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, Math.min(this.#to, 2 * this.#bytes.length)));
      grown.set(this.#bytes.subarray(0, this.#end));
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#end);
    this.#end = end;
  }

  /** Resolves when all up to a byte is there, or no more comes. */
  async #reach(to: number, signal: AbortSignal): Promise<void> {
    while (this.#flows && this.#end < to) {
      throwIfAborted(signal);
      let stop = (): void => undefined;
      await new Promise<void>((resolve, reject) => {
        this.#waiting.push(resolve);
        stop = () => reject(reasonOf(signal));
        signal.addEventListener("abort", stop, { once: true });
      }).finally(() => signal.removeEventListener("abort", stop));
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
