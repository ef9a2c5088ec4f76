import { METRIC_INNER_PRODUCT } from "../api.js";
import { fail } from "../errors.js";
import type { Reader } from "../format/reader.js";
import type { Writer } from "../format/writer.js";
import { otherMetric, readHeader, writeHeader } from "../indexes/header.js";
import { IndexNode } from "../indexes/node.js";
import type { NodeReader, Parameter, SearchParams } from "../indexes/node.js";
import type { IndexTree } from "../indexes/tree.js";
import type { Matches } from "../lists/matches.js";
import { scratchSize } from "../wasm/engine.js";
import type { Pace } from "../work/pace.js";
import type { Engine } from "../wasm/engine.js";
import { Hierarchy } from "./hierarchy.js";

/**
 * A graph over vectors that another index stores: a search walks along its links, and looks at few of them. What it finds is nearly
 * always right, the more so the more vectors are kept on the way (efSearch).
 */
export class HnswNode extends IndexNode {
  readonly storage: IndexNode;
  readonly #graph: Hierarchy;

  constructor(storage: IndexNode, graph: Hierarchy) {
    super(storage.engine, storage.d, storage.metric);
    this.storage = storage;
    this.#graph = graph;
  }

  get tree(): IndexTree {
    return { kind: "hnsw", m: this.#graph.M, storage: this.storage.tree };
  }

  get ntotal(): number {
    return this.storage.ntotal;
  }

  get isTrained(): boolean {
    return this.storage.isTrained;
  }

  get rows(): number {
    return this.storage.rows;
  }

  async train(vectors: Float32Array, seed: number, pace: Pace): Promise<void> {
    await this.storage.train(vectors, seed, pace);
  }

  async add(vectors: Float32Array, ids: BigInt64Array | undefined, pace: Pace): Promise<void> {
    if (ids !== undefined) {
      fail("ERR_UNSUPPORTED", `this index numbers its vectors itself: make an "IDMap,HNSW…" to give ids of your own`);
    }
    const before = this.ntotal;
    await this.storage.add(vectors, undefined, pace);
    try {
      await this.#graph.add(this, this.ntotal - before, pace);
    } catch (error) {
      this.storage.truncate(before);
      throw error;
    }
  }

  #efSearch(params: SearchParams): number {
    return params.efSearch || this.#graph.efSearch;
  }

  scratchBytes(nq: number, k: number, params: SearchParams): number {
    if (k === 0) {
      const ranged = this.#ranged(params);
      return 2 * scratchSize(nq * ranged * 4) + this.scratchBytes(nq, ranged, params);
    }
    return this.#graph.scratchBytes(k, this.#efSearch(params));
  }

  search(queries: number, nq: number, k: number, params: SearchParams, distances: number, slots: number): void {
    this.#graph.search(this, queries, nq, k, this.#efSearch(params), params.admitted, distances, slots);
  }

  /** Of the vectors that a search keeps on its way (efSearch of them), those within the radius. */
  range(queries: number, nq: number, params: SearchParams, matches: Matches): void {
    const { engine, metric } = this;
    const k = this.#ranged(params);
    const top = engine.scratchTop;
    const distances = engine.takeScratch(nq * k * 4);
    const slots = engine.takeScratch(nq * k * 4);
    this.search(queries, nq, k, params, distances, slots);
    for (let i = 0; i < nq * k; i++) {
      const slot = engine.i32[(slots >>> 2) + i];
      const distance = engine.f32[(distances >>> 2) + i];
      const within = metric === METRIC_INNER_PRODUCT ? distance > matches.radius : distance < matches.radius;
      if (slot >= 0 && within) matches.put(Math.floor(i / k), slot, distance);
    }
    engine.returnScratch(top);
  }

  #ranged(params: SearchParams): number {
    return Math.max(1, Math.min(this.#efSearch(params), this.ntotal));
  }

  get rowsByLabel(): number {
    return this.storage.rowsByLabel;
  }

  slotOf(label: number | bigint): number {
    return this.storage.slotOf(label);
  }

  override decodeScratch(n: number): number {
    return this.storage.decodeScratch(n);
  }

  decode(slots: number, n: number, out: number): void {
    this.storage.decode(slots, n, out);
  }

  removeIds(): number {
    return this.#refuse();
  }

  override removal(): () => void {
    return this.#refuse();
  }

  override truncate(n: number): void {
    this.#graph.truncate(n);
    this.storage.truncate(n);
  }

  #refuse(): never {
    return fail(
      "ERR_UNSUPPORTED",
      "vectors can't be removed from an HNSW graph, whose links lead through them: search with a filter that leaves them out, or " +
        "build an index of those that stay",
    );
  }

  reset(): void {
    this.storage.reset();
    this.#graph.clear();
  }

  override untrain(): void {
    this.storage.untrain();
    this.#graph.clear();
  }

  override parameter(name: string): Parameter | undefined {
    if (name !== "efSearch" && name !== "efConstruction") return this.storage.parameter(name);
    const graph = this.#graph;
    return { get: () => graph[name], set: (value) => (graph[name] = value), min: 1, whole: true };
  }

  write(writer: Writer): void {
    writeHeader(writer, "IHNf", this);
    this.#graph.write(writer);
    this.storage.write(writer);
  }

  /** Reads what follows the fourcc IHNf. */
  static async read(reader: Reader, engine: Engine, readNode: NodeReader): Promise<HnswNode> {
    const { d, ntotal, metric } = await readHeader(reader);
    const graph = await Hierarchy.read(reader, engine, ntotal);
    const storage = await readNode(reader, engine);
    if (storage.d !== d) reader.wrong("storage of the HNSW", 0, `has d = ${storage.d}, the HNSW ${d}`);
    if (storage.ntotal !== ntotal) {
      reader.wrong("storage of the HNSW", 0, `has ${storage.ntotal} vectors, the HNSW ${ntotal}`);
    }
    if (storage.metric !== metric) otherMetric("the storage of the HNSW", storage.metric, "the HNSW", metric);
    if (storage.tree.kind !== "flat") {
      fail("ERR_UNSUPPORTED", `the graph is over ${storage.tree.kind}, and only one over Flat is known here`);
    }
    return new HnswNode(storage, graph);
  }
}
