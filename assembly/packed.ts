// Packed 4-bit codes, one vector at a time: fastscan.ts has the picture of a block.

/**
 * Writes codes (n x M numbers of 4 bits, a byte each) into the blocks, to the places that slots name.
 */
export function packCodes(numbers: usize, n: i32, M: i32, M2: i32, bbs: i32, slots: usize, codes: usize): void {
  for (let i = 0; i < n; i++, slots += 4) {
    const slot = load<i32>(slots);
    for (let m = 0; m < M; m++, numbers++) {
      const at = nibbleAt(codes, slot, m, M2, bbs);
      const high = (slot & 31) > 15;
      const old = load<u8>(at);
      const number = load<u8>(numbers);
      store<u8>(at, high ? (old & 15) | (number << 4) : (old & 240) | number);
    }
  }
}

/** Reads the codes of n slots: numbers, n x M bytes. */
export function unpackCodes(codes: usize, M: i32, M2: i32, bbs: i32, slots: usize, n: i32, numbers: usize): void {
  for (let i = 0; i < n; i++, slots += 4) {
    const slot = load<i32>(slots);
    for (let m = 0; m < M; m++, numbers++) {
      const byte = slot < 0 ? 0 : load<u8>(nibbleAt(codes, slot, m, M2, bbs));
      store<u8>(numbers, (slot & 31) > 15 ? byte >> 4 : byte & 15);
    }
  }
}

/** The byte that holds a vector's number for sub-quantizer m. */
@inline
function nibbleAt(codes: usize, slot: i32, m: i32, M2: i32, bbs: i32): usize {
  const inBlock = slot % bbs;
  const v = inBlock & 15;
  const p = v < 8 ? 2 * v : 2 * (v - 8) + 1;
  const block = <usize>(slot / bbs) * <usize>((bbs * M2) >> 1);
  return codes + block + <usize>((m >> 1) * bbs + (inBlock & ~31) + ((m & 1) << 4) + p);
}
