import { scratchSize } from "../wasm/engine.js";
import type { Engine } from "../wasm/engine.js";

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

  /** Copies one vector's code over another's. */
  move(engine: Engine, from: number, to: number, codes: number): void {
    const { M, M2, bbs } = this;
    this.reserveScratch(engine);
    const numbers = engine.takeScratch(M);
    const slot = engine.takeScratch(4);
    engine.i32[slot >>> 2] = from;
    engine.kernels.unpackCodes(codes, M, M2, bbs, slot, 1, numbers);
    engine.i32[slot >>> 2] = to;
    engine.kernels.packCodes(numbers, 1, M, M2, bbs, slot, codes);
  }

  /** Zeroes the places behind the first `count` vectors of a run of blocks, as files have them. */
  clearTail(engine: Engine, codes: number, count: number): void {
    const { M, M2, bbs } = this;
    this.reserveScratch(engine);
    const numbers = engine.takeScratch(M);
    const slot = engine.takeScratch(4);
    engine.u8.fill(0, numbers, numbers + M);
    for (let i = count; i < this.roundUp(count); i++) {
      engine.i32[slot >>> 2] = i;
      engine.kernels.packCodes(numbers, 1, M, M2, bbs, slot, codes);
    }
  }
}
