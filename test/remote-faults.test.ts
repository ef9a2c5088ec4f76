import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { layerStart, readHead } from "../src/codec/head.js";
import { CellistError } from "../src/errors.js";
import { indexFactory, readIndex } from "../src/index.js";
import type { IdType, Index } from "../src/index.js";
import { openRemote } from "../src/remote/index.js";
import { FIRST_BYTES } from "../src/remote/http.js";
import type { RemoteIndex } from "../src/remote/index.js";
import { blend, readVoice, shrinkVoice } from "../src/rvc/index.js";
import { synthetic } from "./synthetic.js";

// Every fault at every request that a remote index makes, of every kind: each answer is right, or an error that says what to do.

const [N, D, K] = [4000, 16, 4];
const { base: vectors, queries } = synthetic(D, 0, N, 8);
const OPTIONS = { nprobe: 3, k: K };

const KINDS: Record<string, string> = {
  lists: "IVF40,Flat",
  "lists of codes": "IVF40,SQ8",
  "lists of product codes": "IVF40,PQ4",
  "lists and ids": "IVF40,Flat,IDMap",
  "rows to refine": "IVF40,PQ4x4fs,RFlat",
  "a whole file": "PCA8,IVF40,Flat",
  "a voice in layers": "voice",
  // The first layer of which is longer than what is asked for at first.
  "a large voice": "large voice",
};
const files: Record<string, Uint8Array<ArrayBuffer>> = {};

/** What may go wrong with one answer. `recovers`: whether another try mends it. */
const FAULTS: Record<string, { recovers: boolean; spoil(answer: Answer, abort: () => void): Response }> = {
  lost: { recovers: true, spoil: () => raise(new TypeError("fetch failed")) },
  cut: {
    recovers: true,
    spoil: ({ bytes, headers }) => {
      let sent = false;
      const pull = (controller: ReadableStreamDefaultController<Uint8Array>) => {
        if (sent) controller.error(new Error("cut"));
        else controller.enqueue(bytes.subarray(0, bytes.length >> 1));
        sent = true;
      };
      return new Response(new ReadableStream({ pull }), { status: 206, headers });
    },
  },
  short: { recovers: true, spoil: ({ bytes, headers }) => new Response(bytes.slice(1), { status: 206, headers }) },
  "a wrong range": {
    recovers: true,
    spoil: ({ bytes, headers, from, size }) =>
      new Response(bytes, {
        status: 206,
        headers: { ...headers, "Content-Range": `bytes ${from + 1}-${from + bytes.length}/${size}` },
      }),
  },
  "another version": {
    recovers: false,
    // At the beginning it is an older one that is told; later ones have other bytes.
    spoil: ({ bytes, headers, from }) =>
      new Response(from === 0 ? bytes : bytes.map((byte) => byte ^ 255), {
        status: 206,
        headers: { ...headers, ETag: '"2"' },
      }),
  },
  "another size": {
    recovers: false,
    spoil: ({ bytes, headers, from, size }) =>
      new Response(bytes, {
        status: 206,
        headers: { ...headers, "Content-Range": `bytes ${from}-${from + bytes.length - 1}/${size + 1}` },
      }),
  },
  429: { recovers: true, spoil: () => new Response(null, { status: 429, headers: { "Retry-After": "0" } }) },
  500: { recovers: true, spoil: () => new Response(null, { status: 500 }) },
  404: { recovers: false, spoil: () => new Response(null, { status: 404 }) },
  compressed: {
    recovers: false,
    spoil: ({ bytes, headers }) =>
      new Response(bytes, { status: 206, headers: { ...headers, "Content-Encoding": "br" } }),
  },
  "the whole file": {
    recovers: true,
    spoil: ({ whole, headers }) => new Response(whole, { status: 200, headers: { ETag: headers.ETag } }),
  },
  "half of the whole file": {
    recovers: false,
    spoil: ({ whole, headers }) =>
      new Response(whole.slice(0, whole.length >> 1), {
        status: 200,
        headers: { ETag: headers.ETag, "Content-Length": String(whole.length) },
      }),
  },
  "a page to sign in": {
    recovers: false,
    spoil: ({ headers }) => new Response("<!DOCTYPE html>", { status: 200, headers: { ETag: headers.ETag } }),
  },
  "nothing at all": { recovers: false, spoil: () => new Response(null, { status: 204 }) },
  "no bytes": { recovers: true, spoil: ({ headers }) => new Response(null, { status: 206, headers }) },
  "a byte too many": {
    recovers: true,
    spoil: ({ bytes, headers }) => new Response(new Uint8Array(bytes.length + 1), { status: 206, headers }),
  },
  "half of the range": {
    recovers: true,
    spoil: ({ bytes, headers, from, size }) => {
      const part = bytes.subarray(0, Math.ceil(bytes.length / 2));
      const range = `bytes ${from}-${from + part.length - 1}/${size}`;
      return new Response(part, { status: 206, headers: { ...headers, "Content-Range": range } });
    },
  },
  "a weak tag": {
    recovers: true,
    spoil: ({ bytes, headers }) => new Response(bytes, { status: 206, headers: { ...headers, ETag: `W/"1"` } }),
  },
  "no tag": {
    recovers: false,
    spoil: ({ bytes, headers: { "Content-Range": range } }) =>
      new Response(bytes, { status: 206, headers: { "Content-Range": range } }),
  },
  "an abort": {
    recovers: false,
    spoil: (answer, abort) => {
      abort();
      return new Response(answer.bytes, { status: 206, headers: answer.headers });
    },
  },
};

