// Packed 4-bit codes as they stand in memory, and the way there and back, one vector or one block at a time.
//
// A file has blocks of `bbs` vectors (a multiple of 32), groups of 32 side by side for each pair of sub-quantizers: fastscan.ts has the
// picture of the 16 bytes that a group has for one sub-quantizer, its CHUNK. In memory the same chunks stand in another order:
//
//     sub-quantizers   the widest first (by the spread of their centroids): what tells vectors apart most is looked at first, and
//                      most groups are done with before the rest
//     planes           the chunks of 16 sub-quantizers of a group side by side, 256 bytes, and so for all groups of a block, before those
//                      of the next 16:  | plane 0: group 0, group 1 … | plane 1: group 0 … | … | the last plane, perhaps narrower |
//
// so that what most groups are asked for is read in one go. A list of cells has the blocks of the file (32 vectors, mostly, so one group),
// a list of all vectors blocks of about 1024. In both, a block has the bytes of as many vectors in a file, so that it is arranged in place.

/** Sub-quantizers of a plane. */
export const PLANE: i32 = 16;

/** What a kernel must know of packed codes. */
@unmanaged
export class Packed {
  M: i32;
  /** M rounded up to an even number. */
  M2: i32;
  /** Vectors of a block in memory. */
  bbs: i32;
  /** Where each of M2 sub-quantizers stands, the widest first (i32). */
  places: usize;
  /** The transposed codebook, and the squared lengths of its centroids, [M][16] (read of residuals under L2 only). */
  transposed: usize;
  lengths: usize;
  /**
   * 1 where the scale keeps sums below 65536 but for the rounding of entries (faiss does so in an IVF, and we do with more than 257
   * sub-quantizers).
   */
  guard: i32;
  /** Vectors of the one list of all vectors, or 0: what searchPackedScratch was given. */
  listed: i32;
}

/** Where the chunk of a group stands in a block of `groups` groups, for the sub-quantizer at a place. */
@inline
function chunkAt(group: i32, place: i32, M2: i32, groups: i32): usize {
  const plane = place / PLANE;
  const width = min(PLANE, M2 - plane * PLANE) << 4;
  return <usize>(((plane * PLANE * groups) << 4) + group * width + ((place % PLANE) << 4));
}

/**
 * Writes codes (n x M numbers of 4 bits, a byte each) into the blocks, to the slots given; or reads them, a slot below 0 giving zeros.
 */
export function copyCodes(
  numbers: usize,
  n: i32,
  M: i32,
  M2: i32,
  bbs: i32,
  places: usize,
  slots: usize,
  codes: usize,
  write: bool,
): void {
  const groups = bbs >> 5;
  for (let i = 0; i < n; i++, slots += 4) {
    const slot = load<i32>(slots);
    const shift = (slot & 16) >> 2;
    const inBlock = max(slot, 0) % bbs;
    const block = codes + <usize>(max(slot, 0) / bbs) * <usize>((bbs * M2) >> 1) + byteOf(inBlock);
    for (let m = 0; m < M; m++, numbers++) {
      const place = load<i32>(places + ((<usize>m) << 2));
      // A block of one group has its chunks one after the other: to be told of that makes an add of 60,000 vectors 30 ms shorter.
      const at = block + (groups == 1 ? (<usize>place) << 4 : chunkAt(inBlock >> 5, place, M2, groups));
      const byte = <i32>load<u8>(at);
      if (write) store<u8>(at, (byte & (240 >> shift)) | ((<i32>load<u8>(numbers)) << shift));
      else store<u8>(numbers, slot < 0 ? 0 : (byte >> shift) & 15);
    }
  }
}

/** The byte of each chunk that holds a vector's number. */
@inline
function byteOf(slot: i32): usize {
  const v = slot & 15;
  return v < 8 ? 2 * v : 2 * (v - 8) + 1;
}

/**
 * Arranges n blocks of bbs vectors in place, which hold blocks of fileBbs, a divisor, as files have them. scratch: the bytes of one block.
 */
export function arrangeCodes(
  block: usize,
  n: i32,
  M2: i32,
  bbs: i32,
  fileBbs: i32,
  places: usize,
  scratch: usize,
): void {
  const bytes = (<usize>bbs * M2) >> 1;
  const groups = bbs >> 5;
  const fileGroups = fileBbs >> 5;
  for (let i = 0; i < n; i++, block += bytes) {
    memory.copy(scratch, block, bytes);
    for (let group = 0; group < groups; group++) {
      const inFile = group % fileGroups;
      const from = scratch + <usize>((((group - inFile) * M2) << 4) + (inFile << 5));
      for (let m = 0; m < M2; m++) {
        const place = load<i32>(places + ((<usize>m) << 2));
        const chunk = v128.load(from + <usize>((m >> 1) * fileBbs + ((m & 1) << 4)));
        v128.store(block + chunkAt(group, place, M2, groups), chunk);
      }
    }
  }
}
