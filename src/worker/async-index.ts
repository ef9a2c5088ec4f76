import type { Ids, Metric, SearchOptions, SearchResult, TrainOptions, Work } from "../api.js";
import type { BlendOptions } from "../rvc/blend.js";

/** How arrays go to where the index is. */
export interface Handover {
  /**
   * Hands over the memory of the arrays given, instead of a copy: they are empty afterwards. An array that is a part of a larger
   * buffer, or shared, is copied all the same. Default: false.
   */
  transfer?: boolean | undefined;
}

/**
 * An index that is elsewhere, in a worker: the names of Index, all of them promises. Searches may be called while others are
 * pending, and are answered in turn; while training or adding is pending, every other call rejects with ERR_BUSY. What goes
 * wrong rejects, nothing throws.
 */
export interface AsyncIndex {
  /** Dimensions of a vector. */
  readonly d: Promise<number>;
  /** Vectors held. */
  readonly ntotal: Promise<number>;
  /** Whether vectors can be added. */
  readonly isTrained: Promise<boolean>;
  /** METRIC_L2 or METRIC_INNER_PRODUCT. */
  readonly metric: Promise<Metric>;
  /** The canonical factory string. */
  readonly description: Promise<string>;
  /** Whether labels are 32 or 64 bits wide. */
  readonly idType: Promise<"int32" | "int64">;
  /** Bytes of memory held. */
  readonly memory: Promise<number>;

  /** Learns what the index must know of its vectors. */
  train(vectors: Float32Array, options?: TrainOptions & Handover): Promise<void>;
  /** Adds vectors under the ids ntotal, ntotal + 1, … */
  add(vectors: Float32Array, work?: Work & Handover): Promise<void>;
  /** Adds vectors under the ids given. */
  addWithIds(vectors: Float32Array, ids: Ids, work?: Work & Handover): Promise<void>;

  /** Finds the k nearest vectors of each query. */
  search(queries: Float32Array, k: number, options?: SearchOptions & Handover): Promise<SearchResult>;
  /** As `search`, into arrays of the caller's, which are written when the answer is there. */
  searchInto(
    queries: Float32Array,
    k: number,
    distances: Float32Array,
    labels: Int32Array | BigInt64Array,
    options?: SearchOptions & Handover,
  ): Promise<void>;
  /** Does ahead what the first searches of so many queries would. */
  warmUp(shape: { batch: number; k: number } & SearchOptions): Promise<void>;
  /** "cellist/rvc"'s blend. Resolves to the blended features, a new array: those given stay as they were. */
  blend(features: Float32Array, options?: BlendOptions & Handover): Promise<Float32Array<ArrayBuffer>>;

  /** The vector of an id, as far as it is stored. */
  reconstruct(id: number | bigint): Promise<Float32Array<ArrayBuffer>>;
  /** The vectors of ids, n x d. */
  reconstructBatch(ids: Ids): Promise<Float32Array<ArrayBuffer>>;
  /** Removes vectors and resolves to how many; unknown ids are ignored. */
  removeIds(ids: Ids): Promise<number>;

  /** Sets parameters by faiss' names, all or none. */
  set(parameters: string): Promise<void>;
  /** The value of a parameter. */
  get(name: string): Promise<number>;
  /** The index as a faiss file. */
  toBytes(): Promise<Uint8Array<ArrayBuffer>>;
  /** Removes all vectors; what was trained stays. */
  reset(): Promise<void>;
  /**
   * Gives the memory back, and ends the worker unless it is the caller's own. Every later call rejects with ERR_DISPOSED. In Deno
   * a program does not end before; elsewhere one that forgets to does.
   */
  dispose(): Promise<void>;
  /** As dispose, for `await using`; missing where the runtime has no Symbol.asyncDispose. */
  [Symbol.asyncDispose](): Promise<void>;
}
