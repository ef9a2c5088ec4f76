// A graph's rows once more by their heads, by which a search leaves out most of those that it would compare in vain: of 257 rows that one of
// 100,000 x 256 comes by at efSearch 16 once it has 16, 45 find a place.
//
// R has 48 orthonormal directions in which rows spread most (heads.ts), m being the mean of some rows. By the triangle inequality
//
//     |x - y|  >=  |R (x - m) - R (y - m)|  >=  |t q - s c| - |f| - |e|
//
// s c and t q being the images of these heads in whole numbers of 8 and of 14 bits (row-codes.ts), e and f what they leave over, and what
// R x and R y are off by rounding: each number by G |x - m| at most, all 48 by 7 G, of which the slack of R has 16 and what R is off besides.
//
// A search jumps from row to row, so all that is known of one stands together, in one line of the cache where the row has 16:
//
//     basis (heads.ts)     |                                  then up to the next multiple of 64
//     of each vertex       | s | |s c|² | |e| | - | c: 48 i8 |

import { fourProducts } from "../coded-bounds";
import { fourKeys, pairKey } from "../distance";
import { basisBytes, directionsOf, makeBasis, makeHeadsScratch, meanOf, slackOf, up4 } from "../heads";
import { INNER_PRODUCT, TOO_LONG } from "../metric";
import { Plan } from "../records";
import { sumError } from "../rounding";
import { leastSquares, LEVELS, quantize } from "../row-codes";
import { centre } from "../rows";
import { Graph } from "./records";

/** Numbers of a head. */
const NUMBERS: i32 = 48;
/** Bytes before the numbers of a row, and of both. */
const FACTS: usize = 16;
const LINE: usize = 64;
/** The largest whole number of a query. */
const QUERY_LEVELS: i32 = 8191;
/** Rows by which it is seen what heads leave over. */
const SAMPLE: i32 = 1024;

/** Bytes of the heads of n rows; too many for 32 bits perhaps. */
export function sieveBytes(n: i32, d: i32): f64 {
  return <f64>basisBytes(d, NUMBERS + 1) + <f64>LINE * <f64>(n + 1);
}

/** Bytes of scratch that openSieve and sieveRows take. */
export function sieveScratch(d: i32): i32 {
  return makeHeadsScratch(d, NUMBERS + 1);
}


@inline
function recordsOf(block: usize, d: i32): usize {
  return (block + basisBytes(d, NUMBERS + 1) + LINE - 1) & ~(LINE - 1);
}

/**
 * Makes the basis of n rows, d floats each. block: sieveBytes; scratch: sieveScratch. Returns the share of their squares that heads leave
 * over, or 1 where they have none: where rows hold NaN, infinities, lengths near the end of f32.
 */
export function openSieve(rows: usize, n: i32, d: i32, block: usize, scratch: usize): f32 {
  if (!makeBasis(rows, n, d, NUMBERS + 1, block, scratch)) return 1;
  const size = (<usize>d) << 2;
  const head = scratch + ((<usize>up4(d)) << 2);
  const sample = min(n, SAMPLE);
  let all: f64 = 0;
  let seen: f64 = 0;
  for (let i = 0; i < sample; i++) {
    all += headOf(rows + <usize>((<i64>i * n) / sample) * size, d, block, scratch, head);
    seen -= pairKey(head, head, NUMBERS, INNER_PRODUCT);
  }
  return all > 0 ? <f32>(1 - seen / all) : 1;
}

/** Writes the head of a row less the mean, which takes d floats of room, and returns the squared length of that. */
function headOf(row: usize, d: i32, block: usize, centred: usize, head: usize): f32 {
  const size = (<usize>d) << 2;
  centre(row, meanOf(block), size, centred);
  let a = directionsOf(block, d);
  for (const end = head + NUMBERS * 4; head < end; head += 16, a += size << 2) {
    const c = a + (size << 1);
    v128.store(head, f32x4.neg(fourKeys(centred, a, a + size, c, c + size, d, INNER_PRODUCT)));
  }
  return -pairKey(centred, centred, d, INNER_PRODUCT);
}

/** What R x may be off by where x has the square given, less the mean. */
@inline
function lost(block: usize, square: f32): f32 {
  return slackOf(block) * <f32>1.001 * sqrt(square);
}

/**
 * Writes the heads of the n rows (d floats each) from slot `first` on, into the block that openSieve began. Returns 0 where a row is beyond
 * heads, as in openSieve.
 */
export function sieveRows(rows: usize, first: i32, n: i32, d: i32, block: usize, scratch: usize): i32 {
  const size = (<usize>d) << 2;
  const head = scratch + ((<usize>up4(d)) << 2);
  let row = rows + <usize>first * size;
  let to = recordsOf(block, d) + <usize>first * LINE;
  for (let i = 0; i < n; i++, row += size, to += LINE) {
    const square = headOf(row, d, block, scratch, head);
    if (!(square < TOO_LONG)) return 0;
    // A head, R being no rotation to the last bit, may be too long where its row just is not.
    if (quantize(head, NUMBERS, LEVELS, Infinity, to, 4, to + FACTS, true) < 0) return 0;
    store<f32>(to, load<f32>(to, 8) + lost(block, square), 8);
  }
  return 1;
}

