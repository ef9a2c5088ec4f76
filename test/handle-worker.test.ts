import { inspect } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
// What is built, for a thread runs no TypeScript.
import { CellistError, indexFactory as makeHere, METRIC_L2 } from "../dist/index.js";
import type { Index, Vectors } from "../dist/index.js";
import { blend } from "../dist/rvc/index.js";
import { indexFactory, readIndex } from "../dist/worker/index.js";
import type { AsyncIndex } from "../dist/worker/index.js";
import { randomOf, uniform } from "./random.js";
import { errorOf } from "./rejections.js";

// An index in a worker takes what one in the page takes, refuses what it refuses in the same words, and outlives every mistake.

const D = 8;
const rows = uniform(randomOf(1), 400 * D);
const queries = uniform(randomOf(2), 6 * D);

const made: AsyncIndex[] = [];
afterEach(async () => {
  await Promise.all(made.splice(0).map((index) => index.dispose()));
});

async function both(description: string): Promise<[there: AsyncIndex, here: Index]> {
  const there = await indexFactory(D, description);
  made.push(there);
  const here = await makeHere(D, description);
  for (const index of [there, here]) {
    await index.train(rows);
    await index.add(rows);
  }
  return [there, here];
}

const tensor = (): { data: Float32Array; dims: number[] } => ({ data: queries.slice(), dims: [6, D] });
/** As onnxruntime has it: what is asked for is not the object's own, so that a clone of it has nothing. */
class Foreign {
  readonly #data = queries.slice();
  get data(): Float32Array {
    return this.#data;
  }
  get dims(): number[] {
    return [6, D];
  }
}

test("vectors in any form", async () => {
  const [there, here] = await both("IVF4,Flat");
  const big = new Float32Array(1 << 20);
  big.set(queries, 77);
  const forms: Vectors[] = [
    Float64Array.from(queries),
    tensor(),
    new Foreign(),
    Array.from({ length: 6 }, (_, i) => [...queries.subarray(i * D, (i + 1) * D)]),
    Array.from({ length: 6 }, (_, i) => big.subarray(77 + i * D, 77 + (i + 1) * D)),
  ];
  for (const form of forms) {
    expect(await there.search(form, 3, { nprobe: 2, d: D })).toEqual(here.search(queries, 3, { nprobe: 2 }));
    await there.add(form, { d: D });
    await here.add(form);
  }
  expect(Buffer.compare(await there.toBytes(), here.toBytes())).toBe(0);
  expect(await there.blend(tensor(), { rows: 6 })).toEqual(blend(here, queries.slice()));
  const [distances, labels] = [new Float32Array(18), new Int32Array(18)];
  await there.searchInto(new Foreign(), 3, distances, labels, { nprobe: 2 });
  expect([distances, labels]).toEqual(Object.values(here.search(queries, 3, { nprobe: 2 })));
});

test("parameters are promises, and to assign one throws and says so", async () => {
  const [there] = await both("IVF4,Flat");
  expect([await there.nprobe, await there.kFactor, await there.efSearch]).toEqual([1, undefined, undefined]);
  const own = there as unknown as Record<string, unknown>;
  for (const [name, example] of [
    ["nprobe", "nprobe=16"],
    ["kFactor", "k_factor_rf=4"],
    ["efSearch", "efSearch=64"],
  ]) {
    const error = await errorOf(() => (own[name] = 16));
    expect(error).toMatchObject({
      code: "ERR_PARAMETER",
      message: expect.stringContaining(`await index.set("${example}")`) as string,
    });
  }
  for (const name of ["nProbe", "d", "search", "x"]) expect(() => (own[name] = 4), name).toThrow(TypeError);
  await there.set("nprobe=3");
  expect(await there.nprobe).toBe(3);
  expect(inspect(there)).toBe("AsyncIndex(IVF4,Flat, d = 8, in a worker)");
  expect(JSON.stringify(there)).toBe('{"kind":"IVF4,Flat, d = 8"}');
});

