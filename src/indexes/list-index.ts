import { METRIC_INNER_PRODUCT } from "../api.js";
import type { Code, Scan } from "../codes/code.js";
import { fail } from "../errors.js";
import { Writer } from "../format/writer.js";
import { IdLookup } from "../lists/id-lookup.js";
import { CHUNK } from "../lists/layout.js";
import { Lists } from "../lists/lists.js";
import type { Matches } from "../lists/matches.js";
import type { Places } from "../lists/places.js";
import { sampleOf } from "../training/sample.js";
import { scratchSize } from "../wasm/engine.js";
import type { Pace } from "../work/pace.js";
import type { Coarse } from "./coarse.js";
import { describeTree } from "./describe.js";
import { DirectMap } from "./direct-map.js";
import { writeHeader } from "./header.js";
import { checkFinite, checkLearnt, IndexNode, keptOf, NOTHING } from "./node.js";
import type { Merging, Parameter, SearchParams } from "./node.js";
import type { IndexTree } from "./tree.js";

/** Rows looked at between two steps of an add. */
const ROWS = 4096;
/** Rows that threads assign or encode at once: the scratch of a search of so many is some megabytes. */
const ROWS_AT_ONCE = 1024;

/** How an index of lists is written: what stands in a file besides that which all have. */
export interface Wire {
  readonly fourcc: string;
  /** Writes the fields behind the header, and in an IVF behind the direct map. */
  writeBody(index: ListIndex, writer: Writer): void;
}

/** What a file says of an IVF besides its lists. */
export interface IvfState {
  ntotal: number;
  isTrained: boolean;
  nprobe: number;
  directMap: DirectMap;
}

/**
 * Vectors kept by a code: in one list that is scanned from one end to the other (`Flat`, `PQ…x4fs`), or, behind a coarse quantizer that puts
 * each vector into one of nlist cells, in lists of which a search looks only into the nprobe nearest to the query (`IVF…`).
 */
export class ListIndex extends IndexNode {
  readonly code: Code;
  readonly coarse: Coarse | undefined;
  readonly lists: Lists;
  /** Behind a coarse quantizer, vectors stand by their cells. */
  override readonly isInSequence: boolean;
  readonly #wire: Wire;
  #isTrained: boolean;
  /** Vectors as the file counts them: more than are stored where faiss counted some that it could not place. */
  #ntotal = 0;
  #nprobe = 1;
  #maxCodes = 0;
  #directMap = new DirectMap();
  #lookup: IdLookup | undefined;
  /** Whether there is room that is to be used at once, and must not be given back. */
  #reserved = false;
  /** What is scanned next: one object for all searches. */
  readonly #scan: Scan;

