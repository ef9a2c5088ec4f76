// The k smallest of many 16-bit sums, where k is large: all that are good enough are poured into a pool, which is sifted when it is
// full, by counting eight sums at once. (For 1,600 sums a heap of 32 took about 10 of a query's 40 µs.)
//
// A pool is the number of its entries (i32), then their sums (u16), then their slots (i32), with room for poolSize(k) of each.

import { insertEntries, sortEntries } from "./topk";

/** Places of a pool beyond twice its results: the more, the seldomer it is sifted, and the later the limit falls that scans stop at. */
const SPARE: i32 = 32;

/** Results that are put in order by their ranks: with more, sorting takes fewer steps. */
const RANKED: i32 = 128;

/** Places of a pool for k results. */
@inline
export function poolSize(k: i32): i32 {
  return (2 * k + SPARE + 7) & ~7;
}

/**
 * Puts the sums of a group, those of the lanes that are open, into a pool, and sifts it when it is full. Returns the largest sum that
 * may still enter.
 */
export function pour(open: i32, sums: usize, slot: i32, pool: usize, k: i32, most: i32): i32 {
  const size = poolSize(k);
  const slots = pool + 4 + ((<usize>size) << 1);
  let count = load<i32>(pool);
  while (open != 0) {
    const lane = ctz(open);
    open &= open - 1;
    const sum = load<u16>(sums + ((<usize>lane) << 1));
    if (<i32>sum > most) continue;
    store<u16>(pool + 4 + ((<usize>count) << 1), sum);
    store<i32>(slots + ((<usize>count) << 2), slot + lane);
    if (++count == size) {
      most = sift(pool, count, k) - 1;
      count = k;
    }
  }
  store<i32>(pool, count);
  return most;
}

/**
 * A value that k of n sums do not exceed and all others do, but for equals of the k-th, n being a multiple of 8; 65535 where there are fewer. (To seek
 * the smallest such value takes more steps: without these one query of IVF1024,PQ128x4fs,RFlat takes .985 of what it did.)
 */
export function kth(sums: usize, n: i32, k: i32): i32 {
  if (n < k) return 65535;
  const end = sums + ((<usize>n) << 1);
  // By halving what is between the least and the largest: eight sums are compared at once.
  let least = v128.load(sums);
  let largest = least;
  for (let at = sums; at < end; at += 16) {
    least = i16x8.min_u(least, v128.load(at));
    largest = i16x8.max_u(largest, v128.load(at));
  }
  let low = leastLane(least);
  let high = 65535 - leastLane(v128.not(largest));
  while (low < high) {
    const middle = (low + high) >> 1;
    const count = countUpTo(sums, n, middle);
    if (count == k) return middle;
    if (count > k) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Keeps the k smallest of more sums, the first of equals, in their order. Returns what none that is kept exceeds. */
export function sift(pool: usize, count: i32, k: i32): i32 {
  const sums = pool + 4;
  const size = poolSize(k);
  const slots = sums + ((<usize>size) << 1);
  const rounded = (count + 7) & ~7;
  for (let i = count; i < rounded; i++) store<u16>(sums + ((<usize>i) << 1), 65535);
  const low = kth(sums, rounded, k);
  let equal = low == 0 ? k : k - countUpTo(sums, rounded, low - 1);
  // No branch is taken by what a sum is: half of these would be guessed wrong.
  let kept: usize = 0;
  for (let i: usize = 0; i < <usize>count; i++) {
    const sum = <i32>load<u16>(sums + (i << 1));
    const same = <i32>(sum == low);
    store<u16>(sums + (kept << 1), <u16>sum);
    store<i32>(slots + (kept << 2), load<i32>(slots + (i << 2)));
    kept += <usize>((<i32>(sum < low)) | (same & (<i32>(equal > 0))));
    equal -= same;
  }
  return low;
}

/** The least of eight sums. */
function leastLane(v: v128): i32 {
  v = i16x8.min_u(v, i64x2.shr_u(v, 32));
  v = i16x8.min_u(v, i32x4.shr_u(v, 16));
  return min<i32>(i16x8.extract_lane_u(v, 0), i16x8.extract_lane_u(v, 4));
}

/** How many of n sums, n a multiple of 8, are at most `limit`. */
function countUpTo(sums: usize, n: i32, limit: i32): i32 {
  const limits = i16x8.splat(<i16>limit);
  let total = 0;
  for (const end = sums + ((<usize>n) << 1); sums < end; sums += 16)
    total += popcnt(i8x16.bitmask(i16x8.eq(i16x8.sub_sat_u(v128.load(sums), limits), i16x8.splat(0))));
  // Both bytes of each: for sums of two, V8 has three instructions.
  return total >> 1;
}

/**
 * Writes the k smallest of a pool as keys and slots, best first; equals as by worse (topk.ts). Returns how many there are.
 *
 * Up to RANKED of them go where the number of smaller ones says, four being compared with one at once (32 took 1.1 µs to be sorted
 * otherwise, of a query's 15). A sum and the place of its entry are one number, so that no two are equal.
 *
 *     | sum 4 : 4 | sum 5 : 5 | sum 6 : 6 | sum 7 : 7 |  >  sum j : j in all lanes   one more for the ranks of those
 */
export function emptyPool(pool: usize, k: i32, keys: usize, slots: usize, ids: usize, metric: i32): i32 {
  let count = load<i32>(pool);
  if (count > k) {
    sift(pool, count, k);
    count = k;
    store<i32>(pool, k);
  }
  const size = <usize>poolSize(k);
  const sums = pool + 4;
  const from = sums + (size << 1);
  const ranked = count <= RANKED;
  if (ranked) rank(sums, count, from + ((<usize>k) << 2), sums + ((<usize>k) << 1));
  for (let i: usize = 0; i < <usize>count; i++) {
    const to = ranked ? <usize>load<u16>(sums + ((<usize>k + i) << 1)) : i;
    store<f32>(keys + (to << 2), <f32>load<u16>(sums + (i << 1)));
    store<i32>(slots + (to << 2), load<i32>(from + (i << 2)));
  }
  if (ranked) insertEntries(keys, slots, count, 1, ids, metric);
  else sortEntries(keys, slots, count, ids, metric);
  return count;
}

/** The rank (u16) of each of n sums. numbers (i32) and ranks have room for 7 more. */
function rank(sums: usize, n: i32, numbers: usize, ranks: usize): void {
  const end = numbers + ((<usize>n) << 2);
  for (let i: u32 = 0; i < <u32>n; i++)
    store<u32>(numbers + ((<usize>i) << 2), ((<u32>load<u16>(sums + ((<usize>i) << 1))) << 8) | i);
  for (let at = numbers; at < end; at += 16, ranks += 8) {
    const four = v128.load(at);
    let smaller = i32x4.splat(0);
    for (let other = numbers; other < end; other += 4)
      smaller = i32x4.sub(smaller, i32x4.gt_s(four, v128.load32_splat(other)));
    v128.store(ranks, i16x8.narrow_i32x4_s(smaller, smaller));
  }
}
