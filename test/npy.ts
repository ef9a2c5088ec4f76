import { readFileSync } from "node:fs";
import { parse } from "npyjs";

/** The floats and the shape of an .npy file. */
export function floats(path: string | URL): { data: Float32Array; shape: number[] } {
  const { data, shape } = parse(new Uint8Array(readFileSync(path)).buffer);
  return { data: data instanceof Float32Array ? data : Float32Array.from(data as Float64Array), shape };
}

/** The 64-bit ids of an .npy file. */
export function ids(path: string | URL): BigInt64Array {
  return parse(new Uint8Array(readFileSync(path)).buffer).data as BigInt64Array;
}
