// Training, adding and blocks of 64 queries on one thread and on several, in turns: what is the fastest of each, and its ratio to one
// thread. The files are the same bytes, or it fails. CELLIST_ROWS=1000000 is the million of docs/numbers.md.

import { createHash } from "node:crypto";
import { availableParallelism } from "node:os";
import { indexFactory } from "../dist/worker/index.js";
import { table } from "./measure.mjs";
import { speechlike } from "./speechlike.mjs";

export const title = "threads";

const [n, d, K] = [Number(process.env.CELLIST_ROWS ?? 100_000), 256, 8];
const ROUNDS = n > 200_000 ? 1 : 3;
const SEARCHES = 50;
const NPROBE = 16;
/** Lists of an IVF, a power of two that leaves each some hundred vectors. */
const nlist = 2 ** Math.round(Math.log2(n / 200));
const KINDS = [`IVF${nlist},PQ128x4fs,RFlat`, ...(n > 200_000 ? [] : ["Flat", `IVF${nlist},PQ32`])];
const THREADS = [1, Math.max(2, availableParallelism())];

export async function run() {
  const rows = speechlike(n + 64, d, 1);
  const [base, queries] = [rows.subarray(0, n * d), rows.subarray(n * d)];
  for (const kind of KINDS) {
    const best = THREADS.map(() => ({ train: Infinity, add: Infinity, search: Infinity }));
    const files = new Set();
    for (let round = 0; round < ROUNDS; round++) {
      for (const [i, threads] of THREADS.entries()) {
        const { file, ...times } = await measure(kind, threads, base, queries);
        files.add(file);
        for (const [what, ms] of Object.entries(times)) best[i][what] = Math.min(best[i][what], ms);
      }
    }
    if (files.size > 1) throw new Error(`${kind} has other bytes on ${THREADS.join(" and ")} threads`);
    console.log(`${kind}, ${n} x ${d}`);
    table(
      THREADS.map((threads, i) => ({
        threads,
        "train, s": best[i].train / 1e3,
        "add, s": best[i].add / 1e3,
        "64 queries, ms": best[i].search,
        train: best[i].train / best[0].train,
        add: best[i].add / best[0].add,
        "64 queries": best[i].search / best[0].search,
      })),
    );
  }
}

async function measure(kind, threads, base, queries) {
  const index = await indexFactory(d, kind, 1, { threads });
  const time = async (job) => {
    const start = performance.now();
    await job();
    return performance.now() - start;
  };
  const train = await time(() => index.train(base));
  const add = await time(() => index.add(base));
  if (kind.startsWith("IVF")) await index.set(`nprobe=${NPROBE}`);
  let search = Infinity;
  for (let i = 0; i < SEARCHES; i++) search = Math.min(search, await time(() => index.search(queries, K)));
  const hash = createHash("sha256");
  for await (const chunk of await index.stream()) hash.update(chunk);
  await index.dispose();
  return { file: hash.digest("hex"), train, add, search };
}
