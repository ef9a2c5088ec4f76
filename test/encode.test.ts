import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { readIndex } from "../src/index.js";
import { goldenCases, goldenFolder } from "./golden.js";
import { floats } from "./npy.js";

// The vectors of faiss' files, added again to what faiss has learnt, become its codes, in its lists: the file, to the byte.

const { data: base, shape } = floats(new URL("base.npy", goldenFolder));

const CASES = goldenCases(goldenFolder).filter(
  ({ name, d, ntotal, is_trained: trained }) =>
    trained &&
    ntotal > 0 &&
    d === shape[1] &&
    !/custom|removed|sparse|idmap|norm|pca|opq|hnsw|panorama|direct/.test(name),
);

test.each(CASES)("$name", async ({ name, file, d, ntotal }) => {
  const bytes = readFileSync(new URL(file, goldenFolder));
  const index = await readIndex(bytes);
  const queries = base.subarray(0, 4 * d);
  const found = index.search(queries, 3, { nprobe: 4 });
  index.reset();
  await index.add(base.subarray(0, ntotal * d));
  if (/rabitq|eden/.test(name)) {
    // Their factors are sums that round in another order, and with more bits the magnitudes are sought for by them.
    const again = index.search(queries, 3, { nprobe: 4 });
    for (let i = 0; i < 12; i++) {
      if (i % 3 === 0) expect(again.labels[i]).toBe(found.labels[i]);
      const off = Math.abs(again.distances[i] - found.distances[i]);
      expect(off).toBeLessThanOrEqual(0.08 * Math.abs(found.distances[i]) + 0.01);
    }
    return;
  }
  expect(index.search(queries, 3, { nprobe: 4 })).toEqual(found);
  expect(Buffer.compare(index.toBytes(), bytes)).toBe(0);
});
