import { describe, expect, test } from "vitest";
import { indexFactory, METRIC_INNER_PRODUCT, METRIC_L2, readIndex } from "../src/index.js";
import type { Index, Metric } from "../src/index.js";
import { randomOf, uniform } from "./random.js";

// RaBitQfs has RaBitQ's rows in blocks. By all bits distances are RaBitQ's; by signs alone they are rounded (test/golden has faiss').

const N = 150;

async function filled(d: number, description: string, metric: Metric): Promise<Index> {
  const index = await indexFactory(d, description, metric);
  const rows = uniform(randomOf(1), N * d);
  await index.train(rows, { seed: 1 });
  await index.add(rows);
  return index;
}

describe.each<Metric>([METRIC_L2, METRIC_INNER_PRODUCT])("metric %i", (metric) => {
  test.each([
    [13, "RaBitQ3", "RaBitQfs3"],
    [13, "RaBitQ3", "RaBitQfs3_64"],
    [32, "RaBitQ9", "RaBitQfs9_96"],
    [12, "IVF4,RaBitQ2", "IVF4,RaBitQfs2"],
    [5, "IVF4,RaBitQ4", "IVF4,RaBitQfs4_64"],
  ])("d = %i: distances of %s and %s are the same, before and behind a file", async (d, plain, blocks) => {
    const expected = await filled(d, plain, metric);
    const made = await filled(d, blocks, metric);
    const queries = uniform(randomOf(2), 6 * d);
    const read = await readIndex(made.toBytes());
    expect(read.description).toBe(blocks);
    expect(read.toBytes()).toEqual(made.toBytes());
    const all = expected.search(queries, N, { nprobe: 4 });
    for (const index of [made, read]) {
      const { distances, labels } = index.search(queries, N, { nprobe: 4 });
      expect(labels).toEqual(all.labels);
      expect(distances).toEqual(all.distances);
      expect(index.reconstructBatch([3, 99])).toEqual(expected.reconstructBatch([3, 99]));
    }
  });

  test("by signs alone distances are rounded, in steps that suit all lists of a query", async () => {
    const d = 64;
    const expected = await filled(d, "IVF4,RaBitQ", metric);
    const made = await filled(d, "IVF4,RaBitQfs", metric);
    const queries = uniform(randomOf(2), 6 * d);
    const byLabel = (index: Index): number[][] => {
      const { distances, labels } = index.search(queries, N, { nprobe: 4 });
      const rows = Array.from({ length: 6 }, () => new Array<number>(N).fill(Number.NaN));
      labels.forEach((label, i) => (rows[Math.floor(i / N)][label] = distances[i]));
      return rows;
    };
    const [exact, rounded] = [byLabel(expected), byLabel(made)];
    for (let i = 0; i < 6; i++) {
      const spread = Math.max(...exact[i]) - Math.min(...exact[i]);
      let most = 0;
      for (let j = 0; j < N; j++) most = Math.max(most, Math.abs(exact[i][j] - rounded[i][j]));
      expect(most).toBeGreaterThan(0);
      expect(most).toBeLessThan(0.02 * spread);
    }
  });
});
