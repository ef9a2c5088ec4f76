import { describe, expect, test } from "vitest";
import { CellistError, indexFactory, readIndex } from "../src/index.js";
import type { Index } from "../src/index.js";
import { buildVoiceIndex } from "../src/rvc/index.js";
import { withFaults } from "./faults.js";
import { randomOf, uniform } from "./random.js";

// Wide enough for codes of rows; 4-bit codes have fewer dimensions below.
const [D, N] = [128, 90];
const MORE = 40;
const more = uniform(randomOf(2), MORE * D);
const queries = uniform(randomOf(3), 3 * D);
const ids = BigInt64Array.from({ length: MORE }, (_, i) => 1000n + BigInt(i));

const KINDS = [
  "Flat",
  "IVF4,Flat",
  "PQ8x4fs",
  "PQ3x4fs_64",
  "IVF4,PQ8x4fs",
  "IVF4,PQ8x4fsr",
  "IVF4,PQ8x4fsr,RFlat",
  "PQ4x4fs,Refine(PQ8x4fs)",
  "IDMap,Flat",
  "IDMap2,IVF4,Flat",
  "IDMap,IVF4,PQ8x4fs,RFlat",
  "IVF6(IVF2,Flat),Flat",
].map(
  (description) => [description, description.includes("4fs") ? (description.startsWith("PQ3x") ? 33 : 32) : D] as const,
);

/** What people do that takes memory. Each is given an index of `N` vectors. */
const OPERATIONS: Record<string, (index: Index, description: string) => unknown> = {
  add: (index, description) => {
    const vectors = more.subarray(0, MORE * index.d);
    return description.startsWith("IDMap") ? index.addWithIds(vectors, ids) : index.add(vectors);
  },
  removeIds: (index) => index.removeIds([0n, 5n, 88n, 1003n, 89n, 7n]),
  search: (index) => index.search(fit(queries, index.d), 5, { nprobe: 4 }),
  reconstruct: (index) => index.reconstructBatch([1n, 80n]),
  warmUp: (index) => index.warmUp({ batch: 64, k: 60, nprobe: 4 }),
  toBytes: (index) => index.toBytes(),
  reset: (index) => index.reset(),
  properties: (index) => [index.description, index.ntotal, index.memory],
};

function fit(vectors: Float32Array, d: number): Float32Array {
  return vectors.subarray(0, Math.floor(vectors.length / d) * d);
}

/** Holds N vectors, some removed again, and a direct map where it can have one. */
async function fileOf(description: string, d: number): Promise<Uint8Array<ArrayBuffer>> {
  const index = await indexFactory(d, description);
  const vectors = fit(uniform(randomOf(4), 200 * d), d);
  await index.train(vectors);
  if (description.startsWith("IDMap"))
    await index.addWithIds(
      vectors.subarray(0, N * d),
      Array.from({ length: N }, (_, i) => i),
    );
  else await index.add(vectors.subarray(0, N * d));
  const bytes = index.toBytes();
  index.dispose();
  return bytes;
}

function stateOf(index: Index): unknown {
  const { distances, labels } = index.search(fit(queries, index.d), 5, { nprobe: 4 });
  const answer = [[...distances], Array.from(labels, Number)];
  return [index.ntotal, index.isTrained, Buffer.from(index.toBytes()).toString("base64"), answer];
}

describe.each(KINDS)("%s: whichever allocation fails, a call does all or nothing", (description, d) => {
  for (const [name, operation] of Object.entries(OPERATIONS)) {
    test.each([1, Infinity])(`${name}, %s in a row`, async (many) => {
      const bytes = await fileOf(description, d);
      const done = await readIndex(bytes);
      await operation(done, description);
      const after = stateOf(done);
      for (let at = 0; ; at++) {
        const index = await readIndex(bytes);
        const before = stateOf(index);
        let thrown: unknown;
        const { faults } = await withFaults(at, many, async () => {
          try {
            await operation(index, description);
          } catch (error) {
            thrown = error;
          }
        });
        if (thrown !== undefined) {
          expect(thrown).toBeInstanceOf(CellistError);
          expect(thrown).toMatchObject({ code: "ERR_MEMORY" });
          expect(stateOf(index), `allocation ${at}`).toEqual(before);
          // And again, with the memory there.
          await operation(index, description);
        }
        expect(stateOf(index), `allocation ${at}`).toEqual(after);
        index.dispose();
        if (faults.count <= at) break;
      }
    });
  }

  test.each([1, Infinity])("train, %s in a row", async (many) => {
    const vectors = uniform(randomOf(5), 60 * d);
    const trained = await indexFactory(d, description);
    await trained.train(vectors);
    const untrained = (await indexFactory(d, description)).toBytes();
    let failed = 0;
    for (let at = 0; ; at++) {
      const index = await indexFactory(d, description);
      let thrown: unknown;
      const { faults } = await withFaults(at, many, () =>
        index.train(vectors).catch((error: unknown) => (thrown = error)),
      );
      if (thrown !== undefined) {
        failed++;
        expect(thrown).toMatchObject({ code: "ERR_MEMORY" });
        expect(index.toBytes(), `allocation ${at}`).toEqual(untrained);
        await index.train(vectors);
      }
      expect(index.toBytes()).toEqual(trained.toBytes());
      if (faults.count <= at) break;
    }
    if (/IVF|PQ/.test(description)) expect(failed).toBeGreaterThan(5);
  });

  test("readIndex and indexFactory", async () => {
    const bytes = await fileOf(description, d);
    const chunks = [bytes.subarray(0, 300), bytes.subarray(300)];
    for (const make of [() => readIndex(bytes), () => readIndex(chunks), () => indexFactory(d, description)]) {
      for (let at = 0; ; at++) {
        let thrown: unknown;
        const { faults } = await withFaults(at, 1, () => make().catch((error: unknown) => (thrown = error)));
        if (thrown !== undefined) expect(thrown).toMatchObject({ code: "ERR_MEMORY" });
        if (faults.count <= at) break;
      }
    }
  });
});

test("buildVoiceIndex: whichever allocation fails, it says so", async () => {
  const slices = [{ name: "a", data: uniform(randomOf(6), 100 * 256) }];
  let failed = 0;
  for (let at = 0; ; at++) {
    let thrown: unknown;
    const { faults } = await withFaults(at, 1, () =>
      buildVoiceIndex(slices, { version: "v1" }).catch((error: unknown) => (thrown = error)),
    );
    if (thrown !== undefined) expect(thrown).toMatchObject({ code: "ERR_MEMORY" });
    if (thrown !== undefined) failed++;
    if (faults.count <= at) break;
  }
  expect(failed).toBeGreaterThan(5);
});