test("errors have their code and their sentence", async () => {
  const [there, here] = await both("IVF4,Flat");
  const odd = (value: unknown): never => value as never;
  const over = new Float32Array(18);
  const calls: ((index: Index | AsyncIndex) => unknown)[] = [
    (index) => index.search(queries, 3, { d: 9 }),
    (index) => index.add(queries, { d: 9 }),
    (index) => index.train(queries, { d: 9 }),
    (index) => index.addWithIds(queries, [1, 2, 3, 4, 5, 6], { d: 9 }),
    (index) => index.search({ data: queries, dims: [3, 16] }, 3),
    (index) => index.search([[1, 2, 3]], 3),
    (index) => index.search(queries, 3, odd(null)),
    (index) => index.search(queries, 3, odd(8)),
    (index) => index.add(queries, { signal: odd({}) }),
    (index) => index.add(queries, { onProgress: odd(5) }),
    (index) => index.train(queries, { seed: 2 ** 32 }),
    (index) => index.searchInto(queries, 3, over, new Int32Array(over.buffer)),
    (index) => index.search(queries, 2 ** 31),
    (index) => index.get(odd(5)),
    (index) => index.set("k_factor_rf=2"),
    (index) => index.warmUp(odd(undefined)),
    (index) => index.warmUp({ batch: 1e12, k: 8 }),
  ];
  for (const [i, call] of calls.entries()) {
    const expected = await errorOf(() => call(here));
    const actual = await errorOf(() => call(there));
    expect(actual, String(i)).toBeInstanceOf(CellistError);
    expect(actual, String(i)).toMatchObject({
      code: (expected as CellistError).code,
      message: (expected as Error).message,
    });
  }
  expect(Buffer.compare(await there.toBytes(), here.toBytes())).toBe(0);
  for (const options of [
    null,
    5,
    { worker: 5 },
    { onWarning: 5 },
    { maxBytes: "1" },
    { signal: {} },
    { transfer: 1 },
  ]) {
    const read = (): unknown => readIndex(here.toBytes(), odd(options));
    expect(await errorOf(read), inspect(options)).toMatchObject({ code: "ERR_PARAMETER" });
  }
  expect(await errorOf(() => indexFactory(D, "Flat", METRIC_L2, odd(null)))).toMatchObject({ code: "ERR_PARAMETER" });
});

describe("what can't be sent is an error of that call, and the index lives on", () => {
  const gone = (array: Float32Array): Float32Array => {
    structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });
    return array;
  };
  const CALLS: Record<string, (index: AsyncIndex) => unknown> = {
    "an array that is gone": (index) => index.add(gone(rows.slice())),
    "one handed over twice": async (index) => {
      const own = queries.slice();
      await index.search(own, 1, { transfer: true });
      await index.search(own, 1, { transfer: true });
    },
    "one handed over twice at once": (index) => {
      const own = queries.slice();
      return Promise.all([index.search(own, 1, { transfer: true }), index.search(own, 1, { transfer: true })]);
    },
    "a row that is gone": (index) => index.add([gone(rows.slice(0, D))]),
    "a tensor whose data are gone": (index) => index.add({ data: gone(rows.slice()), dims: [0, D] }),
    "ids with a function": (index) => index.removeIds([() => 1] as never),
    "options with a function": (index) => index.search(queries, 1, { nprobe: () => 1 } as never),
    "vectors and ids in one memory": (index) => {
      const memory = new ArrayBuffer(D * 4);
      return index.addWithIds(new Float32Array(memory), new Int32Array(memory), { transfer: true });
    },
    "a text with methods": (index) => index.set({ toString: () => "nprobe=1" } as never),
  };

  test.each(Object.keys(CALLS))("%s", async (name) => {
    const [there] = await both("IVF4,Flat");
    const error = await errorOf(() => CALLS[name](there));
    expect(error).toMatchObject({ name: "CellistError", code: "ERR_PARAMETER" });
    expect(await there.ntotal).toBe(400);
  });
});

