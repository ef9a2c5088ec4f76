import { execFileSync } from "node:child_process";
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
import type { Bytes, Index, Progress, Warning } from "../dist/index.js";
import { blend } from "../dist/rvc/index.js";
import { indexFactory, readIndex } from "../dist/worker/index.js";
import type { AsyncIndex, AsyncOptions } from "../dist/worker/index.js";
import { goldenFolder } from "./golden.js";
import { randomOf, uniform } from "./random.js";
import { codeOf, errorOf } from "./rejections.js";

const D = 16;
const rows = uniform(randomOf(1), 2000 * D);
const queries = uniform(randomOf(2), 20 * D);
/** Rows that take half a second to train on. */
const many = uniform(randomOf(3), 40_000 * D);
const SLOW = "IVF256,Flat";
const script = new URL("../dist/worker/worker.js", import.meta.url);
const threads = process.getBuiltinModule("node:worker_threads");

const golden = (name: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(new URL(`${name}.index`, goldenFolder)));

/** Indexes to dispose of. */
const made: AsyncIndex[] = [];
afterEach(async () => {
  await Promise.all(made.splice(0).map((index) => index.dispose()));
  vi.restoreAllMocks();
});

function kept(index: AsyncIndex): AsyncIndex {
  made.push(index);
  return index;
}

async function make(description: string, options?: AsyncOptions): Promise<AsyncIndex> {
  return kept(await indexFactory(D, description, METRIC_L2, options));
}

async function filled(description: string, options?: AsyncOptions): Promise<AsyncIndex> {
  const index = await make(description, options);
  await index.train(rows);
  await index.add(rows);
  return index;
}

async function filledHere(description: string): Promise<Index> {
  const index = await makeHere(D, description);
  await index.train(rows);
  await index.add(rows);
  return index;
}

async function read(source: Bytes, options?: Parameters<typeof readIndex>[1]): Promise<AsyncIndex> {
  return kept(await readIndex(source, options));
}

/** Counts the threads that are started, and those that are there. */
function watchThreads(): { started: number; running: number } {
  const seen = { started: 0, running: 0 };
  const { Worker: Real } = threads;
  vi.spyOn(threads, "Worker").mockImplementation(
    // A constructor, which no arrow function is.
    function (...args: ConstructorParameters<typeof Real>) {
      const thread = new Real(...args);
      seen.started++;
      seen.running++;
      thread.on("exit", () => seen.running--);
      return thread;
    },
  );
  return seen;
}

