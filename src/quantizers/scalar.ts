import { fail } from "../errors.js";
import type { Reader } from "../format/reader.js";
import type { Writer } from "../format/writer.js";
import type { ScalarType } from "../indexes/tree.js";
import { moreKernels } from "../wasm/more.js";
import type { Engine } from "../wasm/engine.js";

/** faiss' numbers for what a scalar quantizer makes of a component, in their order. */
const TYPES: readonly ScalarType[] = [
  "8",
  "4",
  "8_uniform",
  "4_uniform",
  "fp16",
  "8_direct",
  "6",
  "bf16",
  "8_direct_signed",
];
/** Later numbers of faiss', which are not built here. */
const LATER = 25;
/** How faiss finds the range of a component: the smallest and the largest, or by mean and deviation, quantiles, the best of some. */
const MINMAX = 0;
const RANGE_STATS = 3;

/**
 * A scalar quantizer: each component of a vector by itself, as a number of 8 bits or fewer between the least and the largest that
 * training saw (`SQ8`, `SQ6`, `SQ4`), as a whole number as it is (`SQ8_direct`, `SQ8_direct_signed`), or as a 16-bit float.
 */
export class ScalarQuantizer {
  readonly d: number;
  readonly type: ScalarType;
  readonly codeBytes: number;
  /** Bits of a component. */
  readonly bits: number;
  readonly #engine: Engine;
  #rangeStat = MINMAX;
  #rangeArgument = 0;
  /**
   * Address of four times D floats, D being d rounded up to 8: the range's start and size, as faiss has them, and `low` and `scale` as
   * kernels want them (assembly/codes/scalar.ts); 0 while there are none.
   */
  #ranges = 0;
  #reach = 0;

  constructor(engine: Engine, d: number, type: ScalarType) {
    this.#engine = engine;
    this.d = d;
    this.type = type;
    this.bits = type.endsWith("f16") || type === "fp16" ? 16 : Number(type[0]);
    this.codeBytes = Math.ceil((d * this.bits) / 8);
    if (this.isDirect) this.#setRanges(new Float32Array(d), new Float32Array(d));
  }

  /** Whether components are 16-bit floats. */
  get isHalf(): boolean {
    return this.bits === 16;
  }

  /** Whether components are whole numbers, kept as they are. */
  get isDirect(): boolean {
    return this.type.startsWith("8_direct");
  }

  /** Whether one range serves all dimensions. */
  get isUniform(): boolean {
    return this.type.endsWith("_uniform");
  }

  /** Whether there is anything to be learnt. */
  get needsTraining(): boolean {
    return !this.isHalf && !this.isDirect;
  }

