import { execFileSync } from "node:child_process";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { CellistError, indexFactory, METRIC_INNER_PRODUCT, METRIC_L2, readIndex } from "../src/index.js";
import type { Index, SearchResult, Warning } from "../src/index.js";
import { blend, buildVoiceIndex } from "../src/rvc/index.js";
import { randomOf, uniform } from "./random.js";
import { errorOf, thrownBy } from "./rejections.js";

// What people hold: its properties, what may be given to it, and what comes out of it.

const D = 8;
const rows = uniform(randomOf(1), 600 * D);
const queries = uniform(randomOf(2), 70 * D);
const KINDS = [
  "Flat",
  "IVF4,Flat",
  "IDMap,Flat",
  "PQ4x4fs",
  "IVF4,PQ4x4fs,RFlat",
  "IVF8(IVF3,Flat),PQ4x4fsr",
  "IVF4,Flat,IDMap2",
  "HNSW8",
  "PCA4,IVF4,Flat",
];

async function filled(description: string, engine = {}): Promise<Index> {
  const index = await indexFactory(D, description, METRIC_L2, engine);
  await index.train(rows);
  if (description.includes("IDMap")) await index.addWithIds(rows, [...rows.keys()].slice(0, 600));
  else await index.add(rows);
  return index;
}

/** Array matchers look at each byte, in a quarter of a second a megabyte. */
function expectSame(actual: Uint8Array, expected: Uint8Array): void {
  expect(Buffer.compare(actual, expected)).toBe(0);
}

const coded = (code: string, message = /./): Error =>
  expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error;

describe("properties", () => {
  test("nprobe, kFactor and efSearch are what set, get and searches have", async () => {
    const index = await filled("IVF16,PQ4x4fs,RFlat");
    expect([index.nprobe, index.kFactor, index.efSearch]).toEqual([1, 1, undefined]);
    index.nprobe = 16;
    index.kFactor = 3;
    expect([index.get("nprobe"), index.get("k_factor_rf")]).toEqual([16, 3]);
    expect(index.search(queries, 5)).toEqual(index.search(queries, 5, { nprobe: 16, kFactor: 3 }));
    expect(index.search(queries, 5)).not.toEqual(index.search(queries, 5, { nprobe: 1, kFactor: 1 }));
    index.set("nprobe=2,k_factor_rf=7");
    expect([index.nprobe, index.kFactor]).toEqual([2, 7]);
    index.kFactor = 1.1;
    expect((await readIndex(index.toBytes())).kFactor).toBe(index.kFactor);
    const inside = await filled("IVF4,Flat,IDMap2");
    inside.nprobe = 3;
    expect(inside.get("nprobe")).toBe(3);
  });

  test("can't be set where they are not, nor to what they can't be", async () => {
    const flat = await filled("Flat");
    expect([flat.nprobe, flat.kFactor, flat.efSearch]).toEqual([undefined, undefined, undefined]);
    for (const name of ["nprobe", "kFactor", "efSearch"] as const)
      expect(() => (flat[name] = 4)).toThrow(coded("ERR_PARAMETER", /Flat does not have it/));
    const index = await filled("IVF4,PQ4x4fs,RFlat");
    for (const value of [0, -1, 1.5, NaN, Infinity, 2 ** 31, "16", null, undefined, [16]])
      expect(() => (index.nprobe = value as never), String(value)).toThrow(coded("ERR_PARAMETER"));
    for (const value of [0.5, NaN, Infinity, 1001, "4", true])
      expect(() => (index.kFactor = value as never), String(value)).toThrow(coded("ERR_PARAMETER"));
    expect([index.nprobe, index.kFactor]).toEqual([1, 1]);
  });

  test("no other can be made, changed or deleted", async () => {
    const index = await filled("IVF4,Flat");
    const own = index as unknown as Record<string | symbol, unknown>;
    for (const name of ["nProbe", "k_factor", "d", "ntotal", "description", "search", "add", "blended", "node", "x"])
      expect(() => (own[name] = 4), name).toThrow(TypeError);
    expect(() => delete own.nprobe || own.nprobe).not.toThrow();
    expect(index.nprobe).toBe(1);
    expect(Object.isSealed(index)).toBe(true);
  });

  test("what can be set can be read", async () => {
    const index = await filled("IVF4,PQ4x4fs,RFlat");
    const before = index.toBytes();
    for (const text of ["k_factor_rf=5000", "k_factor_rf=1001", "nprobe=2147483648", "nprobe=3,k_factor_rf=1001"]) {
      expect(() => index.set(text), text).toThrow(coded("ERR_PARAMETER", /give a number from 1/));
      expectSame(index.toBytes(), before);
    }
    index.set("k_factor_rf=1000,nprobe=2147483647");
    const again = await readIndex(index.toBytes());
    expect([again.kFactor, again.nprobe]).toEqual([1000, 2147483647]);
  });

  test("labels are indices of documents, for the compiler too", async () => {
    const docs = Array.from({ length: 600 }, (_, i) => `document ${i}`);
    const index = await filled("Flat");
    const { labels } = index.search(rows.subarray(0, D), 1);
    expect(docs[labels[0]]).toBe("document 0");
    const wide = await indexFactory<"int64">(D, "IDMap,Flat");
    await wide.addWithIds(queries.subarray(0, D), BigInt64Array.of(1n << 40n));
    const found: SearchResult<"int64"> = wide.search(queries.subarray(0, D), 1);
    expect(new Map([[1n << 40n, "far away"]]).get(found.labels[0])).toBe("far away");
  });
});

