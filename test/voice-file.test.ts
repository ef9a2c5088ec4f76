import { describe, expect, test } from "vitest";
import { indexFactory, readIndex } from "../src/index.js";
import type { IdType, Index } from "../src/index.js";
import { Section } from "../src/codec/bytes.js";
import { headBytes, readHead } from "../src/codec/head.js";
import { measureVoice, readVoice, shrinkVoice, voiceCodec } from "../src/rvc/index.js";
import { randomOf, uniform } from "./random.js";

/** Rows with a few strong directions, around some centres: what codes of residuals are made for. */
function speech(n: number, d: number, seed: number): Float32Array<ArrayBuffer> {
  const random = randomOf(seed);
  const gauss = (): number => random() + random() + random() + random() - 2;
  const centres = Float32Array.from({ length: 12 * d }, gauss);
  const directions = Float32Array.from({ length: d * d }, gauss);
  const rows = new Float32Array(n * d);
  for (let i = 0; i < n; i++) {
    const centre = Math.floor(random() * 12) * d;
    const loud = 0.05 + random();
    for (let j = 0; j < d; j++) rows[i * d + j] = 4 * centres[centre + j] + 0.05 * loud * gauss();
    for (let k = 0; k < Math.min(d, 6); k++) {
      const along = (loud * gauss()) / (1 + k);
      for (let j = 0; j < d; j++) rows[i * d + j] += along * directions[k * d + j];
    }
  }
  return rows;
}

async function voice(n: number, d: number, description: string, seed = 1): Promise<Index<IdType>> {
  const index = await indexFactory(d, description);
  const rows = speech(n, d, seed);
  await index.train(rows);
  await index.add(rows);
  return index;
}

/** The vectors of the ids 0 to n - 1. */
function vectors(index: Index<IdType>): Float32Array {
  return index.reconstructBatch(Array.from({ length: index.ntotal }, (_, i) => i));
}

/** The root mean square error, as a share of that around the mean. */
function loss(actual: Float32Array, exact: Float32Array, d: number): number {
  let [error, spread] = [0, 0];
  const mean = new Float64Array(d);
  exact.forEach((x, i) => (mean[i % d] += (x * d) / exact.length));
  exact.forEach((x, i) => {
    error += (actual[i] - x) ** 2;
    spread += (x - mean[i % d]) ** 2;
  });
  return Math.sqrt(error / spread);
}

test("lists are scanned as asked, whatever is around them", async () => {
  for (const description of ["IDMap,IVF8,Flat", "PCA16,IVF8,Flat", "IVF8,PQ8x4fs,RFlat"]) {
    const index = await indexFactory(32, description);
    const rows = speech(700, 32, 1);
    await index.train(rows);
    if (description.startsWith("IDMap"))
      await index.addWithIds(
        rows,
        Int32Array.from({ length: 700 }, (_, i) => 7 * i),
      );
    else await index.add(rows);
    const { settings } = await measureVoice(index, { nprobe: [1, 2, 8, 99] });
    expect(settings.map(({ nprobe }) => nprobe)).toEqual([1, 2, null]);
    expect(settings[0].recall).toBeLessThanOrEqual(settings[2].recall);
  }
});

