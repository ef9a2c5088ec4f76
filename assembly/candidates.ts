// From lower bounds to results: which rows are compared exactly, and which are passed over because their bound is too large.

import { fourKeys } from "./distance";
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

/** The largest exact key of k rows; infinity where one is missing or can't be compared. */
export function largestKey(query: usize, rows: usize, d: i32, metric: i32, slots: usize, k: i32): f32 {
  const size = (<usize>d) << 2;
  let largest = f32x4.splat(-Infinity);
  for (let i = 0; i < k; i += 4, slots += 16) {
    const left = k - i;
    const a = load<i32>(slots);
    const b = left > 1 ? load<i32>(slots, 4) : a;
    const c = left > 2 ? load<i32>(slots, 8) : a;
    const e = left > 3 ? load<i32>(slots, 12) : a;
    if ((a | b | c | e) < 0) return Infinity;
    const four = fourKeys(
      query,
      rows + <usize>a * size,
      rows + <usize>b * size,
      rows + <usize>c * size,
      rows + <usize>e * size,
      d,
      metric,
    );
    largest = f32x4.max(largest, four); // a NaN stays
  }
  const most = max(
    max(f32x4.extract_lane(largest, 0), f32x4.extract_lane(largest, 1)),
    max(f32x4.extract_lane(largest, 2), f32x4.extract_lane(largest, 3)),
  );
  return most == most ? most : Infinity;
}

/**
 * Compares those of n rows that are listed in `near` (i32, `count` of them), and makes their bounds infinite: they are not
 * compared again. What else is asked for is as in takeBelow; since they come before their turn, ties have to be noted.
 */
export function takeNear(
  lower: usize,
  near: usize,
  count: i32,
  query: usize,
  rows: usize,
  d: i32,
  metric: i32,
  first: i32,
  keys: usize,
  slots: usize,
  k: i32,
  ids: usize,
  tie: usize,
): void {
  const size = (<usize>d) << 2;
  for (; count > 0; count -= 4, near += 16) {
    const a = load<i32>(near);
    const b = count > 1 ? load<i32>(near, 4) : a;
    const c = count > 2 ? load<i32>(near, 8) : a;
    const e = count > 3 ? load<i32>(near, 12) : a;
    offerFour(query, rows, size, a, b, c, e, min(4, count), d, metric, first, keys, slots, k, ids, tie);
    store<f32>(lower + ((<usize>a) << 2), Infinity);
    store<f32>(lower + ((<usize>b) << 2), Infinity);
    store<f32>(lower + ((<usize>c) << 2), Infinity);
    store<f32>(lower + ((<usize>e) << 2), Infinity);
  }
}

/**
 * Compares, in their order and four at a time, those of n rows whose lower bound is neither above `limit` nor above the heap's worst.
 * Row i has the slot first + i; ids: as in topk.ts. tie: where the last key is noted (f32)
 * at which it mattered that one row came before another, or 0.
 */
export function takeBelow(
  lower: usize,
  n: i32,
  limit: f32,
  query: usize,
  rows: usize,
  d: i32,
  metric: i32,
  first: i32,
  keys: usize,
  slots: usize,
  k: i32,
  ids: usize,
  tie: usize,
): void {
  const size = (<usize>d) << 2;
  let most = f32x4.splat(min(limit, load<f32>(keys)));
  let waiting = 0;
  let a = 0;
  let b = 0;
  let c = 0;
  for (let i = 0; i < n; i += 4) {
    let open = 15 & ~i32x4.bitmask(f32x4.gt(v128.load(lower + ((<usize>i) << 2)), most));
    while (open != 0) {
      const row = i + ctz(open);
      open &= open - 1;
      if (row >= n) break;
      if (waiting == 0) a = b = c = row;
      else if (waiting == 1) b = c = row;
      else if (waiting == 2) c = row;
      if (++waiting < 4) continue;
      offerFour(query, rows, size, a, b, c, row, 4, d, metric, first, keys, slots, k, ids, tie);
      most = f32x4.splat(min(limit, load<f32>(keys)));
      waiting = 0;
    }
  }
  if (waiting > 0) offerFour(query, rows, size, a, b, c, c, waiting, d, metric, first, keys, slots, k, ids, tie);
}

/** Offers the first `count` of four rows, in ascending order, to a heap. */
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
  first: i32,
  keys: usize,
  slots: usize,
  k: i32,
  ids: usize,
  tie: usize,
): void {
  const four = fourKeys(
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
      heapReplace(keys, slots, k, key, first + (lane == 0 ? a : lane == 1 ? b : lane == 2 ? c : e), ids, metric);
    }
    // Left out at the key of the worst that is kept: had it come earlier, it might have stayed.
    if (tie != 0 && load<f32>(keys) == worst) store<f32>(tie, worst);
  }
}
