import type {
  AddOptions,
  AsyncDisposed,
  Floats,
  Ids,
  FilterSource,
  IdType,
  Labels,
  MergeOptions,
  Metric,
  RangeResult,
  SearchOptions,
  SearchResult,
  TrainOptions,
  Vectors,
  WarmUpShape,
} from "../api.js";
import type { BlendOptions } from "../rvc/blend.js";

/**
 * How arrays go to where the index is.
 *
 * @example
 *   const options: Handover = { transfer: true };
 */
export interface Handover {
  /**
   * Hands over the memory of the arrays given, instead of a copy: they are empty afterwards. An array that is a part of a larger
   * buffer, or shared, is copied all the same. Default: false.
   *
   * @example
   *   await index.add(vectors, { transfer: true }); // vectors is empty now
   */
  transfer?: boolean | undefined;
}

/**
 * Which vectors a search may find, of an index in a worker: see Filter of "cellist".
 *
 * @example
 *   const filter: AsyncFilter = await index.filter([3, 5, 8]);
 */
export interface AsyncFilter {
  /**
   * Vectors of the index that are admitted.
   *
   * @example
   *   if ((await filter.count) === 0) return [];
   */
  readonly count: Promise<number>;
  /**
   * All that this one leaves out.
   *
   * @example
   *   await index.search(query, 5, { filter: seen.not() });
   */
  not(): AsyncFilter;
  /**
   * What both admit.
   *
   * @example
   *   await index.search(query, 5, { filter: mine.and(recent) });
   */
  and(other: AsyncFilter): AsyncFilter;
  /**
   * What one of them admits.
   *
   * @example
   *   await index.search(query, 5, { filter: mine.or(shared) });
   */
  or(other: AsyncFilter): AsyncFilter;
}

/**
 * Options of a search behind a worker.
 *
 * @example
 *   const options: AsyncSearchOptions = { nprobe: 16, filter };
 */
export interface AsyncSearchOptions extends Omit<SearchOptions, "filter"> {
  /**
   * Find these vectors only: what this index's `filter` made. Default: all.
   *
   * @example
   *   await index.search(query, 8, { filter: await index.filter([3, 5, 8]) });
   */
  filter?: AsyncFilter | undefined;
}

/**
 * What searches to come are like, behind a worker.
 *
 * @example
 *   const shape: AsyncWarmUpShape = { batch: 16, k: 8, nprobe: 4 };
 */
export interface AsyncWarmUpShape extends Omit<WarmUpShape, "filter">, Pick<AsyncSearchOptions, "filter"> {}

/**
 * Options of a blend behind a worker.
 *
 * @example
 *   const options: AsyncBlendOptions = { rate: 0.75, nprobe: 4 };
 */
export interface AsyncBlendOptions extends Omit<BlendOptions, "filter">, Pick<AsyncSearchOptions, "filter"> {}

/**
 * An index that is elsewhere, in a worker: the names of Index, all of them promises. Searches may be called while others are
 * pending, and are answered in turn; while training or adding is pending, every other call rejects with ERR_BUSY. What goes
 * wrong rejects; to assign to a property throws.
 *
 * @example
 *   const index = await readIndex(await fetch("alice.index")); // of "cellist/worker"
 *   await index.set("nprobe=16");
 *   const { distances, labels } = await index.search(queries, 8);
 *   await index.dispose();
 */
