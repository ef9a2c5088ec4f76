import type { Metric } from "../api.js";
import { fail } from "../errors.js";
import type { IndexTree } from "./tree.js";
import type { Reader } from "../format/reader.js";
import type { Writer } from "../format/writer.js";
import { ProductQuantizer } from "../quantizers/product.js";
import { PackedLayout } from "../storage/packed-codes.js";
import { Rows } from "../storage/rows.js";
import type { Pace } from "../work/pace.js";
import type { Engine } from "../wasm/engine.js";
import { scratchSize } from "../wasm/engine.js";
import { HEADER_BYTES, readHeader, writeHeader } from "./header.js";
import { checkFinite, IndexNode } from "./node.js";
import type { SearchParams } from "./node.js";

/** Vectors encoded between two steps of an add. */
const CHUNK = 64;
/** Blocks of more vectors than these no file has for good reason. */
const MAX_BBS = 1 << 16;
/** Sub-quantizers from which on faiss' unguarded sums could leave 16 bits: 257 x 255 = 65535. */
const UNGUARDED = 257;

/** All vectors as packed 4-bit codes, scanned from one end to the other: `PQ128x4fs`. */
export class PqFastScanNode extends IndexNode {
  isTrained = false;
  /** Codes have no rows of floats. */
  readonly rows = 0;
  readonly quantizer: ProductQuantizer;
  readonly #layout: PackedLayout;
  readonly #blocks: Rows;
  #ntotal = 0;
  /** The start and the size of the one list there is, u32 each, for the kernel. */
  readonly #list: number;

  constructor(metric: Metric, quantizer: ProductQuantizer, layout: PackedLayout, engine: Engine, blocks?: Rows) {
    super(engine, quantizer.d, metric);
    this.quantizer = quantizer;
    this.#layout = layout;
    this.#blocks = blocks ?? new Rows(engine, layout.blockBytes);
    this.#list = engine.allocate(8);
  }

