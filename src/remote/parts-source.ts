import type { ByteSource } from "../format/source.js";
import type { Ranges } from "./ranges.js";

/** Bytes that are read at first, where nothing says how many will be wanted; each further read in a row takes twice as many. */
const FIRST = 1 << 14;
const MOST = 1 << 22;

/** A file in parts as a reader of files wants it: from one byte to the next, but for what it skips. */
export class PartsSource implements ByteSource {
  readonly total: number;
  readonly expected: number;
  /** Bytes that were read. */
  read = 0;
  readonly #ranges: Ranges;
  readonly #signal: AbortSignal;
  #beginning: Uint8Array | undefined;
  #at = 0;
  #step = FIRST;
  #wanted = 0;

  /** @param beginning the first bytes of the file, which are there already */
  constructor(ranges: Ranges, beginning: Uint8Array | undefined, signal: AbortSignal) {
    this.total = this.expected = ranges.size;
    this.#ranges = ranges;
    this.#beginning = beginning;
    this.#signal = signal;
  }

  async next(): Promise<Uint8Array | undefined> {
    if (this.#at >= this.total) return undefined;
    if (this.#beginning !== undefined) {
      const bytes = this.#beginning;
      this.#beginning = undefined;
      this.#at = this.read = bytes.length;
      return bytes;
    }
    const to = Math.min(this.total, this.#at + Math.min(MOST, Math.max(this.#step, this.#wanted)));
    const bytes = await this.#ranges.read(this.#at, to, this.#signal);
    this.#step = Math.min(MOST, this.#step * 2);
    this.#wanted = Math.max(0, this.#wanted - bytes.length);
    this.#at = to;
    this.read += bytes.length;
    return bytes;
  }

  /** Says that so many bytes behind the last chunk will be read in a row. */
  ahead(bytes: number): void {
    this.#wanted = bytes;
  }

  /** Leaves out so many bytes behind the last chunk. */
  skip(bytes: number): void {
    this.#at += bytes;
    this.#step = FIRST;
    this.#wanted = 0;
  }

  close(): void {
    // What is read later comes from the same file.
  }
}
