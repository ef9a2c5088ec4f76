// FastScan: 4-bit codes scanned with look-up tables that sit in a register (Andre, Kermarrec, Le Scouarnec, 2015; faiss' layout).
//
// A table entry is 8 bits wide, a sum of entries 16. Vectors lie in blocks of `bbs` (a multiple of 32); in a block, for each pair
// of sub-quantizers, each group of 32 vectors has 32 bytes:
//
//     byte j of the first 16     | low nibble: vector p(j) | high nibble: vector p(j) + 16 |   first sub-quantizer of the pair
//     byte j of the last 16      | the same                                              |   second
//     p = 0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15
//
// so that the even bytes of a register belong to vectors 0 … 7 and the odd ones to 8 … 15, and sums need no shuffle. A table
// of 8-bit entries is 16 bytes of 15 (a mask: see scanBlocks), then 16 entries for each sub-quantizer.

import { pairKey } from "./distance";
import { Best } from "./found/best";
import { Within } from "./found/within";
import { lookUp } from "./lanes";
import { INNER_PRODUCT, L2, NOTHING } from "./metric";
import { emptyPool, poolSize, pour } from "./pool";
import { lookUpTable, spreadMax, spreadMin } from "./pq";
import { Lists, Plan } from "./records";
import { EPSILON } from "./rounding";
import { heapClear, heapReplace, sortEntries, sortHeap } from "./topk";

/** Centroids of a sub-quantizer, and entries of its part of a table. */
const K: i32 = 16;
/** Vectors whose sums one step of the kernel makes. */
const GROUP: i32 = 32;
/** Vectors that one call of the kernel scans: V8 swaps in its optimised code only between calls. */
const STRETCH: i32 = 4096;
/**
 * Bytes of a table between two looks at whether all sums of a group are beyond what may enter: 16 sub-quantizers. A look takes 12 vector
 * operations, a pair of sub-quantizers 22. Over 100,000 x 256 speech-like vectors PQ128x4fs,RFlat does .43 of the look-ups, in .72 to .78 of
 * the time; short lists gain little (IVF1024 at nprobe 16 .96) and lose nothing.
 */
const LOOK: usize = 8 << 5;
/** The largest sum, which is what two bytes hold. */
const MOST: f32 = 65535;
/** Results up to which a heap collects them, and decides ties as faiss' heap does; more go to a pool, as in faiss. */
const HEAP: i32 = 20;

/** Bytes of a table of 8-bit entries for M2 sub-quantizers. */
@inline
function tableBytes(M2: i32): usize {
  return 16 + ((<usize>M2) << 4);
}

/** What a kernel must know of packed codes. */
@unmanaged
export class Packed {
  M: i32;
  /** M rounded up to an even number. */
  M2: i32;
  /** Vectors of a block. */
  bbs: i32;
  /** The transposed codebook. */
  transposed: usize;
  /**
   * 1 where the scale keeps sums below 65536 but for the rounding of entries (faiss does so in an IVF, and we do with more than 257
   * sub-quantizers).
   */
  guard: i32;
}

/**
 * Bytes of scratch that searchPacked takes, which may be more than there are addresses for. A residual index under L2 has a table for
 * each probe. k: 0 for rangePacked.
 */
export function searchPackedScratch(d: i32, M: i32, M2: i32, nprobe: i32, tables: i32, k: i32): f64 {
  const table = <f64>(64 * M + <i32>tableBytes(M2));
  const records = <f64>(offsetof<Job>() + offsetof<Nearest>() + (GROUP << 1));
  return records + 4 * <f64>d + <f64>tables * table + 12 * <f64>nprobe + 4 + 6 * <f64>poolSize(k);
}

/** The work on one query: where its tables and its lists' figures stand, and what its sums mean. It stands at the start of the scratch. */
@unmanaged
class Job {
  code: Packed;
  plan: Plan;
  lists: Lists;
  /** A table for each probe, not one for all. */
  perProbe: bool;
  difference: usize;
  floats: usize;
  bytes: usize;
  /** The order in which probes are scanned. */
  order: usize;
  /** What sums of each probe start from (i32), and what the smallest entries of its table add up to (f32). */
  sums: usize;
  low: usize;
  /** Sums of a group. */
  group: usize;
  /** The query's own probes. */
  probes: usize;
  coarse: usize;
  /** Probes that are scanned. */
  used: i32;
  /** Whether sums only climb and never leave 16 bits, so that one that is too large half-way is too large. */
  climbs: bool;
  /** A distance is sum / scale + base. */
  scale: f32;
  base: f32;
}

