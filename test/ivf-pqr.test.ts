import { expect, test } from "vitest";
import { indexFactory, METRIC_INNER_PRODUCT, readIndex } from "../src/index.js";
import type { Index } from "../src/index.js";
import { concat, i64 } from "./files.js";
import { randomOf, uniform } from "./random.js";

// An IVF of product quantizers whose candidates a second one compares again: faiss' IVFPQR. Its answers are held against faiss' files in
// faiss-files.test.ts; here is what it does beside.

const [D, N, K] = [16, 500, 5];
const rows = uniform(randomOf(1), N * D);
const queries = uniform(randomOf(2), 20 * D);
const part = (from: number, to: number): Float32Array => rows.subarray(from * D, to * D);

async function trained(description = "IVF6,PQ4x6+8x5"): Promise<() => Promise<Index>> {
  const index = await indexFactory(D, description);
  await index.train(rows, { seed: 2 });
  index.set("nprobe=6");
  const bytes = index.toBytes();
  return () => readIndex(bytes);
}

test("distances are those to what both codes make of the vectors, nearest first", async () => {
  const index = await (await trained())();
  await index.add(rows);
  expect([index.description, index.kFactor]).toEqual(["IVF6,PQ4x6+8x5", 4]);
  const { labels, distances } = index.search(queries, K);
  const decoded = index.reconstructBatch(Array.from({ length: N }, (_, i) => i));
  const distance = (q: number, label: number): number => {
    let sum = 0;
    for (let j = 0; j < D; j++) sum += (queries[q * D + j] - decoded[label * D + j]) ** 2;
    return sum;
  };
  for (let i = 0; i < labels.length; i++) {
    expect(distances[i]).toBeCloseTo(distance(Math.floor(i / K), labels[i]), 5);
    if (i % K > 0) expect(distances[i]).toBeGreaterThanOrEqual(distances[i - 1]);
  }
  // With all as candidates it finds what comparing them all finds.
  const { labels: all } = index.search(queries, K, { kFactor: N / K });
  for (let q = 0; q < 20; q++) {
    const best = Array.from({ length: N }, (_, label) => label).sort((a, b) => distance(q, a) - distance(q, b));
    expect(Array.from(all.subarray(q * K, q * K + K), Number)).toEqual(best.slice(0, K));
  }
});

test("two codes are nearer to the vectors than one", async () => {
  const error = async (description: string): Promise<number> => {
    const index = await (await trained(description))();
    await index.add(rows);
    const decoded = index.reconstructBatch(Array.from({ length: N }, (_, i) => i));
    return decoded.reduce((sum, value, i) => sum + (value - rows[i]) ** 2, 0);
  };
  expect(await error("IVF6,PQ4x6+8x5")).toBeLessThan(0.6 * (await error("IVF6,PQ4x6np")));
});

test("added in parts, merged, or after a reset: the same bytes", async () => {
  const make = await trained();
  const one = await make();
  await one.add(rows);
  const bytes = one.toBytes();
  const parts = await make();
  await parts.add(part(0, 300));
  parts.reset();
  for (const [from, to] of [
    [0, 1],
    [1, 260],
    [260, 500],
  ])
    await parts.add(part(from, to));
  expect(parts.toBytes()).toEqual(bytes);
  const [a, b] = [await make(), await make()];
  await a.add(part(0, 260));
  await b.add(part(260, 500));
  await a.mergeFrom(b, { addId: 260 });
  expect(a.toBytes()).toEqual(bytes);
  expect((await readIndex(bytes)).toBytes()).toEqual(bytes);
  expect((await readIndex(bytes)).search(queries, K)).toEqual(one.search(queries, K));
});

test("an add or a training that is stopped leaves it as it was", async () => {
  const index = await (await trained())();
  await index.add(part(0, 100));
  const before = index.toBytes();
  const empty = await indexFactory(D, "IVF6,PQ4x6+8x5");
  const untrained = empty.toBytes();
  let stops = 0;
  for (let stop = 0; ; stop += 7) {
    const controller = new AbortController();
    let seen = 0;
    const onProgress = (): void => {
      if (seen++ === stop) controller.abort();
    };
    const options = { signal: controller.signal, onProgress };
    const outcomes = await Promise.allSettled([index.add(rows, options), empty.train(rows, options)]);
    if (outcomes.every(({ status }) => status === "fulfilled")) break;
    if (outcomes[0].status === "rejected") expect(index.toBytes()).toEqual(before);
    else break;
    if (outcomes[1].status === "rejected") expect(empty.toBytes()).toEqual(untrained);
    stops++;
  }
  expect(stops).toBeGreaterThan(0);
});

