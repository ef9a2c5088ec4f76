// Exact search over all float rows: a Flat index, and the coarse step of an IVF.

import { countAdmitted, isAdmitted } from "../admitted";
import { F32 } from "../codes/f32";
import { innerProducts, pairKey, squaredNorms } from "../distance";
import { Best } from "../found/best";
import { INNER_PRODUCT, L2 } from "../metric";
import { Lists, Plan } from "../records";
import { sumError, TINY } from "../rounding";
import { heapReplace } from "../topk";
import { scanList, scanStretch, SEAT, WORD } from "./lists";

/** Rows of a tile: 128 rows x 64 queries are 32 KB of products, and at d = 256 the rows are 128 KB, both second-level. */
export const TILE_ROWS: i32 = 128;
/** Queries that one crossing takes at most. */
export const BLOCK: i32 = 64;
/** From so many queries on, the tile pays: with fewer, its bounds cost more than the pairs of rows it saves. */
const TILE_QUERIES: i32 = 3;
/** Of a tile with fewer admitted rows than one in so many, these are compared one by one. */
const SPARSE: i32 = 4;

/** Bytes of scratch that searchRows needs for nq queries. */
export function searchRowsScratch(nq: i32): i32 {
  return (nq * TILE_ROWS + TILE_ROWS + BLOCK + nq + WORD) * 4 + nq * SEAT;
}

/**
 * The k nearest of the rows of list 0 for each of the plan's queries, at most BLOCK. code: a record of F32.
 *
 * One or two queries are compared with the rows directly. More go through tiles of inner products: a product gives the
 * distance |x|² + |y|² - 2xy up to a rounding error that is bounded, and only rows that the bound can't rule out are
 * compared exactly. So the answer is that of the direct scan, bit for bit.
 */
export function searchRows(code: usize, plan: usize, lists: usize, found: usize): void {
  allRows(changetype<F32>(code), changetype<Plan>(plan), changetype<Lists>(lists), changetype<Best>(found));
}

function allRows(code: F32, plan: Plan, lists: Lists, found: Best): void {
  const nq = plan.nq;
  const n = load<i32>(lists.sizes);
  const pairs = plan.scratch;
  const until = pairs + ((<usize>nq) << 2);
  const listed = until;
  const seats = listed + (WORD << 2);
  found.open(nq, lists.ids, plan.metric, seats);
  code.open(plan, lists, 0);
  for (let i = 0; i < nq; i++) store<i32>(pairs + ((<usize>i) << 2), i);
  if (nq < TILE_QUERIES) {
    scanList<F32, Best>(code, plan, lists, found, 0, n, pairs, until, listed);
  } else {
    const rowNorms = seats + <usize>(nq * SEAT);
    const queryNorms = rowNorms + (TILE_ROWS << 2);
    const tile = queryNorms + (BLOCK << 2);
    const d = plan.d;
    const size = code.size;
    const admitted = plan.admitted;
    if (plan.metric == L2) squaredNorms(plan.queries, nq, d, queryNorms);
    for (let first = 0; first < n; first += TILE_ROWS) {
      const count = min(TILE_ROWS, n - first);
      if (admitted != 0) {
        const open = countAdmitted(admitted, first, count);
        if (open * SPARSE < count) {
          if (open > 0) scanStretch<F32, Best>(code, plan, lists, found, 0, first, count, pairs, until, listed);
          continue;
        }
      }
      const at = lists.codes + <usize>first * size;
      innerProducts(plan.queries, nq, at, count, d, tile, TILE_ROWS);
      if (plan.metric == L2) squaredNorms(at, count, d, rowNorms);
      for (let i = 0; i < nq; i++) {
        const products = tile + ((<usize>(i * TILE_ROWS)) << 2);
        const heapKeys = found.keys + ((<usize>(i * found.k)) << 2);
        const heapSlots = found.slots + ((<usize>(i * found.k)) << 2);
        if (plan.metric == INNER_PRODUCT) {
          takeProducts(products, count, first, heapKeys, heapSlots, found.k, admitted);
        } else {
          const norm = load<f32>(queryNorms + ((<usize>i) << 2));
          const query = plan.queries + <usize>i * size;
          takeBounded(query, norm, at, rowNorms, products, count, d, first, heapKeys, heapSlots, found.k, admitted);
        }
      }
    }
  }
  for (let i = 0; i < nq; i++) found.close(found.seat(i));
}

/** Offers a query's row of the tile to its heap: the negated product is the key, the same as pairKey's to the bit. */
function takeProducts(
  products: usize,
  count: i32,
  first: i32,
  keys: usize,
  slots: usize,
  k: i32,
  admitted: usize,
): void {
  let worst = load<f32>(keys);
  for (let j = 0; j < count; j++) {
    const key = -load<f32>(products + ((<usize>j) << 2));
    if (key < worst && isAdmitted(admitted, first + j)) {
      heapReplace(keys, slots, k, key, first + j, 0, INNER_PRODUCT);
      worst = load<f32>(keys);
    }
  }
}

/**
 * Compares those rows of the tile exactly that may be nearer than the heap's worst.
 *
 *     products  | p0 p1 p2 p3 |   lower = (|x|² + |y|²)(1 - 4g) - 2p - tiny
 *     norms     | n0 n1 n2 n3 |   skip a row if worst <= lower <= FLT_MAX
 *
 * g is sumError: rounding.ts has the proof. An overflow gives NaN or infinity, and the row is compared.
 */
function takeBounded(
  query: usize,
  norm: f32,
  rows: usize,
  norms: usize,
  products: usize,
  count: i32,
  d: i32,
  first: i32,
  keys: usize,
  slots: usize,
  k: i32,
  admitted: usize,
): void {
  const size = (<usize>d) << 2;
  const shrink = f32x4.splat(1 - <f32>4 * sumError(d));
  const tiny = f32x4.splat(TINY);
  const two = f32x4.splat(2);
  const max = f32x4.splat(f32.MAX_VALUE);
  const x = f32x4.splat(norm);
  let worst = load<f32>(keys);
  let limit = f32x4.splat(worst);
  for (let j = 0; j < count; j += 4) {
    const at = (<usize>j) << 2;
    const norms4 = f32x4.mul(f32x4.add(x, v128.load(norms + at)), shrink);
    const lower = f32x4.sub(f32x4.sub(norms4, f32x4.mul(v128.load(products + at), two)), tiny);
    let open = 15 & ~i32x4.bitmask(v128.and(f32x4.ge(lower, limit), f32x4.le(lower, max)));
    while (open != 0) {
      const row = j + ctz(open);
      open &= open - 1;
      if (row >= count) break;
      if (!isAdmitted(admitted, first + row)) continue;
      const key = pairKey(query, rows + <usize>row * size, d, L2);
      if (key < worst) {
        heapReplace(keys, slots, k, key, first + row, 0, L2);
        worst = load<f32>(keys);
        limit = f32x4.splat(worst);
      }
    }
  }
}
