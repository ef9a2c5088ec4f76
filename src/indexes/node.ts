import type { Metric } from "../api.js";
import { fail } from "../errors.js";
import type { Reader } from "../format/reader.js";
import type { Writer } from "../format/writer.js";
import type { Matches } from "../lists/matches.js";
import type { Places } from "../lists/places.js";
import type { Pace } from "../work/pace.js";
import { scratchSize } from "../wasm/engine.js";
import type { Engine } from "../wasm/engine.js";
import type { IndexTree } from "./tree.js";

/** What a distance is where nothing was found (negated under inner product): FLT_MAX, as in faiss. */
export const NOTHING = 3.4028234663852886e38;

/** Bytes of an id in a file. */
const ID_BYTES = 8;

/** Parameters of one search; 0 stands for the index's own value. One object is used again and again. */
export interface SearchParams {
  nprobe: number;
  kFactor: number;
  efSearch: number;
  ensureK: boolean;
  /**
   * Address of a bitmap of the slots that are scanned (bit s & 7 of byte s >> 3, readable 16 bytes beyond the last): those whose bit is not
   * set are left out. 0: none is.
   */
  admitted: number;
}

/** Vectors of another index that wait to be taken into use. */
export interface Merging {
  /** Takes them into use. Can't fail. */
  commit(): void;
  /** Forgets them. Can't fail. */
  cancel(): void;
}

/** Where vectors are cheaper to have than as they are: in another basis of the space. All arguments but n are addresses. */
export interface Turned {
  /** Turns n vectors into it, where they stand, and back. */
  into(vectors: number, n: number): void;
  back(vectors: number, n: number): void;
  /** Writes the vectors of n slots in it. */
  rows(slots: number, n: number, out: number): void;
}

/** Reads a nested index from its fourcc on. */
export type NodeReader = (reader: Reader, engine: Engine) => Promise<IndexNode>;

/** Every index's own values: what a nested index, a coarse quantizer for one, is searched with. */
export const OWN_PARAMS: Readonly<SearchParams> = {
  nprobe: 0,
  kFactor: 0,
  efSearch: 0,
  ensureK: false,
  admitted: 0,
};

/** A parameter that can be set by name. */
export interface Parameter {
  get(): number;
  set(value: number): void;
  /** The smallest value allowed. */
  min: number;
  /** The largest, where it is less than 2^31 - 1. */
  max?: number;
  /** Whether only whole numbers are allowed. */
  whole: boolean;
}

/**
 * One index in a tree of indexes, which share an engine. Nodes nest; what people hold is a VectorIndex around the topmost.
 *
 * A node speaks in SLOTS, positions in its storage, which are 32-bit; what labels they have is asked for at the end. Vectors
 * that come in through `train` and `add` are read before the promise is returned. Whoever calls has checked lengths and ids.
 */
export abstract class IndexNode {
  readonly engine: Engine;
  readonly d: number;
  readonly metric: Metric;

  constructor(engine: Engine, d: number, metric: Metric) {
    this.engine = engine;
    this.d = d;
    this.metric = metric;
  }

  /** What the node is, for its description. */
  abstract readonly tree: IndexTree;
  /** Vectors held, as the file says it. */
  abstract readonly ntotal: number;
  abstract readonly isTrained: boolean;
  /** Vectors that can be found: fewer than ntotal where faiss counted some that it could not place. */
  get stored(): number {
    return this.ntotal;
  }

  /** Learns from n x d vectors. All or nothing. */
  abstract train(vectors: Float32Array, seed: number, pace: Pace): Promise<void>;
  /**
   * Adds n x d vectors, under ids of their own where `ids` is given. All or nothing. `first`, where given, is called once, when nothing can
   * fail any more and right before the vectors are taken into use: it may remove others. `stored`, where given, says at which address of the
   * engine's memory they stand as well, known to be finite: it spares copies.
   */
  abstract add(
    vectors: Float32Array,
    ids: BigInt64Array | undefined,
    pace: Pace,
    first?: () => void,
    stored?: () => number,
  ): Promise<void>;
  /** As add, in the place of all vectors that have one of these ids. All or nothing. */
  async replace(_vectors: Float32Array, _ids: BigInt64Array, _pace: Pace): Promise<void> {
    fail(
      "ERR_UNSUPPORTED",
      `a ${this.tree.kind} index numbers its vectors itself: make an "IDMap,…" to give ids of your own`,
    );
  }

