import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { indexFactory, METRIC_INNER_PRODUCT, METRIC_L2, readIndex } from "../src/index.js";
import type { Filter, Index, IdType, Metric } from "../src/index.js";
import { blend } from "../src/rvc/index.js";
import { countCoded } from "./coded.js";
import { randomOf, uniform } from "./random.js";

// A filtered search must find what an unfiltered one finds of the admitted rows alone, to the bit; a range search what an unfiltered search of
// all has within the radius. Both hold for every kind of index: what an index makes of its codes is the same in both.

const D = 32;
const N = 700;
const KINDS = [
  "Flat",
  "IVF8,Flat",
  "PQ8x4fs",
  "IVF8,PQ8x4fs",
  "IVF8,PQ8x4fsr",
  "IVF8,PQ16x4fs_64,RFlat",
  "PQ8x4fs,RFlat",
  "IDMap,Flat",
  "IDMap,IVF8,PQ8x4fs,RFlat",
  "RaBitQfs",
  "IVF8,RaBitQfs_64",
  "IVF8,RaBitQ",
  "IVF8,SQ8",
  "PQ8",
  "IVF8,PQ8",
] as const;
const METRICS: readonly Metric[] = [METRIC_L2, METRIC_INNER_PRODUCT];

/** The ids that IDMaps and IVFs are given: not in the order of the rows. */
const idOf = (row: number): number => (row * 389) % 1009;

async function make(kind: string, metric: Metric, rows: Float32Array): Promise<Index> {
  const index = await indexFactory(D, kind, metric);
  await index.train(rows, { seed: 3 });
  if (kind.startsWith("IDMap"))
    await index.addWithIds(
      rows,
      Array.from({ length: rows.length / D }, (_, i) => idOf(i)),
    );
  else await index.add(rows);
  return index;
}

/** Of n rows, which are admitted: none, one, every so many, all but few, all. */
const SELECTIVITIES: Record<string, (row: number) => boolean> = {
  none: () => false,
  "one row": (row) => row === 411,
  ".3 %": (row) => row % 350 === 7,
  "10 %": (row) => row % 10 === 3,
  "a run": (row) => row >= 130 && row < 290,
  "90 %": (row) => row % 10 !== 3,
  all: () => true,
};

/** The filter as ids, as a function, and as what the opposite leaves. */
function filtersOf(index: Index, ids: number[], admitted: Set<number>): Filter[] {
  const rest = ids.filter((id) => !admitted.has(id));
  return [
    index.filter([...admitted]),
    index.filter(new Set(admitted)),
    index.filter((id: number) => admitted.has(id)),
    index.filter(rest).not(),
    index.filter(Int32Array.from(rest)).or(index.filter([])).not(),
    index.filter({ from: 0 }).and(index.filter(Int32Array.from(admitted))),
  ];
}

/** Everything the index finds of each query, in the order of its distances: ids and distances. */
function everything(index: Index, queries: Float32Array): { label: number; distance: number }[][] {
  const n = queries.length / D;
  const { ntotal } = index;
  // All candidates are compared again, all cells are looked into.
  const { distances, labels } = index.search(queries, ntotal, { nprobe: 8 });
  return Array.from({ length: n }, (_, i) =>
    Array.from({ length: ntotal }, (_, j) => ({
      label: labels[i * ntotal + j],
      distance: distances[i * ntotal + j],
    })).filter(({ label }) => label >= 0),
  );
}

