import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CachedFile, openStore } from "../src/remote/cache.js";
import { Pieces } from "../src/remote/pieces.js";

// What is kept of remote files from visit to visit, in a folder.

const BYTES = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7 + (i >> 8)) & 255);
let folder: string;

beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "cellist-cache-"))));
afterEach(() => rmSync(folder, { recursive: true }));

const file = (address = "http://example.org/alice.index", most?: number) =>
  new CachedFile(openStore(folder), address, most);

/** The beginnings of what a cache gives back. */
async function kept(cached: CachedFile): Promise<number[]> {
  const found: number[] = [];
  await cached.each((from, bytes) => {
    expect(bytes).toEqual(BYTES.slice(from, from + bytes.length));
    found.push(from);
  });
  return found;
}

describe("a cache", () => {
  it("gives back what was put, drops what is damaged, and forgets another version", async () => {
    const first = file();
    expect(await first.noted()).toBeUndefined();
    await first.begin(BYTES.length, '"1"');
    first.put(0, BYTES.subarray(0, 1000));
    first.put(5000, BYTES.subarray(5000, 7000));
    await first.settled();

    const second = file();
    await second.begin(BYTES.length, '"1"');
    expect(await second.get(0, 1000)).toEqual(BYTES.slice(0, 1000));
    expect(await second.get(0, 999)).toBeUndefined();
    const [own] = readdirSync(folder);
    const name = readdirSync(join(folder, own)).find((each) => each.startsWith("5000-")) ?? "";
    writeFileSync(join(folder, own, name), new Uint8Array(2000));
    expect(await kept(second)).toEqual([0]);

    const third = file();
    await third.begin(BYTES.length, '"2"');
    expect(await third.get(0, 1000)).toBeUndefined();
    expect(await kept(third)).toEqual([]);
  });

  it("is bounded: files that were opened longest ago go, and one that is larger than it is kept in part", async () => {
    for (const name of ["a", "b", "c"]) {
      const cached = file(name, 10_000);
      await cached.begin(BYTES.length, "1");
      cached.put(0, BYTES.subarray(0, 4000));
      await cached.settled();
      // Times of files have a grain.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(await file("a").noted()).toBeUndefined();
    for (const name of ["b", "c"]) {
      const cached = file(name);
      expect((await cached.noted())?.size).toBe(BYTES.length);
      expect(await kept(cached)).toEqual([0]);
    }
    // Opening counts as use.
    await file("b", 10_000).begin(BYTES.length, "1");
    const large = file("d", 10_000);
    await large.begin(BYTES.length, "1");
    for (let from = 0; from < 20_000; from += 3000) large.put(from, BYTES.subarray(from, from + 3000));
    await large.settled();
    expect(await kept(large)).toEqual([0, 3000, 6000]);
    expect(await file("c").noted()).toBeUndefined();
    const again = file("d", 10_000);
    await again.begin(BYTES.length, "1");
    again.put(50_000, BYTES.subarray(50_000, 53_000));
    await again.settled();
    expect(await kept(again)).toEqual([0, 3000, 6000]);
  });

  it("is safe against two tabs, of one version and of two", async () => {
    const [one, two] = [file(), file()];
    await Promise.all([one.begin(BYTES.length, "1"), two.begin(BYTES.length, "1")]);
    for (let from = 0; from < 60_000; from += 1000) {
      one.put(from, BYTES.subarray(from, from + 1000));
      two.put(from, BYTES.subarray(from, from + 1000));
      two.put(from + 500, BYTES.subarray(from + 500, from + 1500));
    }
    await Promise.all([one.settled(), two.settled()]);
    const third = file();
    await third.begin(BYTES.length, "1");
    expect((await kept(third)).length).toBe(120);

    // One goes on with the old file while another has begun with the new one.
    const next = file();
    await next.begin(BYTES.length, "2");
    one.put(0, new Uint8Array(1000));
    next.put(2000, BYTES.subarray(2000, 3000));
    await Promise.all([one.settled(), next.settled()]);
    const last = file();
    await last.begin(BYTES.length, "2");
    expect(await kept(last)).toEqual([2000]);
    expect(await last.get(0, 1000)).toBeUndefined();
  });

  it("is searched with what it has where it can't be written, or is no cache", async () => {
    const path = join(folder, "plain");
    writeFileSync(path, "no folder");
    const cached = new CachedFile(openStore(path), "a");
    await cached.begin(BYTES.length, "1");
    cached.put(0, BYTES.subarray(0, 1000));
    await cached.settled();
    expect(await kept(cached)).toEqual([]);
    mkdirSync(join(folder, "other/x"), { recursive: true });
    const other = new CachedFile(openStore(join(folder, "other")), "a");
    await other.begin(BYTES.length, "1");
    other.put(0, BYTES.subarray(0, 1000));
    await other.settled();
    expect(await kept(other)).toEqual([0]);
  });

  it("gives pieces back that lie on stretches which touch or overlap", async () => {
    const cached = file();
    await cached.begin(BYTES.length, "1");
    for (const [from, to] of [
      [500, 2500],
      [1000, 1200],
      [2500, 4000],
      [3500, 6100],
      [7000, 7999],
      [9000, 10000],
      [9000, 9100],
      [9990, 12000],
    ])
      cached.put(from, BYTES.subarray(from, to));
    await cached.settled();
    const thousands = Array.from({ length: 20 }, (_, i) => ({ from: i * 1000, to: (i + 1) * 1000 }));
    const taken: number[] = [];
    const nothing = { size: BYTES.length, bridge: 0, version: "", read: async () => BYTES, close: () => undefined };
    const take = (piece: number, bytes: Uint8Array) => {
      expect(bytes).toEqual(BYTES.slice(piece * 1000, (piece + 1) * 1000));
      taken.push(piece);
    };
    const pieces = new Pieces(nothing, thousands, take, () => undefined);
    await pieces.restore(cached);
    expect(taken).toEqual([1, 2, 3, 4, 5, 9, 10, 11]);
    expect(pieces.count).toBe(8);
  });
});
