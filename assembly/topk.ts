// The k best of a scan: a binary heap, worst on top, in two parallel arrays (keys f32, slots i32).
//
// Ties as in faiss: a key must be strictly smaller than the worst to enter; among equal keys L2 calls the larger id the
// worse, inner product the smaller. Slots are positions in storage; `ids` is the address of their i64 ids, or 0 where
// the slot is the id. Ids are read only to break a tie.

import { INNER_PRODUCT, NOTHING } from "./metric";

/** Whether entry (keyA, slotA) is worse than (keyB, slotB). */
@inline
function worse(keyA: f32, slotA: i32, keyB: f32, slotB: i32, ids: usize, metric: i32): bool {
  if (keyA != keyB) return keyA > keyB;
  return later(slotA, slotB, ids) != (metric == INNER_PRODUCT);
}

/** Whether the id of slot a is larger than that of slot b; an empty entry's (slot -1) is larger than all. */
function later(a: i32, b: i32, ids: usize): bool {
  if (a < 0 || b < 0) return a < b;
  if (ids == 0) return a > b;
  return load<i64>(ids + ((<usize>a) << 3)) > load<i64>(ids + ((<usize>b) << 3));
}

/** Fills a heap of k entries with "nothing found". */
export function heapClear(keys: usize, slots: usize, k: i32): void {
  for (let i: usize = 0, end = (<usize>k) << 2; i < end; i += 4) {
    store<f32>(keys + i, NOTHING);
    store<i32>(slots + i, -1);
  }
}

/** Replaces the worst of the heap by (key, slot). The caller has seen that key < the key on top. */
export function heapReplace(keys: usize, slots: usize, k: i32, key: f32, slot: i32, ids: usize, metric: i32): void {
  let i: i32 = 0;
  while (true) {
    let child = 2 * i + 1;
    if (child >= k) break;
    let at = (<usize>child) << 2;
    if (
      child + 1 < k &&
      worse(load<f32>(keys + at, 4), load<i32>(slots + at, 4), load<f32>(keys + at), load<i32>(slots + at), ids, metric)
    ) {
      child++;
      at += 4;
    }
    const childKey = load<f32>(keys + at);
    const childSlot = load<i32>(slots + at);
    if (!worse(childKey, childSlot, key, slot, ids, metric)) break;
    store<f32>(keys + ((<usize>i) << 2), childKey);
    store<i32>(slots + ((<usize>i) << 2), childSlot);
    i = child;
  }
  store<f32>(keys + ((<usize>i) << 2), key);
  store<i32>(slots + ((<usize>i) << 2), slot);
}

/** Sorts a heap best first; empty entries come last. */
export function sortHeap(keys: usize, slots: usize, k: i32, ids: usize, metric: i32): void {
  for (let size = k; size > 1; size--) {
    const last = (<usize>(size - 1)) << 2;
    const key = load<f32>(keys + last);
    const slot = load<i32>(slots + last);
    const worstKey = load<f32>(keys);
    const worstSlot = load<i32>(slots);
    heapReplace(keys, slots, size - 1, key, slot, ids, metric);
    store<f32>(keys + last, worstKey);
    store<i32>(slots + last, worstSlot);
  }
}

/** Sorts n entries in any order, best first (Shell sort). */
export function sortEntries(keys: usize, slots: usize, n: i32, ids: usize, metric: i32): void {
  for (let gap = n >> 1; gap > 0; gap >>= 1) insertEntries(keys, slots, n, gap, ids, metric);
}

/** Sorts the n / gap entries that are `gap` apart, and those beside them, by insertion: with a gap of 1, entries nearly in order. */
export function insertEntries(keys: usize, slots: usize, n: i32, gap: i32, ids: usize, metric: i32): void {
  const back = (<usize>gap) << 2;
  for (let i = gap; i < n; i++) {
    let at = (<usize>i) << 2;
    const key = load<f32>(keys + at);
    const slot = load<i32>(slots + at);
    for (; at >= back; at -= back) {
      const otherKey = load<f32>(keys + at - back);
      const otherSlot = load<i32>(slots + at - back);
      if (!worse(otherKey, otherSlot, key, slot, ids, metric)) break;
      store<f32>(keys + at, otherKey);
      store<i32>(slots + at, otherSlot);
    }
    store<f32>(keys + at, key);
    store<i32>(slots + at, slot);
  }
}

/** Sorts a heap and turns its keys into distances, FLT_MAX or -FLT_MAX where it is empty. */
export function finish(keys: usize, slots: usize, k: i32, ids: usize, metric: i32): void {
  sortHeap(keys, slots, k, ids, metric);
  if (metric == INNER_PRODUCT) {
    for (let i: usize = 0, end = (<usize>k) << 2; i < end; i += 4) store<f32>(keys + i, -load<f32>(keys + i));
  }
}
