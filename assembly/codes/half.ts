// Rows of 16-bit floats: IEEE halves (fp16) and the upper halves of f32 (bf16).

import { pairKey } from "../distance";
import { sums } from "../lanes";
import { INNER_PRODUCT } from "../metric";
import { Lists, Plan } from "../records";

/** Moves the exponent of a half to where that of an f32 is: 2^(127 - 15). */
const REBIAS: f32 = 5.192296858534828e33;
/** Sign, exponent and mantissa of a half, moved up by 13 bits with the sign spread over the four uppermost. */
const MASK: i32 = 0x8fffe000;

/** Rows of 16-bit floats; TypeScript fills the fields down to `constants`. */
@unmanaged
export class Half {
  /** Which code it is (any.ts). */
  kind: i32;
  d: i32;
  /** Address of MASK and REBIAS, four times each: constants in a loop are made anew in each turn on newer V8s. */
  constants: usize;

  /** Address of the plan. */
  plan: usize;
  metric: i32;
  /** d floats: x - C; or the query itself. */
  rest: usize;
  base: f32;
  room: usize;

  /** Bytes of scratch. */
  static scratch(d: i32): i32 {
    return d * 4;
  }

  open(plan: Plan, _lists: Lists, scratch: usize): void {
    this.plan = changetype<usize>(plan);
    this.metric = plan.metric;
    this.room = scratch;
    this.base = 0;
  }

  turn(i: i32, list: i32): void {
    const plan = changetype<Plan>(this.plan);
    const size = (<usize>this.d) << 2;
    const query = plan.queries + <usize>i * size;
    this.rest = query;
    if (plan.centroids == 0) return;
    const centroid = plan.centroids + <usize>list * size;
    if (this.metric == INNER_PRODUCT) {
      this.base = pairKey(query, centroid, this.d, INNER_PRODUCT);
      return;
    }
    this.rest = this.room;
    for (let j: usize = 0; j < size; j += 4) store<f32>(this.room + j, load<f32>(query + j) - load<f32>(centroid + j));
  }
}

/**
 * IEEE halves. Four are loaded with their sign spread, moved up, masked, and their exponents moved:
 *
 *     | s … s eeeee mmmmmmmmmm |  << 13  ->  | ssss eeeee mmmmmmmmmm 0… |  & MASK, x 2^112  ->  f32, subnormal halves too
 *
 * That takes an infinity for 65536 and a NaN for more, so rows that would enter a result are looked at once more. 16-bit rows stream from
 * memory at half the bytes of floats; in cache 256 components of a half took 49 to 53 ns (Node 20).
 */
@unmanaged
export class Fp16 extends Half {

  @inline
  widen(row: usize, mask: v128, rebias: v128): v128 {
    return f32x4.mul(v128.and(i32x4.shl(v128.load16x4_s(row), 13), mask), rebias);
  }


  @inline
  one(row: usize): f32 {
    return reinterpret<f32>(((<i32>load<i16>(row)) << 13) & MASK) * REBIAS;
  }


  @inline
  four(a: usize, b: usize, c: usize, e: usize, bar: f32): v128 {
    const keys = compareHalves<Fp16>(this, a, b, c, e);
    if (!v128.any_true(f32x4.le(keys, f32x4.splat(bar)))) return keys;
    return f32x4.add(keys, f32x4(this.excess(a), this.excess(b), this.excess(c), this.excess(e)));
  }

  /** Infinity where a row has an infinity or a NaN, so that it is never found; else 0. */
  private excess(row: usize): f32 {
    for (const end = row + ((<usize>this.d) << 1); row < end; row += 2) {
      if ((load<u16>(row) & 0x7c00) == 0x7c00) return Infinity;
    }
    return 0;
  }
}

/** Upper halves of f32: moved up, they are f32. */
@unmanaged
export class Bf16 extends Half {

  @inline
  widen(row: usize, _mask: v128, _rebias: v128): v128 {
    return i32x4.shl(v128.load16x4_u(row), 16);
  }


  @inline
  one(row: usize): f32 {
    return reinterpret<f32>((<u32>load<u16>(row)) << 16);
  }


  @inline
  four(a: usize, b: usize, c: usize, e: usize, _bar: f32): v128 {
    return compareHalves<Bf16>(this, a, b, c, e);
  }
}

