import { fail } from "../errors.js";
import type { Engine } from "../wasm/engine.js";
import type { PackedLayout } from "./packed-codes.js";

/** Slots are signed 32-bit numbers in the kernels. */
const MAX_SLOTS = 0x7fffffff;

/**
 * Inverted lists: for each of nlist cells its codes and their 64-bit ids.
 *
 * All lists share one block of codes and one of ids. A list owns a range of slots (positions in both blocks), filled from its
 * start; when a list overflows, all move apart, and each gets a quarter of slack, so that many small adds cost little. A
 * table of starts and one of sizes stand in the engine's memory for the kernels. Before the first vector comes, nothing is
 * allocated: a file that says nlist = 2^31 and holds no vector costs nothing.
 *
 * Codes are rows of bytes, or 4-bit codes in packed blocks; a list then owns whole blocks.
 */
export class InvertedLists {
  readonly nlist: number;
  /** Bytes of a vector's code; with packed codes, of a block. */
  readonly codeBytes: number;
  /** How packed codes lie in their blocks. */
  readonly layout: PackedLayout | undefined;
  /** Slots of a block; 1 where codes are rows. */
  readonly #bbs: number;
  readonly #engine: Engine;
  /** Addresses of two u32 a list, the first slot and the slots in use; 0 while nothing is stored. */
  starts = 0;
  sizes = 0;
  /** Slots that each list owns. */
  #owned = new Uint32Array(0);
  /** Addresses of slot 0; 0 while nothing is stored. */
  #codes = 0;
  #ids = 0;
  /** Slots that the two blocks have room for, and those in use. */
  #codeSlots = 0;
  #idSlots = 0;
  #count = 0;

  /** @param codes the bytes of a vector's code, or how packed codes lie */
  constructor(engine: Engine, nlist: number, codes: number | PackedLayout) {
    this.#engine = engine;
    this.nlist = nlist;
    this.layout = typeof codes === "number" ? undefined : codes;
    this.#bbs = this.layout?.bbs ?? 1;
    this.codeBytes = typeof codes === "number" ? codes : codes.blockBytes;
  }

  /** Address of the codes: row s, or block s / bbs, stands at codes + that * codeBytes. */
  get codes(): number {
    return this.#codes;
  }

  /** Address of the i64 ids. */
  get ids(): number {
    return this.#ids;
  }

  /** Slots that lists own or could: all in use are below. */
  get slots(): number {
    return this.#codeSlots;
  }

  /** Vectors in all lists. */
  get count(): number {
    return this.#count;
  }

  /** The first slot of a list. */
  start(list: number): number {
    return this.#engine.u32[(this.starts >>> 2) + list];
  }

  /** Vectors in a list. */
  size(list: number): number {
    if (this.sizes === 0) return 0;
    return this.#engine.u32[(this.sizes >>> 2) + list];
  }

  /** The id in a slot. */
  id(slot: number): bigint {
    return this.#engine.i64[(this.#ids >>> 3) + slot];
  }

