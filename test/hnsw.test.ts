import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { indexFactory, METRIC_INNER_PRODUCT, METRIC_L2, readIndex } from "../src/index.js";
import type { Index } from "../src/index.js";
import { VectorIndex } from "../src/handle/vector-index.js";
import { ScalarCode } from "../src/codes/scalar.js";
import { drawLevel, levelShares } from "../src/graph/levels.js";
import { OWN_PARAMS } from "../src/indexes/node.js";
import type { IndexNode } from "../src/indexes/node.js";
import { Matches } from "../src/lists/matches.js";
import { Random } from "../src/work/random.js";
import { ScalarQuantizer } from "../src/quantizers/scalar.js";
import { Engine } from "../src/wasm/engine.js";
import { expectAnswer } from "./answers.js";
import { i32, i64 } from "./files.js";
import { goldenFolder } from "./golden.js";
import { buildGraph, graphOf, searchGraph } from "./graph-reference.js";
import { floats } from "./npy.js";
import { randomOf, uniform } from "./random.js";
import { exactKeyOf, keyOf, resultOf, rowOf } from "./reference.js";

const golden = (name: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(new URL(`${name}.index`, goldenFolder)));

/** What is inside of an index. */
function nodeOf(index: Index): IndexNode {
  if (index instanceof VectorIndex) return index.node;
  return expect.unreachable();
}

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

