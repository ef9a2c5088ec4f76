import { CellistError, fail } from "../errors.js";
import type { Pace } from "../work/pace.js";
import { tagOf } from "../checks.js";
import { bytesOf, named } from "./given.js";

/**
 * Where a file's bytes may come from.
 *
 * @example
 *   const file: Bytes = await fetch("alice.index");
 */
export type Bytes =
  | Uint8Array
  | ArrayBuffer
  | DataView
  | Blob
  | Response
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array>
  | Iterable<Uint8Array>;

/** Bytes as they come. */
export interface ByteSource {
  /** Bytes in all, where that is certain; else Infinity. */
  readonly total: number;
  /** Bytes in all as far as anyone says so, which may be wrong: progress counts on it, and nothing else does. */
  readonly expected: number;
  /** The next bytes, or undefined at the end. A chunk may be empty. */
  next(): Promise<Uint8Array | undefined>;
  /** Says that so many bytes behind the last chunk will be read in a row, where that is of use. */
  ahead?(bytes: number): void;
  /** Leaves out so many bytes behind the last chunk, which must be there: only what reads files in parts can. */
  skip?(bytes: number): void;
  /** Says that no more are wanted. It may be stuck, and that be the reason: nobody waits for it. */
  close(): void;
}

/** Chunks in a row that may be empty before a source counts as one that has nothing to give. */
const MOST_EMPTY = 100_000;

/**
 * Opens whatever readIndex takes; undefined for anything else (unreadable.ts says what to do about it).
 *
 * @param bytesInAll as the caller knows, for progress
 * @throws {CellistError} ERR_FORMAT for a response that is no file; ERR_PARAMETER for a number of bytes that is none
 */
export function sourceOf(input: Bytes, bytesInAll?: number): ByteSource | undefined {
  const expected = bytesInAll ?? Infinity;
  if (typeof expected !== "number" || !(expected >= 0))
    fail("ERR_PARAMETER", `bytes is ${named(expected)}: give how many bytes the file has`);
  if (isSource(input)) return input;
  const bytes = bytesOf(input);
  if (bytes !== undefined) return fromChunks([bytes], bytes.byteLength, bytes.byteLength);
  switch (tagOf(input)) {
    case "Blob":
    case "File": {
      const { size } = input as Blob;
      return fromStream((input as Blob).stream(), size, size);
    }
    case "Response":
      return fromResponse(input as Response, expected);
  }
  if (typeof (Object(input) as Partial<ReadableStream>).getReader === "function") {
    return fromStream(input as ReadableStream<Uint8Array>, Infinity, expected);
  }
  if (typeof input === "object" && input !== null && areChunks(input)) {
    try {
      return fromChunks(input, Infinity, expected);
    } catch (error) {
      // A proxy of a typed array, or what only seems to be iterable.
      if (!(error instanceof TypeError)) throw error;
    }
  }
  return undefined;
}

/** Whether something is a source already: the command line makes its own, of files whose size is known. */
export function isSource(input: unknown): input is ByteSource {
  return typeof input === "object" && input !== null && "next" in input && "total" in input && "close" in input;
}

/** The next bytes of a source, or undefined at the end: never an empty chunk. Others have their turn, and the signal is heard. */
export async function nextBytes(source: ByteSource, pace: Pace): Promise<Uint8Array | undefined> {
  for (let empty = 0; empty < MOST_EMPTY; empty++) {
    const chunk = await pace.unlessAborted(() => source.next());
    if (chunk === undefined || chunk.length > 0) return chunk;
    await pace.breathe();
  }
  return fail(
    "ERR_FORMAT",
    `the source gave ${MOST_EMPTY} empty chunks in a row: it has nothing more, and does not end`,
  );
}

/** A source that gives these bytes again before the rest of another. */
export function before(chunks: readonly Uint8Array[], rest: ByteSource, expected: number): ByteSource {
  const first = [...chunks];
  return {
    ...rest,
    expected,
    next: async () => first.shift() ?? rest.next(),
    ...(rest.skip && {
      skip(bytes: number) {
        for (let chunk; bytes > 0 && (chunk = first.shift()) !== undefined; bytes -= chunk.length) {
          if (chunk.length > bytes) {
            first.unshift(chunk.subarray(bytes));
            return;
          }
        }
        rest.skip?.(bytes);
      },
    }),
  };
}

