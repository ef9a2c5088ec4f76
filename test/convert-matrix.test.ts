import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { convert } from "../src/cli/convert.js";
import { indexFactory, readIndex } from "../src/index.js";
import type { Index } from "../src/index.js";
import { randomOf, uniform } from "./random.js";

// Any kind of index can be made into any other: each pair, with a few vectors.

const [D, N, SEED] = [16, 60, 3];
const KINDS = [
  "Flat",
  "IVF3,Flat",
  "SQ8",
  "IVF3,SQfp16",
  "PQ4x4",
  "IVF3,PQ4x5",
  "IVF3,PQ4x4+8x4",
  "PQ8x4fs",
  "IVF3,PQ8x4fsr",
  "HNSW4,SQ6",
  "IVF3,RaBitQ3",
  "RaBitQfs",
  "EDEN4",
  "PCA8,IVF3_HNSW2,SQ8",
  "PQ4x4fs,Refine(SQ8)",
  "IDMap,IVF3,PQ4x4fs,RFlat",
];

const folder = mkdtempSync(join(tmpdir(), "cellist-matrix-"));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

async function made(description: string, rows: Float32Array, ids?: number[]): Promise<Index> {
  const index = await indexFactory(D, description);
  await index.train(rows, { seed: SEED });
  if (ids === undefined) await index.add(rows);
  else await index.addWithIds(rows, ids);
  return index;
}

describe.each(KINDS)("%s", (from) => {
  test.each(KINDS)("to %s", async (to) => {
    const ids = from.startsWith("IDMap") ? Array.from({ length: N }, (_, i) => 500 - 3 * i) : undefined;
    const source = await made(from, uniform(randomOf(7), N * D), ids);
    const file = join(folder, "from.index");
    writeFileSync(file, source.toBytes());
    const flags = { seed: SEED, out: join(folder, "to.index"), force: true };
    const watch = { signal: new AbortController().signal, onProgress: () => undefined, onWarning: () => undefined };
    let wanted = to;
    try {
      await convert(file, { ...flags, to }, watch, undefined);
    } catch (error) {
      // Ids of one's own want a place.
      expect(from).toMatch(/^IDMap/);
      expect(String(error)).toContain(`give --to "IDMap,${to}" to keep them`);
      wanted = `IDMap,${to}`;
      await convert(file, { ...flags, to: wanted }, watch, undefined);
    }
    const written = readFileSync(flags.out);
    const { ntotal, description } = await readIndex(written);
    expect(ntotal).toBe(N);
    // It is what training and adding makes of what the first index stands for, in the order of its ids.
    const order = (ids ?? Array.from({ length: N }, (_, i) => i)).sort((a, b) => a - b);
    const own = ids !== undefined || wanted.startsWith("IDMap") ? order : undefined;
    const again = await made(wanted, source.reconstructBatch(order), own);
    expect(description).toBe((await readIndex(again.toBytes())).description);
    expect(Buffer.compare(again.toBytes(), written)).toBe(0);
  });
});
