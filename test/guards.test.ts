import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { CellistError, indexFactory, METRIC_INNER_PRODUCT, METRIC_L2, readIndex } from "../src/index.js";
import { openRemote } from "../src/remote/index.js";
import { blend, buildVoiceIndex, readVoice, shrinkVoice } from "../src/rvc/index.js";
import { Engine } from "../src/wasm/engine.js";
import { withGuards } from "./guards.js";
import { randomOf, uniform } from "./random.js";

const KINDS = [
  "Flat",
  "IVF7,Flat",
  "PQ12x4fs",
  "PQ3x4fs_64",
  "IVF7,PQ12x4fsr,RFlat",
  "IDMap2,IVF7,PQ6x4fs",
  "IVF6(IVF2,Flat),Flat",
  "SQ8",
  "IVF7,SQ6,RFlat",
  "SQfp16",
  "SQ4",
  "PQ4x5",
  "IVF7,PQ3x6",
  "HNSW5",
  "IVF7_HNSW4,SQbf16,IDMap",
  "RaBitQ4",
  "IVF7,RaBitQ",
  "IVF7,EDEN2",
  "PCAR11,IVF7,Flat",
  "Pad40,HR,SQ8",
  "L2norm,Flat",
];

/** Results as they are compared: matchers would look at each byte. */
function told(value: unknown): unknown {
  if (ArrayBuffer.isView(value))
    return createHash("sha256")
      .update(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))
      .digest("hex");
  if (Array.isArray(value)) return value.map(told);
  if (typeof value !== "object" || value === null) return String(value);
  return Object.entries(value).map(([name, of]) => [name, told(of)]);
}

test("a guard that is written over is noticed", async () => {
  const spoil = async (): Promise<void> => {
    const engine = new Engine();
    const address = engine.allocate(100);
    // To the end of its cache line a block may be used.
    engine.u8[address + 127] = 1;
    engine.u8[address + 128] = 1;
    engine.release(address);
    return Promise.resolve();
  };
  await expect(withGuards(spoil)).rejects.toThrow("byte 0 behind a block of 128");
});

test.each(
  KINDS.flatMap((kind) => ([METRIC_L2, METRIC_INNER_PRODUCT] as const).map((metric) => [kind, metric] as const)),
)("%s, metric %i: nothing is written behind a block, nor read that was not written", async (kind, metric) => {
  const d = kind.endsWith("Flat") && !kind.includes("PQ") ? 131 : 36;
  const n = 301;
  const rows = uniform(randomOf(1), n * d);
  const queries = uniform(randomOf(2), 17 * d);
  const ids = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i);
  const results = async (): Promise<unknown[]> => {
    const seen: unknown[] = [];
    const index = await indexFactory(d, kind, metric);
    await index.train(rows);
    const takesIds = kind.includes("IDMap");
    const add = (from: number, count: number): Promise<void> => {
      const part = rows.subarray(from * d, (from + count) * d);
      return takesIds ? index.addWithIds(part, ids(from, count)) : index.add(part);
    };
    await add(0, 1);
    await add(1, 250);
    await add(251, 50);
    const bytes = index.toBytes();
    const other = await readIndex(bytes);
    index.warmUp({ batch: 17, k: 9, nprobe: 3 });
    seen.push(bytes);
    for (const k of [1, 9, 200]) seen.push(index.search(queries, k, { nprobe: 3 }));
    seen.push(
      index.search(queries.subarray(0, d), 9, {
        filter: index.filter((id: number) => id % 3 > 0),
        nprobe: 7,
      }),
    );
    if (metric === METRIC_L2) seen.push(blend(index, queries.slice(), { k: 5, nprobe: 2 }));
    const calls: (() => unknown)[] = [
      () =>
        index.rangeSearch(queries, metric === METRIC_L2 ? 1e9 : -1e9, {
          nprobe: 7,
        }),
      () => index.reconstructBatch(ids(0, n)),
      () => index.removeIds(ids(20, 99)),
      () => index.upsert(queries.slice(0, 3 * d), [5, 6, 900]),
      () => index.mergeFrom(other, { addId: takesIds ? 1000 : 0 }),
      () => {
        index.compact();
      },
      () => {
        index.reset();
      },
    ];
    for (const call of calls) {
      try {
        seen.push(await call(), index.toBytes());
      } catch (error) {
        // What a kind can't do.
        if (!(error instanceof CellistError && ["ERR_UNSUPPORTED", "ERR_ID"].includes(error.code))) throw error;
      }
    }
    return seen;
  };
  const expected = await results();
  await withGuards(async () => {
    expect(told(await results())).toEqual(told(expected));
  });
});

test.each([32, 37])(
  "voices of %i dimensions: nothing is written behind a block, nor read that was not written",
  async (d) => {
    const rows = uniform(randomOf(3), 700 * d);
    const results = async (): Promise<unknown[]> => {
      const seen: unknown[] = [];
      const index = await indexFactory(d, "IVF9,Flat");
      await index.train(rows);
      await index.add(rows);
      for (const layers of [1, 3]) {
        const { index: small } = await shrinkVoice(index, { layers, sample: 20 });
        const bytes = small.toBytes();
        seen.push(bytes);
        for (const compact of [false, true]) {
          const voice = await readVoice(bytes, { compact });
          seen.push(blend(voice, rows.slice(0, 20 * d), { k: 4, nprobe: 3 }));
          seen.push(voice.search(rows.subarray(0, 30 * d), 5, { nprobe: 9 }));
        }
      }
      return seen;
    };
    const expected = await results();
    await withGuards(async () => {
      expect(told(await results())).toEqual(told(expected));
    });
  },
);

test("voices that are built: nothing is written behind a block, nor read that was not written", async () => {
  await withGuards(async () => {
    await buildVoiceIndex([{ name: "a", data: uniform(randomOf(4), 700 * 256) }], { version: "v1" });
  });
});

test.each(["Flat", "IVF9,PQ8x4fs,RFlat", "IVF9,SQ8"])(
  "%s from elsewhere: nothing is written behind a block, nor read that was not written",
  async (kind) => {
    const d = 32;
    const rows = uniform(randomOf(5), 900 * d);
    const index = await indexFactory(d, kind);
    await index.train(rows);
    await index.add(rows);
    const bytes = index.toBytes();
    await withGuards(async () => {
      const read = async (from: number, to: number): Promise<Uint8Array> => Promise.resolve(bytes.slice(from, to));
      const remote = await openRemote({ size: bytes.length, read });
      for (let i = 0; i < 5; i++)
        await remote.search(rows.subarray(i * d, (i + 1) * d), 4, {
          nprobe: 2,
        });
      (await remote.toIndex()).dispose();
    });
  },
);
