import type { Code, Scan } from "../codes/code.js";
import { ProductCode } from "../codes/product.js";
import { scanWithin, writeScan } from "../codes/records.js";
import { ScalarCode } from "../codes/scalar.js";
import { fail } from "../errors.js";
import type { Reader } from "../format/reader.js";
import type { Writer } from "../format/writer.js";
import { describeTree } from "../indexes/describe.js";
import { otherMetric, readHeader, writeHeader } from "../indexes/header.js";
import { ListIndex } from "../indexes/list-index.js";
import { IndexNode } from "../indexes/node.js";
import type { NodeReader, Parameter, SearchParams } from "../indexes/node.js";
import type { IndexTree } from "../indexes/tree.js";
import type { Matches } from "../lists/matches.js";
import { moreKernels } from "../wasm/more.js";
import { scratchSize } from "../wasm/engine.js";
import type { Pace } from "../work/pace.js";
import type { Engine } from "../wasm/engine.js";
import { CODE, FOUND, LISTS, PLAN } from "../wasm/records.js";
import { Hierarchy } from "./hierarchy.js";
import type { Linker } from "./hierarchy.js";
import { Sieve } from "./sieve.js";

/** What files of graphs over each kind of storage begin with. */
const FOURCCS: Partial<Record<IndexTree["kind"], string>> = { flat: "IHNf", sq: "IHNs", pq: "IHNp" };

/**
 * A graph over vectors that another index stores: a search walks along its links, and looks at few of them. What it finds is nearly
 * always right, the more so the more vectors are kept on the way (efSearch).
 */
export class HnswNode extends IndexNode {
  readonly storage: ListIndex;
  readonly #graph: Hierarchy;
  readonly #sieve: Sieve;
  /** What is searched next: one object for all searches. */
  readonly #scan: Scan;

