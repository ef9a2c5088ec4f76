// Rows in whole numbers of 16 bits, sixteen a block, and their products with queries in such numbers: exact in 32 bits, and at twice the
// speed of floats, since one instruction multiplies eight pairs of numbers and adds them up by twos.
//
// A row y is t q + f: q are whole numbers, t is the same for all rows, and |f| is at most t r / 2, r being the root of how many numbers a
// row has. Lanes are rows, so that nothing is summed across lanes:
//
//     | t, what all rows leave over, -, -                                                    | 4 f32
//     | numbers 0, 1 of row 0 | 0, 1 of row 1 | … | 0, 1 of row 15 | 2, 3 of row 0 | … |     | i16, a block; then rows 16 … 31
//
// What is missing of the last block, or of a row's last numbers, is zero.

import { pairKey } from "./distance";
import { INNER_PRODUCT } from "./metric";

/** Rows of a block: four vectors of lanes. */
export const BLOCK_ROWS: i32 = 16;
/** What a length becomes in whole numbers, where that of the other factor becomes the same: with what rounding adds, the square stays below 2^31. */
export const LENGTH: f32 = 32000;
/** What stands before the blocks. */
export const HEADER: usize = 16;
/** The largest whole number. */
const PEAK: f32 = 32767;
/** What a length may have lost because squares below 1e-45 are zero: the root of d of them, d being at most 2^20. */
export const LOST: f32 = 1e-19;

/** The length of a row of m numbers, at least. */
export function lengthOf(row: usize, m: i32): f32 {
  return sqrt(-pairKey(row, row, m, INNER_PRODUCT)) * <f32>1.001 + LOST;
}

/** Bytes of n rows of D numbers, D being even. */
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
  const one = max(longest / most, peak / PEAK);
  const blocks = out + HEADER;
  let left: f64 = 0;
  for (let i = 0; i < n; i++) {
    const block = blocks + <usize>(i / BLOCK_ROWS) * ((<usize>D) << 5) + ((<usize>(i % BLOCK_ROWS)) << 2);
    for (let j = 0; j < d; j++, rows += 4) {
      const value = load<f32>(rows);
      const whole = min(PEAK, max(-PEAK, nearest(value / one)));
      store<i16>(block + ((<usize>(j >> 1)) << 6) + ((<usize>(j & 1)) << 1), <i16>whole);
      const rest = <f64>value - <f64>one * <f64>whole;
      left += rest * rest;
    }
  }
  store<f32>(out, one);
  store<f32>(out, <f32>sqrt(left) * <f32>1.001 + LOST, 4);
}

/**
 * The products of nq queries, D numbers of 16 bits each, with the rows of some blocks: i32, `stride` a query.
 *
 *                    rows 0..3   4..7   8..11  12..15
 *     query i      |  s00  |  s01  |  s02  |  s03  |   eight accumulators, lanes are rows. Each step takes two numbers of each row
 *     query i + 1  |  s10  |  s11  |  s12  |  s13  |   (i32x4.dot_i16x8_s) and the same two of the queries, in all lanes.
 */
export function wholeProducts(
  queries: usize,
  nq: i32,
  D: i32,
  blocks: usize,
  count: i32,
  tile: usize,
  stride: i32,
): void {
  const size = (<usize>D) << 1;
  const pitch = (<usize>stride) << 2;
  for (let block = 0; block < count; block++, blocks += size << 4, tile += BLOCK_ROWS << 2) {
    let x = queries;
    let out = tile;
    for (let i = 0; i < nq; i += 2, x += size, out += pitch << 1) {
      const end = x + size;
      let h = blocks;
      let s00 = i32x4.splat(0);
      let s01 = s00;
      let s02 = s00;
      let s03 = s00;
      if (i + 1 == nq) {
        for (; x < end; x += 4, h += 64) {
          const u = v128.load32_splat(x);
          s00 = i32x4.add(s00, i32x4.dot_i16x8_s(u, v128.load(h)));
          s01 = i32x4.add(s01, i32x4.dot_i16x8_s(u, v128.load(h, 16)));
          s02 = i32x4.add(s02, i32x4.dot_i16x8_s(u, v128.load(h, 32)));
          s03 = i32x4.add(s03, i32x4.dot_i16x8_s(u, v128.load(h, 48)));
        }
      } else {
        let y = end;
        let s10 = s00;
        let s11 = s00;
        let s12 = s00;
        let s13 = s00;
        for (; x < end; x += 4, y += 4, h += 64) {
          const u = v128.load32_splat(x);
          const v = v128.load32_splat(y);
          let w = v128.load(h);
          s00 = i32x4.add(s00, i32x4.dot_i16x8_s(u, w));
          s10 = i32x4.add(s10, i32x4.dot_i16x8_s(v, w));
          w = v128.load(h, 16);
          s01 = i32x4.add(s01, i32x4.dot_i16x8_s(u, w));
          s11 = i32x4.add(s11, i32x4.dot_i16x8_s(v, w));
          w = v128.load(h, 32);
          s02 = i32x4.add(s02, i32x4.dot_i16x8_s(u, w));
          s12 = i32x4.add(s12, i32x4.dot_i16x8_s(v, w));
          w = v128.load(h, 48);
          s03 = i32x4.add(s03, i32x4.dot_i16x8_s(u, w));
          s13 = i32x4.add(s13, i32x4.dot_i16x8_s(v, w));
        }
        const other = out + pitch;
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
}
