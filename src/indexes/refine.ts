import { fail } from "../errors.js";
import type { IndexTree } from "./tree.js";
import type { Reader } from "../format/reader.js";
import type { Writer } from "../format/writer.js";
import { Places } from "../storage/places.js";
import type { Pace } from "../work/pace.js";
import type { Engine } from "../wasm/engine.js";
import { scratchSize } from "../wasm/engine.js";
import { describeTree } from "./describe.js";
import { HEADER_BYTES, otherMetric, readHeader, writeHeader } from "./header.js";
import type { NodeReader } from "./ivf.js";
import { hasPlacesForLabels, IndexNode } from "./node.js";
import type { Parameter, SearchParams } from "./node.js";

/** faiss 1.15 takes no other factors from a file. */
const MAX_FACTOR = 1000;

/**
 * Two indexes of the same vectors: a quick one that finds k * kFactor candidates, and one that compares them again, exactly where it
 * is Flat (`RFlat`), or as well as it can.
 */
export class RefineNode extends IndexNode {
  readonly #base: IndexNode;
  readonly #refine: IndexNode;
  #kFactor = 1;

  constructor(base: IndexNode, refine: IndexNode) {
    super(base.engine, base.d, base.metric);
    this.#base = base;
    this.#refine = refine;
  }

  get tree(): IndexTree {
    return { kind: "refine", base: this.#base.tree, refine: this.#refine.tree };
  }

  get ntotal(): number {
    return this.#refine.ntotal;
  }

  override get stored(): number {
    return this.#base.stored;
  }

  get isTrained(): boolean {
    return this.#base.isTrained && this.#refine.isTrained;
  }

  get rows(): number {
    return this.#refine.rows;
  }

  async train(vectors: Float32Array, seed: number, pace: Pace): Promise<void> {
    const own = vectors.slice();
    const wasTrained = this.#base.isTrained;
    await this.#base.train(own, seed, pace);
    try {
      await this.#refine.train(own, seed, pace);
    } catch (error) {
      if (!wasTrained) this.#base.untrain();
      throw error;
    }
  }

  async add(vectors: Float32Array, ids: BigInt64Array | undefined, pace: Pace): Promise<void> {
    if (ids !== undefined) {
      fail("ERR_UNSUPPORTED", `this index numbers its vectors itself: make an "IDMap,…" to give ids of your own`);
    }
    const own = vectors.slice();
    const before = this.ntotal;
    await this.#refine.add(own, undefined, pace);
    try {
      await this.#base.add(own, undefined, pace);
    } catch (error) {
      this.#refine.truncate(before);
      throw error;
    }
  }

  override prepare(): void {
    this.#base.prepare();
  }

  override unprepare(): void {
    this.#base.unprepare();
  }

  scratchBytes(nq: number, k: number, params: SearchParams): number {
    const n = this.#candidates(k, params);
    const decoded = this.rows === 0 ? scratchSize(n * this.d * 4) + this.#refine.decodeScratch(n) : 0;
    return 2 * scratchSize(nq * n * 4) + scratchSize(n * 4) + decoded + this.#base.scratchBytes(nq, n, params);
  }

  search(queries: number, nq: number, k: number, params: SearchParams, distances: number, slots: number): void {
    const { engine, d, metric } = this;
    const { kernels } = engine;
    const top = engine.scratchTop;
    const n = this.#candidates(k, params);
    const candidates = engine.takeScratch(nq * n * 4);
    const near = engine.takeScratch(nq * n * 4);
    this.#base.search(queries, nq, n, params, near, candidates);
    this.#base.mapSlots(candidates, nq * n);
    if (this.rows !== 0) {
      kernels.refineRows(queries, nq, this.rows, d, metric, candidates, n, k, distances, slots);
    } else {
      this.#searchDecoded(queries, nq, k, candidates, n, distances, slots);
    }
    engine.returnScratch(top);
  }

  /** Re-ranks by what the second index makes of its codes, a query at a time. */
  #searchDecoded(
    queries: number,
    nq: number,
    k: number,
    candidates: number,
    n: number,
    distances: number,
    slots: number,
  ): void {
    const { engine, d, metric } = this;
    const { i32, kernels } = engine;
    const vectors = engine.takeScratch(n * d * 4);
    const places = engine.takeScratch(n * 4);
    for (let i = 0; i < nq; i++) {
      const own = candidates + i * n * 4;
      this.#refine.decode(own, n, vectors);
      for (let j = 0; j < n; j++) i32[(places >>> 2) + j] = i32[(own >>> 2) + j] < 0 ? -1 : j;
      const result = slots + i * k * 4;
      kernels.refineRows(queries + i * d * 4, 1, vectors, d, metric, places, n, k, distances + i * k * 4, result);
      for (let j = result >>> 2; j < (result >>> 2) + k; j++) if (i32[j] >= 0) i32[j] = i32[(own >>> 2) + i32[j]];
    }
  }

