// Voices made small: bytes on disk, errors on frames of another recording, seconds. A voice of 768 dimensions and recorded speech of 256,
// at the sizes that the best of faiss' codes have, and smaller; layers; and 100,000 frames.

import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readIndex } from "cellist";
import { buildVoiceIndex, measureVoice, readVoice, shrinkVoice } from "cellist/rvc";
import { keep, npy, shared, table, voiceA } from "./measure.mjs";

/** Bytes a row, and the blend error of an exhaustive search that is to be reached: of the voice, and of the speech within 5 %. */
const VOICE = [
  [768, 0.006],
  [377, 0.036],
  [197, 0.14],
  [93, 0.29],
  [39, 0.46],
];
const SPEECH = [
  [1024 / 4.4, 0.0068 * 1.05],
  [1024 / 8.2, 0.048 * 1.05],
  [1024 / 15.3, 0.13 * 1.05],
  [1024 / 31, 0.239 * 1.05],
];
const FRAMES = 100_000;
/** A report of one frame: next to nothing of a build's seconds. */
const UNMEASURED = { sample: 1, nprobe: [1] };

export const title = "shrink: voices at a tenth of their size";

export async function run() {
  const folder = mkdtempSync(join(tmpdir(), "cellist-bench-"));
  try {
    if (voiceA === undefined) console.log("left out: there is no ../shared/data/voice-a");
    else {
      const index = await readIndex(readFileSync(voiceA + "added_IVF495_Flat_nprobe_1_voice-a_v2.index"));
      const queries = npy(voiceA + "queries.npy");
      await sizes("voice-a", index, queries, VOICE, folder);
      await layers(index, queries, folder);
      await many(index);
    }
    const speech = shared + "data/speech256/";
    if (!existsSync(speech)) return console.log("left out: there is no ../shared/data/speech256");
    const file = await keep("speech256.index", async () => {
      const slices = [{ name: "base", data: readFileSync(speech + "base.f16.npy") }];
      const { index } = await buildVoiceIndex(slices, { version: "v1", seed: 1 });
      return index.toBytes();
    });
    const queries = npy(speech + "queries.f16.npy");
    const every = Float32Array.from(
      { length: 400 * 256 },
      (_, i) => queries[Math.floor(i / 256) * 5 * 256 + (i % 256)],
    );
    await sizes("speech256", await readIndex(readFileSync(file)), every, SPEECH, folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A file of each size: written, weighed, read again and measured. */
async function sizes(name, index, queries, wanted, folder) {
  const rows = [];
  for (const [bytes, limit] of wanted) {
    let made;
    try {
      made = await timed(() => shrinkVoice(index, { bytes: bytes * index.ntotal, ...UNMEASURED }));
    } catch (error) {
      if (error.code !== "ERR_PARAMETER") throw error;
      rows.push({ "bytes a row": bytes, "is to be": limit, "not made": error.message });
      continue;
    }
    const path = join(folder, "small.voice");
    writeFileSync(path, made.value.index.toBytes());
    const read = await timed(() => readVoice(readFileSync(path)));
    const error = await measureVoice(read.value, { sample: queries, truth: index, nprobe: [16, 64] });
    const [probes16, probes64, all] = error.settings;
    rows.push({
      "bytes a row": statSync(path).size / index.ntotal,
      "1/": (index.d * 4 * index.ntotal) / statSync(path).size,
      error: all.error,
      "is to be": limit,
      median: all.median,
      recall: all.recall,
      "nprobe 64": probes64.error,
      "nprobe 16": probes16.error,
      "build, s": made.cpu,
      "read, s": read.cpu,
    });
  }
  console.log(`\n${name}: ${index.ntotal} x ${index.d}, ${queries.length / index.d} frames of another recording`);
  table(rows);
}

/** The default layers, each opened from the bytes up to its end. */
async function layers(index, queries, folder) {
  const { index: small, report } = await shrinkVoice(index, { layers: 4, sample: 64 });
  const path = join(folder, "layers.voice");
  writeFileSync(path, small.toBytes());
  const rows = [];
  for (const [i, bytes] of report.layers.entries()) {
    const part = readFileSync(path).subarray(0, bytes);
    const read = await timed(() => readVoice(part, { layers: i + 1 }));
    const { settings } = await measureVoice(read.value, { sample: queries, truth: index, nprobe: [16] });
    rows.push({
      layers: i + 1,
      "bytes a row": bytes / index.ntotal,
      MB: bytes / 1e6,
      error: settings[1].error,
      recall: settings[1].recall,
      "nprobe 16": settings[0].error,
      "read, s": read.cpu,
    });
  }
  console.log("\nvoice-a in layers");
  table(rows);
}

/** The voice again and again, with noise, up to 100,000 frames. */
async function many(index) {
  const { d, ntotal } = index;
  let seed = 1;
  const random = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  const rows = new Float32Array(FRAMES * d);
  const stored = index.reconstructBatch(Array.from({ length: ntotal }, (_, i) => i));
  for (let i = 0; i < rows.length; i++) rows[i] = stored[i % stored.length] + 0.1 * (random() + random() - 1);
  const large = await readIndex(index.toBytes());
  large.reset();
  await large.add(rows);
  let steps = 0;
  const made = await timed(() => shrinkVoice(large, { ratio: 8, ...UNMEASURED, onProgress: () => steps++ }));
  const { report } = made.value;
  // An abort in the middle of it: how long until it is over.
  const abort = new AbortController();
  let asked = 0;
  const stopped = await shrinkVoice(large, {
    ratio: 8,
    sample: 16,
    signal: abort.signal,
    onProgress: ({ phase, done, total }) => {
      if (asked > 0 || phase !== "encode" || done < total / 2) return;
      asked = performance.now();
      abort.abort();
    },
  }).then(
    () => "no",
    () => `${(performance.now() - asked).toFixed(0)} ms after it`,
  );
  console.log(`\n${FRAMES} x ${d}`);
  table([
    {
      "bytes a row": report.bytesPerVector,
      "build, s": made.cpu,
      "progress calls": steps,
      "stopped by an abort": stopped,
    },
  ]);
}

/** What a promise gives, and the seconds of processor that it takes: others may want the machine, too. */
async function timed(call) {
  const start = process.cpuUsage();
  const value = await call();
  const { user, system } = process.cpuUsage(start);
  return { value, cpu: (user + system) / 1e6 };
}
