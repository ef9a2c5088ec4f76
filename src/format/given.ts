// What callers hand in, told by what it is and not by whose constructor made it: an iframe, a worklet or a test's sandbox has
// constructors of its own, and `instanceof` takes none of theirs.

/** The kind of a value by the language's own name for it: "Uint8Array", "Blob", "Promise", "Array", "Object", "Undefined" … */
export function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}

/** The bytes of whatever holds bytes and nothing else, without a copy; undefined for anything else, arrays of numbers included. */
export function bytesOf(value: unknown): Uint8Array | undefined {
  switch (tagOf(value)) {
    case "Uint8Array":
    case "Uint8ClampedArray":
    case "DataView": {
      // Of this realm, and never a Buffer of Node, whose slices are no copies.
      const { buffer, byteOffset, byteLength } = value as DataView;
      return new Uint8Array(buffer, byteOffset, byteLength);
    }
    case "ArrayBuffer":
    case "SharedArrayBuffer":
      return new Uint8Array(value as ArrayBuffer);
    default:
      return undefined;
  }
}

/** What a value is, for a sentence: "undefined", "the text "a.index"", "an Array of length 3", "a Promise". */
export function named(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "string")
    return `the text ${JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value)}`;
  if (typeof value !== "object") return typeof value === "function" ? "a function" : `${typeof value} ${String(value)}`;
  const tag = tagOf(value);
  const name = tag === "Object" ? ((value.constructor as { name?: string } | undefined)?.name ?? "object") : tag;
  const { length } = value as { length?: unknown };
  const article = /^[aeiou]/i.test(name) && !name.startsWith("U") ? "an" : "a";
  return `${article} ${name}${typeof length === "number" ? ` of length ${length}` : ""}`;
}
