import { METRIC_INNER_PRODUCT } from "../api.js";
import type { Metric } from "../api.js";
import { fail } from "../errors.js";
import type { IndexTree } from "./tree.js";
import type { Reader } from "../format/reader.js";
import type { Writer } from "../format/writer.js";
import { IdLookup } from "../storage/id-lookup.js";
import type { InvertedLists } from "../storage/lists.js";
import type { Places } from "../storage/places.js";
import { kmeans } from "../training/kmeans.js";
import { Pace } from "../work/pace.js";
import type { Engine } from "../wasm/engine.js";
import { scratchSize } from "../wasm/engine.js";
import { DirectMap } from "./direct-map.js";
import { FlatNode } from "./flat.js";
import { HEADER_BYTES, readHeader, writeHeader } from "./header.js";
import { checkFinite, hasPlacesForLabels, IndexNode, NOTHING, OWN_PARAMS } from "./node.js";
import type { Parameter, SearchParams } from "./node.js";

/** Iterations of k-means for a coarse quantizer: faiss' default. */
const COARSE_ITERATIONS = 10;

/** How a coarse quantizer is searched for the cell of a vector: one that is an IVF itself must not come back with none. */
const ASSIGNING: Readonly<SearchParams> = { ...OWN_PARAMS, ensureK: true };

/** Reads a nested index from its fourcc on. */
export type NodeReader = (reader: Reader, engine: Engine) => Promise<IndexNode>;

/** What every IVF has in a file before its own fields. */
export interface IvfHeader {
  d: number;
  ntotal: number;
  isTrained: boolean;
  metric: Metric;
  nlist: number;
  nprobe: number;
  coarse: IndexNode;
  directMap: DirectMap;
}

/**
 * An inverted file: the coarse quantizer puts each vector into one of nlist cells, and a search looks only into the nprobe cells
 * nearest to the query. What a list holds of a vector, and how it is scanned, is a subclass's.
 */
export abstract class IvfNode extends IndexNode {
  readonly nlist: number;
  readonly coarse: IndexNode;
  isTrained = false;
  ntotal = 0;
  /** Vectors stand by their cells. */
  override readonly isInSequence = false;
  protected readonly lists: InvertedLists;
  #nprobe = 1;
  /** Rows that a query scans at most; 0 is no limit. */
  protected maxCodes = 0;
  #directMap = new DirectMap();
  #lookup: IdLookup | undefined;

  constructor(coarse: IndexNode, nlist: number, metric: Metric, lists: InvertedLists) {
    super(coarse.engine, coarse.d, metric);
    this.nlist = nlist;
    this.coarse = coarse;
    this.lists = lists;
  }

  /** What a list stores of a vector. */
  protected abstract readonly code: IndexTree;
  protected abstract readonly fourcc: string;

  /** Learns what codes need, the cells being known already. All or nothing. */
  protected abstract trainCodes(vectors: Float32Array, seed: number, pace: Pace): Promise<void>;
  /** The codes of n vectors that go to the lists given, one after the other, as {@link InvertedLists.write} takes them. */
  protected abstract encode(vectors: Float32Array, lists: Int32Array, pace: Pace): Promise<Uint8Array>;
  /** Bytes of scratch that {@link scan} takes beyond its arguments. */
  protected abstract scanScratchBytes(nq: number, k: number, nprobe: number): number;
  /**
   * Searches lists: `probes` are nq x nprobe list numbers, nearest first, `coarse` their distances. Lists from number `atLeast` on are
   * scanned only while k are not found.
   */
  protected abstract scan(
    queries: number,
    nq: number,
    k: number,
    probes: number,
    coarse: number,
    nprobe: number,
    atLeast: number,
    distances: number,
    slots: number,
  ): void;
  /** Bytes of the fields between the direct map and the end. */
  protected abstract get bodyBytes(): number;
  protected abstract writeBody(writer: Writer): void;

