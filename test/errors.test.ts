import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { CellistError, indexFactory, METRIC_L2, readIndex } from "../src/index.js";
import type { ErrorCode, Ids, Index, Work } from "../src/index.js";
import { ascii, flatFile, header, ivfFile } from "./files.js";
import { goldenFolder } from "./golden.js";
import { randomOf, uniform } from "./random.js";
import { errorOf } from "./rejections.js";

const D = 4;
const rows = uniform(randomOf(1), 40 * D);
const two = rows.subarray(0, 2 * D);
const three = rows.subarray(0, 3 * D);
const golden = (name: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(new URL(`${name}.index`, goldenFolder)));
const floats = (n: number): Float32Array<ArrayBuffer> => new Float32Array(n);
const narrow = (n: number): Int32Array => new Int32Array(n);
const wide = (n: number): BigInt64Array => new BigInt64Array(n);

/** Forty rows, with a number in row 5, column 2 that is none. */
function spoilt(value: number): Float32Array {
  const result = rows.slice();
  result[5 * D + 2] = value;
  return result;
}

/** A file of faiss' IndexScalarQuantizer, with another type of quantizer. */
function ofQuantizer(type: number): Uint8Array<ArrayBuffer> {
  const bytes = golden("sq8_l2");
  new DataView(bytes.buffer).setInt32(37, type, true);
  return bytes;
}

/** The indexes that errors are provoked on. */
const INDEXES = {
  none: async () => indexFactory(D, "Flat"),
  flat: async () => filled("Flat"),
  ivf: async () => filled("IVF4,Flat"),
  untrained: async () => indexFactory(D, "IVF4,Flat"),
  idmap: async () => filled("IDMap,Flat", [...rows.keys()].slice(10, 50)),
  wide: async () =>
    filled(
      "IDMap,Flat",
      BigInt64Array.from({ length: 40 }, (_, i) => BigInt(i) << 40n),
    ),
  directMap: async () => readIndex(golden("ivf_flat_directmap_array")),
  small: async () => filled("Flat", undefined, 65536),
  smallIvf: async () => filled("IVF4,Flat", undefined, 65536),
  smallIdmap: async () => filled("IVF4,Flat,IDMap", [...rows.keys()].slice(0, 40), 65536),
};

async function filled(description: string, ids?: Ids, maxBytes = 2 ** 30): Promise<Index> {
  const index = await indexFactory(D, description, METRIC_L2, { maxBytes });
  await index.train(rows);
  await (ids === undefined ? index.add(rows) : index.addWithIds(rows, ids));
  return index;
}

/** All that can be seen of an index. */
function stateOf(index: Index): unknown {
  const { ntotal, isTrained, idType, description, metric, d } = index;
  const queries = uniform(randomOf(2), 5 * d);
  return {
    seen: { ntotal, isTrained, idType, description, metric, d },
    bytes: createHash("sha256").update(index.toBytes()).digest("hex"),
    found: [1, 7].map((k) => (isTrained ? index.search(queries, k) : undefined)),
  };
}

/** What is done to which index, and what is said to it. */
type Row = [on: keyof typeof INDEXES, call: (index: Index) => unknown, sentence: RegExp | string];

/** What callers in plain JavaScript give. */
const odd = (value: unknown): never => value as never;
const search = (index: Index, options: Record<string, unknown>): unknown => index.search(two, 1, odd(options));
const NO_FLOATS = [[1, 2, 3, 4], new Uint16Array(4), new Uint8Array(4), undefined, null, "1234"];
const NO_COUNTS = [0, -1, 1.5, NaN, Infinity, 2 ** 53, "3", null];
const NO_IDS = [1.5, NaN, Infinity, 2 ** 53, "7", undefined, 1n << 63n, null];
const NO_ARRAYS = [new Set([1, 2]), undefined, null, "12", 2];
const NOT_FINITE = [NaN, Infinity, -Infinity];
const WRONG_SETTINGS = "nprobe nprobe= =4 nprobe=0 nprobe=x nprobe=1e10 max_codes=-1 nprobe=3,efSearch=4 nprobe=3,ht=1";

