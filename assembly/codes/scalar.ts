// Scalar quantizers: each component of a vector becomes a number c of 8 bits or fewer, by itself.
//
//     x_j  =  low_j + scale_j c_j        low and scale: f32 a dimension, zero from d up to D, d rounded up to 8
//
// A row is a string of bits, low bits first, so that eight components fill `bits` whole bytes:
//
//     8 bits   | c0 | c1 | c2 | c3 | c4 | c5 | c6 | c7 |      8 bytes
//     6 bits   |c1 c0|c2  c1|c3 c2|c5 c4|c6  c5|c7 c6|        6 bytes
//     4 bits   |c1 c0|c3 c2|c5 c4|c7 c6|                      4 bytes
//
// To compare in floats takes 13 instructions for 8 components, a product of whole numbers three. So rows are first bounded from below.
// Under L2, y = C + r being the row, r = low + scale c what the code stands for, and C the centroid of its list (0 without residuals):
//
//     |x - y|²  =  |x - C|²  +  |r|² + 2 Cr  -  2 x low  -  2 (x scale) c
//                    base         term        product      (q c) unit, q being x scale / unit rounded to 16 bits
//
// The term is kept for each row, the product of whole numbers is exact. The bound takes off what rounding can have done (boundsOf
// has the sum), and rows that it can't rule out are compared in floats: the result is that of comparing them all.
//
// Kernels read up to 16 bytes beyond the last row, times zero.

import { pairKey } from "../distance";
import { lookUp, sums, sumsI32 } from "../lanes";
import { INNER_PRODUCT, L2 } from "../metric";
import { Lists, Plan } from "../records";

/** The largest number that a component of a query is rounded to. */
const LEVELS: i32 = 32767;
/** Half a unit in the last place of a float, relative. */
const EPSILON: f32 = 5.9604645e-8;
/** What sums of products may have lost below the smallest float. */
const TINY: f32 = 1e-35;

/** A scalar quantizer; TypeScript fills the fields down to `reach`. */
@unmanaged
export class Scalar {
  /** Which code it is (any.ts). */
  kind: i32;
  d: i32;
  /** d rounded up to 8. */
  D: i32;
  bits: i32;
  /** Where a row's term stands in it; 0 where rows have none. */
  termAt: i32;
  /** Addresses of D floats each. */
  low: usize;
  scale: usize;
  /** 16 numbers of bytes and 8 multipliers of 16 bits, which spread the bits of a row (Packed). */
  spread: usize;
  /** The length of the longest vector that a code can stand for, each component as large as it can be. */
  reach: f32;

  /** Address of the plan. */
  plan: usize;
  metric: i32;
  /** The query that the rest is about, or -1. */
  current: i32;
  query: usize;
  /** D floats: x - C - low under L2, x scale under inner product. */
  rest: usize;
  /** D i16: x scale / unit, rounded. */
  weights: usize;
  unit: f32;
  /** x low. */
  product: f32;
  length: f32;
  /** The base of keys in floats, and that of bounds. */
  base: f32;
  bound: f32;
  /** Whether there are bounds for this query: its numbers can be scaled, and under L2 rows have terms. */
  bounded: i32;

  /** Bytes of scratch. */
  static scratch(d: i32): i32 {
    return ((d + 7) & ~7) * 6;
  }

  open(plan: Plan, _lists: Lists, scratch: usize): void {
    this.plan = changetype<usize>(plan);
    this.metric = plan.metric;
    this.current = -1;
    this.rest = scratch;
    this.weights = scratch + ((<usize>this.D) << 2);
  }

  turn(i: i32, list: i32): void {
    const plan = changetype<Plan>(this.plan);
    const size = (<usize>this.d) << 2;
    if (i != this.current) {
      this.current = i;
      this.take(plan.queries + <usize>i * size);
    }
    const centroid: usize = plan.centroids == 0 ? 0 : plan.centroids + <usize>list * size;
    this.base = this.bound = 0;
    if (this.metric == L2) this.turnL2(centroid);
    else this.turnProduct(centroid == 0 ? 0 : -pairKey(this.query, centroid, this.d, INNER_PRODUCT));
  }

