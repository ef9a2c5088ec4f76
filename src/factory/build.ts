import { METRIC_INNER_PRODUCT, METRIC_L2 } from "../api.js";
import type { Index, Metric } from "../api.js";
import { fail } from "../errors.js";
import { FlatNode } from "../indexes/flat.js";
import { IdMapNode } from "../indexes/id-map.js";
import { IvfFlatNode } from "../indexes/ivf-flat.js";
import { IvfPqFastScanNode } from "../indexes/ivf-pq-fastscan.js";
import type { IndexNode } from "../indexes/node.js";
import { PqFastScanNode } from "../indexes/pq-fastscan.js";
import { RefineNode } from "../indexes/refine.js";
import { VectorIndex } from "../handle/vector-index.js";
import { ProductQuantizer } from "../quantizers/product.js";
import { PackedLayout } from "../storage/packed-codes.js";
import { Engine } from "../wasm/engine.js";
import type { EngineOptions } from "../wasm/engine.js";
import { describeTree } from "./describe.js";
import { parseFactory } from "./grammar.js";
import type { IndexTree } from "./grammar.js";

/**
 * Makes an empty index from a description in faiss' language, such as `"IVF1024,Flat"`.
 *
 * @param d dimensions of a vector, 1 to 2^20
 * @param description what to build: `Flat`, `PQ{M}x4fs`, `IVF{n}` of either, `RFlat` or `Refine(…)` behind it, `IDMap` around it
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
    case "pqfs":
      return;
    case "idmap":
      checkBuildable(tree.base, description);
      return;
    case "refine":
      checkBuildable(tree.base, description);
      checkBuildable(tree.refine, description);
      if (tree.refine.kind === "flat" || tree.refine.kind === "pqfs") return;
      missing(tree, description, `${describeTree(tree.base)},RFlat`);
      return;
    case "ivf":
      checkBuildable(tree.coarse, description);
      if (tree.code.kind === "flat" || tree.code.kind === "pqfs") return;
      missing(tree.code, description, `IVF${tree.nlist},Flat or IVF${tree.nlist},PQ…x4fs`);
      return;
    default:
      missing(tree, description, "Flat, PQ…x4fs or IVF1024,Flat");
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
    case "pqfs": {
      const quantizer = new ProductQuantizer(engine, d, tree.m, 4);
      return new PqFastScanNode(metric, quantizer, new PackedLayout(tree.m, tree.bbs), engine);
    }
    case "idmap":
      return new IdMapNode(buildNode(engine, d, tree.base, metric), tree.two);
    case "refine":
      return new RefineNode(buildNode(engine, d, tree.base, metric), buildNode(engine, d, tree.refine, metric));
    case "ivf": {
      const coarse = buildNode(engine, d, tree.coarse, metric);
      const { code, nlist } = tree;
      if (code.kind !== "pqfs") return new IvfFlatNode(coarse, nlist, metric);
      const quantizer = new ProductQuantizer(engine, d, code.m, 4);
      const layout = new PackedLayout(code.m, code.bbs);
      return new IvfPqFastScanNode(coarse, nlist, metric, quantizer, layout, code.residual);
    }
    default:
      throw new Error(`${tree.kind} passed the check and is not built`);
  }
}
