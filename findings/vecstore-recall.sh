#!/usr/bin/env bash
# vecstore-wasm finds few of the rows that it holds: the more there are, the fewer.
#
# Version: vecstore-wasm 1.0.0 (npm), its wasm build in Node 20 and later.
# Behaviour: rows of 16 random numbers are stored and each is asked for by itself; its cosine distance to itself is 0, nothing is nearer. Of 10
#   rows all come back in the first place, of 1,000 at most a fifth. Runs differ, since levels of its HNSW graph are drawn anew each time;
#   there is no setting for how far the graph is searched. Of the true 5 nearest of other queries a tenth is found among 1,000.
# Why it matters: nothing looks wrong, k answers come back in order of their distance, and a page that is tried with ten rows is right. Whoever
#   takes a vector search for the browser should count what it finds (recall@k) on as many rows as there will be.
# Output: of 10 rows 10 find themselves; of 1000 rows fewer than 200 do
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --no-audit --no-fund --loglevel=error vecstore-wasm@1.0.0 >/dev/null
# The package's module is written as ESM in a file that Node takes for CommonJS.
cp node_modules/vecstore-wasm/vecstore.js vecstore.mjs
cat >run.mjs <<'JS'
import { readFileSync } from "node:fs";
import { initSync, WasmVecStore } from "./vecstore.mjs";

initSync({ module: readFileSync("node_modules/vecstore-wasm/vecstore_bg.wasm") });
const D = 16;
let state = 12345;
const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32 - 0.5;
const found = (count) => {
  const rows = Array.from({ length: count }, () => Float32Array.from({ length: D }, random));
  const store = new WasmVecStore(D);
  rows.forEach((row, i) => store.upsert(`${i}`, row, {}));
  return rows.filter((row, i) => store.query(row, 1)[0]?.id === `${i}`).length;
};
const [few, many] = [found(10), found(1000)];
console.error(`${many} of 1000 in this run`);
console.log(`of 10 rows ${few} find themselves; of 1000 rows ${many < 200 ? "fewer than 200 do" : many}`);
JS
seen="$(node run.mjs)"
echo "$seen"
[ "$seen" = "of 10 rows 10 find themselves; of 1000 rows fewer than 200 do" ]
