// Searching a graph: greedily down the upper levels, then level 0 from the nearest vertex on, always behind the nearest one that has
// not been looked behind yet. Answers are faiss' (its bounded queue), ties apart.

import { lane4 } from "../lanes";
import { INNER_PRODUCT, NOTHING } from "../metric";
import { finish, heapClear, heapReplace, sortEntries } from "../topk";
import { at, closed, entry, insert, isOpen, keyOf, slotOf } from "./pool";
import { Graph, Rows } from "./records";

/** Bytes of a cache line. */
const LINE: usize = 64;

/** Which vertices were seen: a bit each, and the trail of those that were, so that it can be cleared without looking at all. */
@unmanaged
export class Visited {
  bits: usize;
  bytes: usize;
  trail: usize;
  /** How many the trail may hold. */
  room: i32;
  count: i32;
  /** Whether there were more than that. */
  lost: bool;

  /** Sees a vertex. */
  @inline
  see(slot: i32): void {
    const word = this.bits + ((<usize>(slot >> 5)) << 2);
    store<u32>(word, load<u32>(word) | (1 << (slot & 31)));
    store<i32>(this.trail + ((<usize>this.count) << 2), slot);
    this.count++;
  }

  /**
   * Sees those of a list of links that were not seen yet: they are the last of the trail, and their number is returned.
   */
  @inline
  seeNew(list: usize, size: usize): i32 {
    if (this.count + <i32>(size >> 2) > this.room) {
      this.lost = true;
      this.count = 0;
    }
    const bits = this.bits;
    const start = this.trail + ((<usize>this.count) << 2);
    let to = start;
    for (const end = list + size; list < end; list += 4) {
      const slot = load<i32>(list);
      if (slot < 0) break;
      const word = bits + ((<usize>(slot >> 5)) << 2);
      const seen = load<u32>(word);
      store<u32>(word, seen | (1 << (slot & 31)));
      store<i32>(to, slot);
      to += ((~seen >> (slot & 31)) & 1) << 2;
    }
    const fresh = <i32>((to - start) >> 2);
    this.count += fresh;
    return fresh;
  }

  /** Forgets all that were seen. */
  clear(): void {
    if (this.lost) memory.fill(this.bits, 0, this.bytes);
    else {
      for (let at = this.trail, end = at + ((<usize>this.count) << 2); at < end; at += 4) {
        store<u32>(this.bits + ((<usize>(load<i32>(at) >> 5)) << 2), 0);
      }
    }
    this.lost = false;
    this.count = 0;
  }
}

/** Bytes that {@link Visited} and what it points to take for n vertices and lists of at most `width` links. */
export function visitedBytes(n: i32, width: i32): usize {
  return VISITED + bitBytes(n) + ((<usize>trailRoom(n, width)) << 2);
}

const VISITED: usize = 64;

function bitBytes(n: i32): usize {
  return ((<usize>(n + 127)) >> 7) << 4;
}

/** Beyond so many, all bits are cleared sooner than those of the trail. */
function trailRoom(n: i32, width: i32): i32 {
  return (n >> 5) + 2 * width + 4;
}

/** A Visited in memory that nothing is known of. */
export function makeVisited(address: usize, n: i32, width: i32): Visited {
  const visited = changetype<Visited>(address);
  visited.bits = address + VISITED;
  visited.bytes = bitBytes(n);
  visited.trail = visited.bits + visited.bytes;
  visited.room = trailRoom(n, width) - 1;
  visited.lost = true;
  visited.clear();
  return visited;
}

/**
 * Walks from a vertex to ever nearer neighbours on one level, until there is none, and returns the nearest as an entry of a pool. All
 * neighbours of a vertex are looked at before the next step.
 */
