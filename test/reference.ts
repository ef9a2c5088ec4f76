// Search as it is defined, in a few lines of scalar code without any cleverness: what the kernels must give, to the last bit.

import { METRIC_INNER_PRODUCT } from "../src/index.js";
import type { Metric } from "../src/index.js";

/** What a distance is where nothing was found: FLT_MAX. */
export const NOTHING = 3.4028234663852886e38;

/** A row that was looked at: its id, and a key, smaller is nearer. */
export interface Candidate {
  id: number | bigint;
  key: number;
}

/**
 * The squared distance, or the negated inner product, rounded to a float after each operation. Four sums take the dimensions in
 * turns, (0 + 1) + (2 + 3); the last d % 4 dimensions have a sum of their own, which is added in the end.
 */
export function keyOf(x: Float32Array, y: Float32Array, metric: Metric): number {
  const { fround } = Math;
  const d = x.length;
  const body = d - (d % 4);
  const sums = new Float32Array(5);
  for (let i = 0; i < d; i++) {
    const difference = fround(x[i] - y[i]);
    const term = metric === METRIC_INNER_PRODUCT ? fround(x[i] * y[i]) : fround(difference * difference);
    sums[i < body ? i & 3 : 4] += term;
  }
  const sum = fround(fround(fround(sums[0] + sums[1]) + fround(sums[2] + sums[3])) + sums[4]);
  return metric === METRIC_INNER_PRODUCT ? -sum : sum;
}

/** The same in double precision. */
export function exactKeyOf(x: Float32Array, y: Float32Array, metric: Metric): number {
  if (metric === METRIC_INNER_PRODUCT) return -x.reduce((sum, value, i) => sum + value * y[i], 0);
  return x.reduce((sum, value, i) => sum + (value - y[i]) ** 2, 0);
}

/** One row of many, without a copy. */
export function rowOf(rows: Float32Array, d: number, i: number): Float32Array {
  return rows.subarray(i * d, i * d + d);
}

/**
 * The k best, best first. To enter, a key must be smaller than the worst that is kept, so at the cut the first stays; equal keys
 * stand by ascending id under L2, by descending id under inner product, and the last of them goes first.
 */
export function best(candidates: Iterable<Candidate>, k: number, metric: Metric): Candidate[] {
  const kept: Candidate[] = [];
  const before = (a: Candidate, b: Candidate): boolean =>
    a.key !== b.key ? a.key < b.key : metric === METRIC_INNER_PRODUCT ? a.id > b.id : a.id < b.id;
  for (const candidate of candidates) {
    if (!(candidate.key < (kept.length === k ? kept[k - 1].key : NOTHING))) continue;
    if (kept.length === k) kept.pop();
    let at = kept.length;
    while (at > 0 && before(candidate, kept[at - 1])) at--;
    kept.splice(at, 0, candidate);
  }
  return kept;
}

/** The rows as candidates, their places being their ids. */
export function* scan(query: Float32Array, rows: Float32Array, metric: Metric): Generator<Candidate> {
  const d = query.length;
  for (let id = 0; id * d < rows.length; id++) yield { id, key: keyOf(query, rowOf(rows, d, id), metric) };
}

/** One row of results: distances and labels as they are to come out, filled up to k. */
export function resultOf(
  found: readonly Candidate[],
  k: number,
  metric: Metric,
): { distances: number[]; labels: bigint[] } {
  const sign = metric === METRIC_INNER_PRODUCT ? -1 : 1;
  return {
    distances: Array.from({ length: k }, (_, i) => sign * (i < found.length ? found[i].key : NOTHING)),
    labels: Array.from({ length: k }, (_, i) => BigInt(i < found.length ? found[i].id : -1)),
  };
}
