// Files of RaBitQfs as the first faiss that had it wrote them (Irfs, Iwrf), made of those of today, all of 64 dimensions: blocks have signs
// only, and what follows the signs stands apart, by id. The layout is that of faiss' source, which turns such files into those of today; none that faiss 1.14 wrote
// was at hand.

import { ascii, concat, i64 } from "./files.js";

const SIGN_BYTES = 64 / 8;

/** Parts of blocks: the signs, and of each of n vectors what follows them. */
function partsOf(
  blocks: Uint8Array,
  bbs: number,
  rowBytes: number,
  n: number,
): { signs: Uint8Array; rests: Uint8Array[] } {
  const signs: Uint8Array[] = [];
  const rests: Uint8Array[] = [];
  for (let at = 0; at < blocks.length; at += bbs * rowBytes) {
    signs.push(blocks.subarray(at, at + bbs * SIGN_BYTES));
    for (let i = 0; i < bbs && rests.length < n; i++) {
      const from = at + bbs * SIGN_BYTES + i * (rowBytes - SIGN_BYTES);
      rests.push(blocks.subarray(from, from + rowBytes - SIGN_BYTES));
    }
  }
  return { signs: concat(...signs), rests };
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

/** The Irfs of an Irfn, with what follows the signs of the first `ids` vectors and `more` bytes of the next one. */
export function oldSignBlocks(bytes: Uint8Array, ids = Infinity, more = 0): Uint8Array<ArrayBuffer> {
  const view = viewOf(bytes);
  // Header, quantizer, a centre of 64, bits of a query; then bbs, ntotal2, M2, code_size, and the codes.
  const packing = 37 + 28 + 8 + 64 * 4 + 1;
  const ntotal = Number(view.getBigInt64(8, true));
  const [bbs, rowBytes] = [view.getInt32(packing, true), Number(view.getBigInt64(packing + 20, true))];
  const { signs, rests } = partsOf(bytes.subarray(packing + 36), bbs, rowBytes, ntotal);
  const apart = concat(...rests);
  const size = Math.min(apart.length, ids * (rowBytes - SIGN_BYTES) + more);
  return concat(
    ascii("Irfs"),
    bytes.subarray(4, packing),
    i64(size),
    apart.subarray(0, size),
    bytes.subarray(packing, packing + 28),
    i64(signs.length),
    signs,
  );
}

/** The Iwrf of an Iwrn whose ids are in sequence. */
export function oldSignLists(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const view = viewOf(bytes);
  const at = Buffer.from(bytes).lastIndexOf("ilbl");
  const nlist = Number(view.getBigInt64(at + 4, true));
  const [bbs, blockBytes] = [20, 28].map((offset) => Number(view.getBigInt64(at + offset, true)));
  const apart: Uint8Array[] = [];
  const lists: Uint8Array[] = [];
  let next = at + 36;
  for (let list = 0; list < nlist; list++) {
    const size = Number(view.getBigInt64(next, true));
    const ids = bytes.subarray(next, next + 8 + size * 8);
    next += ids.length;
    const codes = bytes.subarray(next + 8, next + 8 + Number(view.getBigInt64(next, true)));
    const { signs, rests } = partsOf(codes, bbs, blockBytes / bbs, size);
    rests.forEach((rest, i) => (apart[Number(view.getBigInt64(next - (size - i) * 8, true))] = rest));
    lists.push(concat(ids, i64(signs.length), signs));
    next += 8 + codes.length;
  }
  const flat = concat(...apart);
  return concat(
    ascii("Iwrf"),
    bytes.subarray(4, at),
    i64(flat.length),
    flat,
    bytes.subarray(at, at + 28),
    i64(bbs * SIGN_BYTES),
    ...lists,
  );
}
