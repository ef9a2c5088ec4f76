import { expect, test } from "vitest";
import { partLines, partsOf } from "../src/cli/outline.js";
import { indexFactory } from "../src/index.js";
import { skimIndex } from "../src/open.js";
import { randomOf, uniform } from "./random.js";

// What "cellist info" says of an index that is made of several: every part of it, each kind.

const D = 16;
const rows = uniform(randomOf(1), 300 * D);

async function linesOf(description: string, parameters = ""): Promise<string[]> {
  const index = await indexFactory(D, description);
  await index.train(rows);
  if (description.includes("IDMap")) await index.addWithIds(rows, [...Array(300).keys()]);
  else await index.add(rows);
  if (parameters !== "") index.set(parameters);
  // As it is read: what a file does not hold is not said.
  return partLines(partsOf(await skimIndex(index.toBytes())));
}

test.each(["Flat", "PQ4", "SQ8", "RaBitQfs", "IVF5,Flat", "IVF5,SQ8", "IVF5,PQ4x4fs", "IVF5,PQ4x4+4x4", "IVF5,EDEN2"])(
  "%s has no parts worth a word",
  async (description) => {
    expect(await linesOf(description)).toEqual([]);
  },
);

test.each([
  [
    "OPQ4_8,IVF5_HNSW4,PQ4x4,RFlat",
    "nprobe=3,k_factor_rf=2,quantizer_efSearch=33",
    [
      "  finds candidates: LTra8,IVF5_HNSW4,PQ4x4, d = 16, 300 vectors",
      "    has what the transforms make: IVF5_HNSW4,PQ4x4, d = 8, 300 vectors, nprobe = 3",
      "      finds the lists: HNSW4, d = 8, 5 vectors, efSearch = 33",
      "        stores the vectors: Flat, d = 8, 5 vectors",
      "  compares them again: Flat, d = 16, 300 vectors",
    ],
  ],
  [
    "IDMap,PCA8,HNSW4,SQ8",
    "efSearch=20",
    [
      "  has the vectors: PCA8,HNSW4,SQ8, d = 16, 300 vectors",
      "    has what the transforms make: HNSW4,SQ8, d = 8, 300 vectors, efSearch = 20",
      "      stores the vectors: SQ8, d = 8, 300 vectors",
    ],
  ],
  [
    "IVF6(IVF2,Flat,Refine(SQ8)),PQ4x4+8x4",
    "quantizer_nprobe=2",
    [
      "  finds the lists: IVF2,Flat,Refine(SQ8), d = 16, 6 vectors, k_factor_rf = 1",
      "    finds candidates: IVF2,Flat, d = 16, 6 vectors, nprobe = 2",
      "      finds the lists: Flat, d = 16, 2 vectors",
      "    compares them again: SQ8, d = 16, 6 vectors",
    ],
  ],
  [
    "L2norm,(PQ4x4fs,RFlat)",
    "",
    [
      "  has what the transforms make: PQ4x4fs,RFlat, d = 16, 300 vectors, k_factor_rf = 1",
      "    finds candidates: PQ4x4fs, d = 16, 300 vectors",
      "    compares them again: Flat, d = 16, 300 vectors",
    ],
  ],
])("%s", async (description, parameters, lines) => {
  expect(await linesOf(description, parameters)).toEqual(lines);
});
