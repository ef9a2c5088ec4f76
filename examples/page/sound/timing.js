/** Samples a second, of what features are made of. */
export const RATE = 16_000;
/** Samples from a row of features to the next, and samples that a row is made of. */
export const ROW_HOP = 320;
export const ROW_SPAN = 880;
/** Hops a second: a row of features each. */
export const HOPS_PER_SECOND = 50;
/** Seconds of a grain: two hops, so that Hann windows add up to 1. */
export const GRAIN = 0.04;
/** Seconds from what is heard to its answer: a block of 16 frames with its overlap, RVC's own. */
export const DELAY = 0.25;
/** What a grain is told with: the number of its hop, where it begins in the voice's sound in seconds, how loud. */
export const GRAIN_FIELDS = 3;
/** Samples that an AudioWorklet makes at a time. */
export const QUANTUM = 128;
/** Frames that are searched at once: RVC's figure. */
export const BLOCK = 16;

/** A row of features less the mean of each of its columns: what the sample's index is made of. */
export function centred(row, means) {
  return row.map((value, i) => value - means[i]);
}
