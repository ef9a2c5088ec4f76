import { METRIC_INNER_PRODUCT } from "../api.js";
import type {
  AddOptions,
  Filter,
  FilterSource,
  Floats,
  Ids,
  IdType,
  Index,
  Labels,
  MergeOptions,
  Metric,
  RangeResult,
  SearchOptions,
  SearchResult,
  TrainOptions,
  Vectors,
  WarmUpShape,
  Work,
} from "../api.js";
import { kindOf, what } from "../checks.js";
import { fail, makingArrays, noArray } from "../errors.js";
import { describeTree } from "../indexes/describe.js";
import { Writer } from "../format/writer.js";
import { checkFinite, decodedAtOnce, NOTHING, OWN_PARAMS } from "../indexes/node.js";
import type { IndexNode, SearchParams } from "../indexes/node.js";
import { Pace, throwIfAborted } from "../work/pace.js";
import { scratchSize } from "../wasm/engine.js";
import { Window } from "../wasm/window.js";
import { Admitted, IdFilter } from "./filter.js";
import { checkIds, idsOf } from "./ids.js";
import { copyRows, floatsOf, ownRowsOf, rowsOf, toBigInts } from "./input.js";
import { addIdOf, checkMergeable, checkSums } from "./merge.js";
import { checkD, checkNames, checkOption, DEFAULTS, option, readSearch, readWork, SEARCH_NAMES } from "./options.js";
import { assign, parameterOf, setParameters, valueOf } from "./parameters.js";
import { MATCHES_SPARE, rangeSearch } from "./range.js";
import { reconstruct } from "./reconstruct.js";
import { checkApart, checkCount, checkResults, newResults } from "./results.js";
import { lineOf, summaryOf } from "./summary.js";
import { warmUp } from "./warm-up.js";
import { whereOf } from "./where.js";

/** Results of a block at most: with a k of a million, a block is one query. */
const BLOCK_RESULTS = 1 << 20;
/** Scratch of a block at most: with many candidates or probes a query, a block is of fewer queries. */
const BLOCK_SCRATCH = 64 << 20;
/** Bytes of a chunk of a file. */
const CHUNK = 1 << 20;
/** Where a block of results stands in the engine's memory, until the next call. */
export interface Retrieval {
  queries: number;
  distances: number;
  slots: number;
}

/** A form other than faiss' that an index was read from: it is written again for as long as no vector has come or gone. */
export interface Origin {
  /** The parts of the file, of the index as it is. */
  parts(node: IndexNode): readonly Uint8Array[];
}

/**
 * What people hold: a tree of nodes, and around it everything that is asked of every index alike. It checks what comes in, cuts
 * searches into blocks, maps slots to labels, keeps calls apart and gives the memory back.
 */
export class VectorIndex implements Index<IdType> {
  /** Set on the prototype below, where the runtime has it. */
  declare [Symbol.dispose]: () => void;
  #node: IndexNode | undefined;
  #busy = false;
  #wide: boolean;
  /** Whether vectors were ever added since it was made, read empty or reset: the first decide on the width of ids. */
  #filled: boolean;
  /** Goes up with every change, for those who read the index meanwhile. */
  #version = 0;
  readonly #params: SearchParams = { ...OWN_PARAMS };
  readonly #retrieval: Retrieval = { queries: 0, distances: 0, slots: 0 };
  /** Where a blend copies features from. */
  readonly #blended = new Window(Float32Array);
  /** Where the results of a block are copied from. */
  readonly #distances = new Window(Float32Array);
  readonly #labels = new Window(Int32Array);
  readonly #admitted = new Admitted();
  /** Two arrays for results that are in two memories: to be asked for its memory once more takes V8 .1 µs an array. */
  #distancesApart: Float32Array | undefined;
  #labelsApart: ArrayBufferView | undefined;
  /** The last BigInt64Array that results went into, and its 32-bit words: a view costs an allocation. */
  #words: { labels: BigInt64Array; words: Int32Array } | undefined;

  /** Until vectors change. */
  #origin: Origin | undefined;

