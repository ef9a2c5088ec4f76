import { fail } from "./errors.js";

// What callers give is looked at here: plain JavaScript gives what no type allows, and a page gives values of other realms, an iframe's
// or a vm context's, which `instanceof` does not know. Nothing here allocates, unless it fails.

const { get: nameOfTypedArray } = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
) as { get: (this: unknown) => string | undefined };

/** "Float32Array", "BigInt64Array" …: the kind of a typed array of any realm; undefined for all else, whatever it says of itself. */
export function kindOf(value: unknown): string | undefined {
  return nameOfTypedArray.call(value);
}

/** What an object of the platform, of any realm, calls itself: "Blob", "Response", "ArrayBuffer" … */
export function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}

/** Whether the memory of a typed array is gone: handed over to somebody else, or cut off. */
export function isDetached(array: ArrayBufferView & { length: number }): boolean {
  if (array.length > 0) return false;
  try {
    // Nothing is sought: this is a method that refuses such arrays, which Node 20 can't be asked for otherwise.
    Uint8Array.prototype.indexOf.call(array as Uint8Array, 0);
    return false;
  } catch {
    return true;
  }
}

/** What a value is, for a sentence. */
export function what(value: unknown): string {
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return String(value);
  try {
    const { length, constructor } = value as { length?: unknown; constructor?: unknown };
    const name = typeof constructor === "function" ? constructor.name : "an object";
    return `${name}${typeof length === "number" ? ` of length ${length}` : ""}`;
  } catch {
    // A revoked proxy, or a getter that throws.
    return "an object";
  }
}

/** Throws ERR_PARAMETER for options that are no object of named values, such as a number or null. */
export function checkOptions(options: unknown): asserts options is object {
  if (typeof options !== "object" || options === null || Symbol.iterator in options)
    fail("ERR_PARAMETER", `options are ${what(options)}: give an object with names, such as { nprobe: 8 }, or nothing`);
}

/** Throws ERR_PARAMETER for what can't be called. */
export function checkCallback(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== "function")
    fail("ERR_PARAMETER", `${name} is ${what(value)}: give a function, or leave it out`);
}