describe("what an index says of itself", () => {
  test("in consoles, texts and JSON", async () => {
    const index = await filled("IVF4,PQ4x4fs,RFlat");
    const line = "Index(IVF4,PQ4x4fs,RFlat: 600 x 8, L2, nprobe 1, kFactor 1)";
    expect([inspect(index), String(index)]).toEqual([line, line]);
    expect(JSON.parse(JSON.stringify({ index }))).toEqual({
      index: {
        description: "IVF4,PQ4x4fs,RFlat",
        d: D,
        ntotal: 600,
        metric: "L2",
        isTrained: true,
        idType: "int32",
        memory: index.memory,
        nprobe: 1,
        kFactor: 1,
      },
    });
    const other = await indexFactory(D, "IVF4,Flat", METRIC_INNER_PRODUCT);
    expect(inspect({ other })).toContain("Index(IVF4,Flat: 0 x 8, inner product, untrained, nprobe 1)");
  });

  test("whatever state it is in", async () => {
    const index = await filled("Flat");
    const adding = index.add(rows);
    expect(String(index)).toBe("Index(busy: a promise is pending)");
    expect(JSON.stringify(index)).toBe('{"busy":true}');
    await adding;
    index.dispose();
    expect(inspect(index)).toBe("Index(disposed of)");
    expect(JSON.stringify(index)).toBe('{"disposed":true}');
  });
});

