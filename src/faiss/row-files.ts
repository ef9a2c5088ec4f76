import { METRIC_L2 } from "../api.js";
import { ProductCode } from "../codes/product.js";
import type { Code } from "../codes/code.js";
import { ScalarCode } from "../codes/scalar.js";
import type { Reader } from "../format/reader.js";
import type { Writer } from "../format/writer.js";
import { readHeader } from "../indexes/header.js";
import { ListIndex } from "../indexes/list-index.js";
import type { Wire } from "../indexes/list-index.js";
import type { NodeReader } from "../indexes/node.js";
import type { RowLayout } from "../lists/layout.js";
import { Lists } from "../lists/lists.js";
import { MAX_BITS, ProductQuantizer } from "../quantizers/product.js";
import { ScalarQuantizer } from "../quantizers/scalar.js";
import type { Engine } from "../wasm/engine.js";
import { readLists, readOldLists, writeLists } from "./array-lists.js";
import { readIvfHeader } from "./ivf-header.js";

// Files of codes that are rows of bytes: product and scalar quantizers, with lists and without.

/** Writes rows as a vector of bytes. */
export function writeRows({ lists }: ListIndex, layout: RowLayout, writer: Writer): void {
  writer.i64(lists.count * layout.fileBytes);
  if (lists.count > 0) writer.raw(lists.bytes(0).codes);
}

/** Reads a vector of the rows of `ntotal` vectors. */
export async function readRows(reader: Reader, engine: Engine, layout: RowLayout, ntotal: number): Promise<Lists> {
  const bytes = ntotal * layout.fileBytes;
  await reader.vectorCount("codes", 1, bytes);
  const lists = new Lists(engine, 0, layout);
  if (ntotal === 0) return lists;
  const block = await reader.block(engine, "codes", bytes);
  lists.adopt(layout.spread(engine, block, ntotal), 0, Uint32Array.of(ntotal));
  return lists;
}

/** An index of a code that was read: with its state, and rows that have what is not in a file. */
export function indexOf(
  code: Code,
  header: Parameters<ListIndex["restore"]>[0] & { coarse?: ListIndex["coarse"] },
  wire: Wire,
  lists: Lists,
): ListIndex {
  const index = new ListIndex(code, header.coarse, wire, lists);
  index.restore(header);
  index.settle();
  return index;
}

/** What `IxPq` says of searches, which are all done by the query's own table here; kept for the file. */
interface Polysemous {
  searchType: number;
  encodeSigns: boolean;
  threshold: number;
}

/** `PQ16`: header, quantizer, codes, and how faiss is to search. */
export function productWire(code: ProductCode, said?: Polysemous): Wire {
  const { quantizer, layout } = code;
  return {
    fourcc: "IxPq",
    writeBody(index, writer) {
      quantizer.write(writer);
      writeRows(index, layout, writer);
      writer.i32(said?.searchType ?? 0);
      writer.bool(said?.encodeSigns ?? false);
      writer.i32(said?.threshold ?? quantizer.nbits * quantizer.M + 1);
    },
  };
}

/**
 * `IVFn,PQ16`: behind the direct map, whether codes are of residuals, their bytes, quantizer, lists. `IVFn,PQ16+8` has the same under its
 * own fourcc, and more behind it.
 */
export function ivfProductWire(code: ProductCode, fourcc: "IwPQ" | "IwQR" = "IwPQ"): Wire {
  const { quantizer, residual } = code;
  return {
    fourcc,
    writeBody({ lists }, writer) {
      writer.bool(residual);
      writer.i64(quantizer.codeBytes);
      quantizer.write(writer);
      writeLists(writer, lists);
    },
  };
}

/** `SQ8`: header, quantizer, codes. */
export function scalarWire({ quantizer, layout }: ScalarCode): Wire {
  return {
    fourcc: "IxSQ",
    writeBody(index, writer) {
      quantizer.write(writer);
      writeRows(index, layout, writer);
    },
  };
}

/** `IVFn,SQ8`: behind the direct map, quantizer, bytes of a code, whether they are of residuals, lists. */
export function ivfScalarWire({ quantizer, residual }: ScalarCode): Wire {
  return {
    fourcc: "IwSq",
    writeBody({ lists }, writer) {
      quantizer.write(writer);
      writer.i64(quantizer.codeBytes);
      writer.bool(residual);
      writeLists(writer, lists);
    },
  };
}

