import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { indexFactory, METRIC_INNER_PRODUCT, METRIC_L2, readIndex } from "../src/index.js";
import type { Index } from "../src/index.js";
import { VectorIndex } from "../src/handle/vector-index.js";
import { levelShares } from "../src/graph/levels.js";
import { Random } from "../src/work/random.js";
import { i32, i64 } from "./files.js";
import { goldenFolder } from "./golden.js";
import { buildGraph, graphOf, searchGraph } from "./graph-reference.js";
import { floats } from "./npy.js";
import { randomOf, uniform } from "./random.js";
import { exactKeyOf, resultOf, rowOf } from "./reference.js";

const golden = (name: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(new URL(`${name}.index`, goldenFolder)));

async function filled(d: number, description: string, metric: 0 | 1, ...parts: Float32Array[]): Promise<Index> {
  const index = await indexFactory(d, description, metric);
  for (const part of parts) await index.add(part);
  return index;
}

test("the graph of faiss' vectors is faiss' graph, byte for byte", async () => {
  const { data } = floats(new URL("base.npy", goldenFolder));
  const index = await filled(64, "HNSW16", METRIC_L2, data.subarray(0, 1000 * 64));
  expect(Buffer.compare(index.toBytes(), golden("hnsw16_l2"))).toBe(0);
});

test("the shares of levels are M^-level (1 - 1 / M)", () => {
  for (const M of [2, 3, 16, 32, 100, 4096]) {
    const shares = levelShares(M);
    shares.forEach((share, level) => {
      expect(share / (M ** -level * (1 - 1 / M))).toBeCloseTo(1, 4);
    });
    expect(M ** -shares.length * (1 - 1 / M)).toBeLessThan(1.001e-9);
  }
});

/** Vectors of a few dimensions, which metric, and how the graph is made and searched. */
const cases = fc.record({
  seed: fc.nat(),
  n: fc.integer({ min: 1, max: 150 }),
  d: fc.integer({ min: 1, max: 19 }),
  M: fc.integer({ min: 2, max: 6 }),
  metric: fc.constantFrom<0 | 1>(METRIC_L2, METRIC_INNER_PRODUCT),
  efConstruction: fc.integer({ min: 1, max: 30 }),
});

test("links are those of scalar code", async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ seed, n, d, M, metric, efConstruction }) => {
      const rows = uniform(randomOf(seed), n * d);
      const index = await indexFactory(d, `HNSW${M}`, metric);
      index.set(`efConstruction=${efConstruction}`);
      await index.add(rows);
      const graph = graphOf(index.toBytes());
      // Levels and order come from faiss' generators, which the golden file has a say about.
      const levels = graph.lists.map((lists) => lists.length - 1);
      const random = new Random(789);
      const order: number[] = [];
      for (let level = Math.max(...levels); level >= 0; level--) {
        const own = [...levels.keys()].filter((i) => levels[i] === level);
        own.forEach((_, i) => {
          const j = i + random.below(own.length - i);
          [own[i], own[j]] = [own[j], own[i]];
        });
        order.push(...own);
      }
      expect(graph).toEqual(buildGraph(rows, d, metric, { widths: graph.widths, levels, order, ef: efConstruction }));
      index.dispose();
    }),
    { numRuns: 60 },
  );
});

test("searches find what scalar code finds, to the last bit", async () => {
  const searches = fc.record({ k: fc.integer({ min: 1, max: 40 }), efSearch: fc.integer({ min: 1, max: 40 }) });
  await fc.assert(
    fc.asyncProperty(cases, searches, async ({ seed, n, d, M, metric }, { k, efSearch }) => {
      const rows = uniform(randomOf(seed), n * d);
      const split = Math.floor(n / 3) * d;
      const index = await filled(d, `HNSW${M}`, metric, rows.subarray(0, split), rows.subarray(split));
      const graph = graphOf(index.toBytes());
      const queries = uniform(randomOf(seed + 1), 5 * d);
      const { distances, labels } = index.search(queries, k, { efSearch });
      for (let i = 0; i < 5; i++) {
        const found = searchGraph(graph, rows, rowOf(queries, d, i), metric, k, efSearch);
        const expected = resultOf(found, k, metric);
        expect(Array.from(labels.subarray(i * k, i * k + k), BigInt)).toEqual(expected.labels);
        expect(Array.from(distances.subarray(i * k, i * k + k))).toEqual(expected.distances);
      }
      index.dispose();
    }),
    { numRuns: 150 },
  );
});

test("as many are kept as there are vertices: everything is found, nearest first", async () => {
  const [n, d] = [500, 16];
  const rows = uniform(randomOf(3), n * d);
  const index = await filled(d, "HNSW8", METRIC_L2, rows);
  const { labels } = index.search(rows.subarray(0, d), n, { efSearch: n });
  const sorted = [...labels].map((_, i) => i);
  const key = (i: number): number => exactKeyOf(rows.subarray(0, d), rowOf(rows, d, i), METRIC_L2);
  expect([...labels].map(Number)).toEqual(sorted.sort((a, b) => key(a) - key(b)));
});

