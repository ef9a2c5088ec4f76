import type { Engine } from "../wasm/engine.js";

/** Rows of a fixed number of bytes, one after the other in one block that grows. */
export class Rows {
  readonly rowBytes: number;
  readonly #engine: Engine;
  #address: number;
  #capacity: number;
  #count: number;

  /** @param address the block of rows that are there already, as many as `count`; 0 for none */
  constructor(engine: Engine, rowBytes: number, address = 0, count = 0) {
    this.#engine = engine;
    this.rowBytes = rowBytes;
    this.#address = address;
    this.#capacity = count;
    this.#count = count;
    engine.movable(address, this.#moved);
  }

  readonly #moved = (to: number): void => {
    this.#address = to;
  };

  /** Gives the room beyond the rows in use back to the engine. */
  compact(): void {
    if (this.#count === 0) this.clear();
    else if (this.#count < this.#capacity) this.#resize(this.#count);
  }

  /** Where row 0 stands; not to be kept across a call that may grow the memory. */
  get address(): number {
    return this.#address;
  }

  /** Rows in use. */
  get count(): number {
    return this.#count;
  }

  /**
   * Makes room for n more rows behind those in use and returns where they go; {@link grow} takes them into use. The first rows get
   * exactly their room, later ones an eighth more, so that many small adds copy little and hold little. Throws ERR_MEMORY.
   */
  reserve(n: number): number {
    const need = this.#count + n;
    if (need > this.#capacity) {
      try {
        this.#resize(this.#count === 0 ? need : Math.max(need, Math.ceil(this.#count * 1.125)));
      } catch {
        this.#resize(need); // Near the limit, what is needed may fit where room for more does not.
      }
    }
    return this.#address + this.#count * this.rowBytes;
  }

  #resize(capacity: number): void {
    const engine = this.#engine;
    this.#address =
      this.#address === 0
        ? engine.allocate(capacity * this.rowBytes)
        : engine.resize(this.#address, this.#capacity * this.rowBytes, capacity * this.rowBytes);
    this.#capacity = capacity;
    engine.movable(this.#address, this.#moved);
  }

  /** Takes n reserved rows into use. */
  grow(n: number): void {
    this.#count += n;
  }

  /** Keeps only the rows that `keep` says yes to, in order, and returns how many went. */
  filter(keep: (row: number) => boolean): number {
    const { u8 } = this.#engine;
    let kept = 0;
    for (let row = 0; row < this.#count; row++) {
      if (!keep(row)) continue;
      if (kept !== row) {
        const from = this.#address + row * this.rowBytes;
        u8.copyWithin(this.#address + kept * this.rowBytes, from, from + this.rowBytes);
      }
      kept++;
    }
    const removed = this.#count - kept;
    this.#count = kept;
    return removed;
  }

  /** Removes all rows and gives their memory back to the engine. */
  clear(): void {
    this.#engine.release(this.#address);
    this.#address = this.#capacity = this.#count = 0;
  }

  /** The bytes in use, as a view to be copied at once. */
  bytes(): Uint8Array {
    return this.#engine.u8.subarray(this.#address, this.#address + this.#count * this.rowBytes);
  }
}
