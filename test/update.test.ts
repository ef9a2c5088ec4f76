import { describe, expect, test } from "vitest";
import { indexFactory, METRIC_INNER_PRODUCT, METRIC_L2, readIndex } from "../src/index.js";
import type { Index, Metric } from "../src/index.js";
import { VectorIndex } from "../src/handle/vector-index.js";
import { ListIndex } from "../src/indexes/list-index.js";
import { IdLookup } from "../src/lists/id-lookup.js";
import { randomOf, uniform } from "./random.js";

// Merges and updates, held against what one add of the same vectors makes: the bytes of the file.

const D = 32;
const rows = uniform(randomOf(1), 400 * D);
const part = (from: number, to: number): Float32Array => rows.subarray(from * D, to * D);
const run = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

async function trained(kind: string, metric: Metric = METRIC_L2): Promise<() => Promise<Index>> {
  const made = await indexFactory(D, kind, metric);
  await made.train(rows, { seed: 2 });
  const bytes = made.toBytes();
  return () => readIndex(bytes);
}

const fill = (index: Index, from: number, to: number): Promise<void> =>
  index.description.includes("IDMap") ? index.addWithIds(part(from, to), run(from, to)) : index.add(part(from, to));

const KINDS = [
  "Flat",
  "IVF6,Flat",
  // Lists longer than what is copied at a time.
  "IVF2,Flat",
  "PQ8x4fs",
  "PQ8x4fs_64",
  "IVF6,PQ8x4fs",
  "IVF6,PQ8x4fsr",
  "IVF6,PQ8x4fs,RFlat",
  "IVF6,Flat,IDMap",
  "PQ8x4fs,RFlat,IDMap",
  "RaBitQfs3",
  "IVF6,RaBitQfs_64",
];

describe.each<Metric>([METRIC_L2, METRIC_INNER_PRODUCT])("mergeFrom, metric %i", (metric) => {
  test.each(KINDS)("%s: merged is added, bit for bit", async (kind) => {
    const make = await trained(kind, metric);
    for (const [cut, end] of [
      [0, 50],
      [37, 150],
      [64, 64],
      [150, 400],
    ]) {
      const [a, b, one] = [await make(), await make(), await make()];
      await fill(a, 0, cut);
      await fill(b, cut, end);
      await fill(one, 0, cut);
      await fill(one, cut, end);
      // An IDMap's ids and those of an index that counts are right already.
      const counted = kind.startsWith("IVF") && !kind.includes("IDMap") && !kind.includes("RFlat");
      if (!kind.includes("IDMap")) {
        const again = await make();
        await fill(again, cut, end);
        await b.mergeFrom(again.ntotal > 0 ? await make() : again); // an empty one changes nothing
      }
      await a.mergeFrom(b, { addId: counted ? a.ntotal : 0 });
      expect(a.toBytes()).toEqual(one.toBytes());
      expect([b.ntotal, b.isTrained]).toEqual([0, true]);
      await fill(b, 0, 5);
      expect(b.ntotal).toBe(5);
    }
  });
});

test.each(["PQ8x4fs", "PQ8x4fs,RFlat", "IVF6,PQ8x4fsr,RFlat", "IVF6,RaBitQfs3", "IVF6,SQ6,RFlat"])(
  "%s: an index that was trained here takes one that was read, whose memory has everything elsewhere",
  async (kind) => {
    const a = await indexFactory(D, kind);
    await a.train(rows, { seed: 2 });
    const one = await readIndex(a.toBytes());
    await fill(a, 0, 250);
    const b = await readIndex(a.toBytes());
    await fill(one, 0, 250);
    await fill(one, 0, 250);
    // A Refine counts by itself, and so does what has no lists.
    await a.mergeFrom(b, { addId: kind === "IVF6,RaBitQfs3" ? 250 : 0 });
    expect(Buffer.compare(a.toBytes(), one.toBytes())).toBe(0);
  },
);

