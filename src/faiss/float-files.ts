import { METRIC_L2 } from "../api.js";
import type { Metric } from "../api.js";
import { FloatCode } from "../codes/float.js";
import type { Reader } from "../format/reader.js";
import { readHeader } from "../indexes/header.js";
import { ListIndex } from "../indexes/list-index.js";
import type { Wire } from "../indexes/list-index.js";
import type { NodeReader } from "../indexes/node.js";
import { Lists } from "../lists/lists.js";
import type { Engine } from "../wasm/engine.js";
import { readLists, readOldLists, writeLists } from "./array-lists.js";
import { readIvfHeader } from "./ivf-header.js";

/** `Flat`: header, rows. `IxFl` stands for any metric and is kept where a file has it. */
export function flatWire(fourcc: string): Wire {
  return {
    fourcc,
    writeBody({ lists, ntotal, d }, writer) {
      writer.i64(ntotal * d);
      writer.raw(lists.bytes(0).codes);
    },
  };
}

/** The fourcc of a Flat that was made here. */
export function flatFourcc(metric: Metric): string {
  return metric === METRIC_L2 ? "IxF2" : "IxFI";
}

/** `IVFn,Flat`: what RVC writes. */
export const ivfFlatWire: Wire = {
  fourcc: "IwFl",
  writeBody: ({ lists }, writer) => writeLists(writer, lists),
};

/** Reads what follows the fourcc IxF2, IxFI or IxFl. */
export async function readFlat(reader: Reader, engine: Engine, fourcc: string): Promise<ListIndex> {
  const { d, ntotal, isTrained, metric } = await readHeader(reader);
  await reader.vectorCount("codes", 4, ntotal * d);
  const code = new FloatCode(engine, d, metric);
  const lists = new Lists(engine, 0, code.layout);
  if (ntotal > 0 && reader.deferral?.rows === true) deferRows(reader, engine, lists, ntotal, d);
  else if (ntotal > 0) lists.adopt(await reader.block(engine, "codes", ntotal * d * 4), 0, Uint32Array.of(ntotal));
  const index = new ListIndex(code, undefined, flatWire(fourcc), lists);
  // faiss' number for "trained" is a bit that a file may also have unset.
  index.restore({ isTrained });
  return index;
}

/** Bytes of rows that come together when one of them is wanted: what a request costs beside its bytes at 20 Mbit/s. */
const ROWS_BYTES = 1 << 15;

/** Makes room for rows that come later, some at a time; what is compared with them before is zeros. */
function deferRows(reader: Reader, engine: Engine, lists: Lists, ntotal: number, d: number): void {
  const address = engine.allocate(ntotal * d * 4);
  lists.adopt(address, 0, Uint32Array.of(ntotal));
  const rows = Math.max(1, Math.floor(ROWS_BYTES / (d * 4)));
  for (let row = 0; row < ntotal; row += rows) {
    const bytes = Math.min(rows, ntotal - row) * d * 4;
    reader.defer(`rows from ${row} on`, bytes, row, (arrived) => engine.u8.set(arrived, lists.codes + row * d * 4));
  }
}

/** Reads what follows the fourcc IwFl, or one of the older IvFl (codes counted in floats) and IvFL (in bytes). */
export async function readIvfFlat(
  reader: Reader,
  engine: Engine,
  fourcc: string,
  readNode: NodeReader,
): Promise<ListIndex> {
  const header = await readIvfHeader(reader, engine, readNode, fourcc);
  const code = new FloatCode(engine, header.d, header.metric);
  const { ids, ntotal } = header;
  const lists = fourcc.startsWith("Iv")
    ? await readOldLists(reader, engine, ids, code.layout, ntotal, fourcc === "IvFl" ? 4 : 1)
    : await readLists(reader, engine, header.coarse.nlist, code.layout, ntotal);
  reader.check(() => header.directMap.check(lists, header.ntotal, reader));
  const index = new ListIndex(code, header.coarse, ivfFlatWire, lists);
  index.restore(header);
  return index;
}
