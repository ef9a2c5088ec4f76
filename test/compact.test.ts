import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Basis } from "../src/codec/basis.js";
import { CompactCode } from "../src/codec/compact.js";
import { kernelsOf } from "../src/codec/kernels.js";
import * as Compact from "../src/codec/compact.gen.js";
import { indexFactory, METRIC_INNER_PRODUCT, METRIC_L2, readIndex } from "../src/index.js";
import type { IdType, Index, Metric } from "../src/index.js";
import { blend, readVoice, shrinkVoice, voiceCodec } from "../src/rvc/index.js";
import { voiceOf } from "../src/rvc/measure.js";
import { Engine } from "../src/wasm/engine.js";
import { CODE } from "../src/wasm/records.js";
import { Pace } from "../src/work/pace.js";
import { innerKernels } from "./inner.js";
import { randomOf, uniform } from "./random.js";
import { synthetic } from "./synthetic.js";

// Voices whose numbers are kept: they answer as the vectors that these stand for.

const K = 8;

async function voice(d: number, n: number, options: object, metric: Metric = METRIC_L2) {
  const { base, queries } = synthetic(d, 0, n, 24);
  const index = await indexFactory(d, `IVF${Math.ceil(n / 50)},Flat`, metric);
  await index.train(base);
  await index.addWithIds(
    base,
    Int32Array.from({ length: n }, (_, i) => 3 * i + 1),
  );
  const { index: small } = await shrinkVoice(index, { sample: 16, ...options });
  const bytes = small.toBytes();
  const [plain, compact] = [await readVoice(bytes), await readVoice(bytes, { compact: true })];
  return { bytes, plain, compact, queries, base };
}

const faissOf = (index: Index<IdType>) => voiceOf("index", index).toFaiss();

/** Searches of both give the same but for rounding: equally far ones may change places. */
function alike(a: { distances: Float32Array; labels: ArrayLike<unknown> }, b: typeof a, k: number): void {
  for (let row = 0; row < a.distances.length / k; row++) {
    const span = Math.abs(b.distances[row * k]) + Math.abs(b.distances[(row + 1) * k - 1]);
    const close = (x: number, y: number) => Math.abs(x - y) <= 3e-5 * span + 1e-9;
    for (let i = row * k; i < (row + 1) * k; i++) {
      if (Math.abs(b.distances[i]) < 1e30) expect(close(a.distances[i], b.distances[i])).toBe(true);
      if (a.labels[i] === b.labels[i]) continue;
      // Another one, that is as far.
      const twin = Array.from({ length: k }, (_, j) => row * k + j).find((j) => b.labels[j] === a.labels[i]);
      expect(close(b.distances[i], twin === undefined ? b.distances[(row + 1) * k - 1] : b.distances[twin])).toBe(true);
    }
  }
}

