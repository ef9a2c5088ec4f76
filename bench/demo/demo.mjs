/**
 * The life of a voice index, from the features of a recording to blended frames, with what it costs and what it is worth.
 *
 *     npm run demo
 *
 * Writes the index and a report with pictures to build/demo, or to the folder that is named on the command line.
 * CELLIST_DEMO_ROUNDS sets how often each block is timed.
 */
import { createReadStream, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join, relative } from "node:path";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { indexFactory, readIndex } from "cellist";
import { buildVoiceIndex } from "cellist/rvc";
import { parse } from "npyjs";
import { BLOCK, blended, K, measure, RATE } from "./measure.mjs";
import { progress } from "./progress.mjs";
import { report } from "./report.mjs";

const D = 256;
/** Rows of features for a second of speech. */
const ROWS_PER_SECOND = 50;
/** ms after which RVC's next block of so many frames is there: blocks overlap. */
const BUDGET = 250;
const NPROBES = [1, 2, 4, 8, 16, 32, 64];
const PRINTED = [1, 4, 16];

const rounds = Number(process.env.CELLIST_DEMO_ROUNDS ?? 20);
if (!(Number.isInteger(rounds) && rounds > 0)) {
  throw new Error(`CELLIST_DEMO_ROUNDS is "${process.env.CELLIST_DEMO_ROUNDS}": give a whole number from 1 on`);
}
const out = process.argv[2] ?? fileURLToPath(new URL("../../build/demo", import.meta.url));
const speech = new URL("../speech/", import.meta.url);

// Build: from a folder as RVC keeps it to a faiss file.
const folder = new URL("3_feature256/", speech);
const slices = readdirSync(folder).map((name) => ({ name, data: readFileSync(new URL(name, folder)) }));
console.log(`Building a voice index of ${slices.length} slices of speech`);
const watch = progress();
let start = performance.now();
const voice = await buildVoiceIndex(slices, { name: "demo", version: "v1", seed: 1, onProgress: watch.onProgress });
const buildTime = performance.now() - start;
watch.stop();

const file = join(out, voice.fileName);
const bytes = voice.index.toBytes();
mkdirSync(out, { recursive: true });
writeFileSync(file, bytes);
voice.index.dispose();

// Open: from a stream, as a download would be.
start = performance.now();
const index = await readIndex(createReadStream(file));
const openTime = performance.now() - start;

// The truth to measure against: the same rows, all of them compared with every query.
const exact = await indexFactory(D, "Flat");
for (const { data } of slices) await exact.add(floats(data));
const queries = floats(readFileSync(new URL("queries.npy", speech)));

const settings = NPROBES.map((nprobe) => ({ name: `nprobe ${nprobe}`, index, nprobe }));
const results = measure([...settings, { name: "exact", index: exact }], queries, rounds);

const number = new Intl.NumberFormat("en");
const facts = {
  rows: voice.rows,
  d: D,
  seconds: voice.rows / ROWS_PER_SECOND,
  nlist: voice.nlist,
  bytes: bytes.length,
  buildTime,
  openTime,
  rowsPerSecond: ROWS_PER_SECOND,
  blocks: queries.length / D / BLOCK,
  blockMs: (BLOCK / ROWS_PER_SECOND) * 1000,
  budget: BUDGET,
  rounds,
  machine: `Node.js ${process.versions.node}, ${process.platform} ${process.arch}, ${cpus()[0]?.model.trim()}`,
};
const path = join(out, "report.html");
const shown = settings.find(({ nprobe }) => nprobe === 4);
const page = report({ facts, results, picture: { raw: queries, blended: blended(shown, queries), name: shown.name } });
writeFileSync(path, page);

const printed = results.filter(({ nprobe }) => nprobe === undefined || PRINTED.includes(nprobe));
console.log(`
  rows      ${number.format(facts.rows)} of ${D} numbers: ${facts.seconds.toFixed(0)} s of speech
  index     ${index.description}: ${facts.nlist} lists
  built in  ${(buildTime / 1000).toFixed(2)} s
  file      ${number.format(facts.bytes)} bytes, ${(facts.bytes / 1e6).toFixed(1)} MB
  opened in ${openTime.toFixed(0)} ms, from a stream

Blocks of ${BLOCK} frames (${facts.blockMs} ms of speech), searched for ${K} neighbours and blended at rate ${RATE}

${table(
  ["search", `recall@${K}`, "blend error", "median", "p95"],
  printed.map((r) => [
    r.name,
    r.recall.toFixed(3),
    r.error.toFixed(3),
    `${r.median.toFixed(3)} ms`,
    `${r.p95.toFixed(3)} ms`,
  ]),
)}

  ${facts.blocks} blocks of other prompts, ${rounds} ${rounds === 1 ? "round" : "rounds"}; the blend error is a share of the way
  that a blend after an exact search moves a frame

Index   ${relative("", file)}
Report  ${relative("", path)}

Now your voice: npm run page`);

/** The floats of an .npy file. */
function floats(data) {
  return parse(data.slice().buffer).data;
}

/** Columns as wide as they need to be, the first to the left, the others to the right. */
function table(head, rows) {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)));
  const line = (row) =>
    `  ${row.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join("   ")}`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}
