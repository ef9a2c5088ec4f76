import { scratchSize } from "../wasm/engine.js";
import type { Engine } from "../wasm/engine.js";

/** The most memory that codes may take, as a share of what the rows hold: with few dimensions they would take more. */
const MOST_SHARE = 0.3;
/**
 * Rows and dimensions from which on heads pay and take a tenth of what the rows hold at most, and the share of all squares that they may
 * leave over. Rows of a real voice leave .3 of 64 numbers, and so have none: half of those of 16 lists would still be looked up.
 */
const LEAST_ROWS = 1024;
const LEAST_DIMENSIONS = 256;
const MOST_REST = 0.15;
/** More dimensions don't leave enough bits for a product of codes. */
const MOST_DIMENSIONS = 1 << 16;
/** Rows encoded by one call: few, since V8 compiles a kernel well only between calls. */
const CHUNK = 64;
/** Rows that the mean is made of, at most. */
const SAMPLE = 1024;

/** Slots in use: the first, and how many. */
export type Run = [start: number, length: number];

/**
 * 8-bit codes of float rows, by which a scan passes over nearly all rows without changing its answer (assembly/row-codes.ts). They
 * belong to rows as they stand: whoever changes a row drops them. Making them takes about 0.5 µs a row of 768 dimensions, and a
 * quarter of the rows' memory; with heads at most .4 of it.
 */
export class RowCodes {
  readonly #engine: Engine;
  readonly #d: number;
  /** Address of the codes, 0 where there are none. */
  address = 0;
  /** Slots that the codes have room for. */
  capacity = 0;
  /** Address of heads of the rows (assembly/whole-heads.ts), by which most need not be looked up among the codes; 0 where there are none. */
  heads = 0;

  constructor(engine: Engine, d: number) {
    this.#engine = engine;
    this.#d = d;
  }

  /**
   * Makes the codes, unless they are there, would take too much or have no room.
   *
   * @param rows address of slot 0
   * @param capacity slots from the first to behind the last
   * @param count slots in use
   * @param runs the slots in use
   */
  make(rows: number, capacity: number, count: number, runs: Run[]): void {
    const engine = this.#engine;
    const { kernels } = engine;
    const d = this.#d;
    if (this.address !== 0 || engine.options.bounds === false || d > MOST_DIMENSIONS) return;
    const bytes = kernels.rowCodesBytes(capacity, d);
    if (bytes > capacity * d * 4 * MOST_SHARE) return;
    let block: number;
    try {
      engine.reserveScratch(scratchSize(kernels.encodeRowsScratch(d)) + scratchSize(SAMPLE * 4));
      block = engine.allocate(bytes);
    } catch {
      const mb = (bytes / 1e6).toFixed(1);
      engine.warn(
        "WARN_MEMORY",
        `there is no room for ${mb} MB of codes that speed up searches: these do without, and find the same`,
      );
      return;
    }
    const scratch = engine.takeScratch(kernels.encodeRowsScratch(d));
    const sample = engine.takeScratch(SAMPLE * 4);
    const taken = this.#sample(runs, count, sample);
    kernels.meanOfRows(rows, sample, taken, d, block);
    const encode = (start: number, n: number): number =>
      kernels.encodeRows(rows, start, n, d, block, capacity, scratch);
    if (!encodeRuns(runs, encode)) {
      engine.release(block);
      return;
    }
    this.address = block;
    this.capacity = capacity;
    if (count >= LEAST_ROWS && d >= LEAST_DIMENSIONS) this.#makeHeads(rows, capacity, count, runs);
  }

  /** Makes the heads of rows that have codes, unless they have no room or leave too much over. */
  #makeHeads(rows: number, capacity: number, count: number, runs: Run[]): void {
    const engine = this.#engine;
    const { kernels } = engine;
    const d = this.#d;
    const m = d < 512 ? 48 : 64;
    const bytes = kernels.wholeHeadsBytes(capacity, d, m);
    const own = kernels.wholeHeadsScratch(d, m);
    let heads: number;
    try {
      engine.reserveScratch(scratchSize(own) + scratchSize(SAMPLE * 4) + scratchSize(SAMPLE * d * 4));
      heads = engine.allocate(bytes);
    } catch {
      return; // There is no memory for them: searches do without.
    }
    const scratch = engine.takeScratch(own);
    const slots = engine.takeScratch(SAMPLE * 4);
    const sample = engine.takeScratch(SAMPLE * d * 4);
    const taken = this.#sample(runs, count, slots);
    kernels.gatherRows(rows, d * 4, slots, taken, sample);
    const rest = kernels.openHeads(sample, taken, d, m, this.address, capacity, heads, scratch);
    const write = (start: number, n: number): number =>
      kernels.writeHeads(rows, start, n, d, m, capacity, heads, scratch);
    if (rest <= MOST_REST && encodeRuns(runs, write)) this.heads = heads;
    else engine.release(heads);
  }

  /** Gives the codes up. */
  drop(): void {
    this.#engine.release(this.heads);
    this.#engine.release(this.address);
    this.address = this.capacity = this.heads = 0;
  }

  /** Writes slots from all over the runs to an address and returns how many. */
  #sample(runs: Run[], count: number, address: number): number {
    const { i32 } = this.#engine;
    let seen = 0;
    let taken = 0;
    for (const [start, length] of runs) {
      for (; taken < SAMPLE; taken++) {
        const next = Math.floor((taken * count) / SAMPLE);
        if (next >= seen + length) break;
        i32[(address >>> 2) + taken] = start + next - seen;
      }
      seen += length;
    }
    return taken;
  }
}

/** Calls a kernel for some rows after the other, until it gives 0: false then. */
function encodeRuns(runs: Run[], encode: (start: number, n: number) => number): boolean {
  return runs.every(([start, length]) => {
    for (let i = 0; i < length; i += CHUNK) if (encode(start + i, Math.min(CHUNK, length - i)) === 0) return false;
    return true;
  });
}
