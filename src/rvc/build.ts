import type { Index, Work } from "../api.js";
import { fail } from "../errors.js";
import { indexFactory } from "../factory/build.js";
import { miniBatchKMeans } from "../training/mini-batch.js";
import { permutation } from "../work/random.js";
import { Pace } from "../work/pace.js";
import type { EngineOptions } from "../wasm/engine.js";
import { sliceRows } from "./npy.js";
import type { Slice } from "./npy.js";

/** Dimensions of the features that RVC's models of each version take. */
const DIMENSIONS = { v1: 256, v2: 768 } as const;
/** From more rows on, RVC stores centres of clusters in their place, so many (train_index.py). */
const MOST_ROWS = 200_000;
const CENTRES = 10_000;

/** What a voice index is made with. */
export interface VoiceOptions extends EngineOptions, Work {
  /** What the voice is called in the file's name. Default: "voice". */
  name?: string;
  /** RVC's model version: "v1" has 256 dimensions, "v2" 768. Default: "v2". */
  version?: "v1" | "v2";
  /** Seed of the order of the rows and of all training. Default: 1234. */
  seed?: number;
  /** What to build, in faiss' language. Default: RVC's own, `IVF{nlist},Flat`. */
  factory?: string;
}

/** A voice index, and what goes with it. */
export interface Voice {
  /** The index, trained and filled, nprobe = 1 as RVC stores it. */
  index: Index;
  /** RVC's name for the file: `added_IVF495_Flat_nprobe_1_alice_v2.index`. */
  fileName: string;
  /** Rows that were stored: those of the slices, or 10,000 centres for more than 200,000 of them. */
  rows: number;
  /** Cells of the coarse quantizer by RVC's rule. */
  nlist: number;
}

/**
 * Builds a voice index from the features of its slices, by RVC's recipe (train_index.py) with a seed: slices in the order of their
 * names, rows shuffled, `nlist = min(16 sqrt(N), N / 39)`, `IVF{nlist},Flat` trained on all rows, nprobe 1.
 *
 * @returns rejects with ERR_DIMENSION for slices of another version, ERR_FORMAT for bytes that are no .npy, ERR_NOT_FINITE,
 *   ERR_PARAMETER where there are no rows, ERR_FACTORY, ERR_MEMORY, or the signal's reason
 */
export async function buildVoiceIndex(
  slices: Iterable<Slice> | AsyncIterable<Slice>,
  options: VoiceOptions = {},
): Promise<Voice> {
  const { name = "voice", version = "v2", seed = 1234, factory, signal } = options;
  if (!(version in DIMENSIONS)) fail("ERR_PARAMETER", `version is ${version}: give "v1" or "v2"`);
  const d = DIMENSIONS[version];
  signal?.throwIfAborted();
  let vectors = shuffled(await collect(slices, d, new Pace(options)), d, seed);
  if (vectors.length === 0) fail("ERR_PARAMETER", "there are no rows: give slices with features of the voice");
  if (vectors.length / d > MOST_ROWS) {
    vectors = await miniBatchKMeans(vectors, d, CENTRES, seed, options, new Pace(options));
  }
  const rows = vectors.length / d;
  const nlist = Math.max(1, Math.min(Math.floor(16 * Math.sqrt(rows)), Math.floor(rows / 39)));
  const index = await indexFactory(d, factory ?? `IVF${nlist},Flat`, undefined, options);
  try {
    await index.train(vectors, { ...options, seed });
    await index.add(vectors, options);
  } catch (error) {
    index.dispose();
    throw error;
  }
  const kind = index.description.replace(/\W+/g, "_");
  return { index, fileName: `added_${kind}_nprobe_1_${name}_${version}.index`, rows, nlist };
}

/** The rows of all slices, in the order of their names. */
async function collect(slices: Iterable<Slice> | AsyncIterable<Slice>, d: number, pace: Pace): Promise<Float32Array[]> {
  const parts: { name: string; rows: Float32Array }[] = [];
  for await (const slice of slices) {
    parts.push({ name: slice.name, rows: await sliceRows(slice, d) });
    await pace.step("read slices", parts.length, Infinity);
  }
  parts.sort((a, b) => compareCodePoints(a.name, b.name));
  return parts.map(({ rows }) => rows);
}

/** All rows in one array, in the order that the seed draws. */
function shuffled(parts: Float32Array[], d: number, seed: number): Float32Array {
  const order = permutation(
    parts.reduce((sum, rows) => sum + rows.length / d, 0),
    seed,
  );
  const place = new Int32Array(order.length);
  for (let i = 0; i < order.length; i++) place[order[i]] = i;
  const vectors = new Float32Array(order.length * d);
  let row = 0;
  for (const rows of parts) {
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
