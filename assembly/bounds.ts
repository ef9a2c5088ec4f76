// True bounds by heads: some thousand rows have a few dozen numbers each (heads.ts, whole-heads.ts), which rule most of the rows out, so
// that an exact search compares few of them exactly.
//
// The k rows that look nearest, and a few more, are compared first, then, in the order of the rows, those whose bound is not above the worst that
// is kept. The order decides only between equal keys at the cut: a query that sees such keys is answered by the plain scan.

import { limitOf, limitScratch, takeBelow } from "./candidates";
import { F32 } from "./codes/f32";
import { Best } from "./found/best";
import { meanOf, slackOf, up4 } from "./heads";
import { L2, TOO_SHORT } from "./metric";
import { Lists, Plan } from "./records";
import { quantize, up16 } from "./row-codes";
import { centre } from "./rows";
import { scanList, SEAT } from "./scan/lists";
import { boundKeys, headsOf, lengthsOf, makeQueryHeads, QUERY_LENGTH, QueryHead, sizeOf } from "./whole-heads";
import { HEADER, PEAK, wholeProducts } from "./whole-rows";

/** Rows whose heads stay in the first-level cache for all queries. */
const TILE: i32 = 128;

/** Numbers in a head at most. */
const MOST_HEAD: i32 = 96;

/** Bytes of scratch that searchBounded takes. */
export function searchBoundedScratch(nq: i32, n: i32, d: i32, k: i32): i32 {
  const query = up16(d) * 2 + MOST_HEAD * 6 + up16(n) * 4 + <i32>offsetof<QueryHead>() + SEAT;
  return up16(d) * 4 + nq * query + limitScratch(up4(k)) + 16;
}

/**
 * As searchRows, by the heads (whole-heads.ts) of the same rows: the same results to the last bit. 0 < k <= n, and no row is left out
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
  const lengths = lengthsOf(bounds, d);
  const stride = up16(n);
  const heads = headsOf(bounds, d, n);

  const centred = plan.scratch;
  const queryCodes = centred + ((<usize>D) << 2);
  const queryHeads = queryCodes + ((<usize>(nq * D)) << 1);
  const headCodes = queryHeads + ((<usize>(nq * m)) << 2);
  const records = headCodes + ((<usize>(nq * m)) << 1);
  const tile = records + <usize>nq * offsetof<QueryHead>();
  const least = tile + ((<usize>nq * stride) << 2);
  const pairs = least + limitScratch(up4(k));
  found.open(nq, 0, metric, pairs + 16);
  code.open(plan, lists, 0);

  // Under L2 the queries are centred as the rows are; a product with the mean is the same for all rows and goes into the base.
  memory.fill(centred, 0, (<usize>D) << 2);
  for (let i = 0; i < nq; i++) {
    centre(plan.queries + <usize>i * size, metric == L2 ? mean : 0, size, centred);
    const facts = records + <usize>i * offsetof<QueryHead>();
    const code = queryCodes + ((<usize>(i * D)) << 1);
    const square = quantize(centred, D, PEAK, QUERY_LENGTH, facts, 4, code, false);
    changetype<QueryHead>(facts).square = square;
  }
  const step = offsetof<QueryHead>();
  const worth = load<f32>(heads);
  makeQueryHeads(plan.queries, nq, d, metric, bounds, worth, records, step, queryCodes, queryHeads, headCodes);
  const headSize = (<usize>m) << 1;
  const pitch = (<usize>stride) << 2;
  for (let first = 0; first < stride; first += TILE) {
    const blocks = heads + HEADER + <usize>first * headSize;
    for (let i = 0; i < nq; i += 2) {
      const x = headCodes + <usize>i * headSize;
      const out = tile + <usize>i * pitch + ((<usize>first) << 2);
      wholeProducts(x, i + 1 < nq ? x + headSize : 0, m, blocks, min(TILE, stride - first) >> 2, out, out + pitch);
    }
  }

  for (let i = 0; i < nq; i++) {
    const query = plan.queries + <usize>i * size;
    const record = changetype<QueryHead>(records + <usize>i * offsetof<QueryHead>());
    const seat = found.seat(i);
    const square = record.square;
    if (square > TOO_SHORT) {
      const lower = tile + <usize>i * pitch;
      boundKeys(lower, stride, lengths, metric == L2 ? 1 - slackOf(bounds) : 0, record);
      // A few where k is 1 or 2, too: four are compared at once.
      const near = limitOf(lower, n, max(k, 3), least);
      const keys = found.keys + ((<usize>(i * k)) << 2);
      const slots = found.slots + ((<usize>(i * k)) << 2);
      const tie = found.tieOf(seat);
      takeBelow(lower, n, 0, query, rows, d, metric, keys, slots, k, 0, tie, near);
      takeBelow(lower, n, 0, query, rows, d, metric, keys, slots, k, 0, tie, Infinity);
    }
    if (!(square > TOO_SHORT) || found.isTied(seat)) {
      found.restart(seat);
      store<i32>(pairs, i);
      scanList<F32, Best>(code, plan, lists, found, 0, n, pairs, pairs + 4, 0);
    }
    found.close(seat);
  }
}
