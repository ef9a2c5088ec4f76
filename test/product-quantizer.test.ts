import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { METRIC_INNER_PRODUCT, METRIC_L2 } from "../src/index.js";
import { Reader } from "../src/format/reader.js";
import { openSource } from "../src/format/unreadable.js";
import { Writer } from "../src/format/writer.js";
import { ProductQuantizer } from "../src/quantizers/product.js";
import { permutation } from "../src/work/random.js";
import { Pace } from "../src/work/pace.js";
import { Engine } from "../src/wasm/engine.js";
import type { Warning } from "../src/wasm/options.js";
import { concat, i64, raw } from "./files.js";
import { below, pick, randomOf, uniform } from "./random.js";
import type { Random } from "./random.js";
import { rowOf } from "./reference.js";
import { synthetic } from "./synthetic.js";

/** The bytes that a file has of a quantizer. */
function bytesOf(quantizer: ProductQuantizer): Uint8Array<ArrayBuffer> {
  const writer = new Writer(new Engine());
  quantizer.write(writer);
  return writer.finish();
}

/** The codebook, [M][K][d / M]: what a file has behind d, M, nbits and its length. */
function codebookOf(quantizer: ProductQuantizer): Float32Array<ArrayBuffer> {
  return new Float32Array(bytesOf(quantizer).slice(32).buffer);
}

async function trained(
  d: number,
  M: number,
  nbits: number,
  vectors: Float32Array,
  seed = 1234,
): Promise<ProductQuantizer> {
  const quantizer = new ProductQuantizer(new Engine(), d, M, nbits);
  await quantizer.train(vectors, seed, new Pace());
  return quantizer;
}

/** Encodes and decodes n x d vectors by the quantizer's own kernels. */
function roundTrip(
  engine: Engine,
  quantizer: ProductQuantizer,
  vectors: Float32Array,
): { numbers: Uint8Array; decoded: Float32Array } {
  const n = vectors.length / quantizer.d;
  const [from, numbers] = [engine.allocate(vectors.byteLength), engine.allocate(n * quantizer.M)];
  engine.f32.set(vectors, from >>> 2);
  quantizer.quantize(from, n, numbers);
  engine.u8.fill(0xff, from, from + vectors.byteLength);
  quantizer.dequantize(numbers, n, from);
  return {
    numbers: engine.u8.slice(numbers, numbers + n * quantizer.M),
    decoded: engine.f32.slice(from >>> 2, (from >>> 2) + vectors.length),
  };
}

/** Squared distances of one sub-vector to K centroids, rounded to a float after each operation. */
function distances(part: Float32Array, centroids: Float32Array): number[] {
  const { fround } = Math;
  const sub = part.length;
  return Array.from({ length: centroids.length / sub }, (_, c) =>
    part.reduce((sum, x, j) => {
      const difference = fround(x - centroids[c * sub + j]);
      return fround(sum + fround(difference * difference));
    }, 0),
  );
}

/** The numbers of the nearest centroids, the first of equals, and the distances to them. */
function encode(
  vectors: Float32Array,
  codebook: Float32Array,
  d: number,
  M: number,
): { numbers: Uint8Array; errors: Float64Array } {
  const sub = d / M;
  const numbers = new Uint8Array((vectors.length / d) * M);
  const errors = new Float64Array(M);
  for (let i = 0; i < numbers.length; i++) {
    const own = rowOf(codebook, codebook.length / M, i % M);
    const all = distances(rowOf(vectors, sub, i), own);
    const least = Math.min(...all);
    numbers[i] = all.indexOf(least);
    errors[i % M] += least;
  }
  return { numbers, errors };
}

