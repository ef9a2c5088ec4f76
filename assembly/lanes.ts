// Four f32 lanes of a v128, and the one place where the relaxed build differs from the baseline.

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