  get tree(): IndexTree {
    return { kind: "ivf", nlist: this.nlist, coarse: this.coarse.tree, code: this.code };
  }

  async train(vectors: Float32Array, seed: number, pace: Pace): Promise<void> {
    if (this.isTrained) return;
    const { coarse, nlist, d } = this;
    const flat = coarse instanceof FlatNode;
    const options = {
      niter: COARSE_ITERATIONS,
      // faiss finds the cells of a quantizer that is not flat by L2, whatever the metric.
      spherical: flat && this.metric === METRIC_INNER_PRODUCT,
      seed,
    };
    // The caller may overwrite the vectors while the cells are sought.
    const own = this.code.kind === "flat" ? vectors : vectors.slice();
    // A file may have its cells and lack what codes need.
    if (coarse.ntotal === nlist) {
      await this.trainCodes(own, seed, pace);
    } else {
      const { centroids } = await kmeans(vectors, d, nlist, options, this.engine.options, pace);
      const wasTrained = coarse.isTrained;
      try {
        await coarse.train(centroids, seed, pace);
        await coarse.add(centroids, undefined, new Pace());
        if (coarse instanceof FlatNode) coarse.makeBounds();
        await this.trainCodes(own, seed, pace);
      } catch (error) {
        if (wasTrained) coarse.reset();
        else coarse.untrain();
        throw error;
      }
    }
    this.isTrained = true;
  }

  override untrain(): void {
    this.reset();
    this.coarse.untrain();
    this.isTrained = false;
  }

  async add(vectors: Float32Array, ids: BigInt64Array | undefined, pace: Pace): Promise<void> {
    const { d, lists } = this;
    if (ids !== undefined && this.#directMap.isArray) {
      fail("ERR_ID", "the direct map of this index is an array, so its ids are the numbers in sequence: use add");
    }
    const n = vectors.length / d;
    if (n === 0) return;
    const own = vectors.slice();
    const ownIds = ids?.slice();

    const cells = await this.assign(own, pace);
    const more = new Uint32Array(this.nlist);
    for (let i = 0; i < n; i++) {
      if (cells[i] < 0)
        fail("ERR_NOT_FINITE", `row ${i} is so long that its distance overflows: scale the vectors down`);
      more[cells[i]]++;
    }
    const codes = await this.encode(own, cells, pace);

    // From here on nothing can fail but the memory, and that at once.
    const slots = new Int32Array(n);
    this.unprepare();
    lists.reserve(more);
    for (let i = 0; i < n; i++) {
      slots[i] = lists.append(cells[i], ownIds === undefined ? BigInt(this.ntotal + i) : ownIds[i]);
    }
    lists.write(codes, slots);
    this.ntotal += n;
    this.#changed();
  }

  /** The cell of each of n x d vectors, -1 where the distance overflows. Rejects with ERR_NOT_FINITE for a NaN or infinity. */
  protected async assign(vectors: Float32Array, pace: Pace): Promise<Int32Array> {
    const { engine, coarse, d } = this;
    const n = vectors.length / d;
    const cells = new Int32Array(n);
    const block = engine.kernels.BLOCK.value;
    for (let i = 0; i < n; i += block) {
      const count = Math.min(block, n - i);
      engine.reserveScratch(
        scratchSize(count * d * 4) + scratchSize(count * 4) * 2 + coarse.scratchBytes(count, 1, ASSIGNING),
      );
      const rows = engine.takeScratch(count * d * 4);
      const cell = engine.takeScratch(count * 4);
      const distance = engine.takeScratch(count * 4);
      engine.f32.set(vectors.subarray(i * d, (i + count) * d), rows >>> 2);
      checkFinite(engine, rows, count, d, i);
      coarse.search(rows, count, 1, ASSIGNING, distance, cell);
      coarse.mapSlots(cell, count);
      cells.set(engine.i32.subarray(cell >>> 2, (cell >>> 2) + count), i);
      await pace.step("assign", i + count, n);
    }
    return cells;
  }

