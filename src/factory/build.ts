import { METRIC_INNER_PRODUCT, METRIC_L2 } from "../api.js";
import type { Metric } from "../api.js";
import { checkOptions, what } from "../checks.js";
import { fail, makingArrays } from "../errors.js";
import { KINDS } from "../faiss/kinds.js";
import type { Kind } from "../faiss/kinds.js";
import { restOf, withRelaxed } from "../faiss/rest.js";
import type { LoadRest } from "../faiss/rest.js";
import { named } from "../format/given.js";
import type { IndexNode } from "../indexes/node.js";
import { VectorIndex } from "../handle/vector-index.js";
import { Engine } from "../wasm/engine.js";
import type { EngineOptions } from "../wasm/options.js";
import { parseBrief } from "./brief.js";
import type { IndexTree } from "../indexes/tree.js";

/**
 * Makes an index, as indexFactory does.
 *
 * @param load gives what the core has not, where the options don't
 */
export async function makeIndex(
  d: number,
  description: string,
  metric: Metric,
  options: EngineOptions,
  load: LoadRest,
): Promise<VectorIndex> {
  if (metric !== METRIC_L2 && metric !== METRIC_INNER_PRODUCT) {
    fail("ERR_METRIC", `metric is ${what(metric)}: give METRIC_L2 (1) or METRIC_INNER_PRODUCT (0)`);
  }
  checkOptions(options);
  const rest = restOf(options, load);
  let tree = parseBrief(d, description);
  let kinds = KINDS;
  // Without an await where the core has it all: the index is made before the promise is there.
  if (tree === undefined) {
    const more = await rest(named(description));
    kinds = [...KINDS, ...more.kinds];
    tree = more.plan(d, description);
  }
  const node = tree;
  const engine = options.relaxed === true ? await withRelaxed(options, rest) : options;
  return makingArrays(() => new VectorIndex(buildNode(kinds, new Engine(engine), d, node, metric)));
}

function buildNode(kinds: readonly Kind[], engine: Engine, d: number, tree: IndexTree, metric: Metric): IndexNode {
  const kind = kinds.find((row) => row.is(tree));
  if (kind === undefined) throw new Error(`${tree.kind} passed the check and is not built`);
  return kind.build(tree, {
    engine,
    d,
    metric,
    build: (part, size = d) => buildNode(kinds, engine, size, part, metric),
  });
}
