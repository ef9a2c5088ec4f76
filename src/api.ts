import type { EngineOptions } from "./wasm/options.js";

/**
 * Inner product: larger is nearer. faiss' number for it.
 *
 * @example
 *   const index = await indexFactory(384, "Flat", METRIC_INNER_PRODUCT); // cosine, of vectors of length 1
 */
export const METRIC_INNER_PRODUCT = 0;
/**
 * Squared Euclidean distance: smaller is nearer. faiss' number for it.
 *
 * @example
 *   const index = await indexFactory(768, "IVF512,Flat", METRIC_L2);
 */
export const METRIC_L2 = 1;
/**
 * How nearness is measured.
 *
 * @example
 *   const metric: Metric = normalized ? METRIC_INNER_PRODUCT : METRIC_L2;
 */
export type Metric = typeof METRIC_INNER_PRODUCT | typeof METRIC_L2;

/**
 * How wide ids are: what an index of them is called in types, and what `idType` says.
 *
 * @example
 *   const index: Index<IdType> = await readIndex<IdType>(file); // ids of either width
 */
export type IdType = "int32" | "int64";

/**
 * The array that labels come in: a BigInt64Array for ids of 64 bits.
 *
 * @example
 *   const labels: Labels<"int64"> = index.search(query, 5).labels; // a BigInt64Array
 */
export type Labels<I extends IdType = IdType> = I extends "int64"
  ? BigInt64Array<ArrayBuffer>
  : Int32Array<ArrayBuffer>;

/**
 * Float16Array, where the runtime has it; spelt out here, since TypeScript knows it only in its newest library.
 *
 * @example
 *   const vectors: Float16Like = new Float16Array(100 * 768);
 */
export interface Float16Like extends ArrayLike<number> {
  /**
   * What tells it from other arrays.
   *
   * @example
   *   const half = vectors[Symbol.toStringTag] === "Float16Array";
   */
  readonly [Symbol.toStringTag]: "Float16Array";
}

/**
 * A tensor as onnxruntime, transformers.js and npyjs have it: numbers, and a shape whose last part must be d; parts before it, such as a
 * batch of 1, are all rows. The data are a Float32Array, a Float64Array, a Float16Array, or a Uint16Array of 16-bit floats with the
 * `type` (or `dtype`) "float16".
 *
 * @example
 *   const tensor: Tensor = (await session.run(feeds)).features; // { data, dims: [1, 16, 768] }
 */
export type Tensor = {
  readonly data: unknown;
  readonly type?: unknown;
  readonly dtype?: unknown;
  readonly fortranOrder?: boolean;
} & ({ readonly dims: readonly number[] } | { readonly shape: readonly number[] });

/**
 * Vectors, n x d, row by row. A Float32Array is taken without a copy; other floats are rounded to 32 bits. Where there is a shape it is
 * checked: an array of rows and a tensor must have d columns, a plain array needs a whole number of rows.
 *
 * @example
 *   await index.add(new Float32Array(100 * 384)); // 100 vectors of 384 dimensions
 *   await index.add([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]); // two of 3
 *   await index.add(await extractor(texts, { pooling: "mean" })); // a tensor of transformers.js
 */
export type Vectors =
  | Float32Array
  | Float64Array
  | Float16Like
  | readonly (readonly number[] | Float32Array | Float64Array | Float16Like)[]
  | Tensor;

/**
 * Vectors that are used where they stand, without an allocation: a Float32Array, or a tensor of one.
 *
 * @example
 *   const frames: Floats = new Float32Array(16 * 768);
 */
export type Floats = Float32Array | Tensor;

/**
 * How long work is watched and stopped.
 *
 * @example
 *   const work: Work = { signal: AbortSignal.timeout(10_000), onProgress: ({ phase }) => show(phase) };
 */
