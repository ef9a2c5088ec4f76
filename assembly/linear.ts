// Vector transforms: each takes n vectors, one after the other, and writes n vectors that may have other dimensions. And the sums that
// they are learnt from.

import { innerProducts, productsOfOne } from "./distance";
import { addMultiple } from "./rows";

/** Floats from one row of a tile to the next. */
@inline
function pitchOf(n: i32): i32 {
  return (n + 3) & ~3;
}

/** Bytes of scratch that {@link applyLinear} takes. */
export function applyLinearScratch(n: i32, dout: i32): usize {
  return (dout & 3) == 0 ? 0 : (<usize>n * pitchOf(dout)) << 2;
}

/**
 * y = A x + b of n vectors. A is dout x din, row-major, so that it is a tile of inner products; b is 0 where there is none.
 */
export function applyLinear(
  vectors: usize,
  n: i32,
  din: i32,
  matrix: usize,
  dout: i32,
  bias: usize,
  out: usize,
  scratch: usize,
): void {
  const size = (<usize>dout) << 2;
  if ((dout & 3) == 0) {
    if (n == 1) productsOfOne(vectors, matrix, dout, din, out);
    else innerProducts(vectors, n, matrix, dout, din, out, dout);
  } else {
    const pitch = (<usize>pitchOf(dout)) << 2;
    innerProducts(vectors, n, matrix, dout, din, scratch, pitchOf(dout));
    for (let i = 0; i < n; i++) memory.copy(out + <usize>i * size, scratch + <usize>i * pitch, size);
  }
  if (bias == 0) return;
  for (let i = 0; i < n; i++, out += size) addMultiple(out, bias, 1, size);
}

/** x = A' (y - b) of n vectors: what undoes {@link applyLinear} where A's rows, or its columns, are orthonormal. */
export function undoLinear(vectors: usize, n: i32, din: i32, matrix: usize, dout: i32, bias: usize, out: usize): void {
  const size = (<usize>din) << 2;
  for (let i = 0; i < n; i++, out += size) {
    memory.fill(out, 0, size);
    for (let j = 0; j < dout; j++, vectors += 4) {
      const value = bias == 0 ? load<f32>(vectors) : load<f32>(vectors) - load<f32>(bias + ((<usize>j) << 2));
      addMultiple(out, matrix + <usize>j * size, value, size);
    }
  }
}

/** Adds `by` times one vector to each of n. */
export function shiftRows(vectors: usize, n: i32, d: i32, mean: usize, by: f32): void {
  const size = (<usize>d) << 2;
  for (let i = 0; i < n; i++, vectors += size) addMultiple(vectors, mean, by, size);
}

/** Makes each of dout dimensions of the one that `map` (i32) says, 0 where it says -1. */
export function remapRows(vectors: usize, n: i32, din: i32, map: usize, dout: i32, out: usize): void {
  for (let i = 0; i < n; i++, vectors += (<usize>din) << 2) {
    for (let at = map, end = map + ((<usize>dout) << 2); at < end; at += 4, out += 4) {
      const from = load<i32>(at);
      store<f32>(out, from < 0 ? 0 : load<f32>(vectors + ((<usize>from) << 2)));
    }
  }
}

/** Puts each dimension back where {@link remapRows} took it from; what it left out is 0. */
export function undoRemap(vectors: usize, n: i32, din: i32, map: usize, dout: i32, out: usize): void {
  const size = (<usize>din) << 2;
  for (let i = 0; i < n; i++, out += size) {
    memory.fill(out, 0, size);
    for (let at = map, end = map + ((<usize>dout) << 2); at < end; at += 4, vectors += 4) {
      const to = load<i32>(at);
      if (to >= 0) store<f32>(out + ((<usize>to) << 2), load<f32>(vectors));
    }
  }
}

/**
 * Fast Walsh-Hadamard transform of p numbers in place, p a power of 2: sums and differences of pairs that lie `step` apart.
 *
 *     a b c d  ->  a+b a-b c+d c-d  ->  a+b+c+d a-b+c-d a+b-c-d a-b-c+d
 */
function hadamard(x: usize, p: i32): void {
  for (let step: usize = 4, end = (<usize>p) << 2; step < end; step <<= 1) {
    for (let i: usize = 0; i < end; i += step << 1) {
      for (let j = x + i; j < x + i + step; j += 4) {
        const a = load<f32>(j);
        const b = load<f32>(j + step);
        store<f32>(j, a + b);
        store<f32>(j + step, a - b);
      }
    }
  }
}


@inline
function multiply(x: usize, by: usize, n: i32): void {
  for (const end = x + ((<usize>n) << 2); x < end; x += 4, by += 4) store<f32>(x, load<f32>(x) * load<f32>(by));
}

