import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { indexFactory, METRIC_INNER_PRODUCT, METRIC_L2, readIndex } from "../src/index.js";
import type { Index, Metric, SearchResult } from "../src/index.js";
import { RowCodes } from "../src/bounds/row-codes.js";
import { Random } from "../src/work/random.js";
import { Engine } from "../src/wasm/engine.js";
import * as RowCodesRecord from "../src/wasm/row-codes.gen.js";
import { countCoded } from "./coded.js";
import { Desk } from "./desk.js";
import { FILLS, place, placeQueries } from "./hostile.js";
import type { Fill } from "./hostile.js";
import { code, oneList, openRowCodes, records, rowCodes } from "./records.js";

// Searches by codes must give the bits of those without, whatever the rows are: bounds that are not true would lose neighbours.

interface Shape {
  rows: string;
  queries: string;
  n: number;
  d: number;
  nq: number;
  k: number;
  metric: number;
  seed: number;
  /** Whether rows have heads, too. */
  heads?: boolean;
  /** The share of the rows of lists that a filter lets through; all where it is left out. */
  share?: number;
  /** Sixteens of numbers in the part of a code that is looked at first, of dimensions in any order. */
  sixteens?: number;
}

/** Numbers in a head. */
const M = 48;

/** Rows, queries and codes in an engine's memory; undefined where the rows are beyond codes. */
function prepare(shape: Shape, runs: [number, number][]) {
  const { rows: fill, queries: queryFill, n, d, nq, seed } = shape;
  const engine = new Engine();
  const { kernels } = engine;
  const random = new Random(seed);
  const rows = place(engine, n, d, FILLS[fill], random);
  const queries = placeQueries(engine, nq, d, FILLS[queryFill], rows, n, random);
  const desk = new Desk(engine);
  const codes = desk.room(kernels.rowCodesBytes(n, d));
  const sample = engine.allocate(4 * runs.length);
  runs.forEach(([start], i) => (engine.i32[(sample >>> 2) + i] = start));
  kernels.meanOfRows(rows, sample, runs.length, d, codes);
  const sixteens = shape.heads === true ? 0 : (shape.sixteens ?? 0);
  const inParts = sixteens > 0;
  if (inParts) {
    const order = Array.from({ length: d }, (_, j) => j);
    for (let j = d - 1; j > 0; j--) {
      const other = random.below(j + 1);
      [order[j], order[other]] = [order[other], order[j]];
    }
    openRowCodes(engine, codes, d, n, Math.min((d + 15) >> 4, sixteens) * 16, order);
  } else openRowCodes(engine, codes, d, n);
  const scratch = desk.room(kernels.encodeRowsScratch(d));
  for (const [start, length] of runs) {
    if (kernels.encodeRows(rows, start, length, d, codes, scratch) === 0) return undefined;
  }
  let heads = 0;
  if (shape.heads === true) {
    heads = desk.room(kernels.wholeHeadsBytes(n, d, M));
    const own = desk.room(kernels.wholeHeadsScratch(d, M));
    const rest = kernels.openHeads(rows, n, d, M, codes, n, heads, own);
    expect(rest).toBeLessThan(2);
    for (const [start, length] of runs) {
      for (let i = 0; i < length; i += 64) {
        const count = Math.min(64, length - i);
        expect(kernels.writeHeads(rows, start + i, count, d, M, n, heads, own)).toBe(1);
      }
    }
  }
  rowCodes(engine, codes, heads, inParts);
  return { engine, desk, rows, queries, codes };
}

/** The bits of what two searches give. */
function expectSame(
  engine: Engine,
  results: number,
  plain: (keys: number, slots: number) => void,
  coded: (keys: number, slots: number) => void,
): void {
  const [expected, given] = [plain, coded].map((search) => {
    const keys = engine.allocate(results * 4);
    const slots = engine.allocate(results * 4);
    search(keys, slots);
    return [keys, slots].map((address) => engine.i32.slice(address >>> 2, (address >>> 2) + results));
  });
  expect(given).toEqual(expected);
}

