import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { afterEach, describe, expect, test, vi } from "vitest";
// What is built, for a thread runs no TypeScript.
import {
  CellistError,
  indexFactory as makeHere,
  METRIC_INNER_PRODUCT,
  METRIC_L2,
  readIndex as readHere,
} from "../dist/index.js";
import type { Index, Metric, Warning } from "../dist/index.js";
import { indexFactory, readIndex } from "../dist/worker/index.js";
import type { AsyncIndex, AsyncOptions } from "../dist/worker/index.js";
import { goldenFolder } from "./golden.js";
import { randomOf, uniform } from "./random.js";
import { codeOf, errorOf, thrownBy } from "./rejections.js";
import { shared } from "../src/threads/shared-module.js";
import { indexFactory as makeOfSource } from "../src/index.js";
import { Heads } from "../src/training/heads.js";

const D = 64;
const ROWS = 3000;
const rows = uniform(randomOf(1), ROWS * D);
const queries = uniform(randomOf(2), 150 * D);
/** Rows whose training takes about a second. */
const many = uniform(randomOf(3), 60_000 * D);
const SLOW = "IVF512,Flat";
const nodeThreads = process.getBuiltinModule("node:worker_threads");

/** Indexes to dispose of. */
const made: AsyncIndex[] = [];
afterEach(async () => {
  await Promise.all(made.splice(0).map((index) => index.dispose()));
  vi.restoreAllMocks();
});

async function make(description: string, options?: AsyncOptions, metric: Metric = METRIC_L2): Promise<AsyncIndex> {
  const index = await indexFactory(D, description, metric, options);
  made.push(index);
  return index;
}

/** Threads that were started, the first being the index's worker. */
function watchThreads(): Worker[] {
  const started: Worker[] = [];
  class Watched extends Worker {
    constructor(...args: ConstructorParameters<typeof Worker>) {
      super(...args);
      started.push(this);
    }
  }
  vi.spyOn(process, "getBuiltinModule").mockReturnValue({ ...nodeThreads, Worker: Watched });
  return started;
}

/** A checksum of the arrays of an answer: typed arrays are slow to compare one by one. */
function digest(...answers: object[]): string {
  const hash = createHash("sha256");
  for (const answer of answers)
    for (const array of ArrayBuffer.isView(answer) ? [answer] : Object.values(answer)) hash.update(array as Uint8Array);
  return hash.digest("hex");
}

/** What an index makes of the rows: its file, and what it finds. */
async function outcome(index: Index | AsyncIndex): Promise<string> {
  await index.train(rows);
  await index.add(rows.subarray(0, 2000 * D));
  await index.add(rows.subarray(2000 * D));
  if ((await index.nprobe) !== undefined) await index.set("nprobe=4");
  const found = await index.search(queries, 10);
  const filtered = await index.search(queries, 5, { filter: (await index.filter({ from: 100, to: 1900 })) as never });
  const wide = await index.search(queries.subarray(0, 64 * D), 700);
  await index.warmUp({ batch: 64, k: 10 });
  expect(digest(await index.search(queries, 10))).toBe(digest(found));
  return digest(await index.toBytes(), found, filtered, wide, await index.rangeSearch(queries.subarray(0, 20 * D), 25));
}

