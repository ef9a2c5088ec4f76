// 4-bit codes and exact re-ranking on 100,000 x 256 speech-like vectors: recall, time, training, and faiss with the same files.

import { readFileSync } from "node:fs";
import { dump } from "npyjs";
import { indexFactory, readIndex } from "cellist";
import { keep, npy, recall, summary, table, time, timeBlocks } from "./measure.mjs";
import { startFaiss } from "./native.mjs";
import { speechlike, speechlikeFile } from "./speechlike.mjs";
import { streamOf } from "./stream.mjs";

const [N, D, K] = [100_000, 256, 8];
const BASE = [N, D, 1];
/** More than 500, and blocks of 16 come out even. */
const QUERIES = [512, D, 2];
const NLIST = 1024;
const CODES = "PQ128x4fs";
const IVF = `IVF${NLIST},${CODES},RFlat`;
const FLAT = `${CODES},RFlat`;
const BATCHES = [1, 16];
const ROUNDS = 9;
/** What a search may take is a share of S, the time in which all the floats are summed once. */
const SETTINGS = [
  { factory: IVF, nprobe: 1, kFactor: 4, bar: 300 },
  { factory: IVF, nprobe: 4, kFactor: 4 },
  { factory: IVF, nprobe: 16, kFactor: 4, bar: 160, wanted: 0.98 },
  { factory: FLAT, kFactor: 4 },
  // With the smallest factor that finds enough.
  { factory: FLAT, bar: 11, wanted: 0.99 },
];
/** Seconds that training and encoding may take. */
const BARS = { train: 0.6, encode: 1.5 };
/** So many queries tell where faiss scans everything, which takes it long without AVX2. */
const FEW = 32;

export const title = `FastScan: ${N} x ${D}, k ${K}`;

export async function run() {
  const base = speechlike(...BASE);
  const queries = speechlike(...QUERIES);
  const exact = npy(await keep(`exact-${BASE.join("-")}-${QUERIES.join("-")}.npy`, () => nearest(base, queries)));

  const files = {};
  const indexes = {};
  for (const factory of [IVF, FLAT]) {
    files[factory] = await keep(`${factory.replace(/\W/g, "_")}.index`, () => build(factory, base));
    indexes[factory] = await readIndex(readFileSync(files[factory]));
  }
  const find = ({ factory, nprobe, kFactor }) => indexes[factory].search(queries, K, { nprobe, kFactor });
  const settings = SETTINGS.map((setting) => ({ ...setting, times: BATCHES.map(() => []) }));
  for (const setting of settings) {
    const enough = (kFactor) => recall(find({ ...setting, kFactor }).distances, exact, K) >= setting.wanted;
    setting.kFactor ??= smallest(enough);
    const { nprobe, kFactor } = setting;
    setting.found = find(setting);
    setting.recall = recall(setting.found.distances, exact, K);
    for (const batch of BATCHES) indexes[setting.factory].warmUp({ batch, k: K, nprobe, kFactor });
  }

  // S and all settings in turn, so that they meet the same weather.
  const stream = streamOf(base);
  const s = [];
  for (let round = 0; round < ROUNDS; round++) {
    s.push(summary(Array.from({ length: 9 }, stream)).median);
    for (const { factory, nprobe, kFactor, times } of settings) {
      for (const [i, batch] of BATCHES.entries()) {
        const blocks = timeBlocks(indexes[factory], queries, batch, K, { nprobe, kFactor });
        times[i].push(summary(blocks).median / batch);
      }
    }
  }
  console.log(`S, a loop that sums ${N} x ${D} floats once: ${summary(s).median.toFixed(2)} ms`);
  console.log(`µs a query: the median of ${QUERIES[0]} different ones, and of ${ROUNDS} rounds`);
  table(
    settings.map(({ factory, nprobe = "-", kFactor, recall, times, bar, wanted }) => {
      const shares = times.map((ms) => summary(ms.map((x, round) => s[round] / x)).median);
      const row = { index: factory, nprobe, k_factor: kFactor, "recall@8": recall };
      for (const [i, batch] of BATCHES.entries()) row[`µs, batch ${batch}`] = summary(times[i]).median * 1e3;
      for (const [i, batch] of BATCHES.entries()) row[`S / time, batch ${batch}`] = shares[i];
      const met = shares[0] >= bar && recall >= (wanted ?? 0);
      return { ...row, "at least": bar ?? "-", met: bar === undefined ? "-" : met ? "yes" : "NO" };
    }),
  );

  const { same, of } = await nearestCells(readFileSync(files[IVF]), base, queries, settings[0].found.labels);
  const lost = ((of - same) / of).toFixed(4);
  console.log(
    `nprobe 1 took the cell of an exact coarse step for ${same} of ${of} queries: recall lost at most ${lost}`,
  );

  const faiss = startFaiss();
  if (faiss === undefined) console.log("no Python with faiss is here: without the comparison");
  else await compare(faiss, settings, files, exact);
  await training(base, faiss);
  faiss?.stop();
}

