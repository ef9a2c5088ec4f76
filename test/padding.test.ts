import { expect, test } from "vitest";
import { indexFactory, METRIC_INNER_PRODUCT, METRIC_L2 } from "../src/index.js";
import { randomOf, uniform } from "./random.js";

// Blocks of packed codes are filled up with zeros behind the last vector. These are codes too: here the queries are what they stand for.

const [SUB, BITS] = [2, 4];
/** Bytes before the codebook of a flat index: its header, then d, M, bits and how many numbers follow. */
const CODEBOOK = 37 + 32;

test.each([
  ["PQ8x4fs", 8, METRIC_L2],
  ["PQ8x4fs_64", 8, METRIC_L2],
  ["PQ8x4fs", 8, METRIC_INNER_PRODUCT],
  // Of long lists and wide codes the nearest groups are sought first.
  ["PQ20x4fs", 20, METRIC_L2],
  ["PQ33x4fs", 33, METRIC_L2],
  ["PQ20x4fs", 20, METRIC_INNER_PRODUCT],
] as const)("%s, M %i, metric %i: what fills a block up is never found", async (kind, M, metric) => {
  const random = randomOf(1);
  const D = M * SUB;
  const index = await indexFactory(D, kind, metric);
  await index.train(uniform(random, 500 * D));
  const view = new DataView(index.toBytes().buffer);
  expect([0, 1, 2, 3].map((i) => Number(view.getBigUint64(37 + 8 * i, true)))).toEqual([D, M, BITS, 16 * D]);
  const centroid = (m: number, c: number, j: number): number =>
    view.getFloat32(CODEBOOK + ((m * 16 + c) * SUB + j) * 4, true);
  const first = Float32Array.from({ length: D }, (_, at) => centroid(at >> 1, 0, at & 1));
  // Rows that are far from it: the nearest of all would be what is behind them.
  const query = metric === METRIC_L2 ? first : first.map((x) => 100 * x);
  let n = 0;
  for (const to of [1, 31, 32, 33, 95, 100, 1000, 1023, 1025, 2047, 4100, 9001]) {
    await index.add(uniform(random, (to - n) * D).map((x, at) => x - 2 * first[at % D]));
    n = to;
    for (const k of [1, 8, 40, 300]) {
      const queries = new Float32Array(3 * D);
      for (let i = 0; i < 3; i++) queries.set(query, i * D);
      for (const some of [queries, query]) {
        const { labels } = index.search(some, k);
        for (let i = 0; i < labels.length; i += k) {
          const own = labels.subarray(i, i + k);
          const found = own.filter((label) => label >= 0);
          expect(found.length, `${k} of ${n}`).toBe(Math.min(k, n));
          expect(found.every((label) => label < n)).toBe(true);
          expect(new Set(found).size).toBe(found.length);
        }
      }
    }
  }
});

test("nor behind the last stretch of a list of more than 131,072 vectors", async () => {
  const M = 18;
  const random = randomOf(2);
  const index = await indexFactory(M, "PQ18x4fs");
  await index.train(uniform(random, 500 * M));
  const view = new DataView(index.toBytes().buffer);
  const first = Float32Array.from({ length: M }, (_, m) => view.getFloat32(CODEBOOK + m * 64, true));
  const n = 131072 + 65536 + 5;
  const some = uniform(random, 1000 * M).map((x, at) => x - 2 * first[at % M]);
  const rows = new Float32Array(n * M);
  for (let from = 0; from < rows.length; from += some.length) rows.set(some.subarray(0, rows.length - from), from);
  // Nearer than all others, and not as near as what is behind it.
  rows.set(
    uniform(random, M, 0.7).map((x, m) => x + first[m]),
    (n - 3) * M,
  );
  await index.add(rows);
  const { labels } = index.search(first, 8);
  expect(labels[0]).toBe(n - 3);
  expect([...labels].every((label) => label >= 0 && label < n)).toBe(true);
});