  /** @param storage an index of one list */
  constructor(storage: ListIndex, graph: Hierarchy) {
    super(storage.engine, storage.d, storage.metric);
    this.storage = storage;
    this.#graph = graph;
    this.#sieve = new Sieve(storage.engine, storage.d, storage.metric);
    this.#scan = {
      lists: storage.lists,
      queries: 0,
      nq: 0,
      probes: 0,
      coarse: 0,
      nprobe: 1,
      atLeast: 1,
      maxCodes: 0,
      admitted: 0,
      centroids: 0,
      k: 0,
      distances: 0,
      slots: 0,
      matches: undefined,
    };
  }

  /** An empty graph of M links a vertex. @param storage an empty index of one list */
  static make(storage: IndexNode, M: number): HnswNode {
    if (!(storage instanceof ListIndex)) throw new Error("a graph wants an index of one list");
    return new HnswNode(storage, Hierarchy.make(storage.engine, M));
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

  async add(vectors: Float32Array, ids: BigInt64Array | undefined, pace: Pace, first?: () => void): Promise<void> {
    // What would have to be removed first, a graph keeps: this throws.
    first?.();
    if (ids !== undefined) {
      fail("ERR_UNSUPPORTED", `this index numbers its vectors itself: make an "IDMap,HNSW…" to give ids of your own`);
    }
    this.#sieve.drop();
    const before = this.ntotal;
    const own = this.storage.code.isFloat ? vectors : vectors.slice();
    await this.storage.add(vectors, undefined, pace);
    try {
      await this.#graph.add(this.ntotal - before, this.#linker(own, before), pace);
    } catch (error) {
      this.storage.truncate(before);
      throw error;
    }
  }

  /** Links vertices whose rows are floats by these; others are sought as they were before they became codes, from slot `first` on. */
  #linker(vectors: Float32Array, first: number): Linker {
    const { engine, d } = this;
    const { code } = this.storage;
    const scan = this.#scan;
    [scan.admitted, scan.k, scan.distances, scan.slots, scan.matches] = [0, 0, 0, 0, undefined];
    if (code.isFloat) {
      return {
        decoded: 0,
        scratchBytes: () => 0,
        link: (graph, levels, slots, n, scratch) => {
          [scan.queries, scan.nq] = [this.storage.rows, n];
          writeScan(code, scan, scratch);
          moreKernels(engine).addVerticesF32(CODE, PLAN, LISTS, graph, levels, slots, n);
        },
      };
    }
    return {
      decoded: d,
      scratchBytes: (n) => scratchSize(turnScratch(code)) + n * d * 4,
      link: (graph, levels, slots, n, scratch, own) => {
        const queries = own + scratchSize(turnScratch(code));
        for (let i = 0; i < n; i++) {
          const at = (engine.i32[(slots >>> 2) + i] - first) * d;
          engine.f32.set(vectors.subarray(at, at + d), (queries >>> 2) + i * d);
        }
        [scan.queries, scan.nq] = [queries, n];
        write(code, scan, scratch);
        moreKernels(engine).addVerticesCodes(CODE, PLAN, LISTS, graph, levels, slots, n);
      },
    };
  }

  override prepare(): void {
    if (this.storage.code.isFloat) this.#sieve.make(this.storage.rows, this.ntotal);
  }

  override unprepare(): void {
    this.#sieve.drop();
  }

  #efSearch(params: SearchParams): number {
    return params.efSearch || this.#graph.efSearch;
  }

  scratchBytes(nq: number, k: number, params: SearchParams): number {
    const own = this.#graph.scratchBytes(nq, this.d, k || 1, this.#efSearch(params));
    return scratchSize(own + turnScratch(this.storage.code));
  }

  search(queries: number, nq: number, k: number, params: SearchParams, distances: number, slots: number): void {
    const { engine } = this;
    const top = engine.scratchTop;
    const scratch = engine.takeScratch(this.scratchBytes(nq, k, params));
    const scan = this.#scan;
    scan.queries = queries;
    scan.nq = nq;
    scan.admitted = params.admitted;
    scan.k = k;
    scan.distances = distances;
    scan.slots = slots;
    scan.matches = undefined;
    const { code } = this.storage;
    write(code, scan, scratch);
    const sieve = scan.admitted === 0 ? this.#sieve.address : 0;
    const graph = this.#graph.describe(k, this.#efSearch(params), sieve);
    if (sieve !== 0) moreKernels(engine).searchGraphSifted(CODE, PLAN, LISTS, graph, FOUND);
    else if (code.isFloat) moreKernels(engine).searchGraphF32(CODE, PLAN, LISTS, graph, FOUND);
    else moreKernels(engine).searchGraphCodes(CODE, PLAN, LISTS, graph, FOUND);
    engine.returnScratch(top);
  }

  /** All within the radius that the search sees on its way, as in faiss: more, the larger efSearch is. */
  range(queries: number, nq: number, params: SearchParams, matches: Matches): void {
    const { engine } = this;
    const top = engine.scratchTop;
    const scratch = engine.takeScratch(this.scratchBytes(nq, 0, params));
    const scan = this.#scan;
    [scan.queries, scan.nq, scan.admitted, scan.k, scan.matches] = [queries, nq, params.admitted, 0, matches];
    const { code } = this.storage;
    scanWithin(code, scan, () => {
      write(code, scan, scratch);
      const graph = this.#graph.describe(1, this.#efSearch(params), 0);
      if (code.isFloat) moreKernels(engine).rangeGraphF32(CODE, PLAN, LISTS, graph, FOUND);
      else moreKernels(engine).rangeGraphCodes(CODE, PLAN, LISTS, graph, FOUND);
    });
    scan.matches = undefined;
    engine.returnScratch(top);
  }

  /** Says that the vector which was number order[i] stands in place i of the storage now. */
  renumber(order: Uint32Array): void {
    this.#sieve.drop();
    this.#graph.renumber(order);
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
    this.#sieve.drop();
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
    this.#sieve.drop();
    this.storage.reset();
    this.#graph.clear();
  }

  override compact(): void {
    this.storage.compact();
  }

  override untrain(): void {
    this.#sieve.drop();
    this.storage.untrain();
    this.#graph.forget();
  }

  override parameter(name: string): Parameter | undefined {
    if (name !== "efSearch" && name !== "efConstruction") return this.storage.parameter(name);
    const graph = this.#graph;
    return { get: () => graph[name], set: (value) => (graph[name] = value), min: 1, whole: true };
  }

  write(writer: Writer): void {
    writeHeader(writer, FOURCCS[this.storage.tree.kind] ?? "IHNf", this);
    this.#graph.write(writer);
    this.storage.write(writer);
  }

  /** Reads what follows the fourcc IHNf, IHNs or IHNp. */
  static async read(reader: Reader, engine: Engine, fourcc: string, readNode: NodeReader): Promise<HnswNode> {
    const { d, ntotal, metric } = await readHeader(reader);
    const graph = await Hierarchy.read(reader, engine, ntotal);
    const storage = await readNode(reader, engine);
    if (storage.d !== d) reader.wrong("storage of the HNSW", 0, `has d = ${storage.d}, the HNSW ${d}`);
    if (storage.ntotal !== ntotal) {
      reader.wrong("storage of the HNSW", 0, `has ${storage.ntotal} vectors, the HNSW ${ntotal}`);
    }
    if (storage.metric !== metric) otherMetric("the storage of the HNSW", storage.metric, "the HNSW", metric);
    if (!(storage instanceof ListIndex) || FOURCCS[storage.tree.kind] !== fourcc) {
      return fail(
        "ERR_UNSUPPORTED",
        `the graph "${fourcc}" is over ${describeTree(storage.tree)}, and can't be searched here`,
      );
    }
    return new HnswNode(storage, graph);
  }
}

/** Bytes of scratch that turning to a query takes. */
function turnScratch(code: Code): number {
  return code instanceof ScalarCode || code instanceof ProductCode ? code.turnScratch : 0;
}

/** Writes the records of a search. */
function write(code: Code, scan: Scan, scratch: number): void {
  if (code instanceof ScalarCode || code instanceof ProductCode) code.write(scan, scratch);
  else writeScan(code, scan, scratch);
}
