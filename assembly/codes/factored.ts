// Codes of bits with factors: RaBitQ (Gao and Long, 2024; several bits: Gao et al., 2025) and EDEN (Vargaftik et al., 2022), as faiss 1.15
// has them. Both keep the direction of a vector's residual r = y - C, and estimate its product with the query's from a sum over
// dimensions:
//
//     EDEN      | numbers of `bits` bits, a string | L2 term f32 | scale f32 |                            sum of x_j level[n_j]
//     RaBitQ    | signs, a bit each | L2 term | scale | error f32 | numbers of bits - 1 | add f32 | rescale f32 |
//               the last four fields only where there are more bits than one                              sum of x_j over set bits
//
// A query makes a table for each list: for each half byte of a code, where numbers of 1, 2 or 4 bits fill it, what its 16 values add,
// else for each number. A row's sum is then a few look-ups, as with a product quantizer.
//
//     1 bit    | b3 b2 b1 b0 |  ->  table [half byte][16]: x0 b0 + x1 b1 + x2 b2 + x3 b3
//
// RaBitQfs, RaBitQ in blocks for FastScan, has tables of whole numbers from 0 to 255, as faiss' kernel looks up: what it finds is decided by
// them. One scale serves all lists of a query, and is found before the first.
//
// RaBitQ of several bits compares by its signs first, and by all bits where the estimate, less its likely error, is below the worst
// that is kept. That is no true bound: it decides what is found, in faiss and so here, and rows are compared one after the other.

import { pairKey } from "../distance";
import { INNER_PRODUCT, L2 } from "../metric";
import { spreadMax, spreadMin } from "../pq";
import { Lists, Plan } from "../records";

/** A code with factors; TypeScript fills the fields down to `rounds`. */
@unmanaged
export class Factored {
  /** Which code it is (any.ts). */
  kind: i32;
  d: i32;
  /** Bits of the numbers that the first sum is over; 1 for RaBitQ. */
  bits: i32;
  /** f32 [2^bits]: what a number stands for. */
  levels: usize;
  /** Bytes from a row's start to its factors. */
  factorsAt: i32;
  /** Whether it is RaBitQ. */
  signs: i32;
  /** RaBitQ's further bits, 0 for none; f32 [2^moreBits], their values; and where they and their factors stand in a row. */
  moreBits: i32;
  moreLevels: usize;
  moreAt: i32;
  moreFactorsAt: i32;
  /** Address of the centre of an index without lists; 0 in an IVF. */
  centre: usize;
  /** Bits that RaBitQ rounds a query's components to for the first sum; 0: none are rounded. */
  queryBits: i32;
  /** Whether tables are rounded, as those of blocks for FastScan are. */
  rounds: i32;

  plan: usize;
  metric: i32;
  /** d floats: x - C, and the same rounded. */
  rest: usize;
  rounded: usize;
  /** Tables: of the first sum, of the signs with exact components, of further bits. */
  table: usize;
  signTable: usize;
  moreTable: usize;
  /** |x - C|² and |x|². */
  distance: f32;
  square: f32;
  /** What keys by all bits, and EDEN's, start from: |x - C|², or xC. */
  base: f32;
  /** What a first sum is multiplied by and what is taken off. */
  factor: f32;
  shift: f32;
  /** What a rounded component is: a number times `delta`, from `low` on. */
  delta: f32;
  low: f32;
  /** Rounded tables: the query that they are for, what whole numbers are divided by, and the least sum of any of its lists. */
  rounding: i32;
  scale: f32;
  least: f32;
  /** Of the last table: the least sum; and of all of a query, the most that a half byte spans. */
  lowest: f32;
  span: f32;
  /** |x - C|, and the sum of x - C. */
  length: f32;
  total: f32;

  /** Bytes of scratch. */
  static scratch(d: i32, bits: i32, moreBits: i32): i32 {
    return d * 8 + 2 * tableBytes(d, bits) + tableBytes(d, moreBits);
  }

  open(plan: Plan, _lists: Lists, scratch: usize): void {
    this.plan = changetype<usize>(plan);
    this.metric = plan.metric;
    this.rounding = -1;
    this.rest = scratch;
    this.rounded = this.rest + ((<usize>this.d) << 2);
    this.table = this.rounded + ((<usize>this.d) << 2);
    this.signTable = this.table + tableBytes(this.d, this.bits);
    this.moreTable = this.signTable + tableBytes(this.d, this.bits);
  }

  /** Rows that are compared at a time. */
  step(): i32 {
    return this.moreBits > 0 ? 1 : 4;
  }

