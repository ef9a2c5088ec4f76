import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { indexFactory, METRIC_INNER_PRODUCT, METRIC_L2, readIndex } from "../src/index.js";
import type { Index } from "../src/index.js";
import { LinearTransform } from "../src/transforms/linear.js";
import { Training } from "../src/transforms/opq.js";
import { normals, orthonormalize, randomRotation } from "../src/transforms/rotation.js";
import { moreKernels } from "../src/wasm/more.js";
import { Engine } from "../src/wasm/engine.js";
import { Pace } from "../src/work/pace.js";
import { ascii, concat, flatFile, header, i32, i64, raw, u8 } from "./files.js";
import { randomOf, uniform } from "./random.js";

const pace = new Pace();

async function filled(d: number, description: string, rows: Float32Array, metric: 0 | 1 = METRIC_L2): Promise<Index> {
  const index = await indexFactory(d, description, metric);
  await index.train(rows);
  await index.add(rows);
  return index;
}

/** Vectors near a plane of a few dimensions through 0. */
function flattish(n: number, d: number, rank: number, seed: number): Float32Array {
  const random = randomOf(seed);
  const [basis, shares, noise] = [uniform(random, rank * d), uniform(random, n * rank), uniform(random, n * d)];
  return Float32Array.from({ length: n * d }, (_, at) => {
    const [i, j] = [Math.floor(at / d), at % d];
    let sum = 0.01 * noise[at];
    for (let r = 0; r < rank; r++) sum += shares[i * rank + r] * basis[r * d + j] * (r + 1);
    return sum;
  });
}

function squares(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, x, i) => sum + (x - b[i]) ** 2, 0);
}