/** k-means as faiss does it, in double precision: the objective of each iteration. points: n x d. */
function kmeans(points: Float32Array, d: number, k: number, iterations: number, seed: number): number[] {
  const n = points.length / d;
  const order = permutation(n, seed + 1);
  const centroids = new Float64Array(k * d);
  for (let c = 0; c < k; c++) centroids.set(rowOf(points, d, order[c]), c * d);
  return Array.from({ length: iterations }, () => {
    const sums = new Float64Array(k * d);
    const counts = new Float64Array(k);
    let total = 0;
    for (let i = 0; i < n; i++) {
      let [winner, least] = [0, Infinity];
      for (let c = 0; c < k; c++) {
        let sum = 0;
        for (let j = 0; j < d; j++) sum += (points[i * d + j] - centroids[c * d + j]) ** 2;
        if (sum < least) [winner, least] = [c, sum];
      }
      total += least;
      counts[winner]++;
      for (let j = 0; j < d; j++) sums[winner * d + j] += points[i * d + j];
    }
    // Clusters of these data are never empty.
    centroids.set(sums.map((sum, at) => sum / counts[Math.floor(at / d)]));
    return total;
  });
}

/** The columns of one sub-quantizer. */
function columns(vectors: Float32Array, d: number, from: number, count: number): Float32Array {
  return Float32Array.from(
    { length: (vectors.length / d) * count },
    (_, i) => vectors[Math.floor(i / count) * d + from + (i % count)],
  );
}

/** Expects the same items, bit for bit. */
function expectSame<T extends ArrayBufferView>(actual: T, expected: T): void {
  const bytes = ({ buffer, byteOffset, byteLength }: T): Buffer => Buffer.from(buffer, byteOffset, byteLength);
  if (Buffer.compare(bytes(actual), bytes(expected)) !== 0) expect(actual).toEqual(expected);
  expect(actual.byteLength).toBe(expected.byteLength);
}

function meanError(vectors: Float32Array, decoded: Float32Array): number {
  return vectors.reduce((sum, x, i) => sum + (x - decoded[i]) ** 2, 0) / vectors.length;
}

