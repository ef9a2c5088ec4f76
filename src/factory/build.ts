import { METRIC_INNER_PRODUCT, METRIC_L2 } from "../api.js";
import type { Index, Metric } from "../api.js";
import { fail } from "../errors.js";
import { FlatNode } from "../indexes/flat.js";
import { IdMapNode } from "../indexes/id-map.js";
import { IvfFlatNode } from "../indexes/ivf-flat.js";
import type { IndexNode } from "../indexes/node.js";
import { VectorIndex } from "../indexes/vector-index.js";
import { Engine } from "../wasm/engine.js";
import type { EngineOptions } from "../wasm/engine.js";
import { describeTree } from "./describe.js";
import { parseFactory } from "./grammar.js";
import type { IndexTree } from "./grammar.js";

/**
 * Makes an empty index from a description in faiss' language, such as `"IVF1024,Flat"`.
 *
 * @param d dimensions of a vector, 1 to 2^20
 * @param description what to build: `Flat`, `IVF{n},Flat`, and `IDMap` around them
 * @param metric METRIC_L2 (default) or METRIC_INNER_PRODUCT
 * @param engine memory limit, relaxed SIMD, a compiled module, onWarning
 * @returns the index; rejects with ERR_FACTORY, which says what was understood and what is missing, ERR_METRIC or ERR_MEMORY
 */
export async function indexFactory(
  d: number,
  description: string,
  metric: Metric = METRIC_L2,
  engine: EngineOptions = {},
): Promise<Index> {
  if (metric !== METRIC_L2 && metric !== METRIC_INNER_PRODUCT) {
    fail("ERR_METRIC", `metric is ${String(metric)}: give METRIC_L2 (1) or METRIC_INNER_PRODUCT (0)`);
  }
  const tree = parseFactory(d, description);
  checkBuildable(tree, description);
  return new VectorIndex(buildNode(new Engine(engine), d, tree, metric));
}

/** Throws ERR_FACTORY for the first part of a tree that is not built yet. */
function checkBuildable(tree: IndexTree, description: string): void {
  switch (tree.kind) {
    case "flat":
      return;
    case "idmap":
      checkBuildable(tree.base, description);
      return;
    case "ivf":
      checkBuildable(tree.coarse, description);
      if (tree.code.kind === "flat") return;
      missing(tree.code, description, `IVF${tree.nlist},Flat`);
      return;
    default:
      missing(tree, description, "Flat or IVF1024,Flat");
  }
}

function missing(tree: IndexTree, description: string, instead: string): never {
  return fail(
    "ERR_FACTORY",
    `"${description}" is understood, but ${describeTree(tree)} can't be built in this version: use ${instead}`,
  );
}

function buildNode(engine: Engine, d: number, tree: IndexTree, metric: Metric): IndexNode {
  switch (tree.kind) {
    case "flat":
      return new FlatNode(engine, d, metric);
    case "idmap":
      return new IdMapNode(buildNode(engine, d, tree.base, metric), tree.two);
    case "ivf":
      return new IvfFlatNode(buildNode(engine, d, tree.coarse, metric), tree.nlist, metric);
    default:
      throw new Error(`${tree.kind} passed the check and is not built`);
  }
}
