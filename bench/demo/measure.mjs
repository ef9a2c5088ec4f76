/**
 * What a voice changer would want to know of an index: how many of the true neighbours it finds, how near its blend comes to that of
 * an exact search, and how long a block takes.
 */
import { performance } from "node:perf_hooks";
import { blend } from "cellist/rvc";

/** Neighbours of a frame, how far it moves towards them, and frames that are searched at once: RVC's figures. */
export const K = 8;
export const RATE = 0.75;
export const BLOCK = 16;

/**
 * One way to search.
 *
 * @typedef {object} Setting
 * @property {string} name
 * @property {import("cellist").Index} index
 * @property {number} [nprobe] groups to look into; none for a search of everything
 */

/**
 * What came of it.
 *
 * @typedef {Setting & { recall: number, error: number, median: number, p95: number }} Result
 */

/** Blends features, block by block, into a new array. */
export function blended({ index, nprobe }, features) {
  const result = features.slice();
  for (const block of blocksOf(result, index.d)) blend(index, block, { k: K, rate: RATE, nprobe });
  return result;
}

/**
 * Measures settings side by side: each round times every setting once with all blocks, so that all of them meet the same weather.
 *
 * @param {Setting[]} settings the last one searches everything, and is the truth for the others
 * @param {Float32Array} queries whole blocks
 * @param {number} rounds
 * @returns {Result[]}
 */
export function measure(settings, queries, rounds) {
  const exact = settings.at(-1);
  const truth = { distances: found(exact, queries), blend: blended(exact, queries) };
  const results = settings.map((setting) => {
    setting.index.warmUp({ batch: BLOCK, k: K, nprobe: setting.nprobe });
    return {
      ...setting,
      recall: recall(found(setting, queries), truth.distances),
      error: blendError(blended(setting, queries), truth.blend, queries, setting.index.d),
      times: [],
    };
  });

  const features = new Float32Array(BLOCK * exact.index.d);
  for (let round = 0; round < rounds; round++) {
    for (const { index, nprobe, times } of results) {
      const options = { k: K, rate: RATE, nprobe };
      for (const block of blocksOf(queries, index.d)) {
        features.set(block);
        const start = performance.now();
        blend(index, features, options);
        times.push(performance.now() - start);
      }
    }
  }
  return results.map(({ times, ...result }) => {
    times.sort((a, b) => a - b);
    return { ...result, median: quantile(times, 0.5), p95: quantile(times, 0.95) };
  });
}

/** The distances of the neighbours that a blend would use. */
function found({ index, nprobe }, queries) {
  return index.search(queries, K, { nprobe, ensureK: true }).distances;
}

/**
 * The share of the K nearest that were found. Told by distance, since the index has its rows in another order than the exact one: what
 * is as near as the K-th nearest is one of them, whichever of several at that distance it is.
 */
function recall(distances, exact) {
  let hits = 0;
  for (let i = 0; i < exact.length; i++) {
    const farthest = exact[i - (i % K) + K - 1];
    if (distances[i] <= farthest * (1 + 1e-5)) hits++;
  }
  return hits / exact.length;
}

/** How far a blend is from the exact one, as a share of the way that the exact one moves a frame: the mean over all frames. */
export function blendError(actual, exact, raw, d) {
  let sum = 0;
  for (let from = 0; from < raw.length; from += d)
    sum += distance(actual, exact, from, d) / distance(exact, raw, from, d);
  return sum / (raw.length / d);
}

function distance(a, b, from, d) {
  let sum = 0;
  for (let i = from; i < from + d; i++) sum += (a[i] - b[i]) ** 2;
  return Math.sqrt(sum);
}

function blocksOf(rows, d) {
  const size = BLOCK * d;
  return Array.from({ length: rows.length / size }, (_, i) => rows.subarray(i * size, (i + 1) * size));
}

function quantile(sorted, q) {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}
