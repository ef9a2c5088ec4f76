import { runInNewContext } from "node:vm";
import { dump, float16ToFloat32, parse } from "npyjs";
import { describe, expect, test } from "vitest";
import { indexFactory, METRIC_INNER_PRODUCT } from "../src/index.js";
import type { Index, Vectors } from "../src/index.js";
import { blend } from "../src/rvc/index.js";
import { randomOf, uniform } from "./random.js";

// What vectors, ids and results may come in: the same answers whatever holds the numbers, and never a row too many.

const D = 8;
const rows = uniform(randomOf(1), 300 * D);
const queries = uniform(randomOf(2), 6 * D);
/** Numbers that 16 bits hold exactly. */
const coarse = rows.map((x) => Math.round(x * 64) / 64);

async function filled(description = "IVF4,Flat", vectors: Vectors = rows): Promise<Index> {
  const index = await indexFactory(D, description);
  await index.train(vectors);
  await index.add(vectors);
  return index;
}

/** The bits of a float16, of a number that it holds exactly. */
function half(x: number): number {
  if (x === 0) return Object.is(x, -0) ? 0x8000 : 0;
  const sign = x < 0 ? 0x8000 : 0;
  let [fraction, exponent] = [Math.abs(x), 15];
  for (; fraction >= 2; fraction /= 2) exponent++;
  for (; fraction < 1; fraction *= 2) exponent--;
  return sign | (exponent << 10) | ((fraction - 1) * 1024);
}

function rowsOf<T extends { subarray(from: number, to: number): T; length: number }>(array: T): T[] {
  return Array.from({ length: array.length / D }, (_, i) => array.subarray(i * D, (i + 1) * D));
}

/** In a context of its own, whose constructors are not ours: as an iframe has them. */
function foreign(kind: string, values: ArrayLike<number | bigint>): never {
  return runInNewContext(`${kind}.from(values)`, { values }) as never;
}

const shape = (array: ArrayLike<unknown>): number[] => [array.length / D, D];
const bits = (array: Float32Array): Uint16Array => Uint16Array.from(array, half);
const { Float16Array: Half } = globalThis as unknown as {
  Float16Array?: { from(values: ArrayLike<number>): { readonly [Symbol.toStringTag]: "Float16Array" } & number[] };
};

const FORMS: Record<string, (array: Float32Array) => Vectors> = {
  "a part of a Float32Array": (array) => new Float32Array([9, ...array, 9]).subarray(1, array.length + 1),
  "a Float64Array": (array) => Float64Array.from(array),
  "an array of rows": (array) => rowsOf(array).map((row) => [...row]),
  "an array of Float32Arrays": (array) => rowsOf(array),
  "an array of Float64Arrays": (array) => rowsOf(Float64Array.from(array)),
  "a tensor of onnxruntime": (array) => ({ type: "float32", data: array, dims: shape(array) }),
  "a tensor with a batch of one": (array) => ({ data: array, dims: [1, ...shape(array)] }),
  "a tensor of 64 bits": (array) => ({ data: Float64Array.from(array), shape: shape(array) }),
  "a tensor of 16 bits": (array) => ({ type: "float16", data: bits(array), dims: shape(array) }),
  "an .npy file of 16 bits, not converted": (array) => ({ dtype: "<f2", data: bits(array), shape: shape(array) }),
  "what npyjs makes of a file": (array) => parse(dump(array, shape(array))),
  "shared memory": (array) => {
    const shared = new Float32Array(new SharedArrayBuffer(array.byteLength));
    shared.set(array);
    return shared;
  },
  "a Float32Array of another realm": (array) => foreign("Float32Array", array),
  "rows of another realm": (array) =>
    runInNewContext("rows.map((row) => [...row])", { rows: rowsOf(array) }) as number[][],
  "a tensor of another realm": (array) =>
    runInNewContext("({ data: Float32Array.from(data), dims: [data.length / 8, 8] })", { data: array }) as never,
  ...(Half && {
    "a Float16Array": (array) => Half.from(array),
    "rows of them": (array) => rowsOf(array).map((row) => Half.from(row)),
  }),
};

