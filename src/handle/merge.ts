import { METRIC_INNER_PRODUCT } from "../api.js";
import type { MergeOptions } from "../api.js";
import { what } from "../checks.js";
import { fail, makingArrays } from "../errors.js";
import { describeTree } from "../indexes/describe.js";
import type { IndexNode } from "../indexes/node.js";
import { checkIds, eachId } from "./ids.js";

// What has to hold before an index is merged into another.

/** Throws ERR_PARAMETER, which names the difference, unless two indexes are of one kind. */
export function checkMergeable(own: IndexNode, theirs: IndexNode): void {
  const [ours, others] = [describeTree(own.tree), describeTree(theirs.tree)];
  if (own.d !== theirs.d || ours !== others || own.metric !== theirs.metric) {
    const what = (node: IndexNode, name: string): string =>
      `${name} (d = ${node.d}, ${node.metric === METRIC_INNER_PRODUCT ? "inner product" : "L2"})`;
    fail("ERR_PARAMETER", `${what(theirs, others)} can't be merged into ${what(own, ours)}: both must be alike`);
  }
  if (!own.isTrained || !theirs.isTrained)
    fail(
      "ERR_NOT_TRAINED",
      `${own.isTrained ? "the other index" : ours} is not trained: merge what was made of one trained index`,
    );
}

/** What is added to the labels of an index that is merged. */
export function addIdOf(options: MergeOptions | undefined): bigint {
  const addId: unknown = options?.addId ?? 0;
  if (typeof addId === "bigint" && addId === BigInt.asIntN(64, addId)) return addId;
  if (!Number.isSafeInteger(addId)) fail("ERR_PARAMETER", `addId is ${what(addId)}: give a whole number`);
  return BigInt(addId as number);
}

/** Throws ERR_ID where an id of an index, plus `addId`, can't be one of 64 bits, or, unless ids are to be wide, of 32. */
export function checkSums(theirs: IndexNode, addId: bigint, wide: boolean): void {
  if (wide && addId === 0n) return;
  const ids = makingArrays(() => new BigInt64Array(1));
  eachId(theirs, true, (id) => {
    const sum = (id as bigint) + addId;
    ids[0] = sum;
    if (ids[0] !== sum) fail("ERR_ID", `the id ${id} plus ${addId} needs more than 64 bits: give another addId`);
    checkIds(ids, wide, "give another addId, or read both from files whose ids are 64-bit");
  });
}
