// Timing and printing that all benchmarks share.

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse } from "npyjs";

/** What developers have beside the repository; benchmarks of it say so and are left out where it is not. */
export const shared = fileURLToPath(new URL("../../shared/", import.meta.url));
/** A real voice: 768-d ContentVec frames, RVC's index of them, and blocks of 16 queries. */
export const voiceA = existsSync(shared + "data/voice-a") ? shared + "data/voice-a/" : undefined;

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
