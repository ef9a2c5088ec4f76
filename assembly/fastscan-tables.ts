// What a query brings to a scan of packed codes: its look-up tables, rounded as faiss rounds them, and what its sums mean.

import { INNER_PRODUCT, L2 } from "./metric";
import { PLANE, Packed } from "./packed";
import { lookUpTable, spreadMax, spreadMin } from "./pq";
import { Lists, Plan } from "./records";

/** Centroids of a sub-quantizer, and entries of its part of a table. */
const K: i32 = 16;
/** Vectors whose sums one step of the kernel makes. */
export const GROUP: i32 = 32;
/** The largest sum, which is what two bytes hold. */
export const MOST: f32 = 65535;

/** Bytes of a table of 8-bit entries for M2 sub-quantizers. */
@inline
export function tableBytes(M2: i32): usize {
  return 16 + ((<usize>M2) << 4);
}

/** The work on one query: where its tables and its lists' figures stand, and what its sums mean. It stands at the start of the scratch. */
@unmanaged
export class Job {
  code: Packed;
  plan: Plan;
  lists: Lists;
  /** A table for each probe, not one for all. */
  perProbe: bool;
  /** Of residuals under L2: the query's products with the codebook. */
  products: usize;
  floats: usize;
  bytes: usize;
  /** The order in which probes are scanned. */
  order: usize;
  /** What keys of each probe start from (i32), and what the smallest entries of its table add up to (f32). */
  sums: usize;
  low: usize;
  /** The query's own probes. */
  probes: usize;
  coarse: usize;
  /** Probes that are scanned. */
  used: i32;
  /** Whether keys only climb and never leave 16 bits, so that one that is too large half-way is too large. */
  climbs: bool;
  /** A distance is sum / scale + base. */
  scale: f32;
  base: f32;
  /** Bytes of a plane of a block. */
  plane: usize;
  /** Accumulators and keys of a group, and behind them (u16) what keys start from and the largest that may enter. */
  keys: usize;
  /** Accumulators of nothing. */
  nothing: usize;
}

export function openJob(job: Job, code: Packed, plan: Plan, lists: Lists): void {
  const nprobe = <usize>plan.nprobe;
  job.code = code;
  job.plan = plan;
  job.lists = lists;
  job.perProbe = plan.centroids != 0 && plan.metric == L2;
  const tables = job.perProbe ? plan.nprobe : 1;
  job.products = plan.scratch + offsetof<Job>();
  job.floats = job.products + ((<usize>code.M) << 6);
  job.bytes = job.floats + ((<usize>(tables * code.M)) << 6);
  job.order = job.bytes + <usize>tables * tableBytes(code.M2);
  job.sums = job.order + (nprobe << 2);
  job.low = job.sums + (nprobe << 2);
  job.keys = job.low + (nprobe << 2);
  job.plane = <usize>(code.bbs / GROUP) * <usize>(PLANE << 4);
}

