import type { Kernel } from "./piece.js";
import type { Share } from "./shares.js";

/** Floats of a piece: a megabyte, whose pages take some .4 ms to be had. */
const PIECE = 1 << 18;
/** Words of a page of the system's, at least. */
const PAGE_WORDS = 1 << 10;

/** What copies floats that all threads see into a memory, as if it were a kernel: `n` of them, from number `from` on, to an address. */
export function copier(floats: Float32Array, memory: WebAssembly.Memory): Kernel {
  return (from, n, to) => new Float32Array(memory.buffer).set(floats.subarray(from, from + n), to >>> 2);
}

/**
 * Takes pages into use to which another thread is going to copy floats: of what copying to new memory takes, two thirds are the system's. It
 * writes to them, since what is read first is had twice: by Atomics.or it took longer than to copy.
 */
export function toucher(memory: WebAssembly.Memory): Kernel {
  return (_from, n, to) => {
    const words = new Int32Array(memory.buffer);
    for (let at = to >>> 2, end = at + n; at < end; at += PAGE_WORDS) words[at] = 0;
  };
}

/** How the work of a copier is shared; undefined where there is too little of it. */
export function copying(total: number): Share | undefined {
  if (total < 2 * PIECE) return undefined;
  return { total, least: PIECE, most: PIECE, count: 1, steps: { 0: 1, 2: 4 } };
}