test("a level is drawn by its share, the highest where rounded shares leave a rest", () => {
  const draw = (unit: number, shares = [0.5, 0.25, 0.125]): number => {
    const random = new Random(1);
    random.unit = () => unit;
    return drawLevel(Float64Array.from(shares), random);
  };
  expect([0, 0.4999, 0.5, 0.7499, 0.75, 0.8749, 0.875, 0.9999].map((unit) => draw(unit))).toEqual([
    0, 0, 1, 1, 2, 2, 2, 2,
  ]);
  expect(draw(0.9, [])).toBe(0);
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

test("a vertex as far from a nearer neighbour as from its own is linked, as faiss links it", async () => {
  // From (0, 0): (2, 0) is nearest; (1, 3) is as far from it as from (0, 0), (-5, 1) farther; the others are nearer to one of these.
  const others = Float32Array.of(2, 0, 1, 3, -5, 1, -4, -4, 6, -7);
  const index = await filled(2, "HNSW2", METRIC_L2, others, Float32Array.of(0, 0));
  expect(graphOf(index.toBytes()).lists[5][0]).toEqual([2, 1, 0]);
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
    nodeOf(index).truncate(100);
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

describe("graphs over codes", () => {
  const [n, d, k] = [300, 24, 10];
  const rows = uniform(randomOf(6), n * d);
  const queries = uniform(randomOf(7), 10 * d);
  const codes = ["SQ8", "SQ6", "SQ4", "SQfp16", "SQbf16", "PQ6", "PQ4x6", "PQ3x10"];

  test.each(
    codes.flatMap((code) => ([METRIC_L2, METRIC_INNER_PRODUCT] as const).map((metric) => [code, metric] as const)),
  )("HNSW6,%s, metric %i: as wide as there are vertices, what a scan of the codes finds", async (code, metric) => {
    if (code === "PQ3x10") return expectFewPoints();
    const index = await indexFactory(d, `HNSW6,${code}`, metric);
    await index.train(rows);
    // In two parts: later vertices are linked to earlier ones.
    await index.add(rows.subarray(0, 100 * d));
    await index.add(rows.subarray(100 * d));
    const plain = await indexFactory(d, code, metric);
    await plain.train(rows);
    await plain.add(rows);
    const [found, expected] = [index.search(queries, k, { efSearch: n }), plain.search(queries, k)];
    const { distances, labels } = { ...expected, labels: BigInt64Array.from(expected.labels, BigInt) };
    expectAnswer(found, { distances, labels }, k);
    expect([...index.reconstruct(150)]).toEqual([...plain.reconstruct(150)]);
    const bytes = index.toBytes();
    const again = await readIndex(bytes);
    expect(again.description).toBe(`HNSW6,${code}`);
    expect(Buffer.compare(again.toBytes(), bytes)).toBe(0);
    expect(again.search(queries, k)).toEqual(index.search(queries, k));
  });

  /** A thousand centroids want as many vectors; what is refused is the training, as without a graph. */
  async function expectFewPoints(): Promise<void> {
    const index = await indexFactory(d, "HNSW6,PQ3x10");
    await expect(index.train(rows)).rejects.toMatchObject({ code: "ERR_PARAMETER" });
  }

  test("a graph over another storage than its fourcc says is refused by name", async () => {
    const index = await indexFactory(d, "HNSW6,SQ8");
    await index.train(rows);
    await index.add(rows);
    const bytes = index.toBytes();
    expect(Buffer.from(bytes.subarray(0, 4)).toString()).toBe("IHNs");
    bytes[3] = "f".charCodeAt(0);
    await expect(readIndex(bytes)).rejects.toMatchObject({ code: "ERR_UNSUPPORTED" });
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

describe("of some vectors only, and all within a radius", () => {
  const filters = fc.record({ share: fc.double({ min: 0, max: 1, noNaN: true }), k: fc.integer({ min: 1, max: 20 }) });

  test("the search goes through what it may not find", async () => {
    await fc.assert(
      fc.asyncProperty(cases, filters, async ({ seed, n, d, M, metric }, { share, k }) => {
        const random = randomOf(seed);
        const rows = uniform(random, n * d);
        const index = await filled(d, `HNSW${M}`, metric, rows);
        const graph = graphOf(index.toBytes());
        const node = nodeOf(index);
        const { engine } = node;
        const some = Array.from({ length: n }, () => random() < share);
        const admitted = engine.allocate(Math.ceil(n / 8) + 16);
        some.forEach((yes, slot) => {
          const at = admitted + (slot >> 3);
          engine.u8[at] = (engine.u8[at] & ~(1 << (slot & 7))) | (yes ? 1 << (slot & 7) : 0);
        });
        const [queries, distances, slots] = [d, k, k].map((size) => engine.allocate(size * 4));
        const query = uniform(random, d);
        engine.f32.set(query, queries >>> 2);
        const params = { ...OWN_PARAMS, admitted };
        engine.reserveScratch(node.scratchBytes(1, k, params));
        node.search(queries, 1, k, params, distances, slots);
        const expected = resultOf(
          searchGraph(graph, rows, query, metric, k, 16, (slot) => some[slot]),
          k,
          metric,
        );
        expect(Array.from(engine.i32.subarray(slots >>> 2, (slots >>> 2) + k), BigInt)).toEqual(expected.labels);
        expect([...engine.f32.subarray(distances >>> 2, (distances >>> 2) + k)]).toEqual(expected.distances);
      }),
      { numRuns: 80 },
    );
  });

  test("within a radius is all that a search sees", async () => {
    await fc.assert(
      fc.asyncProperty(cases, fc.double({ min: 0, max: 1, noNaN: true }), async ({ seed, n, d, M, metric }, share) => {
        const random = randomOf(seed);
        const rows = uniform(random, n * d);
        const index = await filled(d, `HNSW${M}`, metric, rows);
        const graph = graphOf(index.toBytes());
        const node = nodeOf(index);
        const { engine } = node;
        const queries = engine.allocate(2 * d * 4);
        const two = uniform(random, 2 * d);
        engine.f32.set(two, queries >>> 2);
        // As far as one of the rows, so that it is near enough for some.
        const keys = Array.from({ length: n }, (_, i) => keyOf(rowOf(two, d, 0), rowOf(rows, d, i), metric));
        const limit = keys.sort((a, b) => a - b)[Math.floor(share * (n - 1))];
        const matches = new Matches(engine, metric === METRIC_L2 ? limit : -limit);
        engine.reserveScratch(node.scratchBytes(2, 0, OWN_PARAMS));
        node.range(queries, 2, OWN_PARAMS, matches);
        const found = Array.from({ length: matches.count }, (_, i) => {
          const at = matches.wordOf(i);
          return `${engine.i32[at]}: ${engine.i32[at + 1]} at ${engine.f32[at + 2]}`;
        });
        const expected = [0, 1].flatMap((q) =>
          searchGraph(graph, rows, rowOf(two, d, q), metric, 1, 16, undefined, n)
            .filter(({ key }) => key < limit)
            .map(({ id, key }) => `${q}: ${id} at ${metric === METRIC_L2 ? key : -key}`),
        );
        expect(found.sort()).toEqual(expected.sort());
      }),
      { numRuns: 80 },
    );
  });
});

test("takes no ids of one's own, and the scratch of its halves is as long as a vector of floats", async () => {
  const index = await indexFactory(20, "HNSW4,SQfp16");
  await expect(index.addWithIds(new Float32Array(20), [7])).rejects.toMatchObject({ code: "ERR_UNSUPPORTED" });
  for (const [type, bytes] of [
    ["fp16", 20 * 4],
    ["bf16", 20 * 4],
    ["8", 24 * 6],
  ] as const) {
    const engine = new Engine();
    const quantizer = new ScalarQuantizer(engine, 20, type);
    const code = new ScalarCode(engine, METRIC_L2, quantizer, false, false);
    expect(code.turnScratch).toBe(bytes);
  }
});