describe("stream", () => {
  async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<{ bytes: Uint8Array; sizes: number[] }> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    return { bytes: new Uint8Array(Buffer.concat(chunks)), sizes: chunks.map(({ length }) => length) };
  }

  test.each(KINDS)("%s: byte for byte what toBytes gives", async (description) => {
    const index = await filled(description);
    expectSame((await bytesOf(index.stream())).bytes, index.toBytes());
    // A graph can't give a vector up, in faiss neither.
    if (description !== "HNSW8") index.removeIds([3, 4, 5, 500]);
    const { bytes } = await bytesOf(index.stream());
    expectSame(bytes, index.toBytes());
    expect((await readIndex(index.stream())).ntotal).toBe(index.ntotal);
  });

  test("comes in chunks of a megabyte, which are the reader's own", async () => {
    const index = await indexFactory(512, "Flat");
    await index.add(new Float32Array(1200 * 512).map((_, i) => i % 997));
    const { bytes, sizes } = await bytesOf(index.stream());
    expectSame(bytes, index.toBytes());
    expect(sizes).toEqual([1 << 20, 1 << 20, (1200 * 2048 + 45) % (1 << 20)]);
    const reader = index.stream().getReader();
    (await reader.read()).value?.fill(7);
    expectSame(index.toBytes(), bytes);
  });

  test("goes on through searches that grow the memory", async () => {
    const index = await indexFactory(512, "Flat", METRIC_L2, { bounds: false });
    await index.add(new Float32Array(1200 * 512).map((_, i) => i % 997));
    const expected = index.toBytes();
    const before = index.memory;
    const reader = index.stream().getReader();
    const chunks = [(await reader.read()).value];
    index.search(new Float32Array(64 * 512), 1000);
    expect(index.memory).toBeGreaterThan(before);
    for (let step = await reader.read(); !step.done; step = await reader.read()) chunks.push(step.value);
    expectSame(Buffer.concat(chunks as Uint8Array[]), expected);
  });

  test("fails once the index is changed, and leaves it in peace", async () => {
    const changes: [string, (index: Index) => unknown][] = [
      ["ERR_BUSY", (index) => index.add(rows.subarray(0, D))],
      ["ERR_BUSY", (index) => index.removeIds([1])],
      ["ERR_BUSY", (index) => index.reset()],
      ["ERR_DISPOSED", (index) => index.dispose()],
    ];
    for (const [code, change] of changes) {
      const index = await filled("IVF4,Flat");
      const stream = index.stream();
      await change(index);
      await expect(stream.getReader().read()).rejects.toMatchObject({ code });
    }
    const index = await filled("IVF4,Flat");
    await index.stream().cancel();
    await index.add(rows);
    expect(index.ntotal).toBe(1200);
  });
});

describe("memory is bounded before it is taken", () => {
  test("k beyond what is there is filled up, to a limit that is said", async () => {
    const index = await indexFactory(D, "Flat");
    await index.add(rows.subarray(0, 60 * D));
    const { distances, labels } = index.search(queries, 100);
    const expected = index.search(queries, 60);
    for (let i = 0; i < 70; i++) {
      expect(labels.subarray(i * 100, i * 100 + 60)).toEqual(expected.labels.subarray(i * 60, i * 60 + 60));
      expect(new Set(labels.subarray(i * 100 + 60, i * 100 + 100))).toEqual(new Set([-1]));
      expect(new Set(distances.subarray(i * 100 + 60, i * 100 + 100))).toEqual(new Set([3.4028234663852886e38]));
    }
    const { rss } = process.memoryUsage();
    const two = queries.subarray(0, 2 * D);
    for (const k of [2 ** 31, 2 ** 24, 2 ** 23 + 1])
      expect(() => index.search(two, k)).toThrow(
        coded("ERR_MEMORY", /^2 queries with k = \d+ have \d+ results, more than an index of 60/),
      );
    expect(process.memoryUsage().rss - rss).toBeLessThan(100e6);
    expect(index.search(two.subarray(0, D), 2 ** 20).labels).toHaveLength(2 ** 20);
  });

  test("many candidates of many queries are taken in smaller blocks, with the same answers", async () => {
    const n = 100_000;
    const index = await indexFactory(4, "PQ2x4fs,RFlat");
    const vectors = uniform(randomOf(3), n * 4);
    await index.train(vectors.subarray(0, 20_000));
    await index.add(vectors);
    const before = index.memory;
    const many = queries.subarray(0, 64 * 4);
    const found = index.search(many, 100, { kFactor: 1000 });
    // 64 queries would take 51 MB for their candidates alone, twice over, and the heaps of the scan.
    expect(index.memory - before).toBeLessThan(70e6);
    for (const i of [0, 31, 63]) {
      const alone = index.search(many.subarray(i * 4, i * 4 + 4), 100, { kFactor: 1000 });
      expect(found.labels.subarray(i * 100, (i + 1) * 100)).toEqual(alone.labels);
    }
  });

  test("a batch that no search can have is none to warm up for", async () => {
    const index = await filled("IVF4,Flat");
    expect(() => index.warmUp({ batch: 1e12, k: 8 })).toThrow(coded("ERR_MEMORY", /more than/));
    expect(() => index.warmUp({ batch: 1, k: 1e12 })).toThrow(coded("ERR_MEMORY"));
    const begun = Date.now();
    const took = index.warmUp({ batch: 256, k: 8 });
    expect(took).toBeGreaterThan(0);
    expect(took).toBeLessThanOrEqual(Date.now() - begun);
    const started = process.memoryUsage().arrayBuffers;
    index.warmUp({ batch: 1_000_000, k: 8 });
    expect(process.memoryUsage().arrayBuffers - started).toBeLessThan(10e6);
  });

  test("codes that have no room are told of, and searches do without", async () => {
    const vectors = uniform(randomOf(5), 4000 * 64);
    const warnings: Warning[] = [];
    const index = await indexFactory(64, "Flat", METRIC_L2, {
      maxBytes: 1_310_720,
      onWarning: (warning) => warnings.push(warning),
    });
    await index.add(vectors);
    const expected = index.search(vectors.subarray(0, 16 * 64), 5);
    index.warmUp({ batch: 16, k: 5 });
    expect(warnings).toMatchObject([
      { code: "WARN_MEMORY", message: expect.stringContaining("no room for 0.3 MB") as string },
    ]);
    expect(index.search(vectors.subarray(0, 16 * 64), 5)).toEqual(expected);
  });
});

