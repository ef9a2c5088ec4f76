// True bounds by heads: some thousand rows have a few dozen numbers each (heads.ts), which rule most of the rows out, so that an exact
// search compares few of them exactly.
//
// A row whose bound is too large is passed over; the others are compared exactly, in the order of the rows: the answer is that of the
// plain scan.
//
// One block of memory holds all: the basis, then, N being n rounded up to 4,
//
//     |y|² of each row, less the mean   | N f32
//     head of each row                  | n x headSize f32

import { largestKey, takeBelow, takeSmallest } from "./candidates";
import { F32 } from "./codes/f32";
import { innerProducts, pairKey, squaredNorms } from "./distance";
import { Best } from "./found/best";
import {
  basisBytes,
  directionsOf,
  headSize,
  makeBasis,
  makeHeads,
  makeHeadsScratch,
  meanOf,
  slackOf,
  storeRest,
  up4,
} from "./heads";
import { INNER_PRODUCT, L2, TOO_LONG, TOO_SHORT } from "./metric";
import { Lists, Plan } from "./records";
import { TINY } from "./rounding";
import { centre } from "./rows";
import { scanList, SEAT } from "./scan/lists";
import { heapClear } from "./topk";

/** Bytes of the block for n rows. */
export function boundsBytes(n: i32, d: i32): i32 {
  const m = headSize(n, d);
  return basisBytes(d, m) + (up4(n) + n * m) * 4;
}

/** Bytes of scratch that makeBounds takes. */
export function makeBoundsScratch(n: i32, d: i32): i32 {
  return makeHeadsScratch(d, headSize(n, d));
}

/** Bytes of scratch that searchBounded takes. */
export function searchBoundedScratch(nq: i32, n: i32, d: i32, k: i32): i32 {
  return (nq * (d + headSize(n, d) + up4(n)) + up4(nq) + up4(k) * 2 + 1) * 4 + nq * SEAT;
}

/** Fills the block. Returns 0 where the rows hold what no bound covers: NaN, infinities, lengths near the ends of f32. */
export function makeBounds(rows: usize, n: i32, d: i32, bounds: usize, scratch: usize): i32 {
  const m = headSize(n, d);
  if (makeBasis(rows, n, d, m, bounds, scratch) == 0) return 0;
  const lengths = bounds + basisBytes(d, m);
  return makeHeads(rows, n, d, m, bounds, lengths, lengths + ((<usize>up4(n)) << 2), scratch);
}

/**
 * As searchRows, by the bounds that makeBounds made of the same rows: the same results to the last bit. 0 < k <= n, and no row is left out
 * by a filter. It pays where k is small beside n. code: a record of F32.
 */
export function searchBounded(code: usize, bounds: usize, plan: usize, lists: usize, found: usize): void {
  boundedRows(changetype<F32>(code), bounds, changetype<Plan>(plan), changetype<Lists>(lists), changetype<Best>(found));
}

function boundedRows(code: F32, bounds: usize, plan: Plan, lists: Lists, found: Best): void {
  const nq = plan.nq;
  const d = plan.d;
  const metric = plan.metric;
  const rows = lists.codes;
  const n = load<i32>(lists.sizes);
  const k = found.k;
  const m = headSize(n, d);
  const size = (<usize>d) << 2;
  const mean = meanOf(bounds);
  const basis = directionsOf(bounds, d);
  const lengths = bounds + basisBytes(d, m);
  const stride = up4(n);
  const heads = lengths + ((<usize>stride) << 2);
  const slack = slackOf(bounds);

  const pairs = plan.scratch;
  const seats = pairs + 4;
  const centred = seats + <usize>(nq * SEAT);
  const queryHeads = centred + <usize>nq * size;
  const queryLengths = queryHeads + ((<usize>(nq * m)) << 2);
  const tile = queryLengths + ((<usize>up4(nq)) << 2);
  const nearKeys = tile + ((<usize>nq * stride) << 2);
  const nearSlots = nearKeys + ((<usize>up4(k)) << 2);
  found.open(nq, 0, metric, seats);
  code.open(plan, lists, 0);

  // Under L2 the queries are centred as the rows are; a product with the mean is the same for all rows and goes into the base.
  for (let i = 0; i < nq; i++) {
    centre(plan.queries + <usize>i * size, metric == L2 ? mean : 0, size, centred + <usize>i * size);
  }
  squaredNorms(centred, nq, d, queryLengths);
  innerProducts(centred, nq, basis, m - 1, d, queryHeads, m);
  for (let i = 0; i < nq; i++) {
    storeRest(queryHeads + ((<usize>(i * m)) << 2), m, load<f32>(queryLengths + ((<usize>i) << 2)), slack);
  }
  innerProducts(queryHeads, nq, heads, n, m, tile, stride);

  for (let i = 0; i < nq; i++) {
    const query = plan.queries + <usize>i * size;
    const keys = found.keys + ((<usize>(i * k)) << 2);
    const slots = found.slots + ((<usize>(i * k)) << 2);
    const length = load<f32>(queryLengths + ((<usize>i) << 2));
    if (!(length < TOO_LONG && length > TOO_SHORT)) {
      store<i32>(pairs, i);
      scanList<F32, Best>(code, plan, lists, found, 0, n, pairs, pairs + 4, 0);
      found.close(found.seat(i));
      continue;
    }
    const lower = tile + ((<usize>i * stride) << 2);
    if (metric == L2) {
      boundDistances(lower, stride, length, lengths, slack);
    } else {
      const norms = load<f32>(bounds) + load<f32>(bounds, 4);
      boundProducts(lower, stride, pairKey(query, mean, d, INNER_PRODUCT) - slack * sqrt(length) * norms);
    }
    // The k rows that look nearest give a distance that k rows surely keep.
    heapClear(nearKeys, nearSlots, k);
    takeSmallest(lower, n, nearKeys, nearSlots, k);
    const limit = largestKey(query, rows, d, metric, nearSlots, k);
    takeBelow(lower, n, limit, query, rows, d, metric, 0, keys, slots, k, 0, 0);
    found.close(found.seat(i));
  }
}

/** Turns products of heads into lower bounds of the distance: (|x|² + |y|²)(1 - slack) - 2 product - tiny. */
function boundDistances(products: usize, n: i32, length: f32, lengths: usize, slack: f32): void {
  const x = f32x4.splat(length);
  const shrink = f32x4.splat(1 - slack);
  const two = f32x4.splat(2);
  const tiny = f32x4.splat(TINY);
  for (let end = products + ((<usize>n) << 2); products < end; products += 16, lengths += 16) {
    const both = f32x4.mul(f32x4.add(x, v128.load(lengths)), shrink);
    v128.store(products, f32x4.sub(f32x4.sub(both, f32x4.mul(v128.load(products), two)), tiny));
  }
}

/** Turns products of heads into lower bounds of the key of an inner product: base - product. */
function boundProducts(products: usize, n: i32, base: f32): void {
  const base4 = f32x4.splat(base - TINY);
  for (let end = products + ((<usize>n) << 2); products < end; products += 16) {
    v128.store(products, f32x4.sub(base4, v128.load(products)));
  }
}
