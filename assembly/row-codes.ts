// True bounds by codes: each row once more in 8-bit numbers, a quarter of its bytes, by which a scan passes over nearly all rows.
//
// A row y, less the mean m of some, is c times a scale, c being whole numbers from -127 to 127, and what that leaves over:
//
//     y - m = s c + e          s c is called the image of the row; |e| is known when the code is made
//     x - m = t q + f          the same of a query, in 14 bits, so that f is next to nothing
//
// Images have whole numbers for a product, (q c), exact in 32 bits, and by the triangle inequality
//
//     |x - y|  >=  | t q - s c | - |e| - |f|  =  sqrt(|t q|² + |s c|² - 2 t s (q c)) - |e| - |f|
//
// Under inner product x stays where it is, and xy = xm + x(s c) + xe, where x(s c) is t s (q c) but for |f||s c|, and xe at most |x||e|.
// A row whose bound is too large is passed over, the others are compared exactly: the answer is that of the plain scan. Of the 743 rows
// in 16 lists of real ContentVec frames (d = 768), 13 have a bound below the distance of the 8th nearest; in 6 bits, 40 would.
//
// One block of memory holds all, for `capacity` slots, C being capacity rounded up to 4 and four more (lanes read beyond the last):
//
//     RowCodes              | 4 words
//     m                     | D f32        D is d rounded up to 16, the rest being zero
//     order of dimensions   | D u32        codes have number j of a row, which is 4 j here, in its place; the first d are those below d
//     s of each slot        | C f32
//     |s c|² of each slot   | C f32
//     |e| of each slot      | C f32
//     rest of each slot     | C f32
//     c of each slot        | capacity x D i8
//
// A PART of a code, its first numbers, may do: with those of the widest spread first, 352 of a real voice's 768 leave a seventh of the squares
// over. By Cauchy and Schwarz the product of images is at most that of their parts and r |t q'|, r = |s c'| being the rest of a row, and
// |t q'| at most |x'| + |f|, where ' is what is behind the part. Both lengths are taken a thousandth larger, which is more than what floats
// lose of them, and what their product and the sum lose is among the roundings that G spares.

import { sum, sumsI32 } from "./lanes";
import { TOO_LONG, TOO_SHORT } from "./metric";
import { EPSILON, sumError, TINY } from "./rounding";
import { addMultiple } from "./rows";

/** The largest number in the code of a row. */
export const LEVELS: i32 = 127;
/** What a length may have lost because squares below 1e-45 are zero: the root of d of them, d being at most 2^16. */
const LOST: f32 = 1e-20;
/** 1.5 x 2^23: a float of up to 2^22 that is added to it is rounded to a whole number, which stands in its low bits. */
const ROUND: f32 = 12582912;
const ROUND_BITS: i32 = 0x4b400000;

/** What stands at the start of the block, and is written before rows are encoded. */
@unmanaged
export class RowCodes {
  capacity: i32;
  /** Heads of the same rows (whole-heads.ts) with the codes' mean, or 0. */
  heads: usize;
  /** Numbers of the part of a code, a multiple of 16; D where it is all of it. */
  part: i32;
  /** Whether a search looks at parts of codes before all of them. */
  inParts: i32;
  /** The first number of the mean. */
  mean: f32;
}


@inline
export function up16(n: i32): i32 {
  return (n + 15) & ~15;
}

/** Bytes of what is known of each slot, lanes reading up to three beyond. */
@inline
export function strideOf(capacity: i32): usize {
  return (<usize>((capacity + 7) & ~3)) << 2;
}

/** Where the mean of codes stands. */
@inline
export function codesMean(block: usize): usize {
  return block + offsetof<RowCodes>("mean");
}

/** Where scales stand, and a stride further what else is known of slots. */
@inline
export function factsOf(block: usize, D: i32): usize {
  return codesMean(block) + ((<usize>D) << 3);
}

/** Bytes of the block; too many for 32 bits perhaps. */
export function rowCodesBytes(capacity: i32, d: i32): f64 {
  return <f64>factsOf(0, up16(d)) + <f64>strideOf(capacity) * 4 + <f64>capacity * <f64>up16(d);
}

/** Bytes of scratch that encodeRows takes. */
export function encodeRowsScratch(d: i32): i32 {
  return up16(d) * 4;
}

/** Writes the mean of the rows of n slots to the block. */
export function meanOfRows(rows: usize, slots: usize, n: i32, d: i32, block: usize): void {
  const size = (<usize>d) << 2;
  const share: f32 = <f32>1 / <f32>n;
  const mean = codesMean(block);
  memory.fill(mean, 0, (<usize>up16(d)) << 2);
  for (let i = 0; i < n; i++, slots += 4) addMultiple(mean, rows + <usize>load<u32>(slots) * size, share, size);
}

/** Writes the d numbers of x, less the mean where `less` is 1 and not 0, in the order that codes have. */
export function arrange(x: usize, block: usize, d: i32, less: f32, out: usize): void {
  const mean = codesMean(block);
  for (let order = mean + ((<usize>up16(d)) << 2), end = order + ((<usize>d) << 2); order < end; order += 4, out += 4) {
    const j = load<u32>(order);
    store<f32>(out, load<f32>(x + j) - less * load<f32>(mean + j));
  }
}

/**
 * Makes the codes of the n rows from slot `first` on. Returns 0 where a row is beyond codes: NaN, infinities, lengths near the end
 * of f32.
 */
