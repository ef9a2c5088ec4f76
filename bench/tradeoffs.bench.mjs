// What of a voice is stored, how widely it is searched, and what that costs: the README's table, on recorded speech.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readIndex } from "cellist";
import { blend, buildVoiceIndex } from "cellist/rvc";
import { BLOCK, blendError, K, RATE } from "./demo/measure.mjs";
import { cached, npy, shared, summary, table, timeBlocks, voiceA } from "./measure.mjs";

const NPROBES = [1, 4, 16, 64];
const K_FACTOR = 4;
const ROUNDS = 3;

export const title = "what is stored and searched: bytes, time, recall, blend";

/** Digits behind the point in the README. */
const DIGITS = { MB: 1, "µs, search": 1, "µs, blend": 1, [`recall@${K}`]: 3, "blend error": 3 };

export async function run() {
  const rows = [];
  for (const voice of voices()) rows.push(...(await measure(voice)));
  console.log("\nAs Markdown\n");
  const names = Object.keys(rows[0]);
  const line = (cells) => console.log(`| ${cells.join(" | ")} |`);
  line(names);
  line(names.map((name) => (typeof rows[0][name] === "number" ? "--:" : "---")));
  for (const row of rows) line(names.map((name) => (name in DIGITS ? row[name].toFixed(DIGITS[name]) : row[name])));
}

/** The voices that are here: their slices and queries, and codes of half a byte for two dimensions. */
function voices() {
  const long = shared + "data/speech256/";
  const short = fileURLToPath(new URL("speech/", import.meta.url));
  const speech = existsSync(long)
    ? { name: "speech256", slices: [slice(long, "base.f16.npy")], queries: long + "queries.f16.npy" }
    : { name: "bench/speech", slices: slices(short + "3_feature256/"), queries: short + "queries.npy" };
  const all = [{ ...speech, version: "v1", codes: "PQ128x4fs" }];
  if (voiceA === undefined) console.log("voice-a is left out: there is no ../shared/data/voice-a");
  else {
    const [files, queries] = [slices(voiceA + "3_feature768/"), voiceA + "queries.npy"];
    all.push({ name: "voice-a", slices: files, queries, version: "v2", codes: "PQ384x4fs" });
  }
  return all;
}

function slices(folder) {
  return readdirSync(folder).map((name) => slice(folder, name));
}

function slice(folder, name) {
  return { name, data: readFileSync(folder + name) };
}

async function measure({ name, slices, queries: file, version, codes }) {
  // The same seed gives all of them the same rows in the same order, and the same cells.
  const { index: exact, nlist, rows } = await buildVoiceIndex(slices, { version, factory: "Flat" });
  const queries = wholeBlocks(npy(file), exact.d);
  const truth = { distances: exact.search(queries, K).distances, blend: blended(exact, queries, {}) };

  const plain = `IVF${nlist},Flat`;
  const settings = [{ factory: plain, label: `${plain}, as RVC has it`, options: { nprobe: 1, ensureK: false } }];
  for (const factory of [plain, `IVF${nlist},${codes}`, `IVF${nlist},${codes},RFlat`]) {
    for (const nprobe of NPROBES) settings.push({ factory, label: factory, options: { nprobe, ensureK: true } });
  }
  const indexes = {};
  const bytes = {};
  for (const { factory, options } of settings) {
    if (factory.endsWith("RFlat")) options.kFactor = K_FACTOR;
    if (factory in indexes) continue;
    const stored = await cached(`${name}-${factory}.index`.replace(/[^\w.-]/g, "_"), async () => {
      const { index } = await buildVoiceIndex(slices, { version, factory });
      return index.toBytes();
    });
    bytes[factory] = stored.length;
    indexes[factory] = await readIndex(stored);
  }

  const results = settings.map(({ factory, label, options }) => {
    const index = indexes[factory];
    index.warmUp({ batch: BLOCK, k: K, ...options });
    const { labels } = index.search(queries, K, options);
    const found = {
      [`recall@${K}`]: trueRecall(exact, queries, labels, truth.distances),
      "blend error": blendError(blended(index, queries, options), truth.blend, queries, index.d),
    };
    const { nprobe } = options;
    return { stored: { speech: name, index: label, nprobe, MB: bytes[factory] / 1e6 }, found, search: [], blend: [] };
  });
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, { factory, options }] of settings.entries()) {
      results[i].search.push(...timeBlocks(indexes[factory], queries, BLOCK, K, options));
      results[i].blend.push(...timeBlends(indexes[factory], queries, options));
    }
  }
  console.log(`\n${name}: ${rows} x ${exact.d}, ${queries.length / exact.d} queries in blocks of ${BLOCK}; µs of one`);
  const microseconds = (times) => (summary(times).median / BLOCK) * 1e3;
  const finished = results.map(({ stored, found, search, blend }) => {
    return { ...stored, "µs, search": microseconds(search), "µs, blend": microseconds(blend), ...found };
  });
  table(finished);
  return finished;
}

function wholeBlocks(queries, d) {
  return queries.subarray(0, queries.length - (queries.length % (BLOCK * d)));
}

/** A copy of features, blended block by block. */
function blended(index, features, options) {
  const result = features.slice();
  for (let i = 0; i < result.length; i += BLOCK * index.d) {
    blend(index, result.subarray(i, i + BLOCK * index.d), { k: K, rate: RATE, ...options });
  }
  return result;
}

/** Milliseconds that each block takes. */
function timeBlends(index, features, options) {
  const size = BLOCK * index.d;
  const block = new Float32Array(size);
  const all = { k: K, rate: RATE, ...options };
  return Array.from({ length: features.length / size }, (_, i) => {
    block.set(features.subarray(i * size, (i + 1) * size));
    const start = performance.now();
    blend(index, block, all);
    return performance.now() - start;
  });
}

/** The share of the true neighbours among what was found, told by the true distances of it: codes only have their own. */
function trueRecall(exact, queries, labels, truth) {
  const { d } = exact;
  let hits = 0;
  for (let from = 0; from < labels.length; from += K) {
    const farthest = truth[from + K - 1] * (1 + 1e-5);
    const found = labels.subarray(from, from + K).filter((label) => label >= 0);
    const rows = exact.reconstructBatch(found);
    for (let i = 0; i < rows.length; i += d) {
      let distance = 0;
      for (let j = 0; j < d; j++) distance += (queries[(from / K) * d + j] - rows[i + j]) ** 2;
      if (distance <= farthest) hits++;
    }
  }
  return hits / labels.length;
}
