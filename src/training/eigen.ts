import type { Engine } from "../wasm/engine.js";
import type { Pace } from "../work/pace.js";

/** What assembly/eigen.ts exports: any module that has it, on the engine's memory. */
export interface EigenKernels {
  eigenVectorsBytes(n: number): number;
  eigenStateBytes(n: number): number;
  rotationsBytes(n: number): number;
  tridiagonalize(matrix: number, n: number, state: number, first: number, last: number): void;
  startVectors(matrix: number, n: number, state: number, vectors: number, first: number, last: number): void;
  solve(n: number, state: number, rotations: number): number;
  rotate(vectors: number, n: number, rotations: number, bytes: number, first: number, last: number): void;
  takeVectors(vectors: number, n: number, order: number, count: number, out: number): void;
}

/** Eigenvectors and eigenvalues, the largest first. */
export interface Eigen {
  values: Float64Array<ArrayBuffer>;
  /** n x n f64, a row an eigenvector of length 1. Its sign is what came out, the same on every engine. */
  vectors: Float64Array<ArrayBuffer>;
}

/** Components of a strip of vectors, as assembly/eigen.ts has them. */
const STRIP = 8;
/** Rows or strips of one call: some 2 ms at n = 768. */
const CHUNK = 16;

/**
 * The eigenvectors of a symmetric n x n matrix of f64 in the engine's memory, of which the diagonal and what is right of it count; the
 * matrix is overwritten. The bits are the same on every engine. 768 x 768 takes about half a second, and the memory of two such
 * matrices beside it.
 *
 * @returns rejects with ERR_MEMORY, or the signal's reason
 */
export async function symmetricEigen(
  engine: Engine,
  kernels: EigenKernels,
  matrix: number,
  n: number,
  pace: Pace,
): Promise<Eigen> {
  const blocks: number[] = [];
  const take = (bytes: number): number => {
    const address = engine.allocate(bytes);
    blocks.push(address);
    return address;
  };
  try {
    const state = take(kernels.eigenStateBytes(n));
    const rotations = take(kernels.rotationsBytes(n));
    const strips = Math.ceil(n / STRIP);
    const vectors = take(kernels.eigenVectorsBytes(n));
    for (let row = 0; row < n; row += CHUNK) {
      kernels.tridiagonalize(matrix, n, state, row, Math.min(n, row + CHUNK));
      await pace.step("eigenvectors", row, 3 * n);
    }
    for (let strip = 0; strip < strips; strip += CHUNK) {
      kernels.startVectors(matrix, n, state, vectors, strip, Math.min(strips, strip + CHUNK));
      await pace.step("eigenvectors", n, 3 * n);
    }
    for (let bytes; (bytes = kernels.solve(n, state, rotations)) > 0;) {
      for (let strip = 0; strip < strips; strip += CHUNK) {
        kernels.rotate(vectors, n, rotations, bytes, strip, Math.min(strips, strip + CHUNK));
        await pace.step("eigenvectors", 2 * n, 3 * n);
      }
    }
    const found = engine.f64.slice(state >>> 3, (state >>> 3) + n);
    const sorted = Int32Array.from(found.keys()).sort((a, b) => found[b] - found[a] || a - b);
    const order = take(n * 4);
    engine.i32.set(sorted, order >>> 2);
    kernels.takeVectors(vectors, n, order, n, matrix);
    await pace.step("eigenvectors", 3 * n, 3 * n);
    return {
      values: Float64Array.from(sorted, (i) => found[i]),
      vectors: engine.f64.slice(matrix >>> 3, (matrix >>> 3) + n * n),
    };
  } finally {
    for (const address of blocks) engine.release(address);
  }
}
