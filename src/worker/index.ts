/**
 * Indexes behind a worker, so that a page goes on while they are read, trained or searched: the same names as in "cellist", all
 * returning promises. A worker is started for each index that is asked for, and never else.
 *
 * @module
 */
import { METRIC_L2 } from "../api.js";
import type { IdType, Metric, ReadOptions, Work } from "../api.js";
import { checkCallback, checkOptions, tagOf, what } from "../checks.js";
import { fail } from "../errors.js";
import { bytesOf } from "../format/given.js";
import type { ByteSource, Bytes } from "../format/source.js";
import { openSource } from "../format/unreadable.js";
import { readWork } from "../handle/options.js";
import { reasonOf, throwIfAborted } from "../work/pace.js";
import type { Team } from "../threads/crew.js";
import type { EngineOptions } from "../wasm/options.js";
import type { AsyncIndex, Handover } from "./async-index.js";
import { Channel } from "./channel.js";
import { PULLED } from "./messages.js";
import { Parcel } from "./parcel.js";
import { hire, threadsOf, whyNoThreads } from "./pool.js";
import { RemoteIndex } from "./remote.js";
import type { WorkerLike } from "./start.js";

export type {
  AsyncBlendOptions,
  AsyncFilter,
  AsyncIndex,
  AsyncSearchOptions,
  AsyncWarmUpShape,
  Handover,
} from "./async-index.js";
export type { WorkerLike } from "./start.js";

/**
 * What an index behind a worker is made with.
 *
 * @example
 *   const options: AsyncOptions = { threads: 4 };
 */
export interface AsyncOptions extends EngineOptions {
  /**
   * A worker to put the index in: one whose script imports "cellist/worker-script". It can hold several, and is left running when
   * they are disposed of. One that does not answer within ten seconds counts as failed. Default: one is started for the index, and
   * ended with it.
   *
   * @example
   *   const worker = new Worker(new URL("mine.js", import.meta.url), { type: "module" }); // imports "cellist/worker-script"
   *   const index = await indexFactory(768, "IVF512,Flat", METRIC_L2, { worker });
   */
  worker?: WorkerLike | undefined;
  /**
   * Threads that share training, adding and blocks of queries, the worker being one of them: 1 to 64, as many as the machine has cores at
   * most. They are shared by all indexes that have some. Where there is no shared memory, as in a page that is not cross-origin isolated,
   * there is one, and WARN_THREADS. Results and files are the same for any number. Default: 1.
   *
   * @example
   *   const index = await indexFactory(768, "IVF512,Flat", METRIC_L2, { threads: navigator.hardwareConcurrency });
   */
  threads?: number | undefined;
}

/**
 * Options of this entry's {@link indexFactory}.
 *
 * @example
 *   const options: AsyncFactoryOptions = { threads: 2, signal };
 */
export interface AsyncFactoryOptions extends AsyncOptions {
  /**
   * Gives up waiting for the worker.
   *
   * @example
   *   const index = await indexFactory(768, "Flat", METRIC_L2, { signal: AbortSignal.timeout(5000) });
   */
  signal?: AbortSignal;
}

/**
 * Options of this entry's {@link readIndex}.
 *
 * @example
 *   const options: AsyncReadOptions = { transfer: true, onProgress };
 */
export interface AsyncReadOptions extends AsyncOptions, Work, Handover, Pick<ReadOptions, "bytes"> {}

/**
 * Makes an empty index behind a worker: see indexFactory of "cellist".
 *
 * @example
 *   const index = await indexFactory(384, "IVF256,Flat");
 *   await index.train(vectors);
 *
 * @returns rejects as that one does, and with ERR_UNSUPPORTED or ERR_DISPOSED where the worker can't be had
 */
export async function indexFactory<I extends IdType = "int32">(
  d: number,
  description: string,
  metric: Metric = METRIC_L2,
  options: AsyncFactoryOptions = {},
): Promise<AsyncIndex<I>> {
  const engine = engineOf(options);
  throwIfAborted(readWork(options).signal);
  return open("indexFactory", [d, description, metric], engine, new Parcel(), options);
}