describe("options", () => {
  test("of an engine are copied: what becomes of the object later is nothing to the index", async () => {
    const warnings: Warning[] = [];
    const engine = { maxBytes: 200_000, bounds: false, onWarning: (warning: Warning) => void warnings.push(warning) };
    const index = await indexFactory(D, "IVF20,Flat", METRIC_L2, engine);
    Object.assign(engine, { maxBytes: 1, bounds: 7, onWarning: "gone", module: {} });
    await index.train(rows);
    await index.add(rows);
    expect(warnings.map(({ code }) => code)).toEqual(["WARN_FEW_POINTS"]);
  });

  test("of a search may have getters that search themselves", async () => {
    const index = await filled("IVF16,Flat");
    const inner = index.search(queries, 3, { nprobe: 1 });
    let seen: unknown;
    const options = {
      nprobe: 16,
      get ensureK() {
        seen = index.search(queries, 3, { nprobe: 1 });
        return false;
      },
    };
    expect(index.search(queries, 3, options)).toEqual(index.search(queries, 3, { nprobe: 16 }));
    expect(seen).toEqual(inner);
  });

  test.each<[string, (index: Index) => unknown, string, RegExp]>([
    ["a number", (index) => index.search(queries, 3, 8 as never), "ERR_PARAMETER", /^options are 8: give an object/],
    [
      "a number, for blend",
      (index) => blend(index, queries.slice(), 0.5 as never),
      "ERR_PARAMETER",
      /^options are 0.5/,
    ],
    ["null", (index) => index.search(queries, 3, null as never), "ERR_PARAMETER", /^options are null/],
    ["null, for add", (index) => index.add(rows, null as never), "ERR_PARAMETER", /^options are null/],
    ["a list", (index) => index.search(queries, 3, [8] as never), "ERR_PARAMETER", /^options are Array of length 1/],
    [
      "a map",
      (index) => index.search(queries, 3, new Map([["nprobe", 3]]) as never),
      "ERR_PARAMETER",
      /^options are Map/,
    ],
    [
      "no shape",
      (index) => index.warmUp(undefined as never),
      "ERR_PARAMETER",
      /^the shape is undefined: give \{ batch, k \}/,
    ],
    [
      "a controller",
      (index) => index.add(rows, { signal: new AbortController() as never }),
      "ERR_PARAMETER",
      /^signal is AbortController: give the signal of/,
    ],
    [
      "no callback",
      (index) => index.train(rows, { onProgress: true as never }),
      "ERR_PARAMETER",
      /^onProgress is true: give a function/,
    ],
    [
      "a seed too far",
      (index) => index.train(rows, { seed: 2 ** 32 }),
      "ERR_PARAMETER",
      /^seed is 4294967296: .* at most 4294967295/,
    ],
    [
      "a seed too far, of a voice",
      () => buildVoiceIndex([new Float32Array(768)], { seed: 2 ** 32 }),
      "ERR_PARAMETER",
      /^seed is 4294967296/,
    ],
    ...[true, [], "", "1", 1.5, -1, NaN].map((rate): [string, (index: Index) => unknown, string, RegExp] => [
      `rate ${JSON.stringify(rate)}`,
      (index) => blend(index, queries.slice(), { rate: rate as never }),
      "ERR_PARAMETER",
      /^rate is .*: give a number from 0 to 1/,
    ]),
    ["a number for a name", (index) => index.get(5 as never), "ERR_PARAMETER", /^the parameter is 5: give a name/],
    ["another index", () => blend({} as never, queries.slice()), "ERR_PARAMETER", /^the index is Object: give one of/],
    [
      "options of an engine",
      () => indexFactory(D, "Flat", METRIC_L2, null as never),
      "ERR_PARAMETER",
      /^options are null/,
    ],
    [
      "a module that is none",
      () => indexFactory(D, "Flat", METRIC_L2, { module: {} }),
      "ERR_PARAMETER",
      /^module is Object/,
    ],
    [
      "another module",
      () =>
        indexFactory(D, "Flat", METRIC_L2, {
          module: new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0)),
        }),
      "ERR_PARAMETER",
      /^module can't be used \(it is another\)/,
    ],
    [
      "a limit as a text",
      () => indexFactory(D, "Flat", METRIC_L2, { maxBytes: "9" as never }),
      "ERR_PARAMETER",
      /^maxBytes is 9/,
    ],
  ])("%s", async (_, call, code, message) => {
    const index = await filled("IVF4,Flat");
    const before = index.toBytes();
    expect(await errorOf(() => call(index))).toEqual(coded(code, message));
    expectSame(index.toBytes(), before);
  });
});

