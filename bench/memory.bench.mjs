// Memory of indexes that are filled in steps, beside what one add holds: after ten adds, at the most while adding, after compact(). The memory
// of the index, and what the process has beside it while it adds: copies of vectors and codes that wait, as arrays of JavaScript.
// CELLIST_ROWS=1000000 is the million of docs/numbers.md.

import { indexFactory, readIndex } from "../dist/index.js";
import { table } from "./measure.mjs";
import { speechlike } from "./speechlike.mjs";

export const title = "memory";

const STEPS = 10;
const n = Number(process.env.CELLIST_ROWS ?? 20_000);
const MILLION = ["IVF4096,PQ128x4fs,RFlat"];
const SMALL = ["Flat", "IVF64,Flat", "PQ32x4fs", "IVF64,PQ32x4fs,RFlat", "IDMap,IVF64,Flat"];
const [d, KINDS, SAMPLE] = n > 200_000 ? [256, MILLION, 160_000] : [128, SMALL, 5000];

export async function run() {
  const rows = speechlike(n, d, 1);
  const results = [];
  for (const kind of KINDS) results.push(await measure(kind, rows));
  console.log(`${n} x ${d}, ${STEPS} adds`);
  table(results);
}

async function measure(kind, rows) {
  const learnt = await indexFactory(d, kind);
  await learnt.train(rows.subarray(0, SAMPLE * d));
  const trained = learnt.toBytes();
  learnt.dispose();
  const one = await fill(kind, trained, rows, 1);
  const ten = await fill(kind, trained, rows, STEPS);
  return {
    index: kind,
    "one add, MB": one.filled / 1e6,
    "ten adds": ten.filled / one.filled,
    "most while adding": ten.most / one.filled,
    "and beside it": (ten.most + ten.beside) / one.filled,
    "after compact()": ten.compacted / one.filled,
  };
}

/** Bytes of an index that is filled in so many steps. */
async function fill(kind, trained, rows, steps) {
  const index = await readIndex(trained);
  const count = rows.length / d;
  const arrays = () => process.memoryUsage().arrayBuffers;
  let [most, beside] = [0, 0];
  for (let step = 0; step < steps; step++) {
    const [from, to] = [step, step + 1].map((cut) => Math.floor((cut * count) / steps));
    const before = arrays();
    const onProgress = () => (beside = Math.max(beside, arrays() - before));
    const part = rows.subarray(from * d, to * d);
    if (kind.startsWith("IDMap")) {
      const ids = Int32Array.from({ length: to - from }, (_, i) => from + i);
      await index.addWithIds(part, ids, { onProgress });
    } else await index.add(part, { onProgress });
    most = Math.max(most, index.memory);
  }
  const filled = index.memory;
  index.compact();
  const compacted = index.memory;
  index.dispose();
  return { filled, most, beside, compacted };
}
