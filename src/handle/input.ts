import type { Ids } from "../api.js";
import { isDetached, kindOf, tagOf, what } from "../checks.js";
import { fail, makingArrays } from "../errors.js";
import { halfToFloat } from "../format/half.js";
import { isKept } from "../indexes/node.js";

/** Kinds of arrays whose numbers are taken as they are, rounded to 32 bits. */
const FLOATS = new Set(["Float32Array", "Float64Array", "Float16Array"]);
/** How tensors whose numbers are 16-bit floats call that: onnxruntime and transformers.js, NumPy in two ways. */
const HALVES = new Set(["float16", "f2", "<f2"]);

/**
 * The floats of vectors that are used where they stand: a Float32Array, or a tensor of one. Allocates nothing.
 *
 * @returns n x d floats; throws ERR_PARAMETER for anything else, ERR_DIMENSION for another shape or a broken last row
 */
export function floatsOf(name: string, given: unknown, d: number): Float32Array {
  const dims = dimsOf(given);
  const data = dims === undefined ? given : dataOf(name, given);
  if (kindOf(data) !== "Float32Array") {
    const inside = dims === undefined ? "" : " in a tensor";
    fail("ERR_PARAMETER", `${name} are ${what(data)}${inside}: give a Float32Array of n x ${d}, or a tensor of one`);
  }
  const floats = data as Float32Array;
  checkLength(name, floats, dims, d);
  return floats;
}

/**
 * The floats of vectors in any form that is taken: typed arrays of floats, arrays of rows, tensors. No copy is made of a Float32Array.
 *
 * @returns n x d floats; throws ERR_PARAMETER for anything else, ERR_DIMENSION for another shape or a broken last row
 */
export function rowsOf(name: string, given: unknown, d: number): Float32Array {
  // A list of our own: what is read of the rows may change the other.
  if (Array.isArray(given)) return fromRows(name, [...(given as unknown[])], d);
  const dims = dimsOf(given);
  const data = dims === undefined ? given : dataOf(name, given);
  const kind = kindOf(data);
  const halves = kind === "Uint16Array" && dims !== undefined && areHalves(given as object);
  if (kind === undefined || !(FLOATS.has(kind) || halves)) refuse(name, data, d);
  const array = data as Float32Array | Float64Array | Uint16Array;
  checkLength(name, array, dims, d);
  if (kind === "Float32Array") return array as Float32Array;
  const floats = makingArrays(() => new Float32Array(array.length));
  for (let i = 0; i < floats.length; i++) floats[i] = halves ? halfToFloat(array[i]) : array[i];
  return floats;
}

/**
 * As {@link rowsOf}, and nobody else can write to what it returns before it is used: what is shared, and not kept for us, is copied before it
 * is looked at. It is of no subclass, whose parts and copies are what its own constructor makes of them.
 */
export function ownRowsOf(name: string, given: unknown, d: number): Float32Array {
  const floats = rowsOf(name, given, d);
  if (isKept(floats)) return floats;
  const { buffer, byteOffset, length } = floats;
  const plain = new Float32Array(buffer, byteOffset, length);
  return tagOf(buffer) === "SharedArrayBuffer" ? makingArrays(() => new Float32Array(plain)) : plain;
}

/** The shape of a tensor of whichever library, undefined for what is none. */
function dimsOf(given: unknown): readonly number[] | undefined {
  if (typeof given !== "object" || given === null || ArrayBuffer.isView(given) || !("data" in given)) return undefined;
  const { dims, shape } = given as { dims?: unknown; shape?: unknown };
  const result = dims ?? shape;
  return Array.isArray(result) ? result : undefined;
}

function dataOf(name: string, tensor: unknown): unknown {
  const { fortranOrder } = tensor as { fortranOrder?: unknown };
  if (fortranOrder === true)
    fail("ERR_PARAMETER", `${name} are in Fortran order, column by column: save numpy.ascontiguousarray of them`);
  try {
    return (tensor as { data: unknown }).data;
  } catch (error) {
    // A tensor of onnxruntime that is on the GPU.
    return fail("ERR_PARAMETER", `${name} are a tensor whose data can't be had (${String(error)}): download it first`);
  }
}

