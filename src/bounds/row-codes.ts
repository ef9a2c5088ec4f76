import { scratchSize } from "../wasm/engine.js";
import type { Engine } from "../wasm/engine.js";
import * as Record from "../wasm/row-codes.gen.js";

/** The most memory that codes may take, as a share of what the rows hold: those of 64 dimensions take .313, with fewer they would take more. */
const MOST_SHARE = 0.32;
/**
 * Rows and dimensions from which on heads pay and take a tenth of what the rows hold at most, and the share of all squares that they may
 * leave over. Rows of a real voice leave .3 of 64 numbers, and so have none: half of those of 16 lists would still be looked up.
 */
const LEAST_ROWS = 1024;
const LEAST_DIMENSIONS = 256;
const MOST_REST = 0.15;
/**
 * The share of all squares that the first part of a code has, and of its numbers that it has at most. 352 of a real voice's 768 have .86 (240
 * have .8, 128 .69): voice-a takes .957 at nprobe 16 and .97 at 4 of what it does by 240, .98 and .98 by 448, and 1.2 by 176. No basis has to be
 * multiplied with.
 */
const PART_SHARE = 0.86;
const MOST_PART = 0.6;
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
 * belong to rows as they stand: whoever changes a row drops them. Making them takes about 1 µs a row of 768 dimensions, and a
 * quarter of the rows' memory; with heads at most .4 of it.
 */
export class RowCodes {
  readonly #engine: Engine;
  readonly #d: number;
  /** Address of the codes, 0 where there are none. */
  address = 0;
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
    // Room for heads, if they are tried.
    const m = count < LEAST_ROWS || d < LEAST_DIMENSIONS ? 0 : d < 512 ? 48 : 64;
    const own = m ? kernels.wholeHeadsScratch(d, m) : kernels.encodeRowsScratch(d);
    try {
      engine.reserveScratch(scratchSize(own) + scratchSize(SAMPLE * 4) + scratchSize(m && SAMPLE * d * 4));
      this.address = engine.allocate(bytes);
      this.heads = m && engine.allocate(kernels.wholeHeadsBytes(capacity, d, m));
    } catch {
      this.drop();
      const mb = (bytes / 1e6).toFixed(1);
      engine.warn(
        "WARN_MEMORY",
        `there is no room for ${mb} MB of codes that speed up searches: these do without, and find the same`,
      );
      return;
    }
    const scratch = engine.takeScratch(own);
    const slots = engine.takeScratch(SAMPLE * 4);
    const taken = this.#sample(runs, count, slots);
    kernels.meanOfRows(rows, slots, taken, d, this.address);
    const sample = engine.takeScratch(m && SAMPLE * d * 4);
    if (m) kernels.gatherRows(rows, d * 4, slots, taken, sample);
    const write = (start: number, n: number): number =>
      kernels.writeHeads(rows, start, n, d, m, capacity, this.heads, scratch);
    if (
      m &&
      !(
        kernels.openHeads(sample, taken, d, m, this.address, capacity, this.heads, scratch) <= MOST_REST &&
        encodeRuns(runs, write)
      )
    ) {
      engine.release(this.heads);
      this.heads = 0;
    }
    const at = this.address >>> 2;
    engine.i32[at + Record.capacity] = capacity;
    engine.i32[at + Record.heads] = this.heads;
    this.#order(rows, slots, taken);
    const encode = (start: number, n: number): number => kernels.encodeRows(rows, start, n, d, this.address, scratch);
    if (!encodeRuns(runs, encode)) this.drop();
  }

  /**
   * Writes the order in which codes have the dimensions, and how many make the part that is looked at first: those of the widest spread,
   * unless it is nearly the same for all or rows have heads, whose directions are of dimensions in their own order.
   */
  #order(rows: number, slots: number, taken: number): void {
    const { f32, i32 } = this.#engine;
    const d = this.#d;
    const D = (d + 15) & ~15;
    const mean = (this.address >>> 2) + Record.mean;
    const spread = new Float64Array(d);
    for (let i = this.heads ? taken : 0; i < taken; i++) {
      const row = (rows >>> 2) + i32[(slots >>> 2) + i] * d;
      for (let j = 0; j < d; j++) spread[j] += (f32[row + j] - f32[mean + j]) ** 2;
    }
    let wanted = PART_SHARE * spread.reduce((sum, square) => sum + square);
    let part = 0;
    for (const [i, j] of [...spread.keys()].sort((a, b) => spread[b] - spread[a]).entries()) {
      i32[mean + D + i] = j * 4;
      wanted -= spread[j];
      if (wanted < 0) part ||= (i + 16) & ~15;
    }
    i32[(this.address >>> 2) + Record.part] = part && part <= D * MOST_PART ? part : D;
  }

  /** Gives the codes up. */
  drop(): void {
    this.#engine.release(this.heads);
    this.#engine.release(this.address);
    this.address = this.heads = 0;
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
