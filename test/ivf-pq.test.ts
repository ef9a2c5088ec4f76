import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { indexFactory, METRIC_INNER_PRODUCT, METRIC_L2, readIndex } from "../src/index.js";
import type { Index, Metric, SearchOptions, SearchResult } from "../src/index.js";
import { decoded, parsePacked } from "./packed-files.js";
import type { PackedFile } from "./packed-files.js";
import { randomOf, shuffled, uniform } from "./random.js";
import { best, keyOf, NOTHING, rowOf, scan } from "./reference.js";
import { synthetic } from "./synthetic.js";
import type { Dataset } from "./synthetic.js";

const METRICS: [name: string, metric: Metric][] = [
  ["L2", METRIC_L2],
  ["inner product", METRIC_INNER_PRODUCT],
];

/** A candidate of an index that numbers its vectors itself. */
interface Found {
  id: number;
  key: number;
}

/** An index that has learnt from a data set and holds its base. */
async function filled(data: Dataset, description: string, metric: Metric = METRIC_L2): Promise<Index> {
  const index = await indexFactory(data.d, description, metric);
  await index.train(data.train);
  await index.add(data.base);
  return index;
}

/** The rows of an array. */
function rowsOf(rows: Float32Array, d: number): Float32Array[] {
  return Array.from({ length: rows.length / d }, (_, i) => rowOf(rows, d, i));
}

function concatRows(rows: Float32Array[], d: number): Float32Array<ArrayBuffer> {
  const all = new Float32Array(rows.length * d);
  rows.forEach((row, i) => all.set(row, i * d));
  return all;
}

/** The labels of one query. */
function labelsOf(result: SearchResult, k: number, query: number): number[] {
  return Array.from(result.labels.slice(query * k, (query + 1) * k), Number);
}

/** The share of queries whose label stands among the first `among` of another answer. */
function recall(found: SearchResult, k: number, among: number, truth: number[]): number {
  return truth.filter((label, i) => labelsOf(found, k, i).slice(0, among).includes(label)).length / truth.length;
}

/** The lists by distance from a query, naively. */
function nearestLists(file: PackedFile, query: Float32Array, metric: Metric, nprobe: number): number[] {
  return best(scan(query, file.centroids, metric), nprobe, metric).map(({ id }) => Number(id));
}

/** The vectors that the codes of each list stand for. */
function decodedLists(file: PackedFile): { id: number; row: Float32Array }[][] {
  return file.lists.map(({ ids }, list) => ids.map((id, i) => ({ id: Number(id), row: decoded(file, list, i) })));
}

/** PQ search with float tables, by the definition: such a distance is that to the decoded vector. Here in double precision. */
function searchFloat(
  rows: readonly { id: number; row: Float32Array }[],
  query: Float32Array,
  metric: Metric,
  k: number,
): Found[] {
  function* candidates(): Generator<Found> {
    for (const { id, row } of rows) {
      let key = 0;
      if (metric === METRIC_L2) for (let j = 0; j < row.length; j++) key += (query[j] - row[j]) ** 2;
      else for (let j = 0; j < row.length; j++) key -= query[j] * row[j];
      yield { id, key };
    }
  }
  return best(candidates(), k, metric) as Found[];
}