describe.each(METRICS)("metric %i", (metric) => {
  describe.each(KINDS)("%s", (kind) => {
    const rows = uniform(randomOf(5), N * D);
    const queries = uniform(randomOf(6), 7 * D);
    const scale = metric === METRIC_L2 ? 1 : -1;

    test.each(Object.keys(SELECTIVITIES))("%s: what an unfiltered search finds of the admitted", async (name) => {
      const index = await make(kind, metric, rows);
      const ids = Array.from(index.ids());
      const rowOfId = new Map(Array.from({ length: N }, (_, row) => [kind.startsWith("IDMap") ? idOf(row) : row, row]));
      const admitted = new Set(ids.filter((id) => SELECTIVITIES[name](rowOfId.get(id) ?? -1)));
      const expected = everything(index, queries).map((all) => all.filter(({ label }) => admitted.has(label)));
      const k = 6;
      for (const warm of [false, true]) {
        if (warm) index.warmUp({ batch: 4, k, nprobe: 8 });
        for (const filter of filtersOf(index, ids, admitted)) {
          expect(filter.count).toBe(admitted.size);
          for (const batch of [1, 2, 7]) {
            const part = queries.subarray(0, batch * D);
            // Candidates of a Refine are then all that are admitted, as they are above.
            const { distances, labels } = index.search(part, k, { nprobe: 8, kFactor: 1000, filter });
            for (let i = 0; i < batch; i++) {
              const want = expected[i].slice(0, k);
              const got = Array.from({ length: k }, (_, j) => distances[i * k + j]);
              expect(got.slice(0, want.length)).toEqual(want.map(({ distance }) => distance));
              for (let j = want.length; j < k; j++) expect(labels[i * k + j]).toBe(-1);
              // Among equal distances at the cut, any of them.
              const last = want.at(-1)?.distance;
              want.forEach(({ label, distance }, j) => {
                if (distance !== last && want.filter((other) => other.distance === distance).length === 1)
                  expect(labels[i * k + j]).toBe(label);
                expect(admitted.has(labels[i * k + j])).toBe(true);
              });
            }
          }
        }
      }
    });

    test("ensureK goes on until k admitted are found", async () => {
      const index = await make(kind, metric, rows);
      const few = Array.from(index.ids()).filter((_, i) => i % 40 === 1);
      const filter = index.filter(few);
      const { labels } = index.search(queries, 12, { nprobe: 1, ensureK: true, filter });
      for (const label of labels) expect(few).toContain(label);
      for (let i = 0; i < 7; i++) expect(new Set(labels.subarray(i * 12, i * 12 + 12)).size).toBe(12);
    });

    test("rangeSearch: what an unfiltered search has within the radius, best first, filtered and not", async () => {
      const index = await make(kind, metric, rows);
      const all = everything(index, queries);
      const filter = index.filter((id: number) => id % 3 === 0);
      for (const rank of [0, 1, 30, 300, all[0].length - 1]) {
        const radius = all[0][rank].distance;
        for (const options of [{}, { filter }]) {
          const { lims, distances, labels } = index.rangeSearch(queries, radius, { nprobe: 8, ...options });
          expect([lims.length, lims[0], lims[7], distances.length]).toEqual([8, 0, labels.length, labels.length]);
          for (let i = 0; i < 7; i++) {
            const want = all[i].filter(
              ({ label, distance }) =>
                (metric === METRIC_L2 ? distance < radius : distance > radius) &&
                (!("filter" in options) || label % 3 === 0),
            );
            const own = Array.from(distances.subarray(lims[i], lims[i + 1]));
            if (kind.includes("PQ") && kind.includes("RFlat")) {
              // What the first index has beyond the radius is not compared again.
              const labelsWanted = new Set(want.map(({ label }) => label));
              for (const label of labels.subarray(lims[i], lims[i + 1])) expect(labelsWanted.has(label)).toBe(true);
            } else {
              expect(own).toEqual(want.map(({ distance }) => distance));
              expect(new Set(labels.subarray(lims[i], lims[i + 1]))).toEqual(new Set(want.map(({ label }) => label)));
            }
            expect([...own].sort((a, b) => scale * (a - b))).toEqual(own);
          }
        }
      }
    });
  });
});

