// Rows of numbers, most of which are 0, times the basis: what expand and product give, to the bit, in less time where there are many zeros.
// (Of a voice's first layer, 19,312 rows of 400 numbers and 768 dimensions, 37 % are not 0: 225 ms, and 373 by expand and product.)

import { firstLanes, product, put, STRIP } from "./matrix";
import { expand, loadNumbers, values } from "./rows";

/** Rows whose numbers are listed at a time: what is listed of them stays near. */
const ROWS = 16;
/** Bytes of what is listed of a number: where its row of the basis stands in a strip, and what it stands for. */
const ENTRY: usize = 8;

/** Of rows with more numbers than this that are not 0, expand and product are faster: they are even at .62. */
const MOST: f32 = 0.62;

/** Bytes of scratch that spread needs. */
export function spreadScratch(width: i32): i32 {
  return ROWS * (((width + 3) & ~3) * <i32>ENTRY + 4);
}

/**
 * out = base + v M: of n rows of `width` numbers what these stand for, times their scale, times as many rows of a packed matrix, of which
 * `columns` columns are written.
 *
 *     numbers | 0 | 0 | -1 | 0 | 3 | ...   ->   | at of row 2, -(1 + one) a | at of row 4, 3 a | ...      in the order of columns
 *
 *                       strip 0           strip 1
 *     of a row  | v * | M 0-3 | M 4-7 | | M 0-3 | M 4-7 |  ->  four accumulators     16 columns of 400 rows of the basis stay in the
 *     another   | v * |   the same                         ->  four                  nearest cache, 32 would not
 *
 * Zeros left out change no bit where M is finite and no number of base is -0: no accumulator is -0 then, which is all that adding a 0 could
 * change.
 *
 * numbers: i16 rows x stride. ones, twos: f32 a column, padded to a multiple of 4, as for expand. scales: f32 a row. packed: what packRows
 * makes, with `capacity` rows. base: `columns` numbers added to each row. out: n x columns.
 */
export function spread(
  numbers: usize,
  n: i32,
  width: i32,
  stride: i32,
  ones: usize,
  twos: usize,
  scales: usize,
  packed: usize,
  capacity: i32,
  columns: i32,
  base: usize,
  out: usize,
  scratch: usize,
): void {
  const size = (<usize>columns) << 2;
  const strip = (<usize>(capacity * STRIP)) << 2;
  const listBytes = <usize>((width + 3) & ~3) * ENTRY;
  const ends = scratch + <usize>ROWS * listBytes;
  for (let first = 0; first < n; first += ROWS) {
    const rows = min(ROWS, n - first);
    const part = numbers + ((<usize>(first * stride)) << 1);
    const own = scales + ((<usize>first) << 2);
    const to = out + <usize>first * size;
    let listed: usize = 0;
    for (let i = 0; i < rows; i++) {
      const row = part + ((<usize>(i * stride)) << 1);
      const at = scratch + <usize>i * listBytes;
      const end = list(row, width, ones, twos, load<f32>(own + ((<usize>i) << 2)), at);
      store<u32>(ends + ((<usize>i) << 2), <u32>end);
      listed += (end - at) / ENTRY;
    }
    if (<f32>listed > MOST * <f32>(rows * width)) {
      const padded = (width + 3) & ~3;
      expand(part, rows, width, stride, ones, twos, own, scratch, padded);
      product(scratch, rows, padded, width, packed, capacity, columns, base, to, columns);
      continue;
    }
    let j = 0;
    for (; j + 2 * STRIP <= columns; j += 2 * STRIP) {
      const from = packed + <usize>(j >> 3) * strip;
      const column = (<usize>j) << 2;
      for (let i = 0; i < rows; i += 2) {
        // The last of an odd number of rows goes twice.
        const other = min(i + 1, rows - 1);
        twoStrips(
          scratch + <usize>i * listBytes,
          load<u32>(ends + ((<usize>i) << 2)),
          scratch + <usize>other * listBytes,
          load<u32>(ends + ((<usize>other) << 2)),
          from,
          strip,
          base + column,
          to + <usize>i * size + column,
          to + <usize>other * size + column,
        );
      }
    }
    for (; j < columns; j += STRIP) {
      const from = packed + <usize>(j >> 3) * strip;
      for (let i = 0; i < rows; i++) {
        const at = scratch + <usize>i * listBytes;
        const column = (<usize>j) << 2;
        const end: usize = load<u32>(ends + ((<usize>i) << 2));
        oneStrip(at, end, from, base + column, to + <usize>i * size + column, columns - j);
      }
    }
  }
}

