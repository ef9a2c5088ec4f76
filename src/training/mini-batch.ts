import { Engine } from "../wasm/engine.js";
import type { EngineOptions } from "../wasm/options.js";
import { Heads } from "./heads.js";
import { permutation, Random } from "../work/random.js";
import type { Pace } from "../work/pace.js";

/** Rows a step: RVC takes 256 a core, and the cores are set here, so that the result does not depend on the machine. */
const BATCH = 256 * 8;
/** Passes over the rows at most, and steps without progress before it ends: scikit-learn's defaults, which RVC uses. */
const PASSES = 100;
const PATIENCE = 10;
/** Centres with less than this share of the largest count are put elsewhere: scikit-learn's reassignment_ratio. */
const FEW = 0.01;
/** Points assigned by one call of the kernel, as in k-means. */
const CHUNK = 64;

/**
 * k-means on small random batches (Sculley, 2010), with the rules of scikit-learn's MiniBatchKMeans: each centre is the mean of all
 * points it ever was given; it ends when the smoothed error of the batches has not fallen for ten steps.
 *
 * @param points n x d, read before the promise is returned
 * @param k centres, at most n
 * @returns the centres, k x d; rejects with ERR_MEMORY or the signal's reason
 */
export async function miniBatchKMeans(
  points: Float32Array,
  d: number,
  k: number,
  seed: number,
  engineOptions: EngineOptions,
  pace: Pace,
): Promise<Float32Array<ArrayBuffer>> {
  const engine = new Engine(engineOptions);
  const { kernels, span } = engine;
  const n = points.length / d;
  const rowBytes = d * 4;
  const batch = Math.min(BATCH, n);
  const data = engine.allocate(n * rowBytes);
  engine.f32.set(points, data >>> 2);
  const centres = engine.allocate(k * rowBytes);
  const half = engine.allocate(k * 4);
  const rows = engine.allocate(batch * rowBytes);
  const norms = engine.allocate(batch * 4);
  const sums = engine.allocate(k * rowBytes);
  const counts = engine.allocate(k * 4);
  const lists = engine.allocate(batch * 4);
  const scores = engine.allocate(batch * 4);
  const tile = engine.allocate(kernels.assignScratch(CHUNK));
  const heads = Heads.make(engine, data, n, batch, k, d);
  engine.u8.fill(0, lists, lists + batch * 4);
  const copyPoint = (from: number, to: number): void => {
    engine.u8.copyWithin(to, data + from * rowBytes, data + (from + 1) * rowBytes);
  };

  const order = permutation(n, seed + 1);
  for (let i = 0; i < k; i++) copyPoint(order[i], centres + i * rowBytes);
  const random = new Random(seed);
  const seen = new Float64Array(k);
  const steps = Math.ceil((PASSES * n) / batch);
  const weight = Math.min(1, (2 * batch) / (n + 1));
  let smoothed = Infinity;
  let best = Infinity;
  let patience = PATIENCE;
  let sinceMoved = 0;
  for (let step = 0; step < steps && patience > 0; step++) {
    for (let i = 0; i < batch; i++) copyPoint(random.below(n), rows + i * rowBytes);
    kernels.squaredNorms(rows, batch, d, norms);
    kernels.halfNorms(centres, k, d, half);
    engine.u8.fill(0, sums, sums + k * rowBytes);
    engine.u8.fill(0, counts, counts + k * 4);
    const bounded = heads?.takeCentroids(centres) === true && heads.takePoints(rows, 0, batch);
    for (let i = 0; i < batch; i += span) {
      const count = Math.min(span, batch - i);
      const at = rows + i * rowBytes;
      if (bounded) heads.assign(at, i, count, centres, half, norms, lists, scores);
      else kernels.assign(at, count, centres, half, k, d, lists + i * 4, scores + i * 4, tile);
      kernels.accumulate(at, count, d, lists + i * 4, sums, counts, 0, k);
      await pace.step("mini-batch k-means", step * batch + i, steps * batch);
    }
    let error = 0;
    for (let i = 0; i < batch; i++) {
      error += Math.max(0, engine.f32[(norms >>> 2) + i] + 2 * engine.f32[(scores >>> 2) + i]) / batch;
    }
    let unseen = false;
    let most = 0;
    for (let i = 0; i < k; i++) {
      const count = engine.i32[(counts >>> 2) + i];
      if (count > 0) {
        const total = seen[i] + count;
        const centre = (centres >>> 2) + i * d;
        const sum = (sums >>> 2) + i * d;
        for (let j = 0; j < d; j++)
          engine.f32[centre + j] = (engine.f32[centre + j] * seen[i] + engine.f32[sum + j]) / total;
        seen[i] = total;
      }
      unseen ||= seen[i] === 0;
      most = Math.max(most, seen[i]);
    }
    sinceMoved += batch;
    if (unseen || sinceMoved >= 10 * k) {
      sinceMoved = 0;
      moveForgotten(seen, most * FEW, batch, (centre) => {
        const from = rows + random.below(batch) * rowBytes;
        engine.u8.copyWithin(centres + centre * rowBytes, from, from + rowBytes);
      });
    }
    if (step === 0) continue; // The first batch's error is that of the random centres.
    smoothed = smoothed === Infinity ? error : smoothed * (1 - weight) + error * weight;
    patience = smoothed < best ? PATIENCE : patience - 1;
    best = Math.min(best, smoothed);
  }
  await pace.step("mini-batch k-means", steps * batch, steps * batch);
  return engine.f32.slice(centres >>> 2, (centres >>> 2) + k * d);
}

/** Puts the centres that hold least on points of the batch, half a batch of them at most, and lets them count as the least kept. */
function moveForgotten(seen: Float64Array, few: number, batch: number, move: (centre: number) => void): void {
  const forgotten = [...seen.keys()]
    .filter((i) => seen[i] < few)
    .sort((a, b) => seen[a] - seen[b] || a - b)
    .slice(0, batch / 2);
  if (forgotten.length === 0) return;
  const gone = new Set(forgotten);
  const least = seen.reduce((min, count, i) => (gone.has(i) ? min : Math.min(min, count)), Infinity);
  for (const centre of forgotten) {
    move(centre);
    seen[centre] = least;
  }
}
