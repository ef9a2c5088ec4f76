import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { METRIC_INNER_PRODUCT, METRIC_L2, readIndex } from "../src/index.js";
import { expectAnswer } from "./answers.js";
import { HEADER_BYTES } from "./files.js";
import { goldenCases, goldenFolder, hasShared, shared } from "./golden.js";
import type { GoldenCase } from "./golden.js";
import { floats, ids } from "./npy.js";

function checkCase(golden: GoldenCase, folder: URL): void {
  test(golden.name, async () => {
    const bytes = readFileSync(new URL(golden.file, folder));
    const index = await readIndex(bytes);
    expect(index).toMatchObject({
      d: golden.d,
      ntotal: golden.ntotal,
      isTrained: golden.is_trained,
      metric: golden.metric === "L2" ? METRIC_L2 : METRIC_INNER_PRODUCT,
    });
    const { data: queries } = floats(new URL(golden.queries, folder));
    const length = Math.max(...norms(queries, golden.d));
    for (const { k, nprobe, k_factor: kFactor, D, I } of golden.searches) {
      const actual = index.search(queries, k, { nprobe: nprobe ?? undefined, kFactor: kFactor ?? undefined });
      const expected = { distances: floats(new URL(D, folder)).data, labels: ids(new URL(I, folder)) };
      if (/4fs|RaBitQfs/.test(golden.factory)) mendFastScan(expected, actual, k, golden.metric);
      // Estimates of RaBitQ and EDEN are the differences of larger numbers.
      // Those of Panorama, too, in faiss.
      const isEstimate = golden.metric === "IP" || /RaBitQ|EDEN|Panorama/.test(golden.factory);
      expectAnswer(actual, expected, k, isEstimate ? length : golden.factory.includes("SQ") ? 0.05 : 0.01);
    }
    // Panorama is another order of the same rows, and written as Flat.
    if (golden.factory.includes("Panorama")) expect(index.description).toMatch(/^(IVF16,)?Flat$/);
    else expect(Buffer.compare(index.toBytes(), bytes)).toBe(0);
    index.dispose();
  });
}

/**
 * Where faiss' FastScan finds nothing, its distances are finite garbage (factory.md), and where a sum is 0 under inner product, as all
 * are of the zero query (the fifth), it finds nothing: there we are not to agree.
 */
function mendFastScan(
  expected: { distances: Float32Array; labels: BigInt64Array },
  actual: { distances: Float32Array; labels: Int32Array | BigInt64Array },
  k: number,
  metric: "L2" | "IP",
): void {
  expected.labels.forEach((label, i) => {
    if (label === -1n) expected.distances[i] = metric === "L2" ? 3.4028234663852886e38 : -3.4028234663852886e38;
  });
  if (metric === "L2") return;
  for (let i = 4 * k; i < 5 * k; i++) {
    expected.labels[i] = BigInt(actual.labels[i]);
    expected.distances[i] = actual.distances[i];
  }
}

function norms(vectors: Float32Array, d: number): number[] {
  return Array.from({ length: vectors.length / d }, (_, i) =>
    vectors.subarray(i * d, i * d + d).reduce((sum, x) => sum + x * x, 0),
  );
}

describe("files written by faiss give faiss' answers and are written back byte for byte", () => {
  for (const golden of goldenCases(goldenFolder)) checkCase(golden, goldenFolder);
});

describe.runIf(hasShared)("RVC's files", () => {
  const folder = new URL("golden/", shared);
  if (!existsSync(folder)) return;
  for (const golden of goldenCases(folder).filter(({ name }) => name.startsWith("rvc"))) checkCase(golden, folder);
});

describe.runIf(hasShared)("files found in the wild", () => {
  const folder = new URL("data/wild/", shared);
  if (!existsSync(folder)) return;
  interface Wild {
    I: number[][];
    D: number[][];
    ntotal: number;
    d: number;
    nprobe?: number;
    x0_first4?: number[];
  }
  const expected = JSON.parse(readFileSync(new URL("expected.json", folder), "utf8")) as Record<string, Wild>;
  for (const [name, wild] of Object.entries(expected)) {
    if (!/^(IxF|IwFl|IwPQ|IxMp|IHN)/.test(name)) continue;
    test(name, async () => {
      const bytes = readFileSync(new URL(name, folder));
      const index = await readIndex(bytes);
      expect([index.d, index.ntotal]).toEqual([wild.d, wild.ntotal]);
      if (wild.ntotal > 0) {
        // The queries are the first three vectors of what is stored, under whatever ids.
        const stored = index.description.includes("IDMap") ? rowsOf(bytes, index.d) : index.reconstructBatch([0, 1, 2]);
        const labels = BigInt64Array.from(wild.I.flat(), BigInt);
        const distances = Float32Array.from(wild.D.flat());
        expectAnswer(index.search(stored, 5), { distances, labels }, 5);
      }
      expect(Buffer.compare(index.toBytes(), bytes)).toBe(0);
    });
  }
});

/** The first three rows of a flat index inside an IDMap: behind two fourccs and headers and a count. */
function rowsOf(bytes: Buffer, d: number): Float32Array {
  const start = 2 * 37 + 8;
  return new Float32Array(new Uint8Array(bytes.subarray(start, start + 3 * d * 4)).buffer);
}

describe("what a file asks of faiss' kernels is kept and changes nothing", () => {
  const of = (name: string): Buffer => readFileSync(new URL(`${name}.index`, goldenFolder));
  /** The bytes before the fields: header, then what stands between, and lists of centroids where there are any. */
  test.each([
    ["pq4fs_l2", (d: number, _nlist: number) => HEADER_BYTES + 4 * 8 + d * 16 * 4, [4, 4]],
    [
      "ivf_pq4fs_l2",
      (d: number, nlist: number) => 2 * HEADER_BYTES + 16 + 8 + nlist * d * 4 + 9 + 1 + 8 + 4 + 8,
      [0, 4],
    ],
  ] as const)("%s", async (name, offset, [between, width]) => {
    const bytes = of(name);
    const index = await readIndex(bytes);
    const nlist = Number(/IVF(\d+)/.exec(index.description)?.[1] ?? 0);
    const at = offset(index.d, nlist);
    expect(bytes.readInt32LE(at)).toBe(0);
    const changed = Buffer.from(bytes);
    changed.writeInt32LE(12, at);
    if (name === "pq4fs_l2") changed.writeInt32LE(0x1234, at + 4 + between);
    else changed.writeBigInt64LE((1n << 62n) + 5n, at + width);
    const other = await readIndex(changed);
    expect(Buffer.compare(other.toBytes(), changed)).toBe(0);
    const { data: queries } = floats(new URL("queries.npy", goldenFolder));
    const some = queries.subarray(0, 10 * index.d);
    expect(other.search(some, 5, { nprobe: 4 })).toEqual(index.search(some, 5, { nprobe: 4 }));
  });
});