function openJob(job: Job, code: Packed, plan: Plan, lists: Lists): void {
  const nprobe = <usize>plan.nprobe;
  job.code = code;
  job.plan = plan;
  job.lists = lists;
  job.perProbe = plan.centroids != 0 && plan.metric == L2;
  const tables = job.perProbe ? plan.nprobe : 1;
  job.difference = plan.scratch + offsetof<Job>();
  job.floats = job.difference + ((<usize>plan.d) << 2);
  job.bytes = job.floats + ((<usize>(tables * code.M)) << 6);
  job.order = job.bytes + <usize>tables * tableBytes(code.M2);
  job.sums = job.order + (nprobe << 2);
  job.low = job.sums + (nprobe << 2);
  job.group = job.low + (nprobe << 2);
}

/** Makes the tables of query i, as faiss rounds them, and orders its probes. */
function turnJob(job: Job, i: i32): void {
  const plan = job.plan;
  const nprobe = plan.nprobe;
  job.probes = plan.probes + ((<usize>(i * nprobe)) << 2);
  job.coarse = plan.coarse + ((<usize>(i * nprobe)) << 2);
  let used = 0;
  while (used < nprobe && load<i32>(job.probes + ((<usize>used) << 2)) >= 0) used++;
  job.used = used;
  makeTables(job, plan.queries + ((<usize>(i * plan.d)) << 2));
  // faiss visits lists in the order of their numbers where blocks are of 32, which decides between ties; where the number of
  // vectors is limited, the nearest first.
  if (job.code.bbs == GROUP && plan.maxCodes == 0) sortByList(job.order, job.probes, min(job.used, plan.atLeast));
}

/** Look-up tables of a query, their common scale, and what each probe starts from. */
function makeTables(job: Job, query: usize): void {
  const code = job.code;
  const plan = job.plan;
  const metric = plan.metric;
  const d = plan.d;
  const M = code.M;
  const centroids = plan.centroids;
  const residual = centroids != 0;
  const perProbe = job.perProbe;
  const lists = job.probes;
  const coarse = job.coarse;
  let used = job.used;
  const made = perProbe ? used : min(used, 1);

  // How far apart the coarse distances are, which sums of residuals must make room for too.
  let nearest: f32 = Infinity;
  let farthest: f32 = -Infinity;
  for (let p = 0; residual && p < used; p++) {
    const bias = load<f32>(coarse + ((<usize>p) << 2));
    nearest = min(nearest, bias);
    farthest = max(farthest, bias);
  }

  // Tables, and what the smallest entries of each probe add up to.
  let spread: f32 = 0;
  let widest: f32 = 0;
  let total: f32 = 0;
  let highest: f32 = 0;
  let base: f32 = Infinity;
  for (let p = 0; p < made; p++) {
    const table = job.floats + ((<usize>(p * M)) << 6);
    let from = query;
    if (perProbe) {
      from = job.difference;
      const list = <usize>load<i32>(lists + ((<usize>p) << 2));
      subtract(query, centroids + ((list * d) << 2), d, from);
    }
    lookUpTable(from, M, K, d / M, code.transposed, metric, table);
    let spans: f32 = 0;
    if (perProbe) spans = load<f32>(coarse + ((<usize>p) << 2)) - nearest;
    else if (residual) spans = farthest - nearest;
    const bias = spans;
    let least: f32 = 0;
    for (let m = 0, at = table; m < M; m++, at += 64) {
      const a = v128.load(at);
      const b = v128.load(at, 16);
      const c = v128.load(at, 32);
      const e = v128.load(at, 48);
      const smallest = f32x4.extract_lane(spreadMin(f32x4.pmin(f32x4.pmin(a, b), f32x4.pmin(c, e))), 0);
      const largest = f32x4.extract_lane(spreadMax(f32x4.pmax(f32x4.pmax(a, b), f32x4.pmax(c, e))), 0);
      const span = largest - smallest;
      if (span > widest) widest = span;
      spans += span;
      least += smallest;
    }
    highest = max(highest, spans - bias);
    if (perProbe) {
      // faiss starts from the coarse distance, which is not quite the residual's length where the coarse quantizer is not exact.
      const list = <usize>load<i32>(lists + ((<usize>p) << 2));
      const bias = load<f32>(coarse + ((<usize>p) << 2));
      least += bias - pairKey(query, centroids + ((list * d) << 2), d, L2);
    }
    store<f32>(job.low + ((<usize>p) << 2), least);
    total = max(total, spans);
    base = min(base, least);
  }
  if (residual && metric == INNER_PRODUCT) {
    memory.copy(job.low, coarse, (<usize>used) << 2);
    spread = nearest;
    base += nearest;
  } else {
    spread = base;
  }
  // A query with a NaN, or so far out that tables overflow, finds nothing.
  if (!(widest < Infinity && base - base == 0)) used = 0;

  // faiss' scale: no entry above 255 and no sum above 65535. A table without any spread has the scale 0.
  let scale: f32 = widest > 0 ? <f32>255 / widest : Infinity;
  if (code.guard != 0 && total > 0) scale = min(scale, MOST / total);
  if (!(scale < Infinity)) scale = 0;
  for (let p = 0; p < min(made, used); p++) {
    quantizeTable(job.floats + ((<usize>(p * M)) << 6), M, code.M2, scale, job.bytes + <usize>p * tableBytes(code.M2));
  }
  let most: f32 = 0;
  for (let p = 0; p < used; p++) {
    let bias: f32 = 0;
    if (residual) bias = floor((load<f32>(job.low + ((<usize>p) << 2)) - spread) * scale + <f32>0.5);
    most = max(most, bias);
    store<i32>(job.sums + ((<usize>p) << 2), <i32>bias);
    store<i32>(job.order + ((<usize>p) << 2), p);
  }
  job.used = used;
  // An entry is rounded by half at most, and the sum of their spans by far less than another half each.
  job.climbs = metric == L2 && most + highest * scale + <f32>M <= MOST;
  job.scale = scale;
  job.base = base;
}

