// The product quantizer: a vector is cut into M sub-vectors of `sub` dimensions, and each becomes the number of the nearest of K
// centroids (16 for 4 bits, 256 for 8). K is a multiple of 16.
//
// Kernels want the codebook transposed, so that the 16 centroids of a step lie in the lanes of four vectors:
//
//     codebook     [M][K][sub]    as in a file
//     transposed   [M][sub][K]    | c0 c1 c2 c3 | c4 … c7 | c8 … c11 | c12 … c15 |  dimension j of 16 centroids

import { INNER_PRODUCT } from "./metric";

/**
 * Turns a codebook of `given` centroids a sub-quantizer into its transposed form of K, a multiple of 16. Where there are fewer, the
 * others are infinitely far away.
 */
export function transposeCodebook(codebook: usize, M: i32, given: i32, K: i32, sub: i32, transposed: usize): void {
  for (let m = 0; m < M; m++) {
    for (let c = 0; c < K; c++) {
      for (let j = 0; j < sub; j++) {
        const at = transposed + ((<usize>((m * sub + j) * K + c)) << 2);
        store<f32>(at, c < given ? load<f32>(codebook) : f32.POSITIVE_INFINITY);
        if (c < given) codebook += 4;
      }
    }
  }
}

/**
 * Of a codebook of 4 bits, the squared lengths of all centroids, rounded as in a table of squared distances, and how wide those of each
 * sub-quantizer are spread: the sum of the squared distances to their mean. lengths: f32 [M][16]. spreads: f64 [M].
 */
export function measureCodebook(codebook: usize, M: i32, sub: i32, lengths: usize, spreads: usize): void {
  memory.fill(lengths, 0, (<usize>M) << 6);
  for (let m = 0; m < M; m++, codebook += (<usize>(sub * 15)) << 2, lengths += 64, spreads += 8) {
    let spread: f64 = 0;
    for (let j = 0; j < sub; j++, codebook += 4) {
      let sum: f64 = 0;
      let squares: f64 = 0;
      for (let c: usize = 0, at = codebook; c < 64; c += 4, at += (<usize>sub) << 2) {
        const value = load<f32>(at);
        sum += value;
        squares += <f64>value * <f64>value;
        store<f32>(lengths + c, load<f32>(lengths + c) + value * value);
      }
      spread += squares - (sum * sum) / 16;
    }
    store<f64>(spreads, spread);
  }
}

/**
 * The nearest centroid of each sub-vector, the first of equals: numbers, n x M bytes. errors: M f64, to which the squared distances
 * are added, or 0.
 */
export function quantize(
  vectors: usize,
  n: i32,
  M: i32,
  K: i32,
  sub: i32,
  transposed: usize,
  numbers: usize,
  errors: usize,
): void {
  for (let i = 0; i < n; i++) {
    let centroids = transposed;
    for (let m = 0; m < M; m++, vectors += (<usize>sub) << 2, centroids += (<usize>(sub * K)) << 2, numbers++) {
      store<u8>(numbers, <u8>nearestPart(vectors, K, sub, centroids, errors == 0 ? 0 : errors + ((<usize>m) << 3)));
    }
  }
}

/**
 * The number of the centroid nearest to one sub-vector: distances to 16 centroids at once, lanes being centroids.
 *
 *     | 0 1 2 3 | 4 5 6 7 | 8 9 10 11 | 12 13 14 15 |  -> the smallest of 16, and the first lane that has it
 */
