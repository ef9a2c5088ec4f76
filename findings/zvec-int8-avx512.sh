#!/usr/bin/env bash
# zvec's 8-bit indexes give nonsense on CPUs with avx512_vnni.
#
# Version: @zvec/zvec 0.7.0 (npm, native), Linux x64, Node 20 and later, on a CPU with avx512_vnni.
# Behaviour: 3000 rows of 32 random numbers under COSINE with quantizeType INT8. IVF: before optimizeSync() 98 of 100 neighbours are found, after it
#   none, and the score of the first is -Infinity. HNSW: right while it is the only index of the process; when the collection has
#   a second HNSW that isn't quantised, or another collection with one is open, none after optimizeSync(). Taken for a
#   Haswell (qemu-user, -cpu Haswell; not part of this script) the CPU finds 98 in each of these cases. FP16 and INT4 are right.
# Why it matters: a database that passed its tests on a laptop answers at random on a server, without an error and with k rows in order of
#   their scores. Scores outside of 0 … 2 give it away; so does recall against a FLAT index, counted where it runs.
# Output: IVF before most after none, HNSW before most after none, first score -Infinity
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
grep -qw avx512_vnni /proc/cpuinfo || { echo "this takes a CPU with avx512_vnni"; exit 2; }
npm install --no-audit --no-fund --loglevel=error @zvec/zvec@0.7.0 >/dev/null
cat >run.mjs <<'JS'
import zvec from "@zvec/zvec";

const { ZVecDataType, ZVecIndexType, ZVecMetricType, ZVecQuantizeType } = zvec;
zvec.ZVecInitialize({ logType: "console", logLevel: zvec.ZVecLogLevel.ERROR });
const D = 32;
let state = 12345;
const random = () => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) + 1) / 2 ** 32;
const normal = () => Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());
const vectors = (count) => Array.from({ length: count }, () => Float32Array.from({ length: D }, normal));
const [rows, queries] = [vectors(3000), vectors(20)];
const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
const truths = queries.map((query) => {
  const nearness = rows.map((row, i) => [dot(row, query) / Math.sqrt(dot(row, row)), i]).sort((a, b) => b[0] - a[0]);
  return new Set(nearness.slice(0, 10).map(([, i]) => `${i}`));
});

const make = (name, indexes) => {
  const fields = indexes.map(([field, indexType, quantizeType]) => ({
    name: field,
    dataType: ZVecDataType.VECTOR_FP32,
    dimension: D,
    indexParams: { indexType, quantizeType, metricType: ZVecMetricType.COSINE },
  }));
  const collection = zvec.ZVecCreateAndOpen(name, new zvec.ZVecCollectionSchema({ name: "example", vectors: fields }));
  for (let i = 0; i < rows.length; i += 500) {
    const some = rows.slice(i, i + 500);
    collection.insertSync(some.map((row, j) => ({ id: `${i + j}`, vectors: Object.fromEntries(fields.map(({ name }) => [name, row])) })));
  }
  return collection;
};
let firstScore;
const found = (collection, fieldName) => {
  let hits = 0;
  queries.forEach((vector, i) => {
    const answers = collection.querySync({ fieldName, vector, topk: 10 });
    hits += answers.filter(({ id }) => truths[i].has(id)).length;
    if (fieldName === "ivf") firstScore = answers[0].score;
  });
  console.error(fieldName, hits / 200);
  return hits > 160 ? "most" : hits < 10 ? "none" : "some";
};
const { HNSW, IVF } = ZVecIndexType;
const seen = [];
for (const [name, indexes] of [
  ["ivf", [["ivf", IVF, ZVecQuantizeType.INT8]]],
  ["hnsw", [["plain", HNSW, ZVecQuantizeType.UNDEFINED], ["hnsw", HNSW, ZVecQuantizeType.INT8]]],
]) {
  const collection = make(name, indexes);
  const before = found(collection, name);
  collection.optimizeSync();
  seen.push(`${name.toUpperCase()} before ${before} after ${found(collection, name)}`);
}
console.log(`${seen.join(", ")}${firstScore < 0 ? `, first score ${firstScore}` : ""}`);
JS
seen="$(node run.mjs)"
echo "$seen"
[ "$seen" = "IVF before most after none, HNSW before most after none, first score -Infinity" ]
