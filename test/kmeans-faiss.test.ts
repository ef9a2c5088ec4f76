import { readFileSync } from "node:fs";
import { describe, expect, test, vi } from "vitest";
import { indexFactory, METRIC_INNER_PRODUCT, METRIC_L2 } from "../src/index.js";
import { Heads } from "../src/training/heads.js";
import { chooseDonors, kmeans, splitEmpty } from "../src/training/kmeans.js";
import { miniBatchKMeans } from "../src/training/mini-batch.js";
import { Shares } from "../src/training/shares.js";
import { Pace } from "../src/work/pace.js";
import { permutation, Random } from "../src/work/random.js";
import { HEADER_BYTES } from "./files.js";
import { goldenFolder } from "./golden.js";
import { below, randomOf, uniform } from "./random.js";
import { checksum } from "./runtimes/project/searches.mjs";

const D = 256;

interface Case {
  name: string;
  n: number;
  k: number;
  clusters: number;
  spherical: boolean;
  checksum: string;
  objective: number[];
}

/** The rows that golden/kmeans.py makes: numpy's numbers, around some hidden points. */
function rowsOf({ n, clusters }: Case): Float32Array<ArrayBuffer> {
  const random = new Random(7);
  const unit = (): number => ((random.bits() >>> 5) * 2 ** 26 + (random.bits() >>> 6)) / 2 ** 53;
  const centers = Float64Array.from({ length: clusters * D }, unit);
  const which = Int32Array.from({ length: n }, () => Math.floor(unit() * clusters));
  return Float32Array.from({ length: n * D }, (_, at) => {
    const center = which[Math.floor(at / D)] * D + (at % D);
    return centers[center] + unit() * 0.5 - 0.75;
  });
}

const cases = JSON.parse(readFileSync(new URL("kmeans.json", goldenFolder), "utf8")) as Case[];

test("the first of a random order are those of the whole order", () => {
  const all = permutation(500, 7);
  expect(new Set(all)).toEqual(new Set(all.keys()));
  for (const count of [0, 1, 3, 499, 500]) expect(permutation(500, 7, count)).toEqual(all.slice(0, count));
});

describe("k-means is faiss' own", () => {
  test.each(cases)("$name", async (golden) => {
    const { k, spherical } = golden;
    const points = rowsOf(golden);
    const assign = vi.spyOn(Heads.prototype, "assign");
    const { centroids, objective } = await kmeans(points, D, k, { niter: 10, spherical, seed: 1234 }, {}, new Pace());
    expect(assign.mock.calls.length > 0).toBe(!spherical && k >= 64);
    assign.mockRestore();
    // It ends when an iteration changes nothing; faiss goes on and says the same again.
    expect(objective.length).toBeGreaterThan(4);
    golden.objective.forEach((value, i) => {
      expect((objective[i] ?? objective.at(-1)) / value).toBeCloseTo(1, 5);
    });
    if (spherical) {
      for (let i = 0; i < k; i++) {
        const row = centroids.subarray(i * D, (i + 1) * D);
        expect(Math.hypot(...row)).toBeCloseTo(1, 6);
      }
    } else {
      // Ours are summed in the order of faiss', and split by its random numbers: to the bit.
      expect(checksum(centroids)).toBe(golden.checksum);
    }
  });

  test("an IVF has these cells, under inner product those of length 1", async () => {
    for (const golden of cases.slice(0, 2)) {
      const points = rowsOf(golden);
      const metric = golden.spherical ? METRIC_INNER_PRODUCT : METRIC_L2;
      const index = await indexFactory(D, `IVF${golden.k},Flat`, metric);
      await index.train(points);
      const at = HEADER_BYTES + 16 + HEADER_BYTES + 8;
      const cells = new Float32Array(index.toBytes().slice(at, at + golden.k * D * 4).buffer);
      const options = { niter: 10, spherical: golden.spherical, seed: 1234 };
      expect(cells).toEqual((await kmeans(points, D, golden.k, options, {}, new Pace())).centroids);
      if (golden.spherical) expect(Math.hypot(...cells.subarray(0, D))).toBeCloseTo(1, 6);
      else expect(checksum(cells)).toBe(golden.checksum);
    }
  });
});

