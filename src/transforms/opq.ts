import { fail } from "../errors.js";
import type { TransformTree } from "../indexes/tree.js";
import { moreKernels } from "../wasm/more.js";
import { symmetricEigen } from "../training/eigen.js";
import { splitEmpty } from "../training/kmeans.js";
import type { Pace } from "../work/pace.js";
import { permutation } from "../work/random.js";
import { Engine } from "../wasm/engine.js";
import { LinearTransform } from "./linear.js";
import { meanOf } from "./mean.js";
import { orthonormalize, randomRotation } from "./rotation.js";

/** faiss' defaults: rotations that are tried, iterations of k-means for the first and for each later one, training vectors at most. */
const ROTATIONS = 50;
const FIRST_ITERATIONS = 40;
const ITERATIONS = 4;
const MAX_POINTS = 256 * 256;
/** faiss' seed of the first rotation. */
const SEED = 1234;
/** Centroids of a sub-quantizer, which has 8 bits, whatever codes come behind. */
const K = 256;
/** Vectors of one call of a kernel, and of those whose products are summed in floats. */
const CHUNK = 64;
const SUMMED = 256;
/** Rows of one call in doubles. */
const ROWS = 16;

/**
 * The rotation after which a product quantizer of M parts errs least (Ge, He, Ke and Sun, 2013): quantizers and rotation are improved in
 * turn. A file says of it only its matrix.
 */
export class Opq extends LinearTransform {
  readonly #M: number;

  constructor(engine: Engine, din: number, dout: number, M: number) {
    super(engine, din, dout);
    this.#M = M;
  }

