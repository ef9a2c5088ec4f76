import type { IdType, Index, Metric, SearchOptions } from "../api.js";
import { METRIC_L2 } from "../api.js";
import { indexFactory } from "../open.js";
import type { VectorIndex } from "../handle/vector-index.js";
import { blend } from "../rvc/blend.js";
import { IdLookup } from "../lists/id-lookup.js";
import { permutation } from "../work/random.js";
import { cellsOf, parameterOf } from "./parts.js";
import { inBlocks } from "./run.js";
import type { Watch } from "./run.js";
import type { Stored } from "../rvc/stored.js";

/** Neighbours of a query: as many as RVC blends. */
export const K = 8;
/** Queries at most: with so many, recall is known to about .01. */
const QUERIES = 500;
/**
 * Where a query is, as a share of the way from one stored vector to another. A stored vector itself is at distance 0 from itself, which
 * would be all of its blend. Of the shares from .2 to .5 this one comes nearest to the real thing, 480 queries of another recording
 * for a voice of 19,312 vectors (IVF495,Flat at nprobe 1, 4, 16): recall .553 .807 .930 where those have .508 .821 .971, error of the
 * blend .424 .151 .050 where those have .449 .167 .034; with PQ384x4fs .691 .524 .485 for .573 .393 .336. Half of the way is far too
 * hard (240 such queries: .255 .567 .826; 1.897 .966 .354); stored vectors that leave themselves out (likewise: .569 .853 .968;
 * .723 .207 .038) triple the error that codes make.
 */
export const SHIFT = 0.3;
/** Rows of vectors that are searched exactly at a time, in bytes: they are copied for it. */
const EXACT_BYTES = 64 << 20;
/** Settings to look at beside those of the file. */
const NPROBES = [1, 4, 16];
const K_FACTOR = 4;

/** Queries, and what an exact search and an exact blend make of them. */
export interface Sample {
  /** How many. */
  count: number;
  queries: Float32Array<ArrayBuffer>;
  /** How near a query is to the vector of an id: larger is nearer. */
  nearness: (query: number, id: bigint) => number;
  /** How many neighbours each query has: K, or all vectors where they are fewer. */
  k: number;
  /** For each query the nearness of the farthest of its k neighbours. */
  farthest: Float64Array;
  /** The queries after an exact blend; undefined where there are no L2 distances. */
  blended: Float32Array | undefined;
}

/** What an index finds at one setting. */
export interface Measured extends Record<string, number | null> {
  /** Lists scanned; null for an index without lists. */
  nprobe: number | null;
  /** Candidates compared again, as a multiple of k; null for an index that compares none. */
  kFactor: number | null;
  /** The share of the true neighbours that a search finds. */
  recall: number;
  /** How far a blend ends from the exact one, as a share of how far that one moves a query; null where there is no such thing. */
  blendError: number | null;
}

/** Draws queries near to the vectors of an index: on the way from one to another. */
export function drawQueries({ vectors, ids }: Stored, d: number, seed: number): Float32Array<ArrayBuffer> {
  const n = ids.length;
  const count = Math.min(QUERIES, n);
  const order = permutation(n, seed);
  const queries = new Float32Array(count * d);
  for (let query = 0; query < count; query++) {
    const from = order[query] * d;
    const to = order[(query + 1) % n] * d;
    for (let j = 0; j < d; j++)
      queries[query * d + j] = vectors[from + j] + SHIFT * (vectors[to + j] - vectors[from + j]);
  }
  return queries;
}

/** Searches the vectors exactly for queries. */
export async function takeSample(
  { vectors, ids }: Stored,
  d: number,
  metric: Metric,
  queries: Float32Array<ArrayBuffer>,
  watch: Watch,
): Promise<Sample> {
  const n = ids.length;
  const count = queries.length / d;
  const k = Math.min(K, n);
  const near = metric === METRIC_L2 ? nearnessByDistance : innerProduct;
  const nearness = (query: number, row: number): number => near(queries, query * d, vectors, row * d, d);
  const neighbours = await exactNeighbours(vectors, d, metric, queries, k, nearness, watch);
  const farthest = Float64Array.from({ length: count }, (_, query) =>
    neighbours
      .subarray(query * k, query * k + k)
      .reduce((least, row) => Math.min(least, nearness(query, row)), Infinity),
  );
  const rows = new IdLookup(n, (each) => ids.forEach(each));
  return {
    count,
    queries,
    nearness: (query, id) => nearness(query, rows.find(id)),
    k,
    farthest,
    blended: metric === METRIC_L2 ? await exactBlend(vectors, d, queries, neighbours, watch) : undefined,
  };
}

/** The rows of the k nearest vectors of each query. The vectors are searched part by part: a copy of all may be gigabytes. */
async function exactNeighbours(
  vectors: Float32Array,
  d: number,
  metric: Metric,
  queries: Float32Array,
  k: number,
  nearness: (query: number, row: number) => number,
  watch: Watch,
): Promise<Int32Array> {
  const n = vectors.length / d;
  const count = queries.length / d;
  const step = Math.max(k, Math.floor(EXACT_BYTES / 4 / d));
  const best: { row: number; near: number }[][] = Array.from({ length: count }, () => []);
  const exact = await indexFactory(d, "Flat", metric, { onWarning: watch.onWarning, bounds: false });
  for (let first = 0; first < n; first += step) {
    const last = Math.min(first + step, n);
    exact.reset();
    await exact.add(vectors.subarray(first * d, last * d), { signal: watch.signal });
    const part = Math.min(k, last - first);
    const distances = new Float32Array(count * part);
    const labels = new BigInt64Array(count * part);
    await inBlocks(`exact search (${first}/${n})`, count, watch, (from, to) => {
      const into = [distances.subarray(from * part, to * part), labels.subarray(from * part, to * part)] as const;
      exact.searchInto(queries.subarray(from * d, to * d), part, ...into);
    });
    for (let query = 0; query < count; query++) {
      for (const label of labels.subarray(query * part, query * part + part)) {
        if (label < 0n) continue;
        const row = first + Number(label);
        best[query].push({ row, near: nearness(query, row) });
      }
      best[query].sort((a, b) => b.near - a.near);
      best[query].length = Math.min(k, best[query].length);
    }
  }
  exact.dispose();
  return Int32Array.from({ length: count * k }, (_, i) => best[Math.floor(i / k)][i % k].row);
}

