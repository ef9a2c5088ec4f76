// Where the sums of packed codes go: the k smallest of each query, or all within a radius.

import { Best } from "./found/best";
import { Within } from "./found/within";
import { MOST } from "./fastscan-tables";
import { L2, NOTHING } from "./metric";
import { emptyPool, pour } from "./pool";
import { Lists, Plan } from "./records";
import { EPSILON } from "./rounding";
import { heapClear, heapReplace, sortHeap } from "./topk";

/** Results up to which a heap collects them, and decides ties as faiss' heap does; more go to a pool, as in faiss. */
const HEAP: i32 = 20;

/**
 * What takes the keys of queries, one after the other. One class for both kinds, since it is asked seldom, and scans need not be compiled
 * twice: the k smallest, in a heap or, where k is large, in a pool; or, k being 0, all whose distance is within a radius.
 */
@unmanaged
export class Sink {
  /** The largest key that may still enter. */
  most: i32;
  k: i32;
  /** A Best, or a Within. */
  found: usize;
  query: i32;
  keys: usize;
  slots: usize;
  ids: usize;
  metric: i32;
  pool: usize;
  inverse: f32;
  base: f32;

  open(plan: Plan, lists: Lists, found: usize, k: i32, pool: usize): void {
    this.found = found;
    this.k = k;
    this.ids = lists.ids;
    this.metric = plan.metric;
    this.pool = k > HEAP ? pool : 0;
    if (k > 0) {
      this.keys = changetype<Best>(found).keys;
      this.slots = changetype<Best>(found).slots;
    } else {
      changetype<Within>(found).open(plan.nq, lists.ids, plan.metric, 0);
    }
  }

  /** Begins with query i, whose distances are key * inverse of scale + base. */
  turn(i: i32, scale: f32, base: f32): void {
    this.query = i;
    this.inverse = <f32>1 / scale;
    this.base = base;
    this.most = 65535;
    if (this.k > 0) {
      heapClear(this.keys, this.slots, this.k);
      if (this.pool != 0) store<i32>(this.pool, 0);
      return;
    }
    if (!(this.inverse < Infinity)) this.inverse = 0;
    // The sum at the radius, and what rounding may have taken of the base, the radius and their difference: what is below is asked exactly.
    const radius = changetype<Within>(this.found).radius;
    const off = this.metric == L2 ? radius - base : base + MOST * this.inverse - radius;
    const most = off * scale + (abs(base) + abs(radius)) * scale * (<f32>16 * EPSILON) + <f32>2;
    this.most = scale == 0 || most > MOST ? 65535 : most < 0 ? -1 : <i32>most;
  }

  isFull(): bool {
    if (this.k == 0) return false;
    return this.pool != 0 ? load<i32>(this.pool) >= this.k : load<i32>(this.slots) >= 0;
  }

  /** Takes the keys of a group, those of the lanes that are open. */
  take(open: i32, sums: usize, slot: i32): void {
    if (this.pool != 0) this.most = pour(open, sums, slot, this.pool, this.k, this.most);
    else if (this.k > 0) this.push(open, sums, slot);
    else this.offer(open, sums, slot);
  }

  private push(open: i32, sums: usize, slot: i32): void {
    for (; open != 0; open &= open - 1) {
      const lane = ctz(open);
      const sum = <i32>load<u16>(sums + ((<usize>lane) << 1));
      if (sum > this.most) continue;
      heapReplace(this.keys, this.slots, this.k, <f32>sum, slot + lane, this.ids, this.metric);
      const worst = load<f32>(this.keys);
      if (worst != NOTHING) this.most = <i32>worst - 1;
    }
  }

  private offer(open: i32, sums: usize, slot: i32): void {
    const found = changetype<Within>(this.found);
    for (; open != 0; open &= open - 1) {
      const lane = ctz(open);
      const sum = <f32>load<u16>(sums + ((<usize>lane) << 1));
      const distance = (this.metric == L2 ? sum : MOST - sum) * this.inverse + this.base;
      found.offer(<usize>this.query, this.metric == L2 ? distance : -distance, slot + lane);
    }
  }

  /** Puts the results of a query in order; those within a radius are in their place already. */
  close(): void {
    const k = this.k;
    if (k == 0) return;
    if (this.pool != 0) {
      emptyPool(this.pool, k, this.keys, this.slots, this.ids, this.metric);
    } else {
      sortHeap(this.keys, this.slots, k, this.ids, this.metric);
    }
    sumsToDistances(this.keys, this.slots, k, this.metric, this.inverse, this.base);
    this.keys += (<usize>k) << 2;
    this.slots += (<usize>k) << 2;
  }
}

/** Turns keys into distances: sum * (1 / scale) + base, the reciprocal first, as faiss rounds it. */
function sumsToDistances(keys: usize, slots: usize, k: i32, metric: i32, inverse: f32, base: f32): void {
  if (!(inverse < Infinity)) inverse = 0;
  for (let i: usize = 0, end = (<usize>k) << 2; i < end; i += 4) {
    const key = load<f32>(keys + i);
    if (load<i32>(slots + i) < 0) store<f32>(keys + i, metric == L2 ? NOTHING : -NOTHING);
    else store<f32>(keys + i, (metric == L2 ? key : MOST - key) * inverse + base);
  }
}
