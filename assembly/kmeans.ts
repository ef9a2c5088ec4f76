// The two halves of a k-means iteration: which centroid is nearest, and where the points of a centroid lie on average.

import { fourKeys, innerProducts, pairKey } from "./distance";
import { slackOf } from "./heads";
import { lane4 } from "./lanes";
import { INNER_PRODUCT, NOTHING } from "./metric";
import { TILE_ROWS } from "./search";

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
 * As assign under L2, by heads of m numbers (heads.ts) of the points and the centroids: the same lists and scores to the last bit.
 *
 * lists: where each point was before, or any list: the nearer, the more is passed over. norms: |x|² a point.
 *
 * A centroid is passed over where its score is surely above the best, b: |x - c|² is at least v, made of the heads, and the score
 * (|x - c|² - |x|²) / 2 but for rounding, so where v > 2b + |x|² + rounding. A score is |c|²/2 - x·c with sums of d / 4 + 8 roundings
 * each, g in all, so it is off by at most g(|x|² + |c|²), of which eight times are taken.
 */
export function assignByHeads(
  points: usize,
  n: i32,
  centroids: usize,
  half: usize,
  k: i32,
  d: i32,
  norms: usize,
  m: i32,
  basis: usize,
  pointLengths: usize,
  pointHeads: usize,
  lengths: usize,
  heads: usize,
  lists: usize,
  scores: usize,
  tile: usize,
): void {
  const size = (<usize>d) << 2;
  const g = <f32>(d / 4 + 16) * <f32>5.9604645e-8;
  const longest = load<f32>(basis) + load<f32>(basis, 4);
  for (let i = 0; i < n; i++) {
    const at = (<usize>i) << 2;
    const list = load<i32>(lists + at);
    const key = pairKey(points + <usize>i * size, centroids + <usize>list * size, d, INNER_PRODUCT);
    store<f32>(scores + at, load<f32>(half + ((<usize>list) << 2)) + key);
  }
  for (let first = 0; first < k; first += TILE_ROWS) {
    const count = min(TILE_ROWS, k - first);
    innerProducts(pointHeads, n, heads + ((<usize>(first * m)) << 2), count, m, tile, TILE_ROWS);
    for (let i = 0; i < n; i++) {
      const at = (<usize>i) << 2;
      const norm = load<f32>(norms + at);
      takeNearer(
        tile + ((<usize>(i * TILE_ROWS)) << 2),
        count,
        load<f32>(pointLengths + at),
        lengths + ((<usize>first) << 2),
        1 - slackOf(basis),
        norm + 8 * g * (norm + longest * longest) + <f32>1e-35,
        points + <usize>i * size,
        centroids,
        half,
        first,
        d,
        scores + at,
        lists + at,
      );
    }
  }
}

/** Improves one point's winner by those of `count` centroids whose bound leaves that possible, compared four at a time. */
function takeNearer(
  products: usize,
  count: i32,
  length: f32,
  lengths: usize,
  shrink: f32,
  above: f32,
  point: usize,
  centroids: usize,
  half: usize,
  first: i32,
  d: i32,
  score: usize,
  list: usize,
): void {
  const two = f32x4.splat(2);
  const shrink4 = f32x4.splat(shrink);
  const length4 = f32x4.splat(length);
  let limit = f32x4.splat(2 * load<f32>(score) + above);
  let waiting = 0;
  let a = 0;
  let b = 0;
  let c = 0;
  for (let j = 0; j < count; j += 4) {
    const at = (<usize>j) << 2;
    const both = f32x4.mul(f32x4.add(length4, v128.load(lengths + at)), shrink4);
    const least = f32x4.sub(both, f32x4.mul(v128.load(products + at), two));
    let open = 15 & ~i32x4.bitmask(f32x4.gt(least, limit));
    while (open != 0) {
      const row = j + ctz(open);
      open &= open - 1;
      if (row >= count) break;
      if (waiting == 0) a = b = c = first + row;
      else if (waiting == 1) b = c = first + row;
      else if (waiting == 2) c = first + row;
      if (++waiting < 4) continue;
      takeFour(point, centroids, half, d, a, b, c, first + row, score, list);
      limit = f32x4.splat(2 * load<f32>(score) + above);
      waiting = 0;
    }
  }
  if (waiting > 0) takeFour(point, centroids, half, d, a, b, c, c, score, list);
}

/** Improves one point's winner by four centroids, the first of equals being the better. */
function takeFour(
  point: usize,
  centroids: usize,
  half: usize,
  d: i32,
  a: i32,
  b: i32,
  c: i32,
  e: i32,
  score: usize,
  list: usize,
): void {
  const size = (<usize>d) << 2;
  const four = fourKeys(
    point,
    centroids + <usize>a * size,
    centroids + <usize>b * size,
    centroids + <usize>c * size,
    centroids + <usize>e * size,
    d,
    INNER_PRODUCT,
  );
  for (let lane = 0; lane < 4; lane++) {
    const row = lane == 0 ? a : lane == 1 ? b : lane == 2 ? c : e;
    const one = load<f32>(half + ((<usize>row) << 2)) + lane4(four, lane);
    const best = load<f32>(score);
    if (one < best || (one == best && row < load<i32>(list))) {
      store<f32>(score, one);
      store<i32>(list, row);
    }
  }
}

/** Adds each of n points to the sum of its centroid and counts it. sums: f32 k x d; counts: i32 k. */
export function accumulate(points: usize, n: i32, d: i32, lists: usize, sums: usize, counts: usize): void {
  const size = (<usize>d) << 2;
  const body = (<usize>(d & ~3)) << 2;
  for (let i = 0; i < n; i++, points += size, lists += 4) {
    const list = <usize>load<i32>(lists);
    const to = sums + list * size;
    let at: usize = 0;
    for (; at < body; at += 16) v128.store(to + at, f32x4.add(v128.load(to + at), v128.load(points + at)));
    for (; at < size; at += 4) store<f32>(to + at, load<f32>(to + at) + load<f32>(points + at));
    const count = counts + (list << 2);
    store<i32>(count, load<i32>(count) + 1);
  }
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
