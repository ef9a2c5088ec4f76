import { expect, test } from "vitest";
import { indexFactory, METRIC_L2, readIndex } from "../src/index.js";
import { blend, buildVoiceIndex } from "../src/rvc/index.js";
import { randomOf, uniform } from "./random.js";

// A voice can be any kind of index: built, searched, blended and read again.

const [D, N, K] = [32, 600, 8];
const slices = [0, 1, 2].map((i) => ({ name: `${i}.npy`, data: uniform(randomOf(i), (N / 3) * D) }));
const queries = uniform(randomOf(9), 16 * D);

test.each([
  ["IVF8,SQ8", "IVF8,SQ8", 0.95],
  ["HNSW32", "HNSW32", 0.99],
  ["HNSW16,SQfp16", "HNSW16,SQfp16", 0.99],
  ["PCA24,IVF8,Flat", "PCA24,IVF8,Flat", 0.4],
  ["OPQ16,IVF8_HNSW,PQ16,RFlat", "LTra32,IVF8_HNSW32,PQ16,RFlat", 0.7],
  ["L2norm,IVF8,Flat", "L2norm,IVF8,Flat", 0.5],
  ["IVF8,PQ16+16", "IVF8,PQ16+16", 0.7],
  ["RR,IVF8,RaBitQ6", "RR,IVF8,RaBitQ6", 0.8],
  ["PQ16x6,Refine(SQ8)", "PQ16x6,Refine(SQ8)", 0.9],
])("%s", async (factory, description, least) => {
  const options = { d: D, factory, seed: 4, name: "a" };
  const { index, rows, fileName } = await buildVoiceIndex(slices, options);
  expect([index.d, index.ntotal, index.metric, rows, index.isTrained]).toEqual([D, N, METRIC_L2, N, true]);
  expect(fileName).toMatch(/\.index$/);
  // The same rows in the same order, compared exactly: the seed shuffles all alike.
  const { index: exact } = await buildVoiceIndex(slices, { ...options, factory: "Flat" });
  const wide = { nprobe: 8, kFactor: 4, efSearch: 64 };
  const found = index.search(queries, K, wide).labels;
  const truth = exact.search(queries, K).labels;
  let hits = 0;
  for (let i = 0; i < truth.length; i += K)
    for (let j = i; j < i + K; j++) hits += Number(truth.subarray(i, i + K).includes(found[j]));
  expect(hits / truth.length).toBeGreaterThan(least);

  const again = await readIndex(index.toBytes());
  expect(again.description).toBe(description);
  expect(again.search(queries, K, wide)).toEqual(index.search(queries, K, wide));
  const mixed = blend(index, queries.slice(), { k: K, rate: 0.75, ...wide });
  expect(blend(again, queries.slice(), { k: K, rate: 0.75, ...wide })).toEqual(mixed);
  // Between the query and what the index has near it.
  expect(mixed.every(Number.isFinite)).toBe(true);
  expect(mixed).not.toEqual(queries);
});

test("a description that does not suit is named before anything is learnt", async () => {
  await expect(buildVoiceIndex(slices, { d: D, factory: "IVF8,PQ5" })).rejects.toMatchObject({ code: "ERR_FACTORY" });
  await expect(indexFactory(D, "IVF8,PQ5")).rejects.toThrow(/32/);
});
