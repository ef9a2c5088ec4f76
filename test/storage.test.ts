import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { indexFactory, METRIC_INNER_PRODUCT, METRIC_L2, readIndex } from "../src/index.js";
import type { Index, Metric } from "../src/index.js";
import { blend } from "../src/rvc/index.js";
import { Allocator } from "../src/wasm/allocator.js";
import { Engine } from "../src/wasm/engine.js";
import { withFaults } from "./faults.js";
import { ascii, concat, flatFile, header, HEADER_BYTES, i64, idMapFile, ivfFile, refineFile, u8 } from "./files.js";
import type { List } from "./files.js";
import { goldenFolder } from "./golden.js";
import { floats } from "./npy.js";
import { below, pick, randomOf, uniform } from "./random.js";
import type { Random } from "./random.js";
import { best, rowOf, scan } from "./reference.js";

test("ids are marked, each once and below a number", () => {
  const { kernels, u8, i64 } = new Engine();
  const [ids, marks, most] = [1024, 4096, 10];
  for (const [given, fine] of [
    [[], true],
    [[0n, 9n, 3n], true],
    [[9n, 0n, 9n], false],
    [[10n], false],
    [[-1n], false],
    [[1n << 32n], false],
    [[1n - (1n << 63n)], false],
  ] as const) {
    u8.fill(0, marks, marks + most);
    i64.set(given, ids / 8);
    expect(kernels.markIds(ids, given.length, marks, most)).toBe(fine ? 1 : 0);
    if (fine)
      expect([...u8.subarray(marks, marks + most)].flatMap((mark, id) => (mark ? [BigInt(id)] : []))).toEqual(
        [...given].sort(),
      );
  }
});

const golden = (name: string): Buffer => readFileSync(new URL(`${name}.index`, goldenFolder));

test("the allocator: no overlap, the smallest hole that fits, growth in place where there is room, no waste at the end", () => {
  const start = 100;
  const roundUp = (bytes: number): number => Math.ceil(Math.max(bytes, 1) / 64) * 64;
  const size = fc.oneof(
    fc.nat(5000),
    fc.nat(9).map((lines) => lines * 64),
  );
  const operation = fc.oneof(
    fc.record({ kind: fc.constant("allocate" as const), size, which: fc.nat() }),
    fc.record({ kind: fc.constant("resize" as const), size, which: fc.nat() }),
    fc.record({ kind: fc.constant("release" as const), size, which: fc.nat() }),
  );
  fc.assert(
    fc.property(fc.array(operation, { minLength: 1, maxLength: 80, size: "max" }), (operations) => {
      const allocator = new Allocator(start);
      const blocks: { address: number; end: number }[] = [];
      const end = (): number => Math.max(roundUp(start), ...blocks.map((block) => block.end));
      /** Free bytes from an address up to the next block, or to the end of the world. */
      const room = (address: number): number => {
        const above = blocks.filter((block) => block.address >= address).map((block) => block.address);
        return Math.min(...above, Infinity) - address;
      };
      for (const { kind, size, which } of operations) {
        const bytes = roundUp(size);
        const block = blocks[which % Math.max(blocks.length, 1)];
        if (kind === "allocate") {
          const holes = [roundUp(start), ...blocks.map((block) => block.end)]
            .filter((address) => address < end())
            .map(room)
            .filter((hole) => hole >= bytes);
          const before = end();
          const address = allocator.allocate(size);
          expect(address % 64).toBe(0);
          expect(room(address)).toBe(holes.length > 0 ? Math.min(...holes) : Infinity);
          if (holes.length === 0) expect(address).toBe(before);
          expect(blocks.some((other) => address < other.end && other.address < address + bytes)).toBe(false);
          blocks.push({ address, end: address + bytes });
        } else if (block !== undefined && kind === "resize") {
          const fits = block.end + room(block.end) >= block.address + bytes;
          expect(allocator.resize(block.address, size)).toBe(fits);
          if (fits) block.end = block.address + bytes;
        } else if (block !== undefined) {
          allocator.release(block.address);
          blocks.splice(blocks.indexOf(block), 1);
        }
        expect(allocator.end).toBe(end());
      }
      for (const { address } of blocks) allocator.release(address);
      expect(allocator.end).toBe(roundUp(start));
      expect(() => allocator.release(roundUp(start))).toThrow(/no block/);
    }),
    { numRuns: 120 },
  );
});

const D = 3;
const NLIST = 5;

/** What an index is to hold, kept in plain arrays, and the file that faiss would make of it. */
interface Model {
  ntotal: number;
  add(rows: Float32Array, ids?: bigint[]): void;
  remove(drop: (label: bigint) => boolean): void;
  relabel(label: (old: bigint) => bigint): void;
  reset(): void;
  /** Labels and rows, in the order of the storage. */
  entries(): [label: bigint, row: Float32Array][];
  file(): Uint8Array<ArrayBuffer>;
}

const joined = (rows: Float32Array[]): Float32Array => Float32Array.from(rows.flatMap((row) => [...row]));
const split = (rows: Float32Array): Float32Array[] =>
  Array.from({ length: rows.length / D }, (_, i) => rowOf(rows, D, i).slice());