  /**
   * Makes all ready to take over the vectors of an index of the same description, with `addId` added to their labels. Throws ERR_PARAMETER,
   * which names the difference, where not all that was learnt is the same, and ERR_MEMORY; neither index has changed then, nor until
   * what it resolves to is committed. The other index is left as it is.
   */
  async merging(_other: IndexNode, _addId: bigint, _pace: Pace): Promise<Merging> {
    return fail("ERR_UNSUPPORTED", `a ${this.tree.kind} index can't take another one's vectors: read and add them`);
  }

  /**
   * Makes what speeds up searches and is not in a file, as far as there is memory for it: results are the same without. Whatever is
   * added or removed undoes it.
   */
  prepare(): void {
    // Nothing, unless a node says otherwise.
  }

  /** Says that so many queries are about to come, before there is scratch for them: what pays for many only is made after so many. */
  expect(_queries: number): void {
    // Nothing, unless a node says otherwise.
  }

  /** Gives up what {@link prepare} made. */
  unprepare(): void {
    // Nothing, unless a node says otherwise.
  }

  /** As prepare, for an index that is a coarse quantizer: its vectors stand, and are to be searched again and again. */
  sharpen(): void {
    // Nothing, unless a node says otherwise.
  }

  /** Bytes of scratch that a search of nq queries takes; k is 0 for {@link range}. */
  abstract scratchBytes(nq: number, k: number, params: SearchParams): number;
  /**
   * Finds the k nearest of nq <= BLOCK queries: distances (f32) and slots (i32) are nq x k, best first, -1 and ±FLT_MAX where
   * there is none. All arguments are addresses; what it takes of the scratch arena it returns.
   */
  abstract search(queries: number, nq: number, k: number, params: SearchParams, distances: number, slots: number): void;

  /**
   * Appends to `matches` all vectors within its radius of nq <= BLOCK queries, of those that the search looks at: by slot, in any order.
   * Matches of earlier calls are left alone.
   */
  abstract range(queries: number, nq: number, params: SearchParams, matches: Matches): void;

  /** Slots that searches scan: all in use are below. A bitmap that admits some of them has so many bits. */
  get slots(): number {
    return this.ntotal;
  }
  /** Calls back with each run of slots in use that searches scan. */
  slotRuns(each: (start: number, length: number) => void): void {
    if (this.ntotal > 0) each(0, this.ntotal);
  }
  /** Writes the labels of n slots that searches scan, as i64; the slots may be overwritten. */
  scannedLabels(slots: number, n: number, out: number): void {
    this.mapSlotsWide(slots, n, out);
  }

  /** Turns n slots into labels where they stand; -1 stays. Only where all labels fit 32 bits. */
  mapSlots(_slots: number, _n: number): void {
    // A slot is its own label, unless a node says otherwise.
  }
  /** Writes the labels of n slots as i64 to `out`; the slots may be overwritten. */
  mapSlotsWide(slots: number, n: number, out: number): void {
    this.engine.kernels.mapSlotsWide(slots, n, 0, out);
  }
  /** Calls back with each run of labels that are stored (the address of the first i64, how many) and its first slot: none where slots are their own labels. */
  labelRuns(_each: (labels: number, n: number, slot: number) => void): void {
    // Nothing is stored.
  }
  /** Whether a label that is stored needs more than 32 bits. */
  hasWideLabels(): boolean {
    let wide = false;
    this.labelRuns((labels, n) => (wide ||= this.engine.kernels.hasWideIds(labels, n) === 1));
    return wide;
  }
  /** Calls back with each label that is stored and its slot. */
  eachLabel(each: (label: bigint, slot: number) => void): void {
    this.labelRuns((labels, n, slot) => {
      for (let i = 0; i < n; i++) each(this.engine.i64[(labels >>> 3) + i], slot + i);
    });
  }

