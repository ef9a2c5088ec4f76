import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { readIndex } from "../src/index.js";
import type { Index } from "../src/index.js";
import { blend, buildVoiceIndex } from "../src/rvc/index.js";
import { hasShared, shared } from "./golden.js";
import { floats, ids } from "./npy.js";

// A real voice, which stays outside of the repository: RVC's own index of it, and what faiss found and RVC's formula made of that.

const folder = new URL("data/voice-a/", shared);
const K = 8;

describe.runIf(hasShared)("a real voice", () => {
  const { data: queries } = hasShared ? floats(new URL("queries.npy", folder)) : { data: new Float32Array() };
  const open = (): Promise<Index> =>
    readIndex(readFileSync(new URL("added_IVF495_Flat_nprobe_1_voice-a_v2.index", folder)));

  test("RVC's file is opened, searched as faiss does, blended as RVC does, and written back", async () => {
    const file = readFileSync(new URL("added_IVF495_Flat_nprobe_1_voice-a_v2.index", folder));
    const index = await open();
    expect(index).toMatchObject({ d: 768, ntotal: 19_312, description: "IVF495,Flat" });
    expect(index.get("nprobe")).toBe(1);
    expect(index.memory).toBeLessThan(1.15 * file.length);
    for (const nprobe of [1, 4, 16, 495]) {
      const expected = Array.from(ids(new URL(`expected.nprobe${nprobe}.I.npy`, folder)), Number);
      expect(Array.from(index.search(queries, K, { nprobe }).labels, Number)).toEqual(expected);
      const { data: mixed } = floats(new URL(`expected.nprobe${nprobe}.blend075.npy`, folder));
      const features = blend(index, queries.slice(), { k: K, rate: 0.75, nprobe });
      expect(features.reduce((worst, x, i) => Math.max(worst, Math.abs(x - mixed[i])), 0)).toBeLessThan(2e-3);
    }
    expect(Buffer.compare(index.toBytes(), file)).toBe(0);
    // By codes and heads, which warmUp makes, to the last bit: they take a quarter to .4 more memory (docs/choosing.md).
    const options = [1, 4, 16, 495].map((nprobe) => ({ nprobe }));
    const plain = options.map((o) => index.search(queries, K, o));
    index.warmUp({ batch: 16, k: K });
    expect(index.memory).toBeGreaterThan(1.2 * file.length);
    expect(index.memory).toBeLessThan(1.4 * file.length);
    expect(options.map((o) => index.search(queries, K, o))).toEqual(plain);
  });

  test("the other file, trained and empty, opens with a warning", async () => {
    const warnings: string[] = [];
    const file = readFileSync(new URL("trained_IVF495_Flat_nprobe_1_voice-a_v2.index", folder));
    const index = await readIndex(file, { onWarning: ({ code }) => warnings.push(code) });
    expect([index.ntotal, index.isTrained, warnings]).toEqual([0, true, ["WARN_EMPTY"]]);
    expect(Buffer.compare(index.toBytes(), file)).toBe(0);
  });

  test("an index built of its slices finds as much as faiss' own", async () => {
    const slicesFolder = new URL("3_feature768/", folder);
    const slices = readdirSync(slicesFolder).map((name) => ({
      name,
      data: new Uint8Array(readFileSync(new URL(name, slicesFolder))),
    }));
    const faiss = await open();
    const exact = faiss.search(queries, K, { nprobe: 495 }).distances;
    // Ids have another order in each index: a neighbour counts by its distance.
    const recall = (index: Index): number =>
      index
        .search(queries, K, { nprobe: 1 })
        .distances.reduce((hits, x, i) => hits + Number(x <= exact[i - (i % K) + K - 1] * (1 + 1e-5)), 0) /
      exact.length;
    let sum = 0;
    for (const seed of [1, 2, 3]) {
      const { index, fileName, rows, nlist } = await buildVoiceIndex(slices, { name: "a", version: "v2", seed });
      expect([fileName, rows, nlist]).toEqual(["added_IVF495_Flat_nprobe_1_a_v2.index", 19_312, 495]);
      sum += recall(index);
      index.dispose();
    }
    expect(Math.abs(sum / 3 - recall(faiss))).toBeLessThan(0.02);
  }, 120_000);
});