test.each(["IVF6,PQ8x4fs,RFlat", "IVF6,Flat,IDMap"])(
  "%s: a merge stopped at any point leaves both as they were",
  async (kind) => {
    const make = await trained(kind);
    const [a, b] = [await make(), await make()];
    await fill(a, 0, 150);
    await fill(b, 150, 400);
    const before = [a.toBytes(), b.toBytes()];
    let stops = 0;
    for (let stop = 0; ; stop++) {
      const controller = new AbortController();
      let seen = 0;
      const onProgress = (): void => {
        if (seen++ === stop) controller.abort(new Error("enough"));
      };
      const outcome = await a.mergeFrom(b, { signal: controller.signal, onProgress }).then(
        () => "merged",
        (error: unknown) => (error as Error).message,
      );
      if (outcome === "merged") break;
      expect(outcome).toBe("enough");
      expect([a.toBytes(), b.toBytes()]).toEqual(before);
      stops++;
    }
    expect(stops).toBeGreaterThan(0);
    expect([a.ntotal, b.ntotal]).toEqual([400, 0]);
  },
);

test("what can't be merged is named, and neither index has changed", async () => {
  const make = await trained("IVF6,Flat");
  const index = await make();
  await index.add(part(0, 20));
  const before = index.toBytes();
  const other = await indexFactory(D, "IVF6,Flat");
  await other.train(part(0, 100), { seed: 9 });
  const flat = await indexFactory(D, "Flat");
  await flat.add(part(0, 3));
  const product = await indexFactory(D, "IVF6,Flat", METRIC_INNER_PRODUCT);
  const wide = await make();
  await wide.addWithIds(part(0, 1), BigInt64Array.of(1n << 40n));
  for (const [theirs, options, code, sentence] of [
    [other, {}, "ERR_PARAMETER", /centroids/],
    [flat, {}, "ERR_PARAMETER", /Flat \(d = 32, L2\) can't be merged into IVF6,Flat/],
    [product, {}, "ERR_PARAMETER", /inner product/],
    [index, {}, "ERR_PARAMETER", /another index/],
    [{}, {}, "ERR_PARAMETER", /another index/],
    [await indexFactory(D, "IVF6,Flat"), {}, "ERR_NOT_TRAINED", /not trained/],
    [wide, {}, "ERR_ID", /more than 32 bits/],
    [await make(), { addId: 0.5 }, "ERR_PARAMETER", /addId/],
  ] as const) {
    const merged = index.mergeFrom(theirs as Index, options);
    await expect(merged).rejects.toMatchObject({ code, message: expect.stringMatching(sentence) as string });
    expect(index.toBytes()).toEqual(before);
  }
  const counting = await indexFactory(D, "Flat");
  await expect(counting.mergeFrom(flat, { addId: 7 })).rejects.toMatchObject({ code: "ERR_PARAMETER" });
});

describe.each(["IVF6,Flat", "IVF6,PQ8x4fs", "IDMap,Flat", "IDMap,PQ8x4fs", "IDMap,IVF6,PQ8x4fs,RFlat"])(
  "upsert, %s",
  (kind) => {
    test("takes the place of what has these ids, and of nothing else", async () => {
      const make = await trained(kind);
      const [index, expected] = [await make(), await make()];
      for (const one of [index, expected]) await one.addWithIds(part(0, 100), run(0, 100));
      const ids = [5, 17, 99, 1000, 42];
      await index.upsert(part(200, 205), ids);
      expected.removeIds(ids);
      await expected.addWithIds(part(200, 205), ids);
      expect(index.toBytes()).toEqual(expected.toBytes());
      expect(index.ntotal).toBe(101);
      expect([...index.ids()].sort((a, b) => a - b)).toEqual([...run(0, 100), 1000]);
      await index.upsert(part(210, 211), [7777]);
      expect([index.ntotal, index.has(7777), index.has(7778)]).toEqual([102, true, false]);
      if (!kind.includes("PQ")) expect(index.reconstruct(17)).toEqual(part(201, 202));
    });

    test("stopped at any point it leaves all as it was", async () => {
      const make = await trained(kind);
      const index = await make();
      await index.addWithIds(part(0, 100), run(0, 100));
      const before = index.toBytes();
      let stops = 0;
      for (let stop = 0; ; stop++) {
        const controller = new AbortController();
        let seen = 0;
        const onProgress = (): void => {
          if (seen++ === stop) controller.abort(new Error("enough"));
        };
        const outcome = await index
          .upsert(part(150, 300), run(50, 200), { signal: controller.signal, onProgress })
          .then(
            () => "done",
            (error: unknown) => (error as Error).message,
          );
        if (outcome === "done") break;
        expect(index.toBytes()).toEqual(before);
        stops++;
      }
      expect(stops).toBeGreaterThan(0);
      expect(index.ntotal).toBe(200);
      const broken = part(0, 2).slice();
      broken[3] = NaN;
      const kept = index.toBytes();
      await expect(index.upsert(broken, [1, 2])).rejects.toMatchObject({ code: "ERR_NOT_FINITE" });
      expect(index.toBytes()).toEqual(kept);
    });
  },
);

test("an id that was added twice is there twice, and reconstruct gives the last of them in every kind", async () => {
  for (const kind of ["IVF6,Flat", "IDMap,Flat", "IDMap,IVF6,Flat"]) {
    const index = await (await trained(kind))();
    await index.addWithIds(part(0, 3), [7, 8, 7]);
    expect([...index.ids()].filter((id) => id === 7)).toHaveLength(2);
    const last = index.ids().lastIndexOf(7);
    // The order of storage is that of the vectors in an IDMap, that of the cells in an IVF.
    const own = [part(0, 1), part(2, 3)].find((row) => index.search(row, 3, { nprobe: 6 }).labels[0] === 7);
    expect(own).toBeDefined();
    const given = index.reconstruct(7);
    expect([part(0, 1), part(2, 3)]).toContainEqual(given);
    if (kind.startsWith("IDMap")) expect([last, given]).toEqual([2, part(2, 3)]);
    expect(index.removeIds([7])).toBe(2);
  }
});

test("an index that numbers its vectors takes no ids in their place", async () => {
  const index = await indexFactory(D, "Flat");
  await index.add(part(0, 3));
  await expect(index.upsert(part(0, 1), [1])).rejects.toMatchObject({ code: "ERR_UNSUPPORTED" });
});

test("vectors that fit into the room that lists have move none", async () => {
  const index = await (await trained("IVF4,Flat"))();
  if (!(index instanceof VectorIndex && index.node instanceof ListIndex)) return expect.unreachable();
  const { lists } = index.node;
  const starts = (): number[] => [0, 1, 2, 3].map((list) => lists.start(list));
  await index.add(part(0, 200));
  const exact = starts();
  await index.add(part(200, 201));
  const roomy = starts();
  // The first have just their room; what comes later brings room for more.
  expect(roomy[3]).toBeGreaterThan(exact[3] + 10);
  for (let i = 201; i < 205; i++) {
    await index.add(part(i, i + 1));
    expect(starts()).toEqual(roomy);
  }
});

test.each<[string, bigint[]]>([
  ["dense", [3n, 0n, 7n, 4n]],
  ["dense up to the last that has room", [7n, 1n, 1n, 0n]],
  ["one beyond that", [8n, 1n, 1n, 0n]],
  ["one below 0", [0n, 1n, -1n, 2n]],
  ["of 64 bits", [2n ** 63n - 1n, -(2n ** 63n), 5n, 2n ** 32n + 5n]],
  ["none", []],
])("the place of an id is the last that has it: ids that are %s", (_, ids) => {
  const lookup = new IdLookup(ids.length, (each) => ids.forEach(each));
  const asked = [...ids, ...ids.map((id) => id + 1n), -1n, -2n, 7n, 8n, 9n, 2n ** 32n, 2n ** 64n + 5n];
  for (const id of asked) {
    expect(lookup.find(id)).toBe(ids.lastIndexOf(id));
    if (BigInt(Number(id)) === id) expect(lookup.find(Number(id))).toBe(ids.lastIndexOf(id));
  }
});
