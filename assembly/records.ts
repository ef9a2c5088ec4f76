// What crosses from TypeScript: records in memory, so that a kernel takes three addresses and not twenty numbers of which two may be
// swapped unseen. Every field is a word of 4 bytes. embed.mjs reads the offsets off this file and those of
// found/ into src/wasm/*.gen.ts: a field stands here and nowhere else.

/** One block of queries, and what of the lists they want. */
@unmanaged
export class Plan {
  /** nq x d floats. */
  queries: usize;
  nq: i32;
  d: i32;
  metric: i32;
  /** nq x nprobe list numbers, nearest first, -1 for none; and their coarse distances, where codes are residuals. */
  probes: usize;
  coarse: usize;
  nprobe: i32;
  /** Lists from this number on are scanned only while k are not found. */
  atLeast: i32;
  /** Vectors that a query scans at most; 0 is no limit. */
  maxCodes: i32;
  /** A bit for each slot, 1 where it may be found, readable 8 bytes beyond the last; 0: all may be. */
  admitted: usize;
  /** Centroids as rows by the numbers of their lists, where codes are residuals; else 0. */
  centroids: usize;
  /** As many bytes as the kernel's …Scratch says. */
  scratch: usize;
}

/**
 * Lists of codes. A list owns the slots from its start on, of which `sizes` says how many are there: none, where a list has yet to be
 * fetched. Slot s has the row at codes + s * blockBytes; with packed codes, block s / bbs stands at codes + (s / bbs) * blockBytes.
 */
@unmanaged
export class Lists {
  nlist: i32;
  /** u32 a list. */
  starts: usize;
  sizes: usize;
  codes: usize;
  blockBytes: i32;
  /** i64 ids by slot; 0 where a slot is its own id. */
  ids: usize;
}
