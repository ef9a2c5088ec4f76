// Searches of float rows by their codes (row-codes.ts has what they are, and why a bound by them is true): all rows, or those of chosen
// lists.

import { closeBounds, countAdmitted, openBounds } from "./admitted";
import { takeBelow, takeNear, takeSmallest } from "./candidates";
import { F32 } from "./codes/f32";
import { pairKey } from "./distance";
import { Best } from "./found/best";
import { sumsI32 } from "./lanes";
import { INNER_PRODUCT, L2, NOTHING } from "./metric";
import { groupByList } from "./probes";
import { Lists, Plan } from "./records";
import { sumError, TINY } from "./rounding";
import { LEVELS, quantize, room, up16 } from "./row-codes";
import { centre } from "./rows";
import { TILE_ROWS } from "./scan/all";
import { scanInOrder, scanList, SEAT, WORD } from "./scan/lists";
import { touchRun } from "./scan/touch";
import { heapClear } from "./topk";

/** The largest number in the code of a query, where a product's 32 bits allow it. */
const QUERY_LEVELS: i32 = 8191;
/** Bounds of a query that wait to be looked at, a multiple of TILE_ROWS: those of 16 lists of 40 rows and more. */
const ROOM: i32 = 1024;

/** Where codes of rows are: what rowCodesBytes, meanOfRows and encodeRows were given. */
@unmanaged
export class RowCodes {
  block: usize;
  capacity: i32;
}

/** Bytes of scratch that searchListsCoded and, nlist and nprobe being 1, searchRowsCoded take. */
export function searchCodedScratch(nlist: i32, nq: i32, nprobe: i32, d: i32, k: i32): i32 {
  const queries = nq * (up16(d) * 2 + <i32>offsetof<Seeker>() + SEAT + ROOM * 8);
  const pairs = nlist + 1 + nq * nprobe + 1 + WORD;
  return <i32>offsetof<Scan>() + up16(d) * 4 + queries + k * 8 + pairs * 4;
}

/** What is known of a query. */
@unmanaged
class Seeker {
  /** Of its code: what a whole number stands for, the squared length of the image, what that leaves over. */
  scale: f32;
  norm: f32;
  error: f32;
  /** Its length, and what of the key of an inner product is the same for all rows. */
  length: f32;
  base: f32;
  /** Bounds that wait, how many, and the slots that they are of. */
  waiting: i32;
  bounds: usize;
  slots: usize;
}

/** What a scan is about: one record, so that its parts need not hand on twenty numbers. It stands at the start of the scratch. */
@unmanaged
class Scan {
  plan: Plan;
  lists: Lists;
  found: Best;
  D: i32;
  scales: usize;
  norms: usize;
  errors: usize;
  codes: usize;
  queryCodes: usize;
  seekers: usize;
  nearKeys: usize;
  nearSlots: usize;
  /** Whether rows come in the order of the plain scan, and where equal keys are noted that do not matter then. */
  inOrder: bool;
  noTie: f32;
  /** Address of what the caller needs besides: the pairs of queries and lists. */
  rest: usize;
}

