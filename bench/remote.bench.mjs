// A voice that answers before it is downloaded: from a server on this machine behind a line of 20 Mbit/s and 40 ms, blocks of 16 frames
// every 250 ms, in the order of a recording. The layered file of a voice, and a faiss file of 300 MB.

import { readFileSync } from "node:fs";
import { openRemote } from "cellist/remote";
import { indexFactory, readIndex } from "cellist";
import { blend, readVoice, shrinkVoice } from "cellist/rvc";
import { blendError } from "./demo/measure.mjs";
import { cached, npy, table, voiceA } from "./measure.mjs";
import { serveApart } from "./range-server-thread.mjs";
import { countLayers, headBytes, layerStart, readHead } from "../build/esm/codec/head.js";

const LINE = { mbit: 20, delay: 40 };
const [BLOCK, EVERY] = [16, 250];
const OPTIONS = { k: 8, rate: 0.75, nprobe: 16 };
/** Five minutes of blocks, and one of the faiss file, whose curve is read after these. */
const BLOCKS = 1200;
const CURVE = [4, 20, 60, 120, 240];
/** How often a voice is opened until its first blend over every frame. */
const OPENINGS = 10;
/** Seconds from one measured error to the next. */
const LATER = 3;
const FRAMES = 100_000;

export const title = "remote: a voice at 20 Mbit/s and 40 ms";

export async function run() {
  if (voiceA === undefined) return console.log("left out: there is no ../shared/data/voice-a");
  const bytes = readFileSync(voiceA + "added_IVF495_Flat_nprobe_1_voice-a_v2.index");
  const queries = npy(voiceA + "queries.npy");
  await layered(bytes, queries);
  await faissFile(bytes, queries);
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));

/** A block of the recording, which begins again when it is over. */
const blockOf = (queries, d, i) => {
  const blocks = Math.floor(queries.length / d / BLOCK);
  return queries.subarray((i % blocks) * BLOCK * d, ((i % blocks) + 1) * BLOCK * d);
};

async function layered(bytes, queries) {
  const file = await cached("voice-a-layers.voice", async () => {
    const { index } = await shrinkVoice(await readIndex(bytes), { layers: 4 });
    return index.toBytes();
  });
  const whole = await readIndex(bytes);
  const every = { ...OPTIONS, nprobe: 495 };
  const exact = blend(whole, queries.slice(), every);
  const errorOf = (blended) => blendError(blended, exact, queries, whole.d);
  const errorNow = (voice) => {
    const blended = queries.slice();
    voice.blendNow(blended, every);
    return errorOf(blended);
  };
  const head = readHead(file.subarray(0, headBytes(countLayers(file.subarray(0, 72)))));
  /** Bytes that are there once the first layer is. */
  const first = layerStart(head, 1);
  // What the first layer alone is: to measure an error takes half a second, in which nothing would be asked for.
  const rough = await readVoice(file.subarray(0, first), { layers: 1 });
  const roughError = errorOf(blend(rough, queries.slice(), every));
  const openings = [];
  for (let i = 0; i < OPENINGS; i++) openings.push(await firstBlend(file, first, queries, rough));
  openings.sort((a, b) => a - b);
  console.log(`first blend over every frame, ${OPENINGS} times`);
  table([{ "min s": openings[0], "median s": openings[OPENINGS >> 1], "max s": openings.at(-1) }]);
  const server = await serveApart(file, LINE);
  const start = performance.now();
  const seconds = () => (performance.now() - start) / 1000;
  const voice = await openRemote(server.url, { readAhead: 0 });
  const rows = [{ what: "opened", "after s": seconds(), MB: (await server.served()) / 1e6 }];
  let loadedAfter;
  const loaded = voice.load().then(() => (loadedAfter = seconds()));
  let [late, worst, lackingOnce, noted] = [0, 0, 0, 0];
  let began = performance.now();
  for (let i = 0; i < BLOCKS; i++) {
    // Simulated beyond the download: what follows does not wait for its turn.
    while (performance.now() < began + i * EVERY && voice.resident < voice.size) {
      await sleep(5);
      if (voice.resident < (rows.length === 1 ? first : 0) || seconds() < noted + (rows.length === 1 ? 0 : LATER))
        continue;
      noted = seconds();
      const paused = performance.now();
      rows.push({
        what: rows.length === 1 ? "every frame" : "",
        "after s": noted,
        MB: voice.resident / 1e6,
        "blend error": rows.length === 1 ? roughError : errorNow(voice),
      });
      began += performance.now() - paused;
    }
    const frames = blockOf(queries, voice.d, i).slice();
    const at = performance.now();
    const lacking = voice.blendNow(frames, OPTIONS);
    const took = performance.now() - at;
    worst = Math.max(worst, took);
    if (took > EVERY) late++;
    if (rows.length > 1 && lacking > 0) lackingOnce++;
  }
  await loaded;
  rows.push({ what: "all layers", "after s": loadedAfter, MB: voice.resident / 1e6, "blend error": errorNow(voice) });
  table(rows);
  console.log(
    `${BLOCKS} blocks: ${late} late, the worst took ${worst.toFixed(1)} ms, ${lackingOnce} lacked a list after the first layer; ` +
      `the faiss file of ${(bytes.length / 1e6).toFixed(0)} MB takes ${((bytes.length * 8) / LINE.mbit / 1e6).toFixed(0)} s on this line`,
  );
  voice.dispose();
  await server.close();
}

