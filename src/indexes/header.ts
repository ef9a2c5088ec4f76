import { METRIC_INNER_PRODUCT, METRIC_L2 } from "../api.js";
import type { Metric } from "../api.js";
import { fail } from "../errors.js";
import type { Reader } from "../format/reader.js";
import type { Writer } from "../format/writer.js";
import type { IndexNode } from "./node.js";

/** What every index starts with in a file, behind its fourcc. */
export interface Header {
  d: number;
  ntotal: number;
  isTrained: boolean;
  metric: Metric;
}

/** faiss 1.15 reads no larger d. */
const MAX_D = 1 << 20;
/** What faiss writes into two fields that nobody reads. */
const DUMMY = 1 << 20;

/** Reads a header. ERR_FORMAT for sizes that can't be, ERR_UNSUPPORTED for another metric than L2 and inner product. */
export async function readHeader(reader: Reader): Promise<Header> {
  const d = await reader.i32("d");
  if (d < 1 || d > MAX_D) reader.wrong("d", 4, `is ${d}, not from 1 to ${MAX_D}`);
  const ntotal = await reader.count("ntotal", 0x7fffffff);
  await reader.i64("dummy 1");
  await reader.i64("dummy 2");
  const isTrained = await reader.bool("is_trained");
  const metric = await reader.i32("metric_type");
  if (metric < 0 || metric > 25) reader.wrong("metric_type", 4, `is ${metric}`);
  if (metric !== METRIC_L2 && metric !== METRIC_INNER_PRODUCT) {
    fail(
      "ERR_UNSUPPORTED",
      `the file's metric has the number ${metric}: only L2 (1) and inner product (0) can be searched here`,
    );
  }
  return { d, ntotal, isTrained, metric };
}

/** Throws ERR_UNSUPPORTED: an index and one that it wraps have to be of one metric, or distances mean nothing. */
export function otherMetric(inner: string, metric: Metric, outer: string, other: Metric): never {
  const name = (of: Metric): string => (of === METRIC_L2 ? "L2" : "inner product");
  return fail(
    "ERR_UNSUPPORTED",
    `${inner} has the metric ${name(metric)} and ${outer} ${name(other)}: only one metric for both can be searched here`,
  );
}

/** Writes a node's fourcc and header. */
export function writeHeader(writer: Writer, fourcc: string, node: IndexNode): void {
  writer.fourcc(fourcc);
  writer.i32(node.d);
  writer.i64(node.ntotal);
  writer.i64(DUMMY);
  writer.i64(DUMMY);
  writer.bool(node.isTrained);
  writer.i32(node.metric);
}