interface Answer {
  bytes: Uint8Array<ArrayBuffer>;
  whole: Uint8Array<ArrayBuffer>;
  from: number;
  size: number;
  headers: Record<string, string>;
}

function raise(error: Error): never {
  throw error;
}

/** A server in this process, one of whose answers is spoilt. */
function serverOf(whole: Uint8Array<ArrayBuffer>, at: number, fault: string, abort: () => void) {
  const server = {
    requests: 0,
    fetch: async ({ headers: asked }: Request): Promise<Response> => {
      const [from, last] = (asked.get("Range") ?? "").slice(6).split("-").map(Number);
      const bytes = whole.slice(from, last + 1);
      const range = `bytes ${from}-${from + bytes.length - 1}/${whole.length}`;
      const answer = { bytes, whole, from, size: whole.length, headers: { ETag: '"1"', "Content-Range": range } };
      const number = server.requests++;
      if (number === at) return FAULTS[fault].spoil(answer, abort);
      return new Response(bytes, { status: 206, headers: answer.headers });
    },
  };
  return server;
}

beforeAll(async () => {
  for (const [name, description] of Object.entries(KINDS)) {
    const index = await indexFactory(D, description.endsWith("voice") ? "IVF40,Flat" : description);
    await index.train(vectors);
    if (description.includes("IDMap"))
      await index.addWithIds(
        vectors,
        Int32Array.from({ length: N }, (_, i) => 5 * i),
      );
    else await index.add(vectors);
    const layers = description === "voice" ? { layers: 3 } : { layers: 2, ratio: 1.2 };
    const made = description.endsWith("voice") ? (await shrinkVoice(index, { ...layers, sample: 16 })).index : index;
    files[name] = made.toBytes();
    if (description === "large voice") expect(layerStart(readHead(files[name]), 1)).toBeGreaterThan(FIRST_BYTES);
  }
});

const isVoice = (file: Uint8Array) => file[0] === 0x89;

/** What a visitor does. Throws where an answer is wrong; what calls reject with is returned. */
async function visit(
  whole: Index<IdType>,
  file: Uint8Array<ArrayBuffer>,
  fetch: (request: Request) => Promise<Response>,
  signal: AbortSignal,
) {
  const failures: unknown[] = [];
  const attempt = async <T>(promise: Promise<T>): Promise<T | undefined> =>
    promise.catch((error: unknown) => {
      failures.push(error);
      return undefined;
    });
  const warned: string[] = [];
  const remote: RemoteIndex | undefined = await attempt(
    openRemote("http://localhost/file", {
      fetch,
      signal,
      readAhead: 1,
      onWarning: ({ message }) => warned.push(message),
    }),
  );
  if (remote === undefined) return failures;
  try {
    for (let i = 0; i < 4; i++) {
      const some = queries.subarray(2 * i * D, 2 * (i + 1) * D);
      // Frames that lack nothing are blended as by the whole file, but for layers that are still to come.
      const now = some.slice();
      const lacking = remote.blendNow(now, OPTIONS);
      if (lacking === 0 && !isVoice(file)) expect(now).toEqual(blend(whole, some.slice(), OPTIONS));
      const found = await attempt(remote.search(some, K, { nprobe: 3, signal }));
      const right = whole.search(some, K, { nprobe: 3 });
      if (found !== undefined) expect(found).toEqual(right);
      const blended = await attempt(remote.blend(some.slice(), { ...OPTIONS, signal }));
      if (blended !== undefined) expect(blended).toEqual(blend(whole, some.slice(), OPTIONS));
    }
    const index = await attempt(remote.toIndex({ signal }));
    if (index !== undefined) expect(Buffer.compare(index.toBytes(), file)).toBe(0);
    return failures;
  } finally {
    remote.dispose();
  }
}

