// True bounds by heads: some thousand rows have a few dozen numbers each (heads.ts), which rule most of the rows out, so that an exact
// search compares few of them exactly.
//
// The k rows that look nearest are compared first, then, in the order of the rows, those whose bound is not above the worst that is
// kept. The order decides only between equal keys at the cut: a query that sees such keys is answered by the plain scan.
//
// One block of memory holds all, in whole numbers (whole-rows.ts), N being n rounded up to 16, D d:
//
//     length of the longest row, of the mean, slack | 3 f32
//     m, the numbers of a head                      | i32
//     mean                                          | d f32, rounded up to 4
//     R                                             | m - 1 whole rows of D
//     |y|² of each row, less the mean               | N f32
//     head of each row                              | n whole rows of m
//
// WHAT WHOLE NUMBERS LOSE. R is T + F, T being its image, and the query x = p + e (row-codes.ts). Its head is h = T p in place of R x, so
// off by at most E = ‖F‖ |p| + ‖R‖ |e|, ‖F‖ being at most the root of all its squares. So |x|² less what R sees of it is at most
// |x|² - |h|² + 2 E (|x| + E), which goes into its rest, and |y| E into the bound of a product. The product of heads h and g, both rounded,
// h = p + e and g = q + f, is that of p and q but for |e||g| + |p||f|, f being half a whole number in each place at most.
// E and all lengths are taken a hundredth larger, which is more than what floats lose of them.

import { takeBelow, takeNear, takeSmallest } from "./candidates";
import { F32 } from "./codes/f32";
import { pairKey } from "./distance";
import { Best } from "./found/best";
import {
  basisBytes,
  directionsOf,
  makeBasis,
  makeHeads,
  makeHeadsScratch,
  meanOf,
  slackOf,
  storeRest,
  up4,
} from "./heads";
import { INNER_PRODUCT, L2, TOO_SHORT } from "./metric";
import { Lists, Plan } from "./records";
import { EPSILON, TINY } from "./rounding";
import { quantize, up16 } from "./row-codes";
import { centre } from "./rows";
import { scanList, SEAT } from "./scan/lists";
import { heapClear } from "./topk";
import { BLOCK_ROWS, HEADER, LENGTH, wholeProducts, wholeRowsBytes, writeWholeRows } from "./whole-rows";

/** Lengths in whole numbers of R's directions and of queries: directions have many small numbers, which want more bits. */
const DIRECTION_LENGTH: f32 = 128000;
const QUERY_LENGTH: f32 = 16000;
/** The largest whole number. */
const LEVELS: i32 = 32767;
/** Numbers of a short head, and the share of all squares that it may leave over. */
const SHORT: i32 = 48;
const SHORT_REST: f32 = 0.06;
/** Numbers that are known of a query: scale, squared length of the image, error; squared length. */
const FACTS: usize = 16;

/**
 * Numbers in a head at most, for searches of n rows. Of 495 centroids of real ContentVec frames (d = 768), 64 leave 11 to be compared for
 * the nearest one and 97 for the 16 nearest, 96 leave 6 and 58, 128 leave 4 and 42; of 1024 centroids of speech-like vectors (d = 256), 32
 * leave 2.7 and 89, 48 leave 1.6 and 26. More cost more for each row, and R more memory where rows are few. Where 48 leave
 * little of the rows over, they are enough: of 2564 centroids of speech-like vectors (d = 768) they leave 2.9 and 29, 96 leave 1.9 and 22.
 */
function headSize(n: i32, d: i32): i32 {
  if (d < 512) return SHORT;
  return n >= 480 ? 96 : 64;
}

/** Where the number of a block's heads' numbers stands. */
@inline
function sizeOf(bounds: usize): i32 {
  return load<i32>(bounds, 12);
}

/** Bytes of the block for n rows. */
export function boundsBytes(n: i32, d: i32): i32 {
  const m = headSize(n, d);
  return 16 + (up4(d) + up16(n)) * 4 + wholeRowsBytes(m - 1, up16(d)) + wholeRowsBytes(n, m);
}

