import type { Floats, IdType, Index, Metric, SearchOptions, SearchResult, Vectors, Work } from "../api.js";
import { checkOptions } from "../checks.js";
import { CellistError, fail, makingArrays } from "../errors.js";
import { floatsOf, rowsOf } from "../handle/input.js";
import { checkNames, DEFAULTS, option, readWork, SEARCH_NAMES } from "../handle/options.js";
import { VectorIndex } from "../handle/vector-index.js";
import type { Origin } from "../handle/vector-index.js";
import type { IndexNode } from "../indexes/node.js";
import { blend } from "../rvc/blend.js";
import type { BlendOptions } from "../rvc/blend.js";
import type { Absent } from "./absent.js";
import type { CachedFile } from "./cache.js";
import type { Pieces } from "./pieces.js";
import { Pace } from "../work/pace.js";

/**
 * An index whose file is elsewhere, or still on its way. It answers from the first moment: `search` and `blend` fetch what their queries
 * want and wait for it, `blendNow` takes what is there. In the end it is an ordinary index.
 *
 * @example
 *   const voice = await openRemote("https://example.org/alice.index", { cache: "voices" });
 *   await voice.blend(frames, { nprobe: 4 }); //   exact, after what is missing has come
 *   voice.blendNow(frames, { nprobe: 4 }); //      at once, with what is there; the rest is asked for
 *   await voice.load(); //                         everything
 */
export class RemoteIndex {
  readonly #node: IndexNode;
  readonly #origin: Origin | undefined;
  #index: VectorIndex;
  readonly #absent: Absent;
  readonly #pieces: Pieces;
  readonly #cached: CachedFile | undefined;
  readonly #readAhead: number;
  /** What is to be true of the whole. */
  readonly #checks: (() => void)[];
  #closed = false;

  /** @internal Made by openRemote. */
  constructor(
    node: IndexNode,
    origin: Origin | undefined,
    absent: Absent,
    pieces: Pieces,
    cached: CachedFile | undefined,
    size: number,
    readAhead: number,
    checks: (() => void)[],
  ) {
    this.#node = node;
    this.#origin = origin;
    this.#index = new VectorIndex(node, origin);
    this.#absent = absent;
    this.#pieces = pieces;
    this.#cached = cached;
    this.size = size;
    this.#readAhead = readAhead;
    this.#checks = checks;
  }

  /**
   * Bytes of the file.
   *
   * @example
   *   console.log(`${voice.resident} of ${voice.size} bytes`);
   */
  readonly size: number;

  /**
   * Bytes of the file that are there.
   *
   * @example
   *   bar.value = voice.resident / voice.size;
   */
  get resident(): number {
    return this.size - this.#pieces.missing;
  }