describe("vectors", () => {
  test.each(Object.entries(FORMS))("%s", async (_, form) => {
    const expected = await filled("IVF4,Flat", coarse);
    const index = await filled("IVF4,Flat", form(coarse));
    expect(index.toBytes()).toEqual(expected.toBytes());
    const q = coarse.subarray(0, 5 * D);
    expect(index.search(form(q), 3, { nprobe: 2 })).toEqual(expected.search(q, 3, { nprobe: 2 }));
    const own = await indexFactory(D, "IDMap,Flat");
    await own.addWithIds(form(q), [3, 1, 4, 1, 5]);
    expect([...own.search(q.subarray(0, D), 1).labels]).toEqual([3]);
  });

  test("every float16 is the number that NumPy says it is", async () => {
    // npyjs is the reference: it converts such numbers, too.
    const all = Uint16Array.from({ length: 65_536 }, (_, i) => i);
    const finite = [...all].filter((i) => (i & 0x7c00) !== 0x7c00);
    const index = await indexFactory(D, "Flat");
    await index.add({ type: "float16", data: Uint16Array.from(finite), dims: [finite.length / D, D] });
    const stored = index.reconstructBatch([...Array(index.ntotal).keys()]);
    expect(stored).toEqual(Float32Array.from(finite, (i) => float16ToFloat32(i)));
    expect(Object.is(stored[finite.indexOf(0x8000)], -0)).toBe(true);
    const endless = { type: "float16", data: new Uint16Array(D).fill(0xfc00), dims: [1, D] };
    await expect(index.add(endless)).rejects.toMatchObject({ code: "ERR_NOT_FINITE" });
    await expect(index.add({ ...endless, data: new Uint16Array(D).fill(0x7e00) })).rejects.toMatchObject({
      message: expect.stringContaining("row 0 has NaN in column 0") as string,
    });
  });

  test("one tensor serves searchInto and blend, where it stands", async () => {
    const index = await filled("Flat");
    const tensor = { data: queries.slice(), dims: [1, 6, D] };
    const [distances, labels] = [new Float32Array(18), new Int32Array(18)];
    index.searchInto(tensor, 3, distances, labels);
    const expected = index.search(queries, 3);
    expect([distances, labels]).toEqual([expected.distances, expected.labels]);
    expect(blend(index, tensor, { k: 4, rows: 6, d: D })).toBe(tensor);
    expect(tensor.data).toEqual(blend(index, queries.slice(), { k: 4 }));
    expect(tensor.data).not.toEqual(queries);
  });

  test.each<[string, unknown, string, RegExp]>([
    ["rows of another d", [[1, 2, 3]], "ERR_DIMENSION", /^row 0 of the vectors has 3 numbers, and d is 8/],
    ["one row too short", [[...rows.subarray(0, D)], [1]], "ERR_DIMENSION", /^row 1 of the vectors has 1 numbers/],
    ["a flat array", [1, 2, 3, 4, 5, 6, 7, 8], "ERR_PARAMETER", /^vectors are Array of length 8: .* an array of rows/],
    ["a hole", [Array(D)], "ERR_PARAMETER", /^row 0 of the vectors has undefined in column 0: give numbers/],
    ["texts", ["12345678".split("")], "ERR_PARAMETER", /^row 0 of the vectors has 1 in column 0: give numbers/],
    [
      "a row that is none",
      [[...rows.subarray(0, D)], 7],
      "ERR_PARAMETER",
      /^row 1 of the vectors is 7: give 8 numbers/,
    ],
    ["a tensor of another d", { data: rows, dims: [75, 32] }, "ERR_DIMENSION", /the shape \[75, 32\], and d is 8/],
    ["one laid across", { data: rows, dims: [D, 300] }, "ERR_DIMENSION", /^vectors have the shape \[8, 300\]/],
    ["one cut off", { data: rows, shape: [301, D] }, "ERR_DIMENSION", /\[301, 8\] and 2400 numbers: mend the tensor/],
    ["one of odd sizes", { data: rows, dims: [300n, 8n] }, "ERR_DIMENSION", /the shape \[300, 8\]/],
    ["no shape at all", { data: rows, dims: [] }, "ERR_DIMENSION", /the shape \[\]/],
    ["Fortran order", { data: rows, shape: [300, D], fortranOrder: true }, "ERR_PARAMETER", /ascontiguousarray/],
    [
      "whole numbers",
      { data: new Int32Array(D), dims: [1, D] },
      "ERR_PARAMETER",
      /^vectors are Int32Array of length 8/,
    ],
    ["16 bits of who knows what", new Uint16Array(D), "ERR_PARAMETER", /16-bit floats as \{ data, dims, type/],
    ["the same in a tensor", { data: new Uint16Array(D), dims: [1, D] }, "ERR_PARAMETER", /16-bit floats as/],
    [
      "a tensor on the GPU",
      {
        get data(): never {
          throw new Error("The data is not on CPU.");
        },
        dims: [1, D],
      },
      "ERR_PARAMETER",
      /data can't be had \(Error: The data is not on CPU.\): download it first/,
    ],
  ])("%s", async (_, vectors, code, message) => {
    const index = await filled();
    const before = index.toBytes();
    await expect(index.add(vectors as never)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    });
    await expect(index.train(vectors as never)).rejects.toMatchObject({ code });
    expect(() => index.search(vectors as never, 1)).toThrow(expect.objectContaining({ code }) as Error);
    expect(index.toBytes()).toEqual(before);
  });

  test("searchInto and blend want 32 bits, which they use where they stand", async () => {
    const index = await filled();
    for (const odd of [
      Float64Array.from(queries),
      { data: Float64Array.from(queries), dims: [6, D] },
      rowsOf(queries),
    ]) {
      const error = expect.objectContaining({ code: "ERR_PARAMETER" }) as Error;
      expect(() => index.searchInto(odd as never, 1, new Float32Array(6), new Int32Array(6))).toThrow(error);
      expect(() => blend(index, odd as never)).toThrow(error);
    }
  });

  test("no rows are no vectors, in any form", async () => {
    const index = await filled();
    for (const none of [new Float32Array(0), new Float64Array(0), [], { data: new Float32Array(0), dims: [0, D] }]) {
      await index.add(none);
      expect(index.search(none, 3).labels).toHaveLength(0);
    }
    expect(index.ntotal).toBe(300);
  });
});

