import { scratchSize } from "../wasm/engine.js";
import type { Engine } from "../wasm/engine.js";

/** Vectors whose numbers share bytes: the second half of them has the high nibbles. */
const GROUP = 32;
/** Vectors that one call of a kernel stores or loads. */
export const CHUNK = 64;

/**
 * How codes stand in storage. Outside of it codes are LOOSE, `looseBytes` a vector, one after the other: what a code encodes to and
 * decodes from, and what goes from one index to another.
 */
export interface Layout {
  /** Bytes of a loose code. */
  readonly looseBytes: number;
  /** Vectors of a block, and its bytes: 1 and those of a row, where codes are rows. */
  readonly perBlock: number;
  readonly blockBytes: number;
  /** Bytes of a block in a file. */
  readonly fileBytes: number;
  /** Blocks as they are in files. */
  filed(blocks: Uint8Array, engine: Engine): Uint8Array;
  /** Writes n <= CHUNK loose codes to slots (i32) of storage that starts at `codes`. All are addresses. */
  store(engine: Engine, loose: number, n: number, slots: number, codes: number): void;
  /** Reads the loose codes of n slots, -1 giving zeros. All are addresses. */
  load(engine: Engine, codes: number, slots: number, n: number, loose: number): void;
  /** Copies one vector's code over another's. Takes no memory, so that a removal can't fail. */
  move(engine: Engine, from: number, to: number, codes: number): void;
  /** Zeroes what follows the first `count` vectors in the last of the blocks that start at `codes`, as files have it. Takes no memory. */
  clearTail(engine: Engine, codes: number, count: number): void;
}

/** Codes that are rows of bytes, and behind a code perhaps what searches want to know of it and files don't hold. */
export class RowLayout implements Layout {
  readonly looseBytes: number;
  readonly perBlock = 1;
  readonly blockBytes: number;
  readonly fileBytes: number;

  /** @param extra bytes behind a code that are not in files */
  constructor(fileBytes: number, extra = 0) {
    this.fileBytes = fileBytes;
    this.looseBytes = this.blockBytes = fileBytes + extra;
  }

  /** Gives a block of n rows as they are in files the room that they take here, and returns its address. Throws ERR_MEMORY. */
  spread(engine: Engine, block: number, n: number): number {
    const { fileBytes, blockBytes } = this;
    if (fileBytes === blockBytes) return block;
    const address = engine.resize(block, n * fileBytes, n * blockBytes);
    engine.kernels.spreadRows(address, n, fileBytes, blockBytes);
    return address;
  }

  filed(rows: Uint8Array): Uint8Array {
    const { fileBytes, blockBytes } = this;
    if (fileBytes === blockBytes) return rows;
    const n = rows.length / blockBytes;
    const filed = new Uint8Array(n * fileBytes);
    for (let i = 0; i < n; i++) filed.set(rows.subarray(i * blockBytes, i * blockBytes + fileBytes), i * fileBytes);
    return filed;
  }

  store(engine: Engine, loose: number, n: number, slots: number, codes: number): void {
    engine.kernels.scatterRows(loose, n, this.blockBytes, slots, codes);
  }

  load(engine: Engine, codes: number, slots: number, n: number, loose: number): void {
    engine.kernels.gatherRows(codes, this.blockBytes, slots, n, loose);
  }

  move(engine: Engine, from: number, to: number, codes: number): void {
    const at = codes + from * this.blockBytes;
    engine.u8.copyWithin(codes + to * this.blockBytes, at, at + this.blockBytes);
  }

  clearTail(): void {
    // There is no tail.
  }
}

/** Where packed codes have the numbers of which sub-quantizer: what their quantizer says. */
export interface Places {
  /** Sub-quantizers. */
  readonly M: number;
  /** Address of the place of each (i32), M rounded up to an even number; 0 before training. */
  readonly places: number;
}

/** Sub-quantizers whose chunks of a group stand side by side: a plane (assembly/packed.ts). */
const PLANE = 16;
/** Bytes that a group of vectors has for a sub-quantizer. */
const CHUNK_BYTES = GROUP / 2;
/** Vectors of a block of one list, about: the first plane of it is read in one go, 8 KB of it. */
const BLOCK = 1024;

/**
 * How 4-bit codes lie in blocks for the FastScan kernels: M2 sub-quantizers, M rounded up to an even number, the widest first
 * (assembly/packed.ts has the picture), where files have them in their order, in blocks of `bbs` vectors. Loose, each of the M numbers
 * is a byte.
 */
export class PackedLayout implements Layout {
  readonly M: number;
  readonly M2: number;
  /** Vectors of a block in a file. */
  readonly bbs: number;
  readonly perBlock: number;
  readonly #quantizer: Places;

