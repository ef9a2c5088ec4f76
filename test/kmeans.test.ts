import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { kmeans } from "../src/training/kmeans.js";
import { miniBatchKMeans } from "../src/training/mini-batch.js";
import { Random } from "../src/work/random.js";
import { Pace } from "../src/work/pace.js";
import { Engine } from "../src/wasm/engine.js";
import { FILLS, place, placeQueries } from "./hostile.js";

// An assignment by heads must give the bits of the plain one, whatever the points are and wherever they were before.

interface Shape {
  points: string;
  centroids: string;
  k: number;
  d: number;
  n: number;
  m: number;
  seed: number;
}

/** False where points or centroids are beyond bounds. */
function compare({ points: pointFill, centroids: centroidFill, k, d, n, m, seed }: Shape): boolean {
  const engine = new Engine();
  const { kernels } = engine;
  const random = new Random(seed);
  const floats = (count: number): number => engine.allocate((count + 15) * 4);
  const centroids = place(engine, k, d, FILLS[centroidFill], random);
  const points = placeQueries(engine, n, d, FILLS[pointFill], centroids, k, random);
  const [half, norms] = [floats(k), floats(n)];
  kernels.halfNorms(centroids, k, d, half);
  kernels.squaredNorms(points, n, d, norms);
  const basis = engine.allocate(kernels.basisBytes(d, m));
  const scratch = engine.allocate(kernels.makeHeadsScratch(d, m));
  if (kernels.makeBasis(points, n, d, m, basis, scratch) === 0) return false;
  const [pointLengths, lengths, pointHeads, heads] = [floats(n), floats(k), floats(n * m), floats(k * m)];
  if (kernels.makeHeads(points, n, d, m, basis, pointLengths, pointHeads, scratch) === 0) return false;
  if (kernels.makeHeads(centroids, k, d, m, basis, lengths, heads, scratch) === 0) return false;

  const blocks = engine.allocate(kernels.blockHeadsBytes(k, m));
  kernels.blockHeads(heads, k, m, blocks);
  const tile = engine.allocate(kernels.assignScratch(n));
  const seekers = engine.allocate(kernels.assignByHeadsScratch(n, m));
  const [expected, given] = [false, true].map((bounded) => {
    const [lists, scores] = [floats(n), floats(n)];
    if (bounded) {
      for (let i = 0; i < n; i++) engine.i32[(lists >>> 2) + i] = random.below(k);
      // prettier-ignore
      kernels.assignByHeads(
        points, n, centroids, half, k, d, norms, m, basis, pointLengths, pointHeads, lengths, blocks, lists, scores, seekers,
      );
    } else {
      kernels.assign(points, n, centroids, half, k, d, lists, scores, tile);
    }
    return [lists, scores].map((address) => engine.i32.slice(address >>> 2, (address >>> 2) + n));
  });
  expect(given).toEqual(expected);
  return true;
}

describe("heads leave an assignment alone", () => {
  test.each(Object.keys(FILLS))("%s", (points) => {
    for (const d of [40, 77, 256]) {
      for (const centroids of [points, "noise"]) {
        expect(compare({ points, centroids, k: 150, d, n: 64, m: 24, seed: d })).toBe(points !== "too long");
      }
    }
  });

  test("of any shape", () => {
    const shape = fc.record({
      points: fc.constantFrom(...Object.keys(FILLS)),
      centroids: fc.constantFrom(...Object.keys(FILLS)),
      k: fc.integer({ min: 1, max: 300 }),
      d: fc.integer({ min: 24, max: 130 }),
      n: fc.integer({ min: 1, max: 64 }),
      m: fc.constantFrom(8, 16, 24),
      seed: fc.nat(),
    });
    fc.assert(
      fc.property(shape, (s) => void compare(s)),
      { numRuns: 300 },
    );
  });

  test("they are used: a centroid that is changed behind them goes unseen", () => {
    const [n, k, d, m] = [1, 200, 128, 24];
    const engine = new Engine();
    const { kernels } = engine;
    const random = new Random(1);
    const rows = place(engine, k, d, FILLS["low rank"], random);
    const point = engine.allocate(d * 4);
    engine.f32.copyWithin(point >>> 2, rows >>> 2, (rows >>> 2) + d);
    const floats = (count: number): number => engine.allocate((count + 15) * 4);
    const [half, norm, list, score] = [floats(k), floats(n), floats(n), floats(n)];
    const basis = engine.allocate(kernels.basisBytes(d, m));
    const scratch = engine.allocate(kernels.makeHeadsScratch(d, m));
    expect(kernels.makeBasis(rows, k, d, m, basis, scratch)).toBe(1);
    const [pointLength, lengths, pointHead, heads] = [floats(n), floats(k), floats(n * m), floats(k * m)];
    expect(kernels.makeHeads(point, n, d, m, basis, pointLength, pointHead, scratch)).toBe(1);
    expect(kernels.makeHeads(rows, k, d, m, basis, lengths, heads, scratch)).toBe(1);
    // Centroid 0 is the point itself, and 100 becomes twice as good as that by its score.
    kernels.halfNorms(rows, k, d, half);
    kernels.squaredNorms(point, n, d, norm);
    for (let j = 0; j < d; j++) engine.f32[(rows >>> 2) + 100 * d + j] = 2 * engine.f32[(point >>> 2) + j];
    engine.i32[list >>> 2] = 0;
    const blocks = engine.allocate(kernels.blockHeadsBytes(k, m));
    kernels.blockHeads(heads, k, m, blocks);
    const seekers = engine.allocate(kernels.assignByHeadsScratch(n, m));
    // prettier-ignore
    kernels.assignByHeads(
      point, n, rows, half, k, d, norm, m, basis, pointLength, pointHead, lengths, blocks, list, score, seekers,
    );
    expect(engine.i32[list >>> 2]).toBe(0);
  });
});

describe("k-means by heads", () => {
  test.each(["noise", "low rank", "duplicates", "far from the origin", "mixed", "too long"])(
    "of %s, to the last bit",
    async (fill) => {
      const [n, d, k] = [700, 128, 70];
      const random = new Random(5);
      const points = Float32Array.from({ length: n * d }, (_, at) => FILLS[fill](Math.floor(at / d), at % d, random));
      const [given, expected] = await Promise.all(
        [true, false].map((bounds) =>
          kmeans(points, d, k, { niter: 6, spherical: false, seed: 3 }, { bounds }, new Pace()),
        ),
      );
      expect(given.objective).toEqual(expected.objective);
      expect(Buffer.compare(Buffer.from(given.centroids.buffer), Buffer.from(expected.centroids.buffer))).toBe(0);
    },
  );

  test("in mini-batches, to the last bit", async () => {
    const [n, d, k] = [3000, 128, 100];
    const random = new Random(6);
    for (const fill of ["noise", "low rank"]) {
      const points = Float32Array.from({ length: n * d }, (_, at) => FILLS[fill](Math.floor(at / d), at % d, random));
      const [given, expected] = await Promise.all(
        [true, false].map((bounds) => miniBatchKMeans(points, d, k, 3, { bounds }, new Pace())),
      );
      expect(Buffer.compare(Buffer.from(given.buffer), Buffer.from(expected.buffer))).toBe(0);
    }
  });
});
