import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Heads } from "../src/training/heads.js";
import { kmeans } from "../src/training/kmeans.js";
import { miniBatchKMeans } from "../src/training/mini-batch.js";
import { Random } from "../src/work/random.js";
import { Pace } from "../src/work/pace.js";
import { Engine } from "../src/wasm/engine.js";
import { Desk } from "./desk.js";
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
  const desk = new Desk(engine);
  const basis = desk.room(kernels.basisBytes(d, m));
  const scratch = desk.room(kernels.makeHeadsScratch(d, m));
  if (kernels.makeBasis(points, n, d, m, basis, scratch) === 0) return false;
  const [pointLengths, pointHeads, floatHeads] = [floats(n), floats(n * m), floats(k * m)];
  if (kernels.makeHeads(points, n, d, m, basis, pointLengths, pointHeads, scratch) === 0) return false;
  const bytes = kernels.headsBytes(k, m);
  const heads = desk.room(bytes);
  const groups = engine.allocate(64 * Math.ceil(k / 16));
  const tile = desk.room(kernels.assignScratch(n));
  const seekers = desk.room(kernels.assignByHeadsScratch(n, m));
  const [lists, scores] = [floats(n), floats(n)];
  for (let i = 0; i < n; i++) engine.i32[(lists >>> 2) + i] = random.below(k);
  const moved = engine.allocate(k * d * 4);
  // A first time, and then again and again after some centroids have moved: a little, to where a point is, on to another one.
  for (let round = 0; round < 5; round++) {
    kernels.halfNorms(centroids, k, d, half);
    const lengths = heads + bytes - 5 * Math.ceil(k / 16) * 16;
    if (kernels.makeHeads(centroids, k, d, m, basis, lengths, floatHeads, scratch) === 0) return false;
    kernels.blockHeads(floatHeads, k, m, basis, heads);
    // prettier-ignore
    kernels.assignByHeads(
      points, n, centroids, half, k, d, norms, m, basis, pointLengths, pointHeads, heads, groups, lists, scores, seekers,
    );
    const [plainLists, plainScores] = [floats(n), floats(n)];
    kernels.assign(points, n, centroids, half, k, d, plainLists, plainScores, tile);
    const [given, expected] = [
      [lists, scores],
      [plainLists, plainScores],
    ].map((each) => each.map((address) => engine.i32.slice(address >>> 2, (address >>> 2) + n)));
    expect(given).toEqual(expected);
    engine.u8.copyWithin(moved, centroids, centroids + k * d * 4);
    for (let i = 0; i < k; i++) {
      const at = (moved >>> 2) + i * d;
      const point = (points >>> 2) + random.below(n) * d;
      const share = [0, 0, 1e-7, 0.01, 0.3, 1][random.below(6)];
      for (let j = 0; j < d; j++) engine.f32[at + j] += share * (engine.f32[point + j] - engine.f32[at + j]);
    }
    kernels.measureMoves(centroids, moved, k, d, m, basis, heads);
    engine.u8.copyWithin(centroids, moved, moved + k * d * 4);
  }
  desk.clear();
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

  test("what was known before is used: a centroid that is moved and not said to have goes unseen", () => {
    const [n, k, d] = [1, 200, 128];
    const engine = new Engine();
    const { kernels } = engine;
    const rows = place(engine, k, d, FILLS["low rank"], new Random(1));
    const floats = (count: number): number => engine.allocate((count + 15) * 4);
    const [half, norm, list, score] = [floats(k), floats(n), floats(n), floats(n)];
    const [point, before] = [floats(d), floats(k * d)];
    const copyRow = (from: number, to: number): Uint8Array => engine.u8.copyWithin(to, from, from + d * 4);
    copyRow(rows + 150 * d * 4, point);
    engine.u8.copyWithin(before, rows, rows + k * d * 4);
    kernels.squaredNorms(point, n, d, norm);
    const heads = Heads.make(engine, rows, k, n, k, d);
    expect(heads?.takePoints(point, 0, n)).toBe(true);
    const nearest = (): number => {
      kernels.halfNorms(rows, k, d, half);
      expect(heads?.takeCentroids(rows)).toBe(true);
      heads?.assign(point, 0, n, rows, half, norm, list, score);
      return engine.i32[list >>> 2];
    };
    expect(nearest()).toBe(150);
    // Now 50 is as near, and the first of equals.
    copyRow(point, rows + 50 * d * 4);
    heads?.moveCentroids(rows, rows);
    expect(nearest()).toBe(150);
    heads?.moveCentroids(before, rows);
    expect(nearest()).toBe(50);
  });
});

test("the objective: squared distances that rounding has not made negative, or products", () => {
  const engine = new Engine();
  const at = engine.allocate(64);
  engine.f32.set([-0.5, 0.25, -3, 1e-8, 1, 0.5, 5, 0], at >>> 2);
  expect(engine.kernels.objective(at, at + 16, 4)).toBe(0 + 1 + 0 + 2 * Math.fround(1e-8));
  expect(engine.kernels.objective(at, 0, 4)).toBe(0.5 - 0.25 + 3 - Math.fround(1e-8));
  expect(engine.kernels.objective(at, at + 16, 0)).toBe(0);
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
