import type { Kernel } from "./piece.js";
import type { Share } from "./shares.js";

/** Floats of a piece: a megabyte, whose pages take some .4 ms to be had. */
const PIECE = 1 << 18;

/** What copies floats that all threads see into a memory, as if it were a kernel: `n` of them, from number `from` on, to an address. */
export function copier(floats: Float32Array, memory: WebAssembly.Memory): Kernel {
  return (from, n, to) => new Float32Array(memory.buffer).set(floats.subarray(from, from + n), to >>> 2);
}

/** How the work of a copier is shared; undefined where there is too little of it. */
export function copying(total: number): Share | undefined {
  if (total < 2 * PIECE) return undefined;
  return { total, least: PIECE, most: PIECE, count: 1, steps: { 0: 1, 2: 4 } };
}
