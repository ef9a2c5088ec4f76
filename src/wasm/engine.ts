import { fail } from "../errors.js";
import { Allocator } from "./allocator.js";
import type { Kernels } from "./kernels.gen.js";
import { compiled, exportsOf, instantiate } from "./modules.js";
import { readOptions } from "./options.js";
import type { EngineOptions } from "./options.js";
import { RECORDS_END } from "./records.js";

const PAGE = 65536;
const SPAN = 64;
const SPANS = 8;
/** Bytes that kernels may read beyond a block, and make nothing of: codes of fewer bits than a vector register has. */
const BEYOND = 32;
const MAX_BYTES = 65536 * PAGE - PAGE;
/**
 * What vectors leave free, so that an index at its limit can be searched, filtered and emptied: a 32nd of the limit, at most what the scratch
 * of a block of queries takes.
 */
const SPARE_SHARE = 32;
const SPARE_MOST = 64 << 20;

/**
 * One instance of the kernels on one linear memory, which belongs to one top-level index. Everything the index holds is a
 * block of this memory; dropping the engine returns it all.
 */
export class Engine {
  readonly options: Readonly<EngineOptions>;
  kernels!: Kernels;
  #memory!: WebAssembly.Memory;
  /** Blocks that may be moved, by address: who is told. */
  readonly #movers = new Map<number, (to: number) => void>();
  /** Address 0 means "none"; records stand behind it. The kernels keep nothing in memory (assembly/embed.mjs checks that). */
  readonly #allocator = new Allocator(RECORDS_END);
  readonly #maxBytes: number;
  /** Instances of other modules on this memory. */
  readonly #attached = new Map<WebAssembly.Module, WebAssembly.Exports>();
  /** How far blocks may reach that stay. */
  readonly #mostStored: number;
  /** The scratch arena: where it starts and ends, and how far it is taken. */
  #arena = 0;
  #arenaEnd = 0;
  #arenaTop = 0;
  /** Scratch of other threads, and its bytes. */
  #spare = 0;
  #spareBytes = 0;

  // The views of the whole memory. They are new after each growth: never keep one across a call that may allocate.
  u8!: Uint8Array<ArrayBuffer>;
  i32!: Int32Array<ArrayBuffer>;
  u32!: Uint32Array<ArrayBuffer>;
  f32!: Float32Array<ArrayBuffer>;
  i64!: BigInt64Array<ArrayBuffer>;
  f64!: Float64Array<ArrayBuffer>;

  /** Instantiates the kernels. Throws ERR_PARAMETER for options that can't be, ERR_MEMORY where no memory can be had. */
  constructor(options: EngineOptions = {}) {
    this.options = readOptions(options);
    this.#maxBytes = Math.min(this.options.maxBytes ?? MAX_BYTES, MAX_BYTES);
    this.#mostStored = this.#maxBytes - Math.min(this.#maxBytes / SPARE_SHARE, SPARE_MOST);
    this.#begin(1, "the runtime has no address space left for another index: dispose of one");
  }