/** Rows number themselves; a removed one lets those behind it move up. */
class FlatModel implements Model {
  rows: Float32Array[] = [];
  readonly metric: Metric;
  constructor(metric: Metric) {
    this.metric = metric;
  }
  get ntotal(): number {
    return this.rows.length;
  }
  add(rows: Float32Array): void {
    this.rows.push(...split(rows));
  }
  remove(drop: (label: bigint) => boolean): void {
    this.rows = this.rows.filter((_, i) => !drop(BigInt(i)));
  }
  relabel(): void {
    // Nothing is stored.
  }
  reset(): void {
    this.rows = [];
  }
  entries(): [bigint, Float32Array][] {
    return this.rows.map((row, i) => [BigInt(i), row]);
  }
  file(): Uint8Array<ArrayBuffer> {
    return flatFile(D, this.metric, joined(this.rows));
  }
}

/** A row goes to the end of the list of its nearest centroid; the last of a list takes the place of a removed one. */
class IvfModel implements Model {
  ntotal = 0;
  lists: { id: bigint; row: Float32Array }[][] = Array.from({ length: NLIST }, () => []);
  readonly metric: Metric;
  readonly centroids: Float32Array;
  constructor(metric: Metric, centroids: Float32Array) {
    this.metric = metric;
    this.centroids = centroids;
  }
  add(rows: Float32Array, ids?: bigint[]): void {
    split(rows).forEach((row, i) => {
      const [{ id }] = best(scan(row, this.centroids, this.metric), 1, this.metric);
      this.lists[Number(id)].push({ id: ids?.[i] ?? BigInt(this.ntotal + i), row });
    });
    this.ntotal += rows.length / D;
  }
  remove(drop: (label: bigint) => boolean): void {
    for (const list of this.lists) {
      for (let i = 0; i < list.length;) {
        if (drop(list[i].id)) {
          const last = list.pop();
          if (last !== undefined && i < list.length) list[i] = last;
          this.ntotal--;
        } else {
          i++;
        }
      }
    }
  }
  relabel(label: (old: bigint) => bigint): void {
    for (const list of this.lists) for (const entry of list) entry.id = label(entry.id);
  }
  reset(): void {
    this.lists = this.lists.map(() => []);
    this.ntotal = 0;
  }
  entries(): [bigint, Float32Array][] {
    return this.lists.flat().map(({ id, row }) => [id, row]);
  }
  file(): Uint8Array<ArrayBuffer> {
    const lists = this.lists.map((list): List => {
      return { ids: list.map(({ id }) => id), rows: joined(list.map(({ row }) => row)) };
    });
    const coarse = flatFile(D, this.metric, this.centroids);
    return ivfFile({ d: D, metric: this.metric, nprobe: 1, coarse, lists, ntotal: this.ntotal });
  }
}

/** Ids of the user's own for the places of the index inside, whose labels close the gaps. */
class IdMapModel implements Model {
  ids: bigint[] = [];
  readonly metric: Metric;
  readonly base: Model;
  constructor(metric: Metric, base: Model) {
    this.metric = metric;
    this.base = base;
  }
  get ntotal(): number {
    return this.ids.length;
  }
  add(rows: Float32Array, ids: bigint[] = []): void {
    this.base.add(rows);
    this.ids.push(...ids);
  }
  remove(drop: (label: bigint) => boolean): void {
    const gone = this.ids.map(drop);
    this.base.remove((label) => gone[Number(label)]);
    this.base.relabel((old) => BigInt(gone.slice(0, Number(old)).filter((g) => !g).length));
    this.ids = this.ids.filter((_, i) => !gone[i]);
  }
  relabel(label: (old: bigint) => bigint): void {
    this.ids = this.ids.map(label);
  }
  reset(): void {
    this.base.reset();
    this.ids = [];
  }
  entries(): [bigint, Float32Array][] {
    return this.base.entries().map(([label, row]) => [this.ids[Number(label)], row]);
  }
  file(): Uint8Array<ArrayBuffer> {
    return idMapFile(D, this.metric, this.base.file(), this.ids);
  }
}

const KINDS: [name: string, takesIds: boolean, make: (metric: Metric, random: Random) => Model][] = [
  ["Flat", false, (metric) => new FlatModel(metric)],
  ["IVF5,Flat", true, (metric, random) => new IvfModel(metric, uniform(random, NLIST * D))],
  ["Flat,IDMap", true, (metric) => new IdMapModel(metric, new FlatModel(metric))],
  [
    "IVF5,Flat,IDMap",
    true,
    (metric, random) => new IdMapModel(metric, new IvfModel(metric, uniform(random, NLIST * D))),
  ],
];

/** Expects that an index holds what its model does: the file, each vector by its id, and the answers of a fresh reading. */
async function expectModel(index: Index, model: Model): Promise<void> {
  const bytes = model.file();
  expect(Buffer.compare(index.toBytes(), bytes)).toBe(0);
  expect(index.ntotal).toBe(model.ntotal);
  const entries = model.entries();
  const unique = entries.filter(([id]) => entries.filter(([other]) => other === id).length === 1);
  const ids = BigInt64Array.from(unique, ([id]) => id);
  expect(index.reconstructBatch(ids)).toEqual(joined(unique.map(([, row]) => row)));
  if (unique.length > 0) {
    const [id, row] = unique[unique.length >> 1];
    expect(index.reconstruct(id)).toEqual(row);
    if (BigInt(Number(id)) === id) expect(index.reconstruct(Number(id))).toEqual(row);
  }
  expect(() => index.reconstruct(123456789)).toThrow(/holds no vector with the id 123456789/);
  const fresh = await readIndex(bytes);
  const queries = uniform(randomOf(1), 4 * D);
  const [mine, theirs] = [index, fresh].map((i) => i.search(queries, 7, { nprobe: 3 }));
  expect([...mine.distances]).toEqual([...theirs.distances]);
  expect(Array.from(mine.labels, BigInt)).toEqual(Array.from(theirs.labels, BigInt));
  expect(Buffer.compare(fresh.toBytes(), bytes)).toBe(0);
  fresh.dispose();
}