describe("empty clusters", () => {
  /** faiss' split_clusters, as it is described. */
  function splitPlainly(centroids: Float32Array, counts: Int32Array, n: number): void {
    const [k, d] = [counts.length, centroids.length / counts.length];
    const random = new Random(1234);
    for (let ci = 0; ci < k; ci++) {
      if (counts[ci] > 0) continue;
      let cj = 0;
      for (;;) {
        const p = Math.fround((counts[cj] - 1) / (n - k));
        if (random.unit() < p) break;
        cj = (cj + 1) % k;
      }
      for (let j = 0; j < d; j++) {
        const value = centroids[cj * d + j];
        centroids[ci * d + j] = value * (j % 2 === 0 ? 1 + 1 / 1024 : 1 - 1 / 1024);
        centroids[cj * d + j] = value * (j % 2 === 0 ? 1 - 1 / 1024 : 1 + 1 / 1024);
      }
      counts[ci] = Math.floor(counts[cj] / 2);
      counts[cj] -= counts[ci];
    }
  }

  test("get halves of large ones, faiss' choice to the bit", () => {
    const random = randomOf(3);
    for (let round = 0; round < 60; round++) {
      const [k, d] = [2 + below(random, 300), 1 + below(random, 5)];
      const counts = Int32Array.from({ length: k }, () => (random() < 0.4 ? 0 : 1 + below(random, 50)));
      counts[below(random, k)] = 2 * k;
      const n = counts.reduce((sum, count) => sum + count, 0);
      const centroids = uniform(random, k * d);
      const [own, ownCounts] = [centroids.slice(), counts.slice()];
      splitPlainly(centroids, counts, n);
      splitEmpty(own, ownCounts, n);
      expect([own, ownCounts]).toEqual([centroids, counts]);
    }
  });

  test("thousands of them: every cluster has its share, and nobody gives more than he has", () => {
    const k = 16_384;
    const n = k * 39;
    const counts = new Int32Array(k);
    counts[0] = n;
    const splits = chooseDonors(counts, n);
    expect(splits.length).toBe(k - 1);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(n);
    expect(Math.min(...counts)).toBeGreaterThan(0);
    // Again, with the shares at hand: each donor had more than one point then.
    const given = new Int32Array(k);
    given[0] = n;
    for (const { empty, donor } of splits) {
      expect(given[empty]).toBe(0);
      expect(given[donor]).toBeGreaterThan(1);
      given[empty] = given[donor] >> 1;
      given[donor] -= given[empty];
    }
    expect(given).toEqual(counts);
    // By their shares: halving the largest mostly, none is left with a tenth of all.
    expect(Math.max(...counts)).toBeLessThan(n / 10);
  });

  test("shares are drawn as a row of all that can be given", () => {
    const random = randomOf(4);
    for (let round = 0; round < 40; round++) {
      const counts = Int32Array.from({ length: 1 + below(random, 70) }, () => below(random, 6));
      counts[below(random, counts.length)] = 9;
      const shares = new Shares(counts);
      for (let change = 0; change < 5; change++) {
        const i = below(random, counts.length);
        if (counts[i] > 0) {
          counts[i] += 3;
          shares.add(i, 3);
        }
        const row = [...counts].flatMap((count, at) => Array<number>(Math.max(count - 1, 0)).fill(at));
        row.forEach((owner, at) => expect(shares.draw((at + 0.5) / row.length)).toBe(owner));
        expect(shares.draw(0)).toBe(row[0]);
      }
    }
  });

  test("an abort is heard between them", async () => {
    const [k, d] = [2000, 8];
    const points = new Float32Array(k * 39 * d).fill(1);
    const controller = new AbortController();
    let time = 0;
    const now = vi.spyOn(Date, "now").mockImplementation(() => (time += 20));
    try {
      let steps = 0;
      const onProgress = (): void => {
        // The chunks of the first assignment, and some more.
        if (++steps > (k * 39) / 64 + 3) controller.abort(new Error("enough"));
      };
      const pace = new Pace({ signal: controller.signal, onProgress });
      const options = { niter: 10, spherical: false, seed: 1 };
      await expect(kmeans(points, d, k, options, {}, pace)).rejects.toThrow("enough");
      expect(steps).toBeLessThan((k * 39) / 64 + 10);
    } finally {
      now.mockRestore();
    }
  });
});

