import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { serveRanges } from "../bench/range-server.mjs";
import type { Fault, RangeServer } from "../bench/range-server.mjs";
import { indexFactory, METRIC_INNER_PRODUCT, METRIC_L2, readIndex } from "../src/index.js";
import type { IdType, Index } from "../src/index.js";
import { openRemote } from "../src/remote/index.js";
import type { RemoteIndex, RemoteSource } from "../src/remote/index.js";
import { blend, readVoice, shrinkVoice } from "../src/rvc/index.js";
import { synthetic } from "./synthetic.js";

const [N, D, K] = [3000, 24, 8];
const { base: vectors, queries } = synthetic(D, 0, N, 40);

/** A kind of index, and whether any of it may come later. */
const KINDS = [
  { description: "IVF60,Flat", later: true },
  { description: "IVF60,Flat", metric: METRIC_INNER_PRODUCT, later: true },
  { description: "IVF60(IVF8,Flat),Flat", later: true },
  { description: "IVF60,Flat,IDMap", ids: true, later: true },
  { description: "IVF60,PQ12x4fs,RFlat", later: true },
  { description: "PQ12x4fs,RFlat", later: true },
  { description: "IVF60,SQ8", later: true },
  { description: "IVF60,PQ12x4fs", later: false },
  { description: "IVF60,PQ6", later: true },
  { description: "PCA12,IVF60,Flat", later: false },
  { description: "Flat", later: false },
  { description: "HNSW8", later: false },
] as const;

const kindOf = (description: string) => KINDS.findIndex((kind) => kind.description === description);
const files: Uint8Array[] = [];
const servers: RangeServer[] = [];

beforeAll(async () => {
  for (const kind of KINDS) {
    const metric = "metric" in kind ? kind.metric : METRIC_L2;
    const index = await indexFactory(D, kind.description, metric);
    await index.train(vectors);
    if ("ids" in kind)
      await index.addWithIds(
        vectors,
        Int32Array.from({ length: N }, (_, i) => i * 3 + 7),
      );
    else await index.add(vectors);
    index.set(kind.description.includes("IVF") ? "nprobe=4" : "");
    files.push(index.toBytes());
  }
});

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function serve(bytes: Uint8Array, behave?: () => Fault | undefined): Promise<string> {
  const server = await serveRanges(bytes, behave === undefined ? {} : { behave });
  servers.push(server);
  return server.url;
}

const equal = (
  index: Index<IdType>,
  remote: { distances: Float32Array; labels: ArrayLike<unknown> },
  q: Float32Array,
  k: number,
  o: object,
) => {
  const { distances, labels } = index.search(q, k, o);
  expect(remote.distances).toEqual(distances);
  expect(remote.labels).toEqual(labels);
};

/** Sizes of the lists of an IVF file, all of which it says. */
function listSizes(bytes: Uint8Array): BigInt64Array {
  const at = Buffer.from(bytes).lastIndexOf("ilar") + 4 + 8 + 8 + 4 + 8;
  return new BigInt64Array(bytes.slice(at, at + 60 * 8).buffer);
}

