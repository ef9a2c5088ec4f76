import { Random } from "../src/work/random.js";

/** Vectors to train on, to add and to ask for. */
export interface Dataset {
  d: number;
  train: Float32Array<ArrayBuffer>;
  base: Float32Array<ArrayBuffer>;
  queries: Float32Array<ArrayBuffer>;
}

/**
 * The data set of faiss' own tests, which the bars in reference/acceptance.md are for: ten hidden dimensions, spread over d and bent by
 * a sine. With the default seed, the numbers are those of numpy's RandomState, too.
 */
export function synthetic(d: number, nt: number, nb: number, nq: number, seed = 1338): Dataset {
  const { unit, normal } = numpyRandom(seed);
  const n = nt + nb + nq;
  const hidden = Float64Array.from({ length: n * 10 }, normal);
  const spread = Float64Array.from({ length: 10 * d }, unit);
  const factors = Float64Array.from({ length: d }, () => unit() * 4 + 0.1);
  const rows = Float32Array.from({ length: n * d }, (_, at) => {
    const [i, j] = [Math.floor(at / d), at % d];
    let sum = 0;
    for (let h = 0; h < 10; h++) sum += hidden[i * 10 + h] * spread[h * d + j];
    return Math.sin(sum * factors[j]);
  });
  const part = (from: number, count: number): Float32Array<ArrayBuffer> => rows.slice(from * d, (from + count) * d);
  return { d, train: part(0, nt), base: part(nt, nb), queries: part(nt + nb, nq) };
}

/** The numbers of numpy.random.RandomState: from 0 to 1, and of the normal distribution (Marsaglia's polar method). */
function numpyRandom(seed: number): { unit: () => number; normal: () => number } {
  const random = new Random(seed);
  const unit = (): number => ((random.bits() >>> 5) * 2 ** 26 + (random.bits() >>> 6)) / 2 ** 53;
  let spare: number | undefined;
  const normal = (): number => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    for (;;) {
      const [x, y] = [2 * unit() - 1, 2 * unit() - 1];
      const square = x * x + y * y;
      if (square >= 1 || square === 0) continue;
      const scale = Math.sqrt((-2 * Math.log(square)) / square);
      spare = scale * x;
      return scale * y;
    }
  };
  return { unit, normal };
}
