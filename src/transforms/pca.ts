import { fail } from "../errors.js";
import type { Writer } from "../format/writer.js";
import type { TransformTree } from "../indexes/tree.js";
import { moreKernels } from "../wasm/more.js";
import { symmetricEigen } from "../training/eigen.js";
import type { Pace } from "../work/pace.js";
import { sampleOf } from "../training/sample.js";
import { Engine } from "../wasm/engine.js";
import { bytesOf } from "./fields.js";
import { LinearTransform } from "./linear.js";
import { meanOf } from "./mean.js";
import { randomRotation } from "./rotation.js";
import { NO_FLOATS } from "./transform.js";

/** Training vectors a dimension at most: faiss' default. */
const MAX_POINTS = 1000;
/** The power of the eigenvalues that gives all components the variance 1. */
const WHITEN = -0.5;
/** faiss' seed of the rotation behind the components. */
const ROTATION_SEED = 5;
/** Vectors whose products are summed in floats, before they are added up in doubles. */
const CHUNK = 256;

/** What a file says of a PCA beyond its matrix, and how it says it. */
export interface PcaFields {
  /** `Pcam`, or one of the older `PcAm` and `PCAm`, which lack epsilon, and epsilon and bins. */
  fourcc: string;
  power: number;
  epsilon: number;
  rotate: boolean;
  bins: number;
  /** Empty until it is trained. */
  mean: Float32Array;
  /** Of the sums of products, largest first. */
  eigenvalues: Float32Array;
  /** A row a component. */
  components: Float32Array;
}

/** The dimensions in which vectors differ most, found by the eigenvectors of their covariance. */
export class Pca extends LinearTransform {
  #fields: PcaFields;
  protected override readonly fourcc: string;

  constructor(engine: Engine, din: number, dout: number, fields: PcaFields) {
    super(engine, din, dout);
    this.#fields = fields;
    this.fourcc = fields.fourcc;
  }

  /** An untrained one. `whiten` divides components by their standard deviations, `rotate` mixes them at random. */
  static make(engine: Engine, din: number, dout: number, whiten: boolean, rotate: boolean): Pca {
    const learnt = { mean: NO_FLOATS, eigenvalues: NO_FLOATS, components: NO_FLOATS };
    const power = whiten ? WHITEN : 0;
    return new Pca(engine, din, dout, { fourcc: "Pcam", power, epsilon: 0, rotate, bins: 0, ...learnt });
  }

  override get tree(): TransformTree {
    const { power, rotate, bins, epsilon } = this.#fields;
    if ((power !== 0 && power !== WHITEN) || bins !== 0 || epsilon !== 0) return super.tree;
    return { type: "PCA", dout: this.dout, whiten: power === WHITEN, rotate };
  }

  /** faiss' PCA has always a mean to subtract. */
  protected override get hasBias(): boolean {
    return true;
  }

  override async train(vectors: Float32Array, seed: number, pace: Pace): Promise<void> {
    if (this.isTrained) return;
    const { engine, din, dout } = this;
    const given = vectors.length / din;
    if (given < dout) {
      fail("ERR_PARAMETER", `got ${given} training vectors for a PCA to ${dout} dimensions: give as many at least`);
    }
    const fields = this.#fields;
    if (fields.bins !== 0 || (fields.power !== 0 && fields.power !== WHITEN)) {
      fail(
        "ERR_UNSUPPORTED",
        `the file's PCA is untrained and balanced, or of the power ${fields.power}: train it in faiss`,
      );
    }
    const sample = sampleOf(vectors, din, MAX_POINTS * din, seed);
    const n = sample.length / din;
    const mean = meanOf(sample, din);
    const { values, vectors: rows } = await components(engine, sample, din, mean, pace);
    // Of fewer vectors than dimensions there are no more components than that.
    const rank = Math.min(n, din);
    const eigenvalues = Float32Array.from(values, (value, i) => (i < rank ? value : 0));
    const all = Float32Array.from(rows.subarray(0, rank * din));
    const matrix = await this.#matrix(all, eigenvalues, pace);
    const bias = new Float32Array(dout);
    for (let i = 0; i < dout; i++) {
      let sum = 0;
      for (let j = 0; j < din; j++) sum -= mean[j] * matrix[i * din + j];
      bias[i] = sum;
    }
    this.set(matrix, bias);
    this.#fields = { ...fields, mean, eigenvalues, components: all };
  }

