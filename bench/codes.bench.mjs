// Scalar and product quantizers in cells, a graph, and the training of a rotation: recall, time, and faiss with the same files.

import { readFileSync } from "node:fs";
import { dump } from "npyjs";
import { indexFactory, readIndex } from "cellist";
import { keep, npy, summary, table, timeBlocks } from "./measure.mjs";
import { startFaiss } from "./native.mjs";
import { speechlike, speechlikeFile } from "./speechlike.mjs";

const [N, D, K] = [100_000, 256, 8];
const BASE = [N, D, 1];
const QUERIES = [512, D, 2];
const NPROBES = [4, 16];
const EF_SEARCHES = [16, 32, 64];
/** The index with exact re-ranking comes first: by ratios to it, runs on different machines can be held against each other. */
const FACTORIES = [
  "IVF1024,PQ128x4fs,RFlat",
  "IVF1024,SQ8",
  "IVF1024,SQfp16",
  "IVF1024,PQ64",
  "PCA128,IVF1024,Flat",
  "IVF1024,RaBitQ",
  "IVF1024,RaBitQfs",
  "IVF1024,RaBitQ4",
  "HNSW32",
];
/** Codes that faiss has since 1.14. */
const NEW = /RaBitQ|EDEN/;
const ROUNDS = 5;
/** Rotations are learnt of so many vectors: native faiss takes minutes for all. */
const TRAINED = [10_000, D, 1];
const ROTATION = "OPQ64_128,Flat";

export const title = `Codes: ${N} x ${D}, k ${K}, one query`;

export async function run() {
  const base = speechlike(...BASE);
  const queries = speechlike(...QUERIES);
  const exact = npy(await keep(`exact-${BASE.join("-")}-${QUERIES.join("-")}-flat.npy`, () => nearest(base, queries)));
  const faiss = startFaiss();
  try {
    await searches(base, queries, exact, faiss);
    await training(faiss);
  } finally {
    faiss?.stop();
  }
}

async function searches(base, queries, exact, faiss) {
  const cases = [];
  for (const factory of FACTORIES) {
    const file = await keep(`${factory.replace(/\W/g, "_")}-${N}x${D}.index`, () => build(factory, base));
    const index = await readIndex(readFileSync(file));
    const native = faiss !== undefined && !NEW.test(factory);
    if (native) await faiss.call("read", { file });
    for (const options of optionsOf(factory)) {
      index.warmUp({ batch: 1, k: K, ...options });
      cases.push({ factory, index, file, options, native, times: [], theirs: [] });
    }
  }
  // In turns, so that whatever else the machine does befalls all.
  for (let round = 0; round < ROUNDS; round++) {
    for (const { index, file, options, native, times, theirs } of cases) {
      times.push(summary(timeBlocks(index, queries, 1, K, options)).median);
      if (!native) continue;
      const parameters = Object.entries(options)
        .map(([name, value]) => `${name === "kFactor" ? "k_factor_rf" : name}=${value}`)
        .join(",");
      const call = { file, queries: speechlikeFile(...QUERIES), k: K, parameters, batch: 1 };
      theirs.push(summary((await faiss.call("search", call)).times).median);
    }
  }
  const yardstick = (nprobe = NPROBES.at(-1)) =>
    summary(cases.find(({ options }) => options.nprobe === nprobe).times).min;
  table(
    cases.map(({ factory, index, options, times, theirs }) => ({
      index: factory,
      options: JSON.stringify(options),
      "recall@8": share(index, queries, options, exact),
      "µs a query": summary(times).min * 1e3,
      [`of ${FACTORIES[0]}`]: summary(times).min / yardstick(options.nprobe),
      "of native": theirs.length > 0 ? summary(times).min / summary(theirs).min : "-",
    })),
  );
}

function optionsOf(factory) {
  if (factory.startsWith("HNSW")) return EF_SEARCHES.map((efSearch) => ({ efSearch }));
  return NPROBES.map((nprobe) => (factory.endsWith("RFlat") ? { nprobe, kFactor: 4 } : { nprobe }));
}

async function training(faiss) {
  const rows = speechlike(...TRAINED);
  const index = await indexFactory(D, ROTATION);
  const before = process.cpuUsage();
  await index.train(rows);
  const seconds = process.cpuUsage(before).user / 1e6;
  const theirs = await faiss?.call("build", { vectors: speechlikeFile(...TRAINED), factory: ROTATION });
  table([
    {
      training: `${ROTATION}, ${TRAINED[0]} vectors`,
      "CPU s": seconds,
      "of native": theirs === undefined ? "-" : (seconds * 1e3) / theirs.train,
    },
  ]);
}

async function build(factory, base) {
  const index = await indexFactory(D, factory);
  await index.train(base);
  await index.add(base);
  return index.toBytes();
}

/** The share of the nearest that were found, by label: codes have distances of their own. */
function share(index, queries, options, exact) {
  const { labels } = index.search(queries, K, options);
  let hits = 0;
  for (let i = 0; i < labels.length; i += K) {
    const wanted = new Set(exact.subarray(i, i + K));
    for (let j = i; j < i + K; j++) if (wanted.has(labels[j])) hits++;
  }
  return hits / labels.length;
}

async function nearest(base, queries) {
  const flat = await indexFactory(D, "Flat");
  await flat.add(base);
  return new Uint8Array(dump(Float64Array.from(flat.search(queries, K).labels), [queries.length / D, K]));
}
