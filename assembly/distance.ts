// Exact distances between float vectors, and the tile of inner products that bounds them.
//
// Lanes lie along d: accumulator lane l sums the dimensions l, l + 4, l + 8, …; the last d % 4 dimensions are added
// one by one. Every function sums in this order, so a pair of vectors has the same distance wherever it is computed.

import { INNER_PRODUCT } from "./metric";
import { madd, sum, sums } from "./lanes";

/** The key of one pair of vectors: the squared distance, or the negated inner product. */
export function pairKey(x: usize, y: usize, d: i32, metric: i32): f32 {
  const body = x + ((<usize>(d & ~3)) << 2);
  const end = x + ((<usize>d) << 2);
  let acc = f32x4.splat(0);
  let tail: f32 = 0;
  if (metric == INNER_PRODUCT) {
    for (; x < body; x += 16, y += 16) acc = madd(v128.load(x), v128.load(y), acc);
    for (; x < end; x += 4, y += 4) tail += load<f32>(x) * load<f32>(y);
    return -(sum(acc) + tail);
  }
  for (; x < body; x += 16, y += 16) {
    const u = f32x4.sub(v128.load(x), v128.load(y));
    acc = madd(u, u, acc);
  }
  for (; x < end; x += 4, y += 4) {
    const u = load<f32>(x) - load<f32>(y);
    tail += u * u;
  }
  return sum(acc) + tail;
}

/**
 * The keys of a query and four rows, wherever they stand: as pairKey's to the bit, in a third of the time, since four sums that do
 * not wait for each other run at once.
 *
 *     query    | x0 x1 x2 x3 |          one load serves four rows
 *     row a    | a0 a1 a2 a3 |  ->  s0  four accumulators, lanes along d
 *     row b    | b0 b1 b2 b3 |  ->  s1
 *     row c    | c0 c1 c2 c3 |  ->  s2
 *     row e    | e0 e1 e2 e3 |  ->  s3  -> | key a | key b | key c | key e |
 */
@inline
export function fourKeys(query: usize, a: usize, b: usize, c: usize, e: usize, d: i32, metric: i32): v128 {
  const bodyEnd = query + ((<usize>(d & ~3)) << 2);
  const end = query + ((<usize>d) << 2);
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  let tails = s0;
  if (metric == INNER_PRODUCT) {
    for (; query < bodyEnd; query += 16, a += 16, b += 16, c += 16, e += 16) {
      const x = v128.load(query);
      s0 = madd(x, v128.load(a), s0);
      s1 = madd(x, v128.load(b), s1);
      s2 = madd(x, v128.load(c), s2);
      s3 = madd(x, v128.load(e), s3);
    }
    for (; query < end; query += 4, a += 4, b += 4, c += 4, e += 4) {
      const rows = f32x4(load<f32>(a), load<f32>(b), load<f32>(c), load<f32>(e));
      tails = f32x4.add(tails, f32x4.mul(f32x4.splat(load<f32>(query)), rows));
    }
    return f32x4.neg(f32x4.add(sums(s0, s1, s2, s3), tails));
  }
  for (; query < bodyEnd; query += 16, a += 16, b += 16, c += 16, e += 16) {
    const x = v128.load(query);
    let u = f32x4.sub(x, v128.load(a));
    s0 = madd(u, u, s0);
    u = f32x4.sub(x, v128.load(b));
    s1 = madd(u, u, s1);
    u = f32x4.sub(x, v128.load(c));
    s2 = madd(u, u, s2);
    u = f32x4.sub(x, v128.load(e));
    s3 = madd(u, u, s3);
  }
  for (; query < end; query += 4, a += 4, b += 4, c += 4, e += 4) {
    const rows = f32x4(load<f32>(a), load<f32>(b), load<f32>(c), load<f32>(e));
    const u = f32x4.sub(f32x4.splat(load<f32>(query)), rows);
    tails = f32x4.add(tails, f32x4.mul(u, u));
  }
  return f32x4.add(sums(s0, s1, s2, s3), tails);
}

