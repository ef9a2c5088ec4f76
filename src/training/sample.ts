import { permutation } from "../work/random.js";

/** Copies n of the rows given (d floats each) to a place in `to`: all in their order, or, of more, those that faiss draws. */
export function copySample(given: Float32Array, d: number, n: number, seed: number, to: Float32Array, at = 0): void {
  if (n * d === given.length) to.set(given, at);
  else
    permutation(given.length / d, seed, n).forEach((row, i) =>
      to.set(given.subarray(row * d, row * d + d), at + i * d),
    );
}

/** At most `limit` of n x d vectors: they themselves, or a copy of those that faiss draws. */
export function sampleOf(vectors: Float32Array, d: number, limit: number, seed: number): Float32Array {
  if (vectors.length <= limit * d) return vectors;
  const sample = new Float32Array(limit * d);
  copySample(vectors, d, limit, seed, sample);
  return sample;
}
