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
  filed(blocks: Uint8Array): Uint8Array;
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

/**
 * How 4-bit codes lie in blocks, for the FastScan kernels and in faiss' files alike (assembly/fastscan.ts has the picture): `bbs`
 * vectors a block, M2 sub-quantizers, M rounded up to an even number. Loose, each of the M numbers is a byte.
 */
export class PackedLayout implements Layout {
  readonly M: number;
  readonly M2: number;
  readonly bbs: number;

  /** @param bbs vectors a block, a multiple of 32 */
  constructor(M: number, bbs: number) {
    this.M = M;
    this.M2 = M + (M % 2);
    this.bbs = bbs;
  }

  get looseBytes(): number {
    return this.M;
  }

  get perBlock(): number {
    return this.bbs;
  }

  get blockBytes(): number {
    return (this.bbs * this.M2) / 2;
  }

  get fileBytes(): number {
    return this.blockBytes;
  }

  filed(blocks: Uint8Array): Uint8Array {
    return blocks;
  }

  store(engine: Engine, loose: number, n: number, slots: number, codes: number): void {
    engine.kernels.packCodes(loose, n, this.M, this.M2, this.bbs, slots, codes);
  }

  load(engine: Engine, codes: number, slots: number, n: number, loose: number): void {
    engine.kernels.unpackCodes(codes, this.M, this.M2, this.bbs, slots, n, loose);
  }

  move({ u8 }: Engine, from: number, to: number, codes: number): void {
    const [source, target] = [this.#byteOf(from), this.#byteOf(to)];
    const high = from % GROUP >= GROUP / 2;
    for (let m = 0; m < this.M2; m++) {
      const at = (m >> 1) * this.bbs + (m % 2) * (GROUP / 2);
      const byte = u8[codes + source + at];
      this.#put(u8, codes + target + at, to, high ? byte >> 4 : byte & 15);
    }
  }

  clearTail({ u8 }: Engine, codes: number, count: number): void {
    const end = Math.ceil(count / this.bbs) * this.bbs;
    for (let slot = count; slot < end; slot++) {
      const target = this.#byteOf(slot);
      for (let m = 0; m < this.M2; m++)
        this.#put(u8, codes + target + (m >> 1) * this.bbs + (m % 2) * (GROUP / 2), slot, 0);
    }
  }

  /** Where the number of a vector for the first sub-quantizer is; those of the others are a fixed way off. */
  #byteOf(slot: number): number {
    const inBlock = slot % this.bbs;
    const v = inBlock % 16;
    return (
      ((slot - inBlock) / this.bbs) * this.blockBytes + (inBlock - (inBlock % GROUP)) + (v < 8 ? 2 * v : 2 * v - 15)
    );
  }

  /** Puts a number into the half of a byte that is a vector's. */
  #put(u8: Uint8Array, at: number, slot: number, number: number): void {
    u8[at] = slot % GROUP >= GROUP / 2 ? (u8[at] & 15) | (number << 4) : (u8[at] & 240) | number;
  }
}
