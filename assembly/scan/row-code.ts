// What a code kept as rows of bytes is to a scan: the base of codes/*.ts, with what most of them leave as it is.
//
// A class of a code is a record that TypeScript may fill (addresses of what was trained) and that the kernel goes on with. Besides these
// methods it has
//
//     open(plan: Plan, lists: Lists, scratch: usize): void    once a crossing: what all queries need
//     turn(i: i32, list: i32): void                           query i is compared with codes of this list from here on
//     four(a: usize, b: usize, c: usize, e: usize, bar: f32): v128    the keys of four codes, wherever they stand; in place of a key
//                                                             above the bar, which can't enter, any that is above it
//     static scratch(...): i32                                bytes that open takes
//
// and scanLists<Code, Found> compiles for it without an indirect call.

@unmanaged
export class RowCode {
  /** Whether all lists of a query are scanned before the next: where what is made of a query is too large to be kept for a block. */
  @inline
  isByQuery(): bool {
    return false;
  }

  /** Codes that are compared at a time: 4, or 1 where each one's key depends on the bar that those before it have left. */
  @inline
  step(): i32 {
    return 4;
  }

  /** Whether a turn takes so long that a list is scanned for one query before the next turns to it. */
  @inline
  isSlowToTurn(): bool {
    return false;
  }
}
