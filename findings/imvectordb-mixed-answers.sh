#!/usr/bin/env bash
# imvectordb gives some of the queries that are under way at once each other's answers.
#
# Version: imvectordb 0.0.6 (npm), Node 20 and later.
# Behaviour: query() sends its vector to a worker under a number drawn from 1 to 10,000, and keeps who asked under that number. When two that wait
#   have drawn the same, one is given the other's neighbours. Sixteen unit vectors are stored and 2000 queries asked at once, each for one of
#   them: every answer ought to have the similarity 1, and well over a hundred have 0. Runs differ. Asked one after the other all are right.
# Why it matters: 120 queries under way make it likelier than not, which a server or one utterance's frames have. The answer is a valid document
#   of the store with a similarity of some other query. Wait for each answer before the next is asked.
# Output: at once some are another's; in turn 0 another's
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --no-audit --no-fund --loglevel=error imvectordb@0.0.6 >/dev/null
cat >run.mjs <<'JS'
import imvectordb from "imvectordb";

const database = new imvectordb.VectorDB();
const unit = (i) => Array.from({ length: 16 }, (_, j) => Number(i % 16 === j));
for (let i = 0; i < 16; i++) database.add({ id: `${i}`, embedding: unit(i), metadata: {} });
let [wrong, answered] = [0, 0];
const ask = async (i) => {
  const [{ document }] = await database.query(unit(i), 1);
  answered++;
  if (document.id !== `${i % 16}`) wrong++;
};
for (let i = 0; i < 200; i++) await ask(i);
const inTurn = wrong;
[wrong, answered] = [0, 0];
for (let i = 0; i < 2000; i++) ask(i);
// Answers come in order: when a second has brought none, all are there that will be.
for (let before = -1; before < answered || answered === 0; ) {
  before = answered;
  await new Promise((resolve) => setTimeout(resolve, 1000));
}
console.error(`${wrong} of ${answered} another's`);
console.log(`at once ${wrong > 0 ? "some" : "none"} are another's; in turn ${inTurn} another's`);
await database.terminate();
JS
seen="$(node run.mjs)"
echo "$seen"
[ "$seen" = "at once some are another's; in turn 0 another's" ]
