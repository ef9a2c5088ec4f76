import { fail } from "../errors.js";
import { Engine } from "../wasm/engine.js";
import type { EngineOptions } from "../wasm/engine.js";
import { permutation, Random } from "./random.js";
import type { Pace } from "./work.js";

/** Points assigned by one call of the kernel: V8 swaps a wasm function for its optimised code only between calls. */
const CHUNK = 64;
/** faiss' bounds on the training points of a centroid: fewer give a warning, more are sampled down. */
const MIN_POINTS = 39;
const MAX_POINTS = 256;
/** With fewer centroids or dimensions, heads cost as much as they spare. */
const HEADS_CENTROIDS = 64;
const HEADS_DIMENSIONS = 128;
/** The relative shift that tells the two halves of a split cluster apart: faiss' EPS. */
const SPLIT = 1 / 1024;

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
  const { kernels } = engine;
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
  if (n === given) {
    engine.f32.set(points, data >>> 2);
  } else {
    const order = permutation(given, options.seed);
    for (let i = 0; i < n; i++) {
      engine.f32.set(points.subarray(order[i] * d, order[i] * d + d), (data >>> 2) + i * d);
    }
  }
  for (let i = 0; i < n; i += 4096) {
    const bad = kernels.firstNotFinite(data + i * rowBytes, Math.min(4096, n - i) * d);
    if (bad >= 0) fail("ERR_NOT_FINITE", "the training points hold a NaN or an infinity: leave such rows out");
  }
  const centroids = engine.allocate(k * rowBytes);
  const centroidAt = (i: number): number => (centroids >>> 2) + i * d;
  const order = permutation(n, options.seed + 1);
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
  const heads = options.spherical ? undefined : await Heads.of(engine, data, n, k, d, pace);
  if (options.spherical) kernels.normalize(centroids, k, d);
  engine.f32.fill(0, half >>> 2, (half >>> 2) + k);

  for (let iteration = 0; iteration < options.niter; iteration++) {
    if (!options.spherical) kernels.halfNorms(centroids, k, d, half);
    engine.u8.fill(0, sums, sums + k * rowBytes);
    engine.u8.fill(0, counts, counts + k * 4);
    const bounded = heads?.follow(centroids) === true;
    for (let i = 0; i < n; i += CHUNK) {
      const count = Math.min(CHUNK, n - i);
      const at = data + i * rowBytes;
      if (bounded) heads.assign(data, i, count, centroids, half, norms, lists, scores, tile);
      else kernels.assign(at, count, centroids, half, k, d, lists + i * 4, scores + i * 4, tile);
      kernels.accumulate(at, count, d, lists + i * 4, sums, counts);
      await pace.step("k-means", iteration * n + i + count, options.niter * n);
    }
    let total = 0;
    for (let i = 0; i < n; i++) {
      const score = engine.f32[(scores >>> 2) + i];
      total += options.spherical ? -score : Math.max(0, engine.f32[(norms >>> 2) + i] + 2 * score);
    }
    kernels.average(sums, counts, k, d);
    splitEmpty(
      engine.f32.subarray(sums >>> 2, (sums >>> 2) + k * d),
      engine.i32.subarray(counts >>> 2, (counts >>> 2) + k),
      n,
    );
    if (options.spherical) kernels.normalize(sums, k, d);
    engine.u8.copyWithin(centroids, sums, sums + k * rowBytes);
    const repeats = objective.at(-1) === total;
    objective.push(total);
    if (repeats) break;
  }
  await pace.step("k-means", options.niter * n, options.niter * n);
  return { centroids: result(), objective };
}

/**
 * Heads of points and centroids (assembly/heads.ts), by which an assignment passes over most centroids and comes out the same. The basis
 * and the heads of the points are made once.
 *
 * Of speech with 256 dimensions and 1488 centroids, 16, 24, 32 and 40 numbers in a head make k-means of 58,050 rows take 2.4, 2.6, 2.9 and 3.2 s;
 * of vectors with rather more hidden dimensions, 2.9, 2.8, 2.8 and 3.2. Of a voice with 768 and 495 centroids, 48, 64, 88 and 112 make
 * 1.30, 1.21, 1.33 and 1.49 s; without heads it takes 3.7.
 */
