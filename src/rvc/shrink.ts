import type { IdType, Index, ReadOptions, Work } from "../api.js";
import { what } from "../checks.js";
import { Analysis } from "../codec/analysis.js";
import { cellsOf } from "../codec/cells.js";
import type { Cells } from "../codec/cells.js";
import { encode, RATIO } from "../codec/encoder.js";
import type { Encoded } from "../codec/encoder.js";
import { FINEST } from "../codec/settings.js";
import { voiceCodec } from "../codec/voice-codec.js";
import { fail, noArray } from "../errors.js";
import { indexFactory, readIndex } from "../open.js";
import type { Bytes } from "../format/source.js";
import { DEFAULTS, option, readWork } from "../handle/options.js";
import type { VectorIndex } from "../handle/vector-index.js";
import type { EngineOptions } from "../wasm/options.js";
import { Pace, throwIfAborted } from "../work/pace.js";
import { probesOf, takeFrames, voiceOf } from "./measure.js";
import type { Frames, MeasureOptions, VoiceSetting } from "./measure.js";
import { forBytes, forError } from "./steps.js";
import { storedVectors } from "./stored.js";

/** The step of a file's first layer, where the caller asks for layers and no size: half of the error of RVC's default. */
const FIRST_STEP = 1.35;
/** Layers that end at a step of 1/20, for such a caller. */
const LAYERS = 4;
/**
 * What {@link shrinkVoice} is told: one of `bytes`, `ratio` and `error`, or `layers`, or `layers` with one of them.
 *
 * @example
 *   const options: ShrinkOptions = { ratio: 8, layers: 2 };
 */
export interface ShrinkOptions extends Work, EngineOptions {
  /**
   * The most bytes that the file may have: the most faithful one of so many is made.
   *
   * @example
   *   await shrinkVoice(index, { bytes: 8_000_000 });
   */
  bytes?: number | undefined;
  /**
   * How many times smaller than a faiss file it is to be. Default: 8, where nothing else is asked.
   *
   * @example
   *   await shrinkVoice(index, { ratio: 15 });
   */
  ratio?: number | undefined;
  /**
   * The blend error that it may have, with all lists scanned, on frames that are held out: the smallest such file is made.
   *
   * @example
   *   await shrinkVoice(index, { error: 0.05 });
   */
  error?: number | undefined;
  /**
   * How many layers: a file whose beginning is the whole voice already, each further layer making it better. They cost 2 to 7 %. Alone,
   * 4 of them have errors of about .28 .09 .03 .01. Default: 1.
   *
   * @example
   *   await shrinkVoice(index, { layers: 4 });
   */
  layers?: number | undefined;
  /**
   * As for measureVoice: the frames that the report is of.
   *
   * @example
   *   await shrinkVoice(index, { ratio: 8, sample: frames });
   */
  sample?: MeasureOptions["sample"];
  /**
   * As for measureVoice.
   *
   * @example
   *   await shrinkVoice(index, { ratio: 8, nprobe: [4] });
   */
  nprobe?: readonly number[] | undefined;
  /**
   * Draws frames, and first centroids where there are no cells yet. Default: 1234.
   *
   * @example
   *   await shrinkVoice(index, { ratio: 8, seed: 1 });
   */
  seed?: number | undefined;
}

/**
 * What {@link shrinkVoice} made.
 *
 * @example
 *   const { index: small, report }: Shrunk = await shrinkVoice(index);
 */
export interface Shrunk {
  /**
   * The small voice: an IVF,Flat of the vectors that the file stands for. Its `toBytes` is the file.
   *
   * @example
   *   save("alice.voice", shrunk.index.toBytes());
   */
  index: Index<IdType>;
  /**
   * What it cost and saved.
   *
   * @example
   *   console.log(shrunk.report.ratio);
   */
  report: ShrinkReport;
}

/**
 * What it cost and saved.
 *
 * @example
 *   const { ratio, settings }: ShrinkReport = shrunk.report;
 */
