import { fail } from "../errors.js";
import type { Reader } from "../format/reader.js";
import type { Writer } from "../format/writer.js";
import type { RowLayout } from "../lists/layout.js";
import { Lists } from "../lists/lists.js";
import type { Engine } from "../wasm/engine.js";

// Inverted lists in a file, as faiss' ArrayInvertedLists: `ilar`, nlist, the bytes of a code, the kind of the table of sizes
// ("full": all of them; "sprs": pairs of number and size), the table, then codes and ids of each list that is not empty.

/** Writes lists. */
export function writeLists(writer: Writer, lists: Lists): void {
  const filled = countFilled(lists);
  const full = isFull(lists, filled);
  const { layout } = lists;
  writer.fourcc("ilar");
  writer.i64(lists.nlist);
  writer.i64(layout.fileBytes);
  writer.fourcc(full ? "full" : "sprs");
  writer.i64(full ? lists.nlist : filled * 2);
  for (let list = 0; lists.count > 0 && list < lists.nlist; list++) {
    const size = lists.size(list);
    if (!full && size > 0) writer.i64(list);
    if (full || size > 0) writer.i64(size);
  }
  for (let list = 0; lists.count > 0 && list < lists.nlist; list++) {
    const { codes, ids } = lists.bytes(list);
    writer.raw(codes);
    writer.raw(ids);
  }
}

/** Reads lists of an index that has `nlist` of them, codes that are rows of `layout`, and `ntotal` vectors. */
export async function readLists(
  reader: Reader,
  engine: Engine,
  nlist: number,
  layout: RowLayout,
  ntotal: number,
): Promise<Lists> {
  const codeBytes = layout.fileBytes;
  const fourcc = await reader.fourcc("inverted lists");
  if (fourcc === "il00") fail("ERR_UNSUPPORTED", "the file says that its inverted lists are kept elsewhere (il00)");
  if (fourcc === "ilod")
    fail("ERR_UNSUPPORTED", "the inverted lists are in another file (ilod): merge them in faiss first");
  if (fourcc === "ilpn" || fourcc === "ilp2")
    fail("ERR_UNSUPPORTED", `the inverted lists are Panorama's (${fourcc}), which only IVF,FlatPanorama has`);
  if (fourcc !== "ilar") reader.wrong("inverted lists", 4, `are of the kind "${fourcc}", not ilar`);
  const lists = new Lists(engine, nlist, layout);
  for (const [field, expected] of [
    ["nlist of the inverted lists", nlist],
    ["code_size of the inverted lists", codeBytes],
  ] as const) {
    const given = await reader.i64(field);
    if (given !== expected) reader.wrong(field, 8, `is ${given}, not ${expected}`);
  }
  const filled = await readSizes(reader, nlist);
  let count = 0;
  for (const [, size] of filled) count += size;
  // faiss counts vectors that went to no list, having a NaN: ntotal may be larger than what is stored.
  if (count > ntotal) reader.wrong("inverted lists", 0, `hold ${count} vectors, and ntotal is ${ntotal}`);
  if (count === 0) return lists;

  if (reader.deferral?.lists === true) {
    deferLists(reader, engine, lists, filled, count);
    return lists;
  }
  // The ids go straight to their place where the file is known to have them; from a stream of unknown length they wait outside
  // of the engine's memory, so that only one block has to grow while it is filled.
  const known = reader.left !== Infinity;
  const waiting: Uint8Array[] = [];
  if (count * (codeBytes + 8) > reader.left) {
    reader.wrong("inverted lists", 0, `need ${count * (codeBytes + 8)} bytes and the file has ${reader.left} left`);
  }
  reader.announce(count * (codeBytes + 8));
  let ids = known ? engine.allocate(count * 8) : 0;
  const codes = reader.growing(engine, "codes of the inverted lists", count * codeBytes);
  let slot = 0;
  for (const [list, size] of filled) {
    const first = slot * codeBytes;
    reader.list = list;
    const to = known ? codes.address + first : (done: number) => codes.to(first + done);
    const arrival = reader.into(engine, "codes", size * codeBytes, to);
    if (arrival !== undefined) await arrival;
    if (known) {
      const own = reader.into(engine, "ids", size * 8, ids + slot * 8);
      if (own !== undefined) await own;
    } else {
      waiting.push(await reader.bytes("ids", size * 8));
    }
    slot += size;
  }
  reader.list = -1;
  // Before there are ids behind them: they may need more room than they did in the file.
  const spread = layout.spread(engine, codes.address, count);
  if (!known) {
    let at = (ids = engine.allocate(count * 8));
    for (const bytes of waiting) {
      engine.u8.set(bytes, at);
      at += bytes.length;
    }
  }
  const sizes = new Uint32Array(nlist);
  for (const [list, size] of filled) sizes[list] = size;
  lists.adopt(spread, ids, sizes);
  return lists;
}

