// From lower bounds to results: which rows are compared exactly, and which are passed over because their bound is too large.

import { keysOfFour } from "./distance";
import { lane4 } from "./lanes";
import { spreadMax, spreadMin } from "./pq";
import { heapReplace } from "./topk";

/** How often what a limit is sought in is halved. */
const STEPS: i32 = 6;

/** Bytes of scratch that limitOf takes. */
@inline
export function limitScratch(k: i32): i32 {
  return k << 4;
}

/**
 * A limit that k of n bounds are not above, and few more; infinity where k bounds are not there, or not finite. The bounds make 4k groups,
 * lane by lane, and the limit halves its way down to the k-th of their least ones. (A heap of 16 out of 1,024 took 2.9 of a search's 21 µs.)
 *
 *     bounds | 0 1 2 3 | 4 5 6 7 | … | 4k 4k+1 … |   group 0: 0, 4k, 8k …   group 1: 1, 4k + 1 …
 */
export function limitOf(bounds: usize, n: i32, k: i32, scratch: usize): f32 {
  const end = bounds + ((<usize>(n & ~3)) << 2);
  const size = min((<usize>k) << 4, end - bounds);
  const infinity = f32x4.splat(Infinity);
  let lows = infinity;
  let highs = f32x4.neg(infinity);
  for (let i: usize = 0; i < size; i += 16) {
    let least = infinity;
    for (let at = bounds + i; at < end; at += size) least = f32x4.pmin(least, v128.load(at));
    v128.store(scratch + i, least);
    lows = f32x4.pmin(lows, least);
    highs = f32x4.pmax(highs, v128.bitselect(least, highs, f32x4.lt(least, infinity)));
  }
  let low = f32x4.extract_lane(spreadMin(lows), 0);
  let high = f32x4.extract_lane(spreadMax(highs), 0);
  if (countUpTo(scratch, size, high) < k) return Infinity;
  for (let step = 0; step < STEPS; step++) {
    const middle = (low + high) * <f32>0.5;
    if (countUpTo(scratch, size, middle) < k) low = middle;
    else high = middle;
  }
  return high;
}

/** How many of some floats are at most `limit`. */
function countUpTo(at: usize, bytes: usize, limit: f32): i32 {
  const limits = f32x4.splat(limit);
  let counts = i32x4.splat(0);
  for (const end = at + bytes; at < end; at += 16) counts = i32x4.sub(counts, f32x4.le(v128.load(at), limits));
  return (
    i32x4.extract_lane(counts, 0) +
    i32x4.extract_lane(counts, 1) +
    i32x4.extract_lane(counts, 2) +
    i32x4.extract_lane(counts, 3)
  );
}

/** The slot that a bound belongs to: its place, or what `map` has there. */
@inline
function slotOf(map: usize, place: i32): i32 {
  return map == 0 ? place : load<i32>(map + ((<usize>place) << 2));
}

/**
 * Compares, in their order and four at a time, those of n rows whose lower bound is above neither the limit nor the heap's worst; the bounds of
 * these become infinite, so that they are not compared again. lower: n bounds (f32), behind the last four of which 48 bytes may be read; map:
 * the slot of each row (i32), or 0 where they are 0 to n - 1; ids: as in topk.ts; tie: where the last key is noted (f32) at which it mattered
 * that one row came before another.
 */
export function takeBelow(
  lower: usize,
  n: i32,
  map: usize,
  query: usize,
  rows: usize,
  d: i32,
  metric: i32,
  keys: usize,
  slots: usize,
  k: i32,
  ids: usize,
  tie: usize,
  limit: f32,
): void {
  const size = (<usize>d) << 2;
  let most = f32x4.splat(min(limit, load<f32>(keys)));
  let waiting = 0;
  let a = 0;
  let b = 0;
  let c = 0;
  for (let i = 0; i < n; i += 4) {
    const at = lower + ((<usize>i) << 2);
    // Most are passed over, sixteen at once (.98 of a query to IVF1024,PQ128x4fs,RFlat, .93 of a block to IVF2564,Flat at nprobe 1); what stands
    // behind the last may be anything.
    if (
      i32x4.all_true(
        v128.and(
          v128.and(f32x4.gt(v128.load(at), most), f32x4.gt(v128.load(at, 16), most)),
          v128.and(f32x4.gt(v128.load(at, 32), most), f32x4.gt(v128.load(at, 48), most)),
        ),
      )
    ) {
      i += 12;
      continue;
    }
    let open = 15 & ~i32x4.bitmask(f32x4.gt(v128.load(at), most));
    while (open != 0) {
      const place = i + ctz(open);
      open &= open - 1;
      if (place >= n) break;
      store<f32>(lower + ((<usize>place) << 2), Infinity);
      const row = slotOf(map, place);
      if (waiting == 0) a = b = c = row;
      else if (waiting == 1) b = c = row;
      else if (waiting == 2) c = row;
      if (++waiting < 4) continue;
      offerFour(query, rows, size, a, b, c, row, 4, d, metric, keys, slots, k, ids, tie);
      most = f32x4.splat(min(limit, load<f32>(keys)));
      waiting = 0;
    }
  }
  if (waiting > 0) offerFour(query, rows, size, a, b, c, c, waiting, d, metric, keys, slots, k, ids, tie);
}

/** Offers the first `count` of four rows to a heap. */
function offerFour(
  query: usize,
  rows: usize,
  size: usize,
  a: i32,
  b: i32,
  c: i32,
  e: i32,
  count: i32,
  d: i32,
  metric: i32,
  keys: usize,
  slots: usize,
  k: i32,
  ids: usize,
  tie: usize,
): void {
  const four = keysOfFour(
    query,
    rows + <usize>a * size,
    rows + <usize>b * size,
    rows + <usize>c * size,
    rows + <usize>e * size,
    d,
    metric,
  );
  for (let lane = 0; lane < count; lane++) {
    const key = lane4(four, lane);
    const worst = load<f32>(keys);
    if (!(key <= worst)) continue;
    if (key < worst) {
      heapReplace(keys, slots, k, key, lane == 0 ? a : lane == 1 ? b : lane == 2 ? c : e, ids, metric);
    }
    // Left out at the key of the worst that is kept: had it come earlier, it might have stayed.
    if (load<f32>(keys) == worst) store<f32>(tie, worst);
  }
}
