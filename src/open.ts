import { METRIC_L2 } from "./api.js";
import type { IdType, Index, Metric, ReadOptions } from "./api.js";
import { makeIndex } from "./factory/build.js";
import { openIndex } from "./faiss/read.js";
import type { Bytes } from "./format/source.js";
import type { VectorIndex } from "./handle/vector-index.js";
import { loadMore } from "./more/load.js";
import type { EngineOptions } from "./wasm/options.js";

// What makes and reads indexes for a program that can import what a kind needs once it is asked for. The worker's script does without: a
// bundler that makes one classic script of it can't split it.

/**
 * Makes an empty index from a description in faiss' language, such as `"IVF1024,Flat"`.
 *
 * @example
 *   const index = await indexFactory(384, "IVF256,Flat");
 *   const wide = await indexFactory<"int64">(384, "IDMap,Flat"); // ids will be a BigInt64Array: so will labels
 *
 * @param d dimensions of a vector, 1 to 2^20
 * @param description what to build: `Flat`, `PQ{M}x4fs`, `IVF{n}` of either, `RFlat` or `Refine(…)` behind it, `IDMap` around it
 * @param metric METRIC_L2 (default) or METRIC_INNER_PRODUCT
 * @param engine memory limit, relaxed SIMD, a compiled module, onWarning
 * @returns the index; rejects with ERR_FACTORY, which says what was understood and what is missing, ERR_METRIC or ERR_MEMORY
 */
export async function indexFactory<I extends IdType = "int32">(
  d: number,
  description: string,
  metric: Metric = METRIC_L2,
  engine: EngineOptions = {},
): Promise<Index<I>> {
  const index: Index<IdType> = await makeIndex(d, description, metric, engine, loadMore);
  return index;
}

/**
 * Opens a faiss file, from bytes that are there or as they come: a response is never held twice.
 *
 * @example
 *   const voice = await readIndex(await fetch("alice.index"));
 *   const wide = await readIndex<"int64">(bytes); // a file whose ids are known to need more than 32 bits
 *
 * @param source the file: Uint8Array, ArrayBuffer, Blob, Response, ReadableStream, or chunks, async or not. Bytes are read where they
 *   are, without a copy: leave them alone until the promise has resolved
 * @param options as for indexFactory; `signal` and `onProgress` watch the reading
 * @returns the index; rejects with ERR_FORMAT, which names the field and the offset, ERR_UNSUPPORTED, ERR_MEMORY, or the signal's
 *   reason. Bytes behind the index are left alone, as in faiss.
 */
export async function readIndex<I extends IdType = "int32">(
  source: Bytes,
  options: ReadOptions = {},
): Promise<Index<I>> {
  const index: Index<IdType> = await openIndex(source, options, loadMore);
  return index;
}

/** @internal What a file says of an index, as one whose vectors are all 0: it takes no more memory than that. */
export async function skimIndex(source: Bytes, options: ReadOptions = {}): Promise<VectorIndex> {
  return openIndex(source, { ...options, bounds: false }, loadMore, true);
}
