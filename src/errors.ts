/**
 * The stable codes of a {@link CellistError}. A sentence may be reworded in any release, a code may not.
 *
 * - `ERR_FACTORY`: a description that indexFactory cannot parse or build
 * - `ERR_DIMENSION`: vectors or results of the wrong length
 * - `ERR_PARAMETER`: a parameter or option that does not exist, or a value out of its range
 * - `ERR_METRIC`: an operation that the index's metric does not have
 * - `ERR_NOT_TRAINED`: add before train
 * - `ERR_NOT_FINITE`: NaN or infinity among vectors to train on or to add
 * - `ERR_FORMAT`: bytes that are no faiss file, or a damaged one
 * - `ERR_UNSUPPORTED`: a faiss file or an operation that is well-formed but not built here; a runtime that forbids what is needed
 * - `ERR_MEMORY`: more memory than can be had
 * - `ERR_ID`: an id that does not exist or does not fit
 * - `ERR_LABELS`: a label array of the wrong type or length
 * - `ERR_BUSY`: a call while a promise of the index is pending
 * - `ERR_DISPOSED`: a call after dispose
 *
 * @example
 *   const code: ErrorCode = "ERR_FORMAT";
 */
export type ErrorCode =
  | "ERR_FACTORY"
  | "ERR_DIMENSION"
  | "ERR_PARAMETER"
  | "ERR_METRIC"
  | "ERR_NOT_TRAINED"
  | "ERR_NOT_FINITE"
  | "ERR_FORMAT"
  | "ERR_UNSUPPORTED"
  | "ERR_MEMORY"
  | "ERR_ID"
  | "ERR_LABELS"
  | "ERR_BUSY"
  | "ERR_DISPOSED";

/**
 * Every error that the library throws by itself: a stable code, and a sentence that says what to do.
 *
 * @example
 *   try {
 *     index = await readIndex(file);
 *   } catch (error) {
 *     if (error instanceof CellistError) alert(error.message);
 *   }
 */
export class CellistError extends Error {
  /**
   * What went wrong, for programs.
   *
   * @example
   *   if (error.code === "ERR_MEMORY") return smaller();
   */
  readonly code: ErrorCode;

  /**
   * @param code what went wrong, for programs
   * @param message what was given, what was expected, what to do: for people
   */
  constructor(code: ErrorCode, message: string) {
    super(message);
    this.name = "CellistError";
    this.code = code;
  }
}

/** Throws a {@link CellistError}; as an expression it has every type. */
export function fail(code: ErrorCode, message: string): never {
  throw new CellistError(code, message);
}

/** What engines say of an array that they can't make: V8, JavaScriptCore and SpiderMonkey have a sentence each, or two. */
const NO_ARRAY = /allocat|memory|array (buffer )?length|too (large|big)/i;

/** Runs something that makes arrays. Throws ERR_MEMORY where one can't be had, and whatever else is thrown as it is. */
export function makingArrays<T>(job: () => T): T {
  try {
    return job();
  } catch (error) {
    return noArray(error);
  }
}

/** Throws what was thrown: ERR_MEMORY in place of a RangeError that says so of an array. */
export function noArray(error: unknown): never {
  if (error instanceof RangeError && NO_ARRAY.test(error.message))
    fail(
      "ERR_MEMORY",
      `the runtime does not give the memory for an array (${error.message}): free some, or do less at a time`,
    );
  throw error;
}
