import type { Deferred } from "../format/deferral.js";
import { VectorIndex } from "../handle/vector-index.js";
import { IdMapNode } from "../indexes/id-map.js";
import { ListIndex } from "../indexes/list-index.js";
import type { IndexNode } from "../indexes/node.js";
import { RefineNode } from "../indexes/refine.js";
import { AbsentLists, AbsentRows, nothingAbsent } from "./absent.js";
import type { Absent } from "./absent.js";

/** The lists of an index that come as they are wanted, where it has some: those of an IVF, with or without an IDMap. */
export function listsIn(node: IndexNode): ListIndex | undefined {
  const inner = node instanceof IdMapNode ? node.base : node;
  return inner instanceof ListIndex ? inner : undefined;
}

/** What of an index a reader has left for later. */
export function absentOf(node: IndexNode, stretches: readonly Deferred[]): Absent {
  if (stretches.length === 0) return nothingAbsent;
  const lists = listsIn(node);
  if (lists !== undefined) {
    const { nlist } = lists.lists;
    const pieceOf = new Int32Array(nlist).fill(-1);
    for (const [piece, { number }] of stretches.entries()) pieceOf[number] = piece;
    const sizes = Uint32Array.from({ length: nlist }, (_, list) => lists.lists.sizeInAll(list));
    return new AbsentLists(lists, pieceOf, sizes);
  }
  const inner = node instanceof IdMapNode ? node.base : node;
  if (inner instanceof RefineNode) {
    const rows = stretches.length > 1 ? stretches[1].number - stretches[0].number : inner.ntotal;
    return new AbsentRows(new VectorIndex(inner.base), () => inner.kFactor, rows);
  }
  throw new Error("only lists and rows are left for later");
}