/** The keys of four rows: lanes lie along d, as in distance.ts. */
function compareHalves<C extends Half>(code: C, a: usize, b: usize, c: usize, e: usize): v128 {
  const d = code.d;
  let x = code.rest;
  const body = x + ((<usize>(d & ~3)) << 2);
  const end = x + ((<usize>d) << 2);
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  let tails = s0;
  const mask = v128.load(code.constants);
  const rebias = v128.load(code.constants, 16);
  if (code.metric == INNER_PRODUCT) {
    for (; x < body; x += 16, a += 8, b += 8, c += 8, e += 8) {
      const u = v128.load(x);
      s0 = f32x4.add(s0, f32x4.mul(u, code.widen(a, mask, rebias)));
      s1 = f32x4.add(s1, f32x4.mul(u, code.widen(b, mask, rebias)));
      s2 = f32x4.add(s2, f32x4.mul(u, code.widen(c, mask, rebias)));
      s3 = f32x4.add(s3, f32x4.mul(u, code.widen(e, mask, rebias)));
    }
    for (; x < end; x += 4, a += 2, b += 2, c += 2, e += 2) {
      const rows = f32x4(code.one(a), code.one(b), code.one(c), code.one(e));
      tails = f32x4.add(tails, f32x4.mul(v128.load32_splat(x), rows));
    }
    return f32x4.sub(f32x4.splat(code.base), f32x4.add(sums(s0, s1, s2, s3), tails));
  }
  for (; x < body; x += 16, a += 8, b += 8, c += 8, e += 8) {
    const u = v128.load(x);
    let v = f32x4.sub(u, code.widen(a, mask, rebias));
    s0 = f32x4.add(s0, f32x4.mul(v, v));
    v = f32x4.sub(u, code.widen(b, mask, rebias));
    s1 = f32x4.add(s1, f32x4.mul(v, v));
    v = f32x4.sub(u, code.widen(c, mask, rebias));
    s2 = f32x4.add(s2, f32x4.mul(v, v));
    v = f32x4.sub(u, code.widen(e, mask, rebias));
    s3 = f32x4.add(s3, f32x4.mul(v, v));
  }
  for (; x < end; x += 4, a += 2, b += 2, c += 2, e += 2) {
    const v = f32x4.sub(v128.load32_splat(x), f32x4(code.one(a), code.one(b), code.one(c), code.one(e)));
    tails = f32x4.add(tails, f32x4.mul(v, v));
  }
  return f32x4.add(sums(s0, s1, s2, s3), tails);
}

/**
 * Encodes n vectors as halves, rows of `rowBytes` bytes: rounded to the nearest, ties to even. Returns the position of the first
 * component that would become infinite, or -1.
 */
export function encodeFp16(vectors: usize, n: i32, d: i32, rows: usize, rowBytes: i32): i32 {
  for (let i = 0; i < n; i++, rows += rowBytes) {
    for (let j = 0; j < d; j++, vectors += 4) {
      const half = toHalf(load<u32>(vectors));
      if ((half & 0x7c00) == 0x7c00) return i * d + j;
      store<u16>(rows + ((<usize>j) << 1), <u16>half);
    }
  }
  return -1;
}

function toHalf(bits: u32): u32 {
  const sign = (bits >> 16) & 0x8000;
  const size = bits & 0x7fffffff;
  if (size > 0x7f800000) return sign | 0x7e00;
  if (size >= 0x477ff000) return sign | 0x7c00;
  if (size < 0x38800000) {
    // Subnormal: added to .5, whose unit in the last place is 2^-24, the number is rounded to whole units.
    return sign | (reinterpret<u32>(reinterpret<f32>(size) + <f32>0.5) - 0x3f000000);
  }
  return sign | ((size - 0x38000000 + 0xfff + ((size >> 13) & 1)) >> 13);
}

/** Encodes n vectors by their upper halves, rounded as faiss does: half a unit is added to the bits. */
export function encodeBf16(vectors: usize, n: i32, d: i32, rows: usize, rowBytes: i32): void {
  for (let i = 0; i < n; i++, rows += rowBytes) {
    for (let j = 0; j < d; j++, vectors += 4) {
      store<u16>(rows + ((<usize>j) << 1), <u16>((load<u32>(vectors) + 0x8000) >> 16));
    }
  }
}

/** The vectors that n rows stand for. brain: bf16. */
export function decodeHalves(rows: usize, rowBytes: i32, n: i32, d: i32, brain: bool, out: usize): void {
  for (let i = 0; i < n; i++, rows += rowBytes) {
    for (let j = 0; j < d; j++, out += 4) {
      const half: u32 = load<u16>(rows + ((<usize>j) << 1));
      if (brain) store<u32>(out, half << 16);
      else store<f32>(out, toFloat(half));
    }
  }
}

function toFloat(half: u32): f32 {
  const size = (half & 0x7fff) << 13;
  const sign = (half & 0x8000) << 16;
  if (size >= 0x0f800000) return reinterpret<f32>(sign | (size + 0x70000000));
  return reinterpret<f32>(sign | reinterpret<u32>(reinterpret<f32>(size) * REBIAS));
}
