// Makes vectors.npy: 2,000 vectors and 64 queries, d = 64, about 24 centres. It is made once and shipped, so that every runtime
// searches the same bytes; the seed and whole-number arithmetic alone decide on them, up to the last division.

import { writeFileSync } from "node:fs";

const [ROWS, D, CENTRES] = [2064, 64, 24];

let state = 20260101;
/** A whole number below 2^16: Numerical Recipes' generator, upper half. */
function draw() {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state >>> 16;
}

const centres = Array.from({ length: CENTRES * D }, () => draw() - 32768);
const floats = new Float32Array(ROWS * D);
for (let row = 0; row < ROWS; row++) {
  const centre = draw() % CENTRES;
  for (let i = 0; i < D; i++) {
    const noise = draw() + draw() + draw() + draw() - 131072;
    floats[row * D + i] = (centres[centre * D + i] + noise) / 20000;
  }
}

const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${ROWS}, ${D}), }`.padEnd(117) + "\n";
const start = Buffer.concat([
  Buffer.from("\x93NUMPY\x01\x00", "latin1"),
  Buffer.of(header.length, 0),
  Buffer.from(header),
]);
writeFileSync(new URL("project/vectors.npy", import.meta.url), Buffer.concat([start, Buffer.from(floats.buffer)]));
