// THE scan of lists of codes: for every code and every kind of result, which are type arguments.

import { admittedBits } from "../admitted";
import { groupByList } from "../probes";
import { Lists, Plan } from "../records";
import { touchRun } from "./touch";

/** Bytes of a list that are touched, then compared: they must stay in the second-level cache until the last query had them. */
const STRETCH_BYTES: usize = 1 << 18;
/** Slots whose bits are looked at together. */
export const WORD: i32 = 64;

/** Codes of a stretch: whole steps of four. */
@inline
function stretchRows(size: usize): i32 {
  return max(4, (<i32>(STRETCH_BYTES / size)) & ~3);
}

/** Bytes of scratch that scanLists takes, without those of the code: places, pairs, seats of results, slots of a word. */
export function scanListsScratch(nlist: i32, nq: i32, nprobe: i32): i32 {
  return (nlist + 1 + nq * nprobe + 1 + WORD) * 4 + nq * SEAT;
}

/** Bytes that a query's seat takes at most, whatever collects. */
export const SEAT: i32 = 16;

/**
 * Searches the lists that the coarse step chose for each query of the plan, and finishes what is found.
 *
 * Each query scans `atLeast` lists, then further ones of its probes only while it has not found k; and at most maxCodes vectors (0: no
 * limit). The result is that of scanning the lists of a query in the order of its probes. Where queries of a block share lists (16
 * frames of speech at nprobe 16 want 110 lists 256 times), lists come one after the other instead, so that their codes come from memory
 * once: the order decides only between equal keys at the cut, and a query that sees such keys is scanned again.
 */
export function scanLists<C, R>(code: C, plan: Plan, lists: Lists, found: R): void {
  const nq = plan.nq;
  const nprobe = plan.nprobe;
  const nlist = lists.nlist;
  const scratch = plan.scratch;
  const pairs = scratch;
  const places = pairs + ((<usize>(nq * nprobe + 1)) << 2);
  const listed = places + ((<usize>(nlist + 1)) << 2);
  const seats = listed + (WORD << 2);
  found.open(nq, lists.ids, plan.metric, seats);
  code.open(plan, lists, seats + <usize>(nq * SEAT));

  if (nq == 1 || plan.maxCodes > 0 || plan.atLeast < nprobe || code.isByQuery()) {
    for (let i = 0; i < nq; i++) {
      scanInOrder<C, R>(code, plan, lists, found, i, pairs, listed);
      found.close(found.seat(i));
    }
    return;
  }
  groupByList(plan.probes, nq, nprobe, 0, nprobe, nlist, places, pairs);
  let from = pairs;
  for (let list = 0; list < nlist; list++) {
    const until = pairs + ((<usize>load<i32>(places + ((<usize>list) << 2))) << 2);
    if (from == until) continue;
    const count = load<i32>(lists.sizes + ((<usize>list) << 2));
    if (code.isSlowToTurn()) {
      for (; from < until; from += 4) scanList<C, R>(code, plan, lists, found, list, count, from, from + 4, listed);
    } else {
      scanList<C, R>(code, plan, lists, found, list, count, from, until, listed);
      from = until;
    }
  }
  for (let i = 0; i < nq; i++) {
    const seat = found.seat(i);
    if (found.isTied(seat)) {
      found.restart(seat);
      scanInOrder<C, R>(code, plan, lists, found, i, pairs, listed);
    }
    found.close(seat);
  }
}

/** Scans the lists of one query in the order of its probes. */
export function scanInOrder<C, R>(
  code: C,
  plan: Plan,
  lists: Lists,
  found: R,
  i: i32,
  pairs: usize,
  listed: usize,
): void {
  const seat = found.seat(i);
  const probes = plan.probes + ((<usize>(i * plan.nprobe)) << 2);
  store<i32>(pairs, i);
  let scanned: i32 = 0;
  for (let p = 0; p < plan.nprobe; p++) {
    if (p >= plan.atLeast && found.isFull(seat)) break;
    const list = load<i32>(probes + ((<usize>p) << 2));
    if (list < 0) break;
    let count = load<i32>(lists.sizes + ((<usize>list) << 2));
    if (plan.maxCodes > 0) count = min(count, plan.maxCodes - scanned);
    if (count > 0) scanList<C, R>(code, plan, lists, found, list, count, pairs, pairs + 4, listed);
    scanned += count;
    if (plan.maxCodes > 0 && scanned >= plan.maxCodes) break;
  }
}

