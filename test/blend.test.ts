import { describe, expect, test } from "vitest";
import { indexFactory, METRIC_INNER_PRODUCT, METRIC_L2, readIndex } from "../src/index.js";
import type { Index } from "../src/index.js";
import { blend } from "../src/rvc/index.js";
import { flatFile, ivfFile } from "./files.js";
import { randomOf, uniform } from "./random.js";

const D = 6;
const random = randomOf(1);
const rows = uniform(random, 60 * D);
const features = uniform(random, 25 * D);

interface Neighbour {
  squared: number;
  row: Float32Array;
}

/** RVC's own arithmetic, in plain numbers: np.square(1 / score), normalised, times the rows, mixed with the feature. */
function plainly(feature: Float32Array, neighbours: Neighbour[], rate: number): number[] {
  if (neighbours.length === 0) return [...feature];
  const exact = neighbours.filter(({ squared }) => squared === 0);
  const weights = neighbours.map(({ squared }) => (exact.length > 0 ? Number(squared === 0) : 1 / squared ** 2));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return Array.from(feature, (value, j) => {
    const mean = neighbours.reduce((total, { row }, i) => total + (weights[i] / sum) * row[j], 0);
    return rate * mean + (1 - rate) * value;
  });
}

/** What an index finds of a feature, with the rows as they are stored. */
function neighboursOf(index: Index, feature: Float32Array, k: number, options = {}): Neighbour[] {
  const { distances, labels } = index.search(feature, k, options);
  return [...labels.keys()]
    .filter((i) => labels[i] >= 0)
    .map((i) => ({ squared: distances[i], row: index.reconstruct(labels[i]) }));
}

function expectNear(actual: Float32Array, expected: number[]): void {
  expect(actual.length).toBe(expected.length);
  expected.forEach((value, i) => expect(Math.abs(actual[i] - value)).toBeLessThan(2e-6 * (1 + Math.abs(value))));
}

async function filled(description: string): Promise<Index> {
  const index = await indexFactory(D, description);
  await index.train(rows);
  await index.add(rows);
  return index;
}

describe("a blend is RVC's", () => {
  const CASES = ["Flat", "IVF4,Flat", "PQ3x4fs", "IVF4,PQ3x4fs", "IVF4,PQ3x4fs,RFlat"].flatMap((description) =>
    [0, 0.3, 0.75, 1].map((rate) => [description, rate] as const),
  );
  test.each(CASES)("%s, rate %f", async (description, rate) => {
    const index = await filled(description);
    for (const k of [1, 3, 8]) {
      const options = { k, rate, nprobe: 4 };
      const given = features.slice();
      expect(blend(index, given, options)).toBe(given);
      const expected = [...features.keys()]
        .filter((at) => at % D === 0)
        .flatMap((at) => {
          const feature = features.subarray(at, at + D);
          return plainly(feature, neighboursOf(index, feature, k, { nprobe: 4 }), rate);
        });
      expectNear(given, expected);
    }
    // As many as RVC takes, and its rate.
    const [own, explicit] = [features.slice(), features.slice()];
    expect(blend(index, own)).toEqual(blend(index, explicit, { k: 8, rate: 0.75, ensureK: true }));
  });

  test("neighbours at distance 0 share the whole weight, however many there are", async () => {
    const index = await indexFactory(2, "Flat");
    await index.add(Float32Array.of(1, 1, 1, 1, 5, 5, 1, 2));
    const given = Float32Array.of(1, 1, 1, 1.5);
    blend(index, given, { k: 4, rate: 1 });
    const found = neighboursOf(index, Float32Array.of(1, 1.5), 4);
    expectNear(given, [1, 1, ...plainly(Float32Array.of(1, 1.5), found, 1)]);
    // Not the mean of all that are near: the one at (1, 2) has no share.
    expect([...given.subarray(0, 2)]).toEqual([1, 1]);
    const two = await indexFactory(1, "Flat");
    // Two that are not equal and both at distance 0: their squared differences are below what a float can hold.
    await two.add(Float32Array.of(1e-30, 3e-30, 7));
    const one = Float32Array.of(2e-30);
    blend(two, one, { k: 3, rate: 1 });
    expect(one[0]).toBeCloseTo(2e-30, 35);
  });

  test("a missing neighbour has no weight, and a feature without any stays as it was", async () => {
    // Lists of one, one and no rows: with nprobe 1 there are fewer than k.
    const lists = [
      { ids: [0], rows: Float32Array.of(0.5) },
      { ids: [1], rows: Float32Array.of(9) },
      { ids: [], rows: new Float32Array(0) },
    ];
    const coarse = flatFile(1, METRIC_L2, Float32Array.of(0, 10, 20));
    const index = await readIndex(ivfFile({ d: 1, metric: METRIC_L2, nprobe: 1, coarse, lists }));
    const given = Float32Array.of(1, 11, 21);
    blend(index, given, { k: 2, rate: 0.5, ensureK: false });
    expectNear(given, [0.75, 10, 21]);
    // Unless that is asked for, a search goes on until there are k.
    const on = Float32Array.of(1, 11, 21);
    blend(index, on, { k: 2, rate: 0.5 });
    const both = (x: number): Neighbour[] => [0.5, 9].map((y) => ({ squared: (x - y) ** 2, row: Float32Array.of(y) }));
    expectNear(
      on,
      [1, 11, 21].flatMap((x) => plainly(Float32Array.of(x), both(x), 0.5)),
    );
    index.reset();
    const empty = Float32Array.of(3, 4);
    expect([...blend(index, empty, { rate: 1 })]).toEqual([3, 4]);
  });
});

test("a blend of inner products is refused", async () => {
  const index = await indexFactory(4, "Flat", METRIC_INNER_PRODUCT);
  await index.add(new Float32Array(40).fill(1));
  const features = Float32Array.of(1, 2, 3, 4);
  await expect((async () => blend(index, features, { k: 2 }))()).rejects.toMatchObject({ code: "ERR_METRIC" });
  expect([...features]).toEqual([1, 2, 3, 4]);
});
