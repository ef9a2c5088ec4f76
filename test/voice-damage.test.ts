import { crc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import { CellistError, indexFactory } from "../src/index.js";
import type { IdType, Index } from "../src/index.js";
import { readVoice, shrinkVoice } from "../src/rvc/index.js";
import { below, pick, randomOf, uniform } from "./random.js";

/** Mutated files that are read: 100,000 with CELLIST_FUZZ=100000. */
const FILES = Math.min(100_000, Number(process.env.CELLIST_FUZZ ?? 2000));

async function indexOf(rows: Float32Array, d: number, description: string, ids?: bigint[]): Promise<Index<IdType>> {
  const index = await indexFactory(d, description);
  await index.train(rows);
  if (ids === undefined) await index.add(rows);
  else await index.addWithIds(rows, BigInt64Array.from(ids));
  return index;
}

async function smallFile(layers: number): Promise<Uint8Array<ArrayBuffer>> {
  const index = await indexOf(uniform(randomOf(5), 40 * 6), 6, "IVF3,Flat");
  return (await shrinkVoice(index, { layers, sample: 4 })).index.toBytes();
}

/** Whether bytes are read, or refused as damaged; whatever is read can be used and written. */
async function reads(bytes: Uint8Array): Promise<boolean> {
  let index: Index<IdType>;
  try {
    index = await readVoice(bytes, { maxBytes: 64 << 20 });
  } catch (error) {
    if (error instanceof CellistError) return false;
    throw error;
  }
  const { distances } = index.search(new Float32Array(index.d), 3, { nprobe: 8 });
  expect(distances.some(Number.isNaN)).toBe(false);
  const compact = await readVoice(bytes, { maxBytes: 64 << 20, compact: true });
  expect(compact.search(new Float32Array(index.d), 3, { nprobe: 8 }).distances.some(Number.isNaN)).toBe(false);
  const again = await readVoice(index.toBytes());
  expect(Buffer.compare(again.toBytes(), index.toBytes())).toBe(0);
  return true;
}

describe("vectors of any kind", () => {
  test.each([1, 2, 3, 5, 7, 8, 9, 16, 31, 100, 257])("of %i dimensions", async (d) => {
    const rows = uniform(randomOf(d), 60 * d);
    const { index: small, report } = await shrinkVoice(await indexOf(rows, d, "IVF2,Flat"), { layers: 5, sample: 8 });
    expect(report.settings.after.at(-1)?.error).toBeLessThan(0.2);
    expect(small.ntotal).toBe(60);
    const read = small.reconstructBatch(Array.from({ length: 60 }, (_, i) => i));
    const worst = read.reduce((most, x, i) => Math.max(most, Math.abs(x - rows[i])), 0);
    expect(worst).toBeLessThan(0.08);
  });

  test("of 1024 dimensions", { timeout: 60_000 }, async () => {
    const rows = uniform(randomOf(3), 50 * 1024);
    const { index: small } = await shrinkVoice(await indexOf(rows, 1024, "IVF1,Flat"), { layers: 4, sample: 4 });
    const read = small.reconstructBatch([0, 49]);
    for (let i = 0; i < 1024; i++) expect(Math.abs(read[i] - rows[i])).toBeLessThan(0.3);
  });

  test.each<[string, (i: number, j: number, random: () => number) => number]>([
    ["equal", () => 3.25],
    ["silence", () => 0],
    ["huge", (_i, _j, random) => 1e15 * (random() - 0.5)],
    ["tiny", (_i, _j, random) => 1e-12 * (random() - 0.5)],
    ["far from the origin", (_i, _j, random) => 1e4 + random()],
    ["one loud, the rest quiet", (i, _j, random) => (i === 7 ? 1e5 : 1) * (random() - 0.5)],
    ["in one direction", (i, j) => (i % 13) * (j + 1)],
  ])("%s", async (_name, fill) => {
    const random = randomOf(8);
    const d = 12;
    const rows = Float32Array.from({ length: 80 * d }, (_, at) => fill(Math.floor(at / d), at % d, random));
    const { index: small } = await shrinkVoice(await indexOf(rows, d, "IVF2,Flat"), { layers: 5, sample: 8 });
    const read = small.reconstructBatch(Array.from({ length: 80 }, (_, i) => i));
    const mean = rows.reduce((sum, x) => sum + x, 0) / rows.length;
    const spread = rows.reduce((most, x) => Math.max(most, Math.abs(x - mean)), 0);
    const worst = read.reduce((most, x, i) => Math.max(most, Math.abs(x - rows[i])), 0);
    expect(worst).toBeLessThanOrEqual(0.02 * spread + 1e-6 * Math.abs(mean));
  });

  test("of any index, under any ids", async () => {
    const d = 10;
    const rows = uniform(randomOf(4), 200 * d);
    const wide = Array.from({ length: 200 }, (_, i) => (BigInt(i * 7919) % 211n) * 10_000_000_000n);
    const sparse = Array.from({ length: 200 }, (_, i) => BigInt((i * 31) % 200) * 5n + 3n);
    for (const [description, ids] of [
      ["Flat", undefined],
      ["IDMap,Flat", sparse],
      ["IVF4,Flat", wide],
      ["IVF4,PQ5x4fs,RFlat", undefined],
    ] as const) {
      const index = await indexOf(rows, d, description, ids?.slice());
      const { index: small } = await shrinkVoice(index, { layers: 4, sample: 8 });
      expect(small.idType).toBe(ids === wide ? "int64" : "int32");
      const own = ids ?? rows.subarray(0, 200).map((_, i) => i);
      const read = small.reconstructBatch(Array.from(own as readonly bigint[], BigInt));
      const worst = read.reduce((most, x, i) => Math.max(most, Math.abs(x - rows[i])), 0);
      expect(worst).toBeLessThan(0.3);
    }
  });

  test("what can't be is said", async () => {
    const index = await indexOf(uniform(randomOf(4), 50 * 4), 4, "IVF2,Flat");
    await expect(shrinkVoice(index, { ratio: 8, error: 0.1 })).rejects.toThrow("give one of them");
    await expect(shrinkVoice(index, { bytes: 10 })).rejects.toThrow("are needed at the least");
    await expect(shrinkVoice(index, { layers: 9 })).rejects.toThrow("from 1 to 6");
    await expect(shrinkVoice({} as Index, {})).rejects.toThrow("give an index made by");
    const empty = await indexFactory(4, "Flat");
    await expect(shrinkVoice(empty)).rejects.toThrow("nothing to make small");
    const stop = new AbortController();
    const stopped = shrinkVoice(index, { layers: 2, signal: stop.signal, onProgress: () => stop.abort("enough") });
    await expect(stopped).rejects.toBe("enough");
    expect(index.ntotal).toBe(50);
  });
});

describe("a damaged file", () => {
  test("cut anywhere is refused, and the layers that are whole can be opened", async () => {
    const bytes = await smallFile(3);
    const whole = await readVoice(bytes);
    for (let length = 0; length < bytes.length; length++) {
      let message = "";
      await readVoice(bytes.subarray(0, length)).catch((error: unknown) => {
        if (!(error instanceof CellistError)) throw error;
        message = error.message;
      });
      expect(message).not.toBe("");
      const layers = Number(/\{ layers: (\d) \}/.exec(message)?.[1] ?? 0);
      if (layers === 0) continue;
      expect(message).toContain(layers === 1 ? "the first layer is whole" : `the first ${layers} layers are whole`);
      const part = await readVoice(bytes.subarray(0, length), { layers });
      expect(part.ntotal).toBe(whole.ntotal);
    }
  });

  test(`changed is refused: ${FILES} files`, { timeout: 3_600_000 }, async () => {
    const files = [await smallFile(1), await smallFile(3)];
    const random = randomOf(11);
    for (let i = 0; i < FILES; i++) {
      const bytes = pick(random, files).slice();
      const at = below(random, bytes.length);
      const old = bytes[at];
      bytes[at] ^= 1 + below(random, 255);
      if (i % 3 === 0) bytes[below(random, bytes.length)] = below(random, 256);
      // With its checksums mended, what is inside has to be looked at.
      if (i % 2 === 0) mend(bytes);
      if (bytes[at] !== old && (await reads(bytes))) expect(i % 2).toBe(0);
    }
  });
});

/** Gives a file the checksums of what it has, as far as its head can be followed. */
function mend(bytes: Uint8Array<ArrayBuffer>): void {
  const view = new DataView(bytes.buffer);
  const layers = Math.min(8, bytes[10]);
  const head = 72 + 28 * layers;
  if (head + 4 > bytes.length) return;
  let at = head + 4;
  const set = (field: number): void => {
    const length = view.getUint32(field, true);
    view.setUint32(field + 4, crc32(bytes.subarray(at, at + length)), true);
    at += length;
  };
  set(56);
  for (let layer = 0; layer < layers; layer++) {
    set(72 + 28 * layer + 12);
    set(72 + 28 * layer + 20);
  }
  view.setUint32(head, crc32(bytes.subarray(0, head)), true);
}
