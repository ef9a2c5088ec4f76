/**
 * Indexes behind a worker, so that a page goes on while they are read, trained or searched: the same names as in "cellist", all
 * returning promises. A worker is started for each index that is asked for, and never else.
 *
 * @module
 */
import { METRIC_L2 } from "../api.js";
import type { Metric, ReadOptions, Work } from "../api.js";
import { openSource } from "../format/source.js";
import type { ByteSource, Bytes } from "../format/source.js";
import type { EngineOptions } from "../wasm/engine.js";
import type { AsyncIndex, Handover } from "./async-index.js";
import { Channel } from "./channel.js";
import { PULLED } from "./messages.js";
import { Parcel } from "./parcel.js";
import { RemoteIndex } from "./remote.js";
import type { WorkerLike } from "./start.js";

export type { AsyncIndex, Handover } from "./async-index.js";
export type { WorkerLike } from "./start.js";

/** What an index behind a worker is made with. */
export interface AsyncOptions extends EngineOptions {
  /**
   * A worker to put the index in: one whose script imports "cellist/worker-script". It can hold several, and is left running when
   * they are disposed of. Default: one is started for the index, and ended with it.
   */
  worker?: WorkerLike;
}

/** Options of this entry's {@link readIndex}. */
export interface AsyncReadOptions extends AsyncOptions, Work, Handover, Pick<ReadOptions, "bytes"> {}

/**
 * Makes an empty index behind a worker: see indexFactory of "cellist".
 *
 * @returns rejects as that one does, and with ERR_UNSUPPORTED or ERR_DISPOSED where the worker can't be had
 */
export async function indexFactory(
  d: number,
  description: string,
  metric: Metric = METRIC_L2,
  options: AsyncOptions = {},
): Promise<AsyncIndex> {
  return open("indexFactory", [d, description, metric, engineOf(options)], new Parcel(), options);
}

/**
 * Reads a faiss file behind a worker: see readIndex of "cellist". A Blob is read there; a response, a stream or chunks are
 * passed on as they come, no faster than they are used; bytes are copied, unless `transfer` hands them over.
 *
 * @returns rejects as that one does, and with ERR_UNSUPPORTED or ERR_DISPOSED where the worker can't be had
 */
export async function readIndex(source: Bytes, options: AsyncReadOptions = {}): Promise<AsyncIndex> {
  options.signal?.throwIfAborted();
  const parcel = new Parcel(options.transfer);
  const engine = engineOf(options);
  if (typeof Blob !== "undefined" && source instanceof Blob)
    return open("readIndex", [source, engine], parcel, options);
  if (source instanceof ArrayBuffer || source instanceof Uint8Array) {
    const bytes = parcel.put(source instanceof ArrayBuffer ? new Uint8Array(source) : source);
    return open("readIndex", [bytes, engine], parcel, options);
  }
  const stream = openSource(source, options.bytes);
  try {
    return await open("readIndex", [PULLED, { ...engine, bytes: stream.expected }], parcel, options, stream);
  } finally {
    stream.close();
  }
}

/** What of the options can go to a worker: warnings come back. */
function engineOf({ module, relaxed, maxBytes, bounds }: EngineOptions): object {
  return { ...(module && { module }), relaxed, bounds, ...(maxBytes !== undefined && { maxBytes }) };
}

async function open(
  method: string,
  args: unknown[],
  parcel: Parcel,
  options: AsyncOptions & Work,
  source?: ByteSource,
): Promise<AsyncIndex> {
  const { signal, worker, onWarning } = options;
  const channel = new Channel(worker, onWarning);
  // Nobody has the index yet, so an abort need not wait for the worker, which may still be loading.
  const abort = (): void => channel.close(signal?.reason as Error);
  signal?.addEventListener("abort", abort);
  try {
    const { onProgress } = options;
    await channel.call(method, args, parcel.transfer, onProgress && { onProgress }, source);
  } catch (error) {
    channel.close(error as Error);
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
  return new RemoteIndex(channel);
}