/** What leaves no row out. */
@unmanaged
export class Open {

  @inline
  isThere(): bool {
    return false;
  }


  @inline
  open(_plan: Plan, _graph: Graph, _scratch: usize): void {}


  @inline
  turn(_i: i32): void {}


  @inline
  sift(_slots: usize, _n: i32, _bar: f32): i32 {
    return 0;
  }


  @inline
  kept(): usize {
    return 0;
  }
}

/** What leaves out rows whose heads tell that they are too far. */
@unmanaged
export class Sieve {
  /** Of the query's head in whole numbers: what one stands for, the squared length of the image, what that leaves over. */
  scale: f32;
  norm: f32;
  error: f32;
  queries: usize;
  d: i32;
  block: usize;
  records: usize;
  /** Room for d floats and those of a head, the query's head in 16 bits, and the slots that are kept. */
  centred: usize;
  head: usize;
  code: usize;
  slots: usize;

  /** Bytes of scratch, for lists of at most `width` links, the record's own among them. */
  static scratch(d: i32, width: i32): usize {
    return OWN + ((<usize>(up4(d) + NUMBERS)) << 2) + NUMBERS * 2 + ((<usize>up4(width)) << 2);
  }


  @inline
  isThere(): bool {
    return true;
  }

  /** @param scratch where the record stands */
  open(plan: Plan, graph: Graph, scratch: usize): void {
    this.queries = plan.queries;
    this.d = plan.d;
    this.block = graph.heads;
    this.records = recordsOf(graph.heads, plan.d);
    this.centred = scratch + OWN;
    this.head = this.centred + ((<usize>up4(plan.d)) << 2);
    this.code = this.head + NUMBERS * 4;
    this.slots = this.code + NUMBERS * 2;
  }

  /** Turns to query i. */
  turn(i: i32): void {
    const block = this.block;
    const query = this.queries + ((<usize>i * <usize>this.d) << 2);
    const square = headOf(query, this.d, block, this.centred, this.head);
    const facts = changetype<usize>(this);
    const own = quantize(this.head, NUMBERS, QUERY_LEVELS, Infinity, facts, 4, this.code, false);
    this.error += lost(block, square);
    // Nothing is below a NaN, nor above: all rows are kept. (A head may be too long where its query just is not.)
    if (own < 0 || !(square < TOO_LONG)) this.norm = f32.NaN;
  }

  /** Where the slots are that are kept. */
  @inline
  kept(): usize {
    return this.slots;
  }

  /** Keeps of n slots those whose rows may have a key up to the bar, in their order; returns how many. */
  sift(slots: usize, n: i32, bar: f32): i32 {
    const records = this.records;
    let all = 0;
    // These loads wait for nothing, and least of all for each other.
    for (let i = 0; i < n; i++) all |= load<i32>(records + <usize>load<u32>(slots + ((<usize>i) << 2)) * LINE);
    const scale = f32x4.splat(this.scale);
    const norm = f32x4.splat(this.norm);
    const error = f32x4.splat(this.error);
    const shrink = f32x4.splat(1 - <f32>8 * sumError(this.d) - slackOf(this.block));
    const most = f32x4.splat(bar);
    let to = this.slots;
    for (let left = n; left > 0; left -= 4, slots += 16) {
      const a = records + <usize>load<u32>(slots) * LINE;
      const b = left > 1 ? records + <usize>load<u32>(slots, 4) * LINE : a;
      const c = left > 2 ? records + <usize>load<u32>(slots, 8) * LINE : a;
      const e = left > 3 ? records + <usize>load<u32>(slots, 12) * LINE : a;
      const products = fourProducts(this.code, NUMBERS, a + FACTS, b + FACTS, c + FACTS, e + FACTS);
      // | s | |s c|² | |e| | - | of four rows become | s s s s |, | |s c|² … | and | |e| … |, a row a lane, as the products are.
      const ab = v128.shuffle<f32>(v128.load(a), v128.load(b), 0, 4, 1, 5);
      const ce = v128.shuffle<f32>(v128.load(c), v128.load(e), 0, 4, 1, 5);
      const scales = v128.shuffle<f64>(ab, ce, 0, 2);
      const norms = v128.shuffle<f64>(ab, ce, 1, 3);
      const errors = f32x4(load<f32>(a, 8), load<f32>(b, 8), load<f32>(c, 8), load<f32>(e, 8));
      const product = f32x4.mul(f32x4.convert_i32x4_s(products), f32x4.mul(scale, scales));
      const least = leastSquares(product, norms, errors, norm, error, shrink);
      const open = ~i32x4.bitmask(f32x4.gt(least, most));
      // Each is written, and the next over it where it is not kept; what a list lacks of four is as its first, and not counted.
      store<i32>(to, load<i32>(slots));
      to += (open & 1) << 2;
      if (left > 1) {
        store<i32>(to, load<i32>(slots, 4));
        to += (open & 2) << 1;
      }
      if (left > 2) {
        store<i32>(to, load<i32>(slots, 8));
        to += open & 4;
      }
      if (left > 3) {
        store<i32>(to, load<i32>(slots, 12));
        to += (open & 8) >> 1;
      }
    }
    return <i32>((to - this.slots) >> 2);
  }
}

/** Bytes of a Sieve. */
const OWN: usize = 48;
