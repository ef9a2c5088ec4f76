import { kindOf, what } from "../checks.js";
import { fail } from "../errors.js";

/** Results of one call where k is more than the index holds, so that most are filling. */
const MOST_FILLED = 1 << 24;

/** Throws ERR_MEMORY for more results than can be meant, before there is an array for them. */
export function checkCount(n: number, k: number, ntotal: number): void {
  if (k > ntotal && n * k > MOST_FILLED) {
    const most = `an index of ${ntotal} vectors fills up for`;
    fail("ERR_MEMORY", `${n} queries with k = ${k} have ${n * k} results, more than ${most}: ask for fewer`);
  }
}

/** New arrays for n x k results. ERR_MEMORY where there is no room for them. */
export function newResults(
  n: number,
  k: number,
  wide: boolean,
): { distances: Float32Array<ArrayBuffer>; labels: Int32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer> } {
  try {
    return {
      distances: new Float32Array(n * k),
      labels: wide ? new BigInt64Array(n * k) : new Int32Array(n * k),
    };
  } catch {
    return fail(
      "ERR_MEMORY",
      `${n} queries with k = ${k} have ${n * k} results, more than an array holds: ask for fewer`,
    );
  }
}

/** Throws unless the caller's arrays take n x k results: ERR_DIMENSION for distances, ERR_LABELS for labels. */
export function checkResults(n: number, k: number, wide: boolean, distances: unknown, labels: unknown): void {
  if (kindOf(distances) !== "Float32Array" || (distances as Float32Array).length < n * k) {
    fail("ERR_DIMENSION", `distances must be a Float32Array of at least ${n} x ${k} items, not ${what(distances)}`);
  }
  const kind = kindOf(labels);
  const fits = kind === "BigInt64Array" || (kind === "Int32Array" && !wide);
  if (!fits || (labels as Int32Array).length < n * k) {
    const types = wide ? "a BigInt64Array (the ids are 64-bit)" : "an Int32Array or BigInt64Array";
    fail("ERR_LABELS", `labels must be ${types} of at least ${n} x ${k} items, not ${what(labels)}`);
  }
}

/** Throws ERR_PARAMETER where two arrays are parts of one memory and one lies over the other. */
export function checkApart(name: string, a: ArrayBufferView, other: string, b: ArrayBufferView): void {
  // Memory last: to be asked for it takes V8 more than all else here.
  const crosses = a.byteOffset < b.byteOffset + b.byteLength && b.byteOffset < a.byteOffset + a.byteLength;
  if (crosses && a.buffer === b.buffer)
    fail("ERR_PARAMETER", `${name} lie over the ${other} in one memory: give arrays that share none of it`);
}