  /** Takes a query. */
  private take(query: usize): void {
    const D = <usize>this.D;
    const d = this.d;
    this.query = query;
    memory.fill(this.rest, 0, D << 2);
    this.product = -pairKey(query, this.low, d, INNER_PRODUCT);
    this.length = sqrt(-pairKey(query, query, d, INNER_PRODUCT));
    let peak: f32 = 0;
    for (let j: usize = 0, end = (<usize>d) << 2; j < end; j += 4) {
      const weight = load<f32>(query + j) * load<f32>(this.scale + j);
      store<f32>(this.rest + j, weight);
      peak = max(peak, abs(weight));
    }
    // d products of a code and a weight stay within 32 bits.
    const levels = min(LEVELS, 0x7fffffff / (((1 << this.bits) - 1) * this.D));
    this.unit = peak / <f32>levels;
    this.bounded = i32((this.termAt != 0 || this.metric == INNER_PRODUCT) && peak > 1e-30 && peak < 1e30);
    if (this.bounded == 0) return;
    const inverse = f32x4.splat(<f32>levels / peak);
    for (let j: usize = 0; j < D; j += 8) {
      const u = f32x4.nearest(f32x4.mul(v128.load(this.rest + (j << 2)), inverse));
      const v = f32x4.nearest(f32x4.mul(v128.load(this.rest + (j << 2), 16), inverse));
      const whole = i16x8.narrow_i32x4_s(i32x4.trunc_sat_f32x4_s(u), i32x4.trunc_sat_f32x4_s(v));
      v128.store(this.weights + (j << 1), whole);
    }
  }

  /** What rounding took of the weights, at most .51 units (half of one, and 3 EPSILON of 32767) in each component, times the code. */
  @inline
  private cut(): f32 {
    return <f32>0.51 * this.unit * <f32>((1 << this.bits) - 1) * <f32>this.d;
  }

  private turnProduct(coarse: f32): void {
    this.base = -coarse - this.product;
    const most: f32 = 2 * this.length * this.reach + abs(coarse);
    this.bound = this.base - this.cut() - <f32>(this.d + 64) * EPSILON * most - TINY;
  }

  /**
   * Beside the cut, the bound takes off roundings, M being |x| + |C| + 2 reach, which no length here exceeds: of the base and of x low,
   * (d/4 + 8) EPSILON M² each, of the comparison in floats, (d/4 + 16) EPSILON M², and of the rest, each a few: (d + 64) EPSILON M².
   */
  private turnL2(centroid: usize): void {
    const d = this.d;
    const x = this.query;
    const body = (<usize>(d & ~3)) << 2;
    const none = f32x4.splat(0);
    let j: usize = 0;
    for (; j < body; j += 16) {
      const y = centroid == 0 ? none : v128.load(centroid + j);
      v128.store(this.rest + j, f32x4.sub(f32x4.sub(v128.load(x + j), y), v128.load(this.low + j)));
    }
    for (const end = (<usize>d) << 2; j < end; j += 4) {
      const y: f32 = centroid == 0 ? 0 : load<f32>(centroid + j);
      store<f32>(this.rest + j, load<f32>(x + j) - y - load<f32>(this.low + j));
    }
    if (this.bounded == 0) return;
    const square = centroid == 0 ? this.length * this.length : pairKey(x, centroid, d, L2);
    const most: f32 = 2 * (this.length + this.reach) + sqrt(square);
    this.bound = square - 2 * (this.product + this.cut()) - <f32>(d + 64) * EPSILON * most * most - TINY;
  }

  /** The terms of four rows. */
  @inline
  terms(a: usize, b: usize, c: usize, e: usize): v128 {
    const at = <usize>this.termAt;
    return f32x4(load<f32>(a + at), load<f32>(b + at), load<f32>(c + at), load<f32>(e + at));
  }
}

/** Components of 8 bits. */
@unmanaged
export class Bytes extends Scalar {

  @inline
  stride(): usize {
    return 8;
  }

  /** Eight components as i16. */
  @inline
  eight(row: usize): v128 {
    return v128.load8x8_u(row);
  }


  @inline
  four(a: usize, b: usize, c: usize, e: usize, bar: f32): v128 {
    return keysOf<Bytes>(this, a, b, c, e, bar);
  }
}

/**
 * Components of fewer bits. Each of eight lanes gets the two bytes that hold its bits, and is pushed to the upper end, then down:
 *
 *     6 bits, lane 1   | byte 1 | byte 0 |  x 2^4  ->  | c1 ……… |  >> 10  ->  | c1 |
 */
@unmanaged
export class Packed extends Scalar {

  @inline
  stride(): usize {
    return <usize>this.bits;
  }


  @inline
  eight(row: usize): v128 {
    const bytes = lookUp(v128.load(row), v128.load(this.spread));
    return i16x8.shr_u(i16x8.mul(bytes, v128.load(this.spread, 16)), 16 - this.bits);
  }