export interface AsyncIndex<I extends IdType = "int32"> extends AsyncDisposed {
  /**
   * Dimensions of a vector.
   *
   * @example
   *   const query = new Float32Array(await index.d);
   */
  readonly d: Promise<number>;
  /**
   * Vectors held.
   *
   * @example
   *   console.log(`${await index.ntotal} vectors`);
   */
  readonly ntotal: Promise<number>;
  /**
   * Whether vectors can be added.
   *
   * @example
   *   if (!(await index.isTrained)) await index.train(vectors);
   */
  readonly isTrained: Promise<boolean>;
  /**
   * METRIC_L2 or METRIC_INNER_PRODUCT.
   *
   * @example
   *   const larger = (await index.metric) === METRIC_INNER_PRODUCT; // is nearer
   */
  readonly metric: Promise<Metric>;
  /**
   * The canonical factory string.
   *
   * @example
   *   document.title = await index.description;
   */
  readonly description: Promise<string>;
  /**
   * Whether labels are 32 or 64 bits wide.
   *
   * @example
   *   const labels = (await index.idType) === "int64" ? new BigInt64Array(n * k) : new Int32Array(n * k);
   */
  readonly idType: Promise<IdType>;
  /**
   * Bytes of memory held.
   *
   * @example
   *   console.log(`${((await index.memory) / 1e6).toFixed(1)} MB`);
   */
  readonly memory: Promise<number>;
  /**
   * Cells that a query looks into, undefined where there are none. To assign throws ERR_PARAMETER: a worker can't be waited for so.
   *
   * @example
   *   if ((await index.nprobe) === 1) await index.set("nprobe=16");
   */
  readonly nprobe: Promise<number | undefined>;
  /**
   * Candidates of a re-ranked search, as a multiple of k, undefined where nothing is re-ranked. To assign throws ERR_PARAMETER.
   *
   * @example
   *   await index.set("k_factor_rf=4");
   *   console.log(await index.kFactor); // 4
   */
  readonly kFactor: Promise<number | undefined>;
  /**
   * Width of the beam of an HNSW search, undefined where there is no graph. To assign throws ERR_PARAMETER.
   *
   * @example
   *   if ((await index.efSearch) !== undefined) await index.set("efSearch=64");
   */
  readonly efSearch: Promise<number | undefined>;

  /**
   * Learns what the index must know of its vectors.
   *
   * @example
   *   await index.train(vectors, { signal, onProgress: ({ done, total }) => bar.show(done / total) });
   */
  train(vectors: Vectors, options?: TrainOptions & Handover): Promise<void>;
  /**
   * Adds vectors under the ids ntotal, ntotal + 1, …
   *
   * @example
   *   await index.add(vectors, { transfer: true }); // vectors is empty now
   */
  add(vectors: Vectors, options?: AddOptions & Handover): Promise<void>;
  /**
   * Adds vectors under the ids given.
   *
   * @example
   *   await index.addWithIds(vectors, rows.map((row) => row.id));
   */
  addWithIds(vectors: Vectors, ids: Ids, options?: AddOptions & Handover): Promise<void>;

  /**
   * Finds the k nearest vectors of each query.
   *
   * @example
   *   const { labels } = await index.search(query, 5, { nprobe: 16 });
   *   const best = docs[labels[0]];
   */
  search(queries: Vectors, k: number, options?: AsyncSearchOptions & Handover): Promise<SearchResult<I>>;
  /**
   * As `search`, into arrays of the caller's, which are written when the answer is there.
   *
   * @example
   *   await index.searchInto(queries, 8, distances, labels);
   */
  searchInto(
    queries: Floats,
    k: number,
    distances: Float32Array,
    labels: Int32Array | BigInt64Array,
    options?: AsyncSearchOptions & Handover,
  ): Promise<void>;
  /**
   * Finds all vectors within a radius of each query.
   *
   * @example
   *   const { lims, labels } = await index.rangeSearch(queries, 0.5);
   */
  rangeSearch(queries: Vectors, radius: number, options?: AsyncSearchOptions & Handover): Promise<RangeResult<I>>;
  /**
   * Makes a filter, for the option of that name: ids, a range of them, or a function. The function is asked here, of every id, at the first
   * search with the filter and at the first after a change of the index; what it throws, the search rejects with.
   *
   * @example
   *   const mine = await index.filter([3, 5, 8]);
   *   const { labels } = await index.search(query, 5, { filter: mine });
   *   const english = await index.filter((id) => docs[id].language === "en");
   */
  filter(which: FilterSource): Promise<AsyncFilter>;
  /**
   * Does ahead what the first searches of so many queries would.
   *
   * @example
   *   const ms = await index.warmUp({ batch: 16, k: 8 });
   */
  warmUp(shape: AsyncWarmUpShape): Promise<number>;
  /**
   * "cellist/rvc"'s blend. Resolves to the blended features, a new array: those given stay as they were.
   *
   * @example
   *   const blended = await index.blend(frames, { rate: 0.75, nprobe: 4 });
   */
  blend(features: Floats, options?: AsyncBlendOptions & Handover): Promise<Float32Array<ArrayBuffer>>;

