import type {
  AddOptions,
  FilterSource,
  Floats,
  Ids,
  IdType,
  Labels,
  MergeOptions,
  Metric,
  RangeResult,
  SearchResult,
  TrainOptions,
  Vectors,
  Work,
} from "../api.js";
import { checkOptions, kindOf, what } from "../checks.js";
import { CellistError, fail } from "../errors.js";
import { readWork } from "../handle/options.js";
import { checkApart } from "../handle/results.js";
import { whereOf } from "../handle/where.js";
import type {
  AsyncBlendOptions,
  AsyncFilter,
  AsyncIndex,
  AsyncSearchOptions,
  AsyncWarmUpShape,
  Handover,
} from "./async-index.js";
import type { Channel } from "./channel.js";
import { RemoteFilter } from "./filter.js";
import type { FilterLink } from "./filter.js";
import { Parcel } from "./parcel.js";
import type { Shape } from "./serve.js";
import { Staging } from "./staging.js";

/** An index at the other end of a channel. */
export class RemoteIndex implements AsyncIndex<IdType> {
  /** Set on the prototype below, where the runtime has it. */
  declare [Symbol.asyncDispose]: () => Promise<void>;
  readonly #channel: Channel;
  readonly #staging: Staging | undefined;
  readonly #link: FilterLink;
  /** What the index is, which does not change. */
  readonly #kind: string;

