// How soon the first result comes: a new process imports cellist, opens an index of 10,000 x 256 whose bytes are in memory, and searches
// it. Beside it what no library can go below: a module that is empty, and the same bytes written into new wasm memory.

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { indexFactory } from "cellist";
import { keep, summary, table } from "./measure.mjs";
import { speechlike } from "./speechlike.mjs";

const [ROWS, D] = [10_000, 256];
const PROCESSES = 15;
/** Runs in a process of its own. */
const SCRIPT = fileURLToPath(new URL("startup/first-result.mjs", import.meta.url));

export const title = "start-up: import to first result, a new process each time";

export async function run() {
  const rows = [];
  for (const description of ["Flat", "IVF256,Flat", "IVF256,PQ128x4fs", "IVF256,PQ128x4fs,RFlat"]) {
    const file = await keep(`startup-${description.replaceAll(",", "_")}.index`, () => make(description));
    const runs = Array.from({ length: PROCESSES }, () =>
      JSON.parse(execFileSync(process.execPath, [SCRIPT, file], { encoding: "utf8" })),
    );
    const median = (part) => summary(runs.map((one) => one[part])).median;
    rows.push({
      index: description,
      MB: runs[0].bytes / 1e6,
      "import, ms": median("import"),
      open: median("open"),
      search: median("search"),
      "in all": median("all"),
      "from the process's start": median("whole"),
      "empty module": median("empty"),
      "new memory": median("memory"),
    });
  }
  table(rows);
}

async function make(description) {
  const vectors = speechlike(ROWS, D, 1);
  const index = await indexFactory(D, description);
  await index.train(vectors);
  await index.add(vectors);
  return index.toBytes();
}