/** Every method, for what can be called when. */
const METHODS: ((index: Index) => unknown)[] = [
  (index) => index.train(rows),
  (index) => index.add(two),
  (index) => index.addWithIds(two, [1, 2]),
  (index) => index.search(two, 1),
  (index) => index.searchInto(two, 1, floats(2), narrow(2)),
  (index) => index.warmUp({ batch: 1, k: 1 }),
  (index) => index.reconstruct(0),
  (index) => index.reconstructBatch([0]),
  (index) => index.removeIds([0]),
  (index) => index.set("nprobe=1"),
  (index) => index.get("nprobe"),
  (index) => index.toBytes(),
  (index) => index.reset(),
];

/** Calls while something is pending, which goes on undisturbed. */
function during(pending: (index: Index) => Promise<void>, call: (index: Index) => unknown) {
  return async (index: Index): Promise<void> => {
    const promise = pending(index);
    const error = await errorOf(() => call(index));
    await promise;
    throw error;
  };
}

/** Calls on another index, which is disposed of. */
function afterDispose(call: (index: Index) => unknown) {
  return async (): Promise<unknown> => {
    const index = await INDEXES.ivf();
    index.dispose();
    index.dispose();
    return call(index);
  };
}

/** An IVF file whose lists say that they are of another kind. */
function listsOfKind(fourcc: string): Uint8Array {
  const lists = [{ ids: [], rows: floats(0) }];
  const bytes = ivfFile({ d: 1, metric: METRIC_L2, nprobe: 1, coarse: flatFile(1, METRIC_L2, floats(1)), lists });
  bytes.set(ascii(fourcc), Buffer.from(bytes).indexOf("ilar"));
  return bytes;
}

async function readTwice(): Promise<Index> {
  const response = new Response(golden("flat_empty"));
  await response.arrayBuffer();
  return readIndex(response);
}

async function readLocked(): Promise<Index> {
  const stream = new Blob([golden("flat_empty")]).stream();
  stream.getReader();
  return readIndex(stream);
}