  override get stored(): number {
    return this.lists.count;
  }

  scratchBytes(nq: number, k: number, params: SearchParams): number {
    const nprobe = this.#probes(params);
    let most = this.#probeScratch(nq, k, nprobe);
    if (params.ensureK) {
      for (let width = nprobe; width < this.nlist;) {
        width = this.#wider(width);
        most = Math.max(most, this.#probeScratch(1, k, width));
      }
    }
    return most;
  }

  /** Bytes of scratch that {@link #probe} takes. */
  #probeScratch(nq: number, k: number, nprobe: number): number {
    return (
      2 * scratchSize(nq * nprobe * 4) +
      this.coarse.scratchBytes(nq, nprobe, OWN_PARAMS) +
      this.scanScratchBytes(nq, k, nprobe)
    );
  }

  search(queries: number, nq: number, k: number, params: SearchParams, distances: number, slots: number): void {
    const { engine, d } = this;
    const nprobe = this.#probes(params);
    if (this.lists.count === 0) {
      const nothing = this.metric === METRIC_INNER_PRODUCT ? -NOTHING : NOTHING;
      engine.f32.fill(nothing, distances >>> 2, (distances >>> 2) + nq * k);
      engine.i32.fill(-1, slots >>> 2, (slots >>> 2) + nq * k);
      return;
    }
    this.#probe(queries, nq, k, nprobe, nprobe, distances, slots);
    if (!params.ensureK) return;
    for (let i = 0; i < nq; i++) {
      // Four times as many lists are ranked until the query has its k; of these only as many are scanned as it needs.
      let width = nprobe;
      while (engine.i32[(slots >>> 2) + (i + 1) * k - 1] < 0 && width < this.nlist) {
        width = this.#wider(width);
        this.#probe(queries + i * d * 4, 1, k, width, nprobe, distances + i * k * 4, slots + i * k * 4);
      }
    }
  }

