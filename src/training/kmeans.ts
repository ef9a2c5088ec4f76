import { fail } from "../errors.js";
import { Engine } from "../wasm/engine.js";
import type { EngineOptions } from "../wasm/options.js";
import { Heads } from "./heads.js";
import { copySample } from "./sample.js";
import { Shares } from "./shares.js";
import { permutation, Random } from "../work/random.js";
import type { Pace } from "../work/pace.js";

/** Points that the scratch of a kernel is for, and rows between two steps. */
const CHUNK = 64;
/** faiss' bounds on the training points of a centroid: fewer give a warning, more are sampled down. */
const MIN_POINTS = 39;
const MAX_POINTS = 256;
/** The relative shift that tells the two halves of a split cluster apart: faiss' EPS. */
const SPLIT = 1 / 1024;
/** Draws after which donors of empty clusters are no longer sought as faiss does. */
const MOST_DRAWS = 1 << 21;

/** What k-means takes; faiss' names. */
export interface KMeansOptions {
  /** Iterations at most. faiss: 25, and 10 for the coarse quantizer of an IVF. */
  niter: number;
  /** Normalise the centroids after each iteration and assign by inner product. */
  spherical: boolean;
  /** Seed of the sub-sampling and of the first centroids. faiss: 1234. */
  seed: number;
}

/** What k-means found. */
export interface KMeansResult {
  /** k x d. */
  centroids: Float32Array<ArrayBuffer>;
  /** The sum over the points of the squared distance to (spherical: of the product with) the centroid, an iteration each. */
  objective: number[];
}

/**
 * k-means as faiss does it: the same sampling, first centroids, splitting of empty clusters and end; the sums are rounded in
 * another order, so centroids agree in quality and not in bits. It runs in an engine of its own, whose memory goes back.
 *
 * @param points n x d, read before the promise is returned
 * @returns the centroids; rejects with ERR_PARAMETER for n < k, ERR_NOT_FINITE, ERR_MEMORY, or the signal's reason
 */
export async function kmeans(
  points: Float32Array,
  d: number,
  k: number,
  options: KMeansOptions,
  engineOptions: EngineOptions,
  pace: Pace,
): Promise<KMeansResult> {
  const given = points.length / d;
  if (given < k) {
    fail("ERR_PARAMETER", `got ${given} training points for ${k} centroids: give at least as many points as centroids`);
  }
  const engine = new Engine(engineOptions);
  const { kernels, span } = engine;
  if (given < k * MIN_POINTS) {
    engine.warn(
      "WARN_FEW_POINTS",
      `${given} training points for ${k} centroids: below ${MIN_POINTS} a centroid they fit the points more than the data; ` +
        `give ${k * MIN_POINTS} or ask for fewer`,
    );
  }

  const n = Math.min(given, k * MAX_POINTS);
  const rowBytes = d * 4;
  const data = engine.allocate(n * rowBytes);
  if (n === given) engine.write(points, data);
  else copySample(points, d, n, options.seed, engine.f32, data >>> 2);
  for (let i = 0; i < n; i += 4096) {
    const bad = kernels.firstNotFinite(data + i * rowBytes, Math.min(4096, n - i) * d);
    if (bad >= 0) fail("ERR_NOT_FINITE", "the training points hold a NaN or an infinity: leave such rows out");
  }
  const centroids = engine.allocate(k * rowBytes);
  const centroidAt = (i: number): number => (centroids >>> 2) + i * d;
  const order = permutation(n, options.seed + 1, k);
  for (let i = 0; i < k; i++) {
    const from = (data >>> 2) + (n === k ? i : order[i]) * d;
    engine.f32.copyWithin(centroidAt(i), from, from + d);
  }
  const result = (): Float32Array<ArrayBuffer> => engine.f32.slice(centroidAt(0), centroidAt(k));
  const objective: number[] = [];
  if (n === k) return { centroids: result(), objective };

  const half = engine.allocate(k * 4);
  const sums = engine.allocate(k * rowBytes);
  const counts = engine.allocate(k * 4);
  const lists = engine.allocate(n * 4);
  const scores = engine.allocate(n * 4);
  const norms = engine.allocate(n * 4);
  const tile = engine.allocate(kernels.assignScratch(CHUNK));
  kernels.squaredNorms(data, n, d, norms);
  engine.u8.fill(0, lists, lists + n * 4);
  let heads = options.spherical
    ? undefined
    : await headsOf(engine, data, n, k, d, () => pace.step("k-means", 0, options.niter * n));
  if (options.spherical) kernels.normalize(centroids, k, d);
  engine.f32.fill(0, half >>> 2, (half >>> 2) + k);

  for (let iteration = 0; iteration < options.niter; iteration++) {
    if (!options.spherical) kernels.halfNorms(centroids, k, d, half);
    engine.u8.fill(0, sums, sums + k * rowBytes);
    engine.u8.fill(0, counts, counts + k * 4);
    if (heads?.takeCentroids(centroids) === false) heads = undefined;
    for (let i = 0; i < n; i += span) {
      const count = Math.min(span, n - i);
      const at = data + i * rowBytes;
      if (heads) heads.assign(at, i, count, centroids, half, norms, lists, scores);
      else kernels.assign(at, count, centroids, half, k, d, lists + i * 4, scores + i * 4, tile);
      kernels.accumulate(at, count, d, lists + i * 4, sums, counts, 0, k);
      await pace.step("k-means", iteration * n + i + count, options.niter * n);
    }
    const total = kernels.objective(scores, options.spherical ? 0 : norms, n);
    kernels.average(sums, counts, k, d);
    const splits = chooseDonors(engine.i32.subarray(counts >>> 2, (counts >>> 2) + k), n);
    for (let i = 0; i < splits.length; i++) {
      split(engine.f32.subarray(sums >>> 2, (sums >>> 2) + k * d), d, splits[i]);
      if (i % CHUNK === 0) await pace.step("k-means", (iteration + 1) * n, options.niter * n);
    }
    if (options.spherical) kernels.normalize(sums, k, d);
    heads?.moveCentroids(centroids, sums);
    engine.u8.copyWithin(centroids, sums, sums + k * rowBytes);
    const repeats = objective.at(-1) === total;
    objective.push(total);
    if (repeats) break;
  }
  await pace.step("k-means", options.niter * n, options.niter * n);
  return { centroids: result(), objective };
}

