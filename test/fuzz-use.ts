// What people do to an index, done to one that was read from damaged bytes: nothing but the library's own errors may come of it, what can
// be held against something is, and what is written can be read.

import { CellistError, readIndex } from "../src/index.js";
import type { Index } from "../src/index.js";
import { VectorIndex } from "../src/handle/vector-index.js";
import { blend } from "../src/rvc/index.js";
import { countCoded } from "./coded.js";
import { pick, uniform } from "./random.js";
import type { Random } from "./random.js";

const ALL = { nprobe: 0x7fffffff };

/** Searches by codes of rows so far. */
export let coded = 0;

/** An index, queries, and what these find: all of it as one text, too. */
interface Looked {
  index: Index;
  queries: Float32Array;
  random: Random;
  labels: bigint[];
  distances: number[];
  text: string;
}

/** Does to an index what people do. */
export async function use(index: Index, random: Random): Promise<void> {
  const { d, ntotal } = index;
  const queries = uniform(random, (d > 4096 ? 1 : 3) * d);
  const looked: Looked = { index, queries, random, labels: [], distances: [], text: "" };
  await look(looked);
  const plain = looked.text;
  const searches = countCoded(index);
  if (index instanceof VectorIndex) index.node.prepare();
  await look(looked);
  if (looked.text !== plain) throw new Error(`prepared, it finds ${looked.text} in place of ${plain}`);
  coded += searches();
  const found = looked.labels.filter((label) => label !== -1n);
  for (const label of found.slice(0, 2)) await allowed(() => index.reconstruct(label));
  // Whatever an index was read from, its own bytes are a file.
  const file = await expectReadable(index);
  await pick(random, FIRST)(looked, file);
  if (found.length > 0) await allowed(() => index.removeIds(found.slice(0, 1)));
  await allowed(() => index.removeIds([0n, 1n << 40n]));
  const more = uniform(random, 2 * d);
  const before = index.ntotal;
  await allowed(() => (index.description.includes("IDMap") ? index.addWithIds(more, [3, 4]) : index.add(more)));
  if (index.ntotal > ntotal + 2 || index.ntotal < before) throw new Error(`${before} vectors became ${index.ntotal}`);
  await look(looked);
  await pick(random, THEN)(looked, file);
  await expectReadable(index);
  await allowed(() => index.reset());
  await look(looked);
  if (looked.labels.some((label) => label !== -1n)) throw new Error("something was found after a reset");
  await expectReadable(index);
}

async function look(looked: Looked): Promise<void> {
  const { index, queries } = looked;
  looked.text = "";
  looked.labels = [];
  looked.distances = [];
  for (const k of [1, 8]) {
    await allowed(() => {
      const { labels, distances } = index.search(queries, k, ALL);
      looked.labels = Array.from(labels, BigInt);
      looked.distances = Array.from(distances);
      looked.text += `${looked.labels.join()} at ${looked.distances.join()}; `;
    });
  }
}

type Deed = (looked: Looked, file: Uint8Array<ArrayBuffer>) => Promise<void>;

/** What leaves an index as it is. */
const FIRST: Deed[] = [
  async function filtered({ index, queries }) {
    await allowed(() => {
      const even = index.filter((id: number | bigint) => BigInt(id) % 2n === 0n);
      const labels = Array.from(index.search(queries, 8, { ...ALL, filter: even }).labels, BigInt);
      const odd = labels.find((label) => label !== -1n && label % 2n !== 0n);
      if (odd !== undefined) throw new Error(`of even ids it finds ${odd}`);
    });
  },
  async function within({ index, queries, labels, distances }) {
    const radius = distances[Math.min(7, distances.length - 1)];
    if (radius === undefined || Number.isNaN(radius)) return;
    const nearer = (distance: number): boolean => (index.metric === 1 ? distance < radius : distance > radius);
    await allowed(() => {
      const { lims, ...all } = index.rangeSearch(queries, radius, ALL);
      const far = all.distances.find((distance) => !nearer(distance));
      if (far !== undefined) throw new Error(`within ${radius} it finds something at ${far}`);
      // Links of a graph lead elsewhere when all within a radius are looked for; a Refine looks again at what is within by its codes, and a
      // PQ…+… goes by the first of its two; and damaged, what the first bits of a RaBitQ say of a vector is no bound for what all of them say.
      if (/HNSW|RaBitQ|RFlat|Refine|\+/.test(index.description)) return;
      const there = new Set(Array.from(all.labels.slice(lims[0], lims[1]), BigInt));
      const lost = labels.findIndex((label, i) => i < 8 && label !== -1n && nearer(distances[i]) && !there.has(label));
      if (lost >= 0) throw new Error(`within ${radius} it does not find ${labels[lost]} at ${distances[lost]}`);
    });
  },
  async function blended({ index, queries }) {
    await allowed(() => {
      if (blend(index, queries.slice(), ALL).length !== queries.length) throw new Error("a blend has another length");
    });
  },
];

/** What changes an index. */
const THEN: Deed[] = [
  async function compacted(looked) {
    const before = looked.text;
    await allowed(() => looked.index.compact());
    await look(looked);
    if (looked.text !== before) throw new Error(`compacted, it finds ${looked.text} in place of ${before}`);
  },
  async function replaced({ index, queries, labels, random }) {
    const ids = [...new Set([pick(random, labels.filter((label) => label !== -1n).concat(7n)), 5n])];
    const before = index.ntotal;
    await allowed(() => index.upsert(queries.slice(0, ids.length * index.d), ids));
    if (index.ntotal > before + ids.length) throw new Error(`${before} vectors became ${index.ntotal} by an upsert`);
  },
  async function merged({ index }, file) {
    const other = await readIndex(file);
    const [own, theirs] = [index.ntotal, other.ntotal];
    let isMerged = false;
    await allowed(async () => {
      await index.mergeFrom(other, { addId: index.description.includes("ID") ? 1 << 20 : 0 });
      isMerged = true;
    });
    const numbers = [index.ntotal, other.ntotal];
    if (numbers.join() !== (isMerged ? [own + theirs, 0] : [own, theirs]).join())
      throw new Error(`${own} and ${theirs} vectors became ${numbers.join(" and ")}`);
    other.dispose();
  },
];

/** An index's own bytes give themselves again. */
async function expectReadable(index: Index): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = index.toBytes();
  const again = await readIndex(bytes);
  const same = Buffer.compare(again.toBytes(), bytes) === 0;
  again.dispose();
  if (!same) throw new Error("read again, it gives other bytes");
  return bytes;
}

/** Calls, and lets the library's own errors pass. */
async function allowed(call: () => unknown): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (!(error instanceof CellistError)) throw error;
  }
}
