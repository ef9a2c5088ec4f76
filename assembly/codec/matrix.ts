// Products with a matrix, and the basis: rows of length 1 at right angles to each other. In f32, in one order: every engine gives the
// same bits, since nothing here is built with relaxed SIMD.

/** Columns that a packed matrix has beside each other: two registers. */
export const STRIP = 8;
/** Rows that are made orthogonal to those before by two products, and to each other one by one. */
const BLOCK = 32;

/** Bytes of a packed matrix of `rows` x `columns`, of which `stride` rows may come in the end. */
export function packedBytes(stride: i32, columns: i32): i32 {
  return (((columns + STRIP - 1) / STRIP) * stride * STRIP) << 2;
}

/**
 * Packs rows of a matrix as rows `first` and on of a packed one: strips of eight columns, zeros beyond the last.
 *
 *     strip 0   | row 0: columns 0-7 | row 1: columns 0-7 | ... (stride rows)
 *     strip 1   | row 0: columns 8-15 | ...
 */
export function packRows(rows: usize, n: i32, columns: i32, first: i32, stride: i32, packed: usize): void {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < columns; j += STRIP) {
      const to = packed + ((<usize>((j >> 3) * stride + first + i) * STRIP) << 2);
      const from = rows + ((<usize>(i * columns + j)) << 2);
      const left = columns - j;
      for (let l = 0; l < STRIP; l++) store<f32>(to + (l << 2), l < left ? load<f32>(from + (l << 2)) : 0);
    }
  }
}

/** Packs the transpose: rows `first` (a multiple of 8) and on are its columns. Whole strips are written, zeros beyond the last row. */
export function packColumns(rows: usize, n: i32, columns: i32, first: i32, packed: usize): void {
  for (let i = 0; i < n; i += STRIP) {
    const to = packed + ((<usize>((first + i) * columns)) << 2);
    for (let l = 0; l < STRIP; l++) {
      const from = rows + ((<usize>((i + l) * columns)) << 2);
      for (let j = 0; j < columns; j++) {
        store<f32>(to + ((<usize>(j * STRIP + l)) << 2), i + l < n ? load<f32>(from + ((<usize>j) << 2)) : 0);
      }
    }
  }
}

/**
 * out = base + x M: n rows of `depth` numbers with `depth` rows of a packed matrix, of which `columns` columns are written.
 *
 *                          strip: eight columns
 *     row 0    | x splat | * | M lanes 0-3 | M lanes 4-7 |  ->  two accumulators
 *     row 1    | x splat |                                  ->  two          four rows make eight: what 16 registers hold, and
 *     row 2    | x splat |                                  ->  two          four loads and splats and two loads feed eight
 *     row 3    | x splat |                                  ->  two          multiply-adds
 *
 * x: rows of xStride numbers. base: `columns` numbers added to each row, or 0. out: rows of outStride numbers.
 */
export function product(
  x: usize,
  n: i32,
  xStride: i32,
  depth: i32,
  packed: usize,
  stride: i32,
  columns: i32,
  base: usize,
  out: usize,
  outStride: i32,
): void {
  const size = (<usize>xStride) << 2;
  const outSize = (<usize>outStride) << 2;
  for (let j = 0; j < columns; j += STRIP) {
    const strip = packed + ((<usize>((j >> 3) * stride * STRIP)) << 2);
    const left = columns - j;
    let low = f32x4.splat(0);
    let high = low;
    if (base != 0) {
      const from = base + ((<usize>j) << 2);
      if (left >= STRIP) {
        low = v128.load(from);
        high = v128.load(from, 16);
      } else {
        low = firstLanes(from, left);
        high = firstLanes(from + 16, left - 4);
      }
    }
    let row = x;
    let to = out + ((<usize>j) << 2);
    for (let i = 0; i < n; i += 4, row += size << 2, to += outSize << 2) {
      const rest = n - i;
      // Beyond the last row the pointers stay on it, and what they give is written where it stands already.
      let a = row;
      let b = rest > 1 ? a + size : a;
      let c = rest > 2 ? b + size : b;
      let e = rest > 3 ? c + size : c;
      const toB = rest > 1 ? to + outSize : to;
      const toC = rest > 2 ? toB + outSize : toB;
      const toE = rest > 3 ? toC + outSize : toC;
      let a0 = low;
      let a1 = high;
      let b0 = low;
      let b1 = high;
      let c0 = low;
      let c1 = high;
      let e0 = low;
      let e1 = high;
      let m = strip;
      for (const end = a + ((<usize>depth) << 2); a < end; a += 4, b += 4, c += 4, e += 4, m += 32) {
        const m0 = v128.load(m);
        const m1 = v128.load(m, 16);
        let s = v128.load32_splat(a);
        a0 = f32x4.add(a0, f32x4.mul(s, m0));
        a1 = f32x4.add(a1, f32x4.mul(s, m1));
        s = v128.load32_splat(b);
        b0 = f32x4.add(b0, f32x4.mul(s, m0));
        b1 = f32x4.add(b1, f32x4.mul(s, m1));
        s = v128.load32_splat(c);
        c0 = f32x4.add(c0, f32x4.mul(s, m0));
        c1 = f32x4.add(c1, f32x4.mul(s, m1));
        s = v128.load32_splat(e);
        e0 = f32x4.add(e0, f32x4.mul(s, m0));
        e1 = f32x4.add(e1, f32x4.mul(s, m1));
      }
      put(toE, e0, e1, left);
      put(toC, c0, c1, left);
      put(toB, b0, b1, left);
      put(to, a0, a1, left);
    }
  }
}

