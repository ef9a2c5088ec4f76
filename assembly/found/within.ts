// Where all candidates go that are within a radius: range search.

import { lane4 } from "../lanes";
import { INNER_PRODUCT } from "../metric";

/** Bytes of a match. */
const MATCH: usize = 12;

/**
 * All matches of a block of queries, in the order they come:
 *
 *     | query i32 | slot i32 | distance f32 |  a match, 12 bytes
 *
 * `count` goes on beyond `room`, so that it says how much there must be. A match is strictly within: a squared distance below the radius,
 * an inner product above it, as in faiss.
 */
@unmanaged
export class Within {
  radius: f32;
  matches: usize;
  room: i32;
  count: i32;
  // From here on the kernel's own.
  metric: i32;
  /** The radius as a key. */
  limit: f32;

  /** Bytes of scratch that nq queries take. */
  static scratch(_nq: i32): i32 {
    return 0;
  }

  open(_nq: i32, _ids: usize, metric: i32, _scratch: usize): void {
    this.metric = metric;
    this.limit = metric == INNER_PRODUCT ? -this.radius : this.radius;
  }


  @inline
  seat(i: i32): usize {
    return <usize>i;
  }

  restart(_at: usize): void {
    // Scanned once, in any order.
  }


  @inline
  bar(_at: usize): f32 {
    return this.limit;
  }


  @inline
  isFull(_at: usize): bool {
    return false;
  }


  @inline
  isTied(_at: usize): bool {
    return false;
  }


  @inline
  take(at: usize, four: v128, there: i32, slot: i32): void {
    const open = i32x4.bitmask(f32x4.lt(four, f32x4.splat(this.limit))) & there;
    if (open != 0) this.takeOpen(at, four, open, slot);
  }

  private takeOpen(at: usize, four: v128, open: i32, slot: i32): void {
    for (; open != 0; open &= open - 1) {
      const lane = ctz(open);
      this.put(at, slot + lane, lane4(four, lane));
    }
  }

  takeListed(at: usize, four: v128, count: i32, slots: usize): void {
    for (let lane = 0; lane < count; lane++) {
      this.offer(at, lane4(four, lane), load<i32>(slots + ((<usize>lane) << 2)));
    }
  }

  /** Takes a slot in where it is within. */
  offer(at: usize, key: f32, slot: i32): void {
    if (key < this.limit) this.put(at, slot, key);
  }

  /** Takes a match in. */
  put(query: usize, slot: i32, key: f32): void {
    if (this.count < this.room) {
      const at = this.matches + <usize>this.count * MATCH;
      store<i32>(at, <i32>query);
      store<i32>(at, slot, 4);
      store<f32>(at, this.metric == INNER_PRODUCT ? -key : key, 8);
    }
    this.count++;
  }

  close(_at: usize): void {
    // Sorted when all are there.
  }
}
