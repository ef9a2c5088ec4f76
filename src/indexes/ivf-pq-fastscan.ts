import { METRIC_L2 } from "../api.js";
import type { Metric } from "../api.js";
import type { IndexTree } from "./tree.js";
import type { Reader } from "../format/reader.js";
import type { Writer } from "../format/writer.js";
import { ProductQuantizer } from "../quantizers/product.js";
import { InvertedLists } from "../storage/lists.js";
import { PackedLayout } from "../storage/packed-codes.js";
import type { Pace } from "../work/pace.js";
import type { Engine } from "../wasm/engine.js";
import { scratchSize } from "../wasm/engine.js";
import { blockListsBytes, readBlockLists, writeBlockLists } from "./block-lists.js";
import { FlatNode } from "./flat.js";
import { IvfNode } from "./ivf.js";
import type { NodeReader } from "./ivf.js";
import type { IndexNode } from "./node.js";
import { quantizeAll, readBbs } from "./pq-fastscan.js";

/** An inverted file of packed 4-bit codes: `IVFn,PQ128x4fs`; with the suffix r, of what the coarse quantizer leaves over. */
export class IvfPqFastScanNode extends IvfNode {
  protected readonly fourcc = "IwPf";
  /** Codes have no rows of floats. */
  readonly rows = 0;
  readonly #quantizer: ProductQuantizer;
  readonly #layout: PackedLayout;
  readonly #residual: boolean;
  /** The centroids, copied out of a coarse quantizer that does not keep them as rows; 0 until they are needed. */
  #centroids = 0;

  constructor(
    coarse: IndexNode,
    nlist: number,
    metric: Metric,
    quantizer: ProductQuantizer,
    layout: PackedLayout,
    residual: boolean,
    lists: InvertedLists = new InvertedLists(coarse.engine, nlist, layout),
  ) {
    super(coarse, nlist, metric, lists);
    this.#quantizer = quantizer;
    this.#layout = layout;
    this.#residual = residual;
  }

