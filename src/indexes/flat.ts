import { METRIC_L2 } from "../api.js";
import type { Metric } from "../api.js";
import { fail } from "../errors.js";
import type { IndexTree } from "../factory/grammar.js";
import type { Reader } from "../format/reader.js";
import type { Writer } from "../format/writer.js";
import { Rows } from "../storage/rows.js";
import type { Pace } from "../training/work.js";
import type { Engine } from "../wasm/engine.js";
import { scratchSize } from "../wasm/engine.js";
import { HEADER_BYTES, readHeader, writeHeader } from "./header.js";
import { checkFinite, IndexNode } from "./node.js";
import type { SearchParams } from "./node.js";

/** Rows looked at between two steps of an add. */
const CHUNK = 4096;

/** All vectors as they are, compared one by one: exact. */
export class FlatNode extends IndexNode {
  readonly tree: IndexTree = { kind: "flat" };
  /** faiss' number for "trained" is a bit that a file may also have unset. */
  isTrained = true;
  readonly storage: Rows;
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
    this.#fourcc = fourcc;
  }

  get ntotal(): number {
    return this.storage.count;
  }

  get rows(): number {
    return this.storage.address;
  }

  async train(): Promise<void> {
    // There is nothing to learn.
  }

  async add(vectors: Float32Array, ids: BigInt64Array | undefined, pace: Pace): Promise<void> {
    if (ids !== undefined) {
      fail("ERR_UNSUPPORTED", `a Flat index numbers its vectors itself: make an "IDMap,Flat" to give ids of your own`);
    }
    const n = vectors.length / this.d;
    if (n === 0) return;
    const at = this.storage.reserve(n);
    this.engine.f32.set(vectors, at >>> 2);
    for (let i = 0; i < n; i += CHUNK) {
      const count = Math.min(CHUNK, n - i);
      checkFinite(this.engine, at + i * this.storage.rowBytes, count, this.d, i);
      await pace.step("add", i + count, n);
    }
    this.storage.grow(n);
  }

  scratchBytes(nq: number): number {
    return scratchSize(this.engine.kernels.searchRowsScratch(nq));
  }

  search(queries: number, nq: number, k: number, _params: SearchParams, distances: number, slots: number): void {
    const { engine } = this;
    const top = engine.scratchTop;
    const scratch = engine.takeScratch(engine.kernels.searchRowsScratch(nq));
    engine.kernels.searchRows(queries, nq, this.rows, this.ntotal, this.d, this.metric, k, distances, slots, scratch);
    engine.returnScratch(top);
  }

  slotOf(label: number | bigint): number {
    return label >= 0 && label < this.ntotal ? Number(label) : -1;
  }

  decode(slots: number, n: number, out: number): void {
    this.engine.kernels.gatherRows(this.rows, this.storage.rowBytes, slots, n, out);
  }

  removeIds(drop: (label: bigint) => boolean): number {
    return this.storage.filter((row) => !drop(BigInt(row)));
  }

  reset(): void {
    this.storage.clear();
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