const table: Record<ErrorCode, Row[]> = {
  ERR_FACTORY: [
    ["none", () => indexFactory(D, "Nonsense"), /^could not parse "Nonsense": expected Flat/],
    ["none", () => indexFactory(D, "PQ3"), /^"PQ3" does not suit d = 4/],
    ["none", () => indexFactory(0, "Flat"), /^d should be an integer from 1/],
  ],
  ERR_DIMENSION: [
    ...[1, 3, 5, 4001].flatMap((n): Row[] => [
      ["flat", (index) => index.add(floats(n)), `vectors have ${n} numbers, no multiple of d = 4: give n x 4 numbers`],
      ["untrained", (index) => index.train(floats(n)), /^vectors have \d+ numbers, no multiple/],
      ["idmap", (index) => index.addWithIds(floats(n), [1]), /^vectors have \d+ numbers, no multiple/],
      ["ivf", (index) => index.search(floats(n), 1), /^queries have \d+ numbers, no multiple/],
      ["ivf", (index) => index.searchInto(floats(n), 1, floats(9), narrow(9)), /^queries have/],
    ]),
    [
      "flat",
      (index) => index.searchInto(three, 2, floats(5), narrow(6)),
      /^distances must be .* at least 3 x 2 items, not Float32Array of length 5/,
    ],
    [
      "flat",
      (index) => index.searchInto(three, 2, odd(new Float64Array(6)), narrow(6)),
      /not Float64Array of length 6/,
    ],
    ["flat", (index) => index.searchInto(three, 2, odd(undefined), narrow(6)), /not undefined/],
  ],
  ERR_PARAMETER: [
    ...NO_FLOATS.flatMap((vectors): Row[] => [
      ["flat", (index) => index.add(odd(vectors)), /^vectors are .*: give a Float32Array of n x 4/],
      ["ivf", (index) => index.train(odd(vectors)), /^vectors are .*: give a Float32Array of n x 4/],
      ["ivf", (index) => index.addWithIds(odd(vectors), [1]), /^vectors are .*: give a Float32Array of n x 4/],
      ["ivf", (index) => index.search(odd(vectors), 1), /^queries are .*: give a Float32Array of n x 4/],
    ]),
    ...NO_COUNTS.flatMap((k): Row[] => [
      ["flat", (index) => index.search(two, odd(k)), `k is ${String(k)}: give a whole number from 1 on`],
      ["ivf", (index) => index.searchInto(two, odd(k), floats(9), narrow(9)), /^k is/],
      ["ivf", (index) => index.warmUp({ batch: 1, k: odd(k) }), /^k is/],
      ["ivf", (index) => index.warmUp({ batch: odd(k), k: 1 }), /^batch is .*: give a whole number from 1 on/],
      ["ivf", (index) => search(index, { nprobe: k }), `nprobe is ${String(k)}: give a whole number from 1 on`],
      ["flat", (index) => search(index, { efSearch: k }), /^efSearch is/],
    ]),
    ...[0.9, NaN, Infinity, "4", null].map((value): Row => {
      return [
        "ivf",
        (index) => search(index, { kFactor: value }),
        `kFactor is ${String(value)}: give a number from 1 on`,
      ];
    }),
    ["ivf", (index) => search(index, { ensureK: 1 }), "ensureK is 1: give true or false"],
    [
      "ivf",
      (index) => search(index, { nProbe: 4 }),
      'there is no option "nProbe": nprobe, kFactor, efSearch, ensureK, d',
    ],
    ["ivf", (index) => index.searchInto(two, 1, floats(2), narrow(2), odd({ k: 4 })), /^there is no option "k"/],
    ["ivf", (index) => index.warmUp(odd({ batch: 1, k: 1, n: 4 })), /^there is no option "n"/],
    ...WRONG_SETTINGS.split(" ").map((text): Row => {
      return [
        "ivf",
        (index) => index.set(text),
        /^could not .*: (write name=value|give a number from|IVF4,Flat does not have)/,
      ];
    }),
    ["ivf", (index) => index.set(odd({ nprobe: 4 })), 'parameters are Object: give a string like "nprobe=8"'],
    ["flat", (index) => index.set("nprobe=4"), 'could not set or get parameter "nprobe": Flat does not have it'],
    ["flat", (index) => index.get("nprobe"), /Flat does not have it/],
    ["untrained", (index) => index.train(three), "got 3 training points for 4 centroids: give at least as many points"],
    ...[-1, 1.5, NaN, "1"].map((seed): Row => {
      return [
        "untrained",
        (index) => index.train(rows, { seed: odd(seed) }),
        `seed is ${seed}: give a whole number from 0 on`,
      ];
    }),
    ...[0, -1, NaN].map((maxBytes): Row => {
      return [
        "none",
        () => indexFactory(D, "Flat", METRIC_L2, { maxBytes }),
        `maxBytes is ${maxBytes}: give a number of bytes`,
      ];
    }),
    ...[undefined, null, 7, {}].map((source): Row => {
      return [
        "none",
        () => readIndex(odd(source)),
        /^can't read a file's bytes from .*: give a Uint8Array, ArrayBuffer, Blob/,
      ];
    }),
    ["none", () => readIndex(odd([[1, 2, 3]])), "a chunk is an Array of length 3 and no Uint8Array"],
    ["none", readLocked, "the stream has a reader already: give one that is not locked"],
  ],
  ERR_METRIC: [
    ["none", () => indexFactory(D, "Flat", odd(7)), "metric is 7: give METRIC_L2 (1) or METRIC_INNER_PRODUCT (0)"],
    ["none", () => indexFactory(D, "Flat", odd("L2")), /^metric is L2/],
  ],
  ERR_NOT_TRAINED: [
    ["untrained", (index) => index.add(rows), "IVF4,Flat is not trained: call train before adding"],
    ["untrained", (index) => index.addWithIds(rows, narrow(40)), "IVF4,Flat is not trained: call train before adding"],
    ["untrained", (index) => index.search(two, 1), "IVF4,Flat is not trained: call train first"],
    ["untrained", (index) => index.searchInto(two, 1, floats(2), narrow(2)), /call train first/],
  ],
  ERR_NOT_FINITE: [
    ...NOT_FINITE.flatMap((value): Row[] => [
      ["flat", (index) => index.add(spoilt(value)), `row 5 has ${value} in column 2: leave out or mend rows`],
      ["ivf", (index) => index.add(spoilt(value)), `row 5 has ${value} in column 2`],
      ["idmap", (index) => index.addWithIds(spoilt(value), narrow(40)), `row 5 has ${value} in column 2`],
      ["untrained", (index) => index.train(spoilt(value)), `row 5 has ${value} in column 2`],
    ]),
    [
      "ivf",
      (index) => index.add(floats(D).fill(3e38)),
      "row 0 is so long that its distance overflows: scale the vectors",
    ],
    ["untrained", (index) => index.train(rows.map((x) => x * 3e38)), /has (NaN|-?Infinity) in column/],
  ],
  ERR_FORMAT: [
    ["none", () => readIndex(new Uint8Array(0)), "the file is empty, 0 bytes, not an index: save or download it again"],
    [
      "none",
      () => readIndex(ascii("<!doctype html>")),
      "the file is an HTML page, not an index: the address leads to a page",
    ],
    [
      "none",
      () => readIndex(header("IxF2", 0, 0, METRIC_L2)),
      "d at offset 4 is 0, not from 1 to 1048576: the file is damaged",
    ],
    ["none", () => readIndex(header("IxFl", D, 0, odd(26))), "metric_type at offset 33 is 26"],
    ["none", () => readIndex(ofQuantizer(26)), "qtype at offset 37 is 26, no scalar quantizer"],
    ["none", () => readIndex(listsOfKind("il99")), /^inverted lists at offset \d+ are of the kind "il99", not ilar/],
    [
      "none",
      () => readIndex(new Response("", { status: 404, statusText: "Not Found" })),
      "the response is 404 Not Found, not a file: check the address",
    ],
    ["none", readTwice, "the response has been read already: fetch it again, or read a response.clone()"],
  ],
  ERR_UNSUPPORTED: [
    ["none", () => readIndex(ascii("IHN2")), 'the file is a faiss index of the kind "IHN2"'],
    [
      "none",
      () => readIndex(header("IxFl", D, 0, odd(20))),
      "the file's metric has the number 20: only L2 (1) and inner",
    ],
    ["none", () => readIndex(ofQuantizer(9)), "the file's scalar quantizer is faiss' QuantizerType 9"],
    ["none", () => readIndex(ofQuantizer(25)), "the file's scalar quantizer is faiss' QuantizerType 25"],
    ["none", () => readIndex(listsOfKind("ilod")), /in another file \(ilod\): merge them in faiss first/],
    ["none", () => readIndex(listsOfKind("il00")), /kept elsewhere \(il00\)/],
    ["flat", (index) => index.addWithIds(two, [1, 2]), 'a Flat index numbers its vectors itself: make an "IDMap,Flat"'],
  ],
  ERR_MEMORY: [
    [
      "small",
      (index) => index.add(floats(20_000 * D)),
      /^\d.\d MB more are needed, \d.\d MB in all, and 0.1 MB is the limit \(maxBytes\)/,
    ],
    ["smallIvf", (index) => index.add(floats(5000 * D)), /is the limit \(maxBytes\)/],
    ["smallIdmap", (index) => index.addWithIds(floats(5000 * D), narrow(5000)), /is the limit \(maxBytes\)/],
    [
      "flat",
      (index) => index.search(three, 2 ** 52),
      /^3 queries with k = 4503599627370496 .* more than an index of 40 vectors fills up for: ask for fewer/,
    ],
    ["none", async () => (await INDEXES.small()).add(floats(5000 * D)), /is the limit \(maxBytes\)/],
    ["none", async () => trainIn(65536, 40), /is the limit \(maxBytes\)/],
    [
      "none",
      () => readIndex(golden("flat_l2"), { maxBytes: 200_000 }),
      /^0.3 MB more .* 0.2 MB is the limit \(maxBytes\)/,
    ],
    ["none", () => readIndex([golden("ivf_flat_l2")], { maxBytes: 200_000 }), /is the limit \(maxBytes\)/],
  ],
  ERR_ID: [
    ["idmap", (index) => index.add(two), "an IDMap has no ids of its own: give some with addWithIds"],
    ["directMap", (index) => index.addWithIds(floats(64), [1]), /direct map of this index is an array.*: use add/],
    ...[0, 1, 3].map((n): Row => {
      return ["ivf", (index) => index.addWithIds(two, narrow(n)), `got ${n} ids for 2 vectors: give one each`];
    }),
    ...[[-1, 4], [4n, -1n], Int32Array.of(0, -1), BigInt64Array.of(-1n, 0n)].map((ids): Row => {
      return [
        "ivf",
        (index) => index.addWithIds(two, ids),
        "-1 can't be an id: as a label it means that nothing was found",
      ];
    }),
    ...NO_IDS.flatMap((id): Row[] => [
      [
        "ivf",
        (index) => index.addWithIds(two, odd([3, id])),
        `${String(id)} is no id: give whole numbers of up to 64 bits`,
      ],
      ["ivf", (index) => index.reconstruct(odd(id)), /is no id/],
      ["ivf", (index) => index.removeIds(odd([3, id])), /is no id/],
    ]),
    ...NO_ARRAYS.flatMap((ids): Row[] => [
      [
        "ivf",
        (index) => index.addWithIds(two, odd(ids)),
        /^ids are .*: give an Int32Array, a BigInt64Array or an array/,
      ],
      ["ivf", (index) => index.removeIds(odd(ids)), /^ids are/],
      ["ivf", (index) => index.reconstructBatch(odd(ids)), /^ids are/],
    ]),
    ...[2 ** 31, -(2 ** 31) - 1, 2 ** 40].flatMap((id): Row[] => [
      [
        "idmap",
        (index) => index.addWithIds(two, [3, id]),
        `the id ${id} needs more than 32 bits: only reset() changes`,
      ],
      ["idmap", (index) => index.addWithIds(two, BigInt64Array.of(3n, BigInt(id))), /only reset\(\) changes/],
      [
        "none",
        async () => (await indexFactory(D, "IDMap,Flat")).addWithIds(two, [3, id]),
        /: give the ids as a BigInt64Array/,
      ],
    ]),
    ...[40, -1, 1e9, 2 ** 40, 1n << 62n].flatMap((id): Row[] => [
      ["flat", (index) => index.reconstruct(id), `the index holds no vector with the id ${id}`],
      ["ivf", (index) => index.reconstructBatch(odd([0, 1, id])), `the index holds no vector with the id ${id}`],
    ]),
    ["idmap", (index) => index.reconstruct(0), "the index holds no vector with the id 0"],
  ],
  ERR_LABELS: [
    [
      "flat",
      (index) => index.searchInto(three, 2, floats(6), narrow(5)),
      /^labels must be an Int32Array or BigInt64Array of at least 3 x 2 items, not Int32Array of length 5/,
    ],
    ["flat", (index) => index.searchInto(three, 2, floats(6), odd(floats(6))), /not Float32Array of length 6/],
    ["flat", (index) => index.searchInto(three, 2, floats(6), odd(null)), /not null/],
    [
      "wide",
      (index) => index.searchInto(three, 2, floats(6), narrow(6)),
      /^labels must be a BigInt64Array \(the ids are 64-bit\) of/,
    ],
    ["wide", (index) => index.searchInto(three, 2, floats(6), wide(5)), /not BigInt64Array of length 5/],
  ],
  ERR_BUSY: [...METHODS, (index: Index) => index.dispose()].flatMap((call): Row[] => [
    ["ivf", during((index) => index.train(rows), call), /^a promise of this index is pending: await it/],
    ["flat", during((index) => index.add(floats(0)), call), /^a promise of this index is pending: await it/],
    [
      "idmap",
      during((index) => index.addWithIds(floats(0), []), call),
      /^a promise of this index is pending: await it/,
    ],
  ]),
  ERR_DISPOSED: METHODS.map((call): Row => [
    "none",
    afterDispose(call),
    "the index was disposed of: make or read another",
  ]),
};

