import { CellistError, fail, makingArrays } from "../errors.js";
import { reasonOf, throwIfAborted } from "../work/pace.js";
import type { Ranges } from "./ranges.js";
import { Whole } from "./whole.js";

/** Bytes of the first request: a header, and the sizes of a small index. */
export const FIRST_BYTES: number = 2 ** 16;
/** Parts nearer to each other than this are asked for at once: at 20 Mbit/s it is what 50 ms bring, a round trip. */
const BRIDGE = 128 << 10;
/** A part that is shorter than was asked for is taken for what it is from so many bytes on. */
const SHORTEST = 4096;
/** Tries of one part, and the pause after the first, which doubles; and the longest pause that a server may ask for, in ms. */
const TRIES = 5;
const PAUSE = 250;
const LONGEST_PAUSE = 30_000;
/** Answers that may be others a little later. */
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504]);

/**
 * What fetches: the runtime's, or the caller's.
 *
 * @example
 *   const withCookies: Fetch = (request) => fetch(request, { credentials: "include" });
 */
export type Fetch = (request: Request) => Promise<Response>;

/** A failure that another try may mend, and how long the server wants to be left alone. */
class Passing extends Error {
  readonly pause: number;
  constructor(message: string, pause = 0) {
    super(message);
    this.pause = pause;
  }
}

/**
 * Opens a file on a server. The first request asks for its beginning; a server that knows no ranges answers with the whole file, which
 * is then read as it comes.
 *
 * @param address of the file, or a GET request for it: its headers and credentials are used for every part
 * @param tries of its beginning: fewer where there is something to fall back on
 * @returns the file, and its beginning
 * @throws {CellistError} ERR_FORMAT for an answer that is no file, ERR_UNSUPPORTED for one that can't be read in parts, ERR_PARAMETER; the
 *   signal's reason
 */
export async function openHttp(
  address: string | URL | Request,
  fetch: Fetch,
  signal: AbortSignal,
  tries: number = TRIES,
): Promise<{ ranges: Ranges; beginning: Uint8Array }> {
  let request: Request;
  try {
    request = new Request(address);
  } catch (error) {
    const given = typeof address === "object" && "url" in address ? address.url : String(address);
    return fail("ERR_PARAMETER", `${given} is no address to fetch from: give a whole one (${String(error)})`);
  }
  if (request.method !== "GET") fail("ERR_PARAMETER", `the request is a ${request.method}: give one that is a GET`);
  const file = new HttpFile(request, fetch);
  return file.open(signal, tries);
}

class HttpFile implements Ranges {
  readonly bridge = BRIDGE;
  size = 0;
  #version: Version = { etag: "", modified: "" };
  readonly #request: Request;
  readonly #fetch: Fetch;

  constructor(request: Request, fetch: Fetch) {
    this.#request = request;
    this.#fetch = fetch;
  }