describe("any number of threads gives the bytes and answers of an index that has none", () => {
  const kinds: [string, Metric][] = [
    ["Flat", METRIC_L2],
    ["Flat", METRIC_INNER_PRODUCT],
    ["IVF64,Flat", METRIC_L2],
    ["IVF64,Flat", METRIC_INNER_PRODUCT],
    ["IVF70,PQ32x4fs,RFlat", METRIC_L2],
    ["IVF64,PQ16", METRIC_L2],
    ["PQ8x6", METRIC_L2],
    ["SQ8", METRIC_L2],
    ["IVF32,SQ4", METRIC_INNER_PRODUCT],
    ["IVF32,SQfp16", METRIC_L2],
    ["HNSW16", METRIC_L2],
    ["IVF64_HNSW16,Flat", METRIC_L2],
    ["OPQ8_32,IVF32,PQ8x4fs", METRIC_L2],
    ["PCA32,IVF64,SQ8,RFlat", METRIC_L2],
  ];
  test.each(kinds)("%s, metric %i", async (description, metric) => {
    const expected = await outcome(await makeHere(D, description, metric));
    for (const threads of [1, 2, 3]) {
      const index = await make(description, { threads }, metric);
      expect(await outcome(index), `${threads} threads`).toBe(expected);
      await index.compact();
      expect((await index.search(queries, 10)).labels.length).toBe(1500);
    }
  });

  test("an IVF whose cells are learnt by heads", async () => {
    const d = 128;
    const some = uniform(randomOf(4), 1100 * d);
    const make = vi.spyOn(Heads, "make");
    const here = await makeOfSource(d, "IVF64,Flat", METRIC_L2);
    await here.train(some);
    expect(make.mock.results.map(({ value }) => value as unknown)).toEqual([expect.any(Heads)]);
    make.mockRestore();
    const expected = digest(here.toBytes());
    for (const threads of [2, 3]) {
      const index = await indexFactory(d, "IVF64,Flat", METRIC_L2, { threads });
      made.push(index);
      await index.train(some);
      expect(digest(await index.toBytes()), `${threads} threads`).toBe(expected);
    }
  });

  test("a graph whose rows have heads", async () => {
    const [n, d] = [1100, 128];
    const few = Float32Array.from({ length: n * d }, (_, at) => {
      const [i, j] = [Math.floor(at / d), at % d];
      return [1, 2, 3].reduce((sum, u) => sum + Math.sin(i * u * 0.37) * Math.cos(j * u * 0.21), 0);
    });
    const here = await makeHere(d, "HNSW8", METRIC_L2);
    await here.add(few);
    const expected = digest(here.search(few, 10));
    const index = await readIndex(here.toBytes(), { threads: 3 });
    made.push(index);
    const plain = await readIndex(here.toBytes(), { threads: 3, bounds: false });
    made.push(plain);
    for (const one of [index, plain]) await one.warmUp({ batch: 64, k: 10 });
    // There are heads.
    expect(await index.memory).toBeGreaterThanOrEqual((await plain.memory) + 64 * n);
    expect(digest(await index.search(few, 10))).toBe(expected);
  });

  test("a file, read with threads, searched, filled and compacted", async () => {
    const bytes = new Uint8Array(readFileSync(new URL("ivf_pq4fs_rflat_l2.index", goldenFolder)));
    const here = await readHere(bytes);
    const index = await readIndex(bytes, { threads: 3 });
    made.push(index);
    const more = uniform(randomOf(4), 500 * here.d);
    const asked = uniform(randomOf(5), 64 * here.d);
    for (const each of [here, index]) {
      await each.add(more);
      await each.removeIds([1, 2, 3]);
      await each.compact();
      await each.add(more);
    }
    expect(digest(await index.search(asked, 10), await index.toBytes())).toBe(
      digest(here.search(asked, 10), here.toBytes()),
    );
  });
});

