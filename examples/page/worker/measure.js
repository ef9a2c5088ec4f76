import { blend } from "cellist/rvc";

/** Neighbours of a frame, how far it moves towards them, and frames that are searched at once: RVC's figures. */
export const K = 8;
export const RATE = 0.75;
export const BLOCK = 16;
/** Frames that are asked for. */
const QUERIES = 480;
/**
 * Where a stand-in for a held-out frame is: so far from a frame of the voice towards another one. A stored frame itself would find
 * itself. On a real voice with frames of another recording, this share comes nearest to what those give (see src/cli/measure.ts).
 */
const SHIFT = 0.3;
/** Times of a setting, each the mean of as many blocks as a coarse clock needs, and the time after which no other is taken. */
const TIMES = 9;
const SPAN = 4;
const PATIENCE = 150;

/** Frames to ask for: whole blocks, from pairs of frames drawn evenly over the voice. */
export function standIns(rows, d) {
  const n = rows.length / d;
  const count = Math.min(QUERIES, Math.max(1, Math.floor(n / BLOCK)) * BLOCK);
  const queries = new Float32Array(count * d);
  for (let i = 0; i < count; i++) {
    const from = Math.floor((i * n) / count) * d;
    // The step is prime to most numbers, so that pairs are not of neighbours in time.
    const to = ((Math.floor((i * n) / count) + 7919 * (i + 1)) % n) * d;
    for (let j = 0; j < d; j++) queries[i * d + j] = rows[from + j] + SHIFT * (rows[to + j] - rows[from + j]);
  }
  return queries;
}

/**
 * The truth about queries: their nearest frames among all, and where those move them.
 *
 * @param {import("cellist").Index} index
 * @param {Float32Array} queries n x d
 * @param {number} everything an nprobe that looks into all lists
 */
export function truthOf(index, queries, everything) {
  const { distances } = index.search(queries, K, { nprobe: everything });
  return {
    queries,
    farthest: queries.length === 0 ? [] : eachRow(distances),
    blended: blended(index, queries, everything),
  };
}

/** The distance of the farthest of the K nearest of each query, as far as there are so many. */
function eachRow(distances) {
  return Array.from({ length: distances.length / K }, (_, i) => {
    let far = 0;
    for (let j = i * K; j < (i + 1) * K; j++) if (distances[j] < 3e38) far = distances[j];
    return far;
  });
}

/**
 * What an index finds at a setting, and what it costs.
 *
 * @param {(query: number, label: number) => number} distance of a query from the frame of a label, as the voice has it in full
 * @returns {{ recall: number, error: number, ms: number }} the share of the nearest that is found; how far a blend ends from the exact
 *   one, as a share of how far that one moves a frame; the median time of a block
 */
export function measure(index, truth, nprobe, distance) {
  const { queries, farthest } = truth;
  const { labels } = index.search(queries, K, { nprobe, ensureK: true });
  let hits = 0;
  for (let i = 0; i < labels.length; i++) {
    const query = Math.floor(i / K);
    if (labels[i] !== -1 && distance(query, Number(labels[i])) <= farthest[query] * (1 + 1e-5)) hits++;
  }
  const wanted = farthest.length * Math.min(K, index.ntotal);
  return {
    recall: Math.min(1, hits / wanted),
    error: blendError(blended(index, queries, nprobe), truth.blended, queries, index.d),
    ms: blockTime(index, queries, nprobe),
  };
}

/** Features after a blend, in a new array. */
export function blended(index, features, nprobe, k = K) {
  const out = features.slice();
  const size = BLOCK * index.d;
  for (let at = 0; at < out.length; at += size) blend(index, out.subarray(at, at + size), { k, rate: RATE, nprobe });
  return out;
}

function blendError(actual, exact, raw, d) {
  let sum = 0;
  let count = 0;
  for (let from = 0; from < raw.length; from += d) {
    const way = length(exact, raw, from, d);
    if (way === 0) continue;
    sum += length(actual, exact, from, d) / way;
    count++;
  }
  return count === 0 ? 0 : sum / count;
}

function length(a, b, from, d) {
  let sum = 0;
  for (let i = from; i < from + d; i++) sum += (a[i] - b[i]) ** 2;
  return Math.sqrt(sum);
}

function blockTime(index, queries, nprobe) {
  const size = Math.min(queries.length, BLOCK * index.d);
  const options = { k: K, rate: RATE, nprobe };
  index.warmUp({ batch: size / index.d, k: K, nprobe });
  const block = new Float32Array(size);
  const times = [];
  const begin = performance.now();
  for (let from = 0; times.length < TIMES && (times.length < 3 || performance.now() - begin < PATIENCE);) {
    const start = performance.now();
    let blocks = 0;
    let now = start;
    for (; now - start < SPAN; blocks++, now = performance.now()) {
      block.set(queries.subarray(from, from + size));
      blend(index, block, options);
      from = (from + size) % (queries.length - size + 1);
    }
    times.push((now - start) / blocks);
  }
  return times.sort((a, b) => a - b)[times.length >> 1];
}
