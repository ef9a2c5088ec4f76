// Searches of float rows by their codes (row-codes.ts has what they are, and why a bound by them is true): all rows, or those of chosen
// lists.

import { closeBounds, countAdmitted, openBounds } from "./admitted";
import { takeBelow, takeNear, takeSmallest } from "./candidates";
import { F32 } from "./codes/f32";
import { pairKey } from "./distance";
import { Best } from "./found/best";
import { sumsI32 } from "./lanes";
import { slackOf } from "./heads";
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
import { boundKeys, headsOf, lengthsOf, makeQueryHeads, QUERY_LENGTH, QueryHead, sizeOf } from "./whole-heads";
import { AT_ONCE, HEADER, wholeProducts } from "./whole-rows";

/** The largest number in the code of a query, where a product's 32 bits allow it. */
const QUERY_LEVELS: i32 = 8191;
/** Bounds of a query that wait to be looked at, a multiple of TILE_ROWS: those of 16 lists of 40 rows and more. */
const ROOM: i32 = 1024;
/** Numbers in a head of a row, at most. */
const MOST_HEAD: i32 = 64;

/** Where codes of rows are: what rowCodesBytes, meanOfRows and encodeRows were given. */
@unmanaged
export class RowCodes {
  block: usize;
  capacity: i32;
  /** Heads of the same rows (whole-heads.ts) with the codes' mean, or 0. */
  heads: usize;
}

/** Bytes of scratch that searchListsCoded and, nlist and nprobe being 1, searchRowsCoded take. */
export function searchCodedScratch(nlist: i32, nq: i32, nprobe: i32, d: i32, k: i32): i32 {
  const queries = nq * (up16(d) * 2 + MOST_HEAD * 6 + <i32>offsetof<Seeker>() + SEAT + (ROOM * 2 + AT_ONCE) * 4);
  const pairs = nlist + 1 + nq * nprobe + 1 + WORD;
  return <i32>offsetof<Scan>() + up16(d) * 4 + queries + k * 8 + 48 + pairs * 4;
}