  /**
   * Chromium's cache takes one answer for an address at a time: it cuts further ones off as they begin, with their connections, and asks
   * for them again. What the caller wants of that cache is left as it is; runtimes without one may refuse the word.
   */
  get #uncached(): RequestInit {
    return this.#request.cache === "default" ? { cache: "no-store" } : {};
  }

  get version(): string {
    return nameOf(this.#version);
  }

  async open(signal: AbortSignal, tries: number): Promise<{ ranges: Ranges; beginning: Uint8Array }> {
    return this.#persist(signal, tries, async () => {
      const response = await this.#ask(0, FIRST_BYTES, signal);
      if (response.status === 200) {
        const whole = await Whole.open(response, nameOf(versionOf(response)), signal);
        return { ranges: whole, beginning: await whole.read(0, Math.min(FIRST_BYTES, whole.size), signal) };
      }
      const range = rangeOf(response);
      this.size = range?.size ?? (await this.#sizeByHead(signal));
      this.#version = versionOf(response);
      const to = Math.min(FIRST_BYTES, this.size);
      const beginning = await this.#body(response, 0, to);
      return { ranges: this, beginning: await this.#rest(beginning, 0, to, signal) };
    });
  }

  async read(from: number, to: number, signal: AbortSignal): Promise<Uint8Array> {
    return this.#rest(await this.#part(from, to, signal), from, to, signal);
  }

  /** A part, or the beginning of it. */
  async #part(from: number, to: number, signal: AbortSignal): Promise<Uint8Array> {
    return this.#persist(signal, TRIES, async () => {
      const response = await this.#ask(from, to, signal);
      this.#compare(response);
      if (response.status === 206) return this.#body(response, from, to);
      // A server between that has lost the range: its answer is the file, which has what is wanted.
      const bytes = new Uint8Array(await bodyOf(response));
      if (bytes.length !== this.size) throw new Passing(`the answer has ${bytes.length} of ${this.size} bytes`);
      return makingArrays(() => bytes.slice(from, to));
    });
  }

  async *follow(from: number, to: number, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
    const response = await this.#persist(signal, TRIES, async () => {
      const answer = await this.#ask(from, to, signal);
      this.#compare(answer);
      if (answer.status === 206) this.#endOf(answer, from, to);
      return answer;
    });
    const reader = response.body?.getReader();
    // A server between that has lost the range sends the file from its beginning.
    let skip = response.status === 206 ? 0 : from;
    let left = to - from;
    try {
      while (reader !== undefined && left > 0) {
        const step = await reader.read();
        if (step.done) break;
        const bytes = step.value.subarray(Math.min(skip, step.value.length));
        skip -= step.value.length - bytes.length;
        if (response.status === 206 && bytes.length > left) break;
        const part = bytes.subarray(0, left);
        left -= part.length;
        if (part.length > 0) yield part;
      }
    } finally {
      void reader?.cancel().catch(() => undefined);
    }
    if (left > 0) throw new Passing(`${to - from - left} of ${to - from} bytes came`);
  }

  close(): void {
    // Requests end by the signal.
  }

  /** Does something again while it fails for reasons that pass, and says in the end what they were. */
  async #persist<T>(signal: AbortSignal, most: number, act: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      throwIfAborted(signal);
      try {
        return await act();
      } catch (error) {
        throwIfAborted(signal);
        if (!(error instanceof Passing)) throw error;
        if (tries === most) {
          const words = `${this.#request.url} can't be read, in ${most} tries: ${error.message}. Check the address and the connection, then open it again`;
          throw Object.assign(new CellistError("ERR_FORMAT", words), { cause: error });
        }
        await pause(Math.min(Math.max(PAUSE * 2 ** (tries - 1), error.pause), LONGEST_PAUSE), signal);
      }
    }
  }

  async #ask(from: number, to: number, signal: AbortSignal): Promise<Response> {
    const headers = new Headers(this.#request.headers);
    headers.set("Range", `bytes=${from}-${to - 1}`);
    // Browsers do so by themselves where there is a range, and let nobody else.
    headers.set("Accept-Encoding", "identity");
    let response;
    try {
      const request = new Request(this.#request, { headers, signal, ...this.#uncached });
      // What a fetch of the caller's gives may be nothing.
      response = Object(await this.#fetch(request)) as Response;
    } catch (error) {
      throwIfAborted(signal);
      throw new Passing(
        `there was no answer (${String(error)}): either there is no connection, or the server does not allow this page's origin ` +
          `to read the file (CORS: it would send Access-Control-Allow-Origin)`,
      );
    }
    const { status, statusText } = response;
    if (status === 200 || status === 206) {
      const encoding = response.headers.get("content-encoding") ?? "identity";
      if (status === 206 && encoding !== "identity") {
        fail(
          "ERR_UNSUPPORTED",
          `the server sends parts of the file compressed (${encoding}): have it serve index files as they are`,
        );
      }
      return response;
    }
    void response.body?.cancel().catch(() => undefined);
    if (status === 416)
      fail("ERR_FORMAT", `the server has no byte ${from} of the file (416): it is empty, or has changed`);
    const said = `${status} ${statusText}`.trim();
    if (PASSING.has(status)) throw new Passing(`the server answers ${said}`, retryAfter(response));
    return fail("ERR_FORMAT", `the server answers ${said}: check the address, and whether it asks to sign in`);
  }

  /** The bytes of a part, counted: a 206 may have fewer than it says. */
  async #body(response: Response, from: number, to: number): Promise<Uint8Array> {
    const end = this.#endOf(response, from, to);
    const bytes = new Uint8Array(await bodyOf(response));
    if (bytes.length !== end - from) throw new Passing(`${bytes.length} of ${end - from} bytes came`);
    return bytes;
  }

  /** A part and what follows it: some servers send no more than so much at a time. Nothing is allocated for what has not come. */
  async #rest(first: Uint8Array, from: number, to: number, signal: AbortSignal): Promise<Uint8Array> {
    if (first.length === to - from) return first;
    const parts = [first];
    for (let at = from + first.length; at < to; at += parts[parts.length - 1].length)
      parts.push(await this.#part(at, to, signal));
    const all = makingArrays(() => new Uint8Array(to - from));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  /** Where a part ends, as it says itself. Fails where it is another one than was asked for. */
  #endOf(response: Response, from: number, to: number): number {
    const range = rangeOf(response);
    if (range === undefined) return to;
    const long = range.to === to || (range.to < to && range.to - from >= SHORTEST);
    if (range.from === from && long && range.size === this.size) return range.to;
    void response.body?.cancel().catch(() => undefined);
    throw new Passing(`bytes ${from}-${to - 1} of ${this.size} were asked for and ${range.text} came`);
  }

  /** Fails where a part is of another file than the first one was. */
  #compare(response: Response): void {
    const size = rangeOf(response)?.size ?? this.size;
    const version = versionOf(response);
    if (isSame(version, this.#version) && size === this.size) return;
    void response.body?.cancel().catch(() => undefined);
    const was = `${this.version || "no version"}, ${this.size} bytes`;
    const now = `${nameOf(version) || "no version"}, ${size} bytes`;
    fail("ERR_FORMAT", `the file on the server has changed (${was}; now ${now}): open it again`);
  }

  /** The size where Content-Range can't be seen: another origin's server must allow that, and allows Content-Length unasked. */
  async #sizeByHead(signal: AbortSignal): Promise<number> {
    // Where a range is asked for, browsers want no compression, whose length would be another one.
    const headers = new Headers(this.#request.headers);
    headers.set("Range", "bytes=0-");
    const response = await this.#fetch(new Request(this.#request, { method: "HEAD", headers, signal }));
    const length = Number(response.headers.get("content-length") ?? Number.NaN);
    if (response.ok && Number.isSafeInteger(length) && length > 0) return length;
    return fail(
      "ERR_UNSUPPORTED",
      "the server does not say how long the file is: have it send Access-Control-Expose-Headers: Content-Range, ETag",
    );
  }
}

/** The bytes of an answer; a connection that breaks may hold the next time. */
async function bodyOf(response: Response): Promise<ArrayBuffer> {
  try {
    return await response.arrayBuffer();
  } catch (error) {
    throw new Passing(`the connection broke off (${String(error)})`);
  }
}

/** What an answer says of its part, or undefined. */
function rangeOf(response: Response): { from: number; to: number; size: number; text: string } | undefined {
  const text = response.headers.get("content-range") ?? "";
  const parts = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(text);
  return parts === null
    ? undefined
    : { from: Number(parts[1]), to: Number(parts[2]) + 1, size: Number(parts[3]), text };
}

/** What an answer says of the version of the file: "" where it does not. */
interface Version {
  etag: string;
  modified: string;
}

function versionOf({ headers }: Response): Version {
  // What compresses on the way calls the tag a weak one, and the size is compared too.
  const etag = (headers.get("etag") ?? "").replace(/^W\//, "");
  return { etag, modified: headers.get("last-modified") ?? "" };
}

function nameOf({ etag, modified }: Version): string {
  return etag || modified;
}

/** Whether two answers are of one version: by what both of them say, if anything. */
function isSame(a: Version, b: Version): boolean {
  if (a.etag !== "" && b.etag !== "") return a.etag === b.etag;
  if (a.modified !== "" && b.modified !== "") return a.modified === b.modified;
  return nameOf(a) === nameOf(b);
}

/** Milliseconds that a server wants to be left alone for. */
function retryAfter(response: Response): number {
  const value = response.headers.get("retry-after") ?? "";
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  const until = Date.parse(value);
  return Number.isNaN(until) ? 0 : Math.max(0, until - Date.now());
}

/** Waits, unless the signal ends it. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(reasonOf(signal));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}
