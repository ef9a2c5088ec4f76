import { describe, expect, test } from "vitest";
import { CellistError, indexFactory, METRIC_INNER_PRODUCT, readIndex } from "../src/index.js";
import type { Index } from "../src/index.js";
import { blend, buildVoiceIndex } from "../src/rvc/index.js";
import { randomOf, uniform } from "./random.js";

// What people reported of this field's libraries and programs, as they met it, that stands nowhere else: others of the kind are in
// handle-inputs, npy, sources, voice-inputs, old-files, update, filter and commands.

const random = randomOf(20);
const D = 16;
const vectors = uniform(random, 2000 * D);

async function filled(description: string, rows = vectors): Promise<Index> {
  const index = await indexFactory(D, description);
  await index.train(rows);
  await index.add(rows);
  return index;
}

const failure = (code: string, message: RegExp): unknown =>
  expect.objectContaining({ code, message: expect.stringMatching(message) as string, name: "CellistError" });

describe("vectors of another model", () => {
  test("one query of 768 is none of 384, in any form that says so", async () => {
    const index = await indexFactory(384, "Flat");
    await index.add(uniform(random, 10 * 384));
    const query = uniform(random, 768);
    for (const search of [
      () => index.search(query, 1, { d: 768 }),
      () => index.search([query], 1),
      () => index.search({ data: query, dims: [1, 768] }, 1),
    ]) {
      expect(search).toThrow(failure("ERR_DIMENSION", /768.*384|384.*768/));
    }
    for (const add of [index.add(uniform(random, 1536), { d: 1536 }), index.add([uniform(random, 1536)])])
      await expect(add).rejects.toEqual(failure("ERR_DIMENSION", /1536.*384|384.*1536/));
    expect(index.ntotal).toBe(10);
  });

  test("frames of version 1 are not blended with a voice of version 2, and none is built of them", async () => {
    const voice = await indexFactory(768, "Flat");
    await voice.add(uniform(random, 10 * 768));
    for (const frames of [3, 6, 48]) {
      const features = uniform(random, frames * 256);
      const before = features.slice();
      for (const options of [{ d: 256 }, { rows: frames }])
        expect(() => blend(voice, features, options)).toThrow(failure("ERR_DIMENSION", /256|rows|frames/));
      expect(() => blend(voice, { data: features, dims: [1, frames, 256] })).toThrow(failure("ERR_DIMENSION", /256/));
      expect(features).toEqual(before);
    }
    const slice = { name: "0_0.npy", data: { data: uniform(random, 300 * 256), dims: [300, 256] } };
    await expect(buildVoiceIndex([slice], { version: "v2" })).rejects.toEqual(
      failure("ERR_DIMENSION", /0_0\.npy.*256/),
    );
  });
});

test("nprobe is set as in Python, and takes effect; what is none is no silent mistake", async () => {
  const index = await filled("IVF32,Flat");
  const queries = uniform(random, 50 * D);
  const exact = (await filled("Flat")).search(queries, 5).labels;
  expect(index.search(queries, 5).labels).not.toEqual(exact);
  index.nprobe = 32;
  expect(index.search(queries, 5).labels).toEqual(exact);
  expect(() => {
    (index as unknown as { nProbe: number }).nProbe = 32;
  }).toThrow(TypeError);
  const flat = await filled("Flat");
  expect(() => {
    flat.nprobe = 4;
  }).toThrow(failure("ERR_PARAMETER", /nprobe.*Flat does not have it/));
});

test("two voices are one, by their ids or numbered on", async () => {
  const make = async (from: number, to: number): Promise<Index> => {
    const index = await indexFactory(D, "IVF16,Flat");
    await index.train(vectors);
    await index.add(vectors.subarray(from * D, to * D));
    return index;
  };
  const [a, b] = [await make(0, 600), await make(600, 1000)];
  await a.mergeFrom(b, { addId: a.ntotal });
  expect(a.toBytes()).toEqual((await make(0, 1000)).toBytes());
});

test("a search among some ids finds what filtering all results does", async () => {
  const index = await filled("IVF16,Flat");
  index.nprobe = 16;
  const wanted = [10, 20, 40, 1999];
  const all = index.search(vectors.subarray(0, D), 2000).labels;
  const some = index.search(vectors.subarray(0, D), 3, { filter: index.filter(wanted) }).labels;
  expect([...some]).toEqual([...all].filter((id) => wanted.includes(id)).slice(0, 3));
});

