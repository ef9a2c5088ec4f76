import { scratchSize } from "../wasm/engine.js";
import type { Engine } from "../wasm/engine.js";

/** Vectors whose numbers share bytes: the second half of them has the high nibbles. */
const GROUP = 32;
/** Vectors packed or unpacked by one call of a kernel. */
const CHUNK = 64;

/**
 * How 4-bit codes lie in blocks, for the FastScan kernels and in faiss' files alike (assembly/fastscan.ts has the picture): `bbs`
 * vectors a block, M2 sub-quantizers, M rounded up to an even number.
 */
export class PackedLayout {
  readonly M: number;
  readonly M2: number;
  readonly bbs: number;

  /** @param bbs vectors a block, a multiple of 32 */
  constructor(M: number, bbs: number) {
    this.M = M;
    this.M2 = M + (M % 2);
    this.bbs = bbs;
  }

  /** Bytes of a block. */
  get blockBytes(): number {
    return (this.bbs * this.M2) / 2;
  }

  /** Vectors rounded up to whole blocks. */
  roundUp(vectors: number): number {
    return Math.ceil(vectors / this.bbs) * this.bbs;
  }

  /** Makes the room that packing takes, so that it can't fail for want of it. Throws ERR_MEMORY. */
  reserveScratch(engine: Engine): void {
    engine.reserveScratch(scratchSize(CHUNK * this.M) + scratchSize(CHUNK * 4));
  }

  /**
   * Writes the numbers of vectors (n x M bytes, in JavaScript's memory) to slots of blocks that start at address `codes`. Takes scratch.
   */
  pack(engine: Engine, numbers: Uint8Array, slots: ArrayLike<number>, codes: number): void {
    const { M, M2, bbs } = this;
    for (let i = 0; i < slots.length; i += CHUNK) {
      const n = Math.min(CHUNK, slots.length - i);
      this.reserveScratch(engine);
      const from = engine.takeScratch(CHUNK * M);
      const to = engine.takeScratch(CHUNK * 4);
      engine.u8.set(numbers.subarray(i * M, (i + n) * M), from);
      for (let j = 0; j < n; j++) engine.i32[(to >>> 2) + j] = slots[i + j];
      engine.kernels.packCodes(from, n, M, M2, bbs, to, codes);
    }
  }

  /** Copies one vector's code over another's. Takes no memory, so that a removal can't fail. */
  move({ u8 }: Engine, from: number, to: number, codes: number): void {
    const [source, target] = [this.#byteOf(from), this.#byteOf(to)];
    const high = from % GROUP >= GROUP / 2;
    for (let m = 0; m < this.M2; m++) {
      const at = (m >> 1) * this.bbs + (m % 2) * (GROUP / 2);
      const byte = u8[codes + source + at];
      this.#put(u8, codes + target + at, to, high ? byte >> 4 : byte & 15);
    }
  }

  /** Zeroes the places behind the first `count` vectors of a run of blocks, as files have them. Takes no memory. */
  clearTail({ u8 }: Engine, codes: number, count: number): void {
    for (let slot = count; slot < this.roundUp(count); slot++) {
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
