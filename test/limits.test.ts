import { describe, expect, test } from "vitest";
import { CellistError, indexFactory, METRIC_L2, readIndex } from "../src/index.js";
import type { Index } from "../src/index.js";
import { blend } from "../src/rvc/index.js";
import { randomOf, uniform } from "./random.js";

// An index filled in steps to its limit holds 95 % of it, and what it holds can be searched, saved, read within the same limit, and removed.

const D = 64;
const rows = uniform(randomOf(3), 4000 * D);
const queries = uniform(randomOf(4), 64 * D);

/** Kinds, and the rows of their first step: some 8 % of what the limit takes. */
const KINDS: Record<string, number> = {
  Flat: 1800,
  "IVF16,Flat": 1800,
  "IVF16,PQ64x4fsr": 10_000,
  "IVF16,PQ64x4fs,RFlat": 1500,
  "PQ64x4fs,RFlat": 1500,
  "IDMap,Flat": 1600,
  "IDMap,IVF16,PQ64x4fs,RFlat": 1500,
  SQ8: 6000,
  "IVF16,SQ8": 5000,
  "IVF16,PQ32": 8000,
  "PCA32,IVF16,Flat": 3000,
  "IVF16(IVF4,Flat),Flat": 1600,
  HNSW8: 300,
};

async function add(index: Index, first: number, n: number): Promise<void> {
  const at = first * D;
  // None is another's equal.
  const part = Float32Array.from({ length: n * D }, (_, i) => rows[(at + i) % rows.length] * (1 + (at + i) * 1e-8));
  if (!index.description.includes("IDMap")) return index.add(part);
  await index.addWithIds(
    part,
    Array.from({ length: n }, (_, i) => first + i),
  );
}

const isFull = (error: unknown): true => {
  expect(error).toBeInstanceOf(CellistError);
  expect(error).toMatchObject({ code: "ERR_MEMORY" });
  return true;
};

describe.each(Object.entries(KINDS))("%s", (kind, first) => {
  test("is filled to 95 % of its limit, and lives on there", { timeout: 30_000 }, async () => {
    // A graph takes its time.
    const limit = kind.startsWith("HNSW") ? 2 << 20 : 6 << 20;
    const index = await indexFactory(D, kind, METRIC_L2, { maxBytes: limit });
    await index.train(rows.subarray(0, 2000 * D));
    const empty = index.toBytes();
    let n = 0;
    for (let step = first; step > 3;) {
      try {
        await add(index, n, step);
        n += step;
      } catch (error) {
        isFull(error);
        step >>= 1;
      }
    }
    expect(index.ntotal).toBe(n);
    expect(index.memory).toBeLessThanOrEqual(limit);

    // The same vectors by one add, with all the room there is; a graph is another one then.
    const isGraph = kind.startsWith("HNSW");
    const free = await readIndex(isGraph ? index.toBytes() : empty);
    if (!isGraph) await add(free, 0, n);
    free.compact();
    expect(free.memory / limit).toBeGreaterThan(0.95);

    const { distances } = free.search(queries, 20, { nprobe: 2 });
    const look = (of: Index): unknown[] => [
      of.search(queries.subarray(0, 16 * D), 8, { nprobe: 4 }),
      of.search(queries, 100, { nprobe: 4 }),
      of.search(queries.subarray(0, 3 * D), 5, { nprobe: 16, filter: of.filter((id: number) => id % 3 === 1) }),
      of.rangeSearch(queries.subarray(0, 4 * D), distances[19], { nprobe: 2 }),
      blend(of, queries.slice(0, 2 * D), { nprobe: 2, k: 3 }),
      of.reconstruct(5),
    ];
    const found = look(free);
    expect(look(index)).toEqual(found);

    const bytes = free.toBytes();
    expect(Buffer.compare(index.toBytes(), bytes)).toBe(0);
    const chunks: Uint8Array[] = [];
    for await (const chunk of index.stream()) chunks.push(chunk);
    expect(Buffer.compare(Buffer.concat(chunks), bytes)).toBe(0);
    for (const source of [bytes, chunks]) {
      const again = await readIndex(source, { maxBytes: limit });
      expect(again.memory).toBeLessThanOrEqual(limit);
      expect(look(again)).toEqual(found);
      again.dispose();
    }

    if (isGraph) return;
    const gone = Array.from({ length: n >> 3 }, (_, i) => i * 2);
    expect([index.removeIds(gone), free.removeIds(gone)]).toEqual([gone.length, gone.length]);
    expect(index.search(queries, 10)).toEqual(free.search(queries, 10));
    await add(index, 2 * n, gone.length >> 1);
    await add(free, 2 * n, gone.length >> 1);
    expect(index.search(queries, 10)).toEqual(free.search(queries, 10));
    expect(index.memory).toBeLessThanOrEqual(limit);
  });
});

test.each(["IVF64,Flat", "IVF64,PQ32x4fs", "IVF64,PQ32x4fs,RFlat,IDMap"])(
  "%s: a window that wanders from cell to cell takes what its vectors take",
  async (kind) => {
    const [cells, window] = [64, 500];
    const random = randomOf(8);
    const centres = uniform(random, cells * D, 10);
    const near = (cell: number, n: number): Float32Array =>
      Float32Array.from({ length: n * D }, (_, i) => centres[cell * D + (i % D)] + 0.1 * random());
    const idsOf = (cell: number): number[] => Array.from({ length: window }, (_, i) => cell * window + i);
    const index = await indexFactory(D, kind);
    await index.train(
      Float32Array.from(
        { length: cells * 20 * D },
        (_, i) => centres[Math.floor(i / 20 / D) * D + (i % D)] + 0.1 * random(),
      ),
    );
    let most = 0;
    for (let cell = 0; cell < cells; cell++) {
      await index.addWithIds(near(cell, window), idsOf(cell));
      if (cell > 0) expect(index.removeIds(idsOf(cell - 1))).toBe(window);
      most = Math.max(most, index.memory);
    }
    expect(index.ntotal).toBe(window);
    // Two windows at the most, and an eighth; pages are 64 KB.
    const again = await readIndex(index.toBytes());
    expect(most).toBeLessThan(2.5 * again.memory + (128 << 10));
  },
);