  /** d rounded up to 8. */
  get #D(): number {
    return Math.ceil(this.d / 8) * 8;
  }

  /** Addresses for kernels: d floats of the ranges' starts and sizes, D of low and scale. */
  get first(): number {
    return this.#ranges;
  }

  get span(): number {
    return this.#ranges + this.#D * 4;
  }

  get low(): number {
    return this.#ranges + this.#D * 8;
  }

  get scale(): number {
    return this.#ranges + this.#D * 12;
  }

  /** The length of the longest vector that a code can stand for, each component as large as it can be. */
  get reach(): number {
    return this.#reach;
  }

  /** Learns the ranges of n x d vectors. Throws ERR_UNSUPPORTED for another way than faiss' default, which a file may ask for. */
  train(vectors: Float32Array): void {
    if (!this.needsTraining) return;
    if (this.#rangeStat !== MINMAX) {
      fail(
        "ERR_UNSUPPORTED",
        `the file wants ranges learnt by faiss' RangeStat ${this.#rangeStat}, not by the smallest and largest: train it in faiss`,
      );
    }
    const { d } = this;
    const dims = this.isUniform ? 1 : d;
    const least = vectors.slice(0, dims);
    const most = vectors.slice(0, dims);
    for (let i = 0; i < vectors.length; i++) {
      const j = dims === 1 ? 0 : i % d;
      if (vectors[i] < least[j]) least[j] = vectors[i];
      if (vectors[i] > most[j]) most[j] = vectors[i];
    }
    // In f32 throughout, as faiss.
    for (let j = 0; j < dims; j++) {
      const more = Math.fround(Math.fround(most[j] - least[j]) * this.#rangeArgument);
      least[j] -= more;
      most[j] += more;
      most[j] -= least[j];
    }
    this.#setRanges(least, most);
  }

  /** Takes ranges, of each dimension or of all, and what kernels want of them. Throws ERR_MEMORY, having changed nothing. */
  #setRanges(first: Float32Array, span: Float32Array): void {
    const { d, bits } = this;
    const D = this.#D;
    const all = new Float32Array(4 * D);
    const most = 2 ** bits - 1;
    let square = 0;
    for (let j = 0; j < d; j++) {
      const at = first.length === 1 ? 0 : j;
      all[j] = first[at];
      all[D + j] = span[at];
      const scale = this.isDirect ? 1 : span[at] / most;
      all[2 * D + j] = this.isDirect ? (this.type === "8_direct" ? 0 : -128) : first[at] + scale / 2;
      all[3 * D + j] = scale;
      square += Math.max(Math.abs(all[2 * D + j]), Math.abs(all[2 * D + j] + all[3 * D + j] * most)) ** 2;
    }
    const address = this.#engine.allocate(all.byteLength);
    this.forget();
    this.#engine.f32.set(all, address >>> 2);
    this.#ranges = address;
    // A little more, so that rounding never makes it less.
    this.#reach = Math.sqrt(square) * 1.000001;
  }

  /** Forgets the ranges. */
  forget(): void {
    if (this.isDirect && this.#ranges !== 0) return;
    this.#engine.release(this.#ranges);
    this.#ranges = 0;
  }

  /**
   * Writes the codes of n vectors (addresses), rows of `rowBytes` bytes. Throws ERR_PARAMETER for a component that the type can't hold.
   *
   * @param row number of the first vector, for the sentence
   */
  encode(vectors: number, n: number, rows: number, rowBytes: number, row: number): void {
    const { f32 } = this.#engine;
    const kernels = moreKernels(this.#engine);
    const { d, type } = this;
    const said =
      type === "bf16"
        ? (kernels.encodeBf16(vectors, n, d, rows, rowBytes), -1)
        : type === "fp16"
          ? kernels.encodeFp16(vectors, n, d, rows, rowBytes)
          : this.isDirect
            ? kernels.encodeDirect(vectors, n, d, type === "8_direct" ? 0 : 128, rows, rowBytes)
            : (kernels.encodeScalar(vectors, n, d, this.bits, this.first, this.span, rows, rowBytes), -1);
    if (said < 0) return;
    const held = {
      fp16: "halves reach from -65504 to 65504",
      "8_direct": "SQ8_direct keeps whole numbers from 0 to 255",
      "8_direct_signed": "SQ8_direct_signed keeps whole numbers from -128 to 127",
    }[type as "fp16"];
    const where = `row ${row + Math.floor(said / d)} has ${f32[(vectors >>> 2) + said]} in column ${said % d}`;
    fail("ERR_PARAMETER", `${where}: ${held}; scale the vectors, or use SQ8`);
  }

  /** Writes the vectors that n rows stand for. */
  decode(rows: number, rowBytes: number, n: number, vectors: number): void {
    const kernels = moreKernels(this.#engine);
    const { d, bits } = this;
    if (this.isHalf) kernels.decodeHalves(rows, rowBytes, n, d, this.type === "bf16", vectors);
    else kernels.decodeScalar(rows, rowBytes, n, d, bits, this.low, this.scale, vectors);
  }

  /** Numbers that training makes. */
  get #trained(): number {
    return this.needsTraining ? (this.isUniform ? 2 : 2 * this.d) : 0;
  }

  /** Writes type, how ranges are found, d, bytes of a code, and the ranges, none before training. */
  write(writer: Writer): void {
    writer.i32(TYPES.indexOf(this.type));
    writer.i32(this.#rangeStat);
    writer.f32(this.#rangeArgument);
    writer.i64(this.d);
    writer.i64(this.codeBytes);
    const { u8 } = this.#engine;
    const trained = this.#ranges === 0 ? 0 : this.#trained;
    writer.i64(trained);
    if (trained === 0) return;
    writer.raw(u8.subarray(this.first, this.first + trained * 2));
    writer.raw(u8.subarray(this.span, this.span + trained * 2));
  }

  /** Reads a quantizer for vectors of d dimensions; one that is to be trained yet lacks its ranges. */
  static async read(reader: Reader, engine: Engine, d: number, isTrained: boolean): Promise<ScalarQuantizer> {
    const number = await reader.i32("qtype");
    if (number >= TYPES.length && number <= LATER) {
      fail(
        "ERR_UNSUPPORTED",
        `the file's scalar quantizer is faiss' QuantizerType ${number} (0 bits, TurboQuant): cellist has SQ8, SQ6, SQ4, SQfp16, SQbf16 ` +
          `and SQ8_direct; make one of these in faiss`,
      );
    }
    const type = TYPES[number];
    if (type === undefined) reader.wrong("qtype", 4, `is ${number}, no scalar quantizer`);
    const quantizer = new ScalarQuantizer(engine, d, type);
    quantizer.#rangeStat = await reader.i32("rangestat");
    if (quantizer.#rangeStat < 0 || quantizer.#rangeStat > RANGE_STATS) {
      reader.wrong("rangestat", 4, `is ${quantizer.#rangeStat}, not from 0 to ${RANGE_STATS}`);
    }
    quantizer.#rangeArgument = await reader.f32("rangestat_arg");
    for (const [field, expected] of [
      ["d of the scalar quantizer", d],
      ["code_size of the scalar quantizer", quantizer.codeBytes],
    ] as const) {
      const given = await reader.i64(field);
      if (given !== expected) reader.wrong(field, 8, `is ${given}, not ${expected}`);
    }
    const items = quantizer.#trained;
    const given = await reader.vectorCount("trained", 4);
    if (given !== items && !(given === 0 && !isTrained)) reader.wrong("trained", 8, `has ${given} items, not ${items}`);
    if (given > 0) {
      const ranges = new Float32Array((await reader.bytes("trained", items * 4)).buffer);
      quantizer.#setRanges(ranges.subarray(0, items / 2), ranges.subarray(items / 2));
    }
    return quantizer;
  }
}
