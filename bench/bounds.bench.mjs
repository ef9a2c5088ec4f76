// What bounds save: the same searches with and without, in turns, and whether they give the same bytes. Heads of the centroids serve the
// coarse step, codes of the rows serve lists and Flat (warmUp makes those).

import { readFileSync } from "node:fs";
import { indexFactory, readIndex } from "cellist";
import { cached, npy, summary, table, timeBlocks, voiceA } from "./measure.mjs";
import { speechlike } from "./speechlike.mjs";

const K = 8;
const ROUNDS = 6;

export const title = "bounds: blocks with them and without";

export async function run() {
  const rows = [];
  const voice = voiceA && readFileSync(voiceA + "added_IVF495_Flat_nprobe_1_voice-a_v2.index");
  if (voice === undefined) console.log("voice-a is left out: there is no ../shared/data/voice-a");
  else rows.push(...(await compare("voice-a, IVF495,Flat", voice, npy(voiceA + "queries.npy"), [1, 4, 16], [1, 16])));
  const many = await cached("soak-ivf2564-768.index", () => make(768, "IVF2564,Flat"));
  rows.push(...(await compare("100,000 x 768, IVF2564,Flat", many, speechlike(480, 768, 2), [1, 4, 16], [1, 16])));
  const flat = await cached("flat-256.index", () => make(256, "Flat"));
  rows.push(...(await compare("100,000 x 256, Flat", flat, speechlike(64, 256, 2), [1], [1, 16, 64])));
  table(rows);
}

async function make(d, description) {
  const vectors = speechlike(100_000, d, 1);
  const index = await indexFactory(d, description);
  await index.train(vectors);
  await index.add(vectors);
  return index.toBytes();
}

async function compare(name, bytes, queries, nprobes, batches) {
  const [bounded, plain] = [await readIndex(bytes), await readIndex(bytes, { bounds: false })];
  const rows = [];
  for (const nprobe of nprobes) {
    for (const batch of batches) {
      const times = [[], []];
      for (const index of [bounded, plain]) index.warmUp({ batch, k: K, nprobe });
      for (let round = 0; round < ROUNDS; round++) {
        for (const [i, index] of [bounded, plain].entries()) {
          times[i].push(...timeBlocks(index, queries, batch, K, { nprobe }));
        }
      }
      const [found, expected] = [bounded, plain].map((index) => index.search(queries, K, { nprobe }));
      const same = ["distances", "labels"].every((part) => equalBytes(found[part], expected[part]));
      const [withBounds, without] = times.map(summary);
      rows.push({
        index: name,
        ...(nprobes.length > 1 && { nprobe }),
        batch,
        "ms, with": withBounds.median,
        without: without.median,
        "min, with": withBounds.min,
        "min, without": without.min,
        ratio: withBounds.median / without.median,
        "same bytes": same,
      });
    }
  }
  console.log(
    `${name}: ${(bytes.length / 1e6).toFixed(0)} MB, in memory ${(bounded.memory / 1e6).toFixed(0)} and ${(plain.memory / 1e6).toFixed(0)} MB`,
  );
  return rows;
}

function equalBytes(a, b) {
  return Buffer.compare(Buffer.from(a.buffer), Buffer.from(b.buffer)) === 0;
}