/** Queries after a blend with their nearest vectors: those of all queries make an index that gives what one of all vectors would. */
async function exactBlend(
  vectors: Float32Array,
  d: number,
  queries: Float32Array,
  neighbours: Int32Array,
  watch: Watch,
): Promise<Float32Array> {
  const rows = [...new Set(neighbours)].sort((a, b) => a - b);
  const near = new Float32Array(rows.length * d);
  rows.forEach((row, i) => near.set(vectors.subarray(row * d, row * d + d), i * d));
  const index = await indexFactory(d, "Flat");
  await index.add(near);
  const blended = await blends(index, queries, "exact blend", {}, watch);
  index.dispose();
  return blended;
}

/** Measures an index at the settings of its file and at a few more. */
export async function measure(index: VectorIndex, sample: Sample, watch: Watch): Promise<Measured[]> {
  const { queries, blended } = sample;
  const measured: Measured[] = [];
  for (const setting of settings(index)) {
    const options = optionsOf(setting);
    const recall = recallOf(await search(index, queries, "measure searches", options, watch), sample);
    const blendError =
      blended && errorOf(await blends(index, queries, "measure blends", options, watch), blended, queries, index.d);
    measured.push({ ...setting, recall, blendError: blendError ?? null });
  }
  return measured;
}

function optionsOf({ nprobe, kFactor }: Pick<Measured, "nprobe" | "kFactor">): SearchOptions {
  return { nprobe: nprobe ?? undefined, kFactor: kFactor ?? undefined };
}

function settings(index: VectorIndex): Pick<Measured, "nprobe" | "kFactor">[] {
  const { nlist, nprobe } = cellsOf(index);
  const nprobes = nprobe === null ? [null] : ascending([nprobe, ...NPROBES.filter((lists) => lists <= (nlist ?? 0))]);
  const kFactor = parameterOf(index, "k_factor_rf");
  const kFactors = kFactor === null ? [null] : ascending([kFactor, K_FACTOR]);
  return kFactors.flatMap((factor) => nprobes.map((lists) => ({ nprobe: lists, kFactor: factor })));
}

function ascending(values: number[]): number[] {
  return [...new Set(values)].sort((a, b) => a - b);
}

/** The ids that searches find, K a query. */
async function search(
  index: Index<IdType>,
  queries: Float32Array,
  phase: string,
  options: SearchOptions,
  watch: Watch,
): Promise<BigInt64Array> {
  const { d } = index;
  const n = queries.length / d;
  const distances = new Float32Array(n * K);
  const labels = new BigInt64Array(n * K);
  await inBlocks(phase, n, watch, (first, end) => {
    const into = [distances.subarray(first * K, end * K), labels.subarray(first * K, end * K)] as const;
    index.searchInto(queries.subarray(first * d, end * d), K, ...into, options);
  });
  return labels;
}

/** Queries moved all the way to their blends. */
async function blends(
  index: Index<IdType>,
  queries: Float32Array,
  phase: string,
  options: SearchOptions,
  watch: Watch,
): Promise<Float32Array> {
  const { d } = index;
  const moved = queries.slice();
  await inBlocks(phase, queries.length / d, watch, (first, end) => {
    blend(index, moved.subarray(first * d, end * d), { ...options, k: K, rate: 1 });
  });
  return moved;
}

/** Told by nearness, not by id: of vectors at the same distance any will do, and equal ones are common where speech pauses. */
function recallOf(labels: BigInt64Array, { count, k, nearness, farthest }: Sample): number {
  let hits = 0;
  for (let i = 0; i < labels.length; i++) {
    const query = Math.floor(i / K);
    if (labels[i] !== -1n && nearness(query, labels[i]) >= farthest[query]) hits++;
  }
  return hits / (count * k);
}

/** The mean over all queries that the exact blend moves; null where it moves none. */
function errorOf(moved: Float32Array, exact: Float32Array, queries: Float32Array, d: number): number | null {
  let sum = 0;
  let count = 0;
  for (let at = 0; at < queries.length; at += d) {
    const way = -nearnessByDistance(exact, at, queries, at, d);
    if (way === 0) continue;
    sum += Math.sqrt(-nearnessByDistance(moved, at, exact, at, d) / way);
    count++;
  }
  return count === 0 ? null : sum / count;
}

/** The squared distance of two rows, negative. */
function nearnessByDistance(a: Float32Array, i: number, b: Float32Array, j: number, d: number): number {
  let sum = 0;
  for (let end = i + d; i < end; i++, j++) sum -= (a[i] - b[j]) ** 2;
  return sum;
}

function innerProduct(a: Float32Array, i: number, b: Float32Array, j: number, d: number): number {
  let sum = 0;
  for (let end = i + d; i < end; i++, j++) sum += a[i] * b[j];
  return sum;
}
