import type { IndexTree, TransformTree } from "./tree.js";

/**
 * The canonical description of a tree: defaults left out, IDMap and RFlat behind what they wrap. parseFactory
 * gives the tree back, except for an LTra, which it refuses.
 */
export function describeTree(tree: IndexTree): string {
  switch (tree.kind) {
    case "flat":
      return "Flat";
    case "sq":
      return `SQ${tree.type}`;
    case "pq":
      return `PQ${tree.m}${unless(8, tree.bits, "x")}${tree.polysemous ? "" : "np"}`;
    case "pqr":
      return `PQ${tree.m}${unless(8, tree.bits, "x")}+${tree.finer.m}${unless(8, tree.finer.bits, "x")}`;
    case "pqfs":
      return `PQ${tree.m}x4fs${tree.residual ? "r" : ""}${unless(32, tree.bbs, "_")}`;
    case "rabitq":
      return `RaBitQ${unless(1, tree.bits)}`;
    case "eden":
      return `EDEN${unless(1, tree.bits)}${tree.biased ? "BIASED" : ""}`;
    case "rabitqfs":
      return `RaBitQfs${unless(1, tree.bits)}${unless(32, tree.bbs, "_")}`;
    case "hnsw":
      return `HNSW${tree.m}${tree.storage.kind === "flat" ? "" : `,${describeTree(tree.storage)}`}`;
    case "ivf":
      return `IVF${tree.nlist}${describeCoarse(tree.coarse)},${describeTree(tree.code)}`;
    case "idmap":
      return `${describeTree(tree.base)},${idmapName(tree)}`;
    case "refine":
      return `${describeTree(tree.base)},${
        tree.refine.kind === "flat" ? "RFlat" : `Refine(${describeTree(tree.refine)})`
      }`;
    case "transform":
      return tree.transforms.length === 0
        ? describeTree(tree.base)
        : `${tree.transforms.map(describeTransform).join()},${describeTransformed(tree.base)}`;
  }
}

function describeCoarse(coarse: IndexTree): string {
  if (coarse.kind === "flat") return "";
  const text = describeTree(coarse);
  return coarse.kind === "hnsw" && coarse.storage.kind === "flat" ? `_${text}` : `(${text})`;
}

/**
 * A suffix goes with the whole description, a prefix with what follows it: behind a transform an IDMap stands in
 * front, and what only parentheses can hold together gets them.
 */
function describeTransformed(base: IndexTree): string {
  if (base.kind === "refine" || base.kind === "transform") return `(${describeTree(base)})`;
  return base.kind === "idmap" ? `${idmapName(base)},${describeTransformed(base.base)}` : describeTree(base);
}

function describeTransform(transform: TransformTree): string {
  switch (transform.type) {
    case "PCA":
      return `PCA${transform.whiten ? "W" : ""}${transform.rotate ? "R" : ""}${transform.dout}`;
    case "OPQ":
      return `OPQ${transform.m}${unless(undefined, transform.dout, "_")}`;
    case "L2norm":
    case "Centre":
      return transform.type;
    case "HR":
      return `HR${unless(12345, transform.seed)}`;
    default:
      return `${transform.type}${transform.dout ?? ""}`;
  }
}

function idmapName(tree: { two: boolean }): string {
  return tree.two ? "IDMap2" : "IDMap";
}

function unless(byDefault: number | undefined, value: number | undefined, mark = ""): string {
  return value === byDefault ? "" : `${mark}${value}`;
}