function areHalves(tensor: { type?: unknown; dtype?: unknown }): boolean {
  return HALVES.has(tensor.type as string) || HALVES.has(tensor.dtype as string);
}

function refuse(name: string, data: unknown, d: number): never {
  const hint =
    kindOf(data) === "Uint16Array"
      ? `; 16-bit floats as { data, dims, type: "float16" }`
      : `, an array of rows, or a tensor { data, dims }`;
  fail("ERR_PARAMETER", `${name} are ${what(data)}: give a Float32Array of n x ${d}${hint}`);
}

/** Throws for what does not hold n x d numbers, by its shape where it has one. */
function checkLength(
  name: string,
  array: ArrayBufferView & { length: number },
  dims: readonly number[] | undefined,
  d: number,
): void {
  if (isDetached(array))
    fail("ERR_PARAMETER", `${name} are an array whose memory is gone: it was handed over, to a worker perhaps`);
  if (dims !== undefined) {
    if (dims.reduce(times, 1) !== array.length)
      fail("ERR_DIMENSION", `${name} have the shape ${shapeOf(dims)} and ${array.length} numbers: mend the tensor`);
    if (dims[dims.length - 1] !== d)
      fail("ERR_DIMENSION", `${name} have the shape ${shapeOf(dims)}, and d is ${d}: give [n, ${d}]`);
  }
  if (array.length % d !== 0) {
    fail(
      "ERR_DIMENSION",
      `${name} have ${array.length} numbers, no multiple of d = ${d}: give n x ${d} numbers, row by row`,
    );
  }
}

/** A shape, whatever is in it, for a sentence. */
function shapeOf(dims: readonly unknown[]): string {
  return `[${dims.map(what).join(", ")}]`;
}

/** Not a loop over the shape, whose iterator would be an allocation. */
function times(product: number, size: unknown): number {
  return typeof size === "number" ? product * size : NaN;
}

function fromRows(name: string, rows: readonly unknown[], d: number): Float32Array {
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i];
    if (i === 0 && typeof row === "number") refuse(name, rows, d);
    if (!Array.isArray(row) && !FLOATS.has(kindOf(row) ?? ""))
      fail("ERR_PARAMETER", `row ${i} of the ${name} is ${what(row)}: give ${d} numbers`);
    const { length } = row as { length: number };
    if (length !== d) fail("ERR_DIMENSION", `row ${i} of the ${name} has ${length} numbers, and d is ${d}`);
  }
  const floats = makingArrays(() => new Float32Array(rows.length * d));
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as readonly unknown[];
    for (let j = 0; j < d; j++) {
      const value = row[j];
      if (typeof value !== "number")
        fail("ERR_PARAMETER", `row ${i} of the ${name} has ${what(value)} in column ${j}: give numbers`);
      floats[i * d + j] = value;
    }
  }
  return floats;
}

/** Copies floats without making a view of a part, which would be an allocation. */
export function copyRows(from: Float32Array, start: number, to: Float32Array, at: number, length: number): void {
  if (start === 0 && from.length === length) to.set(from, at);
  else for (let i = 0; i < length; i++) to[at + i] = from[start + i];
}

/** How many ids are given. ERR_ID for what is no array of them. */
function countIds(ids: unknown): number {
  const isTyped = kindOf(ids) !== undefined;
  if (!Array.isArray(ids) && !isTyped)
    fail("ERR_ID", `ids are ${what(ids)}: give an Int32Array, a BigInt64Array or an array`);
  if (isTyped && isDetached(ids as Int32Array))
    fail("ERR_ID", "ids are an array whose memory is gone: it was handed over, to a worker perhaps");
  return (ids as ArrayLike<unknown>).length;
}

/** Ids as 64-bit numbers of our own. ERR_ID for what is none. */
export function toBigInts(ids: Ids): BigInt64Array<ArrayBuffer> {
  const n = countIds(ids);
  const own = makingArrays(() => new BigInt64Array(n));
  for (let i = 0; i < n; i++) {
    const id = ids[i];
    if (typeof id === "bigint" ? id !== BigInt.asIntN(64, id) : !Number.isSafeInteger(id)) {
      fail("ERR_ID", `${what(id)} is no id: give whole numbers of up to 64 bits`);
    }
    own[i] = BigInt(id);
  }
  return own;
}
