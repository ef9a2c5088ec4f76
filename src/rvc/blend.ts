import type { Floats, IdType, Index, SearchOptions } from "../api.js";
import { METRIC_L2 } from "../api.js";
import { what } from "../checks.js";
import { fail } from "../errors.js";
import { floatsOf } from "../handle/input.js";
import { BLEND_NAMES, checkD, checkNames, DEFAULTS, option, readSearch } from "../handle/options.js";
import { VectorIndex } from "../handle/vector-index.js";
import { decodedAtOnce, OWN_PARAMS } from "../indexes/node.js";
import type { SearchParams } from "../indexes/node.js";

/**
 * How features are blended; the search's own options go along.
 *
 * @example
 *   const options: BlendOptions = { k: 8, rate: 0.75, nprobe: 4 };
 */
export interface BlendOptions extends SearchOptions {
  /**
   * Neighbours of each feature. Default: 8, as RVC has it.
   *
   * @example
   *   blend(voice, frames, { k: 4 });
   */
  k?: number | undefined;
  /**
   * How far features move towards their neighbours, 0 to 1: RVC's "index rate". Default: 0.75, as in its web page.
   *
   * @example
   *   blend(voice, frames, { rate: slider.valueAsNumber });
   */
  rate?: number | undefined;
  /**
   * Features that the caller means to give, a block's: ERR_DIMENSION for another number of them.
   *
   * @example
   *   blend(voice, frames, { d: 768, rows: 16 });
   */
  rows?: number | undefined;
}

/** The search's parameters of the call at hand: one object for all calls, since a blend allocates nothing. */
const params: SearchParams = { ...OWN_PARAMS, ensureK: true };

/**
 * Moves each feature towards the weighted mean of its neighbours, in place: RVC's retrieval, `rate * mean + (1 - rate) * feature`.
 *
 * With s the squared distance, a neighbour weighs (s_min / s)², the weights of a feature summing to 1. Neighbours at distance 0
 * share the whole weight; a missing one has none; a feature without neighbours stays as it was, and so does everything on an
 * empty index. Unless `ensureK` is false, a search goes on to the next nearest lists until k are found: a voice then never falls
 * back to raw features in the middle of a word. Allocates nothing after the first call with so many features.
 *
 * @example
 *   const voice = await readIndex(await fetch("alice.index"));
 *   voice.warmUp({ batch: 16, k: 8, nprobe: 4 });
 *   blend(voice, frames, { k: 8, rate: 0.75, nprobe: 4, d: 768, rows: 16 }); // frames: a Float32Array of 16 x 768
 *
 * @param index an index of the wanted voice, of METRIC_L2
 * @param given n x d features, row-major, or a tensor of them; overwritten
 * @returns what was given; throws ERR_METRIC for an inner-product index, ERR_DIMENSION, ERR_PARAMETER, ERR_NOT_TRAINED
 */
export function blend<F extends Floats>(index: Index<IdType>, given: F, options?: BlendOptions): F {
  if (!(index instanceof VectorIndex)) {
    fail(
      "ERR_PARAMETER",
      `the index is ${what(index)}: give one of indexFactory or readIndex (of a worker: index.blend)`,
    );
  }
  const { d } = index.node;
  const features = floatsOf("features", given, d);
  const n = features.length / d;
  checkNames(options, BLEND_NAMES);
  const k = option(options, "k", DEFAULTS.k);
  const rate = option(options, "rate", DEFAULTS.rate);
  checkD(options, d);
  const rows = option(options, "rows", n);
  if (rows !== n) fail("ERR_DIMENSION", `features are ${n} x ${d}, and the caller says ${rows} rows: mend either`);
  readSearch(index, options, params, true);
  const { node } = index;
  const { engine } = node;
  if (node.metric !== METRIC_L2) {
    fail(
      "ERR_METRIC",
      "the weights of a blend are made of L2 distances, and this index has inner products: make it with METRIC_L2",
    );
  }
  const found = Math.min(k, node.stored);
  if (found === 0) return given;
  const spare = index.blendScratch(found);
  const block = index.blockSize(n, found, params, spare);
  for (let first = 0; first < n; first += block) {
    const count = Math.min(block, n - first);
    const { queries, distances, slots } = index.retrieve(features, first, count, found, params, spare);
    const weights = engine.takeScratch(found * 4);
    const mean = engine.takeScratch(d * 4);
    const { kernels } = engine;
    if (node.rows !== 0) {
      kernels.blendRows(queries, count, d, rate, found, distances, slots, node.rows, false, weights, mean);
    } else {
      // Where no rows are kept, those that are found are made of their codes, for as many features at once as there is room for.
      const most = decodedAtOnce(found, kernels.BLOCK.value, d);
      const { turned } = node;
      turned?.into(queries, count);
      const rows = engine.takeScratch(most * found * d * 4);
      for (let i = 0; i < count; i += most) {
        const n = Math.min(most, count - i);
        const at = i * found * 4;
        if (turned === undefined) node.decode(slots + at, n * found, rows);
        else turned.rows(slots + at, n * found, rows);
        const feature = queries + i * d * 4;
        kernels.blendRows(feature, n, d, rate, found, distances + at, slots + at, rows, true, weights, mean);
      }
      turned?.back(queries, count);
    }
    features.set(index.blended.at(engine, queries, count * d), first * d);
  }
  return given;
}
