import type { SearchOptions, WarmUpShape } from "../api.js";
import { what } from "../checks.js";
import { fail, makingArrays } from "../errors.js";
import { OWN_PARAMS } from "../indexes/node.js";
import type { IndexNode, SearchParams } from "../indexes/node.js";
import { checkD, checkNames, checkOption, readSearch, WARM_UP_NAMES } from "./options.js";
import { checkCount, newResults } from "./results.js";
import type { VectorIndex } from "./vector-index.js";

/**
 * Searches that warmUp makes: after so many calls V8 has the kernels compiled in its second tier. Long ones are compiled after fewer, since
 * it counts their loops too: from so many milliseconds on no other is begun.
 */
const ROUNDS = 64;
const TIME = 500;
/** Numbers in an array, at most: what the smallest limit of today's engines allows. */
const MOST = 2 ** 31 - 1;

/** Index.warmUp. */
export function warmUp(index: VectorIndex, node: IndexNode, shape: WarmUpShape): number {
  const begun = Date.now();
  if (shape === undefined)
    fail("ERR_PARAMETER", `the shape is ${what(shape)}: give { batch, k }, as of the searches to come`);
  checkNames(shape, WARM_UP_NAMES);
  const { batch, k, nprobe, kFactor, efSearch, ensureK, filter } = shape;
  checkOption("batch", batch);
  checkOption("k", k);
  checkD(shape, node.d);
  const options = { nprobe, kFactor, efSearch, ensureK, filter };
  const params: SearchParams = { ...OWN_PARAMS };
  checkCount(batch, k, node.stored);
  if (batch * Math.max(k, node.d) > MOST)
    fail("ERR_MEMORY", `a batch of ${batch} is more than an array holds: give that of one search`);
  readSearch(index, options, params);
  if (!node.isTrained) return 0;
  try {
    makingArrays(() => search(index, node, batch, k, options, params));
  } catch (error) {
    // What was made may have taken the memory that searches need.
    node.unprepare();
    throw error;
  }
  return Date.now() - begun;
}

function search(
  index: VectorIndex,
  node: IndexNode,
  batch: number,
  k: number,
  options: SearchOptions,
  params: SearchParams,
): void {
  const found = Math.min(k, node.stored);
  // Of a long batch one whole block and the rest: the others are the same again.
  const block = index.blockSize(batch, found, params, 0);
  const count = batch <= block ? batch : block + (batch % block);
  const queries = new Float32Array(count * node.d).map((_, i) => ((i * 7919) % 1009) / 1009);
  const { distances, labels } = newResults(count, k, true);
  node.prepare();
  // What a blend takes, which goes on until k are found, so that it need not grow the memory.
  if (found > 0) {
    params.ensureK = true;
    const spare = index.blendScratch(found);
    index.retrieve(queries, 0, index.blockSize(batch, found, params, spare), found, params, spare);
  }
  const end = Date.now() + TIME;
  for (let i = 0; i < ROUNDS && Date.now() <= end; i++) index.searchInto(queries, k, distances, labels, options);
}
