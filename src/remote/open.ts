import { kindOf, tagOf, what } from "../checks.js";
import { CellistError, fail, noArray } from "../errors.js";
import { restOf, withRelaxed } from "../faiss/rest.js";
import type { LoadRest } from "../faiss/rest.js";
import { readNode } from "../faiss/read.js";
import { Deferral } from "../format/deferral.js";
import { Reader } from "../format/reader.js";
import { checkNames } from "../handle/options.js";
import { loadMore } from "../more/load.js";
import { Engine } from "../wasm/engine.js";
import type { EngineOptions } from "../wasm/options.js";
import { checkSignal, Pace, reasonOf, throwIfAborted } from "../work/pace.js";
import { absentOf, listsIn } from "./absent-of.js";
import { CachedFile, offline, openStore, remembering } from "./cache.js";
import { FIRST_BYTES, openHttp } from "./http.js";
import type { Fetch } from "./http.js";
import { BlobRanges, OwnRanges } from "./local.js";
import { isLayered, openLayered } from "./layered.js";
import { PartsSource } from "./parts-source.js";
import type { Parts } from "./parts.js";
import { Pieces } from "./pieces.js";
import type { RangeReader, Ranges } from "./ranges.js";
import { RemoteIndex } from "./remote-index.js";

/**
 * Where a remote file is: an address or a GET request, a Blob or File, a handle of one, or whatever reads ranges.
 *
 * @example
 *   const source: RemoteSource = new URL("alice.voice", document.baseURI);
 */
export type RemoteSource = string | URL | Request | Blob | RangeReader | { getFile(): Promise<File> };

/**
 * Options of {@link openRemote}.
 *
 * @example
 *   const options: RemoteOptions = { cache: "voices", readAhead: 4 };
 */
export interface RemoteOptions extends EngineOptions {
  /**
   * Gives up the opening; of what comes later, each call has its own.
   *
   * @example
   *   const voice = await openRemote(address, { signal: AbortSignal.timeout(10_000) });
   */
  signal?: AbortSignal | undefined;
  /**
   * Lists beyond a query's nprobe that are asked for with it, since speech comes by there next. Default: 4.
   *
   * @example
   *   const voice = await openRemote(address, { readAhead: 0 }); // only what queries want
   */
  readAhead?: number | undefined;
  /**
   * Keeps what was fetched for the next visit, offline too: the name of a cache in a page (Cache API), a folder in Node, Deno and Bun. Up to
   * 1 GiB, those opened longest ago going first. Default: false, nothing is kept.
   *
   * @example
   *   const voice = await openRemote(address, { cache: "voices" });
   */
  cache?: false | string | undefined;
  /**
   * What fetches in place of the runtime's `fetch`.
   *
   * @example
   *   const voice = await openRemote(address, { fetch: (request) => fetch(request, { priority: "high" }) });
   */
  fetch?: Fetch | undefined;
}

const NAMES = new Set([
  "module",
  "moreModule",
  "codecModule",
  "more",
  "relaxed",
  "maxBytes",
  "onWarning",
  "bounds",
  "threads",
  "signal",
  "readAhead",
  "cache",
  "fetch",
]);
/** Tries of a file that is in the cache: without a connection, somebody waits for as many. */
const CACHED_TRIES = 2;
/** Read-ahead of the four nearest lists halves the frames that lack one from the second second on; more does little. */
const READ_AHEAD = 4;

/**
 * Opens an index by parts: reads its header, centroids and sizes, and then what queries want.
 *
 * A voice file of `shrinkVoice` comes in layers: the first, every frame of the voice at about a thirtieth of the bytes, at once and
 * unasked, and lists become better as queries ask for them. Of `IVFn,Flat` and `IVFn,SQ…`, with or without an IDMap, lists come as
 * queries ask for them; of an index with `RFlat` its exact rows. All else is read whole before the promise resolves, and `resident` is
 * `size` then.
 *
 * @example
 *   const voice = await openRemote("https://example.org/alice.index");
 *
 * @param source address, Request, Blob, File, handle, or `{ size, read(from, to, signal) }`
 * @returns the index; rejects with ERR_FORMAT for what is no index or can't be fetched, ERR_UNSUPPORTED for a server that sends parts
 *   compressed or hides the size, ERR_PARAMETER, ERR_MEMORY, or the signal's reason
 */
