import { textKernel } from "./kernels.gen.js";

/** Values below take one character, others two: one of three for how many times 56, and one for the rest. */
const ONE = 88;
const TWO = 56;
const SHIFT = 3;
/** Characters from which on a kernel pays. */
const LONG = 4096;
const PAGE = 65536;
/** Codes of characters, and those that texts do without: quotes, the backslash, and what begins a name in a template. */
const CODES = 128;
const LEFT_OUT = [34, 36, 92, 96];

/** The bytes of a text that assembly/text.mjs made (what it is stands there). */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const values = new Uint8Array(CODES);
  for (let code = 32, value = 0; code < 127; code++) if (!LEFT_OUT.includes(code)) values[code] = value++;
  return (text.length >= LONG ? bytesByKernel(text, values) : undefined) ?? bytesByHand(text, values);
}

/** It runs once and so unoptimised: 2.3 ms for 51 KB in Node 20. */
function bytesByHand(text: string, values: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const value = values[text.charCodeAt(i)];
    const own = value < ONE ? value : ONE + (value - ONE) * TWO + values[text.charCodeAt(++i)];
    bytes[length++] = own - SHIFT;
  }
  return bytes.slice(0, length);
}

/** As by hand, in .8 ms, half of it until there is a kernel. Undefined where there is no TextEncoder (a worklet), or no memory, or nothing may be compiled. */
function bytesByKernel(text: string, values: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  try {
    const { TextEncoder: Encoder } = globalThis;
    const encoder = new Encoder();
    const { length } = text;
    const memory = new WebAssembly.Memory({ initial: Math.ceil((length + CODES) / PAGE) });
    const module = new WebAssembly.Module(bytesByHand(textKernel, values));
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    const bytes = new Uint8Array(memory.buffer);
    encoder.encodeInto(text, bytes);
    bytes.set(values, length);
    return bytes.slice(0, (exports.bytesOf as (length: number) => number)(length));
  } catch {
    return undefined;
  }
}
