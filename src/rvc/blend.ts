import type { Index, SearchOptions } from "../api.js";
import { METRIC_L2 } from "../api.js";
import { fail } from "../errors.js";
import { checkK, countRows } from "../handle/input.js";
import { VectorIndex } from "../handle/vector-index.js";

/** How features are blended; the search's own options go along. */
export interface BlendOptions extends SearchOptions {
  /** Neighbours of each feature. Default: 8, as RVC has it. */
  k?: number | undefined;
  /** How far features move towards their neighbours, 0 to 1: RVC's "index rate". Default: 0.75, as in its web page. */
  rate?: number | undefined;
}

/** The names of BlendOptions. */
const KNOWN = new Set(["k", "rate", "nprobe", "kFactor", "efSearch", "ensureK"]);

/** The search's options of the call at hand: one object for all calls, since a blend allocates nothing. */
const search: SearchOptions = {};

/**
 * Moves each feature towards the weighted mean of its neighbours, in place: RVC's retrieval, `rate * mean + (1 - rate) * feature`.
 *
 * With s the squared distance, a neighbour weighs (s_min / s)², the weights of a feature summing to 1. Neighbours at distance 0
 * share the whole weight; a missing one has none; a feature without neighbours stays as it was, and so does everything on an
 * empty index. Unless `ensureK` is false, a search goes on to the next nearest lists until k are found: a voice then never falls
 * back to raw features in the middle of a word. Allocates nothing after the first call with so many features.
 *
 * @param index an index of the wanted voice, of METRIC_L2
 * @param features n x d, row-major; overwritten
 * @returns features; throws ERR_METRIC for an inner-product index, ERR_DIMENSION, ERR_PARAMETER, ERR_NOT_TRAINED
 */
export function blend(index: Index, features: Float32Array, options: BlendOptions = {}): Float32Array {
  if (!(index instanceof VectorIndex)) fail("ERR_PARAMETER", "blend wants an index made by indexFactory or readIndex");
  const { node } = index;
  const { d, engine } = node;
  const n = countRows("features", features, d);
  for (const name in options) {
    if (!KNOWN.has(name)) fail("ERR_PARAMETER", `there is no option "${name}": ${[...KNOWN].join(", ")} are known`);
  }
  const k = options.k ?? 8;
  const rate = options.rate ?? 0.75;
  checkK(k);
  if (!(rate >= 0 && rate <= 1)) fail("ERR_PARAMETER", `rate is ${String(rate)}: give a number from 0 to 1`);
  if (node.metric !== METRIC_L2) {
    fail(
      "ERR_METRIC",
      "the weights of a blend are made of L2 distances, and this index has inner products: make it with METRIC_L2",
    );
  }
  search.nprobe = options.nprobe;
  search.kFactor = options.kFactor;
  search.efSearch = options.efSearch;
  search.ensureK = options.ensureK ?? true;

  const found = Math.min(k, node.ntotal);
  if (found === 0) return features;
  const block = index.blockSize(found);
  const spare = index.blendScratch(found);
  for (let first = 0; first < n; first += block) {
    const count = Math.min(block, n - first);
    const { queries, distances, slots } = index.retrieve(features, first, count, found, search, spare);
    const weights = engine.takeScratch(found * 4);
    const mean = engine.takeScratch(d * 4);
    const { i32, kernels } = engine;
    if (node.rows !== 0) {
      kernels.blendRows(queries, count, d, rate, found, distances, slots, node.rows, weights, mean);
    } else {
      // Where no rows are kept, those that are found are made of their codes, for one feature at a time.
      const rows = engine.takeScratch(found * d * 4);
      for (let i = 0; i < count; i++) {
        const offset = i * found * 4;
        node.decode(slots + offset, found, rows);
        for (let j = 0, at = (slots + offset) >>> 2; j < found; j++, at++) if (i32[at] >= 0) i32[at] = j;
        const feature = queries + i * d * 4;
        kernels.blendRows(feature, 1, d, rate, found, distances + offset, slots + offset, rows, weights, mean);
      }
    }
    features.set(index.blended.at(engine, queries, count * d), first * d);
  }
  return features;
}
