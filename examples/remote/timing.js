/** Samples a second; of a row of features, 50 a second; and of a block of 16 rows, which are blended together. */
export const RATE = 16_000;
export const ROW = 320;
export const ROWS = 16;
export const BLOCK = ROW * ROWS;
/** Samples from what is heard to its answer: a block, what its last row reaches beyond it, and a tenth of a second for the rest. */
export const DELAY = BLOCK + 560 + 1600;
