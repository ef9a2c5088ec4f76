// Lower bounds of the keys of float rows: by their heads, or by their codes (row-codes.ts says why these are true).

import { outOf, Scan, Seeker, seekerOf } from "./coded-scan";
import { sumsI32 } from "./lanes";
import { L2 } from "./metric";
import { sumError } from "./rounding";
import { leastSquares } from "./row-codes";
import { touchRun } from "./scan/touch";
import { HEADER, wholeProducts } from "./whole-rows";

/** The products of the heads of some queries with those of n rows, whole blocks: behind the bounds that wait. */
export function headProducts(scan: Scan, slot: i32, n: i32, from: usize, until: usize): void {
  const size = (<usize>scan.m) << 1;
  const heads = scan.heads + HEADER + <usize>slot * size;
  touchRun(heads, <usize>n * size);
  for (; from < until; from += 8) {
    const i = load<i32>(from);
    const x = scan.queryHeads + <usize>i * size;
    if (from + 4 == until) wholeProducts(x, 0, scan.m, heads, n >> 2, outOf(scan, i), 0);
    else {
      const other = load<i32>(from, 4);
      const y = scan.queryHeads + <usize>other * size;
      wholeProducts(x, y, scan.m, heads, n >> 2, outOf(scan, i), outOf(scan, other));
    }
  }
}

/**
 * Replaces those bounds by heads, or by parts of codes, that are not above `worst` by bounds by codes, and forgets the others. Returns how
 * many there are, but for up to three that are infinite.
 */
export function sharpen(scan: Scan, i: i32, worst: f32): i32 {
  const seeker = seekerOf(scan, i);
  const lower = seeker.bounds;
  const map = seeker.slots;
  const D = <usize>scan.D;
  const query = scan.queryCodes + <usize>i * (D << 1);
  const most = f32x4.splat(worst);
  let kept = 0;
  for (let j = 0; j < seeker.waiting; j += 4) {
    let open = 15 & ~i32x4.bitmask(f32x4.gt(v128.load(lower + ((<usize>j) << 2)), most));
    for (; open != 0; open &= open - 1) {
      const slot = load<i32>(map + ((<usize>(j + ctz(open))) << 2));
      // All come at once from memory where the sums below would wait for each: .95 of IVF2564,Flat, 768-d, .97 of voice-a at nprobe 16.
      touchRun(scan.codes + <usize>slot * D, D);
      store<i32>(map + ((<usize>kept) << 2), slot);
      kept++;
    }
  }
  const codes = scan.codes;
  const facts = scan.gathered;
  for (let j = 0; j < kept; j += 4) {
    const at = map + ((<usize>j) << 2);
    const left = kept - j;
    const a = load<i32>(at);
    const b = left > 1 ? load<i32>(at, 4) : a;
    const c = left > 2 ? load<i32>(at, 8) : a;
    const e = left > 3 ? load<i32>(at, 12) : a;
    const out = lower + ((<usize>j) << 2);
    const product = fourProducts(
      query,
      D,
      codes + <usize>a * D,
      codes + <usize>b * D,
      codes + <usize>c * D,
      codes + <usize>e * D,
    );
    v128.store(out, product);
    for (let lane: usize = 0; lane < 16; lane += 4) {
      let own = scan.facts + ((<usize>(lane == 0 ? a : lane == 4 ? b : lane == 8 ? c : e)) << 2);
      // Behind all of a code there is no rest.
      store<f32>(facts + lane, 0, 48);
      for (let to = facts + lane, end = facts + 48; to < end; to += 16, own += scan.stride)
        store<f32>(to, load<f32>(own));
    }
    boundCodes(scan, out, 4, facts, 16, seeker);
    for (let lane = left; lane < 4; lane++) store<f32>(out + ((<usize>lane) << 2), Infinity);
  }
  return (kept + 3) & ~3;
}

/**
 * The products of the codes of some queries, from..until being their numbers, with those of n rows, or of parts of both: behind the bounds
 * that wait.
 *
 *     query   | 8 i16 |      | 8 i16 |
 *                x              x              two queries and four rows at a time: eight accumulators
 *     row     | 8 i8  |  ->  | 8 i16 |  ->  i32x4.dot_i16x8_s: pairs added, four sums of 32 bits a pair of query and row
 *
 * A row's code is widened once for both. On a Zen 5 core this makes 33 G multiply-adds/s at the median and 39 at best, the tile of
 * floats in distance.ts 24; two steps of the loop at a time make 28.
 */
