import type { Engine } from "../wasm/engine.js";
import type { Pace } from "../work/pace.js";
import type { Analysis } from "./analysis.js";
import { Bytes, crc32 } from "./bytes.js";
import { RADII } from "./centroids.js";
import { HALF_UNIT, LEAST_SCALE_BITS } from "./decoder.js";
import { placeCoded } from "./numbers.js";
import { layerStart, writeHead } from "./head.js";
import type { Head } from "./head.js";
import { kernelsOf } from "./kernels.js";
import type { CodecKernels } from "./kernels.js";
import { placeModels, plainModel, shiftFor, writeModel } from "./models.js";
import type { Model } from "./models.js";
import { Prefix } from "./prefix.js";
import { settingsOf } from "./settings.js";
import { takeCounts } from "./tables.js";

/** Rows that models are fitted to, at most: a third of a voice of ten minutes, for tables of a few numbers each. */
const SAMPLE_ROWS = 6_144;
/** And for an estimate of the size, which is within 2 % with so many. */
const ESTIMATE_ROWS = 2_048;
/** How many steps of a layer one of the layer before makes. */
export const RATIO = 3;
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
  readonly #prefix: Prefix;
  readonly #blocks: number[] = [];
  #list: ListMemory | undefined;
  /** Projections, by how many rows were wanted. */
  readonly #samples = new Map<number, Sample>();

  private constructor(analysis: Analysis, prefix: Prefix) {
    this.#analysis = analysis;
    this.#engine = analysis.engine;
    this.#kernels = kernelsOf(analysis.engine);
    this.#prefix = prefix;
  }

  /** Makes the basis and the centroids for these steps. Rejects as {@link encode}; the engine's memory is then as it was. */
  static async at(analysis: Analysis, steps: readonly number[], pace: Pace): Promise<Encoder> {
    return new Encoder(analysis, await Prefix.at(analysis, steps, pace));
  }

  /** Gives its memory back. */
  release(): void {
    for (const address of this.#blocks) this.#engine.release(address);
    this.#prefix.release();
  }

  #take(bytes: number): number {
    const address = this.#engine.allocate(bytes);
    this.#blocks.push(address);
    return address;
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
    const prefix = this.#prefix.bytes;
    const head: Head = {
      d: cells.d,
      nlist,
      ntotal,
      nprobe: cells.nprobe,
      metric: cells.metric,
      ids: kind,
      gapBits,
      seed: this.#prefix.seed,
      unit: this.#analysis.unit,
      basisStep: this.#prefix.basisStep,
      centroidStep: Math.fround(this.#prefix.centroidStep / steps[0]),
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
    return Math.ceil(this.#prefix.widths[this.#prefix.widths.length - 1] / 4) * 4;
  }

  /** Writes the projections of a cell's rows to an address, and returns the sizes of their residuals. */
  #project(cell: number, z: number): Float32Array {
    const { basis } = this.#prefix;
    const { d, sizes } = this.#analysis.cells;
    const residuals = this.#analysis.residualsOf(cell, this.#prefix.centres);
    const width = this.#prefix.widths[this.#prefix.widths.length - 1];
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
    const radii = Uint8Array.from(
      chosen.flatMap((cell) => Array<number>(cells.sizes[cell]).fill(this.#prefix.radii[cell])),
    );
    let predicted: Int32Array | undefined;
    return steps.map((step, number) => {
      const width = this.#prefix.widths[number];
      const group = groupFor(starts[cells.sizes.length], width);
      const known = number === 0 ? 0 : this.#prefix.widths[number - 1];
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
      takeCounts(engine, kernels, models, table);
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
        basis: this.#prefix.basisStreams[number],
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
    const radii = new Uint8Array(n).fill(this.#prefix.radii[cell]);
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

/** A whole number from -127 to 127. */
function clampByte(value: number): number {
  return Math.max(-127, Math.min(127, Math.round(value)));
}