describe("kernels against scalar code", () => {
  test("y = A x + b, and back by the transpose", () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 21 }),
        fc.integer({ min: 1, max: 21 }),
        fc.boolean(),
        (seed, n, din, dout, biased) => {
          const engine = new Engine();
          const random = randomOf(seed);
          const [A, b, x] = [uniform(random, dout * din), uniform(random, dout), uniform(random, n * din)];
          const transform = new LinearTransform(engine, din, dout);
          transform.set(A, biased ? b : undefined);
          const [from, to, back] = [n * din, n * dout, n * din].map((size) => engine.allocate(size * 4));
          engine.reserveScratch(transform.scratchBytes(n));
          engine.f32.set(x, from >>> 2);
          transform.apply(from, n, to);
          transform.invert(to, n, back);
          const y = engine.f32.slice(to >>> 2, (to >>> 2) + n * dout);
          const z = engine.f32.slice(back >>> 2, (back >>> 2) + n * din);
          for (let i = 0; i < n; i++) {
            for (let j = 0; j < dout; j++) {
              let sum = biased ? b[j] : 0;
              for (let k = 0; k < din; k++) sum += A[j * din + k] * x[i * din + k];
              expect(y[i * dout + j]).toBeCloseTo(sum, 4);
            }
            for (let k = 0; k < din; k++) {
              let sum = 0;
              for (let j = 0; j < dout; j++) sum += A[j * din + k] * (y[i * dout + j] - (biased ? b[j] : 0));
              expect(z[i * din + k]).toBeCloseTo(sum, 4);
            }
          }
        },
      ),
    );
  });

  test("sums of products, of all and of what is right of the diagonal", () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 }), (seed, dx, dy) => {
        const engine = new Engine();
        const n = 12;
        const [x, y] = [uniform(randomOf(seed), n * dx), uniform(randomOf(seed + 1), n * dy)];
        const [xs, ys, xt, yt] = [n * dx, n * dy, n * dx, n * dy].map((size) => engine.allocate(size * 4));
        const sums = engine.allocate(dx * dy * 8);
        const scratch = engine.allocate(moreKernels(engine).addProductsScratch(dy));
        engine.f32.set(x, xs >>> 2);
        engine.f32.set(y, ys >>> 2);
        moreKernels(engine).transposeRows(xs, n, dx, xt, n);
        moreKernels(engine).transposeRows(ys, n, dy, yt, n);
        for (const upper of dx === dy ? [false, true] : [false]) {
          engine.f64.fill(1, sums >>> 3, (sums >>> 3) + dx * dy);
          moreKernels(engine).addProducts(xt, dx, yt, dy, n, upper, sums, scratch);
          for (let i = 0; i < dx; i++) {
            for (let j = upper ? i : 0; j < dy; j++) {
              let sum = 1;
              for (let r = 0; r < n; r++) sum += x[r * dx + i] * y[r * dy + j];
              expect(engine.f64[(sums >>> 3) + i * dy + j]).toBeCloseTo(sum, 4);
            }
          }
        }
      }),
    );
  });

  test("orthonormal vectors span the same, each with the sign that it is said to have", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 0, max: 5 }),
        async (seed, n, more) => {
          const engine = new Engine();
          const m = n + more;
          const given = Float64Array.from(uniform(randomOf(seed), n * m));
          const rows = engine.allocate(n * m * 8);
          engine.f64.set(given, rows >>> 3);
          const signs = await orthonormalize(engine, rows, n, m, pace);
          const made = engine.f64.slice(rows >>> 3, (rows >>> 3) + n * m);
          const product = (a: Float64Array, i: number, b: Float64Array, j: number): number =>
            a.subarray(i * m, i * m + m).reduce((sum, x, k) => sum + x * b[j * m + k], 0);
          for (let i = 0; i < n; i++) {
            for (let j = 0; j < n; j++) expect(product(made, i, made, j)).toBeCloseTo(i === j ? 1 : 0, 10);
            // What was given has no share in later directions, and of its own what is left.
            for (let j = i; j < n; j++) expect(product(given, i, made, j)).toBeCloseTo(i === j ? signs[i] : 0, 5);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  test("sub-vectors go to the nearest of 256 centroids, the first of equals, whatever groups pass over", () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 9 }),
        fc.boolean(),
        (seed, M, sub, coarse) => {
          const engine = new Engine();
          const { fround } = Math;
          const n = 40;
          const random = randomOf(seed);
          // Rounded, many are equal.
          const numbers = (count: number): Float32Array =>
            uniform(random, count).map((x) => (coarse ? Math.round(x * 3) / 3 : x));
          const [codebook, rows] = [numbers(M * 256 * sub), numbers(n * M * sub)];
          const take = (bytes: number): number => engine.allocate(bytes);
          const [books, groups, vectors, out] = [
            take(codebook.byteLength),
            take(moreKernels(engine).groupsBytes(M, sub)),
            take(rows.byteLength),
            take(n * M),
          ];
          const [errors, sums, counts] = [take(M * 8), take(codebook.byteLength), take(M * 256 * 4)];
          engine.f32.set(codebook, books >>> 2);
          engine.f32.set(rows, vectors >>> 2);
          for (const [at, bytes] of [
            [errors, M * 8],
            [sums, codebook.byteLength],
            [counts, M * 1024],
          ] as const) {
            engine.u8.fill(0, at, at + bytes);
          }
          moreKernels(engine).makeGroups(books, M, sub, groups);
          moreKernels(engine).quantizeByGroups(vectors, n, M, sub, groups, out, errors, sums, counts);
          const tally = new Int32Array(M * 256);
          const total = new Float64Array(M);
          for (let i = 0; i < n; i++) {
            for (let m = 0; m < M; m++) {
              let [best, winner] = [Infinity, -1];
              for (let c = 0; c < 256; c++) {
                let sum = 0;
                for (let j = 0; j < sub; j++) {
                  const u = fround(rows[(i * M + m) * sub + j] - codebook[(m * 256 + c) * sub + j]);
                  sum = fround(sum + fround(u * u));
                }
                if (sum < best) [best, winner] = [sum, c];
              }
              expect(engine.u8[out + i * M + m]).toBe(winner);
              tally[m * 256 + winner]++;
              total[m] += best;
            }
          }
          expect(engine.i32.slice(counts >>> 2, (counts >>> 2) + M * 256)).toEqual(tally);
          expect(engine.f64.slice(errors >>> 3, (errors >>> 3) + M)).toEqual(total);
        },
      ),
      { numRuns: 30 },
    );
  });
});

describe("random rotations", () => {
  test("numbers of the normal distribution", () => {
    const numbers = normals(50_000, 7);
    const mean = numbers.reduce((sum, x) => sum + x, 0) / numbers.length;
    const variance = numbers.reduce((sum, x) => sum + (x - mean) ** 2, 0) / numbers.length;
    const fourth = numbers.reduce((sum, x) => sum + x ** 4, 0) / numbers.length;
    expect(mean).toBeCloseTo(0, 1);
    expect(variance).toBeCloseTo(1, 1);
    expect(fourth / 3).toBeCloseTo(1, 1);
  });

  test("rows, or columns if they are fewer, are orthonormal", async () => {
    for (const [din, dout] of [
      [12, 12],
      [12, 5],
      [5, 12],
    ]) {
      const engine = new Engine();
      const transform = new LinearTransform(engine, din, dout);
      transform.set(await randomRotation(engine, din, dout, 1, pace), undefined);
      expect(transform.canInvert).toBe(true);
    }
  });
});