describe("whatever is given to whatever call, an error is a CellistError", () => {
  const nothing: unknown = Object.create(null);
  const ODD: unknown[] = [
    ...([
      undefined,
      null,
      5,
      -1,
      NaN,
      1e12,
      2 ** 53,
      1n,
      "x",
      "",
      true,
      Symbol("s"),
      () => 1,
      /x/,
      new Date(0),
    ] as unknown[]),
    ...[[], [1], [[1, 2]], [[1n]], {}, nothing, new Map([["k", 1]]), new Set([1]), new DataView(new ArrayBuffer(8))],
    ...[
      { signal: 5 },
      { signal: {} },
      { onProgress: 5 },
      { seed: null },
      { rate: [] },
      { k: "3" },
      { d: "8" },
      { rows: "x" },
    ],
    ...[
      { nprobe: {} },
      { module: 5 },
      { onWarning: 5 },
      { maxBytes: true },
      { relaxed: 1 },
      { version: "toString" },
      { factory: 5 },
    ],
    ...[
      { data: 5, dims: [1, 8] },
      { data: rows, dims: 5 },
      { data: rows, dims: [1n, 8n] },
      { data: rows, shape: [-1, -8] },
    ],
    ...[{ batch: 1e12, k: 8 }, { batch: 1, k: 1e12 }, { batch: "1", k: 1 }, new Float32Array(8), new BigInt64Array(1)],
  ];
  const two = queries.subarray(0, 2 * D);
  const results = (): [Float32Array, Int32Array] => [new Float32Array(20), new Int32Array(20)];

  const CALLS: Record<string, (index: Index, odd: never) => unknown> = {
    "train(odd)": (index, odd) => index.train(odd),
    "train(…, odd)": (index, odd) => index.train(rows, odd),
    "add(odd)": (index, odd) => index.add(odd),
    "add(…, odd)": (index, odd) => index.add(two, odd),
    "addWithIds(odd, …)": (index, odd) => index.addWithIds(odd, [700]),
    "addWithIds(…, odd)": (index, odd) => index.addWithIds(two, odd),
    "addWithIds(…, odd) of options": (index, odd) => index.addWithIds(two, [700, 701], odd),
    "search(odd)": (index, odd) => index.search(odd, 1),
    "search(…, odd)": (index, odd) => index.search(two, odd),
    "search(…, odd) of options": (index, odd) => index.search(two, 1, odd),
    "searchInto(odd)": (index, odd) => index.searchInto(odd, 1, ...results()),
    "searchInto(…, odd, …)": (index, odd) => index.searchInto(two, odd, ...results()),
    "searchInto(…) of distances": (index, odd) => index.searchInto(two, 1, odd, results()[1]),
    "searchInto(…) of labels": (index, odd) => index.searchInto(two, 1, results()[0], odd),
    "searchInto(…) of options": (index, odd) => index.searchInto(two, 1, ...results(), odd),
    warmUp: (index, odd) => index.warmUp(odd),
    reconstruct: (index, odd) => index.reconstruct(odd),
    reconstructBatch: (index, odd) => index.reconstructBatch(odd),
    removeIds: (index, odd) => index.removeIds(odd),
    set: (index, odd) => index.set(odd),
    get: (index, odd) => index.get(odd),
    nprobe: (index, odd) => (index.nprobe = odd),
    kFactor: (index, odd) => (index.kFactor = odd),
    "blend(odd)": (_, odd) => blend(odd, two.slice()),
    "blend(…, odd)": (index, odd) => blend(index, odd),
    "blend(…, odd) of options": (index, odd) => blend(index, two.slice(), odd),
    "indexFactory(odd)": (_, odd) => indexFactory(odd, "Flat"),
    "indexFactory(…, odd)": (_, odd) => indexFactory(D, odd),
    "indexFactory(…, odd) of metrics": (_, odd) => indexFactory(D, "Flat", odd),
    "indexFactory(…, odd) of engines": (_, odd) => indexFactory(D, "Flat", METRIC_L2, odd),
    "readIndex(odd)": (_, odd) => readIndex(odd),
    "readIndex(…, odd)": (index, odd) => readIndex(index.toBytes(), odd),
    "buildVoiceIndex(odd)": (_, odd) => buildVoiceIndex(odd),
    "buildVoiceIndex(…, odd)": (_, odd) => buildVoiceIndex([new Float32Array(768).fill(1)], odd),
  };

  test.each(Object.keys(CALLS))("%s", async (name) => {
    for (const description of ["IVF4,Flat", "IDMap,Flat", "PQ4x4fs,RFlat"]) {
      const made = (await filled(description)).toBytes();
      let index = await readIndex(made);
      for (const odd of ODD) {
        const before = index.toBytes();
        const error = await thrownBy(() => CALLS[name](index, odd as never));
        if (error === undefined) index = await readIndex(made);
        else {
          expect(error, `${name} ${inspect(odd)}`).toBeInstanceOf(CellistError);
          expectSame(index.toBytes(), before);
        }
      }
    }
  });
});