  get tree(): IndexTree {
    return { kind: "pqfs", m: this.#layout.M, residual: false, bbs: this.#layout.bbs };
  }

  get ntotal(): number {
    return this.#ntotal;
  }

  async train(vectors: Float32Array, seed: number, pace: Pace): Promise<void> {
    if (this.isTrained) return;
    await this.quantizer.train(vectors, seed, pace);
    this.isTrained = true;
  }

  async add(vectors: Float32Array, ids: BigInt64Array | undefined, pace: Pace): Promise<void> {
    if (ids !== undefined) {
      fail("ERR_UNSUPPORTED", `this index numbers its vectors itself: make an "IDMap,…" to give ids of your own`);
    }
    const { engine, d } = this;
    const n = vectors.length / d;
    if (n === 0) return;
    const numbers = await quantizeAll(engine, this.quantizer, vectors.slice(), pace);
    const layout = this.#layout;
    const blocks = layout.roundUp(this.#ntotal + n) / layout.bbs - this.#blocks.count;
    const slots = new Int32Array(n).map((_, i) => this.#ntotal + i);
    const at = this.#blocks.reserve(blocks);
    layout.reserveScratch(engine);
    engine.u8.fill(0, at, at + blocks * layout.blockBytes);
    this.#blocks.grow(blocks);
    layout.pack(engine, numbers, slots, this.#blocks.address);
    this.#ntotal += n;
  }

  scratchBytes(nq: number, k: number): number {
    const { M, M2 } = this.#layout;
    return 2 * scratchSize(nq * 4) + scratchSize(this.engine.kernels.searchPackedScratch(this.d, M, M2, 1, 1, k));
  }

  search(queries: number, nq: number, k: number, _params: SearchParams, distances: number, slots: number): void {
    const { engine, d, metric } = this;
    const { M, M2, bbs } = this.#layout;
    const top = engine.scratchTop;
    const probes = engine.takeScratch(nq * 4);
    const scratch = engine.takeScratch(engine.kernels.searchPackedScratch(d, M, M2, 1, 1, k));
    engine.i32.fill(0, probes >>> 2, (probes >>> 2) + nq);
    engine.u32[this.#list >>> 2] = 0;
    engine.u32[(this.#list >>> 2) + 1] = this.#ntotal;
    engine.kernels.searchPacked(
      queries,
      nq,
      d,
      metric,
      M,
      M2,
      this.quantizer.transposed,
      M > UNGUARDED,
      bbs,
      probes,
      1,
      1,
      0,
      0,
      0,
      this.#list,
      this.#list + 4,
      this.#blocks.address,
      0,
      k,
      distances,
      slots,
      scratch,
    );
    engine.returnScratch(top);
  }

  slotOf(label: number | bigint): number {
    return label >= 0 && label < this.#ntotal ? Number(label) : -1;
  }

  override decodeScratch(n: number): number {
    return this.quantizer.decodeScratch(n);
  }

  decode(slots: number, n: number, out: number): void {
    this.quantizer.decode(this.#layout, this.#blocks.address, slots, n, out);
  }

  removeIds(drop: (label: bigint) => boolean): number {
    const { engine } = this;
    const layout = this.#layout;
    let kept = 0;
    for (let slot = 0; slot < this.#ntotal; slot++) {
      if (drop(BigInt(slot))) continue;
      if (kept !== slot) layout.move(engine, slot, kept, this.#blocks.address);
      kept++;
    }
    const removed = this.#ntotal - kept;
    if (removed === 0) return 0;
    this.#ntotal = kept;
    const blocks = layout.roundUp(kept) / layout.bbs;
    this.#blocks.filter((block) => block < blocks);
    layout.clearTail(engine, this.#blocks.address, kept);
    return removed;
  }

  reset(): void {
    this.#blocks.clear();
    this.#ntotal = 0;
  }

  override untrain(): void {
    this.reset();
    this.quantizer.clear();
    this.isTrained = false;
  }

  get fileBytes(): number {
    return HEADER_BYTES + this.quantizer.fileBytes + 3 * 4 + 3 * 8 + this.#blocks.bytes().length;
  }

  write(writer: Writer): void {
    const { M2, bbs } = this.#layout;
    writeHeader(writer, "IPfs", this);
    this.quantizer.write(writer);
    writer.i32(0); // implem: chosen at run time
    writer.i32(bbs);
    writer.i32(0); // qbs: likewise
    writer.i64(this.#layout.roundUp(this.#ntotal));
    writer.i64(M2);
    writer.i64(this.#blocks.bytes().length);
    writer.raw(this.#blocks.bytes());
  }

  /** Reads what follows the fourcc IPfs. */
  static async read(reader: Reader, engine: Engine): Promise<PqFastScanNode> {
    const { d, ntotal, isTrained, metric } = await readHeader(reader);
    const quantizer = await ProductQuantizer.read(reader, engine, d, 4);
    await reader.zero("implem", () => reader.i32("implem"));
    const layout = new PackedLayout(quantizer.M, await readBbs(reader));
    await reader.zero("qbs", () => reader.i32("qbs"));
    const rounded = await reader.count("ntotal2", Number.MAX_SAFE_INTEGER);
    if (rounded !== layout.roundUp(ntotal)) reader.wrong("ntotal2", 8, `is ${rounded}, not ${layout.roundUp(ntotal)}`);
    const M2 = await reader.i64("M2");
    if (M2 !== layout.M2) reader.wrong("M2", 8, `is ${M2}, not ${layout.M2}`);
    const bytes = (rounded / layout.bbs) * layout.blockBytes;
    await reader.expectVector("codes", 1, bytes);
    const address = bytes === 0 ? 0 : await reader.block(engine, "codes", bytes);
    const blocks = new Rows(engine, layout.blockBytes, address, rounded / layout.bbs);
    const node = new PqFastScanNode(metric, quantizer, layout, engine, blocks);
    if (!isTrained && ntotal > 0) reader.wrong("is_trained", 0, `says no, and there are ${ntotal} vectors`);
    node.#ntotal = ntotal;
    node.isTrained = isTrained;
    return node;
  }
}

/** Reads the vectors of a block. */
export async function readBbs(reader: Reader): Promise<number> {
  const bbs = await reader.i32("bbs");
  if (bbs < 32 || bbs % 32 !== 0 || bbs > MAX_BBS)
    reader.wrong("bbs", 4, `is ${bbs}, no multiple of 32 up to ${MAX_BBS}`);
  return bbs;
}

/** The numbers of n x d vectors, n x M bytes. Rejects with ERR_NOT_FINITE for the first NaN or infinity. */
export async function quantizeAll(
  engine: Engine,
  quantizer: ProductQuantizer,
  vectors: Float32Array,
  pace: Pace,
): Promise<Uint8Array> {
  const { d, M } = quantizer;
  const n = vectors.length / d;
  const numbers = new Uint8Array(n * M);
  for (let i = 0; i < n; i += CHUNK) {
    const count = Math.min(CHUNK, n - i);
    engine.reserveScratch(scratchSize(count * d * 4) + scratchSize(count * M));
    const rows = engine.takeScratch(count * d * 4);
    const out = engine.takeScratch(count * M);
    engine.f32.set(vectors.subarray(i * d, (i + count) * d), rows >>> 2);
    checkFinite(engine, rows, count, d, i);
    quantizer.quantize(rows, count, out);
    numbers.set(engine.u8.subarray(out, out + count * M), i * M);
    await pace.step("encode", i + count, n);
  }
  return numbers;
}
