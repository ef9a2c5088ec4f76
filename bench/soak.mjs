// A day of a realtime voice, as fast as it goes: a block of 16 frames every 250 ms is blended, and between blocks the index changes, as
// one does that learns while it is used. Used by the benchmark, which lasts a day of blocks, and by a test, which lasts seconds.

import { setFlagsFromString } from "node:v8";
import { setTimeout as sleep } from "node:timers/promises";
import { runInNewContext } from "node:vm";
import { readIndex } from "cellist";
import { blend } from "cellist/rvc";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");

const BATCH = 16;
/** Blocks of 250 ms: an hour has so many. */
export const HOUR = 14_400;
/** Blocks between two changes: every ten seconds frames come and the oldest go; every ten minutes some are replaced. */
const [CHANGE, UPSERT] = [40, 2400];
/** Frames that come and go. */
const [COMING, REPLACED] = [20, 200];

/**
 * Blends `blocks` blocks with an index whose ids are 0 .. ntotal - 1, and changes it meanwhile. Returns the milliseconds of each block,
 * in order of size, and what was in use at each of `samples` points, garbage collected. Throws where the index answers otherwise than
 * its own file in the end.
 */
export async function soak(index, queries, { blocks, samples, ...options }) {
  const size = BATCH * index.d;
  const features = new Float32Array(size);
  const times = new Float64Array(blocks);
  const inUse = [];
  let oldest = 0;
  let next = index.ntotal;
  const rows = queries.length / index.d;
  const frames = (n, at) => {
    const first = (at * 37) % (rows - n + 1);
    // None is another's equal.
    return queries.slice(first * index.d, (first + n) * index.d).map((x) => x * (1 + at * 1e-7));
  };
  const ids = (from, n) => Array.from({ length: n }, (_, i) => from + i);
  index.warmUp({ batch: BATCH, ...options });
  for (let i = 0; i < blocks; i++) {
    if (i % CHANGE === CHANGE - 1) {
      await index.addWithIds(frames(COMING, i), ids(next, COMING));
      if (index.removeIds(ids(oldest, COMING)) !== COMING)
        throw new Error(`${oldest} and those behind it were not there`);
      next += COMING;
      oldest += COMING;
      // As between real blocks; a process with the priority of real time is halted where it never rests.
      await sleep(4);
    }
    if (i % UPSERT === UPSERT - 1) await index.upsert(frames(REPLACED, i), ids(oldest, REPLACED));
    const at = ((i * BATCH) % (rows - BATCH + 1)) * index.d;
    features.set(queries.subarray(at, at + size));
    const start = performance.now();
    blend(index, features, options);
    times[i] = performance.now() - start;
    if ((i + 1) % Math.floor(blocks / samples) === 0) {
      collect();
      // What arrays held is given back by another thread.
      await sleep(4);
      collect();
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      inUse.push({ block: i + 1, wasm: index.memory, heap: heapUsed, arrays: arrayBuffers });
    }
  }
  const again = await readIndex(index.toBytes());
  const ask = (of) =>
    JSON.stringify(of.search(queries.subarray(0, 64 * of.d), options.k, { nprobe: options.nprobe }), (_, x) =>
      typeof x === "bigint" ? Number(x) : x,
    );
  if (ask(again) !== ask(index)) throw new Error("read from its own file, it answers otherwise");
  again.dispose();
  return { times: times.sort(), inUse };
}