describe("what is learnt", () => {
  test("PCA keeps what differs most: of vectors near a plane nearly all, and distances with it", async () => {
    const [n, d, rank] = [400, 20, 4];
    const rows = flattish(n, d, rank, 1);
    for (const name of ["PCA", "PCAR"]) {
      const index = await filled(d, `${name}${rank},Flat`, rows);
      expect(squares(index.reconstructBatch([0, 1, 2]), rows.subarray(0, 3 * d))).toBeLessThan(3 * d * 1e-4);
      const flat = await filled(d, "Flat", rows);
      const nearest = (of: Index): number[] => [...of.search(rows.subarray(0, 20 * d), 1).labels].map(Number);
      expect(nearest(index)).toEqual(nearest(flat));
    }
  });

  test("PCAW gives all components the same length", async () => {
    const [n, d, dout] = [500, 12, 3];
    const rows = flattish(n, d, 4, 2);
    for (const name of ["PCAW", "PCAWR"]) {
      // Behind a Flat, components are the differences to a vector's own: of all to the mean they have the sum of 1 each.
      const index = await filled(d, `${name}${dout},Flat`, rows);
      const mean = Float32Array.from(
        { length: d },
        (_, j) => rows.reduce((sum, x, i) => (i % d === j ? sum + x : sum), 0) / n,
      );
      const { distances } = index.search(mean, n);
      expect(distances.reduce((sum, x) => sum + x, 0)).toBeCloseTo(dout, 2);
    }
  });

  test("PCA of fewer vectors than dimensions; of too few, and of those that differ in too few dimensions, none", async () => {
    const [d, n] = [16, 10];
    // Of ten vectors that are zero in the mean, nine components give all; of others faiss gives the mean back as far as it is in these.
    const rows = uniform(randomOf(3), n * d);
    for (let j = 0; j < d; j++) {
      let mean = 0;
      for (let i = 0; i < n; i++) mean += rows[i * d + j] / n;
      for (let i = 0; i < n; i++) rows[i * d + j] -= mean;
    }
    const index = await filled(d, "PCA9,Flat", rows);
    expect(squares(index.reconstruct(4), rows.subarray(4 * d, 5 * d))).toBeLessThan(1e-8);
    const few = await indexFactory(d, "PCA12,Flat");
    await expect(few.train(rows)).rejects.toMatchObject({ code: "ERR_PARAMETER" });
    const white = await indexFactory(d, "PCAW10,Flat");
    await expect(white.train(new Float32Array(20 * d).fill(1))).rejects.toMatchObject({ code: "ERR_PARAMETER" });
    expect(white.isTrained).toBe(false);
  });

  test("OPQ errs less from rotation to rotation, and less than a random one", async () => {
    const [n, d, M] = [1200, 16, 4];
    const training = new Training(new Engine(), flattish(n, d, 6, 5), d, d, M, 1234);
    await training.start(pace);
    for (let rotation = 0; rotation < 6; rotation++) {
      await training.project(pace);
      await training.quantize(rotation === 0 ? 10 : 4, rotation, pace);
      await training.rotate(pace);
    }
    const { objective } = training;
    for (let i = 1; i < objective.length; i++) expect(objective[i]).toBeLessThan(objective[i - 1]);
    const transform = new LinearTransform(new Engine(), d, d);
    transform.set(training.matrix(), undefined);
    expect(transform.canInvert).toBe(true);
  });
});

