// How vertices of an HNSW graph are spread over its levels: faiss' rule and numbers.

import { exponential, logarithm } from "../work/elementary.js";
import type { Random } from "../work/random.js";

/** Levels with a smaller share of the vertices than this are left out. */
const SMALLEST = 1e-9;

/**
 * The share of the vertices whose highest level is 0, 1, 2, …: M^-level (1 - 1 / M), rounded as in faiss, which files keep.
 *
 * @param M links of a vertex on the upper levels, at least 2
 */
export function levelShares(M: number): Float64Array<ArrayBuffer> {
  const scale = Math.fround(1 / logarithm(M));
  const step = 1 - exponential(Math.fround(-1 / scale));
  const shares: number[] = [];
  for (let level = 0; ; level++) {
    const share = Math.fround(exponential(Math.fround(-level / scale)) * step);
    if (share < SMALLEST) return Float64Array.from(shares);
    shares.push(share);
  }
}

/** The highest level of the next vertex, as faiss draws it. */
export function drawLevel(shares: Float64Array, random: Random): number {
  let left = random.unit();
  for (let level = 0; level < shares.length; level++) {
    if (left < shares[level]) return level;
    left -= shares[level];
  }
  return Math.max(shares.length - 1, 0);
}
