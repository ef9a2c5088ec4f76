import type {
  Floats,
  Ids,
  IdType,
  Index,
  MergeOptions,
  Metric,
  SearchOptions,
  SearchResult,
  Vectors,
  WarmUpShape,
  Work,
} from "../api.js";
import { kindOf } from "../checks.js";
import { CellistError } from "../errors.js";
import { makeIndex } from "../factory/build.js";
import { openIndex } from "../faiss/read.js";
import type { Rest } from "../faiss/rest.js";
import type { Bytes } from "../format/source.js";
import { IdFilter } from "../handle/filter.js";
import { floatsOf } from "../handle/input.js";
import { checkOption } from "../handle/options.js";
import { VectorIndex } from "../handle/vector-index.js";
import { keep } from "../indexes/node.js";
import type { Where } from "../handle/where.js";
import { rest } from "../more/rest.js";
import { blend } from "../rvc/blend.js";
import type { BlendOptions } from "../rvc/blend.js";
import { ThreadCrew } from "../threads/crew.js";
import type { Team } from "../threads/crew.js";
import type { EngineOptions, Warning } from "../wasm/options.js";
import { holdLock } from "./lock.js";
import { PULLED } from "./messages.js";
import type { Reply, Request } from "./messages.js";

/** What the arrays of a searchInto are like: their lengths where they are of the right kind, and the width of labels. */
export interface Shape {
  distances: number | undefined;
  labels: number | undefined;
  wide: boolean;
}

/** What the core has not is here, too: see src/open.ts. */
const load = async (): Promise<Rest> => rest;

/** The worker's end: one index, and a port to call it through. */
export function serve(port: MessagePort): void {
  const running = new Map<number, AbortController>();
  let index: Index<IdType> | undefined;
  /** Files of the index on their way to the page, by number. */
  const streams = new Map<number, Iterator<Uint8Array, void>>();
  let lastStream = 0;
  /** What the page's filters are here, by their number. */
  const filters = new Map<number, IdFilter>();
  /** Ends the time in which the index is another worker's, and resolves once it has. */
  let takeBack: (() => Promise<void>) | undefined;
  let pulled: { resolve: (chunk: Uint8Array | undefined) => void; reject: (error: Error) => void } | undefined;
  /** Lets go of the lock. */
  let release = (): void => undefined;
  /** The threads that help. */
  let crew: ThreadCrew | undefined;
  const send = (reply: Reply, transfer: Transferable[] = []): void => port.postMessage(reply, transfer);

  port.onmessageerror = () => send({ kind: "lost" });
  const receive = ({ data }: MessageEvent<Request>): void => {
    switch (data.kind) {
      case "call":
        void answer(data);
        return;
      case "abort":
        running.get(data.id)?.abort();
        return;
      case "chunk":
        pulled?.resolve(data.chunk);
        return;
      case "no chunk":
        pulled?.reject(new Error("no chunk"));
        return;
      case "end":
        end();
    }
  };
  // Calls wait until the page knows of the lock: nobody has an index whose end he would not learn of. The port does not wait, since
  // Chromium loses what comes before there is a listener.
  const waiting: MessageEvent<Request>[] = [];
  port.onmessage = (event: MessageEvent<Request>) => waiting.push(event);
  void holdLock().then((lock) => {
    release = lock?.release ?? release;
    send({ kind: "ready", lock: lock?.name });
    port.onmessage = receive;
    waiting.forEach(receive);
  });

  function end(): void {
    release();
    index = undefined;
    crew?.end();
    port.close();
  }

  async function answer({ id, method, args, progress }: Request & { kind: "call" }): Promise<void> {
    const controller = new AbortController();
    running.set(id, controller);
    const work: Work = { signal: controller.signal };
    if (progress) work.onProgress = (news) => send({ kind: "progress", id, progress: news });
    try {
      const value = await call(method, args, work);
      send({ kind: "value", id, value }, buffersOf(value));
    } catch (error) {
      if (error instanceof CellistError) send({ kind: "error", id, code: error.code, message: error.message });
      else sendThrown(id, error);
    }
    running.delete(id);
    crew?.rest();
  }

  /** Up to the first await of a job, this is run before the next message is. */
  function call(method: string, args: unknown[], work: Work): unknown {
    switch (method) {
      case "indexFactory": {
        const [d, description, metric, engine] = args as [number, string, Metric, EngineOptions];
        return make(makeIndex(d, description, metric, engineOf(engine), load));
      }
      case "readIndex": {
        const [source, engine] = args as [Bytes | typeof PULLED, EngineOptions];
        const bytes = source === PULLED ? { [Symbol.asyncIterator]: () => ({ next: pull }) } : source;
        return make(openIndex(bytes, { ...engineOf(engine), ...work }, load));
      }
    }
    if (index === undefined) throw new CellistError("ERR_DISPOSED", "the index was disposed of: make or read another");
    switch (method) {
      case "train":
      case "add":
        return index[method](ours(args[0]), { ...(args[1] as object), ...work });
      case "mergeFrom":
        return mergeFrom(index, args[0] as Uint8Array, { ...(args[1] as object), ...work });
      case "addWithIds":
      case "upsert":
        return index[method](ours(args[0]), args[1] as Ids, { ...(args[2] as object), ...work });
      case "warmUp":
        return index.warmUp(withFilter(args[0]) as unknown as WarmUpShape);
      case "search":
      case "rangeSearch":
        return index[method](args[0] as Vectors, args[1] as number, withFilter(args[2]));
      case "searchInto": {
        const [queries, k, shape, options] = args as [Floats, number, Shape, unknown];
        return searchInto(index, queries, k, shape, withFilter(options));
      }
      case "blend":
        return floatsOf("features", blend(index, args[0] as Floats, withFilter(args[1])), index.d);
      case "makeFilter":
        if (!(index instanceof VectorIndex)) throw new Error("an index that was made is a VectorIndex");
        filters.set(args[0] as number, new IdFilter(index, args[1] as Where));
        return undefined;
      case "idsSince": {
        if (!(index instanceof VectorIndex)) throw new Error("an index that was made is a VectorIndex");
        const { version } = index;
        return version === args[0] ? undefined : { version, ids: index.ids() };
      }
      case "lend":
        return lend(index);
      case "takeBack":
        return takeBack?.().then(() => (args[0] === true ? index?.reset() : undefined));
      case "countFilter":
        return filters.get(args[0] as number)?.count;
      case "dropFilter":
        filters.delete(args[0] as number);
        return undefined;
      case "stream":
        if (!(index instanceof VectorIndex)) throw new Error("an index that was made is a VectorIndex");
        streams.set(++lastStream, index.chunks());
        return lastStream;
      case "nextChunk":
        return streams.get(args[0] as number)?.next().value;
      case "closeStream":
        streams.delete(args[0] as number);
        return undefined;
      case "dispose":
        index.dispose();
        index = undefined;
        return undefined;
      default: {
        const member = (index as unknown as Record<string, unknown>)[method];
        return typeof member === "function" ? (member.apply(index, args) as unknown) : member;
      }
    }
  }

  /** The index as a file; until it is taken back every other call is refused. */
  function lend(index: Index<IdType>): Uint8Array {
    if (!(index instanceof VectorIndex)) throw new Error("an index that was made is a VectorIndex");
    const bytes = index.toBytes();
    let end = (): void => undefined;
    const held = index.hold(() => new Promise<void>((resolve) => (end = resolve)));
    takeBack = () => {
      end();
      takeBack = undefined;
      return held;
    };
    return bytes;
  }

  /** A call's options, the filter being the one that their number stands for. */
  function withFilter(options: unknown): (SearchOptions & BlendOptions) | undefined {
    const { filter, ...rest } = (options ?? {}) as { filter?: number };
    // Options without one go on as they are: what is no object is refused there.
    return filter === undefined ? (options as SearchOptions | undefined) : { ...rest, filter: filters.get(filter) };
  }

  /** Answers with what the index is. */
  async function make(made: Promise<Index<IdType>>): Promise<string> {
    index = await made;
    if (crew !== undefined) send({ kind: "modules", modules: crew.modules });
    return `${index.description}, d = ${index.d}`;
  }

  function engineOf({ team, ...options }: EngineOptions & { team?: Team }): EngineOptions {
    const onWarning = (warning: Warning): void => send({ kind: "warning", warning });
    crew = team && new ThreadCrew(team, onWarning);
    return { ...options, crew, onWarning };
  }

  async function pull(): Promise<IteratorResult<Uint8Array>> {
    const chunk = await new Promise<Uint8Array | undefined>((resolve, reject) => {
      pulled = { resolve, reject };
      send({ kind: "pull" });
    });
    return chunk === undefined ? { done: true, value: undefined } : { done: false, value: chunk };
  }

  function sendThrown(id: number, error: unknown): void {
    try {
      send({ kind: "thrown", id, error });
    } catch {
      send({ kind: "thrown", id, error: new Error(String(error)) });
    }
  }
}