describe("vectors that a page lays where all threads see them", () => {
  /** As many as make the copying worth sharing. */
  const n = 9000;
  const some = many.subarray(0, n * D);
  const others = many.subarray(n * D, 2 * n * D);
  /** The memory that vectors are laid in. */
  const laid: number[] = [];
  function watchMemory(): void {
    laid.length = 0;
    vi.stubGlobal(
      "SharedArrayBuffer",
      new Proxy(SharedArrayBuffer, {
        construct(target, [bytes]: [number]) {
          laid.push(bytes);
          return new target(bytes);
        },
      }),
    );
  }
  afterEach(() => vi.unstubAllGlobals());

  test.each(["Flat", "IVF64,Flat", "IVF64,PQ32x4fs,RFlat", "PCA32,Flat", "HNSW4"])(
    "%s: one call after the other, whatever becomes of the arrays",
    async (description) => {
      const here = await makeHere(D, description, METRIC_L2);
      const index = await make(description, { threads: 3 });
      const filled = description.startsWith("HNSW") ? 1000 * D : n * D;
      const cut = (vectors: Float32Array): Float32Array => vectors.slice(0, filled);
      const own = some.slice();
      await here.train(some);
      await here.add(cut(some));
      await here.add(cut(others));
      watchMemory();
      const trained = index.train(own);
      own.fill(NaN);
      await trained;
      own.set(some);
      const added = index.add(cut(own));
      await added;
      const again = cut(others);
      const more = index.add({ data: again, dims: [filled / D, D] });
      again.fill(0);
      await more;
      expect(digest(await index.toBytes())).toBe(digest(here.toBytes()));
      // Once, unless it was collected in between.
      expect(laid.length).toBeGreaterThan(0);
      expect(new Set(laid)).toEqual(new Set([n * D * 4]));
    },
  );

  test("with ids, and in the place of others", async () => {
    const [here, index] = [await makeHere(D, "IVF64,SQ8", METRIC_L2), await make("IVF64,SQ8", { threads: 3 })];
    const ids = Int32Array.from({ length: n }, (_, i) => 3 * i + 1);
    watchMemory();
    for (const each of [here, index]) {
      await each.train(some);
      await each.addWithIds(some, ids);
      await each.upsert(others, ids.slice().reverse());
    }
    expect(digest(await index.toBytes())).toBe(digest(here.toBytes()));
    expect(laid.length).toBeGreaterThan(0);
  });

  test("a call that comes while another one is at it does not touch what that one reads", async () => {
    const here = await makeHere(D, "IVF64,Flat", METRIC_L2);
    await here.train(some);
    const index = await make("IVF64,Flat", { threads: 3 });
    const second = [index.train(some), thrownBy(index.train(others))];
    await second[0];
    // It is refused, or there is nothing left for it to do.
    expect([undefined, "ERR_BUSY"]).toContain((await (second[1] as Promise<CellistError | undefined>))?.code);
    expect(digest(await index.toBytes())).toBe(digest(here.toBytes()));
  });

  test("kernels that were compiled are handed to the next index", async () => {
    const send = vi.spyOn(MessagePort.prototype, "postMessage");
    const given = (): unknown[] =>
      send.mock.calls.flatMap(([message]) => {
        const { args } = message as { args?: { team?: { modules: Record<string, WebAssembly.Module> } }[] };
        return args?.at(-1)?.team?.modules.baseline ?? [];
      });
    const first = await make("IVF64,SQ8", { threads: 2 });
    await first.train(some);
    await first.dispose();
    send.mockClear();
    const second = await make("IVF64,SQ8", { threads: 2 });
    expect(given()).toEqual([expect.any(WebAssembly.Module)]);
    await second.train(some);
    const here = await makeHere(D, "IVF64,SQ8", METRIC_L2);
    await here.train(some);
    expect(digest(await second.toBytes())).toBe(digest(here.toBytes()));
  });

  test("too few, too many, what is handed over and what there is no memory for go as they do to one thread", async () => {
    const here = await makeHere(D, "Flat", METRIC_L2);
    const index = await make("Flat", { threads: 2 });
    watchMemory();
    const handed = some.slice();
    await index.add(rows);
    await index.add(handed, { transfer: true });
    expect(handed).toHaveLength(0);
    await index.add(new Float32Array(2 ** 24 + D));
    expect(laid).toEqual([]);
    await index.reset();
    vi.stubGlobal("SharedArrayBuffer", function none(): never {
      throw new RangeError("Array buffer allocation failed");
    });
    await index.add(some);
    await here.add(some);
    expect(digest(await index.toBytes())).toBe(digest(here.toBytes()));
  });

  test("say of training rows which is bad, wherever it stands", async () => {
    const index = await make("IVF64,PQ32x4fs,RFlat", { threads: 2 });
    for (const row of [0, 63, 64, 5001, n - 1]) {
      const bad = some.slice();
      bad[row * D + (row % D)] = row % 2 === 0 ? NaN : Infinity;
      const message = `row ${row} has ${row % 2 === 0 ? "NaN" : "Infinity"} in column ${row % D}:`;
      await expect(index.train(bad)).rejects.toThrow(message);
      expect(await index.isTrained).toBe(false);
    }
    await index.train(some);
    expect(await index.isTrained).toBe(true);
  });
});

