import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { indexFactory, METRIC_INNER_PRODUCT, METRIC_L2, readIndex } from "../src/index.js";
import type { IdType, Index } from "../src/index.js";
import { openRemote, orderBySimilarity } from "../src/remote/index.js";
import { shrinkVoice } from "../src/rvc/index.js";
import { goldenFolder } from "./golden.js";
import { synthetic } from "./synthetic.js";

// Lists in another order: the same index to whoever asks.

const [N, D, K] = [2500, 16, 8];
const { base: vectors, queries } = synthetic(D, 0, N, 30);
const KINDS = [
  "IVF50,Flat",
  "IVF50,SQ8",
  "IVF50,PQ8",
  "IVF50,PQ8x4fs",
  "IVF50,PQ8x4fsr",
  "IVF50,PQ8x4fs,RFlat",
  "IVF50,RaBitQ",
  "IVF50,EDEN4",
  "PCA8,IVF50,Flat",
  "IDMap,IVF50,Flat",
  "IVF50(IVF5,Flat),Flat",
  "IVF50(SQ8),Flat",
  "IVF50_HNSW8,Flat",
];

async function made(description: string, metric: 0 | 1 = METRIC_L2): Promise<Index<IdType>> {
  const index = await indexFactory(D, description, metric);
  await index.train(vectors);
  const ids = Int32Array.from({ length: N }, (_, i) => 7 * i + 3);
  if (description.includes("RFlat")) await index.add(vectors);
  else await index.addWithIds(vectors, ids);
  return index;
}

/** So many candidates that which of equal codes are among the last does not matter. */
const kFactor = 40;

/** Distances, and which labels are at each of them: equally far ones may change places. */
function answers(index: Index<IdType>, nprobe: number): unknown[] {
  const { distances, labels } = index.search(queries, 4 * K, { nprobe, kFactor });
  return Array.from({ length: 30 }, (_, i) => {
    const row = Array.from(distances.subarray(i * 4 * K, (i + 1) * 4 * K), (distance, j) => ({
      distance,
      label: Number(labels[i * 4 * K + j]),
    }));
    // Of those that are as far as the last one, others may be found.
    const last = row[row.length - 1].distance;
    return row
      .filter(({ distance }) => distance !== last)
      .sort((a, b) => Math.abs(a.distance) - Math.abs(b.distance) || a.label - b.label);
  });
}

/** How far it is from the mean of each list of an `IVF50,Flat` to that of the next one, in all. */
function wayOf(index: Index<IdType>): number {
  const rows = index.reconstructBatch(index.ids());
  const sizes: number[] = [];
  const bytes = index.toBytes();
  const view = new DataView(bytes.buffer);
  const at = bytes.length - N * (D * 4 + 8) - 50 * 8;
  for (let list = 0; list < 50; list++) sizes.push(Number(view.getBigInt64(at + 8 * list, true)));
  expect(sizes.reduce((sum, size) => sum + size)).toBe(N);
  const means: Float64Array[] = [];
  let row = 0;
  for (const size of sizes) {
    const mean = new Float64Array(D);
    for (let i = 0; i < size; i++, row++) for (let j = 0; j < D; j++) mean[j] += rows[row * D + j] / size;
    means.push(mean);
  }
  const far = (a: Float64Array, b: Float64Array) => Math.hypot(...a.map((x, j) => x - b[j]));
  let steps = 0;
  for (let i = 1; i < means.length; i++) steps += far(means[i - 1], means[i]);
  return steps;
}

