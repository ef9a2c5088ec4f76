import type { Ids, Index, Metric, SearchOptions, SearchResult, TrainOptions, Work } from "../api.js";
import { METRIC_INNER_PRODUCT } from "../api.js";
import { fail, makingArrays, noArray } from "../errors.js";
import { describeTree } from "../indexes/describe.js";
import { Writer } from "../format/writer.js";
import { Pace } from "../work/pace.js";
import { scratchSize } from "../wasm/engine.js";
import { Window } from "../wasm/window.js";
import { checkK, copyRows, countRows, toBigInts, what } from "./input.js";
import { readSearchOptions } from "./options.js";
import { warmUp } from "./warm-up.js";
import { NOTHING } from "../indexes/node.js";
import type { IndexNode, SearchParams } from "../indexes/node.js";

/** Results of a block at most: with a k of a million, a block is one query. */
const BLOCK_RESULTS = 1 << 20;
/** faiss' default seed. */
const SEED = 1234;

/** Where a block of results stands in the engine's memory, until the next call. */
export interface Retrieval {
  queries: number;
  distances: number;
  slots: number;
}

/**
 * What people hold: a tree of nodes, and around it everything that is asked of every index alike. It checks what comes in, cuts
 * searches into blocks, maps slots to labels, keeps calls apart and gives the memory back.
 */
export class VectorIndex implements Index {
  /** Set on the prototype below, where the runtime has it. */
  declare [Symbol.dispose]: () => void;
  #node: IndexNode | undefined;
  #busy = false;
  #wide: boolean;
  /** Whether vectors were ever added since it was made, read empty or reset: the first decide on the width of ids. */
  #filled: boolean;
  readonly #params: SearchParams = { nprobe: 0, kFactor: 0, efSearch: 0, ensureK: false };
  readonly #retrieval: Retrieval = { queries: 0, distances: 0, slots: 0 };
  /** @internal Where a blend copies features from. */
  readonly blended: Window<Float32Array<ArrayBuffer>>;
  /** Where the results of a block are copied from. */
  readonly #distances = new Window(Float32Array);
  readonly #labels = new Window(Int32Array);
  /** The last BigInt64Array that results went into, and its 32-bit words: a view costs an allocation. */
  #words: { labels: BigInt64Array; words: Int32Array } | undefined;

