#!/usr/bin/env bash
# One NaN among the distances makes onnxruntime's TopK lose the nearest neighbour, and not only the NaN.
#
# Version: onnxruntime-web 1.30.0 (its wasm build, in Node 20 and later). onnxruntime-node answers the same.
# Behaviour: TopK of the 4 smallest (largest = 0, sorted = 1) of 5 NaN 1 2 NaN 0 7 3 gives 1 2 5 NaN, at the places 2 3 0 1. The smallest, 0,
#   and the fourth, 3, are missing, and a NaN is there in their place. With a 9 in place of each NaN
#   the same graph gives 0 1 2 3. Which values are lost depends on where the NaNs stand.
# Why it matters: a search by brute force on a page is often a MatMul and a TopK in one model. A frame of silence that was normalised by its
#   length of 0 is a row of NaN, and each query then misses rows that have nothing to do with it. The operator's text does not speak of NaN.
# Output: with NaN 1,2,5,NaN at 2,3,0,1; without 0,1,2,3 at 5,2,3,7
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
npm install --no-audit --no-fund --loglevel=error onnxruntime-web@1.30.0 >/dev/null
cat >run.mjs <<'JS'
import ort from "onnxruntime-web";

// The model is written by hand: numbers and strings of protocol buffers, with the field numbers of onnx.proto.
const varint = (n) => (n < 128 ? [n] : [(n & 127) | 128, ...varint(n >> 7)]);
const number = (field, n) => [...varint(field << 3), ...varint(n)];
const bytes = (field, content) => [...varint((field << 3) | 2), ...varint(content.length), ...content];
const text = (field, string) => bytes(field, [...Buffer.from(string)]);
const value = (name, type) =>
  [...text(1, name), ...bytes(2, bytes(1, [...number(1, type), ...bytes(2, [...bytes(1, text(2, `n_${name}`))])]))];
const attribute = (name, n) => bytes(5, [...text(1, name), ...number(3, n), ...number(20, 2)]);
const node = [...text(1, "x"), ...text(1, "k"), ...text(2, "values"), ...text(2, "places"), ...text(4, "TopK")];
node.push(...attribute("largest", 0), ...attribute("sorted", 1));
const four = [...number(1, 1), ...number(2, 7), ...text(8, "k"), ...bytes(9, [4, 0, 0, 0, 0, 0, 0, 0])];
const graph = [...bytes(1, node), ...text(2, "nearest"), ...bytes(5, four), ...bytes(11, value("x", 1))];
graph.push(...bytes(12, value("values", 1)), ...bytes(12, value("places", 7)));
const model = Uint8Array.from([...number(1, 8), ...bytes(7, graph), ...bytes(8, number(2, 17))]);

const session = await ort.InferenceSession.create(model);
const nearest = async (numbers) => {
  const x = new ort.Tensor("float32", Float32Array.from(numbers), [numbers.length]);
  const { values, places } = await session.run({ x });
  return `${values.data.join()} at ${places.data.join()}`;
};
console.log(`with NaN ${await nearest([5, NaN, 1, 2, NaN, 0, 7, 3])}; without ${await nearest([5, 9, 1, 2, 9, 0, 7, 3])}`);
JS
seen="$(node run.mjs 2>/dev/null)"
echo "$seen"
[ "$seen" = "with NaN 1,2,5,NaN at 2,3,0,1; without 0,1,2,3 at 5,2,3,7" ]
