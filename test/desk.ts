// Arrays on an engine's memory, each between words that are told apart: a kernel that reads beyond its end makes something else of its
// results, and one that writes there is noticed, as is one that writes over what it was given to read.

import { expect } from "vitest";
import type { Engine } from "../src/wasm/engine.js";

/** Bytes before and behind an array, so many that what takes 8 bytes for 4 writes there and not in the next array. */
const AROUND = 256;
/**
 * What stands around: a signalling NaN, which arithmetic makes another NaN, where a quiet one comes out as it went in; with a number that no
 * word near it has, so that one copied over another is seen. As a whole number it is far beyond what any array has.
 */
const WORDS = Int32Array.from({ length: 2 ** 18 }, (_, i) => 0x7fa00001 + i);

type Numbers =
  Float32Array | Float64Array | Int32Array | Int16Array | Int8Array | Uint8Array | Uint16Array | BigInt64Array;
interface Placed {
  start: number;
  address: number;
  bytes: number;
  /** The number of its first word. */
  first: number;
  /** What it was given to be read, for an array that is not to be changed. */
  given: Uint8Array | undefined;
}

export class Desk {
  readonly engine: Engine;
  readonly #placed: Placed[] = [];
  #next = 0;
  /** Arrays that were put since the last clear, and which of them is to end where memory does. */
  #puts = 0;
  #last = -1;

  constructor(engine: Engine) {
    this.engine = engine;
  }

  /**
   * Runs a job that puts arrays again and again: with all of them among others, and then with one after the other where memory ends, so that
   * what reads beyond it traps.
   */
  atEnds(job: () => void): void {
    // What stands there is nobody's from now on.
    this.engine.release(this.engine.allocate(2 ** 20));
    job();
    const puts = this.#puts;
    this.clear();
    for (let i = 0; i < puts; i++) {
      this.#last = i;
      job();
      this.#last = -1;
      this.clear();
    }
  }

  /** Puts an array on the memory that nobody is to change, and returns its address. */
  put(array: Numbers): number {
    return this.#put(array, true);
  }

  /** As put, for an array that is changed in place. */
  own(array: Numbers): number {
    return this.#put(array, false);
  }

  /** So many bytes for results. */
  room(bytes: number): number {
    return this.#place(bytes, undefined);
  }

  /** What stands at an address, as plain numbers. */
  floats(address: number, n: number): number[] {
    return [...this.engine.f32.subarray(address >>> 2, (address >>> 2) + n)];
  }
  doubles(address: number, n: number): number[] {
    return [...this.engine.f64.subarray(address >>> 3, (address >>> 3) + n)];
  }
  ints(address: number, n: number): number[] {
    return [...this.engine.i32.subarray(address >>> 2, (address >>> 2) + n)];
  }

  /** Expects that nothing was written beside the arrays, nor over those that are to be read, and takes them away. */
  clear(): void {
    const { u8 } = this.engine;
    this.#puts = 0;
    for (const { start, address, bytes, first, given } of this.#placed.splice(0)) {
      const words = wordsFrom(first, sizeOf(bytes));
      const around = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
      const end = address + bytes;
      const same = (from: number, to: number, expected: Uint8Array): boolean =>
        Buffer.compare(u8.subarray(from, to), expected) === 0;
      const whole = start + around.length;
      if (!same(start, address, around.subarray(0, address - start)))
        expect.fail(`a kernel wrote before an array of ${bytes} bytes`);
      if (!same(end, whole, around.subarray(end - start)))
        expect.fail(`a kernel wrote behind an array of ${bytes} bytes`);
      if (given !== undefined && !same(address, end, given))
        expect.fail(`a kernel wrote over an array of ${bytes} bytes that it was to read`);
      this.engine.release(start);
    }
  }

  #put(array: Numbers, read: boolean): number {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    const last = this.#puts++ === this.#last;
    const address = last
      ? this.engine.u8.length - bytes.length
      : this.#place(bytes.length, read ? bytes.slice() : undefined);
    this.engine.u8.set(bytes, address);
    return address;
  }

  #place(bytes: number, given: Uint8Array | undefined): number {
    const words = sizeOf(bytes) >>> 2;
    const start = this.engine.allocate(words * 4);
    this.engine.i32.set(wordsFrom(this.#next, words * 4), start >>> 2);
    this.#placed.push({ start, address: start + AROUND, bytes, first: this.#next, given });
    this.#next = (this.#next + words) % WORDS.length;
    return start + AROUND;
  }
}

/** Bytes of an array and what is around it: whole words. */
function sizeOf(bytes: number): number {
  return ((bytes + 3) & ~3) + 2 * AROUND;
}

/** The words around, and within, an array whose first is so manieth. */
function wordsFrom(first: number, bytes: number): Int32Array {
  const words = WORDS.subarray(first, first + (bytes >>> 2));
  if (words.length === bytes >>> 2) return words;
  return Int32Array.from({ length: bytes >>> 2 }, (_, i) => WORDS[(first + i) % WORDS.length]);
}
