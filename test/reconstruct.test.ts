import { expect, test } from "vitest";
import { indexFactory, readIndex } from "../src/index.js";
import { randomOf, uniform } from "./random.js";

// What an index gives back is near to what it was given, as near as so many bits allow: a code read a bit beside its place is nowhere near.

const [D, N] = [36, 300];
const rows = uniform(randomOf(1), N * D);

/** Kinds, and the share of a vector's length by which what comes back is off, in the mean over all vectors. */
const KINDS: [kind: string, most: number][] = [
  ["Flat", 1e-9],
  ["IVF5,Flat", 1e-9],
  ["SQ8", 0.004],
  ["IVF5,SQ8", 0.006],
  ["SQ6", 0.02],
  ["SQ4", 0.09],
  ["SQfp16", 0.0005],
  ["SQbf16", 0.004],
  ["PQ36x4fs", 0.1],
  ["IVF5,PQ36x4fsr", 0.1],
  ["PQ36x6", 0.03],
  ["EDEN2", 0.4],
  ["EDEN4", 0.13],
  ["IVF5,EDEN5", 0.08],
  ["EDEN8", 0.03],
  // As faiss has it, of the signs alone.
  ["RaBitQ", 0.7],
  ["RaBitQ3", 0.7],
  ["RaBitQ5", 0.7],
  ["IVF5,RaBitQ6", 0.7],
  ["RaBitQ9", 0.7],
  ["HNSW4", 1e-9],
  ["HR,SQ8", 0.006],
];

test.each(KINDS)("%s: what comes back is off by at most %f of it", async (kind, most) => {
  const made = await indexFactory(D, kind);
  await made.train(rows);
  await made.add(rows);
  for (const index of [made, await readIndex(made.toBytes())]) {
    const back = index.reconstructBatch(Array.from({ length: N }, (_, i) => i));
    let off = 0;
    for (let i = 0; i < N; i++) {
      const row = rows.subarray(i * D, (i + 1) * D);
      off += Math.hypot(...row.map((x, j) => x - back[i * D + j])) / Math.hypot(...row) / N;
    }
    expect(off).toBeLessThan(most);
    // Kinds of few bits are off, and no index of codes holds the vectors themselves.
    if (most > 0.003) expect(off).toBeGreaterThan(most / 8);
    expect(index.description.replace("IVF5,", "")).toBe(kind.replace("IVF5,", ""));
  }
});
