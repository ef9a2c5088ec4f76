import { describe, expect, test, vi } from "vitest";
import { indexFactory, METRIC_INNER_PRODUCT, METRIC_L2 } from "../src/index.js";
import type { Index, Metric } from "../src/index.js";
import { blend, measureVoice } from "../src/rvc/index.js";
import { randomOf, uniform } from "./random.js";

const [D, N, FRAMES, K] = [8, 600, 40, 4];
const rows = uniform(randomOf(1), N * D);
const frames = uniform(randomOf(2), FRAMES * D);

async function made(description: string, metric: Metric = METRIC_L2): Promise<Index> {
  const index = await indexFactory(D, description, metric);
  await index.train(rows);
  await index.add(rows);
  return index;
}

function keyOf(frame: number, row: number, metric: Metric): number {
  let sum = 0;
  for (let j = 0; j < D; j++) {
    const [x, y] = [frames[frame * D + j], rows[row * D + j]];
    sum += metric === METRIC_L2 ? (x - y) ** 2 : -x * y;
  }
  return sum;
}

/** The share of the true neighbours among what an index finds, by brute force in doubles. */
function recallOf(index: Index, metric: Metric, nprobe: number): number {
  const { labels } = index.search(frames, K, { nprobe });
  let hits = 0;
  for (let i = 0; i < FRAMES; i++) {
    const nearest = Array.from({ length: N }, (_, row) => row).sort(
      (a, b) => keyOf(i, a, metric) - keyOf(i, b, metric),
    );
    const truth = new Set(nearest.slice(0, K));
    for (let j = 0; j < K; j++) if (truth.has(labels[i * K + j])) hits++;
  }
  return hits / (FRAMES * K);
}

/** How far each blend ends from the exact one, as a share of that one's move, by what blend gives. */
function errorsOf(index: Index, exact: Index, nprobe: number): number[] {
  const own = blend(index, frames.slice(), { k: K, nprobe });
  const truth = blend(exact, frames.slice(), { k: K, nprobe: N });
  const far = (a: Float32Array, b: Float32Array, i: number): number =>
    Math.hypot(...Array.from({ length: D }, (_, j) => a[i * D + j] - b[i * D + j]));
  return Array.from({ length: FRAMES }, (_, i) => far(own, truth, i) / far(truth, frames, i)).sort((a, b) => a - b);
}

describe("measureVoice says what a search and a blend give", () => {
  // In the one exact distances are the index's own, in the other they come of another index.
  test.each(["IVF8,Flat", "IVF8,SQ8"])("%s, beside the truth", async (description) => {
    const [index, truth] = [await made(description), await made("Flat")];
    // A clock that counts how often it is looked at.
    const clock = vi.spyOn(Date, "now").mockImplementation(() => clock.mock.calls.length);
    const report = await measureVoice(index, { sample: frames, k: K, nprobe: [1, 3], truth });
    const all = Date.now();
    clock.mockRestore();
    expect(report.settings.map(({ nprobe }) => nprobe)).toEqual([1, 3, null]);
    for (const { nprobe, recall, error, median } of report.settings) {
      const lists = nprobe ?? N;
      expect(recall).toBeCloseTo(recallOf(index, METRIC_L2, lists), 10);
      const errors = errorsOf(index, truth, lists);
      expect(error).toBeCloseTo(errors.reduce((sum, x) => sum + x) / FRAMES, 4);
      expect(errors[FRAMES / 2 - 1] - 1e-4).toBeLessThan(median ?? NaN);
      expect(errors[FRAMES / 2] + 1e-4).toBeGreaterThan(median ?? NaN);
    }
    // Blocks of 16 frames took, in all, a part of the whole.
    const blocks = report.settings.reduce((sum, { milliseconds }) => sum + (milliseconds * FRAMES) / 16, 0);
    expect(blocks).toBeGreaterThan(2.9);
    expect(blocks).toBeLessThanOrEqual(all);
    expect(report.settings[0].recall).toBeLessThan(report.settings[1].recall);
  });

  test("of itself, exhaustively searched, it finds everything", async () => {
    const { settings } = await measureVoice(await made("IVF8,Flat"), { sample: frames, k: K, nprobe: [2] });
    expect(settings[1]).toMatchObject({ nprobe: null, recall: 1 });
    expect(settings[1].error).toBeLessThan(1e-6);
    expect(settings[0].error).toBeGreaterThan(0.01);
  });

  test("inner products have no blend to be far from", async () => {
    const index = await made("IVF8,Flat", METRIC_INNER_PRODUCT);
    const { settings } = await measureVoice(index, { sample: frames, k: K, nprobe: [1] });
    expect(settings[0].recall).toBeCloseTo(recallOf(index, METRIC_INNER_PRODUCT, 1), 10);
    for (const setting of settings) expect(setting).toMatchObject({ error: null, median: null });
  });
});
