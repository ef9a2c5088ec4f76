import { FactoredCode, UNBIASED } from "../codes/factored.js";
import type { FactoredKind } from "../codes/factored.js";
import type { Reader } from "../format/reader.js";
import type { Writer } from "../format/writer.js";
import { readHeader } from "../indexes/header.js";
import type { ListIndex, Wire } from "../indexes/list-index.js";
import type { NodeReader } from "../indexes/node.js";
import type { Engine } from "../wasm/engine.js";
import type { Metric } from "../api.js";
import { readLists, writeLists } from "./array-lists.js";
import { readIvfHeader } from "./ivf-header.js";
import { indexOf, readRows, writeRows } from "./row-files.js";

// Files of RaBitQ and EDEN, faiss 1.14 and later.

/** Writes d, bytes of a code and metric; of RaBitQ of several bits the bits, of EDEN bits and scale. */
export function writeQuantizer({ d, layout, metric, kind }: FactoredCode, writer: Writer): void {
  writer.i64(d);
  writer.i64(layout.fileBytes);
  writer.i32(metric);
  if (kind.name === "eden" || kind.bits > 1 || kind.bbs > 0) writer.i64(kind.bits);
  if (kind.name === "eden") writer.i32(kind.scale);
}

/** Reads what {@link writeQuantizer} writes, and makes the code of it. The bits of a query follow later. */
export async function readQuantizer(
  reader: Reader,
  engine: Engine,
  fourcc: string,
  d: number,
  metric: Metric,
  inverted: boolean,
): Promise<FactoredCode> {
  const eden = fourcc.includes("E");
  const givenD = await reader.i64("d of the quantizer");
  if (givenD !== d) reader.wrong("d of the quantizer", 8, `is ${givenD}, not ${d}`);
  const at = reader.offset;
  const bytes = await reader.i64("code_size of the quantizer");
  const givenMetric = await reader.i32("metric of the quantizer");
  if (givenMetric !== metric) reader.wrong("metric of the quantizer", 4, `is ${givenMetric}, not ${metric}`);
  const bits = eden || /[rn]$/.test(fourcc) ? await reader.i64("bits") : 1;
  const most = eden ? 8 : 9;
  if (!(bits >= 1 && bits <= most)) reader.wrong("bits", 8, `is ${bits}, not from 1 to ${most}`);
  let kind: FactoredKind = { name: "rabitq", bits, queryBits: 0, bbs: 0 };
  if (eden) {
    // The older fourcc, ending in d, has no scale; 0 stands for the default.
    const scale = fourcc.endsWith("e") ? (await reader.i32("scale_type")) || UNBIASED : UNBIASED;
    if (scale !== 1 && scale !== 2) reader.wrong("scale_type", 4, `is ${scale}, not 1 or 2`);
    kind = { name: "eden", bits, scale };
  }
  const code = new FactoredCode(engine, d, metric, kind, inverted);
  if (bytes !== code.layout.fileBytes) {
    reader.wrong("code_size of the quantizer", reader.offset - at, `is ${bytes}, not ${code.layout.fileBytes}`);
  }
  return code;
}

/** `RaBitQ`, `EDEN4`: header, quantizer, rows, centre, and of RaBitQ the bits of a query. */
export function factoredWire(code: FactoredCode): Wire {
  const { kind, layout } = code;
  const rabitq = kind.name === "rabitq";
  return {
    fourcc: rabitq ? (kind.bits === 1 ? "Ixrq" : "Ixrr") : "IxEe",
    writeBody(index, writer) {
      writeQuantizer(code, writer);
      writeRows(index, layout, writer);
      writeCentre(code, writer);
      if (kind.name === "rabitq") writer.u8(kind.queryBits);
    },
  };
}

/** `IVFn,RaBitQ`, `IVFn,EDEN4`: behind the direct map, quantizer, bytes of a code, whether of residuals (it always is), lists. */
export function ivfFactoredWire(code: FactoredCode): Wire {
  const { kind, layout } = code;
  const rabitq = kind.name === "rabitq";
  return {
    fourcc: rabitq ? (kind.bits === 1 ? "Iwrq" : "Iwrr") : "IwEe",
    writeBody({ lists }, writer) {
      writeQuantizer(code, writer);
      writer.i64(layout.fileBytes);
      writer.bool(true);
      if (kind.name === "rabitq") writer.u8(kind.queryBits);
      writeLists(writer, lists);
    },
  };
}

export async function readQueryBits(reader: Reader, code: FactoredCode): Promise<void> {
  const queryBits = await reader.u8("qb");
  if (queryBits > 8) reader.wrong("qb", 1, `is ${queryBits}, not from 0 to 8`);
  if (code.kind.name === "rabitq") code.kind.queryBits = queryBits;
}

/** Reads what follows the fourcc Ixrq or Ixrr. */
export async function readRabitq(reader: Reader, engine: Engine, fourcc: string): Promise<ListIndex> {
  return readFactored(reader, engine, fourcc);
}

/** Reads what follows the fourcc IxEe or IxEd. */
export async function readEden(reader: Reader, engine: Engine, fourcc: string): Promise<ListIndex> {
  return readFactored(reader, engine, fourcc);
}

/** Writes the centre, or that there is none. */
export function writeCentre({ centre }: FactoredCode, writer: Writer): void {
  writer.i64(centre?.length ?? 0);
  if (centre !== undefined) writer.raw(new Uint8Array(centre.buffer, centre.byteOffset, centre.byteLength));
}

/** Reads a centre, which only what is not trained may go without. */
export async function readCentre(reader: Reader, code: FactoredCode, isTrained: boolean): Promise<void> {
  const { d } = code;
  const items = await reader.vectorCount("center", 4);
  if (items !== d && (items !== 0 || isTrained)) reader.wrong("center", 8, `has ${items} items, not ${d}`);
  if (items > 0) code.setCentre(new Float32Array((await reader.bytes("center", d * 4)).buffer));
}

async function readFactored(reader: Reader, engine: Engine, fourcc: string): Promise<ListIndex> {
  const { d, ntotal, isTrained, metric } = await readHeader(reader);
  const code = await readQuantizer(reader, engine, fourcc, d, metric, false);
  const lists = await readRows(reader, engine, code.layout, ntotal);
  await readCentre(reader, code, isTrained);
  if (code.kind.name === "rabitq") await readQueryBits(reader, code);
  return indexOf(code, { isTrained, ntotal }, factoredWire(code), lists);
}

/** Reads what follows the fourcc Iwrq, Iwrr, IwEe or IwEd. */
export async function readIvfFactored(
  reader: Reader,
  engine: Engine,
  fourcc: string,
  readNode: NodeReader,
): Promise<ListIndex> {
  const header = await readIvfHeader(reader, engine, readNode);
  const { coarse, d, metric, ntotal } = header;
  const code = await readQuantizer(reader, engine, fourcc, d, metric, true);
  const bytes = await reader.i64("code_size");
  if (bytes !== code.layout.fileBytes) reader.wrong("code_size", 8, `is ${bytes}, not ${code.layout.fileBytes}`);
  await reader.bool("by_residual");
  if (code.kind.name === "rabitq") await readQueryBits(reader, code);
  const lists = await readLists(reader, engine, coarse.nlist, code.layout, ntotal);
  reader.check(() => header.directMap.check(lists, ntotal, reader));
  return indexOf(code, header, ivfFactoredWire(code), lists);
}
