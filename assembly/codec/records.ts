// What the coder reads of a model, that is how the numbers of some columns are likely to be: src/codec/models.ts writes it.

/** Symbols of a table: the numbers -7 to 7, and one that says that the number is farther out. */
export const SYMBOLS: i32 = 16;
/** Symbol s is the number s - MIDDLE. */
export const MIDDLE: i32 = 7;
/** Probabilities are whole numbers of 1 / 2^14. */
export const PRECISION_BITS: i32 = 14;
/** Tables of a model: for numbers where the layer before had 0, or there is none; where it had 1 or -1; and for the rest. */
export const CONTEXTS: i32 = 3;

// A model's bytes: i32 low bits that are not in the tables; then the tables, 17 u16 each: where the symbols start, in 1 / 2^14, and 2^14
// itself.
export const MODEL_SHIFT: usize = 0;
export const MODEL_TABLES: usize = 4;
export const TABLE_BYTES: usize = 36;
/** Bytes of a model. */
export const MODEL_BYTES: i32 = 112;
