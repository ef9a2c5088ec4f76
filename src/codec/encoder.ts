import { fail } from "../errors.js";
import type { Engine } from "../wasm/engine.js";
import type { Pace } from "../work/pace.js";
import { rmsOf } from "./analysis.js";
import type { Analysis } from "./analysis.js";
import { Basis, drawn } from "./basis.js";
import { Bytes, crc32 } from "./bytes.js";
import { centroidRow, HALF_UNIT, LEAST_SCALE_BITS, placeCentroids, placeCoded, RADII } from "./decoder.js";
import { layerStart, writeHead } from "./head.js";
import type { Head } from "./head.js";
import { kernelsOf } from "./kernels.js";
import type { CodecKernels } from "./kernels.js";
import { fitTables, placeModels, plainModel, shiftFor, writeModel } from "./models.js";
import type { Model } from "./models.js";
import { BASIS_SHARE, settingsOf } from "./settings.js";

/** Rows that models are fitted to, at most: a third of a voice of ten minutes, for tables of a few numbers each. */
const SAMPLE_ROWS = 6_144;
/** And for an estimate of the size, which is within 2 % with so many. */
const ESTIMATE_ROWS = 2_048;
/** How many steps of a layer one of the layer before makes. */
export const RATIO = 3;
/** A cell's radius is this share of the mean one at least: one of equal vectors has none, and its centroid would be as fine as that. */
const LEAST_RADIUS = 1 / 64;
/** The class of a column and cell whose numbers are 1 on average: two classes an octave, below the first all are alike. */
const CLASS_OF_ONE = 10;

/** A voice file, and its head. */
export interface Encoded {
  /** Empty for an estimate. */
  bytes: Uint8Array<ArrayBuffer>;
  head: Head;
  /** Bytes of the file, or about as many. */
  size: number;
}

/** Columns that share a model: more of them where there are fewer rows to learn from. */
function groupFor(rows: number, width: number): number {
  return Math.min(width, rows >= 8192 ? 8 : rows >= 2048 ? 16 : rows >= 512 ? 32 : 64);
}

/**
 * Encodes vectors at steps, each a layer and a third of the one before.
 *
 * @returns rejects with ERR_MEMORY, or the signal's reason
 */
export async function encode(analysis: Analysis, steps: readonly number[], pace: Pace): Promise<Encoded> {
  const encoder = await Encoder.at(analysis, steps, pace);
  try {
    return await encoder.encode(steps, pace);
  } finally {
    encoder.release();
  }
}

/** What a layer is written with. */
interface OpenLayer {
  step: number;
  width: number;
  /** What is added before projections are cut to whole steps; below so many they are 0. */
  round: number;
  least: number;
  group: number;
  models: Model[];
  coded: { models: number; columns: number; count: number };
  ones: number;
  twos: number;
  /** Rows of the basis that come with it. */
  basis: Uint8Array;
  lengths: Bytes;
  data: Bytes;
}

/** Addresses of what a list is encoded in. */
interface ListMemory {
  z: number;
  /** The numbers of a layer and of the one before, in turn. */
  numbers: number;
  others: number;
  factors: number;
  floats: number;
  halves: number;
  outEnd: number;
}

/** Rows of some cells, one after the other in the engine's memory: their projections, and 1 / (size of residual). */
interface Sample {
  cells: number[];
  rows: number;
  z: number;
  sizes: Float32Array;
}

/**
 * What makes files of one basis and centroids, which are those for some steps and do for others near them: a file's size at a few steps is
 * asked for at the price of one basis.
 *
 *     const encoder = await Encoder.at(analysis, [0.2], pace);
 *     if ((await encoder.estimate([0.19], pace)) <= bytes) file = await encoder.encode([0.19], pace);
 *     encoder.release();
 */
