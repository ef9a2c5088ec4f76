import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dump } from "npyjs";
import { afterAll, describe, expect, test } from "vitest";
import { startFaiss } from "../bench/native.mjs";
import { indexFactory, METRIC_INNER_PRODUCT, METRIC_L2 } from "../src/index.js";
import { expectAnswer } from "./answers.js";
import { floats, ids } from "./npy.js";
import { randomOf, uniform } from "./random.js";

// Files that we make, opened by faiss itself: left out where there is no Python with faiss (Debian: python3-faiss).

const faiss = startFaiss();
afterAll(() => {
  faiss?.stop();
});

describe.runIf(faiss !== undefined)("faiss opens our files and finds what we find", () => {
  const [n, d, nq, k] = [3000, 32, 50, 8];
  const vectors = uniform(randomOf(1), n * d);
  const queries = uniform(randomOf(2), nq * d);

  test.each([
    ["Flat", METRIC_L2],
    ["Flat", METRIC_INNER_PRODUCT],
    ["IVF40,Flat", METRIC_L2],
    ["IVF40,Flat", METRIC_INNER_PRODUCT],
    ["Flat,IDMap", METRIC_L2],
    ["PQ16x4fs", METRIC_L2],
    ["IVF40,PQ16x4fs", METRIC_L2],
    ["IVF40,PQ16x4fs", METRIC_INNER_PRODUCT],
    ["IVF40,PQ16x4fsr", METRIC_L2],
    ["IVF40,PQ16x4fs,RFlat", METRIC_L2],
    ["IVF40(PQ16x4fs,RFlat),Flat", METRIC_L2],
    ["L2norm,Flat", METRIC_INNER_PRODUCT],
    ["PCA16,IVF40,Flat", METRIC_L2],
    ["PCAWR16,Flat", METRIC_L2],
    ["OPQ4_8,Flat,RFlat", METRIC_L2],
    ["RR40,IVF40,PQ8x4fs,RFlat", METRIC_L2],
    ["Pad40,Flat", METRIC_L2],
    ["PQ8", METRIC_L2],
    ["PQ8x6np", METRIC_INNER_PRODUCT],
    ["IVF40,PQ8", METRIC_L2],
    ["IVF40,PQ8", METRIC_INNER_PRODUCT],
    ["IVF40,PQ16x5", METRIC_L2],
    ["IVF40,PQ8+4", METRIC_L2],
    ["IVF40_HNSW,PQ8", METRIC_L2],
    ["SQ8", METRIC_L2],
    ["SQ6", METRIC_INNER_PRODUCT],
    ["SQ4", METRIC_L2],
    ["SQfp16", METRIC_L2],
    ["IVF40,SQ8", METRIC_L2],
    ["IVF40,SQ8", METRIC_INNER_PRODUCT],
    ["IVF40,SQ4", METRIC_L2],
    ["IVF40,SQfp16", METRIC_INNER_PRODUCT],
    ["IVF40,PQ8,Refine(SQ8)", METRIC_L2],
    ["HNSW8", METRIC_L2],
    ["HNSW8", METRIC_INNER_PRODUCT],
    ["HNSW8,SQ8", METRIC_L2],
    ["HNSW8,SQfp16", METRIC_INNER_PRODUCT],
    ["HNSW8,PQ8", METRIC_L2],
    ["IVF40_HNSW8,Flat", METRIC_L2],
    ["HNSW8,PQ8x6", METRIC_L2],
    ["PQ8x11np", METRIC_L2],
    ["IVF40,PQ4x3", METRIC_INNER_PRODUCT],
    ["IVF40,SQ6", METRIC_INNER_PRODUCT],
    ["OPQ8_16,IVF40,PQ8", METRIC_L2],
    ["IVF40(PQ8x4fs,RFlat),SQ8", METRIC_L2],
    ["IVF40_HNSW,PQ8x4fs,RFlat", METRIC_L2],
    ["SQ8,Refine(SQfp16)", METRIC_INNER_PRODUCT],
  ] as const)("%s, metric %i", async (description, metric) => {
    const folder = mkdtempSync(join(tmpdir(), "cellist-native-"));
    try {
      const index = await indexFactory(d, description, metric);
      await index.train(vectors);
      if (description.includes("IDMap")) {
        await index.addWithIds(
          vectors,
          BigInt64Array.from({ length: n }, (_, i) => BigInt(i) * 5n + 2n ** 33n),
        );
      } else {
        await index.add(vectors);
      }
      const parameters = [
        ...(description.includes("IVF") ? ["nprobe=5"] : []),
        // Wide enough to see nearly all: at the default of 16 faiss 1.7.3 walks other ways than 1.15, which the golden files are by.
        ...(description.startsWith("HNSW") ? ["efSearch=1000"] : []),
      ].join();
      index.set(parameters);
      const file = join(folder, "ours.index");
      writeFileSync(file, index.toBytes());
      writeFileSync(join(folder, "queries.npy"), new Uint8Array(dump(queries, [nq, d])));
      expect(await faiss?.call("read", { file })).toMatchObject({ ntotal: n });
      const out = join(folder, "answer");
      await faiss?.call("search", { file, queries: join(folder, "queries.npy"), k, parameters, batch: 10, out });
      expectAnswer(
        index.search(queries, k),
        { distances: floats(`${out}.D.npy`).data, labels: ids(`${out}.I.npy`) },
        k,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
