// Rows of a voice file that stay numbers: searched and blended in the basis of the file, in a quarter of the memory of floats.
//
//     | k0 … k(padded - 1) | a | square | rounding | middle | list |      k: i8 each, or i16 where one does not fit; padded: width up
//                            f32  f32       f32       f32     u32         to a multiple of 16, with zeros
//
// A row stands for C + a v(k) B, C being the centroid of its list and B the basis; v(k) is k but for 1 and 2, to which each column adds
// something of its own (rows.ts). With r = (x - C) B', the columns of B being at right angles and of length 1, under L2
//
//     |x - y|²  =  |x - C|² - |r|²  +  |r - a v|²          compared in floats: `remain`, and one sum over columns
//     |r - a v|²  =  |r|²  +  a² |v|²  -  2 a r k  -  2 a r (v - k)
//                              square      a (q k) unit    at most |r| a |v - k|,      q being r / unit rounded to 16 bits
//                                                               middle
//
// The product of whole numbers is exact; what rounding r took is at most .51 units in each column, so .51 unit a sum|k|: `rounding` is
// .51 a sum|k|. Rows that this lower bound can't rule out are compared in floats: what is found is what comparing all of them finds.

import { pairKey } from "../distance";
import { Best } from "../found/best";
import { Within } from "../found/within";
import { sumsI32 } from "../lanes";
import { INNER_PRODUCT, L2 } from "../metric";
import { Lists, Plan } from "../records";
import { RowCode } from "../scan/row-code";
import { scanLists } from "../scan/lists";
import { product } from "./matrix";
import { sum, values } from "./rows";

/** The largest number that a component of a query is rounded to. */
const LEVELS: i32 = 32767;
/** Half a unit in the last place of a float, relative. */
const EPSILON: f32 = 5.9604645e-8;
const TINY: f32 = 1e-35;
/** A millionth more than what rounding can have taken: bounds must not lose by their own rounding. */
const MORE: f64 = 1.000001;
const LOST: f64 = 0.51 * MORE;
/** Bytes behind the numbers of a row, and where each stands among them. */
const FACTORS: i32 = 20;
const SQUARE: usize = 4;
const ROUNDING: usize = 8;
const MIDDLE: usize = 12;
const LIST: usize = 16;

/** Bytes of a row. */
export function compactRowBytes(width: i32, wide: i32): i32 {
  return (((width + 15) & ~15) << wide) + FACTORS;
}

/** A voice in its basis; TypeScript fills the fields down to `centroids`. */
@unmanaged
export class Compact extends RowCode {
  d: i32;
  /** Columns that have numbers. */
  width: i32;
  /** 1 where numbers are i16, 0 where they are i8. */
  wide: i32;
  /** The largest of them, without its sign. */
  most: i32;
  /** The longest row without its centroid. */
  reach: f32;
  /** Of the basis, what packColumns makes. */
  columns: usize;
  /** What 1 and 2 stand for beyond themselves: f32 a column, padded. */
  ones: usize;
  twos: usize;
  /** nlist x d f32: centroids in the basis, and as they are. */
  centres: usize;
  centroids: usize;

  // From here on the kernel's own.
  queries: usize;
  metric: i32;
  /** nq x d f32: queries in the basis. */
  rotated: usize;
  /** f32 a column, padded: r under L2, the query in the basis under inner product; and i16: the same in units, rounded. */
  rest: usize;
  weights: usize;
  unit: f32;
  length: f32;
  /** What the sum of a comparison in floats is added to, and the lower bound without what a row has of its own. */
  base: f32;
  bound: f32;
  /** Whether there are bounds: the query's numbers can be scaled. */
  bounded: i32;

  /** Numbers of a row, with the zeros behind them. */
  @inline
  padded(): i32 {
    return (this.width + 15) & ~15;
  }

  open(plan: Plan, _lists: Lists, scratch: usize): void {
    const size = (<usize>(plan.nq * this.d)) << 2;
    this.queries = plan.queries;
    this.metric = plan.metric;
    this.rotated = scratch;
    this.rest = scratch + size;
    this.weights = this.rest + ((<usize>this.padded()) << 2);
    product(plan.queries, plan.nq, this.d, this.d, this.columns, this.d, this.width, 0, this.rotated, this.d);
  }

