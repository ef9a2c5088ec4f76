import * as Best from "../wasm/best.gen.js";
import * as Lists from "../wasm/lists.gen.js";
import * as Plan from "../wasm/plan.gen.js";
import type { Kernels } from "../wasm/kernels.gen.js";
import type { MoreKernels } from "../wasm/more.js";
import { FOUND, LISTS, PLAN, RECORDS_END } from "../wasm/records.js";
import type { Engine } from "../wasm/engine.js";

/** How a call of a kernel is cut into pieces, none of which looks at what another one writes. */
export interface Share {
  /** Rows in all; of a piece at least, and at most. */
  total: number;
  least: number;
  most: number;
  /** The argument that says how many rows there are; -1 where a record does. */
  count: number;
  /** Of some arguments, how much larger they are for the next row. */
  steps: Readonly<Record<number, number>>;
  /** The argument that says where scratch is, and how many bytes of it a piece takes. */
  scratch?: readonly [arg: number, bytes: number];
  /** Of a search: see RECORD_STEPS. */
  recordSteps?: readonly number[];
  /**
   * Of a kernel that returns a place, -1 for none, how much it is larger for the next row: the first place is what the call returns. 0 for one
   * that returns 1, or 0 where it can't do its work.
   */
  result?: number;
  /** What is left to do by one thread once all pieces are done. */
  after?: () => void;
}

/** A kernel's way, for the arguments of a call, among the kernels of its module; undefined where it can't be shared. */
type Sharing = (args: readonly number[], engine: Engine, kernels: Kernels & MoreKernels) => Share | undefined;

/** Points whose nearest centroids one call of a kernel finds at most, as its scratch is made for. */
const POINTS = 64;
/** Floats that take some 10 µs to be looked at. */
const FLOATS = 1 << 15;
/** Rows whose norms take some 100 us, a multiple of four. */
const NORMS = 512;
/** Rows whose heads take some 100 us, a multiple of four. */
const HEADS = 256;
/** Rows that assembly/linear.ts multiplies at a time. */
const STRIPE = 16;
/** Queries of a piece at least: with fewer, what a block of them has in common is done too often. */
const QUERIES = 8;
/** The name of what helpers do while one thread copies (copier.ts). */
export const TOUCH = "touch";
/** Queries of a block (assembly/scan/all.ts, BLOCK). */
const QUERIES_AT_ONCE = 64;

/** Each row becomes a code of its own. */
function encoding(vectors: number, n: number, rowBytes: number, out: number, outBytes: number, total: number): Share {
  return { total, least: 16, most: 256, count: n, steps: { [vectors]: rowBytes, [out]: outBytes } };
}

/** A search of the queries of a plan, a block at most, by a kernel that takes records. */
const searching: Sharing = (_, { i32, scratchTop }) => {
  const plan = PLAN >>> 2;
  const found = FOUND >>> 2;
  const probes = i32[plan + Plan.nprobe] * 4;
  const results = i32[found + Best.k] * 4;
  return {
    total: i32[plan + Plan.nq],
    least: QUERIES,
    most: QUERIES_AT_ONCE,
    count: -1,
    steps: {},
    scratch: [-1, scratchTop - (i32[plan + Plan.scratch] >>> 0)],
    recordSteps: [i32[plan + Plan.d] * 4, probes, i32[plan + Plan.coarse] === 0 ? 0 : probes, results, results],
  };
};

/** As that, of rows of one list: where cells are assigned it is of more than a block, and each piece has the scratch of one. */
function assigning(bytes: (kernels: Kernels, n: number, d: number, k: number) => number): Sharing {
  return (args, engine, kernels) => {
    const share = searching(args, engine, kernels);
    if (share === undefined || share.total <= QUERIES_AT_ONCE) return share;
    const { i32 } = engine;
    const n = i32[i32[(LISTS >>> 2) + Lists.sizes] >>> 2];
    const own = bytes(kernels, n, i32[(PLAN >>> 2) + Plan.d], i32[(FOUND >>> 2) + Best.k]);
    return { ...share, scratch: [-1, own] };
  };
}

/**
 * The kernels whose work is shared out. Whatever the pieces are, each row, query, centroid or sub-quantizer is dealt with by one call, in
 * the order in which it always is: the bytes are the same for any number of threads.
 */
