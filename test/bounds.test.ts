import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { indexFactory, METRIC_INNER_PRODUCT, METRIC_L2, readIndex } from "../src/index.js";
import type { Index } from "../src/index.js";
import { VectorIndex } from "../src/handle/vector-index.js";
import { Engine } from "../src/wasm/engine.js";
import { Random } from "../src/work/random.js";
import { countKernels } from "./coded.js";
import { Desk } from "./desk.js";
import { FILLS, place, placeQueries } from "./hostile.js";
import type { Fill } from "./hostile.js";
import { boundsOf, code, oneList, records } from "./records.js";

// searchBounded must give the bits of searchRows, whatever the rows are: bounds that are not true would lose neighbours.

function compare(
  fill: Fill,
  queryFill: Fill,
  n: number,
  d: number,
  nq: number,
  k: number,
  metric: number,
  seed: number,
): boolean {
  const engine = new Engine();
  const { kernels } = engine;
  const random = new Random(seed);
  const rows = place(engine, n, d, fill, random);
  const queries = placeQueries(engine, nq, d, queryFill, rows, n, random);
  const desk = new Desk(engine);
  const bounds = boundsOf(engine, rows, n, d, seed % 3 === 0 ? 32 : d < 512 ? 48 : 96);
  if (bounds === 0) return false;
  const list = { ...oneList(engine, n), blockBytes: d * 4 };
  const results = [0, 1].map((bounded) => {
    const keys = engine.allocate(nq * k * 4);
    const slots = engine.allocate(nq * k * 4);
    if (bounded) {
      const scratch = desk.room(kernels.searchBoundedScratch(nq, n, d, k));
      const plan = { queries, nq, d, metric, scratch };
      kernels.searchBounded(code, bounds, ...records(engine, plan, { ...list, codes: rows }, { keys, slots, k }));
    } else {
      const scratch = desk.room(kernels.searchRowsScratch(nq));
      const plan = { queries, nq, d, metric, scratch };
      kernels.searchRows(code, ...records(engine, plan, { ...list, codes: rows }, { keys, slots, k }));
    }
    return {
      keys: engine.i32.slice(keys >>> 2, (keys >>> 2) + nq * k),
      slots: engine.i32.slice(slots >>> 2, (slots >>> 2) + nq * k),
    };
  });
  expect(results[1]).toEqual(results[0]);
  desk.clear();
  return true;
}

describe("bounds leave the answer alone", () => {
  for (const metric of [METRIC_L2, METRIC_INNER_PRODUCT]) {
    for (const [name, fill] of Object.entries(FILLS)) {
      test(`${metric === METRIC_L2 ? "L2" : "inner product"}, ${name}`, () => {
        for (const d of [64, 77, 256, 515]) {
          for (const queryFill of [fill, FILLS.noise]) {
            // Rows so long that sums overflow have no bounds; all others must.
            expect(compare(fill, queryFill, 150, d, 5, 4, metric, d)).toBe(name !== "too long");
          }
        }
      });
    }
  }

  test("with long heads, and where short ones are enough", () => {
    for (const [name, fill] of Object.entries(FILLS)) {
      if (name !== "too long") expect(compare(fill, fill, 500, 520, 3, 16, METRIC_L2, 7)).toBe(true);
    }
  });

  test("of queries that are just not too long, whose heads are", () => {
    const d = 64;
    for (const short of [1e-3, 1e-4, 1e-5, 1e-6, 3e-7]) {
      const component = Math.sqrt((1e30 * (1 - short)) / d);
      // Along the query and against it, in pairs, so that the mean is zero.
      const along: Fill = (row) => (row % 2 === 0 ? 1 : -1) * (0.2 + ((row >> 1) % 75) / 125) * component;
      for (const metric of [METRIC_L2, METRIC_INNER_PRODUCT])
        expect(compare(along, () => component, 150, d, 2, 4, metric, 1)).toBe(true);
    }
  });

  test("of any shape", () => {
    const shape = fc.record({
      rows: fc.constantFrom(...Object.keys(FILLS)),
      queries: fc.constantFrom(...Object.keys(FILLS)),
      n: fc.integer({ min: 64, max: 300 }),
      d: fc.integer({ min: 33, max: 130 }),
      nq: fc.integer({ min: 1, max: 64 }),
      k: fc.integer({ min: 1, max: 20 }),
      metric: fc.constantFrom(METRIC_L2, METRIC_INNER_PRODUCT),
      seed: fc.nat(),
    });
    fc.assert(
      fc.property(
        shape,
        ({ rows, queries, n, d, nq, k, metric, seed }) =>
          void compare(FILLS[rows], FILLS[queries], n, d, nq, k, metric, seed),
      ),
      { numRuns: 200 },
    );
  });

  test("rule out most rows of low rank", () => {
    // That they are used at all: with rows that no bound lets through but the true ones, wrong rows behind the bounds go unseen.
    const engine = new Engine();
    const { kernels } = engine;
    const [n, d] = [400, 128];
    const rows = engine.allocate(n * d * 4);
    for (let i = 0; i < n * d; i++)
      engine.f32[(rows >>> 2) + i] = FILLS["low rank"](Math.floor(i / d), i % d, new Random(1));
    const query = engine.allocate(d * 4);
    engine.f32.copyWithin(query >>> 2, rows >>> 2, (rows >>> 2) + d);
    const bounds = boundsOf(engine, rows, n, d, 48);
    expect(bounds).not.toBe(0);
    const far = 200;
    engine.f32.copyWithin((rows >>> 2) + far * d, query >>> 2, (query >>> 2) + d);
    const [key, slot] = [engine.allocate(4), engine.allocate(4)];
    engine.f32.fill(5, rows >>> 2, (rows >>> 2) + d);
    const scratch = engine.allocate(kernels.searchBoundedScratch(1, n, d, 1));
    const plan = { queries: query, nq: 1, d, metric: METRIC_L2, scratch };
    const lists = { ...oneList(engine, n), codes: rows, blockBytes: d * 4 };
    kernels.searchBounded(code, bounds, ...records(engine, plan, lists, { keys: key, slots: slot, k: 1 }));
    expect(engine.i32[slot >>> 2]).not.toBe(far);
  });
});

