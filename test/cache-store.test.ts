import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { CacheStore } from "../src/remote/cache-store.js";
import { CachedFile, checksum, offline, openStore, remembering } from "../src/remote/cache.js";
import type { Store } from "../src/remote/cache.js";
import { PART } from "../src/remote/flow.js";
import { FolderStore } from "../src/remote/folder-store.js";
import type { Ranges } from "../src/remote/ranges.js";
import { randomOf } from "./random.js";

// Where stretches of files are kept: a folder, or a page's Caches, of which there is a plain stand-in here. Both keep the same promises.

/** A page's Caches, as the Service Worker specification has them, as far as they are used. */
class Caches {
  readonly all = new Map<string, Map<string, Response>>();
  async has(name: string): Promise<boolean> {
    return this.all.has(name);
  }
  async keys(): Promise<string[]> {
    return [...this.all.keys()];
  }
  async delete(name: string): Promise<boolean> {
    return this.all.delete(name);
  }
  async open(name: string): Promise<unknown> {
    const answers = this.all.get(name) ?? new Map<string, Response>();
    this.all.set(name, answers);
    return {
      keys: async () => [...answers.keys()].map((url) => new Request(url)),
      match: async (url: string) => answers.get(new Request(url).url)?.clone(),
      put: async (url: string, answer: Response) => void answers.set(new Request(url).url, answer),
      delete: async (url: string) => answers.delete(new Request(url).url),
    };
  }
}

let folder: string;
let caches: Caches;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "cellist-store-"));
  caches = new Caches();
  vi.stubGlobal("caches", caches);
});
afterEach(() => {
  vi.unstubAllGlobals();
  rmSync(folder, { recursive: true });
});

const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 255);
const wait = () => new Promise((resolve) => setTimeout(resolve, 15));