/**
 * A random rotation that needs no matrix: three times signs and a Hadamard transform. signs: f32, 3 x p; vectors are filled up with zeros to
 * p, the next power of 2.
 */
export function rotateByHadamard(vectors: usize, n: i32, d: i32, signs: usize, p: i32, out: usize): void {
  const scale = <f32>1 / (<f32>p * sqrt<f32>(<f32>p));
  const size = (<usize>p) << 2;
  for (let i = 0; i < n; i++, vectors += (<usize>d) << 2, out += size) {
    memory.copy(out, vectors, (<usize>d) << 2);
    memory.fill(out + ((<usize>d) << 2), 0, (<usize>(p - d)) << 2);
    for (let round: usize = 0; round < 3; round++) {
      multiply(out, signs + round * size, p);
      hadamard(out, p);
    }
    for (let at = out; at < out + size; at += 4) store<f32>(at, load<f32>(at) * scale);
  }
}

/** Undoes {@link rotateByHadamard}. scratch: p floats. */
export function undoHadamard(vectors: usize, n: i32, d: i32, signs: usize, p: i32, out: usize, scratch: usize): void {
  const scale = <f32>1 / (<f32>p * sqrt<f32>(<f32>p));
  const size = (<usize>p) << 2;
  for (let i = 0; i < n; i++, vectors += size, out += (<usize>d) << 2) {
    memory.copy(scratch, vectors, size);
    for (let round: usize = 3; round > 0; round--) {
      hadamard(scratch, p);
      multiply(scratch, signs + (round - 1) * size, p);
    }
    for (let at: usize = 0; at < (<usize>d) << 2; at += 4) store<f32>(out + at, load<f32>(scratch + at) * scale);
  }
}

/** Writes n vectors as d rows of `pitch` numbers, filled up with zeros: a dimension's numbers lie beside each other. */
export function transposeRows(vectors: usize, n: i32, d: i32, out: usize, pitch: i32): void {
  for (let j = 0; j < d; j++) {
    const row = out + ((<usize>j * pitch) << 2);
    let from = vectors + ((<usize>j) << 2);
    for (let i = 0; i < n; i++, from += (<usize>d) << 2) store<f32>(row + ((<usize>i) << 2), load<f32>(from));
    for (let i = n; i < pitch; i++) store<f32>(row + ((<usize>i) << 2), 0);
  }
}

/** Dimensions of the first vectors that are multiplied at a time: they stay in the first-level cache. */
const STRIPE: i32 = 16;

/** Bytes of scratch that {@link addProducts} takes. */
export function addProductsScratch(d: i32): usize {
  return (<usize>STRIPE * pitchOf(d)) << 2;
}

/**
 * Adds the products of dx rows of n numbers with dy others to sums, f64 [dx][dy]; where `upper` is set, only to the diagonal and what is
 * right of it. n is small enough for sums of floats, and a multiple of 4.
 */
export function addProducts(
  x: usize,
  dx: i32,
  y: usize,
  dy: i32,
  n: i32,
  upper: bool,
  sums: usize,
  scratch: usize,
): void {
  const pitch = pitchOf(dy);
  for (let i = 0; i < dx; i += STRIPE) {
    const count = min(STRIPE, dx - i);
    const first = upper ? i : 0;
    innerProducts(x + ((<usize>i * n) << 2), count, y + ((<usize>first * n) << 2), dy - first, n, scratch, pitch);
    for (let k = 0; k < count; k++) {
      let from = scratch + ((<usize>k * pitch) << 2);
      let to = sums + ((<usize>(i + k) * dy + first) << 3);
      for (let j = first; j < dy; j++, from += 4, to += 8) store<f64>(to, load<f64>(to) + <f64>load<f32>(from));
    }
  }
}


@inline
function dotWide(x: usize, y: usize, n: i32): f64 {
  let a = f64x2.splat(0);
  let b = a;
  const end = x + ((<usize>n) << 3);
  for (const body = x + ((<usize>(n & ~3)) << 3); x < body; x += 32, y += 32) {
    a = f64x2.add(a, f64x2.mul(v128.load(x), v128.load(y)));
    b = f64x2.add(b, f64x2.mul(v128.load(x, 16), v128.load(y, 16)));
  }
  a = f64x2.add(a, b);
  let sum = f64x2.extract_lane(a, 0) + f64x2.extract_lane(a, 1);
  for (; x < end; x += 8, y += 8) sum += load<f64>(x) * load<f64>(y);
  return sum;
}


