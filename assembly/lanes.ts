// Lanes of a v128, and the one place where the relaxed build differs from the baseline.

/** a * b + c in each lane: two roundings in the baseline build, at the engine's choice one in the relaxed build. */
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(c, f32x4.mul(a, b));
}

/**
 * The sum of the four lanes, in the one order that every kernel uses: equal inputs give equal bits wherever they meet.
 *
 *     | 0 | 1 | 2 | 3 |  ->  (0 + 1) + (2 + 3)
 */
@inline
export function sum(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
}

/**
 * The sums of four vectors, one a lane, each in the order of `sum`.
 *
 *     a | 0 1 2 3 |      | a0+a1  b0+b1  a2+a3  b2+b3 |
 *     b | 0 1 2 3 |  ->                                   ->  | a  b  c  e |
 *     c | 0 1 2 3 |      | c0+c1  e0+e1  c2+c3  e2+e3 |
 *     e | 0 1 2 3 |
 */
@inline
export function sums(a: v128, b: v128, c: v128, e: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 2, 6), v128.shuffle<f32>(a, b, 1, 5, 3, 7));
  const ce = f32x4.add(v128.shuffle<f32>(c, e, 0, 4, 2, 6), v128.shuffle<f32>(c, e, 1, 5, 3, 7));
  return f32x4.add(v128.shuffle<f64>(ab, ce, 0, 2), v128.shuffle<f64>(ab, ce, 1, 3));
}

/** As `sums`, of whole numbers. */
@inline
export function sumsI32(a: v128, b: v128, c: v128, e: v128): v128 {
  const ab = i32x4.add(v128.shuffle<i32>(a, b, 0, 4, 2, 6), v128.shuffle<i32>(a, b, 1, 5, 3, 7));
  const ce = i32x4.add(v128.shuffle<i32>(c, e, 0, 4, 2, 6), v128.shuffle<i32>(c, e, 1, 5, 3, 7));
  return i32x4.add(v128.shuffle<i64>(ab, ce, 0, 2), v128.shuffle<i64>(ab, ce, 1, 3));
}

/** One lane of four, by a number that is not known beforehand. */
@inline
export function lane4(v: v128, lane: i32): f32 {
  if (lane < 2) return lane == 0 ? f32x4.extract_lane(v, 0) : f32x4.extract_lane(v, 1);
  return lane == 2 ? f32x4.extract_lane(v, 2) : f32x4.extract_lane(v, 3);
}

/**
 * Sixteen look-ups in a table of sixteen bytes, indices being below 16: then both builds give the same, and the relaxed one saves the
 * instruction that takes care of larger indices.
 *
 * The table is to be loaded in the call, for each look-up anew. Where a CPU has no AVX, the baseline compiler of Node 20 and 22 puts a
 * table that stays in a local over the indices before it has used them. The compiler would make one load of two equal ones: so the
 * second look-up in a table loads it with another hint of its alignment (`v128.load(t, 0, 1)`), which nothing else depends on.
 * assembly/embed.mjs checks what came out. Two loads in place of one take 0 to 1 % more time (medians, Node 20 to 26, M = 128).
 */
@inline
export function lookUp(table: v128, indices: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i8x16.relaxed_swizzle(table, indices);
  return i8x16.swizzle(table, indices);
}