describe("the same as in the page", () => {
  test("properties, parameters and answers", async () => {
    const description = "IVF16,PQ8x4fs,RFlat";
    const [there, here] = [await filled(description), await filledHere(description)];
    for (const name of ["d", "ntotal", "isTrained", "metric", "description", "idType", "memory"] as const) {
      expect(await there[name], name).toBe(here[name]);
    }
    expect(Buffer.compare(await there.toBytes(), here.toBytes())).toBe(0);
    expect(Buffer.compare(await there.toFaiss(), here.toFaiss())).toBe(0);
    await there.warmUp({ batch: 4, k: 3 });
    for (const options of [undefined, { nprobe: 5, kFactor: 3 }, { ensureK: true }]) {
      expect(await there.search(queries, 7, options)).toEqual(here.search(queries, 7, options));
    }
    await there.set("nprobe=4,k_factor_rf=2");
    here.set("nprobe=4,k_factor_rf=2");
    expect(await there.get("nprobe")).toBe(4);
    expect(await there.get("k_factor_rf")).toBe(2);
    expect(await there.search(queries, 7)).toEqual(here.search(queries, 7));
    expect(await there.blend(queries, { k: 4, nprobe: 3 })).toEqual(blend(here, queries.slice(), { k: 4, nprobe: 3 }));
    expect(await there.reconstruct(7)).toEqual(here.reconstruct(7));
    expect(await there.reconstructBatch(Int32Array.of(3, 1))).toEqual(here.reconstructBatch([3, 1]));
    await there.reset();
    expect(await there.ntotal).toBe(0);
  });

  test("ids of 64 bits, and removal", async () => {
    const ids = BigInt64Array.from({ length: 2000 }, (_, i) => BigInt(i) << 33n);
    const [there, here] = [await make("IDMap,Flat"), await makeHere(D, "IDMap,Flat")];
    await there.addWithIds(rows, ids);
    await here.addWithIds(rows, ids);
    expect(await there.idType).toBe("int64");
    expect(await there.removeIds([0n, 1n << 33n, 5n])).toBe(here.removeIds([0n, 1n << 33n, 5n]));
    expect(await there.search(queries, 3)).toEqual(here.search(queries, 3));
    expect(await codeOf(there.searchInto(queries, 3, new Float32Array(60), new Int32Array(60)))).toBe("ERR_LABELS");
  });

  test("searchInto writes n x k results, and no more", async () => {
    const [there, here] = [await filled("Flat"), await filledHere("Flat")];
    const [distances, labels] = [new Float32Array(100).fill(5), new BigInt64Array(100).fill(5n)];
    await there.searchInto(queries, 3, distances, labels);
    const expected = here.search(queries, 3);
    expect(distances.subarray(0, 60)).toEqual(expected.distances);
    expect(labels.subarray(0, 60)).toEqual(BigInt64Array.from(expected.labels, BigInt));
    expect([...distances.subarray(60), ...labels.subarray(60)]).toEqual([
      ...Array<number>(40).fill(5),
      ...Array<bigint>(40).fill(5n),
    ]);
    const narrow = new Int32Array(60);
    await there.searchInto(queries, 3, distances, narrow);
    expect(narrow).toEqual(expected.labels);
  });

  test("errors have their code and their sentence", async () => {
    const [there, here] = [await filled("IVF16,Flat"), await filledHere("IVF16,Flat")];
    const [short, narrow] = [new Float32Array(2), new Int32Array(60)];
    const none = undefined as never;
    const calls: ((index: Index | AsyncIndex) => unknown)[] = [
      (index) => index.search(queries.subarray(1), 3),
      (index) => index.search(queries, 0),
      (index) => index.search(queries, 3, { nprobes: 2 } as never),
      (index) => index.search([1, 2, 3] as never, 3),
      (index) => index.searchInto(queries, 3, short, narrow),
      (index) => index.searchInto(queries, 3, none, narrow),
      (index) => index.searchInto(queries, 3, new Float32Array(60), none),
      (index) => index.add(new Float32Array(D).fill(NaN)),
      (index) => index.train(rows, { seed: -1 }),
      (index) => index.addWithIds(rows.subarray(0, D), [1, 2]),
      (index) => index.reconstruct(1e6),
      (index) => index.set("nprobe=no"),
      (index) => index.get("efSearch"),
      (index) => index.warmUp({ batch: 0, k: 1 }),
    ];
    for (const call of calls) {
      const expected = await errorOf((async () => call(here))());
      const actual = await errorOf(call(there) as Promise<unknown>);
      expect(actual).toBeInstanceOf(CellistError);
      expect(actual).toMatchObject({ code: (expected as CellistError).code, message: (expected as Error).message });
    }
    expect(await codeOf(make("IVF16,Nothing"))).toBe("ERR_FACTORY");
    expect(await codeOf(indexFactory(D, "Flat", 7 as never))).toBe("ERR_METRIC");
    const ip = kept(await indexFactory(D, "Flat", METRIC_INNER_PRODUCT));
    expect(await codeOf(ip.blend(queries))).toBe("ERR_METRIC");
  });

  test("options go along: a memory limit, a compiled module, warnings", async () => {
    const small = await make("Flat", { maxBytes: 65536 });
    expect(await codeOf(small.add(rows))).toBe("ERR_MEMORY");
    expect(await small.ntotal).toBe(0);
    const module = new WebAssembly.Module(readFileSync(new URL("../dist/cellist.wasm", import.meta.url)));
    const given = await filled("Flat", { module });
    expect(await given.search(queries, 3)).toEqual((await filledHere("Flat")).search(queries, 3));
    const warnings: Warning[] = [];
    const few = await make("IVF100,Flat", { onWarning: (warning) => warnings.push(warning) });
    await few.train(rows);
    expect(warnings).toMatchObject([{ code: "WARN_FEW_POINTS" }]);
  });
});