describe("a compact voice", () => {
  for (const [name, d, n, options, metric] of [
    ["of numbers of 8 bits", 32, 3000, { ratio: 3.4 }, METRIC_L2],
    ["of numbers of 16 bits", 32, 3000, { error: 0.004 }, METRIC_L2],
    ["in layers", 24, 2000, { layers: 3 }, METRIC_L2],
    ["of an odd dimension", 7, 1500, { ratio: 1.5 }, METRIC_L2],
    ["of inner products", 32, 3000, { ratio: 3.4 }, METRIC_INNER_PRODUCT],
  ] as const) {
    it(`answers as its vectors do: ${name}`, async () => {
      const { bytes, plain, compact, queries } = await voice(d, n, options, metric);
      expect(compact.description).toBe(plain.description);
      expect(compact.toBytes()).toEqual(bytes);
      expect(compact.ids()).toEqual(plain.ids());
      expect(compact.reconstructBatch(plain.ids())).toEqual(plain.reconstructBatch(plain.ids()));
      expect(compact.reconstruct(4)).toEqual(plain.reconstruct(4));
      expect(Buffer.compare(faissOf(compact), faissOf(plain))).toBe(0);
      const filterOf = (index: Index<IdType>) => index.filter((id: number | bigint) => Number(id) % 4 !== 1);
      for (const nprobe of [1, 3, 1000]) {
        alike(compact.search(queries, K, { nprobe }), plain.search(queries, K, { nprobe }), K);
        for (const count of [1, 5]) {
          const some = queries.subarray(0, count * d);
          alike(
            compact.search(some, K, { nprobe, ensureK: true }),
            plain.search(some, K, { nprobe, ensureK: true }),
            K,
          );
          const [own, other] = [compact, plain].map((index) =>
            index.search(some, K, { nprobe, filter: filterOf(index) }),
          );
          alike(own, other, K);
        }
        if (metric !== METRIC_L2) continue;
        const [own, other] = [compact, plain].map((index) =>
          blend(index, queries.slice(), { k: K, nprobe, rate: 0.8 }),
        );
        const scale = Math.max(...queries.map(Math.abs));
        const far = own.reduce((most, x, i) => Math.max(most, Math.abs(x - other[i])), 0);
        expect(far).toBeLessThan(1e-3 * scale);
      }
      const middle = plain.search(queries.subarray(0, d), 20, { nprobe: 1000 }).distances[10];
      const [own, other] = [compact, plain].map((index) => index.rangeSearch(queries, middle * 1.0001, { nprobe: 9 }));
      expect(Array.from(own.labels, Number).sort()).toEqual(Array.from(other.labels, Number).sort());
    });
  }

  it("keeps its blends within rounding of those of its vectors", async () => {
    const { plain, compact, queries } = await voice(48, 3000, { ratio: 4 });
    const [own, other] = [compact, plain].map((index) => blend(index, queries.slice(), { nprobe: 8 }));
    let [far, moved] = [0, 0];
    own.forEach((x, i) => {
      far += (x - other[i]) ** 2;
      moved += (other[i] - queries[i]) ** 2;
    });
    expect(Math.sqrt(far / moved)).toBeLessThan(1e-5);
  });

  it("takes a quarter of the memory of its vectors", async () => {
    const { plain, compact } = await voice(64, 8000, { ratio: 6 });
    expect(compact.memory / plain.memory).toBeLessThan(0.45);
  });

  it("refuses what it can't do, and stays as it was", async () => {
    const { bytes, plain, compact, base, queries } = await voice(16, 1500, { ratio: 3 });
    const refused = { code: "ERR_UNSUPPORTED", message: expect.stringMatching(/compact: true/) as string };
    await expect(compact.add(base.subarray(0, 16))).rejects.toMatchObject(refused);
    await expect(compact.addWithIds(base.subarray(0, 16), [9])).rejects.toMatchObject(refused);
    await expect(compact.upsert(base.subarray(0, 16), [4])).rejects.toMatchObject(refused);
    await expect(compact.mergeFrom(await readVoice(bytes, { compact: true }))).rejects.toMatchObject(refused);
    await expect(plain.mergeFrom(compact)).rejects.toMatchObject({ code: "ERR_PARAMETER" });
    expect(compact.toBytes()).toEqual(bytes);
    for (const compactAs of ["yes", 1])
      await expect(readVoice(bytes, { compact: compactAs as unknown as boolean })).rejects.toMatchObject({
        code: "ERR_PARAMETER",
      });
    // Vectors can go: what is left is written as faiss would.
    const own = await readVoice(bytes);
    for (const index of [compact, own]) expect(index.removeIds([4, 7, 100])).toBe(3);
    const again = await readIndex(compact.toBytes());
    expect(Buffer.compare(again.toBytes(), own.toBytes())).toBe(0);
    alike(compact.search(queries, K, { nprobe: 4 }), again.search(queries, K, { nprobe: 4 }), K);
    compact.reset();
    expect(compact.search(queries, 1).labels.every((label) => label === -1)).toBe(true);
  });

  it("is read by readIndex too, from part of a file, and ended by a signal", async () => {
    const { bytes } = await voice(16, 1500, { layers: 2 });
    const options = { codecs: [voiceCodec], compact: true, layers: 1 };
    const first = await readIndex(bytes, options);
    const ids = first.ids();
    expect(first.reconstructBatch(ids)).toEqual((await readVoice(bytes, { layers: 1 })).reconstructBatch(ids));
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(readIndex(bytes, { ...options, signal })).rejects.toThrow("enough");
  });
});

/** Keys of a row four times over, or infinity where its bound is above a bar. */
const FOUR = `
import { Compact } from "./codec/compact";
export function four(code: usize, row: usize, bar: f32, out: usize): void {
  v128.store(out, changetype<Compact>(code).four(row, row, row, row, bar));
}`;

