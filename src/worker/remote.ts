import type { Ids, Metric, SearchOptions, SearchResult, TrainOptions, Work } from "../api.js";
import { CellistError } from "../errors.js";
import type { BlendOptions } from "../rvc/blend.js";
import type { AsyncIndex, Handover } from "./async-index.js";
import type { Channel } from "./channel.js";
import { Parcel } from "./parcel.js";
import type { Shape } from "./serve.js";

/** An index at the other end of a channel. */
export class RemoteIndex implements AsyncIndex {
  /** Set on the prototype below, where the runtime has it. */
  declare [Symbol.asyncDispose]: () => Promise<void>;
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
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

  async train(vectors: Float32Array, options: TrainOptions & Handover = {}): Promise<void> {
    const { seed, transfer, ...work } = options;
    const parcel = new Parcel(transfer);
    await this.#call("train", [parcel.put(vectors), { seed }], parcel, work);
  }

  async add(vectors: Float32Array, { transfer, ...work }: Work & Handover = {}): Promise<void> {
    const parcel = new Parcel(transfer);
    await this.#call("add", [parcel.put(vectors)], parcel, work);
  }

  async addWithIds(vectors: Float32Array, ids: Ids, { transfer, ...work }: Work & Handover = {}): Promise<void> {
    const parcel = new Parcel(transfer);
    await this.#call("addWithIds", [parcel.put(vectors), parcel.put(ids)], parcel, work);
  }

  async search(
    queries: Float32Array,
    k: number,
    { transfer, ...options }: SearchOptions & Handover = {},
  ): Promise<SearchResult> {
    const parcel = new Parcel(transfer);
    return this.#call("search", [parcel.put(queries), k, options], parcel);
  }

  async searchInto(
    queries: Float32Array,
    k: number,
    distances: Float32Array,
    labels: Int32Array | BigInt64Array,
    { transfer, ...options }: SearchOptions & Handover = {},
  ): Promise<void> {
    const wide = labels instanceof BigInt64Array;
    const shape: Shape = {
      distances: distances instanceof Float32Array ? distances.length : undefined,
      labels: wide || labels instanceof Int32Array ? labels.length : undefined,
      wide,
    };
    const parcel = new Parcel(transfer);
    const found: SearchResult = await this.#call("searchInto", [parcel.put(queries), k, shape, options], parcel);
    distances.set(found.distances);
    (labels as BigInt64Array).set(found.labels as BigInt64Array);
  }

  async warmUp(shape: { batch: number; k: number } & SearchOptions): Promise<void> {
    await this.#call("warmUp", [shape]);
  }

  async blend(
    features: Float32Array,
    { transfer, ...options }: BlendOptions & Handover = {},
  ): Promise<Float32Array<ArrayBuffer>> {
    const parcel = new Parcel(transfer);
    return this.#call("blend", [parcel.put(features), options], parcel);
  }

  async reconstruct(id: number | bigint): Promise<Float32Array<ArrayBuffer>> {
    return this.#call("reconstruct", [id]);
  }

  async reconstructBatch(ids: Ids): Promise<Float32Array<ArrayBuffer>> {
    const parcel = new Parcel();
    return this.#call("reconstructBatch", [parcel.put(ids)], parcel);
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

  async toBytes(): Promise<Uint8Array<ArrayBuffer>> {
    return this.#call("toBytes");
  }

  async reset(): Promise<void> {
    await this.#call("reset");
  }

  async dispose(): Promise<void> {
    try {
      await this.#call("dispose");
    } catch (error) {
      // Twice is no mistake.
      if (error instanceof CellistError && error.code === "ERR_DISPOSED") return;
      throw error;
    }
    this.#channel.close(new CellistError("ERR_DISPOSED", "the index was disposed of: make or read another"));
  }

  async #call<T>(method: string, args: unknown[] = [], parcel?: Parcel, work?: Work): Promise<T> {
    return (await this.#channel.call(method, args, parcel?.transfer ?? [], work)) as T;
  }
}

// `await using index = …` works where the runtime knows it.
if (typeof Symbol.asyncDispose === "symbol") {
  Object.defineProperty(RemoteIndex.prototype, Symbol.asyncDispose, {
    value(this: RemoteIndex): Promise<void> {
      return this.dispose();
    },
  });
}
