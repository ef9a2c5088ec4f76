#!/usr/bin/env bash
# edgevec's compact() gives the rows other ids and leaves their metadata under the old ones.
#
# Version: edgevec 0.9.0 (npm, wasm), Node 20 and later.
# Behaviour: ten rows at 1 … 10 get the ids 1 … 10 and their names as metadata; 1, 2 and 3 are deleted by softDelete(). The row at 6 is found as id
#   6, named "row6". After compact() it is found as id 3 and named "row3", like a row that no longer exists, and a search for what is named
#   "row6" gives the row at 9, at a squared distance of 9. The package's types say that compact() preserves ids.
# Why it matters: an id is all that an application keeps to tell which frame or text was found, and the package recommends compact() once 30 % of
#   the rows are deleted. Number the rows anew in the order of insertion after it, or build a new index instead.
# Output: before 6 row6, row6 at 0; after 3 row3, row6 at 9
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --no-audit --no-fund --loglevel=error edgevec@0.9.0 >/dev/null
cat >run.mjs <<'JS'
import { readFileSync } from "node:fs";
import { EdgeVec, EdgeVecConfig, initSync } from "./node_modules/edgevec/edgevec.js";

initSync({ module: readFileSync("node_modules/edgevec/edgevec_bg.wasm") });
const config = new EdgeVecConfig(2);
config.metric = "l2";
const index = new EdgeVec(config);
for (let i = 1; i <= 10; i++) index.insertWithMetadata(Float32Array.of(i, 0), { name: `row${i}` });
const six = Float32Array.of(6, 0);
const seen = () => {
  const [{ id }] = index.search(six, 1);
  const [named] = index.searchWithFilter(six, 'name = "row6"', 1);
  return `${id} ${index.getAllMetadata(id).name}, row6 at ${named.distance}`;
};
for (const id of [1, 2, 3]) index.softDelete(id);
const before = seen();
index.compact();
console.log(`before ${before}; after ${seen()}`);
JS
seen="$(node run.mjs)"
echo "$seen"
[ "$seen" = "before 6 row6, row6 at 0; after 3 row3, row6 at 9" ]
