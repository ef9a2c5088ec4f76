// Timing, printing and keeping that all benchmarks share.

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "npyjs";

/** What developers have beside the repository; benchmarks of it say so and are left out where it is not. */
export const shared = fileURLToPath(new URL("../../shared/", import.meta.url));
/** A real voice: 768-d ContentVec frames, RVC's index of them, and blocks of 16 queries. */
export const voiceA = existsSync(shared + "data/voice-a") ? shared + "data/voice-a/" : undefined;

/** Where what takes long to make is kept from run to run, until --fresh asks for it anew. */
const KEPT = fileURLToPath(new URL("../build/bench/", import.meta.url));
const fresh = process.argv.includes("--fresh");
const made = new Set();

/** The path of a file whose bytes `make` gives when they are not kept yet: a promise of it where `make` is asynchronous. */
export function keep(name, make) {
  const path = join(KEPT, name);
  const write = (bytes) => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path + ".part", bytes);
    renameSync(path + ".part", path);
    made.add(name);
    return path;
  };
  if (existsSync(path) && (!fresh || made.has(name))) return path;
  const bytes = make();
  return bytes instanceof Promise ? bytes.then(write) : write(bytes);
}

/** The bytes of such a file. */
export async function cached(name, make) {
  return readFileSync(await keep(name, make));
}

/** The numbers of an .npy file. */
export function npy(path) {
  return parse(new Uint8Array(readFileSync(path)).buffer).data;
}

/** Smallest and middle of some times. */
export function summary(times) {
  const sorted = [...times].sort((a, b) => a - b);
  return { min: sorted[0], median: sorted[sorted.length >> 1] };
}

/** Milliseconds that a call takes, a promise waited for. */
export async function time(call) {
  const start = performance.now();
  await call();
  return performance.now() - start;
}

/** Milliseconds that each block of queries takes, when an index is searched block by block. */
export function timeBlocks(index, queries, batch, k, options) {
  const size = batch * index.d;
  const blocks = Array.from({ length: queries.length / size }, (_, i) => queries.subarray(i * size, (i + 1) * size));
  const distances = new Float32Array(batch * k);
  const labels = new Int32Array(batch * k);
  return blocks.map((block) => {
    const start = performance.now();
    index.searchInto(block, k, distances, labels, options);
    return performance.now() - start;
  });
}

/** The share of the true neighbours that were found, by distance: a neighbour as near as the true last one counts. */
export function recall(distances, exact, k) {
  let hits = 0;
  for (let i = 0; i < exact.length; i++) if (distances[i] <= exact[i - (i % k) + k - 1] * (1 + 1e-5)) hits++;
  return hits / exact.length;
}

/** Rows of a table, numbers with four digits. */
export function table(rows) {
  console.table(
    rows.map((row) =>
      Object.fromEntries(
        Object.entries(row).map(([name, x]) => [name, typeof x === "number" ? Number(x.toPrecision(4)) : x]),
      ),
    ),
  );
}
