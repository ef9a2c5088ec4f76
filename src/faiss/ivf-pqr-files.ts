import { METRIC_L2 } from "../api.js";
import { fail } from "../errors.js";
import type { Reader } from "../format/reader.js";
import { IvfPqrNode, MAX_FACTOR } from "../indexes/ivf-pqr.js";
import { hasPlacesForLabels } from "../indexes/node.js";
import type { NodeReader } from "../indexes/node.js";
import { Rows } from "../lists/rows.js";
import { MAX_BITS, ProductQuantizer } from "../quantizers/product.js";
import type { Engine } from "../wasm/engine.js";
import { readIvfProduct } from "./row-files.js";

/** Reads what follows the fourcc IwQR, or the older IvQR: what an IVF of PQ has, then the second quantizer, its codes by label, k_factor. */
export async function readIvfPqr(
  reader: Reader,
  engine: Engine,
  fourcc: string,
  readNode: NodeReader,
): Promise<IvfPqrNode> {
  // Second codes are looked up by labels: lists have to be there.
  const base = await (reader.deferral === undefined
    ? readIvfProduct(reader, engine, fourcc, readNode)
    : reader.deferral.whole(() => readIvfProduct(reader, engine, fourcc, readNode)));
  const { d, ntotal, metric } = base;
  if (metric !== METRIC_L2 || !base.code.residual)
    fail("ERR_UNSUPPORTED", "the file's PQ…+… is not of residuals under L2, and faiss searches no other");
  if (!hasPlacesForLabels(base, ntotal)) {
    fail(
      "ERR_UNSUPPORTED",
      `the file's PQ…+… has ids that are not from 0 to ${ntotal - 1}, each once, so that its second codes can't be told apart: ` +
        `faiss finds those of other vectors; add the vectors again without ids`,
    );
  }
  const finer = await ProductQuantizer.read(reader, engine, d, 1, MAX_BITS);
  const bytes = ntotal * finer.codeBytes;
  await reader.vectorCount("codes of the second quantizer", 1, bytes);
  const address = bytes === 0 ? 0 : await reader.block(engine, "codes of the second quantizer", bytes);
  const kFactor = await reader.f32("k_factor");
  if (!(kFactor >= 1 && kFactor <= MAX_FACTOR))
    reader.wrong("k_factor", 4, `is ${kFactor}, not from 1 to ${MAX_FACTOR}`);
  return new IvfPqrNode(base, finer, new Rows(engine, finer.codeBytes, address, ntotal), kFactor);
}