/** Vectors that came by a message, those in a tensor, too: nobody else has them, or writes to them before the call is answered. */
function ours(vectors: unknown): Vectors {
  const data = (vectors as { data?: unknown } | null | undefined)?.data ?? vectors;
  if (kindOf(data) === "Float32Array") keep(data as Float32Array);
  return vectors as Vectors;
}

/** Merges an index that came as a file: what another worker holds can't be reached. */
async function mergeFrom(index: Index<IdType>, bytes: Uint8Array, options: MergeOptions): Promise<void> {
  const other = await openIndex(bytes, {}, load);
  try {
    await index.mergeFrom(other, options);
  } finally {
    other.dispose();
  }
}

/** Searches into arrays like the caller's, cut to what can be written. */
function searchInto(
  index: Index<IdType>,
  queries: Floats,
  k: number,
  { distances: nd, labels: nl, wide }: Shape,
  options: SearchOptions | undefined,
): SearchResult<IdType> {
  const { d } = index;
  const most = (floatsOf("queries", queries, d).length / d) * checkOption("k", k);
  const distances = new Float32Array(Math.min(nd ?? 0, most));
  const labels = new (wide ? BigInt64Array : Int32Array)(Math.min(nl ?? 0, most));
  index.searchInto(
    queries,
    k,
    nd === undefined ? (undefined as unknown as Float32Array) : distances,
    nl === undefined ? (undefined as unknown as Int32Array) : labels,
    options,
  );
  return { distances, labels };
}

/** The memory of an answer, which is nobody's any more: all arrays that an index returns are new. */
function buffersOf(value: unknown): ArrayBuffer[] {
  if (ArrayBuffer.isView(value)) return [value.buffer as ArrayBuffer];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap((part) => buffersOf(part));
}
