import { fail } from "../errors.js";
import type { Engine } from "../wasm/engine.js";
import type { Pace } from "../work/pace.js";
import { rmsOf } from "./analysis.js";
import type { Analysis } from "./analysis.js";
import { Basis, drawn } from "./basis.js";
import { Bytes } from "./bytes.js";
import { centroidRow, placeCentroids, RADII } from "./centroids.js";
import { kernelsOf } from "./kernels.js";
import type { CodecKernels } from "./kernels.js";
import { plainModel, shiftFor, writeModel } from "./models.js";
import type { Model } from "./models.js";
import { BASIS_SHARE, settingsOf } from "./settings.js";
import { fitTable, writeTable } from "./tables.js";

/** A cell's radius is this share of the mean one at least: one of equal vectors has none, and its centroid would be as fine as that. */
const LEAST_RADIUS = 1 / 64;
/** The class of a column and cell whose numbers are 1 on average: two classes an octave, below the first all are alike. */
const CLASS_OF_ONE = 10;

/** The basis and the centroids: what a file begins with, and what vectors are then compared with. */
export class Prefix {
  /** Columns of each layer. */
  readonly widths: readonly number[];
  readonly basisStep: number;
  /** The step of centroids, for a radius of 1. */
  readonly centroidStep: number;
  /** What the rest of the space is drawn by. */
  seed = 1;
  /** The basis of all layers. */
  #basis: Basis | undefined;
  /** The streams of the rows of the basis that come with each layer. */
  basisStreams: Uint8Array[] = [];
  /** Of the cells. */
  radii: Uint8Array = new Uint8Array(0);
  /** Address of the centroids, as they will be read. */
  centres = 0;
  readonly #analysis: Analysis;
  readonly #engine: Engine;
  readonly #kernels: CodecKernels;
  readonly #bases: Basis[] = [];
  readonly #bytes = new Bytes();

  private constructor(analysis: Analysis, steps: readonly number[]) {
    this.#analysis = analysis;
    this.#engine = analysis.engine;
    this.#kernels = kernelsOf(analysis.engine);
    const { d } = analysis.cells;
    const { values } = analysis.directions;
    const [first] = steps;
    const settings = settingsOf(first);
    // What centroids are coarse by is in all directions, those that no residual had included.
    const coarse = (settings.centroidStep * first) ** 2 / 12;
    let least = 1;
    this.widths = steps.map((step) => {
      const limit = (settingsOf(step).least * step) ** 2;
      let width = 0;
      while (width < d && values[width] + coarse > limit) width++;
      return (least = Math.min(d, Math.max(least, Math.ceil(width / 8) * 8, 8)));
    });
    // The more vectors share a basis, the finer it pays to be.
    const share = Math.min(1, Math.sqrt(d / Math.max(1, analysis.ntotal) / BASIS_SHARE));
    this.basisStep = Math.fround((settings.basisStep * share) / Math.sqrt(d));
    this.centroidStep = settings.centroidStep * first;
  }

  /** That of a file at these steps. Rejects with ERR_NOT_FINITE, ERR_MEMORY or the signal's reason; the engine's memory is then as it was. */
  static async at(analysis: Analysis, steps: readonly number[], pace: Pace): Promise<Prefix> {
    const prefix = new Prefix(analysis, steps);
    try {
      await prefix.#prepare(pace);
      return prefix;
    } catch (error) {
      prefix.release();
      throw error;
    }
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.written;
  }

  get basis(): Basis {
    return this.#basis ?? fail("ERR_NOT_TRAINED", "prepare first");
  }

  /** Gives its memory back. */
  release(): void {
    for (const basis of this.#bases) basis.release();
    this.#engine.release(this.centres);
    this.#engine.dropScratch();
  }

  async #prepare(pace: Pace): Promise<void> {
    const { cells, ids } = this.#analysis;
    const prefix = this.#bytes;
    for (const size of cells.sizes) prefix.varint(size);
    const numbers = this.#basisNumbers();
    const { model, streams } = this.#writeBasis(numbers);
    const full = await this.#makeBases(numbers, pace);
    this.#writeCentroids(full, prefix);
    writeModel(prefix, model, false);
    prefix.u32(streams[0].length);
    prefix.raw(streams[0]);
    prefix.raw(ids.bytes);
    this.basisStreams = streams;
    if (full !== this.#basis) {
      full.release();
      this.#bases.splice(this.#bases.indexOf(full), 1);
    }
    await pace.step("encode", 0, cells.sizes.length);
  }

