import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { indexFactory, METRIC_INNER_PRODUCT, METRIC_L2, readIndex } from "../src/index.js";
import type { Index, Metric, SearchOptions, SearchResult } from "../src/index.js";
import { flatFile, ivfFile } from "./files.js";
import type { List } from "./files.js";
import { below, pick, randomOf, shuffled, uniform } from "./random.js";
import type { Random } from "./random.js";
import { best, exactKeyOf, keyOf, NOTHING, resultOf, rowOf, scan } from "./reference.js";
import type { Candidate } from "./reference.js";

const METRICS: [name: string, metric: Metric][] = [
  ["L2", METRIC_L2],
  ["inner product", METRIC_INNER_PRODUCT],
];
const DIMENSIONS = [1, 2, 3, 4, 5, 7, 8, 16, 63, 64, 255, 256, 768, 769];
const BATCHES = [0, 1, 2, 3, 5, 16, 64, 65, 200];

/** Ways to fill a row, given those before it: what is usual, what ties, what rounds, what overflows and what vanishes. */
const ROWS: ((row: Float32Array, before: Float32Array, random: Random) => void)[] = [
  (row, _, random) => row.set(uniform(random, row.length)),
  (row, _, random) => row.set(Float32Array.from(row, () => below(random, 5) - 2)),
  (row) => row.fill(0),
  (row, before, random) => row.set(rowOf(before, row.length, below(random, before.length / row.length || 1))),
  (row, before, random) => {
    row.set(rowOf(before, row.length, below(random, before.length / row.length || 1)));
    row[below(random, row.length)] *= 1 - 1.2e-7;
  },
  (row, _, random) => row.fill(1 + random()),
  (row, _, random) => row.set(uniform(random, row.length, 1e18)),
  (row, _, random) => row.set(uniform(random, row.length, 3e19)),
  (row, _, random) => row.fill(random() < 0.5 ? NOTHING : -NOTHING),
  (row, _, random) => row.set(uniform(random, row.length, 1e-19)),
  (row, _, random) => row.set(uniform(random, row.length, 1e-30)),
  (row, _, random) => row.set(uniform(random, row.length, 1e-42)),
];

/** Those that leave squares where floats are exact enough. */
const MILD_ROWS = ROWS.slice(0, 6);

/** n rows, each filled in a way drawn anew. */
function rowsOf(random: Random, n: number, d: number, ways = ROWS): Float32Array<ArrayBuffer> {
  const rows = new Float32Array(n * d);
  for (let i = 0; i < n; i++) pick(random, ways)(rowOf(rows, d, i), rows.subarray(0, i * d), random);
  return rows;
}

/** Expects results bit for bit. */
function expectSame(
  actual: SearchResult,
  expected: readonly { distances: number[]; labels: bigint[] }[],
  k: number,
): void {
  expect([actual.distances.length, actual.labels.length]).toEqual([expected.length * k, expected.length * k]);
  expected.forEach(({ distances, labels }, row) => {
    for (let i = 0; i < k; i++) {
      const [distance, label] = [actual.distances[row * k + i], BigInt(actual.labels[row * k + i])];
      if (Object.is(distance, distances[i]) && label === labels[i]) continue;
      expect.fail(`result ${i} of query ${row}: ${label} at ${distance}, not ${labels[i]} at ${distances[i]}`);
    }
  });
}

/** Expects that queries together find what each finds alone, bit for bit. */
function expectAlike(index: Index, queries: Float32Array, k: number, options?: SearchOptions): void {
  const together = index.search(queries, k, options);
  for (let i = 0; i < queries.length / index.d; i++) {
    const alone = index.search(rowOf(queries, index.d, i), k, options);
    const row = { distances: [...alone.distances], labels: Array.from(alone.labels, BigInt) };
    expectSame(
      { distances: together.distances.slice(i * k, i * k + k), labels: together.labels.slice(i * k, i * k + k) },
      [row],
      k,
    );
  }
}

test("the reference itself is the distance, within the rounding of a float", () => {
  const random = randomOf(1);
  for (const [, metric] of METRICS) {
    for (const d of DIMENSIONS) {
      const [x, y] = [uniform(random, d), uniform(random, d)];
      const bound =
        (d / 4 + 8) * 2 ** -24 * (exactKeyOf(x, new Float32Array(d), 1) + exactKeyOf(y, new Float32Array(d), 1));
      expect(Math.abs(keyOf(x, y, metric) - exactKeyOf(x, y, metric))).toBeLessThan(bound);
    }
  }
});