/**
 * Searches packed lists for the queries of a plan, with the sums of quantised tables that faiss makes: best first, distances as in faiss,
 * sum / a + b. code: a Packed, found: a Best. A start of a list is a multiple of bbs; the plan's centroids are given where codes are those
 * of residuals.
 */
export function searchPacked(code: usize, plan: usize, lists: usize, found: usize): void {
  collect<Nearest>(changetype<Packed>(code), changetype<Plan>(plan), changetype<Lists>(lists), found);
}

/** All whose distance, sum / a + b, is within the radius. found: a Within. */
export function rangePacked(code: usize, plan: usize, lists: usize, found: usize): void {
  collect<Inside>(changetype<Packed>(code), changetype<Plan>(plan), changetype<Lists>(lists), found);
}

function collect<R>(code: Packed, plan: Plan, lists: Lists, found: usize): void {
  const job = changetype<Job>(plan.scratch);
  openJob(job, code, plan, lists);
  const sink = changetype<R>(job.group + (GROUP << 1));
  sink.open(plan, lists, found, job.group + (GROUP << 1) + offsetof<R>());
  for (let i = 0; i < plan.nq; i++) {
    turnJob(job, i);
    sink.turn(i, job.scale, job.base);
    scanProbes<R>(job, sink);
    sink.close();
  }
}

/** Scans the lists of a query in their order. */
function scanProbes<R>(job: Job, sink: R): void {
  const code = job.code;
  const plan = job.plan;
  const bbs = code.bbs;
  const M2 = code.M2;
  const blockBytes = <usize>((bbs * M2) >> 1);
  let scanned: i32 = 0;
  for (let at = 0; at < job.used; at++) {
    if (at >= plan.atLeast && sink.isFull()) break;
    const p = <usize>load<i32>(job.order + ((<usize>at) << 2));
    const list = <usize>load<i32>(job.probes + (p << 2));
    const start = load<u32>(job.lists.starts + (list << 2));
    let count = load<i32>(job.lists.sizes + (list << 2));
    if (plan.maxCodes > 0) count = min(count, plan.maxCodes - scanned);
    scanned += count;
    const table = job.bytes + (job.perProbe ? p * tableBytes(M2) : 0);
    const bias = load<i32>(job.sums + (p << 2));
    let first = <i32>start;
    let block = job.lists.codes + <usize>(start / <u32>bbs) * blockBytes;
    while (count > 0) {
      const stretch = min(count, max(STRETCH / bbs, 1) * bbs);
      scanBlocks<R>(job, block, stretch, table, bias, first, sink);
      const blocks = (stretch + bbs - 1) / bbs;
      block += <usize>blocks * blockBytes;
      first += blocks * bbs;
      count -= blocks * bbs;
    }
    if (plan.maxCodes > 0 && scanned >= plan.maxCodes) break;
  }
}

