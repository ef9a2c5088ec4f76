// Rows in whole numbers of 16 bits, four a block, and their products with queries in such numbers: exact in 32 bits, and at twice the
// speed of floats, since one instruction multiplies eight pairs of numbers and adds them up by twos.
//
// A row y is t q + f: q are whole numbers, t is the same for all rows, and |f| is at most t r / 2, r being the root of how many numbers a
// row has. Four rows make a block, in which lanes are rows, so that nothing is summed across lanes:
//
//     | t, what all rows leave over, -, -                                                     | 4 f32
//     | numbers 0, 1 of row 0 | 0, 1 of row 1 | of row 2 | of row 3 | 2, 3 of row 0 | … |      | i16, a block; then rows 4 … 7
//
// What is missing of the last block, or of a row's last numbers, is zero.

import { pairKey } from "./distance";
import { INNER_PRODUCT } from "./metric";

/** Rows of a block. */
const BLOCK_ROWS: i32 = 4;
/** Rows whose products are made together: so many products may be written for the last of them. */
export const AT_ONCE: i32 = 16;
/** What a length becomes in whole numbers, where that of the other factor becomes the same: with what rounding adds, the square stays below 2^31. */
export const LENGTH: f32 = 32000;
/** What stands before the blocks. */
export const HEADER: usize = 16;
/** The largest whole number. */
export const PEAK: i32 = 32767;
/** What a length may have lost because squares below 1e-45 are zero: the root of d of them, d being at most 2^20. */
export const LOST: f32 = 1e-19;

/** The length of a row of m numbers, at least. */
export function lengthOf(row: usize, m: i32): f32 {
  return sqrt(-pairKey(row, row, m, INNER_PRODUCT)) * <f32>1.001 + LOST;
}

/** Bytes of n rows of D numbers, D being even. What is computed for AT_ONCE rows reads no further. */
@inline
export function wholeRowsBytes(n: i32, D: i32): i32 {
  return <i32>HEADER + ((n + BLOCK_ROWS - 1) & -BLOCK_ROWS) * D * 2;
}

/**
 * Writes n rows of d floats as rows of D whole numbers, D being even and at least d, the longest row having at most the length `most`.
 * Before them it writes what one whole number stands for and, at least, the root of all squares that rounding leaves over.
 */
export function writeWholeRows(rows: usize, n: i32, d: i32, D: i32, most: f32, out: usize): void {
  const size = (<usize>d) << 2;
  memory.fill(out, 0, wholeRowsBytes(n, D));
  let longest: f32 = 0;
  let peak: f32 = 0;
  for (let i = 0; i < n; i++) longest = max(longest, lengthOf(rows + <usize>i * size, d));
  for (let at = rows, end = rows + <usize>n * size; at < end; at += 4) peak = max(peak, abs(load<f32>(at)));
  const one = max(longest / most, peak / <f32>PEAK);
  store<f32>(out, one);
  store<f32>(out, <f32>sqrt(writeRows(rows, 0, n, d, D, one, out + HEADER)) * <f32>1.001 + LOST, 4);
}

/** Writes rows first … first + n - 1 of some blocks, and returns the squares that rounding leaves over. */
export function writeRows(rows: usize, first: i32, n: i32, d: i32, D: i32, one: f32, blocks: usize): f64 {
  let left: f64 = 0;
  for (let i = first; i < first + n; i++) {
    const row = blocks + <usize>(i / BLOCK_ROWS) * ((<usize>D) << 3) + ((<usize>(i % BLOCK_ROWS)) << 2);
    for (let j = 0; j < d; j++, rows += 4) {
      const value = load<f32>(rows);
      const whole = min(<f32>PEAK, max(-(<f32>PEAK), nearest(value / one)));
      store<i16>(row + ((<usize>(j >> 1)) << 4) + ((<usize>(j & 1)) << 1), <i16>whole);
      const rest = <f64>value - <f64>one * <f64>whole;
      left += rest * rest;
    }
  }
  return left;
}

