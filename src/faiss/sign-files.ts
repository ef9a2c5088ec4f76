import type { FactoredCode } from "../codes/factored.js";
import { fail } from "../errors.js";
import type { Reader } from "../format/reader.js";
import type { Writer } from "../format/writer.js";
import { readHeader } from "../indexes/header.js";
import type { ListIndex, Wire } from "../indexes/list-index.js";
import type { NodeReader } from "../indexes/node.js";
import { Lists } from "../lists/lists.js";
import type { Engine } from "../wasm/engine.js";
import { readBlockLists, writeBlockLists } from "./block-lists.js";
import type { RowBlocks } from "./block-lists.js";
import { readCentre, readQuantizer, readQueryBits, writeCentre, writeQuantizer } from "./factored-files.js";
import { readIvfHeader } from "./ivf-header.js";
import { NO_CHOICE, readBbs } from "./packed-files.js";
import type { Choice } from "./packed-files.js";
import { indexOf } from "./row-files.js";

// Files of RaBitQfs, faiss 1.15: RaBitQ's rows, cut into blocks of `bbs` vectors. A block has the signs of all first, packed as numbers of 4
// bits for FastScan (assembly/fastscan.ts has the picture), then what follows the signs in each row, row by row.
//
//     | signs of bbs vectors: bbs x ceil(d / 8) | factors and further bits of vector 0 | of vector 1 | … |

/** Vectors of which 16 have the low half of the bytes and 16 the high one. */
const GROUP = 32;

/** What is between rows and such blocks. */
function signBlocks({ d, kind, layout }: FactoredCode): RowBlocks {
  const perBlock = kind.name === "rabitq" ? kind.bbs : 1;
  const rowBytes = layout.fileBytes;
  const signBytes = Math.ceil(d / 8);
  const blockBytes = perBlock * rowBytes;
  const each = (n: number, take: (row: number, signs: number, rest: number, shift: number) => void): void => {
    for (let i = 0; i < n; i++) {
      const inBlock = i % perBlock;
      const block = ((i - inBlock) / perBlock) * blockBytes;
      const v = inBlock % 16;
      const signs = block + inBlock - (inBlock % GROUP) + (v < 8 ? 2 * v : 2 * v - 15);
      const rest = block + perBlock * signBytes + inBlock * (rowBytes - signBytes);
      take(i * rowBytes, signs, rest, inBlock % GROUP < GROUP / 2 ? 0 : 4);
    }
  };
  return {
    perBlock,
    blockBytes,
    toRows(blocks, n) {
      const rows = new Uint8Array(n * rowBytes);
      each(n, (row, signs, rest, shift) => {
        for (let b = 0; b < signBytes; b++) {
          const at = signs + b * perBlock;
          rows[row + b] = ((blocks[at] >> shift) & 15) | (((blocks[at + GROUP / 2] >> shift) & 15) << 4);
        }
        rows.set(blocks.subarray(rest, rest + rowBytes - signBytes), row + signBytes);
      });
      return rows;
    },
    toBlocks(rows) {
      const n = rows.length / rowBytes;
      const blocks = new Uint8Array(Math.ceil(n / perBlock) * blockBytes);
      each(n, (row, signs, rest, shift) => {
        for (let b = 0; b < signBytes; b++) {
          const at = signs + b * perBlock;
          blocks[at] |= (rows[row + b] & 15) << shift;
          blocks[at + GROUP / 2] |= (rows[row + b] >> 4) << shift;
        }
        blocks.set(rows.subarray(row + signBytes, row + rowBytes), rest);
      });
      return blocks;
    },
  };
}

/** Sub-quantizers of 4 dimensions, in pairs. */
function pairedParts(d: number): number {
  return Math.ceil(d / 8) * 2;
}

/** `RaBitQfs`: header, quantizer, centre, bits of a query, how signs are packed, blocks. */
export function signBlocksWire(code: FactoredCode): Wire {
  const { d, kind, layout } = code;
  return {
    fourcc: "Irfn",
    writeBody({ lists }, writer) {
      const blocks = signBlocks(code);
      writeQuantizer(code, writer);
      writeCentre(code, writer);
      writeQueryBits(kind, writer);
      writer.i32(blocks.perBlock);
      writer.i64(Math.ceil(lists.count / blocks.perBlock) * blocks.perBlock);
      writer.i64(pairedParts(d));
      writer.i64(layout.fileBytes);
      const codes = blocks.toBlocks(lists.count > 0 ? lists.bytes(0).codes : new Uint8Array(0));
      writer.i64(codes.length);
      writer.raw(codes);
    },
  };
}