describe("the bars of faiss' own tests", () => {
  const data = synthetic(32, 2000, 5000, 200);
  const queries = rowsOf(data.queries, 32);

  test("PQ16x4fs: recall@1 above .6", async () => {
    const more = synthetic(32, 2000, 5000, 1000);
    const truth = (await filled(more, "Flat")).search(more.queries, 1);
    const found = (await filled(more, "PQ16x4fs")).search(more.queries, 1);
    expect(recall(found, 1, 1, Array.from(truth.labels, Number))).toBeGreaterThan(0.6);
  });

  test.each([
    ["L2", METRIC_L2, 0.99],
    ["inner product", METRIC_INNER_PRODUCT, 0.98],
  ] as const)("PQ16x4fs, %s: as float tables with the same codes", async (_, metric, bar) => {
    const index = await filled(data, "PQ16x4fs", metric);
    const [rows] = decodedLists(parsePacked(index.toBytes()));
    const found = index.search(data.queries, 10);
    const expected = queries.map((query) => searchFloat(rows, query, metric, 10));
    const first = expected.map(([{ id }]) => id);
    expect(recall(found, 10, 1, first)).toBeGreaterThanOrEqual(bar);
    expect(recall(found, 10, 10, first)).toBeGreaterThan(0.995);
    const sign = metric === METRIC_L2 ? 1 : -1;
    const exact = expected.flat().map(({ key }) => sign * key);
    const errors = exact.reduce((sum, distance, i) => sum + (found.distances[i] - distance) ** 2, 0);
    expect(errors).toBeLessThan(1e-4 * exact.reduce((sum, distance) => sum + distance ** 2, 0));
    // The size of the blocks changes nothing.
    expect((await filled(data, "PQ16x4fs_64", metric)).search(data.queries, 10)).toEqual(found);
  });

  const bars: [description: string, metric: Metric, bars: number[]][] = [
    ["IVF32,PQ16x4fs", METRIC_L2, [0.991, 1.0, 9.907]],
    ["IVF32,PQ16x4fsr", METRIC_L2, [0.985, 1.0, 9.872]],
    ["IVF32,PQ16x4fsr", METRIC_INNER_PRODUCT, [0.987, 1.0, 9.914]],
    ["IVF32,PQ16x4fs", METRIC_INNER_PRODUCT, [0.986, 1.0, 9.917]],
  ];
  test.each(bars)("%s, metric %i, nprobe 4: as float IVFPQ with the same codes", async (description, metric, bars) => {
    const index = await filled(data, description, metric);
    const file = parsePacked(index.toBytes());
    const lists = decodedLists(file);
    const found = index.search(data.queries, 10, { nprobe: 4 });
    const expected = queries.map((query) => {
      const rows = nearestLists(file, query, metric, 4).flatMap((list) => lists[list]);
      return searchFloat(rows, query, metric, 10).map(({ id }) => id);
    });
    const first = expected.map(([id]) => id);
    const common = expected.map((ids, i) => labelsOf(found, 10, i).filter((id) => ids.includes(id)).length);
    const intersection = common.reduce((sum, x) => sum + x, 0) / 200;
    const measured = [recall(found, 10, 1, first), recall(found, 10, 10, first), intersection];
    measured.forEach((value, i) => expect(value).toBeGreaterThanOrEqual(0.995 * bars[i]));
  });
});

describe.each(METRICS)("re-ranking, %s", (_, metric) => {
  const data = synthetic(24, 700, 1500, 40, 7);
  const queries = rowsOf(data.queries, 24);
  /** Each vector three times, so that ties lie across the cut. */
  const tripled = {
    ...data,
    base: concatRows(
      [0, 1, 2].flatMap(() => rowsOf(data.base.subarray(0, 500 * 24), 24)),
      24,
    ),
  };

  test.each(["PQ12x4fs", "IVF16,PQ12x4fs", "IVF16,PQ3x4fsr_64"])(
    "%s,RFlat: the base's candidates by exact distance",
    async (base) => {
      const [plain, refined] = [await filled(tripled, base, metric), await filled(tripled, `${base},RFlat`, metric)];
      for (const index of [plain, refined]) if (base.startsWith("IVF")) index.set("nprobe=5");
      for (const [kFactor, candidates] of [
        [1, 10],
        [1.1, 11],
        [2, 20],
        [10, 100],
        [150, 1500],
      ]) {
        const found = plain.search(data.queries, candidates);
        const result = refined.search(data.queries, 10, { kFactor });
        queries.forEach((query, i) => {
          const labels = labelsOf(found, candidates, i).filter((label) => label >= 0);
          const keys = labels.map((id) => ({ id, key: keyOf(query, rowOf(tripled.base, 24, id), metric) }));
          const expected = best(keys, 10, metric);
          expect(labelsOf(result, 10, i)).toEqual(expected.map(({ id }) => id));
          const distances = [...result.distances.slice(i * 10, i * 10 + 10)];
          expect(distances).toEqual(expected.map(({ key }) => (metric === METRIC_L2 ? key : -key)));
        });
      }
      refined.set("k_factor_rf=10");
      expect(refined.search(data.queries, 10)).toEqual(refined.search(data.queries, 10, { kFactor: 10 }));
    },
  );

  test("recall grows with the factor, and is that of the base's candidates", async () => {
    const truth = Array.from((await filled(data, "Flat", metric)).search(data.queries, 1).labels, Number);
    const [base, refined] = [await filled(data, "PQ3x4fs", metric), await filled(data, "PQ3x4fs,RFlat", metric)];
    const at = (kFactor: number): number => recall(refined.search(data.queries, 10, { kFactor }), 10, 10, truth);
    expect(at(10)).toBe(recall(base.search(data.queries, 100), 100, 100, truth));
    const grown = [1, 1.1, 2, 10].map(at);
    expect(grown).toEqual([...grown].sort((a, b) => a - b));
    expect(grown[0]).toBeLessThan(grown[2]);
  });

  test("Refine(PQ…): candidates by the distance to what the second index holds", async () => {
    const index = await filled(data, "IVF16,PQ3x4fs,Refine(PQ12x4fs)", metric);
    const second = await filled(data, "PQ12x4fs", metric);
    const base = await filled(data, "IVF16,PQ3x4fs", metric);
    const file = parsePacked(second.toBytes());
    const found = base.search(data.queries, 50, { nprobe: 3 });
    const result = index.search(data.queries, 10, { nprobe: 3, kFactor: 5 });
    queries.forEach((query, i) => {
      const labels = labelsOf(found, 50, i).filter((label) => label >= 0);
      const keys = labels.map((id) => ({ id, key: keyOf(query, decoded(file, 0, id), metric) }));
      const expected = best(keys, 10, metric);
      const distances = [...result.distances.slice(i * 10, i * 10 + 10)];
      expect(distances).toEqual(expected.map(({ key }) => (metric === METRIC_L2 ? key : -key)));
      // Vectors of equal codes tie.
      if (new Set(distances).size === 10) expect(labelsOf(result, 10, i)).toEqual(expected.map(({ id }) => id));
    });
    expect(index.reconstruct(7)).toEqual(decoded(file, 0, 7));
  });

  test("fewer candidates than asked for: -1 and the largest float behind them", async () => {
    const index = await filled({ ...data, base: data.base.slice(0, 5 * 24) }, "IVF16,PQ12x4fs,RFlat", metric);
    const result = index.search(data.queries, 8, { kFactor: 3 });
    queries.forEach((query, i) => {
      const labels = labelsOf(result, 8, i);
      const count = labels.indexOf(-1);
      labels.forEach((label, place) => {
        const distance = result.distances[i * 8 + place];
        if (place < count)
          expect(distance).toBe(Math.abs(keyOf(query, rowOf(data.base, 24, label), metric)) * Math.sign(distance));
        else expect([label, distance]).toEqual([-1, metric === METRIC_L2 ? NOTHING : -NOTHING]);
      });
    });
  });
});

