import { memoryUsage } from "node:process";
import { expect, test } from "vitest";
import { Flow } from "../src/remote/flow.js";
import type { Ranges } from "../src/remote/ranges.js";
import { withFaults } from "./faults.js";

// The beginning of a remote file, while it flows: what is read of it, and what it takes.

const BYTES = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7 + (i >> 8)) & 255);
const { signal } = new AbortController();

/** A file that claims `size` bytes, of which some come, a thousand at a time, before it breaks off. */
function breaking(size: number, come: number): Ranges & { reads: number } {
  return {
    size,
    bridge: 0,
    version: "",
    reads: 0,
    async read(from, to) {
      this.reads++;
      return BYTES.slice(from, to);
    },
    async *follow(from) {
      for (let at = from; at < come; at += 1000) yield BYTES.slice(at, Math.min(come, at + 1000));
      throw new Error("the line is cut");
    },
    close: () => undefined,
  };
}

test("what has come by is there, and what broke off is read as anything else", async () => {
  const file = breaking(BYTES.length, 150_000);
  const flow = new Flow(file, BYTES.subarray(0, 65_536), 200_000);
  for (const [from, to] of [
    [0, 1000],
    [60_000, 149_999],
    [100_000, 150_000],
  ])
    expect(await flow.read(from, to, signal)).toEqual(BYTES.slice(from, to));
  expect(file.reads).toBe(0);
  for (const [from, to] of [
    [140_000, 160_000],
    [199_000, 200_001],
  ])
    expect(await flow.read(from, to, signal)).toEqual(BYTES.slice(from, to));
  expect(file.reads).toBe(2);
  flow.forget();
  expect(await flow.read(0, 1000, signal)).toEqual(BYTES.slice(0, 1000));
  expect(file.reads).toBe(3);
});

test("takes what has come, whatever the head of a file claims", async () => {
  const before = memoryUsage().arrayBuffers;
  const flow = new Flow(breaking(2 ** 40, 100_000), BYTES.subarray(0, 65_536), 2 ** 31 - 1);
  await flow.nearly(signal);
  expect(memoryUsage().arrayBuffers - before).toBeLessThan(8 << 20);
  flow.close();
});

test("copies little of what it has where a lot comes in small pieces", async () => {
  const file = breaking(BYTES.length, BYTES.length);
  const { faults } = await withFaults(Infinity, 1, async () => {
    const flow = new Flow(file, BYTES.subarray(0, 65_536), BYTES.length);
    expect(await flow.read(BYTES.length - 1000, BYTES.length, signal)).toEqual(BYTES.slice(-1000));
    flow.close();
  });
  // Room that doubles: 64, 128, 256 and 300 kB, and what is read; not one array a piece, which were 43 MB.
  expect(faults.bytes).toBeLessThan(4 * BYTES.length);
});
