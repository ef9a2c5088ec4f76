// From lower bounds to results: which rows are compared exactly, and which are passed over because their bound is too large.

import { keysOfFour } from "./distance";
import { lane4 } from "./lanes";
import { L2 } from "./metric";
import { heapReplace } from "./topk";

/** Offers n keys to a heap whose slots are their numbers. */
export function takeSmallest(values: usize, n: i32, keys: usize, slots: usize, k: i32): void {
  let worst = f32x4.splat(load<f32>(keys));
  for (let i = 0; i < n; i += 4) {
    let open = i32x4.bitmask(f32x4.lt(v128.load(values + ((<usize>i) << 2)), worst));
    while (open != 0) {
      const slot = i + ctz(open);
      open &= open - 1;
      if (slot >= n) break;
      const key = load<f32>(values + ((<usize>slot) << 2));
      if (key < load<f32>(keys)) heapReplace(keys, slots, k, key, slot, 0, L2);
    }
    worst = f32x4.splat(load<f32>(keys));
  }
}

/**
 * Compares the rows that look nearest: takeSmallest has written their bounds and places. Their bounds become infinite: they are not
 * compared again. What else is asked for is as in takeBelow; since they come before their turn, ties have to be noted.
 */
export function takeNear(
  lower: usize,
  nearKeys: usize,
  nearSlots: usize,
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
): void {
  for (let at: usize = 0, end = (<usize>k) << 2; at < end; at += 4) {
    const place = load<i32>(nearSlots + at);
    if (place < 0) store<f32>(nearKeys + at, Infinity);
    else {
      store<f32>(lower + ((<usize>place) << 2), Infinity);
      store<i32>(nearSlots + at, slotOf(map, place));
    }
  }
  takeBelow(nearKeys, k, nearSlots, query, rows, d, metric, keys, slots, k, ids, tie);
}

/** The slot that a bound belongs to: its place, or what `map` has there. */
@inline
function slotOf(map: usize, place: i32): i32 {
  return map == 0 ? place : load<i32>(map + ((<usize>place) << 2));
}

/**
 * Compares, in their order and four at a time, those of n rows whose lower bound is not above the heap's worst. map: the slot of each row
 * (i32), or 0 where they are 0 to n - 1; ids: as in topk.ts. tie: where the last key is noted (f32) at which it mattered that one row came
 * before another.
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
): void {
  const size = (<usize>d) << 2;
  let most = f32x4.splat(load<f32>(keys));
  let waiting = 0;
  let a = 0;
  let b = 0;
  let c = 0;
  for (let i = 0; i < n; i += 4) {
    let open = 15 & ~i32x4.bitmask(f32x4.gt(v128.load(lower + ((<usize>i) << 2)), most));
    while (open != 0) {
      const place = i + ctz(open);
      open &= open - 1;
      if (place >= n) break;
      const row = slotOf(map, place);
      if (waiting == 0) a = b = c = row;
      else if (waiting == 1) b = c = row;
      else if (waiting == 2) c = row;
      if (++waiting < 4) continue;
      offerFour(query, rows, size, a, b, c, row, 4, d, metric, keys, slots, k, ids, tie);
      most = f32x4.splat(load<f32>(keys));
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