/** Kinds of indexes of packed codes; d = 30, so that M = 15 is odd. */
const KINDS = [
  "PQ10x4fs",
  "PQ15x4fs",
  "PQ15x4fs_64",
  "PQ15x4fs_96",
  "IVF6,PQ10x4fs",
  "IVF6,PQ15x4fs_64",
  "IVF6,PQ15x4fsr",
  "IVF6,PQ10x4fsr_96",
  "PQ15x4fs_64,RFlat",
  "IVF6,PQ15x4fs,RFlat",
  "IVF6,PQ10x4fsr,Refine(PQ15x4fs_64)",
  "IVF16(PQ5x4fs,RFlat),PQ15x4fsr,RFlat",
  "IVF16(IVF4,Flat),PQ10x4fsr",
  "IVF16(PQ5x4fs),Flat,RFlat",
];

/** Those whose files hold packed codes and centroids, and nothing else. */
const PLAIN = KINDS.filter((kind) => !kind.includes("(") && !kind.endsWith("RFlat"));

describe("an index of packed codes keeps its word", () => {
  const d = 30;
  const { train, base, queries } = synthetic(d, 800, 500, 12, 3);
  /** Trained, empty files by kind. */
  const files = new Map<string, Uint8Array<ArrayBuffer>>();

  beforeAll(async () => {
    for (const kind of KINDS) {
      for (const metric of [METRIC_L2, METRIC_INNER_PRODUCT] as const) {
        const index = await indexFactory(d, kind, metric);
        if (kind.includes("(IVF")) index.set("quantizer_nprobe=4");
        await index.train(train);
        files.set(`${kind} ${metric}`, index.toBytes());
      }
    }
  });

  const file = (kind: string, metric: Metric = METRIC_L2): Uint8Array<ArrayBuffer> => {
    const bytes = files.get(`${kind} ${metric}`);
    if (bytes === undefined) throw new Error(`there is no file of ${kind}`);
    return bytes;
  };
  const open = (kind: string, metric?: Metric): Promise<Index> => readIndex(file(kind, metric));
  const part = (from: number, to: number): Float32Array => base.subarray(from * d, to * d);
  const full: SearchOptions = { nprobe: 16, kFactor: 1000 };
  const expectBytes = (actual: Index, expected: Index): void =>
    expect(Buffer.compare(actual.toBytes(), expected.toBytes())).toBe(0);

  const expectRows = (actual: Float32Array[], expected: Float32Array[]): void =>
    expect(Buffer.compare(Buffer.from(concatRows(actual, d).buffer), Buffer.from(concatRows(expected, d).buffer))).toBe(
      0,
    );

  test.each(KINDS)("%s: any split of the adds, with a file in between or not, gives the same bytes", async (kind) => {
    const splits = fc.record({
      cuts: fc.array(fc.oneof(fc.nat(500), fc.constantFrom(0, 1, 31, 32, 33, 63, 64, 65, 96, 499)), { maxLength: 6 }),
      reread: fc.boolean(),
      count: fc.oneof(fc.constant(500), fc.nat(500)),
    });
    await fc.assert(
      fc.asyncProperty(splits, async ({ cuts, reread, count }) => {
        const whole = await open(kind);
        await whole.add(part(0, count));
        let split = await open(kind);
        const bounds = [...cuts.map((cut) => Math.min(cut, count)).sort((a, b) => a - b), count];
        let from = 0;
        for (const to of bounds) {
          await split.add(part(from, to));
          from = to;
          if (reread) split = await readIndex(split.toBytes());
        }
        expectBytes(split, whole);
      }),
      { numRuns: 12 },
    );
  });

  test.each(KINDS)("%s: written, read and written again it is the same, and answers the same", async (kind) => {
    for (const metric of [METRIC_L2, METRIC_INNER_PRODUCT] as const) {
      const untrained = await indexFactory(d, kind, metric);
      const rest = async (index: Index): Promise<Index> => {
        const again = await readIndex(index.toBytes());
        expectBytes(again, index);
        expect([again.description, again.isTrained, again.ntotal]).toEqual([kind, index.isTrained, index.ntotal]);
        return again;
      };
      const unread = await rest(untrained);
      await expect(unread.add(part(0, 1))).rejects.toMatchObject({ code: "ERR_NOT_TRAINED" });
      if (kind.includes("(IVF")) unread.set("quantizer_nprobe=4");
      // A file of an untrained index can be trained as if it had never been one.
      await unread.train(train);
      expect(Buffer.compare(unread.toBytes(), file(kind, metric))).toBe(0);
      const empty = await rest(await open(kind, metric));
      expect(empty.search(queries, 3).labels).toEqual(new Int32Array(36).fill(-1));
      await empty.add(base);
      empty.set(kind.startsWith("IVF") ? "nprobe=3" : "");
      const again = await rest(empty);
      for (const options of [{}, full])
        expect(again.search(queries, 9, options)).toEqual(empty.search(queries, 9, options));
    }
  });

  test.each(KINDS)("%s: queries together find what each finds alone", async (kind) => {
    for (const metric of [METRIC_L2, METRIC_INNER_PRODUCT] as const) {
      const index = await open(kind, metric);
      await index.add(base);
      const many = uniform(randomOf(1), 100 * d);
      many.set(queries, 40 * d);
      many[70 * d + 3] = NaN;
      for (const options of [{ nprobe: 2 }, { nprobe: 5, kFactor: 3 }, { nprobe: 1, ensureK: true }]) {
        const together = index.search(many, 7, options);
        for (let i = 0; i < 100; i += 3) {
          const alone = index.search(rowOf(many, d, i), 7, options);
          expect(together.labels.slice(i * 7, i * 7 + 7)).toEqual(alone.labels);
          expect(together.distances.slice(i * 7, i * 7 + 7)).toEqual(alone.distances);
        }
        expect(labelsOf(together, 7, 70)).toEqual(new Array(7).fill(-1));
      }
    }
  });

  test.each(KINDS)("%s: reset leaves what was learnt, and nothing else", async (kind) => {
    const [index, fresh] = [await open(kind), await open(kind)];
    await index.add(part(100, 400));
    index.reset();
    expect([index.ntotal, index.isTrained]).toEqual([0, true]);
    expectBytes(index, fresh);
    expect(index.search(queries, 2, full).labels).toEqual(new Int32Array(24).fill(-1));
    for (const one of [index, fresh]) await one.add(base);
    expectBytes(index, fresh);
    expect(index.search(queries, 5, full)).toEqual(fresh.search(queries, 5, full));
  });

  test.each(KINDS)("%s: an abort in any phase of train or add leaves all as it was", async (kind) => {
    const phases: string[] = [];
    const stopped = async (index: Index, job: (work: object) => Promise<void>): Promise<void> => {
      for (let count = 1; ; count++) {
        const before = index.toBytes();
        const controller = new AbortController();
        const seen = new Set<string>();
        const onProgress = ({ phase }: { phase: string }): void => {
          seen.add(phase);
          if (seen.size === count) controller.abort(new Error("enough"));
        };
        const outcome = await job({ signal: controller.signal, onProgress }).then(
          () => "done",
          (error: unknown) => (error as Error).message,
        );
        if (outcome === "done") {
          expect(seen.size).toBeLessThan(count);
          phases.push(...seen);
          return;
        }
        expect(outcome).toBe("enough");
        expect(Buffer.compare(index.toBytes(), before)).toBe(0);
      }
    };
    const index = await indexFactory(d, kind);
    if (kind.includes("(IVF")) index.set("quantizer_nprobe=4");
    await stopped(index, (work) => index.train(train, work));
    expect(Buffer.compare(index.toBytes(), file(kind))).toBe(0);
    await index.add(part(0, 200));
    // Twice as much, lest the phase has one step only, behind which nothing can be stopped.
    const fresh = await open(kind);
    await fresh.add(part(0, 200));
    await stopped(index, (work) => index.add(part(200, 500), work));
    await fresh.add(part(200, 500));
    expectBytes(index, fresh);
    expect(phases).toContain("product quantizer");
  });

  test.each(KINDS)("%s: an add that memory does not suffice for leaves all as it was", async (kind) => {
    let failures = 0;
    for (const pages of [1, 2, 3]) {
      const index = await readIndex(file(kind), { maxBytes: pages << 16 }).catch(() => undefined);
      for (let count = 1, failed = 0; index !== undefined && count <= 100 && failed < 4; count++) {
        const before = index.toBytes();
        const rows = part(0, [500, 37, 500, 1][(count + pages) % 4]);
        await index.add(rows).catch((error: unknown) => {
          failed++;
          failures++;
          expect(error).toMatchObject({ code: "ERR_MEMORY" });
          expect(Buffer.compare(index.toBytes(), before)).toBe(0);
        });
      }
    }
    expect(failures).toBeGreaterThan(0);
  });

  test.each(KINDS)("%s: reconstruct gives what the codes stand for", async (kind) => {
    for (const metric of [METRIC_L2, METRIC_INNER_PRODUCT] as const) {
      const index = await open(kind, metric);
      await index.add(base);
      const ids = shuffled(
        randomOf(1),
        Array.from({ length: 500 }, (_, i) => i),
      );
      const rows = rowsOf(index.reconstructBatch(ids), d);
      expect(index.reconstruct(ids[3])).toEqual(rows[3]);
      expect(() => index.reconstruct(500)).toThrow(expect.objectContaining({ code: "ERR_ID" }));
      if (kind.endsWith("RFlat")) {
        expectRows(
          rows,
          ids.map((id) => rowOf(base, d, id)),
        );
      } else if (!kind.includes("(")) {
        const file = parsePacked(index.toBytes());
        const places = file.lists.flatMap(({ ids }, list) => ids.map((id, i) => ({ id: Number(id), list, i })));
        expect(places.length).toBe(500);
        const expected = new Map(places.map(({ id, list, i }) => [id, decoded(file, list, i)]));
        expectRows(
          rows,
          ids.map((id) => expected.get(id) ?? new Float32Array(d)),
        );
      } else {
        // Of unknown parts: nearer to the vector than another vector's is.
        const error = (a: Float32Array, b: Float32Array): number => keyOf(a, b, METRIC_L2);
        const own = ids.reduce((sum, id, i) => sum + error(rows[i], rowOf(base, d, id)), 0);
        const other = ids.reduce((sum, id, i) => sum + error(rows[(i + 1) % 500], rowOf(base, d, id)), 0);
        expect(own).toBeLessThan(other * 0.3);
      }
    }
  });

  test.each(PLAIN)("%s: codes are the nearest centroids', in the nearest cells", async (kind) => {
    const { fround } = Math;
    for (const metric of [METRIC_L2, METRIC_INNER_PRODUCT] as const) {
      const index = await open(kind, metric);
      await index.add(part(0, 200));
      const file = parsePacked(index.toBytes());
      const { M, codebook, centroids, residual } = file;
      const sub = d / M;
      const nearest = (part: Float32Array, m: number): number => {
        let [winner, least] = [0, Infinity];
        for (let c = 0; c < 16; c++) {
          const sum = part.reduce((sum, x, j) => {
            const difference = fround(x - codebook[(m * 16 + c) * sub + j]);
            return fround(sum + fround(difference * difference));
          }, 0);
          if (sum < least) [winner, least] = [c, sum];
        }
        return winner;
      };
      file.lists.forEach(({ ids, numbers }, list) => {
        const rows = ids.map((id) => rowOf(base, d, Number(id)));
        if (kind.startsWith("IVF"))
          expect(rows.flatMap((row) => nearestLists(file, row, metric, 1))).toEqual(rows.map(() => list));
        const expected = rows.flatMap((row) => {
          const rest = residual ? row.map((x, j) => x - centroids[list * d + j]) : row;
          return Array.from({ length: M }, (_, m) => nearest(rest.subarray(m * sub, (m + 1) * sub), m));
        });
        expect([...numbers]).toEqual(expected);
      });
    }
  });

  describe("removal", () => {
    const removals = fc.record({
      seed: fc.integer(),
      n: fc.integer({ min: 1, max: 500 }),
      share: fc.constantFrom(0, 0.02, 0.4, 0.95, 1),
    });

    test.each(KINDS)("%s: finds what is left, where numbers close the gaps", async (kind) => {
      await fc.assert(
        fc.asyncProperty(removals, async ({ seed, n, share }) => {
          const random = randomOf(seed);
          const closes = !kind.startsWith("IVF") || kind.includes("RFlat") || kind.includes("Refine");
          const index = await open(kind);
          await index.add(part(0, n));
          const all = index.search(queries, n, full);
          const gone = Array.from({ length: n }, (_, i) => i).filter(() => random() < share);
          const kept = Array.from({ length: n }, (_, i) => i).filter((i) => !gone.includes(i));
          expect(index.removeIds([...gone, 1000, -1])).toBe(gone.length);
          expect(index.ntotal).toBe(kept.length);
          expect(index.removeIds(closes ? [1000] : gone)).toBe(0);
          const left = index.search(queries, n, full);
          // Each is as far as it was.
          for (let i = 0; i < 12; i++) {
            const was = new Map(labelsOf(all, n, i).map((label, place) => [label, all.distances[i * n + place]]));
            const now = labelsOf(left, n, i).slice(0, kept.length);
            const old = closes ? now.map((label) => kept[label]) : now;
            expect([...old].sort((a, b) => a - b)).toEqual(kept);
            const distances = [...left.distances.subarray(i * n, i * n + kept.length)];
            expect(distances).toEqual(old.map((label) => was.get(label)));
            expect(distances).toEqual([...distances].sort((a, b) => a - b));
            expect(labelsOf(left, n, i).slice(kept.length)).toEqual(new Array(gone.length).fill(-1));
          }
          const rest = await open(kind);
          await rest.add(
            concatRows(
              kept.map((i) => rowOf(base, d, i)),
              d,
            ),
          );
          kept.forEach((id, i) => {
            if (i % 7 === 0) expect(index.reconstruct(closes ? i : id)).toEqual(rest.reconstruct(i));
          });
          // In order, as if the others had never been; lists fill a gap with their last.
          if (!kind.startsWith("IVF")) expectBytes(index, rest);
          const again = await readIndex(index.toBytes());
          expect(again.search(queries, 20, full)).toEqual(index.search(queries, 20, full));
          // What comes next goes behind what is left.
          await index.add(part(0, 40));
          await rest.add(part(0, 40));
          for (let i = 0; closes && i < 40; i += 13) {
            expect(index.reconstruct(kept.length + i)).toEqual(rest.reconstruct(kept.length + i));
          }
          if (!kind.startsWith("IVF")) expectBytes(index, rest);
        }),
        { numRuns: 10 },
      );
    });

    test.each(PLAIN.filter((kind) => kind.startsWith("IVF")))(
      "%s: a list's last takes the place of what goes",
      async (kind) => {
        await fc.assert(
          fc.asyncProperty(removals, async ({ seed, n, share }) => {
            const random = randomOf(seed);
            const index = await open(kind);
            const ids = Array.from({ length: n }, (_, i) => BigInt(i) * 3n);
            await index.addWithIds(part(0, n), ids);
            const lists = parsePacked(index.toBytes()).lists.map((list) => [...list.ids]);
            const gone = ids.filter(() => random() < share);
            for (const list of lists) {
              for (let i = 0; i < list.length;) {
                if (!gone.includes(list[i])) i++;
                else {
                  const last = list.splice(-1);
                  if (i < list.length) list.splice(i, 1, ...last);
                }
              }
            }
            index.removeIds(gone);
            // An index that is given the vectors in that order has the same bytes.
            const model = await open(kind);
            const order = lists.flat();
            await model.addWithIds(
              concatRows(
                order.map((id) => rowOf(base, d, Number(id / 3n))),
                d,
              ),
              order,
            );
            expectBytes(index, model);
          }),
          { numRuns: 10 },
        );
      },
    );
  });

  test.each(KINDS)("%s inside an IDMap: the same answers under other ids", async (kind) => {
    for (const metric of [METRIC_L2, METRIC_INNER_PRODUCT] as const) {
      const [plain, mapped] = [await open(kind, metric), await indexFactory(d, `IDMap,${kind}`, metric)];
      if (kind.includes("(IVF")) mapped.set("quantizer_nprobe=4");
      await mapped.train(train);
      const ids = shuffled(
        randomOf(2),
        Array.from({ length: 500 }, (_, i) => BigInt(i) * 10n ** 12n - 7n),
      );
      await plain.add(base);
      await mapped.addWithIds(part(0, 123), BigInt64Array.from(ids.slice(0, 123)));
      await mapped.addWithIds(part(123, 500), BigInt64Array.from(ids.slice(123)));
      const again = await readIndex(mapped.toBytes());
      for (const options of [{}, { nprobe: 3, kFactor: 2 }, full]) {
        const expected = plain.search(queries, 12, options);
        const labels = Array.from(expected.labels, Number);
        for (const index of [mapped, again]) {
          const found = index.search(queries, 12, options);
          expect(found.distances).toEqual(expected.distances);
          expect(found.labels).toEqual(BigInt64Array.from(labels, (label) => (label < 0 ? -1n : ids[label])));
        }
      }
      expect(mapped.reconstruct(ids[77])).toEqual(plain.reconstruct(77));
      const gone = ids.filter((_, i) => i % 3 === 1);
      expect(mapped.removeIds(gone)).toBe(gone.length);
      expect(mapped.reconstruct(ids[75])).toEqual(plain.reconstruct(75));
      const left = new Set(Array.from(mapped.search(queries.subarray(0, d), 500, full).labels, BigInt));
      expect(left).toEqual(new Set([...ids.filter((id) => !gone.includes(id)), -1n]));
      expectBytes(await readIndex(mapped.toBytes()), mapped);
    }
  });

  test("ensureK goes on to the next lists, and no further than it needs", async () => {
    for (const kind of ["IVF6,PQ10x4fs", "IVF6,PQ15x4fs_64"]) {
      const index = await open(kind);
      await index.add(part(0, 100));
      const file = parsePacked(index.toBytes());
      const all = index.search(queries, 100, full);
      for (const [nprobe, k] of [
        [1, 5],
        [1, 40],
        [2, 60],
        [1, 100],
        [3, 120],
      ]) {
        const found = index.search(queries, k, { nprobe, ensureK: true });
        rowsOf(queries, d).forEach((query, i) => {
          const visited: bigint[] = [];
          for (const [place, list] of nearestLists(file, query, METRIC_L2, 6).entries()) {
            if (place >= nprobe && visited.length >= k) break;
            visited.push(...file.lists[list].ids);
          }
          const were = labelsOf(all, 100, i).flatMap((label, place) =>
            visited.includes(BigInt(label)) ? [all.distances[i * 100 + place]] : [],
          );
          const wanted = [...were, ...new Array<number>(k).fill(NOTHING)].slice(0, k);
          expect([...found.distances.slice(i * k, (i + 1) * k)]).toEqual(wanted);
          const labels = labelsOf(found, k, i).filter((label) => label >= 0);
          expect(new Set(labels).size).toBe(Math.min(k, visited.length));
          expect(labels.every((label) => visited.includes(BigInt(label)))).toBe(true);
        });
      }
    }
  });

  test("more rows than max_codes are not scanned, and the nearest list comes first", async () => {
    for (const kind of ["IVF6,PQ10x4fs", "IVF6,PQ15x4fs_64"]) {
      const index = await open(kind);
      await index.add(base);
      index.set("nprobe=6,max_codes=20");
      const file = parsePacked(index.toBytes());
      const found = index.search(queries, 30);
      rowsOf(queries, d).forEach((query, i) => {
        const visited = nearestLists(file, query, METRIC_L2, 6).flatMap((list) => file.lists[list].ids);
        const labels = labelsOf(found, 30, i).filter((label) => label >= 0);
        expect(new Set(labels)).toEqual(new Set(visited.slice(0, 20).map(Number)));
      });
    }
  });
});

