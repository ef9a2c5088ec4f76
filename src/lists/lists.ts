import { fail } from "../errors.js";
import { scratchSize } from "../wasm/engine.js";
import type { Engine } from "../wasm/engine.js";
import type { Pace } from "../work/pace.js";
import { CHUNK } from "./layout.js";
import type { Layout } from "./layout.js";

/** Slots are signed 32-bit numbers in the kernels. */
const MAX_SLOTS = 0x7fffffff;
/** What lists own when they move apart, as a multiple of their need: an eighth of slack, so that many small adds copy little. */
const SLACK = 1.125;
/** Of more room than this, as a multiple of what is in use, some is given back when vectors are removed. */
const LOOSE = 1.5;

/**
 * Lists of codes: for each of nlist cells its codes and their 64-bit ids; or one list, of all codes of an index, whose slots are the ids.
 *
 * All lists share one block of codes and one of ids. A list owns a range of slots (positions in both blocks), filled from its
 * start; when a list overflows, all move apart, and each gets an eighth of slack, so that many small adds cost little. A
 * table of starts and one of sizes stand in the engine's memory for the kernels. Before the first vector comes, nothing is
 * allocated: a file that says nlist = 2^31 and holds no vector costs nothing.
 *
 * A list owns whole blocks of the layout. A list that is not there yet has no slots in use (its size is 0), though it may own some.
 */
export class Lists {
  readonly nlist: number;
  readonly layout: Layout;
  /** Whether there is one list, whose slots are the ids: removals close the gaps then. */
  readonly isNumbered: boolean;
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

  /** @param nlist how many; 0 for one list whose slots are the ids */
  constructor(engine: Engine, nlist: number, layout: Layout) {
    this.#engine = engine;
    this.isNumbered = nlist === 0;
    this.nlist = nlist || 1;
    this.layout = layout;
  }

  /** Address of the codes: the block of slot s stands at codes + floor(s / perBlock) * blockBytes. */
  get codes(): number {
    return this.#codes;
  }

