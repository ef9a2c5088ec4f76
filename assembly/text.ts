// The bytes of a text that text.mjs made (what it is stands there), a character after the other. What value a character has stands in a
// table: four comparisons each made it .9 ms for the kernels' text in place of .3 (Node 20, whose baseline compiler runs most of it).
//
//     characters   !   "   #   $   %      [   \   ]      _   `   a
//     values       1       2       3     57      58     60      61      four characters are left out
//
// A module of its own: the text of the kernels is what it is for.

/** Values below take one character, others two: one of three for how many times 56, and one for the rest. */
const ONE: i32 = 88;
const TWO: i32 = 56;
const SHIFT: i32 = 3;

/** Writes the bytes of the `length` characters at address 0 to where they are, and returns how many there are. Behind them are values: 128 bytes. */
export function bytesOf(length: usize): usize {
  let to: usize = 0;
  for (let at: usize = 0; at < length; at++) {
    let value = <i32>load<u8>(length + load<u8>(at));
    if (value >= ONE) value = ONE + (value - ONE) * TWO + <i32>load<u8>(length + load<u8>(++at));
    store<u8>(to++, value - SHIFT);
  }
  return to;
}