/** Seconds until a block is blended with all lists of the first layer there, as it is where that is read at once. */
async function firstBlend(file, first, queries, rough) {
  const server = await serveApart(file, LINE);
  const start = performance.now();
  const voice = await openRemote(server.url, { readAhead: 0 });
  while (voice.resident < first) await sleep(1);
  const frames = blockOf(queries, voice.d, 0).slice();
  const lacking = voice.blendNow(frames, OPTIONS);
  const seconds = (performance.now() - start) / 1000;
  const same = blend(rough, blockOf(queries, voice.d, 0).slice(), OPTIONS).every((x, i) => x === frames[i]);
  voice.dispose();
  await server.close();
  if (lacking > 0 || !same) throw new Error("it is not the blend of the whole first layer");
  return seconds;
}

async function faissFile(bytes, queries) {
  const file = await cached("remote-300mb.index", () => repeated(bytes));
  const whole = await readIndex(file);
  for (const [nprobe, readAhead] of [
    [1, 0],
    [1, 4],
    [4, 0],
    [4, 4],
  ]) {
    const server = await serveApart(file, LINE);
    const start = performance.now();
    const voice = await openRemote(server.url, { readAhead });
    const rows = [
      { "at s": 0, what: "opened", MB: (await server.served()) / 1e6, s: (performance.now() - start) / 1000 },
    ];
    const frames = blockOf(queries, voice.d, 0).slice();
    await voice.blend(frames, { ...OPTIONS, nprobe });
    const same = blend(whole, blockOf(queries, voice.d, 0).slice(), { ...OPTIONS, nprobe }).every(
      (x, i) => x === frames[i],
    );
    rows.push({
      what: same ? "first blend, as of the whole file" : "FIRST BLEND DIFFERS",
      MB: (await server.served()) / 1e6,
      s: (performance.now() - start) / 1000,
      "% of the file": (voice.resident / voice.size) * 100,
    });
    const began = performance.now();
    let [whole10, count10, worst] = [0, 0, 0];
    for (let i = 1; i <= CURVE.at(-1); i++) {
      await sleep(began + i * EVERY - performance.now());
      const at = performance.now();
      const lacking = voice.blendNow(blockOf(queries, voice.d, i).slice(), { ...OPTIONS, nprobe });
      worst = Math.max(worst, performance.now() - at);
      whole10 += BLOCK - lacking;
      count10 += BLOCK;
      if (CURVE.includes(i)) {
        rows.push({
          what: `up to ${(i * EVERY) / 1000} s: answered in full`,
          "% of frames": (whole10 / count10) * 100,
          MB: (await server.served()) / 1e6,
          "worst ms": worst,
        });
        [whole10, count10] = [0, 0];
      }
    }
    console.log(
      `\n${(file.length / 1e6).toFixed(0)} MB, IVF2564,Flat, nprobe ${nprobe}, ${readAhead} lists read ahead`,
    );
    table(
      rows.map(({ what, s, MB, "% of the file": share, "% of frames": frames, "worst ms": worst }) => ({
        what,
        s,
        MB,
        "% of the file": share,
        "% of frames": frames,
        "worst ms": worst,
      })),
    );
    voice.dispose();
    await server.close();
  }
}

/** The voice five times, with noise: what an hour of speech would be. */
async function repeated(bytes) {
  const voice = await readIndex(bytes);
  const { d, ntotal } = voice;
  const rows = voice.reconstructBatch(Int32Array.from({ length: ntotal }, (_, i) => i));
  let state = 1;
  const noise = () => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32 - 0.5) * 0.2;
  const vectors = Float32Array.from(
    { length: FRAMES * d },
    (_, i) => rows[i % rows.length] + (i < rows.length ? 0 : noise()),
  );
  const index = await indexFactory(d, "IVF2564,Flat");
  await index.train(vectors);
  await index.add(vectors);
  return index.toBytes();
}
