import type { Engine } from "../wasm/engine.js";

/** Fewer rows than these are scanned before bounds could save anything. */
const LEAST_ROWS = 64;
/**
 * The most memory that heads may take, as a share of the rows' (short ones take two thirds as much again): with few dimensions they would
 * take more. Of 128 dimensions, as behind a PCA, it is some .2, and the heads of 1,024 centroids save half of a coarse step (25 of 50 µs on a
 * loaded machine).
 */
const MOST_SHARE = 0.4;
/** What a row has to have room for. A head takes 100 bytes; below 100 dimensions heads were not measured. */
const HEAD_BYTES = 40 * 4;
/**
 * Numbers of the heads by which the nearest row alone is sought, and the share of all squares that they may leave over: .9 of the time of 48
 * (IVF1024,PQ128x4fs,RFlat, nprobe 1), but for 16 rows more would have to be compared than they spare.
 */
const NEAR = 32;
const NEAR_REST = 0.15;
/** Where those leave too much over, of rows whose heads are longer: .97 of the time of 96 (voice-a, nprobe 1; by 48 it takes 1.01). */
const NEAR_WIDE = 64;

/**
 * Heads of some thousand rows, by which an exact search compares few of them (assembly/bounds.ts): what a coarse quantizer is searched
 * with. They belong to rows as they stand: whoever changes a row drops them.
 */
export class Sketch {
  readonly #engine: Engine;
  readonly #d: number;
  /** Address of the bounds, 0 where there are none. */
  address = 0;
  /** Of shorter ones, by which the nearest row is sought; 0 where they would leave too much over. */
  near = 0;

  constructor(engine: Engine, d: number) {
    this.#engine = engine;
    this.#d = d;
  }

  /** Makes the bounds of n rows, unless they are there, would not pay, take too much or have no room. */
  make(rows: number, n: number): void {
    const engine = this.#engine;
    const d = this.#d;
    if (engine.options.bounds === false || this.address !== 0 || n < LEAST_ROWS) return;
    // Where heads alone take more, rows may be so many that the kernel's 32 bits don't count the bytes.
    const most = n * d * 4 * MOST_SHARE;
    const m = headSize(n, d);
    if (n * HEAD_BYTES > most || engine.kernels.wholeHeadsBytes(n, d, m) > most) return;
    this.address = this.#block(rows, n, m, Infinity);
    if (this.address === 0) return;
    this.near =
      this.#block(rows, n, NEAR, NEAR_REST) || (m > NEAR_WIDE ? this.#block(rows, n, NEAR_WIDE, Infinity) : 0);
  }

  /** The address of heads of m numbers of n rows, or 0: where there is no room for them, or they leave as much as `rest` over. */
  #block(rows: number, n: number, m: number, rest: number): number {
    const engine = this.#engine;
    const { kernels } = engine;
    const d = this.#d;
    let block;
    try {
      engine.reserveScratch(kernels.wholeHeadsScratch(d, m));
      block = engine.allocate(kernels.wholeHeadsBytes(n, d, m));
    } catch {
      return 0; // There is no memory for them: searches do without.
    }
    const scratch = engine.takeScratch(0);
    if (
      kernels.openHeads(rows, n, d, m, 0, n, block, scratch) < rest &&
      kernels.writeHeads(rows, 0, n, d, m, n, block, scratch) !== 0
    )
      return block;
    engine.release(block);
    return 0;
  }

  /** Gives the bounds up. */
  drop(): void {
    this.#engine.release(this.address);
    this.#engine.release(this.near);
    this.address = this.near = 0;
  }
}

/**
 * Numbers in a head at most, for searches of n rows. Of 495 centroids of real ContentVec frames (d = 768), 64 leave 11 to be compared for
 * the nearest one and 97 for the 16 nearest, 96 leave 6 and 58, 128 leave 4 and 42; of 1024 centroids of speech-like vectors (d = 256), 32
 * leave 2.7 and 89, 48 leave 1.6 and 26. More cost more for each row, and R more memory where rows are few. Where 48 leave
 * little of the rows over, they are enough: of 2564 centroids of speech-like vectors (d = 768) they leave 2.9 and 29, 96 leave 1.9 and 22.
 */
function headSize(n: number, d: number): number {
  if (d < 512) return 48;
  return n >= 480 ? 96 : 64;
}
