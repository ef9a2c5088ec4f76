import { fail } from "../errors.js";
import { symmetricEigen } from "../training/eigen.js";
import type { Eigen } from "../training/eigen.js";
import { Engine } from "../wasm/engine.js";
import type { EngineOptions } from "../wasm/options.js";
import type { Pace } from "../work/pace.js";
import type { Cells } from "./cells.js";
import { MAX_D } from "./head.js";
import { packIds } from "./ids.js";
import type { PackedIds } from "./ids.js";
import { kernelsOf } from "./kernels.js";
import type { CodecKernels } from "./kernels.js";

/** Rows that the directions are learnt from, at most. */
const MOST_ROWS = 32_768;
/** Rows of one sum of products. */
const BLOCK = 64;
/** A frame whose residual is smaller than this share of the mean has no direction: silence. */
const QUIET = 1e-4;

/**
 * What all files of the same cells have in common: the unit, the sizes of residuals and their directions. It has an engine of its own,
 * which goes with it.
 */
export class Analysis {
  readonly cells: Cells;
  readonly engine: Engine;
  readonly kernels: CodecKernels;
  /** The first row of each cell; behind the last one, all. */
  readonly starts: Uint32Array;
  readonly ids: PackedIds;
  /** For each row its place in its cell, in the order of ids. */
  readonly #order: Uint32Array;
  /** A power of two that brings residuals to an rms of about 1. */
  unit = 1;
  /** Sizes of the residuals of all rows, against the true centroids. */
  residuals: Float32Array = new Float32Array(0);
  /** Their directions: rows of d, and how much they spread along each. */
  directions: Eigen = { values: new Float64Array(0), vectors: new Float64Array(0) };
  readonly ntotal: number;

  private constructor(cells: Cells, options: EngineOptions) {
    if (cells.d > MAX_D)
      fail("ERR_UNSUPPORTED", `vectors have ${cells.d} dimensions: a voice file takes up to ${MAX_D}`);
    this.cells = cells;
    this.engine = new Engine(options);
    this.kernels = kernelsOf(this.engine);
    const nlist = cells.sizes.length;
    this.starts = new Uint32Array(nlist + 1);
    for (let cell = 0; cell < nlist; cell++) this.starts[cell + 1] = this.starts[cell] + cells.sizes[cell];
    this.ntotal = this.starts[nlist];
    // Gaps between ids want them in order.
    this.#order = new Uint32Array(this.ntotal);
    const sorted = new BigInt64Array(this.ntotal);
    for (let cell = 0; cell < nlist; cell++) {
      const [first, end] = [this.starts[cell], this.starts[cell + 1]];
      const places = Array.from({ length: end - first }, (_, i) => i);
      const id = (place: number): bigint => cells.ids[first + place];
      places.sort((a, b) => (id(a) < id(b) ? -1 : id(a) > id(b) ? 1 : a - b));
      places.forEach((place, i) => {
        this.#order[first + i] = place;
        sorted[first + i] = id(place);
      });
    }
    this.ids = packIds(sorted, cells.sizes);
  }

  /** Looks at all vectors. Rejects with ERR_NOT_FINITE, ERR_UNSUPPORTED, ERR_MEMORY, or the signal's reason. */
  static async of(cells: Cells, options: EngineOptions, pace: Pace): Promise<Analysis> {
    const analysis = new Analysis(cells, options);
    await analysis.#look(pace);
    return analysis;
  }

