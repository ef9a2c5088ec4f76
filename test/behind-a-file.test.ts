import { describe, expect, test } from "vitest";
import { indexFactory, METRIC_INNER_PRODUCT, METRIC_L2, readIndex } from "../src/index.js";
import type { Index, Metric } from "../src/index.js";
import { randomOf, uniform } from "./random.js";

// An index that was written and read between any two changes is the one that never left memory: in its bytes and in its answers. What
// it takes is measured of many rows, in the last test.

const [D, N] = [16, 900];
const rows = uniform(randomOf(1), N * D);
const queries = uniform(randomOf(2), 9 * D);
const part = (from: number, to: number): Float32Array => rows.subarray(from * D, to * D);
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

/** What is done, each to what the one before left. */
const STEPS: [name: string, act: (index: Index) => Promise<unknown>][] = [
  ["nothing", async () => undefined],
  ["some", (index) => add(index, 0, 300)],
  ["a few more", (index) => add(index, 300, 303)],
  ["twice as many", (index) => add(index, 303, N)],
  ["most of them gone", async (index) => index.removeIds(range(20, N - 20))],
  ["and more again", (index) => add(index, 100, 420)],
  ["the first ones gone", async (index) => index.removeIds(range(0, 7))],
  ["none left", async (index) => index.reset()],
  ["some", (index) => add(index, 5, 60)],
];

async function add(index: Index, from: number, to: number): Promise<void> {
  if (index.description.includes("IDMap")) await index.addWithIds(part(from, to), range(from, to));
  else await index.add(part(from, to));
}

const seen = (index: Index): unknown => {
  const { distances, labels } = index.search(queries, 5, { nprobe: 3 });
  return [index.ntotal, index.description, distances, labels];
};

describe.each<Metric>([METRIC_L2, METRIC_INNER_PRODUCT])("metric %i", (metric) => {
  test.each([
    "Flat",
    "IVF4,Flat",
    "Flat,IDMap",
    "IVF4,Flat,IDMap2",
    "PQ8x4fs",
    "IVF4,PQ8x4fs",
    "IVF4,PQ8x4fsr_64,RFlat",
    "IVF4,SQ8",
    "IVF4,PQ4x5",
    "RaBitQ2",
  ])("%s", async (description) => {
    const kept = await indexFactory(D, description, metric);
    await kept.train(rows);
    let stored: Index = await readIndex(kept.toBytes());
    for (const [name, act] of STEPS) {
      for (const index of [kept, stored]) await act(index);
      expect(Buffer.compare(stored.toBytes(), kept.toBytes()), name).toBe(0);
      expect(seen(stored), name).toEqual(seen(kept));
      const old = stored;
      stored = await readIndex(old.toBytes());
      expect(Buffer.compare(stored.toBytes(), kept.toBytes()), name).toBe(0);
      old.dispose();
    }
  });
});

test("room that removals leave is used again, whether an index was read or not", async () => {
  const many = uniform(randomOf(3), 30_000 * D);
  for (const description of ["Flat", "IVF4,Flat", "IVF4,PQ8x4fs", "IVF4,SQ8"]) {
    const made = await indexFactory(D, description);
    await made.train(rows);
    await made.add(many);
    const read = await readIndex(made.toBytes());
    for (const index of [made, read]) {
      const before = index.memory;
      for (let turn = 0; turn < 3; turn++) {
        index.removeIds(range(1000, 30_000));
        // Of other cells than those that went.
        await index.add(many.subarray(turn * 3000 * D, (turn * 3000 + 21_000) * D));
      }
      expect(index.memory, description).toBeLessThan(1.2 * before);
    }
    expect(Buffer.compare(read.toBytes(), made.toBytes()), description).toBe(0);
  }
});
