import type { IdType, Index, Metric, Vectors, Work } from "../api.js";
import { METRIC_L2 } from "../api.js";
import { what } from "../checks.js";
import { fail, noArray } from "../errors.js";
import { indexFactory } from "../open.js";
import { DEFAULTS, option, readWork } from "../handle/options.js";
import { ownRowsOf } from "../handle/input.js";
import { VectorIndex } from "../handle/vector-index.js";
import { ListIndex } from "../indexes/list-index.js";
import type { IndexTree } from "../indexes/tree.js";
import { Pace, throwIfAborted } from "../work/pace.js";
import { permutation } from "../work/random.js";
import { decodeSlots, entriesOf, storedVectors } from "./stored.js";

/** Frames that are held out, unless the caller says how many. */
const FRAMES = 256;
/** Frames searched at once: RVC's block of a quarter of a second. */
const BLOCK = 16;
/**
 * A frame that is held out takes so many of its nearest with it, itself among them: those around it in time sound nearly alike, and
 * another recording has nothing so near. Measured on a voice of 19,312 frames, against 480 frames of another recording of the speaker:
 * blend errors of .034 .138 .276 there are .045 .150 .294 so, .107 .411 .914 where only the frame itself is left out.
 */
const HELD_OUT = 9;
/** More lists than an index has: all of them. */
const ALL = 0x7fffffff;

/**
 * What {@link measureVoice} is told.
 *
 * @example
 *   const options: MeasureOptions = { sample: frames, nprobe: [1, 4, 16] };
 */
export interface MeasureOptions extends Work {
  /**
   * How many frames of the index to hold out, or frames of another recording, n x d. Default: 256.
   *
   * @example
   *   await measureVoice(index, { sample: 480 });
   */
  sample?: number | Vectors | undefined;
  /**
   * Neighbours that are blended. Default: 8, RVC's.
   *
   * @example
   *   await measureVoice(index, { k: 8 });
   */
  k?: number | undefined;
  /**
   * How far a frame is moved. Errors are shares of the move, so that it changes none of them. Default: 0.75.
   *
   * @example
   *   await measureVoice(index, { rate: 1 });
   */
  rate?: number | undefined;
  /**
   * Lists to scan, beside all of them. Default: 1, 4 and 16.
   *
   * @example
   *   await measureVoice(index, { nprobe: [1, 2, 4, 8] });
   */
  nprobe?: readonly number[] | undefined;
  /**
   * Draws the frames. Default: 1234.
   *
   * @example
   *   await measureVoice(index, { seed: 1 });
   */
  seed?: number | undefined;
  /**
   * What exact neighbours are of: the index that this one was made of, say. Default: the index itself, searched exhaustively.
   *
   * @example
   *   await measureVoice(small, { truth: index });
   */
  truth?: Index<IdType> | undefined;
}

/**
 * What an index finds and blends at one setting.
 *
 * @example
 *   const { nprobe, recall, error }: VoiceSetting = report.settings[0];
 */
export interface VoiceSetting {
  /**
   * Lists scanned; null for all of them, or where there are none.
   *
   * @example
   *   const label = setting.nprobe ?? "all";
   */
  nprobe: number | null;
  /**
   * The share of the k nearest frames that are found.
   *
   * @example
   *   console.log(`${Math.round(100 * setting.recall)} % are found`);
   */
  recall: number;
  /**
   * How far a blend ends from the exact one, as a share of how far that one moves the frame: the mean, null where no L2 distances are.
   *
   * @example
   *   const near = report.settings.filter(({ error }) => error !== null && error < 0.1);
   */
  error: number | null;
  /**
   * The median of the same.
   *
   * @example
   *   console.log(setting.median);
   */
  median: number | null;
  /**
   * Milliseconds that the search of 16 frames takes.
   *
   * @example
   *   const inTime = setting.milliseconds < 20;
   */
  milliseconds: number;
}

/**
 * What {@link measureVoice} found.
 *
 * @example
 *   const report: VoiceReport = await measureVoice(index);
 */