describe("arrays", () => {
  test("are copied, and may be reused at once", async () => {
    const index = await make("Flat");
    const buffer = new SharedArrayBuffer(rows.byteLength);
    const shared = new Float32Array(buffer);
    shared.set(rows);
    const adding = index.add(shared);
    shared.fill(0);
    await adding;
    const own = queries.slice();
    const searching = index.search(own, 3);
    own.fill(0);
    expect(await searching).toEqual((await filledHere("Flat")).search(queries, 3));
    expect(own.length).toBe(queries.length);
    const blended = await index.blend(queries);
    expect(blended).not.toEqual(queries);
  });

  test("are handed over where that is asked for, and no more than was given", async () => {
    const index = await make("Flat");
    const own = rows.slice();
    await index.add(own, { transfer: true });
    expect(own.length).toBe(0);
    const part = rows.slice().subarray(0, 10 * D);
    await index.add(part, { transfer: true });
    expect(part.length).toBe(10 * D);
    const [ids, one] = [Int32Array.of(1), rows.slice(0, D)];
    expect(await codeOf(index.addWithIds(one, ids, { transfer: true }))).toBe("ERR_UNSUPPORTED");
    expect([one.length, ids.length]).toEqual([0, 0]);
    const asked = queries.slice();
    await index.search(asked, 3, { nprobe: 2, transfer: true });
    expect(asked.length).toBe(0);
  });
});

describe("what can't be sent is an error of that call, and the index is there as before", () => {
  const gone = (): Float32Array => {
    const array = rows.slice(0, D);
    structuredClone(array, { transfer: [array.buffer] });
    return array;
  };
  const twice = async (call: (own: Float32Array) => Promise<unknown>): Promise<unknown> => {
    const own = rows.slice(0, 10 * D);
    await call(own);
    return call(own);
  };
  const CALLS: Record<string, (index: AsyncIndex) => Promise<unknown>> = {
    "an array handed over twice": (index) => twice((own) => index.add(own, { transfer: true })),
    "two searches at once": (index) => {
      const own = queries.slice();
      void index.search(own, 1, { transfer: true });
      return index.search(own, 1, { transfer: true });
    },
    "to train, then to add": async (index) => {
      const own = rows.slice();
      await index.train(own, { transfer: true });
      return index.add(own, { transfer: true });
    },
    "an array that somebody else has": (index) => index.add(gone()),
    "the same, to hand over": (index) => index.add(gone(), { transfer: true }),
    "ids in the memory of their vectors": (index) => {
      const buffer = new ArrayBuffer(D * 4);
      return index.addWithIds(new Float32Array(buffer), new Int32Array(buffer), { transfer: true });
    },
    "a function among ids": (index) => index.removeIds([() => 1] as never),
    "a proxy": (index) => index.removeIds(new Proxy([1], {})),
    "a symbol for k": (index) => index.search(queries, Symbol("k") as never),
    "a k that no array has": (index) => index.searchInto(queries, -1, new Float32Array(8), new Int32Array(8)),
  };
  test.each(Object.keys(CALLS))("%s", async (name) => {
    const index = await filled("Flat");
    expect(await codeOf(CALLS[name](index))).toBe("ERR_PARAMETER");
    const { distances, labels } = await index.search(rows.subarray(0, D), 1);
    expect([distances[0], labels[0]]).toEqual([0, 0]);
  });

  test("arrays of subclasses go as their numbers are", async () => {
    class Bytes extends Float32Array {
      static get [Symbol.species](): typeof Uint8Array {
        return Uint8Array;
      }
    }
    const index = await filled("Flat");
    const { labels } = await index.search(new Bytes(rows.subarray(3 * D, 5 * D)), 1);
    expect([...labels]).toEqual([3, 4]);
  });

  test("a file that was handed over before", async () => {
    const bytes = golden("flat_l2");
    await read(bytes, { transfer: true });
    expect(await codeOf(readIndex(bytes, { transfer: true }))).toBe("ERR_PARAMETER");
    expect(await codeOf(readIndex(bytes.buffer))).toBe("ERR_PARAMETER");
  });

  test("a WebAssembly memory, which can't be handed over, is copied", async () => {
    const { buffer } = new WebAssembly.Memory({ initial: 1 });
    const own = new Float32Array(buffer);
    own.set(rows.subarray(0, own.length));
    const index = await make("Flat");
    await index.add(own, { transfer: true });
    expect(own.length).toBe(65536 / 4);
    expect(await index.ntotal).toBe(own.length / D);
  });

  test("results into arrays that are gone by then", async () => {
    const index = await filled("Flat");
    const [distances, labels] = [new Float32Array(60), new Int32Array(60)];
    const searching = index.searchInto(queries, 3, distances, labels);
    structuredClone(distances, { transfer: [distances.buffer] });
    expect(await codeOf(searching)).toBe("ERR_PARAMETER");
    expect(await index.ntotal).toBe(2000);
  });
});

