import type { Engine } from "../wasm/engine.js";
import type { Pace } from "../work/pace.js";
import type { CodecKernels } from "./kernels.js";

/**
 * Rows of length 1 at right angles to each other, in the engine's memory: made of rows of whole numbers, in this order, and of drawn
 * ones where more are wanted. Two forms are kept: `asRows` is what numbers are multiplied with to give vectors, `asColumns` what
 * vectors are multiplied with to give numbers.
 */
export class Basis {
  readonly d: number;
  readonly capacity: number;
  readonly asRows: number;
  readonly asColumns: number;
  readonly #engine: Engine;
  readonly #kernels: CodecKernels;
  /** Rows so far. */
  rows = 0;

  constructor(engine: Engine, kernels: CodecKernels, d: number, capacity: number) {
    this.#engine = engine;
    this.#kernels = kernels;
    this.d = d;
    this.capacity = Math.ceil(capacity / 8) * 8;
    this.asRows = engine.allocate(kernels.packedBytes(this.capacity, d));
    try {
      this.asColumns = engine.allocate(kernels.packedBytes(d, this.capacity));
    } catch (error) {
      engine.release(this.asRows);
      throw error;
    }
  }

  /** Gives the memory back. */
  release(): void {
    this.#engine.release(this.asRows);
    this.#engine.release(this.asColumns);
  }

  /** Forgets all rows but the first ones: a multiple of 8, or all of them. */
  truncate(rows: number): void {
    this.rows = rows;
  }

  /**
   * Appends `count` rows, of which `write` puts some into an array; only behind the last ones may their number be odd, that is no
   * multiple of 8. Returns false where one is nearly a sum of others, or has no length; the basis is of no use then.
   */
  async append(
    count: number,
    write: (first: number, n: number, into: Float32Array) => void,
    pace: Pace,
  ): Promise<boolean> {
    const engine = this.#engine;
    const kernels = this.#kernels;
    const { d } = this;
    const block = kernels.basisBlock();
    const rows = engine.allocate(block * d * 4);
    const scratch = engine.allocate(kernels.orthonormalizeScratch(d, this.capacity));
    try {
      for (let done = 0; done < count;) {
        const n = Math.min(count - done, block);
        write(done, n, engine.f32.subarray(rows >>> 2, (rows >>> 2) + n * d));
        if (kernels.orthonormalize(rows, n, d, this.rows, this.capacity, this.asRows, this.asColumns, scratch) !== 0)
          return false;
        this.rows += n;
        done += n;
        await pace.step("basis", done, count);
      }
      return true;
    } finally {
      engine.release(rows);
      engine.release(scratch);
    }
  }
}

/** A writer of rows of drawn numbers, from -32767 to 32767 without 0: the same ones for the same seed. */
export function drawn(seed: number): (first: number, n: number, into: Float32Array) => void {
  let state = seed >>> 0;
  return (_first, _n, into) => {
    for (let i = 0; i < into.length; i++) {
      // A linear congruential generator modulo 2^32 (Numerical Recipes' constants): its high bits will do for directions.
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      into[i] = (state >>> 16) - 32767.5;
    }
  };
}
