/** The mean of n x d vectors; n is at least 1. */
export function meanOf(vectors: Float32Array, d: number): Float32Array<ArrayBuffer> {
  const sums = new Float64Array(d);
  for (let i = 0; i < vectors.length; i += d) for (let j = 0; j < d; j++) sums[j] += vectors[i + j];
  return Float32Array.from(sums, (sum) => (sum * d) / vectors.length);
}
