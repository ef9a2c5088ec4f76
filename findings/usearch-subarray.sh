#!/usr/bin/env bash
# usearch's exactSearch reads a subarray from the start of its buffer and so returns wrong neighbours, without a word.
#
# Version: usearch 2.26.2 (npm, native), Node 20 and later.
# Behaviour: the four rows (0,0) (1,1) (2,2) (3,3) and the query (3,3), each once as a subarray of a longer Float32Array and once as a copy
#   of it. Of the copies the nearest is row 3 at distance 0. Of the subarrays it is row 0 at distance 8: byteOffset is not counted.
#   Index.add and Index.search of the same package count it.
# Why it matters: a block of frames is a subarray of a ring buffer nearly everywhere in audio.
# Output: subarray 0 8, copy 3 0, index 3 0
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --no-audit --no-fund --loglevel=error usearch@2.26.2 >/dev/null
cat >run.mjs <<'JS'
import { exactSearch, Index, MetricKind } from "usearch";
const rows = new Float32Array([9, 9, 0, 0, 1, 1, 2, 2, 3, 3]).subarray(2);
const query = new Float32Array([7, 7, 3, 3]).subarray(2);
const first = ({ keys, distances }) => `${keys[0]} ${distances[0]}`;
const index = new Index({ metric: "l2sq", dimensions: 2, quantization: "f32" });
index.add(BigUint64Array.of(0n, 1n, 2n, 3n), rows);
console.log(
  `subarray ${first(exactSearch(rows, query, 2, 1, MetricKind.L2sq))}, ` +
    `copy ${first(exactSearch(rows.slice(), query.slice(), 2, 1, MetricKind.L2sq))}, index ${first(index.search(query, 1))}`,
);
JS
seen="$(node run.mjs)"
echo "$seen"
[ "$seen" = "subarray 0 8, copy 3 0, index 3 0" ]