test("cells are ranked by them, and are the same without", async () => {
  const d = 256;
  const random = new Random(4);
  const rows = Float32Array.from({ length: 700 * d }, (_, at) => FILLS.noise(Math.floor(at / d), at % d, random));
  const found = [];
  for (const bounds of [true, false]) {
    const index = await indexFactory(d, "IVF512,Flat", METRIC_L2, { bounds });
    await index.train(rows);
    await index.add(rows);
    const count = countKernels(index, ["searchBounded"]);
    found.push(index.search(rows.subarray(0, 20 * d), 3, { nprobe: 4 }));
    expect(count() > 0).toBe(bounds);
  }
  expect(found[1]).toEqual(found[0]);
});

test("heads of few cells of a file wait for queries, vectors or warmUp, those of many don't", async () => {
  const d = 256;
  const random = new Random(5);
  const rows = Float32Array.from({ length: 1200 * d }, (_, at) => FILLS.noise(Math.floor(at / d), at % d, random));
  const bytesOf = async (description: string): Promise<Uint8Array> => {
    const index = await indexFactory(d, description);
    await index.train(rows);
    await index.add(rows);
    return index.toBytes();
  };
  const [few, many] = [await bytesOf("IVF256,Flat"), await bytesOf("IVF257,Flat")];
  const after = async (file: Uint8Array, first?: (index: Index) => unknown): Promise<boolean> => {
    const index = await readIndex(file);
    await first?.(index);
    const count = countKernels(index, ["searchBounded"]);
    expect(index.search(rows.subarray(0, d), 1).labels[0]).toBe(0);
    return count() > 0;
  };
  expect(await after(many)).toBe(true);
  expect(await after(few)).toBe(false);
  expect(await after(few, (index) => index.search(rows.subarray(0, 900 * d), 1))).toBe(false);
  expect(await after(few, (index) => index.search(rows.subarray(0, 1000 * d), 1))).toBe(true);
  expect(await after(few, (index) => index.add(rows))).toBe(true);
  expect(await after(few, (index) => index.warmUp({ batch: 1, k: 1 }))).toBe(true);
});

test("one cell is sought by shorter heads, where these leave little over", async () => {
  const [n, d] = [1200, 256];
  const blocks = async (fill: Fill): Promise<number[]> => {
    const random = new Random(3);
    const rows = Float32Array.from({ length: n * d }, (_, at) => fill(Math.floor(at / d), at % d, random));
    const index = await indexFactory(d, "IVF257,Flat");
    await index.train(rows);
    if (!(index instanceof VectorIndex)) throw new Error("an index is a VectorIndex");
    await index.add(rows);
    const { engine } = index.node;
    const { kernels } = engine;
    const seen: number[] = [];
    engine.kernels = {
      ...kernels,
      searchBounded: (...crossing) => {
        seen.push(crossing[1]);
        kernels.searchBounded(...crossing);
      },
    };
    for (const nprobe of [1, 2]) expect(index.search(rows.subarray(0, d), 1, { nprobe }).labels[0]).toBe(0);
    return seen;
  };
  const [one, more] = await blocks(FILLS["low rank"]);
  expect(one).not.toBe(more);
  const [near, far] = await blocks(FILLS.noise);
  expect(near).toBe(far);
});
