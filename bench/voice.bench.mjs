// A real voice against native faiss on one thread, in one run: blocks of 16 queries, training, opening the file.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dump } from "npyjs";
import { readIndex } from "cellist";
import { blend } from "cellist/rvc";
import { blendError, RATE } from "./demo/measure.mjs";
import { startFaiss } from "./native.mjs";
import { npy, recall, summary, table, time, timeBlocks, voiceA } from "./measure.mjs";
import { kmeans } from "../build/esm/training/kmeans.js";
import { Pace } from "../build/esm/work/pace.js";

const BATCH = 16;
const K = 8;
const ROUNDS = 5;

export const title = "voice: blocks of 16 x 768, training, opening";

export async function run() {
  if (voiceA === undefined) return console.log("left out: there is no ../shared/data/voice-a");
  const faiss = startFaiss();
  if (faiss === undefined) console.log("no Python with faiss is here: without the comparison");
  else console.log("faiss", (await faiss.call("hello")).version, "from Python, one thread");
  const file = voiceA + "added_IVF495_Flat_nprobe_1_voice-a_v2.index";
  const bytes = readFileSync(file);
  const queryFile = voiceA + "queries.npy";

  // Opening, a few times each in turn.
  const opened = { cellist: [], faiss: [] };
  for (let i = 0; i < ROUNDS; i++) {
    opened.cellist.push(await time(() => readIndex(bytes)));
    if (faiss) opened.faiss.push(...(await faiss.call("read", { file })).times);
  }
  report("open, 61 MB from memory (faiss: from a warm file)", opened, (ms) => ({ "MB/s": bytes.length / 1e3 / ms }));

  const index = await readIndex(bytes);
  const queries = npy(queryFile);
  const exact = index.search(queries, K, { nprobe: 495 }).distances;
  // As RVC does it, a frame with fewer neighbours blended with those.
  const blended = (nprobe) => blend(index, queries.slice(), { k: K, rate: RATE, nprobe, ensureK: false });
  const exactly = blended(495);
  const rows = [];
  for (const nprobe of [1, 4, 16, 64]) {
    index.warmUp({ batch: BATCH, k: K, nprobe });
    const times = { cellist: [], faiss: [] };
    for (let round = 0; round < ROUNDS; round++) {
      times.cellist.push(...timeBlocks(index, queries, BATCH, K, { nprobe }));
      if (faiss) {
        const parameters = `nprobe=${nprobe}`;
        const answer = await faiss.call("search", { file, queries: queryFile, k: K, parameters, batch: BATCH });
        times.faiss.push(...answer.times);
      }
    }
    rows.push({
      nprobe,
      "recall@8": recall(index.search(queries, K, { nprobe }).distances, exact, K),
      "blend error": blendError(blended(nprobe), exactly, queries, index.d),
      ...compare(times),
    });
  }
  console.log("\na block of 16 queries, ms");
  table(rows);

  // Training, on the rows of the index.
  const points = index.reconstructBatch(Array.from({ length: index.ntotal }, (_, i) => i));
  const folder = mkdtempSync(join(tmpdir(), "cellist-bench-"));
  try {
    const file = join(folder, "points.npy");
    if (faiss) writeFileSync(file, new Uint8Array(dump(points, [index.ntotal, index.d])));
    const trained = { cellist: [], faiss: [] };
    const objective = {};
    for (let i = 0; i < 3; i++) {
      const options = { niter: 10, spherical: false, seed: 1234 };
      trained.cellist.push(
        await time(async () => {
          objective.cellist = (await kmeans(points, index.d, 495, options, {}, new Pace())).objective.at(-1);
        }),
      );
      if (faiss) {
        const answer = await faiss.call("kmeans", { points: file, k: 495, niter: 10 });
        trained.faiss.push(...answer.times);
        objective.faiss = answer.objective.at(-1);
      }
    }
    const flops = 2 * 10 * index.ntotal * 495 * index.d;
    report("train IVF495 on 19,312 x 768", trained, (ms) => ({ "GFLOP/s, as if all were compared": flops / ms / 1e6 }));
    if (faiss) console.log("objective, cellist / faiss:", (objective.cellist / objective.faiss).toFixed(5));
  } finally {
    rmSync(folder, { recursive: true });
    faiss?.stop();
  }
}

function report(what, times, rate) {
  console.log(`\n${what}, ms`);
  table([{ ...compare(times), ...rate(summary(times.cellist).median) }]);
}

/** Median and smallest of both, and how many times as fast as faiss we are, by the medians. */
function compare({ cellist, faiss }) {
  const ours = summary(cellist);
  if (faiss.length === 0) return { cellist: ours.median, "cellist min": ours.min };
  const theirs = summary(faiss);
  return {
    cellist: ours.median,
    faiss: theirs.median,
    "cellist min": ours.min,
    "faiss min": theirs.min,
    "times as fast": theirs.median / ours.median,
  };
}