  turn(i: i32, list: i32): void {
    const size = (<usize>this.d) << 2;
    const query = this.queries + <usize>i * size;
    const rotated = this.rotated + <usize>i * size;
    const centre = this.centres + <usize>list * size;
    const isL2 = this.metric == L2;
    const body = (<usize>this.width) << 2;
    let square: f32 = 0;
    let peak: f32 = 0;
    for (let j: usize = 0; j < body; j += 4) {
      const r = load<f32>(rotated + j) - (isL2 ? load<f32>(centre + j) : 0);
      store<f32>(this.rest + j, r);
      square += r * r;
      peak = max(peak, abs(r));
    }
    memory.fill(this.rest + body, 0, ((<usize>this.padded()) << 2) - body);
    const coarse = pairKey(query, this.centroids + <usize>list * size, this.d, this.metric);
    // What of x - C is in no column: nothing where there are as many as dimensions.
    this.base = isL2 ? (this.width == this.d ? 0 : max<f32>(0, coarse - square)) : coarse;
    this.length = sqrt(square);
    const least = isL2 ? this.base + square : coarse;
    const reach = this.length + this.reach;
    const roundings = this.width * 2 + 64;
    this.bound = least - <f32>roundings * EPSILON * (reach * reach + abs(coarse)) - TINY;
    // The sum of all products stays within 32 bits.
    const levels = min(LEVELS, 0x7fffffff / (max(1, this.most) * this.padded()));
    this.unit = peak / <f32>levels;
    this.bounded = i32(peak > 1e-30 && reach < 1e15);
    if (this.bounded == 0) return;
    const inverse = f32x4.splat(<f32>levels / peak);
    for (let j: usize = 0, end = <usize>this.padded(); j < end; j += 8) {
      const u = f32x4.nearest(f32x4.mul(v128.load(this.rest + (j << 2)), inverse));
      const v = f32x4.nearest(f32x4.mul(v128.load(this.rest + (j << 2), 16), inverse));
      const whole = i16x8.narrow_i32x4_s(i32x4.trunc_sat_f32x4_s(u), i32x4.trunc_sat_f32x4_s(v));
      v128.store(this.weights + (j << 1), whole);
    }
  }

  four(a: usize, b: usize, c: usize, e: usize, bar: f32): v128 {
    let open = 15;
    if (this.bounded != 0) {
      const bounds = this.wide != 0 ? boundFour<i16>(this, a, b, c, e) : boundFour<i8>(this, a, b, c, e);
      // Nothing is above a NaN: then rows are compared.
      open = i32x4.bitmask(v128.not(f32x4.gt(bounds, f32x4.splat(bar))));
      if (open == 0) return f32x4.splat(Infinity);
    }
    return f32x4(
      open & 1 ? keyOf(this, a) : Infinity,
      open & 2 ? keyOf(this, b) : Infinity,
      open & 4 ? keyOf(this, c) : Infinity,
      open & 8 ? keyOf(this, e) : Infinity,
    );
  }
}

/** A factor of four rows. */
@inline
function fourOf(a: usize, b: usize, c: usize, e: usize, at: usize): v128 {
  return f32x4(load<f32>(a + at), load<f32>(b + at), load<f32>(c + at), load<f32>(e + at));
}

/**
 * Lower bounds of the keys of four rows.
 *
 *     q | 8 x i16 |   .   k | 8 x i8, as i16 |   ->   four sums of pairs, i32
 */