export interface VoiceReport {
  /**
   * What was measured, in faiss' language.
   *
   * @example
   *   console.log(report.description); // IVF495,Flat
   */
  description: string;
  /**
   * Dimensions of a vector.
   *
   * @example
   *   console.log(report.d);
   */
  d: number;
  /**
   * Vectors of the index.
   *
   * @example
   *   console.log(report.ntotal);
   */
  ntotal: number;
  /**
   * METRIC_L2 or METRIC_INNER_PRODUCT.
   *
   * @example
   *   const blends = report.metric === METRIC_L2;
   */
  metric: Metric;
  /**
   * Bytes of the index as a file.
   *
   * @example
   *   console.log(`${report.bytes / report.ntotal} bytes a frame`);
   */
  bytes: number;
  /**
   * Frames that were searched, and whether they are the index's own.
   *
   * @example
   *   console.log(`of ${report.frames} frames`);
   */
  frames: number;
  /**
   * Whether the frames are the index's own, held out one by one.
   *
   * @example
   *   const own = report.heldOut;
   */
  heldOut: boolean;
  /**
   * Neighbours that were looked for.
   *
   * @example
   *   console.log(`recall@${report.k}`);
   */
  k: number;
  /**
   * How far frames were moved.
   *
   * @example
   *   console.log(report.rate);
   */
  rate: number;
  /**
   * One for each nprobe, and one for all lists.
   *
   * @example
   *   for (const { nprobe, recall, error } of report.settings) console.log(nprobe ?? "all", recall, error);
   */
  settings: VoiceSetting[];
}

/**
 * Measures what a voice's index finds and how near its blends are to exact ones: on frames of its own that are held out, each with those
 * that sound nearly alike, or on frames of another recording, which is better.
 *
 * @returns rejects with ERR_PARAMETER for what is no index or no such option, ERR_DIMENSION for frames of another d, or the signal's
 *   reason
 * @example
 *   const { settings } = await measureVoice(small, { truth: index });
 *   console.log(settings.map(({ nprobe, error }) => `${nprobe ?? "all"}: ${error}`));
 */
export async function measureVoice(index: Index<IdType>, options: MeasureOptions = {}): Promise<VoiceReport> {
  return measure(index, options).catch(noArray);
}

async function measure(index: Index<IdType>, options: MeasureOptions): Promise<VoiceReport> {
  const work = readWork(options);
  throwIfAborted(work.signal);
  const own = voiceOf("index", index);
  const truth = options.truth === undefined ? own : voiceOf("truth", options.truth);
  const rate = option(options, "rate", DEFAULTS.rate);
  const nprobes = probesOf(options.nprobe);
  const pace = new Pace(work);
  const frames = await takeFrames(truth, options, pace);
  try {
    const settings = await frames.measure(own, nprobes, pace);
    const { description, d, ntotal, metric } = own;
    const { count, heldOut, k } = frames;
    return { description, d, ntotal, metric, bytes: own.fileBytes, frames: count, heldOut, k, rate, settings };
  } finally {
    frames.dispose();
  }
}

/** @internal The index as it is inside. ERR_PARAMETER for anything else. */
export function voiceOf(name: string, index: unknown): VectorIndex {
  if (index instanceof VectorIndex) return index;
  return fail("ERR_PARAMETER", `${name} is ${what(index)}: give an index made by indexFactory or readIndex`);
}

/** Lists to scan. ERR_PARAMETER for anything but whole numbers from 1 on. */
export function probesOf(nprobe: readonly number[] | undefined): number[] {
  const probes: readonly number[] = nprobe ?? [1, 4, 16];
  if (!Array.isArray(nprobe ?? []) || probes.some((lists) => !Number.isSafeInteger(lists) || lists < 1))
    fail("ERR_PARAMETER", `nprobe is ${String(nprobe)}: give an array of whole numbers from 1 on`);
  return [...new Set(probes)].sort((a, b) => a - b);
}

/** Lists that a search chooses from, whatever is around them (ids, a transform, a second look); 0 where there are none. */
function nlistOf(tree: IndexTree): number {
  if ("base" in tree) return nlistOf(tree.base);
  return tree.kind === "ivf" ? tree.nlist : 0;
}

/** @internal Frames, their exact neighbours, and what an exact blend makes of them. */
export class Frames {
  readonly count: number;
  readonly heldOut: boolean;
  readonly k: number;
  readonly #d: number;
  readonly #frames: Float32Array;
  /** For each frame the ids that are left out, and how many of the nearest of an index those can be. */
  readonly #gone: readonly ReadonlySet<bigint>[];
  readonly #most: number;
  /** For each frame the squared distance, or the negative product, of its k-th neighbour. */
  readonly #farthest: Float64Array;
  readonly #blended: Float32Array | undefined;
  readonly #truth: Exact;
  // Not asked of the index later: it is busy while it is made small.
  readonly #metric: Metric;

