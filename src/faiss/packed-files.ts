import { PackedPqCode } from "../codes/packed-pq.js";
import type { Reader } from "../format/reader.js";
import { readHeader } from "../indexes/header.js";
import { ListIndex } from "../indexes/list-index.js";
import type { Wire } from "../indexes/list-index.js";
import type { NodeReader } from "../indexes/node.js";
import { PackedLayout } from "../lists/layout.js";
import { Lists } from "../lists/lists.js";
import { ProductQuantizer } from "../quantizers/product.js";
import type { Engine } from "../wasm/engine.js";
import { readBlockLists, writeBlockLists } from "./block-lists.js";
import { readIvfHeader } from "./ivf-header.js";

/** Blocks of more vectors than these no file has for good reason. */
const MAX_BBS = 1 << 16;

/**
 * Which of faiss' kernels a file asks for: 0, "choose at run time", in those made the normal way. They find the same, so that ours is
 * always the same; the fields are kept and written back.
 */
export interface Choice {
  implem: number;
  /** How queries are grouped: 32 bits in PQ…x4fs, 64 behind a coarse quantizer. */
  qbs: bigint;
}

export const NO_CHOICE: Choice = { implem: 0, qbs: 0n };

/** `PQ…x4fs`: header, quantizer, how codes are packed, blocks. */
export function packedWire(code: PackedPqCode, { implem, qbs }: Choice = NO_CHOICE): Wire {
  const { quantizer, layout } = code;
  return {
    fourcc: "IPfs",
    writeBody({ lists, ntotal }, writer) {
      quantizer.write(writer);
      writer.i32(implem);
      writer.i32(layout.bbs);
      writer.i32(Number(qbs));
      writer.i64(Math.ceil(ntotal / layout.bbs) * layout.bbs);
      writer.i64(layout.M2);
      const bytes = Math.ceil(ntotal / layout.bbs) * layout.fileBytes;
      writer.i64(bytes);
      writer.raw(lists.bytes(0).codes.subarray(0, bytes));
    },
  };
}

/** `IVFn,PQ…x4fs`: behind the direct map, how codes are packed, quantizer, lists. */
export function ivfPackedWire(code: PackedPqCode, { implem, qbs }: Choice = NO_CHOICE): Wire {
  const { quantizer, layout, residual } = code;
  return {
    fourcc: "IwPf",
    writeBody({ lists }, writer) {
      writer.bool(residual);
      writer.i64(quantizer.codeBytes);
      writer.i32(layout.bbs);
      writer.i64(layout.M2);
      writer.i32(implem);
      writer.i64(qbs);
      quantizer.write(writer);
      writeBlockLists(writer, lists);
    },
  };
}

/** Reads what follows the fourcc IPfs. */
export async function readPacked(reader: Reader, engine: Engine): Promise<ListIndex> {
  const { d, ntotal, isTrained, metric } = await readHeader(reader);
  if (!isTrained && ntotal > 0) reader.wrong("is_trained", 5, `says no, and there are ${ntotal} vectors`);
  const quantizer = await ProductQuantizer.read(reader, engine, d, 4, 4);
  const implem = await reader.i32("implem");
  const layout = new PackedLayout(quantizer, await readBbs(reader), true);
  const qbs = BigInt(await reader.i32("qbs"));
  const rounded = await reader.count("ntotal2", Number.MAX_SAFE_INTEGER);
  const blocks = Math.ceil(ntotal / layout.bbs);
  if (rounded !== blocks * layout.bbs) reader.wrong("ntotal2", 8, `is ${rounded}, not ${blocks * layout.bbs}`);
  const M2 = await reader.i64("M2");
  if (M2 !== layout.M2) reader.wrong("M2", 8, `is ${M2}, not ${layout.M2}`);
  const bytes = blocks * layout.fileBytes;
  await reader.vectorCount("codes", 1, bytes);
  const lists = new Lists(engine, 0, layout);
  if (ntotal > 0) {
    const block = await reader.block(engine, "codes", bytes);
    lists.adopt(layout.arrange(engine, block, blocks), 0, Uint32Array.of(ntotal));
  }
  const code = new PackedPqCode(engine, metric, quantizer, layout, false);
  const index = new ListIndex(code, undefined, packedWire(code, { implem, qbs }), lists);
  index.restore({ isTrained });
  return index;
}

/** Reads what follows the fourcc IwPf. */
export async function readIvfPacked(reader: Reader, engine: Engine, readNode: NodeReader): Promise<ListIndex> {
  const header = await readIvfHeader(reader, engine, readNode);
  const { coarse, d, metric, ntotal } = header;
  const residual = await reader.bool("by_residual");
  const at = reader.offset;
  const codeBytes = await reader.i64("code_size");
  const bbs = await readBbs(reader);
  const M2 = await reader.i64("M2");
  const implem = await reader.i32("implem");
  const [qbs] = await reader.i64s("qbs2", 1);
  const quantizer = await ProductQuantizer.read(reader, engine, d, 4, 4);
  const layout = new PackedLayout(quantizer, bbs, false);
  if (M2 !== layout.M2 || codeBytes !== quantizer.codeBytes) {
    reader.wrong("code_size or M2", reader.offset - at, `is ${codeBytes} or ${M2}, with M = ${layout.M}`);
  }
  const lists = await readBlockLists(reader, engine, coarse.nlist, layout, ntotal);
  header.directMap.check(lists, ntotal, reader);
  const code = new PackedPqCode(engine, metric, quantizer, layout, residual);
  const index = new ListIndex(code, coarse, ivfPackedWire(code, { implem, qbs }), lists);
  index.restore(header);
  return index;
}

/** Reads the vectors of a block. */
export async function readBbs(reader: Reader): Promise<number> {
  const bbs = await reader.i32("bbs");
  if (bbs < 32 || bbs % 32 !== 0 || bbs > MAX_BBS)
    reader.wrong("bbs", 4, `is ${bbs}, no multiple of 32 up to ${MAX_BBS}`);
  return bbs;
}
