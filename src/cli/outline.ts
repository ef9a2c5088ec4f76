import type { VectorIndex } from "../handle/vector-index.js";
import { HnswNode } from "../graph/hnsw.js";
import { describeTree } from "../indexes/describe.js";
import { ListIndex } from "../indexes/list-index.js";
import type { IndexNode } from "../indexes/node.js";
import { RefineNode } from "../indexes/refine.js";
import { Wrapper } from "../indexes/wrapper.js";
import { TransformedNode } from "../transforms/transformed.js";
import { whole } from "./text.js";

/** What a part is searched with, by faiss' names, where it has them itself. */
const PARAMETERS = ["nprobe", "efSearch", "k_factor_rf"] as const;

/** An index within an index, and those within it. */
export interface Part {
  /** What the index around it has it for. */
  part: string;
  description: string;
  d: number;
  ntotal: number;
  parameters: Partial<Record<(typeof PARAMETERS)[number], number>>;
  parts: Part[];
}

/** The indexes within a node, and what it has them for. */
function within(node: IndexNode): readonly (readonly [part: string, node: IndexNode])[] {
  if (node instanceof RefineNode)
    return [
      ["finds candidates", node.base],
      ["compares them again", node.refine],
    ];
  if (node instanceof HnswNode) return [["stores the vectors", node.storage]];
  if (node instanceof ListIndex) return node.coarse === undefined ? [] : [["finds the lists", node.coarse.node]];
  if (node instanceof TransformedNode) return [["has what the transforms make", node.base]];
  // An IVF that a second code refines is one index, written as one.
  if (node instanceof Wrapper) return node.tree.kind === "ivf" ? within(node.base) : [["has the vectors", node.base]];
  return [];
}

function partOf(part: string, node: IndexNode): Part {
  const { d, ntotal, tree } = node;
  const parameters: Part["parameters"] = {};
  for (const name of PARAMETERS) {
    // A parameter goes through to the part that has it, and is told there.
    const isOwn =
      node instanceof RefineNode ? name === "k_factor_rf" : !(node instanceof Wrapper) || tree.kind === "ivf";
    const value = isOwn ? node.parameter(name)?.get() : undefined;
    if (value !== undefined) parameters[name] = value;
  }
  const parts = within(node).map((item) => partOf(...item));
  return { part, description: describeTree(tree), d, ntotal, parameters, parts };
}

/** The parts of an index that is made of several; none of one that is a list of codes, or an IVF of which a Flat finds the lists. */
export function partsOf({ node }: VectorIndex): Part[] {
  const { parts } = partOf("", node);
  const isOne = node instanceof ListIndex || node.tree.kind === "ivf";
  const plain = isOne && parts.every(({ description }) => description === "Flat");
  return plain ? [] : parts;
}

/** Parts below each other, each below and to the right of what it is a part of. */
export function partLines(parts: readonly Part[], depth = 1): string[] {
  return parts.flatMap(({ part, description, d, ntotal, parameters, parts: inner }) => {
    const settings = Object.entries(parameters).map(([name, value]) => `, ${name} = ${value}`);
    const line = `${"  ".repeat(depth)}${part}: ${description}, d = ${d}, ${whole(ntotal)} vectors${settings.join("")}`;
    return [line, ...partLines(inner, depth + 1)];
  });
}
