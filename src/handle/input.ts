import type { Ids } from "../api.js";
import { fail, makingArrays } from "../errors.js";

/** Rows in an array of vectors. ERR_PARAMETER for anything but a Float32Array, ERR_DIMENSION for a broken last row. */
export function countRows(name: string, vectors: Float32Array, d: number): number {
  if (!(vectors instanceof Float32Array))
    fail("ERR_PARAMETER", `${name} are ${what(vectors)}: give a Float32Array of n x ${d}`);
  if (vectors.length % d !== 0) {
    fail(
      "ERR_DIMENSION",
      `${name} have ${vectors.length} numbers, no multiple of d = ${d}: give n x ${d} numbers, row by row`,
    );
  }
  return vectors.length / d;
}

/** Throws ERR_PARAMETER unless k is a whole number from 1 on. */
export function checkK(k: number): void {
  if (!Number.isSafeInteger(k) || k < 1) fail("ERR_PARAMETER", `k is ${String(k)}: give a whole number from 1 on`);
}

/** Copies floats without making a view of a part, which would be an allocation. */
export function copyRows(from: Float32Array, start: number, to: Float32Array, at: number, length: number): void {
  if (start === 0 && from.length === length) to.set(from, at);
  else for (let i = 0; i < length; i++) to[at + i] = from[start + i];
}

/** Ids as 64-bit numbers of our own. ERR_ID for what is none. */
export function toBigInts(ids: Ids): BigInt64Array<ArrayBuffer> {
  const given: unknown = ids;
  if (!Array.isArray(given) && !ArrayBuffer.isView(given)) {
    fail("ERR_ID", `ids are ${what(given)}: give an Int32Array, a BigInt64Array or an array`);
  }
  const own = makingArrays(() => new BigInt64Array(ids.length));
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i];
    if (typeof id === "bigint" ? id !== BigInt.asIntN(64, id) : !Number.isSafeInteger(id)) {
      fail("ERR_ID", `${String(id)} is no id: give whole numbers of up to 64 bits`);
    }
    own[i] = BigInt(id);
  }
  return own;
}

/** What a value of the wrong kind is, for a sentence. */
export function what(value: unknown): string {
  if (value === null || typeof value !== "object") return String(value);
  const { length } = value as { length?: unknown };
  return `${value.constructor?.name ?? "an object"}${typeof length === "number" ? ` of length ${length}` : ""}`;
}
