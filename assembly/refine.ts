// Exact re-ranking: the distances of a query to candidate rows, which lie anywhere in memory.

import { keysOfFour, pairKey } from "./distance";
import { lane4 } from "./lanes";
import { INNER_PRODUCT } from "./metric";
import { touchSlots } from "./scan/touch";
import { finish, heapClear, heapReplace } from "./topk";

/** Rows touched at a time, a multiple of 4: of d = 768 they are 196 KB, which the second-level cache keeps. */
const AHEAD: i32 = 64;

/**
 * The k best of each query's candidates (nq x n slots, -1 for none) by their exact distance: keys and slots are nq x k, finished. rows:
 * what slots index; or, where they are inOrder, the nq x n rows of the candidates one after the other, as they were made of codes.
 *
 * Rows come from memory at random, which takes longer than to compare them. So every line of some rows is touched
 * beforehand: these loads wait for nothing and for each other least of all.
 */
export function refineRows(
  queries: usize,
  nq: i32,
  rows: usize,
  d: i32,
  metric: i32,
  inOrder: bool,
  candidates: usize,
  n: i32,
  k: i32,
  keys: usize,
  slots: usize,
): void {
  const size = (<usize>d) << 2;
  for (
    let i = 0;
    i < nq;
    i++, queries += size, candidates += (<usize>n) << 2, keys += (<usize>k) << 2, slots += (<usize>k) << 2
  ) {
    heapClear(keys, slots, k);
    for (let j = 0; j < n; j += 4) {
      if (!inOrder && j % AHEAD == 0) touchSlots(rows, size, candidates + ((<usize>j) << 2), min(AHEAD, n - j));
      const at = candidates + ((<usize>j) << 2);
      const left = n - j;
      const a = load<i32>(at);
      const b = left > 1 ? load<i32>(at, 4) : -1;
      const c = left > 2 ? load<i32>(at, 8) : -1;
      const e = left > 3 ? load<i32>(at, 12) : -1;
      const some = max(max(a, b), max(c, e));
      if (some < 0) continue;
      const four = keysOfFour(
        queries,
        rows + <usize>(inOrder ? j : a < 0 ? some : a) * size,
        rows + <usize>(inOrder ? j + min(1, left - 1) : b < 0 ? some : b) * size,
        rows + <usize>(inOrder ? j + min(2, left - 1) : c < 0 ? some : c) * size,
        rows + <usize>(inOrder ? j + min(3, left - 1) : e < 0 ? some : e) * size,
        d,
        metric,
      );
      for (let lane = 0; lane < 4; lane++) {
        const slot = lane == 0 ? a : lane == 1 ? b : lane == 2 ? c : e;
        const key = lane4(four, lane);
        if (slot >= 0 && key < load<f32>(keys)) heapReplace(keys, slots, k, key, slot, 0, metric);
      }
    }
    finish(keys, slots, k, 0, metric);
    if (inOrder) rows += <usize>n * size;
  }
}

/**
 * The distances of n matches (found/within.ts), again: each of its query and the row of its slot, which slots name anew. inOrder: the rows
 * stand one after the other, as they were made of codes.
 */
export function compareMatches(
  queries: usize,
  d: i32,
  metric: i32,
  matches: usize,
  n: i32,
  slots: usize,
  rows: usize,
  inOrder: bool,
): void {
  const size = (<usize>d) << 2;
  for (let i = 0; i < n; i++, matches += 12, slots += 4) {
    const slot = load<i32>(slots);
    const row = rows + <usize>(inOrder ? i : slot) * size;
    const key = pairKey(queries + <usize>load<i32>(matches) * size, row, d, metric);
    store<i32>(matches, slot, 4);
    store<f32>(matches, metric == INNER_PRODUCT ? -key : key, 8);
  }
}