  /** @param lists one that is numbered where there is no coarse quantizer, else nlist */
  constructor(code: Code, coarse: Coarse | undefined, wire: Wire, lists?: Lists) {
    super(code.engine, code.d, code.metric);
    this.code = code;
    this.coarse = coarse;
    this.isInSequence = coarse === undefined;
    this.#wire = wire;
    this.lists = lists ?? new Lists(code.engine, coarse?.nlist ?? 0, code.layout);
    this.#ntotal = this.lists.count;
    this.#isTrained = coarse === undefined && !code.needsTraining;
    this.#scan = {
      lists: this.lists,
      queries: 0,
      nq: 0,
      probes: 0,
      coarse: 0,
      nprobe: 1,
      atLeast: 1,
      maxCodes: 0,
      admitted: 0,
      centroids: 0,
      k: 0,
      distances: 0,
      slots: 0,
      matches: undefined,
    };
  }

  get tree(): IndexTree {
    const { code, coarse } = this;
    if (coarse === undefined) return code.tree;
    return { kind: "ivf", nlist: coarse.nlist, coarse: coarse.node.tree, code: code.tree };
  }

  get ntotal(): number {
    return this.#ntotal;
  }

  override get stored(): number {
    return this.lists.count;
  }

  get isTrained(): boolean {
    return this.#isTrained;
  }

  get nprobe(): number {
    return this.#nprobe;
  }

  get rows(): number {
    return this.code.isFloat ? this.lists.codes : 0;
  }

  get rowsByLabel(): number {
    return this.lists.isNumbered ? this.rows : 0;
  }

  async train(vectors: Float32Array, seed: number, pace: Pace): Promise<void> {
    const { code, coarse } = this;
    if (this.#isTrained) return;
    if (coarse === undefined) {
      await code.train(vectors, seed, pace);
    } else {
      // The caller may overwrite the vectors while the cells are sought.
      const own = code.isFloat ? vectors : keptOf(vectors);
      await coarse.train(vectors, seed, pace, async () => {
        if (code.residual) coarse.keepCentroids();
        if (!code.needsTraining) return;
        const drawn = sampleOf(own, this.d, code.sampleLimit, seed);
        // What is kept is others', too, and not to be written to.
        const sample = code.residual && drawn === own ? own.slice() : drawn;
        if (code.residual) await this.#subtract(coarse, sample, await this.#assign(coarse, sample, pace), pace);
        await code.train(sample, seed, pace);
      });
    }
    this.#isTrained = true;
  }

  override untrain(): void {
    this.reset();
    this.code.forget();
    this.coarse?.untrain();
    // Rows as they are need no training, whatever a file says of it.
    if (this.coarse !== undefined || this.code.needsTraining) this.#isTrained = false;
  }

  async add(
    vectors: Float32Array,
    ids: BigInt64Array | undefined,
    pace: Pace,
    first?: () => void,
    stored?: () => number,
  ): Promise<void> {
    const { code, coarse, d, lists } = this;
    if (ids !== undefined && coarse === undefined) {
      const name = describeTree(this.tree);
      const instead = `make an "IDMap,${name}" to give ids of your own`;
      fail("ERR_UNSUPPORTED", `a ${name} index numbers its vectors itself: ${instead}`);
    }
    if (ids !== undefined && this.#directMap.isArray) {
      fail("ERR_ID", "the direct map of this index is an array, so its ids are the numbers in sequence: use add");
    }
    const n = vectors.length / d;
    if (n === 0) return;
    if (coarse === undefined && code.isFloat) return this.#addRows(vectors, n, pace, first);
    const own = keptOf(vectors);
    const ownIds = ids?.slice();
    this.expect(n);

    const more = new Uint32Array(lists.nlist);
    const cells = coarse === undefined ? new Int32Array(n) : await this.#assign(coarse, own, pace, stored);
    for (let i = 0; i < n; i++) {
      if (cells[i] < 0)
        fail("ERR_NOT_FINITE", `row ${i} is so long that its distance overflows: scale the vectors down`);
      more[cells[i]]++;
    }
    const codes = await this.#encode(own, cells, pace, stored);

    // From here on nothing can fail but the memory, and that at once.
    const slots = new Int32Array(n);
    this.code.drop();
    lists.reserve(more);
    lists.reserveStore();
    this.#makeWay(first);
    for (let i = 0; i < n; i++) {
      slots[i] = lists.append(cells[i], ownIds === undefined ? this.#ntotal + i : ownIds[i]);
    }
    lists.store(codes, slots);
    this.#ntotal += n;
    this.#changed();
  }

  /** Adds rows as they are, straight to where they stay. */
  async #addRows(vectors: Float32Array, n: number, pace: Pace, first?: () => void): Promise<void> {
    const { engine, d, lists } = this;
    this.code.drop();
    lists.reserve(Uint32Array.of(n));
    const at = lists.codes + lists.count * d * 4;
    engine.write(vectors, at);
    for (let i = 0; i < n; i += ROWS) {
      const count = Math.min(ROWS, n - i);
      checkFinite(engine, at + i * d * 4, count, d, i);
      await pace.step("add", i + count, n);
    }
    if (first !== undefined) {
      this.#makeWay(first);
      engine.u8.copyWithin(lists.codes + lists.count * d * 4, at, at + n * d * 4);
    }
    lists.extend(n);
    this.#ntotal += n;
    this.#changed();
  }

  /** Removes what others are to take the place of, whose room is reserved. */
  #makeWay(first: (() => void) | undefined): void {
    this.#reserved = true;
    first?.();
    this.#reserved = false;
  }

  override async replace(vectors: Float32Array, ids: BigInt64Array, pace: Pace): Promise<void> {
    const given = new Set(ids);
    await this.add(vectors, ids, pace, () => this.removeIds((label) => given.has(label)));
  }

  override async merging(other: IndexNode, addId: bigint, pace: Pace): Promise<Merging> {
    const { lists, coarse } = this;
    if (!(other instanceof ListIndex)) throw new Error("indexes of one description are of one kind");
    const from = other;
    if (coarse === undefined && addId !== 0n && addId !== BigInt(this.#ntotal)) {
      const what = `a ${describeTree(this.tree)} index numbers its vectors itself`;
      fail("ERR_PARAMETER", `addId is ${addId}, and ${what}: leave it out`);
    }
    if (coarse !== undefined && this.#directMap.isArray && (from.#ntotal > 0 || addId !== BigInt(this.#ntotal)))
      fail("ERR_PARAMETER", "the direct map of this index is an array, which can't take another one's ids");
    if (coarse !== undefined) checkLearnt("centroids", bytesOf(coarse.node), bytesOf((from.coarse ?? coarse).node));
    if (this.code.isFloat !== from.code.isFloat)
      fail("ERR_PARAMETER", "the other index is a voice that is kept compact");
    checkLearnt("codes", this.#learnt(), from.#learnt());
    // As with removed vectors, ids are in sequence no longer.
    const { ntotal } = from;
    if (this.#ntotal + ntotal > 0x7fffffff) fail("ERR_MEMORY", "more than 2^31 - 1 vectors in all");
    this.code.drop();
    const staged = await lists.stage(from.lists, addId, pace);
    return {
      commit: () => {
        staged.commit();
        this.#ntotal += ntotal;
        this.#changed();
      },
      cancel: () => staged.cancel(),
    };
  }

  /** What was learnt, as the file of an empty index says it. */
  #learnt(): Uint8Array {
    const { code, coarse, lists, engine } = this;
    const empty = new ListIndex(code, coarse, this.#wire, new Lists(engine, coarse?.nlist ?? 0, lists.layout));
    empty.#isTrained = this.#isTrained;
    return bytesOf(empty);
  }

  /** The cell of each of n x d vectors, -1 where the distance overflows. Rejects with ERR_NOT_FINITE for a NaN or infinity. */
  async #assign(coarse: Coarse, vectors: Float32Array, pace: Pace, stored?: () => number): Promise<Int32Array> {
    const { engine, d } = this;
    const n = vectors.length / d;
    const cells = new Int32Array(n);
    const chunk = Math.min(engine.span, ROWS_AT_ONCE);
    for (let i = 0; i < n; i += chunk) {
      const count = Math.min(chunk, n - i);
      engine.reserveScratch(scratchSize(count * d * 4) + scratchSize(count * 4) + coarse.assignScratch(count));
      const cell = engine.takeScratch(count * 4);
      const rows = this.#rowsOf(vectors, i, count, stored);
      if (stored === undefined) checkFinite(engine, rows, count, d, i);
      coarse.assign(rows, count, cell);
      cells.set(engine.i32.subarray(cell >>> 2, (cell >>> 2) + count), i);
      await pace.step("assign", i + count, n);
    }
    return cells;
  }

  /** Where vectors i … i + count - 1 stand, which are copied to scratch unless they are stored. */
  #rowsOf(vectors: Float32Array, i: number, count: number, stored?: () => number): number {
    const { engine, d } = this;
    if (stored !== undefined) return stored() + i * d * 4;
    const rows = engine.takeScratch(count * d * 4);
    engine.f32.set(vectors.subarray(i * d, (i + count) * d), rows >>> 2);
    return rows;
  }

  /** Takes from vectors the centroids of their cells. */
  async #subtract(coarse: Coarse, vectors: Float32Array, cells: Int32Array, pace: Pace): Promise<void> {
    const { engine, d } = this;
    const n = cells.length;
    for (let i = 0; i < n; i += CHUNK) {
      const count = Math.min(CHUNK, n - i);
      engine.reserveScratch(scratchSize(count * d * 4) + scratchSize(count * 4));
      const cell = engine.takeScratch(count * 4);
      const rows = this.#residuals(coarse, vectors, cells, i, count, cell);
      vectors.set(engine.f32.subarray(rows >>> 2, (rows >>> 2) + count * d), i * d);
      await pace.step("residuals", i + count, n);
    }
  }

  /** Where vectors i … i + count - 1 stand, less the centroids of their cells, whose numbers go to `cell`. */
  #residuals(
    coarse: Coarse | undefined,
    vectors: Float32Array,
    cells: Int32Array,
    i: number,
    count: number,
    cell: number,
    stored?: () => number,
  ): number {
    const { engine, d } = this;
    const rows = this.#rowsOf(vectors, i, count, this.code.residual ? undefined : stored);
    engine.i32.set(cells.subarray(i, i + count), cell >>> 2);
    if (this.code.residual && coarse !== undefined)
      engine.kernels.lessCentroids(rows, count, d, cell, coarse.centroids);
    return rows;
  }

  /** The loose codes of n x d vectors. */
  async #encode(vectors: Float32Array, cells: Int32Array, pace: Pace, stored?: () => number): Promise<Uint8Array> {
    const { engine, code, d } = this;
    if (code.isFloat) return new Uint8Array(vectors.buffer, vectors.byteOffset, vectors.byteLength);
    const n = cells.length;
    const { looseBytes } = code.layout;
    const centroids = this.#centroids;
    const codes = new Uint8Array(n * looseBytes);
    const chunk = Math.min(engine.span, ROWS_AT_ONCE);
    for (let i = 0; i < n; i += chunk) {
      const count = Math.min(chunk, n - i);
      engine.reserveScratch(
        scratchSize(count * d * 4) +
          scratchSize(count * 4) +
          scratchSize(count * looseBytes) +
          code.codingScratch(count),
      );
      const cell = engine.takeScratch(count * 4);
      const rows = this.#residuals(this.coarse, vectors, cells, i, count, cell, stored);
      const loose = engine.takeScratch(count * looseBytes);
      if (this.coarse === undefined && stored === undefined) checkFinite(engine, rows, count, d, i);
      code.encode(rows, count, loose, { row: i, cells: cell, centroids });
      code.settle(loose, count, cell, centroids);
      codes.set(engine.u8.subarray(loose, loose + count * looseBytes), i * looseBytes);
      await pace.step("encode", i + count, n);
    }
    return codes;
  }

  /** The centroids that residuals are from, as rows by the numbers of their cells; 0 where codes are not of residuals. */
  get #centroids(): number {
    return this.code.residual && this.coarse !== undefined ? this.coarse.centroids : 0;
  }

  /** Completes rows that came from a file, of one list or all: it lacks what code and centroids tell of them. */
  settle(only?: number): void {
    const { engine, code, lists } = this;
    if (lists.count === 0) return;
    engine.reserveScratch(scratchSize(CHUNK * 4));
    const cell = engine.takeScratch(CHUNK * 4);
    for (let list = 0; list < lists.nlist; list++) {
      const size = only === undefined || only === list ? lists.size(list) : 0;
      if (size > 0) engine.i32.fill(list, cell >>> 2, (cell >>> 2) + CHUNK);
      for (let i = 0; i < size; i += CHUNK) {
        const rows = lists.codes + (lists.start(list) + i) * code.layout.blockBytes;
        code.settle(rows, Math.min(CHUNK, size - i), cell, this.#centroids);
      }
    }
  }

  override prepare(): void {
    this.expect(Infinity);
    this.code.prepare(this.lists);
  }

  override expect(queries: number): void {
    this.coarse?.expect(queries);
  }

  override unprepare(): void {
    this.code.drop();
  }

  override sharpen(): void {
    this.code.sharpen(this.lists);
  }

  scratchBytes(nq: number, k: number, params: SearchParams): number {
    const nprobe = this.#probes(params);
    let most = this.#stageScratch(nq, k, nprobe);
    if (params.ensureK) {
      for (let width = nprobe; width < this.lists.nlist;) {
        width = this.#wider(width);
        most = Math.max(most, this.#stageScratch(1, k, width));
      }
    }
    return most;
  }

  /** Bytes of scratch that ranking and scanning take. */
  #stageScratch(nq: number, k: number, nprobe: number): number {
    const { coarse } = this;
    const rank = coarse === undefined ? 0 : scratchSize(nq * nprobe * 4) + coarse.rankScratch(nq, nprobe);
    return scratchSize(nq * nprobe * 4) + rank + this.code.scanScratch(this.lists, nq, nprobe, k);
  }

  search(queries: number, nq: number, k: number, params: SearchParams, distances: number, slots: number): void {
    const { engine } = this;
    const { i32 } = engine;
    const scan = this.#scan;
    scan.matches = undefined;
    scan.k = k;
    scan.admitted = params.admitted;
    if (this.lists.count === 0) {
      const nothing = this.metric === METRIC_INNER_PRODUCT ? -NOTHING : NOTHING;
      engine.f32.fill(nothing, distances >>> 2, (distances >>> 2) + nq * k);
      i32.fill(-1, slots >>> 2, (slots >>> 2) + nq * k);
      return;
    }
    const nprobe = this.#probes(params);
    this.#stages(queries, nq, nprobe, nprobe, distances, slots);
    if (!params.ensureK || this.coarse === undefined) return;
    for (let i = 0; i < nq; i++) {
      // Four times as many lists are ranked until the query has its k; of these only as many are scanned as it needs.
      let width = nprobe;
      while (i32[(slots >>> 2) + (i + 1) * k - 1] < 0 && width < this.lists.nlist) {
        width = this.#wider(width);
        this.#stages(queries + i * this.d * 4, 1, width, nprobe, distances + i * k * 4, slots + i * k * 4);
      }
    }
  }

  range(queries: number, nq: number, params: SearchParams, matches: Matches): void {
    if (this.lists.count === 0) return;
    const scan = this.#scan;
    scan.matches = matches;
    scan.k = 0;
    scan.admitted = params.admitted;
    const nprobe = this.#probes(params);
    this.#stages(queries, nq, nprobe, nprobe, 0, 0);
    scan.matches = undefined;
  }

  /** Ranks the lists of a block and scans those that are nearest: two crossings. */
  #stages(queries: number, nq: number, nprobe: number, atLeast: number, distances: number, slots: number): void {
    const { engine, coarse } = this;
    const scan = this.#scan;
    const top = engine.scratchTop;
    scan.queries = queries;
    scan.nq = nq;
    scan.nprobe = nprobe;
    scan.atLeast = atLeast;
    scan.maxCodes = this.#maxCodes;
    scan.distances = distances;
    scan.slots = slots;
    scan.probes = engine.takeScratch(nq * nprobe * 4);
    if (coarse === undefined) {
      engine.i32.fill(0, scan.probes >>> 2, (scan.probes >>> 2) + nq);
    } else {
      scan.coarse = engine.takeScratch(nq * nprobe * 4);
      coarse.rank(queries, nq, nprobe, scan.coarse, scan.probes);
      scan.centroids = this.#centroids;
    }
    this.code.scan(scan);
    engine.returnScratch(top);
  }

  override mapSlots(slots: number, n: number): void {
    if (!this.lists.isNumbered) this.engine.kernels.mapSlots(slots, n, this.lists.ids);
  }

  override mapSlotsWide(slots: number, n: number, out: number): void {
    this.engine.kernels.mapSlotsWide(slots, n, this.lists.ids, out);
  }

  override labelRuns(each: (labels: number, n: number, slot: number) => void): void {
    const { lists } = this;
    if (!lists.isNumbered) lists.runs((start, length) => each(lists.ids + start * 8, length, start));
  }

  override slotRuns(each: (start: number, length: number) => void): void {
    this.lists.runs(each);
  }

  override get slots(): number {
    return this.lists.slots;
  }

  slotOf(label: number | bigint): number {
    if (this.lists.isNumbered) return label >= 0 && label < this.#ntotal ? Number(label) : -1;
    this.#lookup ??= new IdLookup(this.lists.count, (each) => this.eachLabel(each));
    return this.#lookup.find(label);
  }

  override decodeScratch(n: number): number {
    return this.code.isFloat ? 0 : scratchSize(n * this.code.layout.looseBytes) + this.code.codingScratch(n);
  }

  decode(slots: number, n: number, out: number): void {
    const { engine, code, coarse, lists, d } = this;
    if (code.isFloat) {
      engine.kernels.gatherRows(lists.codes, d * 4, slots, n, out);
      return;
    }
    const top = engine.scratchTop;
    const loose = engine.takeScratch(n * code.layout.looseBytes);
    code.layout.load(engine, lists.codes, slots, n, loose);
    code.decode(loose, n, out);
    if (code.residual && coarse !== undefined) {
      engine.kernels.addCentroids(out, n, d, slots, lists.starts, lists.nlist, coarse.centroids);
    }
    engine.returnScratch(top);
  }

  removeIds(drop: (label: bigint) => boolean): number {
    const removed = this.lists.remove(drop);
    this.#ntotal -= removed;
    if (removed > 0) {
      if (!this.#reserved) this.lists.tighten();
      this.code.drop();
      this.#changed(true);
    }
    return removed;
  }

  override relabel(label: (old: bigint) => bigint): void {
    const { lists, engine } = this;
    this.eachLabel((id, slot) => (engine.i64[(lists.ids >>> 3) + slot] = label(id)));
    this.#changed();
  }

  override removal(places: Places): () => void {
    return () => {
      const { lists, engine } = this;
      if (lists.remove((label) => places.isGone(label)) > 0) this.code.drop();
      if (!this.#reserved) lists.tighten();
      this.eachLabel((id, slot) => (engine.i64[(lists.ids >>> 3) + slot] = BigInt(places.next(id))));
      this.#ntotal -= places.removed;
      this.#changed(places.removed > 0);
    };
  }

  reset(): void {
    this.code.drop();
    this.lists.clear();
    this.#ntotal = 0;
    this.#changed();
  }

  override compact(): void {
    this.code.drop();
    this.coarse?.node.compact();
    this.lists.compact();
    this.#lookup = undefined;
  }

  override parameter(name: string): Parameter | undefined {
    if (this.coarse === undefined) return undefined;
    if (name === "nprobe") {
      return { get: () => this.#nprobe, set: (value) => (this.#nprobe = value), min: 1, whole: true };
    }
    if (name === "max_codes") {
      return { get: () => this.#maxCodes, set: (value) => (this.#maxCodes = value), min: 0, whole: true };
    }
    return name.startsWith("quantizer_") ? this.coarse.node.parameter(name.slice("quantizer_".length)) : undefined;
  }

  write(writer: Writer): void {
    const { coarse } = this;
    writeHeader(writer, this.#wire.fourcc, this);
    if (coarse !== undefined) {
      writer.i64(coarse.nlist);
      writer.i64(this.#nprobe);
      coarse.node.write(writer);
      this.#directMap.write(writer, this.lists, this.#ntotal);
    }
    this.#wire.writeBody(this, writer);
  }

  /** Takes over what a file says, the lists being filled. */
  restore(state: Partial<IvfState>): void {
    this.#isTrained = state.isTrained ?? this.#isTrained;
    this.#ntotal = state.ntotal ?? this.#ntotal;
    this.#nprobe = state.nprobe ?? this.#nprobe;
    this.#directMap = state.directMap ?? this.#directMap;
    if (this.code.residual && this.#isTrained) this.coarse?.keepCentroids();
  }

  #probes(params: SearchParams): number {
    return this.coarse === undefined ? 1 : Math.min(params.nprobe || this.#nprobe, this.lists.nlist);
  }

  /** Lists that are ranked next where so many held too little. */
  #wider(width: number): number {
    return Math.min(width * 4, this.lists.nlist);
  }

  #changed(removed = false): void {
    this.#lookup = undefined;
    this.#directMap.invalidate(removed);
  }
}

/** An index as a file. */
function bytesOf(index: IndexNode): Uint8Array {
  const writer = new Writer(index.engine);
  index.write(writer);
  return writer.finish();
}