  protected get code(): IndexTree {
    return { kind: "pqfs", m: this.#layout.M, residual: this.#residual, bbs: this.#layout.bbs };
  }

  protected async trainCodes(vectors: Float32Array, seed: number, pace: Pace): Promise<void> {
    this.#dropCentroids();
    this.#keepCentroids();
    if (!this.#residual) return this.#quantizer.train(vectors, seed, pace);
    const cells = await this.assign(vectors, pace);
    await this.#quantizer.train(this.#less(vectors, cells), seed, pace);
  }

  protected async encode(vectors: Float32Array, cells: Int32Array, pace: Pace): Promise<Uint8Array> {
    return quantizeAll(this.engine, this.#quantizer, this.#residual ? this.#less(vectors, cells) : vectors, pace);
  }

  override untrain(): void {
    super.untrain();
    this.#quantizer.clear();
    this.#dropCentroids();
  }

  protected scanScratchBytes(_nq: number, k: number, nprobe: number): number {
    const { M, M2 } = this.#layout;
    const tables = this.#residual && this.metric === METRIC_L2 ? nprobe : 1;
    return scratchSize(this.engine.kernels.searchPackedScratch(this.d, M, M2, nprobe, tables, k));
  }

  protected scan(
    queries: number,
    nq: number,
    k: number,
    probes: number,
    coarse: number,
    nprobe: number,
    atLeast: number,
    distances: number,
    slots: number,
  ): void {
    const { engine, d, metric, lists } = this;
    const { M, M2, bbs } = this.#layout;
    const top = engine.scratchTop;
    const scratch = engine.takeScratch(this.scanScratchBytes(nq, k, nprobe));
    engine.kernels.searchPacked(
      queries,
      nq,
      d,
      metric,
      M,
      M2,
      this.#quantizer.transposed,
      true,
      bbs,
      probes,
      nprobe,
      atLeast,
      this.maxCodes,
      this.#residual ? this.#centroidRows : 0,
      coarse,
      lists.starts,
      lists.sizes,
      lists.codes,
      lists.ids,
      k,
      distances,
      slots,
      scratch,
    );
    engine.returnScratch(top);
  }

  override decodeScratch(n: number): number {
    return this.#quantizer.decodeScratch(n);
  }

  decode(slots: number, n: number, out: number): void {
    const { engine, d, lists } = this;
    this.#quantizer.decode(this.#layout, lists.codes, slots, n, out);
    if (!this.#residual) return;
    const { f32, i32 } = engine;
    for (let i = 0; i < n; i++) {
      const slot = i32[(slots >>> 2) + i];
      if (slot < 0) continue;
      const centroid = (this.#centroidRows >>> 2) + lists.listOf(slot) * d;
      for (let j = 0; j < d; j++) f32[(out >>> 2) + i * d + j] += f32[centroid + j];
    }
  }

  protected get bodyBytes(): number {
    return 1 + 8 + 4 + 8 + 4 + 8 + this.#quantizer.fileBytes + blockListsBytes(this.lists);
  }

  protected writeBody(writer: Writer): void {
    const { M2, bbs } = this.#layout;
    writer.bool(this.#residual);
    writer.i64(this.#quantizer.codeBytes);
    writer.i32(bbs);
    writer.i64(M2);
    writer.i32(0); // implem: chosen at run time
    writer.i64(0); // qbs2: likewise
    this.#quantizer.write(writer);
    writeBlockLists(writer, this.lists, this.#layout);
  }

  /** Reads what follows the fourcc IwPf. */
  static async read(reader: Reader, engine: Engine, readNode: NodeReader): Promise<IvfPqFastScanNode> {
    const header = await IvfNode.readHeader(reader, engine, readNode);
    const residual = await reader.bool("by_residual");
    const codeBytes = await reader.i64("code_size");
    const bbs = await readBbs(reader);
    const M2 = await reader.i64("M2");
    await reader.zero("implem", () => reader.i32("implem"));
    await reader.zero("qbs2", () => reader.i64("qbs2"));
    const quantizer = await ProductQuantizer.read(reader, engine, header.d, 4);
    const layout = new PackedLayout(quantizer.M, bbs);
    if (M2 !== layout.M2 || codeBytes !== quantizer.codeBytes) {
      reader.wrong("code_size or M2", 0, `is ${codeBytes} or ${M2}, with M = ${layout.M}`);
    }
    const lists = await readBlockLists(reader, engine, header.nlist, layout, header.ntotal);
    const { coarse, nlist, metric } = header;
    const node = new IvfPqFastScanNode(coarse, nlist, metric, quantizer, layout, residual, lists);
    node.restore(header, reader);
    if (node.isTrained) node.#keepCentroids();
    return node;
  }

  /** Where centroid c stands: at row c. */
  get #centroidRows(): number {
    return this.#centroids !== 0 ? this.#centroids : this.coarse.rows;
  }

  /** Residuals want the centroids as rows by the numbers of their lists. */
  #keepCentroids(): void {
    const { engine, coarse, nlist, d } = this;
    if (!this.#residual || coarse instanceof FlatNode) return;
    const centroids = engine.allocate(nlist * d * 4);
    engine.reserveScratch(scratchSize(4) + coarse.decodeScratch(1));
    const slot = engine.takeScratch(4);
    for (let list = 0; list < nlist; list++) {
      engine.i32[slot >>> 2] = coarse.slotOf(list);
      coarse.decode(slot, 1, centroids + list * d * 4);
    }
    this.#centroids = centroids;
  }

  #dropCentroids(): void {
    this.engine.release(this.#centroids);
    this.#centroids = 0;
  }

  /** Vectors less the centroids of their cells. */
  #less(vectors: Float32Array, cells: Int32Array): Float32Array {
    const { d } = this;
    const rest = new Float32Array(vectors.length);
    const { f32 } = this.engine;
    const centroids = this.#centroidRows >>> 2;
    for (let i = 0; i < cells.length; i++) {
      for (let j = 0; j < d; j++) rest[i * d + j] = vectors[i * d + j] - f32[centroids + cells[i] * d + j];
    }
    return rest;
  }
}
