// Heads: a few dozen numbers for a vector, by which most of an exact comparison can be spared.
//
// R has m - 1 orthonormal directions in which some rows spread most. A row y, less the mean of some, becomes (R y, t), t being the length
// of what R does not see of it. The rest of one vector and the rest of another have at most the product of their lengths in common
// (Cauchy and Schwarz), so the inner product of two heads is at least that of the vectors:
//
//     |x - y|² = |x|² + |y|² - 2 xy  >=  |x|² + |y|² - 2 (Rx, t_x)(Ry, t_y)
//
// R need not be the best basis for that, and not even quite orthonormal: how far it is off is its slack, which goes into the bound.
//
// One block of memory holds a basis:
//
//     length of the longest row, of the mean, slack, -   | 4 f32     the first and the last are for whoever makes heads by it
//     mean                                               | d f32, rounded up to 4
//     R                                                  | m - 1 rows of d f32

import { innerProducts, pairKey, squaredNorms } from "./distance";
import { INNER_PRODUCT, TOO_LONG } from "./metric";
import { sumError } from "./rounding";
import { addMultiple, centre } from "./rows";
import { LOST } from "./whole-rows";

/** Rounds in which R turns towards the directions of the largest spread, and the rows that it looks at. */
const ROUNDS: i32 = 3;
const SAMPLE: i32 = 1024;
/** Rows centred at a time. */
const CHUNK: i32 = 64;


@inline
export function up4(n: i32): i32 {
  return (n + 3) & ~3;
}

/** Bytes of a basis for heads of m numbers. */
export function basisBytes(d: i32, m: i32): i32 {
  return (4 + up4(d) + (m - 1) * d) * 4;
}

/** Bytes of scratch that makeBasis and makeHeads take. */
export function makeHeadsScratch(d: i32, m: i32): i32 {
  return (CHUNK * (d + m) + m * d) * 4;
}

/** Where the mean of a basis stands. */
@inline
export function meanOf(basis: usize): usize {
  return basis + 16;
}

/** Where R of a basis stands. */
@inline
export function directionsOf(basis: usize, d: i32): usize {
  return meanOf(basis) + ((<usize>up4(d)) << 2);
}

/** The slack of a basis. */
@inline
export function slackOf(basis: usize): f32 {
  return load<f32>(basis, 8);
}

/**
 * Makes a basis for heads of m numbers of some of n rows. Returns 0 where these hold what no bound covers: NaN, infinities, lengths near
 * the end of f32.
 */
export function makeBasis(rows: usize, n: i32, d: i32, m: i32, block: usize, scratch: usize): i32 {
  const size = (<usize>d) << 2;
  const mean = meanOf(block);
  const basis = directionsOf(block, d);
  const centred = scratch;
  const products = centred + <usize>CHUNK * size;
  const turned = products + ((<usize>(CHUNK * m)) << 2);

  const sample = min(n, SAMPLE);
  memory.fill(mean, 0, size);
  for (let i = 0; i < sample; i++) {
    addMultiple(mean, rows + <usize>((<i64>i * n) / sample) * size, <f32>1 / <f32>sample, size);
  }

  // Subspace iteration: R starts as rows of the sample, and each round multiplies it by their covariance.
  for (let j = 0; j < m - 1; j++) {
    const row = <usize>((<i64>j * n) / (m - 1));
    centre(rows + row * size, mean, size, basis + <usize>j * size);
  }
  if (!orthonormalize(basis, m - 1, d, 1)) return 0;
  for (let round = 0; round < ROUNDS; round++) {
    memory.fill(turned, 0, <usize>(m - 1) * size);
    for (let i = 0; i < sample; i += CHUNK) {
      const count = min(CHUNK, sample - i);
      for (let u = 0; u < count; u++) {
        const row = <usize>((<i64>(i + u) * n) / sample);
        centre(rows + row * size, mean, size, centred + <usize>u * size);
      }
      innerProducts(centred, count, basis, m - 1, d, products, m);
      for (let j = 0; j < m - 1; j++) {
        const to = turned + <usize>j * size;
        const by = products + ((<usize>j) << 2);
        let u = 0;
        for (; u + 4 <= count; u += 4)
          addFour(to, centred + <usize>u * size, by + ((<usize>(u * m)) << 2), (<usize>m) << 2, size);
        for (; u < count; u++) {
          addMultiple(to, centred + <usize>u * size, load<f32>(by + ((<usize>(u * m)) << 2)), size);
        }
      }
    }
    memory.copy(basis, turned, <usize>(m - 1) * size);
    // Only the last basis must be orthonormal to the last bits.
    if (!orthonormalize(basis, m - 1, d, round + 1 < ROUNDS ? 1 : 2)) return 0;
  }

  // How far R is from orthonormal, by the Frobenius norm of R Rt - 1, and the rounding of sums of d numbers.
  let off: f64 = 0;
  for (let i = 0; i < m - 1; i++) {
    for (let j = 0; j <= i; j++) {
      const u = -pairKey(basis + <usize>i * size, basis + <usize>j * size, d, INNER_PRODUCT);
      // A direction that is missing is zero, and sees nothing.
      const wanted: f32 = i == j && u > 0.5 ? 1 : 0;
      off += <f64>(i == j ? 1 : 2) * <f64>(u - wanted) * <f64>(u - wanted);
    }
  }
  const g = sumError(d);
  const slack: f32 = <f32>16 * g + <f32>4 * <f32>sqrt(off);
  if (!(slack < <f32>0.01)) return 0;

  const middle = -pairKey(mean, mean, d, INNER_PRODUCT);
  store<f32>(block, 0);
  store<f32>(block, sqrt(middle) * <f32>1.001 + LOST, 4);
  store<f32>(block, slack, 8);
  store<f32>(block, 0, 12);
  return middle < TOO_LONG ? 1 : 0;
}

