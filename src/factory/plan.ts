import { fail } from "../errors.js";
import { KINDS, partsOf } from "../faiss/kinds.js";
import { knownKinds, MORE_KINDS } from "../faiss/more-kinds.js";
import { describeTree } from "../indexes/describe.js";
import type { IndexTree } from "../indexes/tree.js";
import { parseFactory } from "./grammar.js";

/** The tree of a description, all of which can be built. Throws ERR_FACTORY, which says what was understood and what is missing. */
export function plan(d: number, description: string): IndexTree {
  const tree = parseFactory(d, description);
  checkBuildable(tree, description);
  return tree;
}

/** Throws ERR_FACTORY for the first part of a tree that is in no table. */
function checkBuildable(tree: IndexTree, description: string): void {
  for (const part of partsOf(tree)) checkBuildable(part, description);
  if ([...KINDS, ...MORE_KINDS].some((kind) => kind.is(tree))) return;
  const missing = describeTree(tree);
  const which = missing === description ? "it" : `its part ${missing}`;
  fail(
    "ERR_FACTORY",
    `"${description}" is understood, but ${which} can't be built in this version: it has ${knownKinds()}`,
  );
}