/** As fourKeys, which it is called in place of where the time of a call does not count: each copy of it is 200 B of the core. */
export function keysOfFour(query: usize, a: usize, b: usize, c: usize, e: usize, d: i32, metric: i32): v128 {
  return fourKeys(query, a, b, c, e, d, metric);
}

/**
 * The inner products of nq queries with n rows: a tile of nq rows, `stride` floats each.
 *
 *                        row j   j+1   j+2   j+3
 *     query i          |  s00 |  s01 |  s02 |  s03 |   eight accumulators, lanes along d: what 16 registers hold.
 *     query i + 1      |  s10 |  s11 |  s12 |  s13 |   Six loads feed eight multiply-adds.
 *
 * At d = 768 this form reaches 27 G multiply-adds/s on a Zen 3 core, with rows interleaved by four beforehand no more
 * (27), the differences squared instead 15. The rows of a tile stay in the first-level cache for all queries.
 * `stride` is a multiple of 4 and at least n; an odd last query and up to three last rows are computed again.
 */
export function innerProducts(queries: usize, nq: i32, rows: usize, n: i32, d: i32, tile: usize, stride: i32): void {
  const size = (<usize>d) << 2;
  const body = (<usize>(d & ~3)) << 2;
  const pitch = (<usize>stride) << 2;
  for (let j = 0; j < n; j += 4, rows += size << 2, tile += 16) {
    const left = n - j;
    const row1 = left > 1 ? rows + size : rows;
    const row2 = left > 2 ? row1 + size : row1;
    const row3 = left > 3 ? row2 + size : row2;
    let query = queries;
    let out = tile;
    for (let i = 0; i < nq; i += 2, query += size << 1, out += pitch << 1) {
      const pair = i + 1 < nq;
      let x = query;
      let y = pair ? query + size : query;
      let a = rows;
      let b = row1;
      let c = row2;
      let e = row3;
      const bodyEnd = query + body;
      let s00 = f32x4.splat(0);
      let s01 = s00;
      let s02 = s00;
      let s03 = s00;
      let s10 = s00;
      let s11 = s00;
      let s12 = s00;
      let s13 = s00;
      while (x < bodyEnd) {
        const u = v128.load(x);
        const v = v128.load(y);
        let w = v128.load(a);
        s00 = madd(u, w, s00);
        s10 = madd(v, w, s10);
        w = v128.load(b);
        s01 = madd(u, w, s01);
        s11 = madd(v, w, s11);
        w = v128.load(c);
        s02 = madd(u, w, s02);
        s12 = madd(v, w, s12);
        w = v128.load(e);
        s03 = madd(u, w, s03);
        s13 = madd(v, w, s13);
        x += 16;
        y += 16;
        a += 16;
        b += 16;
        c += 16;
        e += 16;
      }
      let p0 = sums(s00, s01, s02, s03);
      let p1 = sums(s10, s11, s12, s13);
      if (body < size) {
        const end = query + size;
        let t0 = f32x4.splat(0);
        let t1 = t0;
        for (; x < end; x += 4, y += 4, a += 4, b += 4, c += 4, e += 4) {
          const w = f32x4(load<f32>(a), load<f32>(b), load<f32>(c), load<f32>(e));
          t0 = f32x4.add(t0, f32x4.mul(f32x4.splat(load<f32>(x)), w));
          t1 = f32x4.add(t1, f32x4.mul(f32x4.splat(load<f32>(y)), w));
        }
        p0 = f32x4.add(p0, t0);
        p1 = f32x4.add(p1, t1);
      }
      v128.store(out, p0);
      if (pair) v128.store(out + pitch, p1);
    }
  }
}

/**
 * The inner products of one query with n rows, eight rows at a time: the same eight accumulators as in a tile, with nothing computed
 * twice. What is left goes four at a time, the last row again and again.
 *
 *     query    | x0 x1 x2 x3 |          one load serves eight rows
 *     row a    | a0 a1 a2 a3 |  ->  s0  eight accumulators, lanes along d
 *     …                                 …
 *     row i    | i0 i1 i2 i3 |  ->  s7  ->  | a | b | c | e |  | f | g | h | i |
 */
