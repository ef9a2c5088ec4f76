// Fills indexes to the 4 GiB that WebAssembly has, in steps, and looks whether they live on there: they are searched, vectors are removed, what
// is left is saved and read again. Takes 5 GB of memory, as much of the disk, and minutes, so that no suite has it:
//
//     node test/at-the-limit.mjs Flat IVF64,Flat IVF64,PQ128x4fs,RFlat

import { createReadStream, createWriteStream, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { argv } from "node:process";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { indexFactory, readIndex } from "cellist";

const [D, STEP, LEAST] = [768, 20_000, 50];
const LIMIT = 2 ** 32;
const kinds = argv.slice(2).length > 0 ? argv.slice(2) : ["Flat"];
const folder = mkdtempSync(join(tmpdir(), "limit-"));

let state = 1;
const rows = Float32Array.from({ length: STEP * D }, () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
});

/** The rows of a step, none of which is another's equal. */
function rowsFrom(n, count) {
  const part = new Float32Array(count * D);
  for (let i = 0; i < count; i++) {
    const like = (n + i) % STEP;
    part.set(rows.subarray(like * D, (like + 1) * D), i * D);
    part[i * D] = (n + i) / 1000;
  }
  return part;
}

function check(holds, what) {
  if (!holds) throw new Error(what);
}

async function fill(index) {
  let n = 0;
  for (let step = STEP; step >= LEAST;) {
    try {
      await index.add(rowsFrom(n, step));
      n += step;
    } catch (error) {
      check(error.code === "ERR_MEMORY", error.stack);
      check(index.ntotal === n, `${index.ntotal} rows, not ${n}, after an add that failed`);
      step >>= 1;
    }
  }
  return n;
}

try {
  for (const kind of kinds) {
    const index = await indexFactory(D, kind);
    await index.train(rows);
    const n = await fill(index);
    const find = (of) => {
      const found = of.search(queries, 4, { nprobe: 4 });
      return [Array.from(found.labels, Number), Array.from(found.distances)];
    };
    const queries = rowsFrom(n >> 1, 16);
    const [labels] = find(index);
    // Of codes alone the row itself need not be the first.
    if (!kind.includes("PQ"))
      for (let i = 0; i < 16; i++) check(labels[4 * i] === (n >> 1) + i, `row ${i} is not found`);
    const gone = index.removeIds(Array.from({ length: 1000 }, (_, i) => i));
    check(gone === 1000, `${gone} of 1000 rows removed`);
    const before = JSON.stringify(find(index));
    const held = index.memory;
    const path = join(folder, "limit.index");
    let bytes = 0;
    const counted = async function* (chunks) {
      for await (const chunk of chunks) {
        bytes += chunk.length;
        yield chunk;
      }
    };
    await pipeline(Readable.fromWeb(index.stream()), counted, createWriteStream(path));
    index.dispose();
    const again = await readIndex(createReadStream(path, { highWaterMark: 1 << 20 }));
    check(again.ntotal === n - 1000, `${again.ntotal} rows in the file`);
    check(JSON.stringify(find(again)) === before, "read again, it answers otherwise");
    again.dispose();
    rmSync(path);
    const share = (bytes / (n - 1000)) * (n / LIMIT);
    console.log(`${kind}: ${n} rows, ${(held / LIMIT).toFixed(3)} of 4 GiB held, a file of ${share.toFixed(3)} of it`);
    check(held / LIMIT > 0.95, "less than 95 % is held");
  }
} finally {
  rmSync(folder, { recursive: true });
}
