import type { TransformTree } from "../indexes/tree.js";
import { moreKernels } from "../wasm/more.js";
import { logarithm } from "../work/elementary.js";
import type { Pace } from "../work/pace.js";
import { Random } from "../work/random.js";
import { Engine } from "../wasm/engine.js";
import { LinearTransform } from "./linear.js";

/** faiss' seed of an `RR`. */
const SEED = 12345;
/** Numbers below which they are drawn from one generator, and into how many parts others are cut. */
const PARTS = 1024;
/** Vectors of one call of a kernel. */
const CHUNK = 16;

/** A random rotation: it spreads what is in few dimensions over all, and leaves distances alone. */
export class RandomRotation extends LinearTransform {
  override get tree(): TransformTree {
    return this.dout === this.din ? { type: "RR" } : { type: "RR", dout: this.dout };
  }

  protected override readonly fourcc: string = "rrot";

  override async train(_vectors: Float32Array, _seed: number, pace: Pace): Promise<void> {
    if (!this.isTrained) this.set(await randomRotation(this.engine, this.din, this.dout, SEED, pace), undefined);
  }
}

/**
 * A random matrix of dout x din whose rows, or columns if they are fewer, are orthonormal: faiss' own, but for rounding.
 */
export async function randomRotation(
  { options }: Engine,
  din: number,
  dout: number,
  seed: number,
  pace: Pace,
): Promise<Float32Array<ArrayBuffer>> {
  const engine = new Engine(options);
  const m = Math.max(din, dout);
  const rows = engine.allocate(dout * m * 8);
  engine.f64.set(normals(dout * m, seed), rows >>> 3);
  await orthonormalize(engine, rows, dout, m, pace);
  const matrix = new Float32Array(dout * din);
  for (let i = 0; i < dout; i++) {
    const row = (rows >>> 3) + i * m;
    matrix.set(engine.f64.subarray(row, row + din), i * din);
  }
  return matrix;
}

/**
 * Replaces n vectors of m >= n numbers (f64 at an address) by orthonormal ones that span the same, and returns the signs by which they
 * point away from these: LAPACK's.
 */
export async function orthonormalize(
  engine: Engine,
  rows: number,
  n: number,
  m: number,
  pace: Pace,
): Promise<Float64Array<ArrayBuffer>> {
  const kernels = moreKernels(engine);
  const scales = engine.allocate(2 * n * 8);
  try {
    for (let k = 0; k < n; k += CHUNK) {
      kernels.reflect(rows, n, m, scales, k, Math.min(n, k + CHUNK));
      await pace.step("rotation", k, 2 * n);
    }
    for (let k = n; k > 0; k -= CHUNK) {
      kernels.orthonormal(rows, n, m, scales, Math.max(0, k - CHUNK), k);
      await pace.step("rotation", 2 * n - k, 2 * n);
    }
    return engine.f64.slice((scales >>> 3) + n, (scales >>> 3) + 2 * n);
  } finally {
    engine.release(scales);
  }
}

/** n numbers of the normal distribution, faiss' own: by Marsaglia's polar method, each of 1024 parts from a generator of its own. */
export function normals(n: number, seed: number): Float32Array<ArrayBuffer> {
  const seeds = new Random(seed);
  const first = seeds.bits() & 0x7fffffff;
  const step = seeds.bits() & 0x7fffffff;
  const parts = n < PARTS ? 1 : PARTS;
  const out = new Float32Array(n);
  for (let part = 0; part < parts; part++) {
    const random = new Random(first + part * step);
    let [a, b, scale] = [0, 0, 0];
    let second = false;
    for (let i = Math.floor((part * n) / parts), end = Math.floor(((part + 1) * n) / parts); i < end; i++) {
      if (!second) {
        let square;
        do {
          a = (2 * random.bits()) / 0xffffffff - 1;
          b = (2 * random.bits()) / 0xffffffff - 1;
          square = a * a + b * b;
        } while (square >= 1);
        scale = Math.sqrt((-2 * logarithm(square)) / square);
      }
      out[i] = (second ? b : a) * scale;
      second = !second;
    }
  }
  return out;
}
