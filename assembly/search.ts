// Exact search over float rows: all of them (Flat, and the coarse step of an IVF), or those of chosen lists (IVF,Flat).

import { innerProducts, pairKey, scanRows, scanRowsTwice, squaredNorms } from "./distance";
import { finish, heapClear, heapReplace } from "./topk";
import { INNER_PRODUCT, L2 } from "./metric";
import { groupByList } from "./probes";

/** Rows of a tile: 128 rows x 64 queries are 32 KB of products, and at d = 256 the rows are 128 KB, both second-level. */
export const TILE_ROWS: i32 = 128;
/** Queries that one crossing takes at most. */
export const BLOCK: i32 = 64;
/** From so many queries on, the tile pays: with fewer, its bounds cost more than the pairs of rows it saves. */
const TILE_QUERIES: i32 = 3;

/** Bytes of scratch that searchRows needs for nq queries. */
export function searchRowsScratch(nq: i32): i32 {
  return (nq * TILE_ROWS + TILE_ROWS + BLOCK) * 4;
}

/**
 * The k nearest of n rows for each of nq <= BLOCK queries: keys and slots are nq x k, finished.
 *
 * One or two queries are compared with the rows directly. More go through tiles of inner products: a product gives the
 * distance |x|² + |y|² - 2xy up to a rounding error that is bounded, and only rows that the bound can't rule out are
 * compared exactly. So the answer is that of the direct scan, bit for bit.
 */
export function searchRows(
  queries: usize,
  nq: i32,
  rows: usize,
  n: i32,
  d: i32,
  metric: i32,
  k: i32,
  keys: usize,
  slots: usize,
  scratch: usize,
): void {
  const size = (<usize>d) << 2;
  const result = (<usize>k) << 2;
  for (let i = 0; i < nq; i++) heapClear(keys + <usize>i * result, slots + <usize>i * result, k);
  if (nq < TILE_QUERIES) {
    for (let i = 0; i < nq; i++) {
      const own = <usize>i * result;
      scanStretches(queries + <usize>i * size, rows, 0, n, d, metric, keys + own, slots + own, k, 0);
    }
  } else {
    const rowNorms = scratch;
    const queryNorms = rowNorms + (TILE_ROWS << 2);
    const tile = queryNorms + (BLOCK << 2);
    if (metric == L2) squaredNorms(queries, nq, d, queryNorms);
    for (let first = 0; first < n; first += TILE_ROWS) {
      const count = min(TILE_ROWS, n - first);
      const at = rows + <usize>first * size;
      innerProducts(queries, nq, at, count, d, tile, TILE_ROWS);
      if (metric == L2) squaredNorms(at, count, d, rowNorms);
      for (let i = 0; i < nq; i++) {
        const products = tile + ((<usize>(i * TILE_ROWS)) << 2);
        const heapKeys = keys + <usize>i * result;
        const heapSlots = slots + <usize>i * result;
        if (metric == INNER_PRODUCT) {
          takeProducts(products, count, first, heapKeys, heapSlots, k);
        } else {
          const norm = load<f32>(queryNorms + ((<usize>i) << 2));
          takeBounded(queries + <usize>i * size, norm, at, rowNorms, products, count, d, first, heapKeys, heapSlots, k);
        }
      }
    }
  }
  for (let i = 0; i < nq; i++) finish(keys + <usize>i * result, slots + <usize>i * result, k, 0, metric);
}

