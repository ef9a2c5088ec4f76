// Heads (heads.ts) in whole numbers (whole-rows.ts), and those of queries: lower bounds of keys from one exact product of a few dozen
// numbers of 16 bits.
//
// One block of memory has all, for `capacity` rows, N being capacity rounded up to 16, D d:
//
//     length of the longest row, of the mean, slack | 3 f32
//     m, the numbers of a head, a multiple of 16    | i32
//     mean                                          | d f32, rounded up to 4
//     R                                             | m - 1 whole rows of D
//     |y|² of each row, less the mean               | N f32
//     head of each row                              | N whole rows of m
//
// WHAT WHOLE NUMBERS LOSE. R is T + F, T being its image, and the query x = p + e (row-codes.ts). Its head is h = T p in place of R x, so
// off by at most E = ‖F‖ |p| + ‖R‖ |e|, ‖F‖ being at most the root of all its squares. So |x|² less what R sees of it is at most
// |x|² - |h|² + 2 E (|x| + E), which goes into its rest, and |y| E into the bound of a product. The product of heads h and g, both rounded,
// h = p + e and g = q + f, is that of p and q but for |e||g| + |p||f|, f being half a whole number in each place at most.
// E and all lengths are taken a hundredth larger, which is more than what floats lose of them.

import { pairKey } from "./distance";
import {
  basisBytes,
  directionsOf,
  makeBasis,
  makeHeads,
  makeHeadsScratch,
  meanOf,
  slackOf,
  storeRest,
  up4,
} from "./heads";
import { INNER_PRODUCT, L2, TOO_SHORT } from "./metric";
import { EPSILON, TINY } from "./rounding";
import { codesMean, quantize, up16 } from "./row-codes";
import { HEADER, LENGTH, LOST, PEAK, wholeProducts, wholeRowsBytes, writeRows, writeWholeRows } from "./whole-rows";

/**
 * Lengths in whole numbers of R's directions and, at most, of queries: directions have many small numbers, which want more bits. Their product
 * stays below 2^31 as long as the slack is below .01, that is d below some 40,000.
 */
const DIRECTION_LENGTH: f32 = 128000;
export const QUERY_LENGTH: f32 = 16000;
/** Numbers of a short head, and the share of all squares that it may leave over. */
export const SHORT: i32 = 48;
const SHORT_REST: f32 = 0.06;
/** Rows whose heads are made at a time, and of how many such chunks what heads leave over, and the longest row, are taken. */
const CHUNK: i32 = 64;
const SAMPLE: i32 = 16;
/** How much longer a row may be than the longest of the sample. */
const LONGER: f32 = 4;

/** Bytes of the block for heads of m numbers at most. */
export function wholeHeadsBytes(capacity: i32, d: i32, m: i32): i32 {
  return 16 + (up4(d) + up16(capacity)) * 4 + wholeRowsBytes(m, up16(d)) + wholeRowsBytes(up16(capacity), m);
}

/** Bytes of scratch that openHeads and writeHeads take. */
export function wholeHeadsScratch(d: i32, m: i32): i32 {
  return basisBytes(d, m) + CHUNK * (m + 1) * 4 + makeHeadsScratch(d, m);
}

/** Numbers in a head. */
@inline
export function sizeOf(block: usize): i32 {
  return load<i32>(block, 12);
}

/** Where R stands. */
@inline
function wholeDirections(block: usize, d: i32): usize {
  return meanOf(block) + ((<usize>up4(d)) << 2);
}

/** Where lengths of rows stand. */
@inline
export function lengthsOf(block: usize, d: i32): usize {
  return wholeDirections(block, d) + wholeRowsBytes(sizeOf(block), up16(d));
}

/** Where heads of rows stand. */
@inline
export function headsOf(block: usize, d: i32, capacity: i32): usize {
  return lengthsOf(block, d) + ((<usize>up16(capacity)) << 2);
}