/** Lists the numbers of a row that are not 0; returns where the list ends. */
@inline
function list(row: usize, width: i32, ones: usize, twos: usize, scale: f32, to: usize): usize {
  const scales = f32x4.splat(scale);
  for (let j = 0; j < width; j += 4) {
    const four = loadNumbers(row + ((<usize>j) << 1), width - j);
    if (!v128.any_true(four)) continue;
    const at = (<usize>j) << 2;
    const all = f32x4.mul(values(four, v128.load(ones + at), v128.load(twos + at)), scales);
    const place = (<u32>(j * STRIP)) << 2;
    // Each is written, and stays where it is not 0.
    store<u32>(to, place);
    store<f32>(to, f32x4.extract_lane(all, 0), 4);
    to += <usize>i32(i32x4.extract_lane(four, 0) != 0) * ENTRY;
    store<u32>(to, place + (STRIP << 2));
    store<f32>(to, f32x4.extract_lane(all, 1), 4);
    to += <usize>i32(i32x4.extract_lane(four, 1) != 0) * ENTRY;
    store<u32>(to, place + (STRIP << 3));
    store<f32>(to, f32x4.extract_lane(all, 2), 4);
    to += <usize>i32(i32x4.extract_lane(four, 2) != 0) * ENTRY;
    store<u32>(to, place + STRIP * 12);
    store<f32>(to, f32x4.extract_lane(all, 3), 4);
    to += <usize>i32(i32x4.extract_lane(four, 3) != 0) * ENTRY;
  }
  return to;
}

/** 16 columns of two rows. */
@inline
function twoStrips(
  at: usize,
  end: usize,
  other: usize,
  otherEnd: usize,
  from: usize,
  strip: usize,
  base: usize,
  to: usize,
  otherTo: usize,
): void {
  let a0 = v128.load(base);
  let a1 = v128.load(base, 16);
  let a2 = v128.load(base, 32);
  let a3 = v128.load(base, 48);
  let b0 = a0;
  let b1 = a1;
  let b2 = a2;
  let b3 = a3;
  for (const both = at + min(end - at, otherEnd - other); at < both; at += ENTRY, other += ENTRY) {
    let v = v128.load32_splat(at, 4);
    let m = from + <usize>load<u32>(at);
    let n = m + strip;
    a0 = f32x4.add(a0, f32x4.mul(v, v128.load(m)));
    a1 = f32x4.add(a1, f32x4.mul(v, v128.load(m, 16)));
    a2 = f32x4.add(a2, f32x4.mul(v, v128.load(n)));
    a3 = f32x4.add(a3, f32x4.mul(v, v128.load(n, 16)));
    v = v128.load32_splat(other, 4);
    m = from + <usize>load<u32>(other);
    n = m + strip;
    b0 = f32x4.add(b0, f32x4.mul(v, v128.load(m)));
    b1 = f32x4.add(b1, f32x4.mul(v, v128.load(m, 16)));
    b2 = f32x4.add(b2, f32x4.mul(v, v128.load(n)));
    b3 = f32x4.add(b3, f32x4.mul(v, v128.load(n, 16)));
  }
  for (; at < end; at += ENTRY) {
    const v = v128.load32_splat(at, 4);
    const m = from + <usize>load<u32>(at);
    const n = m + strip;
    a0 = f32x4.add(a0, f32x4.mul(v, v128.load(m)));
    a1 = f32x4.add(a1, f32x4.mul(v, v128.load(m, 16)));
    a2 = f32x4.add(a2, f32x4.mul(v, v128.load(n)));
    a3 = f32x4.add(a3, f32x4.mul(v, v128.load(n, 16)));
  }
  for (; other < otherEnd; other += ENTRY) {
    const v = v128.load32_splat(other, 4);
    const m = from + <usize>load<u32>(other);
    const n = m + strip;
    b0 = f32x4.add(b0, f32x4.mul(v, v128.load(m)));
    b1 = f32x4.add(b1, f32x4.mul(v, v128.load(m, 16)));
    b2 = f32x4.add(b2, f32x4.mul(v, v128.load(n)));
    b3 = f32x4.add(b3, f32x4.mul(v, v128.load(n, 16)));
  }
  v128.store(otherTo, b0);
  v128.store(otherTo, b1, 16);
  v128.store(otherTo, b2, 32);
  v128.store(otherTo, b3, 48);
  v128.store(to, a0);
  v128.store(to, a1, 16);
  v128.store(to, a2, 32);
  v128.store(to, a3, 48);
}

/** A row's eight columns, or as many as are left. */
function oneStrip(at: usize, end: usize, from: usize, base: usize, to: usize, left: i32): void {
  let low: v128;
  let high: v128;
  if (left >= STRIP) {
    low = v128.load(base);
    high = v128.load(base, 16);
  } else {
    low = firstLanes(base, left);
    high = firstLanes(base + 16, left - 4);
  }
  for (; at < end; at += ENTRY) {
    const v = v128.load32_splat(at, 4);
    const m = from + <usize>load<u32>(at);
    low = f32x4.add(low, f32x4.mul(v, v128.load(m)));
    high = f32x4.add(high, f32x4.mul(v, v128.load(m, 16)));
  }
  put(to, low, high, left);
}