describe("chains", () => {
  const [n, d] = [300, 24];
  const rows = flattish(n, d, 8, 6);
  const queries = flattish(30, d, 8, 7);

  test.each(["RR", "HR", "HR77", "Pad40", "Pad30,RR", "RR32"])("%s leaves distances alone", async (transforms) => {
    const index = await filled(d, `${transforms},Flat`, rows);
    const flat = await filled(d, "Flat", rows);
    const [a, b] = [index.search(queries, 5), flat.search(queries, 5)];
    expect(a.labels).toEqual(b.labels);
    a.distances.forEach((distance, i) => {
      expect(distance).toBeCloseTo(b.distances[i], 3);
    });
    expect(squares(index.reconstruct(7), rows.subarray(7 * d, 8 * d))).toBeLessThan(1e-8);
    expect(index.description).toBe(`${transforms},Flat`);
    expect((await readIndex(index.toBytes())).description).toBe(`${transforms},Flat`);
  });

  test("L2norm under inner product is the cosine", async () => {
    const index = await filled(d, "L2norm,Flat", rows, METRIC_INNER_PRODUCT);
    const { labels, distances } = index.search(queries, 1);
    for (let i = 0; i < 30; i++) {
      const q = queries.subarray(i * d, i * d + d);
      const cosines = Array.from({ length: n }, (_, r) => {
        const x = rows.subarray(r * d, r * d + d);
        const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, j) => sum + value * b[j], 0);
        return dot(x, q) / Math.sqrt(dot(x, x) * dot(q, q));
      });
      expect(distances[i]).toBeCloseTo(Math.max(...cosines), 5);
      expect(cosines[labels[i]]).toBeCloseTo(distances[i], 5);
    }
  });

  test("a Refine around them compares the vectors as they were given", async () => {
    const index = await filled(d, "PCA4,IVF8,Flat,RFlat", rows);
    const exact = await filled(d, "Flat", rows);
    const { distances, labels } = index.search(queries, 3, { nprobe: 8, kFactor: 100 });
    expect(labels).toEqual(exact.search(queries, 3).labels);
    expect(distances).toEqual(exact.search(queries, 3).distances);
    expect([...index.reconstruct(9)]).toEqual([...rows.subarray(9 * d, 10 * d)]);
  });

  test("ids and removals go through", async () => {
    const index = await indexFactory(d, "IDMap,PCA6,IVF4,Flat");
    await index.train(rows);
    await index.addWithIds(
      rows,
      BigInt64Array.from({ length: n }, (_, i) => 2n ** 40n + BigInt(i)),
    );
    index.set("nprobe=4");
    expect(index.search(rows.subarray(0, d), 1).labels[0]).toBe(2n ** 40n);
    expect(index.removeIds([2n ** 40n, 5n])).toBe(1);
    expect(index.search(rows.subarray(0, d), 1).labels[0]).not.toBe(2n ** 40n);
  });

  test("training that fails or is aborted leaves nothing learnt", async () => {
    const index = await indexFactory(d, "PCA8,IVF200,Flat");
    await expect(index.train(rows.subarray(0, 100 * d))).rejects.toMatchObject({ code: "ERR_PARAMETER" });
    expect(index.isTrained).toBe(false);
    const empty = await indexFactory(d, "PCA8,IVF200,Flat");
    expect(Buffer.compare(index.toBytes(), empty.toBytes())).toBe(0);
    const bad = rows.slice();
    bad[5 * d + 3] = NaN;
    await expect(index.train(bad)).rejects.toMatchObject({
      code: "ERR_NOT_FINITE",
      message: expect.stringContaining("row 5") as string,
    });
  });

  test("an OPQ is described by what a file says of it, which no string asks for", async () => {
    const index = await filled(d, "OPQ2_8,Flat", rows);
    expect(index.description).toBe("OPQ2_8,Flat");
    const again = await readIndex(index.toBytes());
    expect(again.description).toBe("LTra8,Flat");
    expect(again.search(queries, 3)).toEqual(index.search(queries, 3));
    await expect(indexFactory(d, again.description)).rejects.toMatchObject({ code: "ERR_FACTORY" });
  });
});

