// A day of realtime, as fast as it goes: 345,600 blocks of 16 frames, between which frames come, go and are replaced. Nothing may grow,
// and no block may take long. `npm run bench -- soak --hours=1` takes an hour of it.

import { argv } from "node:process";
import { readFileSync } from "node:fs";
import { indexFactory, readIndex } from "cellist";
import { npy, table, voiceA } from "./measure.mjs";
import { HOUR, soak } from "./soak.mjs";
import { speechlike } from "./speechlike.mjs";

const HOURS = Number(argv.find((argument) => argument.startsWith("--hours="))?.slice(8) ?? 24);

export const title = `soak: ${HOURS} hours of blocks`;

export async function run() {
  const rows = [];
  if (voiceA === undefined) {
    console.log("without voice-a: there is no ../shared/data/voice-a");
    for (const kind of ["IVF495,Flat", "IVF495,PQ384x4fs,RFlat"])
      rows.push(
        await day(
          `speech-like, 19,312 x 768, ${kind}`,
          await made(kind, speechlike(19_312, 768, 1)),
          speechlike(480, 768, 2),
        ),
      );
  } else {
    const queries = npy(voiceA + "queries.npy");
    const file = readFileSync(voiceA + "added_IVF495_Flat_nprobe_1_voice-a_v2.index");
    const voice = await readIndex(file);
    const vectors = voice.reconstructBatch(Array.from({ length: voice.ntotal }, (_, i) => i));
    rows.push(await day("voice-a, IVF495,Flat", voice, queries));
    rows.push(
      await day("voice-a, IVF495,PQ384x4fs,RFlat", await made("IDMap,IVF495,PQ384x4fs,RFlat", vectors), queries),
    );
  }
  table(rows);
}

async function made(kind, vectors) {
  const index = await indexFactory(768, kind);
  await index.train(vectors);
  await index.addWithIds(
    vectors,
    Array.from({ length: vectors.length / 768 }, (_, i) => i),
  );
  return index;
}

async function day(name, index, queries) {
  const blocks = HOURS * HOUR;
  const started = performance.now();
  const { times, inUse } = await soak(index, queries, { blocks, samples: 6 * HOURS, k: 8, nprobe: 4 });
  const seconds = (performance.now() - started) / 1000;
  const at = (share) => times[Math.min(blocks - 1, Math.floor(blocks * share))];
  const [first, last] = [inUse[0], inUse.at(-1)];
  index.dispose();
  return {
    index: name,
    seconds,
    "p50 ms": at(0.5),
    "p99 ms": at(0.99),
    "p99.9 ms": at(0.999),
    "p99.9 / p50": at(0.999) / at(0.5),
    "worst ms": at(1),
    "wasm MB": `${mega(first.wasm)} to ${mega(last.wasm)}`,
    "heap MB": `${mega(first.heap)} to ${mega(last.heap)}`,
    "arrays MB": `${mega(first.arrays)} to ${mega(last.arrays)}`,
  };
}

function mega(bytes) {
  return (bytes / 1e6).toFixed(2);
}
