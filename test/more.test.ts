import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { makeIndex } from "../src/factory/build.js";
import { openIndex } from "../src/faiss/read.js";
import { indexFactory, METRIC_L2, readIndex } from "../src/index.js";
import type { EngineOptions, More } from "../src/index.js";
import { more } from "../src/more/index.js";
import { goldenFolder } from "./golden.js";
import { randomOf, uniform } from "./random.js";

const golden = (name: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(new URL(`${name}.index`, goldenFolder)));
/** What a runtime without `import()` has. */
const nothing = async (wish: string): Promise<never> => Promise.reject(new Error(`no import for ${wish}`));

describe("what the core does not carry", () => {
  const [d, n] = [16, 400];
  const vectors = uniform(randomOf(1), n * d);

  test.each(["SQ8", "PQ4", "HNSW8", "PCA8,Flat", "RaBitQ", "IVF4,SQ8", "SQ8,RFlat"])(
    "%s of what is handed over is that of what is imported",
    async (description) => {
      const files = [];
      for (const options of [{ more }, {}] as EngineOptions[]) {
        const index = await indexFactory(d, description, METRIC_L2, options);
        await index.train(vectors, { seed: 1 });
        await index.add(vectors);
        files.push(index.toBytes());
      }
      expect(files[0]).toEqual(files[1]);
      const index = await readIndex(files[0], { more });
      expect(index.toBytes()).toEqual(files[0]);
    },
  );

  test.each(["Flat", "IVF4,Flat", "IDMap,PQ4x4fs", "IVF4,PQ4x4fsr_64,RFlat,IDMap2"])(
    "%s asks for nothing",
    async (s) => {
      const index = await makeIndex(d, s, METRIC_L2, {}, nothing);
      await index.train(vectors);
      if (s.includes("IDMap"))
        await index.addWithIds(
          vectors,
          Array.from({ length: n }, (_, i) => i),
        );
      else await index.add(vectors);
      expect((await openIndex(index.toBytes(), {}, nothing)).toBytes()).toEqual(index.toBytes());
    },
  );

  test("where it can't be had, what asked for it is named, and a wrong file is no index", async () => {
    await expect(makeIndex(d, "SQ8", METRIC_L2, {}, nothing)).rejects.toThrow('no import for the text "SQ8"');
    await expect(makeIndex(d, "IVF4, Flat", METRIC_L2, {}, nothing)).rejects.toThrow('the text "IVF4, Flat"');
    await expect(openIndex(golden("hnsw16_flat_l2"), {}, nothing)).rejects.toThrow('no import for "IHNf"');
    const page = new TextEncoder().encode("<!doctype html><title>Sign in</title>");
    await expect(openIndex(page, {}, nothing)).rejects.toMatchObject({ code: "ERR_FORMAT", message: /no index type/ });
    await expect(openIndex(page, { more }, nothing)).rejects.toThrow('an HTML page ("Sign in")');
  });

  test("what is none is refused", async () => {
    for (const bad of [null, 1, {}, { kinds: [] }])
      await expect(indexFactory(d, "Flat", METRIC_L2, { more: bad as unknown as More })).rejects.toMatchObject({
        code: "ERR_PARAMETER",
        message: /more is /,
      });
    const module = new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
    const options = { moreModule: module };
    await expect(indexFactory(d, "SQ8", METRIC_L2, options)).rejects.toThrow("moreModule can't be used");
    await expect(readIndex(golden("hnsw16_flat_l2"), options)).rejects.toThrow("moreModule can't be used");
    await expect(indexFactory(d, "Flat", METRIC_L2, options)).resolves.toBeDefined();
  });

  test("its kernels follow the index into a smaller memory", async () => {
    const index = await indexFactory(d, "IVF4,SQ8");
    const many = uniform(randomOf(2), 100 * n * d);
    await index.train(many);
    await index.add(many);
    index.removeIds(Array.from({ length: 99 * n }, (_, i) => i));
    const queries = many.subarray(0, 50 * d);
    const before = index.search(queries, 4);
    const held = index.memory;
    index.compact();
    expect(index.memory).toBeLessThan(held);
    expect(index.search(queries, 4)).toEqual(before);
    await index.add(vectors);
    expect(index.search(vectors.subarray(0, d), 1, { nprobe: 4 }).labels[0]).toBe(n);
  });
});