  turn(i: i32, list: i32): void {
    const plan = changetype<Plan>(this.plan);
    const d = this.d;
    const size = (<usize>d) << 2;
    if (this.rounds && this.rounding != i) this.survey(plan, i);
    const query = plan.queries + <usize>i * size;
    const centroid = plan.centroids == 0 ? this.centre : plan.centroids + <usize>list * size;
    const product = this.metric == INNER_PRODUCT;
    if (product) this.square = -pairKey(query, query, d, INNER_PRODUCT);
    this.distance = pairKey(query, centroid, d, L2);
    this.base = product ? -pairKey(query, centroid, d, INNER_PRODUCT) : this.distance;
    this.length = sqrt(this.distance);
    let total: f32 = 0;
    for (let j: usize = 0; j < size; j += 4) {
      // EDEN takes products with the query itself.
      const x = load<f32>(query + j) - (product && this.signs == 0 ? 0 : load<f32>(centroid + j));
      store<f32>(this.rest + j, x);
      total += x;
    }
    this.total = total;
    if (this.signs == 0) {
      fillTable(this.rest, d, this.bits, this.levels, this.table);
      return;
    }
    const unit: f32 = 1 / sqrt(<f32>d);
    this.factor = 2 * unit;
    this.shift = total * unit;
    if (this.queryBits == 0) {
      fillTable(this.rest, d, 1, this.levels, this.table);
      this.signTable = this.table;
    } else {
      this.shift = this.round() * unit;
      if (this.rounds) {
        this.fillRounded();
        this.roundTable();
      } else {
        for (let j: usize = 0; j < size; j += 4) {
          store<f32>(this.rounded + j, load<f32>(this.rounded + j) * this.delta + this.low);
        }
        fillTable(this.rounded, d, 1, this.levels, this.table);
      }
      if (this.moreBits > 0) fillTable(this.rest, d, 1, this.levels, this.signTable);
    }
    if (this.moreBits > 0) fillTable(this.rest, d, this.moreBits, this.moreLevels, this.moreTable);
  }

  /** Finds the scale of a query's rounded tables: its lists' sums are within 16 bits, and what a half byte adds within 8. */
  private survey(plan: Plan, i: i32): void {
    this.rounding = i;
    const size = (<usize>this.d) << 2;
    const query = plan.queries + <usize>i * size;
    let total: f32 = 0;
    this.span = 0;
    this.least = Infinity;
    for (let p = 0, lists = plan.centroids == 0 ? 1 : min(plan.atLeast, plan.nprobe); p < lists; p++) {
      let centroid = this.centre;
      if (plan.centroids != 0) {
        const list = load<i32>(plan.probes + ((<usize>(i * plan.nprobe + p)) << 2));
        if (list < 0) break;
        centroid = plan.centroids + <usize>list * size;
      }
      for (let j: usize = 0; j < size; j += 4)
        store<f32>(this.rest + j, load<f32>(query + j) - load<f32>(centroid + j));
      this.round();
      total = max(total, this.fillRounded());
      this.least = min(this.least, this.lowest);
    }
    this.scale = total > 0 ? min(<f32>255 / this.span, <f32>65535 / total) : 0;
  }

  /**
   * Makes the table of a rounded query as faiss does (in its builds for AVX2, to the bit); returns the sum of what its half bytes span. In an
   * IVF what each component adds is rounded, else what a half byte's do together.
   */
  private fillRounded(): f32 {
    const d = this.d;
    const unit: f32 = 1 / sqrt(<f32>d);
    const c1: f32 = 2 * this.delta * unit;
    const c2: f32 = 2 * this.low * unit;
    const flat = changetype<Plan>(this.plan).centroids == 0;
    if (!flat) {
      for (let at = this.rounded, end = at + ((<usize>d) << 2); at < end; at += 4)
        store<f32>(at, multiplyAdd(c1, load<f32>(at), c2));
    }
    fillTable(this.rounded, d, 1, this.levels, this.table);
    let table = this.table;
    let total: f32 = 0;
    let lowest: f32 = 0;
    for (let j = 0; j < d; j += 4, table += 64) {
      if (flat) {
        const all = min(4, d - j) == 4 ? 15 : (1 << (d - j)) - 1;
        for (let value = 0; value < 16; value++) {
          const at = table + ((<usize>value) << 2);
          store<f32>(at, multiplyAdd(c1, load<f32>(at), c2 * <f32>popcnt(value & all)));
        }
      }
      const a = v128.load(table);
      const b = v128.load(table, 16);
      const c = v128.load(table, 32);
      const e = v128.load(table, 48);
      const low = f32x4.extract_lane(spreadMin(f32x4.pmin(f32x4.pmin(a, b), f32x4.pmin(c, e))), 0);
      const high = f32x4.extract_lane(spreadMax(f32x4.pmax(f32x4.pmax(a, b), f32x4.pmax(c, e))), 0);
      lowest += low;
      total += high - low;
      this.span = max(this.span, high - low);
    }
    this.lowest = lowest;
    return total;
  }

