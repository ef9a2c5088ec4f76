// Between rows of floats and rows of whole numbers: residuals, steps, what numbers stand for, one scale a row.

import { dot } from "./matrix";

/** The largest number: symbols are kept in i16. */
const MOST: f32 = 32766;

/** The sum of the four lanes. */
@inline
export function sum(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
}

/** out = factor rows - center, n x d, and the root mean square of each. out may be rows. */
export function residuals(rows: usize, n: i32, d: i32, factor: f32, center: usize, out: usize, sizes: usize): void {
  const size = (<usize>d) << 2;
  const root = sqrt<f32>(<f32>d);
  const factors = f32x4.splat(factor);
  for (let i = 0; i < n; i++, rows += size, out += size) {
    let l: usize = 0;
    for (const body = (<usize>(d & ~3)) << 2; l < body; l += 16) {
      v128.store(out + l, f32x4.sub(f32x4.mul(factors, v128.load(rows + l)), v128.load(center + l)));
    }
    for (; l < size; l += 4) store<f32>(out + l, factor * load<f32>(rows + l) - load<f32>(center + l));
    store<f32>(sizes + ((<usize>i) << 2), sqrt<f32>(dot(out, out, d)) / root);
  }
}

/** Multiplies each of n rows of d numbers by a factor of its own, where it stands. */
export function scaleRows(rows: usize, n: i32, d: i32, factors: usize): void {
  for (let i = 0; i < n; i++) {
    const factor = f32x4.splat(load<f32>(factors + ((<usize>i) << 2)));
    const end = rows + ((<usize>d) << 2);
    for (; rows + 16 <= end; rows += 16) v128.store(rows, f32x4.mul(factor, v128.load(rows)));
    for (; rows < end; rows += 4) store<f32>(rows, f32x4.extract_lane(factor, 0) * load<f32>(rows));
  }
}

/** Adds n rows of d f32 to d f64. */
export function addRows(rows: usize, n: i32, d: i32, sums: usize): void {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < d; j++, rows += 4) {
      const at = sums + ((<usize>j) << 3);
      store<f64>(at, load<f64>(at) + <f64>load<f32>(rows));
    }
  }
}

/**
 * Numbers of n rows of `width` projections: of u, which is z times the row's factor, the whole part of |u| + round, with its sign; 0
 * where |u| is below `least`. Each is an i16.
 *
 *     z | z0 | z1 | z2 | z3 |  ->  |z| f + round, cut to whole numbers, narrowed to | k0 | k1 | k2 | k3 |, signs put back
 */
export function quantize(
  z: usize,
  n: i32,
  width: i32,
  zStride: i32,
  factors: usize,
  round: f32,
  least: f32,
  out: usize,
  outStride: i32,
): void {
  const add = f32x4.splat(round);
  const limit = f32x4.splat(least);
  const most = f32x4.splat(MOST);
  for (let i = 0; i < n; i++) {
    const factor = f32x4.splat(load<f32>(factors + ((<usize>i) << 2)));
    const from = z + ((<usize>(i * zStride)) << 2);
    const to = out + ((<usize>(i * outStride)) << 1);
    let j = 0;
    for (; j + 4 <= width; j += 4) {
      const x = v128.load(from + ((<usize>j) << 2));
      const size = f32x4.min(most, f32x4.mul(f32x4.abs(x), factor));
      const whole = v128.and(i32x4.trunc_sat_f32x4_s(f32x4.add(size, add)), f32x4.ge(size, limit));
      const sign = i32x4.shr_s(x, 31);
      const value = i32x4.sub(v128.xor(whole, sign), sign);
      v128.store64_lane(to + ((<usize>j) << 1), i16x8.narrow_i32x4_s(value, value), 0);
    }
    for (; j < width; j++) {
      const x = load<f32>(from + ((<usize>j) << 2));
      const size = min(MOST, abs(x) * f32x4.extract_lane(factor, 0));
      const whole = size >= least ? <i32>(size + round) : 0;
      store<i16>(to + ((<usize>j) << 1), <i16>(x < 0 ? -whole : whole));
    }
  }
}

/** Adds |k| of n rows to f64 sums, one a column; with `square`, k². */
export function addMagnitudes(numbers: usize, n: i32, width: i32, stride: i32, square: i32, sums: usize): void {
  for (let i = 0; i < n; i++) {
    const row = numbers + ((<usize>(i * stride)) << 1);
    for (let j = 0; j < width; j++) {
      const at = sums + ((<usize>j) << 3);
      const size = <f64>abs(<i32>load<i16>(row + ((<usize>j) << 1)));
      store<f64>(at, load<f64>(at) + (square != 0 ? size * size : size));
    }
  }
}

/**
 * Adds to four f64 a column: how often its numbers are 1 or -1, the sum of |u| then, and both for 2 and -2: what these numbers stand
 * for on average. u is z times the row's factor.
 */
export function addMeans(
  z: usize,
  n: i32,
  width: i32,
  zStride: i32,
  factors: usize,
  numbers: usize,
  stride: i32,
  sums: usize,
): void {
  for (let i = 0; i < n; i++) {
    const factor = load<f32>(factors + ((<usize>i) << 2));
    const from = z + ((<usize>(i * zStride)) << 2);
    const row = numbers + ((<usize>(i * stride)) << 1);
    for (let j = 0; j < width; j++) {
      const size = abs(<i32>load<i16>(row + ((<usize>j) << 1)));
      if (size != 1 && size != 2) continue;
      const at = sums + ((<usize>j) << 5) + ((<usize>(size - 1)) << 4);
      store<f64>(at, load<f64>(at) + 1);
      store<f64>(at, load<f64>(at, 8) + <f64>(abs(load<f32>(from + ((<usize>j) << 2))) * factor), 8);
    }
  }
}

