import type { Reader } from "../format/reader.js";
import type { Writer } from "../format/writer.js";
import { PackedLayout } from "../lists/layout.js";
import type { Layout } from "../lists/layout.js";
import { Lists } from "../lists/lists.js";
import type { Engine } from "../wasm/engine.js";

// Inverted lists of packed codes in a file, as faiss' BlockInvertedLists: `ilbl`, nlist, a code size that says "none", vectors and
// bytes of a block, then for every list a vector of ids and one of whole blocks.

/** What stands for the bytes of a code, which packed codes have not. */
const NO_CODE_SIZE = 0xffff_ffff_ffff_ffffn;
/** What is allocated ahead of the blocks that have arrived. */
const AHEAD = 1 << 20;

/** Blocks of a file whose codes are kept as rows here, as many bytes each as a block has for it. */
export interface RowBlocks {
  readonly perBlock: number;
  readonly blockBytes: number;
  /** The rows of the first n codes of blocks, the ids of which `id` knows. */
  toRows(blocks: Uint8Array, n: number, id: (i: number) => number): Uint8Array;
  /** Rows as whole blocks. */
  toBlocks(rows: Uint8Array): Uint8Array;
}

/** Writes lists of packed codes, or of rows as packed codes. */
export function writeBlockLists(writer: Writer, lists: Lists, rows?: RowBlocks): void {
  const { perBlock, blockBytes } = rows ?? lists.layout;
  writer.fourcc("ilbl");
  writer.i64(lists.nlist);
  writer.i64(NO_CODE_SIZE);
  writer.i64(perBlock);
  writer.i64(blockBytes);
  for (let list = 0; list < lists.nlist; list++) {
    const { codes, ids } = lists.bytes(list);
    writer.i64(ids.length / 8);
    writer.raw(ids);
    const blocks = rows?.toBlocks(codes) ?? codes;
    writer.i64(blocks.length);
    writer.raw(blocks);
  }
}

/** Reads the lists of an index that has `nlist` of them, codes packed like `layout` (or like `rows`, to be kept by it), and `ntotal` vectors at most. */
export async function readBlockLists(
  reader: Reader,
  engine: Engine,
  nlist: number,
  layout: Layout,
  ntotal: number,
  rows?: RowBlocks,
): Promise<Lists> {
  const fourcc = await reader.fourcc("inverted lists");
  if (fourcc !== "ilbl") reader.wrong("inverted lists", 4, `are of the kind "${fourcc}", not ilbl`);
  const { perBlock: bbs, blockBytes } = rows ?? layout;
  const whole = (size: number): number => Math.ceil(size / bbs) * bbs;
  for (const [field, expected] of [
    ["nlist of the inverted lists", nlist],
    ["code_size of the inverted lists", -1],
    ["n_per_block", bbs],
    ["block_size", blockBytes],
  ] as const) {
    const given = await reader.i64(field);
    if (given !== expected) reader.wrong(field, 8, `is ${given}, not ${expected}`);
  }
  const lists = new Lists(engine, nlist, layout);
  const needed = nlist * 16;
  if (needed > reader.left)
    reader.wrong("inverted lists", 0, `need ${needed} bytes and the file has ${reader.left} left`);

  // Sizes come with the lists, so the block of codes grows as they do. The ids wait outside, lest two blocks get in each other's way, and
  // together: an array a list made V8 collect garbage twice while an index of 256 was opened, .8 ms each.
  const sizes: number[] = [];
  let waiting = new Uint8Array(0);
  let codes = 0;
  let room = 0;
  let used = 0;
  let count = 0;
  for (let list = 0; list < nlist; list++) {
    reader.list = list;
    let size = reader.vectorCount("ids", 8);
    if (typeof size !== "number") size = await size;
    count += size;
    if (count > ntotal) reader.wrong("ids", 8, `make ${count} vectors, and ntotal is ${ntotal}`);
    sizes.push(size);
    const ids = reader.lent("ids", size * 8);
    const own = ids instanceof Promise ? await ids : ids;
    if (count * 8 > waiting.length) {
      const more = new Uint8Array(count * 16);
      more.set(waiting);
      waiting = more;
    }
    waiting.set(own, (count - size) * 8);
    const bytes = (whole(size) / bbs) * blockBytes;
    const codesFollow = reader.vectorCount("codes", 1, bytes);
    if (typeof codesFollow !== "number") await codesFollow;
    // Rows may be longer than what a block has of them.
    const need = used + Math.max(bytes, rows === undefined ? 0 : size * layout.blockBytes);
    if (need > room) {
      const grown = Math.max(need, Math.min(used + reader.left, Math.ceil(room * 1.25) + AHEAD));
      codes = codes === 0 ? engine.allocate(grown) : engine.resize(codes, room, grown);
      room = grown;
    }
    const at = codes + used;
    const arrival = reader.into(engine, "codes", bytes, at);
    if (arrival !== undefined) await arrival;
    if (rows === undefined) used += bytes;
    else {
      const ids = new DataView(waiting.buffer, (count - size) * 8);
      const id = (i: number): number => Number(ids.getBigInt64(i * 8, true));
      const unpacked = rows.toRows(engine.u8.slice(at, at + bytes), size, id);
      engine.u8.set(unpacked, at);
      used += unpacked.length;
    }
  }
  reader.list = -1;
  if (count === 0) {
    engine.release(codes);
    return lists;
  }
  codes = engine.resize(codes, room, used);
  if (layout instanceof PackedLayout) codes = layout.arrange(engine, codes, used / blockBytes);
  const ids = engine.allocate((used / layout.blockBytes) * layout.perBlock * 8);
  let slot = 0;
  let from = 0;
  for (const size of sizes) {
    engine.u8.set(waiting.subarray(from * 8, (from + size) * 8), ids + slot * 8);
    from += size;
    slot += rows === undefined ? whole(size) : size;
  }
  lists.adopt(codes, ids, Uint32Array.from(sizes));
  return lists;
}
