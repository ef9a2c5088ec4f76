// The two halves of a k-means iteration: which centroid is nearest, and where the points of a centroid lie on average.

import { keysOfFour, innerProducts, pairKey } from "./distance";
import { slackOf, up4 } from "./heads";
import { lane4 } from "./lanes";
import { INNER_PRODUCT, NOTHING } from "./metric";
import { sumError, TINY } from "./rounding";
import { up16 } from "./row-codes";
import { TILE_ROWS } from "./scan/all";
import { HEADER, LENGTH, lengthOf, wholeProducts, wholeRowsBytes, writeWholeRows } from "./whole-rows";

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

/** Centroids whose products with a point's head are made at a time, a multiple of 16. */
const HEADS_AT_ONCE: i32 = 64;

/** Bytes of the heads of k centroids, of m numbers, as {@link blockHeads} writes them. */
export function blockHeadsBytes(k: i32, m: i32): i32 {
  return wholeRowsBytes(up16(k), up4(m));
}

/** Writes the heads of k centroids, of m numbers, in whole numbers (whole-rows.ts). */
export function blockHeads(heads: usize, k: i32, m: i32, out: usize): void {
  memory.fill(out, 0, blockHeadsBytes(k, m));
  writeWholeRows(heads, k, m, up4(m), LENGTH, out);
}

/** Writes a point's head in whole numbers, LENGTH standing for `length`. */
function roundHead(head: usize, m: i32, length: f32, out: usize): void {
  const scale = LENGTH / length;
  for (let j = 0; j < m; j++, head += 4, out += 2) store<i16>(out, <i16>(<i32>nearest(load<f32>(head) * scale)));
}

/** What is known of a point while its centroid is sought; one record a point. */
@unmanaged
class Seeker {
  /** A centroid whose bound, less what is the point's, is above this is not the one: 2 score + above. */
  limit: f32;
  above: f32;
  /** What turns a product of whole numbers into twice a product of heads. */
  scale: f32;
  /** Centroids that wait to be compared, three at most, and how many. */
  waiting: i32;
  a: i32;
  b: i32;
  c: i32;
}

/** Bytes of scratch that assignByHeads takes for n points, by heads of m numbers. */
export function assignByHeadsScratch(n: i32, m: i32): i32 {
  return n * (<i32>offsetof<Seeker>() + HEADS_AT_ONCE * 4 + up4(m) * 2) + HEADS_AT_ONCE * 4;
}

