#!/usr/bin/env bash
# edgevec's published kernels hold no SIMD instruction.
#
# Versions: edgevec 0.9.0 (npm); wabt 1.0.37 takes the module apart.
# Behaviour: the package's README promises SIMD for vector operations twice as fast, and names the file that holds it. Taken apart, that
#   file multiplies and adds scalar floats, and not one of its 230,000 lines touches a v128.
# Why it matters: who compares libraries by their word, or looks for what WebAssembly SIMD gains, measures scalar code here.
# Output: v128 0, scalar floats 60
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --no-audit --no-fund --loglevel=error wabt@1.0.37 edgevec@0.9.0 >/dev/null
grep -qi "simd" node_modules/edgevec/README.md || { echo "the README speaks of no SIMD any more"; exit 1; }
node_modules/.bin/wasm2wat --enable-all node_modules/edgevec/edgevec_bg.wasm -o kernels.wat
vectors=$(grep -cE "v128|[if](8x16|16x8|32x4|64x2)\." kernels.wat || true)
scalars=$(grep -cE "f32\.(add|mul|sub)" kernels.wat || true)
echo "v128 $vectors, scalar floats $scalars"
[ "$vectors" = 0 ] && [ "$scalars" = 60 ]
