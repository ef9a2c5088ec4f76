// Filters: a bitmap of slots, bit s & 7 of byte s >> 3 being slot s. It may be read 16 bytes beyond its last slot.

/** Whether a slot may be found; address 0 admits all. */
@inline
export function isAdmitted(admitted: usize, slot: i32): bool {
  return admitted == 0 || ((load<u8>(admitted + <usize>(slot >> 3)) >> (slot & 7)) & 1) != 0;
}

/** The bits of n <= 64 slots from any slot on, the first in the lowest bit. */
@inline
export function admittedBits(admitted: usize, slot: i32, n: i32): u64 {
  const at = admitted + <usize>(slot >> 3);
  const shift = <u64>(slot & 7);
  let bits = load<u64>(at) >> shift;
  if (shift != 0) bits |= load<u64>(at, 8) << (64 - shift);
  return n < 64 ? bits & (((<u64>1) << (<u64>n)) - 1) : bits;
}

/** How many of n slots are admitted. */
export function countAdmitted(admitted: usize, slot: i32, n: i32): i32 {
  let count = 0;
  for (let j = 0; j < n; j += 64) count += <i32>popcnt(admittedBits(admitted, slot + j, min(64, n - j)));
  return count;
}

/** Makes the lower bounds of slots that are not admitted infinite, so that none of them is compared. */
export function closeBounds(lower: usize, n: i32, admitted: usize, slot: i32): void {
  for (let j = 0; j < n; j += 64) {
    let closed = ~admittedBits(admitted, slot + j, min(64, n - j));
    const most = min(64, n - j);
    if (most < 64) closed &= ((<u64>1) << (<u64>most)) - 1;
    for (; closed != 0; closed &= closed - 1) store<f32>(lower + ((<usize>(j + <i32>ctz(closed))) << 2), Infinity);
  }
}

/** Makes the lower bounds of n slots nothing where they are admitted, so that each is compared, and infinite where not. */
export function openBounds(lower: usize, n: i32, admitted: usize, slot: i32): void {
  for (let j = 0; j < n; j++) {
    store<f32>(lower + ((<usize>j) << 2), isAdmitted(admitted, slot + j) ? -Infinity : Infinity);
  }
}