export interface ShrinkReport {
  /**
   * Bytes of the index as a faiss file, and of the voice file.
   *
   * @example
   *   console.log(`${report.before} bytes before`);
   */
  before: number;
  /**
   * Bytes of the voice file.
   *
   * @example
   *   console.log(`${report.after} bytes now`);
   */
  after: number;
  /**
   * How many times smaller it is.
   *
   * @example
   *   console.log(`${report.ratio.toFixed(1)} times smaller`);
   */
  ratio: number;
  /**
   * Vectors of the voice.
   *
   * @example
   *   console.log(report.ntotal);
   */
  ntotal: number;
  /**
   * Dimensions of a vector.
   *
   * @example
   *   console.log(report.d);
   */
  d: number;
  /**
   * Bytes a vector, all that the file has counted.
   *
   * @example
   *   console.log(`${report.bytesPerVector} bytes a frame`);
   */
  bytesPerVector: number;
  /**
   * For each layer, the bytes of the file up to its end.
   *
   * @example
   *   const first = bytes.slice(0, report.layers[0]); // a voice by itself: readVoice(first, { layers: 1 })
   */
  layers: number[];
  /**
   * Frames that were searched, whether they are the voice's own, and how many neighbours were blended.
   *
   * @example
   *   console.log(`measured on ${report.frames} frames`);
   */
  frames: number;
  /**
   * Whether the frames are the voice's own.
   *
   * @example
   *   const own = report.heldOut;
   */
  heldOut: boolean;
  /**
   * Neighbours that were blended.
   *
   * @example
   *   console.log(report.k);
   */
  k: number;
  /**
   * What the index was at some settings, and what the small one is: in both cases against exact neighbours in the old one.
   *
   * @example
   *   const error = report.settings.after.at(-1).error;
   */
  settings: { before: VoiceSetting[]; after: VoiceSetting[] };
  /**
   * Seconds that encoding took, and measuring.
   *
   * @example
   *   console.log(`encoded in ${report.seconds.encode} s`);
   */
  seconds: { encode: number; measure: number };
}

/**
 * Makes a voice small: a quarter to a seventieth of its bytes, by a code of its own (docs/voice-files.md), and says what that costs.
 * It takes the cells of an `IVFn,Flat` as they are; for any other index it finds cells first, and what it keeps are the vectors that
 * the index stands for. Ids are kept, nprobe too.
 *
 * @param index an index of the voice; it is busy meanwhile
 * @returns the small voice and a report; rejects with ERR_PARAMETER where nothing of the size asked can be made, ERR_NOT_FINITE,
 *   ERR_UNSUPPORTED above 4,096 dimensions, ERR_MEMORY, or the signal's reason. The same bytes come of the same index everywhere
 * @example
 *   const { index: small, report } = await shrinkVoice(index, { ratio: 8 });
 *   save("alice.voice", small.toBytes()); // a voice file: readVoice reads it
 */
export async function shrinkVoice(index: Index<IdType>, options: ShrinkOptions = {}): Promise<Shrunk> {
  return shrink(index, options).catch(noArray);
}

/**
 * Opens a voice file, or any file that readIndex opens: `readIndex(source, { ...options, codecs: [voiceCodec] })`.
 *
 * @example
 *   const voice = await readVoice(await fetch("alice.voice"));
 *
 * @returns rejects as readIndex does
 */
export async function readVoice<I extends IdType = "int32">(
  source: Bytes,
  options: ReadOptions = {},
): Promise<Index<I>> {
  return readIndex<I>(source, { ...options, codecs: [...(options.codecs ?? []), voiceCodec] });
}

async function shrink(index: Index<IdType>, options: ShrinkOptions): Promise<Shrunk> {
  const work = readWork(options);
  throwIfAborted(work.signal);
  const voice = voiceOf("index", index);
  const before = voice.fileBytes;
  const target = targetOf(options, before);
  const seed = option(options, "seed", DEFAULTS.seed);
  const nprobes = probesOf(options.nprobe);
  if (voice.node.stored === 0) fail("ERR_PARAMETER", "the index holds no vectors: there is nothing to make small");
  const pace = new Pace(work);

  let measuring = 0;
  const measured = async <T>(job: Promise<T>): Promise<T> => {
    const start = Date.now();
    const result = await job;
    measuring += Date.now() - start;
    return result;
  };
  const start = Date.now();
  const frames = await measured(takeFrames(voice, { sample: options.sample, seed }, pace));
  try {
    const found = await voice.hold(async (node) => {
      const celled = cellsOf(node) === undefined ? await withCells(node, seed, options) : undefined;
      try {
        const cells = cellsOf(celled?.node ?? node) ?? fail("ERR_UNSUPPORTED", "the index has no cells");
        const analysis = await Analysis.of(cells, engineOf(options), pace);
        return await search(analysis, cells, target, frames, options, pace);
      } finally {
        celled?.dispose();
      }
    });
    const small = found.index ?? (await open(found.encoded, options));
    const settings = {
      before: await measured(frames.measure(voice, nprobes, pace, false)),
      after: await measured(frames.measure(small, nprobes, pace)),
    };
    const { head, size } = found.encoded;
    const report: ShrinkReport = {
      before,
      after: size,
      ratio: before / size,
      ntotal: head.ntotal,
      d: head.d,
      bytesPerVector: size / head.ntotal,
      layers: found.layers,
      frames: frames.count,
      heldOut: frames.heldOut,
      k: frames.k,
      settings,
      seconds: { encode: (Date.now() - start - measuring) / 1000, measure: measuring / 1000 },
    };
    return { index: small, report };
  } finally {
    frames.dispose();
  }
}