  /** The coarse step and the scan, two crossings. */
  #probe(
    queries: number,
    nq: number,
    k: number,
    nprobe: number,
    atLeast: number,
    distances: number,
    slots: number,
  ): void {
    const { engine, coarse } = this;
    const top = engine.scratchTop;
    const probes = engine.takeScratch(nq * nprobe * 4);
    const toCoarse = engine.takeScratch(nq * nprobe * 4);
    coarse.search(queries, nq, nprobe, OWN_PARAMS, toCoarse, probes);
    coarse.mapSlots(probes, nq * nprobe);
    this.scan(queries, nq, k, probes, toCoarse, nprobe, atLeast, distances, slots);
    engine.returnScratch(top);
  }

  override mapSlots(slots: number, n: number): void {
    this.engine.kernels.mapSlots(slots, n, this.lists.ids);
  }

  override mapSlotsWide(slots: number, n: number, out: number): void {
    this.engine.kernels.mapSlotsWide(slots, n, this.lists.ids, out);
  }

  override hasWideLabels(): boolean {
    const { lists, engine } = this;
    let wide = false;
    for (let list = 0; list < lists.nlist && lists.count > 0 && !wide; list++) {
      wide = engine.kernels.hasWideIds(lists.ids + lists.start(list) * 8, lists.size(list)) === 1;
    }
    return wide;
  }

  override eachLabel(each: (label: bigint, slot: number) => void): void {
    const { lists } = this;
    for (let list = 0; list < lists.nlist && lists.count > 0; list++) {
      const start = lists.start(list);
      for (let i = 0, size = lists.size(list); i < size; i++) each(lists.id(start + i), start + i);
    }
  }

  slotOf(label: number | bigint): number {
    this.#lookup ??= new IdLookup(this.lists.count, (each) => this.eachLabel(each));
    return this.#lookup.find(label);
  }

  removeIds(drop: (label: bigint) => boolean): number {
    const removed = this.lists.remove(drop);
    if (removed > 0) this.unprepare();
    this.ntotal -= removed;
    if (removed > 0) this.#changed(removed);
    return removed;
  }

  override removal(places: Places): () => void {
    return () => {
      const { lists, engine } = this;
      if (lists.remove((label) => places.isGone(label)) > 0) this.unprepare();
      this.eachLabel((id, slot) => (engine.i64[(lists.ids >>> 3) + slot] = BigInt(places.next(id))));
      this.ntotal -= places.removed;
      this.#changed(places.removed);
    };
  }

  reset(): void {
    this.unprepare();
    this.lists.clear();
    this.ntotal = 0;
    this.#changed();
  }

  override parameter(name: string): Parameter | undefined {
    if (name === "nprobe") {
      return { get: () => this.#nprobe, set: (value) => (this.#nprobe = value), min: 1, whole: true };
    }
    if (name === "max_codes") {
      return { get: () => this.maxCodes, set: (value) => (this.maxCodes = value), min: 0, whole: true };
    }
    return name.startsWith("quantizer_") ? this.coarse.parameter(name.slice("quantizer_".length)) : undefined;
  }

  get fileBytes(): number {
    return (
      HEADER_BYTES + 16 + this.coarse.fileBytes + this.#directMap.fileBytes(this.lists, this.ntotal) + this.bodyBytes
    );
  }

  write(writer: Writer): void {
    writeHeader(writer, this.fourcc, this);
    writer.i64(this.nlist);
    writer.i64(this.#nprobe);
    this.coarse.write(writer);
    this.#directMap.write(writer);
    this.writeBody(writer);
  }

  /** Reads what all IVFs begin with, and checks that it fits together. */
  static async readHeader(reader: Reader, engine: Engine, readNode: NodeReader): Promise<IvfHeader> {
    const header = await readHeader(reader);
    const nlist = await reader.count("nlist", 0x7fffffff);
    const nprobe = await reader.count("nprobe", 0x7fffffff);
    if (nlist === 0) reader.wrong("nlist", 16, "is 0");
    if (nprobe === 0) reader.wrong("nprobe", 8, "is 0");
    const coarse = await readNode(reader, engine);
    if (coarse instanceof FlatNode) coarse.makeBounds();
    if (coarse.d !== header.d) reader.wrong("coarse quantizer", 0, `has d = ${coarse.d}, its index ${header.d}`);
    const full = coarse.isTrained && coarse.ntotal === nlist && coarse.stored === nlist;
    if (header.isTrained ? !full : header.ntotal !== 0 || (coarse.ntotal !== 0 && !full)) {
      const state = header.isTrained ? "trained" : "untrained";
      reader.wrong("coarse quantizer", 0, `has ${coarse.stored} of ${nlist} centroids, and the index is ${state}`);
    }
    if (!hasPlacesForLabels(coarse, nlist)) {
      reader.wrong("coarse quantizer", 0, `has labels that are not from 0 to ${nlist - 1}, each once`);
    }
    return { ...header, nlist, nprobe, coarse, directMap: await DirectMap.read(reader) };
  }

  /** Takes over what was read, the lists being filled. */
  protected restore(header: IvfHeader, reader: Reader): void {
    header.directMap.check(this.lists, header.ntotal, reader);
    this.isTrained = header.isTrained;
    this.ntotal = header.ntotal;
    this.#nprobe = header.nprobe;
    this.#directMap = header.directMap;
  }

  #probes(params: SearchParams): number {
    return Math.min(params.nprobe || this.#nprobe, this.nlist);
  }

  /** Lists that are ranked next where so many held too little. */
  #wider(width: number): number {
    return Math.min(width * 4, this.nlist);
  }

  #changed(removed = 0): void {
    this.#lookup = undefined;
    this.#directMap.invalidate(removed > 0);
  }
}
