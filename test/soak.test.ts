import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";

// The benchmark's day (npm run bench -- soak), forty minutes of it, in a process of its own where nothing else makes garbage.

const SCRIPT = `
import { indexFactory } from "cellist";
import { soak } from "./bench/soak.mjs";

const [d, n] = [64, 3000];
const vectors = Float32Array.from({ length: n * d }, (_, i) => ((i * 7919) % 1009) / 1009);
const index = await indexFactory(d, process.argv[1]);
await index.train(vectors);
await index.addWithIds(vectors, Array.from({ length: n }, (_, i) => i));
const { inUse, times } = await soak(index, vectors, { blocks: 9600, samples: 8, k: 8, nprobe: 4 });
if (times.length !== 9600 || index.ntotal !== n) throw new Error(times.length + " blocks, " + index.ntotal + " rows");
console.log(JSON.stringify(inUse));
`;

describe("blocks while frames come, go and are replaced", () => {
  test.each(["IVF32,Flat", "IDMap,Flat", "IDMap,IVF32,PQ16x4fs,RFlat"])("%s: nothing grows", (description) => {
    const script = ["--input-type=module", "-e", SCRIPT, "--", description];
    const inUse = JSON.parse(execFileSync(process.execPath, script, { encoding: "utf8" })) as Record<
      "block" | "wasm" | "heap" | "arrays",
      number
    >[];
    expect(inUse.map(({ block }) => block)).toEqual([1200, 2400, 3600, 4800, 6000, 7200, 8400, 9600]);
    // In the first half cells have been as full as they get, and everything has been done.
    const most = (name: "wasm" | "heap" | "arrays", from: number): number =>
      Math.max(...inUse.slice(from, from + 4).map((sample) => sample[name]));
    expect(most("wasm", 4), "memory").toBeLessThanOrEqual(most("wasm", 0) + (64 << 10));
    // What was freed comes back by another thread: a page of it may be late. The features of each block would be 19 MB.
    expect(most("arrays", 4), "arrays").toBeLessThanOrEqual(most("arrays", 0) + (64 << 10));
    // 32 bytes a block, the least that an object takes, would be a leak.
    expect(most("heap", 4), "heap").toBeLessThan(most("heap", 0) + 32 * 4800);
  });
});
