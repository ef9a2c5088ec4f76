import { METRIC_L2 } from "../api.js";
import type { Metric } from "../api.js";
import type { IndexTree } from "../indexes/tree.js";
import { RowLayout } from "../lists/layout.js";
import type { Lists } from "../lists/lists.js";
import { moreKernels } from "../wasm/more.js";
import type { ScalarQuantizer } from "../quantizers/scalar.js";
import * as Half from "../wasm/half.gen.js";
import * as Scalar from "../wasm/scalar.gen.js";
import { scratchSize } from "../wasm/engine.js";
import type { Engine } from "../wasm/engine.js";
import { CODE, FOUND, LISTS, PLAN } from "../wasm/records.js";
import { Code } from "./code.js";
import type { Place, Scan } from "./code.js";
import { scanWithin, writeScan } from "./records.js";

/** What IVFs train a scalar quantizer on at most: faiss' number. */
const IVF_SAMPLE = 100_000;
/** Sign, exponent and mantissa of a half moved up by 13 bits; and 2^112 as an f32, which moves its exponent (assembly/codes/half.ts). */
const HALF_MASK = 0x8fffe000;
const HALF_REBIAS = 0x77800000;
/** Bytes behind the code that hold a row's term. */
const TERM = 4;

/** Vectors whose components are kept as small numbers: `SQ8`, `SQfp16` and so on. In an IVF, of residuals, unless a file says otherwise. */
export class ScalarCode extends Code {
  readonly layout: RowLayout;
  override readonly residual: boolean;
  override readonly needsTraining: boolean;
  override readonly sampleLimit: number;
  readonly quantizer: ScalarQuantizer;
  /** Whether rows have a term, which bounds want. */
  readonly #hasTerms: boolean;
  /** Address of constants for the kernels. */
  readonly #constants: number;

  /** @param inverted whether it is the code of an IVF */
  constructor(engine: Engine, metric: Metric, quantizer: ScalarQuantizer, residual: boolean, inverted: boolean) {
    super(engine, quantizer.d, metric);
    this.quantizer = quantizer;
    this.residual = residual;
    this.needsTraining = quantizer.needsTraining;
    this.sampleLimit = inverted ? IVF_SAMPLE : Infinity;
    this.#hasTerms = metric === METRIC_L2 && !quantizer.isHalf;
    this.layout = new RowLayout(quantizer.codeBytes, this.#hasTerms ? TERM : 0);
    this.#constants = engine.allocate(32);
    if (quantizer.isHalf) {
      const at = this.#constants >>> 2;
      engine.u32.fill(HALF_MASK, at, at + 4);
      engine.u32.fill(HALF_REBIAS, at + 4, at + 8);
    } else {
      writeSpread(engine, quantizer.bits, this.#constants);
    }
  }

  get tree(): IndexTree {
    return { kind: "sq", type: this.quantizer.type };
  }

  async train(vectors: Float32Array): Promise<void> {
    this.quantizer.train(vectors);
  }

  forget(): void {
    this.quantizer.forget();
  }

  encode(vectors: number, n: number, loose: number, { row }: Place): void {
    this.quantizer.encode(vectors, n, loose, this.layout.looseBytes, row);
  }

  decode(loose: number, n: number, vectors: number): void {
    this.quantizer.decode(loose, this.layout.looseBytes, n, vectors);
  }

  override settle(rows: number, n: number, cells: number, centroids: number): void {
    if (!this.#hasTerms) return;
    const { d, bits, low, scale } = this.quantizer;
    const kernels = moreKernels(this.engine);
    kernels.termsOfScalar(rows, this.layout.looseBytes, n, d, bits, low, scale, this.residual ? centroids : 0, cells);
  }

  /** Bytes of scratch that turning to a query takes. */
  get turnScratch(): number {
    return this.quantizer.isHalf ? this.d * 4 : Math.ceil(this.d / 8) * 8 * 6;
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
    const { i32, f32 } = this.engine;
    const kernels = moreKernels(this.engine);
    const { d, type, bits, low, scale, reach, isHalf, codeBytes } = this.quantizer;
    const at = CODE >>> 2;
    if (isHalf) {
      i32[at + Half.kind] = (type === "fp16" ? kernels.FP16 : kernels.BF16).value;
      i32[at + Half.d] = d;
      i32[at + Half.constants] = this.#constants;
      return;
    }
    i32[at + Scalar.kind] = (bits === 8 ? kernels.BYTES : kernels.PACKED).value;
    i32[at + Scalar.d] = d;
    i32[at + Scalar.D] = Math.ceil(d / 8) * 8;
    i32[at + Scalar.bits] = bits;
    i32[at + Scalar.termAt] = this.#hasTerms ? codeBytes : 0;
    i32[at + Scalar.low] = low;
    i32[at + Scalar.scale] = scale;
    i32[at + Scalar.spread] = this.#constants;
    f32[at + Scalar.reach] = reach;
  }
}

/** How the bits of eight components get to eight lanes: each lane's two bytes, and what pushes its bits to the upper end. */
function writeSpread({ u8, i32 }: Engine, bits: number, at: number): void {
  for (let lane = 0; lane < 8; lane++) {
    const byte = (lane * bits) >> 3;
    u8[at + 2 * lane] = byte;
    u8[at + 2 * lane + 1] = byte + 1;
    const multiplier = 2 ** (16 - bits - ((lane * bits) & 7));
    const word = (at >>> 2) + 4 + (lane >> 1);
    i32[word] = lane % 2 === 0 ? multiplier : i32[word] | (multiplier << 16);
  }
}