  /** The components that are kept, scaled where they are to be white, and mixed. */
  async #matrix(all: Float32Array, eigenvalues: Float32Array, pace: Pace): Promise<Float32Array> {
    const { din, dout } = this;
    const { power, epsilon, rotate } = this.#fields;
    const scales = new Float64Array(dout).fill(1);
    for (let i = 0; i < dout && power !== 0; i++) {
      const value = eigenvalues[i] + epsilon;
      if (!(value > 0)) {
        fail(
          "ERR_PARAMETER",
          `the training vectors differ in ${i} dimensions, so ${dout} can't be whitened: take fewer`,
        );
      }
      scales[i] = 1 / Math.sqrt(value);
    }
    if (!rotate) return Float32Array.from({ length: dout * din }, (_, at) => all[at] * scales[Math.floor(at / din)]);
    const rotation = await randomRotation(this.engine, dout, dout, ROTATION_SEED, pace);
    const matrix = new Float32Array(dout * din);
    const row = new Float64Array(din);
    for (let i = 0; i < dout; i++) {
      row.fill(0);
      for (let k = 0; k < dout; k++) {
        const share = rotation[i * dout + k] * scales[k];
        for (let j = 0; j < din; j++) row[j] += share * all[k * din + j];
      }
      matrix.set(row, i * din);
      await pace.step("rotation", i, dout);
    }
    return matrix;
  }

  override untrain(): void {
    super.untrain();
    this.#fields = { ...this.#fields, mean: NO_FLOATS, eigenvalues: NO_FLOATS, components: NO_FLOATS };
  }

  protected override writeFields(writer: Writer): void {
    const { fourcc, power, epsilon, rotate, bins, mean, eigenvalues, components: rows } = this.#fields;
    writer.f32(power);
    if (fourcc === "Pcam") writer.f32(epsilon);
    writer.bool(rotate);
    if (fourcc !== "PCAm") writer.i32(bins);
    for (const vector of [mean, eigenvalues, rows]) {
      writer.i64(vector.length);
      writer.raw(bytesOf(vector));
    }
  }
}

/** The eigenvectors of the vectors' covariance, times their number, in an engine of their own. */
async function components(
  { options }: Engine,
  vectors: Float32Array,
  d: number,
  mean: Float32Array,
  pace: Pace,
): Promise<{ values: Float64Array; vectors: Float64Array }> {
  const engine = new Engine(options);
  const kernels = moreKernels(engine);
  const n = vectors.length / d;
  const sums = engine.allocate(d * d * 8);
  const shift = engine.allocate(d * 4);
  const rows = engine.allocate(CHUNK * d * 4);
  const columns = engine.allocate(CHUNK * d * 4);
  const scratch = engine.allocate(kernels.addProductsScratch(d));
  engine.f32.set(mean, shift >>> 2);
  engine.u8.fill(0, sums, sums + d * d * 8);
  for (let i = 0; i < n; i += CHUNK) {
    const count = Math.min(CHUNK, n - i);
    engine.f32.set(vectors.subarray(i * d, (i + count) * d), rows >>> 2);
    kernels.shiftRows(rows, count, d, shift, -1);
    kernels.transposeRows(rows, count, d, columns, CHUNK);
    kernels.addProducts(columns, d, columns, d, CHUNK, true, sums, scratch);
    await pace.step("covariance", i + count, n);
  }
  for (const block of [rows, columns, scratch]) engine.release(block);
  return symmetricEigen(engine, kernels, sums, d, pace);
}