/**
 * Makes the heads of n rows by a basis (n x m f32), and their squared lengths less the mean (f32 each). What is in the basis of the
 * longest row becomes the larger for it. Returns 0 where a row is beyond bounds.
 */
export function makeHeads(
  rows: usize,
  n: i32,
  d: i32,
  m: i32,
  block: usize,
  lengths: usize,
  heads: usize,
  scratch: usize,
): i32 {
  const size = (<usize>d) << 2;
  const centred = scratch;
  const products = centred + <usize>CHUNK * size;
  let longest: f32 = 0;
  for (let i = 0; i < n; i += CHUNK) {
    const count = min(CHUNK, n - i);
    for (let u = 0; u < count; u++)
      centre(rows + <usize>(i + u) * size, meanOf(block), size, centred + <usize>u * size);
    const at = lengths + ((<usize>i) << 2);
    const head = heads + ((<usize>(i * m)) << 2);
    squaredNorms(centred, count, d, at);
    innerProducts(centred, count, directionsOf(block, d), m - 1, d, products, m);
    for (let u = 0; u < count; u++) {
      const length = load<f32>(at + ((<usize>u) << 2));
      if (!(length < TOO_LONG)) return 0;
      const to = head + ((<usize>(u * m)) << 2);
      memory.copy(to, products + ((<usize>(u * m)) << 2), (<usize>(m - 1)) << 2);
      storeRest(to, m, length, slackOf(block));
      longest = max(longest, length);
    }
  }
  store<f32>(block, max(load<f32>(block), sqrt(longest) * <f32>1.001 + LOST));
  return 1;
}

/** Writes the last number of a head: the length of what the others leave over, at least. */
@inline
export function storeRest(head: usize, m: i32, length: f32, slack: f32): void {
  const last = head + ((<usize>(m - 1)) << 2);
  store<f32>(last, 0);
  const seen = -pairKey(head, head, m, INNER_PRODUCT);
  store<f32>(last, sqrt(max(0, length * (1 + slack) - seen)) * <f32>1.0001 + LOST);
}

/** to += by0 from0 + … + by3 from3, the rows behind each other and the factors `step` bytes apart. */
function addFour(to: usize, from: usize, by: usize, step: usize, size: usize): void {
  const body = size & ~15;
  const by0 = load<f32>(by);
  const by1 = load<f32>(by + step);
  const by2 = load<f32>(by + 2 * step);
  const by3 = load<f32>(by + 3 * step);
  const from1 = from + size;
  const from2 = from1 + size;
  const from3 = from2 + size;
  let j: usize = 0;
  for (; j < body; j += 16) {
    const u = f32x4.add(
      f32x4.mul(f32x4.splat(by0), v128.load(from + j)),
      f32x4.mul(f32x4.splat(by1), v128.load(from1 + j)),
    );
    const v = f32x4.add(
      f32x4.mul(f32x4.splat(by2), v128.load(from2 + j)),
      f32x4.mul(f32x4.splat(by3), v128.load(from3 + j)),
    );
    v128.store(to + j, f32x4.add(v128.load(to + j), f32x4.add(u, v)));
  }
  for (; j < size; j += 4) {
    const u = by0 * load<f32>(from + j) + by1 * load<f32>(from1 + j);
    const v = by2 * load<f32>(from2 + j) + by3 * load<f32>(from3 + j);
    store<f32>(to + j, load<f32>(to + j) + (u + v));
  }
}

/**
 * Makes n rows orthonormal by Gram and Schmidt, for whom two passes are enough. A row that depends on those before it becomes
 * zero, which bounds as well. Returns false where a row can't be scaled.
 */
function orthonormalize(rows: usize, n: i32, d: i32, passes: i32): bool {
  const size = (<usize>d) << 2;
  for (let i = 0; i < n; i++) {
    const row = rows + <usize>i * size;
    let peak: f32 = 0;
    for (let j: usize = 0; j < size; j += 4) peak = max(peak, abs(load<f32>(row + j)));
    if (!(peak < Infinity)) return false;
    if (peak > 0) for (let j: usize = 0; j < size; j += 4) store<f32>(row + j, load<f32>(row + j) / peak);
    const before = -pairKey(row, row, d, INNER_PRODUCT);
    for (let pass = 0; pass < passes; pass++) {
      for (let j = 0; j < i; j++) {
        const other = rows + <usize>j * size;
        addMultiple(row, other, pairKey(row, other, d, INNER_PRODUCT), size);
      }
    }
    const after = -pairKey(row, row, d, INNER_PRODUCT);
    const scale: f32 = after > before * <f32>1e-6 ? <f32>1 / sqrt(after) : 0;
    for (let j: usize = 0; j < size; j += 4) store<f32>(row + j, load<f32>(row + j) * scale);
  }
  return true;
}