test("a search within a radius finds what is within, strictly", async () => {
  const index = await filled("Flat");
  const { distances, labels } = index.search(vectors.subarray(0, D), 2000);
  const radius = distances[23];
  const within = index.rangeSearch(vectors.subarray(0, D), radius);
  expect([...within.labels]).toEqual([...labels].filter((_, i) => distances[i] < radius));
});

test("a vector is replaced under its id", async () => {
  const index = await indexFactory(D, "IDMap,Flat");
  await index.addWithIds(vectors.subarray(0, 2 * D), [7, 8]);
  const better = vectors.subarray(5 * D, 6 * D);
  await index.upsert(better, [7]);
  expect(index.ntotal).toBe(2);
  expect(index.reconstruct(7)).toEqual(better.slice());
  expect([...index.search(better, 2).labels]).toEqual([7, 8]);
});

test("ids beyond 32 bits: as bigints, or the words that say so", async () => {
  const index = await indexFactory(D, "IDMap,Flat");
  const one = vectors.subarray(0, D);
  for (const ids of [[2 ** 40], Uint32Array.of(4e9) as unknown as number[]])
    await expect(index.addWithIds(one, ids)).rejects.toEqual(failure("ERR_ID", /more than 32 bits.*BigInt64Array/));
  await index.addWithIds(one, BigInt64Array.of(1n << 40n));
  expect(index.search(one, 1).labels[0] as unknown).toBe(1n << 40n);
});

test("several adds at once: each is whole or refused, and says what to await", async () => {
  const index = await indexFactory(D, "Flat");
  const adds = [0, 1, 2].map((i) => index.add(vectors.subarray(i * 100 * D, (i + 1) * 100 * D)));
  const settled = await Promise.allSettled(adds);
  expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
  expect((settled[1] as PromiseRejectedResult).reason).toEqual(failure("ERR_BUSY", /await it/));
  expect(index.ntotal).toBe(100);
});

test("cosine: L2norm in front of an inner product, of vectors as they come", async () => {
  const index = await indexFactory(D, "L2norm,Flat", METRIC_INNER_PRODUCT);
  const long = vectors.map((x, i) => x * (1 + (Math.floor(i / D) % 7)));
  await index.add(long);
  const query = vectors.subarray(3 * D, 4 * D).map((x) => 9 * x);
  const { labels, distances } = index.search(query, 5);
  const cosine = (row: number): number => {
    let [dot, a, b] = [0, 0, 0];
    for (let i = 0; i < D; i++) {
      dot += long[row * D + i] * query[i];
      a += long[row * D + i] ** 2;
      b += query[i] ** 2;
    }
    return dot / Math.sqrt(a * b);
  };
  const best = Array.from({ length: 2000 }, (_, row) => row).sort((x, y) => cosine(y) - cosine(x));
  expect([...labels]).toEqual(best.slice(0, 5));
  labels.forEach((label, i) => {
    expect(distances[i]).toBeCloseTo(cosine(label), 5);
  });
  // It is the same after a file, which faiss reads, too.
  expect((await readIndex(index.toBytes())).search(query, 5)).toEqual({ labels, distances });
});

test("a description that can't be built names only what can", async () => {
  const refusal = async (description: string): Promise<string> => {
    const error: unknown = await indexFactory(D, description).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(CellistError);
    expect((error as CellistError).code).toBe("ERR_FACTORY");
    return (error as CellistError).message;
  };
  for (const description of ["LSH", "ivf10,flat", "IMI2x8,Flat"]) {
    const message = await refusal(description);
    const offered =
      message.match(/(?<![\w"])(?:[A-Z]\w*,)*(?:Flat|(?:PQ|SQ|HNSW|EDEN|RaBitQ|PCA|OPQ)\w*)(?:,\w+)*(?!\w)/g) ?? [];
    expect(offered.length).toBeGreaterThan(2);
    for (const name of offered.filter((part) => !description.includes(part))) {
      const d = 1024;
      await expect(indexFactory(d, name), `"${name}" of: ${message}`).resolves.toBeDefined();
    }
  }
});

test("a path in place of a slice's bytes gets the next step", async () => {
  const slice = { name: "0_0.npy", data: "slices/0_0.npy" as unknown as Float32Array };
  await expect(buildVoiceIndex([slice])).rejects.toEqual(
    failure(
      "ERR_PARAMETER",
      /^0_0\.npy is the text "slices\/0_0\.npy": a path is not opened here: give await readFile/,
    ),
  );
});
