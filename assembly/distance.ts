// Exact distances between float vectors, and the tile of inner products that bounds them.
//
// Lanes lie along d: accumulator lane l sums the dimensions l, l + 4, l + 8, …; the last d % 4 dimensions are added
// one by one. Every function sums in this order, so a pair of vectors has the same distance wherever it is computed.

import { INNER_PRODUCT } from "./metric";
import { madd, sum } from "./lanes";
import { heapReplace } from "./topk";

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
 * Scans n rows for one query, four rows at a time, and offers them to its heap. Row i has the slot firstSlot + i.
 *
 *     query        | x0 x1 x2 x3 |          one load serves four rows
 *     row i        | a0 a1 a2 a3 |  ->  s0  four accumulators, lanes along d
 *     row i + 1    | b0 b1 b2 b3 |  ->  s1
 *     row i + 2    | c0 c1 c2 c3 |  ->  s2
 *     row i + 3    | e0 e1 e2 e3 |  ->  s3
 *
 * Beyond the last row the pointers stay on it, and what they give is not looked at.
 */
export function scanRows(
  query: usize,
  rows: usize,
  n: i32,
  d: i32,
  metric: i32,
  firstSlot: i32,
  keys: usize,
  slots: usize,
  k: i32,
  ids: usize,
): void {
  const size = (<usize>d) << 2;
  const bodyEnd = query + ((<usize>(d & ~3)) << 2);
  const end = query + size;
  let worst = load<f32>(keys);
  for (let i = 0; i < n; i += 4, rows += size << 2) {
    const left = n - i;
    let x = query;
    let a = rows;
    let b = left > 1 ? a + size : a;
    let c = left > 2 ? b + size : b;
    let e = left > 3 ? c + size : c;
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    let t0: f32 = 0;
    let t1: f32 = 0;
    let t2: f32 = 0;
    let t3: f32 = 0;
    if (metric == INNER_PRODUCT) {
      for (; x < bodyEnd; x += 16, a += 16, b += 16, c += 16, e += 16) {
        const q = v128.load(x);
        s0 = madd(q, v128.load(a), s0);
        s1 = madd(q, v128.load(b), s1);
        s2 = madd(q, v128.load(c), s2);
        s3 = madd(q, v128.load(e), s3);
      }
      for (; x < end; x += 4, a += 4, b += 4, c += 4, e += 4) {
        const q = load<f32>(x);
        t0 += q * load<f32>(a);
        t1 += q * load<f32>(b);
        t2 += q * load<f32>(c);
        t3 += q * load<f32>(e);
      }
      t0 = -(sum(s0) + t0);
      t1 = -(sum(s1) + t1);
      t2 = -(sum(s2) + t2);
      t3 = -(sum(s3) + t3);
    } else {
      for (; x < bodyEnd; x += 16, a += 16, b += 16, c += 16, e += 16) {
        const q = v128.load(x);
        let u = f32x4.sub(q, v128.load(a));
        s0 = madd(u, u, s0);
        u = f32x4.sub(q, v128.load(b));
        s1 = madd(u, u, s1);
        u = f32x4.sub(q, v128.load(c));
        s2 = madd(u, u, s2);
        u = f32x4.sub(q, v128.load(e));
        s3 = madd(u, u, s3);
      }
      for (; x < end; x += 4, a += 4, b += 4, c += 4, e += 4) {
        const q = load<f32>(x);
        let u = q - load<f32>(a);
        t0 += u * u;
        u = q - load<f32>(b);
        t1 += u * u;
        u = q - load<f32>(c);
        t2 += u * u;
        u = q - load<f32>(e);
        t3 += u * u;
      }
      t0 = sum(s0) + t0;
      t1 = sum(s1) + t1;
      t2 = sum(s2) + t2;
      t3 = sum(s3) + t3;
    }
    const slot = firstSlot + i;
    if (t0 < worst) {
      heapReplace(keys, slots, k, t0, slot, ids, metric);
      worst = load<f32>(keys);
    }
    if (left > 1 && t1 < worst) {
      heapReplace(keys, slots, k, t1, slot + 1, ids, metric);
      worst = load<f32>(keys);
    }
    if (left > 2 && t2 < worst) {
      heapReplace(keys, slots, k, t2, slot + 2, ids, metric);
      worst = load<f32>(keys);
    }
    if (left > 3 && t3 < worst) {
      heapReplace(keys, slots, k, t3, slot + 3, ids, metric);
      worst = load<f32>(keys);
    }
  }
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
      let p0 = f32x4(sum(s00), sum(s01), sum(s02), sum(s03));
      let p1 = f32x4(sum(s10), sum(s11), sum(s12), sum(s13));
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

/** The squared norms of n rows. */
export function squaredNorms(rows: usize, n: i32, d: i32, norms: usize): void {
  const size = (<usize>d) << 2;
  for (let i = 0; i < n; i++, rows += size, norms += 4) {
    store<f32>(norms, -pairKey(rows, rows, d, INNER_PRODUCT));
  }
}
