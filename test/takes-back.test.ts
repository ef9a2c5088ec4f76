import { afterEach, expect, test, vi } from "vitest";
import { indexFactory, METRIC_L2, readIndex } from "../src/index.js";
import type { Index, Work } from "../src/index.js";
import { flatFile, refineFile } from "./files.js";
import { randomOf, uniform } from "./random.js";

// Indexes that are parts of another one take back what they did, whatever kind they are, when a later part does not get done.

const D = 32;
const rows = uniform(randomOf(1), 120 * D);
const few = rows.subarray(0, 20 * D);
const more = rows.subarray(20 * D, 60 * D);

afterEach(() => void vi.restoreAllMocks());

/** Calls work again and again, ended at one step after the other from the last one back, and says how often it was ended. */
async function endedAnywhere(
  work: (options: Work) => Promise<unknown>,
  then: () => void | Promise<void>,
): Promise<number> {
  let time = 0;
  vi.spyOn(Date, "now").mockImplementation(() => (time += 20));
  for (let at = 1; ; at++) {
    const controller = new AbortController();
    let seen = 0;
    const onProgress = (): void => {
      if (++seen === at) controller.abort();
    };
    const done = await work({ signal: controller.signal, onProgress }).then(
      () => true,
      () => false,
    );
    if (done) return at - 1;
    await then();
  }
}

const firsts = [
  "IVF4,Flat",
  "IVF4(IVF2,Flat),Flat",
  "IVF4_HNSW4,Flat",
  "PQ4x3",
  "IVF4,PQ4x3",
  "IVF4,PQ4x3+4x3",
  "IDMap,IVF4,SQ8",
  "HNSW4,SQ8",
  "SQ4",
  "RaBitQ2",
  "IVF4,EDEN2",
  "PCAR8,SQ8",
  "RR16,IVF4,Flat",
  "L2norm,IVF4,Flat",
];

test.each(firsts)("%s forgets what it has learnt where the index that compares again is not trained", async (first) => {
  const description = `${first},Refine(PQ4x4fs)`;
  const [index, never, once] = await Promise.all([0, 1, 2].map(async () => indexFactory(D, description)));
  const untrained = never.toBytes();
  const state = (): unknown => [index.isTrained, index.ntotal, Buffer.compare(index.toBytes(), untrained)];
  const ended = await endedAnywhere(
    (options) => index.train(rows, options),
    () => expect(state()).toEqual([false, 0, 0]),
  );
  expect(ended).toBeGreaterThan(2);
  await once.train(rows);
  expect(Buffer.compare(index.toBytes(), once.toBytes())).toBe(0);
});

/** An index that compares the candidates of a Flat again, as a file has it. */
async function comparedBy(second: string): Promise<Index> {
  const index = await indexFactory(D, second);
  await index.train(rows);
  await index.add(few);
  const first = flatFile(D, METRIC_L2, few);
  return readIndex(refineFile(D, METRIC_L2, first, new Uint8Array(index.toBytes()), 20, 3));
}

test.each([
  "Flat",
  "SQ8",
  "PQ4x3",
  "PQ8x4fs",
  "RaBitQ2",
  "EDEN2",
  "HNSW4,Flat",
  "HNSW4,SQ8",
  "PQ8x4fs,RFlat",
  "RR16,SQ8",
])("%s, which compares again, gives up vectors that the index before it does not take", async (second) => {
  const [index, once] = [await comparedBy(second), await comparedBy(second)];
  // A graph keeps what links were given up for those of vectors that are gone again.
  const isGraph = second.startsWith("HNSW");
  const before = index.toBytes();
  const found = index.search(few, 5);
  const ended = await endedAnywhere(
    (options) => index.add(more, options),
    () => {
      if (!isGraph) expect(Buffer.compare(index.toBytes(), before)).toBe(0);
      expect(index.toBytes().length).toBe(before.length);
      expect(index.search(few, 5)).toEqual(found);
    },
  );
  expect(ended).toBeGreaterThan(0);
  await once.add(more);
  if (!isGraph) expect(Buffer.compare(index.toBytes(), once.toBytes())).toBe(0);
  expect(index.search(rows, 5)).toEqual(once.search(rows, 5));
});
