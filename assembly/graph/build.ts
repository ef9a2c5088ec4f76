// Adding vertices to a graph, as faiss does on one thread: a vertex is sought among those that are there, linked on each of its levels
// to what it found, and these to it. Where there are too many links, one goes if it is nearer to a link that is kept than to the vertex.

import { lane4 } from "../lanes";
import { at, closed, entry, insert, isOpen, keyOf, slotOf } from "./pool";
import { F32 } from "../codes/f32";
import { Lists, Plan } from "../records";
import { Graph } from "./records";
import { descend, entryOf, fourOf, makeVisited, touch, Visited, visitedBytes } from "./search";

/** The share of links that a full list gives up when it is pruned, so that it is not full again at once: faiss' since 1.14. */
const HEADROOM: f32 = 0.2;

/** Bytes of scratch that {@link addVertices} takes. */
export function addVerticesScratch(n: i32, width: i32, ef: i32): usize {
  return poolBytes(width, ef) + visitedBytes(n, width);
}

/** Entries of the pool: of a search, or of a full list and one more. */
@inline
function entries(width: i32, ef: i32): usize {
  return <usize>(max(ef, width) + 5);
}

/** Bytes of the pool, and of the slot of each of its entries, were it kept. */
@inline
function poolBytes(width: i32, ef: i32): usize {
  return (entries(width, ef) * 12 + 15) & ~15;
}

/**
 * Adds vertices, whose rows and empty lists are there, to a graph of float rows, one after the other. Of the plan count the metric, d and
 * scratch, and the queries, which are the rows; of the graph its ef. It moves the graph's entry and top.
 *
 * @param levels address of the highest level of each vertex, u8
 * @param order the slots of the vertices to add
 */
export function addVertices(
  code: usize,
  plan: usize,
  lists: usize,
  graph: usize,
  levels: usize,
  order: usize,
  count: i32,
): void {
  const rows = changetype<F32>(code);
  const hierarchy = changetype<Graph>(graph);
  const scratch = changetype<Plan>(plan).scratch;
  const visited = makeVisited(scratch + poolBytes(hierarchy.width, hierarchy.ef), hierarchy.n, hierarchy.width);
  const kept = scratch + (entries(hierarchy.width, hierarchy.ef) << 3);
  rows.open(changetype<Plan>(plan), changetype<Lists>(lists), 0);
  for (const end = order + ((<usize>count) << 2); order < end; order += 4) {
    const slot = load<i32>(order);
    const highest = <i32>load<u8>(levels + <usize>slot);
    addVertex<F32>(rows, changetype<Lists>(lists), hierarchy, slot, highest, scratch, kept, visited);
  }
}

function addVertex<C>(
  code: C,
  lists: Lists,
  graph: Graph,
  slot: i32,
  highest: i32,
  pool: usize,
  kept: usize,
  visited: Visited,
): void {
  if (graph.entry < 0) {
    graph.entry = slot;
    graph.top = highest;
    return;
  }
  code.turn(slot, 0);
  let nearest = entryOf<C>(code, lists, graph.entry);
  let level = graph.top;
  for (; level > highest; level--) nearest = descend<C>(code, lists, graph, level, nearest);
  for (; level >= 0; level--) {
    code.turn(slot, 0);
    const found = gather<C>(code, lists, graph, level, nearest, pool, visited);
    visited.clear();
    const size = graph.size(level);
    const most = <i32>(size >> 2);
    const links = found < most ? takeAll(pool, found, kept) : thin<C>(code, lists, pool, found, most, kept);
    // Farthest first, as it comes out of faiss' queue.
    let to = graph.begin(slot, level);
    for (let i = links - 1; i >= 0; i--, to += 4) store<i32>(to, load<i32>(kept + ((<usize>i) << 2)));
    const list = graph.begin(slot, level);
    for (let i = 0; i < links; i++) {
      link<C>(code, lists, graph, load<i32>(list + ((<usize>i) << 2)), slot, level, pool, kept);
    }
  }
  if (highest > graph.top) {
    graph.entry = slot;
    graph.top = highest;
  }
}