  override get tree(): TransformTree {
    const dout = this.dout === this.din ? {} : { dout: this.dout };
    return { type: "OPQ", m: this.#M, ...dout };
  }

  override async train(vectors: Float32Array, seed: number, pace: Pace): Promise<void> {
    if (this.isTrained) return;
    const { din } = this;
    const given = vectors.length / din;
    if (given < K)
      fail("ERR_PARAMETER", `got ${given} training vectors for an OPQ: give ${K} at least, for ${K} centroids`);
    const training = new Training(this.engine, vectors, din, this.dout, this.#M, seed);
    await training.start(pace);
    for (let rotation = 0; rotation < ROTATIONS; rotation++) {
      await training.project(pace);
      await training.quantize(rotation === 0 ? FIRST_ITERATIONS : ITERATIONS, rotation, pace);
      await training.rotate(pace);
    }
    this.set(training.matrix(), undefined);
  }
}

/** What training holds, in an engine of its own. */
export class Training {
  readonly #engine: Engine;
  readonly #n: number;
  readonly #din: number;
  /** Dimensions that are rotated: vectors are filled up with zeros where more come out than went in. */
  readonly #d: number;
  readonly #dout: number;
  readonly #M: number;
  readonly #seed: number;
  /** Addresses: centred vectors, rotated ones, the rotation (dout x d f32). */
  readonly #vectors: number;
  readonly #rotated: number;
  readonly #rotation: number;
  /** Codebook, its groups (assembly/opq.ts), sums and counts; numbers of a chunk, errors. */
  readonly #codebook: number;
  readonly #groups: number;
  readonly #sums: number;
  readonly #counts: number;
  readonly #numbers: number;
  readonly #errors: number;
  /** The mean squared error of the quantizers, after each rotation but the last. */
  readonly objective: number[] = [];

  constructor({ options }: Engine, vectors: Float32Array, din: number, dout: number, M: number, seed: number) {
    const engine = new Engine(options);
    const given = vectors.length / din;
    const n = Math.min(given, MAX_POINTS);
    const d = Math.max(din, dout);
    this.#engine = engine;
    [this.#n, this.#din, this.#d, this.#dout, this.#M, this.#seed] = [n, din, d, dout, M, seed];
    this.#vectors = engine.allocate(n * d * 4);
    this.#rotated = engine.allocate(n * dout * 4);
    this.#rotation = engine.allocate(dout * d * 4);
    this.#codebook = engine.allocate(dout * K * 4);
    this.#groups = engine.allocate(moreKernels(engine).groupsBytes(M, dout / M));
    this.#sums = engine.allocate(dout * K * 4);
    this.#counts = engine.allocate(M * K * 4);
    this.#numbers = engine.allocate(SUMMED * M);
    this.#errors = engine.allocate(M * 8);
    const sample = n < given ? permutation(given, seed) : undefined;
    engine.u8.fill(0, this.#vectors, this.#vectors + n * d * 4);
    for (let i = 0; i < n; i++) {
      const row = sample === undefined ? i : sample[i];
      engine.f32.set(vectors.subarray(row * din, row * din + din), (this.#vectors >>> 2) + i * d);
    }
    const mean = meanOf(engine.f32.subarray(this.#vectors >>> 2, (this.#vectors >>> 2) + n * d), d);
    const shift = engine.allocate(d * 4);
    engine.f32.set(mean, shift >>> 2);
    moreKernels(engine).shiftRows(this.#vectors, n, d, shift, -1);
    engine.release(shift);
  }

  /** Begins with a random rotation. */
  async start(pace: Pace): Promise<void> {
    const engine = this.#engine;
    const all = await randomRotation(engine, this.#d, this.#d, SEED, pace);
    engine.f32.set(all.subarray(0, this.#dout * this.#d), this.#rotation >>> 2);
  }

  /** Rotates the vectors. */
  async project(pace: Pace): Promise<void> {
    const engine = this.#engine;
    const kernels = moreKernels(engine);
    const [n, d, dout] = [this.#n, this.#d, this.#dout];
    const scratch = engine.allocate(kernels.applyLinearScratch(CHUNK, dout));
    try {
      for (let i = 0; i < n; i += CHUNK) {
        const count = Math.min(CHUNK, n - i);
        const [from, to] = [this.#vectors + i * d * 4, this.#rotated + i * dout * 4];
        kernels.applyLinear(from, count, d, this.#rotation, dout, 0, to, scratch);
        await pace.step("OPQ, rotate", i + count, n);
      }
    } finally {
      engine.release(scratch);
    }
  }

  /** Iterations of k-means on every sub-vector, from where it was before, or from vectors drawn at random. */
  async quantize(iterations: number, rotation: number, pace: Pace): Promise<void> {
    const engine = this.#engine;
    const kernels = moreKernels(engine);
    const [n, dout, M] = [this.#n, this.#dout, this.#M];
    const sub = dout / M;
    const bytes = dout * K * 4;
    if (rotation === 0) {
      const order = permutation(n, this.#seed + 1);
      for (let m = 0; m < M; m++) {
        for (let c = 0; c < K; c++) {
          const from = (this.#rotated >>> 2) + order[c] * dout + m * sub;
          engine.f32.copyWithin((this.#codebook >>> 2) + (m * K + c) * sub, from, from + sub);
        }
      }
    }
    for (let iteration = 0; iteration < iterations; iteration++) {
      kernels.makeGroups(this.#codebook, M, sub, this.#groups);
      engine.u8.fill(0, this.#sums, this.#sums + bytes);
      engine.u8.fill(0, this.#counts, this.#counts + M * K * 4);
      for (let i = 0; i < n; i += CHUNK) {
        const count = Math.min(CHUNK, n - i);
        const rows = this.#rotated + i * dout * 4;
        kernels.quantizeByGroups(
          rows,
          count,
          M,
          sub,
          this.#groups,
          this.#numbers,
          this.#errors,
          this.#sums,
          this.#counts,
        );
        await pace.step(`OPQ, rotation ${rotation + 1} of ${ROTATIONS}`, iteration * n + i + count, iterations * n);
      }
      engine.kernels.average(this.#sums, this.#counts, M * K, sub);
      for (let m = 0; m < M; m++) {
        const at = (this.#sums >>> 2) + m * K * sub;
        const tally = (this.#counts >>> 2) + m * K;
        splitEmpty(engine.f32.subarray(at, at + K * sub), engine.i32.subarray(tally, tally + K), n);
      }
      engine.u8.copyWithin(this.#codebook, this.#sums, this.#sums + bytes);
    }
    kernels.makeGroups(this.#codebook, M, sub, this.#groups);
  }

  /**
   * Takes the rotation that brings the vectors nearest to what the quantizers made of them (Schönemann, 1966): of the products
   * S = sum of code times vector it is the orthonormal part, found by the eigenvectors of S S'.
   */
  async rotate(pace: Pace): Promise<void> {
    const engine = this.#engine;
    const kernels = moreKernels(engine);
    const [d, dout] = [this.#d, this.#dout];
    const blocks: number[] = [];
    const take = (bytes: number): number => {
      blocks.push(engine.allocate(bytes));
      return blocks[blocks.length - 1];
    };
    try {
      const products = take(dout * d * 8);
      await this.#multiply(products, take, pace);
      const squares = take(dout * dout * 8);
      for (let i = 0; i < dout; i += ROWS) {
        kernels.multiplyRows(products, dout, d, squares, i, Math.min(dout, i + ROWS));
        await pace.step("OPQ, products", i, dout);
      }
      await symmetricEigen(engine, kernels, squares, dout, pace);
      // A row of `squares` is an eigenvector now. What S makes of each has a length that would have to be divided by; where it is almost
      // nothing, any direction does that is orthogonal to the others.
      const sides = take(dout * d * 8);
      for (let i = 0; i < dout; i += ROWS) {
        kernels.combineRows(squares, dout, 1, products, dout, d, sides, i, Math.min(dout, i + ROWS));
        await pace.step("OPQ, products", i, dout);
      }
      const signs = await orthonormalize(engine, sides, dout, d, pace);
      signs.forEach((sign, i) => {
        const at = (sides >>> 3) + i * d;
        if (sign < 0) for (let j = at; j < at + d; j++) engine.f64[j] = -engine.f64[j];
      });
      for (let i = 0; i < dout; i += ROWS) {
        kernels.combineRows(squares, 1, dout, sides, dout, d, products, i, Math.min(dout, i + ROWS));
        await pace.step("OPQ, products", i, dout);
      }
      engine.f32.set(engine.f64.subarray(products >>> 3, (products >>> 3) + dout * d), this.#rotation >>> 2);
    } finally {
      for (const block of blocks) engine.release(block);
    }
  }

  /** The sums of products of codes and vectors, and the error of the codes. */
  async #multiply(products: number, take: (bytes: number) => number, pace: Pace): Promise<void> {
    const engine = this.#engine;
    const kernels = moreKernels(engine);
    const [n, d, dout, M] = [this.#n, this.#d, this.#dout, this.#M];
    const sub = dout / M;
    const codes = take(SUMMED * dout * 4);
    const columns = take(SUMMED * d * 4);
    const scratch = take(kernels.addProductsScratch(d));
    engine.u8.fill(0, products, products + dout * d * 8);
    engine.u8.fill(0, this.#errors, this.#errors + M * 8);
    for (let i = 0; i < n; i += SUMMED) {
      const count = Math.min(SUMMED, n - i);
      const rotated = this.#rotated + i * dout * 4;
      kernels.quantizeByGroups(rotated, count, M, sub, this.#groups, this.#numbers, this.#errors, 0, 0);
      kernels.decodeColumns(this.#numbers, count, M, sub, this.#codebook, codes, SUMMED);
      kernels.transposeRows(this.#vectors + i * d * 4, count, d, columns, SUMMED);
      kernels.addProducts(codes, dout, columns, d, SUMMED, false, products, scratch);
      await pace.step("OPQ, products", i + count, n);
    }
    const errors = engine.f64.subarray(this.#errors >>> 3, (this.#errors >>> 3) + M);
    this.objective.push(errors.reduce((sum, error) => sum + error, 0) / n);
  }

  /** The rotation, dout x din. */
  matrix(): Float32Array<ArrayBuffer> {
    const [din, d, dout] = [this.#din, this.#d, this.#dout];
    const matrix = new Float32Array(dout * din);
    for (let i = 0; i < dout; i++) {
      const row = (this.#rotation >>> 2) + i * d;
      matrix.set(this.#engine.f32.subarray(row, row + din), i * din);
    }
    return matrix;
  }
}