describe("lists in order of similarity", () => {
  for (const description of KINDS) {
    it(`answer as before: ${description}`, async () => {
      const index = await made(description);
      index.set("nprobe=3");
      const before = index.toBytes();
      const ordered = await orderBySimilarity(index);
      expect(Buffer.compare(index.toBytes(), before)).toBe(0);
      expect(ordered.description).toBe(index.description);
      expect(ordered.get("nprobe")).toBe(3);
      expect(Buffer.compare(ordered.toBytes(), before)).not.toBe(0);
      expect(Array.from(ordered.ids(), Number).sort((a, b) => a - b)).toEqual(
        Array.from(index.ids(), Number).sort((a, b) => a - b),
      );
      for (const nprobe of [1, 4, 50]) expect(answers(ordered, nprobe)).toEqual(answers(index, nprobe));
      const label = Number(index.ids()[17]);
      expect(ordered.reconstruct(label)).toEqual(index.reconstruct(label));
      // It goes on as any other.
      if (!description.includes("RFlat")) {
        for (const each of [index, ordered])
          await each.addWithIds(
            queries,
            Int32Array.from({ length: 30 }, (_, i) => -5 - i),
          );
        expect(answers(ordered, 4)).toEqual(answers(index, 4));
      }
    });
  }

  it("of inner products, too", async () => {
    const index = await made("IVF50,Flat", METRIC_INNER_PRODUCT);
    expect(answers(await orderBySimilarity(index), 4)).toEqual(answers(index, 4));
  });

  it("have near cells beside each other, and the queries of openRemote then want fewer requests", async () => {
    const index = await made("IVF50,Flat");
    const ordered = await orderBySimilarity(index);
    expect(wayOf(ordered)).toBeLessThan(wayOf(index) * 0.8);
    const requests = async (bytes: Uint8Array): Promise<number> => {
      let count = 0;
      const read = async (from: number, to: number) => (count++, bytes.slice(from, to));
      const remote = await openRemote({ size: bytes.length, read }, { readAhead: 0 });
      count = 0;
      for (let i = 0; i < 30; i++) await remote.search(queries.subarray(i * D, (i + 1) * D), K, { nprobe: 4 });
      remote.dispose();
      return count;
    };
    expect(await requests(ordered.toBytes())).toBeLessThanOrEqual(await requests(index.toBytes()));
  });

  it("of cells on a line go from one end of it to the other", async () => {
    const flat = await indexFactory(D, "IVF50,Flat");
    const place = (i: number): number => ((i * 37) % 50) * 10;
    const line = Float32Array.from({ length: N * D }, (_, i) =>
      i % D === 3 ? place(Math.floor(i / D) % 50) : (i * 7) % 2,
    );
    // Of as many vectors as cells each is one's centroid.
    await flat.train(line.slice(0, 50 * D));
    await flat.add(line);
    // From 0 to 490, where each cell is one place: no step back, and none left out.
    expect(wayOf(await orderBySimilarity(flat))).toBeLessThan(500);
    expect(wayOf(flat)).toBeGreaterThan(1000);
  });

  it("keep a direct map right", async () => {
    for (const name of ["ivf_flat_directmap_array", "ivf_flat_directmap_hash"]) {
      const bytes = readFileSync(new URL(`${name}.index`, goldenFolder));
      const index = await readIndex(bytes);
      // That places are those of the lists is checked when a file is read, as it is on the way here.
      const ordered = await orderBySimilarity(index);
      expect(ordered.toBytes().length).toBe(bytes.length);
      const some = index.ids().subarray(0, 20);
      expect(ordered.reconstructBatch(some)).toEqual(index.reconstructBatch(some));
    }
  });

  it("are made of a voice file and of an index without vectors, and refused where there are no lists", async () => {
    const index = await made("IVF50,Flat");
    const { index: small } = await shrinkVoice(index, { ratio: 4 });
    const ordered = await orderBySimilarity(small);
    expect(answers(ordered, 4)).toEqual(answers(small, 4));
    expect(answers(await readIndex(ordered.toBytes()), 4)).toEqual(answers(small, 4));
    index.reset();
    expect((await orderBySimilarity(index)).ntotal).toBe(0);
    const flat = await indexFactory(D, "Flat");
    await expect(orderBySimilarity(flat)).rejects.toMatchObject({ code: "ERR_UNSUPPORTED" });
    await expect(orderBySimilarity(await indexFactory(D, "IVF50,Flat"))).rejects.toMatchObject({
      code: "ERR_NOT_TRAINED",
    });
  });

  it("are refused where what finds them can't be numbered anew, and the index stays", async () => {
    for (const cells of ["PCA8,Flat", "PQ4x4fs,RFlat"]) {
      const index = await made(`IVF50(${cells}),Flat`);
      const before = index.toBytes();
      await expect(orderBySimilarity(index)).rejects.toMatchObject({
        code: "ERR_UNSUPPORTED",
        message: expect.stringContaining(`found by a ${cells} `) as string,
      });
      expect(index.toBytes()).toEqual(before);
    }
  });

  it("can be given up", async () => {
    const controller = new AbortController();
    controller.abort(new Error("enough"));
    await expect(orderBySimilarity(await made("IVF50,Flat"), { signal: controller.signal })).rejects.toThrow("enough");
  });
});
