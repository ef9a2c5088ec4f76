// Searching a graph: greedily down the upper levels, then level 0 from the nearest vertex on, always behind the nearest one that has
// not been looked behind yet. Answers are faiss' (its bounded queue), ties apart.

import { isAdmitted } from "../admitted";
import { Any } from "../codes/any";
import { F32 } from "../codes/f32";
import { Best } from "../found/best";
import { Within } from "../found/within";
import { lane4 } from "../lanes";
import { Lists, Plan } from "../records";
import { at, closed, entry, insert, isOpen, keyOf, slotOf } from "./pool";
import { Graph } from "./records";
import { Open, Sieve } from "./sieve";

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

/** Where the code of a vector stands. */
@inline
export function rowAt(lists: Lists, slot: i32): usize {
  return lists.codes + <usize>slot * <usize>lists.blockBytes;
}

/** The keys of four vectors: as a code's four, of slots. */
@inline
export function fourOf<C>(code: C, lists: Lists, a: i32, b: i32, c: i32, e: i32, bar: f32): v128 {
  return code.four(rowAt(lists, a), rowAt(lists, b), rowAt(lists, c), rowAt(lists, e), bar);
}

/** The key of one vector, as an entry of a pool. */
export function entryOf<C>(code: C, lists: Lists, slot: i32): u64 {
  return entry(f32x4.extract_lane(fourOf<C>(code, lists, slot, slot, slot, slot, Infinity), 0), slot);
}

/** Links of a list, which ends at its end or at the first empty place. */
@inline
function countLinks(list: usize, size: usize): i32 {
  let at = list;
  for (const end = list + size; at < end && load<i32>(at) >= 0; at += 4) {}
  return <i32>((at - list) >> 2);
}

/**
 * Walks from a vertex to ever nearer neighbours on one level, until there is none, and returns the nearest as an entry of a pool. All
 * neighbours of a vertex are looked at before the next step.
 */
export function descend<C, S>(code: C, sieve: S, lists: Lists, graph: Graph, level: i32, start: u64): u64 {
  let nearest = slotOf(start);
  let key = keyOf(start);
  const size = graph.size(level);
  while (true) {
    const from = nearest;
    const list = graph.begin(from, level);
    let left = countLinks(list, size);
    let slots = list;
    if (sieve.isThere()) {
      left = sieve.sift(slots, left, key);
      slots = sieve.kept();
    }
    touch(lists, slots, left);
    for (; left > 0; left -= 4, slots += 16) {
      const a = load<i32>(slots);
      const b = left > 1 ? load<i32>(slots, 4) : a;
      const c = left > 2 ? load<i32>(slots, 8) : a;
      const e = left > 3 ? load<i32>(slots, 12) : a;
      const four = fourOf<C>(code, lists, a, b, c, e, key);
      if (!v128.any_true(f32x4.lt(four, f32x4.splat(key)))) continue;
      for (let lane = 0; lane < min(left, 4); lane++) {
        const other = lane4(four, lane);
        if (other < key) {
          key = other;
          nearest = load<i32>(slots + ((<usize>lane) << 2));
        }
      }
    }
    if (nearest == from) return entry(key, nearest);
  }
}

/** Touches the codes of n slots: these loads wait for nothing, and least of all for each other. */
@inline
export function touch(lists: Lists, slots: usize, n: i32): i32 {
  let all: i32 = 0;
  const size = <usize>lists.blockBytes;
  for (let i = 0; i < n; i++) {
    const row = rowAt(lists, load<i32>(slots + ((<usize>i) << 2)));
    for (let at: usize = 0; at < size; at += LINE) all |= <i32>load<u8>(row + at);
  }
  return all;
}

/** Bytes of scratch that a search takes, beside its code's. */
export function searchGraphScratch(nq: i32, n: i32, d: i32, width: i32, room: i32): usize {
  return poolBytes(room) + seatBytes(nq) + Sieve.scratch(d, width) + visitedBytes(n, width);
}


@inline
function poolBytes(room: i32): usize {
  return ((<usize>room + 2) & ~1) << 3;
}


@inline
function seatBytes(nq: i32): usize {
  return (<usize>max(Best.scratch(nq), Within.scratch(nq)) + 15) & ~15;
}

/**
 * Searches a graph over the codes of one list. Only admitted slots are found; the search goes through the others as well.
 *
 * @param listens whether results are all that were seen; else they are what the pool has in the end, which is quicker
 */
@inline
function searchGraph<C, S, R>(code: C, plan: Plan, lists: Lists, graph: Graph, found: R, k: i32, listens: bool): void {
  const nq = plan.nq;
  const pool = plan.scratch;
  const seats = pool + poolBytes(graph.room);
  const sieve = changetype<S>(seats + seatBytes(nq));
  const behind = changetype<usize>(sieve) + Sieve.scratch(plan.d, graph.width);
  const visited = makeVisited(behind, graph.n, graph.width);
  found.open(nq, 0, plan.metric, seats);
  code.open(plan, lists, behind + visitedBytes(graph.n, graph.width));
  sieve.open(plan, graph, changetype<usize>(sieve));
  for (let i = 0; i < nq; i++) {
    const seat = found.seat(i);
    if (graph.entry >= 0) {
      code.turn(i, 0);
      sieve.turn(i);
      let nearest = entryOf<C>(code, lists, graph.entry);
      for (let level = graph.top; level > 0; level--)
        nearest = descend<C, S>(code, sieve, lists, graph, level, nearest);
      const count = explore<C, S, R>(
        code,
        sieve,
        lists,
        graph,
        nearest,
        pool,
        visited,
        plan.admitted,
        listens,
        found,
        seat,
      );
      visited.clear();
      if (!listens) {
        for (let j = 0; j < min(count, k); j++) found.offer(seat, keyOf(at(pool, j)), slotOf(at(pool, j)));
      }
    }
    found.close(seat);
  }
}

