import { describe, expect, test } from "vitest";
import { indexFactory, METRIC_INNER_PRODUCT, METRIC_L2, readIndex } from "../src/index.js";
import type { Index, Metric } from "../src/index.js";
import { codeOf } from "./rejections.js";
import { randomOf, uniform } from "./random.js";

// What is made says what it is, in faiss' language, and so does what is read of its file: trained or not.

const D = 16;
const KINDS = [
  "Flat",
  "PQ4",
  "PQ4np",
  "PQ4x5",
  "PQ8x4fs",
  "PQ8x4fs_64",
  "SQ8",
  "SQ4",
  "SQ6",
  "SQfp16",
  "SQbf16",
  "SQ8_direct",
  "RaBitQ",
  "RaBitQ3",
  "RaBitQfs",
  "RaBitQfs_64",
  "RaBitQfs2",
  "EDEN",
  "EDEN3",
  "EDEN2BIASED",
  "HNSW8",
  "HNSW8,SQ8",
  "HNSW8,PQ4x5",
  "IVF3,Flat",
  "IVF3(IVF2,Flat),Flat",
  "IVF3_HNSW4,Flat",
  "IVF3,PQ4x5",
  "IVF3,PQ4x5+2x5",
  "IVF3,PQ8x4fs",
  "IVF3,PQ8x4fsr",
  "IVF3,PQ8x4fsr_64",
  "IVF3,SQ8",
  "IVF3,RaBitQ",
  "IVF3,RaBitQfs",
  "IVF3,RaBitQfs2_96",
  "IVF3,EDEN4",
  "Flat,IDMap",
  "Flat,IDMap2",
  "PQ8x4fs,RFlat",
  "IVF3,PQ8x4fs,Refine(SQ8)",
  "PCA8,Flat",
  "PCAR8,IVF3,Flat",
  "PCAW8,Flat",
  "OPQ4,PQ4x5",
  "OPQ4_8,PQ4x5",
  "RR8,Flat",
  "HR,Flat",
  "HR7,Flat",
  "Pad20,Flat",
  "L2norm,Flat",
  "L2norm,IDMap,Flat",
];
/** Of how it was trained, or is to be, a file says nothing: as faiss reads it. */
const BEHIND_A_FILE: Record<string, string> = {
  PQ4np: "PQ4",
  "OPQ4,PQ4x5": "LTra16,PQ4x5",
  "OPQ4_8,PQ4x5": "LTra8,PQ4x5",
};
const rows = uniform(randomOf(1), 300 * D);

describe.each<Metric>([METRIC_L2, METRIC_INNER_PRODUCT])("metric %i", (metric) => {
  test.each(KINDS)("%s", async (description) => {
    // As in faiss, a second code of the residuals is for L2.
    if (metric === METRIC_INNER_PRODUCT && description.includes("+")) {
      expect(await codeOf(indexFactory(D, description, metric))).toBe("ERR_FACTORY");
      return;
    }
    const made = await indexFactory(D, description, metric);
    const before = made.isTrained;
    const said = (index: Index): unknown => [index.description, index.d, index.metric, index.ntotal, index.isTrained];
    expect(said(made)).toEqual([description, D, metric, 0, before]);
    const behind = BEHIND_A_FILE[description] ?? description;
    expect(said(await readIndex(made.toBytes()))).toEqual([behind, D, metric, 0, before]);
    await made.train(rows);
    expect(said(made)).toEqual([description, D, metric, 0, true]);
    expect(said(await readIndex(made.toBytes()))).toEqual([behind, D, metric, 0, true]);
  });
});

test("a product quantizer has up to 16 bits, and more is refused by name", async () => {
  for (const description of ["PQ2x1", "PQ2x16", "IVF2,PQ2x16", "IVF2,PQ2+2x16"])
    expect((await indexFactory(4, description)).description).toBe(description);
  for (const description of ["PQ2x17", "IVF2,PQ2x17", "PQ2x0", "IVF2,PQ2+2x17", "IVF2,PQ2x17+2"])
    expect(await codeOf(indexFactory(4, description)), description).toBe("ERR_FACTORY");
});