/** Offers a query's row of the tile to its heap: the negated product is the key, the same as pairKey's to the bit. */
function takeProducts(products: usize, count: i32, first: i32, keys: usize, slots: usize, k: i32): void {
  let worst = load<f32>(keys);
  for (let j = 0; j < count; j++) {
    const key = -load<f32>(products + ((<usize>j) << 2));
    if (key < worst) {
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
 * g bounds the relative error of a sum of d/4 + 8 roundings: each of |x|², |y|², 2xy is off by at most g(|x|² + |y|²),
 * the exact comparison itself by g of its result, which is at most 2(|x|² + |y|²) and so leaves 4g + 2g·g; the 8 spare
 * roundings cover the rest. `tiny` covers underflow. An overflow gives NaN or infinity, and the row is compared.
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
): void {
  const size = (<usize>d) << 2;
  const g = <f32>(d / 4 + 8) * <f32>5.9604645e-8;
  const shrink = f32x4.splat(1 - 4 * g - <f32>2.4e-7);
  const tiny = f32x4.splat(1e-35);
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
      const key = pairKey(query, rows + <usize>row * size, d, L2);
      if (key < worst) {
        heapReplace(keys, slots, k, key, first + row, 0, L2);
        worst = load<f32>(keys);
        limit = f32x4.splat(worst);
      }
    }
  }
}

/** Bytes of a list that are touched, then compared: they must stay in the second-level cache until the last query had them. */
const STRETCH_BYTES: usize = 1 << 18;

/** Rows of a stretch: whole steps of four. */
@inline
function stretchRows(size: usize): i32 {
  return max(4, (<i32>(STRETCH_BYTES / size)) & ~3);
}

/** Bytes of scratch that searchLists takes. */
export function searchListsScratch(nlist: i32, nq: i32, nprobe: i32): i32 {
  return (nlist + 1 + nq * nprobe + nq) * 4;
}

/**
 * Searches the lists that the coarse step chose for each query.
 *
 * probes: nq x nprobe list numbers, -1 for none. starts, sizes: u32 a list, the first slot and how many. Slots index the
 * rows and their i64 ids. Each query scans `atLeast` lists, then further ones of its probes only while its heap is not
 * full; and at most maxCodes rows (0: no limit).
 *
 * The result is that of scanning the lists of a query in the order of its probes. Where queries of a block share lists (16 frames of
 * speech at nprobe 16 want 110 lists 256 times), lists come one after the other instead, so that their rows come from memory once:
 * the order decides only between equal keys at the cut, and a query that sees such keys is scanned again.
 */
export function searchLists(
  queries: usize,
  nq: i32,
  d: i32,
  metric: i32,
  probes: usize,
  nprobe: i32,
  atLeast: i32,
  maxCodes: i32,
  nlist: i32,
  starts: usize,
  sizes: usize,
  rows: usize,
  ids: usize,
  k: i32,
  keys: usize,
  slots: usize,
  scratch: usize,
): void {
  const size = (<usize>d) << 2;
  const result = (<usize>k) << 2;
  if (nq == 1 || maxCodes > 0 || atLeast < nprobe) {
    for (let i = 0; i < nq; i++, keys += result, slots += result) {
      const own = probes + ((<usize>(i * nprobe)) << 2);
      scanProbes(queries, d, metric, own, nprobe, atLeast, maxCodes, starts, sizes, rows, ids, k, keys, slots);
      finish(keys, slots, k, ids, metric);
      queries += size;
    }
    return;
  }

  const places = scratch;
  const pairs = places + ((<usize>(nlist + 1)) << 2);
  const ties = pairs + ((<usize>(nq * nprobe)) << 2);
  groupByList(probes, nq, nprobe, 0, nprobe, nlist, places, pairs);
  for (let i = 0; i < nq; i++) {
    heapClear(keys + <usize>i * result, slots + <usize>i * result, k);
    store<f32>(ties + ((<usize>i) << 2), f32.NaN);
  }
  const stretch = stretchRows(size);
  let pair = 0;
  for (let list = 0; list < nlist; list++) {
    const until = load<i32>(places + ((<usize>list) << 2));
    if (pair == until) continue;
    const start = load<i32>(starts + ((<usize>list) << 2));
    const count = load<i32>(sizes + ((<usize>list) << 2));
    const from = pair;
    for (let first = 0; first < count; first += stretch) {
      const n = min(stretch, count - first);
      const at = rows + <usize>(<u32>(start + first)) * size;
      touchRun(at, <usize>n * size);
      pair = from;
      for (; metric == L2 && d % 4 == 0 && pair + 1 < until; pair += 2) {
        const i = <usize>load<i32>(pairs + ((<usize>pair) << 2));
        const j = <usize>load<i32>(pairs + ((<usize>pair) << 2), 4);
        scanRowsTwice(
          queries + i * size,
          queries + j * size,
          at,
          n,
          d,
          start + first,
          keys + i * result,
          slots + i * result,
          keys + j * result,
          slots + j * result,
          k,
          ids,
          ties + (i << 2),
          ties + (j << 2),
        );
      }
      for (; pair < until; pair++) {
        const i = <usize>load<i32>(pairs + ((<usize>pair) << 2));
        const own = i * result;
        const tie = ties + (i << 2);
        scanRows(queries + i * size, at, n, d, metric, start + first, keys + own, slots + own, k, ids, tie);
      }
    }
    pair = until;
  }
  for (let i = 0; i < nq; i++, keys += result, slots += result) {
    if (load<i32>(slots) >= 0 && load<f32>(ties + ((<usize>i) << 2)) == load<f32>(keys)) {
      const own = probes + ((<usize>(i * nprobe)) << 2);
      const query = queries + <usize>i * size;
      scanProbes(query, d, metric, own, nprobe, atLeast, 0, starts, sizes, rows, ids, k, keys, slots);
    }
    finish(keys, slots, k, ids, metric);
  }
}