/** The k smallest sums of a query: in a heap, or a pool where k is large. */
@unmanaged
class Nearest {
  /** The largest sum that may still enter. */
  most: i32;
  found: Best;
  keys: usize;
  slots: usize;
  ids: usize;
  metric: i32;
  pool: usize;
  inverse: f32;
  base: f32;

  open(plan: Plan, lists: Lists, found: usize, pool: usize): void {
    this.found = changetype<Best>(found);
    this.keys = this.found.keys;
    this.slots = this.found.slots;
    this.ids = lists.ids;
    this.metric = plan.metric;
    this.pool = this.found.k > HEAP ? pool : 0;
  }

  turn(_i: i32, scale: f32, base: f32): void {
    heapClear(this.keys, this.slots, this.found.k);
    if (this.pool != 0) store<i32>(this.pool, 0);
    this.most = 65535;
    this.inverse = <f32>1 / scale;
    this.base = base;
  }


  @inline
  isFull(): bool {
    return this.pool != 0 ? load<i32>(this.pool) >= this.found.k : load<i32>(this.slots) >= 0;
  }

  /** Takes the sums of a group, those of the lanes that are open. */
  take(open: i32, sums: usize, slot: i32): void {
    const k = this.found.k;
    this.most =
      this.pool != 0
        ? pour(open, sums, slot, this.pool, k, this.most)
        : push(open, sums, slot, this.keys, this.slots, k, this.ids, this.metric, this.most);
  }

  close(): void {
    const k = this.found.k;
    if (this.pool != 0) {
      emptyPool(this.pool, k, this.keys, this.slots);
      sortEntries(this.keys, this.slots, load<i32>(this.pool), this.ids, this.metric);
    } else {
      sortHeap(this.keys, this.slots, k, this.ids, this.metric);
    }
    sumsToDistances(this.keys, this.slots, k, this.metric, this.inverse, this.base);
    this.keys += (<usize>k) << 2;
    this.slots += (<usize>k) << 2;
  }
}

/** All sums of a query whose distance is within a radius. */
@unmanaged
class Inside {
  most: i32;
  found: Within;
  query: i32;
  metric: i32;
  inverse: f32;
  base: f32;

  open(plan: Plan, lists: Lists, found: usize, _pool: usize): void {
    this.found = changetype<Within>(found);
    this.metric = plan.metric;
    this.found.open(plan.nq, lists.ids, plan.metric, 0);
  }

  turn(i: i32, scale: f32, base: f32): void {
    this.query = i;
    const inverse = <f32>1 / scale;
    this.inverse = inverse < Infinity ? inverse : 0;
    this.base = base;
    // The sum at the radius, and what rounding may have taken of the base, the radius and their difference: what is below is asked exactly.
    const radius = this.found.radius;
    const off = this.metric == L2 ? radius - base : base + MOST * this.inverse - radius;
    const most = off * scale + (abs(base) + abs(radius)) * scale * (<f32>16 * EPSILON) + <f32>2;
    this.most = scale == 0 || most > MOST ? 65535 : most < 0 ? -1 : <i32>most;
  }


  @inline
  isFull(): bool {
    return false;
  }

  take(open: i32, sums: usize, slot: i32): void {
    for (; open != 0; open &= open - 1) {
      const lane = ctz(open);
      const sum = <f32>load<u16>(sums + ((<usize>lane) << 1));
      const distance = (this.metric == L2 ? sum : MOST - sum) * this.inverse + this.base;
      this.found.offer(<usize>this.query, this.metric == L2 ? distance : -distance, slot + lane);
    }
  }

  close(): void {
    // Each is in its place already.
  }
}


@inline
function subtract(x: usize, y: usize, d: i32, out: usize): void {
  for (let j: usize = 0, end = (<usize>d) << 2; j < end; j += 4)
    store<f32>(out + j, load<f32>(x + j) - load<f32>(y + j));
}