describe.each(METRICS)("rangeSearch of a Refine, metric %i", (metric) => {
  // faiss 1.15: what the first index has within k_factor times the radius, if the exact distance is within the radius. Its inner products
  // are looked for within the radius itself.
  test.each([1, 3, 50])("k_factor %i", async (kFactor) => {
    const rows = uniform(randomOf(5), N * D);
    const queries = uniform(randomOf(6), 7 * D);
    const refined = await make("IVF8,PQ8x4fs,RFlat", metric, rows);
    const base = await make("IVF8,PQ8x4fs", metric, rows);
    const flat = await make("Flat", metric, rows);
    const radius = everything(flat, queries)[0][40].distance;
    const far = metric === METRIC_L2 ? Math.fround(radius * kFactor) : radius;
    const near = base.rangeSearch(queries, far, { nprobe: 4 });
    const exact = flat.rangeSearch(queries, radius);
    const found = refined.rangeSearch(queries, radius, { nprobe: 4, kFactor });
    refined.kFactor = kFactor;
    expect(refined.rangeSearch(queries, radius, { nprobe: 4 })).toEqual(found);
    for (let i = 0; i < 7; i++) {
      const seen = new Set(near.labels.subarray(near.lims[i], near.lims[i + 1]));
      const kept = (_: unknown, at: number): boolean => seen.has(exact.labels[exact.lims[i] + at]);
      const of = (from: ArrayLike<number>): number[] =>
        Array.from({ length: exact.lims[i + 1] - exact.lims[i] }, (_, at) => from[exact.lims[i] + at]).filter(kept);
      expect([...found.labels.subarray(found.lims[i], found.lims[i + 1])]).toEqual(of(exact.labels));
      expect([...found.distances.subarray(found.lims[i], found.lims[i + 1])]).toEqual(of(exact.distances));
    }
  });
});

test("rangeSearch of a Refine within a Refine goes by the inner one's own k_factor", async () => {
  const rows = uniform(randomOf(5), N * D);
  const queries = rows.subarray(0, 20 * D);
  const [once, twice] = [
    await make("PQ1x4fs,RFlat", METRIC_L2, rows),
    await make("PQ1x4fs,RFlat,RFlat", METRIC_L2, rows),
  ];
  const radius = 0.3 * everything(once, queries)[0][40].distance;
  const found = once.rangeSearch(queries, radius, { kFactor: 2 });
  // Codes of four bits leave out some of the rows that are within the radius: they are not looked for twice as far once more.
  expect(once.rangeSearch(queries, radius, { kFactor: 4 }).labels.length).toBeGreaterThan(found.labels.length);
  expect(twice.rangeSearch(queries, radius, { kFactor: 2 })).toEqual(found);
});

describe.each(METRICS)("through bounds of the rows, metric %i", (metric) => {
  // With so many dimensions warmUp makes codes; a limit taken from rows that are left out would lose neighbours. Rows near to the
  // queries are left out, so that it would be far too small.
  const [d, n, k] = [128, 900, 5];
  const random = randomOf(12);
  const queries = uniform(random, 6 * d);
  const rows = uniform(random, n * d);
  for (let i = 0; i < n; i += 2) {
    for (let j = 0; j < d; j++)
      rows[i * d + j] = queries[(i % 6) * d + j] * (metric === METRIC_L2 ? 1 : 9) + 0.01 * rows[i * d + j];
  }

  test.each(["Flat", "IVF4,Flat"])("%s", async (kind) => {
    const index = await indexFactory(d, kind, metric);
    await index.train(rows);
    await index.add(rows);
    const options = { nprobe: 4 };
    const selections = [(id: number) => id % 2 === 1, (id: number) => id % 18 === 1, (id: number) => id === 7];
    const before = selections.map((which) => index.search(queries, k, { ...options, filter: index.filter(which) }));
    index.warmUp({ batch: 6, k, ...options });
    const count = countCoded(index);
    selections.forEach((which, i) => {
      const filter = index.filter(which);
      for (const batch of [1, 6]) {
        const found = index.search(queries.subarray(0, batch * d), k, { ...options, filter });
        expect(found.labels).toEqual(before[i].labels.subarray(0, batch * k));
        expect(found.distances).toEqual(before[i].distances.subarray(0, batch * k));
      }
    });
    expect(count()).toBe(6);
    expect([...before[0].labels].every((id) => id % 2 === 1)).toBe(true);
  });
});