export interface Work {
  /**
   * Rejects the promise with the signal's reason; the index is then what it was before.
   *
   * @example
   *   const controller = new AbortController();
   *   cancel.onclick = () => controller.abort();
   *   await index.train(vectors, { signal: controller.signal });
   */
  signal?: AbortSignal | undefined;
  /**
   * Called between chunks of the work, at the start and at the end of each phase.
   *
   * @example
   *   await index.add(vectors, { onProgress: ({ done, total }) => (bar.value = done / total) });
   */
  onProgress?: ((progress: Progress) => void) | undefined;
}

/**
 * How far a piece of work has come.
 *
 * @example
 *   const show = ({ phase, done, total }: Progress) => console.log(phase, Math.round((100 * done) / total), "%");
 */
export interface Progress {
  /**
   * What is being done: "k-means", "assign", "read" …
   *
   * @example
   *   const onProgress = ({ phase }) => (label.textContent = phase);
   */
  phase: string;
  /**
   * Units done, of `total`; a total of Infinity is not known.
   *
   * @example
   *   const onProgress = ({ done, total }) => (bar.value = done / total);
   */
  done: number;
  /**
   * Units in all.
   *
   * @example
   *   const onProgress = ({ done, total }) => (bar.value = Number.isFinite(total) ? done / total : 0);
   */
  total: number;
}

/**
 * What the caller takes for granted.
 *
 * @example
 *   const sure: Believed = { d: 768 };
 */
export interface Believed {
  /**
   * The dimensions that vectors and index should have: ERR_DIMENSION where the index has others. Without it, a plain array of 768-d
   * vectors passes for twice as many of 384.
   *
   * @example
   *   index.search(query, 8, { d: 768 }); // an error where the index is of 256
   */
  d?: number | undefined;
}

/**
 * What adding takes.
 *
 * @example
 *   const options: AddOptions = { d: 768, signal };
 */
export interface AddOptions extends Work, Believed {}

/**
 * What training takes.
 *
 * @example
 *   const options: TrainOptions = { seed: 1, onProgress };
 */
export interface TrainOptions extends Work, Believed {
  /**
   * Seed of the sub-sampling, the first centroids and all else that is drawn, 0 to 2^32 - 1. Default: 1234, as in faiss.
   *
   * @example
   *   await index.train(vectors, { seed: 1 });
   */
  seed?: number | undefined;
}

/**
 * What merging takes.
 *
 * @example
 *   const options: MergeOptions = { addId: index.ntotal };
 */
export interface MergeOptions extends Work {
  /**
   * Added to the labels of the other index. Default: 0.
   *
   * @example
   *   await index.mergeFrom(other, { addId: 1_000_000 });
   */
  addId?: number | bigint | undefined;
}

/**
 * Parameters for one search only; those that are left out, or do not concern the index, keep the index's own value.
 *
 * @example
 *   const options: SearchOptions = { nprobe: 16, ensureK: true };
 */
export interface SearchOptions extends Believed {
  /**
   * Lists to scan a query, clamped to nlist.
   *
   * @example
   *   index.search(query, 8, { nprobe: 16 });
   */
  nprobe?: number | undefined;
  /**
   * Candidates of a re-ranked search, as a multiple of k; may be a fraction.
   *
   * @example
   *   index.search(query, 8, { kFactor: 4 }); // 32 candidates are compared exactly
   */
  kFactor?: number | undefined;
  /**
   * Width of the beam of an HNSW search.
   *
   * @example
   *   index.search(query, 8, { efSearch: 64 });
   */
  efSearch?: number | undefined;
  /**
   * Go on to the next nearest lists until k are found. Default: false, as in faiss.
   *
   * @example
   *   index.search(query, 8, { nprobe: 1, ensureK: true }); // 8 results, wherever they lie
   */
  ensureK?: boolean | undefined;
  /**
   * Find these vectors only: what the index's `filter` made. Default: all.
   *
   * @example
   *   index.search(query, 8, { filter: index.filter([3, 5, 8]) });
   */
  filter?: Filter | undefined;
}

/**
 * What a filter is made of: ids, a range of them (`to` excluded, each end may be left out), or a function that is asked of each id.
 *
 * @example
 *   const lately: FilterSource = { from: 1000 };
 */