describe("transforms that only files have", () => {
  const rows = uniform(randomOf(9), 5 * 3);
  const tail = (din: number, dout: number, trained = true): Uint8Array =>
    concat(i32(din), i32(dout), u8(trained ? 1 : 0));
  const floats = (...values: number[]): Uint8Array => concat(i64(values.length), raw(Float32Array.from(values)));
  const file = (d: number, ...transforms: Uint8Array[]): Uint8Array<ArrayBuffer> =>
    concat(header("IxPT", d, 5, METRIC_L2), i32(transforms.length), ...transforms, flatFile(3, METRIC_L2, rows));

  test("means are subtracted, and dimensions go elsewhere", async () => {
    const map = [4, -1, 0];
    const remap = concat(ascii("RmDT"), i64(3), ...map.map(i32), tail(5, 3));
    const centre = concat(ascii("VCnt"), floats(1, 2, 3, 4, 5), tail(5, 5));
    const bytes = file(5, centre, remap);
    const index = await readIndex(bytes);
    expect(index.description).toBe("Centre,Remap3,Flat");
    expect(Buffer.compare(index.toBytes(), bytes)).toBe(0);
    // Rows of which the second number is 0 could have come out.
    const query = Float32Array.of(1 + rows[2], 77, 88, 99, 5 + rows[0]);
    const { distances } = index.search(query, 5);
    const nearest = Math.min(
      ...Array.from({ length: 5 }, (_, i) =>
        squares(Float32Array.of(rows[0], 0, rows[2]), rows.subarray(i * 3, i * 3 + 3)),
      ),
    );
    expect(distances[0]).toBeCloseTo(nearest, 5);
    const back = index.reconstruct(0);
    [1 + rows[2], 2, 3, 4, 5 + rows[0]].forEach((x, i) => {
      expect(back[i]).toBeCloseTo(x, 5);
    });
  });

  test("a chain of none is an index like any other", async () => {
    const bytes = file(3);
    const index = await readIndex(bytes);
    expect(Buffer.compare(index.toBytes(), bytes)).toBe(0);
    const { labels } = index.search(rows, 1);
    expect(Array.from(labels, Number)).toEqual([0, 1, 2, 3, 4]);
  });

  test("older fourccs of PCA, written back as they were", async () => {
    for (const [fourcc, fields] of [
      ["PCAm", concat(raw(Float32Array.of(0)), u8(0))],
      ["PcAm", concat(raw(Float32Array.of(-0.5)), u8(1), i32(0))],
      ["Pcam", concat(raw(Float32Array.of(0, 0.25)), u8(0), i32(0))],
    ] as const) {
      const learnt = concat(floats(1, 2, 3), floats(3, 2, 1), floats(1, 0, 0, 0, 1, 0, 0, 0, 1));
      const linear = concat(u8(1), floats(1, 0, 0, 0, 1, 0, 0, 0, 1), floats(-1, -2, -3), tail(3, 3));
      const bytes = file(3, concat(ascii(fourcc), fields, learnt, linear));
      const index = await readIndex(bytes);
      expect(Buffer.compare(index.toBytes(), bytes)).toBe(0);
      expect(index.description).toBe({ PCAm: "PCA3,Flat", PcAm: "PCAWR3,Flat", Pcam: "LTra3,Flat" }[fourcc]);
      const back = index.reconstruct(2);
      [7, 8, 9].forEach((x, i) => {
        expect(back[i] - [1, 2, 3][i]).toBeCloseTo(rows[6 + i], 5);
        expect(x).toBeGreaterThan(0);
      });
    }
  });

  test("a matrix that can't be undone: searched, and reconstruct says so", async () => {
    const index = await readIndex(
      file(2, concat(ascii("LTra"), u8(0), floats(1, 0, 2, 0, 0, 1), floats(), tail(2, 3))),
    );
    expect(index.search(new Float32Array(2), 1).labels.length).toBe(1);
    expect(() => index.reconstruct(0)).toThrow(expect.objectContaining({ code: "ERR_UNSUPPORTED" }) as Error);
  });

  test.each([
    ["a matrix too short", concat(ascii("LTra"), u8(0), floats(1, 2), floats(), tail(3, 3)), "A"],
    ["a bias too short", concat(ascii("LTra"), u8(1), floats(...new Array<number>(9)), floats(1), tail(3, 3)), "b"],
    ["a map beyond the vector", concat(ascii("RmDT"), i64(3), i32(0), i32(1), i32(3), tail(3, 3)), "map"],
    ["dimensions that don't fit", concat(ascii("VNrm"), raw(Float32Array.of(2)), tail(4, 4)), "transform"],
    ["no dimensions", concat(ascii("VNrm"), raw(Float32Array.of(2)), tail(0, 0)), "d_in"],
    ["an unknown kind", concat(ascii("Xyz1"), tail(3, 3)), "fourcc"],
  ])("%s is refused", async (_, transform, field) => {
    await expect(readIndex(file(3, transform))).rejects.toMatchObject({
      code: "ERR_FORMAT",
      message: expect.stringContaining(field) as string,
    });
  });

  test("an ITQ is known by name", async () => {
    await expect(readIndex(file(3, ascii("Viqt")))).rejects.toMatchObject({ code: "ERR_UNSUPPORTED" });
  });
});