export class Encoder {
  readonly #analysis: Analysis;
  readonly #engine: Engine;
  readonly #kernels: CodecKernels;
  readonly #blocks: number[] = [];
  readonly #bases: Basis[] = [];
  readonly #widths: number[];
  readonly #basisStep: number;
  /** The step of centroids, for a radius of 1. */
  readonly #centroidStep: number;
  readonly #prefix = new Bytes();
  #seed = 1;
  #centres = 0;
  #basis: Basis | undefined;
  #radii = new Uint8Array(0);
  #list: ListMemory | undefined;
  /** Projections, by how many rows were wanted. */
  readonly #samples = new Map<number, Sample>();
  /** The streams of the rows of the basis that come with each layer. */
  #basisStreams: Uint8Array[] = [];

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
    this.#widths = steps.map((step) => {
      const limit = (settingsOf(step).least * step) ** 2;
      let width = 0;
      while (width < d && values[width] + coarse > limit) width++;
      return (least = Math.min(d, Math.max(least, Math.ceil(width / 8) * 8, 8)));
    });
    // The more vectors share a basis, the finer it pays to be.
    const share = Math.min(1, Math.sqrt(d / Math.max(1, analysis.ntotal) / BASIS_SHARE));
    this.#basisStep = Math.fround((settings.basisStep * share) / Math.sqrt(d));
    this.#centroidStep = settings.centroidStep * first;
  }

  /** Makes the basis and the centroids for these steps. Rejects as {@link encode}; the engine's memory is then as it was. */
  static async at(analysis: Analysis, steps: readonly number[], pace: Pace): Promise<Encoder> {
    const encoder = new Encoder(analysis, steps);
    try {
      await encoder.#prepare(pace);
      return encoder;
    } catch (error) {
      encoder.release();
      throw error;
    }
  }

  /** Gives its memory back. */
  release(): void {
    for (const basis of this.#bases) basis.release();
    for (const address of this.#blocks) this.#engine.release(address);
    this.#engine.dropScratch();
  }

  #take(bytes: number): number {
    const address = this.#engine.allocate(bytes);
    this.#blocks.push(address);
    return address;
  }

  /** The basis and the centroids: what the prefix has, and what vectors are then compared with. */
  async #prepare(pace: Pace): Promise<void> {
    const { cells, ids } = this.#analysis;
    const prefix = this.#prefix;
    for (const size of cells.sizes) prefix.varint(size);
    const numbers = this.#basisNumbers();
    const { model, streams } = this.#writeBasis(numbers);
    const full = await this.#makeBases(numbers, pace);
    this.#writeCentroids(full, prefix);
    writeModel(prefix, model, false);
    prefix.u32(streams[0].length);
    prefix.raw(streams[0]);
    prefix.raw(ids.bytes);
    this.#basisStreams = streams;
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
    const width = this.#widths[this.#widths.length - 1];
    const numbers = new Int16Array(width * d);
    for (let i = 0; i < numbers.length; i++) {
      numbers[i] = Math.max(-32767, Math.min(32767, Math.round(vectors[i] / this.#basisStep)));
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
    this.#fitNumbers(numbers, d, models, new Uint16Array(d), undefined);
    const streams = this.#widths.map((width, layer) => {
      const before = layer === 0 ? 0 : this.#widths[layer - 1];
      return width === before
        ? new Uint8Array(0)
        : this.#writeNumbers(numbers.subarray(before * d, width * d), d, models, new Uint16Array(d), undefined);
    });
    return { model, streams };
  }

  /** The basis of all layers, and the one that fills the space, which is the same where there is one layer. */
  async #makeBases(numbers: Int16Array, pace: Pace): Promise<Basis> {
    const { d } = this.#analysis.cells;
    const [width] = this.#widths;
    const last = this.#widths[this.#widths.length - 1];
    const write = (first: number, n: number, into: Float32Array): void => {
      for (let i = 0; i < n * d; i++) into[i] = numbers[first * d + i] * this.#basisStep;
    };
    for (this.#seed = 1; ; this.#seed++) {
      const full = new Basis(this.#engine, this.#kernels, d, d);
      this.#bases.push(full);
      if (!(await full.append(width, write, pace))) fail("ERR_NOT_FINITE", "the vectors have no directions");
      if (width === d || (await full.append(d - width, drawn(this.#seed), pace))) {
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
    const step = this.#centroidStep;

    const all = rmsOf(residuals);
    this.#radii = Uint8Array.from(sizes, (size, cell) => {
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
        engine.f32[(factors >>> 2) + i] = 1 / (step * RADII[this.#radii[first + i]]);
      }
      kernels.product(rows, n, d, d, full.asColumns, d, d, 0, z, d);
      for (let i = 0; i < n * d; i++) sums[i % d] += Math.abs(engine.f32[(z >>> 2) + i]);
      kernels.quantize(z, n, d, d, factors, 0.5, 0.5, whole, d);
      numbers.set(new Int16Array(engine.u8.buffer, whole, n * d), first * d);
    }

    const classes = Uint8Array.from(sums, (sum) => radiusOf(sum / nlist / step) >> 1);
    const base = CLASS_OF_ONE;
    let highest = 0;
    for (const radius of this.#radii) {
      for (const own of classes) highest = Math.max(highest, own + centroidRow(base, radius));
    }
    const models = Array.from({ length: Math.min(255, highest + 1) }, (_, i) => {
      // 64 is the number of the radius 1.
      const size = RADII[Math.max(0, Math.min(RADII.length - 1, 64 + 2 * (i - CLASS_OF_ONE)))];
      return plainModel(shiftFor(size));
    });
    const columns = Uint16Array.from(classes);
    const added = Int32Array.from(this.#radii, (radius) => centroidRow(base, radius));
    this.#fitNumbers(numbers, d, models, columns, added);
    const stream = this.#writeNumbers(numbers, d, models, columns, added);

    prefix.f32(meanStep);
    for (const value of meanNumbers) prefix.u16(value & 0xffff);
    prefix.raw(this.#radii);
    prefix.raw(classes);
    prefix.u16(base);
    prefix.u8(models.length);
    for (const model of models) writeModel(prefix, model, false);
    prefix.u32(stream.length);
    prefix.raw(stream);

    this.#centres = this.#take(nlist * d * 4);
    const steps = Float32Array.from(this.#radii, (radius) => RADII[radius] * step);
    placeCentroids(engine, kernels, numbers, steps, meanRead, full, this.#centres);
  }

  /** Fits models to a table of numbers that has a stream of its own. */
  #fitNumbers(
    numbers: Int16Array,
    width: number,
    models: Model[],
    columns: Uint16Array,
    classes: Int32Array | undefined,
  ): void {
    this.#withNumbers(numbers, width, models, columns, classes, (at, rows, coded, added) => {
      const cells = models.length * this.#kernels.CONTEXTS.value * this.#kernels.SYMBOLS.value;
      const counts = this.#engine.allocate(cells * 4);
      this.#engine.u32.fill(0, counts >>> 2, (counts >>> 2) + cells);
      this.#kernels.countRows(
        rows,
        width,
        width,
        coded.models,
        coded.count,
        coded.columns,
        added,
        at,
        0,
        0,
        at,
        0,
        counts,
      );
      this.#takeCounts(models, counts);
      this.#engine.release(counts);
    });
  }

  #takeCounts(models: Model[], counts: number): void {
    const per = this.#kernels.CONTEXTS.value * this.#kernels.SYMBOLS.value;
    models.forEach((model, i) => {
      const first = (counts >>> 2) + i * per;
      fitTables(model, this.#engine.u32.subarray(first, first + per));
    });
  }

  /** The stream of such a table. */
  #writeNumbers(
    numbers: Int16Array,
    width: number,
    models: Model[],
    columns: Uint16Array,
    classes: Int32Array | undefined,
  ): Uint8Array {
    return this.#withNumbers(numbers, width, models, columns, classes, (at, rows, coded, added) => {
      const room = numbers.length * 8 + 64;
      const out = this.#engine.allocate(room);
      const start = this.#kernels.writeRows(
        out + room,
        rows,
        width,
        width,
        coded.models,
        coded.count,
        coded.columns,
        added,
        at,
        0,
        0,
        at,
        0,
      );
      const bytes = this.#engine.u8.slice(start, out + room);
      this.#engine.release(out);
      return bytes;
    });
  }

  #withNumbers<T>(
    numbers: Int16Array,
    width: number,
    models: Model[],
    columns: Uint16Array,
    classes: Int32Array | undefined,
    use: (at: number, rows: number, coded: OpenLayer["coded"], classes: number) => T,
  ): T {
    const engine = this.#engine;
    const blocks: number[] = [];
    try {
      const coded = placeCoded(engine, models, columns, blocks);
      const at = engine.allocate(numbers.byteLength);
      blocks.push(at);
      engine.u8.set(new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength), at);
      let added = 0;
      if (classes !== undefined) {
        added = engine.allocate(classes.length * 4);
        blocks.push(added);
        engine.i32.set(classes, added >>> 2);
      }
      return use(at, numbers.length / width, coded, added);
    } finally {
      for (const address of blocks) engine.release(address);
    }
  }

  /** The file at as many steps as it was made for, near those. */
  async encode(steps: readonly number[], pace: Pace): Promise<Encoded> {
    return this.#encode(steps, pace, false);
  }

  /** About how many bytes it has: within 2 %, always on the same side. */
  async estimate(steps: readonly number[], pace: Pace): Promise<number> {
    return (await this.#encode(steps, pace, true)).size;
  }

  async #encode(steps: readonly number[], pace: Pace, estimate: boolean): Promise<Encoded> {
    const sample = await this.#sample(estimate ? ESTIMATE_ROWS : SAMPLE_ROWS, pace);
    const kept = this.#blocks.length;
    try {
      return await this.#lists(steps.map(Math.fround), sample, pace, estimate);
    } finally {
      for (const block of this.#blocks.splice(kept)) this.#engine.release(block);
      this.#list = undefined;
    }
  }

  /** Encodes the lists, and puts the file together. */
  async #lists(steps: readonly number[], sample: Sample, pace: Pace, estimate: boolean): Promise<Encoded> {
    const { cells, starts } = this.#analysis;
    const nlist = cells.sizes.length;
    const ntotal = starts[nlist];
    const layers = this.#openLayers(steps, sample);
    let rows = 0;
    for (const cell of estimate ? sample.cells : cells.sizes.keys()) {
      this.#writeList(cell, layers);
      rows += cells.sizes[cell];
      await pace.step(estimate ? "try" : "encode", rows, estimate ? sample.rows : ntotal);
    }
    const more = rows === 0 ? 1 : ntotal / rows;

    const sides = layers.map((layer, i) => {
      const side = new Bytes();
      const basis = i === 0 ? new Uint8Array(0) : layer.basis;
      side.u32(basis.length);
      side.raw(basis);
      for (const model of layer.models) writeModel(side, model, i > 0);
      side.raw(layer.lengths.written);
      return side.written;
    });
    const { gapBits, kind } = this.#analysis.ids;
    const prefix = this.#prefix.written;
    const head: Head = {
      d: cells.d,
      nlist,
      ntotal,
      nprobe: cells.nprobe,
      metric: cells.metric,
      ids: kind,
      gapBits,
      seed: this.#seed,
      unit: this.#analysis.unit,
      basisStep: this.#basisStep,
      centroidStep: Math.fround(this.#centroidStep / steps[0]),
      prefixBytes: prefix.length,
      prefixCrc: estimate ? 0 : crc32(prefix),
      layers: layers.map(({ step, width, group, data }, i) => ({
        step,
        ratio: i === 0 ? 0 : RATIO,
        width,
        group,
        sideBytes: sides[i].length,
        sideCrc: estimate ? 0 : crc32(sides[i]),
        dataBytes: data.length,
        dataCrc: estimate ? 0 : crc32(data.written),
      })),
    };
    if (estimate) {
      // Side sections are nearly as long for a part; what is missing is the lengths of the other lists.
      const data = layers.reduce((sum, layer) => sum + (layer.data.length + layer.lengths.length) * (more - 1), 0);
      return { bytes: new Uint8Array(0), head, size: Math.round(layerStart(head, layers.length) + data) };
    }
    const bytes = new Uint8Array(layerStart(head, layers.length));
    let at = 0;
    for (const part of [writeHead(head), prefix, ...layers.flatMap((layer, i) => [sides[i], layer.data.written])]) {
      bytes.set(part, at);
      at += part.length;
    }
    return { bytes, head, size: bytes.length };
  }

  /** Projections of a part of the cells, from all of them alike. */
  async #sample(most: number, pace: Pace): Promise<Sample> {
    const kept = this.#samples.get(most);
    if (kept !== undefined) return kept;
    const { cells, starts } = this.#analysis;
    const nlist = cells.sizes.length;
    const every = Math.max(1, Math.ceil(starts[nlist] / most));
    const chosen: number[] = [];
    let rows = 0;
    for (let cell = 0; cell < nlist; cell += every) {
      if (cells.sizes[cell] === 0) continue;
      chosen.push(cell);
      rows += cells.sizes[cell];
    }
    if (rows === 0) {
      for (let cell = 0; cell < nlist; cell++) {
        if (cells.sizes[cell] === 0) continue;
        chosen.push(cell);
        rows += cells.sizes[cell];
      }
    }
    const stride = this.#stride;
    const z = this.#take(Math.max(4, rows * stride * 4));
    const sizes = new Float32Array(rows);
    let row = 0;
    for (const cell of chosen) {
      sizes.set(this.#project(cell, z + row * stride * 4), row);
      row += cells.sizes[cell];
      await pace.step("fit", row, rows);
    }
    const sample = { cells: chosen, rows, z, sizes };
    this.#samples.set(most, sample);
    return sample;
  }

  /** Numbers from one row to the next: a multiple of 4, so that registers of four fit. */
  get #stride(): number {
    return Math.ceil(this.#widths[this.#widths.length - 1] / 4) * 4;
  }

  /** Writes the projections of a cell's rows to an address, and returns the sizes of their residuals. */
  #project(cell: number, z: number): Float32Array {
    const basis = this.#basis ?? fail("ERR_NOT_TRAINED", "prepare first");
    const { d, sizes } = this.#analysis.cells;
    const residuals = this.#analysis.residualsOf(cell, this.#centres);
    const width = this.#widths[this.#widths.length - 1];
    this.#kernels.product(residuals.address, sizes[cell], d, d, basis.asColumns, d, width, 0, z, this.#stride);
    return residuals.sizes;
  }

  /** 1 / (size x step) of rows, into memory. */
  #factors(sizes: Float32Array, step: number, address: number): void {
    const { f32 } = this.#engine;
    for (let i = 0; i < sizes.length; i++) f32[(address >>> 2) + i] = sizes[i] > 0 ? 1 / (sizes[i] * step) : 0;
  }

  /** Fits the models of all layers to a sample. */
  #openLayers(steps: readonly number[], { cells: chosen, rows, z, sizes }: Sample): OpenLayer[] {
    const engine = this.#engine;
    const kernels = this.#kernels;
    const { cells, starts } = this.#analysis;
    const stride = this.#stride;
    const factors = this.#take(Math.max(4, rows * 4));
    const floats = this.#take(Math.max(4, rows * 4));
    const halves = this.#take(Math.max(4, rows * 4));
    let before = this.#take(Math.max(4, rows * stride * 2));
    let numbers = this.#take(Math.max(4, rows * stride * 2));
    const sums = this.#take(stride * 32);
    const clear = (count: number): void => void engine.f64.fill(0, sums >>> 3, (sums >>> 3) + count);
    const radii = Uint8Array.from(chosen.flatMap((cell) => Array<number>(cells.sizes[cell]).fill(this.#radii[cell])));
    let predicted: Int32Array | undefined;
    return steps.map((step, number) => {
      const width = this.#widths[number];
      const group = groupFor(starts[cells.sizes.length], width);
      const known = number === 0 ? 0 : this.#widths[number - 1];
      const ratio = number === 0 ? 0 : RATIO;
      const least = Math.fround(0.5 + settingsOf(step).deadZone);
      // Where layers follow, only 0 has a part that is not of one step: the parts of the other numbers are whole ones of the next layer.
      const round = steps.length > 1 ? 0.5 : Math.fround(0.5 - settingsOf(step).shrink);
      [before, numbers] = [numbers, before];
      this.#factors(sizes, step, factors);
      kernels.quantize(z, rows, width, stride, factors, round, least, numbers, stride);
      const models = Array.from({ length: Math.ceil(width / group) + 1 }, () => plainModel(0));
      const columns = Uint16Array.from({ length: width }, (_, j) => Math.floor(j / group));

      clear(width);
      kernels.addMagnitudes(numbers, rows, width, stride, 0, sums);
      const means = Float64Array.from(engine.f64.subarray(sums >>> 3, (sums >>> 3) + width), (x) =>
        rows > 0 ? x / rows : 0,
      );
      for (let i = 0; i < models.length - 1; i++) {
        const part = means.subarray(i * group, (i + 1) * group);
        if (number === 0) models[i].shift = shiftFor(part.reduce((sum, mean) => sum + mean, 0) / part.length);
      }
      clear(width * 4);
      kernels.addMeans(z, rows, width, stride, factors, numbers, stride, sums);
      for (let i = 0; i < models.length - 1; i++) {
        const mean = [0, 0, 0, 0];
        for (let j = i * group; j < Math.min(width, (i + 1) * group); j++) {
          for (let k = 0; k < 4; k++) mean[k] += engine.f64[(sums >>> 3) + 4 * j + k];
        }
        models[i].one = mean[0] === 0 ? 0 : clampByte((mean[1] / mean[0] - 1) * 256);
        models[i].two = mean[2] === 0 ? 0 : clampByte((mean[3] / mean[2] - 2) * 256);
      }

      const padded = Math.ceil(width / 4) * 4;
      const ones = this.#take(padded * 8);
      const twos = ones + padded * 4;
      for (let j = 0; j < padded; j++) {
        const model = models[Math.min(models.length - 2, Math.floor(j / group))];
        engine.f32[(ones >>> 2) + j] = model.one / 256;
        engine.f32[(twos >>> 2) + j] = model.two / 256;
      }

      // The scales, and how far they are from what they are taken for.
      const scaleModel = models[models.length - 1];
      kernels.fitScales(z, rows, width, stride, numbers, stride, ones, twos, floats);
      kernels.toHalves(floats, rows, HALF_UNIT, halves);
      const own = engine.i32.slice(halves >>> 2, (halves >>> 2) + rows);
      const taken = this.#predict(predicted, radii, step, floats, halves);
      let away = 0;
      for (let i = 0; i < rows; i++) away += Math.abs((engine.i32[(halves >>> 2) + i] = own[i] - taken[i]));
      scaleModel.shift = Math.max(LEAST_SCALE_BITS, shiftFor(rows > 0 ? away / rows : 0));

      const coded = placeCoded(engine, models, columns, this.#blocks);
      const counts = models.length * kernels.CONTEXTS.value * kernels.SYMBOLS.value;
      const table = this.#take(counts * 4);
      engine.u32.fill(0, table >>> 2, (table >>> 2) + counts);
      kernels.countRows(
        rows,
        width,
        stride,
        coded.models,
        coded.count,
        coded.columns,
        0,
        before,
        known,
        ratio,
        numbers,
        halves,
        table,
      );
      this.#takeCounts(models, table);
      placeModels(engine, kernels, models, coded.models);
      predicted = own;
      return {
        step,
        width,
        round,
        least,
        group,
        models,
        coded,
        ones,
        twos,
        basis: this.#basisStreams[number],
        lengths: new Bytes(),
        data: new Bytes(),
      };
    });
  }

  /** What scales are taken for: by the radii of their cells, or by those of the layer before. `floats` and `halves` are overwritten. */
  #predict(
    before: Int32Array | undefined,
    radii: ArrayLike<number>,
    step: number,
    floats: number,
    halves: number,
  ): Int32Array {
    const engine = this.#engine;
    const rows = radii.length;
    if (before === undefined) {
      for (let i = 0; i < rows; i++) engine.f32[(floats >>> 2) + i] = RADII[radii[i]] * step * HALF_UNIT;
      this.#kernels.toHalves(floats, rows, 1, halves);
    } else {
      engine.i32.set(before, halves >>> 2);
      this.#kernels.fromHalves(halves, rows, 1, floats);
      this.#kernels.toHalves(floats, rows, Math.fround(1 / RATIO), halves);
    }
    return engine.i32.slice(halves >>> 2, (halves >>> 2) + rows);
  }

  /** Appends a cell's list to each layer. */
  #writeList(cell: number, layers: OpenLayer[]): void {
    const engine = this.#engine;
    const kernels = this.#kernels;
    const n = this.#analysis.cells.sizes[cell];
    if (n === 0) {
      for (const { lengths } of layers) lengths.varint(0);
      return;
    }
    const stride = this.#stride;
    const list = (this.#list ??= this.#takeList());
    const sizes = this.#project(cell, list.z);
    const radii = new Uint8Array(n).fill(this.#radii[cell]);
    let predicted: Int32Array | undefined;
    layers.forEach(({ step, width, round, least, coded, ones, twos, lengths, data }, number) => {
      const before = number % 2 === 0 ? list.numbers : list.others;
      const numbers = number % 2 === 0 ? list.others : list.numbers;
      this.#factors(sizes, step, list.factors);
      kernels.quantize(list.z, n, width, stride, list.factors, round, least, numbers, stride);
      kernels.fitScales(list.z, n, width, stride, numbers, stride, ones, twos, list.floats);
      kernels.toHalves(list.floats, n, HALF_UNIT, list.halves);
      const own = engine.i32.slice(list.halves >>> 2, (list.halves >>> 2) + n);
      const taken = this.#predict(predicted, radii, step, list.floats, list.halves);
      for (let i = 0; i < n; i++) engine.i32[(list.halves >>> 2) + i] = own[i] - taken[i];
      const known = number === 0 ? 0 : layers[number - 1].width;
      const ratio = number === 0 ? 0 : RATIO;
      const { models, count, columns } = coded;
      const start = kernels.writeRows(
        list.outEnd,
        n,
        width,
        stride,
        models,
        count,
        columns,
        0,
        before,
        known,
        ratio,
        numbers,
        list.halves,
      );
      lengths.varint(list.outEnd - start);
      data.raw(engine.u8.subarray(start, list.outEnd));
      predicted = own;
    });
  }

  /** Memory for the longest list. */
  #takeList(): ListMemory {
    const rows = this.#analysis.cells.sizes.reduce((most, size) => Math.max(most, size), 1);
    const stride = this.#stride;
    const out = rows * (stride + 1) * 8 + 64;
    return {
      z: this.#take(rows * stride * 4),
      numbers: this.#take(rows * stride * 2),
      others: this.#take(rows * stride * 2),
      factors: this.#take(rows * 4),
      floats: this.#take(rows * 4),
      halves: this.#take(rows * 4),
      outEnd: this.#take(out) + out,
    };
  }
}

/** The number of the radius that is nearest to one. */
function radiusOf(value: number): number {
  let number = 0;
  while (number < RADII.length - 1 && 2 * value > RADII[number] + RADII[number + 1]) number++;
  return number;
}

/** A whole number from -127 to 127. */
function clampByte(value: number): number {
  return Math.max(-127, Math.min(127, Math.round(value)));
}