function compareRows(shape: Shape): boolean {
  const { n, d, nq, k, metric } = shape;
  const made = prepare(shape, [[0, n]]);
  if (made === undefined) return false;
  const { engine, desk, rows, queries, codes } = made;
  const { kernels } = engine;
  const plainScratch = desk.room(kernels.searchRowsScratch(nq));
  const plan = { queries, nq, d, metric };
  const lists = { ...oneList(engine, n), codes: rows, blockBytes: d * 4 };
  const scratch = desk.room(kernels.searchCodedScratch(1, nq, 1, d, k));
  expectSame(
    engine,
    nq * k,
    (keys, slots) =>
      kernels.searchRows(code, ...records(engine, { ...plan, scratch: plainScratch }, lists, { keys, slots, k })),
    (keys, slots) => {
      kernels.searchRowsCoded(code, codes, ...records(engine, { ...plan, scratch }, lists, { keys, slots, k }));
    },
  );
  desk.clear();
  return true;
}

/** Cuts the rows into lists with gaps between them, which hold NaN, and lets each query want some of them. */
function compareLists(shape: Shape, nlist: number, nprobe: number): boolean {
  const { n, d, nq, k, metric, seed } = shape;
  const random = new Random(seed);
  const runs: [number, number][] = [];
  for (let list = 0; list < nlist; list++) {
    const [start, end] = [list, list + 1].map((cut) => Math.floor((cut * n) / nlist));
    runs.push([start, random.below(end - start + 1)]);
  }
  const made = prepare(shape, runs);
  if (made === undefined) return false;
  const { engine, desk, rows, queries, codes } = made;
  const { kernels } = engine;
  const [starts, sizes] = [0, 1].map((field) => {
    const address = engine.allocate(nlist * 4);
    runs.forEach((run, list) => (engine.i32[(address >>> 2) + list] = run[field]));
    return address;
  });
  runs.forEach(([start, size], list) => {
    const end = Math.floor(((list + 1) * n) / nlist);
    engine.f32.fill(NaN, (rows >>> 2) + (start + size) * d, (rows >>> 2) + end * d);
  });
  // Ids that run against the slots, so that the order of equal distances is theirs.
  const ids = engine.allocate(n * 8);
  for (let i = 0; i < n; i++) engine.i64[(ids >>> 3) + i] = BigInt(n - i);
  const probes = engine.allocate(nq * nprobe * 4);
  for (let i = 0; i < nq; i++) {
    const wanted = random.below(nprobe + 1);
    const first = random.below(nlist);
    for (let p = 0; p < nprobe; p++) {
      engine.i32[(probes >>> 2) + i * nprobe + p] = p < wanted ? (first + p) % nlist : -1;
    }
  }
  let admitted = 0;
  if (shape.share !== undefined) {
    admitted = desk.own(new Uint8Array((n >> 3) + 9));
    for (let slot = 0; slot < n; slot++)
      if (random.unit() < shape.share) engine.u8[admitted + (slot >> 3)] |= 1 << (slot & 7);
  }
  const plan = { queries, nq, d, metric, probes, nprobe, atLeast: nprobe, admitted };
  const lists = { nlist, starts, sizes, codes: rows, blockBytes: d * 4, ids };
  const plainScratch = desk.room(kernels.scanListsScratch(nlist, nq, nprobe));
  const scratch = desk.room(kernels.searchCodedScratch(nlist, nq, nprobe, d, k));
  // A bound that is left as it was leaves out its row.
  engine.f32.fill(3e38, scratch >>> 2, (scratch + kernels.searchCodedScratch(nlist, nq, nprobe, d, k)) >>> 2);
  expectSame(
    engine,
    nq * k,
    (keys, slots) =>
      kernels.scanF32Best(code, ...records(engine, { ...plan, scratch: plainScratch }, lists, { keys, slots, k })),
    (keys, slots) => {
      kernels.searchListsCoded(code, codes, ...records(engine, { ...plan, scratch }, lists, { keys, slots, k }));
    },
  );
  desk.clear();
  return true;
}