describe.each<[string, (name: string) => Store]>([
  ["a folder", (name) => new FolderStore(join(folder, name))],
  ["a page's Caches", (name) => new CacheStore(name)],
])("%s", (_, make) => {
  const names = async (store: Store, file: string): Promise<string[]> => {
    const all = await store.names(file).catch((): string[] => []);
    return all.filter((name) => !name.startsWith("used")).sort();
  };

  test("holds what was put under its name, and the last of it", async () => {
    const store = make("a");
    expect(await names(store, "x")).toEqual([]);
    for (const name of ["0-5-v-sum", 'note-100-"w é%"', "5-8-v-sum"]) await store.put("x", name, bytesOf(5));
    await store.put("x", "5-8-v-sum", bytesOf(3));
    await store.put("y", "0-5-v-sum", bytesOf(4));
    expect(await names(store, "x")).toEqual(["0-5-v-sum", "5-8-v-sum", 'note-100-"w é%"']);
    expect(await store.get("x", "5-8-v-sum")).toEqual(bytesOf(3));
    expect(await store.get("x", 'note-100-"w é%"')).toEqual(bytesOf(5));
    expect(await store.get("y", "0-5-v-sum")).toEqual(bytesOf(4));
    const none = await store.get("x", "9-10-v-sum").catch(() => undefined);
    expect(none).toBeUndefined();
    // Its memory is its own.
    const got = await store.get("x", "5-8-v-sum");
    expect([got?.byteOffset, got?.buffer.byteLength]).toEqual([0, 3]);
  });

  test("says of each file its bytes and when it was last opened, of its own files only", async () => {
    const [store, other] = [make("a"), make("ab")];
    await other.put("z", "0-9-v-sum", bytesOf(9));
    const start = Date.now();
    for (const [file, lengths] of [
      ["x", [5, 10]],
      ["y", [7]],
    ] as const) {
      for (const [i, length] of lengths.entries())
        await store.put(file, `${100 * i}-${100 * i + length}-v-sum`, bytesOf(length));
      await store.put(file, "note-1000-v", new Uint8Array(0));
      await store.touch(file);
      await wait();
    }
    const files = async () => (await store.files()).sort((a, b) => (a.file < b.file ? -1 : 1));
    const before = await files();
    expect(before.map(({ file, bytes }) => [file, bytes])).toEqual([
      ["x", 15],
      ["y", 7],
    ]);
    expect(before[0].used).toBeLessThan(before[1].used);
    // Times of files have a grain.
    expect(before[0].used).toBeGreaterThan(start - 1000);
    await store.touch("x");
    const after = await files();
    expect(after[0].used).toBeGreaterThan(after[1].used);
    expect(after.map(({ bytes }) => bytes)).toEqual([15, 7]);
    expect((await store.names("x")).filter((name) => name.startsWith("used"))).toHaveLength(1);
    // What was never opened was opened longest ago.
    await store.put("n", "0-1-v-sum", bytesOf(1));
    expect((await store.files()).find(({ file }) => file === "n")?.used).toBe(0);
  });

  test("gives up a file as a whole, and no other", async () => {
    const store = make("a");
    for (const file of ["x", "xy"]) await store.put(file, "0-5-v-sum", bytesOf(5));
    await store.remove("x");
    expect([await names(store, "x"), await names(store, "xy")]).toEqual([[], ["0-5-v-sum"]]);
    expect((await store.files()).map(({ file }) => file)).toEqual(["xy"]);
    await store.remove("x");
  });

  test("serves a cached file: what fits to the byte is kept, what was opened longest ago goes first", async () => {
    const store = make("a");
    const kept = async (address: string): Promise<number[]> => {
      const found: number[] = [];
      const cached = new CachedFile(store, address);
      await cached.noted();
      await cached.each((from) => found.push(from));
      return found;
    };
    for (const address of ["a", "b", "c"]) {
      const cached = new CachedFile(store, address, 100);
      await cached.begin(1000, "1");
      cached.put(0, bytesOf(60));
      cached.put(500, bytesOf(41));
      cached.put(700, bytesOf(40));
      await wait();
      if (address !== "c") await cached.settled();
      else await new CachedFile(store, "a", 300).begin(1000, "1").then(() => cached.settled());
    }
    // 300 bytes of three files, and 100 may stay: those of the one that is being read.
    expect([await kept("a"), await kept("b"), await kept("c")]).toEqual([[], [], [0, 700]]);
    const again = new CachedFile(store, "c", 101);
    await again.begin(1000, "1");
    again.put(900, bytesOf(2));
    again.put(800, bytesOf(1));
    await again.settled();
    expect(await kept("c")).toEqual([0, 700, 800]);
    // Of another size it is another file.
    await new CachedFile(store, "c").begin(1001, "1");
    expect(await kept("c")).toEqual([]);
    expect(await new CachedFile(store, "c").noted()).toMatchObject({ size: 1001 });
  });
});

test("stretches come in the order of the file, those that end behind a byte", async () => {
  const cached = new CachedFile(new CacheStore("a"), "x");
  await cached.begin(1000, "1");
  for (const [from, length] of [
    [500, 10],
    [0, 5],
    [5, 5],
    [500, 20],
  ])
    cached.put(from, bytesOf(length));
  await cached.settled();
  const found = async (behind?: number): Promise<number[][]> => {
    const all: number[][] = [];
    await cached.each((from, bytes) => all.push([from, bytes.length]), behind);
    return all;
  };
  const all = [
    [0, 5],
    [5, 5],
    [500, 20],
    [500, 10],
  ];
  expect(await found()).toEqual(all);
  expect(await found(5)).toEqual(all.slice(1));
  expect(await found(4)).toEqual(all);
  expect(await found(510)).toEqual([[500, 20]]);
  expect(await cached.get(5, 10)).toEqual(bytesOf(5));
  for (const [from, to] of [
    [5, 9],
    [5, 11],
    [4, 10],
  ])
    expect(await cached.get(from, to)).toBeUndefined();
  // What is put is what it was when it was put.
  const given = bytesOf(3);
  cached.put(20, given);
  given.fill(9);
  await cached.settled();
  expect(await cached.get(20, 23)).toEqual(bytesOf(3));
});

test("a checksum tells any change of a byte, any place of it, and any length", () => {
  const bytes = bytesOf(300);
  const seen = new Set<string>();
  for (let length = 0; length <= 300; length++) seen.add(checksum(bytes.subarray(0, length)));
  for (let i = 0; i < 300; i++) {
    const changed = bytes.slice();
    changed[i] ^= 1 << (i % 8);
    seen.add(checksum(changed));
  }
  expect(seen.size).toBe(601);
  for (const sum of seen) expect(sum).toMatch(/^[\da-f]{16}$/);
  expect(checksum(bytes.subarray(1, 9))).toBe(checksum(bytes.slice(1, 9)));
});