export type FilterSource<I extends IdType = IdType> =
  | Ids
  | Iterable<number | bigint>
  | { readonly from?: number | bigint; readonly to?: number | bigint }
  | (I extends "int64" ? (id: bigint) => boolean : (id: number) => boolean);

/**
 * Which vectors of an index a search may find. It belongs to the index that made it and follows what is added and removed: made anew at the
 * next search, for which a function is asked of every id again.
 *
 * @example
 *   const filter: Filter = index.filter((id) => docs[id].language === "en");
 */
export interface Filter {
  /**
   * Vectors of the index that are admitted.
   *
   * @example
   *   if (index.filter({ from: 1000 }).count === 0) return [];
   */
  readonly count: number;
  /**
   * All that this one leaves out.
   *
   * @example
   *   index.search(query, 5, { filter: index.filter(seen).not() });
   */
  not(): Filter;
  /**
   * What both admit.
   *
   * @example
   *   const filter = index.filter(mine).and(index.filter((id) => docs[id].year > 2020));
   */
  and(other: Filter): Filter;
  /**
   * What one of them admits.
   *
   * @example
   *   const filter = index.filter(mine).or(index.filter({ to: 100 }));
   */
  or(other: Filter): Filter;
}

/**
 * All that was found within a radius: that of query i is from lims[i] to lims[i + 1], best first.
 *
 * @example
 *   const { lims, labels }: RangeResult = index.rangeSearch(queries, 0.5);
 */
export interface RangeResult<I extends IdType = "int32"> {
  /**
   * n + 1 places in the other arrays, the first 0.
   *
   * @example
   *   const found = result.lims[i + 1] - result.lims[i]; // by query i
   */
  lims: Uint32Array<ArrayBuffer>;
  /**
   * Squared distances below the radius, or inner products above it.
   *
   * @example
   *   const best = result.distances[result.lims[i]];
   */
  distances: Float32Array<ArrayBuffer>;
  /**
   * Ids: a BigInt64Array where the index's `idType` is "int64".
   *
   * @example
   *   const ids = result.labels.subarray(result.lims[i], result.lims[i + 1]);
   */
  labels: Labels<I>;
}

/**
 * What searches will be like, for `warmUp`.
 *
 * @example
 *   const shape: WarmUpShape = { batch: 16, k: 8, nprobe: 4 };
 */
export interface WarmUpShape extends SearchOptions {
  /**
   * Queries at a time.
   *
   * @example
   *   index.warmUp({ batch: 16, k: 8 }); // blocks of 16 queries
   */
  batch: number;
  /**
   * Neighbours of each.
   *
   * @example
   *   index.warmUp({ batch: 1, k: 10 });
   */
  k: number;
}

/**
 * n x k results, row-major, best first.
 *
 * @example
 *   const { distances, labels }: SearchResult = index.search(queries, 5);
 */
export interface SearchResult<I extends IdType = "int32"> {
  /**
   * Squared distances, or inner products; where nothing was found ±3.4028235e38.
   *
   * @example
   *   const nearest = result.distances[row * k];
   */
  distances: Float32Array<ArrayBuffer>;
  /**
   * Ids: a BigInt64Array where the index's `idType` is "int64". -1 where nothing was found.
   *
   * @example
   *   const best = result.labels[row * k];
   *   if (best >= 0) console.log(docs[best]);
   */
  labels: Labels<I>;
}

/**
 * Ids of vectors: whole numbers of up to 64 bits.
 *
 * @example
 *   const ids: Ids = [7, 8, 9]; // or an Int32Array, or bigints for more than 53 bits
 */
export type Ids = Int32Array | BigInt64Array | readonly number[] | readonly bigint[];

/**
 * Options of {@link readIndex}.
 *
 * @example
 *   const options: ReadOptions = { onProgress, maxBytes: 2 ** 30 };
 */