describe("a runtime that lacks what is needed is told so, and not of its policies", () => {
  const script = `
    LACKING
    const { indexFactory } = await import("cellist");
    for (const relaxed of [false, true]) await indexFactory(4, "Flat", 1, { relaxed }).catch((error) => console.log(error.code, error.message));`;
  const run = (flags: string[], lacking = ""): string[] =>
    execFileSync(process.execPath, [...flags, "--input-type=module", "-e", script.replace("LACKING", lacking)], {
      encoding: "utf8",
    })
      .trim()
      .split("\n");

  test("no WebAssembly", () => {
    const lines = run([], "delete globalThis.WebAssembly;");
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line).toMatch(/^ERR_UNSUPPORTED this runtime has no WebAssembly/);
  });

  // V8 has SIMD on x64 where the CPU has SSE4.1, or is told that it has not.
  test.runIf(process.arch === "x64")("no SIMD", () => {
    const lines = run(["--no-enable-sse4-1"]);
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line).toMatch(/^ERR_UNSUPPORTED the WebAssembly of this runtime has no SIMD/);
  });

  test("compiling is forbidden", () => {
    const forbid = `WebAssembly.Module = function () { throw new WebAssembly.CompileError("disallowed by embedder"); };`;
    for (const line of run([], forbid))
      expect(line).toMatch(/^ERR_UNSUPPORTED .*disallowed by embedder.*wasm-unsafe-eval/);
  });
});
