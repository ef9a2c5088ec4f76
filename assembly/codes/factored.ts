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
    this.square = -pairKey(query, query, d, INNER_PRODUCT);
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

  /** Makes the table of a rounded query as faiss does (in its builds for AVX2, to the bit); returns the sum of what its half bytes span. */
  private fillRounded(): f32 {
    const unit: f32 = 1 / sqrt(<f32>this.d);
    const c1: f32 = 2 * this.delta * unit;
    const c2: f32 = 2 * this.low * unit;
    const flat = changetype<Plan>(this.plan).centroids == 0;
    const end = this.rounded + ((<usize>this.d) << 2);
    let table = this.table;
    let total: f32 = 0;
    let lowest: f32 = 0;
    for (let j = this.rounded; j < end; j += 16) {
      let low: f32 = Infinity;
      let high: f32 = -Infinity;
      for (let value = 0; value < 16; value++, table += 4) {
        let numbers: f32 = 0;
        let count: f32 = 0;
        let sum: f32 = 0;
        for (let k = 0; k < 4; k++) {
          const at = j + ((<usize>k) << 2);
          if (at >= end || ((value >> k) & 1) == 0) continue;
          numbers += load<f32>(at);
          count += 1;
          sum += multiplyAdd(c1, load<f32>(at), c2);
        }
        if (flat) sum = multiplyAdd(c1, numbers, c2 * count);
        store<f32>(table, sum);
        low = min(low, sum);
        high = max(high, sum);
      }
      lowest += low;
      total += high - low;
      this.span = max(this.span, high - low);
    }
    this.lowest = lowest;
    // Half bytes that no dimension is in.
    for (const last = this.table + <usize>tableBytes(this.d, 1); table < last; table += 4) store<f32>(table, 0);
    return total;
  }

  /** Makes whole numbers of that table; their scale, and what they are short of, are taken into the factor and the shift. */
  private roundTable(): void {
    const scale = this.scale;
    const end = this.table + <usize>tableBytes(this.d, 1);
    for (let half = this.table; half < end; half += 64) {
      let low: f32 = 0;
      for (let at = half; at < half + 64; at += 4) low = min(low, load<f32>(at));
      for (let at = half; at < half + 64; at += 4) {
        store<f32>(at, floor(scale * (load<f32>(at) - low) + <f32>0.5));
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
    for (let j: usize = 0; j < end; j += 4) {
      least = min(least, load<f32>(this.rest + j));
      most = max(most, load<f32>(this.rest + j));
    }
    const levels = (1 << this.queryBits) - 1;
    const step: f32 = (most - least) / <f32>levels;
    const inverse: f32 = 1 / step;
    let sum: i32 = 0;
    for (let j: usize = 0; j < end; j += 4) {
      const number =
        step > 0 ? <i32>min(max((load<f32>(this.rest + j) - least) * inverse + <f32>0.5, 0), <f32>levels) : 0;
      sum += number;
      store<f32>(this.rounded + j, <f32>number);
    }
    this.delta = step;
    this.low = least;
    return <f32>sum * step + <f32>this.d * least;
  }

  four(a: usize, b: usize, c: usize, e: usize, bar: f32): v128 {
    const base = f32x4.splat(this.base);
    const at = <usize>this.factorsAt;
    const sums = f32x4(
      sumOf(a, this.d, this.bits, this.table),
      sumOf(b, this.d, this.bits, this.table),
      sumOf(c, this.d, this.bits, this.table),
      sumOf(e, this.d, this.bits, this.table),
    );
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
    const open = i32x4.bitmask(f32x4.lt(lower, f32x4.splat(bar)));
    return f32x4(
      open & 1 ? this.fullKey(a) : Infinity,
      open & 2 ? this.fullKey(b) : Infinity,
      open & 4 ? this.fullKey(c) : Infinity,
      open & 8 ? this.fullKey(e) : Infinity,
    );
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

/** Makes a table of what numbers add to the sum of x_j level[n_j]. */
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
  const mask = (1 << bits) - 1;
  for (let half = 0, halves = ((d * bits + 7) >> 3) * 2; half < halves; half++) {
    for (let value = 0; value < 16; value++, table += 4) {
      let sum: f32 = 0;
      for (let k = 0; k < each; k++) {
        const j = half * each + k;
        if (j >= d) break;
        const level = load<f32>(levels + ((<usize>((value >> (k * bits)) & mask)) << 2));
        sum += load<f32>(x + ((<usize>j) << 2)) * level;
      }
      store<f32>(table, sum);
    }
  }
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