/**
 * Makes what heads of m numbers are made by, or of SHORT where these leave little over, of some of n rows; the mean is that of codes, where
 * these are not 0. Returns the share of all squares that heads leave over, infinity where the rows hold what no bound covers. What writeHeads
 * needs besides stays in scratch.
 */
export function openHeads(
  rows: usize,
  n: i32,
  d: i32,
  m: i32,
  codes: usize,
  capacity: i32,
  block: usize,
  scratch: usize,
): f32 {
  const size = (<usize>d) << 2;
  const heads = scratch + basisBytes(d, m);
  const lengths = heads + ((<usize>(CHUNK * m)) << 2);
  const rest = lengths + (CHUNK << 2);
  if (makeBasis(rows, n, d, m, scratch, rest) == 0) return Infinity;
  if (codes != 0) {
    const mean = codesMean(codes);
    memory.copy(meanOf(scratch), mean, size);
    store<f32>(scratch, sqrt(-pairKey(mean, mean, d, INNER_PRODUCT)) * <f32>1.001 + LOST, 4);
  }
  const short = min(m, SHORT);
  let all: f32 = 0;
  let left: f32 = 0;
  let seen: f32 = 0;
  for (let chunk = 0; chunk < SAMPLE; chunk++) {
    const first = <i32>((<i64>chunk * n) / SAMPLE);
    const count = min(CHUNK, n - first);
    if (makeHeads(rows + <usize>first * size, count, d, m, scratch, lengths, heads, rest) == 0) return Infinity;
    for (let i = 0; i < count; i++) {
      const head = heads + ((<usize>(i * m)) << 2);
      const last = load<f32>(head + ((<usize>(m - 1)) << 2));
      all += load<f32>(lengths + ((<usize>i) << 2));
      left += last * last;
      seen -= pairKey(head, head, short - 1, INNER_PRODUCT);
    }
  }
  if (all - seen <= SHORT_REST * all) {
    m = short;
    left = all - seen;
  }
  memory.copy(block, scratch, 16 + size);
  store<i32>(block, m, 12);
  writeWholeRows(directionsOf(scratch, d), m - 1, d, up16(d), DIRECTION_LENGTH, wholeDirections(block, d));
  const lengthsAt = lengthsOf(block, d);
  memory.fill(lengthsAt, 0, wholeHeadsBytes(capacity, d, m) - <i32>(lengthsAt - block));
  store<f32>(headsOf(block, d, capacity), (load<f32>(scratch) * LONGER) / LENGTH);
  return all > 0 ? max(0, left / all) : 0;
}

/** Writes the heads of n rows, the first of which is `first`. Returns 0 where a row is too long, or beyond bounds. */
export function writeHeads(
  rows: usize,
  first: i32,
  n: i32,
  d: i32,
  most: i32,
  capacity: i32,
  block: usize,
  scratch: usize,
): i32 {
  const m = sizeOf(block);
  const size = (<usize>d) << 2;
  const made = scratch + basisBytes(d, most);
  const rest = made + ((<usize>(CHUNK * (most + 1))) << 2);
  const lengths = lengthsOf(block, d);
  const heads = headsOf(block, d, capacity);
  const one = load<f32>(heads);
  for (const end = first + n; first < end; first += CHUNK) {
    const count = min(CHUNK, end - first);
    const at = lengths + ((<usize>first) << 2);
    if (makeHeads(rows + <usize>first * size, count, d, m, scratch, at, made, rest) == 0) return 0;
    writeRows(made, first, count, m, m, one, heads + HEADER);
  }
  const longest = load<f32>(scratch);
  store<f32>(block, longest);
  return longest * <f32>1.01 < one * LENGTH ? 1 : 0;
}

/** What is known of a query. */
@unmanaged
export class QueryHead {
  /** Of the query in whole numbers (quantize): what one stands for, the squared length of the image, what that leaves over; its own square. */
  scale: f32;
  norm: f32;
  error: f32;
  square: f32;
  /** A lower bound of a row's key is base - factor times the product of heads, and under L2 its squared length less the slack. */
  factor: f32;
  base: f32;
  /** What its head in whole numbers leaves over. */
  rest: f32;
}