describe.each(KINDS)("%s against a naive model", (name, takesIds, make) => {
  const operation = fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant("add" as const), n: fc.nat(9) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("remove" as const), n: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("reset" as const, "reread" as const), n: fc.nat(0) }) },
  );

  test("adds, removals, resets and readings in any order", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(operation, { maxLength: 14 }),
        fc.integer(),
        fc.constantFrom(METRIC_L2, METRIC_INNER_PRODUCT),
        fc.constantFrom(0, 1, 2),
        async (operations, seed, metric, width) => {
          const random = randomOf(seed);
          const model = make(metric, random);
          let index = await readIndex(model.file());
          expect(index.description).toBe(name);
          for (const { kind, n } of operations) {
            if (kind === "add") {
              const rows = uniform(random, n * D);
              if (takesIds && (name.endsWith("IDMap") || width === 2 || random() < 0.5)) {
                // Narrow or wide, but never both: the first that come decide.
                const id = (): bigint => (BigInt(below(random, 40) - 3) << BigInt(width * 20)) * 2n;
                const ids = Array.from({ length: n }, id);
                await index.addWithIds(rows, width === 2 ? BigInt64Array.from(ids) : Int32Array.from(ids, Number));
                model.add(rows, ids);
              } else {
                await index.add(rows);
                model.add(rows);
              }
            } else if (kind === "remove") {
              const labels = model.entries().map(([id]) => id);
              const gone = Array.from({ length: n }, () => pick(random, [...labels, 7n, 99n]));
              const before = model.ntotal;
              model.remove((label) => gone.includes(label));
              expect(index.removeIds(gone)).toBe(before - model.ntotal);
            } else if (kind === "reset") {
              model.reset();
              index.reset();
            } else {
              const { idType } = index;
              const wide = model.entries().some(([id]) => id !== BigInt.asIntN(32, id));
              const again = await readIndex(index.toBytes());
              // A file has wide ids or it does not.
              expect(again.idType).toBe(wide ? "int64" : "int32");
              if (again.idType === idType) index = again;
            }
          }
          await expectModel(index, model);
        },
      ),
      { numRuns: 60 },
    ));

  test("adds in any split give the bytes of one add", () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.nat(12), { maxLength: 12 }), fc.integer(), async (sizes, seed) => {
        const random = randomOf(seed);
        const model = make(METRIC_L2, random);
        const [pieces, whole] = await Promise.all([readIndex(model.file()), readIndex(model.file())]);
        const n = sizes.reduce((sum, size) => sum + size, 0);
        const rows = uniform(random, n * D);
        const ids = Int32Array.from({ length: n }, () => below(random, 1000));
        const add = (index: Index, from: number, to: number): Promise<void> =>
          name.endsWith("IDMap")
            ? index.addWithIds(rows.subarray(from * D, to * D), ids.subarray(from, to))
            : index.add(rows.subarray(from * D, to * D));
        let at = 0;
        for (const size of sizes) await add(pieces, at, (at += size));
        await add(whole, 0, n);
        expect(Buffer.compare(pieces.toBytes(), whole.toBytes())).toBe(0);
      }),
      { numRuns: 40 },
    ));

  test("a thousand small adds copy little and hold little; a reset gives the memory back", async () => {
    const random = randomOf(2);
    const model = make(METRIC_L2, random);
    const index = await readIndex(model.file());
    for (let i = 0; i < 1000; i++) {
      const rows = uniform(random, 16 * D);
      const ids = Array.from({ length: 16 }, (_, j) => BigInt(i * 16 + j));
      if (name.endsWith("IDMap")) await index.addWithIds(rows, ids);
      else await index.add(rows);
      model.add(rows, ids);
    }
    expect(Buffer.compare(index.toBytes(), model.file())).toBe(0);
    const { memory } = index;
    expect(memory).toBeLessThan(2.5 * model.file().length + 300_000);
    const rows = joined(model.entries().map(([, row]) => row));
    index.reset();
    const ids = Int32Array.from({ length: 16_000 }, (_, i) => i);
    await (name.endsWith("IDMap") ? index.addWithIds(rows, ids) : index.add(rows));
    expect(index.memory).toBe(memory);
    expect(index.ntotal).toBe(16_000);
  });
});

describe("as faiss does it", () => {
  test.each(["flat", "ivf_flat"])("removing every third id from %s_l2 gives faiss' file", async (name) => {
    const index = await readIndex(golden(`${name}_l2`));
    const ids = Array.from({ length: 340 }, (_, i) => i * 3);
    expect(index.removeIds(ids)).toBe(334);
    expect(Buffer.compare(index.toBytes(), golden(`${name}_removed`))).toBe(0);
  });

  const { data: base } = floats(new URL("base.npy", goldenFolder));

  test("adding to the trained, empty file gives faiss' file", async () => {
    const index = await readIndex(golden("ivf_flat_empty_trained"));
    for (let i = 0; i < 1000; i += 125) await index.add(base.subarray(i * 64, (i + 125) * 64));
    const [own, faiss] = [index.toBytes(), golden("ivf_flat_l2")];
    expect(Buffer.compare(own, faiss)).toBe(0);
  });

  test("what was not added under its number is found under its id", async () => {
    const index = await readIndex(golden("flat_removed"));
    // The first third of the survivors: 1, 2, 4, 5, …
    expect(index.reconstructBatch([0, 1, 2, 3])).toEqual(rowsAt(base, [1, 2, 4, 5]));
    const ivf = await readIndex(golden("ivf_flat_removed"));
    expect(ivf.reconstructBatch([1, 2, 4, 5])).toEqual(rowsAt(base, [1, 2, 4, 5]));
    expect(() => ivf.reconstruct(3)).toThrow(/no vector with the id 3/);
  });

  function rowsAt(rows: Float32Array, which: number[]): Float32Array {
    return Float32Array.from(which.flatMap((i) => [...rowOf(rows, 64, i)]));
  }
});