  @inline
  four(a: usize, b: usize, c: usize, e: usize, bar: f32): v128 {
    return keysOf<Packed>(this, a, b, c, e, bar);
  }
}

/** The keys of four rows; infinity for all where none can be below the bar. */
function keysOf<C extends Scalar>(code: C, a: usize, b: usize, c: usize, e: usize, bar: f32): v128 {
  // Nothing is above a NaN: then rows are compared.
  if (code.bounded != 0 && v128.all_true<i32>(f32x4.gt(boundFour<C>(code, a, b, c, e), f32x4.splat(bar)))) {
    return f32x4.splat(Infinity);
  }
  return compareFour<C>(code, a, b, c, e);
}

/** Lower bounds of the keys of four rows. */
@inline
function boundFour<C extends Scalar>(code: C, a: usize, b: usize, c: usize, e: usize): v128 {
  const bound = f32x4.splat(code.bound);
  const base = code.metric == INNER_PRODUCT ? bound : f32x4.add(bound, code.terms(a, b, c, e));
  let weights = code.weights;
  const end = weights + ((<usize>code.D) << 1);
  const stride = code.stride();
  let s0 = i32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  for (; weights < end; weights += 16, a += stride, b += stride, c += stride, e += stride) {
    const w = v128.load(weights);
    s0 = i32x4.add(s0, i32x4.dot_i16x8_s(w, code.eight(a)));
    s1 = i32x4.add(s1, i32x4.dot_i16x8_s(w, code.eight(b)));
    s2 = i32x4.add(s2, i32x4.dot_i16x8_s(w, code.eight(c)));
    s3 = i32x4.add(s3, i32x4.dot_i16x8_s(w, code.eight(e)));
  }
  const products = f32x4.mul(f32x4.convert_i32x4_s(sumsI32(s0, s1, s2, s3)), f32x4.splat(code.unit));
  return f32x4.sub(base, code.metric == INNER_PRODUCT ? products : f32x4.add(products, products));
}

/** The keys of four rows, in floats. */
@inline
function compareFour<C extends Scalar>(code: C, a: usize, b: usize, c: usize, e: usize): v128 {
  let rest = code.rest;
  const end = rest + ((<usize>code.D) << 2);
  const stride = code.stride();
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  if (code.metric == INNER_PRODUCT) {
    for (; rest < end; rest += 32, a += stride, b += stride, c += stride, e += stride) {
      const x = v128.load(rest);
      const y = v128.load(rest, 16);
      s0 = addProducts(s0, x, y, code.eight(a));
      s1 = addProducts(s1, x, y, code.eight(b));
      s2 = addProducts(s2, x, y, code.eight(c));
      s3 = addProducts(s3, x, y, code.eight(e));
    }
    return f32x4.sub(f32x4.splat(code.base), sums(s0, s1, s2, s3));
  }
  let scale = code.scale;
  for (; rest < end; rest += 32, scale += 32, a += stride, b += stride, c += stride, e += stride) {
    s0 = addSquares(s0, rest, scale, code.eight(a));
    s1 = addSquares(s1, rest, scale, code.eight(b));
    s2 = addSquares(s2, rest, scale, code.eight(c));
    s3 = addSquares(s3, rest, scale, code.eight(e));
  }
  return sums(s0, s1, s2, s3);
}


@inline
function addProducts(sum: v128, x: v128, y: v128, eight: v128): v128 {
  sum = f32x4.add(sum, f32x4.mul(x, f32x4.convert_i32x4_u(i32x4.extend_low_i16x8_u(eight))));
  return f32x4.add(sum, f32x4.mul(y, f32x4.convert_i32x4_u(i32x4.extend_high_i16x8_u(eight))));
}


@inline
function addSquares(sum: v128, rest: usize, scale: usize, eight: v128): v128 {
  const x = f32x4.convert_i32x4_u(i32x4.extend_low_i16x8_u(eight));
  const y = f32x4.convert_i32x4_u(i32x4.extend_high_i16x8_u(eight));
  const u = f32x4.sub(v128.load(rest), f32x4.mul(v128.load(scale), x));
  const v = f32x4.sub(v128.load(rest, 16), f32x4.mul(v128.load(scale, 16), y));
  return f32x4.add(f32x4.add(sum, f32x4.mul(u, u)), f32x4.mul(v, v));
}

/** A component of a row. */
@inline
function componentAt(row: usize, j: i32, bits: i32): i32 {
  if (bits == 8) return load<u8>(row + j);
  const at = j * bits;
  const byte = row + (at >> 3);
  const shift = at & 7;
  // The second byte belongs to the row only where bits run into it.
  const two = shift + bits > 8 ? load<u8>(byte) | ((<i32>load<u8>(byte, 1)) << 8) : load<u8>(byte);
  return (two >> shift) & ((1 << bits) - 1);
}

