// Searches of float rows by their codes (row-codes.ts has what they are, and why a bound by them is true): all rows, or those of chosen
// lists.

import { closeBounds, countAdmitted, openBounds } from "./admitted";
import { largestKey, takeBelow, takeSmallest } from "./candidates";
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
import { scanInOrder, SEAT, WORD } from "./scan/lists";
import { touchRun } from "./scan/touch";
import { heapClear } from "./topk";

/** The largest number in the code of a query, where a product's 32 bits allow it. */
const QUERY_LEVELS: i32 = 8191;
/** Numbers that are known of a query: scale, squared length of the image, error, length, base. */
const FACTS: usize = 5;

/** Where codes of rows are: what rowCodesBytes, meanOfRows and encodeRows were given. */
@unmanaged
export class RowCodes {
  block: usize;
  capacity: i32;
}

/** Bytes of scratch that searchListsCoded and, nlist and nprobe being 1, searchRowsCoded take. */
export function searchCodedScratch(nlist: i32, nq: i32, nprobe: i32, d: i32, k: i32): i32 {
  const queries = nq * (up16(d) * 2 + <i32>FACTS * 4 + SEAT);
  const pairs = nlist + 1 + nq * nprobe + 1 + WORD;
  return <i32>offsetof<Scan>() + up16(d) * 4 + queries + nq * TILE_ROWS * 4 + k * 8 + pairs * 4;
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
  facts: usize;
  tile: usize;
  nearKeys: usize;
  nearSlots: usize;
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
  scan.facts = scan.queryCodes + ((<usize>(nq * D)) << 1);
  const seats = scan.facts + <usize>nq * (FACTS << 2);
  scan.tile = seats + <usize>(nq * SEAT);
  scan.nearKeys = scan.tile + ((<usize>(nq * TILE_ROWS)) << 2);
  scan.nearSlots = scan.nearKeys + ((<usize>k) << 2);
  scan.rest = scan.nearSlots + ((<usize>k) << 2);
  found.open(nq, lists.ids, plan.metric, seats);

  const levels = min(QUERY_LEVELS, 0x7fffffff / (LEVELS * D));
  const meanLength = sqrt(-pairKey(block, block, D, INNER_PRODUCT));
  let query = plan.queries;
  memory.fill(centred, 0, (<usize>D) << 2);
  for (let i = 0; i < nq; i++, query += size) {
    const facts = scan.facts + <usize>i * (FACTS << 2);
    centre(query, plan.metric == L2 ? block : 0, size, centred);
    const codes = scan.queryCodes + ((<usize>(i * D)) << 1);
    if (quantize(centred, D, levels, Infinity, facts, facts + 4, facts + 8, codes, false) < 0) {
      // Nothing is below a NaN, nor above: all rows are compared.
      store<f32>(facts, f32.NaN);
      store<f32>(facts, f32.NaN, 4);
    }
    const length = sqrt(-pairKey(centred, centred, D, INNER_PRODUCT));
    store<f32>(facts, length, 12);
    if (plan.metric == INNER_PRODUCT) {
      const product = -pairKey(query, block, d, INNER_PRODUCT);
      store<f32>(facts, -product - <f32>8 * sumError(d) * length * meanLength - TINY, 16);
    }
  }
  return scan;
}

/** Of a tile with fewer admitted rows than one in so many, these are compared without bounds. */
const SPARSE: i32 = 8;

/** Offers the rows of slots first … first + count - 1 to the heaps of the queries whose numbers stand from `from` to `until`. */
function scanRun(scan: Scan, first: i32, count: i32, from: usize, until: usize, inOrder: bool): void {
  const plan = scan.plan;
  const found = scan.found;
  const d = plan.d;
  const metric = plan.metric;
  const size = (<usize>d) << 2;
  const k = found.k;
  for (let start = 0; start < count; start += TILE_ROWS) {
    const n = min(TILE_ROWS, count - start);
    const slot = first + start;
    const open = plan.admitted == 0 ? n : countAdmitted(plan.admitted, slot, n);
    if (open == 0) continue;
    const bounded = open * SPARSE >= n;
    if (bounded) {
      const codes = scan.codes + <usize>slot * <usize>scan.D;
      touchRun(codes, <usize>n * <usize>scan.D);
      products(scan, codes, n, from, until);
    }
    let lower = scan.tile;
    for (let pair = from; pair < until; pair += 4, lower += TILE_ROWS << 2) {
      const i = load<i32>(pair);
      const facts = scan.facts + <usize>i * (FACTS << 2);
      if (!bounded) openBounds(lower, n, plan.admitted, slot);
      else {
        if (metric == L2) boundDistances(scan, lower, n, slot, facts);
        else boundProducts(scan, lower, n, slot, facts);
        // Before the limit is taken: a row that may not be found must not make it.
        if (open < n) closeBounds(lower, n, plan.admitted, slot);
      }
      const query = plan.queries + <usize>i * size;
      const rows = scan.lists.codes + <usize>(<u32>slot) * size;
      const heap = (<usize>(i * k)) << 2;
      const keys = found.keys + heap;
      const slots = found.slots + heap;
      let limit: f32 = Infinity;
      if (bounded && load<f32>(keys) == NOTHING) {
        // The k rows that look nearest give a distance that k rows surely keep.
        heapClear(scan.nearKeys, scan.nearSlots, k);
        takeSmallest(lower, n, scan.nearKeys, scan.nearSlots, k);
        limit = largestKey(query, rows, d, metric, scan.nearSlots, k);
      }
      const tie: usize = inOrder ? 0 : found.tieOf(found.seat(i));
      takeBelow(lower, n, limit, query, rows, d, metric, slot, keys, slots, k, scan.lists.ids, tie);
    }
  }
}