export function products(scan: Scan, codes: usize, n: i32, from: usize, until: usize): void {
  const D = <usize>scan.D;
  const part = <usize>scan.part;
  const size = D << 1;
  for (let j = 0; j < n; j += 4, codes += D << 2) {
    const left = n - j;
    const row1 = left > 1 ? codes + D : codes;
    const row2 = left > 2 ? row1 + D : row1;
    const row3 = left > 3 ? row2 + D : row2;
    const at = (<usize>j) << 2;
    for (let pair = from; pair < until; pair += 8) {
      const i = load<i32>(pair);
      let x = scan.queryCodes + <usize>i * size;
      const out = outOf(scan, i) + at;
      if (pair + 4 == until) {
        v128.store(out, fourProducts(x, part, codes, row1, row2, row3));
        break;
      }
      const other = load<i32>(pair, 4);
      let y = scan.queryCodes + <usize>other * size;
      const end = x + (part << 1);
      let a = codes;
      let b = row1;
      let c = row2;
      let e = row3;
      let s00 = i32x4.splat(0);
      let s01 = s00;
      let s02 = s00;
      let s03 = s00;
      let s10 = s00;
      let s11 = s00;
      let s12 = s00;
      let s13 = s00;
      for (; x < end; x += 16, y += 16, a += 8, b += 8, c += 8, e += 8) {
        const u = v128.load(x);
        const v = v128.load(y);
        let w = v128.load8x8_s(a);
        s00 = i32x4.add(s00, i32x4.dot_i16x8_s(u, w));
        s10 = i32x4.add(s10, i32x4.dot_i16x8_s(v, w));
        w = v128.load8x8_s(b);
        s01 = i32x4.add(s01, i32x4.dot_i16x8_s(u, w));
        s11 = i32x4.add(s11, i32x4.dot_i16x8_s(v, w));
        w = v128.load8x8_s(c);
        s02 = i32x4.add(s02, i32x4.dot_i16x8_s(u, w));
        s12 = i32x4.add(s12, i32x4.dot_i16x8_s(v, w));
        w = v128.load8x8_s(e);
        s03 = i32x4.add(s03, i32x4.dot_i16x8_s(u, w));
        s13 = i32x4.add(s13, i32x4.dot_i16x8_s(v, w));
      }
      v128.store(out, sumsI32(s00, s01, s02, s03));
      v128.store(outOf(scan, other) + at, sumsI32(s10, s11, s12, s13));
    }
  }
}

/**
 * The products of the code of one query with those of four rows. Two products are added before they go to the sum: chains half as long, and
 * 28 in place of 24 G multiply-adds/s.
 */
export function fourProducts(x: usize, D: usize, a: usize, b: usize, c: usize, e: usize): v128 {
  let s0 = i32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  for (const end = x + (D << 1); x < end; x += 32, a += 16, b += 16, c += 16, e += 16) {
    const u = v128.load(x);
    const v = v128.load(x, 16);
    s0 = i32x4.add(s0, dotTwice(u, v, a));
    s1 = i32x4.add(s1, dotTwice(u, v, b));
    s2 = i32x4.add(s2, dotTwice(u, v, c));
    s3 = i32x4.add(s3, dotTwice(u, v, e));
  }
  return sumsI32(s0, s1, s2, s3);
}

/** The products of sixteen numbers of a query with those of a row, added up to four. */
@inline
function dotTwice(u: v128, v: v128, codes: usize): v128 {
  return i32x4.add(i32x4.dot_i16x8_s(u, v128.load8x8_s(codes)), i32x4.dot_i16x8_s(v, v128.load8x8_s(codes, 8)));
}

/** Turns products of codes, or of parts of codes whose rests are known, into lower bounds of keys. Facts of rows are a stride apart. */
export function boundCodes(scan: Scan, tile: usize, n: i32, facts: usize, stride: usize, seeker: Seeker): void {
  const g = <f32>8 * sumError(scan.plan.d);
  const length = sqrt(seeker.square);
  const scale = f32x4.splat(seeker.scale);
  const norm = f32x4.splat(seeker.norm);
  const error = f32x4.splat(seeker.error);
  const behind = f32x4.splat(seeker.behind);
  const shrink = f32x4.splat(1 - g);
  const lengths = f32x4.splat(length);
  const off = f32x4.splat(seeker.error + g * length);
  const constant = f32x4.splat(seeker.constant);
  const isL2 = scan.plan.metric == L2;
  for (const end = tile + ((<usize>n) << 2); tile < end; tile += 16, facts += 16) {
    const norms = v128.load(facts + stride);
    const errors = v128.load(facts + (stride << 1));
    const rests = f32x4.mul(behind, v128.load(facts + stride * 3));
    const part = f32x4.mul(f32x4.convert_i32x4_s(v128.load(tile)), f32x4.mul(scale, v128.load(facts)));
    const product = f32x4.add(part, rests);
    if (isL2) v128.store(tile, leastSquares(product, norms, errors, norm, error, shrink));
    else {
      const row = f32x4.add(f32x4.sqrt(norms), errors);
      const lost = f32x4.add(f32x4.mul(lengths, errors), f32x4.mul(off, row));
      v128.store(tile, f32x4.sub(f32x4.sub(constant, product), lost));
    }
  }
}
