import { fail } from "../errors.js";
import type { Reader } from "../format/reader.js";
import { Writer } from "../format/writer.js";
import { otherMetric, readHeader, writeHeader } from "../indexes/header.js";
import { checkFinite, checkLearnt } from "../indexes/node.js";
import type { IndexNode, Merging, NodeReader, SearchParams } from "../indexes/node.js";
import type { IndexTree } from "../indexes/tree.js";
import { Wrapper } from "../indexes/wrapper.js";
import type { Matches } from "../lists/matches.js";
import type { Pace } from "../work/pace.js";
import type { Engine } from "../wasm/engine.js";
import { scratchSize } from "../wasm/engine.js";
import { readTransform } from "./read.js";
import type { Transform } from "./transform.js";

/** Transforms that a file may have in one chain. */
const MAX_CHAIN = 50;

/** An index of what transforms make of the vectors that it is given. */
export class TransformedNode extends Wrapper {
  override readonly isInSequence: boolean;
  readonly #chain: readonly Transform[];

  /** @param chain whose last transform gives what `base` takes; d is what the first one takes */
  constructor(chain: readonly Transform[], base: IndexNode) {
    super(base, chain.length > 0 ? chain[0].din : base.d);
    this.isInSequence = base.isInSequence;
    this.#chain = chain;
  }

