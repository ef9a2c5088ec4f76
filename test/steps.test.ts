import { afterEach, describe, expect, test, vi } from "vitest";
import { indexFactory, METRIC_INNER_PRODUCT, METRIC_L2, readIndex } from "../src/index.js";
import type { Index, Progress, Work } from "../src/index.js";
import { buildVoiceIndex } from "../src/rvc/index.js";
import * as miniBatch from "../src/training/mini-batch.js";
import { Pace } from "../src/work/pace.js";
import { flatFile, refineFile } from "./files.js";
import { randomOf, uniform } from "./random.js";

const D = 128;
const rows = uniform(randomOf(1), 300 * D);

/** Long work: each is given what watches it, and returns what it changed. */
const WORK: Record<string, (work: Work) => Promise<unknown>> = {};
const begun = new Map<string, Index>();

for (const description of [
  "Flat",
  "IVF80,Flat",
  "PQ16x4fs",
  "IVF4,PQ16x4fsr",
  "IVF4,PQ16x4fs,RFlat",
  "IVF6(IVF2,Flat),Flat",
]) {
  WORK[`train ${description}`] = async (work) => {
    const index = await indexFactory(D, description);
    begun.set("index", index);
    begun.set("before", await indexFactory(D, description));
    await index.train(rows, work);
  };
  WORK[`add ${description}`] = async (work) => {
    const [index, before] = [await indexFactory(D, description), await indexFactory(D, description)];
    for (const each of [index, before]) {
      await each.train(rows);
      await each.add(rows.subarray(0, 30 * D));
    }
    begun.set("index", index);
    begun.set("before", before);
    await index.add(rows, work);
  };
}
WORK.readIndex = async (work) => {
  const index = await indexFactory(D, "IVF4,Flat");
  await index.train(rows);
  await index.add(rows);
  const bytes = index.toBytes();
  const chunks = Array.from({ length: 20 }, (_, i) =>
    bytes.subarray((i * bytes.length) / 20, ((i + 1) * bytes.length) / 20),
  );
  await readIndex(chunks, work);
};
WORK.buildVoiceIndex = async (work) => {
  await buildVoiceIndex([{ name: "a", data: uniform(randomOf(2), 200 * 256) }], { version: "v1", ...work });
};

afterEach(() => {
  vi.restoreAllMocks();
  begun.clear();
});

/** Lets 20 ms pass at each look at the clock, so that every step reports and yields. */
function hurry(): void {
  let time = 0;
  vi.spyOn(Date, "now").mockImplementation(() => (time += 20));
}

describe.each(Object.keys(WORK))("%s", (name) => {
  test("progress goes from the first to the last, phase by phase", async () => {
    hurry();
    const seen: Progress[] = [];
    await WORK[name]({ onProgress: (news) => seen.push({ ...news }) });
    if (name !== "train Flat") expect(seen.length).toBeGreaterThan(0);
    seen.forEach(({ phase, done, total }, i) => {
      expect(phase).not.toBe("");
      expect(done).toBeGreaterThanOrEqual(0);
      expect(done).toBeLessThanOrEqual(total);
      const next = seen.at(i + 1);
      if (next?.phase === phase && next.total === total) expect(next.done).toBeGreaterThanOrEqual(done);
      // Done is done: a phase with an end reaches it.
      else if (Number.isFinite(total)) expect([phase, done]).toEqual([phase, total]);
    });
  });

  test("an abort at any step, and while it yields, ends it there and changes nothing", async () => {
    hurry();
    let steps = 0;
    await WORK[name]({ onProgress: () => steps++ });
    const reason = new Error("enough");
    const places = new Set(
      [...Array(Math.min(steps, 12)).keys(), steps >> 1, steps - 2, steps - 1].filter((at) => at >= 0 && at < steps),
    );
    for (const at of places) {
      for (const later of [false, true]) {
        const controller = new AbortController();
        let seen = 0;
        const onProgress = (): void => {
          if (seen++ !== at) return;
          // In the middle of the yield: nobody looks at the signal before it is over.
          if (later) setImmediate(() => controller.abort(reason));
          else controller.abort(reason);
        };
        const ended = await WORK[name]({ signal: controller.signal, onProgress }).then(
          () => "done",
          (error: unknown) => error,
        );
        const where = `step ${at} of ${steps}, ${later ? "while it yields" : "at once"}`;
        expect(ended, where).toBe(reason);
        expect(seen, where).toBe(at + 1);
        const [index, before] = [begun.get("index"), begun.get("before")];
        if (index !== undefined && before !== undefined) {
          expect(Buffer.compare(index.toBytes(), before.toBytes()), where).toBe(0);
          expect(index.isTrained, where).toBe(before.isTrained);
        }
      }
    }
  });
});

