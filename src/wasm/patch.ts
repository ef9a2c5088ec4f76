/**
 * Makes bytes of other bytes by a patch: again and again the number of new bytes, these, how far the source is skipped (2n, or
 * -2n - 1 where it is backwards), and how many of its bytes follow; numbers in LEB128. assembly/embed.mjs writes it.
 */
export function applyPatch(source: Uint8Array, patch: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  let at = 0;
  const number = (): number => {
    let value = 0;
    for (let unit = 1; ; unit *= 128) {
      const byte = patch[at++];
      value += (byte & 127) * unit;
      if (byte < 128) return value;
    }
  };
  let position = 0;
  while (at < patch.length) {
    for (let left = number(); left > 0; left--) bytes.push(patch[at++]);
    const skip = number();
    position += skip % 2 === 0 ? skip / 2 : -(skip + 1) / 2;
    for (let left = number(); left > 0; left--) bytes.push(source[position++]);
  }
  return Uint8Array.from(bytes);
}
