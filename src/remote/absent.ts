import type { Floats, SearchOptions } from "../api.js";
import { copyRows } from "../handle/input.js";
import { DEFAULTS, option } from "../handle/options.js";
import type { VectorIndex } from "../handle/vector-index.js";
import type { ListIndex } from "../indexes/list-index.js";
import { blend } from "../rvc/blend.js";
import type { BlendOptions } from "../rvc/blend.js";
import { scratchSize } from "../wasm/engine.js";
import type { Pieces } from "./pieces.js";

/** What of an index may not be there, and what a search wants of it. */
export interface Absent {
  /** Pieces that an exact answer to these queries wants and that are not there. What may be wanted next is asked for, too. */
  missing(pieces: Pieces, queries: Float32Array, k: number, options: SearchOptions, ahead: number): Set<number>;
  /** Asks for what these features want, without allocating; returns how many of them lack some of it. */
  ask(pieces: Pieces, features: Float32Array, options: BlendOptions | undefined, ahead: number): number;
  /** Blends with what is there; `lacking` is what {@link ask} returned. */
  blend(index: VectorIndex, features: Floats, options: BlendOptions | undefined, lacking: number): void;
}

/** Nothing is absent: the kind of index is read whole. */
export const nothingAbsent: Absent = {
  missing: () => new Set(),
  ask: () => 0,
  blend: (index, features, options) => void blend(index, features, options),
};

/** The options of the call at hand: one object for all, since blendNow allocates nothing. */
const narrow: BlendOptions = {};
const candidates: SearchOptions = {};

/** Lists that come when queries want them, each in one piece or in layers. */
export class AbsentLists implements Absent {
  readonly #index: ListIndex;
  /** Of layer l of list c, piece l * nlist + c; -1 where there is none. */
  readonly #pieceOf: Int32Array;
  readonly #sizes: Uint32Array;
  readonly #layers: number;

  /**
   * @param pieceOf the piece of layer l of list c at l * nlist + c, -1 for an empty list
   * @param sizes vectors of each list, whether they are there or not
   */
  constructor(index: ListIndex, pieceOf: Int32Array, sizes: Uint32Array) {
    this.#index = index;
    this.#pieceOf = pieceOf;
    this.#sizes = sizes;
    this.#layers = pieceOf.length / index.lists.nlist;
  }

  missing(pieces: Pieces, queries: Float32Array, k: number, options: SearchOptions, ahead: number): Set<number> {
    const { d } = this.#index;
    const { nlist } = this.#index.lists;
    const nprobe = Math.min(option(options, "nprobe", 0) || this.#index.nprobe, nlist);
    const missing = new Set<number>();
    pieces.tick();
    for (let first = 0; first < queries.length / d; first++) {
      const query = queries.subarray(first * d, (first + 1) * d);
      let found = 0;
      // As a search does: further lists are ranked while the nearest hold too little.
      for (let [from, width] = [0, Math.min(nprobe + ahead, nlist)]; ; width = Math.min(width * 4, nlist)) {
        const probes = this.#rank(query, 0, 1, width);
        const { i32 } = this.#index.engine;
        let list = 0;
        for (let p = from; p < width; p++) {
          list = i32[(probes >>> 2) + p];
          if (list < 0) break;
          const goesOn = p < nprobe || (options.ensureK === true && found < k);
          if (!goesOn && p >= nprobe + ahead) break;
          this.#each(list, (piece) => {
            if (pieces.there[piece] === 1) return;
            if (goesOn) missing.add(piece);
            else pieces.want(piece, true);
          });
          if (goesOn) found += this.#sizes[list];
        }
        from = width;
        if (width === nlist || list < 0 || options.ensureK !== true || found >= k) break;
      }
    }
    return missing;
  }

  ask(pieces: Pieces, features: Float32Array, options: BlendOptions | undefined, ahead: number): number {
    const { d, engine } = this.#index;
    const { nlist } = this.#index.lists;
    const n = features.length / d;
    const nprobe = Math.min(option(options, "nprobe", 0) || this.#index.nprobe, nlist);
    const width = Math.min(nprobe + ahead, nlist);
    const block = engine.kernels.BLOCK.value;
    let lacking = 0;
    pieces.tick();
    for (let first = 0; first < n; first += block) {
      const count = Math.min(block, n - first);
      const probes = this.#rank(features, first, count, width);
      const { i32 } = engine;
      for (let i = 0; i < count; i++) {
        let lacks = false;
        for (let p = 0, at = (probes >>> 2) + i * width; p < width; p++, at++) {
          const list = i32[at];
          if (list < 0) break;
          for (let layer = 0; layer < this.#layers; layer++) {
            const piece = this.#pieceOf[layer * nlist + list];
            if (piece < 0 || pieces.there[piece] === 1) continue;
            lacks ||= layer === 0 && p < nprobe;
            pieces.want(piece, p >= nprobe || layer > 0);
            break;
          }
        }
        if (lacks) lacking++;
      }
    }
    return lacking;
  }

  blend(index: VectorIndex, features: Floats, options: BlendOptions | undefined, lacking: number): void {
    if (lacking === 0) {
      blend(index, features, options);
      return;
    }
    // Further lists would stand in for those that are missing.
    narrow.k = options?.k;
    narrow.rate = options?.rate;
    narrow.nprobe = options?.nprobe;
    narrow.rows = options?.rows;
    narrow.d = options?.d;
    narrow.ensureK = false;
    blend(index, features, narrow);
  }

  /** Calls back with the pieces of a list. */
  #each(list: number, call: (piece: number) => void): void {
    for (let layer = 0; layer < this.#layers; layer++) {
      const piece = this.#pieceOf[layer * this.#index.lists.nlist + list];
      if (piece >= 0) call(piece);
    }
  }

  /** The address of the nearest lists of queries, nearest first, until scratch is reserved again. */
  #rank(queries: Float32Array, first: number, count: number, width: number): number {
    const { engine, d, coarse } = this.#index;
    if (coarse === undefined) throw new Error("lists that are absent have a coarse quantizer");
    const cells = scratchSize(count * width * 4);
    engine.reserveScratch(scratchSize(count * d * 4) + 2 * cells + coarse.rankScratch(count, width));
    const at = engine.takeScratch(count * d * 4);
    const distances = engine.takeScratch(count * width * 4);
    const probes = engine.takeScratch(count * width * 4);
    copyRows(queries, first * d, engine.f32, at >>> 2, count * d);
    coarse.rank(at, count, width, distances, probes);
    return probes;
  }
}