describe("training", () => {
  const { train: vectors } = synthetic(32, 3000, 0, 0);

  test.each([
    [4, 4, 1500],
    [16, 4, 1500],
    [8, 8, 700],
  ])("M = %i, %i bits: the objective of a scalar k-means from the same first centroids", async (M, nbits, n) => {
    const given = vectors.subarray(0, n * 32);
    const { errors } = encode(given, codebookOf(await trained(32, M, nbits, given, 7)), 32, M);
    const sub = 32 / M;
    for (const m of [0, M - 1]) {
      const objective = kmeans(columns(given, 32, m * sub, sub), sub, 2 ** nbits, 26, 7);
      for (let i = 1; i < objective.length; i++) expect(objective[i]).toBeLessThanOrEqual(objective[i - 1]);
      // Roundings lead to another optimum now and then, but to none that is worse by more than that.
      expect(errors[m]).toBeLessThan(objective[25] * 1.02);
      expect(errors[m]).toBeGreaterThan(objective[25] * 0.98);
      expect(errors[m]).toBeLessThan(objective[0] * 0.9);
    }
  });

  test("the same seed gives the same codebook, another seed another", async () => {
    const codebook = bytesOf(await trained(32, 8, 4, vectors, 3));
    expect(bytesOf(await trained(32, 8, 4, vectors, 3))).toEqual(codebook);
    expect(bytesOf(await trained(32, 8, 4, vectors, 4))).not.toEqual(codebook);
  });

  test("at most 256 vectors a centroid are used, drawn by the seed", async () => {
    const { train: many } = synthetic(4, 256 * 16 + 700, 0, 0);
    const order = permutation(many.length / 4, 5);
    const drawn = Float32Array.from([...order.subarray(0, 256 * 16)].flatMap((row) => [...rowOf(many, 4, row)]));
    expect(bytesOf(await trained(4, 2, 4, many, 5))).toEqual(bytesOf(await trained(4, 2, 4, drawn, 5)));
  });

  test("as many vectors as centroids become the centroids", async () => {
    const given = vectors.subarray(0, 16 * 32);
    const quantizer = await trained(32, 4, 4, given);
    const { errors } = encode(given, codebookOf(quantizer), 32, 4);
    expect([...errors]).toEqual([0, 0, 0, 0]);
  });

  test.each([1, 2, 5, 15])("%i distinct vectors, fewer than centroids, are all met", async (distinct) => {
    const given = Float32Array.from(
      { length: 900 * 8 },
      (_, i) => 1 + ((Math.floor(i / 8) % distinct) * 37 + (i % 8)) / 8,
    );
    for (const nbits of [4, 8]) {
      const codebook = codebookOf(await trained(8, 2, nbits, given));
      expect(codebook.every(Number.isFinite)).toBe(true);
      const { errors } = encode(given, codebook, 8, 2);
      // A centroid without vectors takes half of another's, and the two are shifted apart.
      const scale = given.reduce((sum, x) => sum + x * x, 0);
      expect(errors[0] + errors[1]).toBeLessThan(1e-3 * scale);
    }
  });

  test("too few vectors are refused, few are warned of", async () => {
    const warnings: Warning[] = [];
    const quantizer = new ProductQuantizer(new Engine({ onWarning: (warning) => warnings.push(warning) }), 32, 4, 4);
    const few = quantizer.train(vectors.subarray(0, 15 * 32), 1, new Pace());
    await expect(few).rejects.toMatchObject({
      code: "ERR_PARAMETER",
      message: expect.stringContaining("15") as string,
    });
    expect(warnings).toEqual([]);
    await quantizer.train(vectors.subarray(0, (39 * 16 - 1) * 32), 1, new Pace());
    expect(warnings).toMatchObject([{ code: "WARN_FEW_POINTS", message: expect.stringContaining("624") as string }]);
    await quantizer.train(vectors.subarray(0, 39 * 16 * 32), 1, new Pace());
    expect(warnings.length).toBe(1);
  });

  test("an abort at any step leaves the codebook that was", async () => {
    const quantizer = await trained(32, 4, 4, vectors.subarray(0, 700 * 32));
    const before = bytesOf(quantizer);
    for (const stop of [1, 2, 30, 80]) {
      const controller = new AbortController();
      const pace = new Pace({ signal: controller.signal });
      const step = pace.step.bind(pace);
      let steps = 0;
      pace.step = async (...progress) => {
        if (++steps === stop) controller.abort(new Error("enough"));
        await step(...progress);
      };
      await expect(quantizer.train(vectors.subarray(700 * 32, 1400 * 32), 1, pace)).rejects.toThrow("enough");
      expect(bytesOf(quantizer)).toEqual(before);
    }
  });

  test("decoded vectors come nearer with more sub-quantizers and with more bits", async () => {
    const { train, base } = synthetic(32, 1500, 300, 0, 5);
    const errors: number[] = [];
    for (const [M, nbits] of [
      [1, 4],
      [2, 4],
      [4, 4],
      [8, 4],
      [16, 4],
      [16, 8],
      [32, 8],
    ]) {
      const engine = new Engine();
      const quantizer = new ProductQuantizer(engine, 32, M, nbits);
      await quantizer.train(train, 1234, new Pace());
      errors.push(meanError(base, roundTrip(engine, quantizer, base).decoded));
    }
    for (let i = 1; i < errors.length; i++) expect(errors[i]).toBeLessThan(errors[i - 1] * 0.95);
    // 256 centroids a dimension leave next to nothing of values from -1 to 1.
    expect(errors.at(-1)).toBeLessThan(1e-4);
  });
});

