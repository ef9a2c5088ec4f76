// Where candidates go that may be among the k best of a query: its heap (topk.ts).

import { lane4 } from "../lanes";
import { finish, heapClear, heapReplace } from "../topk";

/** What is known of a query's heap: where its keys and slots are, and the last key at which order mattered. */
@unmanaged
class Seat {
  keys: usize;
  slots: usize;
  /** The key at which one row was left out, or put out, because another had come before; NaN while there is none. */
  tie: f32;
}

/** The k best of each query: nq x k keys (f32, at last distances) and slots (i32). */
@unmanaged
export class Best {
  keys: usize;
  slots: usize;
  k: i32;
  // From here on the kernel's own.
  ids: usize;
  metric: i32;
  seats: usize;

  /** Bytes of scratch that nq queries take. */
  static scratch(nq: i32): i32 {
    return nq * <i32>offsetof<Seat>();
  }

  open(nq: i32, ids: usize, metric: i32, scratch: usize): void {
    this.ids = ids;
    this.metric = metric;
    this.seats = scratch;
    for (let i = 0; i < nq; i++) {
      const seat = changetype<Seat>(this.seat(i));
      seat.keys = this.keys + ((<usize>(i * this.k)) << 2);
      seat.slots = this.slots + ((<usize>(i * this.k)) << 2);
      this.restart(changetype<usize>(seat));
    }
  }

  /** Where query i collects: what the other methods take. */
  @inline
  seat(i: i32): usize {
    return this.seats + <usize>i * offsetof<Seat>();
  }

  /** Forgets what a query has collected. */
  restart(at: usize): void {
    const seat = changetype<Seat>(at);
    heapClear(seat.keys, seat.slots, this.k);
    seat.tie = f32.NaN;
  }

  /** The key above which none enters. */
  @inline
  bar(at: usize): f32 {
    return load<f32>(changetype<Seat>(at).keys);
  }

  /** Whether k are found. */
  @inline
  isFull(at: usize): bool {
    return load<i32>(changetype<Seat>(at).slots) >= 0;
  }

  /** Whether the order of the lists may have decided between equal keys. */
  @inline
  isTied(at: usize): bool {
    const seat = changetype<Seat>(at);
    return load<i32>(seat.slots) >= 0 && seat.tie == load<f32>(seat.keys);
  }

  /** Where the last key at which order mattered is noted (f32). */
  @inline
  tieOf(at: usize): usize {
    return at + offsetof<Seat>("tie");
  }

  /** Offers four keys, those whose bit is set in `there`, of the slots from `slot` on. */
  @inline
  take(at: usize, four: v128, there: i32, slot: i32): void {
    const worst = v128.load32_splat(changetype<Seat>(at).keys);
    const open = i32x4.bitmask(f32x4.le(four, worst)) & there;
    if (open != 0) this.takeOpen(at, four, open, slot);
  }

  private takeOpen(at: usize, four: v128, open: i32, slot: i32): void {
    for (; open != 0; open &= open - 1) {
      const lane = ctz(open);
      this.offer(at, lane4(four, lane), slot + lane);
    }
  }

  /** Offers the keys of `count` slots that stand at an address. */
  takeListed(at: usize, four: v128, count: i32, slots: usize): void {
    for (let lane = 0; lane < count; lane++) {
      this.offer(at, lane4(four, lane), load<i32>(slots + ((<usize>lane) << 2)));
    }
  }

  /** Offers a slot. */
  offer(at: usize, key: f32, slot: i32): void {
    const seat = changetype<Seat>(at);
    const worst = load<f32>(seat.keys);
    if (!(key <= worst)) return;
    if (key < worst) heapReplace(seat.keys, seat.slots, this.k, key, slot, this.ids, this.metric);
    // Left out at the key of the worst that is kept: had it come earlier, it might have stayed.
    if (load<f32>(seat.keys) == worst) seat.tie = worst;
  }

  /** Sorts what a query has collected and turns keys into distances. */
  close(at: usize): void {
    const seat = changetype<Seat>(at);
    finish(seat.keys, seat.slots, this.k, this.ids, this.metric);
  }
}