describe.each(METRICS)("Flat, %s", (_, metric) => {
  test.each(DIMENSIONS)("d = %i: the reference's answers, whatever the batch", async (d) => {
    const random = randomOf(d * 2 + metric);
    const rows = rowsOf(random, 131, d);
    const queries = rowsOf(random, 200, d);
    for (let i = 0; i < 200; i += 3) rowOf(queries, d, i).set(rowOf(rows, d, below(random, 131)));
    queries[7 * d + below(random, d)] = NaN;
    queries[70 * d + below(random, d)] = Infinity;
    const index = await indexFactory(d, "Flat", metric);
    await index.add(rows);
    const scanned = Array.from({ length: 200 }, (_, i) => [...scan(rowOf(queries, d, i), rows, metric)]);
    for (const k of [1, 7, 135]) {
      const expected = scanned.map((candidates) => resultOf(best(candidates, k, metric), k, metric));
      for (const batch of BATCHES) {
        const first = below(random, 201 - batch);
        const result = index.search(queries.subarray(first * d, (first + batch) * d), k);
        expectSame(result, expected.slice(first, first + batch), k);
      }
    }
  });

  test("any rows of any way, any k", () => {
    const shape = fc.record({
      seed: fc.integer(),
      d: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(...DIMENSIONS)),
      n: fc.nat(300),
      nq: fc.oneof(fc.nat(4), fc.nat(70)),
      k: fc.integer({ min: 1, max: 310 }),
      ways: fc.constantFrom(ROWS, ...ROWS.map((way) => [way])),
    });
    return fc.assert(
      fc.asyncProperty(shape, async ({ seed, d, n, nq, k, ways }) => {
        const random = randomOf(seed);
        const rows = rowsOf(random, n, d, ways);
        const queries = rowsOf(random, Math.min(nq, Math.ceil(3e5 / (n * d + 1))), d, ways);
        const index = await readIndex(flatFile(d, metric, rows));
        const expected = [];
        for (let i = 0; i * d < queries.length; i++) {
          expected.push(resultOf(best(scan(rowOf(queries, d, i), rows, metric), k, metric), k, metric));
        }
        expectSame(index.search(queries, k), expected, k);
        index.dispose();
      }),
      { numRuns: 150 },
    );
  });
});

