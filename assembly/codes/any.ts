// The codes that are rows of bytes, behind one class: a record that begins with its kind, which decides what compares.
//
// The scan loop is compiled for each code and each kind of result; for six codes that would be ten times 2.2 KB more than for one that
// asks its record before each four rows. These take 50 to 200 ns, the question next to nothing.

import { Best } from "../found/best";
import { Within } from "../found/within";
import { Lists, Plan } from "../records";
import { scanLists } from "../scan/lists";
import { Factored } from "./factored";
import { Bf16, decodeHalves, Fp16, Half } from "./half";
import { decodeTransposed, Product, Product8, ProductBits } from "./pq";
import { Bytes, decodeBytes, decodeScalar, Packed, Scalar } from "./scalar";

export const BYTES: i32 = 0;
export const PACKED: i32 = 1;
export const FP16: i32 = 2;
export const BF16: i32 = 3;
export const PRODUCT8: i32 = 4;
export const PRODUCT: i32 = 5;
export const FACTORED: i32 = 6;

/** Any of them. */
@unmanaged
export class Any {
  kind: i32;

  open(plan: Plan, lists: Lists, scratch: usize): void {
    const at = changetype<usize>(this);
    switch (this.kind) {
      case BYTES:
      case PACKED:
        return changetype<Scalar>(at).open(plan, lists, scratch);
      case FP16:
      case BF16:
        return changetype<Half>(at).open(plan, lists, scratch);
      case PRODUCT8:
      case PRODUCT:
        return changetype<Product>(at).open(plan, lists, scratch);
      default:
        return changetype<Factored>(at).open(plan, lists, scratch);
    }
  }

  turn(i: i32, list: i32): void {
    const at = changetype<usize>(this);
    switch (this.kind) {
      case BYTES:
      case PACKED:
        return changetype<Scalar>(at).turn(i, list);
      case FP16:
      case BF16:
        return changetype<Half>(at).turn(i, list);
      case PRODUCT8:
      case PRODUCT:
        return changetype<Product>(at).turn(i, list);
      default:
        return changetype<Factored>(at).turn(i, list);
    }
  }

  four(a: usize, b: usize, c: usize, e: usize, bar: f32): v128 {
    const at = changetype<usize>(this);
    switch (this.kind) {
      case BYTES:
        return changetype<Bytes>(at).four(a, b, c, e, bar);
      case PACKED:
        return changetype<Packed>(at).four(a, b, c, e, bar);
      case FP16:
        return changetype<Fp16>(at).four(a, b, c, e, bar);
      case BF16:
        return changetype<Bf16>(at).four(a, b, c, e, bar);
      case PRODUCT8:
        return changetype<Product8>(at).four(a, b, c, e, bar);
      case PRODUCT:
        return changetype<ProductBits>(at).four(a, b, c, e, bar);
      default:
        return changetype<Factored>(at).four(a, b, c, e, bar);
    }
  }

  /** All but halves keep something of a query that is too large to be kept for a block. */
  @inline
  isByQuery(): bool {
    return this.kind != FP16 && this.kind != BF16;
  }


  @inline
  isSlowToTurn(): bool {
    return true;
  }


  @inline
  step(): i32 {
    return this.kind == FACTORED ? changetype<Factored>(changetype<usize>(this)).step() : 4;
  }
}

/** The vector that a row of a code stands for: d floats. Not of factored codes. */
export function decodeRow(code: Any, row: usize, d: i32, out: usize): void {
  const at = changetype<usize>(code);
  switch (code.kind) {
    case BYTES:
    case PACKED: {
      const scalar = changetype<Scalar>(at);
      if (code.kind == BYTES) decodeBytes(row, d, scalar.low, scalar.scale, out);
      else decodeScalar(row, 0, 1, d, scalar.bits, scalar.low, scalar.scale, out);
      return;
    }
    case FP16:
    case BF16:
      return decodeHalves(row, 0, 1, d, code.kind == BF16, out);
    case PRODUCT8:
    case PRODUCT:
      return decodeTransposed(row, changetype<Product>(at), out);
  }
}

export function scanCodesBest(code: usize, plan: usize, lists: usize, found: usize): void {
  scanLists<Any, Best>(
    changetype<Any>(code),
    changetype<Plan>(plan),
    changetype<Lists>(lists),
    changetype<Best>(found),
  );
}

export function scanCodesWithin(code: usize, plan: usize, lists: usize, found: usize): void {
  scanLists<Any, Within>(
    changetype<Any>(code),
    changetype<Plan>(plan),
    changetype<Lists>(lists),
    changetype<Within>(found),
  );
}