/** `IVFn,RaBitQfs`: behind the direct map, quantizer, whether of residuals (it always is), how signs are packed, bits of a query, lists. */
export function ivfSignBlocksWire(code: FactoredCode, { implem, qbs }: Choice = NO_CHOICE): Wire {
  const { d, kind, layout } = code;
  return {
    fourcc: "Iwrn",
    writeBody({ lists }, writer) {
      const blocks = signBlocks(code);
      writeQuantizer(code, writer);
      writer.bool(true);
      writer.i64(layout.fileBytes);
      writer.i32(blocks.perBlock);
      writer.i64(qbs);
      writer.i64(pairedParts(d));
      writer.i32(implem);
      writeQueryBits(kind, writer);
      writer.bool(false);
      writeBlockLists(writer, lists, blocks);
    },
  };
}

function writeQueryBits(kind: FactoredCode["kind"], writer: Writer): void {
  if (kind.name === "rabitq") writer.u8(kind.queryBits);
}

/** Reads what follows the fourcc Irfn. */
export async function readSignBlocks(reader: Reader, engine: Engine): Promise<ListIndex> {
  const { d, ntotal, isTrained, metric } = await readHeader(reader);
  const code = await readQuantizer(reader, engine, "Irfn", d, metric, false);
  await readCentre(reader, code, isTrained);
  await readBits(reader, code);
  await readPacking(reader, code);
  const blocks = signBlocks(code);
  const whole = Math.ceil(ntotal / blocks.perBlock);
  const rounded = await reader.i64("ntotal2");
  if (rounded !== whole * blocks.perBlock) reader.wrong("ntotal2", 8, `is ${rounded}, not ${whole * blocks.perBlock}`);
  await expectSizes(reader, code, ["M2", "code_size"]);
  await reader.expectVector("codes", 1, whole * blocks.blockBytes);
  const lists = new Lists(engine, 0, code.layout);
  if (ntotal > 0) {
    const [bytes, rowBytes] = [whole * blocks.blockBytes, code.layout.fileBytes];
    const codes = reader.growing(engine, "codes", bytes);
    for (let done = 0; done < whole; done++) {
      const n = Math.min(blocks.perBlock, ntotal - done * blocks.perBlock);
      const rows = blocks.toRows(await reader.bytes("codes", blocks.blockBytes), n);
      for (let at = 0; at < rows.length;) {
        const { address, room } = codes.to(done * blocks.blockBytes + at);
        const part = rows.subarray(at, at + Math.min(room, rows.length - at));
        engine.u8.set(part, address);
        at += part.length;
      }
    }
    lists.adopt(engine.resize(codes.address, bytes, ntotal * rowBytes), 0, Uint32Array.of(ntotal));
  }
  return indexOf(code, { isTrained, ntotal }, signBlocksWire(code), lists);
}

/** Reads what follows the fourcc Iwrn. */
export async function readIvfSignBlocks(reader: Reader, engine: Engine, readNode: NodeReader): Promise<ListIndex> {
  const header = await readIvfHeader(reader, engine, readNode);
  const { coarse, d, metric, ntotal } = header;
  const code = await readQuantizer(reader, engine, "Iwrn", d, metric, true);
  await reader.bool("by_residual");
  await expectSizes(reader, code, ["code_size"]);
  await readPacking(reader, code);
  const [qbs] = await reader.i64s("qbs2", 1);
  await expectSizes(reader, code, ["M2"]);
  const implem = await reader.i32("implem");
  await readBits(reader, code);
  if (await reader.bool("centered"))
    fail("ERR_UNSUPPORTED", "the file's RaBitQfs rounds queries around 0 (centered), which is not built here");
  const lists = await readBlockLists(reader, engine, coarse.nlist, code.layout, ntotal, signBlocks(code));
  header.directMap.check(lists, ntotal, reader);
  return indexOf(code, header, ivfSignBlocksWire(code, { implem, qbs }), lists);
}

async function readPacking(reader: Reader, { kind }: FactoredCode): Promise<void> {
  const bbs = await readBbs(reader);
  if (kind.name === "rabitq") kind.bbs = bbs;
}

async function readBits(reader: Reader, code: FactoredCode): Promise<void> {
  await readQueryBits(reader, code);
  if (code.kind.name === "rabitq" && code.kind.queryBits === 0) reader.wrong("qb", 1, "is 0, not from 1 to 8");
}

async function expectSizes(
  reader: Reader,
  { d, layout }: FactoredCode,
  fields: readonly ("M2" | "code_size")[],
): Promise<void> {
  for (const field of fields) {
    const expected = field === "M2" ? pairedParts(d) : layout.fileBytes;
    const given = await reader.i64(field);
    if (given !== expected) reader.wrong(field, 8, `is ${given}, not ${expected}`);
  }
}
