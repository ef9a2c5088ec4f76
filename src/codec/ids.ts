import { wrong } from "./bytes.js";
import { IDS_GAPS, IDS_NONE, IDS_WIDE } from "./head.js";
import type { Head } from "./head.js";

// Ids, list by list. Where they are those of rows that were added one after the other, they ascend within a list by what lists are
// many: gaps of about that size, whose low bits are kept as they are and the rest as so many ones and a zero (a Rice code). That takes
// 10.4 bits for a row of 495 lists.

/** Ids as a file keeps them: which of IDS_…, the low bits of a gap, and the bytes. */
export interface PackedIds {
  kind: number;
  gapBits: number;
  bytes: Uint8Array<ArrayBuffer>;
}

/** The ids of lists, which must ascend in each of them. */
export function packIds(ids: BigInt64Array, sizes: Uint32Array): PackedIds {
  if (ids.every((id, place) => id === BigInt(place))) return { kind: IDS_NONE, gapBits: 0, bytes: new Uint8Array(0) };
  const wide: PackedIds = {
    kind: IDS_WIDE,
    gapBits: 0,
    bytes: new Uint8Array(ids.buffer.slice(ids.byteOffset, ids.byteOffset + ids.byteLength) as ArrayBuffer),
  };
  if (ids.some((id) => id < 0n || id > 0x7fffffffn)) return wide;
  const gaps = new Uint32Array(ids.length);
  for (let list = 0, row = 0; list < sizes.length; list++) {
    let last = 0;
    for (let i = 0; i < sizes[list]; i++, row++) {
      const id = Number(ids[row]);
      gaps[row] = id - last;
      last = id;
    }
  }
  let best = wide;
  for (let gapBits = 0; gapBits <= 30; gapBits++) {
    let bits = 0;
    for (const gap of gaps) bits += (gap >>> gapBits) + 1 + gapBits;
    if (Math.ceil(bits / 8) >= best.bytes.length) continue;
    best = { kind: IDS_GAPS, gapBits, bytes: new Uint8Array(Math.ceil(bits / 8)) };
  }
  if (best.kind === IDS_GAPS) {
    const { bytes, gapBits } = best;
    let at = 0;
    const put = (bit: number): void => {
      bytes[at >> 3] |= bit << (at & 7);
      at++;
    };
    for (const gap of gaps) {
      for (let i = gap >>> gapBits; i > 0; i--) put(1);
      put(0);
      for (let bit = 0; bit < gapBits; bit++) put((gap >>> bit) & 1);
    }
  }
  return best;
}

/** The ids of a file, list by list. ERR_FORMAT where there are more or fewer than rows. */
export function readIds(bytes: Uint8Array, head: Head, sizes: Uint32Array): BigInt64Array<ArrayBuffer> {
  const { ids: kind, gapBits, ntotal } = head;
  if (kind === IDS_WIDE) {
    if (bytes.length !== ntotal * 8) wrong("the ids", `are ${bytes.length} bytes for ${ntotal} rows`);
    return new BigInt64Array(new Uint8Array(bytes).buffer);
  }
  // A bit a row at least.
  if (bytes.length * 8 < ntotal) wrong("the ids", `are ${bytes.length} bytes for ${ntotal} rows`);
  const ids = new BigInt64Array(ntotal);
  let at = 0;
  const take = (): number => {
    if (at >= bytes.length * 8) wrong("the ids", "end too early");
    const bit = (bytes[at >> 3] >> (at & 7)) & 1;
    at++;
    return bit;
  };
  for (let list = 0, row = 0; list < sizes.length; list++) {
    let last = 0;
    for (let i = 0; i < sizes[list]; i++, row++) {
      let high = 0;
      while (take() === 1) high++;
      let gap = high * 2 ** gapBits;
      for (let bit = 0; bit < gapBits; bit++) gap += take() * 2 ** bit;
      last += gap;
      if (last > 0x7fffffff) wrong("the ids", "have more than 31 bits");
      ids[row] = BigInt(last);
    }
  }
  if (Math.ceil(at / 8) !== bytes.length) wrong("the ids", "have bytes that say nothing");
  return ids;
}
