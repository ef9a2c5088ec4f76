import { METRIC_INNER_PRODUCT } from "../api.js";
import { kmeans } from "../training/kmeans.js";
import { scratchSize } from "../wasm/engine.js";
import type { Engine } from "../wasm/engine.js";
import { Pace } from "../work/pace.js";
import { OWN_PARAMS } from "./node.js";
import type { IndexNode, SearchParams } from "./node.js";

/** Iterations of k-means for a coarse quantizer: faiss' default. */
const COARSE_ITERATIONS = 10;
/** How a coarse quantizer is searched for the cell of a vector: one that is an IVF itself must not come back with none. */
const ASSIGNING: Readonly<SearchParams> = { ...OWN_PARAMS, ensureK: true };
/**
 * Numbers in centroids up to which their heads wait for so many queries: those of 256 x 256 take as long as a third of opening such an index,
 * 7 ms, and spare some 4 us a query.
 */
const SMALL = 1 << 16;
const SOON = 1000;

/** What puts vectors into cells: an index of nlist centroids, whose labels are the numbers of the cells. */
export class Coarse {
  readonly node: IndexNode;
  readonly nlist: number;
  readonly #engine: Engine;
  /** The centroids, copied out of an index that does not keep them as rows by label; 0 until they are needed. */
  #copied = 0;
  /** Queries to come before heads are made. */
  #until = 0;

  constructor(node: IndexNode, nlist: number) {
    this.node = node;
    this.nlist = nlist;
    this.#engine = node.engine;
  }

  /**
   * Finds the cells of n x d vectors, unless the index has them already. What `then` does with them is part of it: where that fails, the
   * cells are forgotten.
   */
  async train(vectors: Float32Array, seed: number, pace: Pace, then: () => Promise<void>): Promise<void> {
    const { node, nlist } = this;
    // A file may have its cells and lack what codes need.
    if (node.ntotal === nlist) return then();
    const options = {
      niter: COARSE_ITERATIONS,
      // faiss finds the cells of a quantizer that is not flat by L2, whatever the metric.
      spherical: node.tree.kind === "flat" && node.metric === METRIC_INNER_PRODUCT,
      seed,
    };
    const { centroids } = await kmeans(vectors, node.d, nlist, options, this.#engine.options, pace);
    const wasTrained = node.isTrained;
    try {
      await node.train(centroids, seed, pace);
      await node.add(centroids, undefined, new Pace());
      node.sharpen();
      await then();
    } catch (error) {
      this.#drop();
      if (wasTrained) node.reset();
      else node.untrain();
      throw error;
    }
  }

  /** Makes what speeds up its searches: of few centroids read from a file, once it is clear that they are searched often. */
  sharpen(): void {
    if (this.nlist * this.node.d > SMALL) this.node.sharpen();
    else this.#until = SOON;
  }

  /** As {@link IndexNode.expect}. */
  expect(queries: number): void {
    if (this.#until <= 0) return;
    this.#until -= queries;
    if (this.#until <= 0) this.node.sharpen();
  }

  untrain(): void {
    this.#drop();
    this.node.untrain();
  }

  /** Bytes of scratch that {@link rank} takes. */
  rankScratch(nq: number, nprobe: number): number {
    return this.node.scratchBytes(nq, nprobe, OWN_PARAMS);
  }

  /** Writes the nprobe nearest cells of nq queries, nearest first, -1 for none, and their distances. Addresses. */
  rank(queries: number, nq: number, nprobe: number, distances: number, probes: number): void {
    this.node.search(queries, nq, nprobe, OWN_PARAMS, distances, probes);
    this.node.mapSlots(probes, nq * nprobe);
  }

  /** Bytes of scratch that {@link assign} takes. */
  assignScratch(n: number): number {
    return scratchSize(n * 4) + this.node.scratchBytes(n, 1, ASSIGNING);
  }

  /** Writes the cell of each of n vectors, -1 where the distance overflows. Addresses. */
  assign(vectors: number, n: number, cells: number): void {
    const engine = this.#engine;
    const top = engine.scratchTop;
    const distances = engine.takeScratch(n * 4);
    this.node.search(vectors, n, 1, ASSIGNING, distances, cells);
    this.node.mapSlots(cells, n);
    engine.returnScratch(top);
  }

  /** Where centroid c stands: at row c. To be asked for once {@link keepCentroids} was called. */
  get centroids(): number {
    return this.#copied !== 0 ? this.#copied : this.node.rowsByLabel;
  }

  /** Makes sure that the centroids stand as rows by the numbers of their cells: residuals want them so. Throws ERR_MEMORY. */
  keepCentroids(): void {
    const { node, nlist } = this;
    const engine = this.#engine;
    this.#drop();
    if (node.rowsByLabel !== 0) return;
    const { d } = node;
    const centroids = engine.allocate(nlist * d * 4);
    try {
      engine.reserveScratch(scratchSize(4) + node.decodeScratch(1));
    } catch (error) {
      engine.release(centroids);
      throw error;
    }
    const slot = engine.takeScratch(4);
    for (let list = 0; list < nlist; list++) {
      engine.i32[slot >>> 2] = node.slotOf(list);
      node.decode(slot, 1, centroids + list * d * 4);
    }
    this.#copied = centroids;
  }

  #drop(): void {
    this.#engine.release(this.#copied);
    this.#copied = 0;
  }
}
