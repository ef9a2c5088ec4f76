/**
 * The words (i32) of the memory through which those who have work and the threads that help them speak. It is none of wasm's: an index's
 * memory grows, and this one does not.
 *
 *     BELL     rung when there is work: it counts the rings, and threads that have nothing to do wait for the next
 *     STATES   a word a thread: how it can be reached
 *     MAIL     a word a thread: messages that were sent to it, which it can't hear while it looks for work
 *     SLOTS    a slot an index: the work that it has now
 */
export const BELL = 0;
export const STATES = 16;
export const MAIL: number = STATES + 64;
const SLOTS = MAIL + 64;

/** Threads that a pool has at most. */
export const MOST_HELPERS = 63;
/** Indexes that share a pool at most: Chromium has room for some 125 memories of wasm in a process. */
export const MOST_SLOTS = 128;

/** States of a thread: it hears messages, it looks for work or is at it, it is no more. */
export const LISTENING = 0;
export const LOOKING = 1;
export const GONE = 2;

// Words of a slot.

/**
 * How many pieces are left to be taken (the lower 16 bits), and which job they are of (the upper). Who takes one puts a number less there,
 * if the word still is what it was: all that is said of the job is true then, and stays so until the piece is done.
 */
export const TICKET = 0;
/** Goes up when a job may be over, for him who waits. */
export const WAKE = 1;
/** Pieces that are done; whether one of them failed. */
export const DONE = 2;
export const FAILED = 3;
/** The number of the memory, and that of the kernel in KERNELS. */
export const ENGINE = 4;
export const KERNEL = 5;
/** Rows of a piece, and of all. */
export const PIECE = 6;
export const TOTAL = 7;
/** Which argument says how many rows, and which where there is scratch; -1: none. */
export const COUNT_ARG = 8;
export const SCRATCH_ARG = 9;
/** Where the first thread's scratch is, and how far the next one's. */
export const BASE = 10;
export const STRIDE = 11;
/** How many arguments; a bit for each one that is the address of a record, of which each thread makes its own. */
export const ARGS_COUNT = 12;
export const RECORD_ARGS = 13;
/** Pages of the memory, which may have grown. */
export const PAGES = 14;
/** The arguments, and how much each is larger for the next row. */
export const ARGS = 16;
export const STEPS = 32;
/** Bytes from one query's queries, probes, coarse distances, distances and slots to the next one's, where they are in records. */
export const RECORD_STEPS = 48;
/** The least, as unsigned numbers, of what pieces returned, and how much it is larger for the next row; -1 where nobody asks. */
export const RESULT = 53;
export const RESULT_STEP = 54;
/** A word a thread: whether it has a piece, or is about to take one. */
export const BUSY = 64;
const SLOT_WORDS = BUSY + 64;

/** Bytes of it all. */
export const CONTROL_BYTES: number = (SLOTS + MOST_SLOTS * SLOT_WORDS) * 4;

/** The first word of a slot. */
export function slotAt(slot: number): number {
  return SLOTS + slot * SLOT_WORDS;
}

/** Bytes of a page of wasm's memory. */
export const PAGE = 65536;

/** Pieces that are left in a ticket. */
export const LEFT = 0xffff;

/** Keeps what a piece returned where it is the least. */
export function keepLeast(control: Int32Array, slot: number, value: number): void {
  for (let known = Atomics.load(control, slot + RESULT); value >>> 0 < known >>> 0;) {
    const seen = Atomics.compareExchange(control, slot + RESULT, known, value);
    if (seen === known) return;
    known = seen;
  }
}

/** Takes a piece: its number, or -1 where none is left, or it was snatched away. */
export function takePiece(control: Int32Array, slot: number, ticket: number): number {
  const left = ticket & LEFT;
  if (left === 0 || Atomics.compareExchange(control, slot + TICKET, ticket, ticket - 1) !== ticket) return -1;
  return left - 1;
}
