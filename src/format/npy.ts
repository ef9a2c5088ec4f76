import { fail } from "../errors.js";
import type { Pace } from "../work/pace.js";
import { halfToFloat } from "./half.js";
import { identify } from "./identify.js";
import { isIndex } from "./index-file.js";
import { nextBytes } from "./source.js";
import type { ByteSource } from "./source.js";

// Not by a library: the one there is for browsers (npyjs) knows headers as numpy pads them, bytes in this machine's order, rows one
// after the other, and a file that is one ArrayBuffer; checking beforehand that a file is like that, and mending it where it is not,
// takes a parser of headers and a decoder of each type, which is all of it. It also makes a TextDecoder while it is loaded, which an
// AudioWorklet has not, and loading it later fails in the service worker of an extension and on pages without a bundler.
// The format: numpy.lib.format, versions 1.0 to 3.0.

const MAGIC = "\x93NUMPY";
/** numpy itself refuses longer headers of files that it does not trust. */
const MAX_HEADER = 10_000;
/** Bytes that are decoded at a time, a multiple of all sizes of numbers. */
const STEP = 3 << 18;

/** How a number is kept: its kind, as numpy's letter for it, and its size. */
interface NumberType {
  kind: "f" | "i" | "u" | "b";
  bytes: number;
  bigEndian: boolean;
}

/** An array of numbers in a file: what its header says, and the way to its numbers. */
export interface Npy {
  /** Items in each dimension. */
  shape: number[];
  /** numpy's name of the type, such as `<f4`. */
  descr: string;
  /** All numbers as float32, row by row whatever the order in the file. ERR_FORMAT where it is cut off, ERR_MEMORY. */
  floats(): Promise<Float32Array<ArrayBuffer>>;
}

/**
 * Reads the header of an `.npy` file: real numbers of any size, whole or not, in any order of bytes, rows or columns first.
 *
 * @param name what errors call the file
 * @returns rejects with ERR_FORMAT, which names what the file is otherwise, or what it holds that is no number
 */
export async function openNpy(name: string, source: ByteSource, pace: Pace): Promise<Npy> {
  const bytes = new Bytes(name, source, pace);
  const prefix = await bytes.atLeast(12);
  const text = latin1(prefix.subarray(0, 512));
  if (!text.startsWith(MAGIC)) return noNpy(name, prefix);
  const version = prefix[6];
  if (version < 1 || version > 3)
    fail("ERR_FORMAT", `${name} is of version ${version} of the .npy format, which is not known: save it again`);
  const start = version === 1 ? 10 : 12;
  const view = new DataView(prefix.buffer, prefix.byteOffset, prefix.byteLength);
  if (prefix.length < start) cutOff(name, " in its header");
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > MAX_HEADER)
    fail("ERR_FORMAT", `${name} has a header of ${length} bytes: it is damaged, or no plain array`);
  const head = await bytes.atLeast(start + length);
  if (head.length < start + length) cutOff(name, " in its header");
  const header = latin1(head.subarray(start, start + length));
  const { descr, type, shape, fortran } = parseHeader(name, header);
  bytes.skip(start + length);
  return { shape, descr, floats: () => decode(name, bytes, type, shape, fortran) };
}

/** The bytes of a file, asked for from its start. */
class Bytes {
  readonly #name: string;
  readonly #source: ByteSource;
  readonly #pace: Pace;
  /** What has come and was not taken. */
  #rest = new Uint8Array(0);
  #taken = 0;

  constructor(name: string, source: ByteSource, pace: Pace) {
    this.#name = name;
    this.#source = source;
    this.#pace = pace;
  }

  /** Bytes that are known to be left; Infinity where nobody knows. */
  get left(): number {
    return this.#source.total - this.#taken;
  }