describe("a codebook", () => {
  const NUMBERS: ((random: Random) => number)[] = [
    (random) => random() * 2 - 1,
    (random) => below(random, 3) - 1,
    (random) => (random() * 2 - 1) * 1e15,
    () => 0,
  ];
  const shape = fc.record({
    seed: fc.integer(),
    M: fc.integer({ min: 1, max: 20 }),
    sub: fc.integer({ min: 1, max: 9 }),
    nbits: fc.constantFrom(4, 8),
    n: fc.integer({ min: 1, max: 70 }),
    fill: fc.constantFrom(...NUMBERS),
  });

  test("encodes to the nearest centroid, the first of equals, and decodes to it; tables are distances and products", () => {
    fc.assert(
      fc.property(shape, ({ seed, M, sub, nbits, n, fill }) => {
        const { fround } = Math;
        const random = randomOf(seed);
        const engine = new Engine();
        const { kernels } = engine;
        const d = M * sub;
        const K = 2 ** nbits;
        const quantizer = new ProductQuantizer(engine, d, M, nbits);
        const codebook = Float32Array.from({ length: d * K }, () => fill(random));
        quantizer.setCodebook(codebook);
        const vectors = Float32Array.from({ length: n * d }, () => pick(random, NUMBERS)(random));
        const expected = encode(vectors, codebook, d, M);
        const { numbers, decoded } = roundTrip(engine, quantizer, vectors);
        expectSame(numbers, expected.numbers);
        const centroid = (i: number, m: number): Float32Array => rowOf(codebook, sub, m * K + numbers[i * M + m]);
        expectSame(
          decoded,
          Float32Array.from({ length: n * d }, (_, at) => {
            const j = at % d;
            return centroid(Math.floor(at / d), Math.floor(j / sub))[j % sub];
          }),
        );

        // The half of a training iteration: errors are added to, sums and counts too.
        const put = (items: Float32Array): number => {
          const address = engine.allocate(items.byteLength);
          engine.f32.set(items, address >>> 2);
          return address;
        };
        const rows = put(vectors);
        const errors = engine.allocate(M * 8);
        const [sums, counts] = [engine.allocate(d * K * 4), engine.allocate(M * K * 4)];
        engine.f64.fill(1, errors >>> 3, (errors >>> 3) + M);
        engine.f32.fill(0, sums >>> 2, (sums >>> 2) + d * K);
        engine.i32.fill(2, counts >>> 2, (counts >>> 2) + M * K);
        const { transposed } = quantizer;
        // In two parts, as threads would.
        const part = below(random, M + 1);
        for (const [m, count] of [
          [0, part],
          [part, M - part],
        ]) {
          const [x, at] = [rows + m * sub * 4, transposed + m * sub * K * 4];
          const cell = m * K;
          const own = [sums + cell * sub * 4, counts + cell * 4, errors + m * 8] as const;
          kernels.trainProduct(x, n, M, count, nbits, K, sub, at, ...own);
        }
        const wanted = {
          sums: new Float32Array(d * K),
          counts: new Int32Array(M * K).fill(2),
          errors: new Float64Array(M),
        };
        wanted.errors.fill(1);
        for (let i = 0; i < n; i++) {
          for (let m = 0; m < M; m++) {
            const cell = m * K + numbers[i * M + m];
            wanted.counts[cell]++;
            for (let j = 0; j < sub; j++) wanted.sums[cell * sub + j] += vectors[i * d + m * sub + j];
            const part = vectors.subarray(i * d + m * sub, i * d + (m + 1) * sub);
            wanted.errors[m] += distances(part, centroid(i, m))[0];
          }
        }
        expectSame(engine.f32.slice(sums >>> 2, (sums >>> 2) + d * K), wanted.sums);
        expectSame(engine.i32.slice(counts >>> 2, (counts >>> 2) + M * K), wanted.counts);
        expectSame(engine.f64.slice(errors >>> 3, (errors >>> 3) + M), wanted.errors);

        const table = engine.allocate(M * K * 4);
        for (const metric of [METRIC_L2, METRIC_INNER_PRODUCT]) {
          kernels.lookUpTable(rows, M, K, sub, quantizer.transposed, metric, table);
          const entries = Array.from({ length: M }, (_, m) => {
            const query = vectors.subarray(m * sub, (m + 1) * sub);
            const own = rowOf(codebook, K * sub, m);
            if (metric === METRIC_L2) return distances(query, own);
            return Array.from({ length: K }, (_, c) =>
              query.reduce((sum, x, j) => fround(sum + fround(x * own[c * sub + j])), 0),
            );
          });
          expectSame(engine.f32.slice(table >>> 2, (table >>> 2) + M * K), Float32Array.from(entries.flat()));
        }
      }),
      { numRuns: 40 },
    );
  });

  test("is written as faiss has it, read back, and zeros before training", async () => {
    for (const [d, M, nbits] of [
      [6, 3, 4],
      [5, 5, 4],
      [6, 2, 8],
    ]) {
      const quantizer = new ProductQuantizer(new Engine(), d, M, nbits);
      expect(quantizer.codeBytes).toBe(Math.ceil((M * nbits) / 8));
      const zeros = new Float32Array(d * 2 ** nbits);
      expect(bytesOf(quantizer)).toEqual(concat(i64(d, M, nbits, zeros.length), raw(zeros)));
      const codebook = uniform(randomOf(d), zeros.length);
      quantizer.setCodebook(codebook);
      const bytes = bytesOf(quantizer);
      expect(bytes).toEqual(concat(i64(d, M, nbits, codebook.length), raw(codebook)));
      const reader = new Reader(openSource(bytes), new Pace());
      const again = await ProductQuantizer.read(reader, new Engine(), d, nbits, nbits);
      expect([again.d, again.M, again.nbits, reader.left]).toEqual([d, M, nbits, 0]);
      expect(bytesOf(again)).toEqual(bytes);
      quantizer.clear();
      expect(bytesOf(quantizer)).toEqual(concat(i64(d, M, nbits, zeros.length), raw(zeros)));
    }
  });

  test("knows the squared lengths of 16 centroids, and which sub-quantizers spread theirs widest", () => {
    for (const [d, M] of [
      [1, 1],
      [12, 4],
      [30, 5],
      [64, 64],
    ]) {
      const engine = new Engine();
      const quantizer = new ProductQuantizer(engine, d, M, 4);
      const sub = d / M;
      const scales = Array.from({ length: M }, (_, m) => 1 + ((m * 7) % M));
      const codebook = uniform(randomOf(d), d * 16).map((value, i) => value * scales[Math.floor(i / (sub * 16))]);
      quantizer.setCodebook(codebook);
      const lengths = new Float32Array(M * 16);
      codebook.forEach((value, i) => (lengths[Math.floor(i / sub)] += Math.fround(value * value)));
      expect(engine.f32.slice(quantizer.lengths >>> 2, (quantizer.lengths >>> 2) + M * 16)).toEqual(lengths);
      const spreads = scales.map((_, m) => {
        let spread = 0;
        for (let j = 0; j < sub; j++) {
          const column = Array.from({ length: 16 }, (__, c) => codebook[(m * 16 + c) * sub + j]);
          const sum = column.reduce((all, value) => all + value, 0);
          spread += column.reduce((all, value) => all + value * value, 0) - (sum * sum) / 16;
        }
        return spread;
      });
      const order = [...spreads.keys()].sort((a, b) => spreads[b] - spreads[a]);
      const places = [...engine.i32.subarray(quantizer.places >>> 2, (quantizer.places >>> 2) + M + 1)];
      expect(places).toEqual([...spreads.keys()].map((m) => order.indexOf(m)).concat(M));
    }
  });

  test("replaces another only when there is memory for it", () => {
    // Two pages hold the first codebook and its transposed form, 16 KB each, three times but no fourth.
    const engine = new Engine({ maxBytes: 128 << 10 });
    const quantizer = new ProductQuantizer(engine, 256, 8, 4);
    const codebook = uniform(randomOf(1), 256 * 16);
    quantizer.setCodebook(codebook);
    const left = 5;
    for (let i = 0; i < left; i++) engine.allocate(16 << 10);
    const other = uniform(randomOf(2), 256 * 16);
    expect(() => quantizer.setCodebook(other)).toThrow(expect.objectContaining({ code: "ERR_MEMORY" }));
    expect(codebookOf(quantizer)).toEqual(codebook);
    // What the attempt took first is given back.
    expect(() => engine.allocate(8 << 10)).not.toThrow();
  });
});