describe("a filter", () => {
  const rows = uniform(randomOf(9), 300 * D);

  test("follows what is added and removed", async () => {
    const index = await make("IVF8,Flat", METRIC_L2, rows);
    const even = index.filter((id: number) => id % 2 === 0);
    expect(even.count).toBe(150);
    await index.addWithIds(rows.subarray(0, 4 * D), [1000, 1001, 1002, 1003]);
    expect(even.count).toBe(152);
    const nearest = index.search(rows.subarray(0, D), 2, { nprobe: 8, filter: even }).labels;
    expect([...nearest]).toEqual([0, 1000]);
    index.removeIds([0]);
    expect(even.count).toBe(151);
    expect(index.search(rows.subarray(0, D), 1, { nprobe: 8, filter: even }).labels[0]).toBe(1000);
    index.reset();
    expect(even.count).toBe(0);
  });

  test("is the index's own, and says what it can't take", async () => {
    const [index, other] = [await make("Flat", METRIC_L2, rows), await make("Flat", METRIC_L2, rows)];
    const query = rows.subarray(0, D);
    const code = (run: () => unknown): unknown => {
      try {
        run();
      } catch (error) {
        return (error as { code?: unknown }).code;
      }
      return undefined;
    };
    expect(code(() => index.search(query, 1, { filter: other.filter([1]) }))).toBe("ERR_PARAMETER");
    expect(code(() => index.search(query, 1, { filter: {} as Filter }))).toBe("ERR_PARAMETER");
    expect(code(() => index.filter([1]).and(other.filter([1])))).toBe("ERR_PARAMETER");
    expect(code(() => index.filter(5 as never))).toBe("ERR_PARAMETER");
    expect(code(() => index.filter({} as never))).toBe("ERR_PARAMETER");
    expect(code(() => index.filter([1.5]))).toBe("ERR_ID");
    expect(code(() => index.filter(new Float32Array(2) as never))).toBe("ERR_ID");
    expect(code(() => index.rangeSearch(query, NaN))).toBe("ERR_PARAMETER");
    expect(code(() => index.rangeSearch(query, "1" as never))).toBe("ERR_PARAMETER");
  });

  test("of 64-bit ids is asked for bigints", async () => {
    const wide = await indexFactory<IdType>(D, "IDMap,Flat");
    const ids = BigInt64Array.from({ length: 300 }, (_, i) => BigInt(i) << 33n);
    await wide.addWithIds(rows, ids);
    expect(wide.ids()).toEqual(ids);
    expect(wide.filter((id: bigint) => id > 5n << 33n).count).toBe(294);
    expect(wide.filter({ from: 1n << 33n, to: 4n << 33n }).count).toBe(3);
    expect(wide.filter([2n << 33n]).count).toBe(1);
    expect(wide.has(2n << 33n)).toBe(true);
    expect(wide.has(3)).toBe(false);
  });

  test("in a blend leaves the other neighbours out", async () => {
    const index = await make("IVF8,Flat", METRIC_L2, rows);
    const only = await indexFactory(D, "Flat");
    const kept = Array.from({ length: 300 }, (_, i) => i).filter((i) => i % 7 === 0);
    await only.add(Float32Array.from(kept.flatMap((i) => [...rows.subarray(i * D, i * D + D)])));
    const features = uniform(randomOf(2), 5 * D);
    const given = blend(index, features.slice(), { k: 4, nprobe: 8, filter: index.filter(kept) });
    expect(given).toEqual(blend(only, features.slice(), { k: 4 }));
  });

  test("is kept through a file by asking again, over any shape", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 130 }),
        fc.nat(),
        fc.integer({ min: 1, max: 9 }),
        async (n, seed, k) => {
          const random = randomOf(seed);
          const own = uniform(random, n * D);
          const made = await indexFactory(D, "IVF3,Flat");
          await made.train(uniform(random, 9 * D));
          await made.add(own);
          const index = await readIndex(made.toBytes());
          const admitted = Array.from({ length: n }, (_, i) => i).filter(() => random() < 0.4);
          const flat = await indexFactory(D, "Flat");
          await flat.add(Float32Array.from(admitted.flatMap((i) => [...own.subarray(i * D, i * D + D)])));
          const query = uniform(random, 2 * D);
          const { labels, distances } = index.search(query, k, { nprobe: 3, filter: index.filter(admitted) });
          const want = flat.search(query, k);
          expect(distances).toEqual(want.distances);
          expect([...labels]).toEqual(Array.from(want.labels, (label) => (label < 0 ? -1 : admitted[label])));
        },
      ),
      { numRuns: 60, seed: 1 },
    );
  });
});
