// HNSW: building and searching beside the other index that people pick, and beside hnswlib-wasm. Vectors learnt to be shorter, too.

import { existsSync } from "node:fs";
import { indexFactory, readIndex } from "cellist";
import { cached, recall, summary, table, timeBlocks } from "./measure.mjs";
import { speechlike } from "./speechlike.mjs";

const N = 100_000;
const K = 8;
const QUERIES = 1000;
const ROUNDS = 3;
/** The recall at which hnswlib-wasm is compared, and what it is built with: its own defaults. */
const TARGET = 0.98;
const HNSWLIB = { M: 16, efConstruction: 200 };

export const title = "HNSW and transforms: building, searching, beside hnswlib-wasm";

export async function run() {
  await besideLists();
  await besideHnswlib();
}

/** 256 dimensions: what native faiss is known by, as ratios to the index that RVC's users have (README). */
async function besideLists() {
  const d = 256;
  const base = speechlike(N, d, 1);
  const queries = speechlike(2000, d, 2).subarray(0, QUERIES * d);
  const exact = await truth(base, queries, d);
  const rows = [];
  const settings = [
    ["IVF1024,PQ128x4fs,RFlat", [1, 4, 16].map((nprobe) => ({ nprobe, kFactor: 4 }))],
    ["HNSW32", [16, 32, 64].map((efSearch) => ({ efSearch }))],
    ["PCA128,IVF1024,Flat", [4, 16].map((nprobe) => ({ nprobe }))],
  ];
  const cases = [];
  for (const [description, options] of settings) {
    const { index, seconds } = await built(description, base, d);
    for (const option of options) {
      index.warmUp({ batch: 1, k: K, ...option });
      cases.push({ description, index, seconds, option, times: [] });
    }
  }
  // In turns, so that whatever else the machine does befalls all.
  for (let round = 0; round < ROUNDS; round++) {
    for (const { index, option, times } of cases) {
      timeBlocks(index, queries.subarray(0, 100 * d), 1, K, option);
      times.push(...timeBlocks(index, queries, 1, K, option));
    }
  }
  for (const { description, index, seconds, option, times } of cases) {
    const found = index.search(queries, K, option).distances;
    // Behind a PCA distances are others: what is near is known by its label.
    const share = description.startsWith("PCA")
      ? labelRecall(index, queries, option, exact)
      : recall(found, exact.distances, K);
    rows.push({
      index: description,
      option: JSON.stringify(option),
      "recall@8": share,
      "µs a query": summary(times).median * 1e3,
      "built, CPU s": seconds,
    });
  }
  table(rows);
}

function labelRecall(index, queries, option, exact) {
  const { labels } = index.search(queries, K, option);
  let hits = 0;
  for (let i = 0; i < labels.length; i += K) {
    const wanted = new Set(exact.labels.subarray(i, i + K));
    for (let j = i; j < i + K; j++) if (wanted.has(labels[j])) hits++;
  }
  return hits / labels.length;
}

async function truth(base, queries, d) {
  const flat = await indexFactory(d, "Flat");
  await flat.add(base);
  return flat.search(queries, K);
}

/** An index of the vectors, kept from run to run, and the processor time that building took when it was made. */
async function built(description, base, d) {
  let seconds = NaN;
  const bytes = await cached(`${description.replaceAll(",", "-")}-${N}x${d}.index`, async () => {
    const index = await indexFactory(d, description);
    const before = process.cpuUsage();
    await index.train(base);
    await index.add(base);
    seconds = process.cpuUsage(before).user / 1e6;
    return index.toBytes();
  });
  return { index: await readIndex(bytes), seconds };
}

/** 128 dimensions, at the same recall. */
async function besideHnswlib() {
  const hnswlib = await loadHnswlib();
  if (hnswlib === undefined) return console.log("hnswlib-wasm is not installed: without the comparison");
  const d = 128;
  const base = speechlike(N, d, 1);
  const queries = speechlike(2000, d, 2).subarray(0, QUERIES * d);
  const exact = await truth(base, queries, d);

  const ours = await indexFactory(d, "HNSW32");
  let before = process.cpuUsage();
  await ours.add(base);
  const seconds = { cellist: process.cpuUsage(before).user / 1e6 };
  ours.warmUp({ batch: 1, k: K, efSearch: 16 });
  const theirs = new hnswlib.HierarchicalNSW("l2", d, "");
  theirs.initIndex(N, HNSWLIB.M, HNSWLIB.efConstruction, 100);
  before = process.cpuUsage();
  for (let i = 0; i < N; i++) theirs.addPoint(base.subarray(i * d, i * d + d), i, false);
  seconds["hnswlib-wasm"] = process.cpuUsage(before).user / 1e6;

  const searches = {
    cellist: (ef) => {
      const times = timeBlocks(ours, queries, 1, K, { efSearch: ef });
      return { times, share: labelRecall(ours, queries, { efSearch: ef }, exact) };
    },
    "hnswlib-wasm": (ef) => {
      theirs.setEfSearch(ef);
      const times = [];
      let hits = 0;
      for (let i = 0; i < QUERIES; i++) {
        const query = queries.subarray(i * d, i * d + d);
        const start = performance.now();
        const { neighbors } = theirs.searchKnn(query, K, undefined);
        times.push(performance.now() - start);
        const wanted = new Set(exact.labels.subarray(i * K, i * K + K));
        for (const label of neighbors) if (wanted.has(label)) hits++;
      }
      return { times, share: hits / (QUERIES * K) };
    },
  };
  const rows = [];
  for (const [name, search] of Object.entries(searches)) {
    const ef = [16, 20, 24, 28, 32, 40, 48, 64, 96, 128].find((width) => search(width).share >= TARGET);
    rows.push({ name, ef, "built, CPU s": seconds[name], times: [], search });
  }
  for (let round = 0; round < ROUNDS; round++) for (const row of rows) Object.assign(row, again(row));
  table(
    rows.map(({ name, ef, share, times, "built, CPU s": cpu }) => ({
      name,
      ef,
      "recall@8": share,
      "µs a query": summary(times).median * 1e3,
      "built, CPU s": cpu,
    })),
  );
}

function again({ search, ef, times }) {
  const { times: more, share } = search(ef);
  return { times: [...times, ...more], share };
}

/** hnswlib-wasm is made for browsers: it wants a window, and tells of each step, and of the IndexedDB that Node has not. */
async function loadHnswlib() {
  const path = new URL("../node_modules/hnswlib-wasm/dist/hnswlib.js", import.meta.url);
  if (!existsSync(path)) return undefined;
  globalThis.window = globalThis;
  globalThis.document = {};
  const { log, error } = console;
  console.log = console.error = () => undefined;
  try {
    return await (await import(path)).loadHnswlib();
  } finally {
    console.log = log;
    console.error = error;
    delete globalThis.window;
    delete globalThis.document;
  }
}