  /** Address of the i64 ids; 0 where slots are the ids. */
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
    if (this.starts === 0) return 0;
    return this.#engine.u32[(this.starts >>> 2) + list];
  }

  /** Vectors in a list. */
  size(list: number): number {
    if (this.sizes === 0) return 0;
    return this.#engine.u32[(this.sizes >>> 2) + list];
  }

  /** The id in a slot. */
  id(slot: number): bigint {
    if (this.isNumbered) return BigInt(slot);
    return this.#engine.i64[(this.#ids >>> 3) + slot];
  }

  /** Calls back with each run of slots in use. */
  runs(each: (start: number, length: number) => void): void {
    for (let list = 0; this.#count > 0 && list < this.nlist; list++) {
      const length = this.size(list);
      if (length > 0) each(this.start(list), length);
    }
  }

  /**
   * Makes room for as many more vectors in each list as `more` says. The first vectors get exactly their room. Throws
   * ERR_MEMORY, having changed nothing.
   */
  reserve(more: Uint32Array): void {
    this.#open();
    let fits = true;
    for (let list = 0; list < this.nlist && fits; list++) fits = this.size(list) + more[list] <= this.#owned[list];
    if (fits) return;
    const share = this.#count === 0 ? 1 : SLACK;
    const owned = this.#shares(more, share);
    try {
      this.#rearrange(owned);
    } catch (error) {
      // Near the limit, what is needed may fit where room for more does not.
      if (share === 1) throw error;
      this.#rearrange(this.#shares(more, 1));
    }
  }

  /** Gives the room beyond what is in use back to the engine. */
  compact(): void {
    if (this.#count === 0) this.clear();
    else this.#rearrange(this.#shares(undefined, 1));
  }

  /** The slots that each list is to own: those in use and `more`, and a share of them beyond. */
  #shares(more: Uint32Array | undefined, share: number): Uint32Array {
    const owned = new Uint32Array(this.nlist);
    for (let list = 0; list < this.nlist; list++) {
      const need = this.size(list) + (more === undefined ? 0 : more[list]);
      owned[list] = this.#whole(Math.floor(need * share));
    }
    return owned;
  }

  /** Moves the lists so that each owns so many slots. Throws ERR_MEMORY, having changed nothing. */
  #rearrange(owned: Uint32Array): void {
    let total = 0;
    let grows = true;
    for (let list = 0; list < this.nlist; list++) {
      grows &&= this.start(list) <= total;
      total += owned[list];
    }
    if (total > MAX_SLOTS) fail("ERR_MEMORY", `${total} vectors are more than the ${MAX_SLOTS} that slots can number`);
    if (total > this.#codeSlots) this.#resize(total);
    const { u32 } = this.#engine;
    const starts = this.starts >>> 2;
    if (!grows) {
      // Some list would go down while another is still there: all go down first.
      for (let list = 0, to = 0; list < this.nlist; list++) {
        this.#move(this.start(list), to, this.size(list));
        u32[starts + list] = to;
        to += this.#whole(this.size(list));
      }
    }
    // Every list moves up or stays: from the last one on, none runs over another.
    for (let list = this.nlist - 1, end = total; list >= 0; list--) {
      end -= owned[list];
      this.#move(this.start(list), end, this.size(list));
      u32[starts + list] = end;
    }
    this.#owned.set(owned);
    if (total < this.#codeSlots) this.#resize(total);
  }

  /**
   * Takes the next slot of a list for an id; the room has been reserved. The code is to be written by {@link store}.
   *
   * @param id a number where it is one of 31 bits: to make BigInts of 30,000 takes 4 ms
   */
  append(list: number, id: number | bigint): number {
    const { u8, u32, i64 } = this.#engine;
    const at = (this.sizes >>> 2) + list;
    const slot = u32[(this.starts >>> 2) + list] + u32[at]++;
    const word = (this.#ids >>> 3) + slot;
    if (typeof id === "bigint") i64[word] = id;
    else if (!this.isNumbered) {
      u32[2 * word] = id;
      u32[2 * word + 1] = 0;
    }
    this.#count++;
    const { perBlock, blockBytes } = this.layout;
    if (perBlock > 1 && slot % perBlock === 0) {
      const block = this.#codeAt(slot);
      u8.fill(0, block, block + blockBytes);
    }
    return slot;
  }

  /** Takes n more slots of the one list into use, whose codes stand there already. */
  extend(n: number): void {
    this.#engine.u32[this.sizes >>> 2] += n;
    this.#count += n;
  }

  /**
   * Copies the codes and ids (to which `addId` is added) of lists of the same layout behind those in use, where nobody sees them until they
   * are committed. Throws ERR_MEMORY or the signal's reason, having changed nothing that is seen.
   */
  async stage(other: Lists, addId: bigint, pace: Pace): Promise<{ commit(): void; cancel(): void }> {
    const engine = this.#engine;
    const { layout, nlist } = this;
    const { perBlock, looseBytes } = layout;
    const more = new Uint32Array(nlist);
    for (let list = 0; list < nlist; list++) more[list] = other.size(list);
    const cancel = (): void => {
      for (let list = 0; list < nlist && this.#count > 0; list++) this.#clearTail(list);
    };
    if (other.count === 0) return { commit: () => undefined, cancel };
    this.reserve(more);
    const from = other.#engine;
    const slots = new Int32Array(CHUNK);
    const loose = new Uint8Array(CHUNK * looseBytes);
    let done = 0;
    try {
      for (let list = 0; list < nlist; list++) {
        const start = this.start(list) + this.size(list);
        for (let i = 0; i < more[list]; i += CHUNK) {
          const n = Math.min(CHUNK, more[list] - i);
          from.reserveScratch(scratchSize(CHUNK * looseBytes) + scratchSize(CHUNK * 4));
          const [codes, own] = [from.takeScratch(CHUNK * looseBytes), from.takeScratch(CHUNK * 4)];
          for (let j = 0; j < n; j++) {
            const slot = start + i + j;
            slots[j] = slot;
            from.i32[(own >>> 2) + j] = other.start(list) + i + j;
            if (!this.isNumbered) engine.i64[(this.#ids >>> 3) + slot] = other.id(other.start(list) + i + j) + addId;
            if (perBlock > 1 && slot % perBlock === 0) {
              const block = this.#codeAt(slot);
              engine.u8.fill(0, block, block + layout.blockBytes);
            }
          }
          other.layout.load(from, other.#codes, own, n, codes);
          loose.set(from.u8.subarray(codes, codes + n * looseBytes));
          this.store(loose, slots.subarray(0, n));
          await pace.step("merge", (done += n), other.count);
        }
      }
    } catch (error) {
      cancel();
      throw error;
    }
    return {
      commit: () => {
        for (let list = 0; list < nlist; list++) this.#engine.u32[(this.sizes >>> 2) + list] += more[list];
        this.#count += other.count;
      },
      cancel,
    };
  }

  /** Gives room back where much is not in use. Takes no memory, so that a removal can't fail. */
  tighten(): void {
    let whole = 0;
    for (let list = 0; list < this.nlist; list++) whole += this.#whole(this.size(list));
    if (whole > 0 && whole * LOOSE < this.#codeSlots) this.#rearrange(this.#shares(undefined, SLACK));
  }

  /** Zeroes what follows the last vector of a list in its block. */
  #clearTail(list: number): void {
    const size = this.size(list);
    const { perBlock } = this.layout;
    const over = size % perBlock;
    if (over > 0) this.layout.clearTail(this.#engine, this.#codeAt(this.start(list) + size - over), over);
  }

  /** Makes the room that {@link store} takes, so that it can't fail. Throws ERR_MEMORY. */
  reserveStore(): void {
    this.#engine.reserveScratch(scratchSize(CHUNK * this.layout.looseBytes) + scratchSize(CHUNK * 4));
  }

  /** Writes loose codes to slots. */
  store(loose: Uint8Array, slots: Int32Array): void {
    const engine = this.#engine;
    const { looseBytes } = this.layout;
    this.reserveStore();
    const from = engine.takeScratch(CHUNK * looseBytes);
    const to = engine.takeScratch(CHUNK * 4);
    for (let i = 0; i < slots.length; i += CHUNK) {
      const n = Math.min(CHUNK, slots.length - i);
      engine.u8.set(loose.subarray(i * looseBytes, (i + n) * looseBytes), from);
      engine.i32.set(slots.subarray(i, i + n), to >>> 2);
      this.layout.store(engine, from, n, to, this.#codes);
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
    this.#engine.movable(codes, this.#codesMoved);
    this.#engine.movable(ids, this.#idsMoved);
    this.#codeSlots = this.#idSlots = slot;
  }

  /** Takes all lists out of searches' sight; they keep their places. */
  hide(): void {
    this.#engine.u32.fill(0, this.sizes >>> 2, (this.sizes >>> 2) + this.nlist);
  }

  /** Vectors of a list that owns exactly its place, whether it is hidden or not. */
  sizeInAll(list: number): number {
    return this.#owned[list] ?? 0;
  }

  /** Fills a hidden list of rows, whose codes and ids have come as files have them, and lets searches see it. */
  arrive(list: number, codes: Uint8Array, ids: Uint8Array): void {
    const { u8 } = this.#engine;
    const start = this.start(list);
    const { fileBytes, blockBytes } = this.layout;
    if (fileBytes === blockBytes) u8.set(codes, this.#codeAt(start));
    for (let i = 0; fileBytes !== blockBytes && i < this.#owned[list]; i++)
      u8.set(codes.subarray(i * fileBytes, (i + 1) * fileBytes), this.#codeAt(start + i));
    u8.set(ids, this.#ids + start * 8);
    this.show(list);
  }

  /** Lets searches see a hidden list, whose codes and ids are in their place. */
  show(list: number): void {
    this.#engine.u32[(this.sizes >>> 2) + list] = this.#owned[list];
  }

  /**
   * Removes the vectors whose id `drop` says yes to, and returns how many. A removed vector's place is taken by the last of its
   * list, as in faiss; where slots are the ids, all behind it move up.
   */
  remove(drop: (id: bigint) => boolean): number {
    // Without vectors there may be no tables either.
    if (this.#count === 0) return 0;
    const engine = this.#engine;
    const { u32 } = engine;
    let removed = 0;
    for (let list = 0; list < this.nlist; list++) {
      const start = this.start(list);
      const before = this.size(list);
      let size = before;
      if (this.isNumbered) {
        size = 0;
        for (let slot = 0; slot < before; slot++) if (!drop(BigInt(slot))) this.#replace(size++, slot);
      } else {
        for (let i = 0; i < size;) {
          if (drop(this.id(start + i))) this.#replace(start + i, start + --size);
          else i++;
        }
      }
      if (size === before) continue;
      removed += before - size;
      u32[(this.sizes >>> 2) + list] = size;
      this.#clearTail(list);
    }
    this.#count -= removed;
    return removed;
  }

  /** The codes and the ids of a list, as files have them and in whole blocks: views to be copied at once, mostly. */
  bytes(list: number): { codes: Uint8Array; ids: Uint8Array } {
    const { u8 } = this.#engine;
    const start = this.start(list);
    const size = this.size(list);
    return {
      codes: this.layout.filed(u8.subarray(this.#codeAt(start), this.#codeAt(start + this.#whole(size))), this.#engine),
      ids: this.isNumbered ? u8.subarray(0, 0) : u8.subarray(this.#ids + start * 8, this.#ids + (start + size) * 8),
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
    engine.movable(this.starts, (to) => (this.starts = to));
    engine.movable(this.sizes, (to) => (this.sizes = to));
    for (const table of [this.starts, this.sizes]) engine.u32.fill(0, table >>> 2, (table >>> 2) + this.nlist);
  }

  /** Gives both blocks room for so many slots. A failure leaves at most spare room behind. */
  #resize(slots: number): void {
    const engine = this.#engine;
    const { perBlock, blockBytes } = this.layout;
    if (!this.isNumbered) {
      this.#ids = this.#ids === 0 ? engine.allocate(slots * 8) : engine.resize(this.#ids, this.#idSlots * 8, slots * 8);
      this.#idSlots = slots;
      engine.movable(this.#ids, this.#idsMoved);
    }
    const [bytes, before] = [(slots / perBlock) * blockBytes, (this.#codeSlots / perBlock) * blockBytes];
    this.#codes = this.#codes === 0 ? engine.allocate(bytes) : engine.resize(this.#codes, before, bytes);
    this.#codeSlots = slots;
    engine.movable(this.#codes, this.#codesMoved);
  }

  readonly #idsMoved = (to: number): void => {
    this.#ids = to;
  };

  readonly #codesMoved = (to: number): void => {
    this.#codes = to;
  };

  /** Moves a run of vectors, both places being starts of blocks. */
  #move(from: number, to: number, count: number): void {
    if (from === to || count === 0) return;
    const { u8 } = this.#engine;
    u8.copyWithin(this.#codeAt(to), this.#codeAt(from), this.#codeAt(from + this.#whole(count)));
    if (!this.isNumbered) u8.copyWithin(this.#ids + to * 8, this.#ids + from * 8, this.#ids + (from + count) * 8);
  }

  /** Puts the vector of one slot in the place of another. */
  #replace(slot: number, by: number): void {
    if (slot === by) return;
    const { i64 } = this.#engine;
    if (!this.isNumbered) i64[(this.#ids >>> 3) + slot] = i64[(this.#ids >>> 3) + by];
    this.layout.move(this.#engine, by, slot, this.#codes);
  }

  /** Where the row of a slot stands, or the block that begins with it. */
  #codeAt(slot: number): number {
    return this.#codes + (slot / this.layout.perBlock) * this.layout.blockBytes;
  }

  /** Slots rounded up to whole blocks. */
  #whole(slots: number): number {
    return Math.ceil(slots / this.layout.perBlock) * this.layout.perBlock;
  }
}