  get tree(): IndexTree {
    return { kind: "transform", transforms: this.#chain.map(({ tree }) => tree), base: this.base.tree };
  }

  override get isTrained(): boolean {
    return this.base.isTrained && this.#chain.every(({ isTrained }) => isTrained);
  }

  /** What is stored are rows of other dimensions. */
  override get rows(): number {
    return this.#chain.length === 0 ? this.base.rows : 0;
  }

  /** Each transform learns from what the ones before make of the vectors, and the index from what all do. */
  override async train(vectors: Float32Array, seed: number, pace: Pace): Promise<void> {
    const learnt: Transform[] = [];
    const wasTrained = this.base.isTrained;
    let own = vectors.slice();
    try {
      for (const transform of this.#chain) {
        if (!transform.isTrained) {
          learnt.push(transform);
          await transform.train(own, seed, pace);
        }
        own = await this.#apply([transform], own, pace);
      }
      await this.base.train(own, seed, pace);
    } catch (error) {
      for (const transform of learnt) transform.untrain();
      if (!wasTrained) this.base.untrain();
      throw error;
    }
  }

  override async add(
    vectors: Float32Array,
    ids: BigInt64Array | undefined,
    pace: Pace,
    first?: () => void,
  ): Promise<void> {
    const ownIds = ids?.slice();
    await this.base.add(await this.#apply(this.#chain, vectors.slice(), pace), ownIds, pace, first);
  }

  override async replace(vectors: Float32Array, ids: BigInt64Array, pace: Pace): Promise<void> {
    const ownIds = ids.slice();
    await this.base.replace(await this.#apply(this.#chain, vectors.slice(), pace), ownIds, pace);
  }

  override async merging(other: IndexNode, addId: bigint, pace: Pace): Promise<Merging> {
    const bytes = ({ engine }: IndexNode, chain: readonly Transform[]): Uint8Array => {
      const writer = new Writer(engine);
      for (const transform of chain) transform.write(writer);
      return writer.finish();
    };
    if (!(other instanceof TransformedNode)) throw new Error("indexes of one description are of one kind");
    checkLearnt("transforms", bytes(this, this.#chain), bytes(other, other.#chain));
    return this.base.merging(other.base, addId, pace);
  }

  /** What transforms make of vectors, block by block. Rejects with ERR_NOT_FINITE for a NaN or infinity. */
  async #apply(chain: readonly Transform[], vectors: Float32Array, pace: Pace): Promise<Float32Array<ArrayBuffer>> {
    const { engine } = this;
    const din = chain.length > 0 ? chain[0].din : this.d;
    const dout = chain.length > 0 ? chain[chain.length - 1].dout : this.d;
    const n = vectors.length / din;
    const out = new Float32Array(n * dout);
    const block = engine.kernels.BLOCK.value;
    for (let i = 0; i < n; i += block) {
      const count = Math.min(block, n - i);
      engine.reserveScratch(scratchSize(count * din * 4) + this.#scratch(chain, count));
      const rows = engine.takeScratch(count * din * 4);
      engine.f32.set(vectors.subarray(i * din, (i + count) * din), rows >>> 2);
      checkFinite(engine, rows, count, din, i);
      const made = this.#run(chain, rows, count);
      out.set(engine.f32.subarray(made >>> 2, (made >>> 2) + count * dout), i * dout);
      await pace.step("transform", i + count, n);
    }
    return out;
  }

  /** Bytes of scratch that {@link #run} takes. */
  #scratch(chain: readonly Transform[], n: number): number {
    let bytes = 0;
    for (const transform of chain) bytes += scratchSize(n * transform.dout * 4) + transform.scratchBytes(n);
    return bytes;
  }

  /** Applies transforms to n vectors, in scratch that stays taken, and returns where the last one's are. */
  #run(chain: readonly Transform[], vectors: number, n: number): number {
    let from = vectors;
    for (const transform of chain) {
      const to = this.engine.takeScratch(n * transform.dout * 4);
      transform.apply(from, n, to);
      from = to;
    }
    return from;
  }

  override scratchBytes(nq: number, k: number, params: SearchParams): number {
    return this.#scratch(this.#chain, nq) + this.base.scratchBytes(nq, k, params);
  }

  override search(
    queries: number,
    nq: number,
    k: number,
    params: SearchParams,
    distances: number,
    slots: number,
  ): void {
    const { engine } = this;
    const top = engine.scratchTop;
    const made = this.#run(this.#chain, queries, nq);
    this.base.search(made, nq, k, params, distances, slots);
    engine.returnScratch(top);
  }

  override range(queries: number, nq: number, params: SearchParams, matches: Matches): void {
    const { engine } = this;
    const top = engine.scratchTop;
    const made = this.#run(this.#chain, queries, nq);
    this.base.range(made, nq, params, matches);
    engine.returnScratch(top);
  }

  override decodeScratch(n: number): number {
    let bytes = scratchSize(n * this.base.d * 4) + this.base.decodeScratch(n);
    for (const transform of this.#chain) {
      if (!transform.canInvert) {
        const { din, dout } = transform;
        fail(
          "ERR_UNSUPPORTED",
          `vectors can't be had back from an index whose transform of ${din} to ${dout} dimensions can't be undone`,
        );
      }
      bytes += scratchSize(n * transform.din * 4) + transform.scratchBytes(n);
    }
    return bytes;
  }

  override decode(slots: number, n: number, out: number): void {
    const { engine } = this;
    const chain = this.#chain;
    const top = engine.scratchTop;
    let from = chain.length > 0 ? engine.takeScratch(n * this.base.d * 4) : out;
    this.base.decode(slots, n, from);
    for (let i = chain.length - 1; i >= 0; i--) {
      const to = i === 0 ? out : engine.takeScratch(n * chain[i].din * 4);
      chain[i].invert(from, n, to);
      from = to;
    }
    engine.returnScratch(top);
  }

  override untrain(): void {
    this.base.untrain();
    for (const transform of this.#chain) transform.untrain();
  }

  write(writer: Writer): void {
    writeHeader(writer, "IxPT", this);
    writer.i32(this.#chain.length);
    for (const transform of this.#chain) transform.write(writer);
    this.base.write(writer);
  }

  /** Reads what follows the fourcc IxPT. */
  static async read(reader: Reader, engine: Engine, readNode: NodeReader): Promise<TransformedNode> {
    const { d, ntotal, isTrained, metric } = await readHeader(reader);
    const count = await reader.i32("number of transforms");
    if (count < 0 || count > MAX_CHAIN)
      reader.wrong("number of transforms", 4, `is ${count}, not from 0 to ${MAX_CHAIN}`);
    const chain: Transform[] = [];
    let next = d;
    for (let i = 0; i < count; i++) {
      const transform = await readTransform(reader, engine);
      if (transform.din !== next)
        reader.wrong("transform", 0, `takes ${transform.din} dimensions, and is given ${next}`);
      next = transform.dout;
      chain.push(transform);
    }
    const base = await readNode(reader, engine);
    if (base.d !== next) reader.wrong("index behind the transforms", 0, `has d = ${base.d}, and is given ${next}`);
    if (base.ntotal !== ntotal) {
      reader.wrong("index behind the transforms", 0, `has ${base.ntotal} vectors, the whole ${ntotal}`);
    }
    if (base.metric !== metric) otherMetric("the index behind the transforms", base.metric, "the whole", metric);
    const node = new TransformedNode(chain, base);
    if (node.isTrained !== isTrained) {
      reader.wrong(
        "index behind transforms",
        0,
        `says that it is ${isTrained ? "" : "un"}trained, and its parts say otherwise`,
      );
    }
    return node;
  }
}