  constructor(node: IndexNode) {
    this.#node = node;
    this.blended = new Window(Float32Array);
    this.#wide = node.hasWideLabels();
    this.#filled = node.ntotal > 0;
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

  get idType(): "int32" | "int64" {
    this.#ready();
    return this.#wide ? "int64" : "int32";
  }

  get memory(): number {
    return this.#ready().engine.bytes;
  }

  async train(vectors: Float32Array, options: TrainOptions = {}): Promise<void> {
    const node = this.#ready();
    const { seed = SEED } = options;
    if (!Number.isSafeInteger(seed) || seed < 0)
      fail("ERR_PARAMETER", `seed is ${String(seed)}: give a whole number from 0 on`);
    const n = countRows("vectors", vectors, node.d);
    for (let i = 0; i < vectors.length; i++) {
      if (vectors[i] - vectors[i] !== 0) {
        const place = `row ${Math.floor(i / node.d)} of ${n} has ${vectors[i]} in column ${i % node.d}`;
        fail("ERR_NOT_FINITE", `${place}: leave out or mend rows with NaN or infinity`);
      }
    }
    await this.#exclusively(options, (pace) => node.train(vectors, seed, pace));
  }

  async add(vectors: Float32Array, work: Work = {}): Promise<void> {
    const node = this.#ready();
    const n = countRows("vectors", vectors, node.d);
    this.#checkRoom(n);
    await this.#exclusively(work, (pace) => node.add(vectors, undefined, pace));
    this.#filled ||= n > 0;
  }

  async addWithIds(vectors: Float32Array, ids: Ids, work: Work = {}): Promise<void> {
    const node = this.#ready();
    const n = countRows("vectors", vectors, node.d);
    const own = toBigInts(ids);
    if (own.length !== n) fail("ERR_ID", `got ${own.length} ids for ${n} vectors: give one each`);
    this.#checkRoom(n);
    const filling = !this.#filled && n > 0;
    const wide = filling ? ids instanceof BigInt64Array : this.#wide;
    for (const id of own) {
      if (id === -1n) fail("ERR_ID", "-1 can't be an id: as a label it means that nothing was found");
      if (!wide && id !== BigInt.asIntN(32, id)) {
        const mend = filling ? "give the ids as a BigInt64Array" : "only reset() changes an index of 32-bit ids";
        fail("ERR_ID", `the id ${id} needs more than 32 bits: ${mend}`);
      }
    }
    await this.#exclusively(work, (pace) => node.add(vectors, own, pace));
    this.#wide = wide;
    this.#filled ||= n > 0;
  }

  search(queries: Float32Array, k: number, options?: SearchOptions): SearchResult {
    const n = countRows("queries", queries, this.#ready().d);
    checkK(k);
    let distances: Float32Array<ArrayBuffer>;
    let labels: Int32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer>;
    try {
      distances = new Float32Array(n * k);
      labels = this.#wide ? new BigInt64Array(n * k) : new Int32Array(n * k);
    } catch {
      return fail(
        "ERR_MEMORY",
        `${n} queries with k = ${k} have ${n * k} results, more than an array holds: ask for fewer`,
      );
    }
    this.searchInto(queries, k, distances, labels, options);
    return { distances, labels };
  }

  searchInto(
    queries: Float32Array,
    k: number,
    distances: Float32Array,
    labels: Int32Array | BigInt64Array,
    options?: SearchOptions,
  ): void {
    const node = this.#ready();
    const n = countRows("queries", queries, node.d);
    checkK(k);
    if (!(distances instanceof Float32Array) || distances.length < n * k) {
      fail("ERR_DIMENSION", `distances must be a Float32Array of at least ${n} x ${k} items, not ${what(distances)}`);
    }
    const words = labels instanceof BigInt64Array;
    if (!(words || (labels instanceof Int32Array && !this.#wide)) || labels.length < n * k) {
      const types = this.#wide ? "a BigInt64Array (the ids are 64-bit)" : "an Int32Array or BigInt64Array";
      fail("ERR_LABELS", `labels must be ${types} of at least ${n} x ${k} items, not ${what(labels)}`);
    }
    const params = readSearchOptions(options, this.#params);
    if (!node.isTrained) fail("ERR_NOT_TRAINED", `${this.description} is not trained: call train first`);

    const { engine } = node;
    const found = Math.min(k, node.ntotal);
    const out = words ? this.#wordsOf(labels) : labels;
    const width = words ? 2 : 1;
    const nothing = node.metric === METRIC_INNER_PRODUCT ? -NOTHING : NOTHING;
    const block = this.blockSize(found);
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

  warmUp(shape: { batch: number; k: number } & SearchOptions): void {
    warmUp(this, this.#ready(), shape);
  }

  reconstruct(id: number | bigint): Float32Array<ArrayBuffer> {
    return this.reconstructBatch([id] as Ids);
  }

  reconstructBatch(ids: Ids): Float32Array<ArrayBuffer> {
    const node = this.#ready();
    return makingArrays(() => this.#reconstruct(node, ids));
  }

  #reconstruct(node: IndexNode, ids: Ids): Float32Array<ArrayBuffer> {
    const { engine, d } = node;
    const own = toBigInts(ids);
    const result = new Float32Array(own.length * d);
    const block = engine.kernels.BLOCK.value;
    for (let first = 0; first < own.length; first += block) {
      const count = Math.min(block, own.length - first);
      engine.reserveScratch(scratchSize(count * 4) + scratchSize(count * d * 4) + node.decodeScratch(count));
      const slots = engine.takeScratch(count * 4);
      const vectors = engine.takeScratch(count * d * 4);
      for (let i = 0; i < count; i++) {
        const slot = node.slotOf(own[first + i]);
        if (slot < 0) fail("ERR_ID", `the index holds no vector with the id ${own[first + i]}`);
        engine.i32[(slots >>> 2) + i] = slot;
      }
      node.decode(slots, count, vectors);
      result.set(engine.f32.subarray(vectors >>> 2, (vectors >>> 2) + count * d), first * d);
    }
    return result;
  }

  removeIds(ids: Ids): number {
    const node = this.#ready();
    return makingArrays(() => {
      const gone = new Set(toBigInts(ids));
      return node.removeIds((label) => gone.has(label));
    });
  }

  set(parameters: string): void {
    const node = this.#ready();
    if (typeof parameters !== "string")
      fail("ERR_PARAMETER", `parameters are ${what(parameters)}: give a string like "nprobe=8"`);
    const changes = parameters
      .split(/[, ]+/)
      .filter((part) => part !== "")
      .map((part) => {
        const [, name, text] =
          /^(\w+)=(.+)$/.exec(part) ?? fail("ERR_PARAMETER", `could not parse "${part}": write name=value`);
        const parameter = this.#parameter(node, name);
        const value = Number(text);
        if (!(value >= parameter.min && value <= 0x7fffffff)) {
          fail("ERR_PARAMETER", `could not set ${name} to "${text}": give a number from ${parameter.min} on`);
        }
        return () => parameter.set(parameter.whole ? Math.floor(value) : value);
      });
    for (const change of changes) change();
  }

  get(name: string): number {
    return this.#parameter(this.#ready(), name).get();
  }

  toBytes(): Uint8Array<ArrayBuffer> {
    const node = this.#ready();
    return makingArrays(() => {
      const writer = new Writer(node.fileBytes);
      node.write(writer);
      return writer.finish();
    });
  }

  reset(): void {
    this.#ready().reset();
    this.#wide = this.#filled = false;
  }

  dispose(): void {
    if (this.#busy)
      fail("ERR_BUSY", "a promise of this index is pending: await it, or abort it by its signal, before dispose");
    this.#node = undefined;
    this.#words = undefined;
    // A view would keep the memory for as long as somebody keeps the index.
    for (const window of [this.blended, this.#distances, this.#labels]) window.close();
  }

  /** @internal The topmost node; for entries beside the core, which work on what is stored. */
  get node(): IndexNode {
    return this.#ready();
  }

  /** @internal Bytes of scratch that a blend of k neighbours takes beyond a search: weights, a mean, and vectors made of codes. */
  blendScratch(k: number): number {
    const node = this.#ready();
    const decoding = node.rows === 0 ? scratchSize(k * node.d * 4) + node.decodeScratch(k) : 0;
    return scratchSize(k * 4) + scratchSize(node.d * 4) + decoding;
  }

  /** @internal Queries that one block takes when each has k results. */
  blockSize(k: number): number {
    const { engine } = this.#ready();
    return Math.max(1, Math.min(engine.kernels.BLOCK.value, Math.floor(BLOCK_RESULTS / Math.max(k, 1))));
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
    options: SearchOptions,
    spare: number,
  ): Retrieval {
    return this.#retrieve(
      this.#ready(),
      queries,
      first,
      count,
      k,
      readSearchOptions(options, this.#params),
      undefined,
      spare,
    );
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
    engine.reserveScratch(
      scratchSize(count * d * 4) +
        2 * scratchSize(results * 4) +
        scratchSize(results * 8) +
        node.scratchBytes(count, k, params) +
        spare,
    );
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

  #parameter(node: IndexNode, name: string): ReturnType<IndexNode["parameter"]> & object {
    return (
      node.parameter(name) ??
      fail("ERR_PARAMETER", `could not set or get parameter "${name}": ${this.description} does not have it`)
    );
  }

  #wordsOf(labels: BigInt64Array): Int32Array {
    if (this.#words?.labels !== labels) {
      this.#words = { labels, words: new Int32Array(labels.buffer, labels.byteOffset, labels.length * 2) };
    }
    return this.#words.words;
  }

  #checkRoom(n: number): void {
    const node = this.#ready();
    if (!node.isTrained) fail("ERR_NOT_TRAINED", `${this.description} is not trained: call train before adding`);
    if (node.ntotal + n > 0x7fffffff) fail("ERR_MEMORY", `${node.ntotal + n} vectors are more than 2^31 - 1`);
  }

  async #exclusively(work: Work, job: (pace: Pace) => Promise<void>): Promise<void> {
    work.signal?.throwIfAborted();
    this.#busy = true;
    try {
      await job(new Pace(work));
    } catch (error) {
      noArray(error);
    } finally {
      this.#busy = false;
    }
  }

  #ready(): IndexNode {
    if (this.#node === undefined) fail("ERR_DISPOSED", "the index was disposed of: make or read another");
    if (this.#busy) fail("ERR_BUSY", "a promise of this index is pending: await it before the next call");
    return this.#node;
  }
}

// `using index = …` works where the runtime knows it; Safari has no Symbol.dispose yet.
if (typeof Symbol.dispose === "symbol") {
  Object.defineProperty(VectorIndex.prototype, Symbol.dispose, {
    value(this: VectorIndex): void {
      this.dispose();
    },
  });
}