function boundFour<T>(code: Compact, a: usize, b: usize, c: usize, e: usize): v128 {
  let weights = code.weights;
  const end = weights + ((<usize>code.padded()) << 1);
  const factors = (<usize>code.padded()) << (<usize>code.wide);
  let s0 = i32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  for (let j: usize = 0; weights < end; weights += 16, j += sizeof<T>() << 3) {
    const w = v128.load(weights);
    s0 = i32x4.add(s0, i32x4.dot_i16x8_s(w, eight<T>(a + j)));
    s1 = i32x4.add(s1, i32x4.dot_i16x8_s(w, eight<T>(b + j)));
    s2 = i32x4.add(s2, i32x4.dot_i16x8_s(w, eight<T>(c + j)));
    s3 = i32x4.add(s3, i32x4.dot_i16x8_s(w, eight<T>(e + j)));
  }
  const unit = f32x4.splat(code.unit);
  const products = f32x4.mul(
    f32x4.mul(f32x4.convert_i32x4_s(sumsI32(s0, s1, s2, s3)), unit),
    fourOf(a, b, c, e, factors),
  );
  const lost = f32x4.add(
    f32x4.mul(fourOf(a, b, c, e, factors + ROUNDING), unit),
    f32x4.mul(fourOf(a, b, c, e, factors + MIDDLE), f32x4.splat(code.length)),
  );
  const off = f32x4.add(products, lost);
  const bound = f32x4.splat(code.bound);
  if (code.metric == INNER_PRODUCT) return f32x4.sub(bound, off);
  return f32x4.sub(f32x4.add(bound, fourOf(a, b, c, e, factors + SQUARE)), f32x4.add(off, off));
}

/** Eight numbers as i16. */
@inline
function eight<T>(at: usize): v128 {
  return sizeof<T>() == 1 ? v128.load8x8_s(at) : v128.load(at);
}

/** Four numbers as i32. */
@inline
function quarter(at: usize, wide: i32): v128 {
  if (wide != 0) return v128.load16x4_s(at);
  return i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v128.load32_zero(at)));
}

/** The key of a row, in floats. */
function keyOf(code: Compact, row: usize): f32 {
  const wide = code.wide;
  const end = (<usize>code.padded()) << 2;
  const scale = f32x4.splat(load<f32>(row + ((<usize>code.padded()) << (<usize>wide))));
  const rest = code.rest;
  const isL2 = code.metric == L2;
  let acc = f32x4.splat(0);
  for (let j: usize = 0; j < end; j += 16, row += (<usize>4) << wide) {
    const v = f32x4.mul(scale, values(quarter(row, wide), v128.load(code.ones + j), v128.load(code.twos + j)));
    const x = v128.load(rest + j);
    if (isL2) {
      const difference = f32x4.sub(x, v);
      acc = f32x4.add(acc, f32x4.mul(difference, difference));
    } else {
      acc = f32x4.add(acc, f32x4.mul(x, v));
    }
  }
  return isL2 ? code.base + sum(acc) : code.base - sum(acc);
}

/** Bytes of scratch that the code takes for nq queries. */
export function compactScratch(nq: i32, d: i32, width: i32): i32 {
  return ((nq * d) << 2) + ((width + 15) & ~15) * 6;
}

export function scanCompactBest(code: usize, plan: usize, lists: usize, found: usize): void {
  scanLists<Compact, Best>(
    changetype<Compact>(code),
    changetype<Plan>(plan),
    changetype<Lists>(lists),
    changetype<Best>(found),
  );
}

export function scanCompactWithin(code: usize, plan: usize, lists: usize, found: usize): void {
  scanLists<Compact, Within>(
    changetype<Compact>(code),
    changetype<Plan>(plan),
    changetype<Lists>(lists),
    changetype<Within>(found),
  );
}

/**
 * Makes rows of the numbers of a list: n x stride i16, and a scale (f32) each.
 *
 * @returns the largest number without its sign: where it does not fit (127 for i8), the rows are of no use
 */
