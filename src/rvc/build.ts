import type { Index, Work } from "../api.js";
import { fail, noArray } from "../errors.js";
import { indexFactory } from "../open.js";
import { named } from "../format/given.js";
import { DEFAULTS, option, readWork } from "../handle/options.js";
import { miniBatchKMeans } from "../training/mini-batch.js";
import { permutation } from "../work/random.js";
import { Pace, throwIfAborted } from "../work/pace.js";
import type { EngineOptions } from "../wasm/options.js";
import { eachSlice, sliceRows } from "./slices.js";
import type { Slices } from "./slices.js";

/** Dimensions of the features that RVC's models of each version take. */
const DIMENSIONS = { v1: 256, v2: 768 } as const;
/** From more rows on, RVC stores centres of clusters in their place, so many (train_index.py). */
const MOST_ROWS = 200_000;
const CENTRES = 10_000;

/**
 * What a voice index is made with.
 *
 * @example
 *   const options: VoiceOptions = { name: "alice", version: "v2", seed: 1 };
 */
export interface VoiceOptions extends EngineOptions, Work {
  /**
   * What the voice is called in the file's name. Default: "voice".
   *
   * @example
   *   const { fileName } = await buildVoiceIndex(files, { name: "alice" });
   */
  name?: string;
  /**
   * RVC's model version: "v1" has 256 dimensions, "v2" 768. Default: as d says, else "v2".
   *
   * @example
   *   await buildVoiceIndex(files, { version: "v1" });
   */
  version?: "v1" | "v2";
  /**
   * Dimensions of a row. Default: as the version says. Another number than 256 and 768 is for features of another kind.
   *
   * @example
   *   await buildVoiceIndex(files, { d: 1024 });
   */
  d?: number | undefined;
  /**
   * Leave out rows with NaN or infinity, and count them; otherwise they are an error. Default: false.
   *
   * @example
   *   const { skipped } = await buildVoiceIndex(files, { skipNonFinite: true });
   */
  skipNonFinite?: boolean | undefined;
  /**
   * Seed of the order of the rows and of all training. Default: 1234.
   *
   * @example
   *   await buildVoiceIndex(files, { seed: 1 });
   */
  seed?: number;
  /**
   * What to build, in faiss' language. Default: RVC's own, `IVF{nlist},Flat`.
   *
   * @example
   *   await buildVoiceIndex(files, { factory: "IVF256,PQ384x4fs,RFlat" });
   */
  factory?: string;
}

/**
 * A voice index, and what goes with it.
 *
 * @example
 *   const { index, fileName, rows, nlist }: Voice = await buildVoiceIndex(files);
 */
export interface Voice {
  /**
   * The index, trained and filled, nprobe = 1 as RVC stores it.
   *
   * @example
   *   save(voice.fileName, voice.index.toBytes());
   */
  index: Index;
  /**
   * RVC's name for the file: `added_IVF495_Flat_nprobe_1_alice_v2.index`.
   *
   * @example
   *   link.download = voice.fileName;
   */
  fileName: string;
  /**
   * Rows that were stored: those of the slices, or 10,000 centres for more than 200,000 of them.
   *
   * @example
   *   console.log(`${voice.rows} frames`);
   */
  rows: number;
  /**
   * Rows that were left out by `skipNonFinite`.
   *
   * @example
   *   if (voice.skipped > 0) console.warn(`${voice.skipped} rows had NaN`);
   */
  skipped: number;
  /**
   * Cells of the coarse quantizer by RVC's rule.
   *
   * @example
   *   console.log(`${voice.nlist} cells`);
   */
  nlist: number;
}

/**
 * Builds a voice index from the features of its slices, by RVC's recipe (train_index.py) with a seed: slices in the order of their
 * names, rows shuffled, `nlist = min(16 sqrt(N), N / 39)`, `IVF{nlist},Flat` trained on all rows, nprobe 1.
 *
 * @param slices an array, FileList, Map or generator of slices: `{ name, data }`, Files, responses, with `.npy` files or floats. What a
 *   generator gives may be used again for its next slice; leave an array's alone until the promise has resolved
 * @returns rejects with ERR_DIMENSION for slices of another version, ERR_FORMAT for bytes that are no .npy, ERR_NOT_FINITE (the
 *   slice, its row and column), ERR_PARAMETER for what is no slice or where there are no rows, ERR_FACTORY, ERR_MEMORY, or the
 *   signal's reason
 * @example
 *   const { index, fileName } = await buildVoiceIndex(input.files, { name: "alice" }); // <input type="file" multiple>
 */
export async function buildVoiceIndex(slices: Slices, options: VoiceOptions = {}): Promise<Voice> {
  return build(slices, options).catch(noArray);
}