/** Bytes of scratch that makeBounds takes. */
export function makeBoundsScratch(n: i32, d: i32): i32 {
  const m = headSize(n, d);
  return basisBytes(d, m) + n * m * 4 + makeHeadsScratch(d, m);
}

/** Bytes of scratch that searchBounded takes. */
export function searchBoundedScratch(nq: i32, n: i32, d: i32, k: i32): i32 {
  const m = headSize(n, d);
  const query = up16(d) * 2 + m * 6 + up16(n) * 4 + <i32>FACTS + SEAT;
  return up16(d) * 4 + nq * query + (up4(k) * 2 + 4) * 4;
}

/** Fills the block. Returns 0 where the rows hold what no bound covers: NaN, infinities, lengths near the ends of f32. */
export function makeBounds(rows: usize, n: i32, d: i32, bounds: usize, scratch: usize): i32 {
  let m = headSize(n, d);
  const heads = scratch + basisBytes(d, m);
  const rest = heads + ((<usize>(n * m)) << 2);
  if (makeBasis(rows, n, d, m, scratch, rest) == 0) return 0;
  const D = up16(d);
  const before: usize = 16 + ((<usize>up4(d)) << 2);
  // Where the lengths stand depends on m, which depends on them.
  const lengths = bounds;
  const made = makeHeads(rows, n, d, m, scratch, lengths, heads, rest);
  if (made == 0) return 0;
  if (m > SHORT) {
    let all: f32 = 0;
    let seen: f32 = 0;
    for (let i = 0; i < n; i++) {
      const head = heads + ((<usize>(i * m)) << 2);
      all += load<f32>(lengths + ((<usize>i) << 2));
      seen -= pairKey(head, head, SHORT - 1, INNER_PRODUCT);
    }
    if (all - seen <= SHORT_REST * all) m = SHORT;
  }
  const directions = bounds + before;
  const own = directions + wholeRowsBytes(m - 1, D);
  makeHeads(rows, n, d, m, scratch, own, heads, rest);
  memory.fill(own + ((<usize>n) << 2), 0, (<usize>(up16(n) - n)) << 2);
  writeWholeRows(heads, n, m, m, LENGTH, own + ((<usize>up16(n)) << 2));
  writeWholeRows(directionsOf(scratch, d), m - 1, d, D, DIRECTION_LENGTH, directions);
  memory.copy(bounds, scratch, before);
  store<i32>(bounds, m, 12);
  return 1;
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
  const m = sizeOf(bounds);
  const D = up16(d);
  const size = (<usize>d) << 2;
  const mean = meanOf(bounds);
  const directions = mean + ((<usize>up4(d)) << 2);
  const lengths = directions + wholeRowsBytes(m - 1, D);
  const stride = up16(n);
  const heads = lengths + ((<usize>stride) << 2);
  const slack = slackOf(bounds);

  const centred = plan.scratch;
  const queryCodes = centred + ((<usize>D) << 2);
  const queryHeads = queryCodes + ((<usize>(nq * D)) << 1);
  const headCodes = queryHeads + ((<usize>(nq * m)) << 2);
  const facts = headCodes + ((<usize>(nq * m)) << 1);
  const tile = facts + <usize>nq * FACTS;
  const nearKeys = tile + ((<usize>nq * stride) << 2);
  const nearSlots = nearKeys + ((<usize>up4(k)) << 2);
  const pairs = nearSlots + ((<usize>up4(k)) << 2);
  found.open(nq, 0, metric, pairs + 16);
  code.open(plan, lists, 0);

  // Under L2 the queries are centred as the rows are; a product with the mean is the same for all rows and goes into the base.
  memory.fill(centred, 0, (<usize>D) << 2);
  for (let i = 0; i < nq; i++) {
    centre(plan.queries + <usize>i * size, metric == L2 ? mean : 0, size, centred);
    const fact = facts + <usize>i * FACTS;
    const code = queryCodes + ((<usize>(i * D)) << 1);
    store<f32>(fact, quantize(centred, D, LEVELS, QUERY_LENGTH, fact, fact + 4, fact + 8, code, false), 12);
  }
  wholeProducts(queryCodes, nq, D, directions + HEADER, m / BLOCK_ROWS, queryHeads, m);
  const one = load<f32>(directions);
  const lost = load<f32>(directions, 4) + 4 * EPSILON;
  const longest = load<f32>(bounds) * <f32>1.01;
  const worth = load<f32>(heads);
  const reach = worth * LENGTH * <f32>1.01;
  for (let i = 0; i < nq; i++) {
    const fact = facts + <usize>i * FACTS;
    const head = queryHeads + ((<usize>(i * m)) << 2);
    const square = load<f32>(fact, 12);
    if (!(square > TOO_SHORT)) {
      memory.fill(headCodes + ((<usize>(i * m)) << 1), 0, (<usize>m) << 1);
      continue;
    }
    const scale = f32x4.splat(load<f32>(fact) * one);
    for (let at = head, end = head + ((<usize>m) << 2); at < end; at += 16) {
      v128.store(at, f32x4.mul(f32x4.convert_i32x4_s(v128.load(at)), scale));
    }
    const length = sqrt(square) * <f32>1.01;
    const error = load<f32>(fact, 8) * <f32>1.01;
    const off = (lost * (length + error) + error) * <f32>1.01;
    storeRest(head, m, square + 2 * off * (length + off), slack);
    quantize(head, m, LEVELS, LENGTH, fact, fact + 4, fact + 8, headCodes + ((<usize>(i * m)) << 1), false);
    const image = sqrt(load<f32>(fact, 4)) * <f32>1.01;
    const rounded = load<f32>(fact, 8) * reach + image * worth * sqrt(<f32>m) * <f32>0.51;
    store<f32>(fact, off * longest + rounded, 8);
  }
  wholeProducts(headCodes, nq, m, heads + HEADER, stride / BLOCK_ROWS, tile, stride);

  for (let i = 0; i < nq; i++) {
    const query = plan.queries + <usize>i * size;
    const fact = facts + <usize>i * FACTS;
    const seat = found.seat(i);
    const square = load<f32>(fact, 12);
    if (square > TOO_SHORT) {
      const lower = tile + ((<usize>i * stride) << 2);
      const scale = load<f32>(fact) * worth;
      const off = load<f32>(fact, 8);
      if (metric == L2) {
        const shrink: f32 = 1 - slack;
        boundKeys(lower, stride, lengths, shrink, square * shrink - 2 * off - TINY, 2 * scale);
      } else {
        const norms = longest + load<f32>(bounds, 4);
        const base = pairKey(query, mean, d, INNER_PRODUCT) - slack * sqrt(square) * norms;
        boundKeys(lower, stride, lengths, 0, base - off - TINY, scale);
      }
      heapClear(nearKeys, nearSlots, k);
      takeSmallest(lower, n, nearKeys, nearSlots, k);
      const keys = found.keys + ((<usize>(i * k)) << 2);
      const slots = found.slots + ((<usize>(i * k)) << 2);
      const tie = found.tieOf(seat);
      takeNear(lower, nearSlots, 0, query, rows, d, metric, keys, slots, k, 0, tie);
      takeBelow(lower, n, 0, query, rows, d, metric, keys, slots, k, 0, tie);
    }
    if (!(square > TOO_SHORT) || found.isTied(seat)) {
      found.restart(seat);
      store<i32>(pairs, i);
      scanList<F32, Best>(code, plan, lists, found, 0, n, pairs, pairs + 4, 0);
    }
    found.close(seat);
  }
}

/** Turns products of heads into lower bounds of keys: shrink |y|² + base - scale product. */
function boundKeys(products: usize, n: i32, lengths: usize, shrink: f32, base: f32, scale: f32): void {
  const shrink4 = f32x4.splat(shrink);
  const base4 = f32x4.splat(base);
  const scale4 = f32x4.splat(scale);
  for (let end = products + ((<usize>n) << 2); products < end; products += 16, lengths += 16) {
    const product = f32x4.mul(f32x4.convert_i32x4_s(v128.load(products)), scale4);
    const square = f32x4.add(f32x4.mul(v128.load(lengths), shrink4), base4);
    v128.store(products, f32x4.sub(square, product));
  }
}
