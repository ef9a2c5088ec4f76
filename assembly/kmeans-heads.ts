// Which centroid of k-means is nearest, by heads (heads.ts) of points and centroids, and by what was known before the centroids moved:
// the lists and scores are those of assign (kmeans.ts) under L2, to the last bit.
//
// A CENTROID is passed over where its score is surely above the best, b: |x - c|² is at least v, made of the heads, and the score
// (|x - c|² - |x|²) / 2 but for rounding, so where v > 2b + |x|² + rounding. A score is |c|²/2 - x·c, two sums that are off
// by at most g (rounding.ts), so it is off by at most g(|x|² + |c|²), of which eight times are taken.
//
// The heads x and c are taken as whole numbers p and q, x = s p + e and c = t q + f, s and t being a 32000th of the lengths X of x and C of
// the longest c, at least. Each number is off by half of s at most, so |e| by s r / 2, r the root of m, and
//
//     |xc - s t (p q)|  =  |ec + s p f|  <=  r (s C + X t) / 2 (1 + tiny)  =  r X C / 32000 (1 + tiny)
//
// Twice of that, and a fortieth of it for what is tiny or rounded, is part of what is rounded. |p| and |q| are at most 32000 + r / 2, so
// products and all their parts stay below 2^31.
//
// A GROUP, 16 centroids, is passed over for a point while all of them are surely farther than U, the root of 2b + |x|² + rounding. What is
// known of it is a distance below which none is, L, in units of a 127th of the longest length, rounded down to a byte: the root of the
// least v less rounding when it was looked at (0 where one had to be compared, or was the point's own), and less from then on by what
// the group's centroids have moved (triangle inequality), rounded up. So |x - c| >= L > U, and the score of c is above b. U is rounded up. L and
// U have a ten-thousandth to spare, a move a thousandth: more than roots and products lose, 254 units and ten moves of them 5e-4 of a unit.
//
//               64 points of a call                        of 100,000 speechlike points and 2,564 centroids, 46, 50, 35, 25, 20, 17,
//     group 0 | u8 | u8 | …   (L - moved) < U + 1          16, 14 and 13 % of the groups are looked at after the first iteration
//     group 1 | …              -> a bit each, by sixteens
//
// A centroid that has not moved at all has the score that it had.

import { keysOfFour, pairKey } from "./distance";
import { slackOf, up4 } from "./heads";
import { INNER_PRODUCT, L2 } from "./metric";
import { sumError, TINY } from "./rounding";
import { up16 } from "./row-codes";
import { HEADER, LENGTH, lengthOf, LOST, wholeProducts, wholeRowsBytes, writeWholeRows } from "./whole-rows";

/** Points of a call at most. */
const POINTS: i32 = 64;
/** Centroids of a group. */
const GROUP: i32 = 16;
/** Bytes of a point's products with them. */
const PRODUCTS: usize = 64;
/** How far a centroid has moved of which nothing is known: nothing that was known of its group is left. */
const ANYWHERE: i32 = 255;

/** Units of distance in a length of 1, set by blockHeads. */
@inline
function unitsOf(basis: usize): f32 {
  return load<f32>(basis, 12);
}

/**
 * Bytes of what is known of k centroids: heads of m numbers in whole numbers (whole-rows.ts), |c|² less the mean and the slack (f32), how
 * far each has moved (u8).
 */
export function headsBytes(k: i32, m: i32): i32 {
  return wholeRowsBytes(up16(k), up4(m)) + up16(k) * 5;
}


@inline
function lengthsOf(heads: usize, k: i32, m: i32): usize {
  return heads + wholeRowsBytes(up16(k), up4(m));
}


@inline
function movesOf(heads: usize, k: i32, m: i32): usize {
  return lengthsOf(heads, k, m) + ((<usize>up16(k)) << 2);
}

/** Writes the heads of k centroids (floats: k x m f32) into what is known of them, headsBytes; |c|² less the mean is there. */
export function blockHeads(floats: usize, k: i32, m: i32, basis: usize, heads: usize): void {
  const lengths = lengthsOf(heads, k, m);
  const end = lengths + ((<usize>k) << 2);
  memory.fill(heads, 0, lengths - heads);
  writeWholeRows(floats, k, m, up4(m), LENGTH, heads);
  for (let at = lengths; at < end; at += 4) store<f32>(at, load<f32>(at) * (1 - slackOf(basis)));
  // What is not there is very far, 3.4e38.
  memory.fill(end, 127, (<usize>(up16(k) - k)) << 2);
  if (unitsOf(basis) == 0) store<f32>(basis, <f32>127 / load<f32>(basis), 12);
}