/** What is known of a query, of its code and, where rows have heads, of its head. */
@unmanaged
class Seeker extends QueryHead {
  /** What of the key of an inner product is the same for all rows. */
  constant: f32;
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
  /** Numbers in a head, 0 where rows have none; where heads and lengths of rows, and heads of queries are; what is left of lengths. */
  m: i32;
  heads: usize;
  lengths: usize;
  queryHeads: usize;
  shrink: f32;
  nearKeys: usize;
  nearSlots: usize;
  /** What is known of the codes of four rows: 12 f32. */
  gathered: usize;
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
  scan.queryHeads = seats + <usize>(nq * SEAT);
  const headScratch = scan.queryHeads + ((<usize>(nq * MOST_HEAD)) << 1);
  const bounds = headScratch + ((<usize>(nq * MOST_HEAD)) << 2);
  const room: usize = (ROOM * 2 + AT_ONCE) * 4;
  scan.nearKeys = bounds + <usize>nq * room;
  scan.nearSlots = scan.nearKeys + ((<usize>k) << 2);
  scan.gathered = scan.nearSlots + ((<usize>k) << 2);
  scan.rest = scan.gathered + 48;
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
    const square = quantize(centred, D, levels, QUERY_LENGTH, facts, facts + 4, facts + 8, codes, false);
    // Nothing is below a NaN, nor above: all rows are compared.
    if (square < 0) seeker.scale = seeker.norm = f32.NaN;
    seeker.square = square;
    if (plan.metric == INNER_PRODUCT) {
      const product = -pairKey(query, block, d, INNER_PRODUCT);
      seeker.constant = -product - <f32>8 * sumError(d) * sqrt(square) * meanLength - TINY;
    }
    seeker.waiting = 0;
    seeker.bounds = bounds + <usize>i * room;
    seeker.slots = seeker.bounds + ((ROOM + AT_ONCE) << 2);
  }
  const heads = rowCodes.heads;
  scan.m = 0;
  if (heads != 0) {
    scan.m = sizeOf(heads);
    scan.heads = headsOf(heads, d, capacity);
    scan.lengths = lengthsOf(heads, d);
    scan.shrink = plan.metric == L2 ? 1 - slackOf(heads) : 0;
    const worth = load<f32>(scan.heads);
    const step = offsetof<Seeker>();
    makeQueryHeads(
      plan.queries,
      nq,
      d,
      plan.metric,
      heads,
      worth,
      scan.seekers,
      step,
      scan.queryCodes,
      headScratch,
      scan.queryHeads,
    );
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
      touchRun(codes, <usize>n * <usize>scan.D);
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
          const own = (<usize>slot) << 2;
          boundCodes(scan, lower, n, scan.scales + own, scan.norms + own, scan.errors + own, seeker);
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

/** The products of the heads of some queries with those of n rows, whole blocks: behind the bounds that wait. */
function headProducts(scan: Scan, slot: i32, n: i32, from: usize, until: usize): void {
  const size = (<usize>scan.m) << 1;
  const heads = scan.heads + HEADER + <usize>slot * size;
  touchRun(heads, <usize>n * size);
  for (; from < until; from += 8) {
    const i = load<i32>(from);
    const x = scan.queryHeads + <usize>i * size;
    if (from + 4 == until) wholeProducts(x, 0, scan.m, heads, n >> 2, outOf(scan, i), 0);
    else {
      const other = load<i32>(from, 4);
      const y = scan.queryHeads + <usize>other * size;
      wholeProducts(x, y, scan.m, heads, n >> 2, outOf(scan, i), outOf(scan, other));
    }
  }
}

/**
 * Replaces those bounds by heads that are not above `worst` by bounds by codes, and forgets the others. Returns how many there are, but
 * for up to three that are infinite.
 */
function sharpen(scan: Scan, i: i32, worst: f32): i32 {
  const seeker = seekerOf(scan, i);
  const lower = seeker.bounds;
  const map = seeker.slots;
  const D = <usize>scan.D;
  const query = scan.queryCodes + <usize>i * (D << 1);
  const most = f32x4.splat(worst);
  let kept = 0;
  for (let j = 0; j < seeker.waiting; j += 4) {
    let open = 15 & ~i32x4.bitmask(f32x4.gt(v128.load(lower + ((<usize>j) << 2)), most));
    for (; open != 0; open &= open - 1) {
      store<i32>(map + ((<usize>kept) << 2), load<i32>(map + ((<usize>(j + ctz(open))) << 2)));
      kept++;
    }
  }
  const codes = scan.codes;
  const facts = scan.gathered;
  for (let j = 0; j < kept; j += 4) {
    const at = map + ((<usize>j) << 2);
    const left = kept - j;
    const a = load<i32>(at);
    const b = left > 1 ? load<i32>(at, 4) : a;
    const c = left > 2 ? load<i32>(at, 8) : a;
    const e = left > 3 ? load<i32>(at, 12) : a;
    const out = lower + ((<usize>j) << 2);
    const product = fourProducts(
      query,
      D,
      codes + <usize>a * D,
      codes + <usize>b * D,
      codes + <usize>c * D,
      codes + <usize>e * D,
    );
    v128.store(out, product);
    for (let lane: usize = 0; lane < 16; lane += 4) {
      const own = (<usize>(lane == 0 ? a : lane == 4 ? b : lane == 8 ? c : e)) << 2;
      store<f32>(facts + lane, load<f32>(scan.scales + own));
      store<f32>(facts + lane, load<f32>(scan.norms + own), 16);
      store<f32>(facts + lane, load<f32>(scan.errors + own), 32);
    }
    boundCodes(scan, out, 4, facts, facts + 16, facts + 32, seeker);
    for (let lane = left; lane < 4; lane++) store<f32>(out + ((<usize>lane) << 2), Infinity);
  }
  return (kept + 3) & ~3;
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
  // The k rows that look nearest nearly settle what is kept: by their heads at first, then by their codes.
  for (let byCodes = scan.m == 0; ; byCodes = true) {
    if (fresh) {
      heapClear(scan.nearKeys, scan.nearSlots, k);
      takeSmallest(lower, n, scan.nearKeys, scan.nearSlots, k);
      takeNear(lower, scan.nearKeys, scan.nearSlots, map, query, rows, d, metric, keys, slots, k, ids, tie);
    }
    if (byCodes) break;
    n = sharpen(scan, i, load<f32>(keys));
  }
  seeker.waiting = 0;
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
      if (pair + 4 == until) {
        v128.store(out, fourProducts(x, D, codes, row1, row2, row3));
        break;
      }
      const other = load<i32>(pair, 4);
      let y = scan.queryCodes + <usize>other * size;
      const end = x + size;
      let a = codes;
      let b = row1;
      let c = row2;
      let e = row3;
      let s00 = i32x4.splat(0);
      let s01 = s00;
      let s02 = s00;
      let s03 = s00;
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

/**
 * The products of the code of one query with those of four rows. Two products are added before they go to the sum: chains half as long, and
 * 28 in place of 24 G multiply-adds/s.
 */
function fourProducts(x: usize, D: usize, a: usize, b: usize, c: usize, e: usize): v128 {
  let s0 = i32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  for (const end = x + (D << 1); x < end; x += 32, a += 16, b += 16, c += 16, e += 16) {
    const u = v128.load(x);
    const v = v128.load(x, 16);
    s0 = i32x4.add(s0, dotTwice(u, v, a));
    s1 = i32x4.add(s1, dotTwice(u, v, b));
    s2 = i32x4.add(s2, dotTwice(u, v, c));
    s3 = i32x4.add(s3, dotTwice(u, v, e));
  }
  return sumsI32(s0, s1, s2, s3);
}

/** The products of sixteen numbers of a query with those of a row, added up to four. */
@inline
function dotTwice(u: v128, v: v128, codes: usize): v128 {
  return i32x4.add(i32x4.dot_i16x8_s(u, v128.load8x8_s(codes)), i32x4.dot_i16x8_s(v, v128.load8x8_s(codes, 8)));
}

/** Turns products of codes into lower bounds of keys. */
function boundCodes(scan: Scan, tile: usize, n: i32, scales: usize, norms: usize, errors: usize, seeker: Seeker): void {
  const g = <f32>8 * sumError(scan.plan.d);
  const scale = f32x4.splat(seeker.scale);
  const error = f32x4.splat(seeker.error);
  const tiny = f32x4.splat(TINY);
  const zero = f32x4.splat(0);
  if (scan.plan.metric == L2) {
    const shrink = f32x4.splat(1 - g);
    const norm = f32x4.splat(seeker.norm);
    for (const end = tile + ((<usize>n) << 2); tile < end; tile += 16, scales += 16, norms += 16, errors += 16) {
      const product = f32x4.mul(f32x4.convert_i32x4_s(v128.load(tile)), f32x4.mul(scale, v128.load(scales)));
      const both = f32x4.mul(f32x4.add(norm, v128.load(norms)), shrink);
      // pmax takes its first operand where that is NaN.
      const images = f32x4.sqrt(f32x4.pmax(f32x4.sub(both, f32x4.add(product, product)), zero));
      const least = f32x4.pmax(f32x4.sub(images, f32x4.add(error, v128.load(errors))), zero);
      v128.store(tile, f32x4.sub(f32x4.mul(f32x4.mul(least, least), shrink), tiny));
    }
    return;
  }
  const length = sqrt(seeker.square);
  const lengths = f32x4.splat(length);
  const off = f32x4.splat(seeker.error + g * length);
  const constant = f32x4.splat(seeker.constant);
  for (const end = tile + ((<usize>n) << 2); tile < end; tile += 16, scales += 16, norms += 16, errors += 16) {
    const product = f32x4.mul(f32x4.convert_i32x4_s(v128.load(tile)), f32x4.mul(scale, v128.load(scales)));
    const error = v128.load(errors);
    const row = f32x4.add(f32x4.sqrt(v128.load(norms)), error);
    const least = f32x4.add(f32x4.mul(lengths, error), f32x4.mul(off, row));
    v128.store(tile, f32x4.sub(f32x4.sub(constant, product), least));
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