/** Makes room for lists that come later: until then they are empty to a search. */
function deferLists(reader: Reader, engine: Engine, lists: Lists, filled: [number, number][], count: number): void {
  const { fileBytes, blockBytes } = lists.layout;
  const ids = engine.allocate(count * 8);
  const codes = engine.allocate(count * blockBytes);
  const sizes = new Uint32Array(lists.nlist);
  for (const [list, size] of filled) sizes[list] = size;
  lists.adopt(codes, ids, sizes);
  lists.hide();
  for (const [list, size] of filled) {
    reader.defer(`list ${list}`, size * (fileBytes + 8), list, (bytes) => {
      checkLabels(bytes.subarray(size * fileBytes), list, reader.deferral?.labels ?? Infinity);
      lists.arrive(list, bytes.subarray(0, size * fileBytes), bytes.subarray(size * fileBytes));
    });
  }
}

/** Throws ERR_FORMAT for a label that an index around the lists could not look up. */
function checkLabels(ids: Uint8Array, list: number, below: number): void {
  if (below === Infinity) return;
  const view = new DataView(ids.buffer, ids.byteOffset, ids.length);
  for (let at = 0; at < ids.length; at += 8) {
    const label = view.getBigInt64(at, true);
    if (label < 0n || label >= BigInt(below))
      fail(
        "ERR_FORMAT",
        `list ${list} has the label ${label}, not from 0 to ${below - 1}: some were removed, or the file is damaged; read the whole of it by readIndex, which may put it right`,
      );
  }
}

/**
 * Reads lists as the first versions of faiss wrote them: the codes of each, a vector of bytes or of floats. The ids stood before.
 *
 * @param itemBytes 1, or 4 where codes are counted in floats
 */
export async function readOldLists(
  reader: Reader,
  engine: Engine,
  ids: readonly BigInt64Array[],
  layout: RowLayout,
  ntotal: number,
  itemBytes: number,
): Promise<Lists> {
  const lists = new Lists(engine, ids.length, layout);
  const count = ids.reduce((sum, { length }) => sum + length, 0);
  if (count > ntotal) reader.wrong("inverted lists", 0, `hold ${count} vectors, and ntotal is ${ntotal}`);
  if (count === 0) {
    for (let list = 0; list < ids.length; list++) await reader.vectorCount(`codes of list ${list}`, itemBytes, 0);
    return lists;
  }
  const idBlock = engine.allocate(count * 8);
  const codes = reader.growing(engine, "codes of the inverted lists", count * layout.fileBytes);
  let slot = 0;
  for (const [list, own] of ids.entries()) {
    const bytes = own.length * layout.fileBytes;
    await reader.vectorCount(`codes of list ${list}`, itemBytes, bytes / itemBytes);
    const first = slot * layout.fileBytes;
    await reader.into(engine, `codes of list ${list}`, bytes, (done) => codes.to(first + done));
    engine.i64.set(own, (idBlock >>> 3) + slot);
    slot += own.length;
  }
  lists.adopt(
    layout.spread(engine, codes.address, count),
    idBlock,
    Uint32Array.from(ids, ({ length }) => length),
  );
  return lists;
}

/** The numbers and sizes of the lists that are not empty. */
export async function readSizes(reader: Reader, nlist: number): Promise<[number, number][]> {
  const kind = await reader.fourcc("kind of list sizes");
  if (kind !== "full" && kind !== "sprs") reader.wrong("kind of list sizes", 4, `is "${kind}", not full or sprs`);
  const items = await reader.vectorCount("list sizes", 8);
  if (kind === "full" && items !== nlist) reader.wrong("list sizes", 8, `have ${items} items, not ${nlist}`);
  if (kind === "sprs" && items % 2 !== 0) reader.wrong("list sizes", 8, `have ${items} items, an odd number`);
  const values = await reader.i64s("list sizes", items);
  const filled: [number, number][] = [];
  let last = -1;
  let total = 0n;
  for (let i = 0; i < items; i += kind === "full" ? 1 : 2) {
    const list = kind === "full" ? i : Number(values[i]);
    const size = kind === "full" ? values[i] : values[i + 1];
    if (!(list > last && list < nlist))
      reader.wrong("list sizes", (items - i) * 8, `name list ${list} after list ${last}`);
    if (size < 0n || (total += size) > 0x7fffffffn)
      reader.wrong("list sizes", (items - i) * 8, `give list ${list} the size ${size}`);
    if (size > 0n) filled.push([list, Number(size)]);
    last = list;
  }
  return filled;
}

/** Lists that are not empty. */
function countFilled(lists: Lists): number {
  let filled = 0;
  for (let list = 0; lists.count > 0 && list < lists.nlist; list++) if (lists.size(list) > 0) filled++;
  return filled;
}

function isFull(lists: Lists, filled: number): boolean {
  return filled > Math.floor(lists.nlist / 2);
}
