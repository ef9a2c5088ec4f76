// The nearest vertices that a graph search has seen, in order, and which of them it has yet to look behind.
//
// An entry is one u64 that compares as it should: the key in the upper half, mapped so that its order is that of whole numbers, then
// one bit, set until the vertex is expanded, and its slot.
//
//     | key, ordered (32) | open (1) | slot (31) |
//
// faiss keeps the same set in a heap: what leaves a full one first is the largest key, of equal keys one that is yet open, of these
// the largest slot. Here they lie in order, so that the nearest open one is found without looking at all of them.

import { NOTHING } from "../metric";

const OPEN: u64 = 0x80000000;
const SLOT: u32 = 0x7fffffff;

/** A key as a whole number of the same order; NaN is as far as can be. */
@inline
function ordered(key: f32): u32 {
  const bits = reinterpret<u32>(key == key ? key : NOTHING);
  return bits ^ ((<u32>((<i32>bits) >> 31)) | 0x80000000);
}


@inline
function unordered(bits: u32): f32 {
  return reinterpret<f32>(bits ^ (((bits >> 31) - 1) | 0x80000000));
}

/** An open entry. */
@inline
export function entry(key: f32, slot: i32): u64 {
  return ((<u64>ordered(key)) << 32) | OPEN | (<u64>(<u32>slot));
}


@inline
export function keyOf(e: u64): f32 {
  return unordered(<u32>(e >> 32));
}


@inline
export function slotOf(e: u64): i32 {
  return <i32>((<u32>e) & SLOT);
}


@inline
export function isOpen(e: u64): bool {
  return (e & OPEN) != 0;
}

/** The entry as one that is expanded: it stays where it is in the order. */
@inline
export function closed(e: u64): u64 {
  return e & ~OPEN;
}

/** The entry at a position. */
@inline
export function at(pool: usize, i: i32): u64 {
  return load<u64>(pool + ((<usize>i) << 3));
}

/**
 * Puts an entry into its place among `count`, of which there may be `room`, and returns the place. Of a full pool the last one leaves:
 * the caller has seen that the key is below its key.
 */
export function insert(pool: usize, count: i32, room: i32, e: u64): i32 {
  let to = pool + ((<usize>(count < room ? count : room - 1)) << 3);
  for (; to > pool; to -= 8) {
    const before = load<u64>(to - 8);
    if (before < e) break;
    store<u64>(to, before);
  }
  store<u64>(to, e);
  return <i32>((to - pool) >> 3);
}
