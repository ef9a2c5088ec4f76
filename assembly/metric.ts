// The two metrics, and the order they give to results.
//
// Inside the kernels a result carries a KEY, smaller is better: the squared distance for L2, the negated product for
// inner product. `finish` in topk.ts turns keys into the distances that people see.

/** faiss' numbers for the metrics. */
export const INNER_PRODUCT: i32 = 0;
export const L2: i32 = 1;

/** The key of "nothing found": FLT_MAX, as in faiss. A key must be smaller to enter a result. */
export const NOTHING: f32 = f32.MAX_VALUE;

/** Squared lengths from which on sums of squares might overflow, and below which they might underflow. */
export const TOO_LONG: f32 = 1e30;
export const TOO_SHORT: f32 = 1e-20;
