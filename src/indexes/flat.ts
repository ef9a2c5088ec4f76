import { METRIC_L2 } from "../api.js";
import type { Metric } from "../api.js";
import { fail } from "../errors.js";
import type { IndexTree } from "./tree.js";
import type { Reader } from "../format/reader.js";
import type { Writer } from "../format/writer.js";
import { RowCodes } from "../storage/row-codes.js";
import { Rows } from "../storage/rows.js";
import type { Pace } from "../work/pace.js";
import type { Engine } from "../wasm/engine.js";
import { scratchSize } from "../wasm/engine.js";
import { HEADER_BYTES, readHeader, writeHeader } from "./header.js";
import { checkFinite, IndexNode } from "./node.js";
import type { SearchParams } from "./node.js";

/** Rows looked at between two steps of an add. */
const CHUNK = 4096;

/** Fewer rows than these are scanned before bounds could save anything, and fewer for each result. */
const BOUNDS_ROWS = 64;
const BOUNDS_ROWS_PER_K = 8;
/** The most memory that bounds may take, as a share of the rows': with few dimensions they would take more. */
const BOUNDS_SHARE = 0.3;
/** The least that bounds take for each row. */
const HEAD_BYTES = 40 * 4;

/** All vectors as they are, compared one by one: exact. */
export class FlatNode extends IndexNode {
  readonly tree: IndexTree = { kind: "flat" };
  /** faiss' number for "trained" is a bit that a file may also have unset. */
  isTrained = true;
  readonly storage: Rows;
  /** Address of the bounds of the rows (assembly/bounds.ts), 0 where there are none. */
  #bounds = 0;
  /** Codes of the rows, where all are searched in earnest. */
  readonly #codes: RowCodes;
  /** What the file called itself: `IxFl` stands for any metric, and is kept. */
  readonly #fourcc: string;

  constructor(
    engine: Engine,
    d: number,
    metric: Metric,
    storage: Rows = new Rows(engine, d * 4),
    fourcc: string = metric === METRIC_L2 ? "IxF2" : "IxFI",
  ) {
    super(engine, d, metric);
    this.storage = storage;
    this.#codes = new RowCodes(engine, d);
    this.#fourcc = fourcc;
  }

  get ntotal(): number {
    return this.storage.count;
  }

  get rows(): number {
    return this.storage.address;
  }

  async train(): Promise<void> {
    this.isTrained = true;
  }

  async add(vectors: Float32Array, ids: BigInt64Array | undefined, pace: Pace): Promise<void> {
    if (ids !== undefined) {
      fail("ERR_UNSUPPORTED", `a Flat index numbers its vectors itself: make an "IDMap,Flat" to give ids of your own`);
    }
    const n = vectors.length / this.d;
    if (n === 0) return;
    this.#dropBounds();
    const at = this.storage.reserve(n);
    this.engine.f32.set(vectors, at >>> 2);
    for (let i = 0; i < n; i += CHUNK) {
      const count = Math.min(CHUNK, n - i);
      checkFinite(this.engine, at + i * this.storage.rowBytes, count, this.d, i);
      await pace.step("add", i + count, n);
    }
    this.storage.grow(n);
  }

  /**
   * Makes bounds of the rows, as they stand now, for searches of few among many: what a coarse quantizer is for. None are made where
   * they would not pay or take more than the share of memory they may.
   */
  makeBounds(): void {
    const { engine, d, ntotal } = this;
    if (engine.options.bounds === false || this.#bounds !== 0 || ntotal < BOUNDS_ROWS) return;
    // Where heads alone take more, rows may be so many that the kernel's 32 bits don't count the bytes.
    const most = ntotal * d * 4 * BOUNDS_SHARE;
    if (ntotal * HEAD_BYTES > most) return;
    const bytes = engine.kernels.boundsBytes(ntotal, d);
    if (bytes > most) return;
    let bounds;
    try {
      engine.reserveScratch(engine.kernels.makeBoundsScratch(ntotal, d));
      bounds = engine.allocate(bytes);
    } catch {
      return; // There is no memory for them: searches do without.
    }
    if (engine.kernels.makeBounds(this.rows, ntotal, d, bounds, engine.takeScratch(0)) === 1) this.#bounds = bounds;
    else engine.release(bounds);
  }

  override prepare(): void {
    const { ntotal } = this;
    if (ntotal > 0) this.#codes.make(this.rows, ntotal, ntotal, [[0, ntotal]]);
  }

  override unprepare(): void {
    this.#codes.drop();
  }

  #dropBounds(): void {
    this.engine.release(this.#bounds);
    this.#bounds = 0;
    this.#codes.drop();
  }

  #isCoded(k: number): boolean {
    return this.#codes.address !== 0 && k * BOUNDS_ROWS_PER_K <= this.ntotal;
  }

  #isBounded(k: number): boolean {
    return this.#bounds !== 0 && k * BOUNDS_ROWS_PER_K <= this.ntotal;
  }

  scratchBytes(nq: number, k: number): number {
    const { kernels } = this.engine;
    if (this.#isCoded(k)) return scratchSize(kernels.searchCodedScratch(1, nq, 1, this.d, k));
    return scratchSize(
      this.#isBounded(k) ? kernels.searchBoundedScratch(nq, this.ntotal, this.d, k) : kernels.searchRowsScratch(nq),
    );
  }

  search(queries: number, nq: number, k: number, _params: SearchParams, distances: number, slots: number): void {
    const { engine } = this;
    const { kernels } = engine;
    const top = engine.scratchTop;
    const scratch = engine.takeScratch(this.scratchBytes(nq, k));
    const { rows, ntotal, d, metric } = this;
    if (this.#isCoded(k)) {
      const codes = this.#codes.address;
      kernels.searchRowsCoded(queries, nq, rows, ntotal, d, metric, k, codes, distances, slots, scratch);
    } else if (this.#isBounded(k)) {
      kernels.searchBounded(queries, nq, rows, ntotal, d, metric, k, this.#bounds, distances, slots, scratch);
    } else {
      kernels.searchRows(queries, nq, rows, ntotal, d, metric, k, distances, slots, scratch);
    }
    engine.returnScratch(top);
  }

  slotOf(label: number | bigint): number {
    return label >= 0 && label < this.ntotal ? Number(label) : -1;
  }

  decode(slots: number, n: number, out: number): void {
    this.engine.kernels.gatherRows(this.rows, this.storage.rowBytes, slots, n, out);
  }

  removeIds(drop: (label: bigint) => boolean): number {
    this.#dropBounds();
    return this.storage.filter((row) => !drop(BigInt(row)));
  }

  reset(): void {
    this.storage.clear();
    this.#dropBounds();
  }

  get fileBytes(): number {
    return HEADER_BYTES + 8 + this.ntotal * this.storage.rowBytes;
  }

  write(writer: Writer): void {
    writeHeader(writer, this.#fourcc, this);
    writer.i64(this.ntotal * this.d);
    writer.raw(this.storage.bytes());
  }

  /** Reads what follows the fourcc IxF2, IxFI or IxFl. */
  static async read(reader: Reader, engine: Engine, fourcc: string): Promise<FlatNode> {
    const { d, ntotal, isTrained, metric } = await readHeader(reader);
    await reader.expectVector("codes", 4, ntotal * d);
    const address = ntotal === 0 ? 0 : await reader.block(engine, "codes", ntotal * d * 4);
    const node = new FlatNode(engine, d, metric, new Rows(engine, d * 4, address, ntotal), fourcc);
    node.isTrained = isTrained;
    return node;
  }
}