test("filters, ranges and ids", async () => {
  const [there, here] = await both("IVF4,Flat");
  const options = { nprobe: 4 };
  const odd = Array.from({ length: 200 }, (_, i) => 2 * i + 1);
  const [mine, low] = [await there.filter(new Set(odd)), await there.filter({ to: 100 })];
  const [mineHere, lowHere] = [here.filter(odd), here.filter({ to: 100 })];
  const pairs = [
    [mine, mineHere],
    [mine.not(), mineHere.not()],
    [mine.and(low), mineHere.and(lowHere)],
    [mine.not().or(low), mineHere.not().or(lowHere)],
  ] as const;
  for (const [filter, same] of pairs) {
    expect(await filter.count).toBe(same.count);
    const found = here.search(queries, 5, { ...options, filter: same });
    expect(await there.search(queries, 5, { ...options, filter })).toEqual(found);
    expect(await there.rangeSearch(queries, 1, { ...options, filter })).toEqual(
      here.rangeSearch(queries, 1, { ...options, filter: same }),
    );
    const [distances, labels] = [new Float32Array(30), new Int32Array(30)];
    await there.searchInto(queries, 5, distances, labels, { ...options, filter });
    expect([distances, labels]).toEqual([found.distances, found.labels]);
    expect(await there.blend(queries, { filter })).toEqual(blend(here, queries.slice(), { filter: same }));
  }
  expect(await there.ids()).toEqual(here.ids());
  expect([await there.has(399), await there.has(400)]).toEqual([true, false]);
  await there.removeIds([1, 3, 5]);
  expect(await mine.count).toBe(197);
  const other = await indexFactory(D, "Flat");
  made.push(other);
  for (const filter of [await other.filter([1]), mineHere, [1, 3], 7, null])
    expect(await errorOf(() => there.search(queries, 1, { filter: filter as never }))).toMatchObject({
      code: "ERR_PARAMETER",
    });
  expect(await errorOf(() => there.filter(7 as never))).toMatchObject({ code: "ERR_PARAMETER" });
});

describe("a filter by a function", () => {
  test("is asked here, once for each state of the index", async () => {
    const [there, here] = await both("IVF4,Flat");
    let asked = 0;
    const third = (id: number): boolean => id % 3 === 0 && ++asked > 0;
    const [mine, low] = [await there.filter(third as never), await there.filter({ to: 100 })];
    const [same, lowHere] = [here.filter((id: number) => id % 3 === 0), here.filter({ to: 100 })];
    expect(asked).toBe(0);
    const options = { nprobe: 4 };
    for (const [filter, expected] of [
      [mine, same],
      [mine.not(), same.not()],
      [low.and(mine), lowHere.and(same)],
      [mine.or(low).not(), same.or(lowHere).not()],
    ] as const) {
      const found = here.search(queries, 5, { ...options, filter: expected });
      const given = queries.slice();
      const searched = there.search(given, 5, { ...options, filter });
      // Inputs may be reused once the promise is there.
      given.fill(0);
      expect(await searched).toEqual(found);
      expect(await filter.count).toBe(expected.count);
      expect(await there.rangeSearch(queries, 1, { filter })).toEqual(
        here.rangeSearch(queries, 1, { filter: expected }),
      );
      expect(await there.blend(queries, { filter })).toEqual(blend(here, queries.slice(), { filter: expected }));
      const [distances, labels] = [new Float32Array(30), new Int32Array(30)];
      await there.searchInto(queries, 5, distances, labels, { ...options, filter });
      expect(labels).toEqual(found.labels);
      await there.warmUp({ batch: 6, k: 5, ...options, filter });
    }
    const before = asked;
    await there.search(queries, 5, { filter: mine });
    expect(asked).toBe(before);
    await there.addWithIds(queries, [900, 901, 902, 903, 904, 905]);
    await here.addWithIds(queries, [900, 901, 902, 903, 904, 905]);
    expect(await there.search(queries, 5, { ...options, filter: mine })).toEqual(
      here.search(queries, 5, { ...options, filter: same }),
    );
    expect(asked).toBe(before + same.count);
    await there.removeIds([900, 0]);
    expect(await mine.count).toBe(same.count - 2);
  });

  test("of wide ids gets bigints, and what it throws the search rejects with", async () => {
    const there = await indexFactory(D, "IDMap,Flat");
    made.push(there);
    await there.addWithIds(rows.subarray(0, 4 * D), BigInt64Array.of(1n << 40n, 2n, 3n, 4n));
    const wide = await there.filter(((id: bigint) => id > 3n) as never);
    expect(await wide.count).toBe(2);
    const fault = new RangeError("no");
    const broken = await there.filter(() => {
      throw fault;
    });
    expect(await errorOf(() => there.search(queries, 1, { filter: broken }))).toBe(fault);
    expect(await errorOf(() => broken.count)).toBe(fault);
    expect((await there.search(queries, 1, { filter: wide })).labels).toHaveLength(6);
  });
});

