// Adding vertices to a graph, as faiss does on one thread: a vertex is sought among those that are there, linked on each of its levels
// to what it found, and these to it. Where there are too many links, one goes if it is nearer to a link that is kept than to the vertex.

import { Any, decodeRow } from "../codes/any";
import { F32 } from "../codes/f32";
import { fourKeys } from "../distance";
import { lane4 } from "../lanes";
import { Lists, Plan } from "../records";
import { at, closed, entry, insert, isOpen, keyOf, slotOf } from "./pool";
import { Graph } from "./records";
import { Open } from "./sieve";
import { descend, entryOf, fourOf, makeVisited, rowAt, touch, Visited, visitedBytes } from "./search";

/** The share of links that a full list gives up when it is pruned, so that it is not full again at once: faiss' since 1.14. */
const HEADROOM: f32 = 0.2;

/** Stored vectors as floats, to compare them with each other: rows that are floats as they are. */
@unmanaged
class Plain {
  d: i32;
  metric: i32;

  /** The floats of a code, which may take the place `at`. */
  @inline
  floats(row: usize, _at: i32): usize {
    return row;
  }
}

/** Codes, which are decoded to places of a buffer. */
@unmanaged
class Decoded {
  d: i32;
  metric: i32;
  code: usize;
  buffer: usize;

  floats(row: usize, at: i32): usize {
    const to = this.buffer + ((<usize>at * <usize>this.d) << 2);
    decodeRow(changetype<Any>(this.code), row, this.d, to);
    return to;
  }
}

const VIEW: usize = 16;

/** Bytes of scratch that {@link addVertices} takes; d is 0 for float rows. What the code takes comes behind it. */
export function addVerticesScratch(n: i32, width: i32, ef: i32, d: i32): usize {
  const buffer = (entries(width, 0) * <usize>d) << 2;
  return VIEW + poolBytes(width, ef) + visitedBytes(n, width) + ((buffer + 15) & ~15);
}

/** Entries of the pool: of a search, or of a full list and one more. Places of the buffer: as many as are kept, and five. */
@inline
function entries(width: i32, ef: i32): usize {
  return <usize>(max(ef, width) + 6);
}

/** Bytes of the pool, and for each of its entries, were it kept, of the slot and of where its floats are. */
@inline
function poolBytes(width: i32, ef: i32): usize {
  return entries(width, ef) << 4;
}

/**
 * Adds vertices, whose rows and empty lists are there, to a graph of float rows, one after the other. Of the plan count the metric, d and
 * scratch, and the queries, which are the rows; of the graph its ef. It moves the graph's entry and top.
 *
 * @param levels address of the highest level of each vertex, u8
 * @param order the slots of the vertices to add
 */
export function addVerticesF32(
  code: usize,
  plan: usize,
  lists: usize,
  graph: usize,
  levels: usize,
  order: usize,
  count: i32,
): void {
  const view = changetype<Plain>(changetype<Plan>(plan).scratch);
  addVertices<F32, Plain>(
    changetype<F32>(code),
    view,
    changetype<Plan>(plan),
    changetype<Lists>(lists),
    changetype<Graph>(graph),
    levels,
    order,
    count,
    false,
    0,
  );
}

/** The same of codes; the queries are the vectors as they were before, in the order given. */
export function addVerticesCodes(
  code: usize,
  plan: usize,
  lists: usize,
  graph: usize,
  levels: usize,
  order: usize,
  count: i32,
): void {
  const scratch = changetype<Plan>(plan).scratch;
  const hierarchy = changetype<Graph>(graph);
  const view = changetype<Decoded>(scratch);
  const d = changetype<Plan>(plan).d;
  view.code = code;
  view.buffer = scratch + addVerticesScratch(hierarchy.n, hierarchy.width, hierarchy.ef, 0);
  addVertices<Any, Decoded>(
    changetype<Any>(code),
    view,
    changetype<Plan>(plan),
    changetype<Lists>(lists),
    hierarchy,
    levels,
    order,
    count,
    true,
    scratch + addVerticesScratch(hierarchy.n, hierarchy.width, hierarchy.ef, d),
  );
}


@inline
function addVertices<C, V>(
  code: C,
  view: V,
  plan: Plan,
  lists: Lists,
  graph: Graph,
  levels: usize,
  order: usize,
  count: i32,
  given: bool,
  scratch: usize,
): void {
  view.d = plan.d;
  view.metric = plan.metric;
  const pool = plan.scratch + VIEW;
  const visited = makeVisited(pool + poolBytes(graph.width, graph.ef), graph.n, graph.width);
  const kept = pool + (entries(graph.width, graph.ef) << 3);
  code.open(plan, lists, scratch);
  for (let i = 0; i < count; i++) {
    const slot = load<i32>(order + ((<usize>i) << 2));
    const highest = <i32>load<u8>(levels + <usize>slot);
    if (graph.entry < 0) {
      graph.entry = slot;
      graph.top = highest;
      continue;
    }
    code.turn(given ? i : slot, 0);
    addVertex<C, V>(code, view, lists, graph, slot, highest, pool, kept, visited);
  }
}