/** Makes the tables of query i, as faiss rounds them, and orders its probes. */
export function turnJob(job: Job, i: i32): void {
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

  if (perProbe) lookUpTable(query, M, K, d / M, code.transposed, INNER_PRODUCT, job.products);

  // Tables, and what the smallest entries of each probe add up to; of residuals from the coarse distance on, as faiss has it.
  let spread: f32 = 0;
  let widest: f32 = 0;
  let total: f32 = 0;
  let highest: f32 = 0;
  let base: f32 = Infinity;
  for (let p = 0; p < made; p++) {
    const table = job.floats + ((<usize>(p * M)) << 6);
    let spans: f32 = 0;
    let least: f32 = 0;
    if (perProbe) {
      const list = <usize>load<i32>(lists + ((<usize>p) << 2));
      lookUpTable(centroids + ((list * d) << 2), M, K, d / M, code.transposed, INNER_PRODUCT, table);
      least = load<f32>(coarse + ((<usize>p) << 2));
      spans = least - nearest;
    } else {
      lookUpTable(query, M, K, d / M, code.transposed, metric, table);
      if (residual) spans = farthest - nearest;
    }
    const bias = spans;
    for (let m = 0, at = table; m < M; m++, at += 64) {
      let a = v128.load(at);
      let b = v128.load(at, 16);
      let c = v128.load(at, 32);
      let e = v128.load(at, 48);
      if (perProbe) {
        const products = job.products + (at - table);
        const lengths = code.lengths + (at - table);
        a = ofResiduals(a, v128.load(products), v128.load(lengths));
        b = ofResiduals(b, v128.load(products, 16), v128.load(lengths, 16));
        c = ofResiduals(c, v128.load(products, 32), v128.load(lengths, 32));
        e = ofResiduals(e, v128.load(products, 48), v128.load(lengths, 48));
      }
      const smallest = f32x4.extract_lane(spreadMin(f32x4.pmin(f32x4.pmin(a, b), f32x4.pmin(c, e))), 0);
      const largest = f32x4.extract_lane(spreadMax(f32x4.pmax(f32x4.pmax(a, b), f32x4.pmax(c, e))), 0);
      const lowest = f32x4.splat(smallest);
      v128.store(at, f32x4.sub(a, lowest));
      v128.store(at, f32x4.sub(b, lowest), 16);
      v128.store(at, f32x4.sub(c, lowest), 32);
      v128.store(at, f32x4.sub(e, lowest), 48);
      const span = largest - smallest;
      if (span > widest) widest = span;
      spans += span;
      least += smallest;
    }
    highest = max(highest, spans - bias);
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
  let tops: i32 = 0;
  for (let p = 0; p < min(made, used); p++) {
    tops = quantizeTable(
      job.floats + ((<usize>(p * M)) << 6),
      code,
      metric,
      scale,
      job.bytes + <usize>p * tableBytes(code.M2),
    );
  }
  let most: f32 = 0;
  for (let p = 0; p < used; p++) {
    let bias: f32 = 0;
    if (residual) bias = floor((load<f32>(job.low + ((<usize>p) << 2)) - spread) * scale + <f32>0.5);
    most = max(most, bias);
    // Of an inner product the key is 65535 - sum, modulo 65536: with each entry taken from the largest of its sub-quantizer, keys are sums
    // that climb too.
    store<i32>(job.sums + ((<usize>p) << 2), metric == L2 ? <i32>bias : 65535 - <i32>bias - tops);
    store<i32>(job.order + ((<usize>p) << 2), p);
  }
  job.used = used;
  // An entry is rounded by half at most, and the sum of their spans by far less than another half each.
  job.climbs = most + highest * scale + <f32>M <= MOST;
  job.scale = scale;
  job.base = base;
}

/**
 * What codes r of a sub-quantizer add to the coarse distance |x - c|², of the products of their centroids with the cell's centroid c, the products
 * with the query x, and their squared lengths: |x - c - r|² - |x - c|² = |r|² + 2 cr - 2 xr, rounded after each step as faiss rounds its
 * precomputed tables.
 */
@inline
function ofResiduals(own: v128, products: v128, lengths: v128): v128 {
  const two = f32x4.splat(2);
  return f32x4.sub(f32x4.add(lengths, f32x4.mul(two, own)), f32x4.mul(two, products));
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
 * Rounds a table, whose entries are less the smallest of their sub-quantizers, to 8 bits, floor(entry * scale + 0.5), each sub-quantizer's part at its place; under inner
 * product what is left to the largest of it. The sub-quantizer that an odd M lacks has zeros. Returns what the largest add up to, under
 * inner product.
 */
function quantizeTable(table: usize, code: Packed, metric: i32, scale: f32, out: usize): i32 {
  v128.store(out, i8x16.splat(15));
  const scale4 = f32x4.splat(scale);
  const half = f32x4.splat(0.5);
  let tops: i32 = 0;
  out += 16;
  let places = code.places;
  for (let m = 0; m < code.M; m++, table += 64, places += 4) {
    const ab = i16x8.narrow_i32x4_s(rounded(table, scale4, half), rounded(table + 16, scale4, half));
    const ce = i16x8.narrow_i32x4_s(rounded(table + 32, scale4, half), rounded(table + 48, scale4, half));
    let bytes = i8x16.narrow_i16x8_u(ab, ce);
    if (metric == INNER_PRODUCT) {
      const top = largestByte(bytes);
      bytes = i8x16.sub(i8x16.splat(<i8>top), bytes);
      tops += top;
    }
    v128.store(out + ((<usize>load<i32>(places)) << 4), bytes);
  }
  if (code.M < code.M2) v128.store(out + ((<usize>code.M) << 4), i8x16.splat(0));
  return tops;
}

/** The largest of 16 bytes without a sign. */
function largestByte(v: v128): i32 {
  v = i8x16.max_u(v, i64x2.shr_u(v, 32));
  v = i8x16.max_u(v, i32x4.shr_u(v, 16));
  v = i8x16.max_u(v, i16x8.shr_u(v, 8));
  return max<i32>(i8x16.extract_lane_u(v, 0), i8x16.extract_lane_u(v, 8));
}

/**
 * The whole part of entry * scale + half of four entries, which is from 0 to 255: in the last bits of what 2^23 and it add up to, whose first ones
 * are then taken away. (V8 makes eight instructions of a conversion, since numbers could be too large or none.)
 */
@inline
function rounded(entries: usize, scale: v128, half: v128): v128 {
  const whole = f32x4.floor(f32x4.add(f32x4.mul(v128.load(entries), scale), half));
  return i32x4.sub(f32x4.add(whole, f32x4.splat(8388608)), i32x4.splat(0x4b000000));
}