/** Rows that come when a re-ranked search wants them; what it ranks first is there. */
export class AbsentRows implements Absent {
  readonly #base: VectorIndex;
  readonly #kFactor: () => number;
  /** The piece of a row is its number divided by this. */
  readonly #rowsPerPiece: number;
  /** Where candidates go: one pair of arrays for all calls of blendNow. */
  #distances = new Float32Array(0);
  #labels = new Int32Array(0);

  /**
   * @param base what finds the candidates, whose labels are the numbers of the rows
   * @param kFactor candidates for each neighbour, where a call does not say
   */
  constructor(base: VectorIndex, kFactor: () => number, rowsPerPiece: number) {
    this.#base = base;
    this.#kFactor = kFactor;
    this.#rowsPerPiece = rowsPerPiece;
  }

  missing(pieces: Pieces, queries: Float32Array, k: number, options: SearchOptions): Set<number> {
    const n = this.#candidates(k, options);
    const missing = new Set<number>();
    if (n === 0) return missing;
    const { nprobe, efSearch, ensureK } = options;
    const { labels } = this.#base.search(queries, n, { nprobe, efSearch, ensureK });
    pieces.tick();
    for (const label of labels as Int32Array) {
      if (label < 0) continue;
      const piece = this.#pieceOf(label);
      if (pieces.there[piece] === 0) missing.add(piece);
    }
    return missing;
  }

  ask(pieces: Pieces, features: Float32Array, options: BlendOptions | undefined): number {
    const count = features.length / this.#base.d;
    const n = this.#candidates(option(options, "k", DEFAULTS.k), options ?? {});
    if (this.#labels.length < count * n) {
      this.#distances = new Float32Array(count * n);
      this.#labels = new Int32Array(count * n);
    }
    candidates.nprobe = options?.nprobe;
    candidates.ensureK = options?.ensureK ?? true;
    this.#base.searchInto(features, n, this.#distances, this.#labels, candidates);
    let lacking = 0;
    pieces.tick();
    for (let i = 0; i < count; i++) {
      let lacks = false;
      for (let j = i * n; j < (i + 1) * n; j++) {
        const label = this.#labels[j];
        if (label < 0) continue;
        const piece = this.#pieceOf(label);
        if (pieces.there[piece] === 1) continue;
        pieces.want(piece);
        lacks = true;
      }
      if (lacks) lacking++;
    }
    return lacking;
  }

  /** Where exact rows are missing, their codes stand for them. */
  blend(index: VectorIndex, features: Floats, options: BlendOptions | undefined, lacking: number): void {
    blend(lacking === 0 ? index : this.#base, features, options);
  }

  #candidates(k: number, options: SearchOptions): number {
    return Math.min(Math.floor(k * (option(options, "kFactor", 0) || this.#kFactor())), this.#base.ntotal);
  }

  #pieceOf(row: number): number {
    return Math.floor(row / this.#rowsPerPiece);
  }
}