  /**
   * @param bbs vectors a block in a file, a multiple of 32
   * @param isNumbered whether there is one list of all vectors
   */
  constructor(quantizer: Places, bbs: number, isNumbered: boolean) {
    this.#quantizer = quantizer;
    this.M = quantizer.M;
    this.M2 = this.M + (this.M % 2);
    this.bbs = bbs;
    this.perBlock = isNumbered ? bbs * Math.max(1, Math.floor(BLOCK / bbs)) : bbs;
  }

  get looseBytes(): number {
    return this.M;
  }

  /** Address of where each sub-quantizer stands. */
  get places(): number {
    return this.#quantizer.places;
  }

  get blockBytes(): number {
    return (this.perBlock * this.M2) / 2;
  }

  get fileBytes(): number {
    return (this.bbs * this.M2) / 2;
  }

  filed(blocks: Uint8Array, { i32 }: Engine): Uint8Array {
    const { M2, bbs } = this;
    const places = i32.subarray(this.places >>> 2, (this.places >>> 2) + M2);
    const filed = new Uint8Array(blocks.length);
    const [from, to] = [blocks, filed].map(({ buffer, byteOffset }) => new Int32Array(buffer, byteOffset));
    const groups = filed.length / (CHUNK_BYTES * M2);
    for (let group = 0; group < groups; group++) {
      const inFile = group % (bbs / GROUP);
      for (let m = 0; m < M2; m++) {
        const at = (group - inFile) * CHUNK_BYTES * M2 + inFile * GROUP + (m >> 1) * bbs + (m % 2) * CHUNK_BYTES;
        const source = this.#chunkAt(group * GROUP, places[m]) >> 2;
        for (let word = 0; word < CHUNK_BYTES / 4; word++) to[(at >> 2) + word] = from[source + word];
      }
    }
    return filed;
  }

  /**
   * Gives `count` blocks as they are in files the room and the order that they have here, and returns their address. Throws ERR_MEMORY.
   */
  arrange(engine: Engine, block: number, count: number): number {
    const { M2, bbs, perBlock, fileBytes, blockBytes, places } = this;
    const blocks = Math.ceil((count * bbs) / perBlock);
    const address = engine.resize(block, count * fileBytes, blocks * blockBytes);
    engine.u8.fill(0, address + count * fileBytes, address + blocks * blockBytes);
    engine.reserveScratch(scratchSize(blockBytes));
    engine.kernels.arrangeCodes(address, blocks, M2, perBlock, bbs, places, engine.takeScratch(blockBytes));
    return address;
  }

  store(engine: Engine, loose: number, n: number, slots: number, codes: number): void {
    engine.kernels.copyCodes(loose, n, this.M, this.M2, this.perBlock, this.places, slots, codes, true);
  }

  load(engine: Engine, codes: number, slots: number, n: number, loose: number): void {
    engine.kernels.copyCodes(loose, n, this.M, this.M2, this.perBlock, this.places, slots, codes, false);
  }

  move({ u8 }: Engine, from: number, to: number, codes: number): void {
    for (let place = 0; place < this.M2; place++) {
      const byte = u8[codes + this.#byteAt(from, place)];
      this.#put(u8, codes + this.#byteAt(to, place), to, from % GROUP >= GROUP / 2 ? byte >> 4 : byte & 15);
    }
  }

  clearTail({ u8 }: Engine, codes: number, count: number): void {
    for (let slot = count; slot < this.perBlock; slot++)
      for (let place = 0; place < this.M2; place++) this.#put(u8, codes + this.#byteAt(slot, place), slot, 0);
  }

  /** Where the number of a vector for the sub-quantizer at a place is. */
  #byteAt(slot: number, place: number): number {
    const v = slot % (GROUP / 2);
    return this.#chunkAt(slot, place) + (v < 8 ? 2 * v : 2 * v - 15);
  }

  /** Where the chunk of a vector's group is. */
  #chunkAt(slot: number, place: number): number {
    const { M2, perBlock } = this;
    const inBlock = slot % perBlock;
    const inPlane = place % PLANE;
    const width = Math.min(PLANE, M2 - place + inPlane);
    const chunk = ((place - inPlane) * perBlock) / GROUP + Math.floor(inBlock / GROUP) * width + inPlane;
    return ((slot - inBlock) / perBlock) * this.blockBytes + chunk * CHUNK_BYTES;
  }

  /** Puts a number into the half of a byte that is a vector's. */
  #put(u8: Uint8Array, at: number, slot: number, number: number): void {
    u8[at] = slot % GROUP >= GROUP / 2 ? (u8[at] & 15) | (number << 4) : (u8[at] & 240) | number;
  }
}
