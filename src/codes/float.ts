import type { Metric } from "../api.js";
import { RowCodes } from "../bounds/row-codes.js";
import type { Run } from "../bounds/row-codes.js";
import { Sketch } from "../bounds/sketch.js";
import type { IndexTree } from "../indexes/tree.js";
import { RowLayout } from "../lists/layout.js";
import type { Lists } from "../lists/lists.js";
import * as Record from "../wasm/row-codes.gen.js";
import { scratchSize } from "../wasm/engine.js";
import type { Engine } from "../wasm/engine.js";
import { CODE, FOUND, LISTS, PLAN } from "../wasm/records.js";
import { Code } from "./code.js";
import type { Scan } from "./code.js";
import { scanWithin, writeScan } from "./records.js";

/**
 * Rows that must be scanned for each result, before bounds pay: with lists of 39 rows and k = 8, a block of 16 queries to one list each takes
 * .8 of the time by codes (voice-a, nprobe 1), and .9 with 100,000 x 768 and heads.
 */
const BOUNDS_ROWS_PER_K = 4;
/** And so many times as many before parts of codes do: by them voice-a takes 1.02 of the time at nprobe 1, .97 at 4 and .87 at 16. */
const PART_ROWS = 4;

/** Vectors as they are: exact. */
export class FloatCode extends Code {
  readonly tree: IndexTree = { kind: "flat" };
  readonly layout: RowLayout;
  override readonly isFloat = true;
  override readonly needsTraining = false;
  /** Bounds of all rows, for a coarse quantizer. */
  readonly #sketch: Sketch;
  /** Codes of the rows, where they are searched in earnest. */
  readonly #rowCodes: RowCodes;

  constructor(engine: Engine, d: number, metric: Metric) {
    super(engine, d, metric);
    this.layout = new RowLayout(d * 4);
    this.#sketch = new Sketch(engine, d);
    this.#rowCodes = new RowCodes(engine, d);
  }

  async train(): Promise<void> {
    // A vector is its own code.
  }

  forget(): void {
    // Nothing was learnt.
  }

  encode(vectors: number, n: number, loose: number): void {
    this.engine.u8.copyWithin(loose, vectors, vectors + n * this.layout.looseBytes);
  }

  decode(loose: number, n: number, vectors: number): void {
    this.engine.u8.copyWithin(vectors, loose, loose + n * this.layout.looseBytes);
  }

  override prepare(lists: Lists): void {
    if (lists.count === 0) return;
    const runs: Run[] = [];
    lists.runs((start, length) => runs.push([start, length]));
    this.#rowCodes.make(lists.codes, lists.slots, lists.count, runs);
  }

  override sharpen(lists: Lists): void {
    if (lists.isNumbered) this.#sketch.make(lists.codes, lists.count);
  }

  override drop(): void {
    this.#sketch.drop();
    this.#rowCodes.drop();
  }

  scanScratch(lists: Lists, nq: number, nprobe: number, k: number): number {
    const { kernels } = this.engine;
    const { nlist, count } = lists;
    let most = kernels.scanListsScratch(nlist, nq, nprobe);
    if (k === 0) return scratchSize(most);
    if (lists.isNumbered) most = Math.max(most, kernels.searchRowsScratch(nq));
    if (this.#isCoded(lists, k, nprobe)) {
      most = Math.max(most, kernels.searchCodedScratch(nlist, nq, nprobe, this.d, k));
    } else if (this.#isSketched(lists, k)) {
      most = Math.max(most, kernels.searchBoundedScratch(nq, count, this.d, k));
    }
    return scratchSize(most);
  }

  scan(scan: Scan): void {
    const { engine } = this;
    const { kernels } = engine;
    const { lists, nq, nprobe, k } = scan;
    const top = engine.scratchTop;
    const scratch = engine.takeScratch(this.scanScratch(lists, nq, nprobe, k));
    const unlimited = scan.maxCodes === 0 && scan.atLeast >= nprobe;
    if (scan.matches !== undefined) {
      this.#within(scan, scratch);
      engine.returnScratch(top);
      return;
    }
    writeScan(this, scan, scratch);
    if (unlimited && this.#isCoded(lists, k, nprobe)) {
      const { address } = this.#rowCodes;
      engine.i32[(address >>> 2) + Record.inParts] = Number(this.#isCoded(lists, k * PART_ROWS, nprobe));
      if (lists.isNumbered) kernels.searchRowsCoded(CODE, address, PLAN, LISTS, FOUND);
      else kernels.searchListsCoded(CODE, address, PLAN, LISTS, FOUND);
    } else if (scan.admitted === 0 && this.#isSketched(lists, k)) {
      kernels.searchBounded(CODE, (k === 1 && this.#sketch.near) || this.#sketch.address, PLAN, LISTS, FOUND);
    } else if (lists.isNumbered) {
      kernels.searchRows(CODE, PLAN, LISTS, FOUND);
    } else {
      kernels.scanF32Best(CODE, PLAN, LISTS, FOUND);
    }
    engine.returnScratch(top);
  }

  // A closure where no range is searched would be an allocation.
  #within(scan: Scan, scratch: number): void {
    scanWithin(this, scan, () => {
      writeScan(this, scan, scratch);
      this.engine.kernels.scanF32Within(CODE, PLAN, LISTS, FOUND);
    });
  }

  /** Whether codes of rows save anything: where most of what is scanned is among the results, they do not. */
  #isCoded(lists: Lists, k: number, nprobe: number): boolean {
    if (this.#rowCodes.address === 0) return false;
    // In whole numbers: a quotient would be an object on the heap.
    return k * BOUNDS_ROWS_PER_K * lists.nlist <= nprobe * lists.count;
  }

  #isSketched(lists: Lists, k: number): boolean {
    return lists.isNumbered && this.#sketch.address !== 0 && k * BOUNDS_ROWS_PER_K <= lists.count;
  }
}