describe("coarse quantizers", () => {
  test.each([
    ["IVF64(PQ8x4fs,RFlat),Flat", "IVF64,Flat"],
    ["IVF64(IVF8,Flat),PQ8x4fs,RFlat", "IVF64,PQ8x4fs,RFlat"],
    ["IVF64(PQ8x4fs),PQ8x4fsr", "IVF64,PQ8x4fsr"],
    ["IVF64(IVF8,PQ8x4fs,RFlat),PQ8x4fs,RFlat", "IVF64,PQ8x4fs,RFlat"],
  ])("%s: trained, filled, searched, written and read; finds what %s does", async (description, plainDescription) => {
    const data = synthetic(32, 3000, 3000, 100, 11);
    const { queries } = data;
    const index = await indexFactory(32, description);
    expect(index.description).toBe(description);
    if (description.includes("(IVF8")) index.set("quantizer_nprobe=8");
    if (description.includes("RFlat)")) index.set("quantizer_k_factor_rf=4");
    await index.train(data.train);
    await index.add(data.base.subarray(0, 1000 * 32));
    await index.add(data.base.subarray(1000 * 32));
    const exact = (await filled(data, "Flat")).search(queries, 10);
    const plain = await filled(data, plainDescription);
    const truth = Array.from({ length: 100 }, (_, i) => labelsOf(exact, 10, i));
    const common = (found: SearchResult): number =>
      truth.reduce((sum, ids, i) => sum + labelsOf(found, 10, i).filter((id) => ids.includes(id)).length, 0) / 1000;
    const everything = { nprobe: 64, kFactor: 300 };
    // Exact codes, all lists: an exact search.
    if (!description.endsWith("r")) expect(index.search(queries, 10, everything)).toEqual(exact);
    const nprobes = [1, 4, 16, 64];
    const found = nprobes.map((nprobe) => common(index.search(queries, 10, { nprobe, kFactor: 10 })));
    const wanted = nprobes.map((nprobe) => common(plain.search(queries, 10, { nprobe, kFactor: 10 })));
    found.forEach((value, i) => expect(value).toBeGreaterThan(wanted[i] - (nprobes[i] === 1 ? 0.1 : 0.03)));

    const bytes = index.toBytes();
    const again = await readIndex(bytes);
    expect(Buffer.compare(again.toBytes(), bytes)).toBe(0);
    const names = [
      ...(description.includes("(IVF8") ? ["quantizer_nprobe"] : []),
      ...(description.includes("RFlat)") ? ["quantizer_k_factor_rf"] : []),
    ];
    for (const name of ["nprobe", ...names]) expect(again.get(name)).toBe(index.get(name));
    for (const nprobe of [1, 7, 64]) {
      expect(again.search(queries, 10, { nprobe })).toEqual(index.search(queries, 10, { nprobe }));
    }
    await again.add(data.train);
    await index.add(data.train);
    expect(Buffer.compare(again.toBytes(), index.toBytes())).toBe(0);
  });

  test.each(METRICS)("bounds leave the lists alone that a query sees, %s", async (_, metric) => {
    // 256 centroids of 256 dimensions have bounds; as many training vectors as lists become the centroids.
    const [d, nlist] = [256, 256];
    const data = synthetic(d, nlist, 300, 40, 21);
    const near = (rows: Float32Array, nprobe: number): number[][] =>
      rowsOf(rows, d).map((row) => best(scan(row, data.train, metric), nprobe, metric).map(({ id }) => Number(id)));
    const cells = near(data.base, 1).map(([list]) => list);
    const lists = near(data.queries, 32);
    for (const kind of ["PQ8x4fs", "PQ8x4fsr_64"]) {
      const index = await filled(data, `IVF${nlist},${kind}`, metric);
      const file = parsePacked(index.toBytes());
      expect(Buffer.compare(Buffer.from(file.centroids.buffer), Buffer.from(data.train.buffer))).toBe(0);
      const placed = file.lists.flatMap(({ ids }, list) => ids.map((id): [number, number] => [Number(id), list]));
      expect(placed.sort(([a], [b]) => a - b).map(([, list]) => list)).toEqual(cells);
      for (const nprobe of [1, 4, 16, 32]) {
        const found = index.search(data.queries, 300, { nprobe });
        lists.forEach((own, i) => {
          const probes = own.slice(0, nprobe);
          const seen = placed.flatMap(([id, list]) => (probes.includes(list) ? [id] : []));
          const labels = labelsOf(found, 300, i).filter((id) => id >= 0);
          expect(labels.sort((a, b) => a - b)).toEqual(seen);
        });
      }
    }
  });

  test.each(["IVF20(IVF16,Flat),PQ4x4fs,RFlat", "IVF20(IVF16,Flat),PQ4x4fsr"])(
    "%s: duplicates among the centroids leave no vector without a list",
    async (description) => {
      // Of 20 centroids, 5 are distinct: of the 16 lists of the nested quantizer most are empty, and some look nearest.
      const random = randomOf(1);
      const distinct = uniform(random, 5 * 4);
      const index = await indexFactory(4, description);
      await index.train(
        concatRows(
          Array.from({ length: 20 }, (_, i) => rowOf(distinct, 4, i % 5)),
          4,
        ),
      );
      await index.add(uniform(random, 200 * 4, 2));
      expect(index.ntotal).toBe(200);
      index.set("nprobe=20,quantizer_nprobe=16");
      const found = index.search(distinct, 200);
      for (let i = 0; i < 5; i++) expect(new Set(labelsOf(found, 200, i)).size).toBe(200);
    },
  );
});
