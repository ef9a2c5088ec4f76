import type { Reader } from "../format/reader.js";
import type { Writer } from "../format/writer.js";
import type { Lists } from "../lists/lists.js";

/** How a file says where ids stand: not at all, by an array whose places are the ids, by pairs of a hash table. */
const NONE = 0;
const ARRAY = 1;
const HASHTABLE = 2;
const EMPTY = new BigInt64Array(0);

/**
 * The map from ids to places that an IVF file may carry. Searches do without; it is kept to be written back as it was read, and
 * made again, of the same kind, once vectors came or went. A place is `list << 32 | offset`, or -1.
 */
export class DirectMap {
  #kind = NONE;
  /** ARRAY: places by id. HASHTABLE: pairs of id and place, in the order of the file. */
  #entries = EMPTY;
  #stale = false;

  /** Whether ids must be in sequence, because they are places in an array. */
  get isArray(): boolean {
    return this.#kind === ARRAY;
  }

  /** Says that vectors came or went. Once some were removed, ids are no longer in sequence: an array becomes a hash table. */
  invalidate(removed: boolean): void {
    if (removed && this.#kind === ARRAY) {
      this.#kind = HASHTABLE;
      this.#entries = EMPTY;
    }
    this.#stale = this.#kind !== NONE;
  }

  write(writer: Writer, lists: Lists, ntotal: number): void {
    this.#renew(lists, ntotal);
    writer.u8(this.#kind);
    writer.i64(this.#kind === ARRAY ? this.#entries.length : 0);
    if (this.#kind === HASHTABLE) writer.i64(this.#entries.length / 2);
    writer.raw(new Uint8Array(this.#entries.buffer));
  }

  /** Reads a map; {@link check} it when the lists are there. */
  static async read(reader: Reader): Promise<DirectMap> {
    const map = new DirectMap();
    map.#kind = await reader.u8("direct map type");
    if (map.#kind > HASHTABLE) reader.wrong("direct map type", 1, `is ${map.#kind}, not 0, 1 or 2`);
    const array = await reader.vectorCount("direct map array", 8);
    if (map.#kind !== ARRAY && array !== 0) reader.wrong("direct map array", 8, `has ${array} items, not 0`);
    map.#entries = await reader.i64s("direct map array", array);
    if (map.#kind === HASHTABLE) {
      const pairs = await reader.vectorCount("direct map pairs", 16);
      map.#entries = await reader.i64s("direct map pairs", pairs * 2);
    }
    return map;
  }

  /** Throws ERR_FORMAT where the map names a place that is not in the lists, or another id's. */
  check(lists: Lists, ntotal: number, reader: Reader): void {
    const pairs = this.#kind === HASHTABLE;
    if (this.isArray && this.#entries.length !== ntotal) {
      reader.wrong("direct map", 0, `is an array of ${this.#entries.length}, and ntotal is ${ntotal}`);
    }
    let found = 0;
    for (let i = 0; i < this.#entries.length; i += pairs ? 2 : 1) {
      const id = pairs ? this.#entries[i] : BigInt(i);
      const place = this.#entries[pairs ? i + 1 : i];
      if (place === -1n) continue;
      const list = Number(place >> 32n);
      const offset = Number(place & 0xffffffffn);
      if (
        list < 0 ||
        list >= lists.nlist ||
        offset >= lists.size(list) ||
        lists.id(lists.start(list) + offset) !== id
      ) {
        reader.wrong("direct map", 0, `says that id ${id} is number ${offset} of list ${list}, and it is not`);
      }
      found++;
    }
    if (this.isArray && found !== lists.count) {
      reader.wrong("direct map", 0, `has the places of ${found} of ${lists.count} vectors`);
    }
  }

  #renew(lists: Lists, ntotal: number): void {
    if (!this.#stale) return;
    const places = new Map<bigint, bigint>();
    if (this.#kind === HASHTABLE) {
      // What was there keeps its order.
      for (let i = 0; i < this.#entries.length; i += 2) places.set(this.#entries[i], -1n);
    }
    for (let list = 0; list < lists.nlist && lists.count > 0; list++) {
      for (let offset = 0; offset < lists.size(list); offset++) {
        const id = lists.id(lists.start(list) + offset);
        places.set(id, (BigInt(list) << 32n) | BigInt(offset));
      }
    }
    if (this.#kind === HASHTABLE) {
      const kept = [...places].filter(([, place]) => place !== -1n);
      this.#entries = BigInt64Array.from(kept.flat());
    } else {
      this.#entries = new BigInt64Array(ntotal).fill(-1n);
      for (const [id, place] of places) this.#entries[Number(id)] = place;
    }
    this.#stale = false;
  }
}