describe("an HNSW is an index like others", () => {
  const [n, d] = [300, 12];
  const rows = uniform(randomOf(4), n * d);

  test("parameters by faiss' names, kept in the file", async () => {
    const index = await filled(d, "HNSW8", METRIC_L2, rows);
    expect([index.get("efSearch"), index.get("efConstruction")]).toEqual([16, 40]);
    index.set("efSearch=64,efConstruction=100");
    const again = await readIndex(index.toBytes());
    expect([again.get("efSearch"), again.get("efConstruction"), again.description]).toEqual([64, 100, "HNSW8"]);
  });

  test("ids of one's own; nothing is removed, by name", async () => {
    const index = await indexFactory(d, "IDMap,HNSW8");
    await index.addWithIds(
      rows,
      BigInt64Array.from({ length: n }, (_, i) => BigInt(i) * 3n + 2n ** 40n),
    );
    expect(index.search(rows.subarray(5 * d, 6 * d), 1).labels[0]).toBe(15n + 2n ** 40n);
    expect([...index.reconstruct(15n + 2n ** 40n)]).toEqual([...rows.subarray(5 * d, 6 * d)]);
    const bytes = index.toBytes();
    expect(() => index.removeIds([2n ** 40n])).toThrow(expect.objectContaining({ code: "ERR_UNSUPPORTED" }) as Error);
    expect(Buffer.compare(index.toBytes(), bytes)).toBe(0);
  });

  test("reset leaves an empty one that can be filled again", async () => {
    const index = await filled(d, "HNSW8", METRIC_L2, rows);
    index.reset();
    expect([...index.search(rows.subarray(0, d), 2).labels]).toEqual([-1, -1]);
    expect([...(await readIndex(index.toBytes())).search(rows.subarray(0, d), 1).labels]).toEqual([-1]);
    await index.add(rows);
    expect(index.search(rows.subarray(7 * d, 8 * d), 1).labels[0]).toBe(7);
  });

  test("an add that is aborted while linking leaves everything as it was", async () => {
    for (const before of [0, 100]) {
      const index = await filled(d, "HNSW8", METRIC_L2, rows.subarray(0, before * d));
      const bytes = index.toBytes();
      const stop = new AbortController();
      // 64 are linked by then.
      const onProgress = ({ phase }: { phase: string }): void => {
        if (phase === "link") stop.abort(new Error("enough"));
      };
      await expect(index.add(rows.subarray(before * d), { signal: stop.signal, onProgress })).rejects.toThrow("enough");
      expect(Buffer.compare(index.toBytes(), bytes)).toBe(0);
      // The levels drawn are drawn again.
      await index.add(rows.subarray(before * d));
      const other = await filled(d, "HNSW8", METRIC_L2, rows.subarray(0, before * d), rows.subarray(before * d));
      expect(Buffer.compare(index.toBytes(), other.toBytes())).toBe(0);
    }
  });

  test("what was added last can be taken back: the rest is a graph as before", async () => {
    const index = await filled(d, "HNSW4", METRIC_L2, rows);
    if (index instanceof VectorIndex) index.node.truncate(100);
    expect(index.ntotal).toBe(100);
    const again = await readIndex(index.toBytes());
    const graph = graphOf(index.toBytes());
    const { labels } = again.search(rows.subarray(0, 20 * d), 3);
    for (let i = 0; i < 20; i++) {
      const found = searchGraph(graph, rows, rowOf(rows, d, i), METRIC_L2, 3, 16);
      expect(Array.from(labels.subarray(i * 3, i * 3 + 3), BigInt)).toEqual(resultOf(found, 3, METRIC_L2).labels);
    }
    await again.add(rows.subarray(100 * d));
    expect(again.search(rows.subarray(200 * d, 201 * d), 1).labels[0]).toBe(200);
  });

  test("as a coarse quantizer: with all lists probed, what is exact", async () => {
    const index = await indexFactory(d, "IVF16_HNSW4,Flat");
    await index.train(rows);
    await index.add(rows);
    const flat = await filled(d, "Flat", METRIC_L2, rows);
    const queries = uniform(randomOf(5), 20 * d);
    index.set("quantizer_efSearch=32");
    expect(index.search(queries, 5, { nprobe: 16 }).labels).toEqual(flat.search(queries, 5).labels);
    expect(index.description).toBe("IVF16_HNSW4,Flat");
  });
});

describe("files whose graph leads astray are refused", () => {
  const file = golden("hnsw16_l2");
  const n = 1000;
  const shares = 37 + 8 + 8 * 8;
  const widths = shares + 8;
  const levels = shares + 8 + 9 * 4;
  const offsets = levels + 8 + n * 4;
  const links = offsets + 8 + (n + 1) * 8;
  const count = Number(new DataView(file.buffer).getBigUint64(links, true));
  const end = links + 8 + count * 4;

  test.each([
    ["a link to nowhere", links + 8, i32(n), "neighbors"],
    ["a link before the first", links + 8, i32(-2), "neighbors"],
    ["a link behind an empty place", links + 8, i32(-1), "neighbors"],
    ["a level too many", levels + 8, i32(9), "levels"],
    ["no level", levels + 8, i32(0), "levels"],
    ["a level that the offsets don't know", levels + 8, i32(2), "offsets"],
    ["offsets that go back", offsets + 8 + 8 * 500, i64(0), "offsets"],
    ["lists of no links", widths + 4, i32(0), "cum_nneighbor_per_level"],
    ["lists of too many", widths + 8 * 4, i32(0x7fffffff), "cum_nneighbor_per_level"],
    ["an entry point too far", end, i32(n), "entry_point"],
    ["no entry point", end, i32(-1), "max_level"],
    ["a top where nobody is", end + 4, i32(7), "max_level"],
    ["more vertices than vectors", 8, i64(n + 1), "levels"],
  ])("%s", async (_, at, bytes, field) => {
    const damaged = file.slice();
    damaged.set(bytes, at);
    await expect(readIndex(damaged)).rejects.toMatchObject({
      code: "ERR_FORMAT",
      message: expect.stringContaining(field) as string,
    });
  });
});
