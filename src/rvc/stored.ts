import type { IndexNode } from "../indexes/node.js";
import { IdMapNode } from "../indexes/id-map.js";
import { scratchSize } from "../wasm/engine.js";
import type { Pace } from "../work/pace.js";

/** Vectors that are decoded between two steps. */
const BLOCK = 64;

/** All vectors of an index, in the order of their ids. */
export interface Stored {
  /** n x d, row-major. */
  vectors: Float32Array<ArrayBuffer>;
  /** The id of each row. */
  ids: BigInt64Array<ArrayBuffer>;
  /** Whether the ids are 0 to n - 1, so that any index gives them by itself. */
  inSequence: boolean;
  /** Whether the index keeps codes only, so that the vectors are what those decode to. */
  decoded: boolean;
}

/** Takes the vectors out of an index, by where they stand: an id that was given twice is there twice. */
export async function storedVectors(node: IndexNode, pace: Pace): Promise<Stored> {
  const { d } = node;
  const entries = entriesOf(node).sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  const n = entries.length;
  const vectors = new Float32Array(n * d);
  for (let first = 0; first < n; first += BLOCK) {
    const count = Math.min(BLOCK, n - first);
    const slots = entries.slice(first, first + count).map(({ slot }) => slot);
    decodeSlots(node, slots, vectors.subarray(first * d, (first + count) * d));
    await pace.step("decode", first + count, n);
  }
  const ids = BigInt64Array.from(entries, ({ id }) => id);
  return { vectors, ids, inSequence: ids.every((id, i) => id === BigInt(i)), decoded: node.rows === 0 };
}

/** Writes the vectors of slots. */
export function decodeSlots(node: IndexNode, slots: ArrayLike<number>, vectors: Float32Array): void {
  const { engine, d } = node;
  const n = slots.length;
  engine.reserveScratch(scratchSize(n * 4) + scratchSize(n * d * 4) + node.decodeScratch(n));
  const places = engine.takeScratch(n * 4);
  const rows = engine.takeScratch(n * d * 4);
  engine.i32.set(slots, places >>> 2);
  node.decode(places, n, rows);
  vectors.set(engine.f32.subarray(rows >>> 2, (rows >>> 2) + n * d));
}

/** The ids of an index, and the slots of their vectors. */
export function entriesOf(node: IndexNode): { id: bigint; slot: number }[] {
  const entries: { id: bigint; slot: number }[] = [];
  // A file may count vectors that faiss could not place in any list.
  if (node.stored === 0) return entries;
  // The places that an IDMap has ids for are the labels of what is under it.
  const inBase = node instanceof IdMapNode ? (place: number) => node.base.slotOf(place) : undefined;
  node.eachLabel((id, place) => {
    const slot = inBase === undefined ? place : inBase(place);
    if (slot >= 0) entries.push({ id, slot });
  });
  if (entries.length > 0) return entries;
  // No ids are stored: a slot is its own.
  for (let slot = 0; slot < node.ntotal; slot++) entries.push({ id: BigInt(slot), slot });
  return entries;
}
