import { decodeProduct, encodeProduct } from "../codes/product.js";
import { fail } from "../errors.js";
import { Writer } from "../format/writer.js";
import { Rows } from "../lists/rows.js";
import type { ProductQuantizer } from "../quantizers/product.js";
import { scratchSize } from "../wasm/engine.js";
import { moreKernels } from "../wasm/more.js";
import type { Pace } from "../work/pace.js";
import { permutation } from "../work/random.js";
import { ListIndex } from "./list-index.js";
import { checkLearnt, decodedAtOnce, IndexNode, keptOf } from "./node.js";
import type { Merging, Parameter, SearchParams } from "./node.js";
import type { IndexTree } from "./tree.js";
import { Wrapper } from "./wrapper.js";

/** faiss' default, and the most that it reads from a file. */
const K_FACTOR = 4;
export const MAX_FACTOR = 1000;
/** Vectors whose second code is made at once. */
const ROWS_AT_ONCE = 256;
/** Training vectors for each centroid of the second quantizer at most, as for the first. */
const MAX_POINTS = 256;

/**
 * `IVFn,PQ16+8`, faiss' IVFPQR: an IVF of product quantizers, and a second product quantizer of what the first leaves over. A search finds
 * k * kFactor candidates by the first code, and compares them again by both. Second codes stand by label, as in a file.
 */
export class IvfPqrNode extends Wrapper {
  declare readonly base: ListIndex;
  override readonly isInSequence = false;
  readonly #finer: ProductQuantizer;
  /** The second code of each label. */
  readonly #codes: Rows;
  kFactor: number;

  /** @param codes those of all labels of the base; left out where it is empty */
  constructor(base: ListIndex, finer: ProductQuantizer, codes?: Rows, kFactor: number = K_FACTOR) {
    super(base);
    this.#finer = finer;
    this.#codes = codes ?? new Rows(base.engine, finer.codeBytes);
    this.kFactor = kFactor;
  }

  get tree(): IndexTree {
    const { nlist, coarse, code } = this.base.tree as IndexTree & { kind: "ivf" };
    const { m, bits } = code as IndexTree & { kind: "pq" };
    const { M, nbits } = this.#finer;
    return { kind: "ivf", nlist, coarse, code: { kind: "pqr", m, bits, finer: { m: M, bits: nbits } } };
  }

  override get rows(): number {
    return 0;
  }

