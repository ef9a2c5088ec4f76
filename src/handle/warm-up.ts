import type { SearchOptions } from "../api.js";
import { fail, makingArrays } from "../errors.js";
import type { IndexNode } from "../indexes/node.js";
import { checkK } from "./input.js";
import { readSearchOptions } from "./options.js";
import type { VectorIndex } from "./vector-index.js";

/**
 * Searches that warmUp makes: after so many calls V8 has the kernels compiled in its second tier. Long ones are compiled after fewer, since
 * it counts their loops too: from so many milliseconds on no other is begun.
 */
const ROUNDS = 64;
const TIME = 500;

/** Index.warmUp. */
export function warmUp(index: VectorIndex, node: IndexNode, shape: { batch: number; k: number } & SearchOptions): void {
  const { batch, k, ...options } = shape;
  if (!Number.isSafeInteger(batch) || batch < 1)
    fail("ERR_PARAMETER", `batch is ${String(batch)}: give a whole number from 1 on`);
  checkK(k);
  readSearchOptions(options, { nprobe: 0, kFactor: 0, efSearch: 0, ensureK: false });
  if (!node.isTrained) return;
  try {
    makingArrays(() => search(index, node, batch, k, options));
  } catch (error) {
    // What was made may have taken the memory that searches need.
    node.unprepare();
    throw error;
  }
}

function search(index: VectorIndex, node: IndexNode, batch: number, k: number, options: SearchOptions): void {
  node.prepare();
  const queries = new Float32Array(batch * node.d).map((_, i) => ((i * 7919) % 1009) / 1009);
  // What a blend takes, which goes on until k are found, so that it need not grow the memory.
  const found = Math.min(k, node.ntotal);
  const count = Math.min(batch, index.blockSize(found));
  if (found > 0) index.retrieve(queries, 0, count, found, { ...options, ensureK: true }, index.blendScratch(found));
  const distances = new Float32Array(batch * k);
  const labels = new BigInt64Array(batch * k);
  const end = Date.now() + TIME;
  for (let i = 0; i < ROUNDS && Date.now() <= end; i++) index.searchInto(queries, k, distances, labels, options);
}
