import type { IndexTree } from "../indexes/tree.js";

/** Numbers of up to nine digits: what is larger is for the grammar to judge. */
const BRIEF = /^(?:(IDMap2?),)?(?:IVF(\d{1,9}),)?(?:Flat|PQ(\d{1,9})x4fs(r?)(?:_(\d{1,9}))?)(,RFlat)?(?:,(IDMap2?))?$/;

/**
 * The tree of a description that asks for kinds of the core only, as grammar.ts gives it; undefined for all that is to be looked at more
 * closely, what is wrong included. Programs that need no other kind go without the grammar.
 */
export function parseBrief(d: number, description: string): IndexTree | undefined {
  const match = typeof description === "string" ? BRIEF.exec(description) : null;
  if (match === null || !(Number.isInteger(d) && d >= 1 && d < 2 ** 31)) return undefined;
  const [, before, nlist, m, residual, bbs, refined, behind] = match;
  if (before !== undefined && behind !== undefined) return undefined;
  const parts = Number(m ?? d);
  const block = Number(bbs ?? 32);
  if (d % parts !== 0 || block === 0 || block % 32 !== 0 || Number(nlist ?? 1) === 0) return undefined;
  if (residual === "r" && nlist === undefined) return undefined;
  const code: IndexTree =
    m === undefined ? { kind: "flat" } : { kind: "pqfs", m: parts, residual: residual === "r", bbs: block };
  let tree: IndexTree = code;
  if (nlist !== undefined) tree = { kind: "ivf", nlist: Number(nlist), coarse: { kind: "flat" }, code };
  if (refined !== undefined) tree = { kind: "refine", base: tree, refine: { kind: "flat" } };
  const ids = before ?? behind;
  return ids === undefined ? tree : { kind: "idmap", two: ids === "IDMap2", base: tree };
}
