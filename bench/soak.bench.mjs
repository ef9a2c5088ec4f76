// An hour of realtime, as fast as it goes: 14,400 blocks of 16 frames blended. Neither heap nor memory may grow, and no block may take long.

import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { indexFactory, readIndex } from "cellist";
import { blend } from "cellist/rvc";
import { cached, npy, table, voiceA } from "./measure.mjs";
import { speechlike } from "./speechlike.mjs";

const BLOCKS = 14_400;
const BATCH = 16;

export const title = "soak: an hour of blocks";

export async function run() {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc");
  const rows = [];
  if (voiceA === undefined) console.log("without voice-a: there is no ../shared/data/voice-a");
  else {
    const file = readFileSync(voiceA + "added_IVF495_Flat_nprobe_1_voice-a_v2.index");
    rows.push(...soak("voice-a, 19,312 x 768", await readIndex(file), npy(voiceA + "queries.npy"), collect));
  }
  rows.push(...soak("speech-like, 100,000 x 768", await large(), speechlike(480, 768, 2), collect));
  table(rows);
}

async function large() {
  const bytes = await cached("soak-ivf2564-768.index", async () => {
    const vectors = speechlike(100_000, 768, 1);
    const index = await indexFactory(768, "IVF2564,Flat");
    await index.train(vectors);
    await index.add(vectors);
    return index.toBytes();
  });
  return readIndex(bytes);
}

function soak(name, index, queries, collect) {
  const size = BATCH * index.d;
  const blocks = Array.from({ length: queries.length / size }, (_, i) => queries.subarray(i * size, (i + 1) * size));
  const features = new Float32Array(size);
  const times = new Float64Array(BLOCKS);
  return [1, 4, 16].map((nprobe) => {
    const options = { k: 8, rate: 0.75, nprobe };
    index.warmUp({ batch: BATCH, k: 8, nprobe });
    for (let i = 0; i < 200; i++) {
      features.set(blocks[i % blocks.length]);
      blend(index, features, options);
    }
    const memory = index.memory;
    for (let i = 0; i < BLOCKS; i++) {
      features.set(blocks[i % blocks.length]);
      const start = performance.now();
      blend(index, features, options);
      times[i] = performance.now() - start;
    }
    // Once more without the clock, whose numbers are on the heap too.
    collect();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < BLOCKS; i++) {
      features.set(blocks[i % blocks.length]);
      blend(index, features, options);
    }
    const heap = process.memoryUsage().heapUsed - before;
    const sorted = [...times].sort((a, b) => a - b);
    const at = (share) => sorted[Math.min(BLOCKS - 1, Math.floor(BLOCKS * share))];
    return {
      index: name,
      nprobe,
      "p50 ms": at(0.5),
      "p99 ms": at(0.99),
      "p99.9 ms": at(0.999),
      "worst ms": at(1),
      "heap, bytes a block": heap / BLOCKS,
      "wasm memory grew, bytes": index.memory - memory,
    };
  });
}