  async #look(pace: Pace): Promise<void> {
    const { d, sizes, centroids } = this.cells;
    let most = 0;
    for (const value of centroids) most = Math.max(most, Math.abs(value));
    for (let cell = 0; cell < sizes.length; cell++) {
      const rows = this.cells.rows(cell);
      for (const number of rows) {
        const value = Math.abs(number);
        if (value > most) most = value;
        else if (value !== value) most = Infinity;
      }
      await pace.step("look", this.starts[cell], this.ntotal);
    }
    if (!(most < 1e38)) fail("ERR_NOT_FINITE", "a vector has a NaN, an infinity or nearly one: leave it out first");
    // At first such that the largest number is about 1, for sums that can't overflow; then such that residuals are.
    this.unit = powerAbove(most);
    await this.#measure(pace);
    const rms = rmsOf(this.residuals);
    if (rms > 0) {
      const more = powerAbove(rms) / 2;
      if (this.unit * more >= 2 ** -126) {
        this.unit *= more;
        for (let i = 0; i < this.residuals.length; i++) this.residuals[i] /= more;
      }
    }
    this.directions = await this.#learn(d, pace);
  }

  /** The sizes of the residuals of all rows. */
  async #measure(pace: Pace): Promise<void> {
    this.residuals = new Float32Array(this.ntotal);
    const { sizes } = this.cells;
    for (let cell = 0; cell < sizes.length; cell++) {
      this.residuals.set(this.residualsOf(cell, undefined).sizes, this.starts[cell]);
      this.engine.dropScratch();
      await pace.step("measure residuals", this.starts[cell + 1], this.ntotal);
    }
  }

  /**
   * The residuals of a cell's rows, in the order of ids, in scratch memory: against a row of `centres`, or the true centroid. Scratch of
   * `more` bytes can be taken after it.
   */
  residualsOf(cell: number, centres: number | undefined, more = 0): { address: number; sizes: Float32Array } {
    const engine = this.engine;
    const { d } = this.cells;
    const rows = this.cells.rows(cell);
    const n = rows.length / d;
    engine.reserveScratch(n * d * 4 + n * 4 + d * 4 + 4 * 64 + more);
    const address = engine.takeScratch(n * d * 4);
    const lengths = engine.takeScratch(n * 4);
    const centre = engine.takeScratch(d * 4);
    const first = this.starts[cell];
    for (let i = 0; i < n; i++) {
      const place = this.#order[first + i] * d;
      engine.f32.set(rows.subarray(place, place + d), (address >>> 2) + i * d);
    }
    if (centres === undefined) {
      for (let j = 0; j < d; j++) engine.f32[(centre >>> 2) + j] = this.cells.centroids[cell * d + j] / this.unit;
    } else {
      engine.f32.copyWithin(centre >>> 2, (centres >>> 2) + cell * d, (centres >>> 2) + (cell + 1) * d);
    }
    this.kernels.residuals(address, n, d, 1 / this.unit, centre, address, lengths);
    return { address, sizes: engine.f32.slice(lengths >>> 2, (lengths >>> 2) + n) };
  }

  /** The eigenvectors of the residuals' directions. */
  async #learn(d: number, pace: Pace): Promise<Eigen> {
    const engine = this.engine;
    const kernels = this.kernels;
    const { sizes } = this.cells;
    const every = Math.ceil(this.ntotal / MOST_ROWS);
    const quiet = QUIET * rmsOf(this.residuals);
    const blocks: number[] = [];
    const take = (bytes: number): number => {
      const address = engine.allocate(bytes);
      blocks.push(address);
      return address;
    };
    try {
      const matrix = take(d * d * 8);
      engine.f64.fill(0, matrix >>> 3, (matrix >>> 3) + d * d);
      const rows = take(BLOCK * d * 4);
      const factors = take(BLOCK * 4);
      const scratch = take(kernels.packedBytes(BLOCK, d) + BLOCK * d * 4);
      let filled = 0;
      const flush = (): void => {
        kernels.scaleRows(rows, filled, d, factors);
        kernels.addProducts(rows, filled, d, matrix, scratch);
        filled = 0;
      };
      for (let cell = 0; cell < sizes.length; cell++) {
        const { address, sizes: lengths } = this.residualsOf(cell, undefined);
        for (let i = 0; i < lengths.length; i++) {
          if ((this.starts[cell] + i) % every !== 0) continue;
          const from = (address >>> 2) + i * d;
          engine.f32.copyWithin((rows >>> 2) + filled * d, from, from + d);
          engine.f32[(factors >>> 2) + filled] = lengths[i] > quiet ? 1 / lengths[i] : 0;
          if (++filled === BLOCK) flush();
        }
        await pace.step("learn directions", this.starts[cell + 1], this.ntotal);
      }
      if (filled > 0) flush();
      const count = Math.max(1, Math.ceil(this.ntotal / every));
      for (let i = matrix >>> 3, end = i + d * d; i < end; i++) engine.f64[i] /= count;
      engine.dropScratch();
      return await symmetricEigen(engine, kernels, matrix, d, pace);
    } finally {
      for (const address of blocks) engine.release(address);
    }
  }
}

/** The power of two above a number, 1 for 0; kept where its inverse is a number, too. */
function powerAbove(value: number): number {
  let power = 1;
  if (!(value > 0)) return power;
  while (power <= value && power < 2 ** 126) power *= 2;
  while (power / 2 > value && power > 2 ** -126) power /= 2;
  return power;
}

/** The root mean square of numbers. */
export function rmsOf(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum / Math.max(1, values.length));
}