describe("with each fault at each request", () => {
  for (const name of Object.keys(KINDS)) {
    it(`answers are right or an error says what to do: ${name}`, { timeout: 120_000 }, async () => {
      const file = files[name];
      const whole = await (isVoice(file) ? readVoice(file) : readIndex<IdType>(file));
      const clean = serverOf(file, -1, "lost", () => undefined);
      expect(await visit(whole, file, clean.fetch, new AbortController().signal)).toEqual([]);
      expect(clean.requests).toBeGreaterThan(2);
      // All that many requests may be in flight, so that pauses between tries are those of one.
      const jobs: Promise<void>[] = [];
      for (const fault of Object.keys(FAULTS)) {
        for (let at = 0; at < clean.requests; at++) {
          const job = async () => {
            const controller = new AbortController();
            const enough = new Error("enough");
            const server = serverOf(file, at, fault, () => controller.abort(enough));
            const failures = await visit(whole, file, server.fetch, controller.signal);
            if (FAULTS[fault].recovers) expect(failures).toEqual([]);
            for (const failure of failures) {
              if (fault === "an abort") {
                expect(failure).toBe(enough);
              } else {
                expect(failure).toBeInstanceOf(CellistError);
                expect((failure as CellistError).message).toMatch(
                  /[Oo]pen it again|check the address|have it serve|no faiss index/,
                );
              }
            }
          };
          jobs.push(job());
          if (jobs.length % 24 === 0) await Promise.all(jobs);
        }
      }
      await Promise.all(jobs);
    });
  }
});

describe("what comes from a page's own memory", () => {
  it("is read whole: blob: and data: addresses, whose ranges runtimes count differently", async () => {
    const whole = await readIndex(files.lists);
    const blob = new Blob([files.lists]);
    const url = URL.createObjectURL(blob);
    const handle = { getFile: async () => new File([files.lists], "alice.index") };
    for (const source of [url, `data:;base64,${Buffer.from(files.lists).toString("base64")}`, handle]) {
      const remote = await openRemote(source);
      expect(await remote.search(queries, K, { nprobe: 3 })).toEqual(whole.search(queries, K, { nprobe: 3 }));
      remote.dispose();
    }
    URL.revokeObjectURL(url);
    await expect(openRemote(url)).rejects.toMatchObject({ code: "ERR_FORMAT" });
  });
});

describe("a voice in layers, from the cache", () => {
  for (const name of ["a voice in layers", "a large voice"]) {
    it(`stays right whoever else uses it: two at once, one emptied meanwhile, a page to sign in: ${name}`, async () => {
      const cache = mkdtempSync(join(tmpdir(), "cellist-remote-"));
      try {
        const file = files[name];
        const { fetch } = serverOf(file, -1, "lost", () => undefined);
        const whole = async (own: (request: Request) => Promise<Response>, meanwhile = () => undefined as unknown) => {
          const remote = await openRemote("http://localhost/file", { fetch: own, cache });
          const loading = remote.load();
          await meanwhile();
          await loading;
          await remote.settled();
          expect(Buffer.compare((await remote.toIndex()).toBytes(), file)).toBe(0);
        };
        await Promise.all([whole(fetch), whole(fetch)]);
        // Nothing of what both have written is wrong.
        const page = async () => new Response("<!DOCTYPE html>", { headers: { "Content-Type": "text/html" } });
        await whole(page);
        await whole(async () => new Response(null, { status: 404 }));
        await whole(fetch, () => rmSync(cache, { recursive: true }));
        await whole(fetch);
        await whole(page);
        rmSync(cache, { recursive: true });
        await expect(whole(page)).rejects.toMatchObject({ code: "ERR_FORMAT" });
        // A page is not kept in place of a voice.
        await whole(fetch);
      } finally {
        rmSync(cache, { recursive: true, force: true });
      }
    });
  }

  it("is whole without a connection, and no byte is kept twice", async () => {
    const cache = mkdtempSync(join(tmpdir(), "cellist-remote-"));
    try {
      const file = files["a voice in layers"];
      const server = serverOf(file, -1, "lost", () => undefined);
      const first = await openRemote("http://localhost/file", { fetch: server.fetch, cache });
      await first.load();
      await first.settled();
      first.dispose();
      const gone = async () => Promise.reject(new TypeError("fetch failed"));
      const again = await openRemote("http://localhost/file", { fetch: gone, cache });
      expect(Buffer.compare((await again.toIndex()).toBytes(), file)).toBe(0);
      const requests = server.requests;
      // With a connection, only the beginning is asked for: has the file changed?
      const third = await openRemote("http://localhost/file", { fetch: server.fetch, cache });
      await third.load();
      expect(server.requests).toBe(requests + 1);
      third.dispose();
    } finally {
      rmSync(cache, { recursive: true });
    }
  });
});