test("a Refine whose second index is not trained to the end has forgotten its first", async () => {
  hurry();
  const description = "PQ16x4fs,Refine(PQ16x4fs)";
  const train = async (abortAt: number): Promise<[index: Index, steps: number]> => {
    const index = await indexFactory(D, description);
    const controller = new AbortController();
    let steps = 0;
    const onProgress = (): void => {
      if (++steps === abortAt) controller.abort();
    };
    await index.train(rows, { signal: controller.signal, onProgress }).catch(() => undefined);
    return [index, steps];
  };
  const [, steps] = await train(Infinity);
  const [index, seen] = await train(Math.floor(steps * 0.75));
  expect(seen).toBe(Math.floor(steps * 0.75));
  const untrained = await indexFactory(D, description);
  expect(Buffer.compare(index.toBytes(), untrained.toBytes())).toBe(0);
  await index.train(rows);
  await untrained.train(rows);
  expect(Buffer.compare(index.toBytes(), untrained.toBytes())).toBe(0);
});

test("where no time passes, each phase is told of at its first step and at its end", async () => {
  vi.spyOn(Date, "now").mockReturnValue(0);
  const seen: string[] = [];
  const pace = new Pace({ onProgress: ({ phase, done, total }) => seen.push(`${phase} ${done}/${total}`) });
  for (let i = 1; i <= 10; i++) await pace.step("assign", i, 10);
  await pace.step("assign", 10, 10);
  for (let i = 1; i <= 3; i++) await pace.step("encode", i, 3);
  expect(seen).toEqual(["assign 1/10", "assign 10/10", "encode 1/3", "encode 3/3"]);
});

describe("how many candidates are compared again", () => {
  test.each([
    [1, 1, 1],
    [1, 1.9, 1],
    [3, 1.5, 4],
    [3, 1.99, 5],
    [2, 4, 8],
    [4, 100, 20],
  ])("k %i, k_factor %f: %i, rounded down, as in faiss", async (k, kFactor, candidates) => {
    // By the first index row 0 is nearest and 19 farthest, by the second the other way round: the best is the last candidate.
    const base = Float32Array.from({ length: 20 }, (_, i) => i);
    const refine = Float32Array.from({ length: 20 }, (_, i) => 20 - i);
    const parts = [base, refine].map((each) => flatFile(1, METRIC_L2, each));
    const index = await readIndex(refineFile(1, METRIC_L2, parts[0], parts[1], 20));
    const { labels } = index.search(new Float32Array(1), k, { kFactor });
    expect([...labels]).toEqual(Array.from({ length: k }, (_, i) => candidates - 1 - i));
  });
});

