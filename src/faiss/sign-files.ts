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
//
// The first faiss that had it wrote blocks of signs only, and what follows the signs apart from them, by id. Later ones read that, and
// write it as above: so do we.

/** Vectors of which 16 have the low half of the bytes and 16 the high one. */
const GROUP = 32;

/**
 * What is between rows and such blocks.
 *
 * @param apart in files of the first kind, what follows the signs of each id
 */
function signBlocks({ d, kind, layout }: FactoredCode, apart?: Uint8Array): RowBlocks {
  const perBlock = kind.name === "rabitq" ? kind.bbs : 1;
  const rowBytes = layout.fileBytes;
  const signBytes = Math.ceil(d / 8);
  const restBytes = rowBytes - signBytes;
  const blockBytes = perBlock * (apart === undefined ? rowBytes : signBytes);
  const each = (n: number, take: (row: number, signs: number, rest: number, shift: number) => void): void => {
    for (let i = 0; i < n; i++) {
      const inBlock = i % perBlock;
      const block = ((i - inBlock) / perBlock) * blockBytes;
      const v = inBlock % 16;
      const signs = block + inBlock - (inBlock % GROUP) + (v < 8 ? 2 * v : 2 * v - 15);
      const rest = block + perBlock * signBytes + inBlock * restBytes;
      take(i * rowBytes, signs, rest, inBlock % GROUP < GROUP / 2 ? 0 : 4);
    }
  };
  return {
    perBlock,
    blockBytes,
    toRows(blocks, n, id) {
      const rows = new Uint8Array(n * rowBytes);
      each(n, (row, signs, rest, shift) => {
        for (let b = 0; b < signBytes; b++) {
          const at = signs + b * perBlock;
          rows[row + b] = ((blocks[at] >> shift) & 15) | (((blocks[at + GROUP / 2] >> shift) & 15) << 4);
        }
        const from = apart ?? blocks;
        const at = apart === undefined ? rest : id(row / rowBytes) * restBytes;
        if (!(at >= 0 && at + restBytes <= from.length))
          fail(
            "ERR_FORMAT",
            `a vector has the id ${at / restBytes}, for which there are no factors: the file is damaged, load it again`,
          );
        rows.set(from.subarray(at, at + restBytes), row + signBytes);
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

/** Reads what follows the fourcc Irfn, or the older Irfs. */
export async function readSignBlocks(reader: Reader, engine: Engine, fourcc: string): Promise<ListIndex> {
  const { d, ntotal, isTrained, metric } = await readHeader(reader);
  const code = await readQuantizer(reader, engine, "Irfn", d, metric, false);
  await readCentre(reader, code, isTrained);
  await readBits(reader, code);
  const apart = fourcc === "Irfs" ? await readApart(reader, code, ntotal) : undefined;
  await readPacking(reader, code);
  const blocks = signBlocks(code, apart);
  const whole = Math.ceil(ntotal / blocks.perBlock);
  const rounded = await reader.i64("ntotal2");
  if (rounded !== whole * blocks.perBlock) reader.wrong("ntotal2", 8, `is ${rounded}, not ${whole * blocks.perBlock}`);
  await expectM2(reader, code);
  await readCodeSize(reader, code, fourcc);
  await reader.vectorCount("codes", 1, whole * blocks.blockBytes);
  const lists = new Lists(engine, 0, code.layout);
  if (ntotal > 0) {
    const rowBytes = code.layout.fileBytes;
    const bytes = Math.max(whole * blocks.blockBytes, ntotal * rowBytes);
    const codes = reader.growing(engine, "codes", bytes, whole * blocks.blockBytes);
    for (let done = 0; done < whole; done++) {
      const first = done * blocks.perBlock;
      const n = Math.min(blocks.perBlock, ntotal - first);
      const rows = blocks.toRows(await reader.bytes("codes", blocks.blockBytes), n, (i) => first + i);
      for (let at = 0; at < rows.length;) {
        const { address, room } = codes.to(first * rowBytes + at);
        const part = rows.subarray(at, at + Math.min(room, rows.length - at));
        engine.u8.set(part, address);
        at += part.length;
      }
    }
    lists.adopt(engine.resize(codes.address, bytes, ntotal * rowBytes), 0, Uint32Array.of(ntotal));
  }
  return indexOf(code, { isTrained, ntotal }, signBlocksWire(code), lists);
}

/** Reads what follows the fourcc Iwrn, or the older Iwrf. */
export async function readIvfSignBlocks(
  reader: Reader,
  engine: Engine,
  fourcc: string,
  readNode: NodeReader,
): Promise<ListIndex> {
  const header = await readIvfHeader(reader, engine, readNode);
  const { coarse, d, metric, ntotal } = header;
  const code = await readQuantizer(reader, engine, "Iwrn", d, metric, true);
  await reader.bool("by_residual");
  await readCodeSize(reader, code, fourcc);
  await readPacking(reader, code);
  const [qbs] = await reader.i64s("qbs2", 1);
  await expectM2(reader, code);
  const implem = await reader.i32("implem");
  await readBits(reader, code);
  if (await reader.bool("centered"))
    fail("ERR_UNSUPPORTED", "the file's RaBitQfs rounds queries around 0 (centered), which is not built here");
  const apart = fourcc === "Iwrf" ? await readApart(reader, code, ntotal) : undefined;
  const lists = await readBlockLists(reader, engine, coarse.nlist, code.layout, ntotal, signBlocks(code, apart));
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

async function expectM2(reader: Reader, { d }: FactoredCode): Promise<void> {
  const given = await reader.i64("M2");
  if (given !== pairedParts(d)) reader.wrong("M2", 8, `is ${given}, not ${pairedParts(d)}`);
}

/** Reads the bytes of a code, which nobody relies on where factors are apart. */
async function readCodeSize(reader: Reader, { layout }: FactoredCode, fourcc: string): Promise<void> {
  const given = await reader.i64("code_size");
  if (fourcc.endsWith("n") && given !== layout.fileBytes)
    reader.wrong("code_size", 8, `is ${given}, not ${layout.fileBytes}`);
}

/** Reads what follows the signs of each id: of more than there are vectors, where some were removed. */
async function readApart(reader: Reader, { d, layout }: FactoredCode, ntotal: number): Promise<Uint8Array> {
  const bytes = await reader.vectorCount("flat_storage", 1);
  const each = layout.fileBytes - Math.ceil(d / 8);
  if (bytes % each !== 0 || bytes < ntotal * each)
    reader.wrong("flat_storage", 8, `has ${bytes} bytes, not ${each} for each of ${ntotal} ids`);
  return reader.bytes("flat_storage", bytes);
}
