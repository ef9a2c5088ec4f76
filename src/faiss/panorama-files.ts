import { METRIC_INNER_PRODUCT, METRIC_L2 } from "../api.js";
import { FloatCode } from "../codes/float.js";
import type { Reader } from "../format/reader.js";
import { ListIndex } from "../indexes/list-index.js";
import type { NodeReader } from "../indexes/node.js";
import { Lists } from "../lists/lists.js";
import type { Engine } from "../wasm/engine.js";
import { readSizes } from "./array-lists.js";
import { flatFourcc, flatWire, ivfFlatWire } from "./float-files.js";
import { readIvfHeader } from "./ivf-header.js";

// Panorama (faiss 1.13 and later): float rows whose components stand level by level within batches, with lengths of what is left over, so
// that a scan can stop early. It finds what a Flat finds, so rows are put together again, and written as a Flat.
//
//     batch of b rows   | level 0 of row 0 | level 0 of row 1 | … | level 1 of row 0 | …      a level: ceil(d / levels) components

/** Rows of a batch before files said how many. */
const OLD_BATCH = 128;
/** faiss reads no larger d. */
const MAX_D = 1 << 20;

/** How rows stand in a Panorama. */
interface Panorama {
  d: number;
  /** Components of a level, but perhaps the last. */
  width: number;
  levels: number;
  batch: number;
}

function panoramaOf(reader: Reader, d: number, levels: number, batch: number): Panorama {
  if (levels < 1 || levels > d) reader.wrong("n_levels", 16, `is ${levels}, not from 1 to ${d}`);
  if (batch < 1) reader.wrong("batch_size", 8, `is ${batch}`);
  const width = Math.ceil(d / levels);
  return { d, width, levels: Math.ceil(d / width), batch };
}

/** Rows with what fills the last batch. */
function slotsOf({ batch }: Panorama, n: number): number {
  return Math.ceil(n / batch) * batch;
}

/** Puts n rows together. */
function rowsOf({ d, width, levels, batch }: Panorama, codes: Uint8Array<ArrayBuffer>, n: number): Uint8Array {
  const rows = new Uint8Array(n * d * 4);
  for (let i = 0; i < n; i++) {
    const start = (i - (i % batch)) * d * 4;
    for (let level = 0; level < levels; level++) {
      const bytes = Math.min(width, d - level * width) * 4;
      const from = start + level * width * 4 * batch + (i % batch) * bytes;
      rows.set(codes.subarray(from, from + bytes), i * d * 4 + level * width * 4);
    }
  }
  return rows;
}

/** Reads what follows the fourcc IxFP (L2) or IxFp (inner product), which have no common header. */
export async function readPanorama(reader: Reader, engine: Engine, fourcc: string): Promise<ListIndex> {
  const d = await reader.i32("d");
  if (d < 1 || d > MAX_D) reader.wrong("d", 4, `is ${d}, not from 1 to ${MAX_D}`);
  const levels = await reader.count("n_levels", Number.MAX_SAFE_INTEGER);
  const panorama = panoramaOf(reader, d, levels, await reader.count("batch_size", 0x7fffffff));
  const ntotal = await reader.count("ntotal", 0x7fffffff);
  const isTrained = await reader.bool("is_trained");
  const slots = slotsOf(panorama, ntotal);
  await reader.vectorCount("codes", 1, slots * d * 4);
  const rows = rowsOf(panorama, await reader.bytes("codes", slots * d * 4), ntotal);
  await reader.vectorCount("cum_sums", 4, slots * (panorama.levels + 1));
  await reader.bytes("cum_sums", slots * (panorama.levels + 1) * 4);
  const metric = fourcc === "IxFP" ? METRIC_L2 : METRIC_INNER_PRODUCT;
  const code = new FloatCode(engine, d, metric);
  const lists = new Lists(engine, 0, code.layout);
  if (ntotal > 0) {
    const address = engine.allocate(rows.length);
    engine.u8.set(rows, address);
    lists.adopt(address, 0, Uint32Array.of(ntotal));
  }
  const index = new ListIndex(code, undefined, flatWire(flatFourcc(metric)), lists);
  index.restore({ isTrained });
  return index;
}

/** Reads what follows the fourcc IwP2, or the older IwPn, whose batches have one size. */
export async function readIvfPanorama(
  reader: Reader,
  engine: Engine,
  fourcc: string,
  readNode: NodeReader,
): Promise<ListIndex> {
  const header = await readIvfHeader(reader, engine, readNode);
  const { coarse, d, metric, ntotal } = header;
  const sized = fourcc === "IwP2";
  const levels = await reader.count("n_levels", Number.MAX_SAFE_INTEGER);
  const batch = sized ? await reader.count("batch_size", 0x7fffffff) : OLD_BATCH;
  const panorama = panoramaOf(reader, d, levels, batch);
  const kind = await reader.fourcc("inverted lists");
  if (kind !== (sized ? "ilp2" : "ilpn"))
    reader.wrong("inverted lists", 4, `are of the kind "${kind}", not Panorama's`);
  for (const [field, expected] of [
    ["nlist of the inverted lists", coarse.nlist],
    ["code_size of the inverted lists", d * 4],
    ["n_levels of the inverted lists", panorama.levels],
    ...(sized ? [["batch_size of the inverted lists", batch] as const] : []),
  ] as const) {
    const given = await reader.i64(field);
    if (given !== expected) reader.wrong(field, 8, `is ${given}, not ${expected}`);
  }
  const filled = await readSizes(reader, coarse.nlist);
  const count = filled.reduce((sum, [, size]) => sum + size, 0);
  if (count > ntotal) reader.wrong("inverted lists", 0, `hold ${count} vectors, and ntotal is ${ntotal}`);
  const code = new FloatCode(engine, d, metric);
  const lists = new Lists(engine, coarse.nlist, code.layout);
  if (count * (d * 4 + 8) > reader.left) {
    reader.wrong("inverted lists", 0, `need ${count * (d * 4 + 8)} bytes and the file has ${reader.left} left`);
  }
  if (count > 0) {
    const rows = reader.growing(engine, "codes of the inverted lists", 0);
    let slot = 0;
    const sizes = new Uint32Array(coarse.nlist);
    const ids: BigInt64Array[] = [];
    for (const [list, size] of filled) {
      const bytes = slotsOf(panorama, size) * d * 4;
      const own = rowsOf(panorama, await reader.bytes(`codes of list ${list}`, bytes), size);
      rows.address = engine.resize(rows.address, slot * d * 4, (slot + size) * d * 4);
      engine.u8.set(own, rows.address + slot * d * 4);
      ids.push(await reader.i64s(`ids of list ${list}`, size));
      await reader.bytes(`cum_sums of list ${list}`, slotsOf(panorama, size) * (panorama.levels + 1) * 4);
      sizes[list] = size;
      slot += size;
    }
    const idBlock = engine.allocate(count * 8);
    let at = idBlock >>> 3;
    for (const own of ids) {
      engine.i64.set(own, at);
      at += own.length;
    }
    lists.adopt(rows.address, idBlock, sizes);
  }
  header.directMap.check(lists, ntotal, reader);
  const index = new ListIndex(code, coarse, ivfFlatWire, lists);
  index.restore(header);
  return index;
}