export function foldRows(
  numbers: usize,
  n: i32,
  width: i32,
  stride: i32,
  ones: usize,
  twos: usize,
  scales: usize,
  list: i32,
  wide: i32,
  rows: usize,
): i32 {
  const padded = (width + 15) & ~15;
  const factors = (<usize>padded) << (<usize>wide);
  let most = 0;
  for (let i = 0; i < n; i++, rows += factors + FACTORS) {
    memory.fill(rows, 0, factors);
    const from = numbers + ((<usize>(i * stride)) << 1);
    let sizes: i32 = 0;
    let square: f64 = 0;
    let away: f64 = 0;
    for (let j = 0; j < width; j++) {
      const k = <i32>load<i16>(from + ((<usize>j) << 1));
      const size = abs(k);
      const column = (<usize>j) << 2;
      const more: f32 = size == 1 ? load<f32>(ones + column) : size == 2 ? load<f32>(twos + column) : 0;
      const value = <f64>size + <f64>more;
      sizes += size;
      most = max(most, size);
      square += value * value;
      away += <f64>more * <f64>more;
      if (wide != 0) store<i16>(rows + ((<usize>j) << 1), <i16>k);
      else store<i8>(rows + <usize>j, <i8>k);
    }
    const scale = <f64>load<f32>(scales + ((<usize>i) << 2));
    const at = rows + factors;
    store<f32>(at, <f32>scale);
    store<f32>(at + SQUARE, <f32>(scale * scale * square));
    const lost: f64 = LOST * scale * <f64>sizes;
    const middle: f64 = MORE * scale * sqrt<f64>(away);
    store<f32>(at + ROUNDING, <f32>lost);
    store<f32>(at + MIDDLE, <f32>middle);
    store<i32>(at + LIST, list);
  }
  return most;
}

/** What n rows stand for in the basis, without their centroids: f32, rows of outStride (a multiple of 4, at least width) numbers. */
export function unfoldRows(
  rows: usize,
  n: i32,
  width: i32,
  ones: usize,
  twos: usize,
  wide: i32,
  out: usize,
  outStride: i32,
): void {
  const factors = (<usize>((width + 15) & ~15)) << (<usize>wide);
  for (let i = 0; i < n; i++, rows += factors + FACTORS, out += (<usize>outStride) << 2) {
    const scale = f32x4.splat(load<f32>(rows + factors));
    for (let j = 0; j < width; j += 4) {
      const at = (<usize>j) << 2;
      const v = values(quarter(rows + ((<usize>j) << (<usize>wide)), wide), v128.load(ones + at), v128.load(twos + at));
      v128.store(out + at, f32x4.mul(v, scale));
    }
  }
}

/** What n rows stand for in a basis of d columns, `centres` being centroids in it: n x d f32. */
export function unfoldWhole(
  rows: usize,
  n: i32,
  d: i32,
  width: i32,
  ones: usize,
  twos: usize,
  wide: i32,
  centres: usize,
  out: usize,
): void {
  const factors = (<usize>((width + 15) & ~15)) << (<usize>wide);
  const size = (<usize>d) << 2;
  const body = (<usize>(width & ~3)) << 2;
  for (let i = 0; i < n; i++, rows += factors + FACTORS, out += size) {
    const scale = load<f32>(rows + factors);
    const centre = centres + <usize>load<u32>(rows + factors + LIST) * size;
    memory.copy(out, centre, size);
    for (let j: usize = 0; j < body; j += 16) {
      const v = values(quarter(rows + ((j >> 2) << (<usize>wide)), wide), v128.load(ones + j), v128.load(twos + j));
      v128.store(out + j, f32x4.add(v128.load(out + j), f32x4.mul(v, f32x4.splat(scale))));
    }
    for (let j = width & ~3; j < width; j++) {
      const k = wide != 0 ? <i32>load<i16>(rows + ((<usize>j) << 1)) : <i32>load<i8>(rows + <usize>j);
      const size = abs(k);
      const at = (<usize>j) << 2;
      const value = <f32>size + (size == 1 ? load<f32>(ones + at) : size == 2 ? load<f32>(twos + at) : <f32>0);
      store<f32>(out + at, load<f32>(out + at) + (k < 0 ? -value : value) * scale);
    }
  }
}

/** The list of a row. */
export function listOfRow(row: usize, width: i32, wide: i32): i32 {
  return load<i32>(row + ((<usize>((width + 15) & ~15)) << (<usize>wide)) + LIST);
}
