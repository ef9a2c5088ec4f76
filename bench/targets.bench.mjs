// What this build has become faster by: every row of a table of aims, beside the build that they are counted from, which is made from git.
// Both run in turns in one process (start-up: in processes in turns), on the same bytes, and have to give the same bytes.

import { execFileSync, execSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as now from "cellist";
import { keep, npy, summary, table, time, timeBlocks, voiceA } from "./measure.mjs";
import { startFaiss } from "./native.mjs";
import { speechlike, speechlikeFile } from "./speechlike.mjs";

/** The build of November 2026 that the aims are shares of. */
const REVISION = "60c96e6";
const K = 8;
const [N, D] = [100_000, 256];
const ROOT = fileURLToPath(new URL("..", import.meta.url));
const FIRST_RESULT = fileURLToPath(new URL("startup/first-result.mjs", import.meta.url));
const VOICE = voiceA && voiceA + "added_IVF495_Flat_nprobe_1_voice-a_v2.index";

/** Name, how its index comes about, queries, queries a block, rounds, and the share of the time that is aimed at, by nprobe. */
const SEARCHES = [
  ["PQ128x4fs,RFlat", [512, D, 2], 1, 5, { "-": 0.4 }],
  ["IVF1024,PQ128x4fs,RFlat", [512, D, 2], 1, 15, { 1: 0.6, 4: 0.6, 16: 0.6 }],
  ["voice-a", undefined, 16, 15, { 1: 0.65, 4: 0.65, 16: 0.65 }],
  ["IVF2564,Flat", [480, 768, 2], 16, 15, { 1: 0.55, 16: 0.65 }],
  ["Flat", [64, D, 2], 1, 5, { "-": 0.6 }],
  ["Flat", [64, D, 2], 16, 5, { "-": 0.7 }],
];
const TRAINING = ["IVF2564,Flat", 0.6, 3];
const STARTS = [
  ["Flat", 0.6],
  ["IVF256,PQ128x4fs,RFlat", 0.4],
];
const PROCESSES = 25;

export const title = `targets: beside ${REVISION}, one thread`;

export async function run() {
  const base = await import(baseline() + "/dist/index.js");
  const faiss = startFaiss();
  const version = faiss ? (await faiss.call("hello")).version : "is not here";
  console.log(`ms; the least of all rounds for each block, and the median block. Native faiss ${version}`);
  const rows = [];
  for (const search of SEARCHES) rows.push(...(await compareSearches(base, faiss, ...search)));
  rows.push(await compareTraining(base, faiss, ...TRAINING));
  for (const start of STARTS) rows.push(...(await compareStarts(...start)));
  faiss?.stop();
  table(rows);
}

/** The folder of the build that is compared with; made where there is none. */
function baseline() {
  const folder = `${ROOT}build/bench/${REVISION}`;
  if (!existsSync(folder)) {
    const part = folder + ".part";
    rmSync(part, { recursive: true, force: true });
    mkdirSync(part, { recursive: true });
    execSync(`git archive ${REVISION} | tar -x -C "${part}"`, { cwd: ROOT });
    symlinkSync(ROOT + "node_modules", part + "/node_modules", "dir");
    execSync("npm run --silent build", { cwd: part, stdio: "inherit" });
    renameSync(part, folder);
  }
  return folder;
}

async function make(description, d) {
  const vectors = speechlike(N, d, 1);
  const index = await now.indexFactory(d, description);
  await index.train(vectors);
  await index.add(vectors);
  return index.toBytes();
}

async function compareSearches(base, faiss, name, which, batch, rounds, aims) {
  if (which === undefined && VOICE === undefined) return [];
  const file = which ? await keep(`${name.replace(/\W/g, "_")}-${which[1]}.index`, () => make(name, which[1])) : VOICE;
  const queryFile = which ? speechlikeFile(...which) : voiceA + "queries.npy";
  const queries = npy(queryFile);
  const bytes = readFileSync(file);
  const indexes = [await base.readIndex(bytes), await now.readIndex(bytes)];
  const files = await Promise.all(indexes.map((index) => index.toBytes()));
  await faiss?.call("read", { file });
  const rows = [];
  for (const [probes, aim] of Object.entries(aims)) {
    const nprobe = probes === "-" ? undefined : Number(probes);
    const options = { ...(nprobe && { nprobe }), ...(name.endsWith("RFlat") && { kFactor: 4 }) };
    for (const index of indexes) index.warmUp({ batch, k: K, ...options });
    const [found, wanted] = indexes.map((index) => index.search(queries, K, options));
    const times = await turns(rounds, indexes, async (index) => timeBlocks(index, queries, batch, K, options));
    const parameters = [nprobe && `nprobe=${nprobe}`, options.kFactor && "k_factor_rf=4"].filter(Boolean).join(",");
    const first = nprobe ? 128 : 16;
    const native = await faiss?.call("search", { file, queries: queryFile, k: K, parameters, batch, first, rounds: 3 });
    const same = equal(found.labels, wanted.labels) && equal(found.distances, wanted.distances) && equal(...files);
    rows.push(row(`${name}, ${batch}`, probes, aim, times, same, native && summary(native.times).median));
  }
  return rows;
}

async function compareTraining(base, faiss, description, aim, rounds) {
  const vectors = speechlike(N, D, 1);
  const files = [];
  const times = await turns(rounds, [base, now], async ({ indexFactory }) => {
    const index = await indexFactory(D, description);
    const ms = await time(() => index.train(vectors));
    files.push(await index.toBytes());
    return [ms];
  });
  const native = await faiss?.call("build", { vectors: speechlikeFile(N, D, 1), factory: description });
  const same = files.every((file) => equal(file, files[0]));
  return row(`train ${description}`, "-", aim, times, same, native?.train);
}

/** What is timed of a new process, and its name in first-result.mjs. */
const START_PARTS = {
  "process start to first result": "whole",
  "import to first result": "all",
  "its processor time": "processor",
};

/** New processes until the first result. */
async function compareStarts(description, aim) {
  const file = await keep(`startup-${description.replaceAll(",", "_")}.index`, async () => {
    const index = await now.indexFactory(D, description);
    const vectors = speechlike(10_000, D, 1);
    await index.train(vectors);
    await index.add(vectors);
    return index.toBytes();
  });
  const modules = [baseline() + "/dist/index.js", ROOT + "dist/index.js"];
  const answers = [];
  const parts = Object.values(START_PARTS).map(() => [[], []]);
  const least = [];
  for (let i = 0; i < PROCESSES; i++) {
    for (const [which, module] of modules.entries()) {
      const out = JSON.parse(execFileSync(process.execPath, [FIRST_RESULT, file, module], { encoding: "utf8" }));
      answers.push(out.found);
      least.push(out.least);
      for (const [part, name] of Object.values(START_PARTS).entries()) parts[part][which].push(out[name]);
    }
  }
  const same = answers.every((found) => found === answers[0]);
  const rows = Object.keys(START_PARTS).map((name, part) => {
    const times = parts[part].map((each) => [summary(each).median]);
    return row(`${name}, ${description}`, "-", aim, times, same, undefined);
  });
  const bare = [[rows[0].before], [summary(least).median]];
  return [...rows, row(`process start to the bytes in new memory, no library, ${description}`, "-", aim, bare, true)];
}

/** The least time of each block, for each of two, in turns. */
async function turns(rounds, each, measure) {
  const least = each.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [which, one] of each.entries()) {
      const times = await measure(one);
      least[which] = times.map((ms, i) => Math.min(ms, least[which][i] ?? Infinity));
    }
  }
  return least;
}

function row(what, nprobe, aim, times, same, native) {
  const [before, after] = times.map((each) => summary(each).median);
  const ratio = after / before;
  const met = ratio <= aim ? "yes" : "NO";
  const beside = native === undefined ? {} : { native, "of native": after / native };
  return { what, nprobe, before, now: after, ratio, target: aim, met, "same bytes": same, ...beside };
}

function equal(a, b) {
  const bytes = (x) => Buffer.from(x.buffer, x.byteOffset, x.byteLength);
  return bytes(a).equals(bytes(b));
}