describe("threads that share the work", () => {
  test("do it: those that help use the processor, too", async () => {
    const started = watchThreads();
    const index = await make(SLOW, { threads: 3 });
    await index.train(many);
    const used = started.map((thread) => thread.performance.eventLoopUtilization().active);
    expect(started).toHaveLength(3);
    for (const ms of used) expect(ms).toBeGreaterThan(0);
    expect((await index.search(queries, 5)).labels[0]).toBe(-1);
  });

  test.each(["Flat", "IVF16,Flat"])("say of bad rows which is the first: %s", async (description) => {
    const [n, d] = [2000, 256];
    const vectors = uniform(randomOf(6), n * d);
    const index = await indexFactory(d, description, METRIC_L2, { threads: 3 });
    made.push(index);
    await index.train(vectors);
    for (const row of [1999, 1400, 1001, 600, 3]) {
      vectors[row * d + (row % d)] = row % 2 === 0 ? NaN : -Infinity;
      await expect(index.add(vectors)).rejects.toThrow(new RegExp(`row ${row}\\b`));
    }
    expect(await index.ntotal).toBe(0);
    await index.add(vectors.subarray(4 * d, 600 * d));
    expect(await index.ntotal).toBe(596);
  });

  test("are shared by indexes, and end with the last one", async () => {
    const started = watchThreads();
    const first = await make("Flat", { threads: 3 });
    const second = await make("Flat", { threads: 2 });
    expect(started).toHaveLength(4);
    await Promise.all([first.add(rows), second.add(rows)]);
    const [a, b] = await Promise.all([first.search(queries, 8), second.search(queries, 8)]);
    expect(digest(a)).toBe(digest(b));
    await first.dispose();
    expect(digest(await second.search(queries, 8))).toBe(digest(b));
    await second.dispose();
    await vi.waitFor(() => expect(started.every((thread) => thread.threadId === -1)).toBe(true));
    const third = await make("Flat", { threads: 2 });
    await third.add(rows);
    expect(digest(await third.search(queries, 8))).toBe(digest(b));
  });

  test("let a program end that forgets to dispose of the index", () => {
    const program = `
      import { indexFactory } from ${JSON.stringify(new URL("../dist/worker/index.js", import.meta.url).href)};
      const index = await indexFactory(8, "Flat", 1, { threads: 3 });
      await index.add(new Float32Array(8000));
      console.log((await index.search(new Float32Array(64 * 8), 2)).labels.length);`;
    expect(execFileSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" })).toBe("128\n");
  });

  test("stop when the call is aborted, and go on", async () => {
    const index = await make(SLOW, { threads: 3 });
    const reason = new Error("enough");
    const controller = new AbortController();
    const seen: number[] = [];
    const onProgress = ({ done }: { done: number }): void => {
      seen.push(done);
      if (done > 20_000) controller.abort(reason);
    };
    expect(await errorOf(index.train(many, { signal: controller.signal, onProgress }))).toBe(reason);
    expect(seen.length).toBeGreaterThan(2);
    expect(await index.isTrained).toBe(false);
    expect(await outcome(index)).toBe(await outcome(await makeHere(D, SLOW)));
  });

  test("that end in the midst of a call make it fail, and the index is what it was; the others go on", async () => {
    // Pieces of a millisecond or two, so that a thread is mostly in one.
    const [kind, options] = ["IVF4096,Flat", { bounds: false }];
    const some = many.subarray(0, 5000 * D);
    const here = await makeHere(D, kind, METRIC_L2, options);
    await here.train(some);
    let failed = false;
    for (let tries = 0; !failed && tries < 10; tries++) {
      const started = watchThreads();
      const index = await make(kind, { threads: 3, ...options });
      const controller = new AbortController();
      let news = 0;
      const onProgress = (): void => {
        if (++news === 2 || news === 5) void started[news === 2 ? 1 : 2].terminate();
        // Both ended between two pieces, where nothing is lost, and the work went on.
        if (news === 12) controller.abort();
      };
      const error = await errorOf(index.train(many, { onProgress, signal: controller.signal }));
      if (!(error instanceof CellistError)) continue;
      expect(error.code).toBe("ERR_MEMORY");
      expect(error.message).toContain("a thread ended");
      failed = true;
      expect(await index.isTrained).toBe(false);
      await index.train(some);
      expect(digest(await index.toBytes())).toBe(digest(here.toBytes()));
    }
    expect(failed).toBe(true);
  });

  test("keep to maxBytes: what there is no room for is an error, or done by fewer", async () => {
    const here = await makeHere(D, "Flat", METRIC_L2);
    await here.add(rows);
    const answer = digest(here.search(queries, 100));
    const maxBytes = here.memory;
    const index = await make("Flat", { threads: 3, maxBytes });
    await index.add(rows);
    expect(await index.memory).toBeLessThanOrEqual(maxBytes);
    expect(digest(await index.search(queries, 100))).toBe(answer);
    expect(await codeOf(index.add(many))).toBe("ERR_MEMORY");
    expect(await index.ntotal).toBe(ROWS);
    expect(await codeOf(make("Flat", { threads: 2, maxBytes: 100 }).then((tiny) => tiny.add(rows)))).toBe("ERR_MEMORY");
    expect(await index.memory).toBeLessThanOrEqual(maxBytes);
  });
});

describe("where there can be no threads", () => {
  test("the option is checked", async () => {
    for (const threads of [0, -1, 1.5, 65, NaN, "2", null] as number[])
      expect(await codeOf(make("Flat", { threads }))).toBe("ERR_PARAMETER");
  });

  test.each([
    ["no shared memory", () => vi.stubGlobal("SharedArrayBuffer", undefined), {}, "cross-origin isolated"],
    ["a page that is not isolated", () => vi.stubGlobal("crossOriginIsolated", false), {}, "cross-origin isolated"],
    ["a module of the caller's", () => undefined, { module: kernels() }, "options module"],
  ])("%s: one thread, and a warning", async (_, arrange, options, why) => {
    const started = watchThreads();
    arrange();
    const warnings: Warning[] = [];
    const index = await make("Flat", { threads: 3, onWarning: (warning) => warnings.push(warning), ...options });
    vi.unstubAllGlobals();
    expect(warnings.map(({ code }) => code)).toEqual(["WARN_THREADS"]);
    expect(warnings[0].message).toMatch(/^1 of 3 threads work/);
    expect(warnings[0].message).toContain(why);
    expect(started).toHaveLength(1);
    await index.add(rows);
    expect((await index.search(queries, 3)).labels.length).toBe(450);
  });
});

test("a module for shared memory differs in what it says of its memory, and in nothing else", () => {
  const plain = new Uint8Array(readFileSync(new URL("../dist/cellist.wasm", import.meta.url)));
  const changed = shared(plain);
  expect(changed.length - plain.length).toBe(3);
  expect(() => new WebAssembly.Instance(new WebAssembly.Module(changed), importing(false))).toThrow(
    WebAssembly.LinkError,
  );
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(changed), importing(true));
  expect(Object.keys(exports)).toEqual(
    WebAssembly.Module.exports(new WebAssembly.Module(plain)).map(({ name }) => name),
  );
});

function kernels(): WebAssembly.Module {
  return new WebAssembly.Module(readFileSync(new URL("../dist/cellist.wasm", import.meta.url)));
}

function importing(isShared: boolean): WebAssembly.Imports {
  return { env: { memory: new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: isShared }), abort: () => 0 } };
}