describe("mini-batch k-means against the rules of scikit-learn, in plain numbers", () => {
  interface Twin {
    centres: Float64Array;
    steps: number;
    moved: number;
  }

  /** MiniBatchKMeans, with the random numbers that ours draws. */
  function plainly(points: Float32Array, d: number, k: number, seed: number): Twin {
    const n = points.length / d;
    const batch = Math.min(2048, n);
    const row = (i: number): Float64Array => Float64Array.from(points.subarray(i * d, (i + 1) * d));
    const order = permutation(n, seed + 1);
    const centres = new Float64Array(k * d);
    for (let c = 0; c < k; c++) centres.set(row(order[c]), c * d);
    const random = new Random(seed);
    const weights = new Float64Array(k);
    const alpha = Math.min(1, (2 * batch) / (n + 1));
    let [smoothed, best, patience, since, moved] = [NaN, Infinity, 0, 0, 0];
    let steps = 0;
    for (const most = Math.ceil((100 * n) / batch); steps < most && patience < 10; steps++) {
      const rows = Array.from({ length: batch }, () => row(random.below(n)));
      const sums = new Float64Array(k * d);
      const counts = new Float64Array(k);
      let inertia = 0;
      for (const x of rows) {
        let [nearest, least] = [-1, Infinity];
        for (let c = 0; c < k; c++) {
          let distance = 0;
          for (let j = 0; j < d; j++) distance += (x[j] - centres[c * d + j]) ** 2;
          if (distance < least) [nearest, least] = [c, distance];
        }
        inertia += least;
        counts[nearest]++;
        for (let j = 0; j < d; j++) sums[nearest * d + j] += x[j];
      }
      for (let c = 0; c < k; c++) {
        if (counts[c] === 0) continue;
        for (let j = 0; j < d; j++) {
          centres[c * d + j] = (centres[c * d + j] * weights[c] + sums[c * d + j]) / (weights[c] + counts[c]);
        }
        weights[c] += counts[c];
      }
      since += batch;
      if (weights.includes(0) || since >= 10 * k) {
        since = 0;
        const few = 0.01 * Math.max(...weights);
        const low = [...weights.keys()]
          .filter((c) => weights[c] < few)
          .sort((a, b) => weights[a] - weights[b] || a - b);
        const gone = low.slice(0, batch / 2);
        const least = Math.min(...[...weights].filter((_, c) => !gone.includes(c)));
        for (const c of gone) {
          centres.set(rows[random.below(batch)], c * d);
          weights[c] = least;
          moved++;
        }
      }
      if (steps === 0) continue;
      smoothed = Number.isNaN(smoothed) ? inertia / batch : smoothed * (1 - alpha) + (inertia / batch) * alpha;
      if (smoothed < best) [best, patience] = [smoothed, 0];
      else patience++;
    }
    return { centres, steps, moved };
  }

  test.each([
    [9000, 8, 20, 1],
    [5000, 6, 60, 2],
    [900, 4, 12, 3],
  ])("%i rows of %i, %i centres, seed %i", async (n, d, k, seed) => {
    const random = randomOf(seed);
    const hidden = uniform(random, k * d, 10);
    // One of the first centres is a row far from all others, and is forgotten.
    const [lonely] = permutation(n, seed + 1);
    const points = Float32Array.from({ length: n * d }, (_, at) => {
      const i = Math.floor(at / d);
      return i === lonely ? 100 : hidden[(i % k) * d + (at % d)] + (random() - 0.5);
    });
    const twin = plainly(points, d, k, seed);
    const work = vi.fn();
    let time = 0;
    const now = vi.spyOn(Date, "now").mockImplementation(() => (time += 20));
    const centres = await miniBatchKMeans(points, d, k, seed, {}, new Pace({ onProgress: work })).finally(() =>
      now.mockRestore(),
    );
    // Rounding sends a row between two centres to the other one, once in a while.
    const off = Array.from(centres, (value, i) => Math.abs(value - twin.centres[i])).sort((a, b) => a - b);
    expect(off[off.length >> 1]).toBeLessThan(1e-3);
    expect(off.at(-1)).toBeLessThan(0.05);
    // As many steps, each of them reported.
    const chunks = Math.ceil(Math.min(2048, n) / 64);
    expect(work.mock.calls.length).toBe(twin.steps * chunks + 1);
    expect(twin.moved).toBeGreaterThan(0);
  });
});