/** Sorts places of probes by the numbers of their lists (Shell sort: few they are mostly, and many they may be). */
function sortByList(order: usize, lists: usize, n: i32): void {
  for (let gap = n >> 1; gap > 0; gap >>= 1) {
    for (let i = gap; i < n; i++) {
      const p = load<i32>(order + ((<usize>i) << 2));
      const list = load<i32>(lists + ((<usize>p) << 2));
      let j = i;
      for (; j >= gap; j -= gap) {
        const other = load<i32>(order + ((<usize>(j - gap)) << 2));
        if (load<i32>(lists + ((<usize>other) << 2)) <= list) break;
        store<i32>(order + ((<usize>j) << 2), other);
      }
      store<i32>(order + ((<usize>j) << 2), p);
    }
  }
}

/**
 * Rounds a table to 8 bits: floor((entry - smallest of its sub-quantizer) * scale + 0.5). The sub-quantizer that an odd M
 * lacks has zeros.
 */
function quantizeTable(table: usize, M: i32, M2: i32, scale: f32, out: usize): void {
  v128.store(out, i8x16.splat(15));
  const scale4 = f32x4.splat(scale);
  const half = f32x4.splat(0.5);
  out += 16;
  for (let m = 0; m < M; m++, table += 64, out += 16) {
    const a = v128.load(table);
    const b = v128.load(table, 16);
    const c = v128.load(table, 32);
    const e = v128.load(table, 48);
    const least = spreadMin(f32x4.pmin(f32x4.pmin(a, b), f32x4.pmin(c, e)));
    const ab = i16x8.narrow_i32x4_s(rounded(a, least, scale4, half), rounded(b, least, scale4, half));
    const ce = i16x8.narrow_i32x4_s(rounded(c, least, scale4, half), rounded(e, least, scale4, half));
    v128.store(out, i8x16.narrow_i16x8_u(ab, ce));
  }
  if (M < M2) v128.store(out, i8x16.splat(0));
}


@inline
function rounded(x: v128, least: v128, scale: v128, half: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(f32x4.add(f32x4.mul(f32x4.sub(x, least), scale), half));
}

/**
 * Sums the tables' entries of `count` vectors and offers those that are at most `most` to the pool, or the heap where there is
 * none; returns what `most` has become. A key is the sum under L2 and
 * 65535 less the sum under inner product.
 *
 *     16 bytes of codes     | c0 … c15 |  & 15 and >> 4: numbers of vectors p(j) and p(j) + 16
 *     table of 16 entries   | t0 … t15 |  swizzle: 16 look-ups
 *     what comes out        | r0 … r15 |  added as 16-bit lanes to `even`, r >> 8 to `odd`: in the end even - (odd << 8)
 *
 * `even` overflows on the way and comes out right, 16-bit lanes being numbers modulo 65536. The mask of 15s is loaded: V8 from
 * 13.6 on makes a constant anew wherever it is used.
 */