describe("a voice file", () => {
  test("stands for the vectors, the nearer the more bytes it has", async () => {
    const index = await voice(1500, 48, "IVF12,Flat");
    const exact = vectors(index);
    let last = Infinity;
    for (const ratio of [16, 8, 4]) {
      const { index: small, report } = await shrinkVoice(index, { ratio });
      expect(small.description).toBe("IVF12,Flat");
      expect(report.after).toBeLessThanOrEqual(report.before / ratio);
      expect(small.toBytes().length).toBe(report.after);
      const own = loss(vectors(small), exact, 48);
      expect(own).toBeLessThan(last);
      last = own;
    }
    expect(last).toBeLessThan(0.02);
  });

  test("is read and written as it was, its nprobe apart", async () => {
    const index = await voice(700, 32, "IVF8,Flat");
    index.set("nprobe=3");
    const { index: small } = await shrinkVoice(index, { ratio: 6, layers: 2 });
    const bytes = small.toBytes();
    const again = await readVoice(bytes);
    expect(again.get("nprobe")).toBe(3);
    expect(Buffer.compare(again.toBytes(), bytes)).toBe(0);
    expect(vectors(again)).toEqual(vectors(small));
    again.set("nprobe=5");
    const other = await readVoice(again.toBytes());
    expect(other.get("nprobe")).toBe(5);
    expect(vectors(other)).toEqual(vectors(small));
    // For others, a faiss file of the vectors that it stands for.
    const plain = await readIndex(other.toFaiss());
    expect(plain.description).toBe("IVF8,Flat");
    expect(plain.get("nprobe")).toBe(5);
    expect(vectors(plain)).toEqual(vectors(small));
    expect(Buffer.compare(index.toFaiss(), index.toBytes())).toBe(0);
  });

  test("is written as a faiss file once vectors have changed", async () => {
    const index = await voice(300, 16, "IVF4,Flat");
    const { index: small } = await shrinkVoice(index, { ratio: 4 });
    await small.add(uniform(randomOf(3), 2 * 16));
    const plain = await readIndex(small.toBytes());
    expect(plain.ntotal).toBe(302);
    expect(vectors(plain)).toEqual(vectors(small));
  });

  test("has layers: the first ones alone are the voice, too, and further ones better it", async () => {
    const index = await voice(1200, 40, "IVF10,Flat");
    const exact = vectors(index);
    const { index: small, report } = await shrinkVoice(index, { layers: 4 });
    const bytes = small.toBytes();
    let last = Infinity;
    for (let layers = 1; layers <= 4; layers++) {
      const part = bytes.slice(0, report.layers[layers - 1]);
      const index = await readVoice(part, { layers });
      const own = loss(vectors(index), exact, 40);
      expect(own).toBeLessThan(last * 0.8);
      last = own;
      // A file of these layers only, and what it was read from, are the same voice.
      expect(vectors(await readVoice(index.toBytes()))).toEqual(vectors(index));
      expect(vectors(await readVoice(bytes, { layers }))).toEqual(vectors(index));
      if (layers < 4) await expect(readVoice(part)).rejects.toThrow(`{ layers: ${layers} }`);
    }
    expect(vectors(await readVoice(bytes))).toEqual(vectors(await readVoice(bytes, { layers: 4 })));
  });

  test("is no business of the core, which says whose", async () => {
    const index = await voice(100, 8, "IVF2,Flat");
    const bytes = (await shrinkVoice(index, { ratio: 2 })).index.toBytes();
    await expect(readIndex(bytes)).rejects.toThrow(/voiceCodec being of "cellist\/rvc"/);
    expect((await readIndex(bytes, { codecs: [voiceCodec] })).ntotal).toBe(100);
  });
});

test("cells stand where they stood, in all dimensions, where rows around them take few", async () => {
  const [n, d] = [600, 64];
  const index = await voice(n, d, "IVF12,Flat");
  const { index: small } = await shrinkVoice(index, { ratio: 20, sample: 4 });
  const bytes = small.toBytes();
  expect(readHead(bytes).layers[0].width).toBeLessThanOrEqual(24);
  expect(loss(vectors(await readVoice(bytes)), vectors(index), d)).toBeLessThan(0.08);
});

test("the mean of the centroids stands in a file to 16 bits of its largest component", async () => {
  const [d, nlist] = [12, 20];
  const rows = uniform(randomOf(41), 800 * d).map((x, i) => x + (i % d) * (i % 2 === 0 ? 1 : -1));
  const index = await indexFactory(d, `IVF${nlist},Flat`);
  await index.train(rows);
  await index.add(rows);
  const faiss = index.toBytes();
  // Behind the headers of the IVF and of its coarse quantizer, and how many numbers that has.
  const centroids = new Float32Array(faiss.slice(53 + 45, 53 + 45 + nlist * d * 4).buffer);
  const bytes = (await shrinkVoice(index, { ratio: 3, sample: 8 })).index.toBytes();
  const head = readHead(bytes);
  const start = headBytes(head.layers.length);
  const section = new Section("the prefix", bytes.subarray(start, start + head.prefixBytes));
  for (let list = 0; list < nlist; list++) section.varint("size", 800);
  const step = section.f32("step") * head.unit;
  const numbers = Array.from({ length: d }, () => section.i16("mean"));
  expect(Math.max(...numbers.map(Math.abs))).toBe(32767);
  for (let j = 0; j < d; j++) {
    let mean = 0;
    for (let cell = 0; cell < nlist; cell++) mean += centroids[cell * d + j] / nlist;
    expect(Math.abs(numbers[j] * step - mean)).toBeLessThan(0.501 * step);
  }
});