/**
 * Reads a faiss file behind a worker: see readIndex of "cellist". A Blob is read there; a response, a stream or chunks are
 * passed on as they come, no faster than they are used; bytes are copied, unless `transfer` hands them over.
 *
 * @example
 *   const index = await readIndex(await fetch("alice.index"), { onProgress });
 *
 * @returns rejects as that one does, and with ERR_UNSUPPORTED or ERR_DISPOSED where the worker can't be had
 */
export async function readIndex<I extends IdType = "int32">(
  source: Bytes,
  options: AsyncReadOptions = {},
): Promise<AsyncIndex<I>> {
  const engine = engineOf(options);
  const { transfer } = options;
  if (transfer !== undefined && typeof transfer !== "boolean")
    fail("ERR_PARAMETER", `transfer is ${what(transfer)}: give true or false`);
  throwIfAborted(readWork(options).signal);
  const parcel = new Parcel(transfer);
  const tag = tagOf(source);
  if (tag === "Blob" || tag === "File") return open("readIndex", [source], engine, parcel, options);
  const bytes = bytesOf(source);
  if (bytes !== undefined) return open("readIndex", [parcel.put(bytes)], engine, parcel, options);
  const stream = openSource(source, options.bytes);
  try {
    return await open<I>("readIndex", [PULLED], { ...engine, bytes: stream.expected }, parcel, options, stream);
  } finally {
    stream.close();
  }
}

/** What of the options can go to a worker: warnings come back. ERR_PARAMETER for what are no options. */
function engineOf(options: AsyncOptions): object {
  checkOptions(options);
  const { module, moreModule, relaxed, maxBytes, bounds, onWarning, worker } = options;
  checkCallback("onWarning", onWarning);
  if (worker !== undefined && typeof (worker as Partial<WorkerLike> | null)?.postMessage !== "function")
    fail("ERR_PARAMETER", `worker is ${what(worker)}: give a Worker, or leave it out`);
  return { module, moreModule, relaxed, maxBytes, bounds };
}

async function open<I extends IdType>(
  method: string,
  args: unknown[],
  engine: object,
  parcel: Parcel,
  options: AsyncOptions & Work,
  source?: ByteSource,
): Promise<AsyncIndex<I>> {
  const { worker, onWarning } = options;
  const { signal, onProgress } = readWork(options);
  const threads = threadsOf(options);
  const channel = new Channel(worker, onWarning);
  // Nobody has the index yet, so an abort need not wait for the worker, which may still be loading.
  const abort = (): void => signal && channel.close(reasonOf(signal));
  signal?.addEventListener("abort", abort);
  let kind;
  let team: Team | undefined;
  try {
    team = threads > 1 ? teamOf(channel, threads, options) : undefined;
    const transfer = [...parcel.transfer, ...(team?.helpers ?? []).map(({ port }) => port)];
    kind = await channel.call(method, [...args, { ...engine, team }], transfer, { onProgress }, source);
  } catch (error) {
    channel.close(error as Error);
    throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
  const index: AsyncIndex<IdType> = new RemoteIndex(channel, kind as string, team !== undefined);
  return index;
}

/** Hires threads for the index of a channel; where that can't be, or not as many, says so. */
function teamOf(channel: Channel, threads: number, options: AsyncOptions): Team | undefined {
  let why = whyNoThreads(options);
  let team: Team | undefined;
  try {
    if (why === undefined) {
      const hired = hire(threads - 1, (reason) => {
        const message = `a thread has ended (${reason}): the others do its work`;
        channel.warn({ code: "WARN_THREADS", message });
      });
      channel.afterwards(hired.release);
      ({ team } = hired);
      if (team.helpers.length < threads - 1) why = "others have ended";
    }
  } catch (error) {
    why = (error as Error).message;
  }
  if (why !== undefined) {
    const message = `${(team?.helpers.length ?? 0) + 1} of ${threads} threads work: ${why}`;
    options.onWarning?.({ code: "WARN_THREADS", message });
  }
  return team;
}
