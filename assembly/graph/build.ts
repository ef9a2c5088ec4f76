// Adding vertices to a graph, as faiss does on one thread: a vertex is sought among those that are there, linked on each of its levels
// to what it found, and these to it. Where there are too many links, one goes if it is nearer to a link that is kept than to the vertex.

import { lane4 } from "../lanes";
import { at, closed, entry, insert, isOpen, keyOf, slotOf } from "./pool";
import { Graph, Rows } from "./records";
import { descend, makeVisited, touch, Visited, visitedBytes } from "./search";

/** The share of links that a full list gives up when it is pruned, so that it is not full again at once: faiss' since 1.14. */
const HEADROOM: f32 = 0.2;

const RECORD: usize = 64;

/** Bytes of scratch that {@link addVertices} takes. */
export function addVerticesScratch(n: i32, width: i32, ef: i32): usize {
  return RECORD + poolBytes(width, ef) + visitedBytes(n, width);
}

function poolBytes(width: i32, ef: i32): usize {
  // The pool, and of each of its entries the slot, were it kept.
  return ((<usize>(max(ef, width) + 5)) << 3) + ((<usize>(max(ef, width) + 5)) << 2);
}

/**
 * Adds vertices, whose rows and empty lists are there, to a graph of float rows, one after the other.
 *
 * @param graph address of a Graph, whose entry and top it moves
 * @param levels address of the highest level of each vertex, u8
 * @param order the slots of the vertices to add
 * @param width links of the longest list
 * @param ef how many of the nearest are kept while searching
 */
export function addVertices(
  graph: usize,
  levels: usize,
  order: usize,
  count: i32,
  rows: usize,
  d: i32,
  metric: i32,
  width: i32,
  ef: i32,
  scratch: usize,
): void {
  const code = changetype<Rows>(scratch);
  code.rows = rows;
  code.d = d;
  code.metric = metric;
  const pool = scratch + RECORD;
  const hierarchy = changetype<Graph>(graph);
  const visited = makeVisited(pool + poolBytes(width, ef), hierarchy.n, width);
  const kept = pool + ((<usize>(max(ef, width) + 5)) << 3);
  for (const end = order + ((<usize>count) << 2); order < end; order += 4) {
    const slot = load<i32>(order);
    addVertex<Rows>(code, hierarchy, slot, load<u8>(levels + <usize>slot), ef, pool, kept, visited);
  }
}

function addVertex<C>(
  code: C,
  graph: Graph,
  slot: i32,
  highest: i32,
  ef: i32,
  pool: usize,
  kept: usize,
  visited: Visited,
): void {
  if (graph.entry < 0) {
    graph.entry = slot;
    graph.top = highest;
    return;
  }
  code.select(slot);
  let nearest = entry(code.key(graph.entry), graph.entry);
  let level = graph.top;
  for (; level > highest; level--) nearest = descend<C>(code, graph, level, slotOf(nearest), keyOf(nearest));
  for (; level >= 0; level--) {
    code.select(slot);
    const found = gather<C>(code, graph, level, nearest, ef, pool, visited);
    visited.clear();
    const size = graph.size(level);
    const most = <i32>(size >> 2);
    const links = found < most ? takeAll(pool, found, kept) : thin<C>(code, pool, found, most, kept);
    // Farthest first, as it comes out of faiss' queue.
    let to = graph.begin(slot, level);
    for (let i = links - 1; i >= 0; i--, to += 4) store<i32>(to, load<i32>(kept + ((<usize>i) << 2)));
    const list = graph.begin(slot, level);
    for (let i = 0; i < links; i++) {
      link<C>(code, graph, load<i32>(list + ((<usize>i) << 2)), slot, level, pool, kept);
    }
  }
  if (highest > graph.top) {
    graph.entry = slot;
    graph.top = highest;
  }
}

/** The ef nearest vertices that can be reached on one level from a vertex on: sorted in the pool, their number is returned. */
function gather<C>(code: C, graph: Graph, level: i32, start: u64, ef: i32, pool: usize, visited: Visited): i32 {
  const size = graph.size(level);
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
    touch<C>(code, from, fresh);
    let worst: f32 = count < ef ? <f32>Infinity : keyOf(at(pool, count - 1));
    for (let left = fresh; left > 0; left -= 4, from += 16) {
      const a = load<i32>(from);
      const b = left > 1 ? load<i32>(from, 4) : a;
      const c = left > 2 ? load<i32>(from, 8) : a;
      const e = left > 3 ? load<i32>(from, 12) : a;
      const four = code.four(a, b, c, e);
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
function thin<C>(code: C, pool: usize, count: i32, most: i32, kept: usize): i32 {
  let n = 0;
  for (let i = 0; i < count && n < most; i++) {
    const e = at(pool, i);
    const slot = slotOf(e);
    const key = f32x4.splat(keyOf(e));
    let good = true;
    if (n > 0) code.select(slot);
    for (let j = 0; j < n; j += 4) {
      const others = kept + ((<usize>j) << 2);
      const a = load<i32>(others);
      const left = n - j;
      const b = left > 1 ? load<i32>(others, 4) : a;
      const c = left > 2 ? load<i32>(others, 8) : a;
      const f = left > 3 ? load<i32>(others, 12) : a;
      if (v128.any_true(f32x4.lt(code.four(a, b, c, f), key))) {
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
function link<C>(code: C, graph: Graph, from: i32, to: i32, level: i32, pool: usize, kept: usize): void {
  const list = graph.begin(from, level);
  const end = list + graph.size(level);
  if (load<i32>(end - 4) < 0) {
    let free = end - 4;
    while (free > list && load<i32>(free - 4) < 0) free -= 4;
    store<i32>(free, to);
    return;
  }
  code.select(from);
  let count = 1;
  store<u64>(pool, entry(code.key(to), to));
  touch<C>(code, list, <i32>((end - list) >> 2));
  for (let at = list; at < end; at += 16) {
    const left = <i32>((end - at) >> 2);
    const a = load<i32>(at);
    const b = left > 1 ? load<i32>(at, 4) : a;
    const c = left > 2 ? load<i32>(at, 8) : a;
    const e = left > 3 ? load<i32>(at, 12) : a;
    const four = code.four(a, b, c, e);
    for (let lane = 0; lane < min(left, 4); lane++) {
      insert(pool, count, count + 1, entry(lane4(four, lane), load<i32>(at + ((<usize>lane) << 2))));
      count++;
    }
  }
  const width = <i32>((end - list) >> 2);
  const n = thin<C>(code, pool, count, <i32>(<f32>width - <f32>width * HEADROOM), kept);
  let place = list;
  for (let i = n - 1; i >= 0; i--, place += 4) store<i32>(place, load<i32>(kept + ((<usize>i) << 2)));
  for (; place < end; place += 4) store<i32>(place, -1);
}