/** An `IVF…,Flat` file taken apart: where each id stands, and where its direct map says so. */
function directMapOf(file: Uint8Array): { kind: number; places: Map<bigint, string>; map: Map<bigint, string> } {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  let at = 4;
  const i64 = (): number => Number(view.getBigInt64((at += 8) - 8, true));
  const big = (): bigint => view.getBigInt64((at += 8) - 8, true);
  const d = view.getInt32(at, true);
  at = HEADER_BYTES;
  const [nlist] = [i64(), i64()];
  at += HEADER_BYTES;
  const floats = i64();
  at += floats * 4;
  const kind = file[at++];
  const map = new Map<bigint, string>();
  const place = (value: bigint): string => `${value >> 32n}:${value & 0xffffffffn}`;
  for (let i = 0, n = i64(); i < n; i++) {
    const value = big();
    if (value !== -1n) map.set(BigInt(i), place(value));
  }
  if (kind === 2) for (let i = i64(); i > 0; i--) map.set(big(), place(big()));
  at += 4 + 16;
  const full = String.fromCharCode(...file.subarray(at, at + 4)) === "full";
  at += 4;
  const sizes = new Array<number>(nlist).fill(0);
  for (let i = 0, n = i64(); i < n; i += full ? 1 : 2) {
    const list = full ? i : i64();
    sizes[list] = i64();
  }
  const places = new Map<bigint, string>();
  sizes.forEach((size, list) => {
    at += size * d * 4;
    for (let i = 0; i < size; i++) places.set(big(), `${list}:${i}`);
  });
  expect(at).toBe(file.length);
  return { kind, places, map };
}

describe("a direct map is kept true", () => {
  const rows = uniform(randomOf(3), 5 * 64);

  test.each([
    ["array", 1],
    ["hash", 2],
  ])("%s: add", async (name, kind) => {
    const index = await readIndex(golden(`ivf_flat_directmap_${name}`));
    expect(directMapOf(index.toBytes())).toMatchObject({ kind });
    await index.add(rows);
    const { kind: then, places, map } = directMapOf(index.toBytes());
    expect([then, places.size]).toEqual([kind, 1005]);
    expect(map).toEqual(places);
    expect((await readIndex(index.toBytes())).reconstructBatch([1000, 1001, 1002, 1003, 1004])).toEqual(rows);
  });

  test.each(["array", "hash"])(
    "%s: remove, add, reset; an array can't have gaps and becomes a hash table",
    async (name) => {
      let index = await readIndex(golden(`ivf_flat_directmap_${name}`));
      expect(index.removeIds([5, 17, 999, 1000])).toBe(3);
      for (const n of [997, 1002]) {
        const { kind, places, map } = directMapOf(index.toBytes());
        expect(kind).toBe(2);
        expect(map).toEqual(places);
        index = await readIndex(index.toBytes());
        expect(index.ntotal).toBe(n);
        if (n === 997) await index.addWithIds(rows, [5, 17, 2000, 2001, 2002]);
      }
      expect(index.reconstruct(2001)).toEqual(rowOf(rows, 64, 3));
      // Numbers in sequence now meet ids that are there already, as in faiss; the file can be read all the same.
      await index.add(rows);
      expect((await readIndex(index.toBytes())).ntotal).toBe(1007);
      index.reset();
      expect(directMapOf(index.toBytes())).toEqual({ kind: 2, places: new Map(), map: new Map() });
      expect((await readIndex(index.toBytes())).ntotal).toBe(0);
    },
  );

  test("an array stays one over a reset, and takes no ids of one's own", async () => {
    const index = await readIndex(golden("ivf_flat_directmap_array"));
    await expect(index.addWithIds(rows, [7, 8, 9, 10, 11])).rejects.toMatchObject({ code: "ERR_ID" });
    index.reset();
    await index.add(rows);
    const { kind, places, map } = directMapOf(index.toBytes());
    expect([kind, places.size]).toEqual([1, 5]);
    expect(map).toEqual(places);
  });

  test("one that lies is refused", async () => {
    const coarse = flatFile(1, METRIC_L2, Float32Array.of(0, 1));
    const lists = [
      { ids: [0, 2], rows: Float32Array.of(0, 2) },
      { ids: [1], rows: Float32Array.of(1) },
    ];
    const read = (directMap: Uint8Array): Promise<Index> =>
      readIndex(ivfFile({ d: 1, metric: METRIC_L2, nprobe: 1, coarse, lists, directMap }));
    const place = (list: number, offset: number): bigint => (BigInt(list) << 32n) | BigInt(offset);
    const array = (...places: (number | bigint)[]): Uint8Array => concat(u8(1), i64(places.length, ...places));
    const pairs = (...items: (number | bigint)[]): Uint8Array => concat(u8(2), i64(0, items.length / 2, ...items));
    await read(array(place(0, 0), place(1, 0), place(0, 1)));
    await read(pairs(2, place(0, 1), 0, place(0, 0)));
    for (const lie of [
      array(place(0, 0), place(0, 1), place(1, 0)),
      array(place(0, 0), place(1, 0)),
      array(place(0, 0), place(1, 0), place(0, 1), -1),
      array(place(0, 0), -1, place(0, 1)),
      array(place(0, 0), place(1, 1), place(0, 1)),
      array(place(0, 0), place(2, 0), place(0, 1)),
      array(place(0, 0), place(-1, 0), place(0, 1)),
      pairs(2, place(0, 0)),
      pairs(3, place(0, 1)),
      pairs(2, place(1 << 30, 1)),
      concat(u8(0), i64(1, 0)),
      concat(u8(3), i64(0)),
    ]) {
      await expect(read(lie)).rejects.toMatchObject({
        code: "ERR_FORMAT",
        message: expect.stringMatching(/direct map/) as string,
      });
    }
  });
});