describe("the bound that spares distances never decides", () => {
  /** Rows crowded around one point and queries among them: inner products can't tell them apart, distances can. */
  function crowd(
    seed: number,
    dimensions = [1, 2, 3, 4, 6, 17, 64, 256, 769, 3000],
    least = 1,
  ): { d: number; rows: Float32Array; queries: Float32Array; k: number } {
    const random = randomOf(seed);
    const d = pick(random, dimensions);
    // Up to where squared norms overflow, down to where they vanish.
    const scale = 10 ** (pick(random, [-23, -19, -18, -10, 0, 0, 0, 5, 17, 18.5]) + random()) / Math.sqrt(d);
    const spread = 10 ** -(1 + 7 * random());
    const level = random() < 0.3;
    const centre = level ? new Float32Array(d).fill(scale * (1 + random())) : uniform(random, d, scale);
    const around = (n: number): Float32Array => {
      const rows = new Float32Array(n * d);
      for (let i = 0; i < n; i++) {
        const shift = 1 + (random() - 0.5) * spread;
        for (let j = 0; j < d; j++) rows[i * d + j] = centre[j] * (level ? shift : 1 + (random() - 0.5) * spread);
      }
      return rows;
    };
    const n = least + below(random, Math.min(300, 60_000 / d));
    return { d, rows: around(n), queries: around(pick(random, [3, 4, 7])), k: 1 + below(random, 4) };
  }

  test("in crowds of any size and place", async () => {
    for (let seed = 0; seed < 600; seed++) {
      const { d, rows, queries, k } = crowd(seed);
      const index = await readIndex(flatFile(d, METRIC_L2, rows));
      expectAlike(index, queries, k);
      index.dispose();
    }
  });

  /** Rows of one value but for the first of each lane, which the kernels' four sums begin with. */
  function lanes(d: number, first: number, value: number): Float32Array {
    return Float32Array.from({ length: d }, (_, i) => (i < 4 ? first : value));
  }

  /** Expects that a row is found which is a little nearer than those before it, though its norms and products say otherwise. */
  async function expectNearer(query: Float32Array, nearer: Float32Array, shift: number): Promise<void> {
    const further = nearer.slice();
    further[d - 1] += shift;
    const rows = new Float32Array(140 * d);
    for (let i = 0; i < 140; i++) rows.set(i < 139 ? further : nearer, i * d);
    const index = await readIndex(flatFile(d, METRIC_L2, rows));
    const queries = Float32Array.of(...query, ...query, ...query);
    expect([...index.search(queries, 1).labels]).toEqual([139, 139, 139]);
    expectAlike(index, queries, 2);
  }

  const d = 768;
  const product = (x: Float32Array, y: Float32Array): number => -keyOf(x, y, METRIC_INNER_PRODUCT);

  test("where every addition to the norms rounds up, and every one to the product down", async () => {
    // Next to 1, floats are 2^-23 apart: a little over half of that counts as all of it.
    const small = Math.sqrt(2 ** -24) * 1.0001;
    const query = lanes(d, 1.0001, small);
    const row = lanes(d, 1.0001, -small);
    const norms = product(query, query) + product(row, row);
    const error = norms - 2 * product(query, row) - exactKeyOf(query, row, METRIC_L2);
    // Nearly all that theory allows for norms and product: d/2 roundings. A smaller margin would go wrong here.
    expect(error / norms).toBeGreaterThan(0.95 * (d / 2) * 2 ** -24);
    await expectNearer(query, row, -3e-4);
  });

  test("where squares are a few quanta and differences none", async () => {
    const quantum = 2 ** -149;
    const query = lanes(d, Math.sqrt(70.55 * quantum), Math.sqrt(70.55 * quantum));
    const row = lanes(d, Math.sqrt(69.55 * quantum), Math.sqrt(69.55 * quantum));
    expect(keyOf(query, row, METRIC_L2)).toBe(0);
    expect(product(query, query) + product(row, row) - 2 * product(query, row)).toBe(d * quantum);
    await expectNearer(query, row, -5 * Math.sqrt(quantum));
  });

  test("of the coarse step: the cells are those that a scan of the centroids finds", async () => {
    for (let seed = 0; seed < 50; seed++) {
      const { d, rows, queries } = crowd(seed, [256, 515, 768], 64);
      const nlist = rows.length / d;
      // Each cell holds its centroid, so what is found says which were probed.
      const lists = Array.from({ length: nlist }, (_, i) => ({ ids: [i], rows: rowOf(rows, d, i) }));
      for (const [, metric] of METRICS) {
        const flat = await readIndex(flatFile(d, metric, rows));
        const ivf = await readIndex(ivfFile({ d, metric, nprobe: 8, coarse: flatFile(d, metric, rows), lists }));
        for (let i = 0; i * d < queries.length; i++) {
          expect(ivf.search(rowOf(queries, d, i), 8)).toStrictEqual(flat.search(rowOf(queries, d, i), 8));
        }
        for (const index of [flat, ivf]) index.dispose();
      }
    }
  });

  test("at the largest d there is", async () => {
    const random = randomOf(4);
    const d = 1 << 20;
    const rows = new Float32Array(4 * d);
    for (let i = 0; i < rows.length; i++) rows[i] = 1.1 + random() * 1e-4;
    const index = await readIndex(flatFile(d, METRIC_L2, rows));
    expectAlike(index, rows.subarray(0, 3 * d), 2);
  });
});

/** An `IVF…,Flat` of arbitrary cells, and what its search is by definition. */
interface Ivf {
  index: Index;
  reference: (
    query: Float32Array,
    k: number,
    nprobe: number,
    ensureK: boolean,
    maxCodes: number,
  ) => ReturnType<typeof resultOf>;
  /** Whether several cells are equally near. */
  tied: (query: Float32Array) => boolean;
}

