import { METRIC_L2 } from "../api.js";
import type { Metric } from "../api.js";
import type { IndexTree } from "../indexes/tree.js";
import { RowLayout } from "../lists/layout.js";
import type { Lists } from "../lists/lists.js";
import { moreKernels } from "../wasm/more.js";
import type { ProductQuantizer } from "../quantizers/product.js";
import * as Product from "../wasm/product.gen.js";
import { scratchSize } from "../wasm/engine.js";
import type { Engine } from "../wasm/engine.js";
import { CODE, FOUND, LISTS, PLAN } from "../wasm/records.js";
import type { Pace } from "../work/pace.js";
import { Code } from "./code.js";
import type { Scan } from "./code.js";
import { scanWithin, writeScan } from "./records.js";

/** Training vectors a centroid at most: faiss' default. */
const MAX_POINTS = 256;
/** Bytes behind the code that hold a row's term. */
const TERM = 4;

/** Product-quantized vectors, one string of bits after the other: `PQ16`, `PQ32x6`. In an IVF, of residuals, unless a file says otherwise. */
export class ProductCode extends Code {
  readonly layout: RowLayout;
  override readonly residual: boolean;
  override readonly sampleLimit: number;
  readonly quantizer: ProductQuantizer;
  /** Whether it was asked for with polysemous training, which does not change what is found. */
  readonly polysemous: boolean;
  /** Whether rows have a term: of residuals under L2. */
  readonly #hasTerms: boolean;

  constructor(engine: Engine, metric: Metric, quantizer: ProductQuantizer, residual: boolean, polysemous: boolean) {
    super(engine, quantizer.d, metric);
    this.quantizer = quantizer;
    this.residual = residual;
    this.polysemous = polysemous;
    this.sampleLimit = MAX_POINTS * quantizer.K;
    this.#hasTerms = residual && metric === METRIC_L2;
    this.layout = new RowLayout(quantizer.codeBytes, this.#hasTerms ? TERM : 0);
  }

  get tree(): IndexTree {
    return { kind: "pq", m: this.quantizer.M, bits: this.quantizer.nbits, polysemous: this.polysemous };
  }

  async train(vectors: Float32Array, seed: number, pace: Pace): Promise<void> {
    await this.quantizer.train(vectors, seed, pace);
  }

  forget(): void {
    this.quantizer.clear();
  }

  encode(vectors: number, n: number, loose: number): void {
    encodeProduct(this.engine, this.quantizer, vectors, n, loose, this.layout.looseBytes);
  }

  decode(loose: number, n: number, vectors: number): void {
    decodeProduct(this.engine, this.quantizer, loose, this.layout.looseBytes, n, vectors);
  }

  override settle(rows: number, n: number, cells: number, centroids: number): void {
    if (!this.#hasTerms) return;
    const { d, M, nbits, codebook } = this.quantizer;
    const kernels = moreKernels(this.engine);
    kernels.termsOfProduct(rows, this.layout.looseBytes, n, M, nbits, d / M, codebook, centroids, cells);
  }

  /** Bytes of scratch that turning to a query takes. */
  get turnScratch(): number {
    return this.quantizer.M * this.quantizer.lanes * 4;
  }

  scanScratch(lists: Lists, nq: number, nprobe: number): number {
    return scratchSize(this.engine.kernels.scanListsScratch(lists.nlist, nq, nprobe) + this.turnScratch);
  }

  scan(scan: Scan): void {
    const { engine } = this;
    const kernels = moreKernels(engine);
    const top = engine.scratchTop;
    const scratch = engine.takeScratch(this.scanScratch(scan.lists, scan.nq, scan.nprobe));
    if (scan.matches === undefined) {
      this.write(scan, scratch);
      kernels.scanCodesBest(CODE, PLAN, LISTS, FOUND);
    } else {
      scanWithin(this, scan, () => {
        this.write(scan, scratch);
        kernels.scanCodesWithin(CODE, PLAN, LISTS, FOUND);
      });
    }
    engine.returnScratch(top);
  }

  /** Writes the records of a scan. */
  write(scan: Scan, scratch: number): void {
    writeScan(this, scan, scratch);
    const { i32 } = this.engine;
    const kernels = moreKernels(this.engine);
    const { d, M, nbits, lanes, transposed, codeBytes } = this.quantizer;
    const at = CODE >>> 2;
    i32[at + Product.kind] = (nbits === 8 ? kernels.PRODUCT8 : kernels.PRODUCT).value;
    i32[at + Product.M] = M;
    i32[at + Product.bits] = nbits;
    i32[at + Product.K] = lanes;
    i32[at + Product.sub] = d / M;
    i32[at + Product.termAt] = this.#hasTerms ? codeBytes : 0;
    i32[at + Product.transposed] = transposed;
  }
}

/** Writes the codes of n vectors as strings of bits, rows of `rowBytes` bytes (addresses). */
export function encodeProduct(
  engine: Engine,
  { d, M, nbits, lanes, transposed }: ProductQuantizer,
  vectors: number,
  n: number,
  rows: number,
  rowBytes: number,
): void {
  moreKernels(engine).encodeProduct(vectors, n, M, nbits, lanes, d / M, transposed, rows, rowBytes);
}

/** Writes the vectors that n rows stand for. */
export function decodeProduct(
  engine: Engine,
  { d, M, nbits, codebook }: ProductQuantizer,
  rows: number,
  rowBytes: number,
  n: number,
  vectors: number,
): void {
  moreKernels(engine).decodeProduct(rows, rowBytes, n, M, nbits, d / M, codebook, vectors);
}