/** The ef nearest vertices that can be reached on one level from a vertex on: sorted in the pool, their number is returned. */
function gather<C>(code: C, lists: Lists, graph: Graph, level: i32, start: u64, pool: usize, visited: Visited): i32 {
  const size = graph.size(level);
  const ef = graph.ef;
  let count = 1;
  let next = 0;
  store<u64>(pool, start);
  visited.see(slotOf(start));
  while (next < count) {
    const here = at(pool, next);
    if (!isOpen(here)) {
      next++;
      continue;
    }
    store<u64>(pool + ((<usize>next) << 3), closed(here));
    next++;
    const fresh = visited.seeNew(graph.begin(slotOf(here), level), size);
    let from = visited.trail + ((<usize>(visited.count - fresh)) << 2);
    touch(lists, from, fresh);
    let worst: f32 = count < ef ? <f32>Infinity : keyOf(at(pool, count - 1));
    for (let left = fresh; left > 0; left -= 4, from += 16) {
      const a = load<i32>(from);
      const b = left > 1 ? load<i32>(from, 4) : a;
      const c = left > 2 ? load<i32>(from, 8) : a;
      const e = left > 3 ? load<i32>(from, 12) : a;
      const four = fourOf<C>(code, lists, a, b, c, e, worst);
      let open = left > 3 ? 15 : (1 << left) - 1;
      if (count == ef) open &= i32x4.bitmask(f32x4.lt(four, f32x4.splat(worst)));
      while (open != 0) {
        const lane = ctz(open);
        open &= open - 1;
        const key = lane4(four, lane);
        if (count == ef && !(key < worst)) continue;
        const place = insert(pool, count, ef, entry(key, load<i32>(from + ((<usize>lane) << 2))));
        if (count < ef) count++;
        if (count == ef) worst = keyOf(at(pool, count - 1));
        if (place < next) next = place;
      }
    }
  }
  return count;
}

/** Writes the slots of a pool. */
function takeAll(pool: usize, count: i32, kept: usize): i32 {
  for (let i = 0; i < count; i++) store<i32>(kept + ((<usize>i) << 2), slotOf(at(pool, i)));
  return count;
}

/**
 * Writes the slots of at most `most` entries of a pool, nearest first: only those that are no nearer to one of these than to the
 * vertex that the keys are of. Links so go in all directions, and none does what two others do.
 */
function thin<C>(code: C, lists: Lists, pool: usize, count: i32, most: i32, kept: usize): i32 {
  let n = 0;
  for (let i = 0; i < count && n < most; i++) {
    const e = at(pool, i);
    const slot = slotOf(e);
    const key = f32x4.splat(keyOf(e));
    let good = true;
    if (n > 0) code.turn(slot, 0);
    for (let j = 0; j < n; j += 4) {
      const others = kept + ((<usize>j) << 2);
      const a = load<i32>(others);
      const left = n - j;
      const b = left > 1 ? load<i32>(others, 4) : a;
      const c = left > 2 ? load<i32>(others, 8) : a;
      const f = left > 3 ? load<i32>(others, 12) : a;
      if (v128.any_true(f32x4.lt(fourOf<C>(code, lists, a, b, c, f, keyOf(e)), key))) {
        good = false;
        break;
      }
    }
    if (!good) continue;
    store<i32>(kept + ((<usize>n) << 2), slot);
    n++;
  }
  return n;
}

/** Adds a link from one vertex to another, and prunes the list where it is full. */
function link<C>(code: C, lists: Lists, graph: Graph, from: i32, to: i32, level: i32, pool: usize, kept: usize): void {
  const list = graph.begin(from, level);
  const end = list + graph.size(level);
  if (load<i32>(end - 4) < 0) {
    let free = end - 4;
    while (free > list && load<i32>(free - 4) < 0) free -= 4;
    store<i32>(free, to);
    return;
  }
  code.turn(from, 0);
  let count = 1;
  store<u64>(pool, entryOf<C>(code, lists, to));
  touch(lists, list, <i32>((end - list) >> 2));
  for (let at = list; at < end; at += 16) {
    const left = <i32>((end - at) >> 2);
    const a = load<i32>(at);
    const b = left > 1 ? load<i32>(at, 4) : a;
    const c = left > 2 ? load<i32>(at, 8) : a;
    const e = left > 3 ? load<i32>(at, 12) : a;
    const four = fourOf<C>(code, lists, a, b, c, e, Infinity);
    for (let lane = 0; lane < min(left, 4); lane++) {
      insert(pool, count, count + 1, entry(lane4(four, lane), load<i32>(at + ((<usize>lane) << 2))));
      count++;
    }
  }
  const width = <i32>((end - list) >> 2);
  const n = thin<C>(code, lists, pool, count, <i32>(<f32>width - <f32>width * HEADROOM), kept);
  let place = list;
  for (let i = n - 1; i >= 0; i--, place += 4) store<i32>(place, load<i32>(kept + ((<usize>i) << 2)));
  for (; place < end; place += 4) store<i32>(place, -1);
}