async function build(slices: Slices, options: VoiceOptions): Promise<Voice> {
  const work = readWork(options);
  const seed = option(options, "seed", DEFAULTS.seed);
  const { name = "voice", factory } = options;
  if (typeof name !== "string") fail("ERR_PARAMETER", `name is ${named(name)}: give a text`);
  const d = dimensionsOf(options);
  throwIfAborted(work.signal);
  const { parts, skipped } = await collect(slices, d, options.skipNonFinite ?? false, new Pace(work));
  let vectors = shuffled(parts, d, seed);
  if (vectors.length === 0) {
    const left = skipped > 0 ? ` (${skipped} with NaN or infinity were left out)` : "";
    fail("ERR_PARAMETER", `there are no rows${left}: give slices with features of the voice`);
  }
  if (storedRows(vectors.length / d) < vectors.length / d) {
    vectors = await miniBatchKMeans(vectors, d, CENTRES, seed, options, new Pace(work));
  }
  const rows = vectors.length / d;
  const nlist = nlistOf(rows);
  const index = await indexFactory(d, factory ?? `IVF${nlist},Flat`, undefined, options);
  try {
    await index.train(vectors, { ...work, seed });
    await index.add(vectors, work);
  } catch (error) {
    index.dispose();
    throw error;
  }
  return { index, fileName: voiceFileName(index.description, name, d), rows, skipped, nlist };
}

/** Cells of the coarse quantizer for so many rows, by RVC's rule. */
export function nlistOf(rows: number): number {
  return Math.max(1, Math.min(Math.floor(16 * Math.sqrt(rows)), Math.floor(rows / 39)));
}

/** Rows that are stored of so many. */
export function storedRows(rows: number): number {
  return rows > MOST_ROWS ? CENTRES : rows;
}

/** RVC's name for the file of a voice. */
export function voiceFileName(description: string, name: string, d: number): string {
  const version = d === DIMENSIONS.v1 ? "v1" : d === DIMENSIONS.v2 ? "v2" : `d${d}`;
  return `added_${description.replace(/\W+/g, "_")}_nprobe_1_${fileNamePart(name)}_${version}.index`;
}

/** The dimensions of a voice. */
function dimensionsOf({ version, d }: VoiceOptions): number {
  if (version !== undefined && !Object.hasOwn(DIMENSIONS, version))
    fail("ERR_PARAMETER", `version is ${named(version)}: give "v1" or "v2"`);
  if (d === undefined) return DIMENSIONS[version ?? "v2"];
  if (!Number.isSafeInteger(d) || d < 1) fail("ERR_PARAMETER", `d is ${named(d)}: give the dimensions of a row`);
  if (version !== undefined && DIMENSIONS[version] !== d)
    fail("ERR_DIMENSION", `d is ${d}, and ${version} has ${DIMENSIONS[version]} dimensions: leave one of them out`);
  return d;
}

/** A text as a part of a file's name, on any system: what could be a path or a device in it becomes `_`. */
function fileNamePart(name: string): string {
  return name.replace(/[\p{Cc}/\\:*?"<>|]+/gu, "_") || "voice";
}

/** The rows of all slices, in the order of their names, and how many were left out. */
async function collect(
  slices: Slices,
  d: number,
  skip: boolean,
  pace: Pace,
): Promise<{ parts: Float32Array[]; skipped: number }> {
  const parts: { name: string; rows: Float32Array }[] = [];
  let skipped = 0;
  for await (const { name, data } of eachSlice(slices)) {
    const title = name === "" ? `slice ${parts.length}` : name;
    const all = await sliceRows({ name: title, data }, d, pace);
    const rows = finiteRows(title, all, d, skip);
    skipped += (all.length - rows.length) / d;
    parts.push({ name, rows });
    await pace.step("read slices", parts.length, Infinity);
  }
  parts.sort((a, b) => compareCodePoints(a.name, b.name));
  return { parts: parts.map(({ rows }) => rows), skipped };
}

/** The rows without those that have NaN or infinity, moved together where they stand. Throws ERR_NOT_FINITE unless these may be left out. */
function finiteRows(name: string, rows: Float32Array, d: number, skip: boolean): Float32Array {
  let kept = 0;
  for (let at = 0; at < rows.length; at += d) {
    let column = 0;
    while (column < d && rows[at + column] - rows[at + column] === 0) column++;
    if (column === d) {
      if (kept !== at) rows.copyWithin(kept, at, at + d);
      kept += d;
    } else if (!skip) {
      fail(
        "ERR_NOT_FINITE",
        `${name}: row ${at / d} has ${rows[at + column]} in column ${column} (both counted from 0): mend the slice, or leave such ` +
          `rows out by skipNonFinite (--skip-nonfinite on the command line)`,
      );
    }
  }
  return rows.subarray(0, kept);
}

/** All rows in one array, in the order that the seed draws. The parts are given up one by one. */
function shuffled(parts: Float32Array[], d: number, seed: number): Float32Array {
  const order = permutation(
    parts.reduce((sum, rows) => sum + rows.length / d, 0),
    seed,
  );
  const place = new Int32Array(order.length);
  for (let i = 0; i < order.length; i++) place[order[i]] = i;
  const vectors = new Float32Array(order.length * d);
  let row = 0;
  for (let rows; (rows = parts.shift()) !== undefined;) {
    for (let i = 0; i < rows.length; i += d) vectors.set(rows.subarray(i, i + d), place[row++] * d);
  }
  return vectors;
}

/** Python's order of strings, by code points: JavaScript's own, by UTF-16 units, differs above U+FFFF. */
function compareCodePoints(a: string, b: string): number {
  const [x, y] = [Array.from(a, codePoint), Array.from(b, codePoint)];
  for (let i = 0; i < Math.min(x.length, y.length); i++) if (x[i] !== y[i]) return x[i] - y[i];
  return x.length - y.length;
}

function codePoint(character: string): number {
  return character.codePointAt(0) ?? 0;
}
