import type { Engine } from "../wasm/engine.js";
import { fail } from "../errors.js";
import { Pace } from "../work/pace.js";
import { Basis, drawn } from "./basis.js";
import { crc32, Section, wrong } from "./bytes.js";
import { centroidRow, placeCentroids, RADII } from "./centroids.js";
import { IDS_NONE } from "./head.js";
import type { Head } from "./head.js";
import { readIds } from "./ids.js";
import { kernelsOf } from "./kernels.js";
import type { CodecKernels } from "./kernels.js";
import { readModel } from "./models.js";
import type { Model } from "./models.js";
import { placeCoded, readNumbers } from "./numbers.js";
import type { Coded } from "./numbers.js";

/** Scales are kept as halves of 64 times themselves: residuals having an rms of about 1, these are numbers that halves have. */
export const HALF_UNIT = 64;
/** The low bits that the model of scales has at least, so that a row is half a byte of its list at least. */
export const LEAST_SCALE_BITS = 4;

/** What a layer has beside the numbers of its lists. */
export interface Layer extends Coded {
  /** Addresses of a float for each column: what 1 and 2 stand for in it, beyond themselves. */
  ones: number;
  twos: number;
  /** Where each list begins in the layer's data; at nlist, where the last one ends. */
  starts: Float64Array;
}

/** What the prefix of a file says, beside its numbers. */
interface Prefix {
  sizes: Uint32Array;
  meanStep: number;
  mean: Int16Array;
  radii: Uint8Array;
  classes: Uint8Array;
  centroidModels: Model[];
  /** Added to the classes of column and row for the number of a model. */
  centroidBase: number;
  centroids: Uint8Array;
  basisModel: Model;
  basis: Uint8Array;
  ids: Uint8Array;
}

/**
 * What is needed to decode lists of a voice file, in an engine's memory: the basis, the centroids, and of each layer that is opened its
 * models. Lists can be decoded in any order, each layer of a list after the one before.
 *
 *     const decoder = await VoiceDecoder.open(engine, head, prefix, pace);
 *     await decoder.openLayer(0, side);                       // side sections, in order
 *     decoder.readList(list, 0, bytes, numbers, scales);       // numbers (i16) and scales (i32) of its rows, in place
 *     decoder.writeRows(list, 0, numbers, scales, address);    // the rows (f32) that they stand for
 */
export class VoiceDecoder {
  readonly head: Head;
  readonly engine: Engine;
  /** Rows of each list. */
  readonly sizes: Uint32Array;
  /** Address of nlist x d f32. */
  readonly centroids: number;
  /** Numbers from one row to the next. */
  readonly stride: number;
  readonly #kernels: CodecKernels;
  readonly #prefix: Prefix;
  readonly #layers: Layer[] = [];
  readonly #blocks: number[] = [];
  #basis: Basis | undefined;
  /** Bytes of a list, and the floats of its rows, grown when needed. */
  readonly #scratch = { bytes: 0, bytesRoom: 0, floats: 0, floatsRoom: 0 };

  private constructor(engine: Engine, head: Head, prefix: Prefix, centroids: number) {
    this.engine = engine;
    this.head = head;
    this.sizes = prefix.sizes;
    this.centroids = centroids;
    this.stride = head.layers[head.layers.length - 1].width;
    this.#kernels = kernelsOf(engine);
    this.#prefix = prefix;
  }

  /**
   * Takes the prefix of a file: the sizes of its lists, and the centroids that it stands for.
   *
   * @returns rejects with ERR_FORMAT, ERR_MEMORY, or the signal's reason; the engine's memory is then as it was
   */
  static async open(engine: Engine, head: Head, bytes: Uint8Array, pace: Pace): Promise<VoiceDecoder> {
    if (crc32(bytes) !== head.prefixCrc) wrong("the prefix", "does not match its checksum");
    const prefix = readPrefix(bytes, head);
    const kernels = kernelsOf(engine);
    const { d, nlist } = head;
    const centroids = engine.allocate(nlist * d * 4);
    const decoder = new VoiceDecoder(engine, head, prefix, centroids);
    decoder.#blocks.push(centroids);
    try {
      const width = head.layers[0].width;
      const numbers = decoder.#readBasis(prefix.basis, width);
      // The space that the first layer's rows leave is filled up with drawn ones, in whose place those of further layers come:
      // centroids have a number for each of d directions.
      const basis = new Basis(engine, kernels, d, d);
      decoder.#basis = basis;
      await decoder.#appendBasis(basis, numbers, width, pace);
      await decoder.#fillBasis(basis, pace);
      decoder.#readCentroids(basis);
      basis.truncate(width);
    } catch (error) {
      decoder.release();
      throw error;
    }
    return decoder;
  }