/** Scans the lists of one query in the order of its probes. */
export function scanProbes(
  query: usize,
  d: i32,
  metric: i32,
  probes: usize,
  nprobe: i32,
  atLeast: i32,
  maxCodes: i32,
  starts: usize,
  sizes: usize,
  rows: usize,
  ids: usize,
  k: i32,
  keys: usize,
  slots: usize,
): void {
  heapClear(keys, slots, k);
  let scanned: i32 = 0;
  for (let p = 0; p < nprobe; p++) {
    if (p >= atLeast && load<i32>(slots) >= 0) break;
    const list = load<i32>(probes + ((<usize>p) << 2));
    if (list < 0) break;
    const start = load<i32>(starts + ((<usize>list) << 2));
    let count = load<i32>(sizes + ((<usize>list) << 2));
    if (maxCodes > 0) count = min(count, maxCodes - scanned);
    if (count > 0) scanStretches(query, rows, start, count, d, metric, keys, slots, k, ids);
    scanned += count;
    if (maxCodes > 0 && scanned >= maxCodes) break;
  }
}

/** Scans rows start … start + count - 1 for one query, stretch by stretch. */
function scanStretches(
  query: usize,
  rows: usize,
  start: i32,
  count: i32,
  d: i32,
  metric: i32,
  keys: usize,
  slots: usize,
  k: i32,
  ids: usize,
): void {
  const size = (<usize>d) << 2;
  const stretch = stretchRows(size);
  for (let first = 0; first < count; first += stretch) {
    const n = min(stretch, count - first);
    const at = rows + <usize>(<u32>(start + first)) * size;
    touchRun(at, <usize>n * size);
    scanRows(query, at, n, d, metric, start + first, keys, slots, k, ids, 0);
  }
}

/**
 * Loads a word of each line of a stretch, before it is compared: these loads wait for nothing, where the four rows of a comparison
 * wait for each other's lines. One query over 100,000 x 256 rows takes 4.3 ms with it and 5.9 without; a block at nprobe 16 on a real
 * voice, whose 61 MB don't stay in the cache, a tenth less. What it returns depends on all words, so that none is left out.
 */
export function touchRun(at: usize, bytes: usize): i32 {
  let all: i32 = 0;
  for (const end = at + bytes; at < end; at += 64) all |= load<i32>(at);
  return all;
}
