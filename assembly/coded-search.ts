// Searches of float rows by their codes and heads: all rows, or those of chosen lists.

import { closeBounds, countAdmitted, openBounds } from "./admitted";
import { limitOf, takeBelow } from "./candidates";
import { F32 } from "./codes/f32";
import { boundCodes, headProducts, products, sharpen } from "./coded-bounds";
import { openScan, ROOM, Scan, seekerOf } from "./coded-scan";
import { Best } from "./found/best";
import { NOTHING } from "./metric";
import { groupByList } from "./probes";
import { Lists, Plan } from "./records";
import { RowCodes } from "./row-codes";
import { TILE_ROWS } from "./scan/all";
import { scanInOrder, scanList } from "./scan/lists";
import { touchRun } from "./scan/touch";
import { boundKeys } from "./whole-heads";

/** Of a tile with fewer admitted rows than one in so many, these are compared without bounds. */
const SPARSE: i32 = 8;

/** Bounds the rows of slots first … first + count - 1 for the queries whose numbers stand from `from` to `until`. */
function boundRun(scan: Scan, first: i32, count: i32, from: usize, until: usize): void {
  const admitted = scan.plan.admitted;
  const metric = scan.plan.metric;
  for (let start = 0; start < count; start += TILE_ROWS) {
    const n = min(TILE_ROWS, count - start);
    const slot = first + start;
    const open = admitted == 0 ? n : countAdmitted(admitted, slot, n);
    if (open == 0) continue;
    // Heads are read from the start of a block on.
    const lead = scan.m == 0 ? 0 : slot & 3;
    const before = (<usize>lead) << 2;
    const places = (lead + n + 3) & ~3;
    for (let pair = from; pair < until; pair += 4) {
      const i = load<i32>(pair);
      if (seekerOf(scan, i).waiting + places > ROOM) takeWaiting(scan, i);
    }
    const bounded = open * SPARSE >= n;
    if (bounded && scan.m == 0) {
      const codes = scan.codes + <usize>slot * <usize>scan.D;
      for (let j = 0; j < n; j++) touchRun(codes + <usize>j * <usize>scan.D, scan.part);
      products(scan, codes, n, from, until);
    } else if (bounded) {
      headProducts(scan, slot - lead, places, from, until);
    }
    for (let pair = from; pair < until; pair += 4) {
      const seeker = seekerOf(scan, load<i32>(pair));
      const at = (<usize>seeker.waiting) << 2;
      const lower = seeker.bounds + at;
      if (!bounded) openBounds(lower + before, n, admitted, slot);
      else {
        if (scan.m == 0) {
          boundCodes(scan, lower, n, scan.facts + ((<usize>slot) << 2), scan.stride, seeker);
        } else boundKeys(lower, places, scan.lengths + ((<usize>(slot - lead)) << 2), scan.shrink, seeker);
        if (open < n) closeBounds(lower + before, n, admitted, slot);
      }
      let next = i32x4.add(i32x4.splat(slot - lead), i32x4(0, 1, 2, 3));
      for (let to = seeker.slots + at, end = to + ((<usize>places) << 2); to < end; to += 16) {
        v128.store(to, next);
        next = i32x4.add(next, i32x4.splat(4));
      }
      for (let j = 0; j < lead; j++) store<f32>(lower + ((<usize>j) << 2), Infinity);
      for (let j = lead + n; j < places; j++) store<f32>(lower + ((<usize>j) << 2), Infinity);
      seeker.waiting += places;
    }
  }
}

/** Compares the rows of query i that wait, as far as their bounds let them through. */
function takeWaiting(scan: Scan, i: i32): void {
  const plan = scan.plan;
  const found = scan.found;
  const seeker = seekerOf(scan, i);
  const lower = seeker.bounds;
  const map = seeker.slots;
  let n = seeker.waiting;
  const d = plan.d;
  const metric = plan.metric;
  const query = plan.queries + ((<usize>(i * d)) << 2);
  const rows = scan.lists.codes;
  const k = found.k;
  const keys = found.keys + ((<usize>(i * k)) << 2);
  const slots = found.slots + ((<usize>(i * k)) << 2);
  const ids = scan.lists.ids;
  let tie = found.tieOf(found.seat(i));
  const fresh = load<f32>(keys) == NOTHING;
  if (!fresh && scan.inOrder) {
    // All these come after all that were compared: what is left out at an equal key is so in the plain scan, too.
    tie = changetype<usize>(scan) + offsetof<Scan>("noTie");
  }
  // The k rows that look nearest nearly settle what is kept: by their heads or parts of codes at first, then by their codes.
  for (let byCodes = scan.m == 0 && scan.part == scan.D; ; byCodes = true) {
    if (fresh) {
      const near = limitOf(lower, n, k, scan.least);
      takeBelow(lower, n, map, query, rows, d, metric, keys, slots, k, ids, tie, near);
    }
    if (byCodes) break;
    n = sharpen(scan, i, load<f32>(keys));
  }
  seeker.waiting = 0;
  takeBelow(lower, n, map, query, rows, d, metric, keys, slots, k, ids, tie, Infinity);
}