/** Fills the record, encodes the queries and empties their heaps. */
function openScan(rowCodes: RowCodes, plan: Plan, lists: Lists, found: Best): Scan {
  const scratch = plan.scratch;
  const nq = plan.nq;
  const d = plan.d;
  const k = found.k;
  const scan = changetype<Scan>(scratch);
  const D = up16(d);
  const size = (<usize>d) << 2;
  const block = rowCodes.block;
  const capacity = rowCodes.capacity;
  scan.plan = plan;
  scan.lists = lists;
  scan.found = found;
  scan.D = D;
  scan.scales = block + ((<usize>D) << 2);
  scan.norms = scan.scales + (room(capacity) << 2);
  scan.errors = scan.norms + (room(capacity) << 2);
  scan.codes = scan.errors + (room(capacity) << 2);
  const centred = scratch + offsetof<Scan>();
  scan.queryCodes = centred + ((<usize>D) << 2);
  scan.seekers = scan.queryCodes + ((<usize>(nq * D)) << 1);
  const seats = scan.seekers + <usize>nq * offsetof<Seeker>();
  const bounds = seats + <usize>(nq * SEAT);
  scan.nearKeys = bounds + ((<usize>(nq * ROOM)) << 3);
  scan.nearSlots = scan.nearKeys + ((<usize>k) << 2);
  scan.rest = scan.nearSlots + ((<usize>k) << 2);
  found.open(nq, lists.ids, plan.metric, seats);

  const levels = min(QUERY_LEVELS, 0x7fffffff / (LEVELS * D));
  const meanLength = sqrt(-pairKey(block, block, D, INNER_PRODUCT));
  let query = plan.queries;
  memory.fill(centred, 0, (<usize>D) << 2);
  for (let i = 0; i < nq; i++, query += size) {
    const seeker = seekerOf(scan, i);
    centre(query, plan.metric == L2 ? block : 0, size, centred);
    const codes = scan.queryCodes + ((<usize>(i * D)) << 1);
    const facts = changetype<usize>(seeker);
    const square = quantize(centred, D, levels, Infinity, facts, facts + 4, facts + 8, codes, false);
    // Nothing is below a NaN, nor above: all rows are compared.
    if (square < 0) seeker.scale = seeker.norm = f32.NaN;
    const length = sqrt(square);
    seeker.length = length;
    if (plan.metric == INNER_PRODUCT) {
      const product = -pairKey(query, block, d, INNER_PRODUCT);
      seeker.base = -product - <f32>8 * sumError(d) * length * meanLength - TINY;
    }
    seeker.waiting = 0;
    seeker.bounds = bounds + ((<usize>(i * ROOM)) << 3);
    seeker.slots = seeker.bounds + (ROOM << 2);
  }
  return scan;
}

/** Of a tile with fewer admitted rows than one in so many, these are compared without bounds. */
const SPARSE: i32 = 8;


@inline
function seekerOf(scan: Scan, i: i32): Seeker {
  return changetype<Seeker>(scan.seekers + <usize>i * offsetof<Seeker>());
}

