/** A stretch of a file that is read when it is wanted. */
export interface Deferred {
  readonly from: number;
  readonly to: number;
  /** Which list it is, or its first row. */
  readonly number: number;
  /** Puts the bytes where they belong. Throws ERR_FORMAT for bytes that can't be there, having changed nothing. */
  arrive(bytes: Uint8Array): void;
}

/** What a reader leaves for later, where whoever opens a file can do with some of it. */
export class Deferral {
  /** In the order of the file. */
  readonly stretches: Deferred[] = [];
  /** Whether the lists of the index that is read now may come later: not those of a coarse quantizer, which every search wants. */
  lists = true;
  /** Whether the next flat index that is read may have its rows later: one that re-ranks. */
  rows = false;
  /** Labels of lists are below this, where an index around them takes that for granted. */
  labels: number = Number.POSITIVE_INFINITY;
  /** What is to be true of the whole, and can't be looked at before it is there. */
  readonly checks: (() => void)[] = [];

  /** Reads what must all be there at once. */
  async whole<T>(read: () => Promise<T>): Promise<T> {
    const { lists, rows } = this;
    this.lists = false;
    this.rows = false;
    try {
      return await read();
    } finally {
      this.lists = lists;
      this.rows = rows;
    }
  }
}