  /** @param hasThreads whether several threads work for it */
  constructor(channel: Channel, kind: string, hasThreads: boolean) {
    this.#channel = channel;
    this.#staging = hasThreads ? new Staging() : undefined;
    this.#kind = kind;
    const quietly = (method: string, args: unknown[]): void => {
      // Where it fails, the search that wants the filter says why.
      this.#call(method, args).catch(() => undefined);
    };
    this.#link = {
      make: (id, where) => quietly("makeFilter", [id, where]),
      drop: (id) => quietly("dropFilter", [id]),
      count: (id) => this.#call("countFilter", [id]),
      idsSince: (version) => this.#call("idsSince", [version]),
    };
    // Whatever is assigned to a wrong name throws, in strict code.
    Object.freeze(this);
  }

  get d(): Promise<number> {
    return this.#call("d");
  }

  get ntotal(): Promise<number> {
    return this.#call("ntotal");
  }

  get isTrained(): Promise<boolean> {
    return this.#call("isTrained");
  }

  get metric(): Promise<Metric> {
    return this.#call("metric");
  }

  get description(): Promise<string> {
    return this.#call("description");
  }

  get idType(): Promise<"int32" | "int64"> {
    return this.#call("idType");
  }

  get memory(): Promise<number> {
    return this.#call("memory");
  }

  get nprobe(): Promise<number | undefined> {
    return this.#call("nprobe");
  }

  set nprobe(_value: Promise<number | undefined>) {
    noSetter("nprobe", "nprobe=16");
  }

  get kFactor(): Promise<number | undefined> {
    return this.#call("kFactor");
  }

  set kFactor(_value: Promise<number | undefined>) {
    noSetter("kFactor", "k_factor_rf=4");
  }

  get efSearch(): Promise<number | undefined> {
    return this.#call("efSearch");
  }

  set efSearch(_value: Promise<number | undefined>) {
    noSetter("efSearch", "efSearch=64");
  }

  async train(vectors: Vectors, options?: TrainOptions & Handover): Promise<void> {
    const { transfer, work, rest } = split(options);
    const parcel = new Parcel(transfer, this.#staging);
    await this.#call("train", [parcel.vectors(vectors), rest], parcel, work);
  }

  async add(vectors: Vectors, options?: AddOptions & Handover): Promise<void> {
    const { transfer, work, rest } = split(options);
    const parcel = new Parcel(transfer, this.#staging);
    await this.#call("add", [parcel.vectors(vectors), rest], parcel, work);
  }

  async addWithIds(vectors: Vectors, ids: Ids, options?: AddOptions & Handover): Promise<void> {
    const { transfer, work, rest } = split(options);
    const parcel = new Parcel(transfer, this.#staging);
    await this.#call("addWithIds", [parcel.vectors(vectors), parcel.put(ids), rest], parcel, work);
  }

  async search(queries: Vectors, k: number, options?: AsyncSearchOptions & Handover): Promise<SearchResult<IdType>> {
    const { transfer, rest, settled } = this.#split(options);
    const parcel = new Parcel(transfer);
    return this.#call("search", [parcel.vectors(queries), k, rest], parcel, undefined, settled);
  }

  async rangeSearch(
    queries: Vectors,
    radius: number,
    options?: AsyncSearchOptions & Handover,
  ): Promise<RangeResult<IdType>> {
    const { transfer, rest, settled } = this.#split(options);
    const parcel = new Parcel(transfer);
    return this.#call("rangeSearch", [parcel.vectors(queries), radius, rest], parcel, undefined, settled);
  }

  async filter(which: FilterSource): Promise<AsyncFilter> {
    return new RemoteFilter(this.#link, whereOf(which));
  }

  async ids(): Promise<Labels> {
    return this.#call("ids");
  }

  async has(id: number | bigint): Promise<boolean> {
    return this.#call("has", [id]);
  }

  async searchInto(
    queries: Floats,
    k: number,
    distances: Float32Array,
    labels: Int32Array | BigInt64Array,
    options?: AsyncSearchOptions & Handover,
  ): Promise<void> {
    const { transfer, rest, settled } = this.#split(options);
    const kind = kindOf(labels);
    const wide = kind === "BigInt64Array";
    const shape: Shape = {
      distances: kindOf(distances) === "Float32Array" ? distances.length : undefined,
      labels: wide || kind === "Int32Array" ? labels.length : undefined,
      wide,
    };
    if (shape.distances !== undefined && shape.labels !== undefined)
      checkApart("labels", labels, "distances", distances);
    const parcel = new Parcel(transfer);
    const found: SearchResult<IdType> = await this.#call(
      "searchInto",
      [parcel.vectors(queries), k, shape, rest],
      parcel,
      undefined,
      settled,
    );
    try {
      distances.set(found.distances);
      (labels as BigInt64Array).set(found.labels as BigInt64Array);
    } catch {
      fail(
        "ERR_PARAMETER",
        "distances or labels were handed over or cut before the answer was there: leave them alone",
      );
    }
  }

  async warmUp(shape: AsyncWarmUpShape): Promise<number> {
    // What is no shape goes there as it is, where it is refused.
    const { rest, settled } = shape?.filter === undefined ? { rest: shape } : this.#split(shape);
    return this.#call("warmUp", [rest], undefined, undefined, settled);
  }

  async blend(features: Floats, options?: AsyncBlendOptions & Handover): Promise<Float32Array<ArrayBuffer>> {
    const { transfer, rest, settled } = this.#split(options);
    const parcel = new Parcel(transfer);
    return this.#call("blend", [parcel.vectors(features), rest], parcel, undefined, settled);
  }

  async reconstruct(id: number | bigint): Promise<Float32Array<ArrayBuffer>> {
    return this.#call("reconstruct", [id]);
  }

  async reconstructBatch(ids: Ids): Promise<Float32Array<ArrayBuffer>> {
    const parcel = new Parcel();
    return this.#call("reconstructBatch", [parcel.put(ids)], parcel);
  }

  async upsert(vectors: Vectors, ids: Ids, options?: AddOptions & Handover): Promise<void> {
    const { transfer, rest, work } = split(options);
    const parcel = new Parcel(transfer, this.#staging);
    await this.#call("upsert", [parcel.vectors(vectors), parcel.put(ids), rest], parcel, work);
  }

  async mergeFrom(other: AsyncIndex<IdType>, options?: MergeOptions): Promise<void> {
    if (!(other instanceof RemoteIndex) || other === this)
      fail("ERR_PARAMETER", "mergeFrom wants another index of cellist/worker: indexes of one page have their own");
    const parcel = new Parcel(true);
    const work = readWork(options);
    const addId = options?.addId;
    // Until it is taken back, or empty, the other index refuses all else: what was added meanwhile would be lost.
    const bytes: Uint8Array = await other.#call("lend");
    let merged = false;
    try {
      await this.#call("mergeFrom", [parcel.put(bytes), { addId }], parcel, work);
      merged = true;
    } finally {
      await other.#call("takeBack", [merged]);
    }
  }

  async compact(): Promise<void> {
    await this.#call("compact");
  }

  async removeIds(ids: Ids): Promise<number> {
    const parcel = new Parcel();
    return this.#call("removeIds", [parcel.put(ids)], parcel);
  }

  async set(parameters: string): Promise<void> {
    await this.#call("set", [parameters]);
  }

  async get(name: string): Promise<number> {
    return this.#call("get", [name]);
  }

  async stream(): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    if (typeof ReadableStream === "undefined") fail("ERR_UNSUPPORTED", "this runtime has no streams: use toBytes");
    const id: number = await this.#call("stream");
    return new ReadableStream(
      {
        pull: async (controller) => {
          const chunk: Uint8Array<ArrayBuffer> | undefined = await this.#call("nextChunk", [id]);
          if (chunk === undefined) controller.close();
          else controller.enqueue(chunk);
        },
        cancel: () => this.#call("closeStream", [id]),
      },
      { highWaterMark: 0 },
    );
  }

  async toBytes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#call("toBytes");
  }

  async toFaiss(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#call("toFaiss");
  }

  async reset(): Promise<void> {
    await this.#call("reset");
  }

  async dispose(): Promise<void> {
    try {
      // What was asked before is answered first; where there is nothing, nobody is waited for.
      if (!this.#channel.isIdle) await this.#call("dispose");
    } catch (error) {
      // Twice is no mistake.
      if (error instanceof CellistError && error.code === "ERR_DISPOSED") return;
      throw error;
    }
    this.#channel.close(new CellistError("ERR_DISPOSED", "the index was disposed of: make or read another"));
  }

  toString(): string {
    return `AsyncIndex(${this.#kind}, in a worker)`;
  }

  toJSON(): Record<string, unknown> {
    return { kind: this.#kind };
  }

  /** As {@link split}, a filter's number in its place, and what is to be waited for. */
  #split(options: unknown): ReturnType<typeof split> & { settled: Promise<void> | undefined } {
    const { rest, ...own } = split(options);
    const { filter } = (rest ?? {}) as { filter?: unknown };
    if (filter === undefined) return { ...own, rest, settled: undefined };
    const { id, settled } = RemoteFilter.goingWith(this.#link, filter);
    // Where the call fails before it waits, nobody else hears of this failure.
    settled?.catch(() => undefined);
    return { ...own, rest: { ...rest, filter: id }, settled };
  }

  async #call<T>(
    method: string,
    args: unknown[] = [],
    parcel?: Parcel,
    work?: Work,
    settled?: Promise<void>,
  ): Promise<T> {
    // Not where there is nothing to wait for: calls keep their order.
    if (settled !== undefined) await settled;
    try {
      return (await this.#channel.call(method, args, parcel?.transfer ?? [], work)) as T;
    } finally {
      parcel?.arrived();
    }
  }
}

// What consoles of Node, Deno and Bun show.
Object.defineProperty(RemoteIndex.prototype, Symbol.for("nodejs.util.inspect.custom"), {
  value(this: RemoteIndex): string {
    return this.toString();
  },
});

// `await using index = …` works where the runtime knows it.
if (typeof Symbol.asyncDispose === "symbol") {
  Object.defineProperty(RemoteIndex.prototype, Symbol.asyncDispose, {
    value(this: RemoteIndex): Promise<void> {
      return this.dispose();
    },
  });
}

/** What of a call's options is whose: the page's, the work's, the index's. ERR_PARAMETER for what are no options. */
function split(options: unknown): { transfer: boolean; work: Work; rest: object | undefined } {
  if (options === undefined) return { transfer: false, work: {}, rest: undefined };
  checkOptions(options);
  const { transfer, signal, onProgress, ...rest } = options as Handover & Work;
  if (transfer !== undefined && typeof transfer !== "boolean")
    fail("ERR_PARAMETER", `transfer is ${what(transfer)}: give true or false`);
  return { transfer: transfer ?? false, work: readWork({ signal, onProgress }), rest };
}

function noSetter(name: string, example: string): never {
  fail("ERR_PARAMETER", `${name} of an index in a worker can't be assigned: await index.set("${example}")`);
}