/** What is asked for, checked: a size, an error, or steps alone. */
type Target = { layers: number } & ({ bytes: number } | { error: number } | { steps: number[] });

function targetOf(options: ShrinkOptions, before: number): Target {
  const { bytes, ratio, error, layers } = options;
  const given = { bytes, ratio, error };
  const named = Object.entries(given).filter(([, value]) => value !== undefined);
  if (named.length > 1) {
    const names = named.map(([name]) => name).join(" and ");
    fail("ERR_PARAMETER", `${names} are both given, and each says all: give one of them`);
  }
  for (const [name, value] of named) {
    if (typeof value !== "number" || !(value > 0) || value === Infinity)
      fail("ERR_PARAMETER", `${name} is ${what(value)}: give a number above 0`);
  }
  if (ratio !== undefined && ratio < 1)
    fail("ERR_PARAMETER", `ratio is ${ratio}: give how many times smaller, above 1`);
  // With more, the first would be coarser than the coarsest, or the last finer than the finest.
  if (layers !== undefined && !(Number.isSafeInteger(layers) && layers >= 1 && layers <= 6))
    fail("ERR_PARAMETER", `layers is ${what(layers)}: give a whole number from 1 to 6`);
  const count = layers ?? 1;
  if (error !== undefined) return { layers: count, error };
  if (bytes !== undefined) return { layers: count, bytes: Math.floor(bytes) };
  if (ratio !== undefined || layers === undefined) return { layers: count, bytes: Math.floor(before / (ratio ?? 8)) };
  const steps = Array.from({ length: count }, (_, layer) => FIRST_STEP / RATIO ** layer);
  return { layers: count, steps: count === LAYERS ? steps : steps.map((step) => Math.max(step, FINEST)) };
}

/** The vectors of an index in cells, by RVC's rule. */
async function withCells(node: VectorIndex["node"], seed: number, options: ShrinkOptions): Promise<VectorIndex> {
  const pace = new Pace(readWork(options));
  const { vectors, ids } = await storedVectors(node, pace);
  const n = ids.length;
  const nlist = Math.max(1, Math.min(Math.floor(16 * Math.sqrt(n)), Math.floor(n / 39)));
  const { d, metric } = node;
  const { signal, onProgress } = options;
  const index = await indexFactory(d, `IVF${nlist},Flat`, metric, engineOf(options));
  try {
    await index.train(vectors, { seed, signal, onProgress });
    await index.addWithIds(vectors, ids, { signal, onProgress });
    return voiceOf("index", index);
  } catch (error) {
    index.dispose();
    throw error;
  }
}

interface Found {
  encoded: Encoded;
  layers: number[];
  index?: VectorIndex;
}

async function search(
  analysis: Analysis,
  cells: Cells,
  target: Target,
  frames: Frames,
  options: ShrinkOptions,
  pace: Pace,
): Promise<Found> {
  if ("steps" in target) return foundOf(await encode(analysis, target.steps, pace));
  if ("bytes" in target) return foundOf(await forBytes(analysis, cells, target, pace));
  const trial = {
    open: (encoded: Encoded) => open(encoded, options),
    errorOf: async (index: VectorIndex) => (await frames.exhaustive(index, pace)).error,
  };
  const { encoded, index } = await forError(analysis, target, trial, pace);
  return foundOf(encoded, index);
}

function foundOf(encoded: Encoded, index?: VectorIndex): Found {
  const layers = encoded.head.layers.map((_, layer) => layerEnd(encoded, layer));
  return index === undefined ? { encoded, layers } : { encoded, layers, index };
}

function layerEnd({ head, size }: Encoded, layer: number): number {
  let end = size;
  for (const { sideBytes, dataBytes } of head.layers.slice(layer + 1)) end -= sideBytes + dataBytes;
  return end;
}

/** What engines are made with. */
function engineOf({ module, moreModule, codecModule, more, relaxed, maxBytes }: ShrinkOptions): EngineOptions {
  return { module, moreModule, codecModule, more, relaxed, maxBytes };
}

/** Opens what was encoded, as it will be from a file. */
async function open({ bytes }: Encoded, options: ShrinkOptions): Promise<VectorIndex> {
  const { bounds, onWarning, signal, onProgress } = options;
  const index = await readVoice(bytes, { ...engineOf(options), bounds, onWarning, signal, onProgress });
  return voiceOf("index", index);
}