/** Up to four numbers, zeros beyond. */
@inline
export function firstLanes(from: usize, count: i32): v128 {
  let lanes = f32x4.splat(0);
  if (count > 0) lanes = f32x4.replace_lane(lanes, 0, load<f32>(from));
  if (count > 1) lanes = f32x4.replace_lane(lanes, 1, load<f32>(from, 4));
  if (count > 2) lanes = f32x4.replace_lane(lanes, 2, load<f32>(from, 8));
  if (count > 3) lanes = f32x4.replace_lane(lanes, 3, load<f32>(from, 12));
  return lanes;
}

/** Stores eight numbers, or as many as are left. */
@inline
export function put(to: usize, low: v128, high: v128, left: i32): void {
  if (left >= STRIP) {
    v128.store(to, low);
    v128.store(to, high, 16);
    return;
  }
  if (left > 3) v128.store(to, low);
  else putLanes(to, low, left);
  if (left > 4) putLanes(to + 16, high, left - 4);
}

function putLanes(to: usize, lanes: v128, count: i32): void {
  store<f32>(to, f32x4.extract_lane(lanes, 0));
  if (count > 1) store<f32>(to, f32x4.extract_lane(lanes, 1), 4);
  if (count > 2) store<f32>(to, f32x4.extract_lane(lanes, 2), 8);
}

/** Bytes of scratch that orthonormalize needs, with room for `capacity` rows. */
export function orthonormalizeScratch(d: i32, capacity: i32): i32 {
  return (BLOCK * (d + capacity)) << 2;
}

/** Rows of one call of orthonormalize at most. */
export function basisBlock(): i32 {
  return BLOCK;
}

/**
 * Makes n <= 32 rows of length d orthogonal to the `first` (a multiple of 8) rows before them, and to each other, and of length 1, by
 * Gram and Schmidt, twice: once leaves up to .01 of the others in the last rows that fill a space up. Packs them behind those before.
 * Returns 0, or 1 where a row is nearly a sum of others.
 *
 * asRows: what packRows makes of all rows, with `capacity` of them; asColumns: what packColumns makes.
 */
export function orthonormalize(
  rows: usize,
  n: i32,
  d: i32,
  first: i32,
  capacity: i32,
  asRows: usize,
  asColumns: usize,
  scratch: usize,
): i32 {
  const size = (<usize>d) << 2;
  const share = scratch;
  const parts = scratch + ((<usize>(BLOCK * d)) << 2);
  for (let i = 0; i < n; i++) if (!normalize(rows + size * i, d, 0)) return 1;
  let again = true;
  for (let pass = 0; again; pass++) {
    again = false;
    if (first > 0) {
      product(rows, n, d, d, asColumns, d, first, 0, parts, first);
      product(parts, n, first, first, asRows, capacity, d, 0, share, d);
      takeOff(rows, share, 1, n * d);
    }
    for (let i = 0; i < n; i++) {
      const row = rows + size * i;
      for (let j = 0; j < i; j++) {
        const other = rows + size * j;
        takeOff(row, other, dot(row, other, d), d);
      }
      const left = dot(row, row, d);
      // The first time a row may lose nearly all of its length, and what is left is cleaned then; the second time next to nothing.
      if (left < <f32>0.5) {
        if (pass > 0) return 1;
        again = true;
      }
      if (!normalize(row, d, <f32>1e-10)) return 1;
    }
  }
  packRows(rows, n, d, first, capacity, asRows);
  packColumns(rows, n, d, first, asColumns);
  return 0;
}

/** row -= along x other, lanes along the n numbers. */
function takeOff(row: usize, other: usize, along: f32, n: i32): void {
  const body = row + ((<usize>(n & ~3)) << 2);
  const end = row + ((<usize>n) << 2);
  const factor = f32x4.splat(along);
  for (; row < body; row += 16, other += 16)
    v128.store(row, f32x4.sub(v128.load(row), f32x4.mul(factor, v128.load(other))));
  for (; row < end; row += 4, other += 4) store<f32>(row, load<f32>(row) - along * load<f32>(other));
}

/** Gives a row the length 1; false where its squared length is not above `least`, or no number. */
function normalize(row: usize, d: i32, least: f32): bool {
  const norm = dot(row, row, d);
  if (!(norm > least && norm < <f32>Infinity)) return false;
  const factor = <f32>1 / sqrt<f32>(norm);
  for (const end = row + ((<usize>d) << 2); row < end; row += 4) store<f32>(row, load<f32>(row) * factor);
  return true;
}