/** Reads what follows the fourcc IxPq, or one of the older IxPQ and IxPo, which are always of L2. */
export async function readProduct(reader: Reader, engine: Engine, fourcc: string): Promise<ListIndex> {
  const { d, ntotal, isTrained, metric } = await readHeader(reader);
  const quantizer = await ProductQuantizer.read(reader, engine, d, 1, MAX_BITS);
  const code = new ProductCode(engine, fourcc === "IxPq" ? metric : METRIC_L2, quantizer, false, true);
  const lists = await readRows(reader, engine, code.layout, ntotal);
  let said: Polysemous | undefined;
  if (fourcc !== "IxPQ") {
    const searchType = await reader.i32("search_type");
    if (searchType < 0 || searchType > 5) reader.wrong("search_type", 4, `is ${searchType}, not from 0 to 5`);
    said = { searchType, encodeSigns: await reader.bool("encode_signs"), threshold: await reader.i32("polysemous_ht") };
    if (searchType !== 0) {
      const how = "cellist compares all codes by the query's distances to the centroids, which finds no less";
      engine.warn(
        "WARN_SEARCH_TYPE",
        `the file asks faiss for search_type ${searchType} (Hamming distances or codes of queries): ${how}`,
      );
    }
  }
  return indexOf(code, { isTrained, ntotal }, productWire(code, said), lists);
}

/** Reads what follows the fourcc IwPQ, or the older IvPQ; of IwQR and IvQR, what these have of it. */
export async function readIvfProduct(
  reader: Reader,
  engine: Engine,
  fourcc: string,
  readNode: NodeReader,
): Promise<ListIndex> {
  const header = await readIvfHeader(reader, engine, readNode, fourcc);
  const { coarse, d, metric, ntotal } = header;
  const residual = await reader.bool("by_residual");
  const at = reader.offset;
  const codeBytes = await reader.i64("code_size");
  const quantizer = await ProductQuantizer.read(reader, engine, d, 1, MAX_BITS);
  if (codeBytes !== quantizer.codeBytes)
    reader.wrong("code_size", reader.offset - at, `is ${codeBytes}, not ${quantizer.codeBytes}`);
  const code = new ProductCode(engine, metric, quantizer, residual, true);
  const lists = fourcc.startsWith("Iv")
    ? await readOldLists(reader, engine, header.ids, code.layout, ntotal, 1)
    : await readLists(reader, engine, coarse.nlist, code.layout, ntotal);
  reader.check(() => header.directMap.check(lists, ntotal, reader));
  return indexOf(code, header, ivfProductWire(code, fourcc.endsWith("QR") ? "IwQR" : "IwPQ"), lists);
}

/** Reads what follows the fourcc IxSQ. */
export async function readScalar(reader: Reader, engine: Engine): Promise<ListIndex> {
  const { d, ntotal, isTrained, metric } = await readHeader(reader);
  const quantizer = await ScalarQuantizer.read(reader, engine, d, isTrained);
  const code = new ScalarCode(engine, metric, quantizer, false, false);
  const lists = await readRows(reader, engine, code.layout, ntotal);
  return indexOf(code, { isTrained, ntotal }, scalarWire(code), lists);
}

/** Reads what follows the fourcc IwSq, or one of the older IwSQ and IvSQ, whose codes are always of residuals. */
export async function readIvfScalar(
  reader: Reader,
  engine: Engine,
  fourcc: string,
  readNode: NodeReader,
): Promise<ListIndex> {
  const header = await readIvfHeader(reader, engine, readNode, fourcc);
  const { coarse, d, metric, ntotal, isTrained } = header;
  const quantizer = await ScalarQuantizer.read(reader, engine, d, isTrained);
  const codeBytes = await reader.i64("code_size");
  if (codeBytes !== quantizer.codeBytes) reader.wrong("code_size", 8, `is ${codeBytes}, not ${quantizer.codeBytes}`);
  const residual = fourcc !== "IwSq" || (await reader.bool("by_residual"));
  const code = new ScalarCode(engine, metric, quantizer, residual, true);
  const lists = fourcc.startsWith("Iv")
    ? await readOldLists(reader, engine, header.ids, code.layout, ntotal, 1)
    : await readLists(reader, engine, coarse.nlist, code.layout, ntotal);
  reader.check(() => header.directMap.check(lists, ntotal, reader));
  return indexOf(code, header, ivfScalarWire(code), lists);
}