/**
 * As searchRows, by the codes that encodeRows made of the same rows: the same results to the last bit. It pays where k is small
 * beside n. code: a record of F32.
 */
export function searchRowsCoded(code: usize, rowCodes: usize, plan: usize, lists: usize, found: usize): void {
  const p = changetype<Plan>(plan);
  const scan = openScan(changetype<RowCodes>(rowCodes), p, changetype<Lists>(lists), changetype<Best>(found));
  const pairs = scan.rest;
  for (let i = 0; i < p.nq; i++) store<i32>(pairs + ((<usize>i) << 2), i);
  scan.inOrder = true;
  boundRun(scan, 0, load<i32>(scan.lists.sizes), pairs, pairs + ((<usize>p.nq) << 2));
  closeScan(scan, changetype<F32>(code), pairs, true);
}

/**
 * As scanF32Best without limits (atLeast = nprobe, maxCodes = 0), by the codes that encodeRows made of the lists' rows: the same
 * results to the last bit. code: a record of F32.
 *
 * First each query's nearest list, which nearly settles how far its neighbours are; then all other lists, one after the other, each
 * for all queries that want it. The order decides only between equal keys at the cut: a query that sees such keys is scanned again.
 */
export function searchListsCoded(code: usize, rowCodes: usize, plan: usize, lists: usize, found: usize): void {
  codedLists(
    changetype<F32>(code),
    changetype<RowCodes>(rowCodes),
    changetype<Plan>(plan),
    changetype<Lists>(lists),
    changetype<Best>(found),
  );
}

function codedLists(code: F32, rowCodes: RowCodes, plan: Plan, lists: Lists, found: Best): void {
  const scan = openScan(rowCodes, plan, lists, found);
  const nlist = lists.nlist;
  const nprobe = plan.nprobe;
  const places = scan.rest;
  const pairs = places + ((<usize>(nlist + 1)) << 2);
  scan.inOrder = plan.nq == 1;
  if (plan.nq == 1) {
    // One query takes its lists as they come: no two tables of all lists are made for sixteen of them.
    store<i32>(pairs, 0);
    for (let p = 0; p < nprobe; p++) {
      const list = load<i32>(plan.probes + ((<usize>p) << 2));
      if (list < 0) break;
      const at = (<usize>list) << 2;
      boundRun(scan, load<i32>(lists.starts + at), load<i32>(lists.sizes + at), pairs, pairs + 4);
    }
  } else {
    for (let pass = 0; pass < (nprobe > 1 ? 2 : 1); pass++) {
      groupByList(plan.probes, plan.nq, nprobe, pass, pass == 0 ? 1 : nprobe, nlist, places, pairs);
      let from = pairs;
      for (let list = 0; list < nlist; list++) {
        const at = (<usize>list) << 2;
        const until = pairs + ((<usize>load<i32>(places + at)) << 2);
        if (from == until) continue;
        boundRun(scan, load<i32>(lists.starts + at), load<i32>(lists.sizes + at), from, until);
        from = until;
      }
    }
  }
  closeScan(scan, code, pairs, false);
}

/** Compares what waits, answers queries anew for which the order of equal keys has decided, and sorts what is found. */
function closeScan(scan: Scan, code: F32, pairs: usize, all: bool): void {
  const plan = scan.plan;
  const lists = scan.lists;
  const found = scan.found;
  code.open(plan, lists, 0);
  for (let i = 0; i < plan.nq; i++) {
    takeWaiting(scan, i);
    const seat = found.seat(i);
    if (found.isTied(seat)) {
      found.restart(seat);
      if (all) {
        store<i32>(pairs, i);
        scanList<F32, Best>(code, plan, lists, found, 0, load<i32>(lists.sizes), pairs, pairs + 4, pairs + 4);
      } else scanInOrder<F32, Best>(code, plan, lists, found, i, pairs, pairs + 4);
    }
    found.close(seat);
  }
}
