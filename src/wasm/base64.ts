const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** What some runtimes have for this; taken off globalThis, so that no bundler adds a stand-in. */
interface Natives {
  Uint8Array: { fromBase64?(text: string): Uint8Array<ArrayBuffer> };
  Buffer?: { from(text: string, encoding: "base64"): Uint8Array<ArrayBuffer> };
}

/**
 * The bytes of a base64 text. The loop is for those that have nothing better: an AudioWorklet has not even atob. It runs once and so
 * unoptimised, 5 ms for the kernels in Node 20, where Buffer takes 0.1.
 */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  const natives = globalThis as unknown as Natives;
  if (natives.Uint8Array.fromBase64 !== undefined) return natives.Uint8Array.fromBase64(text);
  return natives.Buffer !== undefined ? natives.Buffer.from(text, "base64") : decode(text);
}

/** @internal exported for its test */
export function decode(text: string): Uint8Array<ArrayBuffer> {
  const value = new Uint8Array(128);
  for (let i = 0; i < 64; i++) value[ALPHABET.charCodeAt(i)] = i;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3);
  for (let i = 0, out = 0; i < text.length; i += 4, out += 3) {
    const bits =
      (value[text.charCodeAt(i)] << 18) |
      (value[text.charCodeAt(i + 1)] << 12) |
      (value[text.charCodeAt(i + 2)] << 6) |
      value[text.charCodeAt(i + 3)];
    bytes[out] = bits >> 16;
    bytes[out + 1] = bits >> 8;
    bytes[out + 2] = bits;
  }
  return bytes.subarray(0, bytes.length - padding);
}