export function productsOfOne(query: usize, rows: usize, n: i32, d: i32, out: usize): void {
  const size = (<usize>d) << 2;
  const bodyEnd = query + ((<usize>(d & ~3)) << 2);
  const end = query + size;
  let j = 0;
  for (; j + 8 <= n; j += 8, rows += size << 3, out += 32) {
    let x = query;
    let a = rows;
    let b = a + size;
    let c = b + size;
    let e = c + size;
    let f = e + size;
    let g = f + size;
    let h = g + size;
    let i = h + size;
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    let s4 = s0;
    let s5 = s0;
    let s6 = s0;
    let s7 = s0;
    while (x < bodyEnd) {
      const u = v128.load(x);
      s0 = madd(u, v128.load(a), s0);
      s1 = madd(u, v128.load(b), s1);
      s2 = madd(u, v128.load(c), s2);
      s3 = madd(u, v128.load(e), s3);
      s4 = madd(u, v128.load(f), s4);
      s5 = madd(u, v128.load(g), s5);
      s6 = madd(u, v128.load(h), s6);
      s7 = madd(u, v128.load(i), s7);
      x += 16;
      a += 16;
      b += 16;
      c += 16;
      e += 16;
      f += 16;
      g += 16;
      h += 16;
      i += 16;
    }
    let t0 = f32x4.splat(0);
    let t1 = t0;
    for (; x < end; x += 4, a += 4, b += 4, c += 4, e += 4, f += 4, g += 4, h += 4, i += 4) {
      const u = v128.load32_splat(x);
      t0 = f32x4.add(t0, f32x4.mul(u, f32x4(load<f32>(a), load<f32>(b), load<f32>(c), load<f32>(e))));
      t1 = f32x4.add(t1, f32x4.mul(u, f32x4(load<f32>(f), load<f32>(g), load<f32>(h), load<f32>(i))));
    }
    v128.store(out, f32x4.add(sums(s0, s1, s2, s3), t0));
    v128.store(out, f32x4.add(sums(s4, s5, s6, s7), t1), 16);
  }
  for (; j < n; j += 4, rows += size << 2, out += 16) {
    const left = n - j;
    const b = left > 1 ? rows + size : rows;
    const c = left > 2 ? b + size : b;
    const e = left > 3 ? c + size : c;
    v128.store(out, f32x4.neg(keysOfFour(query, rows, b, c, e, d, INNER_PRODUCT)));
  }
}

/**
 * The squared norms of n rows, four at a time: one row alone would wait for each of its additions. The bits are those of pairKey.
 */
export function squaredNorms(rows: usize, n: i32, d: i32, norms: usize): void {
  const size = (<usize>d) << 2;
  const body = (<usize>(d & ~3)) << 2;
  for (let i = 0; i < n; i += 4, rows += size << 2, norms += 16) {
    const left = n - i;
    let a = rows;
    let b = left > 1 ? a + size : a;
    let c = left > 2 ? b + size : b;
    let e = left > 3 ? c + size : c;
    const end = rows + body;
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    for (; a < end; a += 16, b += 16, c += 16, e += 16) {
      let x = v128.load(a);
      s0 = madd(x, x, s0);
      x = v128.load(b);
      s1 = madd(x, x, s1);
      x = v128.load(c);
      s2 = madd(x, x, s2);
      x = v128.load(e);
      s3 = madd(x, x, s3);
    }
    let tails = f32x4.splat(0);
    for (; a < rows + size; a += 4, b += 4, c += 4, e += 4) {
      const x = f32x4(load<f32>(a), load<f32>(b), load<f32>(c), load<f32>(e));
      tails = f32x4.add(tails, f32x4.mul(x, x));
    }
    const four = f32x4.add(sums(s0, s1, s2, s3), tails);
    if (left > 3) v128.store(norms, four);
    else {
      store<f32>(norms, f32x4.extract_lane(four, 0));
      if (left > 1) store<f32>(norms, f32x4.extract_lane(four, 1), 4);
      if (left > 2) store<f32>(norms, f32x4.extract_lane(four, 2), 8);
    }
  }
}