/**
 * The products of the codes of some queries, from..until being their numbers, with those of n rows: into the tile, TILE_ROWS a query.
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
    let out = scan.tile + ((<usize>j) << 2);
    for (let pair = from; pair < until; pair += 8, out += TILE_ROWS << 3) {
      let x = scan.queryCodes + <usize>load<i32>(pair) * size;
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
      let y = scan.queryCodes + <usize>load<i32>(pair, 4) * size;
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
      v128.store(out + (TILE_ROWS << 2), sumsI32(s10, s11, s12, s13));
    }
  }
}

/** The products of sixteen numbers of a query with those of a row, added up to four. */
@inline
function dotTwice(u: v128, v: v128, codes: usize): v128 {
  return i32x4.add(i32x4.dot_i16x8_s(u, v128.load8x8_s(codes)), i32x4.dot_i16x8_s(v, v128.load8x8_s(codes, 8)));
}

/** Turns products of codes into lower bounds of the squared distance. */
function boundDistances(scan: Scan, tile: usize, n: i32, slot: i32, facts: usize): void {
  const slack = <f32>4 * sumError(scan.plan.d);
  const twice = f32x4.splat(2 * load<f32>(facts));
  const norm = f32x4.splat(load<f32>(facts, 4));
  const error = f32x4.splat(load<f32>(facts, 8));
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
function boundProducts(scan: Scan, tile: usize, n: i32, slot: i32, facts: usize): void {
  const length = load<f32>(facts, 12);
  const scale = f32x4.splat(load<f32>(facts));
  const lengths = f32x4.splat(length);
  const off = f32x4.splat(load<f32>(facts, 8) + <f32>8 * sumError(scan.plan.d) * length);
  const base = f32x4.splat(load<f32>(facts, 16));
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
 * beside n.
 */
export function searchRowsCoded(rowCodes: usize, plan: usize, lists: usize, found: usize): void {
  const p = changetype<Plan>(plan);
  const best = changetype<Best>(found);
  const scan = openScan(changetype<RowCodes>(rowCodes), p, changetype<Lists>(lists), best);
  const pairs = scan.rest;
  for (let i = 0; i < p.nq; i++) store<i32>(pairs + ((<usize>i) << 2), i);
  scanRun(scan, 0, load<i32>(scan.lists.sizes), pairs, pairs + ((<usize>p.nq) << 2), true);
  for (let i = 0; i < p.nq; i++) best.close(best.seat(i));
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
  if (plan.nq == 1) {
    // One query takes its lists as they come, which is in order: no two tables of all lists are made for sixteen of them.
    store<i32>(pairs, 0);
    for (let p = 0; p < nprobe; p++) {
      const list = load<i32>(plan.probes + ((<usize>p) << 2));
      if (list < 0) break;
      const at = (<usize>list) << 2;
      scanRun(scan, load<i32>(lists.starts + at), load<i32>(lists.sizes + at), pairs, pairs + 4, true);
    }
    found.close(found.seat(0));
    return;
  }
  for (let pass = 0; pass < (nprobe > 1 ? 2 : 1); pass++) {
    groupByList(plan.probes, plan.nq, nprobe, pass, pass == 0 ? 1 : nprobe, nlist, places, pairs);
    let from = pairs;
    for (let list = 0; list < nlist; list++) {
      const at = (<usize>list) << 2;
      const until = pairs + ((<usize>load<i32>(places + at)) << 2);
      if (from == until) continue;
      scanRun(scan, load<i32>(lists.starts + at), load<i32>(lists.sizes + at), from, until, false);
      from = until;
    }
  }
  code.open(plan, lists, 0);
  for (let i = 0; i < plan.nq; i++) {
    const seat = found.seat(i);
    if (found.isTied(seat)) {
      found.restart(seat);
      scanInOrder<F32, Best>(code, plan, lists, found, i, pairs, pairs + 4);
    }
    found.close(seat);
  }
}