/** Distances of the true neighbours, as a file. */
async function nearest(base, queries) {
  const flat = await indexFactory(D, "Flat");
  await flat.add(base);
  return new Uint8Array(dump(flat.search(queries, K).distances, [queries.length / D, K]));
}

async function build(factory, base) {
  const index = await indexFactory(D, factory);
  await index.train(base);
  await index.add(base);
  return index.toBytes();
}

/** The smallest whole number from 1 on that is enough. */
function smallest(enough) {
  let x = 1;
  while (!enough(x)) x++;
  return x;
}

/**
 * For how many queries the cell that most of what was found comes from has the nearest of all centroids, told by plain arithmetic in
 * double precision. That is all that a coarse step can do to recall.
 */
async function nearestCells(file, base, queries, labels) {
  // The coarse quantizer is the first Flat in the file: fourcc, a header of 33 bytes, the number of floats, the floats.
  const start = file.indexOf("IxF2");
  const coarse = await readIndex(file.subarray(start, start + 4 + 33 + 8 + NLIST * D * 4));
  const centroids = coarse.reconstructBatch(Array.from({ length: NLIST }, (_, i) => i));
  const of = queries.length / D;
  let same = 0;
  for (let i = 0; i < of; i++) {
    const counts = new Map();
    for (const label of labels.subarray(i * K, (i + 1) * K)) {
      if (label < 0) continue;
      const cell = nearestCell(centroids, base, label * D);
      counts.set(cell, (counts.get(cell) ?? 0) + 1);
    }
    const [cell] = [...counts].sort(([, a], [, b]) => b - a)[0];
    if (cell === nearestCell(centroids, queries, i * D)) same++;
  }
  return { same, of };
}

function nearestCell(centroids, vectors, from) {
  let [best, cell] = [Infinity, -1];
  for (let c = 0, at = 0; c < NLIST; c++) {
    let distance = 0;
    for (let j = 0; j < D; j++, at++) distance += (vectors[from + j] - centroids[at]) ** 2;
    if (distance < best) [best, cell] = [distance, c];
  }
  return cell;
}

/** The same searches by faiss, which has read our files. */
async function compare(faiss, settings, files, exact) {
  const { version } = await faiss.call("hello");
  for (const file of Object.values(files)) await faiss.call("read", { file });
  const queries = speechlikeFile(...QUERIES);
  const rows = [];
  for (const { factory, nprobe, kFactor, found, times } of settings) {
    const parameters = [...(nprobe ? [`nprobe=${nprobe}`] : []), `k_factor_rf=${kFactor}`].join(",");
    const first = nprobe ? QUERIES[0] : FEW;
    const out = `${files[factory]}.faiss`;
    const row = { index: factory, nprobe: nprobe ?? "-", k_factor: kFactor };
    const shares = {};
    for (const [i, batch] of BATCHES.entries()) {
      const answer = await faiss.call("search", { file: files[factory], queries, k: K, parameters, batch, first, out });
      const { median } = summary(answer.times.map((ms) => ms / batch));
      row[`µs, batch ${batch}`] = median * 1e3;
      shares[`times as fast, batch ${batch}`] = median / summary(times[i]).median;
    }
    const theirs = npy(`${out}.I.npy`);
    let same = 0;
    for (const [i, label] of theirs.entries()) if (Number(label) === found.labels[i]) same++;
    row["recall@8"] = recall(npy(`${out}.D.npy`), exact.subarray(0, first * K), K);
    rows.push({ ...row, ...shares, "same labels": same / theirs.length });
  }
  console.log(`
faiss ${version} from Python, one thread (1.7.3 is Debian's, without AVX2), on our files; ${FEW} queries where flat. Labels differ
where candidates tie for the last place: of more than 20, faiss keeps another of them.`);
  table(rows);
}

/** Training and filling what only has the codes. */
async function training(base, faiss) {
  const times = { train: [], encode: [] };
  for (let round = 0; round < 3; round++) {
    const index = await indexFactory(D, CODES);
    times.train.push((await time(() => index.train(base))) / 1e3);
    times.encode.push((await time(() => index.add(base))) / 1e3);
  }
  const theirs = await faiss?.call("build", { vectors: speechlikeFile(...BASE), factory: CODES });
  console.log(`\n${CODES} on ${N} x ${D}, seconds`);
  table(
    Object.entries(times).map(([what, seconds]) => {
      const { median, min } = summary(seconds);
      const met = median <= BARS[what] ? "yes" : "NO";
      return { what, median, min, "at most": BARS[what], met, ...(theirs && { faiss: theirs[what] / 1e3 }) };
    }),
  );
}