describe("d and rows: what the caller believes", () => {
  // The habits of people who changed the model: 768-d vectors and an index of 384, 256-d features and a voice of 768.
  test("is checked in every call", async () => {
    const index = await filled();
    const untrained = await indexFactory(D, "IVF4,Flat");
    const wrong = { d: 2 * D };
    const calls: (() => unknown)[] = [
      () => index.search(queries, 1, wrong),
      () => index.searchInto(queries, 1, new Float32Array(6), new Int32Array(6), wrong),
      () => index.warmUp({ batch: 1, k: 1, ...wrong }),
      () => blend(index, queries.slice(), wrong),
      () => blend(index, queries.slice(), { rows: 12 }),
      () => index.add(queries, wrong),
      () => untrained.train(rows, wrong),
      () => index.addWithIds(queries, [1, 2, 3, 4, 5, 6], wrong),
    ];
    const before = index.toBytes();
    for (const call of calls) {
      const error: unknown = await (async () => call())().catch((e: unknown) => e);
      expect(error).toMatchObject({
        code: "ERR_DIMENSION",
        message: expect.stringMatching(/^(d is 8|features are 6 x 8)/) as string,
      });
    }
    expect(index.toBytes()).toEqual(before);
    expect(untrained.isTrained).toBe(false);
  });

  test("what is right passes", async () => {
    const index = await indexFactory(D, "IVF4,Flat");
    await index.train(rows, { d: D });
    await index.add(rows, { d: D });
    expect(index.search(queries, 3, { d: D })).toEqual(index.search(queries, 3));
    expect(blend(index, queries.slice(), { d: D, rows: 6 })).toEqual(blend(index, queries.slice()));
  });
});