async function trainIn(maxBytes: number, nlist: number): Promise<void> {
  const index = await indexFactory(D, `IVF${nlist},Flat`, METRIC_L2, { maxBytes });
  await index.train(uniform(randomOf(3), nlist * 200 * D));
}

describe.each(Object.entries(table))("%s", (code, lines) => {
  test.each(lines.map(([on, call, sentence]) => ({ on, call, sentence })))("$on: $sentence", async (row) => {
    const { on, call, sentence } = row;
    const index = await INDEXES[on]();
    const before = stateOf(index);
    const error = await errorOf(() => call(index));
    expect(error).toBeInstanceOf(CellistError);
    expect(error).toMatchObject({ name: "CellistError", code });
    if (typeof sentence === "string") expect((error as Error).message.slice(0, sentence.length)).toBe(sentence);
    else expect((error as Error).message).toMatch(sentence);
    expect(stateOf(index)).toStrictEqual(before);
    index.dispose();
  });
});

test("maxBytes is never exceeded", async () => {
  for (const maxBytes of [65536, 100_000, 131_072, 200_000]) {
    const index = await indexFactory(D, "IVF2,Flat,IDMap", METRIC_L2, { maxBytes });
    await index.train(rows);
    let error: unknown;
    for (let i = 0; error === undefined; i += 40) {
      const ids = Array.from({ length: 40 }, (_, j) => i + j);
      error = await index.addWithIds(rows, ids).catch((error: unknown) => error);
      expect(index.memory).toBeLessThanOrEqual(maxBytes);
    }
    expect(error).toMatchObject({ code: "ERR_MEMORY" });
    expect(index.ntotal).toBeGreaterThan(300);
  }
});