  /** The list that a slot in use belongs to. */
  listOf(slot: number): number {
    // Starts ascend; of lists that own nothing and start where the next one does, the last is the owner.
    let low = 0;
    let high = this.nlist - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.start(middle) <= slot) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /**
   * Makes room for as many more vectors in each list as `more` says. The first vectors get exactly their room. Throws
   * ERR_MEMORY, having changed nothing.
   */
  reserve(more: Uint32Array): void {
    this.#open();
    let fits = true;
    for (let list = 0; list < this.nlist && fits; list++) fits = this.size(list) + more[list] <= this.#owned[list];
    if (fits) {
      this.layout?.reserveScratch(this.#engine);
      return;
    }
    const owned = new Uint32Array(this.nlist);
    let total = 0;
    for (let list = 0; list < this.nlist; list++) {
      const need = this.size(list) + more[list];
      owned[list] = this.#whole(this.#count === 0 ? need : Math.max(this.#owned[list], Math.ceil(need * 1.25)));
      total += owned[list];
    }
    if (total > MAX_SLOTS) fail("ERR_MEMORY", `${total} vectors are more than the ${MAX_SLOTS} that slots can number`);
    this.#resize(total);
    // Every list moves up or stays: from the last one on, none runs over another.
    let end = total;
    for (let list = this.nlist - 1; list >= 0; list--) {
      const from = this.start(list);
      const to = end - owned[list];
      this.#move(from, to, this.size(list));
      this.#engine.u32[(this.starts >>> 2) + list] = to;
      end = to;
    }
    this.#owned.set(owned);
    this.layout?.reserveScratch(this.#engine);
  }

  /** Takes the next slot of a list for an id; the room has been reserved. The code is to be written by {@link write}. */
  append(list: number, id: bigint): number {
    const { u8, u32, i64 } = this.#engine;
    const at = (this.sizes >>> 2) + list;
    const slot = u32[(this.starts >>> 2) + list] + u32[at]++;
    i64[(this.#ids >>> 3) + slot] = id;
    this.#count++;
    if (this.layout !== undefined && slot % this.#bbs === 0) {
      const block = this.#codeAt(slot);
      u8.fill(0, block, block + this.codeBytes);
    }
    return slot;
  }

  /** Writes codes to slots: rows of bytes, or the numbers of packed codes, M bytes a vector. */
  write(codes: Uint8Array, slots: Int32Array): void {
    if (this.layout !== undefined) {
      this.layout.pack(this.#engine, codes, slots, this.#codes);
      return;
    }
    const { u8 } = this.#engine;
    for (let i = 0; i < slots.length; i++) {
      u8.set(codes.subarray(i * this.codeBytes, (i + 1) * this.codeBytes), this.#codes + slots[i] * this.codeBytes);
    }
  }

  /**
   * Takes memory that was read from a file: lists one after the other, of `sizes` slots each, and whole blocks.
   */
  adopt(codes: number, ids: number, sizes: Uint32Array): void {
    this.#open();
    const { u32 } = this.#engine;
    let slot = 0;
    for (let list = 0; list < this.nlist; list++) {
      u32[(this.starts >>> 2) + list] = slot;
      u32[(this.sizes >>> 2) + list] = sizes[list];
      this.#owned[list] = this.#whole(sizes[list]);
      slot += this.#owned[list];
      this.#count += sizes[list];
    }
    this.#codes = codes;
    this.#ids = ids;
    this.#codeSlots = this.#idSlots = slot;
  }

  /**
   * Removes the vectors whose id `drop` says yes to, and returns how many. A removed vector's place is taken by the last of its
   * list, as in faiss.
   */
  remove(drop: (id: bigint) => boolean): number {
    // Without vectors there may be no tables either.
    if (this.#count === 0) return 0;
    const { u32 } = this.#engine;
    let removed = 0;
    for (let list = 0; list < this.nlist; list++) {
      const start = this.start(list);
      let size = this.size(list);
      for (let i = 0; i < size;) {
        if (drop(this.id(start + i))) this.#replace(start + i, start + --size);
        else i++;
      }
      if (size === this.size(list)) continue;
      removed += this.size(list) - size;
      u32[(this.sizes >>> 2) + list] = size;
      this.layout?.clearTail(this.#engine, this.#codeAt(start), size);
    }
    this.#count -= removed;
    return removed;
  }

  /** The codes and the ids of a list, as views to be copied at once. */
  bytes(list: number): { codes: Uint8Array; ids: Uint8Array } {
    const { u8 } = this.#engine;
    const start = this.start(list);
    const size = this.size(list);
    return {
      codes: u8.subarray(this.#codeAt(start), this.#codeAt(start + this.#whole(size))),
      ids: u8.subarray(this.#ids + start * 8, this.#ids + (start + size) * 8),
    };
  }

  /** Empties all lists and gives their memory back to the engine. */
  clear(): void {
    for (const block of [this.starts, this.sizes, this.#codes, this.#ids]) this.#engine.release(block);
    this.starts = this.sizes = this.#codes = this.#ids = this.#codeSlots = this.#idSlots = this.#count = 0;
  }

  /** Allocates the tables, all lists empty. */
  #open(): void {
    if (this.starts !== 0) return;
    const engine = this.#engine;
    const owned = new Uint32Array(this.nlist);
    const starts = engine.allocate(this.nlist * 4);
    try {
      this.sizes = engine.allocate(this.nlist * 4);
    } catch (error) {
      engine.release(starts);
      throw error;
    }
    this.starts = starts;
    this.#owned = owned;
    for (const table of [this.starts, this.sizes]) engine.u32.fill(0, table >>> 2, (table >>> 2) + this.nlist);
  }

  /** Gives both blocks room for so many slots. A failure leaves at most spare room behind. */
  #resize(slots: number): void {
    const engine = this.#engine;
    if (slots > this.#idSlots) {
      // Small beside the codes, ids take twice their need later on: they move seldom, and the codes can grow where they are.
      const room = this.#idSlots === 0 ? slots : slots * 2;
      this.#ids = this.#ids === 0 ? engine.allocate(room * 8) : engine.resize(this.#ids, this.#idSlots * 8, room * 8);
      this.#idSlots = room;
    }
    if (slots > this.#codeSlots) {
      const { codeBytes } = this;
      this.#codes =
        this.#codes === 0
          ? engine.allocate((slots / this.#bbs) * codeBytes)
          : engine.resize(this.#codes, (this.#codeSlots / this.#bbs) * codeBytes, (slots / this.#bbs) * codeBytes);
      this.#codeSlots = slots;
    }
  }

  /** Moves a run of vectors, both places being starts of blocks. */
  #move(from: number, to: number, count: number): void {
    if (from === to || count === 0) return;
    const { u8 } = this.#engine;
    u8.copyWithin(this.#codeAt(to), this.#codeAt(from), this.#codeAt(from + this.#whole(count)));
    u8.copyWithin(this.#ids + to * 8, this.#ids + from * 8, this.#ids + (from + count) * 8);
  }

  /** Puts the vector of one slot in the place of another. */
  #replace(slot: number, by: number): void {
    if (slot === by) return;
    const { u8, i64 } = this.#engine;
    i64[(this.#ids >>> 3) + slot] = i64[(this.#ids >>> 3) + by];
    if (this.layout !== undefined) this.layout.move(this.#engine, by, slot, this.#codes);
    else u8.copyWithin(this.#codeAt(slot), this.#codeAt(by), this.#codeAt(by + 1));
  }

  /** Where the row of a slot stands, or the block that begins with it. */
  #codeAt(slot: number): number {
    return this.#codes + (slot / this.#bbs) * this.codeBytes;
  }

  /** Slots rounded up to whole blocks. */
  #whole(slots: number): number {
    return Math.ceil(slots / this.#bbs) * this.#bbs;
  }
}
