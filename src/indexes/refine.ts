import { METRIC_INNER_PRODUCT } from "../api.js";
import { fail } from "../errors.js";
import type { IndexTree } from "./tree.js";
import type { Reader } from "../format/reader.js";
import type { Writer } from "../format/writer.js";
import type { Matches } from "../lists/matches.js";
import { Places } from "../lists/places.js";
import type { Pace } from "../work/pace.js";
import type { Engine } from "../wasm/engine.js";
import { scratchSize } from "../wasm/engine.js";
import { describeTree } from "./describe.js";
import { otherMetric, readHeader, writeHeader } from "./header.js";
import { decodedAtOnce, hasPlacesForLabels, IndexNode, keptOf } from "./node.js";
import type { Merging, NodeReader, Parameter, SearchParams } from "./node.js";

/** faiss 1.15 takes no other factors from a file. */
const MAX_FACTOR = 1000;
/** Matches of a range search that are compared again together. */
const MATCHES = 64;

/**
 * Two indexes of the same vectors: a quick one that finds k * kFactor candidates, and one that compares them again, exactly where it
 * is Flat (`RFlat`), or as well as it can.
 */
export class RefineNode extends IndexNode {
  readonly base: IndexNode;
  readonly refine: IndexNode;
  /** Candidates for each of k results, where a search does not say. */
  kFactor = 1;

  constructor(base: IndexNode, refine: IndexNode) {
    super(base.engine, base.d, base.metric);
    this.base = base;
    this.refine = refine;
  }

  get tree(): IndexTree {
    return { kind: "refine", base: this.base.tree, refine: this.refine.tree };
  }

  get ntotal(): number {
    return this.refine.ntotal;
  }

  override get stored(): number {
    return this.base.stored;
  }

  get isTrained(): boolean {
    return this.base.isTrained && this.refine.isTrained;
  }

  get rows(): number {
    return this.refine.rows;
  }

  // Labels are places among the rows of the second index.
  get rowsByLabel(): number {
    return this.refine.rowsByLabel;
  }

  async train(vectors: Float32Array, seed: number, pace: Pace): Promise<void> {
    const own = keptOf(vectors);
    const wasTrained = this.base.isTrained;
    await this.base.train(own, seed, pace);
    try {
      await this.refine.train(own, seed, pace);
    } catch (error) {
      if (!wasTrained) this.base.untrain();
      throw error;
    }
  }

  async add(vectors: Float32Array, ids: BigInt64Array | undefined, pace: Pace, first?: () => void): Promise<void> {
    if (ids !== undefined) {
      fail("ERR_UNSUPPORTED", `this index numbers its vectors itself: make an "IDMap,…" to give ids of your own`);
    }
    const own = keptOf(vectors);
    const before = this.ntotal;
    await this.refine.add(own, undefined, pace);
    try {
      const stored = this.rows === 0 ? undefined : (): number => this.rows + before * this.d * 4;
      await this.base.add(own, undefined, pace, first, stored);
    } catch (error) {
      this.refine.truncate(before);
      throw error;
    }
  }

  override async merging(other: IndexNode, _addId: bigint, pace: Pace): Promise<Merging> {
    if (!(other instanceof RefineNode)) throw new Error("indexes of one description are of one kind");
    // Labels of the first index are places in the second.
    const before = BigInt(this.ntotal);
    const base = await this.base.merging(other.base, before, pace);
    try {
      const refine = await this.refine.merging(other.refine, before, pace);
      return {
        commit: () => {
          base.commit();
          refine.commit();
        },
        cancel: () => {
          base.cancel();
          refine.cancel();
        },
      };
    } catch (error) {
      base.cancel();
      throw error;
    }
  }

  override prepare(): void {
    this.base.prepare();
  }

  override expect(queries: number): void {
    this.base.expect(queries);
  }

  override unprepare(): void {
    this.base.unprepare();
  }

  scratchBytes(nq: number, k: number, params: SearchParams): number {
    const n = k === 0 ? 0 : this.#candidates(k, params);
    const most = k === 0 ? MATCHES : n * decodedAtOnce(n, nq, this.d);
    const decoded = this.rows === 0 ? scratchSize(most * this.d * 4) + this.refine.decodeScratch(most) : 0;
    const own = (k === 0 ? scratchSize(MATCHES * 4) : 2 * scratchSize(nq * n * 4)) + decoded;
    // A first index that re-ranks by itself goes by its own factor, as in faiss.
    const { kFactor } = params;
    params.kFactor = 0;
    const bytes = own + this.base.scratchBytes(nq, n, params);
    params.kFactor = kFactor;
    return bytes;
  }

