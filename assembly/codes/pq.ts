// Codes of a product quantizer, one row after the other: M numbers of `bits` bits each, as a string of bits, low bits first.
//
//     8 bits   | n0 | n1 | n2 | …          12 bits   |  n0 |n1 n0|n1  |  n2 |n3 n2|n3  |
//
// A query makes a table of what each centroid adds to a key; the key of a row is the sum of M numbers of it (Jégou, Douze and Schmid,
// 2011). Of residuals, y = C + r, the table would be another for each list, were it not for
//
//     |x - y|²  =  |x - C|²  +  |r|² + 2 Cr  -  2 xr
//                    base         term          table: one a query
//
// where the term belongs to the row: it is computed once and kept, 4 bytes a row. faiss keeps a table of terms for each list
// instead, nlist x M x K floats, and adds it to the query's in each list it visits; sums are rounded in another order here.
//
// Kernels read up to 3 bytes beyond a row.

import { pairKey } from "../distance";
import { INNER_PRODUCT } from "../metric";
import { lookUpTable, nearestPart } from "../pq";
import { Lists, Plan } from "../records";

/** Vectors whose sub-vectors are dealt with one after the other before the next sub-quantizer's: the first-level cache keeps them. */
const SOME: usize = 32;

/** A product quantizer; TypeScript fills the fields down to `transposed`. */
@unmanaged
export class Product {
  /** Which code it is (any.ts). */
  kind: i32;
  M: i32;
  bits: i32;
  /** Centroids of a sub-quantizer in the transposed codebook. */
  K: i32;
  sub: i32;
  /** Where a row's term stands in it; 0 where rows have none. */
  termAt: i32;
  transposed: usize;

  /** Address of the plan. */
  plan: usize;
  metric: i32;
  /** The query that the table is of, or -1. */
  current: i32;
  /** Address of the query's table, f32 [M][K]. */
  table: usize;
  base: f32;

  /** Bytes of scratch. */
  static scratch(M: i32, K: i32): i32 {
    return M * K * 4;
  }

  open(plan: Plan, _lists: Lists, scratch: usize): void {
    this.plan = changetype<usize>(plan);
    this.metric = plan.metric;
    this.current = -1;
    this.table = scratch;
    this.base = 0;
  }

  turn(i: i32, list: i32): void {
    const plan = changetype<Plan>(this.plan);
    const size = (<usize>plan.d) << 2;
    const query = plan.queries + <usize>i * size;
    if (i != this.current) {
      this.current = i;
      const metric = this.termAt != 0 ? INNER_PRODUCT : this.metric;
      lookUpTable(query, this.M, this.K, this.sub, this.transposed, metric, this.table);
    }
    if (plan.centroids == 0) return;
    // The coarse quantizer's distance might be an estimate; of floats, it is this.
    const key = pairKey(query, plan.centroids + <usize>list * size, plan.d, this.metric);
    this.base = this.metric == INNER_PRODUCT ? -key : key;
  }

  /** The keys of four rows by the sums of what the table has for their numbers. */
  @inline
  keys(a: usize, b: usize, c: usize, e: usize, four: v128): v128 {
    const base = f32x4.splat(this.base);
    if (this.metric == INNER_PRODUCT) return f32x4.neg(f32x4.add(base, four));
    const at = <usize>this.termAt;
    if (at == 0) return four;
    const terms = f32x4(load<f32>(a + at), load<f32>(b + at), load<f32>(c + at), load<f32>(e + at));
    // What rounding has left of nothing may be negative.
    return f32x4.max(f32x4.sub(f32x4.add(base, terms), f32x4.add(four, four)), f32x4.splat(0));
  }
}

/** Numbers of 8 bits. */
@unmanaged
export class Product8 extends Product {

  @inline
  four(a: usize, b: usize, c: usize, e: usize, _bar: f32): v128 {
    return this.keys(a, b, c, e, this.sums(a, b, c, e));
  }

  sums(a: usize, b: usize, c: usize, e: usize): v128 {
    let s0: f32 = 0;
    let s1: f32 = 0;
    let s2: f32 = 0;
    let s3: f32 = 0;
    let table = this.table;
    for (const end = a + this.M; a < end; a++, b++, c++, e++, table += 1024) {
      s0 += load<f32>(table + ((<usize>load<u8>(a)) << 2));
      s1 += load<f32>(table + ((<usize>load<u8>(b)) << 2));
      s2 += load<f32>(table + ((<usize>load<u8>(c)) << 2));
      s3 += load<f32>(table + ((<usize>load<u8>(e)) << 2));
    }
    return f32x4(s0, s1, s2, s3);
  }
}

/** Numbers of up to 16 bits. */
@unmanaged
export class ProductBits extends Product {

  @inline
  four(a: usize, b: usize, c: usize, e: usize, _bar: f32): v128 {
    return this.keys(a, b, c, e, this.sums(a, b, c, e));
  }

  sums(a: usize, b: usize, c: usize, e: usize): v128 {
    let s0: f32 = 0;
    let s1: f32 = 0;
    let s2: f32 = 0;
    let s3: f32 = 0;
    let table = this.table;
    const bits = this.bits;
    const step = (<usize>this.K) << 2;
    const mask: u32 = (1 << bits) - 1;
    for (let bit = 0, end = this.M * bits; bit < end; bit += bits, table += step) {
      const byte = <usize>(bit >> 3);
      const shift = bit & 7;
      s0 += load<f32>(table + ((<usize>((load<u32>(a + byte) >> shift) & mask)) << 2));
      s1 += load<f32>(table + ((<usize>((load<u32>(b + byte) >> shift) & mask)) << 2));
      s2 += load<f32>(table + ((<usize>((load<u32>(c + byte) >> shift) & mask)) << 2));
      s3 += load<f32>(table + ((<usize>((load<u32>(e + byte) >> shift) & mask)) << 2));
    }
    return f32x4(s0, s1, s2, s3);
  }
}