export function encodeRows(rows: usize, first: i32, n: i32, d: i32, block: usize, scratch: usize): i32 {
  const own = changetype<RowCodes>(block);
  const D = up16(d);
  const stride = strideOf(own.capacity);
  memory.fill(scratch, 0, (<usize>D) << 2);
  for (const end = first + n; first < end; first++) {
    const facts = factsOf(block, D) + ((<usize>first) << 2);
    const code = factsOf(block, D) + (stride << 2) + <usize>first * <usize>D;
    arrange(rows + <usize>(<u32>first) * ((<usize>d) << 2), block, d, 1, scratch);
    if (quantize(scratch, D, LEVELS, Infinity, facts, stride, code, true) < 0) return 0;
    let squares = i32x4.splat(0);
    for (let j = own.part; j < D; j += 8) {
      const c = v128.load8x8_s(code + <usize>j);
      squares = i32x4.add(squares, i32x4.dot_i16x8_s(c, c));
    }
    const square = <f32>i32x4.extract_lane(sumsI32(squares, squares, squares, squares), 0);
    store<f32>(facts + stride * 3, load<f32>(facts) * sqrt(square) * <f32>1.001);
  }
  return 1;
}

/**
 * Turns D numbers into whole ones from -levels to levels and a scale, D being a multiple of 16; the length of the whole ones is at most
 * `reach`, but for rounding. Writes the scale, a stride further the squared length of the image and behind it, at least, the length of what it
 * leaves over; the numbers as bytes, or as 16 bits. Returns the squared length of what was given, -1 where it can't be scaled.
 *
 *     z    | 16 f32 |  / scale, + ROUND  ->  whole numbers in the low bits of 4 x 4 lanes  ->  | 16 i8 |
 */
export function quantize(
  z: usize,
  D: i32,
  levels: i32,
  reach: f32,
  facts: usize,
  stride: usize,
  out: usize,
  bytes: bool,
): f32 {
  const end = z + ((<usize>D) << 2);
  let peaks = f32x4.splat(0);
  let squares = peaks;
  let others = peaks;
  for (let at = z; at < end; at += 32) {
    let v = v128.load(at);
    peaks = f32x4.pmax(peaks, f32x4.abs(v));
    squares = f32x4.add(squares, f32x4.mul(v, v));
    v = v128.load(at, 16);
    peaks = f32x4.pmax(peaks, f32x4.abs(v));
    others = f32x4.add(others, f32x4.mul(v, v));
  }
  const length = sum(f32x4.add(squares, others));
  if (!(length < TOO_LONG)) return -1;
  const peak = max(
    max(f32x4.extract_lane(peaks, 0), f32x4.extract_lane(peaks, 1)),
    max(f32x4.extract_lane(peaks, 2), f32x4.extract_lane(peaks, 3)),
  );
  // What is too short for a scale becomes zero, and is all error.
  const s: f32 = length < TOO_SHORT ? 0 : max(peak / <f32>levels, sqrt(length) / reach);
  const inverse = f32x4.splat(s > 0 ? 1 / s : 0);
  const s4 = f32x4.splat(s);
  const round = f32x4.splat(ROUND);
  const bits = i32x4.splat(ROUND_BITS);
  let images = f32x4.splat(0);
  let rests = images;
  for (; z < end; z += 64, out += bytes ? 16 : 32) {
    let low = i32x4.splat(0);
    let high = low;
    for (let half: usize = 0; half < 64; half += 32) {
      const u = v128.load(z + half);
      const v = v128.load(z + half, 16);
      const p = f32x4.add(f32x4.mul(u, inverse), round);
      const q = f32x4.add(f32x4.mul(v, inverse), round);
      const a = f32x4.sub(p, round);
      const b = f32x4.sub(q, round);
      images = f32x4.add(images, f32x4.add(f32x4.mul(a, a), f32x4.mul(b, b)));
      const e = f32x4.sub(u, f32x4.mul(s4, a));
      const f = f32x4.sub(v, f32x4.mul(s4, b));
      rests = f32x4.add(rests, f32x4.add(f32x4.mul(e, e), f32x4.mul(f, f)));
      const whole = i16x8.narrow_i32x4_s(i32x4.sub(p, bits), i32x4.sub(q, bits));
      if (half == 0) low = whole;
      else high = whole;
    }
    if (bytes) {
      v128.store(out, i8x16.narrow_i16x8_s(low, high));
    } else {
      v128.store(out, low);
      v128.store(out, high, 16);
    }
  }
  // Subtracting the mean rounded each number once, multiplying the scale once more, and so did the last difference: what is left over is
  // off by at most u|z| + u|s c| + u|e| in each place, |s c| being at most |z| + |e|, so its length by 2u of |z| and 2u of |e|, of which 8u
  // and a part of .001 are taken. Sums of squares are off by G, roots by half of it.
  const rounded: f32 = <f32>1.001 + sumError(D);
  store<f32>(facts, s);
  store<f32>(facts + stride, s * s * sum(images));
  store<f32>(facts + (stride << 1), sqrt(sum(rests)) * rounded + sqrt(length) * <f32>8 * EPSILON + LOST);
  return length;
}

/**
 * Lower bounds of the squared distances of a query to four rows, from the products of their images, at most; `shrink` is what rounding leaves of
 * a sum of squares.
 */
@inline
export function leastSquares(product: v128, norms: v128, errors: v128, norm: v128, error: v128, shrink: v128): v128 {
  const zero = f32x4.splat(0);
  const both = f32x4.mul(f32x4.add(norm, norms), shrink);
  // pmax takes its first operand where that is NaN.
  const images = f32x4.sqrt(f32x4.pmax(f32x4.sub(both, f32x4.add(product, product)), zero));
  const least = f32x4.pmax(f32x4.sub(images, f32x4.add(error, errors)), zero);
  return f32x4.sub(f32x4.mul(f32x4.mul(least, least), shrink), f32x4.splat(TINY));
}
