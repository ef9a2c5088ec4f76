// Bytes of a module as text, of which gzip makes as little as of the bytes themselves. Of base64, whose characters cut across bytes,
// it makes a third more: 17.7 KB of 32.5, and 13.4 of this.
//
//     value 0 … 87     one character     the printable ones of ASCII but " \ ` $, in their order
//     value 88 … 255   two               the 89th, 90th or 91st character, and the rest of 56
//
// A byte's value is 3 more than the byte, so that 0xfd, which begins each SIMD instruction, takes one character.

const characters = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).filter(
  (character) => !'"\\`$'.includes(character),
);

/** The text of bytes; src/wasm/text.ts makes bytes of it. */
export function textOf(bytes) {
  let text = "";
  for (const byte of bytes) {
    const value = (byte + 3) % 256;
    const rest = value - 88;
    text += rest < 0 ? characters[value] : characters[88 + Math.floor(rest / 56)] + characters[rest % 56];
  }
  return text;
}