describe("merges and updates", () => {
  const fill = async (index: Index | AsyncIndex, from: number, to: number): Promise<void> =>
    index.addWithIds(
      rows.subarray(from * D, to * D),
      Array.from({ length: to - from }, (_, i) => from + i),
    );

  test("upsert, mergeFrom and compact do what they do here", async () => {
    const [[there, here], [other, otherHere]] = [await both("IVF4,Flat"), await both("IVF4,Flat")];
    await there.upsert(queries, [0, 5, 10, 15, 20, 900]);
    await here.upsert(queries, [0, 5, 10, 15, 20, 900]);
    expect(Buffer.compare(await there.toBytes(), here.toBytes())).toBe(0);
    await there.mergeFrom(other, { addId: 1000 });
    await here.mergeFrom(otherHere, { addId: 1000 });
    expect(Buffer.compare(await there.toBytes(), here.toBytes())).toBe(0);
    expect([await other.ntotal, await there.ntotal]).toEqual([0, 801]);
    await there.compact();
    expect(Buffer.compare(await there.toBytes(), here.toBytes())).toBe(0);
    expect(await there.search(queries, 3, { nprobe: 4 })).toEqual(here.search(queries, 3, { nprobe: 4 }));
  });

  test("nothing can be added to what is being merged, and be lost", async () => {
    const [[there], [other]] = [await both("IVF4,Flat"), await both("IVF4,Flat")];
    const merging = there.mergeFrom(other, { addId: 1000 });
    const calls = [fill(other, 0, 5), other.removeIds([3]), other.reset(), other.search(queries, 1)];
    const settled = await Promise.allSettled(calls);
    await merging;
    for (const result of settled) expect(result).toMatchObject({ status: "rejected", reason: { code: "ERR_BUSY" } });
    expect([await there.ntotal, await other.ntotal]).toEqual([800, 0]);
    await fill(other, 0, 5);
    expect(await other.ntotal).toBe(5);
  });

  test("a merge that fails or is aborted leaves both as they were", async () => {
    const [[there], [other]] = [await both("IVF4,Flat"), await both("IVF4,Flat")];
    const before = [await there.toBytes(), await other.toBytes()];
    const [[flat]] = [await both("Flat")];
    const stopped = new Error("stopped");
    const failures: [() => Promise<void>, unknown][] = [
      [() => there.mergeFrom(flat), { code: "ERR_PARAMETER" }],
      [() => there.mergeFrom(other, { addId: 2 ** 31 }), { code: "ERR_ID" }],
      [() => there.mergeFrom(other, { addId: 0.5 }), { code: "ERR_PARAMETER" }],
      [() => there.mergeFrom(there), { code: "ERR_PARAMETER" }],
      [() => there.mergeFrom(other, { signal: AbortSignal.abort(stopped) }), stopped],
    ];
    for (const [call, error] of failures) {
      const actual = await errorOf(call);
      if (error instanceof Error) expect(actual).toBe(error);
      else expect(actual).toMatchObject(error as object);
      expect(Buffer.compare(await there.toBytes(), before[0])).toBe(0);
      expect(Buffer.compare(await other.toBytes(), before[1])).toBe(0);
    }
    expect(await flat.ntotal).toBe(400);
    await there.mergeFrom(other, { addId: 1000 });
    expect(await there.ntotal).toBe(800);
  });
});

test("a file comes as a stream, and fails once the index is changed", async () => {
  const there = await indexFactory(512, "Flat");
  made.push(there);
  await there.add(new Float32Array(1200 * 512).map((_, i) => i % 997));
  const chunks: Uint8Array[] = [];
  for await (const chunk of await there.stream()) {
    chunks.push(chunk);
    await there.search(new Float32Array(512), 3);
  }
  expect(chunks.map(({ length }) => length).slice(0, -1)).toEqual([1 << 20, 1 << 20]);
  expect(Buffer.compare(Buffer.concat(chunks), await there.toBytes())).toBe(0);
  const first = (await there.stream()).getReader();
  const second = (await there.stream()).getReader();
  await Promise.all([first.read(), second.read()]);
  await second.cancel();
  await there.removeIds([1]);
  await expect(first.read()).rejects.toMatchObject({ code: "ERR_BUSY" });
  const last = (await there.stream()).getReader();
  await there.dispose();
  await expect(last.read()).rejects.toMatchObject({ code: "ERR_DISPOSED" });
});
