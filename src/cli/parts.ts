import type { VectorIndex } from "../handle/vector-index.js";
import type { IndexTree } from "../indexes/tree.js";

// What is asked of an index's tree and of its parameters: its description is for people.

/** The IVF that an index's searches go through, whatever stands around it; undefined where there is none. */
function ivfOf(tree: IndexTree): (IndexTree & { kind: "ivf" }) | undefined {
  switch (tree.kind) {
    case "ivf":
      return tree;
    case "idmap":
    case "refine":
    case "transform":
      return ivfOf(tree.base);
    default:
      return undefined;
  }
}

/** The value of a parameter by faiss' name; null where an index does not have it. */
export function parameterOf(index: VectorIndex, name: string): number | null {
  return index.node.parameter(name)?.get() ?? null;
}

/** The lists of an IVF and how many of them a search scans; null for an index without lists. */
export function cellsOf(index: VectorIndex): { nlist: number | null; nprobe: number | null } {
  const ivf = ivfOf(index.node.tree);
  const nprobe = parameterOf(index, "nprobe");
  if (ivf === undefined || nprobe === null) return { nlist: null, nprobe: null };
  return { nlist: ivf.nlist, nprobe: Math.min(nprobe, ivf.nlist) };
}

/** The lists that a search scans with `--nprobe` given or not; null for an index without lists. */
export function listsScanned(index: VectorIndex, wanted: number | undefined): number | null {
  const { nlist, nprobe } = cellsOf(index);
  return nlist === null || wanted === undefined ? nprobe : Math.min(wanted, nlist);
}

/** Whether an index takes ids of the user's: never, or as well, or only so. */
export function idsTaken(index: VectorIndex): "none" | "some" | "always" {
  const { tree } = index.node;
  if (tree.kind === "idmap") return "always";
  // What a second code refines is kept by number.
  return tree.kind === "ivf" && tree.code.kind !== "pqr" ? "some" : "none";
}