describe("long work", () => {
  test("reports progress, from one phase to the next", async () => {
    const index = await make(SLOW);
    const seen: Progress[] = [];
    await index.train(many, { onProgress: (progress) => seen.push(progress) });
    expect(seen.length).toBeGreaterThan(3);
    for (const { phase, done, total } of seen) {
      expect(phase).toMatch(/./);
      expect(done).toBeLessThanOrEqual(total);
    }
    expect(await index.isTrained).toBe(true);
  });

  test("is stopped by its signal, with its reason, and the index is what it was", async () => {
    const index = await make(SLOW);
    const reason = new Error("enough");
    expect(await errorOf(index.train(many, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    const controller = new AbortController();
    const training = index.train(many, { signal: controller.signal, onProgress: () => controller.abort(reason) });
    expect(await errorOf(training)).toBe(reason);
    expect(await index.isTrained).toBe(false);
    await index.train(rows);
    expect(await index.isTrained).toBe(true);
  });

  test("is stopped by what its onProgress throws", async () => {
    const index = await make(SLOW);
    const thrown = new Error("a mistake in the page");
    const training = index.train(many, {
      onProgress: () => {
        throw thrown;
      },
    });
    expect(await errorOf(training)).toBe(thrown);
    expect(await index.isTrained).toBe(false);
  });

  test("keeps other calls out, though not those of another index", async () => {
    const [index, other] = [await make(SLOW), await filled("Flat")];
    const training = index.train(many);
    expect(await codeOf(index.search(queries, 3))).toBe("ERR_BUSY");
    expect(await codeOf(index.ntotal)).toBe("ERR_BUSY");
    expect(await codeOf(index.dispose())).toBe("ERR_BUSY");
    await other.search(queries, 3);
    await training;
    expect(await index.ntotal).toBe(0);
  });

  test("searches are answered in turn", async () => {
    const index = await filled("Flat");
    const order: number[] = [];
    const searches = [3, 1, 2].map((k) => index.search(queries, k).then(() => order.push(k)));
    await Promise.all(searches);
    expect(order).toEqual([3, 1, 2]);
  });
});

describe("workers", () => {
  test("are started for an index, and end with it", async () => {
    const seen = watchThreads();
    expect(await codeOf(readIndex(7 as never))).toBe("ERR_PARAMETER");
    expect(seen.started).toBe(0);
    const [first, second] = [await make("Flat"), await make("Flat")];
    expect(seen).toEqual({ started: 2, running: 2 });
    await first.dispose();
    await vi.waitUntil(() => seen.running === 1);
    expect(await second.ntotal).toBe(0);
    expect(await codeOf(make("Nothing"))).toBe("ERR_FACTORY");
    await vi.waitUntil(() => seen.running === 1);
    expect(seen.started).toBe(3);
  });

  test("after dispose every call rejects, and dispose again is no mistake", async () => {
    const index = await make("Flat");
    const [disposing, late] = [index.dispose(), codeOf(index.ntotal)];
    await disposing;
    expect(await late).toBe("ERR_DISPOSED");
    expect(await codeOf(index.add(rows))).toBe("ERR_DISPOSED");
    expect(await codeOf(index.memory)).toBe("ERR_DISPOSED");
    await index.dispose();
    if (typeof Symbol.asyncDispose === "symbol") await index[Symbol.asyncDispose]();
  });

  test("one of the caller's own serves several indexes, and is left running", async () => {
    const seen = watchThreads();
    const worker = new Worker(script);
    const [first, second] = [await filled("Flat", { worker }), await make("Flat", { worker })];
    expect(await first.ntotal).toBe(2000);
    expect(await second.ntotal).toBe(0);
    await first.dispose();
    expect(await codeOf(first.ntotal)).toBe("ERR_DISPOSED");
    worker.postMessage("none of ours");
    expect(await second.ntotal).toBe(0);
    expect(seen.started).toBe(0);
    const waiting = codeOf(second.train(many));
    await worker.terminate();
    expect(await waiting).toBe("ERR_DISPOSED");
    expect(await codeOf(second.ntotal)).toBe("ERR_DISPOSED");
  });

  test("one that can't be had is an error", async () => {
    const missing = new Worker(new URL("no-such-file.js", script));
    const error = await errorOf(make("Flat", { worker: missing }));
    expect(error).toMatchObject({
      code: "ERR_DISPOSED",
      message: expect.stringContaining("no-such-file.js") as string,
    });
    vi.spyOn(process, "getBuiltinModule").mockReturnValue(undefined);
    expect(await codeOf(make("Flat"))).toBe("ERR_UNSUPPORTED");
  });

  test("one that does not serve indexes is given up: by the signal, or by itself", async () => {
    const deaf = new Worker('require("node:worker_threads").parentPort.on("message", () => 0)', { eval: true });
    const reason = new Error("enough");
    expect(await errorOf(indexFactory(D, "Flat", METRIC_L2, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    const controller = new AbortController();
    const making = indexFactory(D, "Flat", METRIC_L2, { worker: deaf, signal: controller.signal });
    setTimeout(() => controller.abort(reason), 10);
    expect(await errorOf(making)).toBe(reason);
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    try {
      for (const open of [() => make("Flat", { worker: deaf }), () => readIndex(golden("flat_l2"), { worker: deaf })]) {
        const failed = errorOf(open());
        vi.advanceTimersByTime(9000);
        expect(await Promise.race([failed, Promise.resolve("nothing yet")])).toBe("nothing yet");
        vi.advanceTimersByTime(1000);
        expect(await failed).toMatchObject({
          code: "ERR_DISPOSED",
          message: expect.stringContaining("worker-script") as string,
        });
      }
    } finally {
      vi.useRealTimers();
      await deaf.terminate();
    }
    // And one that has ended before it was given.
    expect(await codeOf(make("Flat", { worker: deaf }))).toBe("ERR_DISPOSED");
  });

  test("one that ends settles what waits for it, and dispose waits for nobody", async () => {
    const worker = new Worker(script);
    const [busy, idle] = [await make(SLOW, { worker }), await make("Flat", { worker })];
    const calls = [busy.train(many), busy.ntotal, idle.search(queries, 1)].map((call) => codeOf(call));
    void worker.terminate();
    await idle.dispose();
    expect(await calls[0]).toBe("ERR_DISPOSED");
    await Promise.allSettled(calls);
    await busy.dispose();
    expect(await codeOf(busy.ntotal)).toBe("ERR_DISPOSED");
  });

  test("a worker that lives on lets go of what was disposed of", async () => {
    const worker = new Worker(script);
    const [first, second] = [await filled("Flat", { worker }), await filled("Flat", { worker })];
    const searching = first.search(queries, 1);
    await first.dispose();
    expect((await searching).labels.length).toBe(20);
    expect(await second.ntotal).toBe(2000);
    await second.dispose();
    expect(await (await make("Flat", { worker })).ntotal).toBe(0);
    await worker.terminate();
  });

  test("what onWarning throws stops the call", async () => {
    const thrown = new Error("a mistake in the page");
    const onWarning = (): void => {
      throw thrown;
    };
    const index = await make("IVF1100,Flat", { onWarning });
    expect(await errorOf(index.train(many))).toBe(thrown);
  });

  test("a program ends when nothing is waited for, disposed of or not", () => {
    const program = `
      import { indexFactory } from "cellist/worker";
      const index = await indexFactory(2, "Flat");
      await index.add(Float32Array.of(1, 2));
      console.log(await index.ntotal);`;
    const output = execFileSync(process.execPath, ["--input-type=module", "--eval", program], {
      cwd: new URL("..", import.meta.url),
      encoding: "utf8",
      timeout: 20_000,
    });
    expect(output).toBe("1\n");
  });
});

describe("reading", () => {
  const NAME = "ivf_flat_custom_ids";
  const bytes = golden(NAME);

  /** The file in pieces of 1,000 bytes, and how many were taken. */
  function pieces(taken = { count: 0, ended: false }) {
    async function* chunks(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
      try {
        for (let at = 0; at < bytes.length; at += 1000) {
          await new Promise((resolve) => setImmediate(resolve));
          taken.count++;
          yield bytes.subarray(at, at + 1000);
        }
      } finally {
        taken.ended = true;
      }
    }
    return { chunks: chunks(), taken };
  }

  const SOURCES: Record<string, () => Bytes> = {
    "a Uint8Array": () => bytes,
    "a part of one": () => new Uint8Array([9, ...bytes, 9]).subarray(1, bytes.length + 1),
    "a Buffer": () => Buffer.from(bytes),
    "an ArrayBuffer": () => bytes.buffer,
    "a SharedArrayBuffer": () => {
      const shared = new SharedArrayBuffer(bytes.length);
      new Uint8Array(shared).set(bytes);
      return shared as unknown as ArrayBuffer;
    },
    "a Blob": () => new Blob([bytes]),
    "a response": () => new Response(bytes),
    "a stream": () => new Blob([bytes]).stream(),
    chunks: () => pieces().chunks,
    "Buffers of Node's pool": () => {
      const places = Array.from({ length: Math.ceil(bytes.length / 1000) }, (_, i) => i * 1000);
      return places.map((at) => Buffer.from(bytes.subarray(at, at + 1000)));
    },
  };
  test.each(Object.keys(SOURCES))("%s", async (name) => {
    const here = await readHere(bytes);
    const there = await read(SOURCES[name]());
    expect(Buffer.compare(await there.toBytes(), here.toBytes())).toBe(0);
    expect(await there.description).toBe(here.description);
  });

  test("bytes are copied, unless they are handed over", async () => {
    const own = bytes.slice();
    const reading = read(own);
    own.fill(0);
    await reading;
    const given = bytes.slice();
    await read(given, { transfer: true });
    expect(given.length).toBe(0);
    const buffer = bytes.slice().buffer;
    await read(buffer, { transfer: true });
    expect(buffer.byteLength).toBe(0);
  });

  test("takes chunks as they are used, and closes what it read", async () => {
    const { chunks, taken } = pieces();
    await read(chunks);
    expect(taken).toEqual({ count: Math.ceil(bytes.length / 1000), ended: true });
    const damaged = pieces();
    bytes[0] ^= 1;
    expect(await codeOf(read(damaged.chunks))).toBe("ERR_FORMAT");
    bytes[0] ^= 1;
    expect(damaged.taken.count).toBe(1);
    await vi.waitUntil(() => damaged.taken.ended);
  });

  test("progress, and warnings of a voice without vectors", async () => {
    const seen: Progress[] = [];
    await read(pieces().chunks, { onProgress: (progress) => seen.push(progress) });
    expect(seen.length).toBeGreaterThan(0);
    const trained = await makeHere(D, "IVF16,Flat");
    await trained.train(rows);
    const warnings: Warning[] = [];
    await read(trained.toBytes(), { onWarning: (warning) => warnings.push(warning) });
    expect(warnings).toMatchObject([{ code: "WARN_EMPTY" }]);
  });

  test("a source's own error comes back as it is", async () => {
    const broken = new Error("the network is gone");
    async function* chunks(): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 100);
      throw broken;
    }
    expect(await errorOf(read(chunks()))).toBe(broken);
    expect(await codeOf(read(["text"] as never))).toBe("ERR_PARAMETER");
    expect(await codeOf(read(new Response("", { status: 404 })))).toBe("ERR_FORMAT");
  });

  test("is stopped by its signal, though the source be stuck, and no worker is left", async () => {
    const seen = watchThreads();
    const reason = new Error("enough");
    expect(await errorOf(read(bytes, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(seen.started).toBe(0);
    const controller = new AbortController();
    const stuck = new ReadableStream<Uint8Array>({
      pull: async () => {
        setTimeout(() => controller.abort(reason), 50);
        return new Promise(() => undefined);
      },
    });
    expect(await errorOf(read(stuck, { signal: controller.signal }))).toBe(reason);
    await vi.waitUntil(() => seen.running === 0);
    const worker = new Worker(script);
    const again = new AbortController();
    setTimeout(() => again.abort(reason), 50);
    const endless = { [Symbol.asyncIterator]: () => ({ next: async () => new Promise<never>(() => undefined) }) };
    expect(await errorOf(read(endless, { signal: again.signal, worker }))).toBe(reason);
    expect(await (await make("Flat", { worker })).ntotal).toBe(0);
    await worker.terminate();
  });
});