export interface ReadOptions extends EngineOptions, Work {
  /**
   * Bytes of the file, where the caller knows and the source does not say: progress counts on it, nothing else. Without it the total is
   * a response's Content-Length, or what the file's header lets expect.
   *
   * @example
   *   await readIndex(stream, { bytes: file.size, onProgress });
   */
  bytes?: number | undefined;
  /**
   * What reads files that are not faiss', each from an entry of its own: `voiceCodec` of "cellist/rvc" reads voice files. Default: none,
   * so that nobody pays for what is not used.
   *
   * @example
   *   await readIndex(file, { codecs: [voiceCodec] });
   */
  codecs?: readonly FileCodec[] | undefined;
  /**
   * Of a voice file: how many of its layers to read; a file that ends behind them will do. Default: all.
   *
   * @example
   *   await readIndex(file, { codecs: [voiceCodec], layers: 2 });
   */
  layers?: number | undefined;
  /**
   * Of a voice file: keep its vectors as the numbers that they are there, a quarter of the memory of floats at 1/8 and below, half of it
   * above. Searches and blends take longer, and nothing can be added. Default: false.
   *
   * @example
   *   await readIndex(file, { codecs: [voiceCodec], compact: true });
   */
  compact?: boolean | undefined;
}

/**
 * A reader of files that are not faiss', to be given to {@link readIndex} as one of its `codecs`.
 *
 * @example
 *   const codec: FileCodec = voiceCodec;
 */
export interface FileCodec {
  /**
   * What its files are called.
   *
   * @example
   *   console.log(voiceCodec.name);
   */
  readonly name: string;
  /**
   * What they begin with, four characters each.
   *
   * @example
   *   console.log(voiceCodec.fourccs);
   */
  readonly fourccs: readonly string[];
}

/**
 * What `using` calls: `[Symbol.dispose]`, as dispose. It is missing where the runtime does not know that symbol, and in types where the
 * compiler's `lib` does not.
 *
 * @example
 *   using index = await readIndex(bytes);
 */
export type Disposed = SymbolConstructor extends { readonly dispose: infer D extends symbol }
  ? Record<D, () => void>
  : object;

/**
 * What `await using` calls: `[Symbol.asyncDispose]`, as dispose of an index behind a worker; missing where {@link Disposed} is.
 *
 * @example
 *   await using index = await readIndex(bytes);
 */
export type AsyncDisposed = SymbolConstructor extends { readonly asyncDispose: infer D extends symbol }
  ? Record<D, () => Promise<void>>
  : object;

/**
 * A set of vectors that can be searched. Vectors come as {@link Vectors}; arrays may be subarrays, may live in a SharedArrayBuffer, and
 * are used up when a call has returned its promise.
 *
 * While a promise of an index is pending, every other call on it throws ERR_BUSY; after `dispose`, ERR_DISPOSED. A call that
 * fails or is aborted leaves the index as it was. The object is sealed: to assign to a name that it does not have throws in strict code.
 *
 * The type's parameter is how wide ids are. Labels of "int32", the default, are numbers and index an array of documents; an index whose
 * ids are wider is an `Index<"int64">`, and one that may be either an `Index<IdType>`.
 *
 * @example
 *   const index = await indexFactory(384, "IVF256,Flat");
 *   await index.train(vectors);
 *   await index.add(vectors);
 *   index.nprobe = 16;
 *   const { distances, labels } = index.search(query, 5, { d: 384 });
 *   const best = docs[labels[0]];
 */
