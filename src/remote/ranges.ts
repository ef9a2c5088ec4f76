/** A file that is read in parts, wherever it stands. */
export interface Ranges {
  /** Bytes of the file. */
  readonly size: number;
  /** Bytes between two parts below which it is cheaper to read them too than to ask twice. */
  readonly bridge: number;
  /** Bytes of one read at most, where short ones cost nothing and bring what has come sooner; may change. */
  readonly most?: number | undefined;
  /** What this version of the file is known by, as far as its server says; it goes into the name of what is cached. */
  readonly version: string;
  /**
   * The bytes from `from` to `to` (excluded), all of them, in an array of their own.
   *
   * @throws {CellistError} ERR_FORMAT where they can't be had, in words that say why; the signal's reason
   */
  read(from: number, to: number, signal: AbortSignal): Promise<Uint8Array>;
  /** The same bytes as they come, where that is sooner than all together. What breaks off throws, and may be read another time. */
  follow?(from: number, to: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** Says that no more are wanted. */
  close(): void;
}

/**
 * A file of the caller's own that can be read in parts, such as one in a database.
 *
 * @example
 *   const reader: RangeReader = { size: blob.size, read: (from, to) => blob.slice(from, to).arrayBuffer() };
 */
export interface RangeReader {
  /**
   * Bytes of the file.
   *
   * @example
   *   const reader = { size: (await handle.stat()).size, read };
   */
  readonly size: number;
  /**
   * The bytes from `from` to `to` (excluded).
   *
   * @example
   *   const read = async (from, to) => (await handle.read(new Uint8Array(to - from), 0, to - from, from)).buffer;
   */
  read(from: number, to: number, signal: AbortSignal): Promise<Uint8Array | ArrayBuffer>;
}