test("filters are honoured, removals refused by name, ids need an IDMap", async () => {
  const make = await trained();
  const index = await make();
  await index.add(rows);
  const before = index.toBytes();
  const odd = index.filter((id) => id % 2 === 1);
  const { labels } = index.search(queries, 50, { filter: odd, kFactor: 10 });
  const open = index.search(queries, N, { kFactor: 1 });
  const expected = Array.from(open.labels, Number).filter((label) => label % 2 === 1);
  expect(Array.from(labels, Number)).toEqual(
    Array.from({ length: 20 }, (_, q) => expected.slice(q * (N / 2), q * (N / 2) + 50)).flat(),
  );
  expect(() => index.removeIds([3])).toThrow(/can't be removed from an IVF of PQ…\+…, as in faiss/);
  await expect(index.addWithIds(part(0, 1), [7])).rejects.toThrow(/IDMap/);
  expect(index.toBytes()).toEqual(before);

  const mapped = await indexFactory(D, "IDMap,IVF6,PQ4x6+8x5");
  await mapped.train(rows);
  await mapped.addWithIds(
    rows,
    Array.from({ length: N }, (_, i) => 1000 + i),
  );
  const found = mapped.search(part(0, 20), 1, { nprobe: 6 });
  const hits = Array.from(found.labels, Number).filter((label, i) => label === 1000 + i).length;
  expect(hits).toBeGreaterThan(15);
  await expect(mapped.upsert(part(0, 1), [1003])).rejects.toThrow(/can't be removed/);
  expect(mapped.ntotal).toBe(N);
});

test("inside of a Refine it goes by its own factor, as in faiss: a search's is the Refine's", async () => {
  const [index, base] = await Promise.all(
    ["IVF6,PQ2x4+2x4,RFlat", "IVF6,PQ2x4+2x4"].map(async (description) => (await trained(description))()),
  );
  for (const each of [index, base]) await each.add(rows);
  const results = [1, 4].map((own) => {
    for (const each of [index, base]) each.set(`k_factor=${own}`);
    const candidates = base.search(queries, 2 * K).labels;
    const { labels } = index.search(queries, K, { kFactor: 2 });
    for (let q = 0; q < 20; q++) {
      const exact = (label: number): number => {
        let sum = 0;
        for (let j = 0; j < D; j++) sum += (queries[q * D + j] - rows[label * D + j]) ** 2;
        return sum;
      };
      const nearest = Array.from(candidates.subarray(2 * K * q, 2 * K * (q + 1)), Number).sort(
        (a, b) => exact(a) - exact(b),
      );
      expect(Array.from(labels.subarray(K * q, K * (q + 1)), Number)).toEqual(nearest.slice(0, K));
    }
    return labels;
  });
  expect(results[0]).not.toEqual(results[1]);
});

test("what it can't be made or read of is said", async () => {
  await expect(indexFactory(D, "IVF6,PQ4+8", METRIC_INNER_PRODUCT)).rejects.toThrow(/PQ4\+8 is for L2, as in faiss/);
  const index = await (await trained())();
  await index.add(part(0, 50));
  const bytes = index.toBytes();
  const at = Buffer.from(bytes).lastIndexOf("ilar");
  const sizes = new BigInt64Array(bytes.slice(at + 32, at + 32 + 48).buffer);
  // Ids of the user's own: faiss takes the second codes of other vectors, or none.
  const ids = bytes.slice();
  ids.set(i64(50), at + 32 + 48 + Number(sizes[0]) * 3);
  await expect(readIndex(ids)).rejects.toThrow(/ids that are not from 0 to 49, each once/);
  const factor = bytes.slice();
  factor.fill(0, factor.length - 4);
  await expect(readIndex(factor)).rejects.toThrow(/k_factor at offset \d+ is 0, not from 1 to 1000/);
  const short = concat(bytes.subarray(0, bytes.length - 5), bytes.subarray(bytes.length - 4));
  await expect(readIndex(short)).rejects.toThrow(/k_factor/);
});
