import type { Pace } from "../work/pace.js";
import { fail } from "../errors.js";
import { named } from "./given.js";
import { before, nextBytes, sourceOf } from "./source.js";
import type { Bytes, ByteSource } from "./source.js";

/** Bytes that tell what a file is, of an index (which begins with an I) and of all else. */
export const HEAD = 512;
const INDEX = 0x49;
const INDEX_HEAD = 64;

/** A source that has given some bytes. */
export interface Begun {
  source: ByteSource;
  /** The first bytes, as many as tell what a file is. */
  head: Uint8Array;
  /** All that it has given. */
  chunks: readonly Uint8Array[];
}

/** Looks into files that don't begin as an index does: src/format/identify.ts, which not every program carries. */
export interface Others {
  /** Opens the index in a zip; gives back any other file that may be an index after all. ERR_FORMAT says what it is otherwise. */
  open(input: Bytes, begun: Begun, pace: Pace): Promise<Begun>;
  /** What to say where the bytes of a file went through text. */
  mangled(head: Uint8Array): string | undefined;
  /** Says what to do with what no bytes can be read from. */
  unreadable(input: unknown): never;
}

/**
 * Opens what readIndex takes and looks at how it begins.
 *
 * @param expected bytes in all, where the caller knows
 * @param othersOf gives what looks into a file that begins so, where that is wanted and to be had
 * @returns the bytes from the start, and the first of them; rejects as sourceOf throws, with ERR_PARAMETER for what is no file, or with ERR_FORMAT that names what the file is
 */
export async function openIndexFile(
  input: Bytes,
  expected: number | undefined,
  pace: Pace,
  othersOf: (head: Uint8Array) => Promise<Others | undefined>,
): Promise<{ source: ByteSource; head: Uint8Array }> {
  const given = sourceOf(input, expected);
  if (given === undefined) {
    (await othersOf(new Uint8Array(0)))?.unreadable(input);
    return fail("ERR_PARAMETER", `can't read a file's bytes from ${named(input)}: give its bytes`);
  }
  try {
    let begun = await begin(given, pace);
    if (!isIndex(String.fromCharCode(...begun.head.subarray(0, 8)))) {
      const others = await othersOf(begun.head);
      if (others !== undefined) begun = await others.open(input, begun, pace);
    }
    const { source, head, chunks } = begun;
    return { source: before(chunks, source, source.expected === Infinity ? estimate(head) : source.expected), head };
  } catch (error) {
    given.close();
    throw error;
  }
}

/** Whether characters of one byte each begin as an index does: I, three letters or digits, d, which is never so large as to have no 0. */
export function isIndex(text: string): boolean {
  return /^I[A-Za-z0-9]{3}(?:[^]{3}\0|[^]{0,3}$)/.test(text);
}

/** What every index begins with in a file: fourcc, d, ntotal, two numbers that nobody uses, is_trained, metric_type. */
const HEADER = 4 + 4 + 8 + 16 + 1 + 4;

/** About how many bytes a file has that begins like this: exact for Flat and near for IVF,Flat, at most that for rows of codes. */
function estimate(head: Uint8Array): number {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (view.byteLength < INDEX_HEAD) return view.byteLength;
  const u64 = (at: number): number => view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
  const rowBytes = view.getUint32(4, true) * 4;
  const ntotal = u64(8);
  // Iw is an IVF, whose lists keep ids beside the rows, and a table of sizes; ahead of them stand the centroids.
  if (head[1] !== 0x77) return HEADER + 8 + ntotal * rowBytes;
  return 2 * HEADER + 16 + 8 + 9 + 32 + u64(HEADER) * (rowBytes + 8) + ntotal * (rowBytes + 8);
}

/** The first chunks of a source, until there are enough bytes to tell what they are, or all of them. */
export async function begin(source: ByteSource, pace: Pace): Promise<Begun> {
  const chunks: Uint8Array[] = [];
  let head = new Uint8Array(0);
  while (head.length < (head[0] === INDEX ? INDEX_HEAD : HEAD)) {
    // Whoever gives chunks may use the memory of the last one again.
    for (const last of chunks.splice(-1)) chunks.push(new Uint8Array(last));
    const chunk = await nextBytes(source, pace);
    if (chunk === undefined) break;
    chunks.push(chunk);
    const longer = new Uint8Array(Math.min(HEAD, head.length + chunk.length));
    longer.set(head);
    longer.set(chunk.subarray(0, longer.length - head.length), head.length);
    head = longer;
  }
  return { source, head, chunks };
}