  search(queries: number, nq: number, k: number, params: SearchParams, distances: number, slots: number): void {
    const { engine, d, metric } = this;
    const { kernels } = engine;
    const top = engine.scratchTop;
    const n = this.#candidates(k, params);
    const candidates = engine.takeScratch(nq * n * 4);
    const near = engine.takeScratch(nq * n * 4);
    const { kFactor } = params;
    params.kFactor = 0;
    this.base.search(queries, nq, n, params, near, candidates);
    params.kFactor = kFactor;
    this.base.mapSlots(candidates, nq * n);
    if (this.rows !== 0) {
      kernels.refineRows(queries, nq, this.rows, d, metric, false, candidates, n, k, distances, slots);
    } else {
      // What the second index makes of its codes, for as many queries at once as there is room for.
      const most = decodedAtOnce(n, nq, d);
      const vectors = engine.takeScratch(most * n * d * 4);
      for (let i = 0; i < nq; i += most) {
        const count = Math.min(most, nq - i);
        const own = candidates + i * n * 4;
        const at = i * k * 4;
        this.refine.decode(own, count * n, vectors);
        kernels.refineRows(queries + i * d * 4, count, vectors, d, metric, true, own, n, k, distances + at, slots + at);
      }
    }
    engine.returnScratch(top);
  }

  /**
   * Finds what the first index has within the radius, and keeps of it what the second has there too, with its distances. Squared distances
   * are looked for kFactor times as far, as in faiss from 1.15 on, which multiplies inner products too: that would leave out what is within.
   */
  range(queries: number, nq: number, params: SearchParams, matches: Matches): void {
    const { engine, d, metric } = this;
    const { count: before, radius } = matches;
    if (metric !== METRIC_INNER_PRODUCT) matches.radius = Math.fround(radius * (params.kFactor || this.kFactor));
    const { kFactor } = params;
    params.kFactor = 0;
    this.base.range(queries, nq, params, matches);
    params.kFactor = kFactor;
    matches.radius = radius;
    const found = matches.count;
    const { i32, f32, u8, kernels } = engine;
    const top = engine.scratchTop;
    const slots = engine.takeScratch(MATCHES * 4);
    const vectors = this.rows === 0 ? engine.takeScratch(MATCHES * d * 4) : 0;
    matches.count = before;
    for (let i = before; i < found; i += MATCHES) {
      const n = Math.min(MATCHES, found - i);
      for (let j = 0; j < n; j++) i32[(slots >>> 2) + j] = i32[matches.wordOf(i + j) + 1];
      this.base.mapSlots(slots, n);
      if (vectors !== 0) this.refine.decode(slots, n, vectors);
      const rows = vectors === 0 ? this.rows : vectors;
      kernels.compareMatches(queries, d, metric, matches.wordOf(i) * 4, n, slots, rows, vectors !== 0);
      for (let j = i; j < i + n; j++) {
        const from = matches.wordOf(j);
        const distance = f32[from + 2];
        const within = metric === METRIC_INNER_PRODUCT ? distance > radius : distance < radius;
        if (within) u8.copyWithin(matches.wordOf(matches.count++) * 4, from * 4, (from + 3) * 4);
      }
    }
    engine.returnScratch(top);
  }

  override get slots(): number {
    return this.base.slots;
  }

  override slotRuns(each: (start: number, length: number) => void): void {
    this.base.slotRuns(each);
  }

  override scannedLabels(slots: number, n: number, out: number): void {
    this.base.scannedLabels(slots, n, out);
  }

  slotOf(label: number | bigint): number {
    return this.refine.slotOf(label);
  }

  override decodeScratch(n: number): number {
    return this.refine.decodeScratch(n);
  }

  decode(slots: number, n: number, out: number): void {
    this.refine.decode(slots, n, out);
  }

  removeIds(drop: (label: bigint) => boolean): number {
    const places = new Places(this.ntotal, (place) => drop(BigInt(place)));
    if (places.removed > 0) this.removal(places)();
    return places.removed;
  }

  override removal(places: Places): () => void {
    const parts = [this.base.removal(places), this.refine.removal(places)];
    return () => parts.forEach((remove) => remove());
  }

  override truncate(n: number): void {
    this.base.truncate(n);
    this.refine.truncate(n);
  }

  reset(): void {
    this.base.reset();
    this.refine.reset();
  }

  override compact(): void {
    super.compact();
    this.refine.compact();
  }

  override untrain(): void {
    this.base.untrain();
    this.refine.untrain();
  }

  override parameter(name: string): Parameter | undefined {
    if (name !== "k_factor_rf") return this.base.parameter(name);
    return { get: () => this.kFactor, set: (value) => (this.kFactor = value), min: 1, max: MAX_FACTOR, whole: true };
  }

  write(writer: Writer): void {
    writeHeader(writer, "IxRF", this);
    this.base.write(writer);
    this.refine.write(writer);
    writer.f32(this.kFactor);
  }

  /** Reads what follows the fourcc IxRF. */
  static async read(reader: Reader, engine: Engine, readNode: NodeReader): Promise<RefineNode> {
    const { d, ntotal, metric } = await readHeader(reader);
    const base = await readNode(reader, engine);
    if (reader.deferral !== undefined) reader.deferral.rows = reader.deferral.lists;
    const refine = await readNode(reader, engine);
    if (reader.deferral !== undefined) reader.deferral.rows = false;
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
    node.kFactor = await reader.f32("k_factor");
    if (!(node.kFactor >= 1 && node.kFactor <= MAX_FACTOR)) {
      reader.wrong("k_factor", 4, `is ${node.kFactor}, not from 1 to ${MAX_FACTOR}`);
    }
    return node;
  }

  /** How many candidates are compared again. */
  #candidates(k: number, params: SearchParams): number {
    return Math.min(Math.floor(k * (params.kFactor || this.kFactor)), this.ntotal);
  }
}