  constructor(truth: Exact, frames: Float32Array, own: boolean, k: number, found: BigInt64Array, leaveOut: number) {
    const d = truth.index.d;
    this.#d = d;
    this.#truth = truth;
    this.#metric = truth.index.metric;
    this.#frames = frames;
    this.count = frames.length / d;
    this.heldOut = own;
    this.k = k;
    this.#most = leaveOut;
    const width = k + leaveOut;
    const near: bigint[] = [];
    this.#gone = Array.from({ length: this.count }, (_, i) => {
      const row = found.subarray(i * width, (i + 1) * width);
      near.push(...row.subarray(leaveOut));
      return new Set(row.subarray(0, leaveOut));
    });
    const vectors = truth.vectors(near);
    this.#farthest = Float64Array.from({ length: this.count }, (_, i) => this.#key(i, vectors, (i * k + k - 1) * d));
    this.#blended =
      this.#metric === METRIC_L2
        ? this.#blend(
            near.map((_, i) => i),
            vectors,
          )
        : undefined;
  }

  dispose(): void {
    this.#truth.dispose();
  }

  /** Measures an index at some settings, and with all of its lists scanned: the truth itself is right then. */
  async measure(
    index: VectorIndex,
    nprobes: readonly number[],
    pace: Pace,
    exhaustively = true,
  ): Promise<VoiceSetting[]> {
    const nlist = nlistOf(index.node.tree);
    const settings: VoiceSetting[] = [];
    const probes = [...nprobes.filter((lists) => lists < nlist), ...(exhaustively ? [null] : [])];
    for (const nprobe of probes) settings.push(await this.#at(index, nprobe, pace));
    return settings;
  }

  /** How an index does with all of its lists scanned. */
  async exhaustive(index: VectorIndex, pace: Pace): Promise<VoiceSetting> {
    return this.#at(index, null, pace);
  }

  async #at(index: VectorIndex, nprobe: number | null, pace: Pace): Promise<VoiceSetting> {
    const { k, count } = this;
    const d = this.#d;
    const width = k + this.#most;
    const start = Date.now();
    const found = await searchAll(index, this.#frames, width, nprobe ?? ALL, pace);
    const milliseconds = ((Date.now() - start) / count) * BLOCK;
    // Of what was found the k nearest that are not left out.
    const places: number[] = [];
    const ids: bigint[] = [];
    for (let i = 0; i < count; i++) {
      let kept = 0;
      for (let j = 0; j < width && kept < k; j++) {
        const id = found[i * width + j];
        if (id === -1n || this.#gone[i].has(id)) continue;
        places.push(ids.length);
        ids.push(id);
        kept++;
      }
      for (; kept < k; kept++) places.push(-1);
    }
    // By distance, not by id: of equal frames any will do, and in pauses many are equal.
    const truth = this.#truth.vectors(ids);
    let hits = 0;
    places.forEach((place, i) => {
      const frame = Math.floor(i / k);
      const slack = Math.abs(this.#farthest[frame]) * 1e-6;
      if (place >= 0 && this.#key(frame, truth, place * d) <= this.#farthest[frame] + slack) hits++;
    });
    const recall = hits / (count * k);
    if (this.#blended === undefined) return { nprobe, recall, error: null, median: null, milliseconds };
    const blended = this.#blend(places, index === this.#truth.index ? truth : vectorsOf(index, ids));
    const errors: number[] = [];
    for (let at = 0; at < this.#frames.length; at += d) {
      const move = squaredDistance(this.#blended, at, this.#frames, at, d);
      if (move > 0) errors.push(Math.sqrt(squaredDistance(blended, at, this.#blended, at, d) / move));
    }
    errors.sort((a, b) => a - b);
    const error = errors.reduce((sum, value) => sum + value, 0) / Math.max(1, errors.length);
    return { nprobe, recall, error, median: errors[errors.length >> 1] ?? 0, milliseconds };
  }

  /** The frames moved all the way to the weighted means of k vectors each: as `blend` does it. A place of -1 is none. */
  #blend(places: readonly number[], vectors: Float32Array): Float32Array {
    const { k, count } = this;
    const d = this.#d;
    const moved = this.#frames.slice();
    const distances = new Float64Array(k);
    for (let i = 0; i < count; i++) {
      let nearest = Infinity;
      for (let j = 0; j < k; j++) {
        const place = places[i * k + j];
        distances[j] = place < 0 ? Infinity : squaredDistance(this.#frames, i * d, vectors, place * d, d);
        nearest = Math.min(nearest, distances[j]);
      }
      if (nearest === Infinity) continue;
      const weights = distances.map((s) => (s === Infinity ? 0 : s === nearest ? 1 : (nearest / s) ** 2));
      const sum = weights.reduce((total, weight) => total + weight, 0);
      moved.fill(0, i * d, (i + 1) * d);
      for (let j = 0; j < k; j++) {
        if (weights[j] === 0) continue;
        const at = places[i * k + j] * d;
        for (let l = 0; l < d; l++) moved[i * d + l] += (weights[j] / sum) * vectors[at + l];
      }
    }
    return moved;
  }

  /** How far a vector is from a frame: less is nearer. */
  #key(frame: number, vectors: Float32Array, at: number): number {
    const d = this.#d;
    if (this.#metric === METRIC_L2) return squaredDistance(this.#frames, frame * d, vectors, at, d);
    let product = 0;
    for (let l = 0; l < d; l++) product -= this.#frames[frame * d + l] * vectors[at + l];
    return product;
  }
}

/** An index that is searched exactly, and knows its vectors by id. */
interface Exact {
  index: VectorIndex;
  vectors(ids: readonly bigint[]): Float32Array;
  dispose(): void;
}

/** @internal Takes frames, and finds their exact neighbours in an index. */
export async function takeFrames(truth: VectorIndex, options: MeasureOptions, pace: Pace): Promise<Frames> {
  const seed = option(options, "seed", DEFAULTS.seed);
  const wanted = option(options, "k", DEFAULTS.k);
  const { sample = FRAMES } = options;
  const { d } = truth;
  const n = truth.node.stored;
  if (n === 0) fail("ERR_PARAMETER", "the index holds no vectors: there is nothing to measure");
  if (typeof sample === "number" && !(Number.isSafeInteger(sample) && sample >= 1))
    fail("ERR_PARAMETER", `sample is ${sample}: give a number of frames from 1 on, or frames`);
  const own = typeof sample === "number";
  let frames: Float32Array;
  if (own) {
    const entries = entriesOf(truth.node);
    const order = permutation(entries.length, seed).subarray(0, Math.min(sample, entries.length));
    frames = new Float32Array(order.length * d);
    for (let i = 0; i < order.length; i += BLOCK) {
      const slots = Array.from(order.subarray(i, i + BLOCK), (entry) => entries[entry].slot);
      decodeSlots(truth.node, slots, frames.subarray(i * d, (i + slots.length) * d));
    }
  } else {
    frames = ownRowsOf("sample", sample, d);
    if (frames.length === 0) fail("ERR_PARAMETER", "sample has no frames: give at least one");
    const bad = frames.findIndex((value) => value - value !== 0);
    if (bad >= 0) fail("ERR_NOT_FINITE", `row ${Math.floor(bad / d)} of sample has ${frames[bad]}: leave it out`);
  }
  // Of a handful of frames not all can be left out.
  const leaveOut = own ? Math.min(HELD_OUT, Math.max(0, n - 1)) : 0;
  const k = Math.min(wanted, n - leaveOut);
  const exact = await exactOf(truth, pace);
  try {
    const found = await searchAll(exact.index, frames, k + leaveOut, ALL, pace);
    if (found.includes(-1n))
      fail("ERR_PARAMETER", "the index does not find all that it holds: measure it against another");
    return new Frames(exact, frames, own, k, found, leaveOut);
  } catch (error) {
    exact.dispose();
    throw error;
  }
}

/** An index as it is, where searching all of it is exact; else its vectors in one that is. */
async function exactOf(index: VectorIndex, pace: Pace): Promise<Exact> {
  const { node } = index;
  if (node instanceof ListIndex && node.code.isFloat) {
    // Of the node, for the same reason as the metric.
    const vectors = (ids: readonly bigint[]): Float32Array => {
      const rows = new Float32Array(ids.length * node.d);
      for (let i = 0; i < ids.length; i += BLOCK) {
        const slots = ids.slice(i, i + BLOCK).map((id) => node.slotOf(id));
        decodeSlots(node, slots, rows.subarray(i * node.d, (i + slots.length) * node.d));
      }
      return rows;
    };
    return { index, vectors, dispose: () => undefined };
  }
  const { vectors, ids } = await storedVectors(index.node, pace);
  const exact = await indexFactory(index.d, "IDMap,Flat", index.metric);
  await exact.addWithIds(vectors, ids);
  const flat = voiceOf("truth", exact);
  return { index: flat, vectors: (own) => vectorsOf(flat, own), dispose: () => flat.dispose() };
}

function vectorsOf(index: VectorIndex, ids: readonly bigint[]): Float32Array {
  return index.reconstructBatch(ids);
}

/** The ids of the `width` nearest of each frame, a block at a time. */
async function searchAll(
  index: VectorIndex,
  frames: Float32Array,
  width: number,
  nprobe: number,
  pace: Pace,
): Promise<BigInt64Array> {
  const { d } = index;
  const n = frames.length / d;
  const labels = new BigInt64Array(n * width);
  const distances = new Float32Array(n * width);
  for (let i = 0; i < n; i += BLOCK) {
    const end = Math.min(n, i + BLOCK);
    const into = [distances.subarray(i * width, end * width), labels.subarray(i * width, end * width)] as const;
    index.searchInto(frames.subarray(i * d, end * d), width, ...into, { nprobe });
    await pace.step("measure", end, n);
  }
  return labels;
}

function squaredDistance(a: Float32Array, i: number, b: Float32Array, j: number, d: number): number {
  let sum = 0;
  for (const end = i + d; i < end; i++, j++) sum += (a[i] - b[j]) ** 2;
  return sum;
}
