import { METRIC_INNER_PRODUCT, METRIC_L2 } from "../api.js";
import type { IdType, Index, Metric } from "../api.js";
import { what } from "../checks.js";
import { fail, makingArrays } from "../errors.js";
import { KINDS, knownKinds, partsOf } from "../faiss/kinds.js";
import type { IndexNode } from "../indexes/node.js";
import { VectorIndex } from "../handle/vector-index.js";
import { Engine } from "../wasm/engine.js";
import type { EngineOptions } from "../wasm/engine.js";
import { describeTree } from "../indexes/describe.js";
import { parseFactory } from "./grammar.js";
import type { IndexTree } from "../indexes/tree.js";

/**
 * Makes an empty index from a description in faiss' language, such as `"IVF1024,Flat"`.
 *
 * @example
 *   const index = await indexFactory(384, "IVF256,Flat");
 *   const wide = await indexFactory<"int64">(384, "IDMap,Flat"); // ids will be a BigInt64Array: so will labels
 *
 * @param d dimensions of a vector, 1 to 2^20
 * @param description what to build: `Flat`, `PQ{M}x4fs`, `IVF{n}` of either, `RFlat` or `Refine(…)` behind it, `IDMap` around it
 * @param metric METRIC_L2 (default) or METRIC_INNER_PRODUCT
 * @param engine memory limit, relaxed SIMD, a compiled module, onWarning
 * @returns the index; rejects with ERR_FACTORY, which says what was understood and what is missing, ERR_METRIC or ERR_MEMORY
 */
export async function indexFactory<I extends IdType = "int32">(
  d: number,
  description: string,
  metric: Metric = METRIC_L2,
  engine: EngineOptions = {},
): Promise<Index<I>> {
  if (metric !== METRIC_L2 && metric !== METRIC_INNER_PRODUCT) {
    fail("ERR_METRIC", `metric is ${what(metric)}: give METRIC_L2 (1) or METRIC_INNER_PRODUCT (0)`);
  }
  const tree = parseFactory(d, description);
  checkBuildable(tree, description);
  const index: Index<IdType> = makingArrays(() => new VectorIndex(buildNode(new Engine(engine), d, tree, metric)));
  return index;
}

/** Throws ERR_FACTORY for the first part of a tree that is not in the table. */
function checkBuildable(tree: IndexTree, description: string): void {
  for (const part of partsOf(tree)) checkBuildable(part, description);
  if (KINDS.some((kind) => kind.is(tree))) return;
  const missing = describeTree(tree);
  const which = missing === description ? "it" : `its part ${missing}`;
  fail(
    "ERR_FACTORY",
    `"${description}" is understood, but ${which} can't be built in this version: it has ${knownKinds()}`,
  );
}

function buildNode(engine: Engine, d: number, tree: IndexTree, metric: Metric): IndexNode {
  const kind = KINDS.find((row) => row.is(tree));
  if (kind === undefined) throw new Error(`${tree.kind} passed the check and is not built`);
  return kind.build(tree, { engine, d, metric, build: (part, size = d) => buildNode(engine, size, part, metric) });
}
