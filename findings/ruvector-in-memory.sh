#!/usr/bin/env bash
# Two of ruvector's databases "in memory" are one, and so is tomorrow's: they share a file in the working directory.
#
# Version: ruvector 0.3.2 with @ruvector/core 0.1.32 (npm, native), Linux x64, Node 20 and later.
# Behaviour: the package's text says to leave storagePath out for a database in memory. Without it a file ruvector.db is written where the
#   process was started. A database that is made later, in this process or another, counts what the first one stored and finds
#   it; one of other dimensions is made without a word and fails at its first insert.
# Why it matters: tests that begin "empty" find rows of the last run, two voices answer with each other's frames, and a server's working
#   directory must be writable. Give each a storagePath of its own.
# Output: second in the process 1 mine, in the next process 1 mine, ruvector.db
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --no-audit --no-fund --loglevel=error ruvector@0.3.2 @ruvector/core@0.1.32 >/dev/null
cat >run.mjs <<'JS'
import ruvector from "ruvector";

const query = Float32Array.of(1, 0, 0, 0);
const found = async (database) => {
  const nearest = await database.search({ vector: query, k: 1 });
  return `${await database.len()} ${nearest.map(({ id }) => id)}`;
};
if (process.argv[2] === "fill") await new ruvector.VectorDb({ dimensions: 4 }).insert({ id: "mine", vector: query });
console.log(await found(new ruvector.VectorDb({ dimensions: 4 })));
JS
first="$(node run.mjs fill 2>/dev/null | tail -1)"
second="$(node run.mjs 2>/dev/null | tail -1)"
seen="second in the process $first, in the next process $second, $(ls ./*.db | xargs -n1 basename)"
echo "$seen"
[ "$seen" = "second in the process 1 mine, in the next process 1 mine, ruvector.db" ]
