import { describe, expect, test } from "vitest";
import { indexFactory, METRIC_INNER_PRODUCT, METRIC_L2 } from "../src/index.js";
import type { IdType, Index, Metric } from "../src/index.js";
import { measureVoice, readVoice, shrinkVoice } from "../src/rvc/index.js";
import type { ShrinkOptions } from "../src/rvc/index.js";
import { refusalOf } from "./rejections.js";
import { synthetic } from "./synthetic.js";

// What is asked for is what is made, and the report says what that is.

const [D, N] = [24, 1200];
const { base: rows, queries } = synthetic(D, 0, N, 20);

async function made(description = "IVF12,Flat", metric: Metric = METRIC_L2, n = N): Promise<Index<IdType>> {
  const index = await indexFactory(D, description, metric);
  await index.train(rows);
  await index.add(rows.subarray(0, n * D));
  return index;
}

const voice = await made();
const faissBytes = voice.toBytes().length;

describe("the size that is asked for", () => {
  test.each<[string, ShrinkOptions, number]>([
    ["nothing: an eighth", {}, faissBytes / 8],
    ["a ratio", { ratio: 5 }, faissBytes / 5],
    ["a ratio in layers", { ratio: 6.5, layers: 2 }, faissBytes / 6.5],
    ["bytes", { bytes: 30_000.7 }, 30_000],
    ["fewer", { bytes: 9000 }, 9000],
  ])("%s, and at most a little less", async (_, options, most) => {
    const { index, report } = await shrinkVoice(voice, { sample: 8, ...options });
    expect(index.toBytes().length).toBe(report.after);
    expect(report.after).toBeLessThanOrEqual(Math.floor(most));
    // A file of rows of whole bytes can't come nearer than some.
    expect(report.after).toBeGreaterThan(0.997 * most);
    expect(report.layers).toHaveLength(options.layers ?? 1);
    expect(report.layers.at(-1)).toBe(report.after);
  });

  test("is one that the finest step still fills, or that step's", async () => {
    const { report } = await shrinkVoice(voice, { ratio: 1, sample: 8 });
    expect(report.after).toBeLessThanOrEqual(faissBytes);
    const { report: more } = await shrinkVoice(voice, { bytes: 10 * faissBytes, sample: 8 });
    expect(more.after).toBe(report.after);
  });

  test("is refused where even the coarsest step needs more, with what it needs", async () => {
    const error = await refusalOf(shrinkVoice(voice, { bytes: 100, sample: 8 }));
    expect(error.code).toBe("ERR_PARAMETER");
    const least = Number(/and about (\d+) are needed/.exec(error.message)?.[1]);
    // Another basis may suit the other size by a byte or two.
    const bytes = Math.ceil(1.01 * least);
    const { report } = await shrinkVoice(voice, { bytes, sample: 8 });
    expect(report.after).toBeLessThanOrEqual(bytes);
    expect(report.after).toBeGreaterThan(0.98 * least);
  });
});

test("the error that is asked for is kept, and nearly used up", async () => {
  for (const error of [0.3, 0.05]) {
    const { index, report } = await shrinkVoice(voice, { error, sample: queries });
    const { settings } = await measureVoice(index, { truth: voice, sample: queries });
    const own = settings.at(-1)?.error ?? NaN;
    expect(own).toBeLessThanOrEqual(error);
    expect(own).toBeGreaterThan(0.85 * error);
    expect(report.settings.after.at(-1)?.error).toBeCloseTo(own, 12);
  }
  expect(await refusalOf(shrinkVoice(voice, { error: 1e-9, sample: 8 }))).toMatchObject({
    code: "ERR_PARAMETER",
    message: expect.stringContaining("less than the finest step reaches") as string,
  });
});

test("layers alone begin where one of RVC's default does, each a fraction of the one before", async () => {
  const bytes: number[] = [];
  for (const layers of [1, 2, 4, 6]) {
    const { index, report } = await shrinkVoice(voice, { layers, sample: 8 });
    if (layers === 1) expect(report.ratio).toBeGreaterThan(7.9);
    expect(report.layers).toHaveLength(layers);
    expect([...report.layers].sort((a, b) => a - b)).toEqual(report.layers);
    bytes.push(report.after);
    const file = index.toBytes();
    expect(file.length).toBe(report.after);
    for (const [i, end] of report.layers.entries())
      expect((await readVoice(file.slice(0, end), { layers: i + 1 })).ntotal).toBe(N);
  }
  expect([...bytes].sort((a, b) => a - b)).toEqual(bytes);
});

