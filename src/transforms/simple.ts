// Transforms that have no matrix: lengths, means, dimensions left out or filled in, Hadamard's rotation.

import type { Writer } from "../format/writer.js";
import type { TransformTree } from "../indexes/tree.js";
import { moreKernels } from "../wasm/more.js";
import type { Engine } from "../wasm/engine.js";
import { scratchSize } from "../wasm/engine.js";
import { bytesOf } from "./fields.js";
import { meanOf } from "./mean.js";
import { NO_FLOATS, writeTail } from "./transform.js";
import type { Transform } from "./transform.js";

/** What they share: d dimensions, and a block of numbers that kernels read. */
abstract class SimpleTransform implements Transform {
  readonly din: number;
  readonly dout: number;
  isTrained = true;
  readonly canInvert: boolean = true;
  protected readonly engine: Engine;

  constructor(engine: Engine, din: number, dout: number) {
    this.engine = engine;
    this.din = din;
    this.dout = dout;
  }

  abstract readonly tree: TransformTree;
  abstract apply(from: number, n: number, to: number): void;
  abstract invert(from: number, n: number, to: number): void;
  abstract write(writer: Writer): void;

  async train(_vectors: Float32Array): Promise<void> {
    // There is nothing to learn, unless a kind says otherwise.
  }

  untrain(): void {
    // Nothing was learnt.
  }

  scratchBytes(_n: number): number {
    return 0;
  }

  protected copy(from: number, bytes: number, to: number): void {
    this.engine.u8.copyWithin(to, from, from + bytes);
  }

  /** A block of the engine's memory with the numbers in it. */
  protected keep(numbers: Int32Array | Float32Array): number {
    const address = this.engine.allocate(numbers.byteLength);
    this.engine.u8.set(bytesOf(numbers), address);
    return address;
  }
}

/** Scales vectors to length 1, but for zero vectors. It can't be undone: a vector comes back with length 1, as in faiss. */
export class Normalization extends SimpleTransform {
  readonly tree: TransformTree = { type: "L2norm" };

  constructor(engine: Engine, d: number) {
    super(engine, d, d);
  }

  apply(from: number, n: number, to: number): void {
    this.copy(from, n * this.din * 4, to);
    this.engine.kernels.normalize(to, n, this.din);
  }

  invert(from: number, n: number, to: number): void {
    this.copy(from, n * this.din * 4, to);
  }

  write(writer: Writer): void {
    writer.fourcc("VNrm");
    writer.f32(2);
    writeTail(writer, this);
  }
}

/** Subtracts the mean of the vectors that it was trained with. */
export class Centering extends SimpleTransform {
  readonly tree: TransformTree = { type: "Centre" };
  #mean: Float32Array;
  #address: number;

  /** @param mean empty until it is trained */
  constructor(engine: Engine, d: number, mean: Float32Array) {
    super(engine, d, d);
    this.isTrained = mean.length > 0;
    this.#mean = mean;
    this.#address = this.keep(mean);
  }

  override async train(vectors: Float32Array): Promise<void> {
    const mean = meanOf(vectors, this.din);
    this.#address = this.keep(mean);
    this.#mean = mean;
    this.isTrained = true;
  }

  override untrain(): void {
    this.engine.release(this.#address);
    this.#address = 0;
    this.#mean = NO_FLOATS;
    this.isTrained = false;
  }

  apply(from: number, n: number, to: number): void {
    this.#shift(from, n, to, -1);
  }

  invert(from: number, n: number, to: number): void {
    this.#shift(from, n, to, 1);
  }

  #shift(from: number, n: number, to: number, by: number): void {
    this.copy(from, n * this.din * 4, to);
    moreKernels(this.engine).shiftRows(to, n, this.din, this.#address, by);
  }

  write(writer: Writer): void {
    writer.fourcc("VCnt");
    writer.i64(this.#mean.length);
    writer.raw(bytesOf(this.#mean));
    writeTail(writer, this);
  }
}

/** Makes each dimension of one of the old ones, or 0: appends zeros, where it comes from a description. */
export class Remapping extends SimpleTransform {
  readonly #map: Int32Array;
  readonly #address: number;

  /** @param map the old dimension of each new one, -1 for zeros */
  constructor(engine: Engine, din: number, dout: number, map: Int32Array) {
    super(engine, din, dout);
    this.#map = map;
    this.#address = this.keep(map);
  }

  get tree(): TransformTree {
    const { din, dout } = this;
    const pads = dout >= din && this.#map.every((from, to) => from === (to < din ? to : -1));
    return { type: pads ? "Pad" : "Remap", dout };
  }

  apply(from: number, n: number, to: number): void {
    moreKernels(this.engine).remapRows(from, n, this.din, this.#address, this.dout, to);
  }

  invert(from: number, n: number, to: number): void {
    moreKernels(this.engine).undoRemap(from, n, this.din, this.#address, this.dout, to);
  }

  write(writer: Writer): void {
    writer.fourcc("RmDT");
    writer.i64(this.#map.length);
    writer.raw(bytesOf(this.#map));
    writeTail(writer, this);
  }
}

/** The seed that stands for none, in descriptions and before training. */
export const HADAMARD_SEED = 12345;

/** A random rotation to the next power of 2 dimensions, which takes d log d additions where a matrix takes d x d products. */
export class HadamardRotation extends SimpleTransform {
  readonly #seed: number;
  readonly #signs: number;

  constructor(engine: Engine, d: number, seed: number) {
    super(engine, d, powerOf2(d));
    this.#seed = seed;
    this.#signs = this.keep(signs(seed, 3 * this.dout));
  }

  get tree(): TransformTree {
    return { type: "HR", dout: this.dout, seed: this.#seed };
  }

  override scratchBytes(): number {
    return scratchSize(this.dout * 4);
  }

  apply(from: number, n: number, to: number): void {
    moreKernels(this.engine).rotateByHadamard(from, n, this.din, this.#signs, this.dout, to);
  }

  invert(from: number, n: number, to: number): void {
    const { engine, din, dout } = this;
    const top = engine.scratchTop;
    const scratch = engine.takeScratch(dout * 4);
    moreKernels(engine).undoHadamard(from, n, din, this.#signs, dout, to, scratch);
    engine.returnScratch(top);
  }

  write(writer: Writer): void {
    writer.fourcc("HRot");
    writer.i32(this.#seed | 0);
    writeTail(writer, this);
  }
}

/** The smallest power of 2 that is not below n. */
export function powerOf2(n: number): number {
  let power = 1;
  while (power < n) power *= 2;
  return power;
}

/** n times -1 or 1, as faiss draws them: by SplitMix64 (Steele, Lea and Flood, 2014), of which the last bit counts. */
function signs(seed: number, n: number): Float32Array {
  const mask = (1n << 64n) - 1n;
  let state = BigInt(seed >>> 0);
  return Float32Array.from({ length: n }, () => {
    state = (state + 0x9e3779b97f4a7c15n) & mask;
    let z = state;
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask;
    return ((z ^ (z >> 31n)) & 1n) === 0n ? -1 : 1;
  });
}