  /** Makes whole numbers of that table; their scale, and what they are short of, are taken into the factor and the shift. */
  private roundTable(): void {
    const scale = this.scale;
    const scale4 = f32x4.splat(scale);
    const half4 = f32x4.splat(0.5);
    const end = this.table + <usize>tableBytes(this.d, 1);
    for (let half = this.table; half < end; half += 64) {
      const a = v128.load(half);
      const b = v128.load(half, 16);
      const c = v128.load(half, 32);
      const e = v128.load(half, 48);
      const low = spreadMin(f32x4.pmin(f32x4.pmin(a, b), f32x4.pmin(c, e)));
      for (let at = half; at < half + 64; at += 16) {
        const number = f32x4.add(f32x4.mul(scale4, f32x4.sub(v128.load(at), low)), half4);
        v128.store(at, f32x4.floor(number));
      }
    }
    this.factor = scale > 0 ? 1 / scale : 0;
    this.shift -= floor(scale * (this.lowest - this.least) + <f32>0.5) * this.factor + this.least;
  }

  /** Rounds the components to numbers of `queryBits` bits between the least and the largest; returns the sum of what they stand for. */
  private round(): f32 {
    const end = (<usize>this.d) << 2;
    let least: f32 = Infinity;
    let most: f32 = -Infinity;
    let j: usize = 0;
    if (end >= 16) {
      let low = v128.load(this.rest);
      let high = low;
      for (; j + 16 <= end; j += 16) {
        low = f32x4.pmin(low, v128.load(this.rest + j));
        high = f32x4.pmax(high, v128.load(this.rest + j));
      }
      least = f32x4.extract_lane(spreadMin(low), 0);
      most = f32x4.extract_lane(spreadMax(high), 0);
    }
    for (; j < end; j += 4) {
      least = min(least, load<f32>(this.rest + j));
      most = max(most, load<f32>(this.rest + j));
    }
    const levels = <f32>((1 << this.queryBits) - 1);
    const step: f32 = (most - least) / levels;
    const inverse: f32 = step > 0 ? 1 / step : 0;
    const half: f32 = step > 0 ? 0.5 : 0;
    let sum: i32 = 0;
    let sums = i32x4.splat(0);
    const zero4 = f32x4.splat(0);
    const levels4 = f32x4.splat(levels);
    for (j = 0; j + 16 <= end; j += 16) {
      const place = f32x4.sub(v128.load(this.rest + j), f32x4.splat(least));
      const number = f32x4.add(f32x4.mul(place, f32x4.splat(inverse)), f32x4.splat(half));
      const whole = f32x4.floor(f32x4.pmin(levels4, f32x4.pmax(zero4, number)));
      sums = i32x4.add(sums, i32x4.trunc_sat_f32x4_s(whole));
      v128.store(this.rounded + j, whole);
    }
    for (; j < end; j += 4) {
      const number = floor(min(max((load<f32>(this.rest + j) - least) * inverse + half, 0), levels));
      sum += <i32>number;
      store<f32>(this.rounded + j, number);
    }
    sum +=
      i32x4.extract_lane(sums, 0) +
      i32x4.extract_lane(sums, 1) +
      i32x4.extract_lane(sums, 2) +
      i32x4.extract_lane(sums, 3);
    this.delta = step;
    this.low = least;
    return <f32>sum * step + <f32>this.d * least;
  }