describe("a file that is remembered", () => {
  const SIZE = 2 * PART + 1000;
  const BYTES = bytesOf(SIZE);
  function source() {
    const asked: string[] = [];
    const random = randomOf(3);
    const ranges: Ranges = {
      size: SIZE,
      bridge: 77,
      version: "1",
      read: async (from, to) => {
        asked.push(`read ${from} ${to}`);
        return BYTES.slice(from, to);
      },
      follow: async function* (from, to) {
        asked.push(`follow ${from} ${to}`);
        for (let at = from; at < to;) {
          const end = Math.min(to, at + 1 + Math.floor(random() * PART * 1.5));
          yield BYTES.slice(at, end);
          at = end;
        }
      },
      close: () => asked.push("close"),
    };
    return { ranges, asked };
  }
  const cached = async (): Promise<CachedFile> => {
    const own = new CachedFile(new CacheStore("a"), "x");
    await own.begin(SIZE, "1");
    return own;
  };
  const never = new AbortController().signal;
  const followed = async (ranges: Ranges, from: number, to: number): Promise<Uint8Array> => {
    const parts: Buffer[] = [];
    for await (const part of ranges.follow?.(from, to, never) ?? []) parts.push(Buffer.from(part));
    return Buffer.concat(parts);
  };

  test("is read of its source once, and what is followed is kept part by part", async () => {
    for (const from of [0, 300]) {
      caches.all.clear();
      const own = await cached();
      const { ranges, asked } = source();
      const file = remembering(ranges, own);
      expect([file.size, file.bridge, file.version]).toEqual([SIZE, 77, "1"]);
      expect(Buffer.compare(await file.read(5, 2000, never), BYTES.slice(5, 2000))).toBe(0);
      expect(Buffer.compare(await followed(file, from, SIZE), BYTES.slice(from))).toBe(0);
      await own.settled();
      expect(asked).toEqual(["read 5 2000", `follow ${from} ${SIZE}`]);
      const stretches: number[][] = [];
      await own.each((begin, bytes) => {
        expect(Buffer.compare(bytes, BYTES.slice(begin, begin + bytes.length))).toBe(0);
        stretches.push([begin, bytes.length]);
      });
      expect(stretches.filter(([begin]) => begin !== 5)).toEqual([
        [from, PART],
        [from + PART, PART],
        [from + 2 * PART, 1000 - from],
      ]);
      const second = source();
      const again = remembering(second.ranges, await cached());
      expect(Buffer.compare(await again.read(5, 2000, never), BYTES.slice(5, 2000))).toBe(0);
      expect(Buffer.compare(await followed(again, from, SIZE), BYTES.slice(from))).toBe(0);
      expect(second.asked).toEqual([]);
      // Of what is kept in part, the rest is asked for.
      expect(Buffer.compare(await followed(again, from, SIZE - 1), BYTES.slice(from, SIZE - 1))).toBe(0);
      expect(second.asked).toEqual([`follow ${from + 2 * PART} ${SIZE - 1}`]);
      again.close();
      expect(second.asked.at(-1)).toBe("close");
    }
  });

  test("is there without a connection as far as it is kept", async () => {
    const own = await cached();
    own.put(10, BYTES.slice(10, 20));
    await own.settled();
    const reason = new Error("no connection");
    const file = remembering(offline({ size: SIZE, version: "1" }, reason), own);
    expect(await file.read(10, 20, never)).toEqual(BYTES.slice(10, 20));
    await expect(file.read(10, 21, never)).rejects.toBe(reason);
  });
});

test("a name is that of a folder where there are folders, else of a page's Caches, else refused", () => {
  expect(openStore(folder)).toBeInstanceOf(FolderStore);
  vi.stubGlobal("process", undefined);
  expect(openStore("a")).toBeInstanceOf(CacheStore);
  vi.stubGlobal("caches", undefined);
  expect(() => openStore("a")).toThrow(expect.objectContaining({ code: "ERR_UNSUPPORTED" }) as Error);
});