  /** The bytes to come, so many or more, or all where the file is shorter; they stay to come. */
  async atLeast(bytes: number): Promise<Uint8Array> {
    while (this.#rest.length < bytes) {
      // A copy: whoever gives chunks may use the memory of the last one again.
      const rest = new Uint8Array(this.#rest);
      const chunk = await nextBytes(this.#source, this.#pace);
      if (chunk === undefined) break;
      this.#rest = rest.length === 0 ? (chunk as Uint8Array<ArrayBuffer>) : joined(rest, chunk);
    }
    return this.#rest;
  }

  skip(bytes: number): void {
    this.#rest = this.#rest.subarray(bytes);
    this.#taken += bytes;
  }

  /** Takes between 1 and `most` bytes, a multiple of `unit`, into memory of their own. */
  async take(most: number, unit: number): Promise<Uint8Array<ArrayBuffer>> {
    const length = Math.floor(Math.min((await this.atLeast(unit)).length, most) / unit) * unit;
    if (length === 0) cutOff(this.#name, ` after ${this.#taken + this.#rest.length} bytes`);
    const taken = new Uint8Array(this.#rest.subarray(0, length));
    this.skip(length);
    await this.#pace.breathe();
    return taken;
  }
}

/** What a header says. It is a Python dictionary, by numpy's own hand or by those of many others. */
function parseHeader(
  name: string,
  header: string,
): { descr: string; type: NumberType; shape: number[]; fortran: boolean } {
  const key = (word: string): RegExp =>
    new RegExp(`['"]${word}['"]\\s*:\\s*(?:['"]([^'"]*)['"]|([([][^)\\]]*)|(\\w+))`);
  const [descr, order, sizes] = ["descr", "fortran_order", "shape"].map((word) => key(word).exec(header));
  const fortran = order?.[3]?.toLowerCase();
  // 5L is what Python 2 called a whole number.
  const shape = sizes?.[2]
    ?.slice(1)
    .split(",")
    .map((size) => size.trim())
    .filter((size) => size !== "")
    .map((size) => (/^\d+L?$/.test(size) ? parseInt(size, 10) : NaN));
  if (
    descr === null ||
    (fortran !== "true" && fortran !== "false") ||
    shape === undefined ||
    shape.some(Number.isNaN)
  ) {
    return fail(
      "ERR_FORMAT",
      `${name} has a header that can't be understood (${header.trim().slice(0, 80)}): save it by numpy`,
    );
  }
  return { descr: descr[1] ?? descr[2], type: parseType(name, descr[1] ?? ""), shape, fortran: fortran === "true" };
}

/** What a type of numpy's is, where it is one of real numbers. */
function parseType(name: string, descr: string): NumberType {
  const [, order, letter, digits] = /^([<>=|]?)([fiub])(\d+)$/.exec(descr) ?? [];
  const [, word, bits] = /^(float|int|uint)(\d+)$/.exec(descr) ?? [];
  const kind = (letter ?? word?.[0] ?? (descr === "bool" || descr === "?" ? "b" : "")) as NumberType["kind"] | "";
  const bytes = Number(digits ?? (bits === undefined ? 1 : Number(bits) / 8));
  const known = kind === "f" ? [2, 4, 8, 16] : kind === "b" ? [1] : kind === "" ? [] : [1, 2, 4, 8];
  if (kind !== "" && known.includes(bytes)) return { kind, bytes, bigEndian: order === ">" };
  const [what, instead] = NO_NUMBERS.find(([pattern]) => pattern.test(descr))?.slice(1) as [string, string];
  return fail("ERR_FORMAT", `${name} holds ${what} (${descr || "a table"}): ${instead}`);
}

/** What else arrays hold, by what numpy calls it. */
const NO_NUMBERS: readonly [RegExp, string, string][] = [
  [/^.?c|complex/, "complex numbers", "save their real parts, numpy.real(x), or numpy.abs(x)"],
  [/^.?O/, "Python objects", "save rows of one length by numpy.stack(list).astype('float32')"],
  [/^.?[SUa]/, "texts", "save numbers, such as x.astype('float32')"],
  [/^.?[mM]/, "times", "save numbers, such as x.astype('float32')"],
  [/^$/, "records of several fields", "save one field, such as x['name']"],
  [/^/, "values of an unknown type", "save them as x.astype('float32')"],
];

/** The numbers of a file, in the order of rows. */
async function decode(
  name: string,
  bytes: Bytes,
  type: NumberType,
  shape: readonly number[],
  fortran: boolean,
): Promise<Float32Array<ArrayBuffer>> {
  const count = shape.reduce((product, size) => product * size, 1);
  const needed = count * type.bytes;
  if (needed > bytes.left) {
    cutOff(name, `: the shape [${shape.join(", ")}] takes ${needed} bytes, and ${bytes.left} are there`);
  }
  // Where it is not known how much will come, room is made for what has.
  let floats = floatsOf(name, bytes.left === Infinity ? Math.min(count, STEP) : count);
  const place = fortran ? placeOf(shape) : undefined;
  for (let done = 0; done < count;) {
    const raw = await bytes.take(Math.min(STEP, (count - done) * type.bytes), type.bytes);
    const numbers = numbersOf(raw, type, name);
    if (done + numbers.length > floats.length) {
      const grown = floatsOf(name, Math.min(count, 2 * (done + numbers.length)));
      grown.set(floats);
      floats = grown;
    }
    if (numbers instanceof Float32Array) floats.set(numbers, done);
    else for (let i = 0; i < numbers.length; i++) floats[done + i] = Number(numbers[i]);
    done += numbers.length;
  }
  if (place === undefined) return floats;
  const rows = floatsOf(name, count);
  for (let i = 0; i < count; i++) rows[place(i)] = floats[i];
  return rows;
}

function floatsOf(name: string, count: number): Float32Array<ArrayBuffer> {
  try {
    return new Float32Array(count);
  } catch {
    return fail("ERR_MEMORY", `${name} has ${count} numbers, more than memory holds: give it in parts`);
  }
}

/** Where an item goes whose place is counted with the first dimension running fastest. */
function placeOf(shape: readonly number[]): (item: number) => number {
  const strides = shape.map((_, i) => shape.slice(i + 1).reduce((product, size) => product * size, 1));
  return (item) => {
    let place = 0;
    for (let i = 0; i < shape.length; i++) {
      place += (item % shape[i]) * strides[i];
      item = Math.floor(item / shape[i]);
    }
    return place;
  };
}

/** Bytes as the numbers that they are. */
function numbersOf(
  raw: Uint8Array<ArrayBuffer>,
  { kind, bytes, bigEndian }: NumberType,
  name: string,
): ArrayLike<number | bigint> {
  if (bigEndian) for (let at = 0; at < raw.length; at += bytes) raw.subarray(at, at + bytes).reverse();
  const { buffer } = raw;
  switch (kind + String(bytes)) {
    case "f2":
      return Float32Array.from(new Uint16Array(buffer), halfToFloat);
    case "f4":
      return new Float32Array(buffer);
    case "f8":
      return new Float64Array(buffer);
    case "f16":
      return Float64Array.from({ length: raw.length / 16 }, (_, i) =>
        extendedToFloat(new DataView(buffer, i * 16), name),
      );
    case "i1":
      return new Int8Array(buffer);
    case "i2":
      return new Int16Array(buffer);
    case "i4":
      return new Int32Array(buffer);
    case "i8":
      return new BigInt64Array(buffer);
    case "u2":
      return new Uint16Array(buffer);
    case "u4":
      return new Uint32Array(buffer);
    case "u8":
      return new BigUint64Array(buffer);
    case "b1":
      return raw.map((value) => (value === 0 ? 0 : 1));
    default:
      return raw;
  }
}

/**
 * A long double of x86: 64 bits of mantissa with its leading 1, 15 of exponent, a sign, in 16 bytes. Other machines mean other
 * formats by the same name; that one bit tells.
 */
function extendedToFloat(view: DataView, name: string): number {
  const mantissa = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
  const top = view.getUint16(8, true);
  const exponent = top & 0x7fff;
  if (view.getUint8(7) < 0x80 && (exponent !== 0 || view.getUint16(14, true) !== 0)) {
    fail("ERR_FORMAT", `${name} holds long doubles of another machine than x86: save them as x.astype('float32')`);
  }
  const sign = top & 0x8000 ? -1 : 1;
  if (exponent === 0x7fff) return mantissa === 2 ** 63 ? sign * Infinity : NaN;
  // Numbers beyond a double's range are infinite or nothing, as numpy makes them.
  return sign * (mantissa / 2 ** 63) * 2 ** (exponent - 16383);
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function cutOff(name: string, where: string): never {
  return fail("ERR_FORMAT", `${name} is cut off${where}: save or load it again`);
}

function noNpy(name: string, head: Uint8Array): never {
  if (head.length > 4 && isIndex(latin1(head.subarray(0, 64)))) {
    fail("ERR_FORMAT", `${name} is a faiss index, not an .npy array: give the index first, and then the array`);
  }
  const kind = identify(head);
  const which = kind?.kind === "zip" ? "a zip, as an .npz of several arrays is" : kind?.what;
  const what = which === undefined ? "no .npy file" : `${which}, not an .npy file`;
  return fail("ERR_FORMAT", `${name} is ${what}: save an array of floats by numpy.save(path, x)`);
}