export function descend<C>(code: C, graph: Graph, level: i32, start: i32, key: f32): u64 {
  let nearest = start;
  const size = graph.size(level);
  while (true) {
    const from = nearest;
    let list = graph.begin(from, level);
    const end = list + size;
    for (; list < end; list += 16) {
      const a = load<i32>(list);
      if (a < 0) break;
      const left = <i32>((end - list) >> 2);
      const b = left > 1 ? load<i32>(list, 4) : -1;
      const c = left > 2 && b >= 0 ? load<i32>(list, 8) : -1;
      const e = left > 3 && c >= 0 ? load<i32>(list, 12) : -1;
      const four = code.four(a, b < 0 ? a : b, c < 0 ? a : c, e < 0 ? a : e);
      if (!v128.any_true(f32x4.lt(four, f32x4.splat(key)))) continue;
      const count = b < 0 ? 1 : c < 0 ? 2 : e < 0 ? 3 : 4;
      for (let lane = 0; lane < count; lane++) {
        const other = lane4(four, lane);
        if (other < key) {
          key = other;
          nearest = load<i32>(list + ((<usize>lane) << 2));
        }
      }
    }
    if (nearest == from) return entry(key, nearest);
  }
}

/** Touches a row of each of n slots: these loads wait for nothing, and least of all for each other. */
@inline
export function touch<C>(code: C, slots: usize, n: i32): i32 {
  let all: i32 = 0;
  const size = code.size();
  for (let i = 0; i < n; i++) {
    const row = code.at(load<i32>(slots + ((<usize>i) << 2)));
    for (let at: usize = 0; at < size; at += LINE) all |= load<i32>(row + at);
  }
  return all;
}

/** Bytes of scratch that {@link searchGraph} takes. */
export function searchGraphScratch(n: i32, width: i32, room: i32): usize {
  return RECORD + ((<usize>room + 1) << 3) + visitedBytes(n, width);
}

const RECORD: usize = 64;

/**
 * Searches a graph over float rows: `keys` and `slots` are nq x k, finished, best first.
 *
 * @param graph address of a Graph
 * @param width links of the longest list
 * @param ef how many of the nearest are looked behind, if more than k
 * @param room how many are kept while searching: the larger of k and ef, or as many as there are vertices if that is fewer
 * @param admitted a bit for each slot that may be a result, or 0 for all; the search goes through the others as well
 */
export function searchGraph(
  queries: usize,
  nq: i32,
  rows: usize,
  d: i32,
  metric: i32,
  graph: usize,
  width: i32,
  k: i32,
  ef: i32,
  room: i32,
  admitted: usize,
  keys: usize,
  slots: usize,
  scratch: usize,
): void {
  const code = changetype<Rows>(scratch);
  code.rows = rows;
  code.d = d;
  code.metric = metric;
  const pool = scratch + RECORD;
  const hierarchy = changetype<Graph>(graph);
  const visited = makeVisited(pool + ((<usize>room + 1) << 3), hierarchy.n, width);
  for (let i = 0; i < nq; i++, queries += (<usize>d) << 2, keys += (<usize>k) << 2, slots += (<usize>k) << 2) {
    code.query = queries;
    heapClear(keys, slots, k);
    if (hierarchy.entry < 0) {
      finish(keys, slots, k, 0, metric);
      continue;
    }
    let nearest = entry(code.key(hierarchy.entry), hierarchy.entry);
    for (let level = hierarchy.top; level > 0; level--) {
      nearest = descend<Rows>(code, hierarchy, level, slotOf(nearest), keyOf(nearest));
    }
    const count = explore<Rows>(code, hierarchy, nearest, pool, room, ef, k, metric, visited, admitted, keys, slots);
    visited.clear();
    if (admitted != 0) {
      finish(keys, slots, k, 0, metric);
      continue;
    }
    for (let j = 0; j < min(count, k); j++) {
      const e = at(pool, j);
      const key = keyOf(e);
      if (!(key < NOTHING)) break;
      store<f32>(keys + ((<usize>j) << 2), key);
      store<i32>(slots + ((<usize>j) << 2), slotOf(e));
    }
    sortEntries(keys, slots, k, 0, metric);
    if (metric == INNER_PRODUCT) {
      for (let j: usize = 0, end = (<usize>k) << 2; j < end; j += 4) store<f32>(keys + j, -load<f32>(keys + j));
    }
  }
}