  slotOf(label: number | bigint): number {
    return this.#refine.slotOf(label);
  }

  override decodeScratch(n: number): number {
    return this.#refine.decodeScratch(n);
  }

  decode(slots: number, n: number, out: number): void {
    this.#refine.decode(slots, n, out);
  }

  removeIds(drop: (label: bigint) => boolean): number {
    const places = new Places(this.ntotal, (place) => drop(BigInt(place)));
    if (places.removed > 0) this.removal(places)();
    return places.removed;
  }

  override removal(places: Places): () => void {
    const parts = [this.#base.removal(places), this.#refine.removal(places)];
    return () => parts.forEach((remove) => remove());
  }

  override truncate(n: number): void {
    this.#base.truncate(n);
    this.#refine.truncate(n);
  }

  reset(): void {
    this.#base.reset();
    this.#refine.reset();
  }

  override untrain(): void {
    this.#base.untrain();
    this.#refine.untrain();
  }

  override parameter(name: string): Parameter | undefined {
    if (name !== "k_factor_rf") return this.#base.parameter(name);
    return { get: () => this.#kFactor, set: (value) => (this.#kFactor = value), min: 1, max: MAX_FACTOR, whole: true };
  }

  get fileBytes(): number {
    return HEADER_BYTES + this.#base.fileBytes + this.#refine.fileBytes + 4;
  }

  write(writer: Writer): void {
    writeHeader(writer, "IxRF", this);
    this.#base.write(writer);
    this.#refine.write(writer);
    writer.f32(this.#kFactor);
  }

  /** Reads what follows the fourcc IxRF. */
  static async read(reader: Reader, engine: Engine, readNode: NodeReader): Promise<RefineNode> {
    const { d, ntotal, metric } = await readHeader(reader);
    const base = await readNode(reader, engine);
    const refine = await readNode(reader, engine);
    if (!refine.isInSequence) {
      const what = describeTree(refine.tree);
      fail(
        "ERR_UNSUPPORTED",
        `the second index of the Refine, ${what}, does not keep its vectors in sequence, so that the first one's labels don't find ` +
          `them: only such as Flat and PQ16x4fs re-rank here`,
      );
    }
    for (const [name, part] of [
      ["first index of the Refine", base],
      ["second index of the Refine", refine],
    ] as const) {
      if (part.d !== d) reader.wrong(name, 0, `has d = ${part.d}, the Refine ${d}`);
      if (part.metric !== metric) otherMetric(`the ${name}`, part.metric, "the Refine", metric);
      if (part.ntotal !== ntotal) reader.wrong(name, 0, `has ${part.ntotal} vectors, the Refine ${ntotal}`);
      if (!hasPlacesForLabels(part, ntotal))
        reader.wrong(name, 0, `has labels that are not from 0 to ${ntotal - 1}, each once`);
    }
    const node = new RefineNode(base, refine);
    node.#kFactor = await reader.f32("k_factor");
    if (!(node.#kFactor >= 1 && node.#kFactor <= MAX_FACTOR)) {
      reader.wrong("k_factor", 4, `is ${node.#kFactor}, not from 1 to ${MAX_FACTOR}`);
    }
    return node;
  }

  /** How many candidates are compared again. */
  #candidates(k: number, params: SearchParams): number {
    return Math.min(Math.floor(k * (params.kFactor || this.#kFactor)), this.ntotal);
  }
}