/**
 * Writes how far each of k centroids has moved (from, to: k x d f32), in units, which the first blockHeads set, rounded up: 0 where it is the
 * same.
 */
export function measureMoves(from: usize, to: usize, k: i32, d: i32, m: i32, basis: usize, heads: usize): void {
  const size = (<usize>d) << 2;
  const moves = movesOf(heads, k, m);
  for (let i = 0; i < k; i++, from += size, to += size) {
    let at: usize = 0;
    while (at < size && load<f32>(from + at) == load<f32>(to + at)) at += 4;
    const way = (sqrt(pairKey(from, to, d, L2)) * <f32>1.001 + LOST) * unitsOf(basis);
    store<u8>(moves + i, at < size ? <i32>min(<f32>ANYWHERE, way + 1) : 0);
  }
}

/** What is known of a point while its centroid is sought; one record a point. */
@unmanaged
class Seeker {
  /** A centroid whose bound, less what is the point's, is above this is not the one: 2 score + above. */
  limit: f32;
  above: f32;
  /** What turns a product of whole numbers into twice a product of heads. */
  scale: f32;
  /** What a bound lacks of |x - c|², at least. */
  base: f32;
  /** How many centroids wait to be compared, and these; where fewer than four wait, others that were compared, or the first. */
  waiting: i32;
  a: i32;
  b: i32;
  c: i32;
  e: i32;
  /** Their keys. */
  keys: v128;
}

/** Bytes of scratch that assignByHeads takes for n points, by heads of m numbers. */
export function assignByHeadsScratch(n: i32, m: i32): i32 {
  return n * (<i32>offsetof<Seeker>() + up4(m) * 2) + 2 * <i32>PRODUCTS + POINTS;
}