describe("ids of 64 bits", () => {
  const rows = uniform(randomOf(4), 4 * D);
  const make = async (): Promise<Index> => indexFactory(D, "IDMap,Flat");
  const labels = (index: Index): Int32Array | BigInt64Array => index.search(rowOf(rows, D, 0), 1).labels;

  test("the first ids decide, whatever is removed, until reset", async () => {
    const index = await make();
    expect(index.idType).toBe("int32");
    await index.addWithIds(rows, BigInt64Array.of(7n, 8n, 9n, 10n));
    expect(index.idType).toBe("int64");
    expect(labels(index)).toStrictEqual(BigInt64Array.of(7n));
    expect(index.removeIds([7, 8, 9, 10])).toBe(4);
    await index.addWithIds(rows, [1, 2, 3, 4]);
    expect([index.idType, labels(index)]).toStrictEqual(["int64", BigInt64Array.of(1n)]);
    index.reset();
    expect(index.idType).toBe("int32");
    await index.addWithIds(rows, [1, 2, 3, 4]);
    expect([index.idType, labels(index)]).toStrictEqual(["int32", Int32Array.of(1)]);
    index.removeIds([1, 2, 3, 4]);
    await expect(index.addWithIds(rows, BigInt64Array.of(1n << 40n, 2n, 3n, 4n))).rejects.toMatchObject({
      code: "ERR_ID",
    });
    await index.addWithIds(rows, BigInt64Array.of(-5n, 2n, 3n, 4n));
    expect([index.idType, labels(index)]).toStrictEqual(["int32", Int32Array.of(-5)]);
  });

  test("no vectors decide nothing, and neither does an add that fails", async () => {
    const index = await make();
    await index.addWithIds(new Float32Array(0), new BigInt64Array(0));
    expect(index.idType).toBe("int32");
    await expect(
      index.addWithIds(
        rows.map(() => NaN),
        BigInt64Array.of(1n, 2n, 3n, 4n),
      ),
    ).rejects.toMatchObject({ code: "ERR_NOT_FINITE" });
    expect(index.idType).toBe("int32");
    await index.addWithIds(rows, [1, 2, 3, 4]);
    expect(index.idType).toBe("int32");
  });

  test.each(["IDMap,Flat", "IVF2,Flat"])(
    "%s: wide ids survive the file and come back from searches",
    async (description) => {
      const index = await indexFactory(D, description);
      await index.train(rows);
      const ids = BigInt64Array.of(1n << 40n, -(1n << 62n), 3n, (1n << 63n) - 1n);
      await index.addWithIds(rows, ids);
      const bytes = index.toBytes();
      const again = await readIndex(bytes);
      for (const each of [index, again]) {
        expect(each.idType).toBe("int64");
        const { labels } = each.search(rows, 2, { nprobe: 2 });
        expect(labels.filter((_: number | bigint, i: number) => i % 2 === 0)).toEqual(ids);
        expect(each.reconstructBatch(ids)).toEqual(rows);
        const into = new BigInt64Array(4);
        each.searchInto(rows, 1, new Float32Array(4), into);
        expect(into).toEqual(ids);
        expect(each.toBytes()).toEqual(bytes);
        expect(each.removeIds(ids.subarray(1, 3))).toBe(2);
        expect(
          each.search(rows, 4, { nprobe: 2 }).labels.filter((label: number | bigint) => label === -1n),
        ).toHaveLength(8);
        // Wide it stays, with narrow ids too.
        each.removeIds([...ids]);
        await each.addWithIds(rows.subarray(0, D), [5]);
        expect(labelsOf(each)).toStrictEqual(BigInt64Array.of(5n));
      }
    },
  );

  function labelsOf(index: Index): Int32Array | BigInt64Array {
    return index.search(rowOf(rows, D, 0), 1, { nprobe: 2 }).labels;
  }
});

describe("parameters", () => {
  test("are set by name, all or none, survive the file, and go to the part they belong to", async () => {
    const index = await indexFactory(D, "IVF4(IVF2,Flat),Flat,IDMap");
    expect(["nprobe", "max_codes", "quantizer_nprobe"].map((name) => index.get(name))).toEqual([1, 0, 1]);
    index.set("nprobe=3,max_codes=100 quantizer_nprobe=2,");
    expect(["nprobe", "max_codes", "quantizer_nprobe"].map((name) => index.get(name))).toEqual([3, 100, 2]);
    for (const wrong of ["nprobe=2,nonsense=1", "nprobe=2,max_codes=-1", "nprobe=2,nprobe", "nprobe=2,nprobe=x"]) {
      expect(() => index.set(wrong)).toThrow(expect.objectContaining({ code: "ERR_PARAMETER" }) as Error);
      expect(index.get("nprobe")).toBe(3);
    }
    const again = await readIndex(index.toBytes());
    // max_codes has no place in a file.
    expect(["nprobe", "max_codes", "quantizer_nprobe"].map((name) => again.get(name))).toEqual([3, 0, 2]);
    index.reset();
    expect(index.get("nprobe")).toBe(3);
  });
});

