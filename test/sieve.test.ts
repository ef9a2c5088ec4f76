import { describe, expect, test, vi } from "vitest";
import { indexFactory, METRIC_INNER_PRODUCT, METRIC_L2, readIndex } from "../src/index.js";
import type { Index } from "../src/index.js";
import { Sieve } from "../src/graph/sieve.js";
import { VectorIndex } from "../src/handle/vector-index.js";
import { Random } from "../src/work/random.js";
import { FILLS } from "./hostile.js";

// A graph whose rows have heads must answer, to the bit, what it answers without: heads that leave out too much would lose neighbours.

const [N, D] = [1100, 128];

/** Rows of 40 dimensions at most, so that heads say nearly all of them, and queries: rows, some a little off, and others. */
function vectorsOf(name: string): { rows: Float32Array; queries: Float32Array } {
  const random = new Random(5);
  const of = (n: number): Float32Array => {
    const vectors = new Float32Array(n * D);
    for (let i = 0; i < n; i++) {
      const few = Array.from({ length: 40 }, (_, j) => FILLS[name](i, j, random));
      for (let j = 0; j < D; j++) vectors[i * D + j] = few[j % 40] * (j < 40 ? 1 : 0.5);
    }
    return vectors;
  };
  const rows = of(N);
  const queries = of(60);
  queries.set(rows.subarray(0, 20 * D));
  for (let j = 0; j < 10 * D; j++) queries[j] *= 1 + 2 ** -12 * random.unit();
  return { rows, queries };
}

/** What an index finds after warmUp, with heads of its rows, where there are some, and without; and where the heads were. */
async function both(
  rows: Float32Array,
  compare: (index: Index) => unknown,
): Promise<{ given: unknown; expected: unknown; address: number }> {
  const made = vi.spyOn(Sieve.prototype, "make");
  const index = await indexFactory(D, "HNSW8");
  await index.add(rows);
  const plain = await readIndex(index.toBytes(), { bounds: false });
  for (const each of [index, plain]) each.warmUp({ batch: 1, k: 1 });
  const [given, expected] = [compare(index), compare(plain)];
  const addresses = (made.mock.contexts as Sieve[]).map(({ address }) => address);
  made.mockRestore();
  expect(addresses[1]).toBe(0);
  for (const each of [index, plain]) each.dispose();
  return { given, expected, address: addresses[0] };
}

describe("the bits of a search without heads", () => {
  test.each(Object.keys(FILLS))("%s", async (name) => {
    const { rows, queries } = vectorsOf(name);
    const { given, expected, address } = await both(rows, (index) =>
      [1, 9].flatMap((k) => [2, 16, 50].map((efSearch) => index.search(queries, k, { efSearch }))),
    );
    expect(given).toEqual(expected);
    // Beyond heads: rows without a length, with one near the end of f32, and so different ones that sums of some are those of one.
    expect(address > 0).toBe(!["zeros", "very short", "too long", "mixed"].includes(name));
  });

  test("of a query that is too long for them, or infinitely far", async () => {
    const { rows } = vectorsOf("low rank");
    const queries = new Float32Array(3 * D).fill(1e16, D).fill(1e25, 2 * D);
    const { given, expected, address } = await both(rows, (index) => index.search(queries, 5));
    expect(given).toEqual(expected);
    expect(address).toBeGreaterThan(0);
  });
});

/** An index of rows that have heads, and its parts. */
async function warm(
  options: object = {},
  metric: 0 | 1 = METRIC_L2,
): Promise<{ index: VectorIndex; rows: Float32Array; queries: Float32Array; sieve: Sieve }> {
  const made = vi.spyOn(Sieve.prototype, "make");
  const { rows, queries } = vectorsOf("low rank");
  const index = await indexFactory(D, "HNSW8", metric, options);
  if (!(index instanceof VectorIndex)) return expect.unreachable();
  await index.add(rows);
  index.warmUp({ batch: 1, k: 1 });
  const [sieve] = made.mock.contexts as Sieve[];
  made.mockRestore();
  return { index, rows, queries, sieve };
}

test("they are used: a row that is changed behind them goes unseen", async () => {
  const { index, rows, sieve } = await warm();
  const query = rows.slice(0, D).map((x, j) => x + (j % 40 === 7 ? 0.5 : 0));
  const { node } = index;
  const { f32 } = node.engine;
  const { address } = sieve;
  let [seen, plain] = [0, 0];
  for (const far of index.search(query, 1000, { efSearch: 1000 }).labels.slice(20)) {
    const at = (node.rows >>> 2) + Number(far) * D;
    const before = f32.slice(at, at + D);
    f32.set(query, at);
    if (index.search(query, 8).distances[0] === 0) seen++;
    sieve.address = 0;
    if (index.search(query, 8).distances[0] === 0) plain++;
    sieve.address = address;
    f32.set(before, at);
  }
  expect(plain).toBeGreaterThan(20);
  expect(seen).toBeLessThan(plain / 2);
});

test("what changes rows gives them up; filters and radii do without", async () => {
  const { index, rows, queries, sieve } = await warm();
  const plain = await readIndex(index.toBytes(), { bounds: false });
  const filters = [index, plain].map((each) => each.filter({ from: 100, to: 900 }));
  const options = { efSearch: 30 };
  expect(index.search(queries, 5, { ...options, filter: filters[0] })).toEqual(
    plain.search(queries, 5, { ...options, filter: filters[1] }),
  );
  const radius = index.search(queries, 8, options).distances[7];
  expect(index.rangeSearch(queries, radius, options)).toEqual(plain.rangeSearch(queries, radius, options));
  expect(sieve.address).toBeGreaterThan(0);
  for (const each of [index, plain]) await each.add(rows.subarray(0, 3 * D));
  expect(sieve.address).toBe(0);
  expect(index.search(queries, 5, options)).toEqual(plain.search(queries, 5, options));
  index.warmUp({ batch: 1, k: 1 });
  expect(sieve.address).toBeGreaterThan(0);
  expect(index.search(queries, 5, options)).toEqual(plain.search(queries, 5, options));
  index.reset();
  expect(sieve.address).toBe(0);
});

test("none where they would not pay, under inner product, or without the memory for them", async () => {
  expect((await warm({}, METRIC_INNER_PRODUCT)).sieve.address).toBe(0);
  const { index } = await warm();
  const bytes = index.toBytes();
  const read = async (options: object): Promise<{ memory: number; made: boolean }> => {
    const made = vi.spyOn(Sieve.prototype, "make");
    const again = await readIndex(bytes, options);
    again.warmUp({ batch: 1, k: 1 });
    const [{ address }] = made.mock.contexts as Sieve[];
    made.mockRestore();
    return { memory: again.memory, made: address > 0 };
  };
  const without = await read({ bounds: false });
  const given = await read({});
  expect([without.made, given.made]).toEqual([false, true]);
  // A line of the cache for each row, the basis, and what is made it of.
  expect(given.memory - without.memory).toBeLessThan(N * 64 + 49 * D * 4 + 64 * 2 * D * 4 + 3 * 65536);
  expect((await read({ maxBytes: without.memory + 65536 })).made).toBe(false);

  const random = new Random(3);
  const noise = await indexFactory(D, "HNSW8");
  await noise.add(Float32Array.from({ length: N * D }, () => random.unit()));
  const made = vi.spyOn(Sieve.prototype, "make");
  noise.warmUp({ batch: 1, k: 1 });
  expect((made.mock.contexts as Sieve[])[0].address).toBe(0);
  made.mockRestore();
});