/**
 * Makes the heads of nq queries: their numbers of 16 bits, m a query. It takes what quantize made of the queries, less the mean under L2:
 * records (`step` bytes each) and codes (D numbers of 16 bits each), of lengths up to QUERY_LENGTH. scratch: nq x m f32.
 */
export function makeQueryHeads(
  queries: usize,
  nq: i32,
  d: i32,
  metric: i32,
  block: usize,
  worth: f32,
  records: usize,
  step: usize,
  codes: usize,
  scratch: usize,
  out: usize,
): void {
  const m = sizeOf(block);
  const D = up16(d);
  const codeSize = (<usize>D) << 1;
  const headSize = (<usize>m) << 2;
  const directions = wholeDirections(block, d);
  const one = load<f32>(directions);
  const lost = load<f32>(directions, 4) + 4 * EPSILON;
  const longest = load<f32>(block) * <f32>1.01;
  const slack = slackOf(block);
  for (let i = 0; i < nq; i++, records += step, queries += (<usize>d) << 2, out += headSize >> 1) {
    const head = scratch + <usize>i * headSize;
    if ((i & 1) == 0) {
      const x = codes + <usize>i * codeSize;
      wholeProducts(x, i + 1 < nq ? x + codeSize : 0, D, directions + HEADER, m >> 2, head, head + headSize);
    }
    const query = changetype<QueryHead>(records);
    const square = query.square;
    // Such a query has no bounds: nothing is below a NaN, nor above.
    if (!(square > TOO_SHORT)) {
      query.base = f32.NaN;
      continue;
    }
    const scale = f32x4.splat(query.scale * one);
    for (let at = head, end = head + headSize; at < end; at += 16) {
      v128.store(at, f32x4.mul(f32x4.convert_i32x4_s(v128.load(at)), scale));
    }
    const length = sqrt(square) * <f32>1.01;
    const error = query.error * <f32>1.01;
    const off = (lost * (length + error) + error) * <f32>1.01;
    storeRest(head, m, square + 2 * off * (length + off), slack);
    // The squared length of the image goes where base will be, the scale where factor will be.
    const facts = records + offsetof<QueryHead>("factor");
    // A head, whose rest is rounded up, may be too long where its query just is not: no bounds then, either.
    if (quantize(head, m, PEAK, LENGTH, facts, 4, out, false) < 0) {
      query.base = f32.NaN;
      continue;
    }
    const rounded = query.rest * longest + sqrt(query.base) * worth * sqrt(<f32>m) * <f32>0.52;
    const away = off * longest + rounded;
    const factor = query.factor * worth;
    if (metric == L2) {
      query.base = square * (1 - slack) - 2 * away - TINY;
      query.factor = 2 * factor;
    } else {
      const norms = longest + load<f32>(block, 4);
      query.base = pairKey(queries, meanOf(block), d, INNER_PRODUCT) - slack * length * norms - away - TINY;
      query.factor = factor;
    }
  }
}

/**
 * Turns products of heads into lower bounds of keys, in their place; shrink is 0 for inner products. Lanes are rows.
 *
 *     | product, i32, rows 0-3 |  ->  | shrink |y|² + base - factor product |
 */
export function boundKeys(products: usize, n: i32, lengths: usize, shrink: f32, query: QueryHead): void {
  const shrink4 = f32x4.splat(shrink);
  const base = f32x4.splat(query.base);
  const factor = f32x4.splat(query.factor);
  for (let end = products + ((<usize>n) << 2); products < end; products += 16, lengths += 16) {
    const product = f32x4.mul(f32x4.convert_i32x4_s(v128.load(products)), factor);
    const square = f32x4.add(f32x4.mul(v128.load(lengths), shrink4), base);
    v128.store(products, f32x4.sub(square, product));
  }
}
