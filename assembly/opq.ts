// The quantizer inside OPQ's training: sub-vectors of few dimensions, each to the nearest of 256 centroids, again and again. Most centroids
// are passed over, with the same answers: they lie in 16 groups of 16 that are near each other, and a group is looked at only where its box
// is no farther away than the best so far.
//
// Of each sub-quantizer, one after the other:
//
//     tables    f32 [16 groups][sub][16]    | c0 c1 c2 c3 | c4 … c7 | c8 … c11 | c12 … c15 |  dimension j of a group's centroids
//     low       f32 [sub][16 groups]        the boxes, lanes being groups
//     high      f32 [sub][16 groups]
//     order     u8 [16 groups][16]          which centroid is which
//
// Rounding leaves the bound true: a distance sums what its box's sums, in the same order, each term at least as large; and a rounded
// difference, product or sum of no smaller numbers is no smaller.

import { spreadMin } from "./pq";

const GROUPS: i32 = 16;
const GROUP: i32 = 16;
const K: i32 = 256;

/** Bytes of the groups of M sub-quantizers. */
export function groupsBytes(M: i32, sub: i32): usize {
  return <usize>M * stride(sub);
}


@inline
function stride(sub: i32): usize {
  return ((<usize>(K * sub + 2 * GROUPS * sub)) << 2) + K;
}

/** Component j of a centroid. */
@inline
function component(codebook: usize, sub: i32, centroid: i32, j: i32): f32 {
  return load<f32>(codebook + ((<usize>(centroid * sub + j)) << 2));
}

/** Groups the centroids of a codebook, f32 [M][256][sub]. */
export function makeGroups(codebook: usize, M: i32, sub: i32, groups: usize): void {
  for (let m = 0; m < M; m++, codebook += (<usize>(K * sub)) << 2, groups += stride(sub)) {
    const low = groups + ((<usize>(K * sub)) << 2);
    const high = low + ((<usize>(GROUPS * sub)) << 2);
    const order = high + ((<usize>(GROUPS * sub)) << 2);
    for (let c = 0; c < K; c++) store<u8>(order + <usize>c, <u8>c);
    // Halved again and again along the dimension in which they differ most.
    for (let size = K; size > GROUP; size >>= 1) {
      for (let at = 0; at < K; at += size) sortPart(codebook, sub, order + <usize>at, size);
    }
    for (let g = 0; g < GROUPS; g++) {
      const members = order + <usize>(g * GROUP);
      sortNumbers(members);
      for (let j = 0; j < sub; j++) {
        let least: f32 = Infinity;
        let most: f32 = -Infinity;
        for (let i = 0; i < GROUP; i++) {
          const x = component(codebook, sub, load<u8>(members + <usize>i), j);
          store<f32>(groups + ((<usize>((g * sub + j) * GROUP + i)) << 2), x);
          least = min(least, x);
          most = max(most, x);
        }
        store<f32>(low + ((<usize>(j * GROUPS + g)) << 2), least);
        store<f32>(high + ((<usize>(j * GROUPS + g)) << 2), most);
      }
    }
  }
}

/** Sorts some centroids by the dimension in which they differ most (Shell sort). */
function sortPart(codebook: usize, sub: i32, order: usize, n: i32): void {
  let widest = 0;
  let width: f32 = -1;
  for (let j = 0; j < sub; j++) {
    let least: f32 = Infinity;
    let most: f32 = -Infinity;
    for (let i = 0; i < n; i++) {
      const x = component(codebook, sub, load<u8>(order + <usize>i), j);
      least = min(least, x);
      most = max(most, x);
    }
    if (most - least > width) {
      width = most - least;
      widest = j;
    }
  }
  for (let gap = n >> 1; gap > 0; gap >>= 1) {
    for (let i = gap; i < n; i++) {
      const own = load<u8>(order + <usize>i);
      const x = component(codebook, sub, own, widest);
      let at = i;
      for (; at >= gap; at -= gap) {
        const other = load<u8>(order + <usize>(at - gap));
        if (!(component(codebook, sub, other, widest) > x)) break;
        store<u8>(order + <usize>at, other);
      }
      store<u8>(order + <usize>at, own);
    }
  }
}

/** Sorts the numbers of a group, so that of equally near ones the first is the smallest. */
function sortNumbers(members: usize): void {
  for (let i = 1; i < GROUP; i++) {
    const own = load<u8>(members + <usize>i);
    let at = i;
    for (; at > 0; at--) {
      const other = load<u8>(members + <usize>(at - 1));
      if (other < own) break;
      store<u8>(members + <usize>at, other);
    }
    store<u8>(members + <usize>at, own);
  }
}

/**
 * The nearest of 256 centroids to each sub-vector, the smallest number of equals: numbers, n x M bytes. errors: M f64, to which the squared
 * distances are added. sums (f32 [M][256][sub]) and counts (i32 [M][256]): to which the sub-vectors are added, or 0.
 */