/**
 * As assign under L2, by heads of m numbers (heads.ts) of the points and the centroids: the same lists and scores to the last bit.
 *
 * lists: where each point was before, or any list: the nearer, the more is passed over. norms: |x|² a point. lengths and blocks: of the
 * centroids, the lengths of up to fifteen more being read.
 *
 * A centroid is passed over where its score is surely above the best, b: |x - c|² is at least v, made of the heads, and the score
 * (|x - c|² - |x|²) / 2 but for rounding, so where v > 2b + |x|² + rounding. A score is |c|²/2 - x·c, two sums that are off
 * by at most g (rounding.ts), so it is off by at most g(|x|² + |c|²), of which eight times are taken.
 *
 * The heads x and c are taken as whole numbers p and q, x = s p + e and c = t q + f, s and t being a 32000th of the lengths X of x and C of
 * the longest c, at least. Each number is off by half of s at most, so |e| by s r / 2, r the root of m, and
 *
 *     |xc - s t (p q)|  =  |ec + s p f|  <=  r (s C + X t) / 2 (1 + tiny)  =  r X C / 32000 (1 + tiny)
 *
 * Twice of that, and a fortieth of it for what is tiny or rounded, is added to the limit. |p| and |q| are at most 32000 + r / 2, so products
 * and all their parts stay below 2^31.
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
  blocks: usize,
  lists: usize,
  scores: usize,
  scratch: usize,
): void {
  const size = (<usize>d) << 2;
  const headSize = (<usize>m) << 2;
  const wholeSize = (<usize>up4(m)) << 1;
  const tile = scratch + <usize>n * offsetof<Seeker>();
  const own = tile + ((<usize>(n * HEADS_AT_ONCE)) << 2);
  const wholes = own + (HEADS_AT_ONCE << 2);
  const shrink: f32 = 1 - slackOf(basis);
  const farthest = load<f32>(blocks) * LENGTH;
  const lost = ((sqrt(<f32>m) * <f32>2.05) / LENGTH) * farthest;
  const g = sumError(d);
  const longest = load<f32>(basis) + load<f32>(basis, 4);
  for (let i = 0; i < n; i++) {
    const at = (<usize>i) << 2;
    const seeker = changetype<Seeker>(scratch + <usize>i * offsetof<Seeker>());
    const list = load<i32>(lists + at);
    const key = pairKey(points + <usize>i * size, centroids + <usize>list * size, d, INNER_PRODUCT);
    const score = load<f32>(half + ((<usize>list) << 2)) + key;
    const norm = load<f32>(norms + at);
    store<f32>(scores + at, score);
    const reach = lengthOf(pointHeads + <usize>i * headSize, m);
    const whole = wholes + <usize>i * wholeSize;
    store<i32>(whole + wholeSize - 4, 0);
    roundHead(pointHeads + <usize>i * headSize, m, reach, whole);
    seeker.scale = (reach / LENGTH) * (farthest / LENGTH) * 2;
    const rounding: f32 = <f32>8 * g * (norm + longest * longest) + lost * reach + TINY;
    seeker.above = norm - shrink * load<f32>(pointLengths + at) + rounding;
    seeker.limit = 2 * score + seeker.above;
    seeker.waiting = 0;
  }
  blocks += HEADER;
  const end = up16(k);
  for (let first = 0; first < end; first += HEADS_AT_ONCE, blocks += wholeSize * HEADS_AT_ONCE) {
    const some = min(HEADS_AT_ONCE, end - first);
    for (let i = 0; i < n; i += 2) {
      const x = wholes + <usize>i * wholeSize;
      const out = tile + ((<usize>(i * HEADS_AT_ONCE)) << 2);
      wholeProducts(x, i + 1 < n ? x + wholeSize : 0, up4(m), blocks, some >> 2, out, out + (HEADS_AT_ONCE << 2));
    }
    for (let j: usize = 0, all = (<usize>some) << 2; j < all; j += 16) {
      const square = v128.load(lengths + ((<usize>first) << 2) + j);
      v128.store(own + j, f32x4.mul(square, f32x4.splat(shrink)));
    }
    for (let i = 0; i < n; i++) {
      const at = (<usize>i) << 2;
      const seeker = changetype<Seeker>(scratch + <usize>i * offsetof<Seeker>());
      for (let j = 0; j < some; j += 16) {
        const products = tile + ((<usize>(i * HEADS_AT_ONCE + j)) << 2);
        const open = below(products, own + ((<usize>j) << 2), seeker);
        if (open == 0) continue;
        takeOpen(open, first + j, k, seeker, points + <usize>i * size, centroids, half, d, scores + at, lists + at);
      }
    }
  }
  for (let i = 0; i < n; i++) {
    const at = (<usize>i) << 2;
    const seeker = changetype<Seeker>(scratch + <usize>i * offsetof<Seeker>());
    if (seeker.waiting == 0) continue;
    takeFour(points + <usize>i * size, centroids, half, d, seeker, seeker.c, scores + at, lists + at);
  }
}

/** Which of sixteen centroids have a bound that is not above a point's limit: a bit each. */
@inline
function below(products: usize, own: usize, seeker: Seeker): i32 {
  const limit = f32x4.splat(seeker.limit);
  const scale = f32x4.splat(seeker.scale);
  const above = i8x16.narrow_i16x8_s(
    i16x8.narrow_i32x4_s(
      f32x4.gt(bound(products, scale, own), limit),
      f32x4.gt(bound(products + 16, scale, own + 16), limit),
    ),
    i16x8.narrow_i32x4_s(
      f32x4.gt(bound(products + 32, scale, own + 32), limit),
      f32x4.gt(bound(products + 48, scale, own + 48), limit),
    ),
  );
  return 65535 ^ i8x16.bitmask(above);
}

/** |c|²(1 - slack) - scale product, of four centroids. */
@inline
function bound(product: usize, scale: v128, own: usize): v128 {
  return f32x4.sub(v128.load(own), f32x4.mul(f32x4.convert_i32x4_s(v128.load(product)), scale));
}

/** Compares the centroids of a block that are open, four at a time; what is left over waits. */
function takeOpen(
  open: i32,
  first: i32,
  k: i32,
  seeker: Seeker,
  point: usize,
  centroids: usize,
  half: usize,
  d: i32,
  score: usize,
  list: usize,
): void {
  while (open != 0) {
    const row = first + ctz(open);
    open &= open - 1;
    if (row >= k) break;
    const waiting = seeker.waiting;
    if (waiting == 0) seeker.a = seeker.b = seeker.c = row;
    else if (waiting == 1) seeker.b = seeker.c = row;
    else if (waiting == 2) seeker.c = row;
    seeker.waiting = waiting + 1;
    if (waiting == 3) takeFour(point, centroids, half, d, seeker, row, score, list);
  }
}

/** Improves a point's winner by the centroids that wait and one more, the first of equals being the better. */
function takeFour(
  point: usize,
  centroids: usize,
  half: usize,
  d: i32,
  seeker: Seeker,
  e: i32,
  score: usize,
  list: usize,
): void {
  const size = (<usize>d) << 2;
  const four = keysOfFour(
    point,
    centroids + <usize>seeker.a * size,
    centroids + <usize>seeker.b * size,
    centroids + <usize>seeker.c * size,
    centroids + <usize>e * size,
    d,
    INNER_PRODUCT,
  );
  for (let lane = 0; lane < 4; lane++) {
    const row = lane == 0 ? seeker.a : lane == 1 ? seeker.b : lane == 2 ? seeker.c : e;
    const one = load<f32>(half + ((<usize>row) << 2)) + lane4(four, lane);
    const best = load<f32>(score);
    if (one < best || (one == best && row < load<i32>(list))) {
      store<f32>(score, one);
      store<i32>(list, row);
    }
  }
  seeker.limit = 2 * load<f32>(score) + seeker.above;
  seeker.waiting = 0;
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
  const body = (<usize>(d & ~3)) << 2;
  for (let i = 0; i < n; i++, points += size, lists += 4) {
    const list = <usize>load<i32>(lists);
    if (<u32>(<i32>list - first) >= <u32>some) continue;
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
