import { tagOf } from "../checks.js";
import { fail } from "../errors.js";
import { named } from "./given.js";
import { sourceOf } from "./source.js";
import type { Bytes, ByteSource } from "./source.js";

/** As sourceOf, but ERR_PARAMETER for what no bytes can be read from, with what to do about it. */
export function openSource(input: Bytes, bytesInAll?: number): ByteSource {
  return sourceOf(input, bytesInAll) ?? unreadable(input);
}

/** Says what to do with what no bytes can be read from. */
export function unreadable(input: unknown): never {
  return fail("ERR_PARAMETER", `can't read a file's bytes from ${named(input)}: ${nextStep(input)}`);
}

function nextStep(input: unknown): string {
  if (typeof input === "string") {
    if (/^(https?|blob|data):/i.test(input)) return "fetch it first: readIndex(await fetch(url))";
    if (/^[\w+/]{200,}={0,2}$/.test(input)) return "decode base64 to a Uint8Array first";
    return "a path is not opened here: give (await readFile(path)) in Node, (await fetch(url)) in a page";
  }
  switch (tagOf(input)) {
    case "Promise":
      return "await it first, as in readIndex(await fetch(url))";
    case "URL":
    case "Request":
      return "fetch it first: readIndex(await fetch(url)), or (await readFile(url)) for a file in Node";
    case "FileList":
      return "give one of its files, such as list[0]";
    case "FileSystemFileHandle":
      return "give (await handle.getFile())";
    case "Array":
      return "give Uint8Array.from(numbers) if these are bytes";
  }
  if (ArrayBuffer.isView(input)) {
    return (
      "these are numbers; make an index of vectors by indexFactory, train and add, " +
      "or give new Uint8Array(array.buffer) if its memory is a file"
    );
  }
  const { createReadStream, body, data } = Object(input) as Record<string, unknown>;
  if (typeof createReadStream === "function") return "give handle.createReadStream()";
  if (body !== undefined) return "give its body";
  if (data !== undefined) return "give its data";
  return "give a Uint8Array, ArrayBuffer, Blob, Response, ReadableStream, or chunks of bytes";
}
