// Memory of indexes that are filled in steps, beside what one add holds: after ten adds, at the most while adding, after compact().

import { indexFactory } from "../dist/index.js";
import { table } from "./measure.mjs";
import { speechlike } from "./speechlike.mjs";

export const title = "memory";

const [n, d, STEPS] = [Number(process.env.CELLIST_ROWS ?? 20_000), 128, 10];
const KINDS = ["Flat", "IVF64,Flat", "PQ32x4fs", "IVF64,PQ32x4fs,RFlat", "IDMap,IVF64,Flat"];

export async function run() {
  const rows = speechlike(n, d, 1);
  const results = [];
  for (const kind of KINDS) results.push(await measure(kind, rows));
  console.log(`${n} x ${d}, ${STEPS} adds`);
  table(results);
}

async function measure(kind, rows) {
  const add = (index, from, to) => {
    const part = rows.subarray(from * d, to * d);
    if (!kind.startsWith("IDMap")) return index.add(part);
    return index.addWithIds(
      part,
      Int32Array.from({ length: to - from }, (_, i) => from + i),
    );
  };
  const make = async () => {
    const index = await indexFactory(d, kind);
    await index.train(rows.subarray(0, 5000 * d));
    return index;
  };
  const one = await make();
  await add(one, 0, n);
  const whole = one.memory;
  one.dispose();
  const index = await make();
  let most = 0;
  for (let step = 0; step < STEPS; step++) {
    const bounds = [step, step + 1].map((cut) => Math.floor((cut * n) / STEPS));
    await add(index, ...bounds);
    most = Math.max(most, index.memory / whole);
  }
  const filled = index.memory / whole;
  index.compact();
  const compacted = index.memory / whole;
  return {
    index: kind,
    "one add, MB": whole / 1e6,
    "ten adds": filled,
    "most while adding": most,
    "after compact()": compacted,
  };
}
