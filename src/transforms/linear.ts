import type { Writer } from "../format/writer.js";
import type { TransformTree } from "../indexes/tree.js";
import { moreKernels } from "../wasm/more.js";
import type { Pace } from "../work/pace.js";
import type { Engine } from "../wasm/engine.js";
import { scratchSize } from "../wasm/engine.js";
import { writeTail } from "./transform.js";
import type { Transform } from "./transform.js";

/** How far products of rows may be from those of orthonormal ones: faiss' measure. */
const ORTHONORMAL = 4e-5;

/** A matrix, and what is added behind it: y = A x + b. */
export class LinearTransform implements Transform {
  readonly din: number;
  readonly dout: number;
  isTrained = false;
  protected readonly engine: Engine;
  /** Addresses of A, dout x din f32, and of b; 0 until there is one. */
  #matrix = 0;
  #bias = 0;
  /** Whether A can be undone, once it was asked. */
  #canInvert: boolean | undefined;

  constructor(engine: Engine, din: number, dout: number) {
    this.engine = engine;
    this.din = din;
    this.dout = dout;
  }

  get tree(): TransformTree {
    return { type: "LTra", dout: this.dout };
  }

  protected readonly fourcc: string = "LTra";

  async train(_vectors: Float32Array, _seed: number, _pace: Pace): Promise<void> {
    // There is nothing that a plain matrix could be learnt by.
  }

  /** Takes A (dout x din) and b over. Throws ERR_MEMORY, having changed nothing. */
  set(matrix: Float32Array, bias: Float32Array | undefined): void {
    const { engine } = this;
    const own = engine.allocate(matrix.byteLength);
    let shift = 0;
    try {
      if (bias !== undefined) shift = engine.allocate(bias.byteLength);
    } catch (error) {
      engine.release(own);
      throw error;
    }
    engine.f32.set(matrix, own >>> 2);
    if (bias !== undefined) engine.f32.set(bias, shift >>> 2);
    this.#forget();
    this.#matrix = own;
    this.#bias = shift;
    this.isTrained = true;
  }

  untrain(): void {
    this.#forget();
  }

  #forget(): void {
    this.engine.release(this.#matrix);
    this.engine.release(this.#bias);
    this.#matrix = this.#bias = 0;
    this.isTrained = false;
    this.#canInvert = undefined;
  }

  /** Whether A's rows, or its columns if they are fewer, are orthonormal: then its transpose undoes it. */
  get canInvert(): boolean {
    return (this.#canInvert ??= this.isTrained && this.#isOrthonormal());
  }

  #isOrthonormal(): boolean {
    const { engine, din, dout } = this;
    const [n, m] = dout <= din ? [dout, din] : [din, dout];
    const pitch = Math.ceil(n / 4) * 4;
    const products = engine.borrow(pitch * 4);
    const columns = dout <= din ? 0 : engine.borrow(n * m * 4);
    if (columns !== 0) moreKernels(engine).transposeRows(this.#matrix, m, n, columns, m);
    const rows = columns === 0 ? this.#matrix : columns;
    let fine = true;
    for (let i = 0; i < n && fine; i++) {
      engine.kernels.innerProducts(rows + i * m * 4, 1, rows, n, m, products, pitch);
      for (let j = 0; j < n; j++) {
        fine &&= Math.abs(engine.f32[(products >>> 2) + j] - (i === j ? 1 : 0)) <= ORTHONORMAL;
      }
    }
    engine.release(products);
    engine.release(columns);
    return fine;
  }

  scratchBytes(n: number): number {
    return scratchSize(moreKernels(this.engine).applyLinearScratch(n, this.dout));
  }

  apply(from: number, n: number, to: number): void {
    const { engine, din, dout } = this;
    const top = engine.scratchTop;
    const scratch = engine.takeScratch(moreKernels(engine).applyLinearScratch(n, dout));
    moreKernels(engine).applyLinear(from, n, din, this.#matrix, dout, this.#bias, to, scratch);
    engine.returnScratch(top);
  }

  invert(from: number, n: number, to: number): void {
    moreKernels(this.engine).undoLinear(from, n, this.din, this.#matrix, this.dout, this.#bias, to);
  }

  /** Whether b is written: an untrained PCA says that it will have one. */
  protected get hasBias(): boolean {
    return this.#bias !== 0;
  }

  protected writeFields(_writer: Writer): void {
    // None, unless a kind of matrix has some.
  }

  write(writer: Writer): void {
    const { engine, din, dout } = this;
    writer.fourcc(this.fourcc);
    this.writeFields(writer);
    writer.bool(this.hasBias);
    const vector = (at: number, length: number): void => {
      writer.i64(at === 0 ? 0 : length);
      if (at !== 0) writer.raw(engine.u8.subarray(at, at + length * 4));
    };
    vector(this.#matrix, din * dout);
    vector(this.#bias, dout);
    writeTail(writer, this);
  }
}