  four(a: usize, b: usize, c: usize, e: usize, bar: f32): v128 {
    const base = f32x4.splat(this.base);
    const at = <usize>this.factorsAt;
    // Where rows are compared one by one, the others are the same.
    const sums =
      this.moreBits > 0
        ? f32x4.splat(sumOf(a, this.d, this.bits, this.table))
        : sumsOf(a, b, c, e, this.d, this.bits, this.table);
    const terms = fourOf(a, b, c, e, at);
    const scales = fourOf(a, b, c, e, at + 4);
    const product = this.metric == INNER_PRODUCT;
    if (this.signs == 0) {
      const products = f32x4.mul(scales, sums);
      if (product) return f32x4.neg(f32x4.add(base, products));
      return f32x4.sub(f32x4.add(base, terms), f32x4.add(products, products));
    }
    const first = f32x4.sub(f32x4.mul(sums, f32x4.splat(this.factor)), f32x4.splat(this.shift));
    const scaled = f32x4.mul(scales, first);
    let keys = f32x4.sub(f32x4.add(f32x4.splat(this.distance), terms), f32x4.add(scaled, scaled));
    if (product) keys = f32x4.mul(f32x4.sub(keys, f32x4.splat(this.square)), f32x4.splat(0.5));
    else keys = f32x4.max(keys, f32x4.splat(0));
    if (this.moreBits == 0) return keys;

    let lower = f32x4.sub(keys, f32x4.mul(fourOf(a, b, c, e, at + 8), f32x4.splat(this.length)));
    if (!product) lower = f32x4.max(lower, f32x4.splat(0));
    return f32x4.splat(f32x4.extract_lane(lower, 0) < bar ? this.fullKey(a) : Infinity);
  }

  /** The key of a row by all its bits. */
  private fullKey(row: usize): f32 {
    const bits = this.moreBits;
    const signs = sumOf(row, this.d, 1, this.signTable);
    const more = sumOf(row + this.moreAt, this.d, bits, this.moreTable);
    const sum = <f32>(1 << bits) * signs + more - (<f32>(1 << bits) - <f32>0.5) * this.total;
    const distance = this.base + load<f32>(row + this.moreFactorsAt) + load<f32>(row + this.moreFactorsAt, 4) * sum;
    return this.metric == INNER_PRODUCT ? -distance : max(0, distance);
  }
}

/** a x + b, rounded once: the product of two f32 is exact in f64. */
@inline
function multiplyAdd(a: f32, x: f32, b: f32): f32 {
  return <f32>(<f64>a * <f64>x + <f64>b);
}

/** Bytes of a table. */
function tableBytes(d: i32, bits: i32): i32 {
  if (isHalved(bits)) return ((d * bits + 7) >> 3) * 32 * 4;
  return bits == 0 ? 0 : (d << bits) * 4;
}

/** Whether numbers of so many bits fill half bytes. */
@inline
function isHalved(bits: i32): bool {
  return bits == 1 || bits == 2 || bits == 4;
}

/**
 * Makes a table of what numbers add to the sum of x_j level[n_j]. Of a half byte, four values at once, l and L being the levels of one bit:
 *
 *     bits = 1   x0 | l L l L | + x1 | l l L L |   values 0 … 3: + x2 l + x3 l   4 … 7: + x2 L + x3 l   8 … 11: + x2 l + x3 L   12 … 15: + x2 L + x3 L
 *     bits = 2   x0 | level 0 … 3 |                values 0 … 3: + x1 level 0   4 … 7: + x1 level 1 …
 *     bits = 4   x0 | level 0 … 15 |
 */
function fillTable(x: usize, d: i32, bits: i32, levels: usize, table: usize): void {
  if (!isHalved(bits)) {
    for (let j = 0; j < d; j++, x += 4) {
      for (let n = 0; n < 1 << bits; n++, table += 4) {
        store<f32>(table, load<f32>(x) * load<f32>(levels + ((<usize>n) << 2)));
      }
    }
    return;
  }
  const each = 4 / bits;
  for (let half = 0, halves = ((d * bits + 7) >> 3) * 2; half < halves; half++, table += 64, x += (<usize>each) << 2) {
    const left = d - half * each;
    const x0 = f32x4.splat(left > 0 ? load<f32>(x) : 0);
    if (bits == 4) {
      for (let at: usize = 0; at < 64; at += 16) v128.store(table + at, f32x4.mul(x0, v128.load(levels + at)));
      continue;
    }
    const x1: f32 = left > 1 ? load<f32>(x, 4) : 0;
    if (bits == 2) {
      const first = f32x4.mul(x0, v128.load(levels));
      const second = f32x4.mul(f32x4.splat(x1), v128.load(levels));
      v128.store(table, f32x4.add(first, v128.shuffle<f32>(second, second, 0, 0, 0, 0)));
      v128.store(table, f32x4.add(first, v128.shuffle<f32>(second, second, 1, 1, 1, 1)), 16);
      v128.store(table, f32x4.add(first, v128.shuffle<f32>(second, second, 2, 2, 2, 2)), 32);
      v128.store(table, f32x4.add(first, v128.shuffle<f32>(second, second, 3, 3, 3, 3)), 48);
      continue;
    }
    const x2 = left > 2 ? load<f32>(x, 8) : 0;
    const x3 = left > 3 ? load<f32>(x, 12) : 0;
    const off = f32x4.splat(load<f32>(levels));
    const on = f32x4.splat(load<f32>(levels, 4));
    const low = f32x4.add(
      f32x4.mul(x0, v128.shuffle<f32>(off, on, 0, 4, 0, 4)),
      f32x4.mul(f32x4.splat(x1), v128.shuffle<f32>(off, on, 0, 0, 4, 4)),
    );
    const third = f32x4.add(low, f32x4.mul(f32x4.splat(x2), on));
    const second = f32x4.add(low, f32x4.mul(f32x4.splat(x2), off));
    const last = f32x4.mul(f32x4.splat(x3), on);
    const none = f32x4.mul(f32x4.splat(x3), off);
    v128.store(table, f32x4.add(second, none));
    v128.store(table, f32x4.add(third, none), 16);
    v128.store(table, f32x4.add(second, last), 32);
    v128.store(table, f32x4.add(third, last), 48);
  }
}

