import { randomOf } from "./random.js";
import type { Random } from "./random.js";

/** Vectors to train on, to add and to ask for. */
export interface Dataset {
  d: number;
  train: Float32Array<ArrayBuffer>;
  base: Float32Array<ArrayBuffer>;
  queries: Float32Array<ArrayBuffer>;
}

/**
 * The recipe of the data set in faiss' own tests, which the bars in reference/acceptance.md are for: ten hidden dimensions, spread over
 * d and bent by a sine. The recipe only: numpy's numbers are others.
 */
export function synthetic(d: number, nt: number, nb: number, nq: number, seed = 1338): Dataset {
  const random = randomOf(seed);
  const n = nt + nb + nq;
  const hidden = Float64Array.from({ length: n * 10 }, () => normal(random));
  const spread = Float64Array.from({ length: 10 * d }, random);
  const factors = Float64Array.from({ length: d }, () => random() * 4 + 0.1);
  const rows = Float32Array.from({ length: n * d }, (_, at) => {
    const [i, j] = [Math.floor(at / d), at % d];
    let sum = 0;
    for (let h = 0; h < 10; h++) sum += hidden[i * 10 + h] * spread[h * d + j];
    return Math.sin(sum * factors[j]);
  });
  const part = (from: number, count: number): Float32Array<ArrayBuffer> => rows.slice(from * d, (from + count) * d);
  return { d, train: part(0, nt), base: part(nt, nb), queries: part(nt + nb, nq) };
}

/** A number of the normal distribution (Box and Muller). */
export function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