describe("the kernels of compact rows", () => {
  const f = Math.fround;
  /** The sum of four lanes, as the kernels take it. */
  const four = (lanes: number[]) => f(f(lanes[0] + lanes[1]) + f(lanes[2] + lanes[3]));

  it("equal their scalar twin", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 70 }),
        fc.integer({ min: 1, max: 9 }),
        fc.boolean(),
        fc.nat(),
        async (d, n, wide, seed) => {
          const engine = new Engine();
          const kernels = kernelsOf(engine);
          const width = Math.max(1, Math.min(d, Math.ceil((d * ((seed % 3) + 1)) / 24) * 8));
          const padded = Math.ceil(width / 16) * 16;
          const random = uniform(randomOf(seed), 20_000);
          let drawn = 0;
          const draw = () => random[drawn++ % random.length];
          const basis = new Basis(engine, kernels, d, d);
          const write = (_first: number, _n: number, into: Float32Array) => into.forEach((_, i) => (into[i] = draw()));
          const made = await basis.append(d, write, new Pace());
          fc.pre(made);
          const floats = (values: ArrayLike<number>) => {
            const at = engine.allocate(values.length * 4);
            engine.f32.set(values, at >>> 2);
            return at;
          };
          const most = wide ? 3000 : 127;
          const numbers = Int16Array.from({ length: n * width }, () => {
            const x = draw();
            return Math.round(x * (Math.abs(x) > 0.8 ? most : 3));
          });
          const [ones, twos] = [0, 1].map(() =>
            Float32Array.from({ length: padded }, (_, j) => (j < width ? draw() / 5 : 0)),
          );
          const scales = Float32Array.from({ length: n }, () => Math.abs(draw()) / 4);
          const [onesAt, twosAt, scalesAt] = [ones, twos, scales].map(floats);
          const numbersAt = engine.allocate(numbers.byteLength);
          engine.u8.set(new Uint8Array(numbers.buffer), numbersAt);
          const rowBytes = kernels.compactRowBytes(width, wide ? 1 : 0);
          expect(rowBytes).toBe(padded * (wide ? 2 : 1) + 20);
          const rows = engine.allocate(rowBytes * n + 64);
          const largest = kernels.foldRows(numbersAt, n, width, width, onesAt, twosAt, scalesAt, 0, wide ? 1 : 0, rows);
          expect(largest).toBe(numbers.reduce((top, k) => Math.max(top, Math.abs(k)), 0));

          const value = (i: number, j: number) => {
            const k = numbers[i * width + j];
            const size = Math.abs(k);
            const more = size === 1 ? ones[j] : size === 2 ? twos[j] : 0;
            return Math.sign(k) * f(size + more);
          };
          const view = new DataView(engine.u8.buffer);
          for (let i = 0; i < n; i++) {
            const at = rows + i * rowBytes;
            for (let j = 0; j < padded; j++) {
              const k = wide ? view.getInt16(at + 2 * j, true) : view.getInt8(at + j);
              expect(k).toBe(j < width ? numbers[i * width + j] : 0);
            }
            let [square, sizes, away] = [0, 0, 0];
            for (let j = 0; j < width; j++) {
              const size = Math.abs(numbers[i * width + j]);
              const more = size === 1 ? ones[j] : size === 2 ? twos[j] : 0;
              square += (size + more) ** 2;
              sizes += size;
              away += more * more;
            }
            const a = scales[i];
            const factors = [a, a * a * square, 0.51 * 1.000001 * a * sizes, 1.000001 * a * Math.sqrt(away)];
            factors.forEach((factor, l) =>
              expect(view.getFloat32(rows + (i + 1) * rowBytes - 20 + 4 * l, true)).toBe(f(factor)),
            );
          }

          // Keys: those that the bound lets pass are the twin's to the bit, and the bound lets pass all that are below the bar.
          const centroid = Float32Array.from({ length: d }, draw);
          const query = Float32Array.from({ length: d }, draw);
          const [centroidAt, queryAt, centreAt] = [centroid, query, new Float32Array(d)].map(floats);
          kernels.product(centroidAt, 1, d, d, basis.asColumns, d, d, 0, centreAt, d);
          const rotatedAt = floats(new Float32Array(d));
          kernels.product(queryAt, 1, d, d, basis.asColumns, d, width, 0, rotatedAt, d);
          const rest = Array.from({ length: width }, (_, j) =>
            f(engine.f32[(rotatedAt >>> 2) + j] - engine.f32[(centreAt >>> 2) + j]),
          );
          const square = rest.reduce((total, r) => f(total + f(r * r)), 0);
          const coarse = engine.allocate(8);
          engine.kernels.squaredNorms(queryAt, 1, d, coarse);
          const distance = await distanceOf(query, centroid);
          const remain = width === d ? 0 : Math.max(0, f(distance - square));
          const keys = Array.from({ length: n }, (_, i) => {
            const lanes = [0, 0, 0, 0];
            for (let j = 0; j < padded; j++) {
              const difference = f((rest[j] ?? 0) - f(scales[i] * (j < width ? value(i, j) : 0)));
              lanes[j % 4] = f(lanes[j % 4] + f(difference * difference));
            }
            return f(remain + four(lanes));
          });
          const record = CODE >>> 2;
          const fields = {
            d,
            width,
            wide: wide ? 1 : 0,
            most: largest,
            columns: basis.asColumns,
            ones: onesAt,
            twos: twosAt,
          };
          for (const [field, word] of Object.entries({ ...fields, centres: centreAt, centroids: centroidAt }))
            engine.i32[record + Compact[field as keyof typeof Compact]] = word;
          const farthest = Math.max(
            ...Array.from(scales, (a, i) => {
              let sum = 0;
              for (let j = 0; j < width; j++) sum += value(i, j) ** 2;
              return a * Math.sqrt(sum);
            }),
          );
          const code = new CompactCode(engine, d, METRIC_L2, {
            basis,
            width,
            wide,
            most: largest,
            reach: farthest,
            ones: onesAt,
            twos: twosAt,
            centres: centreAt,
          });
          const found = scanOf(engine, code, { rows, n, queryAt, centroidAt, k: Math.min(n, 3) });
          const sorted = [...keys].sort((x, y) => x - y).slice(0, Math.min(n, 3));
          expect(found).toEqual(sorted);

          // The bound takes off no more than what it says: a bar a little below it rules a row out, one a little above it does not.
          const { four: boundAt } = await innerKernels<"four">(engine, FOUR);
          const peak = rest.reduce((top, r) => Math.max(top, Math.abs(r)), 0);
          const levels = Math.min(32767, Math.floor(0x7fffffff / (Math.max(1, largest) * padded)));
          const whole = rest.map((r) => Math.round(f(r * f(levels / peak))));
          const length = Math.sqrt(square);
          const reach = length + farthest;
          const slack = (2 * width + 64) * 2 ** -24 * (reach * reach + distance);
          const out = engine.allocate(16);
          for (let i = 0; i < n; i++) {
            const [a, a2v2, halves, away] = [0, 1, 2, 3].map((l) =>
              view.getFloat32(rows + (i + 1) * rowBytes - 20 + 4 * l, true),
            );
            let dot = 0;
            for (let j = 0; j < width; j++) dot += whole[j] * numbers[i * width + j];
            const unit = peak / levels;
            const taken = 2 * (unit * a * dot + unit * halves + length * away);
            const bound = remain + square + a2v2 - taken - slack;
            const near = 1e-5 * (remain + square + a2v2 + Math.abs(taken) + slack) + 2 * unit * a;
            for (const [bar, isOut] of [
              [bound - near, true],
              [bound + near, false],
            ] as const) {
              boundAt(CODE, rows + i * rowBytes, bar, out);
              expect(engine.f32[out >>> 2] === Infinity).toBe(isOut);
            }
          }
        },
      ),
      { numRuns: 60, seed: 5 },
    );
  });
});

