// Heads and what they are made by, as heads.ts and whole-rows.ts of assembly/ say, in scalar code: what kernels must give, to the last bit.

import { METRIC_INNER_PRODUCT } from "../src/index.js";
import { keyOf, rowOf } from "./reference.js";

const { fround: f, sqrt } = Math;

const [CHUNK, SAMPLE, ROUNDS] = [64, 1024, 3];
const EPSILON = f(5.9604645e-8);
/** What a length may have lost, and the squared length from which on there are no bounds. */
export const LOST = f(1e-19);
export const TOO_LONG = f(1e30);

export const sumError = (d: number): number => f((Math.floor(d / 4) + 32) * f(f(1.04) * EPSILON));
export const dot = (x: Float32Array, y: Float32Array): number => -keyOf(x, y, METRIC_INNER_PRODUCT);
export const lengthOf = (x: Float32Array): number => f(f(f(sqrt(dot(x, x))) * f(1.001)) + LOST);
export const upTo = (n: number, unit: number): number => Math.ceil(n / unit) * unit;

/** x += by y. */
function addMultiple(x: Float32Array, y: Float32Array, by: number): void {
  for (let j = 0; j < x.length; j++) x[j] += f(by * y[j]);
}

/** The whole number next to x, of two the even one. */
export function nearest(x: number): number {
  const down = Math.floor(x);
  return x - down < 0.5 || (x - down === 0.5 && down % 2 === 0) ? down : down + 1;
}

/** By Gram and Schmidt: what depends on those before becomes zero. */
function orthonormalize(rows: Float32Array[], passes: number): void {
  rows.forEach((row, i) => {
    const peak = row.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    if (peak > 0) row.forEach((x, j) => (row[j] = x / peak));
    const before = dot(row, row);
    for (let pass = 0; pass < passes; pass++)
      for (const other of rows.slice(0, i)) addMultiple(row, other, -dot(row, other));
    const after = dot(row, row);
    const scale = after > f(before * f(1e-6)) ? f(1 / f(sqrt(after))) : 0;
    row.forEach((x, j) => (row[j] = x * scale));
  });
}

export interface Basis {
  mean: Float32Array;
  directions: Float32Array[];
  slack: number;
}

/** Subspace iteration on the covariance of a sample of n rows, which starts at rows. */
export function basisOf(rows: Float32Array, d: number, m: number): Basis {
  const n = rows.length / d;
  const sample = Math.min(n, SAMPLE);
  const mean = new Float32Array(d);
  const sampled = (i: number): Float32Array => rowOf(rows, d, Math.floor((i * n) / sample));
  for (let i = 0; i < sample; i++) addMultiple(mean, sampled(i), f(1 / sample));
  const centred = (row: Float32Array): Float32Array => row.map((x, j) => x - mean[j]);
  let directions = Array.from({ length: m - 1 }, (_, j) => centred(rowOf(rows, d, Math.floor((j * n) / (m - 1)))));
  orthonormalize(directions, 1);
  for (let round = 0; round < ROUNDS; round++) {
    const turned = directions.map(() => new Float32Array(d));
    for (let first = 0; first < sample; first += CHUNK) {
      const some = Array.from({ length: Math.min(CHUNK, sample - first) }, (_, i) => centred(sampled(first + i)));
      turned.forEach((to, r) => {
        const by = some.map((x) => dot(x, directions[r]));
        let i = 0;
        for (; i + 4 <= some.length; i += 4) {
          for (let j = 0; j < d; j++) {
            const u = f(f(by[i] * some[i][j]) + f(by[i + 1] * some[i + 1][j]));
            const v = f(f(by[i + 2] * some[i + 2][j]) + f(by[i + 3] * some[i + 3][j]));
            to[j] += f(u + v);
          }
        }
        for (; i < some.length; i++) addMultiple(to, some[i], by[i]);
      });
    }
    directions = turned;
    orthonormalize(directions, round + 1 < ROUNDS ? 1 : 2);
  }
  let off = 0;
  directions.forEach((x, i) => {
    for (let j = 0; j <= i; j++) {
      const u = dot(x, directions[j]);
      const away = f(u - (i === j && u > 0.5 ? 1 : 0));
      off += (i === j ? 1 : 2) * away * away;
    }
  });
  return { mean, directions, slack: f(f(16 * sumError(d)) + f(4 * f(sqrt(off)))) };
}

/** The head of a row less the mean, and the squared length of that. */
export function headOf(row: Float32Array, { mean, directions, slack }: Basis): { head: Float32Array; length: number } {
  const centred = row.map((x, j) => x - mean[j]);
  const length = dot(centred, centred);
  const head = Float32Array.from([...directions.map((direction) => dot(centred, direction)), 0]);
  const rest = f(f(length * f(1 + slack)) - dot(head, head));
  head[head.length - 1] = f(f(f(sqrt(Math.max(0, rest))) * f(1.0001)) + LOST);
  return { head, length };
}

/** What one of whole numbers stands for, what they leave over, and the bytes of some rows of D numbers of 16 bits, four a block. */
export function wholeRows(rows: readonly Float32Array[], D: number, most: number): Uint8Array {
  const longest = Math.max(0, ...rows.map(lengthOf));
  const peak = Math.max(0, ...rows.flatMap((row) => Array.from(row, Math.abs)));
  const one = Math.max(f(longest / most), f(peak / 32767));
  const bytes = new Uint8Array(16 + upTo(rows.length, 4) * D * 2);
  const view = new DataView(bytes.buffer);
  let left = 0;
  rows.forEach((row, i) =>
    row.forEach((x, j) => {
      const whole = Math.min(32767, Math.max(-32767, nearest(f(x / one))));
      view.setInt16(16 + (i >> 2) * D * 8 + (j >> 1) * 16 + (i & 3) * 4 + (j & 1) * 2, whole, true);
      left += (x - one * whole) ** 2;
    }),
  );
  view.setFloat32(0, one, true);
  view.setFloat32(4, f(f(f(sqrt(left)) * f(1.001)) + LOST), true);
  return bytes;
}
