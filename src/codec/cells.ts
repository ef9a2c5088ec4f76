import type { Metric } from "../api.js";
import { FloatCode } from "../codes/float.js";
import { flatFourcc, flatWire, ivfFlatWire } from "../faiss/float-files.js";
import { Coarse } from "../indexes/coarse.js";
import { DirectMap } from "../indexes/direct-map.js";
import { ListIndex } from "../indexes/list-index.js";
import type { IndexNode } from "../indexes/node.js";
import { Lists } from "../lists/lists.js";
import type { Engine } from "../wasm/engine.js";
import { CompactIndex } from "./compact.js";
import type { CompactCode } from "./compact.js";

// The one file in which the codec and the indexes meet.

/** What is encoded: vectors in cells, wherever they stand. */
export interface Cells {
  readonly d: number;
  readonly metric: Metric;
  readonly nprobe: number;
  /** Vectors of each cell. */
  readonly sizes: Uint32Array;
  /** nlist x d. */
  readonly centroids: Float32Array;
  /** Ids of the vectors, cell by cell. */
  readonly ids: BigInt64Array;
  /** The vectors of a cell, to be copied at once: memory may move. */
  rows(cell: number): Float32Array;
}

/** The cells of an `IVFn,Flat`; undefined for any other index. Good for as long as nothing changes in it. */
export function cellsOf(node: IndexNode): Cells | undefined {
  if (!(node instanceof ListIndex) || node.coarse === undefined || !node.code.isFloat || !node.isTrained)
    return undefined;
  const { engine, d, lists, coarse } = node;
  const { nlist } = coarse;
  coarse.keepCentroids();
  const sizes = Uint32Array.from({ length: nlist }, (_, cell) => lists.size(cell));
  const ids = new BigInt64Array(lists.count);
  let row = 0;
  for (let cell = 0; cell < nlist && lists.count > 0; cell++) {
    for (let i = 0; i < sizes[cell]; i++) ids[row++] = lists.id(lists.start(cell) + i);
  }
  const rowsAt = (address: number, n: number): Float32Array =>
    engine.f32.subarray(address >>> 2, (address >>> 2) + n * d);
  return {
    d,
    metric: node.metric,
    nprobe: node.nprobe,
    sizes,
    centroids: rowsAt(coarse.centroids, nlist).slice(),
    ids,
    rows: (cell) =>
      sizes[cell] === 0 ? new Float32Array(0) : rowsAt(lists.codes + lists.start(cell) * d * 4, sizes[cell]),
  };
}

/** What is stored in an index, as its node holds it. */
export interface Decoded {
  d: number;
  metric: Metric;
  nprobe: number;
  sizes: Uint32Array;
  /** Addresses: nlist x d f32, ntotal rows and ntotal i64 in the order of cells. The index owns them then. */
  centroids: number;
  rows: number;
  ids: number;
}

/** An `IVFn,Flat` of what was decoded; `compact` where rows are not floats but codes. */
export function indexOf(
  engine: Engine,
  { d, metric, nprobe, sizes, centroids, rows, ids }: Decoded,
  compact?: CompactCode,
): ListIndex {
  const code = new FloatCode(engine, d, metric);
  const cells = new Lists(engine, 0, code.layout);
  cells.adopt(centroids, 0, Uint32Array.of(sizes.length));
  const quantizer = new ListIndex(code, undefined, flatWire(flatFourcc(metric)), cells);
  const own = compact ?? new FloatCode(engine, d, metric);
  const lists = new Lists(engine, sizes.length, own.layout);
  const ntotal = sizes.reduce((sum, size) => sum + size, 0);
  if (ntotal > 0) lists.adopt(rows, ids, sizes);
  const coarse = new Coarse(quantizer, sizes.length);
  coarse.sharpen();
  if (compact !== undefined) compact.coarse = coarse;
  const index =
    compact === undefined ? new ListIndex(own, coarse, ivfFlatWire, lists) : new CompactIndex(compact, coarse, lists);
  index.restore({ ntotal, isTrained: true, nprobe, directMap: new DirectMap() });
  return index;
}

/** The lists that an index scans for a query, unless told otherwise. */
export function nprobeOf(node: IndexNode): number {
  return node instanceof ListIndex ? node.nprobe : 1;
}
