import type { Engine } from "../src/wasm/engine.js";
import type { Random } from "../src/work/random.js";

/** Number j of row i. */
export type Fill = (i: number, j: number, random: Random) => number;

const gauss = (random: Random): number => random.unit() + random.unit() + random.unit() - 1.5;

/** Rows that are hard on bounds: what is true of these is true of speech. */
export const FILLS: Record<string, Fill> = {
  noise: (_i, _j, random) => gauss(random),
  "low rank": (i, j) => Math.sin(i * 0.7) * Math.cos(j * 0.3) + Math.sin(i * 1.3) * Math.cos(j * 1.1),
  "far from the origin": (_i, _j, random) => 1000 + 0.01 * gauss(random),
  "in one direction": (i, j) => (i + 1) * ((j % 7) - 3),
  duplicates: (i, j) => ((i % 5) * 31 + j * 17) % 11,
  zeros: () => 0,
  "one loud dimension": (_i, j, random) => (j === 3 ? 1e4 : 0.1) * gauss(random),
  long: (_i, _j, random) => 1e13 * gauss(random),
  "too long": (_i, _j, random) => 1e18 * gauss(random),
  short: (_i, _j, random) => 1e-15 * gauss(random),
  "very short": (_i, _j, random) => 1e-30 * gauss(random),
  // Lengths so much larger than what tells rows apart that a bound without its rounding is wrong half of the time.
  "far groups": (i, j, random) => (j % 5 === 0 ? (i % 2) * 2000 - 1000 : 0) + 0.01 * gauss(random),
  "a line of few places": (i, j) => (((i * 7) % 4) * 600 - 900) * Math.cos(j) + ((i * 5) % 3) * 2 ** -12,
  mixed: (i, _j, random) => 10 ** ((i % 21) - 10) * gauss(random),
};

/** Rows in an engine's memory. */
export function place(engine: Engine, n: number, d: number, fill: Fill, random: Random): number {
  const address = engine.allocate(n * d * 4);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < d; j++) engine.f32[(address >>> 2) + i * d + j] = fill(i, j, random);
  }
  return address;
}

/** Queries in an engine's memory: every third is one of the n rows, so that distances of 0 come up. */
export function placeQueries(
  engine: Engine,
  nq: number,
  d: number,
  fill: Fill,
  rows: number,
  n: number,
  random: Random,
): number {
  const queries = place(engine, nq, d, fill, random);
  for (let i = 0; i < nq; i += 3) {
    const from = (rows >>> 2) + random.below(n) * d;
    engine.f32.copyWithin((queries >>> 2) + i * d, from, from + d);
  }
  return queries;
}