export interface Index<I extends IdType = "int32"> extends Disposed {
  /**
   * Dimensions of a vector.
   *
   * @example
   *   const query = new Float32Array(index.d);
   */
  readonly d: number;
  /**
   * Vectors held.
   *
   * @example
   *   await index.add(vectors);
   *   console.log(`${index.ntotal} vectors`);
   */
  readonly ntotal: number;
  /**
   * Whether vectors can be added.
   *
   * @example
   *   if (!index.isTrained) await index.train(vectors);
   */
  readonly isTrained: boolean;
  /**
   * METRIC_L2 or METRIC_INNER_PRODUCT.
   *
   * @example
   *   const larger = index.metric === METRIC_INNER_PRODUCT; // is nearer
   */
  readonly metric: Metric;
  /**
   * The canonical factory string: defaults left out, `IDMap` and `RFlat` as suffix.
   *
   * @example
   *   const empty = await indexFactory(index.d, index.description, index.metric);
   */
  readonly description: string;
  /**
   * Whether labels are 32 or 64 bits wide: 64 for files with wider ids, and once ids came as a BigInt64Array.
   *
   * @example
   *   const labels = index.idType === "int64" ? new BigInt64Array(n * k) : new Int32Array(n * k);
   */
  readonly idType: IdType;
  /**
   * Bytes of memory held. It grows as vectors are added and does not shrink.
   *
   * @example
   *   console.log(`${(index.memory / 1e6).toFixed(1)} MB`);
   */
  readonly memory: number;

  /**
   * Cells that a query looks into; undefined for an index without cells. Throws ERR_PARAMETER where it is set to anything but a whole
   * number from 1 on, or on an index without cells.
   *
   * @example
   *   index.nprobe = 16; // as index.set("nprobe=16")
   */
  nprobe: number | undefined;
  /**
   * Candidates of a re-ranked search, as a multiple of k; undefined for an index that does not re-rank. From 1 to 1000, and may be a
   * fraction; anything else throws ERR_PARAMETER. faiss calls it k_factor.
   *
   * @example
   *   index.kFactor = 4; // as index.set("k_factor_rf=4")
   */
  kFactor: number | undefined;
  /**
   * Width of the beam of an HNSW search; undefined for an index that is no graph. Set as nprobe is.
   *
   * @example
   *   index.efSearch = 64; // as index.set("efSearch=64")
   */
  efSearch: number | undefined;

  /**
   * Learns what the index must know of its vectors: at least nlist of them. Does nothing where that is done already.
   *
   * @example
   *   await index.train(vectors, { seed: 1, onProgress: ({ phase, done, total }) => bar.show(phase, done / total) });
   *
   * @returns rejects with ERR_DIMENSION, ERR_NOT_FINITE, ERR_PARAMETER (too few vectors, a seed out of range), ERR_MEMORY, or the
   *   signal's reason
   */
  train(vectors: Vectors, options?: TrainOptions): Promise<void>;
  /**
   * Adds vectors under the ids ntotal, ntotal + 1, …
   *
   * @example
   *   await index.add(vectors, { d: 768, signal });
   *
   * @returns rejects with ERR_NOT_TRAINED, ERR_DIMENSION, ERR_NOT_FINITE, ERR_MEMORY, ERR_ID where ids must be given, or the signal's
   *   reason
   */
  add(vectors: Vectors, options?: AddOptions): Promise<void>;
  /**
   * Adds vectors under the ids given: any but -1, which means "none". The first of an empty index decide on the width of all: 64 bits
   * where they are a BigInt64Array.
   *
   * @example
   *   await index.addWithIds(vectors, rows.map((row) => row.id)); // of an "IDMap,Flat" or "IVF256,Flat"
   *
   * @returns rejects as `add` does, with ERR_ID for ids that don't fit, and with ERR_UNSUPPORTED for an index that numbers its vectors
   *   itself
   */
  addWithIds(vectors: Vectors, ids: Ids, options?: AddOptions): Promise<void>;