  /** Gives all of its memory back. */
  release(): void {
    this.#basis?.release();
    this.#basis = undefined;
    for (const address of [...this.#blocks, this.#scratch.bytes, this.#scratch.floats]) this.engine.release(address);
    this.#blocks.length = 0;
    this.#scratch.bytes = this.#scratch.floats = this.#scratch.bytesRoom = this.#scratch.floatsRoom = 0;
  }

  /** Hands over the block of the centroids: it is not released with the rest. */
  takeCentroids(): number {
    this.#blocks.splice(this.#blocks.indexOf(this.centroids), 1);
    return this.centroids;
  }

  /** Fills the basis up to d rows, once all layers are opened, and hands it over: it is not released with the rest. */
  async completeBasis(pace: Pace): Promise<Basis> {
    const basis = this.#basis;
    if (basis === undefined) throw new Error("the decoder was released");
    await this.#fillBasis(basis, pace);
    this.#basis = undefined;
    return basis;
  }

  /** Layers that are opened. */
  get layers(): readonly Layer[] {
    return this.#layers;
  }

  /** The ids of all rows, list by list; undefined where they are the places of the rows. */
  ids(): BigInt64Array<ArrayBuffer> | undefined {
    const { head, sizes } = this;
    return head.ids === IDS_NONE ? undefined : readIds(this.#prefix.ids, head, sizes);
  }

  /** Takes the side section of the next layer. ERR_FORMAT, ERR_MEMORY; nothing has changed then. */
  async openLayer(bytes: Uint8Array, pace: Pace): Promise<void> {
    const { engine, head, sizes } = this;
    const number = this.#layers.length;
    const record = head.layers[number];
    const name = `the side section of layer ${number + 1}`;
    if (crc32(bytes) !== record.sideCrc) wrong(name, "does not match its checksum");
    const section = new Section(name, bytes);
    const basis = section.take("basis", section.u32("basis"));
    const count = Math.ceil(record.width / record.group) + 1;
    const models = Array.from({ length: count }, () => readModel(section, number > 0));
    if (models[count - 1].shift < LEAST_SCALE_BITS) wrong(name, "has scales without low bits");
    const starts = new Float64Array(head.nlist + 1);
    for (let list = 0; list < head.nlist; list++) {
      const length = section.varint("length of a list", record.dataBytes);
      // Each row is half a byte at least, by the low bits of its scale.
      if (sizes[list] === 0 ? length > 0 : length * 2 < sizes[list]) wrong(name, `has a list of ${length} bytes`);
      starts[list + 1] = starts[list] + length;
    }
    section.finish();
    if (starts[head.nlist] !== record.dataBytes) wrong(name, "gives lists another length than the head");

    const before = number === 0 ? record.width : head.layers[number - 1].width;
    const rows = this.#basis?.rows;
    const blocks = this.#blocks.length;
    try {
      await this.#addLayer(name, basis, record, before, models, starts, pace);
    } catch (error) {
      if (rows !== undefined) this.#basis?.truncate(rows);
      for (const block of this.#blocks.splice(blocks)) engine.release(block);
      throw error;
    }
  }

  /** Takes the basis and the models of a layer that is known to be whole; what it has taken when it fails is the caller's to give back. */
  async #addLayer(
    name: string,
    basis: Uint8Array,
    record: Head["layers"][number],
    before: number,
    models: Model[],
    starts: Float64Array,
    pace: Pace,
  ): Promise<void> {
    const { engine } = this;
    if (record.width > before) {
      const numbers = this.#readBasis(basis, record.width - before);
      if (this.#basis !== undefined) await this.#appendBasis(this.#basis, numbers, record.width - before, pace);
    } else if (basis.length > 0) {
      wrong(name, "has rows of a basis that are not wanted");
    }
    const padded = Math.ceil(record.width / 4) * 4;
    const coded = placeCoded(
      engine,
      models,
      Uint16Array.from({ length: record.width }, (_, j) => Math.floor(j / record.group)),
      this.#blocks,
    );
    const ones = engine.allocate(padded * 8);
    this.#blocks.push(ones);
    const twos = ones + padded * 4;
    for (let j = 0; j < padded; j++) {
      const model = models[Math.min(models.length - 2, Math.floor(j / record.group))];
      engine.f32[(ones >>> 2) + j] = model.one / 256;
      engine.f32[(twos >>> 2) + j] = model.two / 256;
    }
    this.#layers.push({ ...coded, ones, twos, starts });
  }

  /**
   * Reads a list of a layer.
   *
   * @param bytes the list's bytes, of `layers[layer].starts`
   * @param numbers address of i16 rows x stride: those of the layer before, and then of this one
   * @param scales address of i32 a row: likewise. Both are of no use after an ERR_FORMAT
   */
  readList(list: number, layer: number, bytes: Uint8Array, numbers: number, scales: number): void {
    const { engine, head, stride } = this;
    const n = this.sizes[list];
    if (n === 0) return;
    const kernels = this.#kernels;
    const { models, columns, count } = this.#layers[layer];
    const { width, ratio } = head.layers[layer];
    const at = this.#bytes(bytes.length);
    engine.u8.set(bytes, at);
    this.predictScales(list, layer, scales);
    const known = layer === 0 ? 0 : head.layers[layer - 1].width;
    const end = at + bytes.length;
    const bad = kernels.readRows(
      at,
      end,
      n,
      width,
      stride,
      models,
      count,
      columns,
      0,
      numbers,
      known,
      ratio,
      numbers,
      scales,
    );
    if (bad !== 0) wrong(`list ${list} of layer ${layer + 1}`, "can't be read");
  }

  /** What the scales of a list's rows are taken for before they are read: by the cell's radius, or by the layer before. */
  predictScales(list: number, layer: number, scales: number): void {
    const { engine, head } = this;
    const n = this.sizes[list];
    const kernels = this.#kernels;
    if (layer > 0) {
      const floats = this.#floats(n);
      if (kernels.fromHalves(scales, n, 1, floats) !== 0) wrong(`list ${list}`, "has a scale that can't be");
      kernels.toHalves(floats, n, Math.fround(1 / head.layers[layer].ratio), scales);
      return;
    }
    const floats = this.#floats(1);
    engine.f32[floats >>> 2] = RADII[this.#prefix.radii[list]] * head.layers[0].step * HALF_UNIT;
    kernels.toHalves(floats, 1, 1, scales);
    engine.i32.fill(engine.i32[scales >>> 2], scales >>> 2, (scales >>> 2) + n);
  }

  /** Writes the rows that a list's numbers and scales stand for, f32 n x d, to an address. */
  writeRows(list: number, layer: number, numbers: number, scales: number, out: number): void {
    const { head, stride } = this;
    const basis = this.#basis;
    const n = this.sizes[list];
    if (n === 0 || basis === undefined) return;
    const kernels = this.#kernels;
    const { ones, twos } = this.#layers[layer];
    const { width } = head.layers[layer];
    const factors = this.#floats(n + kernels.spreadScratch(width) / 4);
    const scratch = factors + n * 4;
    if (kernels.fromHalves(scales, n, Math.fround(head.unit / HALF_UNIT), factors) !== 0)
      wrong(`list ${list} of layer ${layer + 1}`, "has a scale that can't be");
    const { asRows, capacity, d } = basis;
    const centroid = this.centroids + list * d * 4;
    kernels.spread(numbers, n, width, stride, ones, twos, factors, asRows, capacity, d, centroid, out, scratch);
  }

  /** The rows of a basis, as numbers; their address is good until something else is read. */
  #readBasis(bytes: Uint8Array, rows: number): Int16Array {
    const { engine } = this;
    const { d } = this.head;
    const blocks: number[] = [];
    try {
      const coded = placeCoded(engine, [this.#prefix.basisModel], new Uint16Array(d), blocks);
      return readNumbers(engine, this.#kernels, bytes, rows, d, coded, undefined, "the basis");
    } finally {
      for (const address of blocks) engine.release(address);
    }
  }

  async #fillBasis(basis: Basis, pace: Pace): Promise<void> {
    const { d, seed } = this.head;
    if (basis.rows < d && !(await basis.append(d - basis.rows, drawn(seed), pace)))
      wrong("the basis", "can't be filled up");
  }

  async #appendBasis(basis: Basis, numbers: Int16Array, rows: number, pace: Pace): Promise<void> {
    const { d, basisStep } = this.head;
    const write = (first: number, n: number, into: Float32Array): void => {
      for (let i = 0; i < n * d; i++) into[i] = numbers[first * d + i] * basisStep;
    };
    if (!(await basis.append(rows, write, pace))) wrong("the basis", "has rows that are sums of others");
  }

  #readCentroids(full: Basis): void {
    const { engine, head } = this;
    const { d, nlist, unit, centroidStep } = head;
    const prefix = this.#prefix;
    const blocks: number[] = [];
    try {
      const coded = placeCoded(engine, prefix.centroidModels, Uint16Array.from(prefix.classes), blocks);
      const rows = Int32Array.from(prefix.radii, (radius) => centroidRow(prefix.centroidBase, radius));
      const numbers = readNumbers(engine, this.#kernels, prefix.centroids, nlist, d, coded, rows, "the centroids");
      const steps = Float32Array.from(
        prefix.radii,
        (radius) => RADII[radius] * centroidStep * head.layers[0].step * unit,
      );
      const mean = Float32Array.from(prefix.mean, (value) => value * prefix.meanStep * unit);
      placeCentroids(engine, this.#kernels, numbers, steps, mean, full, this.centroids);
    } finally {
      for (const address of blocks) engine.release(address);
    }
    if (engine.kernels.firstNotFinite(this.centroids, nlist * d) >= 0) wrong("the centroids", "are not finite");
  }

  #bytes(bytes: number): number {
    const scratch = this.#scratch;
    if (scratch.bytesRoom < bytes) {
      this.engine.release(scratch.bytes);
      scratch.bytes = scratch.bytesRoom = 0;
      scratch.bytes = this.engine.allocate(bytes * 2);
      scratch.bytesRoom = bytes * 2;
    }
    return scratch.bytes;
  }

  #floats(count: number): number {
    const scratch = this.#scratch;
    if (scratch.floatsRoom < count) {
      this.engine.release(scratch.floats);
      scratch.floats = scratch.floatsRoom = 0;
      scratch.floats = this.engine.allocate(count * 4);
      scratch.floatsRoom = count;
    }
    return scratch.floats;
  }
}

function readPrefix(bytes: Uint8Array, head: Head): Prefix {
  const { d, nlist, ntotal } = head;
  const section = new Section("the prefix", bytes);
  const sizes = new Uint32Array(nlist);
  let total = 0;
  for (let list = 0; list < nlist; list++) total += sizes[list] = section.varint("size of a list", ntotal);
  if (total !== ntotal) wrong("the prefix", `has lists of ${total} rows in all, and the head says ${ntotal}`);
  // As each row is half a byte of the first layer at least.
  if (ntotal > head.layers[0].dataBytes * 2)
    wrong("the head", `has ${ntotal} rows, more than its first layer can hold`);
  const meanStep = section.f32("step of the mean");
  if (!(meanStep >= 0 && meanStep < Infinity)) wrong("the prefix", `has a step of the mean of ${meanStep}`);
  const mean = Int16Array.from({ length: d }, () => section.i16("mean"));
  const radii = section.take("radii", nlist);
  if (radii.some((radius) => radius >= RADII.length)) wrong("the prefix", "has a radius that does not exist");
  const classes = section.take("classes of columns", d);
  const centroidBase = section.i16("classes of cells");
  const count = section.u8("models of centroids");
  if (count === 0) wrong("the prefix", "has no models of centroids");
  const centroidModels = Array.from({ length: count }, () => readModel(section, false));
  const centroids = section.take("centroids", section.u32("centroids"));
  const basisModel = readModel(section, false);
  const basis = section.take("basis", section.u32("basis"));
  const ids = section.take("ids", section.left);
  return { sizes, meanStep, mean, radii, classes, centroidBase, centroidModels, centroids, basisModel, basis, ids };
}

/** The bytes of a list in a layer's data. */
export function listBytes(layer: Layer, list: number, data: Uint8Array): Uint8Array {
  return data.subarray(layer.starts[list], layer.starts[list + 1]);
}

/** Throws ERR_PARAMETER unless a file has so many layers. */
export function checkLayers(wanted: number, head: Head): void {
  if (Number.isInteger(wanted) && wanted >= 1 && wanted <= head.layers.length) return;
  fail(
    "ERR_PARAMETER",
    `layers is ${String(wanted)}: the file has ${head.layers.length}, give a number from 1 to that`,
  );
}