/** Whether something may be iterated for chunks: arrays of numbers and the like are told by name instead. */
function areChunks(input: object): input is Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  if (ArrayBuffer.isView(input) || tagOf(input) === "FileList") return false;
  if (Array.isArray(input) && input.length > 0 && typeof input[0] === "number") return false;
  return Symbol.asyncIterator in input || Symbol.iterator in input;
}

function fromResponse(response: Response, expected: number): ByteSource {
  const { status, statusText, type, url, body, headers } = response;
  const from = url ? ` (${url})` : "";
  if (type === "opaque" || type === "opaqueredirect") {
    fail(
      "ERR_FORMAT",
      `the response is opaque, the browser keeps its bytes to itself${from}: fetch without mode "no-cors" and without ` +
        `redirect "manual", from your own origin or a server that sends Access-Control-Allow-Origin`,
    );
  }
  if (!response.ok) {
    const said = `${status} ${statusText}`.trim();
    fail("ERR_FORMAT", `the response is ${said}, not a file: check the address${from}, and whether it asks to sign in`);
  }
  if (response.bodyUsed || (body as ReadableStream | null)?.locked === true) {
    fail("ERR_FORMAT", "the response has been read already: fetch it again, or read a response.clone()");
  }
  if (body === null) fail("ERR_FORMAT", `the response has no body (${status})${from}: check the address`);
  const range = status === 206 ? /^bytes (\d+)-(\d+)\/(\d+)/.exec(headers.get("content-range") ?? "") : null;
  if (range !== null && (range[1] !== "0" || Number(range[2]) + 1 !== Number(range[3]))) {
    fail("ERR_FORMAT", `the response is a part of a file (${range[0]}): fetch it without a Range header`);
  }
  // Under a Content-Encoding it counts other bytes than those that arrive, and from another origin that header can't be seen.
  const length = headers.get("content-encoding") === null ? headers.get("content-length") : null;
  const total = expected === Infinity && length !== null ? Number(length) || Infinity : expected;
  // A fetch that is not the runtime's own may give what is iterated and no ReadableStream.
  if (typeof body.getReader !== "function") return fromChunks(body, Infinity, total);
  return fromStream(body, Infinity, total);
}

function fromStream(stream: ReadableStream<Uint8Array>, total: number, expected: number): ByteSource {
  if (stream.locked) fail("ERR_PARAMETER", "the stream has a reader already: give one that is not locked");
  const reader = stream.getReader();
  let arrived = 0;
  return {
    total,
    expected,
    next: async () => {
      let chunk: Uint8Array | undefined;
      try {
        chunk = checked((await reader.read()).value);
      } catch (error) {
        throw inWords(error, arrived, expected);
      }
      arrived += chunk?.length ?? 0;
      return chunk;
    },
    close: () => quietly(() => reader.cancel()),
  };
}

function fromChunks(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  total: number,
  expected: number,
): ByteSource {
  const iterator = Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]();
  return {
    total,
    expected,
    next: async () => {
      const { done, value } = Object(await iterator.next()) as IteratorResult<Uint8Array, unknown>;
      return done === true ? undefined : checked(value);
    },
    close: () => quietly(() => iterator.return?.()),
  };
}

/** Runs what may fail, now or later, with nobody to hear of it. */
function quietly(job: () => unknown): void {
  (async () => job())().catch(() => undefined);
}

function checked(chunk: unknown): Uint8Array | undefined {
  if (chunk === undefined) return undefined;
  return (
    bytesOf(chunk) ?? fail("ERR_PARAMETER", `a chunk is ${named(chunk)} and no Uint8Array: read without an encoding`)
  );
}

/** The platform's own errors of a stream in a sentence; what the caller's code throws, an abort above all, stays as it is. */
function inWords(error: unknown, arrived: number, expected: number): unknown {
  const { name, message } = Object(error) as { name?: unknown; message?: unknown };
  if (name !== "TypeError" && name !== "NetworkError" && name !== "NotReadableError") return error;
  const of = Number.isFinite(expected) ? ` of ${expected}` : "";
  const words = new CellistError(
    "ERR_FORMAT",
    `the source broke off after ${arrived}${of} bytes (${String(message)}): the connection was cut or the file has changed; load it again`,
  );
  words.cause = error;
  return words;
}