  /**
   * Finds the k nearest vectors of each query. A query with a NaN finds nothing.
   *
   * k may be larger than what can be found: the rest of each row is -1. Beyond ntotal that is filling only, so that a call may ask for
   * at most 16,777,216 results then (ERR_MEMORY).
   *
   * @example
   *   const { distances, labels } = index.search(query, 5, { nprobe: 16, d: 384 });
   *   for (let i = 0; i < 5; i++) if (labels[i] >= 0) console.log(docs[labels[i]], distances[i]);
   *
   * @returns n x k distances and labels; throws ERR_DIMENSION, ERR_PARAMETER, ERR_NOT_TRAINED, ERR_MEMORY
   */
  search(queries: Vectors, k: number, options?: SearchOptions): SearchResult<I>;
  /**
   * As `search`, into arrays of the caller's, of n x k or longer: allocates nothing once it has seen the batch, k and nprobe. An
   * index of 64-bit ids wants a BigInt64Array, another takes both. The arrays must not lie over the queries, nor over one another
   * (ERR_PARAMETER).
   *
   * @example
   *   const [distances, labels] = [new Float32Array(16 * 8), new Int32Array(16 * 8)]; // once
   *   index.searchInto(frames, 8, distances, labels, { nprobe: 4 }); // for each block of 16 frames
   */
  searchInto(
    queries: Floats,
    k: number,
    distances: Float32Array,
    labels: Int32Array | BigInt64Array,
    options?: SearchOptions,
  ): void;
  /**
   * Finds all vectors within a radius of each query, of those in the cells that a search looks into: squared distances below it, inner
   * products above it, as faiss means it. A Refine compares again what its first index finds, and keeps what is within then, too; under L2 it
   * looks for kFactor times the radius there.
   *
   * @example
   *   const { lims, labels } = index.rangeSearch(queries, 0.5, { nprobe: 16 });
   *   const ofTheSecond = labels.subarray(lims[1], lims[2]);
   *
   * @returns throws ERR_DIMENSION, ERR_PARAMETER, ERR_NOT_TRAINED, or ERR_MEMORY for more matches than there is room for
   */
  rangeSearch(queries: Vectors, radius: number, options?: SearchOptions): RangeResult<I>;
  /**
   * Makes a filter, for the option of that name: ids, a range of them, or a function. ERR_PARAMETER for anything else.
   *
   * @example
   *   const mine = index.filter([3, 5, 8]); // once
   *   index.search(queries, 8, { filter: mine }); // no allocation for it from here on
   *   index.rangeSearch(queries, 0.5, { filter: index.filter((id) => docs[id].language === "en") });
   */
  filter(which: FilterSource<I>): Filter;
  /**
   * Does ahead what the first searches of so many queries would: memory, and the compiler's second tier. Where vectors are kept as they
   * are (Flat, IVF,Flat) it also makes 8-bit codes, and short heads where these pay, that let searches pass over most of them, a quarter to .4
   * of their bytes; for an HNSW (L2, 128 dimensions and more) heads of 64 bytes a vector. Adding or removing vectors drops these, so call
   * it after the last change. Where there is no room for the codes it says so by WARN_MEMORY, and
   * searches do without.
   *
   * @example
   *   const ms = index.warmUp({ batch: 16, k: 8, nprobe: 4 });
   * @returns how long it took, in milliseconds; 0 where the index is not trained
   */
  warmUp(shape: WarmUpShape): number;

  /**
   * The vector of an id, as far as it is stored. ERR_ID for an id that is not there.
   *
   * @example
   *   const vector = index.reconstruct(labels[0]); // Float32Array of d
   */
  reconstruct(id: number | bigint): Float32Array<ArrayBuffer>;
  /**
   * The vectors of ids, n x d. ERR_ID where one is not there.
   *
   * @example
   *   const vectors = index.reconstructBatch([3, 5, 8]); // Float32Array of 3 x d
   */
  reconstructBatch(ids: Ids): Float32Array<ArrayBuffer>;
  /**
   * All ids that are stored, in the order of storage. An id that was added twice is there twice, as in faiss; `reconstruct` then gives the
   * vector of the last of them.
   *
   * @example
   *   const gone = index.ids().filter((id) => !docs.has(id));
   */
  ids(): Labels<I>;
  /**
   * Whether there is a vector of this id.
   *
   * @example
   *   if (!index.has(doc.id)) await index.addWithIds([doc.vector], [doc.id]);
   */
  has(id: number | bigint): boolean;
  /**
   * Removes vectors and returns how many; unknown ids are ignored. Flat closes the gaps, so ids behind them change.
   *
   * @example
   *   const removed = index.removeIds([3, 5, 8]);
   */
  removeIds(ids: Ids): number;