  /** Whether vector number n stands in slot n and has the label n: what an index that looks vectors up by their labels wants. */
  readonly isInSequence: boolean = true;
  /** Where the float rows stand that slots index, or 0 for a node that stores codes. */
  abstract get rows(): number;
  /** Where the row of each label stands, label l at row l; 0 where rows do not stand so. */
  abstract get rowsByLabel(): number;
  /** The slot of a label, or -1. */
  abstract slotOf(label: number | bigint): number;
  /** Set where blends are cheaper in another basis; what it takes of scratch is part of {@link decodeScratch}. */
  declare readonly turned?: Turned;
  /** Bytes of scratch that {@link decode} takes. */
  decodeScratch(_n: number): number {
    return 0;
  }
  /** Writes the vectors of n slots to `out`, n x d f32. */
  abstract decode(slots: number, n: number, out: number): void;
  /** Removes vectors by label and returns how many. */
  abstract removeIds(drop: (label: bigint) => boolean): number;
  /**
   * Makes all ready to remove the vectors whose labels are places that went, for an index around it that counts them: also those that
   * can't be found. What it returns does it, gives the others the places that are left, and can't fail.
   */
  removal(places: Places): () => void {
    // Where slots are labels, they close the gaps by themselves.
    return () => void this.removeIds((label) => places.isGone(label));
  }
  /** Forgets the vectors added last, until there are n: what an add that failed elsewhere takes back. Can't fail. */
  truncate(n: number): void {
    this.removeIds((label) => label >= n);
  }
  /** Removes all vectors. */
  abstract reset(): void;
  /** Gives vectors other labels, where labels are stored. */
  relabel(_label: (old: bigint) => bigint): void {
    // Nothing is stored.
  }
  /** Gives room that is not in use back to the engine. */
  compact(): void {
    // Nothing, unless a node has some.
  }
  /** Removes all vectors, and what was learnt. */
  untrain(): void {
    this.reset();
  }

  /** A parameter by faiss' name, or undefined. */
  parameter(_name: string): Parameter | undefined {
    return undefined;
  }

  /** Writes the node, from its fourcc on. */
  abstract write(writer: Writer): void;
}

/** Copies vectors into the engine's memory and throws ERR_NOT_FINITE for the first NaN or infinity: which row and column. */
export function checkFinite(engine: Engine, address: number, n: number, d: number, firstRow: number): void {
  const bad = engine.kernels.firstNotFinite(address, n * d);
  if (bad < 0) return;
  const value = engine.f32[(address >>> 2) + bad];
  const where = `row ${firstRow + Math.floor(bad / d)} has ${value} in column ${bad % d}`;
  fail("ERR_NOT_FINITE", `${where}: leave out or mend rows with NaN or infinity`);
}

/** Vectors that nobody writes to while an index learns or takes them: copies made for that, and what came from another thread. */
const kept = new WeakSet<Float32Array>();

/** Whether vectors are such. */
export function isKept(vectors: Float32Array): boolean {
  return kept.has(vectors);
}

/** Says of vectors that nobody else has them. */
export function keep(vectors: Float32Array): Float32Array {
  kept.add(vectors);
  return vectors;
}

/**
 * Vectors that stay as they are until they are done with, whatever the caller does with those given: to be read, not written to. One copy is
 * made for all nodes of a tree.
 */
export function keptOf(vectors: Float32Array): Float32Array {
  return kept.has(vectors) ? vectors : keep(vectors.slice());
}

/** Whether all labels that are stored are from 0 to n - 1, each once, as an index around the node takes for granted. Throws ERR_MEMORY. */
export function hasPlacesForLabels(node: IndexNode, n: number): boolean {
  const { engine } = node;
  if (n <= node.stored * ID_BYTES) {
    // By a kernel: as BigInts, 10,000 labels took .9 ms of opening an index, and 11 of another core, where V8 optimised what had run by then.
    let marks = 0;
    let fine = true;
    // Where labels are places anyway there are no runs of them, and no marks are taken.
    node.labelRuns((labels, some) => {
      if (marks === 0) {
        engine.reserveScratch(scratchSize(n));
        marks = engine.takeScratch(n);
        engine.u8.fill(0, marks, marks + n);
      }
      fine &&= engine.kernels.markIds(labels, some, marks, n) === 1;
    });
    engine.dropScratch();
    return fine;
  }
  // A file may claim any number of vectors and hold a few: what is taken here goes by those that it holds.
  const labels: bigint[] = [];
  node.eachLabel((label) => labels.push(label));
  return new Set(labels).size === labels.length && labels.every((label) => label >= 0 && label < n);
}

/** Bytes of decoded vectors at a time, but for one query's, which the second-level cache keeps. */
const DECODED_BYTES = 1 << 20;

/** Of nq queries, those whose n candidates of d dimensions are decoded together. */
export function decodedAtOnce(n: number, nq: number, d: number): number {
  return Math.max(1, Math.min(nq, Math.floor(DECODED_BYTES / (Math.max(n, 1) * d * 4))));
}

/** Throws ERR_PARAMETER where two indexes have learnt different things, as their bytes in a file say. */
export function checkLearnt(what: string, own: Uint8Array, others: Uint8Array): void {
  if (own.length === others.length && own.every((byte, i) => byte === others[i])) return;
  fail("ERR_PARAMETER", `the other index has different ${what}: merge only what was made of one trained, empty index`);
}
