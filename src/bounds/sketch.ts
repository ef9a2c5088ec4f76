import type { Engine } from "../wasm/engine.js";

/** Fewer rows than these are scanned before bounds could save anything. */
const LEAST_ROWS = 64;
/**
 * The most memory that bounds may take, as a share of the rows': with few dimensions they would take more. Of 128 dimensions, as behind a
 * PCA, it is some .2, and the heads of 1,024 centroids save half of a coarse step (25 of 50 µs on a loaded machine).
 */
const MOST_SHARE = 0.4;
/** What a row has to have room for. A head takes 100 bytes; below 100 dimensions heads were not measured. */
const HEAD_BYTES = 40 * 4;

/**
 * Heads of some thousand rows, by which an exact search compares few of them (assembly/bounds.ts): what a coarse quantizer is searched
 * with. They belong to rows as they stand: whoever changes a row drops them.
 */
export class Sketch {
  readonly #engine: Engine;
  readonly #d: number;
  /** Address of the bounds, 0 where there are none. */
  address = 0;

  constructor(engine: Engine, d: number) {
    this.#engine = engine;
    this.#d = d;
  }

  /** Makes the bounds of n rows, unless they are there, would not pay, take too much or have no room. */
  make(rows: number, n: number): void {
    const engine = this.#engine;
    const { kernels } = engine;
    const d = this.#d;
    if (engine.options.bounds === false || this.address !== 0 || n < LEAST_ROWS) return;
    // Where heads alone take more, rows may be so many that the kernel's 32 bits don't count the bytes.
    const most = n * d * 4 * MOST_SHARE;
    if (n * HEAD_BYTES > most) return;
    const bytes = kernels.boundsBytes(n, d);
    if (bytes > most) return;
    let bounds;
    try {
      engine.reserveScratch(kernels.makeBoundsScratch(n, d));
      bounds = engine.allocate(bytes);
    } catch {
      return; // There is no memory for them: searches do without.
    }
    if (kernels.makeBounds(rows, n, d, bounds, engine.takeScratch(0)) === 1) this.address = bounds;
    else engine.release(bounds);
  }

  /** Gives the bounds up. */
  drop(): void {
    this.#engine.release(this.address);
    this.address = 0;
  }
}