export const SHARES: Readonly<Record<string, Sharing>> = {
  assign: ([, total, , , , d], _, kernels) => ({
    total,
    least: 16,
    most: POINTS,
    count: 1,
    steps: { 0: d * 4, 6: 4, 7: 4 },
    scratch: [8, kernels.assignScratch(POINTS)],
  }),
  // What is known of 64 points stands together.
  assignByHeads: ([, total, , , k, d, , m], _, kernels) => ({
    total,
    least: POINTS,
    most: POINTS,
    count: 1,
    steps: { 0: d * 4, 6: 4, 9: 4, 10: m * 4, 12: (k + 15) >> 4, 13: 4, 14: 4 },
    scratch: [15, kernels.assignByHeadsScratch(POINTS, m)],
  }),
  makeHeads: ([rows, total, d, m, basis, lengths, heads, scratch], engine, kernels) => ({
    total,
    // Of norms, the kernel writes four at a time.
    least: HEADS,
    most: HEADS,
    count: 1,
    steps: { 0: d * 4, 5: 4, 6: m * 4 },
    scratch: [7, kernels.makeHeadsScratch(d, m)],
    result: 0,
    // Each thread notes the longest row that it has seen in the basis, and one may write over another's: once more, of the longest of all.
    after: () => {
      const own = engine.f32.subarray(lengths >>> 2, (lengths >>> 2) + total);
      let longest = 0;
      for (let i = 1; i < total; i++) if (own[i] > own[longest]) longest = i;
      const at = longest & ~3;
      const count = Math.min(4, total - at);
      kernels.makeHeads(rows + at * d * 4, count, d, m, basis, lengths + at * 4, heads + at * m * 4, scratch);
    },
  }),
  // The kernel writes four norms at a time.
  squaredNorms: ([, total, d]) => ({ total, least: NORMS, most: NORMS, count: 1, steps: { 0: d * 4, 3: 4 } }),
  firstNotFinite: ([, total]) => ({ total, least: FLOATS, most: 4 * FLOATS, count: 1, steps: { 0: 4 }, result: 1 }),
  searchRows: assigning((kernels) => kernels.searchRowsScratch(QUERIES_AT_ONCE)),
  searchBounded: assigning((kernels, n, d, k) => kernels.searchBoundedScratch(QUERIES_AT_ONCE, n, d, k)),
  searchRowsCoded: searching,
  searchListsCoded: searching,
  scanF32Best: searching,
  scanCodesBest: searching,
  searchPacked: searching,
  searchGraphF32: searching,
  searchGraphSifted: searching,
  searchGraphCodes: searching,
  refineRows: ([, total, , d, , inOrder, , n, k]) => ({
    total,
    least: QUERIES,
    most: QUERIES_AT_ONCE,
    count: 1,
    steps: { 0: d * 4, 2: inOrder ? n * d * 4 : 0, 6: n * 4, 9: k * 4, 10: k * 4 },
  }),
  // All centroids: the first is number 0.
  accumulate: ([, n, , , , , , total]) =>
    n < POINTS * 2 ? undefined : { total, least: 1, most: total, count: 7, steps: { 6: 1 } },
  quantize: ([, n, M, , sub, , , errors]) => (errors === 0 ? encoding(0, 1, M * sub * 4, 6, M, n) : undefined),
  encodeProduct: ([, n, M, , , sub, , , rowBytes]) => encoding(0, 1, M * sub * 4, 7, rowBytes, n),
  // Sub-quantizers are shared out, as the centroids of k-means are: each sum has its numbers in the same order as ever.
  trainProduct: ([, , , total, bits, K, sub]) => ({
    total,
    least: 1,
    most: total,
    count: 3,
    steps: { 0: sub * 4, 7: sub * K * 4, 8: (sub * 4) << bits, 9: 4 << bits, 10: 8 },
  }),
  encodeScalar: ([, n, d, , , , , rowBytes]) => encoding(0, 1, d * 4, 6, rowBytes, n),
  // Rows of the first vectors, in stripes as the kernel takes them; `upper` leaves out more of each row than of the one before.
  addProducts: ([, total, , dy, n, upper], _, kernels) =>
    upper
      ? undefined
      : {
          total,
          least: STRIPE,
          most: STRIPE,
          count: 1,
          steps: { 0: n * 4, 6: dy * 8 },
          scratch: [7, kernels.addProductsScratch(dy)],
        },
  applyLinear: ([, total, din, , dout], _, kernels) => ({
    total,
    least: 16,
    most: POINTS,
    count: 1,
    steps: { 0: din * 4, 6: dout * 4 },
    scratch: [7, kernels.applyLinearScratch(POINTS, dout)],
  }),
};

/** Their names, and that of a toucher, in an order that all threads know. */
export const KERNELS: readonly string[] = [...Object.keys(SHARES), TOUCH];

/** A bit for each argument of a search that is the address of a record: all are addresses, and nothing else stands where records do. */
export function recordsAmong(args: readonly number[]): number {
  return args.reduce((bits, arg, i) => bits | (arg >= PLAN && arg < RECORDS_END ? 1 << i : 0), 0);
}