/**
 * Encodes n vectors into rows of `rowBytes` bytes, by faiss' rule: the share of the range (first and span: d floats each) that lies
 * below, times the largest number, cut off; the product is an f32 for 8 bits and an f64 for fewer, as there. A span of 0 gives 0.
 */
export function encodeScalar(
  vectors: usize,
  n: i32,
  d: i32,
  bits: i32,
  first: usize,
  span: usize,
  rows: usize,
  rowBytes: i32,
): void {
  const most = (1 << bits) - 1;
  for (let i = 0; i < n; i++, rows += rowBytes) {
    memory.fill(rows, 0, rowBytes);
    for (let j = 0; j < d; j++, vectors += 4) {
      const at = (<usize>j) << 2;
      const range = load<f32>(span + at);
      let share: f32 = 0;
      if (range != 0) {
        share = (load<f32>(vectors) - load<f32>(first + at)) / range;
        if (share < 0) share = 0;
        if (share > 1) share = 1;
      }
      if (bits == 8) {
        store<u8>(rows + j, <u8>(<i32>(share * 255)));
      } else {
        const bit = j * bits;
        const byte = rows + (bit >> 3);
        const value = (<i32>(<f64>share * <f64>most)) << (bit & 7);
        store<u8>(byte, <u8>(load<u8>(byte) | value));
        if (value > 255) store<u8>(byte, <u8>(value >> 8), 1);
      }
    }
  }
}

/**
 * Encodes n vectors of whole numbers, which are kept as they are, less what is behind the point, with `offset` added. Returns the
 * position of the first component that does not fit a byte, or -1.
 */
export function encodeDirect(vectors: usize, n: i32, d: i32, offset: i32, rows: usize, rowBytes: i32): i32 {
  for (let i = 0; i < n; i++, rows += rowBytes) {
    for (let j = 0; j < d; j++, vectors += 4) {
      const value = <i32>(load<f32>(vectors) + <f32>offset);
      if (value < 0 || value > 255) return i * d + j;
      store<u8>(rows + j, <u8>value);
    }
  }
  return -1;
}

/** The vector that a row of bytes stands for. */
export function decodeBytes(row: usize, d: i32, low: usize, scale: usize, out: usize): void {
  const body = row + <usize>(d & ~3);
  for (; row < body; row += 4, low += 16, scale += 16, out += 16) {
    const codes = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(row)));
    v128.store(out, f32x4.add(v128.load(low), f32x4.mul(v128.load(scale), f32x4.convert_i32x4_u(codes))));
  }
  for (let j = d & 3; j > 0; j--, row++, low += 4, scale += 4, out += 4) {
    store<f32>(out, load<f32>(low) + load<f32>(scale) * <f32>load<u8>(row));
  }
}

/** The vectors that n rows stand for. */
export function decodeScalar(
  rows: usize,
  rowBytes: i32,
  n: i32,
  d: i32,
  bits: i32,
  low: usize,
  scale: usize,
  out: usize,
): void {
  for (let i = 0; i < n; i++, rows += rowBytes) {
    for (let j = 0; j < d; j++, out += 4) {
      const at = (<usize>j) << 2;
      store<f32>(out, load<f32>(low + at) + load<f32>(scale + at) * <f32>componentAt(rows, j, bits));
    }
  }
}

/**
 * Puts the terms of n rows behind their codes: |r|² + 2 Cr, summed in f64, C being the row of `centroids` that `cells` (i32 a row) says;
 * 0 for none.
 */
export function termsOfScalar(
  rows: usize,
  rowBytes: i32,
  n: i32,
  d: i32,
  bits: i32,
  low: usize,
  scale: usize,
  centroids: usize,
  cells: usize,
): void {
  for (let i = 0; i < n; i++, rows += rowBytes, cells += 4) {
    const centroid: usize = centroids == 0 ? 0 : centroids + ((<usize>load<u32>(cells) * <usize>d) << 2);
    let sum: f64 = 0;
    for (let j = 0; j < d; j++) {
      const at = (<usize>j) << 2;
      const r = <f64>load<f32>(low + at) + <f64>load<f32>(scale + at) * <f64>componentAt(rows, j, bits);
      sum += r * (centroid == 0 ? r : r + 2 * <f64>load<f32>(centroid + at));
    }
    store<f32>(rows + rowBytes - 4, <f32>sum);
  }
}