async function ivfOf(random: Random, d: number, metric: Metric, nlist: number, wide: boolean): Promise<Ivf> {
  // Among many cells bounds are used (assembly/bounds.ts), if no vector comes near the ends of what floats are.
  const ways = nlist < 64 ? ROWS : MILD_ROWS;
  const centroids = rowsOf(random, nlist, d, ways);
  const starts = [0];
  for (let list = 0; list < nlist; list++) starts.push(starts[list] + pick(random, [0, 0, 1, 2, 5]));
  const all = rowsOf(random, starts[nlist], d, ways);
  // In no order, and where they are wide also negative.
  const ids = shuffled(
    random,
    Array.from({ length: starts[nlist] }, (_, i) => BigInt(i) * (wide ? -(1n << 40n) : 3n)),
  );
  const lists = starts.slice(1).map((end, list): List => {
    return { ids: ids.slice(starts[list], end), rows: all.subarray(starts[list] * d, end * d) };
  });
  const file = ivfFile({ d, metric, nprobe: 1, coarse: flatFile(d, metric, centroids), lists });
  const cells = (query: Float32Array, n: number): number[] =>
    best(scan(query, centroids, metric), n, metric).map(({ id }) => Number(id));
  return {
    index: await readIndex(file),
    reference(query, k, nprobe, ensureK, maxCodes) {
      let left = maxCodes || Infinity;
      const found: Candidate[] = [];
      cells(query, ensureK ? nlist : nprobe).forEach((cell, i) => {
        if (i >= nprobe && best(found, k, metric).length === k) return;
        const { ids, rows } = lists[cell];
        const size = Math.min(ids.length, left);
        for (let j = 0; j < size; j++) found.push({ id: ids[j], key: keyOf(query, rowOf(rows, d, j), metric) });
        left -= size;
      });
      return resultOf(best(found, k, metric), k, metric);
    },
    tied: (query) => new Set([...scan(query, centroids, metric)].map(({ key }) => key)).size < nlist,
  };
}

describe.each(METRICS)("IVF,Flat, %s", (_, metric) => {
  const few = fc.record({
    d: fc.constantFrom(1, 2, 3, 4, 5, 8, 16, 63),
    nlist: fc.integer({ min: 1, max: 40 }),
    nq: fc.oneof(fc.nat(4), fc.nat(70)),
    nprobe: fc.integer({ min: 1, max: 42 }),
  });
  const many = fc.record({
    d: fc.constantFrom(128, 257, 768),
    nlist: fc.integer({ min: 64, max: 300 }),
    nq: fc.nat(4),
    nprobe: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 70 })),
  });
  const rest = fc.record({
    seed: fc.integer(),
    wide: fc.boolean(),
    k: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 250 })),
    maxCodes: fc.oneof(fc.constant(0), fc.nat(50)),
  });

  test.each([
    [false, "few", few, 120],
    [false, "many", many, 20],
    [true, "few", few, 120],
    [true, "many", many, 20],
  ])("the reference's answers, ensureK %s, %s cells", (ensureK, _, shape, numRuns) =>
    fc.assert(
      fc.asyncProperty(shape, rest, async ({ d, nlist, nq, nprobe }, { seed, wide, k, maxCodes }) => {
        const random = randomOf(seed);
        const { index, reference, tied } = await ivfOf(random, d, metric, nlist, wide);
        let queries = rowsOf(random, nq, d);
        if (ensureK && metric === METRIC_INNER_PRODUCT) {
          // Of cells with equal products the first are kept at a cut, but the last stand first: which one is next, is free.
          const clear = Array.from({ length: nq }, (_, i) => rowOf(queries, d, i)).filter((query) => !tied(query));
          queries = Float32Array.from(clear.flatMap((query) => [...query]));
        }
        index.set(`max_codes=${maxCodes}`);
        const expected = [];
        for (let i = 0; i * d < queries.length; i++) {
          expected.push(reference(rowOf(queries, d, i), k, Math.min(nprobe, nlist), ensureK, maxCodes));
        }
        expectSame(index.search(queries, k, { nprobe, ensureK }), expected, k);
        // The index's own nprobe gives the same, and a call's did not stick.
        expect(index.get("nprobe")).toBe(1);
        index.set(`nprobe=${nprobe}`);
        expectSame(index.search(queries, k, { ensureK }), expected, k);
        index.dispose();
      }),
      { numRuns },
    ),
  );

  test("trained, with all lists probed, equals Flat", async () => {
    const random = randomOf(6);
    const d = 24;
    const rows = uniform(random, 500 * d);
    const queries = uniform(random, 70 * d);
    const flat = await indexFactory(d, "Flat", metric);
    const ivf = await indexFactory(d, "IVF20,Flat", metric);
    await ivf.train(rows);
    await Promise.all([flat.add(rows), ivf.add(rows)]);
    for (const k of [1, 10, 600]) {
      expect(ivf.search(queries, k, { nprobe: 20 })).toStrictEqual(flat.search(queries, k));
    }
    // ensureK: all that there are, and otherwise as many as asked for.
    const found = (k: number, options: SearchOptions): number =>
      ivf.search(queries, k, options).labels.filter((label: number | bigint) => label >= 0).length;
    expect(found(600, { ensureK: true })).toBe(70 * 500);
    expect(found(200, { ensureK: true })).toBe(70 * 200);
    expect(found(200, {})).toBeLessThan(70 * 200);
  });

  test("ensureK ranks ever more cells of many, with the memory that the first ranking took", async () => {
    const random = randomOf(7);
    const d = 768;
    const rows = uniform(random, 520 * d);
    const empty = { ids: [], rows: new Float32Array(0) };
    const coarse = flatFile(d, metric, rows);
    const lists = Array.from({ length: 520 }, () => empty);
    const index = await readIndex(ivfFile({ d, metric, nprobe: 1, coarse, lists }));
    // The second add moves the storage, and with it goes what other calls took.
    for (let i = 0; i < 2; i++) await index.add(rowOf(rows, d, i));
    for (let i = 0; i < 10; i++) {
      expect([...index.search(uniform(random, d), 2, { ensureK: true }).labels].sort()).toEqual([0, 1]);
    }
  });

  test("an empty index, trained, finds nothing", async () => {
    const index = await indexFactory(2, "IVF2,Flat", metric);
    await index.train(Float32Array.of(0, 0, 1, 1));
    const nothing = resultOf([], 2, metric);
    for (const ensureK of [false, true]) expectSame(index.search(Float32Array.of(0, 1), 2, { ensureK }), [nothing], 2);
  });
});

