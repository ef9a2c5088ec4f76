import { METRIC_INNER_PRODUCT } from "../api.js";
import type { IdType } from "../api.js";
import { describeTree } from "../indexes/describe.js";
import type { IndexNode } from "../indexes/node.js";

/** What an index is and holds, for people and for JSON, which leaves out what is undefined. */
export interface Summary extends Record<string, unknown> {
  description: string;
  d: number;
  ntotal: number;
  metric: string;
  isTrained: boolean;
  idType: IdType;
  memory: number;
  nprobe: number | undefined;
  kFactor: number | undefined;
  efSearch: number | undefined;
}

export function summaryOf(node: IndexNode, wide: boolean): Summary {
  const { d, ntotal, isTrained, metric, tree, engine } = node;
  return {
    description: describeTree(tree),
    d,
    ntotal,
    metric: metric === METRIC_INNER_PRODUCT ? "inner product" : "L2",
    isTrained,
    idType: wide ? "int64" : "int32",
    memory: engine.bytes,
    nprobe: node.parameter("nprobe")?.get(),
    kFactor: node.parameter("k_factor_rf")?.get(),
    efSearch: node.parameter("efSearch")?.get(),
  };
}

/** The same in a line: `Index(IVF256,Flat: 10000 x 384, L2, nprobe 16)`. */
export function lineOf(node: IndexNode, wide: boolean): string {
  const { description, ntotal, d, metric, isTrained, nprobe, kFactor, efSearch } = summaryOf(node, wide);
  const parts = [`${description}: ${ntotal} x ${d}`, metric];
  if (!isTrained) parts.push("untrained");
  if (wide) parts.push("64-bit ids");
  for (const [name, value] of Object.entries({ nprobe, kFactor, efSearch }))
    if (value !== undefined) parts.push(`${name} ${value}`);
  return `Index(${parts.join(", ")})`;
}