describe("codes leave the answer alone", () => {
  for (const metric of [METRIC_L2, METRIC_INNER_PRODUCT]) {
    for (const rows of Object.keys(FILLS)) {
      test(`${metric === METRIC_L2 ? "L2" : "inner product"}, ${rows}`, () => {
        for (const d of [16, 77, 256, 515]) {
          for (const queries of [rows, "noise"]) {
            for (const sixteens of [-1, 0, 1, 3]) {
              const heads = sixteens < 0;
              const shape = { rows, queries, n: 300, d, nq: 5, k: 4, metric, seed: d, heads, sixteens };
              // Rows so long that sums overflow have no codes; all others must.
              expect(compareRows(shape)).toBe(rows !== "too long");
              expect(compareLists(shape, 7, 3)).toBe(rows !== "too long");
            }
          }
        }
      });
    }
  }

  test("of more rows than wait to be compared at a time", () => {
    for (const metric of [METRIC_L2, METRIC_INNER_PRODUCT]) {
      for (const rows of ["noise", "low rank", "duplicates", "a line of few places", "mixed"]) {
        for (const sixteens of [-1, 0, 2]) {
          const heads = sixteens < 0;
          const shape = { rows, queries: rows, n: 2600, d: 50, nq: 5, k: 9, metric, seed: 3, heads, sixteens };
          expect(compareRows(shape)).toBe(true);
          expect(compareLists(shape, 4, 4)).toBe(true);
          expect(compareLists({ ...shape, nq: 1 }, 4, 4)).toBe(true);
        }
      }
    }
  });

  test("of lists that fill the places of what waits to the last", () => {
    // Seven tiles, and 124 and 4 rows: 1,024 in all.
    const sizes = [...Array.from({ length: 7 }, () => 128), 124, 4, 30];
    const [nlist, d, k] = [sizes.length, 50, 3];
    const runs = sizes.map((size, list): [number, number] => [sizes.slice(0, list).reduce((a, b) => a + b, 0), size]);
    const n = runs[nlist - 1][0] + sizes[nlist - 1];
    for (const metric of [METRIC_L2, METRIC_INNER_PRODUCT]) {
      for (const heads of [false, true]) {
        const made = prepare({ rows: "noise", queries: "noise", n, d, nq: 1, k, metric, seed: 4, heads }, runs);
        if (made === undefined) throw new Error("noise has codes");
        const { engine, desk, rows, queries, codes } = made;
        const { kernels } = engine;
        const table = (numbers: number[]): number => desk.put(Int32Array.from(numbers));
        const probes = table(sizes.map((_, list) => list));
        const plan = { queries, nq: 1, d, metric, probes, nprobe: nlist, atLeast: nlist };
        const [starts, counts] = [0, 1].map((field) => table(runs.map((run) => run[field])));
        const lists = { nlist, starts, sizes: counts, codes: rows, blockBytes: d * 4 };
        const plainScratch = desk.room(kernels.scanListsScratch(nlist, 1, nlist));
        const scratch = desk.room(kernels.searchCodedScratch(nlist, 1, nlist, d, k));
        // What waited first is what is found.
        for (let row = 0; row < 4; row++) {
          engine.f32.copyWithin(queries >>> 2, (rows >>> 2) + row * d, (rows >>> 2) + (row + 1) * d);
          expectSame(
            engine,
            k,
            (keys, slots) =>
              kernels.scanF32Best(
                code,
                ...records(engine, { ...plan, scratch: plainScratch }, lists, { keys, slots, k }),
              ),
            (keys, slots) => {
              kernels.searchListsCoded(
                code,
                codes,
                ...records(engine, { ...plan, scratch }, lists, { keys, slots, k }),
              );
            },
          );
        }
        desk.clear();
      }
    }
  });

  test("of the few rows that a filter lets through, in lists that begin anywhere", () => {
    for (const metric of [METRIC_L2, METRIC_INNER_PRODUCT])
      for (const heads of [false, true])
        for (const share of [0.03, 0.1, 0.4])
          for (const seed of [1, 2, 3]) {
            const shape = { rows: "noise", queries: "noise", n: 500, d: 40, nq: 5, k: 6, metric, seed, heads, share };
            expect(compareLists(shape, 7, 5)).toBe(true);
          }
  });

  const shape = fc.record({
    rows: fc.constantFrom(...Object.keys(FILLS)),
    queries: fc.constantFrom(...Object.keys(FILLS)),
    n: fc.integer({ min: 1, max: 300 }),
    d: fc.integer({ min: 1, max: 130 }),
    nq: fc.integer({ min: 1, max: 64 }),
    k: fc.integer({ min: 1, max: 20 }),
    metric: fc.constantFrom(METRIC_L2, METRIC_INNER_PRODUCT),
    seed: fc.nat(),
    heads: fc.boolean(),
    sixteens: fc.integer({ min: 0, max: 9 }),
  });

  test("of rows of any shape", () => {
    fc.assert(
      fc.property(shape, (s) => void compareRows(s)),
      { numRuns: 200 },
    );
  });

  test("of lists of any shape", () => {
    fc.assert(
      fc.property(shape, fc.integer({ min: 1, max: 40 }), fc.nat(), (s, nlist, p) => {
        compareLists(s, nlist, 1 + (p % nlist));
      }),
      { numRuns: 200 },
    );
  });

  test("they are used: a row that is changed behind them goes unseen", () => {
    const [n, d] = [400, 128];
    const made = prepare({ rows: "noise", queries: "noise", n, d, nq: 1, k: 1, metric: METRIC_L2, seed: 1 }, [[0, n]]);
    if (made === undefined) throw new Error("noise has codes");
    const { engine, rows, queries, codes } = made;
    const [key, slot] = [engine.allocate(4), engine.allocate(4)];
    const list = oneList(engine, n);
    const scratch = engine.allocate(engine.kernels.searchCodedScratch(1, 1, 1, d, 1));
    const search = (): number => {
      const plan = { queries, nq: 1, d, metric: METRIC_L2, scratch };
      const lists = { ...list, codes: rows, blockBytes: d * 4 };
      engine.kernels.searchRowsCoded(code, codes, ...records(engine, plan, lists, { keys: key, slots: slot, k: 1 }));
      return engine.i32[slot >>> 2];
    };
    const nearest = search();
    const far = (nearest + 200) % n;
    engine.f32.copyWithin((rows >>> 2) + far * d, queries >>> 2, (queries >>> 2) + d);
    expect(search()).toBe(nearest);
  });
});

