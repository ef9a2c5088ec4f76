// An index in a file, made once and searched at each later run, in Deno.
//
//     deno run --allow-read --allow-write search.ts

import { indexFactory, readIndex } from "cellist";

const D = 64;
const PATH = "vectors.index";

/** Vectors of your own belong here: 5,000 of them, row by row. */
function makeVectors(): Float32Array {
  return new Float32Array(5000 * D).map((_, i) => Math.sin(i * 0.37 + Math.floor(i / D) ** 0.5));
}

async function open() {
  const file = await Deno.open(PATH).catch(() => undefined);
  if (file !== undefined) return readIndex(file.readable);
  const index = await indexFactory(D, "IVF64,SQ8");
  const vectors = makeVectors();
  await index.train(vectors);
  await index.add(vectors);
  const made = await Deno.open(PATH, { write: true, create: true });
  await index.stream().pipeTo(made.writable);
  return index;
}

using index = await open();
index.nprobe = 8;
const query = makeVectors().subarray(42 * D, 43 * D);
const { labels, distances } = index.search(query, 3);
console.log(`${index}`);
labels.forEach((label, i) => console.log(label, distances[i].toFixed(4)));
