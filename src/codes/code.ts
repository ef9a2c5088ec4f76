import type { Metric } from "../api.js";
import type { IndexTree } from "../indexes/tree.js";
import type { Layout } from "../lists/layout.js";
import type { Lists } from "../lists/lists.js";
import type { Matches } from "../lists/matches.js";
import type { Engine } from "../wasm/engine.js";
import type { Pace } from "../work/pace.js";

/**
 * What a code is given to scan: a block of queries, the lists they want, and where results go. All but `lists` are addresses and counts.
 * A ListIndex has one, which it fills for each block.
 */
export interface Scan {
  lists: Lists;
  /** nq x d floats. */
  queries: number;
  nq: number;
  /** nq x nprobe list numbers (i32), nearest first, -1 for none; their coarse distances (f32). */
  probes: number;
  coarse: number;
  nprobe: number;
  /** Lists from this number on are scanned only while k are not found. */
  atLeast: number;
  /** Vectors that a query scans at most; 0 is no limit. */
  maxCodes: number;
  /** Bitmap of the slots that may be found; 0: all. */
  admitted: number;
  /** Centroids as rows by list number, where codes are residuals; else 0. */
  centroids: number;
  /** The k best go to nq x k distances (f32) and slots (i32), best first … */
  k: number;
  distances: number;
  slots: number;
  /** … or, where this is given, all within its radius go there. */
  matches: Matches | undefined;
}

/** Where vectors come from that are encoded, and where they go. */
export interface Place {
  /** Number of the first one, for sentences. */
  row: number;
  /** Addresses of the list of each (i32) and of all centroids; both 0 where codes are not of residuals. */
  cells: number;
  centroids: number;
}

/**
 * How vectors are kept: a code knows vectors, loose codes (layout.ts) and how lists of them are scanned; neither ids nor files. What an
 * index of one list or of many does with it is a ListIndex's.
 */
export abstract class Code {
  readonly engine: Engine;
  readonly d: number;
  readonly metric: Metric;

  constructor(engine: Engine, d: number, metric: Metric) {
    this.engine = engine;
    this.d = d;
    this.metric = metric;
  }

  /** What it is called in a description. */
  abstract readonly tree: IndexTree;
  abstract readonly layout: Layout;
  /** Whether loose codes are the vectors themselves, so that searches and blends read them where they stand. */
  readonly isFloat: boolean = false;
  /** Whether codes are those of what the coarse quantizer leaves over. */
  readonly residual: boolean = false;
  /** Whether there is anything to be learnt. */
  readonly needsTraining: boolean = true;
  /** Vectors that training in an IVF takes at most: so many are drawn before residuals are made of them. */
  readonly sampleLimit: number = Infinity;

  /** Learns from n x d vectors (residuals, where codes are of those). All or nothing. */
  abstract train(vectors: Float32Array, seed: number, pace: Pace): Promise<void>;
  /** Forgets what was learnt. */
  abstract forget(): void;

  /** Bytes of scratch that {@link encode} and {@link decode} take for n vectors. */
  codingScratch(_n: number): number {
    return 0;
  }
  /** Writes the loose codes of n <= CHUNK vectors. Addresses. */
  abstract encode(vectors: number, n: number, loose: number, place: Place): void;
  /** Adds to n rows what they hold besides the code, which a file lacks. Addresses; cells and centroids as in {@link Place}. */
  settle(_rows: number, _n: number, _cells: number, _centroids: number): void {
    // Nothing, unless a code says otherwise.
  }
  /** Writes the vectors of n loose codes. Addresses. */
  abstract decode(loose: number, n: number, vectors: number): void;

  /** Bytes of scratch that {@link scan} takes; k is 0 where all within a radius are wanted. */
  abstract scanScratch(lists: Lists, nq: number, nprobe: number, k: number): number;
  /** Scans all probes of a block: one crossing. */
  abstract scan(scan: Scan): void;

  /** Makes what speeds up searches of lists as they stand, as far as there is memory for it: results are the same without. */
  prepare(_lists: Lists): void {
    // Nothing, unless a code says otherwise.
  }
  /** As prepare, for a coarse quantizer: its lists are to be searched again and again. */
  sharpen(_lists: Lists): void {
    // Nothing, unless a code says otherwise.
  }
  /** Gives up what prepare and sharpen made: lists are about to change, or have. */
  drop(): void {
    // Nothing, unless a code says otherwise.
  }
}
