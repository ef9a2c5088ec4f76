import { indexFactory } from "cellist";

/** What a file can be made of, largest first: the share of the whole that is aimed at, and the code that comes nearest to it. */
const CODES = [
  { id: "half", share: "1/2", code: () => "SQfp16" },
  { id: "quarter", share: "1/4", code: () => "SQ8" },
  { id: "eighth", share: "1/8", code: () => "SQ4" },
  { id: "sixteenth", share: "1/16", code: (d) => `PQ${d / 2}x4fs` },
];

/** The sizes for which this build of cellist has a code. */
export async function encodings(d, description) {
  const [cells] = description.split(",");
  const sizes = [];
  for (const { id, share, code } of CODES) {
    const factory = `${cells},${code(d)}`;
    const index = await indexFactory(d, factory).catch(() => undefined);
    index?.dispose();
    if (index !== undefined) sizes.push({ id, share, factory });
  }
  return sizes;
}

/** Encodes all frames of a voice another way, under the same ids. */
export async function encode({ index: { d }, ids, rows, stored }, { factory }, onProgress) {
  const index = await indexFactory(d, factory);
  await index.train(rows, { onProgress });
  await index.addWithIds(rows, ids, { onProgress });
  index.set(`nprobe=${stored}`);
  return { index, bytes: index.toBytes().length };
}
