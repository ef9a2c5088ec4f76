import { METRIC_INNER_PRODUCT } from "../api.js";
import type { Metric } from "../api.js";
import type { IndexTree } from "../indexes/tree.js";
import { RowLayout } from "../lists/layout.js";
import type { Lists } from "../lists/lists.js";
import { moreKernels } from "../wasm/more.js";
import * as Factored from "../wasm/factored.gen.js";
import { scratchSize } from "../wasm/engine.js";
import type { Engine } from "../wasm/engine.js";
import { CODE, FOUND, LISTS, PLAN } from "../wasm/records.js";
import { Code } from "./code.js";
import type { Place, Scan } from "./code.js";
import { levelsOf } from "./levels.js";
import { scanWithin, writeScan } from "./records.js";
import { roundMagnitudes } from "./rabitq.js";

/** EDEN's two scales, by faiss' numbers: the one that leaves products unbiased, and the one of the smallest error. */
export const UNBIASED = 1;
export const BIASED = 2;

/** Which code with factors: RaBitQ of 1 to 9 bits a dimension, or EDEN of 1 to 8. */
export type FactoredKind =
  | {
      name: "rabitq";
      bits: number;
      /** Bits that a query's components are rounded to; 0: none. */
      queryBits: number;
      /** Vectors of a block in files, where it is for FastScan; 0: codes are rows. */
      bbs: number;
    }
  | { name: "eden"; bits: number; scale: number };

/** Squared lengths up to which faiss takes a residual for nothing: the distance of 1 to the next f32. */
const NOTHING = 2 ** -23;
/** RaBitQ's constant of the error of an estimate. */
const ERROR = 1.9;

/**
 * RaBitQ and EDEN (assembly/codes/factored.ts has their rows): bits that hold the direction of a residual, and factors that make of
 * them an estimate of its product with a query's. Without lists, residuals are taken from a centre.
 */
export class FactoredCode extends Code {
  readonly kind: FactoredKind;
  readonly layout: RowLayout;
  override readonly residual: boolean;
  /** Address of the centre, of the levels, and of the values of RaBitQ's further bits. */
  #centre = 0;
  readonly #levels: number;
  readonly #more: number;
  readonly #factorsAt: number;
  readonly #moreAt: number;
  readonly #moreFactorsAt: number;

  constructor(engine: Engine, d: number, metric: Metric, kind: FactoredKind, inverted: boolean) {
    super(engine, d, metric);
    this.kind = kind;
    this.residual = inverted;
    const signs = kind.name === "rabitq";
    const moreBits = signs ? kind.bits - 1 : 0;
    this.#factorsAt = Math.ceil((d * (signs ? 1 : kind.bits)) / 8);
    this.#moreAt = this.#factorsAt + 12;
    this.#moreFactorsAt = this.#moreAt + Math.ceil((d * moreBits) / 8);
    this.layout = new RowLayout(moreBits > 0 ? this.#moreFactorsAt + 8 : this.#factorsAt + 8);
    this.#levels = keep(engine, signs ? Float32Array.of(0, 1) : levelsOf(kind.bits));
    this.#more = keep(
      engine,
      Float32Array.from({ length: 2 ** moreBits }, (_, i) => i),
    );
  }

  get tree(): IndexTree {
    const { kind } = this;
    if (kind.name === "rabitq" && kind.bbs > 0) return { kind: "rabitqfs", bits: kind.bits, bbs: kind.bbs };
    return kind.name === "rabitq"
      ? { kind: "rabitq", bits: kind.bits }
      : { kind: "eden", bits: kind.bits, biased: kind.scale === BIASED };
  }

  /** The centre, d floats; undefined before training and where there are lists. */
  get centre(): Float32Array | undefined {
    const at = this.#centre >>> 2;
    return at === 0 ? undefined : this.engine.f32.subarray(at, at + this.d);
  }

  async train(vectors: Float32Array): Promise<void> {
    if (this.residual) return;
    const { d } = this;
    const sums = new Float32Array(d);
    vectors.forEach((value, i) => (sums[i % d] += value));
    this.setCentre(sums.map((sum) => sum / (vectors.length / d)));
  }

  /** Takes a centre. Throws ERR_MEMORY. */
  setCentre(centre: Float32Array): void {
    const address = keep(this.engine, centre);
    this.forget();
    this.#centre = address;
  }

