import type { Metric } from "../api.js";
import type { IndexTree } from "./tree.js";
import type { Reader } from "../format/reader.js";
import type { Writer } from "../format/writer.js";
import { InvertedLists } from "../storage/lists.js";
import { RowCodes } from "../storage/row-codes.js";
import type { Run } from "../storage/row-codes.js";
import type { Engine } from "../wasm/engine.js";
import { scratchSize } from "../wasm/engine.js";
import { listsBytes, readLists, writeLists } from "./array-lists.js";
import { IvfNode } from "./ivf.js";
import type { NodeReader } from "./ivf.js";
import type { IndexNode } from "./node.js";

/**
 * Rows that must be scanned for each result, before codes of them pay: with lists of 39 rows of a voice and k = 8, one list took 5 % more
 * time by codes, two took 5 % less, four 20 % less.
 */
const CODES_ROWS_PER_K = 8;

/** An inverted file that stores its vectors as they are: `IVFn,Flat`, what RVC writes. */
export class IvfFlatNode extends IvfNode {
  protected readonly code: IndexTree = { kind: "flat" };
  protected readonly fourcc = "IwFl";
  readonly #codes: RowCodes;

  constructor(
    coarse: IndexNode,
    nlist: number,
    metric: Metric,
    lists: InvertedLists = new InvertedLists(coarse.engine, nlist, coarse.d * 4),
  ) {
    super(coarse, nlist, metric, lists);
    this.#codes = new RowCodes(coarse.engine, coarse.d);
  }

  get rows(): number {
    return this.lists.codes;
  }

  protected async trainCodes(): Promise<void> {
    // A vector is its own code.
  }

  protected async encode(vectors: Float32Array): Promise<Uint8Array> {
    return new Uint8Array(vectors.buffer, vectors.byteOffset, vectors.byteLength);
  }

  override prepare(): void {
    const { lists, nlist } = this;
    if (lists.count === 0) return;
    const runs = Array.from({ length: nlist }, (_, list): Run => [lists.start(list), lists.size(list)]);
    this.#codes.make(lists.codes, lists.slots, lists.count, runs);
  }

  override unprepare(): void {
    this.#codes.drop();
  }

  /** Whether codes of rows save anything: where most of what is scanned is among the results, they do not. */
  #isCoded(k: number, nprobe: number, atLeast: number): boolean {
    if (this.#codes.address === 0 || this.maxCodes !== 0 || atLeast < nprobe) return false;
    // In whole numbers: a quotient would be an object on the heap.
    return k * CODES_ROWS_PER_K * this.nlist <= nprobe * this.lists.count;
  }

  protected scanScratchBytes(nq: number, k: number, nprobe: number): number {
    const { kernels } = this.engine;
    const plain = kernels.searchListsScratch(this.nlist, nq, nprobe);
    if (!this.#isCoded(k, nprobe, nprobe)) return scratchSize(plain);
    return scratchSize(Math.max(plain, kernels.searchCodedScratch(this.nlist, nq, nprobe, this.d, k)));
  }

  protected scan(
    queries: number,
    nq: number,
    k: number,
    probes: number,
    _coarse: number,
    nprobe: number,
    atLeast: number,
    distances: number,
    slots: number,
  ): void {
    const { engine, lists } = this;
    const top = engine.scratchTop;
    const scratch = engine.takeScratch(this.scanScratchBytes(nq, k, nprobe));
    if (this.#isCoded(k, nprobe, atLeast)) {
      engine.kernels.searchListsCoded(
        queries,
        nq,
        this.d,
        this.metric,
        probes,
        nprobe,
        this.nlist,
        lists.starts,
        lists.sizes,
        lists.codes,
        lists.ids,
        k,
        this.#codes.address,
        this.#codes.capacity,
        distances,
        slots,
        scratch,
      );
    } else {
      engine.kernels.searchLists(
        queries,
        nq,
        this.d,
        this.metric,
        probes,
        nprobe,
        atLeast,
        this.maxCodes,
        this.nlist,
        lists.starts,
        lists.sizes,
        lists.codes,
        lists.ids,
        k,
        distances,
        slots,
        scratch,
      );
    }
    engine.returnScratch(top);
  }

  decode(slots: number, n: number, out: number): void {
    this.engine.kernels.gatherRows(this.rows, this.d * 4, slots, n, out);
  }

  protected get bodyBytes(): number {
    return listsBytes(this.lists);
  }

  protected writeBody(writer: Writer): void {
    writeLists(writer, this.lists);
  }

  /** Reads what follows the fourcc IwFl. */
  static async read(reader: Reader, engine: Engine, readNode: NodeReader): Promise<IvfFlatNode> {
    const header = await IvfNode.readHeader(reader, engine, readNode);
    const lists = await readLists(reader, engine, header.nlist, header.d * 4, header.ntotal);
    const node = new IvfFlatNode(header.coarse, header.nlist, header.metric, lists);
    node.restore(header, reader);
    return node;
  }
}