  /** The directions as whole numbers. */
  #basisNumbers(): Int16Array {
    const { d } = this.#analysis.cells;
    const { vectors } = this.#analysis.directions;
    const width = this.widths[this.widths.length - 1];
    const numbers = new Int16Array(width * d);
    for (let i = 0; i < numbers.length; i++) {
      numbers[i] = Math.max(-32767, Math.min(32767, Math.round(vectors[i] / this.basisStep)));
    }
    return numbers;
  }

  /** Their model, and a stream for the rows that come with each layer. */
  #writeBasis(numbers: Int16Array): { model: Model; streams: Uint8Array[] } {
    const { d } = this.#analysis.cells;
    let sum = 0;
    for (const number of numbers) sum += Math.abs(number);
    const model = plainModel(shiftFor(sum / numbers.length));
    const models = [model];
    const columns = new Uint16Array(d);
    fitTable(this.#engine, this.#kernels, { numbers, width: d, models, columns });
    const streams = this.widths.map((width, layer) => {
      const before = layer === 0 ? 0 : this.widths[layer - 1];
      if (width === before) return new Uint8Array(0);
      const part = numbers.subarray(before * d, width * d);
      return writeTable(this.#engine, this.#kernels, { numbers: part, width: d, models, columns });
    });
    return { model, streams };
  }

  /** The basis of all layers, and the one that fills the space, which is the same where there is one layer. */
  async #makeBases(numbers: Int16Array, pace: Pace): Promise<Basis> {
    const { d } = this.#analysis.cells;
    const [width] = this.widths;
    const last = this.widths[this.widths.length - 1];
    const write = (first: number, n: number, into: Float32Array): void => {
      for (let i = 0; i < n * d; i++) into[i] = numbers[first * d + i] * this.basisStep;
    };
    for (this.seed = 1; ; this.seed++) {
      const full = new Basis(this.#engine, this.#kernels, d, d);
      this.#bases.push(full);
      if (!(await full.append(width, write, pace))) fail("ERR_NOT_FINITE", "the vectors have no directions");
      if (width === d || (await full.append(d - width, drawn(this.seed), pace))) {
        this.#basis = full;
        if (last > width) {
          this.#basis = new Basis(this.#engine, this.#kernels, d, last);
          this.#bases.push(this.#basis);
          if (!(await this.#basis.append(last, write, pace))) fail("ERR_NOT_FINITE", "the vectors have no directions");
        }
        return full;
      }
      // Another draw.
      full.release();
      this.#bases.pop();
    }
  }

  /** Radii, mean and centroids: writes them, and keeps what they will be read as. */
  #writeCentroids(full: Basis, prefix: Bytes): void {
    const { cells, unit, residuals, starts } = this.#analysis;
    const { d, sizes, centroids } = cells;
    const nlist = sizes.length;
    const engine = this.#engine;
    const kernels = this.#kernels;
    const step = this.centroidStep;

    const all = rmsOf(residuals);
    this.radii = Uint8Array.from(sizes, (size, cell) => {
      const own = size === 0 ? all : rmsOf(residuals.subarray(starts[cell], starts[cell + 1]));
      return radiusOf(Math.max(own, all * LEAST_RADIUS));
    });

    const mean = new Float64Array(d);
    for (let cell = 0; cell < nlist; cell++) {
      for (let j = 0; j < d; j++) mean[j] += centroids[cell * d + j];
    }
    let most = 0;
    for (let j = 0; j < d; j++) most = Math.max(most, Math.abs((mean[j] = mean[j] / nlist / unit)));
    const meanStep = Math.fround(most / 32767);
    const meanNumbers = Int16Array.from(mean, (value) =>
      meanStep > 0 ? Math.max(-32767, Math.min(32767, Math.round(value / meanStep))) : 0,
    );
    const meanRead = Float32Array.from(meanNumbers, (value) => value * meanStep);

    // Along the full basis, a block of cells at a time.
    const numbers = new Int16Array(nlist * d);
    const sums = new Float64Array(d);
    const block = 64;
    engine.reserveScratch(2 * (block * d * 4 + 64) + block * d * 2 + block * 4 + 256);
    const rows = engine.takeScratch(block * d * 4);
    const z = engine.takeScratch(block * d * 4);
    const whole = engine.takeScratch(block * d * 2);
    const factors = engine.takeScratch(block * 4);
    for (let first = 0; first < nlist; first += block) {
      const n = Math.min(block, nlist - first);
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < d; j++) {
          engine.f32[(rows >>> 2) + i * d + j] = centroids[(first + i) * d + j] / unit - meanRead[j];
        }
        engine.f32[(factors >>> 2) + i] = 1 / (step * RADII[this.radii[first + i]]);
      }
      kernels.product(rows, n, d, d, full.asColumns, d, d, 0, z, d);
      for (let i = 0; i < n * d; i++) sums[i % d] += Math.abs(engine.f32[(z >>> 2) + i]);
      kernels.quantize(z, n, d, d, factors, 0.5, 0.5, whole, d);
      numbers.set(new Int16Array(engine.u8.buffer, whole, n * d), first * d);
    }

    const classes = Uint8Array.from(sums, (sum) => radiusOf(sum / nlist / step) >> 1);
    const base = CLASS_OF_ONE;
    let highest = 0;
    for (const radius of this.radii) {
      for (const own of classes) highest = Math.max(highest, own + centroidRow(base, radius));
    }
    const models = Array.from({ length: Math.min(255, highest + 1) }, (_, i) => {
      // 64 is the number of the radius 1.
      const size = RADII[Math.max(0, Math.min(RADII.length - 1, 64 + 2 * (i - CLASS_OF_ONE)))];
      return plainModel(shiftFor(size));
    });
    const columns = Uint16Array.from(classes);
    const added = Int32Array.from(this.radii, (radius) => centroidRow(base, radius));
    const table = { numbers, width: d, models, columns, classes: added };
    fitTable(engine, kernels, table);
    const stream = writeTable(engine, kernels, table);

    prefix.f32(meanStep);
    for (const value of meanNumbers) prefix.u16(value & 0xffff);
    prefix.raw(this.radii);
    prefix.raw(classes);
    prefix.u16(base);
    prefix.u8(models.length);
    for (const model of models) writeModel(prefix, model, false);
    prefix.u32(stream.length);
    prefix.raw(stream);

    this.centres = engine.allocate(nlist * d * 4);
    const steps = Float32Array.from(this.radii, (radius) => RADII[radius] * step);
    placeCentroids(engine, kernels, numbers, steps, meanRead, full, this.centres);
  }
}

/** The number of the radius that is nearest to one. */
function radiusOf(value: number): number {
  let number = 0;
  while (number < RADII.length - 1 && 2 * value > RADII[number] + RADII[number + 1]) number++;
  return number;
}