describe("by hand", () => {
  /** What one query finds: pairs of label and distance. */
  async function found(metric: Metric, rows: number[], query: number, k: number): Promise<[number, number][]> {
    const index = await readIndex(flatFile(1, metric, Float32Array.from(rows)));
    // Alone, and in a batch.
    expectAlike(index, Float32Array.of(query, query, query), k);
    const { labels, distances } = index.search(Float32Array.of(query), k);
    return [...labels].map((label, i) => [label, distances[i]]);
  }

  test("ties are listed by ascending id under L2 and by descending id under inner product; the first stay", async () => {
    expect(await found(METRIC_L2, [5, 3, 5, 3, 3], 3, 5)).toEqual(
      [1, 3, 4]
        .map((id) => [id, 0])
        .concat([
          [0, 4],
          [2, 4],
        ]),
    );
    expect(await found(METRIC_L2, [5, 3, 5, 3, 3], 3, 2)).toEqual([
      [1, 0],
      [3, 0],
    ]);
    expect(await found(METRIC_L2, [5, 3, 5, 3, 3], 3, 4)).toEqual([
      [1, 0],
      [3, 0],
      [4, 0],
      [0, 4],
    ]);
    expect(await found(METRIC_INNER_PRODUCT, [1, 2, 1, 2, 2], 2, 5)).toEqual([
      [4, 4],
      [3, 4],
      [1, 4],
      [2, 2],
      [0, 2],
    ]);
    expect(await found(METRIC_INNER_PRODUCT, [1, 2, 1, 2, 2], 2, 2)).toEqual([
      [3, 4],
      [1, 4],
    ]);
    // Here the first two are kept until a better one comes, which the smaller id makes room for.
    expect(await found(METRIC_INNER_PRODUCT, [1, 1, 1, 2], 2, 2)).toEqual([
      [3, 4],
      [1, 2],
    ]);
  });

  test("a distance that overflows is none", async () => {
    const f32 = Math.fround;
    expect(await found(METRIC_L2, [-2e19, 0, 1e19, 3e38], 0, 4)).toEqual([
      [1, 0],
      [2, f32(f32(1e19) * f32(1e19))],
      [-1, NOTHING],
      [-1, NOTHING],
    ]);
    expect(await found(METRIC_INNER_PRODUCT, [-2e19, 0, 1e18, 3e38], 2e19, 4)).toEqual([
      [3, Infinity],
      [2, f32(f32(1e18) * f32(2e19))],
      [1, 0],
      [-1, -NOTHING],
    ]);
  });

  test("rows all equal, and more asked for than there are", async () => {
    expect(await found(METRIC_L2, [7, 7, 7], 6, 5)).toEqual([
      [0, 1],
      [1, 1],
      [2, 1],
      [-1, NOTHING],
      [-1, NOTHING],
    ]);
    expect(await found(METRIC_INNER_PRODUCT, [7, 7, 7], 1, 4)).toEqual([
      [2, 7],
      [1, 7],
      [0, 7],
      [-1, -NOTHING],
    ]);
    expect(await found(METRIC_L2, [], 6, 1)).toEqual([[-1, NOTHING]]);
  });
});

