// What floats lose, once for all bounds that must be true whatever is rounded.
//
// u = 2^-24 is the most that one rounding to f32 is off, as a share; n roundings in a row are off by at most n u (1 + n u), and n stays
// so small (d <= 2^20) that n u < 1/15.
//
// A SUM of d products or squares (distance.ts: four lanes, then across, then the tail) rounds each term at most n = d / 4 + 8 times: twice
// when it is made (a difference, a square), d / 4 times while its lane is added up, twice across the lanes, four times in the tail.
// n roundings in a row are off by at most g = n u / (1 - n u), as a share, and for d <= 2^20 that is below 1.016 n u. So, S being the exact
// sum of the terms' absolute values,
//
//     |computed - exact| <= g S          G(d) = 1.04 (d / 4 + 32) u  >=  g + 24 u
//
// |x|², |y|² and |x - y|² are such sums of their own value; the terms of xy add up to at most |x||y| <= (|x|² + |y|²) / 2.
//
// A DISTANCE BY A PRODUCT, v = (|x|² + |y|²)(1 - 4 G) - 2 xy - TINY, is at most the computed |x - y|². With N = |x|² + |y|² and D = N - 2 xy,
// both exact, so D <= 2 N: computed norms are at most N (1 + g), twice a computed product is at least 2 xy - g N, and five more operations
// on numbers up to 2 N lose at most 10 u N. So v <= D + (2 g + 10 u - 4 G) N <= D - (2 g + 86 u) N, and the computed distance is at least
// D (1 - g) >= D - 2 g N.
//
// UNDERFLOW: a product below 1.2e-38 may lose all it has, a sum of 2^20 of them 1.3e-32; lengths whose squares are below TOO_SHORT
// (metric.ts), where that could count, have no bounds at all, nor have those above TOO_LONG. TINY stands for what is left of it where a
// difference of sums is about zero.

/** u: half the distance of 1 to the next float. */
export const EPSILON: f32 = 5.9604645e-8;

/** What a bound leaves below zero for sums that underflow. */
export const TINY: f32 = 1e-35;

/** G(d): what a sum of d terms, and up to 24 operations with it, are off at most, as a share of the sum of the terms' absolute values. */
@inline
export function sumError(d: i32): f32 {
  return <f32>(d / 4 + 32) * (<f32>1.04 * EPSILON);
}