/**
 * The sums of what the table has for the numbers of four rows. Their look-ups go side by side: each row adds up in one order, and an addition
 * waits for the last one four times as long as it takes. (With this, and tables made by fours, IVF1024,RaBitQ of 100,000 x 256 takes 59 µs a
 * query at nprobe 16, 146 without.)
 */
function sumsOf(a: usize, b: usize, c: usize, e: usize, d: i32, bits: i32, table: usize): v128 {
  if (!isHalved(bits)) {
    return f32x4(
      sumOf(a, d, bits, table),
      sumOf(b, d, bits, table),
      sumOf(c, d, bits, table),
      sumOf(e, d, bits, table),
    );
  }
  let a0: f32 = 0;
  let a1: f32 = 0;
  let b0: f32 = 0;
  let b1: f32 = 0;
  let c0: f32 = 0;
  let c1: f32 = 0;
  let e0: f32 = 0;
  let e1: f32 = 0;
  for (const end = a + ((d * bits + 7) >> 3); a < end; a++, b++, c++, e++, table += 128) {
    let byte = <usize>load<u8>(a);
    a0 += load<f32>(table + ((byte & 15) << 2));
    a1 += load<f32>(table + ((byte >> 4) << 2), 64);
    byte = <usize>load<u8>(b);
    b0 += load<f32>(table + ((byte & 15) << 2));
    b1 += load<f32>(table + ((byte >> 4) << 2), 64);
    byte = <usize>load<u8>(c);
    c0 += load<f32>(table + ((byte & 15) << 2));
    c1 += load<f32>(table + ((byte >> 4) << 2), 64);
    byte = <usize>load<u8>(e);
    e0 += load<f32>(table + ((byte & 15) << 2));
    e1 += load<f32>(table + ((byte >> 4) << 2), 64);
  }
  return f32x4(a0 + a1, b0 + b1, c0 + c1, e0 + e1);
}

/** The sum of what the table has for a row's numbers. */
function sumOf(row: usize, d: i32, bits: i32, table: usize): f32 {
  let s0: f32 = 0;
  let s1: f32 = 0;
  if (isHalved(bits)) {
    for (const end = row + ((d * bits + 7) >> 3); row < end; row++, table += 128) {
      const byte = <usize>load<u8>(row);
      s0 += load<f32>(table + ((byte & 15) << 2));
      s1 += load<f32>(table + ((byte >> 4) << 2), 64);
    }
    return s0 + s1;
  }
  const mask: u32 = (1 << bits) - 1;
  const step = (<usize>4) << bits;
  for (let bit = 0, end = d * bits; bit < end; bit += bits, table += step) {
    const number = ((<u32>load<u16>(row + (bit >> 3))) >> (bit & 7)) & mask;
    s0 += load<f32>(table + ((<usize>number) << 2));
  }
  return s0;
}

/** A factor of four rows. */
@inline
function fourOf(a: usize, b: usize, c: usize, e: usize, at: usize): v128 {
  return f32x4(load<f32>(a + at), load<f32>(b + at), load<f32>(c + at), load<f32>(e + at));
}

/** Bytes of scratch. */
export function factoredScratch(d: i32, bits: i32, moreBits: i32): i32 {
  return Factored.scratch(d, bits, moreBits);
}