/** Scans the first `count` codes of a list for the queries whose numbers stand from `from` to `until`, stretch by stretch. */
export function scanList<C, R>(
  code: C,
  plan: Plan,
  lists: Lists,
  found: R,
  list: i32,
  count: i32,
  from: usize,
  until: usize,
  listed: usize,
): void {
  const start = load<i32>(lists.starts + ((<usize>list) << 2));
  const stretch = stretchRows(<usize>lists.blockBytes);
  for (let first = 0; first < count; first += stretch) {
    const n = min(stretch, count - first);
    scanStretch<C, R>(code, plan, lists, found, list, start + first, n, from, until, listed);
  }
}

/**
 * Scans those of n slots that are admitted.
 *
 *     admitted  | 1 … 1 | 1 … 1 | 0 1 0 … 1 | 0 … 0 |     words of 64 slots
 *                \______ ______/       |
 *                  scanned as they are | gathered by fours: `listed` has the slots
 */
export function scanStretch<C, R>(
  code: C,
  plan: Plan,
  lists: Lists,
  found: R,
  list: i32,
  slot: i32,
  n: i32,
  from: usize,
  until: usize,
  listed: usize,
): void {
  const admitted = plan.admitted;
  let run = admitted == 0 ? n : 0;
  for (let j = run; j < n; j += WORD) {
    const most = min(WORD, n - j);
    let bits = admittedBits(admitted, slot + j, most);
    if (<i32>popcnt(bits) == most) {
      run += most;
      continue;
    }
    if (run > 0) scanRun<C, R>(code, lists, found, list, slot + j - run, run, from, until);
    run = 0;
    if (bits == 0) continue;
    const size = <usize>lists.blockBytes;
    let count = 0;
    for (; bits != 0; bits &= bits - 1, count++) {
      const open = slot + j + <i32>ctz(bits);
      store<i32>(listed + ((<usize>count) << 2), open);
      touchRun(lists.codes + <usize>(<u32>open) * size, size);
    }
    scanListed<C, R>(code, lists, found, list, listed, count, from, until);
  }
  if (run > 0) scanRun<C, R>(code, lists, found, list, slot + n - run, run, from, until);
}

/** Scans n neighbouring slots. */
function scanRun<C, R>(code: C, lists: Lists, found: R, list: i32, slot: i32, n: i32, from: usize, until: usize): void {
  const size = <usize>lists.blockBytes;
  const at = lists.codes + <usize>(<u32>slot) * size;
  touchRun(at, <usize>n * size);
  for (; from < until; from += 4) {
    const i = load<i32>(from);
    const seat = found.seat(i);
    code.turn(i, list);
    let rows = at;
    // Beyond the last row the pointers stay on it, and what they give is not looked at.
    for (let j = 0, step = code.step(); j < n; j += step, rows += <usize>step * size) {
      const left = min(n - j, step);
      const b = left > 1 ? rows + size : rows;
      const c = left > 2 ? b + size : b;
      const e = left > 3 ? c + size : c;
      found.take(seat, code.four(rows, b, c, e, found.bar(seat)), left > 3 ? 15 : (1 << left) - 1, slot + j);
    }
  }
}

/** Scans the slots that are listed, in ascending order. */
function scanListed<C, R>(
  code: C,
  lists: Lists,
  found: R,
  list: i32,
  listed: usize,
  n: i32,
  from: usize,
  until: usize,
): void {
  const size = <usize>lists.blockBytes;
  const codes = lists.codes;
  for (; from < until; from += 4) {
    const i = load<i32>(from);
    const seat = found.seat(i);
    code.turn(i, list);
    for (let j = 0, step = code.step(); j < n; j += step) {
      const at = listed + ((<usize>j) << 2);
      const left = min(n - j, step);
      const a = codes + <usize>load<u32>(at) * size;
      const b = left > 1 ? codes + <usize>load<u32>(at, 4) * size : a;
      const c = left > 2 ? codes + <usize>load<u32>(at, 8) * size : b;
      const e = left > 3 ? codes + <usize>load<u32>(at, 12) * size : c;
      found.takeListed(seat, code.four(a, b, c, e, found.bar(seat)), min(left, 4), at);
    }
  }
}