/** The k best of float rows. code, found: records of F32, which the kernel fills, and of Best. */
export function searchGraphF32(code: usize, plan: usize, lists: usize, graph: usize, found: usize): void {
  const best = changetype<Best>(found);
  const admitted = changetype<Plan>(plan).admitted;
  searchGraph<F32, Open, Best>(
    changetype<F32>(code),
    changetype<Plan>(plan),
    changetype<Lists>(lists),
    changetype<Graph>(graph),
    best,
    best.k,
    admitted != 0,
  );
}

/** The k best of float rows that have heads, by squared distances, all rows being admitted: as searchGraphF32, to the last bit. */
export function searchGraphSifted(code: usize, plan: usize, lists: usize, graph: usize, found: usize): void {
  const best = changetype<Best>(found);
  searchGraph<F32, Sieve, Best>(
    changetype<F32>(code),
    changetype<Plan>(plan),
    changetype<Lists>(lists),
    changetype<Graph>(graph),
    best,
    best.k,
    false,
  );
}

/** All float rows that are seen on the way and are within a radius, as in faiss. */
export function rangeGraphF32(code: usize, plan: usize, lists: usize, graph: usize, found: usize): void {
  searchGraph<F32, Open, Within>(
    changetype<F32>(code),
    changetype<Plan>(plan),
    changetype<Lists>(lists),
    changetype<Graph>(graph),
    changetype<Within>(found),
    0,
    true,
  );
}

/** The k best of codes. */
export function searchGraphCodes(code: usize, plan: usize, lists: usize, graph: usize, found: usize): void {
  const best = changetype<Best>(found);
  const admitted = changetype<Plan>(plan).admitted;
  searchGraph<Any, Open, Best>(
    changetype<Any>(code),
    changetype<Plan>(plan),
    changetype<Lists>(lists),
    changetype<Graph>(graph),
    best,
    best.k,
    admitted != 0,
  );
}

/** All codes that are seen on the way and are within a radius. */
export function rangeGraphCodes(code: usize, plan: usize, lists: usize, graph: usize, found: usize): void {
  searchGraph<Any, Open, Within>(
    changetype<Any>(code),
    changetype<Plan>(plan),
    changetype<Lists>(lists),
    changetype<Graph>(graph),
    changetype<Within>(found),
    0,
    true,
  );
}

/**
 * Explores level 0 from a vertex on: the pool has the nearest that were seen, their number is returned. Where it listens, all admitted ones
 * that were seen are offered to what is found.
 *
 * Where fewer than k are looked behind, faiss stops before all of the pool is expanded: at the first that has ef nearer ones.
 */
function explore<C, S, R>(
  code: C,
  sieve: S,
  lists: Lists,
  graph: Graph,
  start: u64,
  pool: usize,
  visited: Visited,
  admitted: usize,
  listens: bool,
  found: R,
  seat: usize,
): i32 {
  const ef = graph.ef;
  const room = graph.room;
  const size = graph.size(0);
  let count = 1;
  let next = 0;
  store<u64>(pool, start);
  visited.see(slotOf(start));
  if (listens && isAdmitted(admitted, slotOf(start))) found.offer(seat, keyOf(start), slotOf(start));
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
    let sifted = !sieve.isThere();
    touch(lists, from, sifted ? fresh : min(fresh, room - count));
    let worst: f32 = count < room ? <f32>Infinity : keyOf(at(pool, count - 1));
    for (let left = fresh; left > 0; left -= 4, from += 16) {
      if (!sifted && count == room) {
        left = sieve.sift(from, left, worst);
        if (left == 0) break;
        from = sieve.kept();
        sifted = true;
        touch(lists, from, left);
      }
      const a = load<i32>(from);
      const b = left > 1 ? load<i32>(from, 4) : a;
      const c = left > 2 ? load<i32>(from, 8) : a;
      const e = left > 3 ? load<i32>(from, 12) : a;
      const four = fourOf<C>(code, lists, a, b, c, e, listens ? <f32>Infinity : worst);
      const there = left > 3 ? 15 : (1 << left) - 1;
      if (listens) {
        for (let lane = 0; lane < min(left, 4); lane++) {
          const slot = load<i32>(from + ((<usize>lane) << 2));
          if (isAdmitted(admitted, slot)) found.offer(seat, lane4(four, lane), slot);
        }
      }
      // While there is room all have their place, a NaN too, which counts as far.
      let open = count < room ? there : i32x4.bitmask(f32x4.lt(four, f32x4.splat(worst))) & there;
      for (; open != 0; open &= open - 1) {
        const lane = ctz(open);
        const key = lane4(four, lane);
        if (count == room && !(key < worst)) continue;
        const place = insert(pool, count, room, entry(key, load<i32>(from + ((<usize>lane) << 2))));
        if (count < room) count++;
        if (count == room) worst = keyOf(at(pool, count - 1));
        if (place < next) next = place;
      }
    }
  }
  return count;
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
