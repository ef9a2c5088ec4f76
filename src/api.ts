import type { EngineOptions } from "./wasm/engine.js";

/** Inner product: larger is nearer. faiss' number for it. */
export const METRIC_INNER_PRODUCT = 0;
/** Squared Euclidean distance: smaller is nearer. faiss' number for it. */
export const METRIC_L2 = 1;
/** How nearness is measured. */
export type Metric = typeof METRIC_INNER_PRODUCT | typeof METRIC_L2;

/** How long work is watched and stopped. */
export interface Work {
  /** Rejects the promise with the signal's reason; the index is then what it was before. */
  signal?: AbortSignal;
  /** Called between chunks of the work, at the start and at the end of each phase. */
  onProgress?: (progress: Progress) => void;
}

/** How far a piece of work has come. */
export interface Progress {
  /** What is being done: "k-means", "assign", "read" … */
  phase: string;
  /** Units done, of `total`; a total of Infinity is not known. */
  done: number;
  /** Units in all. */
  total: number;
}

/** What training takes. */
export interface TrainOptions extends Work {
  /** Seed of the sub-sampling, the first centroids and all else that is drawn. Default: 1234, as in faiss. */
  seed?: number;
}

/** Parameters for one search only; those that are left out, or do not concern the index, keep the index's own value. */
export interface SearchOptions {
  /** Lists to scan a query, clamped to nlist. */
  nprobe?: number | undefined;
  /** Candidates of a re-ranked search, as a multiple of k; may be a fraction. */
  kFactor?: number | undefined;
  /** Width of the beam of an HNSW search. */
  efSearch?: number | undefined;
  /** Go on to the next nearest lists until k are found. Default: false, as in faiss. */
  ensureK?: boolean | undefined;
}

/** n x k results, row-major, best first. */
export interface SearchResult {
  /** Squared distances, or inner products; where nothing was found ±3.4028235e38. */
  distances: Float32Array<ArrayBuffer>;
  /** Ids: a BigInt64Array where the index's `idType` is "int64". -1 where nothing was found. */
  labels: Int32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer>;
}

/** Ids of vectors: whole numbers of up to 64 bits. */
export type Ids = Int32Array | BigInt64Array | readonly number[] | readonly bigint[];

/** Options of {@link readIndex}. */
export interface ReadOptions extends EngineOptions, Work {
  /**
   * Bytes of the file, where the caller knows and the source does not say: progress counts on it, nothing else. Without it the total is
   * a response's Content-Length, or what the file's header lets expect.
   */
  bytes?: number | undefined;
}

/**
 * A set of vectors that can be searched. Vectors are Float32Arrays of n x d, row-major; they may be subarrays and may live in
 * a SharedArrayBuffer, and are used up when a call has returned its promise.
 *
 * While a promise of an index is pending, every other call on it throws ERR_BUSY; after `dispose`, ERR_DISPOSED. A call that
 * fails or is aborted leaves the index as it was.
 */
export interface Index {
  /** Dimensions of a vector. */
  readonly d: number;
  /** Vectors held. */
  readonly ntotal: number;
  /** Whether vectors can be added. */
  readonly isTrained: boolean;
  /** METRIC_L2 or METRIC_INNER_PRODUCT. */
  readonly metric: Metric;
  /** The canonical factory string: defaults left out, `IDMap` and `RFlat` as suffix. */
  readonly description: string;
  /** Whether labels are 32 or 64 bits wide: 64 for files with wider ids, and once ids came as a BigInt64Array. */
  readonly idType: "int32" | "int64";
  /** Bytes of memory held. It grows as vectors are added and does not shrink. */
  readonly memory: number;

  /** Learns what the index must know of its vectors: at least nlist of them. Does nothing where that is done already. */
  train(vectors: Float32Array, options?: TrainOptions): Promise<void>;
  /** Adds vectors under the ids ntotal, ntotal + 1, … */
  add(vectors: Float32Array, work?: Work): Promise<void>;
  /** Adds vectors under the ids given: any but -1, which means "none". */
  addWithIds(vectors: Float32Array, ids: Ids, work?: Work): Promise<void>;

  /** Finds the k nearest vectors of each query. A query with a NaN finds nothing. */
  search(queries: Float32Array, k: number, options?: SearchOptions): SearchResult;
  /**
   * As `search`, into arrays of the caller's, of n x k or longer: allocates nothing once it has seen the batch, k and nprobe. An
   * index of 64-bit ids wants a BigInt64Array, another takes both.
   */
  searchInto(
    queries: Float32Array,
    k: number,
    distances: Float32Array,
    labels: Int32Array | BigInt64Array,
    options?: SearchOptions,
  ): void;
  /**
   * Does ahead what the first searches of so many queries would: memory, and the compiler's second tier. Where vectors are kept as they
   * are (Flat, IVF,Flat) it also makes the 8-bit codes that let searches pass over most of them, a quarter of their bytes; adding or
   * removing vectors drops these, so call it after the last change.
   */
  warmUp(shape: { batch: number; k: number } & SearchOptions): void;

  /** The vector of an id, as far as it is stored. ERR_ID for an id that is not there. */
  reconstruct(id: number | bigint): Float32Array<ArrayBuffer>;
  /** The vectors of ids, n x d. ERR_ID where one is not there. */
  reconstructBatch(ids: Ids): Float32Array<ArrayBuffer>;
  /** Removes vectors and returns how many; unknown ids are ignored. Flat closes the gaps, so ids behind them change. */
  removeIds(ids: Ids): number;

  /** Sets parameters by faiss' names, all or none: `"nprobe=8,k_factor_rf=4"`. */
  set(parameters: string): void;
  /** The value of a parameter. */
  get(name: string): number;
  /** The index as a faiss file. */
  toBytes(): Uint8Array<ArrayBuffer>;
  /** Removes all vectors; what was trained stays. */
  reset(): void;
  /** Gives the memory back. Every later call throws ERR_DISPOSED. */
  dispose(): void;
  /** As dispose, for `using`; missing where the runtime has no Symbol.dispose. */
  [Symbol.dispose](): void;
}