  /**
   * The vector of an id, as far as it is stored.
   *
   * @example
   *   const vector = await index.reconstruct(labels[0]);
   */
  reconstruct(id: number | bigint): Promise<Float32Array<ArrayBuffer>>;
  /**
   * The vectors of ids, n x d.
   *
   * @example
   *   const vectors = await index.reconstructBatch([3, 5, 8]);
   */
  reconstructBatch(ids: Ids): Promise<Float32Array<ArrayBuffer>>;
  /**
   * All ids that are stored, in the order of storage.
   *
   * @example
   *   const gone = (await index.ids()).filter((id) => !docs.has(id));
   */
  ids(): Promise<Labels<I>>;
  /**
   * Whether there is a vector of this id.
   *
   * @example
   *   if (!(await index.has(doc.id))) await index.addWithIds([doc.vector], [doc.id]);
   */
  has(id: number | bigint): Promise<boolean>;
  /**
   * Removes vectors and resolves to how many; unknown ids are ignored.
   *
   * @example
   *   const removed = await index.removeIds([3, 5, 8]);
   */
  removeIds(ids: Ids): Promise<number>;
  /**
   * Adds vectors in the place of all that have one of these ids, in one step.
   *
   * @example
   *   await index.upsert(vectors, ids);
   */
  upsert(vectors: Vectors, ids: Ids, options?: AddOptions & Handover): Promise<void>;
  /**
   * Takes over all vectors of an index that has learnt the same, from its worker to this one, as a file. The other one, whose calls reject
   * with ERR_BUSY meanwhile, is left empty; where the merge fails both are as they were.
   *
   * @example
   *   await index.mergeFrom(other, { addId: await index.ntotal });
   */
  mergeFrom(other: AsyncIndex<IdType>, options?: MergeOptions): Promise<void>;
  /**
   * Gives back memory that is not in use.
   *
   * @example
   *   await index.compact();
   */
  compact(): Promise<void>;

  /**
   * Sets parameters by faiss' names, all or none.
   *
   * @example
   *   await index.set("nprobe=8,k_factor_rf=4");
   */
  set(parameters: string): Promise<void>;
  /**
   * The value of a parameter.
   *
   * @example
   *   const nprobe = await index.get("nprobe");
   */
  get(name: string): Promise<number>;
  /**
   * The index as a faiss file.
   *
   * @example
   *   const file = new Blob([await index.toBytes()]);
   */
  toBytes(): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * The index as a faiss file, whatever it was read from.
   *
   * @example
   *   const file = new Blob([await voice.toFaiss()]);
   */
  toFaiss(): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * The same file in chunks, which come over from the worker as they are asked for. It fails with ERR_BUSY once the index is changed.
   *
   * @example
   *   await (await index.stream()).pipeTo(await fileHandle.createWritable());
   */
  stream(): Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
  /**
   * Removes all vectors; what was trained stays.
   *
   * @example
   *   await index.reset();
   */
  reset(): Promise<void>;
  /**
   * Gives the memory back, and ends the worker unless it is the caller's own. Every later call rejects with ERR_DISPOSED. In Deno
   * a program does not end before; elsewhere one that forgets to does.
   *
   * @example
   *   await index.dispose();
   */
  dispose(): Promise<void>;
  /**
   * What the index is, in a line; never throws.
   *
   * @example
   *   console.log(`${index}`); // AsyncIndex(IVF256,Flat, d = 384, in a worker)
   */
  toString(): string;
  /**
   * What is known of the index here, for JSON.
   *
   * @example
   *   console.log(JSON.stringify(index)); // {"kind":"IVF256,Flat, d = 384"}
   */
  toJSON(): Record<string, unknown>;
}