/** The squared distance as the kernels of the core take it. */
async function distanceOf(a: Float32Array, b: Float32Array): Promise<number> {
  const index = await indexFactory(a.length, "Flat");
  await index.add(b);
  return index.search(a, 1).distances[0];
}

/** Scans one list of rows for one query. */
function scanOf(
  engine: Engine,
  code: CompactCode,
  { rows, n, queryAt, centroidAt, k }: { rows: number; n: number; queryAt: number; centroidAt: number; k: number },
): number[] {
  const [starts, sizes, ids, probes, coarse, distances, slots] = [4, 4, 8 * n, 4, 4, 4 * k, 4 * k].map((bytes) =>
    engine.allocate(bytes),
  );
  engine.u32[starts >>> 2] = 0;
  engine.u32[sizes >>> 2] = n;
  engine.i32[probes >>> 2] = 0;
  engine.i64.fill(0n, ids >>> 3, (ids >>> 3) + n);
  const lists = { nlist: 1, starts, sizes, codes: rows, ids, layout: code.layout };
  code.coarse = { centroids: centroidAt } as never;
  const scan = {
    lists: lists as never,
    queries: queryAt,
    nq: 1,
    probes,
    coarse,
    nprobe: 1,
    atLeast: 1,
    maxCodes: 0,
    admitted: 0,
    centroids: 0,
    k,
    distances,
    slots,
    matches: undefined,
  };
  engine.reserveScratch(code.scanScratch(lists as never, 1, 1) + 64);
  code.scan(scan);
  return Array.from(engine.f32.subarray(distances >>> 2, (distances >>> 2) + k));
}
