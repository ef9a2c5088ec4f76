import { expect } from "vitest";

/** Distances that float rounding can tell apart from each other, relative to the distance or the length of the vectors. */
const ROUNDING = 1e-5;

/**
 * Expects faiss' answer: distances within rounding, and the same labels wherever the distances of a row are told apart by more than
 * rounding; among ties, and at a tie across the cut, labels are free.
 */
export function expectAnswer(
  actual: { distances: Float32Array; labels: Int32Array | BigInt64Array },
  expected: { distances: Float32Array; labels: BigInt64Array },
  k: number,
  scale = 1,
): void {
  expect(actual.labels.length).toBe(expected.labels.length);
  const near = (a: number, b: number): boolean =>
    a === b || Math.abs(a - b) <= ROUNDING * Math.max(scale, Math.abs(a), Math.abs(b));
  for (let row = 0; row < expected.labels.length; row += k) {
    for (let i = row; i < row + k; i++) {
      const [a, b] = [actual.distances[i], expected.distances[i]];
      if (!near(a, b)) expect.fail(`distance ${i % k} of query ${row / k}: ${a}, faiss has ${b}`);
      if (BigInt(actual.labels[i]) === expected.labels[i]) continue;
      const tied =
        (i > row && near(expected.distances[i - 1], b)) || i + 1 === row + k || near(expected.distances[i + 1], b);
      if (!tied)
        expect.fail(`label ${i % k} of query ${row / k}: ${actual.labels[i]}, faiss has ${expected.labels[i]}`);
    }
  }
}