describe("arrays whose memory is gone", () => {
  const gone = <T extends Float32Array | Int32Array | BigInt64Array>(array: T): T => {
    structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });
    return array;
  };

  test("are an error, and no rows", async () => {
    const index = await filled("IVF4,Flat");
    const floats = (): Float32Array => gone(rows.slice());
    const calls: (() => unknown)[] = [
      () => index.add(floats()),
      () => index.train(floats()),
      () => index.addWithIds(floats(), []),
      () => index.addWithIds(new Float32Array(0), gone(Int32Array.of(1))),
      () => index.search(floats(), 1),
      () => index.search({ data: floats(), dims: [0, D] }, 1),
      () => index.searchInto(floats(), 1, new Float32Array(1), new Int32Array(1)),
      () => index.searchInto(queries, 1, gone(new Float32Array(6)), new Int32Array(6)),
      () => index.searchInto(queries, 1, new Float32Array(6), gone(new Int32Array(6))),
      () => blend(index, floats()),
      () => index.removeIds(gone(Int32Array.of(1, 2))),
      () => index.reconstructBatch(gone(BigInt64Array.of(1n))),
    ];
    const before = index.toBytes();
    for (const [i, call] of calls.entries()) {
      const error: unknown = await (async () => call())().catch((e: unknown) => e);
      expect(error, String(i)).toMatchObject({
        name: "CellistError",
        message: expect.stringMatching(/gone|length 0/) as string,
      });
    }
    expect(index.toBytes()).toEqual(before);
  });
});

describe("what is of another realm", () => {
  test("ids, as narrow or as wide as they are", async () => {
    const narrow = await indexFactory(D, "IDMap,Flat");
    await narrow.addWithIds(queries, foreign("Int32Array", [5, 6, 7, 8, 9, 10]));
    expect([narrow.idType, narrow.removeIds(foreign("Array", [5, 6]))]).toEqual(["int32", 2]);
    const wide = await indexFactory(D, "IDMap,Flat");
    await wide.addWithIds(queries, foreign("BigInt64Array", [5n, 6n, 7n, 8n, 9n, 1n << 40n]));
    expect(wide.idType).toBe("int64");
    expect(wide.reconstructBatch(foreign("BigInt64Array", [1n << 40n]))).toEqual(queries.slice(5 * D));
  });

  test("results", async () => {
    const index = await filled();
    const expected = index.search(queries, 2);
    for (const kind of ["Int32Array", "BigInt64Array"]) {
      const distances: Float32Array = foreign("Float32Array", new Float32Array(12));
      const labels: Int32Array = foreign(
        kind,
        kind === "Int32Array" ? Array<number>(12).fill(0) : Array<bigint>(12).fill(0n),
      );
      index.searchInto(queries, 2, distances, labels);
      expect([...distances]).toEqual([...expected.distances]);
      expect(Array.from(labels, Number)).toEqual([...expected.labels]);
    }
  });

  test("signals, of a library that knows neither reasons nor throwIfAborted", async () => {
    const listeners = new Set<() => void>();
    const signal = {
      aborted: false,
      addEventListener: (_: string, listener: () => void) => listeners.add(listener),
      removeEventListener: (_: string, listener: () => void) => listeners.delete(listener),
    };
    const index = await filled();
    const before = index.toBytes();
    await index.add(queries, { signal: signal as never });
    index.removeIds([300, 301, 302, 303, 304, 305]);
    signal.aborted = true;
    await expect(index.add(queries, { signal: signal as never })).rejects.toMatchObject({ name: "AbortError" });
    expect(index.toBytes()).toEqual(before);
    expect(listeners.size).toBe(0);
  });
});

test("what another thread can write to is copied before it is looked at", async () => {
  // The page's own code stands for the thread: it writes as soon as it gets a turn, while codebooks are being trained.
  for (const description of ["IVF4,Flat", "PQ4x4fs", "IVF4,PQ4x4fsr", "IVF4,PQ4x4fs,RFlat"]) {
    const expected = await filled(description);
    const shared = new Float32Array(new SharedArrayBuffer(rows.byteLength));
    const index = await indexFactory(D, description);
    for (const job of ["train", "add"] as const) {
      shared.set(rows);
      const working = index[job](shared);
      shared.fill(NaN);
      await working;
    }
    expect(index.toBytes(), description).toEqual(expected.toBytes());
  }
});