  /**
   * What the file is fetched by, and how much of that is there: lists, those of each layer, or pieces of exact rows.
   *
   * @example
   *   const { there, total } = voice.parts;
   */
  get parts(): { there: number; total: number } {
    return { there: this.#pieces.count, total: this.#pieces.total };
  }

  /**
   * Dimensions of a vector.
   *
   * @example
   *   const query = new Float32Array(voice.d);
   */
  get d(): number {
    return this.#ready().d;
  }

  /**
   * Vectors of the index, whether they are there or not.
   *
   * @example
   *   console.log(`${voice.ntotal} frames`);
   */
  get ntotal(): number {
    return this.#ready().ntotal;
  }

  /**
   * METRIC_L2 or METRIC_INNER_PRODUCT.
   *
   * @example
   *   if (voice.metric !== METRIC_L2) throw new Error("no voice");
   */
  get metric(): Metric {
    return this.#ready().metric;
  }

  /**
   * The canonical factory string.
   *
   * @example
   *   console.log(voice.description); // IVF495,Flat
   */
  get description(): string {
    return this.#ready().description;
  }

  /**
   * Sets parameters by faiss' names, all or none: `"nprobe=8"`.
   *
   * @example
   *   voice.set("nprobe=8");
   */
  set(parameters: string): void {
    this.#ready().set(parameters);
  }

  /**
   * The value of a parameter.
   *
   * @example
   *   const nprobe = voice.get("nprobe");
   */
  get(name: string): number {
    return this.#ready().get(name);
  }

  /**
   * Finds the k nearest vectors of each query: fetches what is missing, then answers what `readIndex` of the whole file would.
   *
   * @example
   *   const { labels } = await voice.search(query, 8, { nprobe: 4, signal });
   *
   * @param queries n x d, as of `Index.search`
   * @param options as of `Index.search`, and a `signal`; with a filter everything is fetched
   */
  async search(queries: Vectors, k: number, options: SearchOptions & Work = {}): Promise<SearchResult<IdType>> {
    const index = this.#ready();
    const { search, signal } = apart(options);
    const rows = copyOf(rowsOf("queries", queries, index.d));
    await this.#fetch(rows, k, search, signal);
    let result = this.#now().search(rows, k, search);
    if (search.ensureK === true && !this.#pieces.complete && (result.labels as Int32Array).includes(-1)) {
      await this.load({ signal });
      result = this.#now().search(rows, k, search);
    }
    return result;
  }

  /**
   * Moves each feature towards its neighbours, in place, as `blend` of cellist/rvc: fetches what is missing, then answers what it would
   * on `readIndex` of the whole file.
   *
   * @example
   *   await voice.blend(frames, { rate: 0.75, nprobe: 4, signal });
   *
   * @param features n x d; overwritten once everything is there
   * @param options as of `blend`, and a `signal`
   */
  async blend<F extends Floats>(features: F, options: BlendOptions & Work = {}): Promise<F> {
    const index = this.#ready();
    const { search: own, signal } = apart(options);
    const k = option(own, "k", DEFAULTS.k);
    const { nprobe, kFactor, efSearch, ensureK = true, filter } = own;
    const search = { nprobe, kFactor, efSearch, ensureK, filter };
    await this.#fetch(copyOf(floatsOf("features", features, index.d)), k, search, signal);
    return blend(this.#now(), features, own);
  }

  /**
   * Moves each feature towards those of its neighbours that are there, in place, and asks for those that are not: waits for nothing, and
   * allocates nothing once it has seen so many features, but for what is asked for. A feature whose lists are all missing stays as it was.
   *
   * @example
   *   const lacking = voice.blendNow(frames, { nprobe: 4 }); // in the block that must not be late
   *
   * @returns how many features lacked a list, or the exact rows of a re-ranked search
   */
  blendNow(features: Floats, options?: BlendOptions): number {
    const index = this.#ready();
    if (this.#pieces.complete) {
      blend(this.#now(), features, options);
      return 0;
    }
    const rows = floatsOf("features", features, index.d);
    const lacking = this.#absent.ask(this.#pieces, rows, options, this.#readAhead);
    this.#absent.blend(index, features, options, lacking);
    return lacking;
  }

  /**
   * Fetches everything: what queries asked for last comes first.
   *
   * @example
   *   await voice.load({ onProgress: ({ done, total }) => (bar.value = done / total) });
   *
   * @param work `signal` ends the waiting; what is under way comes all the same. `onProgress` counts bytes
   */
  async load(work: Work = {}): Promise<void> {
    this.#ready();
    const { signal, onProgress } = readWork(work);
    const news = (): void => onProgress?.({ phase: "load", done: this.resident, total: this.size });
    news();
    await this.#pieces.all(signal, news);
    news();
  }

  /**
   * Resolves when all that was fetched is in the cache; at once where there is none.
   *
   * @example
   *   await voice.settled(); // now the page may be closed
   */
  async settled(): Promise<void> {
    await this.#cached?.settled();
  }

  /**
   * The ordinary index, once all is there: fetches what is missing. The remote one is used up by it.
   *
   * @example
   *   const index = await voice.toIndex();
   *
   * @throws {CellistError} what keeps a part away; then the remote index goes on
   */
  async toIndex(work: Work = {}): Promise<Index<IdType>> {
    await this.load(work);
    for (const check of this.#checks.splice(0)) check();
    const index = this.#now();
    this.#close(new CellistError("ERR_DISPOSED", "the remote index has become an ordinary one: use that"));
    return index;
  }

  /**
   * Ends all requests and gives the memory back. Every later call throws ERR_DISPOSED, and whoever waits is told so.
   *
   * @example
   *   voice.dispose();
   */
  dispose(): void {
    if (this.#closed) return;
    this.#close(new CellistError("ERR_DISPOSED", "the remote index was disposed of"));
    this.#index.dispose();
  }

  #close(reason: CellistError): void {
    this.#closed = true;
    this.#pieces.close(reason);
  }

  #ready(): VectorIndex {
    if (this.#closed) fail("ERR_DISPOSED", "the remote index was disposed of, or has become an ordinary one: use that");
    return this.#index;
  }

  /** The index, whose labels are wide once a wide one has come. */
  #now(): VectorIndex {
    const index = this.#ready();
    if (index.idType === "int32" && this.#node.hasWideLabels()) this.#index = new VectorIndex(this.#node, this.#origin);
    return this.#index;
  }

  /** Waits for what an exact answer to queries wants that nobody else writes to. */
  async #fetch(
    queries: Float32Array,
    k: number,
    options: SearchOptions,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    checkNames(options, SEARCH_NAMES);
    if (this.#pieces.complete) return;
    if ((options as { filter?: unknown }).filter !== undefined) return this.load({ signal });
    await new Pace({ signal }).unlessAborted(() => this.#pieces.known());
    this.#ready();
    await this.#pieces.need(this.#absent.missing(this.#pieces, queries, k, options, this.#readAhead), signal);
    this.#ready();
  }
}

/** Queries are the caller's again once there is a promise. */
function copyOf(queries: Float32Array): Float32Array<ArrayBuffer> {
  return makingArrays(() => new Float32Array(queries));
}

/** The options of a search, and the signal that goes with them. */
function apart<O extends Work>(options: O): { search: Omit<O, keyof Work>; signal: AbortSignal | undefined } {
  checkOptions(options);
  const { signal, onProgress, ...search } = options;
  readWork({ signal, onProgress });
  return { search, signal };
}