function scanBlocks<R>(job: Job, block: usize, count: i32, table: usize, bias: i32, firstSlot: i32, sink: R): void {
  const bbs = job.code.bbs;
  const M2 = job.code.M2;
  const metric = job.plan.metric;
  const admitted = job.plan.admitted;
  const group = job.group;
  let most = sink.most;
  const mask = v128.load(table);
  const step = <usize>bbs;
  const end = table + tableBytes(M2);
  const look = job.climbs ? LOOK : end - table;
  for (let done = 0; done < count; done += GROUP) {
    if (most < 0) return;
    // Starts of groups are multiples of 32.
    let there: i32 = -1;
    if (admitted != 0) {
      there = load<i32>(admitted + <usize>((firstSlot + done) >> 3));
      if (there == 0) continue;
    }
    // Groups of a block interleave: the pairs of a group are bbs bytes apart.
    const inBlock = done % bbs;
    let code = block + <usize>(done / bbs) * ((step * M2) >> 1) + <usize>inBlock;
    // What sums start from and may reach waits in memory: in registers, the inner loop would have too few.
    store<u16>(group, <u16>bias);
    store<u16>(group, <u16>most, 2);
    let even0 = v128.load16_splat(group);
    let odd0 = i16x8.splat(0);
    let even1 = even0;
    let odd1 = odd0;
    let t = table + 16;
    let stop = min(t + look, end);
    while (true) {
      for (; t < stop; t += 32, code += step) {
        let c = v128.load(code);
        let r = lookUp(v128.load(t), v128.and(c, mask));
        even0 = i16x8.add(even0, r);
        odd0 = i16x8.add(odd0, i16x8.shr_u(r, 8));
        r = lookUp(v128.load(t, 0, 1), v128.and(i16x8.shr_u(c, 4), mask));
        even1 = i16x8.add(even1, r);
        odd1 = i16x8.add(odd1, i16x8.shr_u(r, 8));
        c = v128.load(code, 16);
        r = lookUp(v128.load(t, 16), v128.and(c, mask));
        even0 = i16x8.add(even0, r);
        odd0 = i16x8.add(odd0, i16x8.shr_u(r, 8));
        r = lookUp(v128.load(t, 16, 1), v128.and(i16x8.shr_u(c, 4), mask));
        even1 = i16x8.add(even1, r);
        odd1 = i16x8.add(odd1, i16x8.shr_u(r, 8));
      }
      if (t >= end) break;
      const start = v128.load16_splat(group);
      const least = i16x8.min_u(
        i16x8.min_u(i16x8.sub(even0, i16x8.shl(odd0, 8)), i16x8.add(odd0, start)),
        i16x8.min_u(i16x8.sub(even1, i16x8.shl(odd1, 8)), i16x8.add(odd1, start)),
      );
      if (!v128.any_true(i16x8.eq(i16x8.sub_sat_u(least, v128.load16_splat(group, 2)), i16x8.splat(0)))) break;
      stop = min(t + look, end);
    }
    if (t < end) continue;
    const start = v128.load16_splat(group);
    const flip = i16x8.splat(metric == L2 ? 0 : -1);
    const s0 = v128.xor(i16x8.sub(even0, i16x8.shl(odd0, 8)), flip);
    const s1 = v128.xor(i16x8.add(odd0, start), flip);
    const s2 = v128.xor(i16x8.sub(even1, i16x8.shl(odd1, 8)), flip);
    const s3 = v128.xor(i16x8.add(odd1, start), flip);
    const limit = i16x8.splat(<i16>most);
    const zero = i16x8.splat(0);
    let open =
      i8x16.bitmask(
        i8x16.narrow_i16x8_s(i16x8.eq(i16x8.sub_sat_u(s0, limit), zero), i16x8.eq(i16x8.sub_sat_u(s1, limit), zero)),
      ) |
      (i8x16.bitmask(
        i8x16.narrow_i16x8_s(i16x8.eq(i16x8.sub_sat_u(s2, limit), zero), i16x8.eq(i16x8.sub_sat_u(s3, limit), zero)),
      ) <<
        16);
    const left = count - done;
    if (left < GROUP) open &= (1 << left) - 1;
    open &= there;
    if (open == 0) continue;
    v128.store(group, s0);
    v128.store(group, s1, 16);
    v128.store(group, s2, 32);
    v128.store(group, s3, 48);
    sink.take(open, group, firstSlot + done);
    most = sink.most;
  }
}

/** Offers the sums of a group, those of the lanes that are open, to a heap. Returns the largest sum that may still enter. */
function push(
  open: i32,
  sums: usize,
  slot: i32,
  keys: usize,
  slots: usize,
  k: i32,
  ids: usize,
  metric: i32,
  most: i32,
): i32 {
  while (open != 0) {
    const lane = ctz(open);
    open &= open - 1;
    const sum = <i32>load<u16>(sums + ((<usize>lane) << 1));
    if (sum > most) continue;
    heapReplace(keys, slots, k, <f32>sum, slot + lane, ids, metric);
    const worst = load<f32>(keys);
    most = worst == NOTHING ? 65535 : <i32>worst - 1;
  }
  return most;
}

/** Turns keys into distances: sum * (1 / scale) + base, the reciprocal first, as faiss rounds it. */
function sumsToDistances(keys: usize, slots: usize, k: i32, metric: i32, inverse: f32, base: f32): void {
  if (!(inverse < Infinity)) inverse = 0;
  for (let i: usize = 0, end = (<usize>k) << 2; i < end; i += 4) {
    const key = load<f32>(keys + i);
    if (load<i32>(slots + i) < 0) store<f32>(keys + i, metric == L2 ? NOTHING : -NOTHING);
    else store<f32>(keys + i, (metric == L2 ? key : MOST - key) * inverse + base);
  }
}
