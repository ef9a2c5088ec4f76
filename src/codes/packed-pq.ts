import { METRIC_L2 } from "../api.js";
import type { Metric } from "../api.js";
import type { IndexTree } from "../indexes/tree.js";
import type { PackedLayout } from "../lists/layout.js";
import type { Lists } from "../lists/lists.js";
import type { ProductQuantizer } from "../quantizers/product.js";
import * as Packed from "../wasm/packed.gen.js";
import { scratchSize } from "../wasm/engine.js";
import type { Engine } from "../wasm/engine.js";
import { CODE, FOUND, LISTS, PLAN } from "../wasm/records.js";
import type { Pace } from "../work/pace.js";
import { Code } from "./code.js";
import type { Scan } from "./code.js";
import { scanWithin, writeScan } from "./records.js";

/** Sub-quantizers from which on faiss' unguarded sums could leave 16 bits: 257 x 255 = 65535. */
const UNGUARDED = 257;

/** Product-quantized vectors of 4 bits a number, in blocks for FastScan: `PQ128x4fs`; with the suffix r, of residuals. */
export class PackedPqCode extends Code {
  override readonly residual: boolean;
  readonly layout: PackedLayout;
  readonly quantizer: ProductQuantizer;

  constructor(engine: Engine, metric: Metric, quantizer: ProductQuantizer, layout: PackedLayout, residual: boolean) {
    super(engine, quantizer.d, metric);
    this.quantizer = quantizer;
    this.layout = layout;
    this.residual = residual;
  }

  get tree(): IndexTree {
    return { kind: "pqfs", m: this.layout.M, residual: this.residual, bbs: this.layout.bbs };
  }

  async train(vectors: Float32Array, seed: number, pace: Pace): Promise<void> {
    await this.quantizer.train(vectors, seed, pace);
  }

  forget(): void {
    this.quantizer.clear();
  }

  encode(vectors: number, n: number, loose: number): void {
    this.quantizer.quantize(vectors, n, loose);
  }

  decode(loose: number, n: number, vectors: number): void {
    this.quantizer.dequantize(loose, n, vectors);
  }

  scanScratch(lists: Lists, _nq: number, nprobe: number, k: number): number {
    const { M, M2 } = this.layout;
    const tables = this.residual && this.metric === METRIC_L2 ? nprobe : 1;
    const listed = lists.isNumbered ? lists.count : 0;
    return scratchSize(this.engine.kernels.searchPackedScratch(M, M2, nprobe, tables, k, listed));
  }

  scan(scan: Scan): void {
    const { engine } = this;
    const top = engine.scratchTop;
    const scratch = engine.takeScratch(this.scanScratch(scan.lists, scan.nq, scan.nprobe, scan.k));
    if (scan.matches === undefined) {
      this.#write(scan, scratch);
      engine.kernels.searchPacked(CODE, PLAN, LISTS, FOUND);
    } else {
      this.#within(scan, scratch);
    }
    engine.returnScratch(top);
  }

  // A closure where no range is searched would be an allocation.
  #within(scan: Scan, scratch: number): void {
    scanWithin(this, scan, () => {
      this.#write(scan, scratch);
      this.engine.kernels.rangePacked(CODE, PLAN, LISTS, FOUND);
    });
  }

  #write(scan: Scan, scratch: number): void {
    writeScan(this, scan, scratch);
    const { i32 } = this.engine;
    const at = CODE >>> 2;
    i32[at + Packed.M] = this.layout.M;
    i32[at + Packed.M2] = this.layout.M2;
    i32[at + Packed.bbs] = this.layout.perBlock;
    i32[at + Packed.places] = this.layout.places;
    i32[at + Packed.transposed] = this.quantizer.transposed;
    i32[at + Packed.lengths] = this.quantizer.lengths;
    i32[at + Packed.listed] = scan.lists.isNumbered ? scan.lists.count : 0;
    // In an IVF faiss always guards.
    i32[at + Packed.guard] = scan.lists.isNumbered && this.layout.M <= UNGUARDED ? 0 : 1;
  }
}
