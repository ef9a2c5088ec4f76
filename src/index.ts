/**
 * Vector search for voices, in any JavaScript: makes, trains, fills, searches, reads and writes faiss indexes.
 *
 * @module
 */
import "./wasm/kernels.gen.js"; // The kernels' text stands before all code, not in its midst: 1 KB less gzipped.
export { METRIC_INNER_PRODUCT, METRIC_L2 } from "./api.js";
export type {
  AddOptions,
  Believed,
  Filter,
  FilterSource,
  Float16Like,
  FileCodec,
  Floats,
  Ids,
  IdType,
  Index,
  Labels,
  MergeOptions,
  Metric,
  Progress,
  RangeResult,
  ReadOptions,
  SearchOptions,
  SearchResult,
  Tensor,
  TrainOptions,
  Vectors,
  WarmUpShape,
  Work,
} from "./api.js";
export { CellistError } from "./errors.js";
export type { ErrorCode } from "./errors.js";
export { indexFactory, readIndex } from "./open.js";
export type { Bytes } from "./format/source.js";
export type { EngineOptions, More, Warning } from "./wasm/options.js";
