import { describe, expect, test } from "vitest";
import { CellistError, indexFactory, readIndex } from "../src/index.js";
import type { Index } from "../src/index.js";
import { openRemote } from "../src/remote/index.js";
import { blend, buildVoiceIndex, readVoice, shrinkVoice } from "../src/rvc/index.js";
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
  // Of "cellist/more".
  "SQ8",
  "IVF4,SQ6,RFlat",
  "PQ4x5",
  "IVF4,PQ4x5",
  "HNSW4",
  "IVF4_HNSW4,SQfp16,IDMap",
  "RaBitQ4",
  "IVF4,EDEN2",
  "PCAR16,IVF4,Flat",
  "IDMap,IVF2,PQ2x3+2x3",
  "HNSW4,Refine(SQ8)",
].map((description) => [description, dOf(description)] as const);

function dOf(description: string): number {
  if (description.startsWith("PQ3x")) return 33;
  return /4fs|SQ|PQ|HNSW|RaBitQ|EDEN|PCA/.test(description) ? 32 : D;
}

/** What people do that takes memory. Each is given an index of `N` vectors, and another that holds the same. */
const OPERATIONS: Record<string, (index: Index, other: Index) => unknown> = {
  add: (index) => {
    const vectors = more.subarray(0, MORE * index.d);
    return index.description.includes("IDMap") ? index.addWithIds(vectors, ids) : index.add(vectors);
  },
  removeIds: (index) => index.removeIds([0n, 5n, 88n, 1003n, 89n, 7n]),
  upsert: (index) => index.upsert(more.subarray(0, 4 * index.d), [3n, 2000n, 80n, 2001n]),
  mergeFrom: (index, other) =>
    index.mergeFrom(other, {
      addId: index.description.includes("IDMap") ? 3000 : 0,
    }),
  search: (index) => index.search(fit(queries, index.d), 5, { nprobe: 4 }),
  filter: (index) =>
    index.search(fit(queries, index.d), 5, {
      nprobe: 4,
      filter: index.filter((id: number) => id % 3 === 1),
    }),
  rangeSearch: (index) => index.rangeSearch(fit(queries, index.d), 1e6, { nprobe: 4 }),
  blend: (index) => blend(index, structuredClone(fit(queries, index.d)), { k: 3, nprobe: 2 }),
  reconstruct: (index) => index.reconstructBatch([1n, 80n]),
  warmUp: (index) => index.warmUp({ batch: 64, k: 60, nprobe: 4 }),
  compact: (index) => index.compact(),
  toBytes: (index) => index.toBytes(),
  stream: async (index) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of index.stream()) chunks.push(chunk);
  },
  reset: (index) => index.reset(),
  properties: (index) => [index.description, index.ntotal, index.memory],
};
/** What some kinds can't do, as faiss' can't: whatever fails, they say so. */
const UNSUPPORTED = ["ERR_UNSUPPORTED", "ERR_ID"];

function fit(vectors: Float32Array, d: number): Float32Array {
  return vectors.subarray(0, Math.floor(vectors.length / d) * d);
}

/** Holds N vectors, some removed again, and a direct map where it can have one. */
async function fileOf(description: string, d: number): Promise<Uint8Array<ArrayBuffer>> {
  const index = await indexFactory(d, description);
  const vectors = fit(uniform(randomOf(4), 200 * d), d);
  await index.train(vectors);
  if (description.includes("IDMap"))
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
  const { distances, labels } = index.search(fit(queries, index.d), 5, {
    nprobe: 4,
  });
  const answer = [[...distances], Array.from(labels, Number)];
  return [index.ntotal, index.isTrained, Buffer.from(index.toBytes()).toString("base64"), answer];
}

describe.each(KINDS)("%s: whichever allocation fails, a call does all or nothing", (description, d) => {
  for (const [name, operation] of Object.entries(OPERATIONS)) {
    test.each([1, Infinity])(`${name}, %s in a row`, async (many) => {
      const bytes = await fileOf(description, d);
      const open = async (): Promise<[index: Index, other: Index]> => [await readIndex(bytes), await readIndex(bytes)];
      const done = await open();
      try {
        await operation(...done);
      } catch (error) {
        // Nothing is injected here.
        expect(UNSUPPORTED).toContain((error as CellistError).code);
        return;
      }
      const after = done.map(stateOf);
      for (let at = 0; ; at++) {
        const both = await open();
        const before = both.map(stateOf);
        let thrown: unknown;
        const { faults } = await withFaults(at, many, async () => {
          try {
            await operation(...both);
          } catch (error) {
            thrown = error;
          }
        });
        if (thrown !== undefined) {
          expect(thrown).toBeInstanceOf(CellistError);
          expect(thrown).toMatchObject({ code: "ERR_MEMORY" });
          expect(both.map(stateOf), `allocation ${at}`).toEqual(before);
          // And again, with the memory there.
          await operation(...both);
        }
        expect(both.map(stateOf), `allocation ${at}`).toEqual(after);
        for (const index of both) index.dispose();
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

/** Makes each allocation of a job fail, one after the other, and counts the failures; those of a long job get rarer. */
async function failures(job: () => Promise<unknown>, sparse = false): Promise<number> {
  let failed = 0;
  for (let at = 0; ; at += sparse ? 1 + (at >> 4) : 1) {
    let thrown: unknown;
    const { faults } = await withFaults(at, 1, () => job().catch((error: unknown) => (thrown = error)));
    if (thrown !== undefined) {
      expect(thrown, `allocation ${at}`).toMatchObject({ code: "ERR_MEMORY" });
      failed++;
    }
    if (faults.count <= at) return failed;
  }
}

describe("whichever allocation fails, it says so", () => {
  test("buildVoiceIndex", async () => {
    const slices = [{ name: "a", data: uniform(randomOf(6), 100 * 256) }];
    expect(await failures(() => buildVoiceIndex(slices, { version: "v1" }))).toBeGreaterThan(5);
  });

  test("shrinkVoice and readVoice, and the voice is as before", async () => {
    const voice = await readIndex(await fileOf("IVF4,Flat", 32));
    const before = stateOf(voice);
    const shrink = (): ReturnType<typeof shrinkVoice> => shrinkVoice(voice, { layers: 2, sample: 8 });
    expect(await failures(shrink, true)).toBeGreaterThan(20);
    expect(stateOf(voice)).toEqual(before);
    const bytes = (await shrink()).index.toBytes();
    for (const compact of [false, true])
      expect(await failures(() => readVoice(bytes, { compact }), true)).toBeGreaterThan(5);
  });

  test("openRemote and its searches", async () => {
    const bytes = await fileOf("IVF4,PQ8x4fs,RFlat", 32);
    const read = async (from: number, to: number): Promise<Uint8Array> => bytes.subarray(from, to);
    const job = async (): Promise<void> => {
      const remote = await openRemote({ size: bytes.length, read });
      try {
        await remote.search(fit(queries, 32), 3, { nprobe: 2 });
      } finally {
        remote.dispose();
      }
    };
    expect(await failures(job, true)).toBeGreaterThan(5);
  });
});