/** Bounds the rows of slots first … first + count - 1 for the queries whose numbers stand from `from` to `until`. */
function boundRun(scan: Scan, first: i32, count: i32, from: usize, until: usize): void {
  const admitted = scan.plan.admitted;
  const metric = scan.plan.metric;
  for (let start = 0; start < count; start += TILE_ROWS) {
    const n = min(TILE_ROWS, count - start);
    const slot = first + start;
    const open = admitted == 0 ? n : countAdmitted(admitted, slot, n);
    if (open == 0) continue;
    const places = (n + 3) & ~3;
    for (let pair = from; pair < until; pair += 4) {
      const i = load<i32>(pair);
      if (seekerOf(scan, i).waiting + places > ROOM) takeWaiting(scan, i);
    }
    const bounded = open * SPARSE >= n;
    if (bounded) {
      const codes = scan.codes + <usize>slot * <usize>scan.D;
      touchRun(codes, <usize>n * <usize>scan.D);
      products(scan, codes, n, from, until);
    }
    for (let pair = from; pair < until; pair += 4) {
      const seeker = seekerOf(scan, load<i32>(pair));
      const at = (<usize>seeker.waiting) << 2;
      const lower = seeker.bounds + at;
      if (!bounded) openBounds(lower, n, admitted, slot);
      else {
        if (metric == L2) boundDistances(scan, lower, n, slot, seeker);
        else boundProducts(scan, lower, n, slot, seeker);
        if (open < n) closeBounds(lower, n, admitted, slot);
      }
      let next = i32x4.add(i32x4.splat(slot), i32x4(0, 1, 2, 3));
      for (let to = seeker.slots + at, end = to + ((<usize>places) << 2); to < end; to += 16) {
        v128.store(to, next);
        next = i32x4.add(next, i32x4.splat(4));
      }
      for (let j = n; j < places; j++) store<f32>(lower + ((<usize>j) << 2), Infinity);
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
  const n = seeker.waiting;
  const d = plan.d;
  const metric = plan.metric;
  const query = plan.queries + ((<usize>(i * d)) << 2);
  const rows = scan.lists.codes;
  const k = found.k;
  const keys = found.keys + ((<usize>(i * k)) << 2);
  const slots = found.slots + ((<usize>(i * k)) << 2);
  const ids = scan.lists.ids;
  let tie = found.tieOf(found.seat(i));
  seeker.waiting = 0;
  if (load<f32>(keys) == NOTHING) {
    // The k rows that look nearest nearly settle what is kept.
    heapClear(scan.nearKeys, scan.nearSlots, k);
    takeSmallest(lower, n, scan.nearKeys, scan.nearSlots, k);
    takeNear(lower, scan.nearSlots, map, query, rows, d, metric, keys, slots, k, ids, tie);
  } else if (scan.inOrder) {
    // All these come after all that were compared: what is left out at an equal key is so in the plain scan, too.
    tie = changetype<usize>(scan) + offsetof<Scan>("noTie");
  }
  takeBelow(lower, n, map, query, rows, d, metric, keys, slots, k, ids, tie);
}

/**
 * The products of the codes of some queries, from..until being their numbers, with those of n rows: behind the bounds that wait.
 *
 *     query   | 8 i16 |      | 8 i16 |
 *                x              x              two queries and four rows at a time: eight accumulators
 *     row     | 8 i8  |  ->  | 8 i16 |  ->  i32x4.dot_i16x8_s: pairs added, four sums of 32 bits a pair of query and row
 *
 * A row's code is widened once for both. On a Zen 5 core this makes 33 G multiply-adds/s at the median and 39 at best, the tile of
 * floats in distance.ts 24; two steps of the loop at a time make 28.
 */
function products(scan: Scan, codes: usize, n: i32, from: usize, until: usize): void {
  const D = <usize>scan.D;
  const size = D << 1;
  for (let j = 0; j < n; j += 4, codes += D << 2) {
    const left = n - j;
    const row1 = left > 1 ? codes + D : codes;
    const row2 = left > 2 ? row1 + D : row1;
    const row3 = left > 3 ? row2 + D : row2;
    const at = (<usize>j) << 2;
    for (let pair = from; pair < until; pair += 8) {
      const i = load<i32>(pair);
      let x = scan.queryCodes + <usize>i * size;
      const out = outOf(scan, i) + at;
      const end = x + size;
      let a = codes;
      let b = row1;
      let c = row2;
      let e = row3;
      let s00 = i32x4.splat(0);
      let s01 = s00;
      let s02 = s00;
      let s03 = s00;
      if (pair + 4 == until) {
        // Two products are added before they go to the sum: chains half as long, and 28 in place of 24 G multiply-adds/s.
        for (; x < end; x += 32, a += 16, b += 16, c += 16, e += 16) {
          const u = v128.load(x);
          const v = v128.load(x, 16);
          s00 = i32x4.add(s00, dotTwice(u, v, a));
          s01 = i32x4.add(s01, dotTwice(u, v, b));
          s02 = i32x4.add(s02, dotTwice(u, v, c));
          s03 = i32x4.add(s03, dotTwice(u, v, e));
        }
        v128.store(out, sumsI32(s00, s01, s02, s03));
        break;
      }
      const other = load<i32>(pair, 4);
      let y = scan.queryCodes + <usize>other * size;
      let s10 = s00;
      let s11 = s00;
      let s12 = s00;
      let s13 = s00;
      for (; x < end; x += 16, y += 16, a += 8, b += 8, c += 8, e += 8) {
        const u = v128.load(x);
        const v = v128.load(y);
        let w = v128.load8x8_s(a);
        s00 = i32x4.add(s00, i32x4.dot_i16x8_s(u, w));
        s10 = i32x4.add(s10, i32x4.dot_i16x8_s(v, w));
        w = v128.load8x8_s(b);
        s01 = i32x4.add(s01, i32x4.dot_i16x8_s(u, w));
        s11 = i32x4.add(s11, i32x4.dot_i16x8_s(v, w));
        w = v128.load8x8_s(c);
        s02 = i32x4.add(s02, i32x4.dot_i16x8_s(u, w));
        s12 = i32x4.add(s12, i32x4.dot_i16x8_s(v, w));
        w = v128.load8x8_s(e);
        s03 = i32x4.add(s03, i32x4.dot_i16x8_s(u, w));
        s13 = i32x4.add(s13, i32x4.dot_i16x8_s(v, w));
      }
      v128.store(out, sumsI32(s00, s01, s02, s03));
      v128.store(outOf(scan, other) + at, sumsI32(s10, s11, s12, s13));
    }
  }
}

/** Where the next bounds of query i go. */
@inline
function outOf(scan: Scan, i: i32): usize {
  const seeker = seekerOf(scan, i);
  return seeker.bounds + ((<usize>seeker.waiting) << 2);
}

/** The products of sixteen numbers of a query with those of a row, added up to four. */
@inline
function dotTwice(u: v128, v: v128, codes: usize): v128 {
  return i32x4.add(i32x4.dot_i16x8_s(u, v128.load8x8_s(codes)), i32x4.dot_i16x8_s(v, v128.load8x8_s(codes, 8)));
}

/** Turns products of codes into lower bounds of the squared distance. */
function boundDistances(scan: Scan, tile: usize, n: i32, slot: i32, seeker: Seeker): void {
  const slack = <f32>4 * sumError(scan.plan.d);
  const twice = f32x4.splat(2 * seeker.scale);
  const norm = f32x4.splat(seeker.norm);
  const error = f32x4.splat(seeker.error);
  const shrink = f32x4.splat(1 - 2 * slack);
  const tiny = f32x4.splat(TINY);
  const zero = f32x4.splat(0);
  const delta = (<usize>slot) << 2;
  let scales = scan.scales + delta;
  let norms = scan.norms + delta;
  let errors = scan.errors + delta;
  for (let end = tile + ((<usize>n) << 2); tile < end; tile += 16, scales += 16, norms += 16, errors += 16) {
    const product = f32x4.mul(f32x4.convert_i32x4_s(v128.load(tile)), f32x4.mul(twice, v128.load(scales)));
    const square = f32x4.sub(f32x4.mul(f32x4.add(norm, v128.load(norms)), shrink), product);
    // pmax takes its first operand where that is NaN.
    const images = f32x4.sqrt(f32x4.pmax(square, zero));
    const least = f32x4.pmax(f32x4.sub(images, f32x4.add(error, v128.load(errors))), zero);
    v128.store(tile, f32x4.sub(f32x4.mul(f32x4.mul(least, least), shrink), tiny));
  }
}

/** Turns products of codes into lower bounds of the key of an inner product. */
function boundProducts(scan: Scan, tile: usize, n: i32, slot: i32, seeker: Seeker): void {
  const length = seeker.length;
  const scale = f32x4.splat(seeker.scale);
  const lengths = f32x4.splat(length);
  const off = f32x4.splat(seeker.error + <f32>8 * sumError(scan.plan.d) * length);
  const base = f32x4.splat(seeker.base);
  const delta = (<usize>slot) << 2;
  let scales = scan.scales + delta;
  let norms = scan.norms + delta;
  let errors = scan.errors + delta;
  for (let end = tile + ((<usize>n) << 2); tile < end; tile += 16, scales += 16, norms += 16, errors += 16) {
    const product = f32x4.mul(f32x4.convert_i32x4_s(v128.load(tile)), f32x4.mul(scale, v128.load(scales)));
    const error = v128.load(errors);
    const row = f32x4.add(f32x4.sqrt(v128.load(norms)), error);
    const least = f32x4.add(f32x4.mul(lengths, error), f32x4.mul(off, row));
    v128.store(tile, f32x4.sub(f32x4.sub(base, product), least));
  }
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