describe("an index that is elsewhere", () => {
  for (const [i, kind] of KINDS.entries()) {
    const name = kind.description + ("metric" in kind ? " of inner products" : "");
    it(`answers as one that is here: ${name}`, async () => {
      const whole = await readIndex(files[i]);
      const sources: RemoteSource[] = [
        await serve(files[i]),
        await serve(files[i], () => ({ ranges: false })),
        new Blob([files[i] as Uint8Array<ArrayBuffer>]),
        { size: files[i].length, read: async (from, to) => files[i].slice(from, to) },
      ];
      for (const source of sources) {
        const remote = await openRemote(source);
        try {
          expect(remote.size).toBe(files[i].length);
          expect(remote.description).toBe(whole.description);
          expect(remote.ntotal).toBe(N);
          if (kind.later) expect(remote.resident).toBeLessThan(remote.size);
          else expect(remote.resident).toBe(remote.size);
          await fc.assert(
            fc.asyncProperty(
              fc.integer({ min: 0, max: 39 }),
              fc.integer({ min: 1, max: 3 }),
              fc.record({ nprobe: fc.integer({ min: 1, max: 60 }), ensureK: fc.boolean() }),
              async (first, count, options) => {
                const some = queries.subarray(first * D, Math.min(40, first + count) * D);
                equal(whole, await remote.search(some, K, options), some, K, options);
                if (whole.metric !== METRIC_L2) return;
                expect(await remote.blend(some.slice(), options)).toEqual(blend(whole, some.slice(), options));
              },
            ),
            { numRuns: 12, seed: 7 },
          );
          const index = await remote.toIndex();
          expect(Buffer.compare(index.toBytes(), files[i])).toBe(0);
          await expect(remote.search(queries, 1)).rejects.toMatchObject({ code: "ERR_DISPOSED" });
        } finally {
          remote.dispose();
        }
      }
    });
  }

  it("says what it is and how much of it is there, and takes parameters", async () => {
    for (const i of [0, 1]) {
      const whole = await readIndex(files[i]);
      const remote = await openRemote({ size: files[i].length, read: async (from, to) => files[i].slice(from, to) });
      const lists = 60 - [...listSizes(files[i])].filter((size) => size === 0n).length;
      expect([remote.d, remote.metric, remote.size]).toEqual([D, whole.metric, files[i].length]);
      expect(remote.parts).toEqual({ there: 0, total: lists });
      expect(remote.get("nprobe")).toBe(4);
      remote.set("nprobe=1");
      expect(remote.get("nprobe")).toBe(1);
      expect(() => remote.set("nprobe=0")).toThrow(/nprobe/);
      whole.set("nprobe=1");
      equal(whole, await remote.search(queries.subarray(0, D), K), queries.subarray(0, D), K, {});
      expect(remote.parts.there).toBeGreaterThan(0);
      expect(remote.parts.there).toBeLessThan(lists);
      // Lists that are not full: all of the file is fetched where a query must have its k.
      const far = await remote.search(queries, N, { ensureK: true });
      expect(far.labels.includes(-1 as never)).toBe(false);
      expect(remote.parts).toEqual({ there: lists, total: lists });
      remote.dispose();
    }
  });

  it("reads little to begin with, and of the lists what queries want", async () => {
    const source = {
      size: files[0].length,
      bytes: 0,
      read: async (from: number, to: number) => ((source.bytes += to - from), files[0].slice(from, to)),
    };
    const remote = await openRemote(source);
    const before = remote.resident;
    expect(before).toBeLessThan(files[0].length * 0.1);
    await remote.search(queries.subarray(0, D), K, { nprobe: 2 });
    expect(remote.resident - before).toBeGreaterThan(0);
    expect(remote.resident).toBeLessThan(files[0].length * 0.4);
    remote.dispose();
  });

  it("lacks the exact row that a blend wants, the first one of the file as any other", async () => {
    const i = kindOf("IVF60,PQ12x4fs,RFlat");
    const codes = await indexFactory(D, "IVF60,PQ12x4fs");
    await codes.train(vectors);
    await codes.add(vectors);
    const options = { k: 1, kFactor: 1, nprobe: 60 };
    for (const row of [0, 1, 700]) {
      // Something so near to the row's code that no other one is a candidate.
      const feature = codes.reconstruct(row);
      expect([...codes.search(feature, 1, { nprobe: 60 }).labels]).toEqual([row]);
      const remote = await openRemote({ size: files[i].length, read: async (from, to) => files[i].slice(from, to) });
      expect(remote.blendNow(feature.slice(), options)).toBe(1);
      remote.dispose();
    }
  });

  it("blends at once with what is there, says how much was lacking, and is whole in the end", async () => {
    // Of a few features, and of more than are ranked at a time.
    const cases = [0, kindOf("IVF60,PQ12x4fs,RFlat")].flatMap((i) => [2, 150].map((count) => ({ i, count })));
    for (const { i, count } of cases) {
      const whole = await readIndex(files[i]);
      const remote = await openRemote(new Blob([files[i] as Uint8Array<ArrayBuffer>]));
      const options = { nprobe: 2, k: K };
      const first = Float32Array.from({ length: count * D }, (_, at) =>
        at < 40 * D ? queries[at] : 0.9 * vectors[at],
      );
      const raw = first.slice();
      expect(remote.blendNow(first, options)).toBe(count);
      if (i === 0) expect(first).toEqual(raw);
      else expect(first).not.toEqual(raw);
      let lacking = count;
      for (let tries = 0; lacking > 0 && tries < 200; tries++) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        const again = raw.slice();
        lacking = remote.blendNow(again, options);
        if (lacking === 0) expect(again).toEqual(blend(whole, raw.slice(), options));
      }
      expect(lacking).toBe(0);
      if (count === 2) expect(remote.resident).toBeLessThan(remote.size);
      remote.dispose();
    }
  });

  it("is every frame of a voice from its first layer on, and becomes the whole of it layer by layer", async () => {
    const index = await readIndex(files[0]);
    const { index: small } = await shrinkVoice(index, { layers: 4 });
    const bytes = small.toBytes();
    const whole = await readVoice(bytes);
    const exact = blend(whole, queries.slice(), { nprobe: 4 });
    const far = (blended: Float32Array) => Math.hypot(...blended.map((x, i) => x - exact[i]));

    let held = Infinity;
    const source = {
      size: bytes.length,
      read: async (from: number, to: number) => {
        while (to > held) await new Promise((resolve) => setTimeout(resolve, 2));
        return bytes.slice(from, to);
      },
    };
    const remote = await openRemote(source);
    expect(remote.description).toBe(whole.description);
    // Only the first layer comes unasked.
    const first: { resident: number } = { resident: remote.resident };
    while (remote.resident === first.resident) await new Promise((resolve) => setTimeout(resolve, 2));
    await new Promise((resolve) => setTimeout(resolve, 30));
    const beginning = remote.resident;
    expect(beginning).toBeLessThan(bytes.length * 0.6);
    held = 0;
    const rough = queries.slice();
    expect(remote.blendNow(rough, { nprobe: 4 })).toBe(0);
    expect(far(rough)).toBeGreaterThan(0);
    held = Infinity;
    await remote.load();
    const fine = queries.slice();
    expect(remote.blendNow(fine, { nprobe: 4 })).toBe(0);
    expect(far(fine)).toBe(0);
    expect(Buffer.compare((await remote.toIndex()).toBytes(), bytes)).toBe(0);

    const other = await openRemote(new Blob([bytes]));
    const some = queries.subarray(0, 5 * D);
    equal(whole, await other.search(some, K, { nprobe: 2 }), some, K, { nprobe: 2 });
    other.dispose();
    // A list that is damaged is refused, and not searched.
    const damaged = bytes.slice();
    damaged.fill(255, damaged.length - 400, damaged.length - 200);
    const broken = await openRemote(new Blob([damaged]));
    await expect(broken.toIndex()).rejects.toMatchObject({ code: "ERR_FORMAT" });
    broken.dispose();
  });

  it("never answers wrongly, whatever requests meet", { timeout: 60_000 }, async () => {
    const faults: (Fault | undefined)[] = [
      undefined,
      { cut: 10 },
      { short: 3 },
      { shift: 8 },
      { status: 429, headers: { "Retry-After": "0" } },
      { status: 500 },
    ];
    let seed = 3;
    const draw = () => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 1) / 2 ** 31;
    for (const i of [0, kindOf("IVF60,Flat,IDMap"), kindOf("IVF60,PQ12x4fs,RFlat")]) {
      const whole = await readIndex(files[i]);
      const url = await serve(files[i], () => (draw() < 0.3 ? faults[Math.floor(draw() * faults.length)] : undefined));
      const remote = await openRemote(url);
      for (let first = 0; first < 8; first += 4) {
        const some = queries.subarray(first * D, (first + 4) * D);
        equal(whole, await remote.search(some, K, { nprobe: 3 }), some, K, { nprobe: 3 });
      }
      expect(Buffer.compare((await remote.toIndex()).toBytes(), files[i])).toBe(0);
    }
  });

  it("ends in an error and no mixture when the file changes, and goes on after an abort", async () => {
    let etag = '"1"';
    const remote = await openRemote(await serve(files[0], () => ({ etag })));
    const controller = new AbortController();
    const given = remote.search(queries.subarray(0, 2 * D), K, { nprobe: 2, signal: controller.signal });
    controller.abort(new Error("enough"));
    await expect(given).rejects.toThrow("enough");
    await remote.search(queries.subarray(0, D), K);
    etag = '"2"';
    await expect(remote.load()).rejects.toThrow(/has changed/);
    remote.dispose();
    await expect(remote.load()).rejects.toMatchObject({ code: "ERR_DISPOSED" });
  });

  it("refuses labels that an IDMap can't look up", async () => {
    // The id of the first vector of the first list, of an IDMap, is beyond what it numbers.
    const bytes = files[kindOf("IVF60,Flat,IDMap")].slice();
    const map = bytes.length - N * 8 - 8;
    new DataView(bytes.buffer).setBigInt64(map - 8, 123456789n, true);
    const remote = await openRemote(new Blob([bytes]));
    await expect(remote.load()).rejects.toMatchObject({ code: "ERR_FORMAT" });
    remote.dispose();
  });

  it("tells wrong sources by name", async () => {
    for (const [source, words] of [
      [42, /can't open 42 by parts/],
      [Promise.resolve("x"), /await/],
      [new Uint8Array(10), /readIndex/],
    ] as const) {
      await expect(openRemote(source as unknown as RemoteSource)).rejects.toMatchObject({
        code: "ERR_PARAMETER",
        message: expect.stringMatching(words) as string,
      });
    }
  });

  it("is there again from the cache, without a connection", async () => {
    const cache = mkdtempSync(join(tmpdir(), "cellist-remote-"));
    try {
      const url = await serve(files[0]);
      let remote: RemoteIndex = await openRemote(url, { cache });
      const some = queries.subarray(0, 4 * D);
      const answer = await remote.search(some, K, { nprobe: 4 });
      await remote.settled();
      remote.dispose();
      await Promise.all(servers.splice(0).map((server) => server.close()));
      remote = await openRemote(url, { cache });
      expect(await remote.search(some, K, { nprobe: 4 })).toEqual(answer);
      remote.dispose();
      await expect(openRemote(url)).rejects.toThrow(/no answer/);
    } finally {
      rmSync(cache, { recursive: true });
    }
  });
});