describe("the error of a code is at least what the code leaves of its row, the rest what is behind its part", () => {
  /** Compares what is stored of each row with the same in f64. */
  function expectTrue(n: number, d: number, fill: Fill): void {
    const engine = new Engine();
    const { kernels } = engine;
    const rows = place(engine, n, d, fill, new Random(d));
    const codes = engine.allocate(kernels.rowCodesBytes(n, d));
    const sample = engine.allocate(4);
    engine.i32[sample >>> 2] = 0;
    kernels.meanOfRows(rows, sample, 1, d, codes);
    const part = 16;
    // Backwards, so that a rest has other dimensions than it would have.
    openRowCodes(
      engine,
      codes,
      d,
      n,
      part,
      Array.from({ length: d }, (_, j) => d - 1 - j),
    );
    expect(kernels.encodeRows(rows, 0, n, d, codes, engine.allocate(kernels.encodeRowsScratch(d)))).toBe(1);
    const { f32 } = engine;
    const D = (d + 15) & ~15;
    const room = (n + 7) & ~3;
    const mean = (codes >>> 2) + RowCodesRecord.mean;
    const scales = mean + 2 * D;
    const numbers = new Int8Array(engine.u8.buffer, (scales + 4 * room) * 4);
    for (let i = 0; i < n; i++) {
      let square = 0;
      let behind = 0;
      for (let at = 0; at < D; at++) {
        const image = f32[scales + i] * numbers[i * D + at];
        const j = d - 1 - at;
        const own = j < 0 ? 0 : f32[(rows >>> 2) + i * d + j] - f32[mean + j];
        square += (own - image) ** 2;
        if (at >= part) behind += image ** 2;
      }
      expect(f32[scales + 2 * room + i], `row ${i}`).toBeGreaterThanOrEqual(Math.sqrt(square));
      expect(f32[scales + 3 * room + i], `row ${i}`).toBeGreaterThanOrEqual(Math.sqrt(behind));
    }
  }

  test.each(Object.keys(FILLS).filter((name) => name !== "too long"))("%s", (name) => {
    for (const d of [16, 77, 515]) expectTrue(60, d, FILLS[name]);
  });

  test("where the mean is lost in the last bit of a row", () => {
    // Whole numbers with 127 among them are their own codes, and the mean is less than half a bit of each.
    expectTrue(40, 64, (i, j) => (i === 0 ? 1e-8 * (1 + (j % 3)) : j === i ? 127 : 1 + ((i * j) % 126)));
  });

  test("where a sum of squares loses all but its first", () => {
    // Too short for a scale: all of the row is error. The small squares are below half a bit of the large ones, and thousands.
    expectTrue(3, 4096, (i, j) => (i === 0 ? 0 : j < 4 ? 1e-11 : 1e-11 * 2 ** -13.2));
  });
});