export function quantizeByGroups(
  vectors: usize,
  n: i32,
  M: i32,
  sub: i32,
  groups: usize,
  numbers: usize,
  errors: usize,
  sums: usize,
  counts: usize,
): void {
  const size = (<usize>sub) << 2;
  const low = (<usize>(K * sub)) << 2;
  const high = low + ((<usize>(GROUPS * sub)) << 2);
  const order = high + ((<usize>(GROUPS * sub)) << 2);
  for (let m = 0; m < M; m++, groups += stride(sub), errors += 8) {
    let error: f64 = 0;
    let x = vectors + <usize>m * size;
    let number = numbers + <usize>m;
    for (let i = 0; i < n; i++, x += <usize>M * size, number += <usize>M) {
      let b0 = f32x4.splat(0);
      let b1 = b0;
      let b2 = b0;
      let b3 = b0;
      const zero = b0;
      let box = groups + low;
      for (let j: usize = 0; j < size; j += 4, box += 64) {
        const value = v128.load32_splat(x + j);
        const far = box + high - low;
        let u = beyond(value, v128.load(box), v128.load(far), zero);
        b0 = f32x4.add(b0, f32x4.mul(u, u));
        u = beyond(value, v128.load(box, 16), v128.load(far, 16), zero);
        b1 = f32x4.add(b1, f32x4.mul(u, u));
        u = beyond(value, v128.load(box, 32), v128.load(far, 32), zero);
        b2 = f32x4.add(b2, f32x4.mul(u, u));
        u = beyond(value, v128.load(box, 48), v128.load(far, 48), zero);
        b3 = f32x4.add(b3, f32x4.mul(u, u));
      }
      // The group whose box is nearest first; it leaves few others.
      const least = spreadMin(f32x4.pmin(f32x4.pmin(b0, b1), f32x4.pmin(b2, b3)));
      let open = lanesBelow(b0, b1, b2, b3, least);
      let best: f32 = Infinity;
      let winner = K;
      let done = 0;
      while (open != 0) {
        const group = ctz(open);
        done |= 1 << group;
        let a0 = zero;
        let a1 = zero;
        let a2 = zero;
        let a3 = zero;
        let at = groups + <usize>group * (size << 4);
        for (let j: usize = 0; j < size; j += 4, at += 64) {
          const value = v128.load32_splat(x + j);
          let u = f32x4.sub(value, v128.load(at));
          a0 = f32x4.add(a0, f32x4.mul(u, u));
          u = f32x4.sub(value, v128.load(at, 16));
          a1 = f32x4.add(a1, f32x4.mul(u, u));
          u = f32x4.sub(value, v128.load(at, 32));
          a2 = f32x4.add(a2, f32x4.mul(u, u));
          u = f32x4.sub(value, v128.load(at, 48));
          a3 = f32x4.add(a3, f32x4.mul(u, u));
        }
        const near = spreadMin(f32x4.pmin(f32x4.pmin(a0, a1), f32x4.pmin(a2, a3)));
        const key = f32x4.extract_lane(near, 0);
        if (key <= best) {
          const lane = ctz(lanesBelow(a0, a1, a2, a3, near));
          const own = <i32>load<u8>(groups + order + <usize>(group * GROUP + lane));
          if (key < best || own < winner) winner = own;
          best = key;
        }
        open = lanesBelow(b0, b1, b2, b3, f32x4.splat(best)) & ~done;
      }
      store<u8>(number, <u8>winner);
      error += best;
      if (sums == 0) continue;
      const place = <usize>(m * K + winner);
      store<i32>(counts + (place << 2), load<i32>(counts + (place << 2)) + 1);
      const sum = sums + place * size;
      for (let j: usize = 0; j < size; j += 4) store<f32>(sum + j, load<f32>(sum + j) + load<f32>(x + j));
    }
    store<f64>(errors, load<f64>(errors) + error);
  }
}

/** How far a number is outside of a range, in each lane. */
@inline
function beyond(x: v128, low: v128, high: v128, zero: v128): v128 {
  return f32x4.pmax(f32x4.pmax(f32x4.sub(low, x), f32x4.sub(x, high)), zero);
}

/** Which of 16 lanes are not above a limit. */
@inline
function lanesBelow(a: v128, b: v128, c: v128, e: v128, limit: v128): i32 {
  return (
    i32x4.bitmask(f32x4.le(a, limit)) |
    (i32x4.bitmask(f32x4.le(b, limit)) << 4) |
    (i32x4.bitmask(f32x4.le(c, limit)) << 8) |
    (i32x4.bitmask(f32x4.le(e, limit)) << 12)
  );
}

/** Writes the vectors that numbers (n x M bytes) stand for as columns: rows of `pitch` numbers, filled up with zeros. */
export function decodeColumns(numbers: usize, n: i32, M: i32, sub: i32, codebook: usize, out: usize, pitch: i32): void {
  for (let m = 0; m < M; m++, codebook += (<usize>(K * sub)) << 2) {
    for (let j = 0; j < sub; j++, out += (<usize>pitch) << 2) {
      let number = numbers + <usize>m;
      for (let i = 0; i < n; i++, number += <usize>M) {
        store<f32>(out + ((<usize>i) << 2), component(codebook, sub, load<u8>(number), j));
      }
      for (let i = n; i < pitch; i++) store<f32>(out + ((<usize>i) << 2), 0);
    }
  }
}
