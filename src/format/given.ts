import { tagOf } from "../checks.js";
import { fail } from "../errors.js";

// What callers hand in, told by what it is and not by whose constructor made it: an iframe, a worklet or a test's sandbox has
// constructors of its own, and `instanceof` takes none of theirs.

/**
 * The bytes of whatever holds bytes and nothing else, without a copy and of this realm; undefined for anything else, arrays of numbers
 * included. Throws ERR_PARAMETER where their memory is gone.
 */
export function bytesOf(value: unknown): Uint8Array | undefined {
  const tag = tagOf(value);
  try {
    if (tag === "Uint8Array" || tag === "Uint8ClampedArray" || tag === "DataView") {
      const { buffer, byteOffset, byteLength } = value as DataView;
      return new Uint8Array(buffer, byteOffset, byteLength);
    }
    return tag === "ArrayBuffer" || tag === "SharedArrayBuffer" ? new Uint8Array(value as ArrayBuffer) : undefined;
  } catch {
    return fail(
      "ERR_PARAMETER",
      "the bytes' memory is gone: it was handed over, to a worker perhaps, before it was read",
    );
  }
}

/** What a value is, for a sentence: "undefined", "the text "a.index"", "an Array of length 3", "a Promise". */
export function named(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "string")
    return `the text ${JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value)}`;
  if (typeof value === "function") return "a function";
  if (typeof value !== "object") return `the ${typeof value} ${(value as number).toString()}`;
  let name = "object";
  let length: unknown;
  try {
    const tag = tagOf(value);
    name = tag === "Object" ? ((value.constructor as { name?: string } | undefined)?.name ?? name) : tag;
    ({ length } = value as { length?: unknown });
  } catch {
    // A proxy of what asks whether it is itself, or a getter that throws.
  }
  const article = /^[aeiou]/i.test(name) && !name.startsWith("U") ? "an" : "a";
  return `${article} ${name}${typeof length === "number" ? ` of length ${length}` : ""}`;
}