class Heads {
  readonly #engine: Engine;
  readonly #k: number;
  readonly #d: number;
  readonly #m: number;
  /** Addresses. */
  readonly #basis: number;
  readonly #pointLengths: number;
  readonly #pointHeads: number;
  readonly #lengths: number;
  readonly #heads: number;
  readonly #scratch: number;

  /** Takes the memory. Throws ERR_MEMORY. */
  private constructor(engine: Engine, n: number, k: number, d: number) {
    const { kernels } = engine;
    this.#engine = engine;
    this.#k = k;
    this.#d = d;
    this.#m = d < 512 ? 24 : 64;
    this.#basis = engine.allocate(kernels.basisBytes(d, this.#m));
    this.#pointLengths = engine.allocate(n * 4);
    this.#pointHeads = engine.allocate(n * this.#m * 4);
    this.#lengths = engine.allocate((k + 3) * 4);
    this.#heads = engine.allocate(k * this.#m * 4);
    this.#scratch = engine.allocate(kernels.makeHeadsScratch(d, this.#m));
  }

  /** Heads of n points for k centroids; undefined where they don't pay, there is no memory for them, or points are beyond bounds. */
  static async of(
    engine: Engine,
    points: number,
    n: number,
    k: number,
    d: number,
    pace: Pace,
  ): Promise<Heads | undefined> {
    if (engine.options.bounds === false || k < HEADS_CENTROIDS || d < HEADS_DIMENSIONS) return undefined;
    let heads: Heads;
    try {
      heads = new Heads(engine, n, k, d);
    } catch {
      return undefined;
    }
    const { kernels } = engine;
    if (kernels.makeBasis(points, n, d, heads.#m, heads.#basis, heads.#scratch) === 0) return undefined;
    for (let i = 0; i < n; i += CHUNK) {
      if (!heads.#make(points + i * d * 4, Math.min(CHUNK, n - i), heads.#pointLengths, heads.#pointHeads, i)) {
        return undefined;
      }
      await pace.step("k-means", 0, n);
    }
    return heads;
  }

  /** Makes the heads of the centroids as they stand now; false where they are beyond bounds. */
  follow(centroids: number): boolean {
    let fine = true;
    for (let i = 0; i < this.#k && fine; i += CHUNK) {
      const count = Math.min(CHUNK, this.#k - i);
      fine = this.#make(centroids + i * this.#d * 4, count, this.#lengths, this.#heads, i);
    }
    return fine;
  }

  /** As the kernel assign, of points i … i + count - 1; lists have where they were before. */
  assign(
    points: number,
    i: number,
    count: number,
    centroids: number,
    half: number,
    norms: number,
    lists: number,
    scores: number,
    tile: number,
  ): void {
    const at = i * 4;
    this.#engine.kernels.assignByHeads(
      points + at * this.#d,
      count,
      centroids,
      half,
      this.#k,
      this.#d,
      norms + at,
      this.#m,
      this.#basis,
      this.#pointLengths + at,
      this.#pointHeads + at * this.#m,
      this.#lengths,
      this.#heads,
      lists + at,
      scores + at,
      tile,
    );
  }

  #make(rows: number, count: number, lengths: number, heads: number, i: number): boolean {
    const { kernels } = this.#engine;
    const [d, m] = [this.#d, this.#m];
    const made = kernels.makeHeads(rows, count, d, m, this.#basis, lengths + i * 4, heads + i * m * 4, this.#scratch);
    return made === 1;
  }
}

/** Gives each empty cluster half of a large one, the two told apart by a small shift; the larger, the likelier a donor. */
export function splitEmpty(centroids: Float32Array, counts: Int32Array, n: number): void {
  const k = counts.length;
  const d = centroids.length / k;
  const random = new Random(1234);
  for (let empty = 0; empty < k; empty++) {
    if (counts[empty] !== 0) continue;
    let donor = 0;
    while (random.unit() >= (counts[donor] - 1) / (n - k)) donor = (donor + 1) % k;
    for (let j = 0; j < d; j++) {
      const shift = j % 2 === 0 ? SPLIT : -SPLIT;
      const value = centroids[donor * d + j];
      centroids[empty * d + j] = value * (1 + shift);
      centroids[donor * d + j] = value * (1 - shift);
    }
    counts[empty] = counts[donor] >> 1;
    counts[donor] -= counts[empty];
  }
}