/**
 * As assign under L2, of 64 points at most.
 *
 * norms: |x|² a point. pointLengths: that less the mean. heads: headsBytes, of the centroids. groups: 64 u8 for each 16 centroids, which with
 * lists and scores is what is known of the points since the last call. Of centroids that have moved ANYWHERE nothing is, and lists may be any.
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
  heads: usize,
  groups: usize,
  lists: usize,
  scores: usize,
  scratch: usize,
): void {
  const size = (<usize>d) << 2;
  const wholeSize = (<usize>up4(m)) << 1;
  const wholes = scratch + <usize>n * offsetof<Seeker>();
  const tile = wholes + <usize>n * wholeSize;
  const until = tile + 2 * PRODUCTS;
  const lengths = lengthsOf(heads, k, m);
  const moves = movesOf(heads, k, m);
  const farthest = load<f32>(heads) * LENGTH;
  const lost = ((sqrt(<f32>m) * <f32>2.05) / LENGTH) * farthest;
  const longest = load<f32>(basis) + load<f32>(basis, 4);
  memory.fill(scratch, 0, assignByHeadsScratch(n, m));
  for (let i = 0; i < n; i++) {
    const at = (<usize>i) << 2;
    const list = <usize>load<i32>(lists + at);
    if (load<u8>(moves + list) != 0) {
      const key = pairKey(points + <usize>i * size, centroids + list * size, d, INNER_PRODUCT);
      store<f32>(scores + at, load<f32>(half + (list << 2)) + key);
    }
    const seeker = changetype<Seeker>(scratch + <usize>i * offsetof<Seeker>());
    const norm = load<f32>(norms + at);
    const reach = lengthOf(pointHeads, m);
    const whole = wholes + <usize>i * wholeSize;
    for (let j = 0; j < m; j++, pointHeads += 4) {
      store<i16>(whole + ((<usize>j) << 1), <i16>(<i32>nearest((load<f32>(pointHeads) * LENGTH) / reach)));
    }
    const rounding: f32 = <f32>8 * sumError(d) * (norm + longest * longest) + lost * reach + TINY;
    seeker.scale = (reach / LENGTH) * (farthest / LENGTH) * 2;
    seeker.base = (1 - slackOf(basis)) * load<f32>(pointLengths + at) - rounding;
    // Rounding is taken once for v, once for 2b + |x|².
    seeker.above = norm + rounding - seeker.base;
    seeker.limit = 2 * load<f32>(scores + at) + seeker.above;
    const way = sqrt(max(0, seeker.limit + seeker.base)) * unitsOf(basis) * <f32>1.0001;
    store<u8>(until + i, <i32>min(<f32>255, way + 1));
  }
  let block = heads + HEADER;
  for (let first = 0; first < k; first += GROUP, block += wholeSize * GROUP) {
    const group = groups + <usize>(first * (POINTS / GROUP));
    let moved: u32 = 0;
    for (let j = min(GROUP, k - first); --j >= 0;) moved = max(moved, <u32>load<u8>(moves + first + j));
    let left: u64 = 0;
    for (let j = 0; j < POINTS; j += 16) {
      const far = i8x16.sub_sat_u(v128.load(group + j), i8x16.splat(<i8>moved));
      v128.store(group + j, far);
      left |= (<u64>i8x16.bitmask(i8x16.lt_u(far, v128.load(until + j)))) << j;
    }
    const own = lengths + ((<usize>first) << 2);
    while (left != 0) {
      let i = <i32>ctz(left);
      left &= left - 1;
      const other = left != 0 ? <i32>ctz(left) : i;
      left &= left - 1;
      const x = wholes + <usize>i * wholeSize;
      const y = other != i ? wholes + <usize>other * wholeSize : 0;
      wholeProducts(x, y, up4(m), block, GROUP / 4, tile, tile + PRODUCTS);
      for (let products = tile; ; products += PRODUCTS, i = other) {
        const seeker = changetype<Seeker>(scratch + <usize>i * offsetof<Seeker>());
        const scale = f32x4.splat(seeker.scale);
        const b0 = bound(products, scale, own);
        const b1 = bound(products + 16, scale, own + 16);
        const b2 = bound(products + 32, scale, own + 32);
        const b3 = bound(products + 48, scale, own + 48);
        let low = f32x4.pmin(f32x4.pmin(b0, b1), f32x4.pmin(b2, b3));
        low = f32x4.pmin(low, v128.shuffle<f64>(low, low, 1, 0));
        const least = f32x4.extract_lane(f32x4.pmin(low, v128.shuffle<f32>(low, low, 1, 0, 3, 2)), 0);
        const near = !(least > seeker.limit);
        let far: f32 = 0;
        if (!near) {
          far = min(<f32>(ANYWHERE - 1), sqrt(max(0, least + seeker.base)) * unitsOf(basis) * <f32>0.9999);
        }
        store<u8>(group + i, <i32>far);
        if (near) {
          const limit = f32x4.splat(seeker.limit);
          let open = i8x16.bitmask(
            i8x16.narrow_i16x8_s(
              i16x8.narrow_i32x4_s(f32x4.le(b0, limit), f32x4.le(b1, limit)),
              i16x8.narrow_i32x4_s(f32x4.le(b2, limit), f32x4.le(b3, limit)),
            ),
          );
          const at = (<usize>i) << 2;
          for (; open != 0; open &= open - 1) {
            const row = first + ctz(open);
            if (row != load<i32>(lists + at)) {
              store<i32>(changetype<usize>(seeker) + ((<usize>seeker.waiting) << 2), row, offsetof<Seeker>("a"));
              if (++seeker.waiting == 4) {
                takeFour(points + <usize>i * size, centroids, half, d, seeker, scores + at, lists + at);
              }
            }
          }
        }
        if (i == other) break;
      }
    }
  }
  for (let i = 0; i < n; i++) {
    const at = (<usize>i) << 2;
    const seeker = changetype<Seeker>(scratch + <usize>i * offsetof<Seeker>());
    if (seeker.waiting != 0) takeFour(points + <usize>i * size, centroids, half, d, seeker, scores + at, lists + at);
  }
}

/** |c|²(1 - slack) - scale product, of four centroids. */
@inline
function bound(product: usize, scale: v128, own: usize): v128 {
  return f32x4.sub(v128.load(own), f32x4.mul(f32x4.convert_i32x4_s(v128.load(product)), scale));
}

/** Improves a point's winner by four centroids, the first of equals being the better. */
function takeFour(
  point: usize,
  centroids: usize,
  half: usize,
  d: i32,
  seeker: Seeker,
  score: usize,
  list: usize,
): void {
  const size = (<usize>d) << 2;
  seeker.keys = keysOfFour(
    point,
    centroids + <usize>seeker.a * size,
    centroids + <usize>seeker.b * size,
    centroids + <usize>seeker.c * size,
    centroids + <usize>seeker.e * size,
    d,
    INNER_PRODUCT,
  );
  for (let lane = 0; lane < 4; lane++) {
    const at = changetype<usize>(seeker) + ((<usize>lane) << 2);
    const row = load<i32>(at, offsetof<Seeker>("a"));
    const one = load<f32>(half + ((<usize>row) << 2)) + load<f32>(at, offsetof<Seeker>("keys"));
    const best = load<f32>(score);
    if (one < best || (one == best && row < load<i32>(list))) {
      store<f32>(score, one);
      store<i32>(list, row);
    }
  }
  seeker.limit = 2 * load<f32>(score) + seeker.above;
  seeker.waiting = 0;
}