describe("where queries come from and results go", () => {
  const random = randomOf(8);
  const d = 5;
  const rows = uniform(random, 60 * d);
  const queries = uniform(random, 9 * d);
  queries[4 * d + 2] = NaN;
  const k = 3;
  async function both(): Promise<Index[]> {
    const ivf = await indexFactory(d, "IVF5,Flat");
    await ivf.train(rows);
    const indexes = [await indexFactory(d, "Flat"), ivf];
    for (const index of indexes) await index.add(rows);
    return indexes;
  }

  test("a NaN in a query is that query's affair", async () => {
    for (const index of await both()) {
      const { distances, labels } = index.search(queries, k);
      const row = [4 * k, 5 * k];
      expect([...labels.subarray(...row), ...distances.subarray(...row)]).toEqual([
        -1,
        -1,
        -1,
        NOTHING,
        NOTHING,
        NOTHING,
      ]);
      expect([...labels].filter((label) => label < 0)).toHaveLength(k);
      expectAlike(index, queries, k);
    }
  });

  test("subarrays and shared memory", async () => {
    for (const index of await both()) {
      const expected = index.search(queries, k);
      const padded = new Float32Array(queries.length + 7).fill(NaN);
      padded.set(queries, 3);
      const shared = new Float32Array(new SharedArrayBuffer(queries.byteLength + 8), 4, queries.length);
      shared.set(queries);
      for (const source of [padded.subarray(3, 3 + queries.length), shared]) {
        expect(index.search(source, k)).toStrictEqual(expected);
      }
      const distances = new Float32Array(new SharedArrayBuffer(9 * k * 4));
      const labels = new Int32Array(new SharedArrayBuffer(9 * k * 4));
      index.searchInto(shared, k, distances, labels);
      expect([[...distances], [...labels]]).toEqual([[...expected.distances], [...expected.labels]]);
    }
  });

  test("vectors that are trained on and added may be subarrays in shared memory, and be overwritten at once", async () => {
    const [, expected] = await both();
    const shared = new Float32Array(new SharedArrayBuffer(rows.byteLength + 8), 8, rows.length);
    shared.set(rows);
    const index = await indexFactory(d, "IVF5,Flat");
    const training = index.train(shared);
    shared.fill(NaN);
    await training;
    shared.set(rows);
    const adding = index.add(shared);
    shared.fill(NaN);
    await adding;
    expect(index.toBytes()).toStrictEqual(expected.toBytes());
  });

  test("searchInto writes n x k results, of either width, and nothing else", async () => {
    for (const index of await both()) {
      const expected = index.search(queries, k);
      const distances = new Float32Array(9 * k + 9).fill(-42);
      const narrow = new Int32Array(9 * k + 9).fill(-42);
      const wide = new BigInt64Array(9 * k + 9).fill(-42n);
      for (const labels of [narrow, wide]) {
        index.searchInto(queries, k, distances.subarray(2), labels.subarray(2));
        const inner = [2, 2 + 9 * k];
        expect([...distances.subarray(...inner)]).toEqual([...expected.distances]);
        expect(Array.from(labels.subarray(...inner), Number)).toEqual([...expected.labels]);
        expect([...distances, ...labels].filter((x) => Number(x) === -42)).toHaveLength(18);
      }
    }
  });

  test("warming up, and searches with parameters of their own, leave no trace", async () => {
    for (const index of await both()) {
      const [expected, bytes] = [index.search(queries, k), index.toBytes()];
      index.warmUp({ batch: 3, k: 100, nprobe: 4, ensureK: true });
      index.search(queries, 70, { nprobe: 5, ensureK: true, kFactor: 2.5, efSearch: 9 });
      expect(index.search(queries, k)).toStrictEqual(expected);
      expect(index.toBytes()).toStrictEqual(bytes);
    }
  });
});

describe("lists of many rows, which are scanned in stretches", () => {
  test.each([METRIC_L2, METRIC_INNER_PRODUCT] as const)(
    "all lists together are what Flat finds, metric %i",
    async (metric) => {
      const d = 768; // a stretch has 84 rows
      const vectors = uniform(randomOf(7), 500 * d);
      const queries = uniform(randomOf(8), 5 * d);
      const [flat, ivf] = [await indexFactory(d, "Flat", metric), await indexFactory(d, "IVF2,Flat", metric)];
      for (const index of [flat, ivf]) {
        await index.train(vectors);
        await index.add(vectors);
      }
      for (const batch of [queries, queries.subarray(0, d)]) {
        expect(ivf.search(batch, 10, { nprobe: 2 })).toEqual(flat.search(batch, 10));
      }
    },
  );
});
