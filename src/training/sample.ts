import { permutation } from "../work/random.js";

/** Copies n of the rows given to a place in `to`: all in their order, or, of more, as many as faiss draws. */
export function copySample(given: Float32Array, d: number, n: number, seed: number, to: Float32Array, at = 0): void {
  if (n * d === given.length) to.set(given, at);
  else
    permutation(given.length / d, seed)
      .subarray(0, n)
      .forEach((row, i) => to.set(given.subarray(row * d, row * d + d), at + i * d));
}
