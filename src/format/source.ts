import { fail } from "../errors.js";

/** Where a file's bytes may come from. */
export type Bytes =
  | Uint8Array
  | ArrayBuffer
  | Blob
  | Response
  | ReadableStream<Uint8Array>
  | AsyncIterable<Uint8Array>
  | Iterable<Uint8Array>;

/** Bytes as they come. */
export interface ByteSource {
  /** Bytes in all, Infinity where that is not known before the end. */
  readonly total: number;
  /** The next bytes, or undefined at the end. */
  next(): Promise<Uint8Array | undefined>;
  /** Says that no more are wanted. */
  close(): Promise<void>;
}

/** Opens whatever readIndex takes. ERR_PARAMETER for anything else, ERR_FORMAT for a response that is no success. */
export function openSource(input: Bytes): ByteSource {
  if (input instanceof Uint8Array) return fromChunks([input], input.byteLength);
  if (input instanceof ArrayBuffer || isShared(input)) return fromChunks([new Uint8Array(input)], input.byteLength);
  if (typeof Blob !== "undefined" && input instanceof Blob) return fromStream(input.stream(), input.size);
  if (typeof Response !== "undefined" && input instanceof Response) {
    // Its Content-Length is not used: under a Content-Encoding it counts other bytes than those that arrive.
    if (!input.ok)
      fail("ERR_FORMAT", `the response is ${input.status} ${input.statusText}, not an index: check its address`);
    if (input.body === null || input.bodyUsed)
      fail("ERR_FORMAT", "the response has no body: it may have been read already");
    return fromStream(input.body, Infinity);
  }
  if (typeof ReadableStream !== "undefined" && input instanceof ReadableStream) return fromStream(input, Infinity);
  if (typeof input === "object" && input !== null && (Symbol.asyncIterator in input || Symbol.iterator in input)) {
    return fromChunks(input as AsyncIterable<Uint8Array>, Infinity);
  }
  return fail(
    "ERR_PARAMETER",
    `can't read an index from ${input === null ? "null" : typeof input}: give a Uint8Array, ArrayBuffer, Blob, Response, ReadableStream or chunks`,
  );
}

function isShared(input: unknown): input is ArrayBuffer {
  return typeof SharedArrayBuffer !== "undefined" && input instanceof SharedArrayBuffer;
}

function fromStream(stream: ReadableStream<Uint8Array>, total: number): ByteSource {
  if (stream.locked) fail("ERR_PARAMETER", "the stream has a reader already: give one that is not locked");
  const reader = stream.getReader();
  return {
    total,
    next: async () => checked((await reader.read()).value),
    close: () => reader.cancel(),
  };
}

function fromChunks(chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>, total: number): ByteSource {
  const iterator = Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]();
  return {
    total,
    next: async () => {
      const step = await iterator.next();
      return step.done === true ? undefined : checked(step.value);
    },
    close: async () => {
      await iterator.return?.();
    },
  };
}

function checked(chunk: unknown): Uint8Array | undefined {
  if (chunk === undefined || chunk instanceof Uint8Array) return chunk;
  return fail("ERR_PARAMETER", `a chunk is ${typeof chunk} and no Uint8Array: decode it first`);
}
