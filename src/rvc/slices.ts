import type { Vectors } from "../api.js";
import { fail } from "../errors.js";
import { tagOf } from "../checks.js";
import { bytesOf, named } from "../format/given.js";
import { openNpy } from "../format/npy.js";
import { isSource } from "../format/source.js";
import type { Bytes } from "../format/source.js";
import { openSource } from "../format/unreadable.js";
import { rowsOf } from "../handle/input.js";
import type { Pace } from "../work/pace.js";

/**
 * Features of a slice: n x d floats in any form, or the `.npy` file of n x d real numbers of any type, wherever its bytes come from.
 *
 * @example
 *   const data: SliceData = await fetch("0_0.npy");
 */
export type SliceData = Bytes | Vectors;

/**
 * Features of one slice of a recording.
 *
 * @example
 *   const slice: Slice = { name: "0_0.npy", data: await readFile("0_0.npy") };
 */
export interface Slice {
  /**
   * The name of its file: slices are put in the order of their names. Those without one come first, as they were given.
   *
   * @example
   *   const slice = { name: "0_0.npy", data };
   */
  name?: string | undefined;
  /**
   * Its features.
   *
   * @example
   *   const slice = { name: "0_0.npy", data: new Float32Array(100 * 768) };
   */
  data: SliceData;
}

/**
 * A slice as pages have it: a File is called as it is, a response as its address ends.
 *
 * @example
 *   const slice: SliceLike = input.files[0];
 */
export type SliceLike = Slice | readonly [name: string, data: SliceData] | Blob | Response | Float32Array;

/**
 * Slices: an array, a FileList, a Map from names to data, a generator, or a single one.
 *
 * @example
 *   const slices: Slices = input.files; // <input type="file" multiple>
 */
export type Slices = Iterable<SliceLike> | AsyncIterable<SliceLike> | SliceLike;

/** A slice by what errors call it, and what it is put in order by. */
export interface NamedSlice {
  name: string;
  /** What its rows are made of; anything that a caller may give. */
  data: unknown;
}

/** The names of what a page can take an `.npy` file from. */
const FILES = new Set(["Blob", "File", "Response", "ReadableStream"]);

/** The slices among whatever the caller has given. ERR_PARAMETER names what is none, and says what to do about it. */
export async function* eachSlice(slices: Slices): AsyncGenerator<NamedSlice> {
  const given: unknown = slices;
  if (isSlice(given)) {
    yield nameOf(given, 0);
    return;
  }
  const tag = tagOf(given);
  if (tag === "Promise") refuse(given, "await it first");
  if (typeof given !== "object" || given === null) refuse(given, "give an array of { name, data }");
  if (!(Symbol.asyncIterator in given || Symbol.iterator in given)) {
    refuse(given, "give an array of { name, data }, or Object.entries of an object from names to data");
  }
  let position = 0;
  for await (const slice of given as AsyncIterable<unknown>) yield nameOf(slice, position++);
}

/**
 * The rows of a slice.
 *
 * @returns n x d floats, of memory of our own; rejects with ERR_FORMAT for bytes that are no .npy of real numbers, ERR_DIMENSION for
 *   another d, ERR_PARAMETER for anything that is neither
 */
export async function sliceRows({ name, data }: NamedSlice, d: number, pace: Pace): Promise<Float32Array> {
  const given = await data;
  // A generator may give the same array for each slice, filled anew.
  if (typeof given === "string")
    fail(
      "ERR_PARAMETER",
      `${name} is ${named(given)}: a path is not opened here: give await readFile(path), or await fetch(url)`,
    );
  if (!(holdsFile(given) || isStream(given))) return rowsOf(name, given, d).slice();
  const source = openSource(given);
  try {
    const npy = await openNpy(name, source, pace);
    const { shape, descr } = npy;
    if (shape.length !== 2 || shape[1] !== d) wrongShape(name, shape, descr, d);
    return await npy.floats();
  } finally {
    source.close();
  }
}

/** Throws ERR_DIMENSION: says what shape would do, and how to get there. */
function wrongShape(name: string, shape: readonly number[], descr: string, d: number): never {
  const is = `${name} has the shape [${shape.join(", ")}] (${descr}), not [n, ${d}]`;
  if (shape.length > 2 && shape.at(-1) === d)
    fail("ERR_DIMENSION", `${is}: save x.reshape(-1, ${d}), if its rows follow each other`);
  if (shape.length === 1 && shape[0] === d) fail("ERR_DIMENSION", `${is}: save x[None] if it is one row`);
  if (shape.length === 2 && shape[0] === d) fail("ERR_DIMENSION", `${is}: save x.T, its transpose`);
  return fail(
    "ERR_DIMENSION",
    `${is}: is it of the other RVC version (v1 has 256 columns, v2 768), or of another model?`,
  );
}

/** Whether something is one slice, and no collection of them. */
function isSlice(given: unknown): boolean {
  if (typeof given !== "object" || given === null) return false;
  return holdsFile(given) || ArrayBuffer.isView(given) || "data" in given;
}

function holdsFile(given: unknown): given is Bytes {
  return FILES.has(tagOf(given)) || bytesOf(given) !== undefined;
}

/** Bytes as they come, of which a collection of slices may be one as well. */
function isStream(given: unknown): given is Bytes {
  return isSource(given) || (typeof given === "object" && given !== null && Symbol.asyncIterator in given);
}

/** A slice with the name that it has, or with none and its place in errors. */
function nameOf(slice: unknown, position: number): NamedSlice {
  if (Array.isArray(slice) && slice.length === 2 && typeof slice[0] === "string") {
    return { name: slice[0], data: slice[1] };
  }
  if (!isSlice(slice)) {
    const next = tagOf(slice).startsWith("FileSystem")
      ? "give (await handle.getFile())"
      : "give { name, data } or a File";
    return fail("ERR_PARAMETER", `slice ${position} is ${named(slice)}: ${next}`);
  }
  const { name, url, data, dims, shape } = slice as Record<string, unknown>;
  const own = typeof name === "string" ? name : typeof url === "string" ? url.replace(/^.*\/|[?#].*$/g, "") : "";
  // A tensor has data as a slice has, and is the data.
  const whole = holdsFile(slice) || ArrayBuffer.isView(slice) || Array.isArray(dims ?? shape);
  return { name: own, data: whole ? slice : data };
}

function refuse(given: unknown, next: string): never {
  fail("ERR_PARAMETER", `slices are ${named(given)}: ${next}`);
}
