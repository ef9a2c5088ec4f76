import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { indexFactory, readIndex } from "../src/index.js";
import { blend } from "../src/rvc/index.js";

// In a process of its own that compiles nothing: there each float that JavaScript touches is an object, so that a copy number by number
// shows, which compiled code hides; and the young generation is so large that nothing is collected on the way.

const FLAGS = ["--expose-gc", "--no-opt", "--no-maglev", "--no-sparkplug", "--min-semi-space-size=64"];
const CALLS = 10_000;
/**
 * The heap is counted in pages of 256 KB: of each call, 26 bytes. Uncompiled, a blend makes objects of 16 for its rate and the rate's default:
 * 60 to 81 bytes were seen. A block's 2,048 features would be 32 KB.
 */
const MOST = 120;

const SCRIPT = `
import { indexFactory } from "cellist";
import { blend } from "cellist/rvc";

const [description, nprobe] = process.argv.slice(1);
const [d, n, batch, k] = [128, 1500, 16, 8];
const vectors = Float32Array.from({ length: n * d }, (_, i) => ((i * 7919) % 1009) / 1009);
const index = await indexFactory(d, description);
await index.train(vectors);
await index.add(vectors);
const options = { nprobe: Number(nprobe), d };
const blending = { k, rate: 0.75, rows: batch, ...options };
index.warmUp({ batch, k, ...options });

const queries = vectors.slice(0, batch * d);
const features = queries.slice();
const tensor = { data: queries.slice(), dims: [1, batch, d] };
const distances = new Float32Array(batch * k);
const [narrow, wide] = [new Int32Array(batch * k), new BigInt64Array(batch * k)];
const calls = {
  blend: () => blend(index, features, blending),
  searchInto: () => index.searchInto(queries, k, distances, narrow, options),
  "searchInto of a tensor, 64-bit labels": () => index.searchInto(tensor, k, distances, wide, options),
};
const grown = {};
for (const [name, call] of Object.entries(calls)) {
  for (let i = 0; i < 100; i++) call();
  gc();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < ${CALLS}; i++) call();
  grown[name] = (process.memoryUsage().heapUsed - before) / ${CALLS};
}
console.log(JSON.stringify(grown));
`;

describe("after warmUp nothing is allocated on the heap", () => {
  test.each([
    ["Flat", 1],
    ["IVF16,Flat", 1],
    ["IVF16,Flat", 4],
    ["IVF16,PQ16x4fs,RFlat", 4],
  ])("%s, nprobe %i", (description, nprobe) => {
    const script = [...FLAGS, "--input-type=module", "-e", SCRIPT, "--", description, String(nprobe)];
    const grown = JSON.parse(execFileSync(process.execPath, script, { encoding: "utf8" })) as Record<string, number>;
    expect(Object.keys(grown)).toHaveLength(3);
    for (const [call, bytes] of Object.entries(grown)) expect(bytes, call).toBeLessThan(MOST);
  });
});

// Shapes whose blends took just so much more than their searches that a page was lacking.
test.each([
  ["IVF64,Flat", 64, 3],
  ["IVF64,Flat", 256, 1],
  ["IVF64,PQ32x4fs", 320, 3],
  ["IVF64,PQ32x4fs", 320, 40],
  ["IVF64,PQ32x4fs,RFlat", 64, 1],
])("after warmUp the first blend grows no memory: %s, d = %i, %i at a time", async (description, d, batch) => {
  const vectors = Float32Array.from({ length: 700 * d }, (_, i) => ((i * 7919) % 1009) / 1009);
  const made = await indexFactory(d, description);
  await made.train(vectors);
  await made.add(vectors);
  const index = await readIndex(made.toBytes());
  index.warmUp({ batch, k: 8, nprobe: 2 });
  const { memory } = index;
  blend(index, vectors.slice(0, batch * d), { k: 8, nprobe: 2 });
  expect(index.memory).toBe(memory);
});

test("an index that was disposed of gives its memory back, though somebody keeps it", () => {
  const script = `
    import { indexFactory } from "cellist";
    import { blend } from "cellist/rvc";
    const vectors = new Float32Array(1000 * 64).fill(0.5);
    const index = await indexFactory(64, "Flat");
    await index.add(vectors);
    index.search(vectors.subarray(0, 64), 3);
    blend(index, vectors.slice(0, 128));
    const memory = new WeakRef(index.node.engine.u8.buffer);
    index.dispose();
    for (let i = 0; i < 3; i++) await new Promise((resolve) => setTimeout(resolve, 5)).then(gc);
    console.log(memory.deref() === undefined, typeof index);`;
  const flags = ["--expose-gc", "--input-type=module", "-e", script];
  expect(execFileSync(process.execPath, flags, { encoding: "utf8" }).trim()).toBe("true object");
});
