import type { Engine } from "../wasm/engine.js";
import type { Basis } from "./basis.js";
import type { CodecKernels } from "./kernels.js";

// Centroids of a voice file: numbers, by the radius of their cell, in the directions of a full basis.

/** Radii of cells, by number: from 2^-16 on, four an octave, by products of one constant. */
export const RADII: Float64Array = ((): Float64Array => {
  const radii = new Float64Array(129);
  radii[0] = 2 ** -16;
  for (let i = 1; i < radii.length; i++) {
    radii[i] = i % 4 === 0 ? radii[i - 4] * 2 : radii[i - 1] * 1.189207115002721;
  }
  return radii;
})();

/** What is added to a column's class for the number of its model, in a cell of a radius. */
export function centroidRow(base: number, radius: number): number {
  // A radius is four steps an octave, a class two.
  return base - (radius >> 1);
}

/** Writes centroids: the mean, and numbers times the steps of their cells times a full basis. */
export function placeCentroids(
  engine: Engine,
  kernels: CodecKernels,
  numbers: Int16Array,
  steps: Float32Array,
  mean: Float32Array,
  full: Basis,
  out: number,
): void {
  const { d } = full;
  const padded = Math.ceil(d / 4) * 4;
  const n = steps.length;
  const block = 64;
  const blocks: number[] = [];
  const take = (bytes: number): number => {
    const address = engine.allocate(bytes);
    blocks.push(address);
    return address;
  };
  try {
    const from = take(block * d * 2);
    const scales = take(block * 4);
    const nothing = take(padded * 4);
    const scratch = take(kernels.spreadScratch(d));
    const base = take(d * 4);
    engine.f32.fill(0, nothing >>> 2, (nothing >>> 2) + padded);
    engine.f32.set(mean, base >>> 2);
    for (let first = 0; first < n; first += block) {
      const count = Math.min(block, n - first);
      const part = numbers.subarray(first * d, (first + count) * d);
      engine.u8.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), from);
      engine.f32.set(steps.subarray(first, first + count), scales >>> 2);
      const to = out + first * d * 4;
      kernels.spread(from, count, d, d, nothing, nothing, scales, full.asRows, full.capacity, d, base, to, scratch);
    }
  } finally {
    for (const address of blocks) engine.release(address);
  }
}
