#!/usr/bin/env bash
# edgevec returns the farthest rows under "cosine" and "dot".
#
# Version: edgevec 0.9.0 (npm, wasm), Node 20 and later.
# Behaviour: 500 rows of 32 random numbers, a config with metric "l2", "dot" or "cosine", 10 results for each of 20 queries. With "l2" nearly
#   all of the 10 nearest come back. With "dot" and with "cosine" none does: what comes has the smallest inner products, the most negative
#   first, nearly all of it out of the last tenth of the rows. The package's types say that both are turned into distances; the score is the
#   plain inner product, smaller taken for nearer, and "cosine" does not divide by the lengths either.
# Why it matters: cosine is what embeddings are mostly searched by. Normalise the rows and use "l2", whose order is the same.
# Output: l2 most nearest 0 last tenth, dot 0 nearest most last tenth, cosine 0 nearest most last tenth
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --no-audit --no-fund --loglevel=error edgevec@0.9.0 >/dev/null
cat >run.mjs <<'JS'
import { readFileSync } from "node:fs";
import { EdgeVec, EdgeVecConfig, initSync } from "./node_modules/edgevec/edgevec.js";

initSync({ module: readFileSync("node_modules/edgevec/edgevec_bg.wasm") });
let state = 12345;
const random = () => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) + 1) / 2 ** 32;
const normal = () => Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());
const vectors = (count) => Array.from({ length: count }, () => Float32Array.from({ length: 32 }, normal));
const [rows, queries] = [vectors(500), vectors(20)];
const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
const nearness = {
  l2: (a, b) => -a.reduce((sum, x, i) => sum + (x - b[i]) ** 2, 0),
  dot,
  cosine: (a, b) => dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)),
};
const share = (hits) => (hits > 150 ? "most" : hits);
const found = (metric) => {
  const config = new EdgeVecConfig(32);
  config.metric = metric;
  const index = new EdgeVec(config);
  const ids = rows.map((row) => index.insert(row));
  let [near, far] = [0, 0];
  for (const query of queries) {
    const order = rows.map((row, i) => [nearness[metric](row, query), ids[i]]).sort((a, b) => b[0] - a[0]);
    const [nearest, last] = [order.slice(0, 10), order.slice(-50)].map((part) => new Set(part.map(([, id]) => id)));
    for (const { id } of index.search(query, 10)) {
      near += nearest.has(id);
      far += last.has(id);
    }
  }
  console.error(metric, near / 200, far / 200);
  return `${metric} ${share(near)} nearest ${share(far)} last tenth`;
};
console.log(["l2", "dot", "cosine"].map(found).join(", "));
JS
seen="$(node run.mjs)"
echo "$seen"
[ "$seen" = "l2 most nearest 0 last tenth, dot 0 nearest most last tenth, cosine 0 nearest most last tenth" ]
