// How vertices of an HNSW graph are spread over its levels: faiss' rule and numbers.

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

// Math.log and Math.exp differ between engines in the last bit; additions and products don't.

/** The natural logarithm of a number of at least 1. */
function logarithm(x: number): number {
  let halvings = 0;
  while (x >= 2) {
    x /= 2;
    halvings++;
  }
  // ln x = 2 artanh((x - 1) / (x + 1)), and ln 2 is that of 1 / 3.
  return halvings * 2 * inverseTangent(1 / 3) + 2 * inverseTangent((x - 1) / (x + 1));
}

/** The inverse hyperbolic tangent of a number from 0 to 1/3. */
function inverseTangent(x: number): number {
  let sum = 0;
  for (let i = 41; i > 0; i -= 2) sum = sum * x * x + 1 / i;
  return sum * x;
}

/** e to the power of a number of at most 0. */
function exponential(x: number): number {
  const squarings = 10;
  const small = x / 2 ** squarings;
  let sum = 1;
  for (let i = 18; i > 0; i--) sum = 1 + (sum * small) / i;
  for (let i = 0; i < squarings; i++) sum *= sum;
  return sum;
}
