#!/usr/bin/env bash
# npyjs takes the length of the data from the file's end and not from the shape.
#
# Version: npyjs 1.2.0 (npm), Node 20 and later.
# Behaviour: a float32 array of shape (1, 2) with 8 bytes behind it, as files have that hold several arrays one after another (numpy.save
#   into one handle twice): numpy.load reads the two numbers that the shape names; npyjs gives a shape of [1, 2] and four numbers. A
#   complex64 array of shape (2,) comes as a Float32Array of four under dtype "c8" for the same reason.
# Why it matters: `data.length / shape[0]` is the row length that people compute. Cut the data to the product of the shape first.
# Output: 1,2 4; 2 4
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --no-audit --no-fund --loglevel=error npyjs@1.2.0 >/dev/null
cat >run.mjs <<'JS'
import npyjs from "npyjs";
const Npy = npyjs.default ?? npyjs;
const file = (descr, shape, numbers) => {
  const header = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }`.padEnd(117) + "\n";
  const bytes = Buffer.concat([Buffer.from("\x93NUMPY\x01\x00\x76\x00", "latin1"), Buffer.from(header, "latin1"), Buffer.from(numbers.buffer)]);
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
};
const show = ({ shape, data }) => `${shape} ${data.length}`;
const numbers = Float32Array.of(1, 2, 3, 4);
console.log(`${show(new Npy().parse(file("<f4", "(1, 2)", numbers)))}; ${show(new Npy().parse(file("<c8", "(2,)", numbers)))}`);
JS
seen="$(node run.mjs)"
echo "$seen"
[ "$seen" = "1,2 4; 2 4" ]