test("the report is of the voice, before and after", async () => {
  const { index, report } = await shrinkVoice(voice, { ratio: 4, nprobe: [3, 1, 3], sample: 30, seed: 7 });
  expect(report).toMatchObject({
    before: faissBytes,
    ratio: faissBytes / report.after,
    ntotal: N,
    d: D,
    bytesPerVector: report.after / N,
    frames: 30,
    heldOut: true,
    k: 8,
  });
  const probes = (settings: { nprobe: number | null }[]): unknown => settings.map(({ nprobe }) => nprobe);
  expect([probes(report.settings.before), probes(report.settings.after)]).toEqual([
    [1, 3],
    [1, 3, null],
  ]);
  for (const seconds of Object.values(report.seconds)) expect(seconds).toBeGreaterThanOrEqual(0);
  const own = await measureVoice(index, { truth: voice, nprobe: [1, 3], sample: 30, seed: 7 });
  const told = (settings: object[]): unknown => settings.map((setting) => ({ ...setting, milliseconds: 0 }));
  expect(told(report.settings.after)).toEqual(told(own.settings));
  const given = await shrinkVoice(voice, { ratio: 4, sample: queries });
  expect(given.report).toMatchObject({ frames: 20, heldOut: false });
  // Frames do not change the file, nor does the seed where there are cells.
  expect(given.index.toBytes()).toEqual(index.toBytes());
});

test("what has no cells gets them by RVC's rule, and keeps its ids", async () => {
  const index = await indexFactory(D, "IDMap,Flat");
  const ids = Int32Array.from({ length: 400 }, (_, i) => 5 * i + 2);
  await index.addWithIds(rows.subarray(0, 400 * D), ids);
  const { index: small, report } = await shrinkVoice(index, { bytes: 12_000, sample: 8 });
  expect([small.description, small.ntotal, report.before]).toEqual(["IVF10,Flat", 400, index.toBytes().length]);
  expect(Array.from(small.ids(), Number).sort((a, b) => a - b)).toEqual([...ids]);
  // Fewer than 39 rows are one cell.
  const few = await made("Flat", METRIC_L2, 38);
  expect((await shrinkVoice(few, { bytes: 2000, sample: 8 })).index.description).toBe("IVF1,Flat");
  // The vectors of an index of codes are what these stand for.
  const coded = await made("IVF12,SQ8");
  const { index: near } = await shrinkVoice(coded, { ratio: 1.2, sample: 8 });
  const [own, truth] = [near, coded].map((each) => each.reconstructBatch([0, 7, N - 1]));
  own.forEach((x, i) => expect(Math.abs(x - truth[i])).toBeLessThan(0.02));
});

describe("what can't be asked for is refused, and the voice is as before", () => {
  const before = voice.toBytes();
  const NO_NUMBERS = [0, -1, NaN, Infinity, "4", null, [4]] as unknown[];
  test.each<[string, object, RegExp]>([
    ...NO_NUMBERS.flatMap((value): [string, object, RegExp][] =>
      ["bytes", "ratio", "error"].map((name) => [name, { [name]: value }, /give a number above 0$/]),
    ),
    ["a ratio below 1", { ratio: 0.999 }, /^ratio is 0.999: give how many times smaller, above 1$/],
    ...[0, 7, 1.5, NaN, "2"].map((layers): [string, object, RegExp] => [
      "layers",
      { layers },
      /^layers is .*: give a whole number from 1 to 6$/,
    ]),
    ["two of them", { ratio: 4, bytes: 1000 }, /^bytes and ratio are both given/],
    ["two of them", { error: 0.1, bytes: 1000 }, /^bytes and error are both given/],
    ["lists", { nprobe: [1, 0] }, /^nprobe is 1,0: give an array of whole numbers from 1 on/],
    ["lists", { nprobe: [1.5] }, /^nprobe is 1.5/],
    ["lists", { nprobe: 4 }, /^nprobe is 4/],
    ["a sample", { sample: 0 }, /^sample is 0: give a number of frames from 1 on, or frames/],
    ["a sample", { sample: 2.5 }, /^sample is 2.5/],
    ["a sample", { sample: new Float32Array(0) }, /^sample has no frames/],
    ["a seed", { seed: -1 }, /^seed is -1/],
  ])("%s: %j", async (_, options, sentence) => {
    expect(await refusalOf(shrinkVoice(voice, options))).toMatchObject({
      code: "ERR_PARAMETER",
      message: expect.stringMatching(sentence) as string,
    });
    expect(Buffer.compare(voice.toBytes(), before)).toBe(0);
  });

  test("an index of nothing, inner products by their error, an end before the beginning", async () => {
    const empty = await made("IVF12,Flat", METRIC_L2, 0);
    expect(await refusalOf(shrinkVoice(empty))).toMatchObject({ code: "ERR_PARAMETER" });
    const products = await made("IVF12,Flat", METRIC_INNER_PRODUCT);
    expect(await refusalOf(shrinkVoice(products, { error: 0.1, sample: 8 }))).toMatchObject({ code: "ERR_METRIC" });
    expect((await shrinkVoice(products, { ratio: 4, sample: 8 })).index.metric).toBe(METRIC_INNER_PRODUCT);
    const reason = new Error("enough");
    await expect(shrinkVoice(voice, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(await refusalOf(shrinkVoice({} as never))).toMatchObject({ code: "ERR_PARAMETER" });
  });
});