/** Heads of n points, `step` being called after each chunk of them; undefined where they would not pay or can't be had. */
async function headsOf(
  engine: Engine,
  points: number,
  n: number,
  k: number,
  d: number,
  step: () => Promise<void>,
): Promise<Heads | undefined> {
  const heads = Heads.make(engine, points, n, n, k, d);
  const { span } = engine;
  for (let i = 0; i < n; i += span) {
    if (heads?.takePoints(points + i * d * 4, i, Math.min(span, n - i)) !== true) return undefined;
    await step();
  }
  return heads;
}

/** A cluster that is empty, and the one that gives it half of its points. */
interface Split {
  empty: number;
  donor: number;
}

/** Gives each empty cluster half of a large one, the two told apart by a small shift; the larger, the likelier a donor. */
export function splitEmpty(centroids: Float32Array, counts: Int32Array, n: number): void {
  for (const each of chooseDonors(counts, n)) split(centroids, centroids.length / counts.length, each);
}

/**
 * Finds a donor for each empty cluster, and shares out the counts. As faiss does, from cluster 0 on, each giving with the probability
 * of its share of the points, so that the bytes are faiss'; that takes a round of k draws for each, and with thousands of empty
 * clusters seconds. After so many draws (some 10 ms of them) donors are drawn at once, by the same shares.
 */
export function chooseDonors(counts: Int32Array, n: number): Split[] {
  const k = counts.length;
  const splits: Split[] = [];
  let random: Random | undefined;
  let shares: Shares | undefined;
  let draws = 0;
  for (let empty = 0; empty < k; empty++) {
    if (counts[empty] !== 0) continue;
    random ??= new Random(1234);
    let donor = 0;
    if (draws < MOST_DRAWS) {
      for (; random.unit() >= (counts[donor] - 1) / (n - k); draws++) donor = (donor + 1) % k;
    } else {
      shares ??= new Shares(counts);
      donor = shares.draw(random.unit());
    }
    const half = counts[donor] >> 1;
    counts[empty] = half;
    counts[donor] -= half;
    shares?.add(empty, half - 1);
    shares?.add(donor, -half);
    splits.push({ empty, donor });
  }
  return splits;
}

/** Moves a donor's centroid and a copy of it apart. */
function split(centroids: Float32Array, d: number, { empty, donor }: Split): void {
  for (let j = 0; j < d; j++) {
    const shift = j % 2 === 0 ? SPLIT : -SPLIT;
    const value = centroids[donor * d + j];
    centroids[empty * d + j] = value * (1 + shift);
    centroids[donor * d + j] = value * (1 - shift);
  }
}
