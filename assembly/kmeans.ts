// The two halves of a k-means iteration: which centroid is nearest, and where the points of a centroid lie on average.

import { innerProducts, pairKey } from "./distance";
import { INNER_PRODUCT, NOTHING } from "./metric";
import { addMultiple } from "./rows";
import { TILE_ROWS } from "./scan/all";

/** Half the squared norm of each centroid: what assign subtracts inner products from under L2. */
export function halfNorms(centroids: usize, k: i32, d: i32, out: usize): void {
  const size = (<usize>d) << 2;
  for (let i = 0; i < k; i++, centroids += size, out += 4) {
    store<f32>(out, <f32>-0.5 * pairKey(centroids, centroids, d, INNER_PRODUCT));
  }
}

/** Bytes of scratch that assign needs for n points. */
export function assignScratch(n: i32): i32 {
  return n * TILE_ROWS * 4;
}

/**
 * The centroid with the smallest half - x·c for each of n points (the first of equals), by tiles of inner products.
 *
 * half: |c|²/2 a centroid, so that the winner is the nearest, or zeros, so that it has the largest product.
 * lists: i32 a point. scores: f32 a point, the winner's half - x·c; the squared distance is |x|² + 2 score.
 */
export function assign(
  points: usize,
  n: i32,
  centroids: usize,
  half: usize,
  k: i32,
  d: i32,
  lists: usize,
  scores: usize,
  tile: usize,
): void {
  for (let i = 0; i < n; i++) {
    store<f32>(scores + ((<usize>i) << 2), NOTHING);
    store<i32>(lists + ((<usize>i) << 2), 0);
  }
  for (let first = 0; first < k; first += TILE_ROWS) {
    const count = min(TILE_ROWS, k - first);
    innerProducts(points, n, centroids + ((<usize>first * d) << 2), count, d, tile, TILE_ROWS);
    for (let i = 0; i < n; i++) {
      const at = (<usize>i) << 2;
      takeNearest(
        tile + ((<usize>(i * TILE_ROWS)) << 2),
        half + ((<usize>first) << 2),
        count,
        first,
        scores + at,
        lists + at,
      );
    }
  }
}

/** Improves one point's winner by a row of the tile; four centroids are looked at together, and mostly none is better. */
function takeNearest(products: usize, half: usize, count: i32, first: i32, score: usize, list: usize): void {
  let best = load<f32>(score);
  let limit = f32x4.splat(best);
  for (let j = 0; j < count; j += 4) {
    const at = (<usize>j) << 2;
    const s = f32x4.sub(v128.load(half + at), v128.load(products + at));
    if (v128.any_true(f32x4.lt(s, limit))) {
      for (let u = j, end = min(j + 4, count); u < end; u++) {
        const one = load<f32>(half + ((<usize>u) << 2)) - load<f32>(products + ((<usize>u) << 2));
        if (one < best) {
          best = one;
          store<i32>(list, first + u);
        }
      }
      limit = f32x4.splat(best);
    }
  }
  store<f32>(score, best);
}

/**
 * Adds each of n points to the sum of its centroid and counts it, in the order of the points: those whose centroid is one of `some` from
 * the first on. sums: f32 k x d; counts: i32 k.
 */
export function accumulate(
  points: usize,
  n: i32,
  d: i32,
  lists: usize,
  sums: usize,
  counts: usize,
  first: i32,
  some: i32,
): void {
  const size = (<usize>d) << 2;
  for (let i = 0; i < n; i++, points += size, lists += 4) {
    const list = <usize>load<i32>(lists);
    if (<u32>(<i32>list - first) >= <u32>some) continue;
    // Once a point is the point, to the last bit.
    addMultiple(sums + list * size, points, 1, size);
    const count = counts + (list << 2);
    store<i32>(count, load<i32>(count) + 1);
  }
}

/**
 * The sum over n points of the squared distance to the centroid, |x|² + 2 score, or, where norms is 0, of the product with it. In JavaScript
 * the first iterations of 30,000 points waited 4 ms for it, and other threads with them.
 */
export function objective(scores: usize, norms: usize, n: i32): f64 {
  let sum: f64 = 0;
  for (let at: usize = 0, end = (<usize>n) << 2; at < end; at += 4) {
    const score: f64 = load<f32>(scores + at);
    sum += norms == 0 ? -score : max<f64>(0, <f64>load<f32>(norms + at) + 2 * score);
  }
  return sum;
}

/** Divides each sum by its count: the centroids. One without a point keeps the sum it has, zeros. */
export function average(sums: usize, counts: usize, k: i32, d: i32): void {
  for (let i = 0; i < k; i++, counts += 4) {
    const count = load<i32>(counts);
    const end = sums + ((<usize>d) << 2);
    const share: f32 = count > 0 ? <f32>1 / <f32>count : 1;
    for (; sums < end; sums += 4) store<f32>(sums, load<f32>(sums) * share);
  }
}

/** Scales each of n rows to norm 1; a zero row stays. */
export function normalize(rows: usize, n: i32, d: i32): void {
  const size = (<usize>d) << 2;
  for (let i = 0; i < n; i++, rows += size) {
    const norm = -pairKey(rows, rows, d, INNER_PRODUCT);
    if (norm > 0) {
      const scale: f32 = <f32>1 / sqrt<f32>(norm);
      for (let x = rows; x < rows + size; x += 4) store<f32>(x, load<f32>(x) * scale);
    }
  }
}