/**
 * The products of two queries, D numbers of 16 bits each, with the rows of `count` blocks: i32 one after the other, up to AT_ONCE - 4 more
 * than there are rows. Of one query alone where y is 0, and D a multiple of 4: two steps at a time save a fifth (1.25 in place of 1.47 µs for
 * 1,024 rows of 48), since each has five addresses to move.
 *
 *               block 0     1       2       3
 *     query x |  s00  |  s01  |  s02  |  s03  |   eight accumulators, lanes are rows. Each step takes two numbers of each row
 *     query y |  s10  |  s11  |  s12  |  s13  |   (i32x4.dot_i16x8_s) and the same two of the queries, in all lanes.
 */
export function wholeProducts(x: usize, y: usize, D: i32, blocks: usize, count: i32, out: usize, other: usize): void {
  const size = (<usize>D) << 1;
  const block = size << 2;
  const end = x + size;
  for (let left = count; left > 0; left -= 4, blocks += block << 2, out += 64, other += 64) {
    let a = blocks;
    let b = left > 1 ? a + block : a;
    let c = left > 2 ? b + block : b;
    let e = left > 3 ? c + block : c;
    let s00 = i32x4.splat(0);
    let s01 = s00;
    let s02 = s00;
    let s03 = s00;
    if (y == 0) {
      for (let p = x; p < end; p += 8, a += 32, b += 32, c += 32, e += 32) {
        let u = v128.load32_splat(p);
        s00 = i32x4.add(s00, i32x4.dot_i16x8_s(u, v128.load(a)));
        s01 = i32x4.add(s01, i32x4.dot_i16x8_s(u, v128.load(b)));
        s02 = i32x4.add(s02, i32x4.dot_i16x8_s(u, v128.load(c)));
        s03 = i32x4.add(s03, i32x4.dot_i16x8_s(u, v128.load(e)));
        u = v128.load32_splat(p, 4);
        s00 = i32x4.add(s00, i32x4.dot_i16x8_s(u, v128.load(a, 16)));
        s01 = i32x4.add(s01, i32x4.dot_i16x8_s(u, v128.load(b, 16)));
        s02 = i32x4.add(s02, i32x4.dot_i16x8_s(u, v128.load(c, 16)));
        s03 = i32x4.add(s03, i32x4.dot_i16x8_s(u, v128.load(e, 16)));
      }
    } else {
      let s10 = s00;
      let s11 = s00;
      let s12 = s00;
      let s13 = s00;
      for (let p = x, q = y; p < end; p += 4, q += 4, a += 16, b += 16, c += 16, e += 16) {
        const u = v128.load32_splat(p);
        const v = v128.load32_splat(q);
        let w = v128.load(a);
        s00 = i32x4.add(s00, i32x4.dot_i16x8_s(u, w));
        s10 = i32x4.add(s10, i32x4.dot_i16x8_s(v, w));
        w = v128.load(b);
        s01 = i32x4.add(s01, i32x4.dot_i16x8_s(u, w));
        s11 = i32x4.add(s11, i32x4.dot_i16x8_s(v, w));
        w = v128.load(c);
        s02 = i32x4.add(s02, i32x4.dot_i16x8_s(u, w));
        s12 = i32x4.add(s12, i32x4.dot_i16x8_s(v, w));
        w = v128.load(e);
        s03 = i32x4.add(s03, i32x4.dot_i16x8_s(u, w));
        s13 = i32x4.add(s13, i32x4.dot_i16x8_s(v, w));
      }
      v128.store(other, s10);
      v128.store(other, s11, 16);
      v128.store(other, s12, 32);
      v128.store(other, s13, 48);
    }
    v128.store(out, s00);
    v128.store(out, s01, 16);
    v128.store(out, s02, 32);
    v128.store(out, s03, 48);
  }
}
