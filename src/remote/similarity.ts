import type { IdType, Index, Work } from "../api.js";
import { fail } from "../errors.js";
import { readIndex } from "../open.js";
import { readWork } from "../handle/options.js";
import { describeTree } from "../indexes/describe.js";
import { ListIndex } from "../indexes/list-index.js";
import type { IndexNode } from "../indexes/node.js";
import { CHUNK } from "../lists/layout.js";
import { scratchSize } from "../wasm/engine.js";
import type { EngineOptions } from "../wasm/options.js";
import { voiceOf } from "../rvc/measure.js";
import { Pace } from "../work/pace.js";

/** Numbers between two looks at whether a distance can still be the least one. */
const LOOK = 32;

/**
 * A copy of an index of lists (`IVF…`, whatever stands around it) whose lists are numbered so that near cells are neighbours, and so stand
 * beside each other in its file: what a query of `openRemote` wants comes in fewer requests. Vectors, ids and answers are the same, but for
 * which of equally near ones comes first.
 *
 * @param index is left as it is; of a voice file, the vectors that it stands for are copied
 * @returns rejects with ERR_UNSUPPORTED for an index without lists, or one whose cells are found by what can't be numbered anew, with
 *   ERR_MEMORY, or the signal's reason
 * @example
 *   const ordered = await orderBySimilarity(index);
 *   upload(ordered.toBytes());
 */
export async function orderBySimilarity(
  index: Index<IdType>,
  options: Work & EngineOptions = {},
): Promise<Index<IdType>> {
  const voice = voiceOf("index", index);
  const { signal, onProgress, ...engine } = options;
  const pace = new Pace(readWork({ signal, onProgress }));
  const copy = await readIndex<IdType>(voice.toFaiss(), engine);
  const own = voiceOf("index", copy);
  let bytes;
  try {
    await renumber(listsOf(own.node), pace);
    // What is written is right; what was made for searches is not any more, so that nothing but the file is taken of it.
    bytes = own.toFaiss();
  } finally {
    own.dispose();
  }
  return readIndex<IdType>(bytes, engine);
}

/** The lists of an index, whatever is around them. */
function listsOf(node: IndexNode): ListIndex {
  let at: unknown = node;
  while (at instanceof Object && "base" in at) at = at.base;
  if (at instanceof ListIndex && at.coarse !== undefined) return at;
  return fail("ERR_UNSUPPORTED", `${describeTree(node.tree)} has no lists that could be numbered: give an IVF`);
}

async function renumber(index: ListIndex, pace: Pace): Promise<void> {
  const { engine, d, lists, coarse } = index;
  if (coarse === undefined || coarse.node.ntotal < coarse.nlist)
    return fail("ERR_NOT_TRAINED", "the index has no cells yet: train it first");
  coarse.keepCentroids();
  const first = coarse.centroids >>> 2;
  const order = await pathThrough(engine.f32.slice(first, first + coarse.nlist * d), d, pace);
  numberCells(coarse.node, order);
  if (lists.count === 0) return;
  // Lists stay where they are: they are written in the order of these tables.
  for (const table of [lists.starts, lists.sizes]) {
    const old = engine.u32.slice(table >>> 2, (table >>> 2) + order.length);
    engine.u32.set(
      order.map((list) => old[list]),
      table >>> 2,
    );
  }
  // Where vectors stand has changed, as a direct map has it.
  index.relabel((id) => id);
}

/** Gives the cell that was number order[i] the number i. */
function numberCells(node: IndexNode, order: Uint32Array): void {
  if (isGraph(node)) {
    permuteRows(node.storage, order);
    node.renumber(order);
  } else if (node instanceof ListIndex && node.coarse === undefined) {
    permuteRows(node, order);
  } else if (node instanceof ListIndex) {
    const number = new Map(Array.from(order, (old, i) => [BigInt(old), BigInt(i)]));
    node.relabel((old) => number.get(old) ?? old);
  } else {
    fail("ERR_UNSUPPORTED", `cells that are found by a ${describeTree(node.tree)} can't be numbered anew`);
  }
}

/** An HNSW graph, by what is asked of it: pages that have none are not to load its code. */
function isGraph(node: IndexNode): node is IndexNode & { storage: ListIndex; renumber(order: Uint32Array): void } {
  return "renumber" in node;
}

/** Puts the vector that was number order[i] of a numbered list into place i. */
function permuteRows({ engine, lists }: ListIndex, order: Uint32Array): void {
  const { layout } = lists;
  const all = new Uint8Array(order.length * layout.looseBytes);
  for (let i = 0; i < order.length; i += CHUNK) {
    const some = order.subarray(i, i + CHUNK);
    engine.reserveScratch(scratchSize(CHUNK * 4) + scratchSize(CHUNK * layout.looseBytes));
    const slots = engine.takeScratch(CHUNK * 4);
    const loose = engine.takeScratch(CHUNK * layout.looseBytes);
    engine.u32.set(some, slots >>> 2);
    layout.load(engine, lists.codes, slots, some.length, loose);
    all.set(engine.u8.subarray(loose, loose + some.length * layout.looseBytes), i * layout.looseBytes);
  }
  lists.store(
    all,
    Int32Array.from(order, (_, i) => i),
  );
}

/**
 * An order of rows in which each is followed by the nearest of those that are left. It begins far from the middle, so that what is left
 * lies on one side.
 */
async function pathThrough(rows: Float32Array, d: number, pace: Pace): Promise<Uint32Array> {
  const n = rows.length / d;
  const left = Uint32Array.from({ length: n }, (_, i) => i);
  const mean = new Float32Array(d);
  for (let i = 0; i < rows.length; i++) mean[i % d] += rows[i] / n;
  const order = new Uint32Array(n);
  let place = 0;
  let farthest = -1;
  for (let i = 0; i < n; i++) {
    const distance = distanceTo(mean, 0, rows, i * d, d, Infinity);
    if (distance > farthest) [place, farthest] = [i, distance];
  }
  for (let i = 0; i < n; i++) {
    const from = left[place];
    order[i] = from;
    const end = n - i - 1;
    left[place] = left[end];
    place = 0;
    let least = Infinity;
    for (let j = 0; j < end; j++) {
      const distance = distanceTo(rows, from * d, rows, left[j] * d, d, least);
      if (distance < least) [place, least] = [j, distance];
    }
    await pace.step("order lists", i + 1, n);
  }
  return order;
}

/** The squared distance of two rows, or some number that is not below `limit`. */
function distanceTo(a: Float32Array, from: number, b: Float32Array, to: number, d: number, limit: number): number {
  let sum = 0;
  for (let j = 0; j < d && sum < limit;) {
    for (const end = Math.min(d, j + LOOK); j < end; j++) sum += (a[from + j] - b[to + j]) ** 2;
  }
  return sum;
}