/** Number m of a row. */
@inline
function numberAt(row: usize, m: i32, bits: i32): i32 {
  const bit = m * bits;
  return <i32>((load<u32>(row + (bit >> 3)) >> (bit & 7)) & ((1 << bits) - 1));
}

/** The codes of n vectors, rows of `rowBytes` bytes. */
export function encodeProduct(
  vectors: usize,
  n: i32,
  M: i32,
  bits: i32,
  K: i32,
  sub: i32,
  transposed: usize,
  rows: usize,
  rowBytes: i32,
): void {
  for (let i = 0; i < n; i++, rows += rowBytes) {
    memory.fill(rows, 0, rowBytes);
    let centroids = transposed;
    for (let m = 0; m < M; m++, vectors += (<usize>sub) << 2, centroids += (<usize>(sub * K)) << 2) {
      const number = nearestPart(vectors, K, sub, centroids, 0);
      const bit = m * bits;
      const byte = rows + (bit >> 3);
      const value = number << (bit & 7);
      store<u8>(byte, <u8>(load<u8>(byte) | value));
      if (value > 0xff) store<u8>(byte, <u8>(value >> 8), 1);
      if (value > 0xffff) store<u8>(byte, <u8>(value >> 16), 2);
    }
  }
}

/**
 * Half of an iteration of k-means for M sub-quantizers: each sub-vector is added to the sum of its nearest centroid and counted there, in
 * the order of the vectors, and its squared distance to that of its sub-quantizer. They may be some of `all` that a vector has, all
 * addresses being of the first one: what is done with the others is nothing to them.
 *
 * transposed: as in pq.ts. sums: f32 [M][2^bits][sub]. counts: i32 [M][2^bits]. errors: f64 [M].
 */
export function trainProduct(
  vectors: usize,
  n: i32,
  all: i32,
  M: i32,
  bits: i32,
  K: i32,
  sub: i32,
  transposed: usize,
  sums: usize,
  counts: usize,
  errors: usize,
): void {
  const size = (<usize>sub) << 2;
  const step = <usize>all * size;
  const centroids = <usize>K * size;
  for (const end = vectors + <usize>n * step; vectors < end;) {
    const some = min(vectors + SOME * step, end);
    for (let m: usize = 0; m < <usize>M; m++) {
      const sum0 = sums + ((m * size) << bits);
      const count0 = counts + (m << (bits + 2));
      for (let x = vectors + m * size; x < some; x += step) {
        const number = <usize>nearestPart(x, K, sub, transposed + m * centroids, errors + (m << 3));
        const count = count0 + (number << 2);
        store<i32>(count, load<i32>(count) + 1);
        const sum = sum0 + number * size;
        for (let j: usize = 0; j < size; j += 4) store<f32>(sum + j, load<f32>(sum + j) + load<f32>(x + j));
      }
    }
    vectors = some;
  }
}

/** The vectors that n rows stand for. codebook: f32 [M][2^bits][sub]. */
export function decodeProduct(
  rows: usize,
  rowBytes: i32,
  n: i32,
  M: i32,
  bits: i32,
  sub: i32,
  codebook: usize,
  out: usize,
): void {
  const size = (<usize>sub) << 2;
  for (let i = 0; i < n; i++, rows += rowBytes) {
    for (let m = 0; m < M; m++, out += size) {
      memory.copy(out, codebook + <usize>((m << bits) + numberAt(rows, m, bits)) * size, size);
    }
  }
}

/** The vector that a row stands for, from the transposed codebook. */
export function decodeTransposed(row: usize, quantizer: Product, out: usize): void {
  const step = (<usize>quantizer.K) << 2;
  let at = quantizer.transposed;
  for (let m = 0; m < quantizer.M; m++) {
    const number = (<usize>numberAt(row, m, quantizer.bits)) << 2;
    for (let j = 0; j < quantizer.sub; j++, at += step, out += 4) store<f32>(out, load<f32>(at + number));
  }
}

/** Puts the terms of n rows behind their codes: |r|² + 2 Cr, summed in f64, C being the row of `centroids` that `cells` (i32 a row) says. */
export function termsOfProduct(
  rows: usize,
  rowBytes: i32,
  n: i32,
  M: i32,
  bits: i32,
  sub: i32,
  codebook: usize,
  centroids: usize,
  cells: usize,
): void {
  const size = (<usize>sub) << 2;
  for (let i = 0; i < n; i++, rows += rowBytes, cells += 4) {
    let sum: f64 = 0;
    let c = centroids + <usize>load<u32>(cells) * size * <usize>M;
    for (let m = 0; m < M; m++) {
      let r = codebook + <usize>((m << bits) + numberAt(rows, m, bits)) * size;
      for (const end = r + size; r < end; r += 4, c += 4) {
        const value = <f64>load<f32>(r);
        sum += value * (value + 2 * <f64>load<f32>(c));
      }
    }
    store<f32>(rows + rowBytes - 4, <f32>sum);
  }
}