describe("codes of an index", () => {
  const d = 128;
  const vectors = (n: number, seed: number): Float32Array => {
    const random = new Random(seed);
    return Float32Array.from({ length: n * d }, () => random.unit());
  };

  async function make(description: string, metric: Metric, bounds: boolean): Promise<Index> {
    const index = await indexFactory(d, description, metric, { bounds });
    await index.train(vectors(400, 1));
    return index;
  }

  const steps = fc.array(
    fc.oneof(
      fc.record({ what: fc.constant("add" as const), n: fc.integer({ min: 1, max: 300 }) }),
      fc.record({ what: fc.constant("remove" as const), n: fc.integer({ min: 2, max: 9 }) }),
      fc.record({ what: fc.constant("warm up" as const), n: fc.integer({ min: 1, max: 20 }) }),
      fc.record({ what: fc.constant("read again" as const), n: fc.constant(0) }),
      fc.record({ what: fc.constant("reset" as const), n: fc.constant(0) }),
    ),
    { minLength: 1, maxLength: 8 },
  );

  test.each(["Flat", "IVF10,Flat", "IDMap,Flat"])("%s: they follow every change", async (description) => {
    let coded = 0;
    await fc.assert(
      fc.asyncProperty(steps, fc.constantFrom<Metric>(METRIC_L2, METRIC_INNER_PRODUCT), async (all, metric) => {
        const pair = [await make(description, metric, true), await make(description, metric, false)];
        let seed = 2;
        for (const { what, n } of [{ what: "add" as const, n: 200 }, ...all]) {
          seed++;
          for (let i = 0; i < 2; i++) {
            const index = pair[i];
            const ids = Array.from({ length: n }, (_, j) => seed * 1000 + j);
            if (what === "add" && description.startsWith("IDMap")) await index.addWithIds(vectors(n, seed), ids);
            else if (what === "add") await index.add(vectors(n, seed));
            else if (what === "remove") index.removeIds(Array.from({ length: 40 }, (_, j) => j * n));
            else if (what === "warm up") index.warmUp({ batch: n, k: 3, nprobe: 4 });
            else if (what === "reset") index.reset();
            else pair[i] = await readIndex(index.toBytes(), { bounds: i === 0 });
          }
          const queries = vectors(5, seed + 100);
          for (const options of [{}, { nprobe: 4 }, { nprobe: 10, ensureK: true }]) {
            const [expected, given] = [pair[1], pair[0]].map((index) => {
              const searches = countCoded(index);
              const result = index.search(queries, 3, options);
              coded += searches();
              return result;
            });
            expect(given).toEqual(expected);
          }
        }
        for (const index of pair) index.dispose();
      }),
      { numRuns: 25 },
    );
    expect(coded).toBeGreaterThan(0);
  });

  test.each(["Flat", "IVF10,Flat"])("%s: adds that leave room for later ones have codes too", async (description) => {
    const index = await make(description, METRIC_L2, true);
    for (let i = 0; i < 3; i++) await index.add(vectors(500, 10 + i));
    index.warmUp({ batch: 1, k: 3, nprobe: 4 });
    const searches = countCoded(index);
    index.search(vectors(5, 20), 3, { nprobe: 4 });
    expect(searches()).toBe(1);
    await index.add(vectors(1, 30));
    index.search(vectors(5, 20), 3, { nprobe: 4 });
    expect(searches()).toBe(1);
  });

  test("with heads, where these leave little over: filters, removals and the words of a search", async () => {
    const [n, wide] = [3000, 256];
    const random = new Random(9);
    // Six directions and a little noise.
    const low = Float32Array.from({ length: n * wide }, (_, at) => {
      const [i, j] = [Math.floor(at / wide), at % wide];
      return [1, 2, 3].reduce((sum, u) => sum + Math.sin(i * u * 0.37) * Math.cos(j * u * 0.21), 0.01 * random.unit());
    });
    const made = vi.spyOn(RowCodes.prototype, "make");
    for (const description of ["Flat", "IVF8,Flat"]) {
      const pair = await Promise.all(
        [true, false].map(async (bounds) => {
          const index = await indexFactory(wide, description, METRIC_L2, { bounds });
          await index.train(low);
          await index.add(low);
          return index;
        }),
      );
      const compare = (options: object): void => {
        const [given, expected] = pair.map((index) => {
          index.warmUp({ batch: 5, k: 4 });
          return index.search(low.subarray(0, 20 * wide), 4, { nprobe: 5, ...options });
        });
        expect(given).toEqual(expected);
      };
      compare({});
      expect((made.mock.contexts as RowCodes[]).some((codes) => codes.heads > 0)).toBe(true);
      for (const index of pair) index.removeIds(Array.from({ length: 500 }, (_, i) => i * 3));
      compare({});
      const options = pair.map((index) => ({ filter: index.filter({ from: 40, to: 2600 }) }));
      const [given, expected] = pair.map((index, i) => index.search(low.subarray(0, 20 * wide), 4, options[i]));
      expect(given).toEqual(expected);
      made.mockClear();
      for (const index of pair) index.dispose();
    }
    made.mockRestore();
  });

  test("they take less than .4 of the rows' bytes, with heads", () => {
    const engine = new Engine();
    const [n, wide] = [20_000, 256];
    const rows = engine.allocate(n * wide * 4);
    engine.f32.fill(1, rows >>> 2, (rows >>> 2) + n * wide);
    const codes = new RowCodes(engine, wide);
    const before = engine.bytes;
    codes.make(rows, n, n, [[0, n]]);
    expect(codes.address).toBeGreaterThan(0);
    // The rows that the mean and the directions are made of are copied for as long as that takes.
    const sample = 1024 * wide * 4 + 2 ** 19;
    expect(engine.bytes - before).toBeLessThan(n * wide * 4 * 0.4 + sample);
    expect(codes.heads).toBeGreaterThan(0);
    codes.drop();
    expect(codes.address).toBe(0);
  });

  test("none are made where there is no memory for them", async () => {
    const n = 6000;
    const rows = vectors(n, 3);
    const find = async (maxBytes: number): Promise<[number, SearchResult]> => {
      const index = await indexFactory(d, "Flat", METRIC_L2, { maxBytes });
      await index.add(rows);
      index.warmUp({ batch: 1, k: 5 });
      const searches = countCoded(index);
      const result = index.search(rows.subarray(0, d), 5);
      expect(index.memory).toBeLessThanOrEqual(maxBytes);
      return [searches(), result];
    };
    const [without, expected] = await find(n * d * 4 + 200_000);
    const [coded, given] = await find(n * d * 6);
    expect([without, coded]).toEqual([0, 1]);
    expect(given).toEqual(expected);
  });
});