/** Adds a vertex that the code has turned to. */
function addVertex<C, V>(
  code: C,
  view: V,
  lists: Lists,
  graph: Graph,
  slot: i32,
  highest: i32,
  pool: usize,
  kept: usize,
  visited: Visited,
): void {
  let nearest = entryOf<C>(code, lists, graph.entry);
  let level = graph.top;
  for (; level > highest; level--) nearest = descend<C, Open>(code, changetype<Open>(0), lists, graph, level, nearest);
  for (; level >= 0; level--) {
    const found = gather<C>(code, lists, graph, level, nearest, pool, visited);
    visited.clear();
    const most = <i32>(graph.size(level) >> 2);
    const links = found < most ? takeAll(pool, found, kept) : thin<V>(view, lists, pool, found, most, kept);
    // Farthest first, as it comes out of faiss' queue.
    const list = graph.begin(slot, level);
    let to = list;
    for (let i = links - 1; i >= 0; i--, to += 4) store<i32>(to, load<i32>(kept + ((<usize>i) << 2)));
    for (let i = 0; i < links; i++) {
      link<V>(view, lists, graph, load<i32>(list + ((<usize>i) << 2)), slot, level, pool, kept);
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
function thin<V>(view: V, lists: Lists, pool: usize, count: i32, most: i32, kept: usize): i32 {
  // Where the floats of those that are kept are: behind all the slots that there may be.
  const floats = kept + ((<usize>max(count, most)) << 2);
  let n = 0;
  for (let i = 0; i < count && n < most; i++) {
    const e = at(pool, i);
    const own = view.floats(rowAt(lists, slotOf(e)), n);
    const key = f32x4.splat(keyOf(e));
    let good = true;
    for (let j = 0; j < n; j += 4) {
      const others = floats + ((<usize>j) << 2);
      const left = n - j;
      const a = <usize>load<u32>(others);
      const b = left > 1 ? <usize>load<u32>(others, 4) : a;
      const c = left > 2 ? <usize>load<u32>(others, 8) : a;
      const f = left > 3 ? <usize>load<u32>(others, 12) : a;
      if (v128.any_true(f32x4.lt(fourKeys(own, a, b, c, f, view.d, view.metric), key))) {
        good = false;
        break;
      }
    }
    if (!good) continue;
    store<i32>(kept + ((<usize>n) << 2), slotOf(e));
    store<u32>(floats + ((<usize>n) << 2), <u32>own);
    n++;
  }
  return n;
}

/** Adds a link from one vertex to another, and prunes the list where it is full. */
function link<V>(view: V, lists: Lists, graph: Graph, from: i32, to: i32, level: i32, pool: usize, kept: usize): void {
  const list = graph.begin(from, level);
  const end = list + graph.size(level);
  if (load<i32>(end - 4) < 0) {
    let free = end - 4;
    while (free > list && load<i32>(free - 4) < 0) free -= 4;
    store<i32>(free, to);
    return;
  }
  const width = <i32>((end - list) >> 2);
  const own = view.floats(rowAt(lists, from), 4);
  touch(lists, list, width);
  let count = 0;
  for (let i = -1; i < width; i += 4) {
    // The new one first, then those that were there.
    const left = width - i;
    const next = list + ((<usize>i) << 2);
    const a = i < 0 ? to : load<i32>(next);
    const b = left > 1 ? load<i32>(next, 4) : a;
    const c = left > 2 ? load<i32>(next, 8) : a;
    const e = left > 3 ? load<i32>(next, 12) : a;
    const four = fourKeys(
      own,
      view.floats(rowAt(lists, a), 0),
      view.floats(rowAt(lists, b), 1),
      view.floats(rowAt(lists, c), 2),
      view.floats(rowAt(lists, e), 3),
      view.d,
      view.metric,
    );
    for (let lane = 0; lane < min(left, 4); lane++) {
      insert(pool, count, count + 1, entry(lane4(four, lane), lane == 0 ? a : lane == 1 ? b : lane == 2 ? c : e));
      count++;
    }
  }
  const n = thin<V>(view, lists, pool, count, <i32>(<f32>width - <f32>width * HEADROOM), kept);
  let place = list;
  for (let i = n - 1; i >= 0; i--, place += 4) store<i32>(place, load<i32>(kept + ((<usize>i) << 2)));
  for (; place < end; place += 4) store<i32>(place, -1);
}