  forget(): void {
    this.engine.release(this.#centre);
    this.#centre = 0;
  }

  encode(vectors: number, n: number, loose: number, place: Place): void {
    const { d, layout, kind } = this;
    const { f32, u8, i32 } = this.engine;
    const bytes = new DataView(u8.buffer);
    for (let i = 0; i < n; i++) {
      const at = (vectors >>> 2) + i * d;
      const centreAt = (this.residual ? place.centroids + i32[(place.cells >>> 2) + i] * d * 4 : this.#centre) >>> 2;
      const centre = f32.subarray(centreAt, centreAt + d);
      const rest = f32.slice(at, at + d);
      if (!this.residual) rest.forEach((x, j) => (rest[j] = x - centre[j]));
      const row = loose + i * layout.looseBytes;
      u8.fill(0, row, row + layout.looseBytes);
      if (kind.name === "rabitq") this.#encodeSigns(rest, centre, bytes, row);
      else this.#encodeNumbers(rest, kind, bytes, row);
    }
  }

  /** RaBitQ: signs, and where there are more bits, magnitudes, which count downwards where the sign is negative. */
  #encodeSigns(rest: Float32Array, centre: Float32Array, bytes: DataView, row: number): void {
    const { d, metric } = this;
    const product = metric === METRIC_INNER_PRODUCT;
    let square = 0;
    let whole = 0;
    let sum = 0;
    let crossed = 0;
    rest.forEach((r, j) => {
      square += r * r;
      whole += (r + centre[j]) ** 2;
      sum += Math.abs(r);
      crossed += r * centre[j];
      if (r > 0) putBits(bytes, row, j, 1, 1);
    });
    const length = Math.sqrt(square);
    // What the signs say of the direction: their product with it.
    const said = (sum * (square < NOTHING ? 1 : 1 / length)) / Math.sqrt(d);
    const at = row + this.#factorsAt;
    bytes.setFloat32(at, product ? square - whole : square, true);
    bytes.setFloat32(at + 4, length / (said < NOTHING ? 1 : said), true);
    const moreBits = this.kind.bits - 1;
    if (moreBits === 0) return;

    const half = sum / 2;
    const ratio = half > NOTHING ? (square * d) / 4 / (half * half) : 0;
    const error = ratio > 1 ? length * ERROR * Math.sqrt((ratio - 1) / Math.max(1, d - 1)) : 0;
    bytes.setFloat32(at + 8, product ? error : 2 * error, true);
    if (length < 1e-10) return;
    const magnitudes = Float32Array.from(rest, (r) => Math.abs(r) / length);
    const numbers = roundMagnitudes(magnitudes, moreBits);
    let along = 0;
    numbers.forEach((number, j) => {
      along += (number + 0.5) * magnitudes[j];
      putBits(bytes, row + this.#moreAt, j, moreBits, rest[j] < 0 ? 2 ** moreBits - 1 - number : number);
    });
    bytes.setFloat32(row + this.#moreFactorsAt, product ? crossed : square, true);
    bytes.setFloat32(row + this.#moreFactorsAt + 4, (length / along) * (product ? 1 : -2), true);
  }

  /** EDEN: the nearest level to each component, scaled to a length of the root of d. */
  #encodeNumbers(rest: Float32Array, kind: { bits: number; scale: number }, bytes: DataView, row: number): void {
    const { d } = this;
    const square = rest.reduce((sum, r) => sum + r * r, 0);
    if (square <= NOTHING) return;
    const levels = this.engine.f32.subarray(this.#levels >>> 2, (this.#levels >>> 2) + 2 ** kind.bits);
    const scale = Math.sqrt(d / square);
    let codeSquare = 0;
    let product = 0;
    rest.forEach((r, j) => {
      let number = 0;
      for (let step = levels.length / 2; step >= 1; step /= 2) {
        const next = number + step;
        if (r * scale >= (levels[next - 1] + levels[next]) / 2) number = next;
      }
      codeSquare += levels[number] ** 2;
      product += levels[number] * r;
      putBits(bytes, row, j, kind.bits, number);
    });
    const factor = Math.fround(kind.scale === BIASED ? product / codeSquare : square / product);
    if (!Number.isFinite(factor)) return;
    bytes.setFloat32(row + this.#factorsAt, kind.scale === BIASED ? factor * factor * codeSquare : square, true);
    bytes.setFloat32(row + this.#factorsAt + 4, factor, true);
  }

  decode(loose: number, n: number, vectors: number): void {
    const { d, layout, kind } = this;
    const { f32, u8 } = this.engine;
    const bytes = new DataView(u8.buffer);
    const signs = kind.name === "rabitq";
    const levels = this.#levels >>> 2;
    for (let i = 0; i < n; i++) {
      const row = loose + i * layout.looseBytes;
      const scale = bytes.getFloat32(row + this.#factorsAt + 4, true);
      for (let j = 0; j < d; j++) {
        // Of RaBitQ the signs alone, as in faiss.
        const number = takeBits(bytes, row, j, signs ? 1 : kind.bits);
        const value = signs ? ((number - 0.5) * 2 * scale) / Math.sqrt(d) : scale * f32[levels + number];
        f32[(vectors >>> 2) + i * d + j] = value + (this.residual ? 0 : f32[(this.#centre >>> 2) + j]);
      }
    }
  }

  scanScratch(lists: Lists, nq: number, nprobe: number): number {
    const kernels = moreKernels(this.engine);
    const { name, bits } = this.kind;
    const signs = name === "rabitq";
    const own = kernels.factoredScratch(this.d, signs ? 1 : bits, signs ? bits - 1 : 0);
    return scratchSize(this.engine.kernels.scanListsScratch(lists.nlist, nq, nprobe) + own);
  }

  scan(scan: Scan): void {
    const { engine } = this;
    const kernels = moreKernels(engine);
    const top = engine.scratchTop;
    const scratch = engine.takeScratch(this.scanScratch(scan.lists, scan.nq, scan.nprobe));
    if (scan.matches === undefined) {
      this.#write(scan, scratch);
      kernels.scanCodesBest(CODE, PLAN, LISTS, FOUND);
    } else {
      scanWithin(this, scan, () => {
        this.#write(scan, scratch);
        kernels.scanCodesWithin(CODE, PLAN, LISTS, FOUND);
      });
    }
    engine.returnScratch(top);
  }

  #write(scan: Scan, scratch: number): void {
    writeScan(this, scan, scratch);
    const { i32 } = this.engine;
    const kernels = moreKernels(this.engine);
    const { kind } = this;
    const signs = kind.name === "rabitq";
    const at = CODE >>> 2;
    i32[at + Factored.kind] = kernels.FACTORED.value;
    i32[at + Factored.d] = this.d;
    i32[at + Factored.bits] = signs ? 1 : kind.bits;
    i32[at + Factored.levels] = this.#levels;
    i32[at + Factored.factorsAt] = this.#factorsAt;
    i32[at + Factored.signs] = signs ? 1 : 0;
    i32[at + Factored.moreBits] = signs ? kind.bits - 1 : 0;
    i32[at + Factored.moreLevels] = this.#more;
    i32[at + Factored.moreAt] = this.#moreAt;
    i32[at + Factored.moreFactorsAt] = this.#moreFactorsAt;
    i32[at + Factored.centre] = this.#centre;
    i32[at + Factored.queryBits] = signs ? kind.queryBits : 0;
    i32[at + Factored.rounds] = signs && kind.bbs > 0 ? 1 : 0;
  }
}

/** Copies floats to a block that stays. */
function keep(engine: Engine, values: Float32Array): number {
  const address = engine.allocate(values.byteLength);
  engine.f32.set(values, address >>> 2);
  return address;
}

/** Puts number j of a string of numbers of `bits` bits, which are zero so far. */
function putBits(bytes: DataView, row: number, j: number, bits: number, number: number): void {
  const at = row + ((j * bits) >> 3);
  const value = number << ((j * bits) & 7);
  bytes.setUint8(at, bytes.getUint8(at) | value);
  if (value > 255) bytes.setUint8(at + 1, value >> 8);
}

/** Number j of a string of numbers of `bits` bits. */
function takeBits(bytes: DataView, row: number, j: number, bits: number): number {
  const at = row + ((j * bits) >> 3);
  const shift = (j * bits) & 7;
  const two = bytes.getUint8(at) | (shift + bits > 8 ? bytes.getUint8(at + 1) << 8 : 0);
  return (two >> shift) & (2 ** bits - 1);
}
