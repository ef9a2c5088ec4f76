// Arrays on an engine's memory, each between NaN: a kernel that reads beyond its end makes NaN of its results, and one that writes there is
// noticed.

import { expect } from "vitest";
import type { Engine } from "../src/wasm/engine.js";

/** Bytes before and behind an array. */
const AROUND = 64;
const FILL = 0xff;

type Numbers =
  Float32Array | Float64Array | Int32Array | Int16Array | Int8Array | Uint8Array | Uint16Array | BigInt64Array;

export class Desk {
  readonly engine: Engine;
  readonly #placed: { start: number; address: number; bytes: number }[] = [];

  constructor(engine: Engine) {
    this.engine = engine;
  }

  /** Puts an array on the memory, and returns its address. */
  put(array: Numbers): number {
    const address = this.room(array.byteLength);
    this.engine.u8.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), address);
    return address;
  }

  /** So many bytes for results. */
  room(bytes: number): number {
    const start = this.engine.allocate(bytes + 2 * AROUND);
    this.engine.u8.fill(FILL, start, start + bytes + 2 * AROUND);
    this.#placed.push({ start, address: start + AROUND, bytes });
    return start + AROUND;
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

  /** Expects that nothing was written beside the arrays, and takes them away. */
  clear(): void {
    const { u8 } = this.engine;
    for (const { start, address, bytes } of this.#placed.splice(0)) {
      const end = address + bytes;
      for (const [from, to, where] of [
        [start, address, "before"],
        [end, end + AROUND, "behind"],
      ] as const) {
        if (u8.subarray(from, to).some((byte) => byte !== FILL))
          expect.fail(`a kernel wrote ${where} an array of ${bytes} bytes`);
      }
      this.engine.release(start);
    }
  }
}