/** The inner product of two rows, lanes along d. */
export function dot(x: usize, y: usize, d: i32): f32 {
  const body = x + ((<usize>(d & ~3)) << 2);
  const end = x + ((<usize>d) << 2);
  let acc = f32x4.splat(0);
  let tail: f32 = 0;
  for (; x < body; x += 16, y += 16) acc = f32x4.add(acc, f32x4.mul(v128.load(x), v128.load(y)));
  for (; x < end; x += 4, y += 4) tail += load<f32>(x) * load<f32>(y);
  return (
    f32x4.extract_lane(acc, 0) +
    f32x4.extract_lane(acc, 1) +
    (f32x4.extract_lane(acc, 2) + f32x4.extract_lane(acc, 3)) +
    tail
  );
}

/**
 * Adds the products of all pairs of columns to `matrix` (d x d f64, the diagonal and what is right of it): the sums over n <= 64 rows in
 * f32, these in f64.
 *
 * rows: n x d f32. scratch: packedBytes(n, d) and d x n f32.
 */
export function addProducts(rows: usize, n: i32, d: i32, matrix: usize, scratch: usize): void {
  const packed = scratch;
  const columns = packed + <usize>packedBytes(n, d);
  packRows(rows, n, d, 0, n, packed);
  for (let j = 0; j < d; j++) {
    for (let i = 0; i < n; i++) {
      store<f32>(columns + ((<usize>(j * n + i)) << 2), load<f32>(rows + ((<usize>(i * d + j)) << 2)));
    }
  }
  for (let i = 0; i < d; i += 4) {
    const a = columns + ((<usize>(i * n)) << 2);
    const rest = d - i;
    const size = (<usize>n) << 2;
    const b = rest > 1 ? a + size : a;
    const c = rest > 2 ? b + size : b;
    const e = rest > 3 ? c + size : c;
    for (let j = i & ~7; j < d; j += STRIP) {
      let m = packed + ((<usize>((j >> 3) * n * STRIP)) << 2);
      let a0 = f32x4.splat(0);
      let a1 = a0;
      let b0 = a0;
      let b1 = a0;
      let c0 = a0;
      let c1 = a0;
      let e0 = a0;
      let e1 = a0;
      for (let t: usize = 0; t < size; t += 4, m += 32) {
        const m0 = v128.load(m);
        const m1 = v128.load(m, 16);
        let s = v128.load32_splat(a + t);
        a0 = f32x4.add(a0, f32x4.mul(s, m0));
        a1 = f32x4.add(a1, f32x4.mul(s, m1));
        s = v128.load32_splat(b + t);
        b0 = f32x4.add(b0, f32x4.mul(s, m0));
        b1 = f32x4.add(b1, f32x4.mul(s, m1));
        s = v128.load32_splat(c + t);
        c0 = f32x4.add(c0, f32x4.mul(s, m0));
        c1 = f32x4.add(c1, f32x4.mul(s, m1));
        s = v128.load32_splat(e + t);
        e0 = f32x4.add(e0, f32x4.mul(s, m0));
        e1 = f32x4.add(e1, f32x4.mul(s, m1));
      }
      const left = d - j;
      const to = matrix + ((<usize>(i * d + j)) << 3);
      addLanes(to, a0, a1, left);
      if (rest > 1) addLanes(to + ((<usize>d) << 3), b0, b1, left);
      if (rest > 2) addLanes(to + ((<usize>(2 * d)) << 3), c0, c1, left);
      if (rest > 3) addLanes(to + ((<usize>(3 * d)) << 3), e0, e1, left);
    }
  }
}

/** Adds eight numbers, or as many as are left, to f64. */
@inline
function addLanes(to: usize, low: v128, high: v128, left: i32): void {
  if (left >= STRIP) {
    v128.store(to, f64x2.add(v128.load(to), f64x2.promote_low_f32x4(low)));
    v128.store(to, f64x2.add(v128.load(to, 16), f64x2.promote_low_f32x4(v128.shuffle<f64>(low, low, 1, 1))), 16);
    v128.store(to, f64x2.add(v128.load(to, 32), f64x2.promote_low_f32x4(high)), 32);
    v128.store(to, f64x2.add(v128.load(to, 48), f64x2.promote_low_f32x4(v128.shuffle<f64>(high, high, 1, 1))), 48);
    return;
  }
  for (let l = 0; l < left; l++) {
    const lanes = l < 4 ? low : high;
    const at = to + ((<usize>l) << 3);
    const k = l & 3;
    const value =
      k == 0
        ? f32x4.extract_lane(lanes, 0)
        : k == 1
          ? f32x4.extract_lane(lanes, 1)
          : k == 2
            ? f32x4.extract_lane(lanes, 2)
            : f32x4.extract_lane(lanes, 3);
    store<f64>(at, load<f64>(at) + <f64>value);
  }
}
