import { describe, expect, test } from "vitest";
import { indexFactory, readIndex } from "../src/index.js";
import type { Index } from "../src/index.js";
import { blend } from "../src/rvc/index.js";
import { randomOf, uniform } from "./random.js";
import { codeOf, errorOf } from "./rejections.js";

// What a caller's own code does in the midst of a call: a filter's function and a getter of options that search, or change the index, and
// somebody who has his turn between two promises.

const D = 8;
const rows = uniform(randomOf(1), 600 * D);
const queries = uniform(randomOf(2), 20 * D);
const one = queries.subarray(0, D);

async function filled(description: string): Promise<Index> {
  const index = await indexFactory(D, description);
  await index.train(rows);
  if (description.includes("IDMap"))
    await index.addWithIds(
      rows,
      Int32Array.from({ length: 600 }, (_, i) => 3 * i + 5),
    );
  else await index.add(rows);
  return index;
}

describe.each(["IVF16,Flat", "IVF16,PQ4x4fs,RFlat", "IDMap,IVF16,Flat"])("%s", (description) => {
  /** Every call that takes a filter, with parameters other than those of {@link inner}. */
  const CALLS: Record<string, (index: Index, options: PropertyDescriptorMap) => unknown> = {
    search: (index, options) => index.search(queries, 5, Object.defineProperties({ nprobe: 16, kFactor: 9 }, options)),
    searchInto: (index, options) => {
      const found = [new Float32Array(100), new Int32Array(100)] as const;
      index.searchInto(queries, 5, ...found, Object.defineProperties({ nprobe: 16, kFactor: 9 }, options));
      return found;
    },
    rangeSearch: (index, options) => index.rangeSearch(queries, 0.5, Object.defineProperties({ nprobe: 16 }, options)),
    blend: (index, options) =>
      blend(index, queries.slice(), Object.defineProperties({ k: 5, nprobe: 16, kFactor: 9 }, options)),
  };
  /** Calls with the smallest parameters, and a filter that admits next to nothing. */
  const inner = (index: Index): void => {
    const filter = index.filter({ from: 5, to: 9 });
    index.search(one, 1, { nprobe: 1, kFactor: 1, filter });
    blend(index, one.slice(), { k: 1, nprobe: 1, kFactor: 1, ensureK: false, filter });
  };

  test.each(Object.keys(CALLS))(
    "%s is what it is, whatever its filter's function and its getters search for",
    async (name) => {
      const index = await filled(description);
      const call = (options: PropertyDescriptorMap): unknown => CALLS[name](index, options);
      const expected = call({});
      const searching = index.filter((id: number) => {
        if (id % 50 === 5) inner(index);
        return true;
      });
      expect(call({ filter: { value: searching, enumerable: true } })).toEqual(expected);
      for (const option of ["filter", "d", "efSearch", "ensureK"]) {
        const get = (): undefined => {
          inner(index);
          return undefined;
        };
        if (name === "blend" && option === "ensureK") continue;
        expect(call({ [option]: { get, enumerable: true } }), option).toEqual(expected);
      }
    },
  );

  test("a filter's function that changes the index is told so, at once", async () => {
    const changes: ((index: Index, id: number) => unknown)[] = [
      (index, id) => index.removeIds([id]),
      (index) => index.removeIds(index.ids()),
      (index) => index.compact(),
      (index) => index.reset(),
    ];
    for (const change of changes) {
      const index = await filled(description);
      let asked = 0;
      const filter = index.filter((id: number) => {
        asked++;
        change(index, id);
        return true;
      });
      expect(await codeOf(() => index.search(queries, 3, { filter }))).toBe("ERR_BUSY");
      expect(asked).toBe(1);
      expect((await readIndex(index.toBytes())).ntotal).toBe(index.ntotal);
    }
  });
});

describe("whoever has his turn between any two promises of a merge", () => {
  /** Runs a job after so many turns of others. */
  async function after(turns: number, job: () => unknown): Promise<unknown> {
    for (let i = 0; i < turns; i++) await Promise.resolve();
    return job();
  }

  test.each(["IVF4,Flat", "IVF4,PQ4x4fs,RFlat"])("%s: finds it made as a whole, or not at all", async (description) => {
    const bytes = (await filled(description)).toBytes();
    const seen = new Set<unknown>();
    for (let turns = 0; turns < 80; turns++) {
      const [own, other] = [await readIndex(bytes), await readIndex(bytes)];
      const [merged, added] = await Promise.allSettled([
        own.mergeFrom(other, { addId: 600 }),
        after(turns, () => other.add(one)),
      ]);
      seen.add(added.status);
      // Nothing keeps the other from being added to before it is lent, or once it is empty.
      expect(merged.status, String(turns)).toBe("fulfilled");
      expect([own.ntotal, other.ntotal]).toEqual([1200, added.status === "fulfilled" ? 1 : 0]);
    }
    expect(seen.size).toBe(2);
  });

  test("finds labels as wide as the ids that were added", async () => {
    const id = 1n << 40n;
    let found = 0;
    for (let turns = 0; turns < 80; turns++) {
      const index = await indexFactory<"int64">(D, "IDMap,Flat");
      const search = (): unknown => index.search(one, 1).labels;
      const [, labels] = await Promise.allSettled([index.addWithIds(one, BigInt64Array.of(id)), after(turns, search)]);
      if (labels.status === "rejected") expect(labels.reason).toMatchObject({ code: "ERR_BUSY" });
      else expect(labels.value).toEqual(BigInt64Array.of(id));
      if (labels.status === "fulfilled") found++;
    }
    expect(found).toBeGreaterThan(10);
  });
});

test("ids whose number is another each time it is asked for are no ids of so many vectors", async () => {
  const index = await filled("IDMap,Flat");
  const before = index.toBytes();
  let asked = 0;
  const ids = new Proxy([1, 2, 3], {
    get: (target, name) => (name === "length" ? (asked++ === 0 ? 20 : 3) : (Reflect.get(target, name) as unknown)),
  });
  expect(await errorOf(index.addWithIds(queries, ids))).toMatchObject({ code: "ERR_ID" });
  expect(index.toBytes()).toEqual(before);
});

test("rows that are others each time they are looked at are refused, or taken as they were", async () => {
  const index = await filled("Flat");
  const lists = [[...one], [...one]];
  let asked = 0;
  Object.defineProperty(lists, 1, { get: () => (asked++ === 0 ? [...one] : undefined) });
  const { labels } = index.search(one, 1);
  expect([...index.search(lists, 1).labels]).toEqual([labels[0], labels[0]]);
  const shrinking = [[...one], [...one]];
  Object.defineProperty(shrinking[0], 0, { get: () => (shrinking[1].length = 0) });
  expect(await codeOf(() => index.search(shrinking, 1))).toBe("ERR_PARAMETER");
});