/**
 * What numbers stand for: themselves, but for 1 and 2, to which each column adds something of its own.
 *
 *     k    | 0 | 1 | -2 | 5 |   ->   | 0 | 1 + one | -(2 + two) | 5 |
 */
@inline
export function values(four: v128, one: v128, two: v128): v128 {
  const sign = i32x4.shr_s(four, 31);
  const size = i32x4.sub(v128.xor(four, sign), sign);
  const more = v128.or(v128.and(one, i32x4.eq(size, i32x4.splat(1))), v128.and(two, i32x4.eq(size, i32x4.splat(2))));
  const value = f32x4.add(f32x4.convert_i32x4_s(size), more);
  return v128.xor(value, v128.and(sign, i32x4.splat(<i32>0x80000000)));
}

/** Up to four numbers of a row, zeros beyond. */
@inline
export function loadNumbers(at: usize, left: i32): v128 {
  if (left >= 4) return i32x4.extend_low_i16x8_s(v128.load64_zero(at));
  let four = i32x4.splat(0);
  four = i32x4.replace_lane(four, 0, <i32>load<i16>(at));
  if (left > 1) four = i32x4.replace_lane(four, 1, <i32>load<i16>(at, 2));
  if (left > 2) four = i32x4.replace_lane(four, 2, <i32>load<i16>(at, 4));
  return four;
}

/**
 * What the numbers of n rows stand for, times the row's scale: f32, rows of outStride (a multiple of 4, at least width) numbers. Ones and
 * twos: f32 a column, padded to a multiple of 4.
 */
export function expand(
  numbers: usize,
  n: i32,
  width: i32,
  stride: i32,
  ones: usize,
  twos: usize,
  scales: usize,
  out: usize,
  outStride: i32,
): void {
  for (let i = 0; i < n; i++) {
    const scale = f32x4.splat(load<f32>(scales + ((<usize>i) << 2)));
    const row = numbers + ((<usize>(i * stride)) << 1);
    const to = out + ((<usize>(i * outStride)) << 2);
    for (let j = 0; j < width; j += 4) {
      const at = (<usize>j) << 2;
      const four = values(loadNumbers(row + ((<usize>j) << 1), width - j), v128.load(ones + at), v128.load(twos + at));
      v128.store(to + at, f32x4.mul(four, scale));
    }
  }
}

/** The scale of each of n rows that brings what its numbers stand for nearest to its projections, by least squares; 0 for zeros. */
export function fitScales(
  z: usize,
  n: i32,
  width: i32,
  zStride: i32,
  numbers: usize,
  stride: i32,
  ones: usize,
  twos: usize,
  scales: usize,
): void {
  for (let i = 0; i < n; i++) {
    const from = z + ((<usize>(i * zStride)) << 2);
    const row = numbers + ((<usize>(i * stride)) << 1);
    let along = f32x4.splat(0);
    let norm = along;
    for (let j = 0; j < width; j += 4) {
      const at = (<usize>j) << 2;
      const left = width - j;
      const four = values(loadNumbers(row + ((<usize>j) << 1), left), v128.load(ones + at), v128.load(twos + at));
      let x: v128;
      if (left >= 4) x = v128.load(from + at);
      else {
        x = f32x4.replace_lane(f32x4.splat(0), 0, load<f32>(from + at));
        if (left > 1) x = f32x4.replace_lane(x, 1, load<f32>(from + at, 4));
        if (left > 2) x = f32x4.replace_lane(x, 2, load<f32>(from + at, 8));
      }
      along = f32x4.add(along, f32x4.mul(four, x));
      norm = f32x4.add(norm, f32x4.mul(four, four));
    }
    const length = sum(norm);
    const scale = length > 0 ? max<f32>(0, sum(along) / length) : 0;
    store<f32>(scales + ((<usize>i) << 2), scale);
  }
}

/** n positive floats times `factor` as the bits of halves, rounded to the nearest, even of two; the largest half at most. */
export function toHalves(from: usize, n: i32, factor: f32, out: usize): void {
  for (let i = 0; i < n; i++) store<i32>(out + ((<usize>i) << 2), half(load<f32>(from + ((<usize>i) << 2)) * factor));
}

function half(value: f32): i32 {
  // Below the smallest normal half, halves are whole numbers of 2^-24.
  if (!(value > 0)) return 0;
  if (value >= 65504) return 0x7bff;
  if (value < <f32>0.00006103515625) return <i32>nearest<f32>(value * 16777216);
  const bits = reinterpret<u32>(value) - (112 << 23);
  return <i32>((bits + 0xfff + ((bits >> 13) & 1)) >> 13);
}

/** The halves of n bits, times `factor`, as floats. Returns 0, or 1 where one is negative, infinite or no number. */
export function fromHalves(bits: usize, n: i32, factor: f32, out: usize): i32 {
  let bad = 0;
  for (let i = 0; i < n; i++) {
    const half = load<i32>(bits + ((<usize>i) << 2));
    if (half < 0 || half > 0x7bff) bad = 1;
    const value = half < 0x400 ? <f32>half / 16777216 : reinterpret<f32>(((<u32>(half & 0x7fff)) << 13) + (112 << 23));
    store<f32>(out + ((<usize>i) << 2), value * factor);
  }
  return bad;
}
