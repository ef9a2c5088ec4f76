import type { Metric } from "../api.js";
import { Code } from "../codes/code.js";
import type { Scan } from "../codes/code.js";
import { scanWithin, writeScan } from "../codes/records.js";
import { fail } from "../errors.js";
import { ivfFlatWire } from "../faiss/float-files.js";
import type { Coarse } from "../indexes/coarse.js";
import { ListIndex } from "../indexes/list-index.js";
import type { Turned } from "../indexes/node.js";
import type { IndexTree } from "../indexes/tree.js";
import { RowLayout } from "../lists/layout.js";
import type { Lists } from "../lists/lists.js";
import { scratchSize } from "../wasm/engine.js";
import type { Engine } from "../wasm/engine.js";
import { CODE, FOUND, LISTS, PLAN } from "../wasm/records.js";
import type { Basis } from "./basis.js";
import * as Compact from "./compact.gen.js";
import { kernelsOf } from "./kernels.js";
import type { CodecKernels } from "./kernels.js";

/** What a compact voice has beside its rows: addresses, owned by the code. */
export interface CompactParts {
  /** A basis of as many rows as dimensions, the first `width` of which have numbers. */
  basis: Basis;
  width: number;
  /** Whether numbers are of 16 bits. */
  wide: boolean;
  /** The largest number without its sign, and the longest row without its centroid. */
  most: number;
  reach: number;
  /** f32 a column, padded to a multiple of 16: what 1 and 2 stand for beyond themselves. */
  ones: number;
  twos: number;
  /** nlist x d f32: the centroids in the basis. */
  centres: number;
}

/** Rows of numbers (assembly/codec/compact.ts), which are floats in files. */
class CompactLayout extends RowLayout {
  readonly #filed: (rows: Uint8Array) => Uint8Array;

  constructor(d: number, rowBytes: number, filed: (rows: Uint8Array) => Uint8Array) {
    super(d * 4, rowBytes - d * 4);
    this.#filed = filed;
  }

  override filed(rows: Uint8Array): Uint8Array {
    return this.#filed(rows);
  }
}

/** Vectors of a voice file as the numbers and scales that they are there, in the basis of the file. */
export class CompactCode extends Code {
  readonly tree: IndexTree = { kind: "flat" };
  readonly layout: RowLayout;
  override readonly needsTraining = false;
  readonly #kernels: CodecKernels;
  readonly #parts: CompactParts;
  readonly #wide: number;
  /** Set once the index is put together: centroids may be moved by the engine. */
  coarse: Coarse | undefined;

  constructor(engine: Engine, d: number, metric: Metric, parts: CompactParts) {
    super(engine, d, metric);
    this.#kernels = kernelsOf(engine);
    this.#parts = parts;
    this.#wide = parts.wide ? 1 : 0;
    const rowBytes = this.#kernels.compactRowBytes(parts.width, this.#wide);
    this.layout = new CompactLayout(d, rowBytes, (rows) => this.#floatsOf(rows));
  }

  async train(): Promise<void> {
    // The basis came with the file.
  }

  forget(): void {
    // Nothing was learnt here.
  }

  encode(): void {
    refuse();
  }

  /** Numbers of a row in floats, so that registers of four fit. */
  get #stride(): number {
    return Math.ceil(this.#parts.width / 4) * 4;
  }

  override codingScratch(n: number): number {
    return scratchSize(n * this.#stride * 4);
  }

  get #centroids(): number {
    const { coarse } = this;
    if (coarse === undefined) throw new Error("a compact code is that of an index with cells");
    return coarse.centroids;
  }

  decode(loose: number, n: number, vectors: number): void {
    const { engine, d } = this;
    const { basis, width, ones, twos } = this.#parts;
    const { blockBytes } = this.layout;
    const stride = this.#stride;
    const top = engine.scratchTop;
    const floats = engine.takeScratch(n * stride * 4);
    this.#kernels.unfoldRows(loose, n, width, ones, twos, this.#wide, floats, stride);
    for (let i = 0; i < n;) {
      // Rows of one list are made together: their centroid is added first, as where voices are read to floats.
      const list = this.#listOf(loose + i * blockBytes);
      let end = i + 1;
      while (end < n && this.#listOf(loose + end * blockBytes) === list) end++;
      const centroid = this.#centroids + list * d * 4;
      const [from, to] = [floats + i * stride * 4, vectors + i * d * 4];
      this.#kernels.product(from, end - i, stride, width, basis.asRows, basis.capacity, d, centroid, to, d);
      i = end;
    }
    engine.returnScratch(top);
  }

  #listOf(row: number): number {
    return this.#kernels.listOfRow(row, this.#parts.width, this.#wide);
  }

  /** The vectors of rows that stand in the engine's memory, as bytes. */
  #floatsOf(rows: Uint8Array): Uint8Array {
    const { engine, d } = this;
    const { blockBytes } = this.layout;
    const at = rows.byteOffset;
    const n = rows.length / blockBytes;
    const floats = new Uint8Array(n * d * 4);
    const chunk = 256;
    for (let i = 0; i < n; i += chunk) {
      const count = Math.min(chunk, n - i);
      engine.reserveScratch(scratchSize(count * d * 4) + this.codingScratch(count));
      const vectors = engine.takeScratch(count * d * 4);
      this.decode(at + i * blockBytes, count, vectors);
      floats.set(engine.u8.subarray(vectors, vectors + count * d * 4), i * d * 4);
    }
    return floats;
  }