/**
 * Explores level 0 from a vertex on: `pool` has the `room` nearest that were seen, their number is returned. Where only some slots are
 * admitted, the k nearest of these are kept in a heap as well.
 *
 * Where fewer than k are kept while searching, faiss stops before all of the pool is expanded: at the first that has ef nearer ones.
 */
function explore<C>(
  code: C,
  graph: Graph,
  start: u64,
  pool: usize,
  room: i32,
  ef: i32,
  k: i32,
  metric: i32,
  visited: Visited,
  admitted: usize,
  keys: usize,
  slots: usize,
): i32 {
  let count = 1;
  let next = 0;
  const size = graph.size(0);
  store<u64>(pool, start);
  visited.see(slotOf(start));
  if (admitted != 0) offer(keyOf(start), slotOf(start), admitted, keys, slots, k, metric);
  while (next < count) {
    const here = at(pool, next);
    if (!isOpen(here)) {
      next++;
      continue;
    }
    if (next >= ef) {
      let first = next;
      while (first > 0 && keyOf(at(pool, first - 1)) == keyOf(here)) first--;
      if (first >= ef) break;
    }
    store<u64>(pool + ((<usize>next) << 3), closed(here));
    next++;
    const fresh = visited.seeNew(graph.begin(slotOf(here), 0), size);
    let from = visited.trail + ((<usize>(visited.count - fresh)) << 2);
    touch<C>(code, from, fresh);
    let worst: f32 = count < room ? <f32>Infinity : keyOf(at(pool, count - 1));
    for (let left = fresh; left > 0; left -= 4, from += 16) {
      const a = load<i32>(from);
      const b = left > 1 ? load<i32>(from, 4) : a;
      const c = left > 2 ? load<i32>(from, 8) : a;
      const e = left > 3 ? load<i32>(from, 12) : a;
      const four = code.four(a, b, c, e);
      // Not "below": a NaN counts as far, and has its place while there is room.
      let open = ~i32x4.bitmask(f32x4.ge(four, f32x4.splat(worst))) & (left > 3 ? 15 : (1 << left) - 1);
      if (count < room) open = left > 3 ? 15 : (1 << left) - 1;
      while (open != 0) {
        const lane = ctz(open);
        open &= open - 1;
        const key = lane4(four, lane);
        const slot = load<i32>(from + ((<usize>lane) << 2));
        if (admitted != 0) offer(key, slot, admitted, keys, slots, k, metric);
        if (count == room && !(key < worst)) continue;
        const place = insert(pool, count, room, entry(key, slot));
        if (count < room) count++;
        if (count == room) worst = keyOf(at(pool, count - 1));
        if (place < next) next = place;
      }
    }
  }
  return count;
}

/** Offers a vertex to the heap of results, if it is admitted. */
function offer(key: f32, slot: i32, admitted: usize, keys: usize, slots: usize, k: i32, metric: i32): void {
  if (!(key < load<f32>(keys))) return;
  if (((load<u32>(admitted + ((<usize>(slot >> 5)) << 2)) >> (slot & 31)) & 1) == 0) return;
  heapReplace(keys, slots, k, key, slot, 0, metric);
}

/**
 * Whether every list of a graph leads to vertices of its level, and has no link behind an empty place: -1, or the position of the
 * first link that does not.
 *
 * @param levels address of the highest level of each vertex, u8
 */
export function checkLinks(graph: usize, levels: usize): i32 {
  const hierarchy = changetype<Graph>(graph);
  for (let vertex = 0; vertex < hierarchy.n; vertex++) {
    for (let level = 0, most = <i32>load<u8>(levels + <usize>vertex); level <= most; level++) {
      let list = hierarchy.begin(vertex, level);
      let ended = false;
      for (const end = list + hierarchy.size(level); list < end; list += 4) {
        const other = load<i32>(list);
        if (other == -1) ended = true;
        else if (ended || other < 0 || other >= hierarchy.n || <i32>load<u8>(levels + <usize>other) < level) {
          return <i32>((list - hierarchy.links) >> 2);
        }
      }
    }
  }
  return -1;
}
