// Float rows as they are.

import { fourKeys } from "../distance";
import { madd, sums } from "../lanes";
import { L2 } from "../metric";
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


  @inline
  hasTwice(): bool {
    return this.metric == L2 && this.d % 4 == 0;
  }

  /**
   * Under L2, for d a multiple of 4: a row is loaded once for both, which takes a tenth of the time off lists that come from memory. The
   * picture is that of innerProducts, with squared differences.
   */
  twice<R>(i: i32, j: i32, found: R, rows: usize, n: i32, slot: i32): void {
    const size = this.size;
    const query = this.queries + <usize>i * size;
    const other = this.queries + <usize>j * size;
    const seat = found.seat(i);
    const otherSeat = found.seat(j);
    const end = query + size;
    for (let i = 0; i < n; i += 4, rows += size << 2) {
      const left = n - i;
      const there = left > 3 ? 15 : (1 << left) - 1;
      let x = query;
      let y = other;
      let a = rows;
      let b = left > 1 ? a + size : a;
      let c = left > 2 ? b + size : b;
      let e = left > 3 ? c + size : c;
      let s00 = f32x4.splat(0);
      let s01 = s00;
      let s02 = s00;
      let s03 = s00;
      let s10 = s00;
      let s11 = s00;
      let s12 = s00;
      let s13 = s00;
      for (; x < end; x += 16, y += 16, a += 16, b += 16, c += 16, e += 16) {
        const p = v128.load(x);
        const q = v128.load(y);
        let row = v128.load(a);
        let u = f32x4.sub(p, row);
        s00 = madd(u, u, s00);
        u = f32x4.sub(q, row);
        s10 = madd(u, u, s10);
        row = v128.load(b);
        u = f32x4.sub(p, row);
        s01 = madd(u, u, s01);
        u = f32x4.sub(q, row);
        s11 = madd(u, u, s11);
        row = v128.load(c);
        u = f32x4.sub(p, row);
        s02 = madd(u, u, s02);
        u = f32x4.sub(q, row);
        s12 = madd(u, u, s12);
        row = v128.load(e);
        u = f32x4.sub(p, row);
        s03 = madd(u, u, s03);
        u = f32x4.sub(q, row);
        s13 = madd(u, u, s13);
      }
      found.take(seat, sums(s00, s01, s02, s03), there, slot + i);
      found.take(otherSeat, sums(s10, s11, s12, s13), there, slot + i);
    }
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