  /** The second quantizer learns what the first, once it is there, leaves over of the same vectors. */
  override async train(vectors: Float32Array, seed: number, pace: Pace): Promise<void> {
    const { base, d } = this;
    if (base.isTrained) return;
    const own = keptOf(vectors);
    await base.train(own, seed, pace);
    try {
      const order = permutation(own.length / d, seed).subarray(0, MAX_POINTS * this.#finer.K);
      const sample = new Float32Array(order.length * d);
      for (let i = 0; i < order.length; i++) sample.set(own.subarray(order[i] * d, (order[i] + 1) * d), i * d);
      await base.add(sample, undefined, pace);
      await this.#eachRest(sample, 0, pace, (rest, n, i) => {
        const rows = this.engine.f32.subarray(rest >>> 2, (rest >>> 2) + n * d);
        sample.set(rows, i * d);
      });
      base.reset();
      await this.#finer.train(sample, seed, pace);
    } catch (error) {
      base.untrain();
      throw error;
    }
  }

  override async add(
    vectors: Float32Array,
    ids: BigInt64Array | undefined,
    pace: Pace,
    first?: () => void,
  ): Promise<void> {
    // What would have to be removed first stays: this throws.
    first?.();
    if (ids !== undefined) {
      fail(
        "ERR_UNSUPPORTED",
        `a PQ…+… keeps its second codes by number: make an "IDMap,IVF…,PQ…+…" to give ids of your own`,
      );
    }
    const { base, engine } = this;
    const own = keptOf(vectors);
    const before = this.ntotal;
    const { codeBytes } = this.#finer;
    this.#codes.reserve(own.length / this.d);
    await base.add(own, undefined, pace);
    try {
      await this.#eachRest(own, before, pace, (rest, n) => {
        const codes = this.#codes.reserve(n);
        engine.u8.fill(0, codes, codes + n * codeBytes);
        encodeProduct(engine, this.#finer, rest, n, codes, codeBytes);
        this.#codes.grow(n);
      });
    } catch (error) {
      this.truncate(before);
      throw error;
    }
  }

  /**
   * Calls with what the first code leaves over of vectors that have the labels from `first` on: its address, how many there are, and the
   * number of the first one.
   */
  async #eachRest(
    vectors: Float32Array,
    first: number,
    pace: Pace,
    take: (rest: number, n: number, i: number) => void,
  ): Promise<void> {
    const { engine, base, d } = this;
    const n = vectors.length / d;
    for (let i = 0; i < n; i += ROWS_AT_ONCE) {
      const count = Math.min(ROWS_AT_ONCE, n - i);
      engine.reserveScratch(scratchSize(count * 4) + 2 * scratchSize(count * d * 4) + base.decodeScratch(count));
      const slots = engine.takeScratch(count * 4);
      const rest = engine.takeScratch(count * d * 4);
      const decoded = engine.takeScratch(count * d * 4);
      for (let j = 0; j < count; j++) engine.i32[(slots >>> 2) + j] = base.slotOf(first + i + j);
      engine.f32.set(vectors.subarray(i * d, (i + count) * d), rest >>> 2);
      base.decode(slots, count, decoded);
      moreKernels(engine).shiftRows(rest, 1, count * d, decoded, -1);
      take(rest, count, i);
      await pace.step("encode", i + count, n);
    }
  }

  override async replace(vectors: Float32Array, ids: BigInt64Array, pace: Pace): Promise<void> {
    await this.add(vectors, ids, pace);
  }

  override async merging(other: IndexNode, _addId: bigint, pace: Pace): Promise<Merging> {
    if (!(other instanceof IvfPqrNode)) throw new Error("indexes of one description are of one kind");
    checkLearnt("second codebooks", this.#learnt(), other.#learnt());
    const codes = this.#codes;
    const n = other.#codes.count;
    const merging = await this.base.merging(other.base, BigInt(this.ntotal), pace);
    try {
      const at = codes.reserve(n);
      this.engine.u8.set(other.#codes.bytes(), at);
    } catch (error) {
      merging.cancel();
      throw error;
    }
    return {
      commit: () => {
        merging.commit();
        codes.grow(n);
      },
      cancel: () => merging.cancel(),
    };
  }

  #learnt(): Uint8Array {
    const writer = new Writer(this.engine);
    this.#finer.write(writer);
    return writer.finish();
  }

  override scratchBytes(nq: number, k: number, params: SearchParams): number {
    if (k === 0) return super.scratchBytes(nq, 0, params);
    const n = this.#candidates(k, params);
    const most = n * decodedAtOnce(n, nq, this.d);
    const decoded = scratchSize(most * this.d * 4) + this.decodeScratch(most);
    return 2 * scratchSize(nq * n * 4) + decoded + super.scratchBytes(nq, n, params);
  }

  override search(
    queries: number,
    nq: number,
    k: number,
    params: SearchParams,
    distances: number,
    slots: number,
  ): void {
    const { engine, d, metric } = this;
    const top = engine.scratchTop;
    const n = this.#candidates(k, params);
    const candidates = engine.takeScratch(nq * n * 4);
    const near = engine.takeScratch(nq * n * 4);
    this.base.search(queries, nq, n, params, near, candidates);
    const most = decodedAtOnce(n, nq, d);
    const rows = engine.takeScratch(most * n * d * 4);
    for (let i = 0; i < nq; i += most) {
      const count = Math.min(most, nq - i);
      const own = candidates + i * n * 4;
      const at = i * k * 4;
      this.decode(own, count * n, rows);
      const block = queries + i * d * 4;
      engine.kernels.refineRows(block, count, rows, d, metric, true, own, n, k, distances + at, slots + at);
    }
    engine.returnScratch(top);
  }

  /** How many candidates are compared again. */
  #candidates(k: number, params: SearchParams): number {
    return Math.min(Math.floor(k * (params.kFactor || this.kFactor)), this.ntotal);
  }

  override decodeScratch(n: number): number {
    const own = scratchSize(n * 4) + scratchSize(n * this.#finer.codeBytes) + scratchSize(n * this.d * 4);
    return own + this.base.decodeScratch(n);
  }

  override decode(slots: number, n: number, out: number): void {
    const { engine, base, d } = this;
    const { codeBytes } = this.#finer;
    const top = engine.scratchTop;
    const labels = engine.takeScratch(n * 4);
    const codes = engine.takeScratch(n * codeBytes);
    const finer = engine.takeScratch(n * d * 4);
    base.decode(slots, n, out);
    engine.u8.copyWithin(labels, slots, slots + n * 4);
    base.mapSlots(labels, n);
    engine.kernels.gatherRows(this.#codes.address, codeBytes, labels, n, codes);
    decodeProduct(engine, this.#finer, codes, codeBytes, n, finer);
    moreKernels(engine).shiftRows(out, 1, n * d, finer, 1);
    engine.returnScratch(top);
  }

  override removeIds(): number {
    return this.#refuse();
  }

  override removal(): () => void {
    return this.#refuse();
  }

  #refuse(): never {
    return fail(
      "ERR_UNSUPPORTED",
      "vectors can't be removed from an IVF of PQ…+…, as in faiss: search with a filter that leaves them out, or build an index of those " +
        "that stay",
    );
  }

  override truncate(n: number): void {
    this.base.truncate(n);
    this.#codes.filter((label) => label < n);
  }

  override reset(): void {
    this.base.reset();
    this.#codes.clear();
  }

  override compact(): void {
    this.base.compact();
    this.#codes.compact();
  }

  override untrain(): void {
    this.reset();
    this.base.untrain();
    this.#finer.clear();
  }

  /** By faiss' name, and by the one that a Refine has for the same. */
  override parameter(name: string): Parameter | undefined {
    if (name !== "k_factor" && name !== "k_factor_rf") return super.parameter(name);
    return { get: () => this.kFactor, set: (value) => (this.kFactor = value), min: 1, max: MAX_FACTOR, whole: true };
  }

  write(writer: Writer): void {
    this.base.write(writer);
    this.#finer.write(writer);
    writer.i64(this.#codes.count * this.#finer.codeBytes);
    writer.raw(this.#codes.bytes());
    writer.f32(this.kFactor);
  }
}