@inline
function addWide(to: usize, from: usize, by: f64, n: i32): void {
  const by2 = f64x2.splat(by);
  const end = to + ((<usize>n) << 3);
  for (const body = to + ((<usize>(n & ~1)) << 3); to < body; to += 16, from += 16) {
    v128.store(to, f64x2.add(v128.load(to), f64x2.mul(by2, v128.load(from))));
  }
  for (; to < end; to += 8, from += 8) store<f64>(to, load<f64>(to) + by * load<f64>(from));
}

/** The inner products of each of rows `first` to `last - 1` of n (m f64 each) with itself and those behind it: sums, n x n f64. */
export function multiplyRows(rows: usize, n: i32, m: i32, sums: usize, first: i32, last: i32): void {
  const size = (<usize>m) << 3;
  for (let i = first; i < last; i++) {
    for (let j = i; j < n; j++) {
      store<f64>(sums + ((<usize>(i * n + j)) << 3), dotWide(rows + <usize>i * size, rows + <usize>j * size, m));
    }
  }
}

/**
 * Sums of n rows (m f64 each): row i of `out` is that of coefficients[i * next + j * step] times row j, i being from `first` to
 * `last - 1`.
 */
export function combineRows(
  coefficients: usize,
  next: i32,
  step: i32,
  rows: usize,
  n: i32,
  m: i32,
  out: usize,
  first: i32,
  last: i32,
): void {
  const size = (<usize>m) << 3;
  for (let i = first; i < last; i++) {
    const to = out + <usize>i * size;
    memory.fill(to, 0, size);
    for (let j = 0; j < n; j++) {
      addWide(to, rows + <usize>j * size, load<f64>(coefficients + ((<usize>(i * next + j * step)) << 3)), m);
    }
  }
}

/**
 * Householder's reflections `first` to `last - 1` of n vectors of m >= n numbers (f64, one after the other), which they overwrite:
 * vector k from its number k on becomes the reflection that leaves of it one number, and all later vectors are reflected. In `scales`,
 * 2n f64, are the scale of each reflection, then the number that is left: its sign is the other one of vector k's, as in LAPACK.
 */
export function reflect(vectors: usize, n: i32, m: i32, scales: usize, first: i32, last: i32): void {
  const size = (<usize>m) << 3;
  for (let k = first; k < last; k++) {
    const own = vectors + <usize>k * size + ((<usize>k) << 3);
    const left = m - k;
    const head = load<f64>(own);
    const rest = dotWide(own + 8, own + 8, left - 1);
    const scaleAt = scales + ((<usize>k) << 3);
    const leftAt = scales + ((<usize>(n + k)) << 3);
    if (rest == 0) {
      store<f64>(scaleAt, 0);
      store<f64>(leftAt, head);
      continue;
    }
    const norm = sqrt<f64>(head * head + rest);
    const leaves = head < 0 ? norm : -norm;
    const scale = (leaves - head) / leaves;
    store<f64>(scaleAt, scale);
    store<f64>(leftAt, leaves);
    const by = 1 / (head - leaves);
    for (let j = 1; j < left; j++) store<f64>(own + ((<usize>j) << 3), load<f64>(own + ((<usize>j) << 3)) * by);
    store<f64>(own, 1);
    for (let j = k + 1; j < n; j++) {
      const other = vectors + <usize>j * size + ((<usize>k) << 3);
      addWide(other, own, -scale * dotWide(own, other, left), left);
    }
  }
}

/**
 * Turns reflections into the n orthonormal vectors that they make of the first n unit vectors: to be called for k from n - 1 to 0, here from
 * `last - 1` down to `first`.
 */
export function orthonormal(vectors: usize, n: i32, m: i32, scales: usize, first: i32, last: i32): void {
  const size = (<usize>m) << 3;
  for (let k = last - 1; k >= first; k--) {
    const row = vectors + <usize>k * size;
    const own = row + ((<usize>k) << 3);
    const left = m - k;
    const scale = load<f64>(scales + ((<usize>k) << 3));
    // A reflection of scale 0 is none, and its vector does not begin with 1.
    if (scale == 0) memory.fill(own, 0, (<usize>left) << 3);
    else {
      for (let j = k + 1; j < n; j++) {
        const other = vectors + <usize>j * size + ((<usize>k) << 3);
        addWide(other, own, -scale * dotWide(own, other, left), left);
      }
      for (let j = 0; j < left; j++) {
        store<f64>(own + ((<usize>j) << 3), -scale * load<f64>(own + ((<usize>j) << 3)));
      }
    }
    store<f64>(own, load<f64>(own) + 1);
    memory.fill(row, 0, (<usize>k) << 3);
  }
}