describe("results over queries", () => {
  const memory = new ArrayBuffer(200 * D * 4 + 200 * 5 * 12);
  const at = { queries: 0, distances: 200 * D * 4, labels: 200 * D * 4 + 200 * 5 * 4 };

  test("are refused, wherever they lie", async () => {
    const index = await filled("Flat");
    const floats = new Float32Array(memory, 0, 200 * D);
    const error = (message: RegExp): Error =>
      expect.objectContaining({ code: "ERR_PARAMETER", message: expect.stringMatching(message) as string }) as Error;
    const [distances, labels] = [new Float32Array(1000), new Int32Array(1000)];
    for (const offset of [0, 64, at.distances - 4]) {
      const over = new Float32Array(memory, offset, 1000);
      expect(() => index.searchInto(floats, 5, over, labels)).toThrow(error(/^distances lie over the queries/));
      const wide = new BigInt64Array(memory, offset - (offset % 8), 1000);
      expect(() => index.searchInto(floats, 5, distances, wide)).toThrow(error(/^labels lie over the queries/));
    }
    const both = new Int32Array(distances.buffer);
    expect(() => index.searchInto(floats, 5, distances, both)).toThrow(error(/^labels lie over the distances/));
  });

  test("side by side in one memory they are right", async () => {
    const index = await filled("Flat");
    const floats = new Float32Array(memory, at.queries, 200 * D);
    floats.set(uniform(randomOf(9), 200 * D));
    const expected = index.search(floats.slice(), 5);
    const distances = new Float32Array(memory, at.distances, 1000);
    const labels = new Int32Array(memory, at.labels, 1000);
    index.searchInto(floats, 5, distances, labels);
    expect([distances, labels]).toEqual([expected.distances, expected.labels]);
  });
});

test("an inner product takes them all the same", async () => {
  const index = await indexFactory(D, "Flat", METRIC_INNER_PRODUCT);
  await index.add(rowsOf(rows));
  expect(index.search([[...queries.subarray(0, D)]], 2).labels).toEqual(index.search(queries.subarray(0, D), 2).labels);
});

test("a warm-up takes fewer numbers than 2^31, which arrays of some engines end at", async () => {
  // One that is not trained searches nothing.
  const index = await indexFactory(2 ** 16, "IVF2,Flat");
  index.warmUp({ batch: 2 ** 15 - 1, k: 1 });
  expect(() => index.warmUp({ batch: 2 ** 15, k: 1 })).toThrow("a batch of 32768 is more than an array holds");
});

describe("typed arrays of the caller's own kinds", () => {
  /** As an audio program may have it: a frame has its own size, whatever is asked of its constructor. */
  class Frame extends Float32Array {
    constructor() {
      super(300 * D);
    }
  }
  class Bytes extends Float32Array {
    static get [Symbol.species](): typeof Uint8Array {
      return Uint8Array;
    }
  }
  class Doubles extends Float64Array {
    constructor() {
      super(300 * D);
    }
  }
  const KINDS: Record<string, () => Float32Array | Float64Array> = {
    "a subclass with a constructor of its own": () => new Frame(),
    "a subclass whose parts are bytes": () => new Bytes(300 * D),
    "a subclass of 64 bits": () => new Doubles(),
  };

  test.each(Object.keys(KINDS))("%s is trained on, added and searched with as its numbers are", async (name) => {
    const given = KINDS[name]();
    given.set(rows);
    for (const description of ["Flat", "IVF4,Flat", "IVF4,PQ4x4fs,RFlat", "PCA4,SQ8"]) {
      const [index, expected] = [await filled(description, given), await filled(description)];
      expect(index.toBytes(), description).toEqual(expected.toBytes());
      expect(index.search(given, 3)).toEqual(expected.search(rows, 3));
      expect(index.rangeSearch(given, 0.2)).toEqual(expected.rangeSearch(rows, 0.2));
    }
  });

  test("labels that follow the size of a buffer are all written, however large it has become", async () => {
    const index = await filled();
    const buffer = new (
      ArrayBuffer as unknown as new (n: number, options: object) => ArrayBuffer & { resize(n: number): void }
    )(8 * 8, { maxByteLength: 4000 });
    const labels = new BigInt64Array(buffer);
    for (const n of [1, 6, 2, 6, 1]) {
      buffer.resize(n * 8 * 8);
      labels.fill(7n);
      const some = queries.subarray(0, n * D);
      index.searchInto(some, 8, new Float32Array(n * 8), labels);
      expect([...labels].map(Number)).toEqual([...index.search(some, 8).labels]);
    }
  });

  test.each([[[Symbol("n"), D]], [[Object.create(null), D]], [[6n, 8n]]])(
    "a shape of %o is one of another size",
    async (dims) => {
      const index = await filled();
      expect(() => index.search({ data: queries, dims: dims as number[] }, 1)).toThrow(
        expect.objectContaining({ code: "ERR_DIMENSION" }) as Error,
      );
    },
  );
});
