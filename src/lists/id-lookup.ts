/** Finds the position of an id: a table where ids are dense, a hash map where they are not. */
export class IdLookup {
  readonly #table: Int32Array | undefined;
  readonly #map: Map<bigint, number> | undefined;

  /**
   * @param count how many ids there are
   * @param entries calls back with each id and its position; of equal ids the last one counts
   */
  constructor(count: number, entries: (each: (id: bigint, position: number) => void) => void) {
    const room = BigInt(count * 2);
    let dense = true;
    entries((id) => {
      if (id < 0n || id >= room) dense = false;
    });
    if (dense) {
      const table = (this.#table = new Int32Array(count * 2).fill(-1));
      entries((id, position) => (table[Number(id)] = position));
    } else {
      const map = (this.#map = new Map<bigint, number>());
      entries((id, position) => map.set(id, position));
    }
  }

  /** The position of an id, or -1. */
  find(id: number | bigint): number {
    if (this.#table === undefined) return this.#map?.get(BigInt(id)) ?? -1;
    return id >= 0 && id < this.#table.length ? this.#table[Number(id)] : -1;
  }
}
