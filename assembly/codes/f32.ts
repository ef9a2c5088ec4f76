// Float rows as they are.

import { fourKeys } from "../distance";
import { Lists, Plan } from "../records";
import { Best } from "../found/best";
import { Within } from "../found/within";
import { scanLists } from "../scan/lists";
import { RowCode } from "../scan/row-code";

/** One query against float rows. */
@unmanaged
export class F32 extends RowCode {
  queries: usize;
  query: usize;
  d: i32;
  metric: i32;
  size: usize;


  @inline
  open(plan: Plan, _lists: Lists, _scratch: usize): void {
    this.queries = plan.queries;
    this.d = plan.d;
    this.metric = plan.metric;
    this.size = (<usize>plan.d) << 2;
  }

  /** Turns to query i, in list `list`. */
  @inline
  turn(i: i32, _list: i32): void {
    this.query = this.queries + <usize>i * this.size;
  }

  /** The keys of four rows. */
  @inline
  four(a: usize, b: usize, c: usize, e: usize, _bar: f32): v128 {
    return fourKeys(this.query, a, b, c, e, this.d, this.metric);
  }
}

/** The k best among the lists of each query. code: a record of F32, which the kernel fills. */
export function scanF32Best(code: usize, plan: usize, lists: usize, found: usize): void {
  scanLists<F32, Best>(
    changetype<F32>(code),
    changetype<Plan>(plan),
    changetype<Lists>(lists),
    changetype<Best>(found),
  );
}

/** All within a radius among the lists of each query. */
export function scanF32Within(code: usize, plan: usize, lists: usize, found: usize): void {
  scanLists<F32, Within>(
    changetype<F32>(code),
    changetype<Plan>(plan),
    changetype<Lists>(lists),
    changetype<Within>(found),
  );
}