export async function openRemote(source: RemoteSource, options: RemoteOptions = {}): Promise<RemoteIndex> {
  checkNames(options, NAMES);
  const { signal, readAhead = READ_AHEAD, cache = false, fetch: own, ...engineOptions } = options;
  checkSignal(signal);
  throwIfAborted(signal);
  if (!Number.isSafeInteger(readAhead) || readAhead < 0)
    fail("ERR_PARAMETER", `readAhead is ${what(readAhead)}: give a number of lists, 0 for none`);
  if (cache !== false && typeof cache !== "string")
    fail("ERR_PARAMETER", `cache is ${what(cache)}: give a name or a folder, or false`);
  const opening = new AbortController();
  const stop = (): void => opening.abort(signal === undefined ? undefined : reasonOf(signal));
  signal?.addEventListener("abort", stop, { once: true });
  let opened: Opened | undefined;
  try {
    const pace = new Pace({ signal });
    // A source or a fetch of the caller's may not heed the signal.
    opened = await pace.unlessAborted(() => openSource(source, cache, own, opening.signal));
    const { ranges, cached } = opened;
    const first = async (): Promise<Uint8Array> => ranges.read(0, Math.min(FIRST_BYTES, ranges.size), opening.signal);
    const beginning = opened.beginning ?? (await pace.unlessAborted(first));
    const rest = restOf(engineOptions, loadMore);
    const engine = new Engine(await withRelaxed(engineOptions, rest));
    const remembered = cached === undefined ? ranges : remembering(ranges, cached);
    const open = isLayered(beginning) ? openLayered : openFaiss;
    const parts = await open(remembered, beginning, engine, opening.signal, pace, rest);
    const { node, origin, absent, checks, more } = parts;
    opened.ranges = parts.ranges;
    const stretches = [...parts.stretches];
    const take = (piece: number, bytes: Uint8Array): void => stretches[piece].arrive(bytes);
    const warn = (message: string): void => engine.warn("WARN_REMOTE", message);
    const pieces = new Pieces(
      parts.ranges,
      stretches,
      take,
      warn,
      more && {
        ...more,
        open: async (own) => {
          const further = await more.open(own);
          stretches.push(...further);
          return further;
        },
      },
    );
    if (cached !== undefined) {
      await pieces.restore(cached);
      // What tells the rest is in the cache too, or is asked for again.
      if (pieces.there.subarray(0, parts.stretches.length).every((there) => there === 1))
        await pace.unlessAborted(async () => pieces.known()).catch(() => throwIfAborted(signal));
    }
    // The first layer is every frame of the voice in a thirtieth of the bytes: it comes unasked.
    pieces.need(parts.unasked ? stretches.keys() : []).catch((error: unknown) => {
      if (!(error instanceof CellistError && error.code === "ERR_DISPOSED")) warn(String(error));
    });
    return new RemoteIndex(node, origin, absent, pieces, cached, ranges.size, readAhead, checks);
  } catch (error) {
    opened?.ranges.close();
    return noArray(error);
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/** Reads a faiss file but for what of it can come later. */
async function openFaiss(
  ranges: Ranges,
  beginning: Uint8Array,
  engine: Engine,
  signal: AbortSignal,
  pace: Pace,
  rest: LoadRest,
): Promise<Parts> {
  const deferral = new Deferral();
  const reader = new Reader(new PartsSource(ranges, beginning, signal), pace, deferral);
  const node = await readNode(reader, engine, 0, await reader.fourcc("fourcc"), rest);
  await reader.finish();
  const { checks } = deferral;
  const lists = listsIn(node);
  const stretches =
    lists === undefined
      ? deferral.stretches
      : deferral.stretches.map((stretch) => ({
          ...stretch,
          arrive: (bytes: Uint8Array) => {
            stretch.arrive(bytes);
            lists.settle(stretch.number);
          },
        }));
  return { node, ranges, origin: undefined, stretches, absent: absentOf(node, stretches), unasked: false, checks };
}

interface Opened {
  ranges: Ranges;
  beginning?: Uint8Array | undefined;
  cached?: CachedFile | undefined;
}

async function openSource(
  source: RemoteSource,
  cache: false | string,
  own: Fetch | undefined,
  signal: AbortSignal,
): Promise<Opened> {
  const tag = tagOf(source);
  if (typeof source === "string" || tag === "URL" || tag === "Request") {
    return openAddress(
      source as string | URL | Request,
      cache,
      own ?? ((request) => globalThis.fetch(request)),
      signal,
    );
  }
  if (cache !== false) fail("ERR_PARAMETER", "only what comes from an address is cached: leave out the option cache");
  if (tag === "Blob" || tag === "File") return { ranges: new BlobRanges(source as Blob) };
  const { getFile, read, size } = Object(source) as { getFile?: unknown; read?: unknown; size?: unknown };
  if (typeof getFile === "function")
    return { ranges: new BlobRanges(await (source as { getFile(): Promise<File> }).getFile()) };
  if (typeof read === "function" && size !== undefined) return { ranges: new OwnRanges(source as RangeReader) };
  return fail("ERR_PARAMETER", `can't open ${what(source)} by parts: ${nextStep(source)}`);
}

function nextStep(source: unknown): string {
  if (kindOf(source) !== undefined || tagOf(source) === "ArrayBuffer")
    return "all of it is here already, give it to readIndex";
  if (tagOf(source) === "Response") return "give its address, or the response to readIndex";
  if (typeof (Object(source) as { then?: unknown }).then === "function") return "await it first";
  return "give an address, a Request, a Blob or File, or { size, read(from, to) }; a path of Node by (await openAsBlob(path))";
}

/** Opens an address, or, where nothing answers, what the cache has of it. */
async function openAddress(
  source: string | URL | Request,
  cache: false | string,
  fetch: Fetch,
  signal: AbortSignal,
): Promise<Opened> {
  const address = typeof source === "object" && "url" in source ? source.url : String(source);
  // What is in this page's memory: Node's answer to a range of it is a byte short, Deno's and Bun's is all of it.
  if (/^(blob|data):/.test(address)) return { ranges: new BlobRanges(await blobAt(address, fetch)) };
  if (cache === false) return openHttp(source, fetch, signal);
  const cached = new CachedFile(openStore(cache), address);
  const noted = await cached.noted();
  try {
    const { ranges, beginning } = await openHttp(source, fetch, signal, noted === undefined ? undefined : CACHED_TRIES);
    if (!isIndex(beginning)) {
      // What is kept stays, as it would without a connection.
      if (noted === undefined) return { ranges, beginning };
      ranges.close();
      fail("ERR_FORMAT", `${address} answers with what is no index: a page to sign in, it may be. Open it again later`);
    }
    await cached.begin(ranges.size, ranges.version);
    cached.put(0, beginning);
    return { ranges, beginning, cached };
  } catch (error) {
    if (noted === undefined || !(error instanceof CellistError) || error.code !== "ERR_FORMAT") throw error;
    throwIfAborted(signal);
    const reason = new CellistError("ERR_FORMAT", `this part of the file is not in the cache, and ${error.message}`);
    return {
      ranges: offline(noted, reason),
      beginning: await cached.get(0, Math.min(FIRST_BYTES, noted.size)),
      cached,
    };
  }
}

/** Whether a file that begins so may be an index: every fourcc of faiss is of letters and digits, and no page begins with four. */
function isIndex(beginning: Uint8Array): boolean {
  return isLayered(beginning) || /^[A-Za-z0-9]{4}/.test(String.fromCharCode(...beginning.subarray(0, 4)));
}

async function blobAt(address: string, fetch: Fetch): Promise<Blob> {
  try {
    return await (await fetch(new Request(address))).blob();
  } catch (error) {
    return fail("ERR_FORMAT", `${address.slice(0, 60)} can't be read (${String(error)}): it may have been revoked`);
  }
}