  constructor(node: IndexNode, origin?: Origin) {
    this.#node = node;
    this.#origin = origin;
    this.#wide = node.hasWideLabels();
    this.#filled = node.ntotal > 0;
    // Whatever is assigned to a wrong name throws, in strict code. Private fields are not concerned.
    Object.freeze(this);
  }

  get d(): number {
    return this.#ready().d;
  }

  get ntotal(): number {
    return this.#ready().ntotal;
  }

  get isTrained(): boolean {
    return this.#ready().isTrained;
  }

  get metric(): Metric {
    return this.#ready().metric;
  }

  get description(): string {
    return describeTree(this.#ready().tree);
  }

  get idType(): IdType {
    this.#ready();
    return this.#wide ? "int64" : "int32";
  }

  get memory(): number {
    return this.#ready().engine.bytes;
  }

  get nprobe(): number | undefined {
    return valueOf(this.#ready(), "nprobe");
  }

  set nprobe(value: number | undefined) {
    assign(this.#ready(), "nprobe", value);
  }

  get kFactor(): number | undefined {
    return valueOf(this.#ready(), "kFactor");
  }

  set kFactor(value: number | undefined) {
    assign(this.#ready(), "kFactor", value);
  }

  get efSearch(): number | undefined {
    return valueOf(this.#ready(), "efSearch");
  }

  set efSearch(value: number | undefined) {
    assign(this.#ready(), "efSearch", value);
  }

  async train(vectors: Vectors, options?: TrainOptions): Promise<void> {
    const node = this.#ready();
    const { d } = node;
    const work = readWork(options);
    const seed = option(options, "seed", DEFAULTS.seed);
    checkD(options, d);
    const own = ownRowsOf("vectors", vectors, d);
    refuseNotFinite(node, own);
    await this.#exclusively(work, (_, pace) => node.train(own, seed, pace));
  }

  async add(vectors: Vectors, options?: AddOptions): Promise<void> {
    const { d } = this.#ready();
    const work = readWork(options);
    checkD(options, d);
    const own = ownRowsOf("vectors", vectors, d);
    const n = own.length / d;
    this.#checkRoom(n);
    await this.#exclusively(work, async (node, pace) => {
      await node.add(own, undefined, pace);
      this.#filled ||= n > 0;
    });
  }

  async addWithIds(vectors: Vectors, ids: Ids, options?: AddOptions): Promise<void> {
    await this.#addWithIds(vectors, ids, options, (node, own, ownIds, pace) => node.add(own, ownIds, pace));
  }

  async upsert(vectors: Vectors, ids: Ids, options?: AddOptions): Promise<void> {
    await this.#addWithIds(vectors, ids, options, (node, own, ownIds, pace) => node.replace(own, ownIds, pace));
  }

  async #addWithIds(
    vectors: Vectors,
    ids: Ids,
    options: AddOptions | undefined,
    add: (node: IndexNode, vectors: Float32Array, ids: BigInt64Array, pace: Pace) => Promise<void>,
  ): Promise<void> {
    const { d } = this.#ready();
    const work = readWork(options);
    checkD(options, d);
    const own = ownRowsOf("vectors", vectors, d);
    const n = own.length / d;
    const ownIds = toBigInts(ids);
    if (ownIds.length !== n) fail("ERR_ID", `got ${ownIds.length} ids for ${n} vectors: give one each`);
    this.#checkRoom(n);
    const filling = !this.#filled && n > 0;
    const wide = filling ? kindOf(ids) === "BigInt64Array" : this.#wide;
    checkIds(ownIds, wide, filling ? "give the ids as a BigInt64Array" : "only reset() changes an index of 32-bit ids");
    await this.#exclusively(work, async (node, pace) => {
      await add(node, own, ownIds, pace);
      // What was added in the place of others leaves the number as it was.
      if (n > 0) this.#origin = undefined;
      this.#wide = wide;
      this.#filled ||= n > 0;
    });
  }

  async mergeFrom(other: Index<IdType>, options?: MergeOptions): Promise<void> {
    const node = this.#ready();
    const work = readWork(options);
    const addId = addIdOf(options);
    if (!(other instanceof VectorIndex) || other === this)
      fail("ERR_PARAMETER", "mergeFrom wants another index, made by indexFactory or readIndex");
    const theirs = other.node;
    checkMergeable(node, theirs);
    const filling = !this.#filled;
    const wide = filling ? other.#wide : this.#wide;
    checkSums(theirs, addId, wide);
    await this.#exclusively(work, (_, pace) =>
      other.hold(async () => {
        (await node.merging(theirs, addId, pace)).commit();
        // At once: between two promises somebody else has his turn.
        this.#wide = wide;
        if (theirs.ntotal === 0) return;
        other.#empty(theirs);
        this.#filled = true;
        this.#origin = undefined;
      }),
    );
  }

  search(queries: Vectors, k: number, options?: SearchOptions): SearchResult<IdType> {
    const { d } = this.#ready();
    const floats = rowsOf("queries", queries, d);
    const n = floats.length / d;
    checkOption("k", k);
    this.#read(options, d);
    checkCount(n, k, this.#ready().stored);
    const { distances, labels } = newResults(n, k, this.#wide);
    // Not in searchInto and blend, which are for realtime: they make nothing.
    this.#ready().expect(n);
    this.#search(floats, n, k, distances, labels);
    return { distances, labels };
  }

  searchInto(
    queries: Floats,
    k: number,
    distances: Float32Array,
    labels: Int32Array | BigInt64Array,
    options?: SearchOptions,
  ): void {
    const { d } = this.#ready();
    const floats = floatsOf("queries", queries, d);
    const n = floats.length / d;
    checkOption("k", k);
    this.#read(options, d);
    this.#ready();
    checkResults(n, k, this.#wide, distances, labels);
    checkApart("distances", distances, "queries", floats);
    checkApart("labels", labels, "queries", floats);
    if (distances !== this.#distancesApart || labels !== this.#labelsApart) {
      checkApart("labels", labels, "distances", distances);
      if (labels.buffer !== distances.buffer) {
        this.#distancesApart = distances;
        this.#labelsApart = labels;
      }
    }
    this.#search(floats, n, k, distances, labels);
  }

  /** Searches with the parameters that were read, all else being checked. */
  #search(
    queries: Float32Array,
    n: number,
    k: number,
    distances: Float32Array,
    labels: Int32Array | BigInt64Array,
  ): void {
    const node = this.#ready();
    if (!node.isTrained) fail("ERR_NOT_TRAINED", `${this.description} is not trained: call train first`);
    const params = this.#params;
    const { engine } = node;
    const found = Math.min(k, node.stored);
    const words = !(labels instanceof Int32Array) && kindOf(labels) === "BigInt64Array";
    const out = words ? this.#wordsOf(labels) : (labels as Int32Array);
    const width = words ? 2 : 1;
    const nothing = node.metric === METRIC_INNER_PRODUCT ? -NOTHING : NOTHING;
    const block = this.blockSize(n, found, params, 0);
    for (let first = 0; first < n; first += block) {
      const count = Math.min(block, n - first);
      const results = count * found;
      const from = found > 0 ? this.#retrieve(node, queries, first, count, found, params, words, 0) : this.#retrieval;
      const near = this.#distances.at(engine, from.distances, results);
      const places = this.#labels.at(engine, from.slots, results * width);
      if (found === k) {
        distances.set(near, first * k);
        out.set(places, first * k * width);
        continue;
      }
      // Of fewer vectors than k, each query has the rest of its row to say so.
      for (let i = 0, at = first * k; i < count; i++) {
        for (let j = 0; j < k; j++, at++) {
          const result = i * found + j;
          distances[at] = j < found ? near[result] : nothing;
          for (let w = 0; w < width; w++) out[at * width + w] = j < found ? places[result * width + w] : -1;
        }
      }
    }
  }

  rangeSearch(queries: Vectors, radius: number, options?: SearchOptions): RangeResult<IdType> {
    const { d } = this.#ready();
    const floats = rowsOf("queries", queries, d);
    if (typeof radius !== "number" || Number.isNaN(radius))
      fail("ERR_PARAMETER", `the radius is ${what(radius)}: give a number`);
    this.#read(options, d);
    const node = this.#ready();
    if (!node.isTrained) fail("ERR_NOT_TRAINED", `${this.description} is not trained: call train first`);
    const block = this.blockSize(floats.length / d, 0, this.#params, MATCHES_SPARE);
    return makingArrays(() => rangeSearch(node, floats, radius, this.#params, this.#wide, block));
  }

  filter(which: FilterSource): Filter {
    this.#ready();
    return new IdFilter(this, whereOf(which));
  }

  ids(): Labels {
    return idsOf(this.#ready(), this.#wide);
  }

  has(id: number | bigint): boolean {
    const node = this.#ready();
    return makingArrays(() => node.slotOf(toBigInts([id] as Ids)[0]) >= 0);
  }

  warmUp(shape: WarmUpShape): number {
    return warmUp(this, this.#ready(), shape);
  }

  reconstruct(id: number | bigint): Float32Array<ArrayBuffer> {
    return this.reconstructBatch([id] as Ids);
  }

  reconstructBatch(ids: Ids): Float32Array<ArrayBuffer> {
    const node = this.#ready();
    return makingArrays(() => reconstruct(node, toBigInts(ids)));
  }

  removeIds(ids: Ids): number {
    const node = this.#ready();
    return makingArrays(() => {
      const gone = new Set(toBigInts(ids));
      this.#change();
      const removed = node.removeIds((label) => gone.has(label));
      if (removed > 0) this.#origin = undefined;
      return removed;
    });
  }

  compact(): void {
    const node = this.#change();
    makingArrays(() => node.compact());
    node.engine.compact();
    // Views of the memory before would keep it.
    for (const window of [this.#blended, this.#distances, this.#labels]) window.close();
  }

  set(parameters: string): void {
    const node = this.#ready();
    if (typeof parameters !== "string")
      fail("ERR_PARAMETER", `parameters are ${what(parameters)}: give a string like "nprobe=8"`);
    setParameters(node, parameters);
  }

  get(name: string): number {
    const node = this.#ready();
    if (typeof name !== "string") fail("ERR_PARAMETER", `the parameter is ${what(name)}: give a name like "nprobe"`);
    return parameterOf(node, name).get();
  }

  toBytes(): Uint8Array<ArrayBuffer> {
    return makingArrays(() => this.#write().finish());
  }

  stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    if (typeof ReadableStream === "undefined") fail("ERR_UNSUPPORTED", "this runtime has no streams: use toBytes");
    const chunks = this.chunks();
    return new ReadableStream(
      {
        pull: (controller) => {
          const { done, value } = chunks.next();
          if (done === true) controller.close();
          else controller.enqueue(value);
        },
      },
      // A chunk is made when it is asked for, and not before.
      { highWaterMark: 0 },
    );
  }

  /** @internal The file in chunks. Throws ERR_BUSY for the next one once the index has changed. */
  chunks(): Iterator<Uint8Array<ArrayBuffer>, void> {
    const chunks = makingArrays(() => this.#write()).chunks(CHUNK);
    const version = this.#version;
    return {
      next: () => {
        this.#ready();
        if (version !== this.#version)
          fail("ERR_BUSY", "the index was changed while its file was streamed: stream it again");
        return makingArrays(() => chunks.next());
      },
    };
  }

  reset(): void {
    this.#empty(this.#ready());
  }

  #empty(node: IndexNode): void {
    this.#change(node).reset();
    this.#origin = undefined;
    this.#wide = this.#filled = false;
  }

  dispose(): void {
    if (this.#busy)
      fail("ERR_BUSY", "a promise of this index is pending: await it, or abort it by its signal, before dispose");
    this.#node = undefined;
    this.#words = this.#distancesApart = this.#labelsApart = undefined;
    // A view would keep the memory for as long as somebody keeps the index.
    for (const window of [this.#blended, this.#distances, this.#labels]) window.close();
  }

  toString(): string {
    if (this.#node === undefined) return "Index(disposed of)";
    return this.#busy ? "Index(busy: a promise is pending)" : lineOf(this.#node, this.#wide);
  }

  toJSON(): Record<string, unknown> {
    if (this.#node === undefined) return { disposed: true };
    return this.#busy ? { busy: true } : summaryOf(this.#node, this.#wide);
  }

  /** @internal The topmost node; for entries beside the core, which work on what is stored. */
  get node(): IndexNode {
    return this.#ready();
  }

  /** @internal Bytes of the index as a file. */
  get fileBytes(): number {
    return makingArrays(() => this.#write().length);
  }

  toFaiss(): Uint8Array<ArrayBuffer> {
    const node = this.#ready();
    return makingArrays(() => {
      const writer = new Writer(node.engine);
      node.write(writer);
      return writer.finish();
    });
  }

  /** @internal Keeps all other calls out while a job reads what is stored. */
  async hold<T>(job: (node: IndexNode) => Promise<T>): Promise<T> {
    const node = this.#ready();
    this.#busy = true;
    try {
      return await job(node);
    } finally {
      this.#busy = false;
    }
  }

  /** @internal Where a blend copies features from. */
  get blended(): Window<Float32Array<ArrayBuffer>> {
    return this.#blended;
  }

  /** @internal Bytes of scratch that a blend of k neighbours takes beyond a search: weights, a mean, and vectors made of codes. */
  blendScratch(k: number): number {
    const node = this.#ready();
    const most = k * decodedAtOnce(k, node.engine.kernels.BLOCK.value, node.d);
    const decoding = node.rows === 0 ? scratchSize(most * node.d * 4) + node.decodeScratch(most) : 0;
    return scratchSize(k * 4) + scratchSize(node.d * 4) + decoding;
  }

  /** @internal Queries of n that one block takes when each has k results, `spare` bytes of scratch being wanted beside. */
  blockSize(n: number, k: number, params: SearchParams, spare: number): number {
    if (n <= 1) return 1;
    const node = this.#ready();
    let count = Math.min(n, node.engine.kernels.BLOCK.value, Math.floor(BLOCK_RESULTS / Math.max(k, 1)));
    while (count > 1) {
      const scratch = blockScratch(node, count, k, params) + spare;
      // Near the limit, smaller blocks may find the room that larger ones do not.
      if (scratch <= BLOCK_SCRATCH && node.engine.hasScratch(scratch)) break;
      count = Math.ceil(count / 2);
    }
    return Math.max(1, count);
  }

  /** @internal Goes up with every change of the vectors. */
  get version(): number {
    return this.#version;
  }

  /** @internal Where the bitmap of a search's filter stands; 0 without one. */
  admit(bits: Uint8Array | undefined): number {
    return bits === undefined ? 0 : this.#admitted.at(this.#ready(), bits);
  }

  /**
   * @internal Searches a block of queries (rows `first` to first + count - 1, k <= ntotal) and leaves what it found in the engine's
   * memory, with `spare` bytes of scratch still to be taken. The result object is the same at each call.
   */
  retrieve(
    queries: Float32Array,
    first: number,
    count: number,
    k: number,
    params: SearchParams,
    spare: number,
  ): Retrieval {
    return this.#retrieve(this.#ready(), queries, first, count, k, params, undefined, spare);
  }

  /** @param labels whether to map slots to labels, and to wide ones; undefined leaves slots */
  #retrieve(
    node: IndexNode,
    queries: Float32Array,
    first: number,
    count: number,
    k: number,
    params: SearchParams,
    labels: boolean | undefined,
    spare: number,
  ): Retrieval {
    const { engine, d } = node;
    const results = count * k;
    engine.reserveScratch(blockScratch(node, count, k, params) + spare);
    const into = this.#retrieval;
    into.queries = engine.takeScratch(count * d * 4);
    into.distances = engine.takeScratch(results * 4);
    into.slots = engine.takeScratch(results * 4);
    copyRows(queries, first * d, engine.f32, into.queries >>> 2, count * d);
    node.search(into.queries, count, k, params, into.distances, into.slots);
    if (labels === true) {
      const wide = engine.takeScratch(results * 8);
      node.mapSlotsWide(into.slots, results, wide);
      into.slots = wide;
    } else if (labels === false) {
      node.mapSlots(into.slots, results);
    }
    return into;
  }

  /** Checks the options of a search and reads them into the one object that serves all calls. */
  #read(options: SearchOptions | undefined, d: number): void {
    checkNames(options, SEARCH_NAMES);
    checkD(options, d);
    readSearch(this, options, this.#params);
  }

  /** Collects the file of the index. */
  #write(): Writer {
    const node = this.#ready();
    const writer = new Writer(node.engine);
    if (this.#origin === undefined) node.write(writer);
    else for (const part of this.#origin.parts(node)) writer.raw(part);
    return writer;
  }

  #wordsOf(labels: BigInt64Array): Int32Array {
    // One that follows a buffer's size has another number of them each time.
    if (this.#words?.labels !== labels || this.#words.words.length !== labels.length * 2) {
      this.#words = { labels, words: new Int32Array(labels.buffer, labels.byteOffset, labels.length * 2) };
    }
    return this.#words.words;
  }

  #checkRoom(n: number): void {
    const node = this.#ready();
    if (!node.isTrained) fail("ERR_NOT_TRAINED", `${this.description} is not trained: call train before adding`);
    if (node.ntotal + n > 0x7fffffff) fail("ERR_MEMORY", `${node.ntotal + n} vectors are more than 2^31 - 1`);
  }

  async #exclusively(work: Work, job: (node: IndexNode, pace: Pace) => Promise<void>): Promise<void> {
    const node = this.#ready();
    throwIfAborted(work.signal);
    this.#change();
    this.#busy = true;
    const { ntotal } = node;
    try {
      await job(node, new Pace(work));
      if (node.ntotal !== ntotal) this.#origin = undefined;
    } catch (error) {
      noArray(error);
    } finally {
      this.#busy = false;
    }
  }

  /** Says that the vectors are about to change. */
  #change(node = this.#ready()): IndexNode {
    this.#version++;
    this.#admitted.drop(node);
    return node;
  }

  #ready(): IndexNode {
    if (this.#node === undefined) fail("ERR_DISPOSED", "the index was disposed of: make or read another");
    if (this.#busy) fail("ERR_BUSY", "a promise of this index is pending: await it before the next call");
    return this.#node;
  }
}

// What consoles of Node, Deno and Bun show.
Object.defineProperty(VectorIndex.prototype, Symbol.for("nodejs.util.inspect.custom"), {
  value(this: VectorIndex): string {
    return this.toString();
  },
});

// `using index = …` works where the runtime knows it; Safari has no Symbol.dispose yet.
if (typeof Symbol.dispose === "symbol") {
  Object.defineProperty(VectorIndex.prototype, Symbol.dispose, {
    value(this: VectorIndex): void {
      this.dispose();
    },
  });
}

/** Bytes of scratch of one block: queries, results, labels, and what the nodes take. */
function blockScratch(node: IndexNode, count: number, k: number, params: SearchParams): number {
  const results = count * k;
  const own = scratchSize(count * node.d * 4) + 2 * scratchSize(results * 4) + scratchSize(results * 8);
  return own + node.scratchBytes(count, k, params);
}

/** Throws ERR_NOT_FINITE for a NaN or infinity. By a kernel, 64 rows at a time: in JavaScript it took three times as long. */
function refuseNotFinite({ engine, d }: IndexNode, rows: Float32Array): void {
  for (let i = 0; i < rows.length; i += 64 * d) {
    const some = rows.subarray(i, i + 64 * d);
    engine.reserveScratch(some.byteLength);
    const at = engine.takeScratch(0);
    engine.f32.set(some, at >>> 2);
    checkFinite(engine, at, some.length / d, d, i / d);
  }
  // What training keeps is to stand where this stood: else it would leave a hole.
  engine.dropScratch();
}