describe("indexes in indexes", () => {
  const random = randomOf(5);
  const rows = uniform(random, 60 * D);

  test("an IVF as coarse quantizer: trained, filled, searched, written", async () => {
    const index = await indexFactory(D, "IVF6(IVF2,Flat),Flat");
    index.set("quantizer_nprobe=2");
    await index.train(rows);
    await index.add(rows);
    const again = await readIndex(index.toBytes());
    expect(again.description).toBe("IVF6(IVF2,Flat),Flat");
    const flat = await indexFactory(D, "Flat");
    await flat.add(rows);
    for (const each of [index, again]) expect(each.search(rows, 5, { nprobe: 6 })).toEqual(flat.search(rows, 5));
  });

  test("removal from a trained index that holds nothing leaves the cells alone", async () => {
    const index = await indexFactory(D, "IVF40,Flat");
    await index.train(rows);
    const bytes = index.toBytes();
    expect(index.removeIds([0, 1, 2])).toBe(0);
    expect(index.toBytes()).toEqual(bytes);
  });

  test("vectors that faiss counted and could not place are no trouble", async () => {
    // Label 1 of three was a NaN: it stands in no list.
    const lists = [
      { ids: [0], rows: Float32Array.of(0) },
      { ids: [2], rows: Float32Array.of(2) },
    ];
    const coarse = flatFile(1, METRIC_L2, Float32Array.of(0, 2));
    const ivf = ivfFile({ d: 1, metric: METRIC_L2, nprobe: 2, coarse, lists, ntotal: 3 });
    const index = await readIndex(ivf);
    expect([index.ntotal, ...index.search(Float32Array.of(0), 3).labels]).toEqual([3, 0, 2, -1]);
    expect(index.toBytes()).toEqual(ivf);
    await index.add(Float32Array.of(5));
    expect(index.reconstruct(3)).toEqual(Float32Array.of(5));
    // Under an IDMap it can't be removed, and its id stays with it.
    const mapped = await readIndex(idMapFile(1, METRIC_L2, ivf, [10, 11, 12]));
    expect(mapped.removeIds([10, 11])).toBe(1);
    expect([mapped.ntotal, ...mapped.search(Float32Array.of(0), 3).labels]).toEqual([2, 12, -1, -1]);
    const again = await readIndex(mapped.toBytes());
    expect([...again.search(Float32Array.of(0), 2).labels]).toEqual([12, -1]);
  });

  test("a Refine keeps count of vectors that its first index could not place", async () => {
    // Row 3 of six was a NaN: it stands in no list, but among the rows.
    const row = (x: number): Float32Array => Float32Array.of(x);
    const lists = [{ ids: [0, 1, 2, 4, 5], rows: Float32Array.of(0, 1, 2, 4, 5) }];
    const ivf = ivfFile({
      d: 1,
      metric: METRIC_L2,
      nprobe: 1,
      coarse: flatFile(1, METRIC_L2, row(0)),
      lists,
      ntotal: 6,
    });
    const file = refineFile(1, METRIC_L2, ivf, flatFile(1, METRIC_L2, Float32Array.of(0, 1, 2, NaN, 4, 5)), 6, 2);
    const answers = async (index: Index, query: number): Promise<number[]> => {
      const own = await readIndex(index.toBytes());
      const found = index.search(row(query), 3);
      expect(own.search(row(query), 3)).toEqual(found);
      return [index.ntotal, ...Array.from(found.labels, Number), ...found.distances];
    };
    const NOTHING = Math.fround(3.4028234663852886e38);
    const index = await readIndex(file);
    expect(index.toBytes()).toEqual(file);
    expect(await answers(index, 4)).toEqual([6, 4, 5, 2, 0, 1, 4]);
    expect(index.removeIds([3])).toBe(1);
    expect(await answers(index, 4)).toEqual([5, 3, 4, 2, 0, 1, 4]);
    await index.add(row(77));
    expect(await answers(index, 77)).toEqual([6, 5, 4, 3, 0, 72 * 72, 73 * 73]);
    expect(index.reconstruct(5)).toEqual(row(77));
    expect(index.removeIds([0, 1, 2, 3, 4])).toBe(5);
    expect(await answers(index, 77)).toEqual([1, 0, -1, -1, 0, NOTHING, NOTHING]);

    const other = await readIndex(file);
    expect(other.removeIds([0, 5])).toBe(2);
    expect(await answers(other, 4)).toEqual([4, 3, 1, 0, 0, 4, 9]);
    const mapped = await readIndex(idMapFile(1, METRIC_L2, file, [10, 11, 12, 13, 14, 15]));
    expect(mapped.removeIds([13, 10])).toBe(2);
    expect(await answers(mapped, 4)).toEqual([4, 14, 15, 12, 0, 1, 4]);
  });

  test("an IDMap inside a Refine, with labels in another order, closes the gaps", async () => {
    const rows = Float32Array.of(3, 2, 1, 0);
    const map = idMapFile(1, METRIC_L2, flatFile(1, METRIC_L2, rows), [3, 2, 1, 0]);
    const index = await readIndex(refineFile(1, METRIC_L2, map, flatFile(1, METRIC_L2, rows.slice().reverse()), 4, 2));
    expect([...index.search(Float32Array.of(3), 2).labels]).toEqual([3, 2]);
    expect(index.removeIds([1])).toBe(1);
    for (const each of [index, await readIndex(index.toBytes())]) {
      expect([...each.search(Float32Array.of(3), 3).labels]).toEqual([2, 1, 0]);
      expect(each.reconstruct(2)).toEqual(Float32Array.of(3));
    }
  });

  test("a second index of a Refine that has labels of its own, and metrics that disagree, are refused by name", async () => {
    const rows = Float32Array.of(0, 1, 2);
    const flat = (metric: Metric = METRIC_L2): Uint8Array => flatFile(1, metric, rows);
    const lists = [{ ids: [0, 1, 2], rows }];
    const coarse = flatFile(1, METRIC_L2, Float32Array.of(0));
    const ivf = ivfFile({ d: 1, metric: METRIC_L2, nprobe: 1, coarse, lists });
    const map = idMapFile(1, METRIC_L2, flat(), [2, 1, 0]);
    for (const [wrong, message] of [
      [refineFile(1, METRIC_L2, flat(), ivf, 3), /second index of the Refine, IVF1,Flat, does not keep/],
      [refineFile(1, METRIC_L2, flat(), map, 3), /second index of the Refine, Flat,IDMap, does not keep/],
      [
        refineFile(1, METRIC_L2, flat(METRIC_INNER_PRODUCT), flat(), 3),
        /first index .* inner product and the Refine L2/,
      ],
      [
        refineFile(1, METRIC_L2, flat(), flat(METRIC_INNER_PRODUCT), 3),
        /second index .* inner product and the Refine L2/,
      ],
      [refineFile(1, METRIC_INNER_PRODUCT, flat(), flat(), 3), /first index .* L2 and the Refine inner product/],
      [idMapFile(1, METRIC_INNER_PRODUCT, flat(), [5, 6, 7]), /under the IDMap .* L2 and the IDMap inner product/],
    ] as const) {
      await expect(readIndex(wrong)).rejects.toMatchObject({
        code: "ERR_UNSUPPORTED",
        message: expect.stringMatching(message) as string,
      });
    }
    const nested = refineFile(1, METRIC_L2, flat(), flat(), 3);
    const index = await readIndex(refineFile(1, METRIC_L2, flat(), nested, 3));
    expect([...index.search(Float32Array.of(2), 2).labels]).toEqual([2, 1]);
  });

  test.each(["IVF300,PQ4x4fs", "IVF300,PQ2x4fs,RFlat", "IVF300,Flat", "IDMap,IVF300,PQ4x4fs"])(
    "%s: one that is empty again, or still, is written as one that never held a vector",
    async (description) => {
      const vectors = uniform(randomOf(5), 3000 * 4);
      const made = await indexFactory(4, description);
      await made.train(vectors);
      const empty = made.toBytes();
      const ids = Int32Array.from({ length: 3000 }, (_, i) => i);
      const add = (index: Index, options = {}): Promise<void> =>
        description.startsWith("IDMap") ? index.addWithIds(vectors, ids, options) : index.add(vectors, options);
      const aborted = (at: number) => async (index: Index) => {
        const controller = new AbortController();
        let news = 0;
        const onProgress = (): void => (news++ === at ? controller.abort(new Error("enough")) : undefined);
        await expect(add(index, { signal: controller.signal, onProgress })).rejects.toThrow("enough");
      };
      const ways: ((index: Index) => unknown)[] = [
        (index) => add(index).then(() => index.reset()),
        (index) => add(index).then(() => index.removeIds(index.ids())),
        async (index) => {
          await add(index);
          index.removeIds(ids);
          index.compact();
        },
        aborted(0),
        aborted(1),
      ];
      for (const [i, emptied] of ways.entries()) {
        const index = await readIndex(empty);
        for (let round = 0; round < 2; round++) {
          await emptied(index);
          expect(Buffer.compare(index.toBytes(), empty), `way ${i}`).toBe(0);
        }
        await add(index);
        expect(index.search(vectors.subarray(0, 4), 1, { nprobe: 300, kFactor: 9 }).labels[0]).toBe(0);
      }
    },
  );

  test("memory goes by what a file holds, whatever number of vectors it claims", async () => {
    const MOST = 2 ** 31 - 1;
    const lists = [{ ids: [7], rows: Float32Array.of(3) }];
    const coarse = flatFile(1, METRIC_L2, Float32Array.of(0));
    const ivf = ivfFile({ d: 1, metric: METRIC_L2, nprobe: 1, coarse, lists, ntotal: MOST });
    const { faults, result: index } = await withFaults(Infinity, 0, async () => {
      const read = await readIndex(ivf);
      expect([...read.search(Float32Array.of(3), 2).labels]).toEqual([7, -1]);
      expect(read.reconstruct(7)).toEqual(Float32Array.of(3));
      expect([...read.ids()]).toEqual([7]);
      expect(() => read.search(Float32Array.of(3), 2 ** 25)).toThrow(/more than an index of 1 vectors fills up for/);
      expect(blend(read, Float32Array.of(5), { k: MOST, rate: 1 })).toEqual(Float32Array.of(3));
      expect(read.removeIds([0, 7, MOST])).toBe(1);
      expect(read.toBytes().length).toBe(ivf.length - 12 - 8);
      return read;
    });
    expect(faults.bytes).toBeLessThan(10_000);
    expect([index.ntotal, index.memory, index.description]).toEqual([MOST - 1, 65536, "IVF1,Flat"]);

    // Around it, something must have as many; and a Refine of two that only claim them is none.
    for (const wrong of [
      refineFile(1, METRIC_L2, ivf, ivf, MOST),
      refineFile(1, METRIC_L2, ivf, flatFile(1, METRIC_L2, Float32Array.of(3)), MOST),
      concat(header("IxMp", 1, MOST, METRIC_L2), ivf, i64(1, 5)),
      ivfFile({ d: 1, metric: METRIC_L2, nprobe: 1, coarse: ivf, lists, ntotal: MOST }),
    ]) {
      const { faults, result } = await withFaults(Infinity, 0, () => readIndex(wrong).catch((error: unknown) => error));
      expect(result).toMatchObject({ code: expect.stringMatching(/FORMAT|UNSUPPORTED/) as string });
      expect(faults.bytes).toBeLessThan(10_000);
    }
    // Few of many: labels are looked at without a place for each that is claimed.
    const few = (...ids: number[]): Uint8Array => {
      const lists = [{ ids, rows: new Float32Array(ids.length) }];
      const part = ivfFile({ d: 1, metric: METRIC_L2, nprobe: 1, coarse, lists, ntotal: 100 });
      return refineFile(1, METRIC_L2, part, flatFile(1, METRIC_L2, new Float32Array(100)), 100);
    };
    expect([...(await readIndex(few(99, 0, 50))).search(Float32Array.of(0), 3).labels].sort()).toEqual([0, 50, 99]);
    for (const wrong of [few(0, 99, 0), few(100, 0), few(5, -1)])
      await expect(readIndex(wrong)).rejects.toMatchObject({ code: "ERR_FORMAT" });
  });

  test("labels that an index around it can't use are refused", async () => {
    const coarse = flatFile(1, METRIC_L2, Float32Array.of(0, 2));
    const ivf = (ids: number[], ntotal?: number): Uint8Array => {
      const lists = [
        { ids, rows: new Float32Array(ids.length) },
        { ids: [], rows: new Float32Array(0) },
      ];
      return ivfFile({ d: 1, metric: METRIC_L2, nprobe: 2, coarse, lists, ntotal: ntotal ?? ids.length });
    };
    await readIndex(idMapFile(1, METRIC_L2, ivf([1, 0]), [5, 6]));
    // What faiss leaves behind when it removes vectors: labels are told by their rank, with a warning.
    const warnings: string[] = [];
    await readIndex(idMapFile(1, METRIC_L2, ivf([0, 2]), [5, 6]), { onWarning: ({ code }) => warnings.push(code) });
    expect(warnings).toEqual(["WARN_IDS"]);
    const around = (inner: Uint8Array, nlist = 2, trained = true): Uint8Array => {
      const lists = Array.from({ length: nlist }, () => ({ ids: [], rows: new Float32Array(0) }));
      return ivfFile({ d: 1, metric: METRIC_L2, nprobe: 1, coarse: inner, lists, trained });
    };
    await readIndex(around(ivf([1, 0])));
    for (const wrong of [
      idMapFile(1, METRIC_L2, ivf([1, 1]), [5, 6]),
      idMapFile(1, METRIC_L2, ivf([0, -1]), [5, 6]),
      idMapFile(1, METRIC_L2, ivf([0, 1]), [5, 6, 7]),
      around(ivf([1, 1])),
      around(ivf([0, 2])),
      around(ivf([0], 2)),
      around(ivf([0, 1]), 3),
      around(coarse, 3, false),
      around(coarse, 1, false),
    ]) {
      await expect(readIndex(wrong)).rejects.toMatchObject({
        // An IDMap whose labels might have been put right, and can't be told, says so.
        code: expect.stringMatching(/^ERR_(FORMAT|UNSUPPORTED)$/) as string,
      });
    }
  });

  test("an untrained file that has its cells keeps them in training", async () => {
    const coarse = flatFile(1, METRIC_L2, Float32Array.of(0, 9));
    const empty = { ids: [], rows: new Float32Array(0) };
    const file = ivfFile({ d: 1, metric: METRIC_L2, nprobe: 1, coarse, lists: [empty, empty], trained: false });
    const index = await readIndex(file);
    expect(index.isTrained).toBe(false);
    await index.train(Float32Array.of(100, 200, 300));
    await index.add(Float32Array.of(1, 8));
    expect([...index.search(Float32Array.of(0, 9), 1).labels]).toEqual([0, 1]);
    expect(index.toBytes().subarray(HEADER_BYTES + 16, HEADER_BYTES + 16 + coarse.length)).toEqual(coarse);
  });

  test("what a header says of training is kept", async () => {
    const file = flatFile(1, METRIC_L2, Float32Array.of(1, 2));
    file[4 + 4 + 24] = 0;
    const index = await readIndex(file);
    expect(index.isTrained).toBe(false);
    expect(index.toBytes()).toEqual(file);
    await index.train(new Float32Array(0));
    expect([...index.search(Float32Array.of(2), 1).labels]).toEqual([1]);
  });

  test("the fourcc of an old flat file is kept", async () => {
    const file = flatFile(1, METRIC_INNER_PRODUCT, Float32Array.of(1, 2));
    file.set(ascii("IxFl"));
    const index = await readIndex(file);
    expect([...index.search(Float32Array.of(2), 1).labels]).toEqual([1]);
    expect(index.toBytes()).toEqual(file);
  });
});
