import { METRIC_L2 } from "../api.js";
import type { Metric } from "../api.js";
import type { Engine } from "../wasm/engine.js";
import { scratchSize } from "../wasm/engine.js";
import { moreKernels } from "../wasm/more.js";

/** Rows and dimensions from which on heads pay, and the share of all squares that they may leave over. */
const LEAST_ROWS = 1024;
const LEAST_DIMENSIONS = 128;
const MOST_REST = 0.15;
/** Rows whose heads are made by one call: few, since V8 compiles a kernel well only between calls. */
const CHUNK = 64;

/**
 * Heads of a graph's float rows, by which a search leaves out most of those that it comes by, without changing its answer
 * (assembly/graph/sieve.ts). They belong to rows as they stand: whoever changes a row drops them. Making them takes about 3 µs a row of
 * 256 dimensions, and 64 bytes a row.
 */
export class Sieve {
  readonly #engine: Engine;
  readonly #d: number;
  readonly #metric: Metric;
  /** Address of the heads, 0 where there are none. */
  address = 0;

  constructor(engine: Engine, d: number, metric: Metric) {
    this.#engine = engine;
    this.#d = d;
    this.#metric = metric;
  }

  /** Makes the heads of n rows, unless they are there, would not pay or have no room. */
  make(rows: number, n: number): void {
    const engine = this.#engine;
    const d = this.#d;
    if (this.address !== 0 || engine.options.bounds === false || this.#metric !== METRIC_L2) return;
    if (n < LEAST_ROWS || d < LEAST_DIMENSIONS) return;
    const kernels = moreKernels(engine);
    const own = kernels.sieveScratch(d);
    let block: number;
    try {
      engine.reserveScratch(scratchSize(own));
      block = engine.allocate(kernels.sieveBytes(n, d));
    } catch {
      return; // There is no memory for them: searches do without.
    }
    const top = engine.scratchTop;
    const scratch = engine.takeScratch(own);
    let fine = kernels.openSieve(rows, n, d, block, scratch) <= MOST_REST;
    for (let i = 0; i < n && fine; i += CHUNK)
      fine = kernels.sieveRows(rows, i, Math.min(CHUNK, n - i), d, block, scratch) !== 0;
    engine.returnScratch(top);
    if (fine) this.address = block;
    else engine.release(block);
  }

  /** Gives the heads up. */
  drop(): void {
    this.#engine.release(this.address);
    this.address = 0;
  }
}
