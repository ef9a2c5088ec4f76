// Where records for kernels stand: one of each in an engine, written anew for each crossing.

/** Bytes that a record may take. */
const RECORD = 128;
const FIRST = 64;

/** Address of the plan of a block. */
export const PLAN: number = FIRST;
/** Address of the lists that are scanned. */
export const LISTS: number = FIRST + RECORD;
/** Address of where results go. */
export const FOUND: number = FIRST + 2 * RECORD;
/** Address of what is known of a code, and of another record that belongs to it. */
export const CODE: number = FIRST + 3 * RECORD;
export const BESIDE: number = FIRST + 4 * RECORD;
/** Behind the records. */
export const RECORDS_END: number = FIRST + 5 * RECORD;