describe("sums of more sub-quantizers than 16 bits can count", () => {
  test.each([METRIC_L2, METRIC_INNER_PRODUCT] as const)("metric %i: the scale keeps them apart", async (metric) => {
    // With 300 tables as wide as 255, the unguarded sum of a far vector is 76,500: it would begin again at 0.
    const d = 300;
    const n = 64;
    const random = randomOf(3);
    const vectors = Float32Array.from({ length: n * d }, (_, at) => {
      const i = Math.floor(at / d);
      return (i % 16) + (i >= 16 ? 0 : 0.001 * random());
    });
    const index = await indexFactory(d, "PQ300x4fs", metric);
    await index.train(vectors);
    await index.add(vectors);
    const query = new Float32Array(d).fill(metric === METRIC_L2 ? 0 : 1);
    const { labels, distances } = index.search(query, n);
    // Groups of four equal vectors, nearest first.
    const levels = [...labels].map((label) => label % 16);
    const expected = Array.from({ length: n }, (_, i) => (metric === METRIC_L2 ? i >> 2 : 15 - (i >> 2)));
    // An inner product whose sum is 0 is never found, as in faiss.
    const found = levels.filter((_, i) => labels[i] >= 0);
    expect(found.length).toBeGreaterThanOrEqual(n - 4);
    // The codebook may take two neighbouring values for one.
    found.forEach((level, i) => expect(Math.abs(level - expected[i]), `place ${i}`).toBeLessThanOrEqual(1));
    for (let i = 1; i < found.length; i++) {
      expect((distances[i] - distances[i - 1]) * (metric === METRIC_L2 ? 1 : -1)).toBeGreaterThanOrEqual(0);
    }
  });
});

describe("a voice of more than 200,000 rows", () => {
  test("is stored as 10,000 centres of all of them, by RVC's recipe", async () => {
    // A stand-in: the real one, which test/kmeans-faiss.test.ts holds against its rules, takes minutes of so many rows.
    const spy = vi
      .spyOn(miniBatch, "miniBatchKMeans")
      .mockImplementation(async (points, d, k) => points.slice(0, k * d));
    const d = 256;
    const slice = uniform(randomOf(4), 100_000 * d);
    for (const [extra, reduced] of [
      [0, false],
      [1, true],
    ] as const) {
      const slices = [slice, slice, uniform(randomOf(5), extra * d)].map((data, i) => ({ name: `${i}`, data }));
      const { index, rows: stored, nlist } = await buildVoiceIndex(slices, { version: "v1", seed: 9, factory: "Flat" });
      expect(spy.mock.calls.length).toBe(reduced ? 1 : 0);
      expect([stored, index.ntotal]).toEqual(reduced ? [10_000, 10_000] : [200_000, 200_000]);
      expect(nlist).toBe(reduced ? 256 : 5128);
      index.dispose();
    }
    const [points, dimensions, centres, seed] = spy.mock.calls[0];
    expect([points.length, dimensions, centres, seed]).toEqual([200_001 * d, d, 10_000, 9]);
  });
});

test("what is transformed is told of, from the first block to the last, and what a PCA learns", async () => {
  const d = 40;
  const vectors = uniform(randomOf(8), 2500 * d);
  const index = await indexFactory(d, "PCAR16,IVF4,Flat");
  hurry();
  const told = async (work: (options: Work) => Promise<unknown>): Promise<Map<string, number[][]>> => {
    const phases = new Map<string, number[][]>();
    const onProgress = ({ phase, done, total }: Progress): void => {
      phases.set(phase, [...(phases.get(phase) ?? []), [done, total]]);
    };
    await work({ onProgress });
    return phases;
  };
  const blocks = Array.from({ length: 40 }, (_, i) => [Math.min(2500, 64 * (i + 1)), 2500]);
  const training = await told((options) => index.train(vectors, options));
  expect(training.get("transform")).toEqual(blocks);
  // Three parts of as many steps as there are dimensions: the last is the last.
  const eigen = training.get("eigenvectors") ?? [];
  expect(new Set(eigen.map(([, total]) => total))).toEqual(new Set([3 * d]));
  expect(eigen.map(([done]) => done)).toEqual(eigen.map(([done]) => done).sort((a, b) => a - b));
  expect(eigen.at(-1)).toEqual([3 * d, 3 * d]);
  for (const part of [1, 2]) expect(eigen.map(([done]) => done)).toContain(part * d);
  const adding = await told((options) => index.add(vectors, options));
  expect(adding.get("transform")).toEqual(blocks);
});