  scanScratch(lists: Lists, nq: number, nprobe: number): number {
    const kernels = this.#kernels;
    return scratchSize(
      kernels.scanListsScratch(lists.nlist, nq, nprobe) + kernels.compactScratch(nq, this.d, this.#parts.width),
    );
  }

  scan(scan: Scan): void {
    const { engine } = this;
    const top = engine.scratchTop;
    const scratch = engine.takeScratch(this.scanScratch(scan.lists, scan.nq, scan.nprobe));
    if (scan.matches === undefined) {
      this.#write(scan, scratch);
      this.#kernels.scanCompactBest(CODE, PLAN, LISTS, FOUND);
    } else {
      this.#within(scan, scratch);
    }
    engine.returnScratch(top);
  }

  // A closure where no range is searched would be an allocation.
  #within(scan: Scan, scratch: number): void {
    scanWithin(this, scan, () => {
      this.#write(scan, scratch);
      this.#kernels.scanCompactWithin(CODE, PLAN, LISTS, FOUND);
    });
  }

  #write(scan: Scan, scratch: number): void {
    writeScan(this, scan, scratch);
    const { i32, f32 } = this.engine;
    const { basis, width, most, reach, ones, twos, centres } = this.#parts;
    const at = CODE >>> 2;
    i32[at + Compact.d] = this.d;
    i32[at + Compact.width] = width;
    i32[at + Compact.wide] = this.#wide;
    i32[at + Compact.most] = most;
    f32[at + Compact.reach] = reach;
    i32[at + Compact.columns] = basis.asColumns;
    i32[at + Compact.ones] = ones;
    i32[at + Compact.twos] = twos;
    i32[at + Compact.centres] = centres;
    i32[at + Compact.centroids] = this.#centroids;
  }

  /** Turns n x d vectors into the basis, or back; in place. */
  turn(vectors: number, n: number, back: boolean): void {
    const { engine, d } = this;
    const { basis } = this.#parts;
    const top = engine.scratchTop;
    const turned = engine.takeScratch(n * d * 4);
    if (back) this.#kernels.product(vectors, n, d, d, basis.asRows, basis.capacity, d, 0, turned, d);
    else this.#kernels.product(vectors, n, d, d, basis.asColumns, d, d, 0, turned, d);
    engine.u8.copyWithin(vectors, turned, turned + n * d * 4);
    engine.returnScratch(top);
  }

  /** Writes what n loose codes stand for in the basis. */
  decodeTurned(loose: number, n: number, out: number): void {
    const { width, ones, twos, centres } = this.#parts;
    this.#kernels.unfoldWhole(loose, n, this.d, width, ones, twos, this.#wide, centres, out);
  }
}

/** An `IVFn,Flat` whose vectors are kept as numbers: what came with the file is searched; vectors can be removed, and none added. */
export class CompactIndex extends ListIndex {
  override readonly turned: Turned;

  constructor(code: CompactCode, coarse: Coarse, lists: Lists) {
    super(code, coarse, ivfFlatWire, lists);
    const { engine } = code;
    const { looseBytes } = code.layout;
    this.turned = {
      into: (vectors, n) => code.turn(vectors, n, false),
      back: (vectors, n) => code.turn(vectors, n, true),
      rows: (slots, n, out) => {
        const top = engine.scratchTop;
        const loose = engine.takeScratch(n * looseBytes);
        code.layout.load(engine, lists.codes, slots, n, loose);
        code.decodeTurned(loose, n, out);
        engine.returnScratch(top);
      },
    };
  }

  override async add(): Promise<void> {
    refuse();
  }

  override async merging(): Promise<never> {
    return refuse();
  }

  override decodeScratch(n: number): number {
    const { d, engine } = this;
    return super.decodeScratch(n) + scratchSize(engine.kernels.BLOCK.value * d * 4);
  }
}

function refuse(): never {
  return fail(
    "ERR_UNSUPPORTED",
    "the voice is kept compact, as its file has it, and takes no more vectors: read it without { compact: true } first",
  );
}
