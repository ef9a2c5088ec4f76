#!/usr/bin/env bash
# voy-search compares the first 768 numbers of vectors and drops the others without a word.
#
# Version: voy-search 0.6.3 (npm, wasm), Node 20 and later.
# Behaviour: 500 vectors of random numbers are indexed and the 10 nearest of 20 others asked for. Of vectors of 768 numbers all 10 are the
#   true ones, of 1536 fewer than half. Of two rows, one equal to the query up to the 768th number and far off behind it, the other equal but for
#   0.1 in the first number, the far one is given as nearest. The text names no length; its source cuts or fills rows and queries to 768.
# Why it matters: models of today give 1024, 1536 or 3072 numbers. The answers look sensible, since half a vector says something too, and nothing
#   but a count against exact search shows that the other half is not there. HuBERT's 768 just fit.
# Output: 768 all, 1536 fewer than half; nearest far
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --no-audit --no-fund --loglevel=error voy-search@0.6.3 >/dev/null
# The package's entry imports a .wasm file, which bundlers can do and Node can't: the same two files are joined here.
cp node_modules/voy-search/voy_search_bg.js voy.mjs
cat >run.mjs <<'JS'
import { readFileSync } from "node:fs";
import * as voy from "./voy.mjs";

const bytes = readFileSync("node_modules/voy-search/voy_search_bg.wasm");
const { instance } = await WebAssembly.instantiate(bytes, { "./voy_search_bg.js": voy });
voy.__wbg_set_wasm(instance.exports);

let state = 12345;
const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32 - 0.5;
const vectors = (count, d) => Array.from({ length: count }, () => Float32Array.from({ length: d }, random));
const store = (rows) =>
  new voy.Voy({ embeddings: rows.map((row, i) => ({ id: `${i}`, title: "", url: "", embeddings: [...row] })) });
const nearest = (index, query, k) => index.search(query, k).neighbors.map(({ id }) => Number(id));
const squared = (a, b) => a.reduce((sum, x, i) => sum + (x - b[i]) ** 2, 0);

const found = (d) => {
  const [rows, queries] = [vectors(500, d), vectors(20, d)];
  const index = store(rows);
  let hits = 0;
  for (const query of queries) {
    const exact = rows.map((row, i) => [squared(row, query), i]).sort((a, b) => a[0] - b[0]);
    const truth = new Set(exact.slice(0, 10).map(([, i]) => i));
    hits += nearest(index, query, 10).filter((i) => truth.has(i)).length;
  }
  console.error(d, hits / 200);
  return hits === 200 ? "all" : hits < 100 ? "fewer than half" : hits;
};
const query = new Float32Array(1536);
const far = query.map((_, i) => (i < 768 ? 0 : 1));
const near = query.map((_, i) => (i === 0 ? 0.1 : 0));
const [first] = nearest(store([near, far]), query, 1);
console.log(`768 ${found(768)}, 1536 ${found(1536)}; nearest ${["near", "far"][first]}`);
JS
seen="$(node run.mjs)"
echo "$seen"
[ "$seen" = "768 all, 1536 fewer than half; nearest far" ]