describe("an abort, wherever it comes, rejects with its reason and leaves everything as it was", () => {
  /** A signal that is aborted when it is looked at for the n-th time, whatever the clock says. */
  function abortsAt(n: number): { signal: AbortSignal; reason: unknown; looks: () => number } {
    const controller = new AbortController();
    const { signal } = controller;
    const reason = { n };
    let looks = 0;
    signal.throwIfAborted = () => {
      if (looks++ === n) controller.abort(reason);
      AbortSignal.prototype.throwIfAborted.call(signal);
    };
    return { signal, reason, looks: () => looks };
  }

  const many = uniform(randomOf(4), 300 * D);

  test.each<[string, (index: Index, work: Work) => Promise<void>, make: () => Promise<Index>]>([
    ["train", (index, work) => index.train(many, work), INDEXES.untrained],
    [
      "train of cells in cells",
      (index, work) => index.train(many, work),
      async () => indexFactory(D, "IVF8(IVF3,Flat),Flat,IDMap"),
    ],
    [
      "train of cells in cells and of codes",
      (index, work) => index.train(many, work),
      async () => indexFactory(D, "IVF8(IVF3,Flat),PQ2x4fs"),
    ],
    ["add to Flat", (index, work) => index.add(many, work), INDEXES.flat],
    ["add to IVF", (index, work) => index.add(many, work), INDEXES.ivf],
    ["addWithIds", (index, work) => index.addWithIds(many, wide(300), work), INDEXES.idmap],
  ])("%s", async (_, work, make) => {
    const undisturbed = await make();
    await work(undisturbed, {});
    const index = await make();
    const before = stateOf(index);
    let aborts = 0;
    for (; ; aborts++) {
      const { signal, reason, looks } = abortsAt(aborts);
      const error: unknown = await work(index, { signal }).catch((error: unknown) => error);
      if (looks() <= aborts) break;
      expect(error).toBe(reason);
      expect(stateOf(index)).toStrictEqual(before);
    }
    expect(aborts).toBeGreaterThan(1);
    // The last one came too late, and it is as if the others had not been.
    expect(stateOf(index)).toStrictEqual(stateOf(undisturbed));
  });

  test("by the one who watches", async () => {
    const index = await INDEXES.untrained();
    const controller = new AbortController();
    const onProgress = (): void => controller.abort();
    const error = await errorOf(() => index.train(rows, { signal: controller.signal, onProgress }));
    expect(error).toMatchObject({ name: "AbortError" });
    expect(index.isTrained).toBe(false);
  });

  test("before it began", async () => {
    const index = await INDEXES.ivf();
    const before = stateOf(index);
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    for (const call of [
      () => index.train(rows, { signal }),
      () => index.add(rows, { signal }),
      () => index.addWithIds(rows, narrow(40), { signal }),
      () => readIndex(golden("flat_l2"), { signal }),
    ]) {
      expect(await errorOf(call)).toBe(reason);
      expect(stateOf(index)).toStrictEqual(before);
    }
  });

  test("what throws in onProgress comes out, and leaves everything as it was", async () => {
    const index = await INDEXES.ivf();
    const before = stateOf(index);
    const reason = new Error("in the callback");
    const onProgress = (): void => {
      throw reason;
    };
    expect(await errorOf(() => index.add(rows, { onProgress }))).toBe(reason);
    expect(stateOf(index)).toStrictEqual(before);
  });
});