@inline
export function nearestPart(x: usize, K: i32, sub: i32, centroids: usize, error: usize): i32 {
  const row = (<usize>K) << 2;
  let best: f32 = Infinity;
  let winner = 0;
  for (let c = 0; c < K; c += 16) {
    let a0 = f32x4.splat(0);
    let a1 = a0;
    let a2 = a0;
    let a3 = a0;
    let at = centroids + ((<usize>c) << 2);
    for (let j: usize = 0, end = (<usize>sub) << 2; j < end; j += 4, at += row) {
      const value = v128.load32_splat(x + j);
      let u = f32x4.sub(value, v128.load(at));
      a0 = f32x4.add(a0, f32x4.mul(u, u));
      u = f32x4.sub(value, v128.load(at, 16));
      a1 = f32x4.add(a1, f32x4.mul(u, u));
      u = f32x4.sub(value, v128.load(at, 32));
      a2 = f32x4.add(a2, f32x4.mul(u, u));
      u = f32x4.sub(value, v128.load(at, 48));
      a3 = f32x4.add(a3, f32x4.mul(u, u));
    }
    const low = spreadMin(f32x4.pmin(f32x4.pmin(a0, a1), f32x4.pmin(a2, a3)));
    const least = f32x4.extract_lane(low, 0);
    if (least < best) {
      best = least;
      const mask =
        i32x4.bitmask(f32x4.eq(a0, low)) |
        (i32x4.bitmask(f32x4.eq(a1, low)) << 4) |
        (i32x4.bitmask(f32x4.eq(a2, low)) << 8) |
        (i32x4.bitmask(f32x4.eq(a3, low)) << 12);
      winner = c + ctz(mask);
    }
  }
  if (error != 0) store<f64>(error, load<f64>(error) + best);
  return winner;
}

/** The smallest lane, in all lanes. pmin is one instruction where min, which minds NaN and -0, is several. */
@inline
export function spreadMin(v: v128): v128 {
  v = f32x4.pmin(v, v128.shuffle<f32>(v, v, 2, 3, 0, 1));
  return f32x4.pmin(v, v128.shuffle<f32>(v, v, 1, 0, 3, 2));
}

/** The largest lane, in all lanes. */
@inline
export function spreadMax(v: v128): v128 {
  v = f32x4.pmax(v, v128.shuffle<f32>(v, v, 2, 3, 0, 1));
  return f32x4.pmax(v, v128.shuffle<f32>(v, v, 1, 0, 3, 2));
}

/** The vectors that numbers (n x M bytes) stand for. */
export function dequantize(numbers: usize, n: i32, M: i32, K: i32, sub: i32, codebook: usize, vectors: usize): void {
  const size = (<usize>sub) << 2;
  for (let i = 0; i < n; i++) {
    for (let m = 0; m < M; m++, numbers++, vectors += size) {
      memory.copy(vectors, codebook + <usize>(m * K + load<u8>(numbers)) * size, size);
    }
  }
}

/**
 * The look-up table of a query: to each of M x K centroids the squared distance of its sub-vector, or the inner product. table: f32
 * [M][K].
 */
export function lookUpTable(
  query: usize,
  M: i32,
  K: i32,
  sub: i32,
  transposed: usize,
  metric: i32,
  table: usize,
): void {
  const row = (<usize>K) << 2;
  for (let m = 0; m < M; m++, query += (<usize>sub) << 2, transposed += row * sub) {
    for (let c: usize = 0; c < row; c += 64, table += 64) {
      let a0 = f32x4.splat(0);
      let a1 = a0;
      let a2 = a0;
      let a3 = a0;
      let at = transposed + c;
      if (metric == INNER_PRODUCT) {
        for (let j: usize = 0, end = (<usize>sub) << 2; j < end; j += 4, at += row) {
          const value = v128.load32_splat(query + j);
          a0 = f32x4.add(a0, f32x4.mul(value, v128.load(at)));
          a1 = f32x4.add(a1, f32x4.mul(value, v128.load(at, 16)));
          a2 = f32x4.add(a2, f32x4.mul(value, v128.load(at, 32)));
          a3 = f32x4.add(a3, f32x4.mul(value, v128.load(at, 48)));
        }
      } else {
        for (let j: usize = 0, end = (<usize>sub) << 2; j < end; j += 4, at += row) {
          const value = v128.load32_splat(query + j);
          let u = f32x4.sub(value, v128.load(at));
          a0 = f32x4.add(a0, f32x4.mul(u, u));
          u = f32x4.sub(value, v128.load(at, 16));
          a1 = f32x4.add(a1, f32x4.mul(u, u));
          u = f32x4.sub(value, v128.load(at, 32));
          a2 = f32x4.add(a2, f32x4.mul(u, u));
          u = f32x4.sub(value, v128.load(at, 48));
          a3 = f32x4.add(a3, f32x4.mul(u, u));
        }
      }
      v128.store(table, a0);
      v128.store(table, a1, 16);
      v128.store(table, a2, 32);
      v128.store(table, a3, 48);
    }
  }
}