  /** Makes a memory of so many pages, and kernels that work on it. */
  #begin(pages: number, sorry: string): void {
    const { crew } = this.options;
    const module = compiled(this.options);
    let memory: WebAssembly.Memory;
    try {
      memory = new WebAssembly.Memory({ initial: pages, maximum: 65536, shared: crew !== undefined });
    } catch (error) {
      return fail("ERR_MEMORY", `${sorry} (${String(error)})`);
    }
    const kernels = instantiate(module, memory);
    this.#memory = memory;
    this.#attached.clear();
    this.kernels = crew?.share(this, memory, module, kernels) ?? kernels;
    this.#refresh();
  }

  /** Another module on the same memory, as the kernels are: it imports the memory and keeps no data of its own. Its instance is kept. */
  attach(module: WebAssembly.Module): WebAssembly.Exports {
    let exports = this.#attached.get(module);
    if (exports === undefined) {
      exports = exportsOf(module, this.#memory);
      exports = this.options.crew?.share(this, this.#memory, module, exports) ?? exports;
      this.#attached.set(module, exports);
    }
    return exports;
  }

  /** Bytes of memory held. It never shrinks: only dropping the engine returns it. */
  get bytes(): number {
    return this.#memory.buffer.byteLength;
  }

  /**
   * Rows that one call of a kernel takes where work goes row by row. V8 swaps in its optimised code only between calls; threads want more, so
   * that they seldom wait for each other.
   */
  get span(): number {
    return SPAN * (this.options.crew === undefined ? 1 : SPANS * this.options.crew.threads);
  }

  /** Copies floats to an address: to write to memory that is new takes longer than to read, and threads share that. */
  write(floats: Float32Array, address: number): void {
    if (!this.options.crew?.write(this, floats, address)) this.f32.set(floats, address >>> 2);
  }

  /** Tells the caller's onWarning. */
  warn(code: string, message: string): void {
    this.options.onWarning?.({ code, message });
  }

  /** Takes a block. Its bytes are not cleared. Throws ERR_MEMORY, having changed nothing. */
  allocate(bytes: number): number {
    return this.#take(bytes, this.#mostStored);
  }

  /** Takes a block for a call or until vectors change: it may stand in what these leave free. Otherwise as {@link allocate}. */
  borrow(bytes: number): number {
    return this.#take(bytes, this.#maxBytes);
  }

  #take(bytes: number, limit: number): number {
    const address = this.#allocator.allocate(bytes);
    try {
      this.#reach(bytes, limit);
    } catch (error) {
      this.#allocator.release(address);
      if (this.#spare === 0) throw error;
      // Other threads can do without.
      this.#dropSpare();
      return this.#take(bytes, limit);
    }
    return address;
  }

  /**
   * Gives a block another size, keeping its bytes up to the smaller of the two, and returns its address, which changes where
   * the block can't grow in place. The scratch arena is dropped first, so that it is never in the way. Throws ERR_MEMORY,
   * having changed nothing but where movable blocks stand.
   */
  resize(address: number, oldBytes: number, bytes: number): number {
    this.dropScratch();
    try {
      return this.#resized(address, oldBytes, bytes);
    } catch (error) {
      // Holes that others have left may hold what is wanted.
      const moves = this.#closeHoles();
      if (moves.length === 0) throw error;
      return this.#resized(moves.find(({ from }) => from === address)?.to ?? address, oldBytes, bytes);
    }
  }

  #resized(address: number, oldBytes: number, bytes: number): number {
    if (this.#allocator.resize(address, bytes)) {
      try {
        this.#reach(bytes, this.#mostStored);
      } catch (error) {
        this.#allocator.resize(address, oldBytes);
        throw error;
      }
      return address;
    }
    // Where nothing else takes the block, those behind it go up: what it left would be a hole that few things fill.
    if (!this.#allocator.fits(bytes) && this.#packs(address, bytes)) return address;
    const moved = this.allocate(bytes);
    this.u8.copyWithin(moved, address, address + Math.min(oldBytes, bytes));
    const mover = this.#movers.get(address);
    this.release(address);
    if (mover !== undefined) this.#movers.set(moved, mover);
    return moved;
  }

  /** Moves the blocks behind the last one that has to stay, so that no hole is between them. Returns what was moved. */
  #closeHoles(): { from: number; to: number; bytes: number }[] {
    const pinned = this.#allocator.from(0).filter((block) => !this.#movers.has(block.address));
    const last = pinned[pinned.length - 1];
    if (last === undefined) return [];
    const moves = this.#allocator.pack(last.address, last.bytes);
    this.#move(moves);
    return moves;
  }

  /**
   * Says that a block may be moved whenever another grows, and who is told where it is then. It holds until the block is released; a
   * block that nobody is told of stays where it is.
   */
  movable(address: number, moved: (to: number) => void): void {
    if (address !== 0) this.#movers.set(address, moved);
  }

  /** Resizes a block by moving all behind it. Returns false, having changed nothing, where one of them has to stay. */
  #packs(address: number, bytes: number): boolean {
    const [, ...above] = this.#allocator.from(address);
    if (above.some((block) => !this.#movers.has(block.address))) return false;
    const end = address + scratchSize(Math.max(bytes, 1)) + above.reduce((sum, block) => sum + block.bytes, 0);
    this.#reach(bytes, this.#mostStored, end);
    this.#move(this.#allocator.pack(address, bytes));
    return true;
  }

  #move(moves: { from: number; to: number; bytes: number }[]): void {
    const told = moves.map(({ from }) => this.#movers.get(from));
    for (const { from } of moves) this.#movers.delete(from);
    moves.forEach(({ from, to, bytes }, i) => {
      this.u8.copyWithin(to, from, from + bytes);
      const moved = told[i];
      if (moved === undefined) return;
      this.#movers.set(to, moved);
      moved(to);
    });
  }

  /**
   * Closes all holes that movable blocks can close, and goes on in a memory that is no larger than what is held: one that has grown never
   * shrinks. Throws ERR_MEMORY where there is no room for both meanwhile, having changed nothing that matters.
   */
  compact(): void {
    this.dropScratch();
    this.#closeHoles();
    const pages = Math.ceil((this.#allocator.end + BEYOND) / PAGE);
    if (pages * PAGE >= this.bytes) return;
    const bytes = this.u8.subarray(0, pages * PAGE);
    this.#begin(pages, "there is no room for a smaller memory beside the one that is left");
    this.u8.set(bytes);
  }

  /** Throws ERR_MEMORY where so many bytes more can't be had whatever happens. */
  checkRoom(bytes: number): void {
    const { end } = this.#allocator;
    if (end + bytes > this.#mostStored) this.#tooMuch(bytes, end + bytes);
  }

  /** Takes a block back; address 0 is none. */
  release(address: number): void {
    if (address === 0) return;
    this.#movers.delete(address);
    this.#allocator.release(address);
  }

  /** Empties the scratch arena and makes it hold at least `bytes` bytes. Done once, at the start of a call. */
  reserveScratch(bytes: number): void {
    if (this.#arenaEnd - this.#arena < bytes) {
      this.dropScratch();
      this.#arena = this.borrow(bytes);
      this.#arenaEnd = this.#arena + bytes;
    }
    this.#arenaTop = this.#arena;
  }

  /** Whether {@link reserveScratch} can have so many bytes, as far as the limit is concerned. */
  hasScratch(bytes: number): boolean {
    if (this.#arenaEnd - this.#arena >= bytes || this.#allocator.fits(bytes)) return true;
    const { end } = this.#allocator;
    // The arena is given up before another is taken.
    const from = this.#arena + scratchSize(this.#arenaEnd - this.#arena) === end ? this.#arena : end;
    return from + bytes + 2 * BEYOND <= Math.floor(this.#maxBytes / PAGE) * PAGE;
  }

  /** Takes the next `bytes` bytes of scratch, on a 64-byte boundary: {@link scratchSize} says what that costs. */
  takeScratch(bytes: number): number {
    const address = this.#arenaTop;
    this.#arenaTop += scratchSize(bytes);
    if (this.#arenaTop > this.#arenaEnd)
      throw new Error(`scratch of ${this.#arenaEnd - this.#arena} bytes is too small`);
    return address;
  }

  /** Scratch for other threads, beside the arena and given up with it: its address, or 0 where there is no memory for so many bytes. */
  spareScratch(bytes: number): number {
    if (this.#spareBytes >= bytes) return this.#spare;
    this.#dropSpare();
    try {
      this.#spare = this.borrow(bytes);
      this.#spareBytes = bytes;
    } catch {
      // The work is done without them.
    }
    return this.#spare;
  }

  #dropSpare(): void {
    if (this.#spare !== 0) this.#allocator.release(this.#spare);
    this.#spare = this.#spareBytes = 0;
  }

  /** Where the scratch arena stands, to come back to with {@link returnScratch}. */
  get scratchTop(): number {
    return this.#arenaTop;
  }

  /** Takes back all scratch above `top`. */
  returnScratch(top: number): void {
    this.#arenaTop = top;
  }

  /** Gives up the scratch arena; what was taken from it is gone. */
  dropScratch(): void {
    if (this.#arena !== 0) this.#allocator.release(this.#arena);
    this.#arena = this.#arenaEnd = this.#arenaTop = 0;
    this.#dropSpare();
  }

  /** Grows the memory to the end of what is handed out, which must not be beyond a limit. */
  #reach(wanted: number, limit: number, last: number = this.#allocator.end): void {
    const end = last + BEYOND;
    if (end > limit) this.#tooMuch(wanted, end);
    if (end <= this.bytes) return;
    if (Math.ceil(end / PAGE) * PAGE > this.#maxBytes) this.#tooMuch(wanted, end);
    try {
      this.#memory.grow(Math.ceil((end - this.bytes) / PAGE));
    } catch {
      fail(
        "ERR_MEMORY",
        `${megabytes(wanted)} more are needed, ${megabytes(end)} in all, and the runtime does not give them`,
      );
    }
    this.#refresh();
  }

  #tooMuch(wanted: number, end: number): never {
    const [limit, mend] =
      this.#maxBytes < MAX_BYTES
        ? ["maxBytes", "raise it"]
        : ["32-bit addresses", "spread the vectors over several indexes"];
    return fail(
      "ERR_MEMORY",
      `${megabytes(wanted)} more are needed, ${megabytes(end)} in all, and ${megabytes(this.#maxBytes)} is the limit (${limit}), ` +
        `of which searches keep ${megabytes(this.#maxBytes - this.#mostStored)}: ${mend}, or keep vectors in fewer bytes (SQ8, PQ…)`,
    );
  }

  #refresh(): void {
    const { buffer } = this.#memory;
    this.u8 = new Uint8Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.f32 = new Float32Array(buffer);
    this.i64 = new BigInt64Array(buffer);
    this.f64 = new Float64Array(buffer);
  }
}

/** What {@link Engine.takeScratch} takes for so many bytes. */
export function scratchSize(bytes: number): number {
  // In whole numbers: a division would make a heap number of each size, and searches are to allocate nothing.
  return bytes + ((64 - (bytes % 64)) % 64);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