  /**
   * Adds vectors in the place of all that have one of these ids, in one step: until it is done, and where it fails, the index is what it was.
   *
   * @example
   *   await index.upsert(await embed(changed), changed.map((doc) => doc.id));
   *
   * @returns rejects as `addWithIds` does
   */
  upsert(vectors: Vectors, ids: Ids, options?: AddOptions): Promise<void>;
  /**
   * Takes over all vectors of an index that has learnt the same: of the same description, the same cells and codebooks, as of copies of
   * one trained index. The other one is left empty. Its labels get `addId` added; an index that numbers its vectors itself goes on counting.
   *
   * @example
   *   const [a, b] = [await readIndex(trained), await readIndex(trained)]; // filled by two workers
   *   await a.mergeFrom(b, { addId: a.ntotal });
   *
   * @returns rejects with ERR_PARAMETER, which names the difference, ERR_NOT_TRAINED, ERR_ID, ERR_UNSUPPORTED for a graph, ERR_MEMORY, or
   *   the signal's reason; both indexes are then what they were
   */
  mergeFrom(other: Index<IdType>, options?: MergeOptions): Promise<void>;
  /**
   * Gives back memory that is not in use, as if all vectors had been added in one call. Adding keeps within a quarter of that by itself; it
   * pays after many removals, and before an index is searched for long. What warmUp made is given up: call it after this.
   *
   * @example
   *   index.removeIds(old);
   *   index.compact();
   *
   * @returns throws ERR_MEMORY where there is no room for the smaller memory beside the larger one; the index is then as usable as before
   */
  compact(): void;
  /**
   * Sets parameters by faiss' names, all or none. ERR_PARAMETER for a name that the index does not have, or a value out of its range.
   *
   * @example
   *   index.set("nprobe=8,k_factor_rf=4");
   */
  set(parameters: string): void;
  /**
   * The value of a parameter, by faiss' name. ERR_PARAMETER for one that the index does not have.
   *
   * @example
   *   const nprobe = index.get("nprobe");
   */
  get(name: string): number;
  /**
   * The index as a file: a faiss file, or of what a codec has read or made, a file of that (a voice file's, for one).
   *
   * @example
   *   await writeFile("alice.index", index.toBytes());
   */
  toBytes(): Uint8Array<ArrayBuffer>;
  /**
   * The index as a faiss file, whatever it was read from.
   *
   * @example
   *   const voice = await readVoice(await readFile("alice.voice"));
   *   await writeFile("alice.index", voice.toFaiss()); // for RVC and faiss
   */
  toFaiss(): Uint8Array<ArrayBuffer>;
  /**
   * The same file in chunks of up to a megabyte, made when they are asked for: what is saved is not in memory twice. Searches may go on
   * meanwhile; once the index is changed the stream fails with ERR_BUSY, for its file would be of neither state.
   *
   * @example
   *   await index.stream().pipeTo(await fileHandle.createWritable());
   *   await pipeline(index.stream(), createWriteStream("alice.index")); // in Node
   *   await fetch(address, { method: "PUT", body: index.stream(), duplex: "half" });
   *
   * @returns throws ERR_UNSUPPORTED where there are no streams, as in a worklet
   */
  stream(): ReadableStream<Uint8Array<ArrayBuffer>>;
  /**
   * Removes all vectors; what was trained stays.
   *
   * @example
   *   index.reset();
   */
  reset(): void;
  /**
   * Gives the memory back. Every later call throws ERR_DISPOSED.
   *
   * @example
   *   index.dispose();
   */
  dispose(): void;
  /**
   * What the index is, in a line; never throws.
   *
   * @example
   *   console.log(`${index}`); // Index(IVF256,Flat: 10000 x 384, L2, nprobe 16)
   */
  toString(): string;
  /**
   * What the index is, for JSON: not its vectors, which toBytes gives.
   *
   * @example
   *   console.log(JSON.stringify(index)); // {"description":"IVF256,Flat","d":384,"ntotal":10000, …}
   */
  toJSON(): Record<string, unknown>;
}
