// The scan of packed codes itself: keys of a group of 32 vectors, added up plane by plane and given up half-way.

import { Sink } from "./fastscan-sink";
import { GROUP, Job, tableBytes } from "./fastscan-tables";
import { lookUp } from "./lanes";
import { PLANE } from "./packed";

/** Bytes of a plane's part of a table, and of a whole plane's chunks of a group. */
const WIDTH: usize = (<usize>PLANE) << 4;
/** Bytes of a group's accumulators, or of its keys. */
export const SUMS: usize = 64;
/** Bytes of scratch that the scan of groups takes: the keys of one, its limits, and accumulators of nothing. */
export const GROUP_SCRATCH: usize = SUMS + 16 + SUMS;

/** Where the chunks of a group's next plane stand, `left` being the bytes of the table that are left. */
@inline
export function nextPlane(job: Job, code: usize, group: i32, left: usize): usize {
  return code + job.plane - (left < WIDTH ? <usize>group * (WIDTH - left) : 0);
}

/**
 * Adds up a group from the accumulators at `from` on. Returns the lanes whose key is at most the largest that may enter, and writes the keys
 * to job.keys in the order of the vectors; 0 as soon as no lane can be open. (A look takes 12 operations, a pair of sub-quantizers 22.)
 *
 *     16 bytes of codes     | c0 … c15 |  & 15 and >> 4: numbers of vectors p(j) and p(j) + 16
 *     table of 16 entries   | t0 … t15 |  swizzle: 16 look-ups
 *     what comes out        | r0 … r15 |  added as 16-bit lanes to `even`, r >> 8 to `odd`: in the end even - (odd << 8)
 *
 * `even` overflows on the way and comes out right, 16-bit lanes being numbers modulo 65536. The mask of 15s is loaded: V8 from
 * 13.6 on makes a constant anew wherever it is used. So are limits: in registers, the inner loop would have too few.
 *
 * code: the chunks of the plane that is next. t: its part of the table, which ends at `end`.
 */
export function finishGroup(job: Job, from: usize, code: usize, group: i32, t: usize, end: usize): i32 {
  const keys = job.keys;
  const limits = keys + SUMS;
  const mask = v128.load(job.bytes);
  const look = job.climbs;
  let even0 = v128.load(from);
  let odd0 = v128.load(from, 16);
  let even1 = v128.load(from, 32);
  let odd1 = v128.load(from, 48);
  let stop = min(t + WIDTH, end);
  while (true) {
    for (; t < stop; t += 32, code += 32) {
      let c = v128.load(code);
      let r = lookUp(v128.load(t), v128.and(c, mask));
      even0 = i16x8.add(even0, r);
      odd0 = i16x8.add(odd0, i16x8.shr_u(r, 8));
      r = lookUp(v128.load(t, 0, 1), v128.and(i16x8.shr_u(c, 4), mask));
      even1 = i16x8.add(even1, r);
      odd1 = i16x8.add(odd1, i16x8.shr_u(r, 8));
      c = v128.load(code, 16);
      r = lookUp(v128.load(t, 16), v128.and(c, mask));
      even0 = i16x8.add(even0, r);
      odd0 = i16x8.add(odd0, i16x8.shr_u(r, 8));
      r = lookUp(v128.load(t, 16, 1), v128.and(i16x8.shr_u(c, 4), mask));
      even1 = i16x8.add(even1, r);
      odd1 = i16x8.add(odd1, i16x8.shr_u(r, 8));
    }
    if (t >= end) break;
    if (look) {
      const least = i16x8.add(leastOf(even0, odd0, even1, odd1), v128.load16_splat(limits));
      if (!v128.any_true(i16x8.eq(i16x8.sub_sat_u(least, v128.load16_splat(limits, 2)), i16x8.splat(0)))) return 0;
    }
    code = nextPlane(job, code - WIDTH, group, end - t);
    stop = min(t + WIDTH, end);
  }
  const start = v128.load16_splat(limits);
  const limit = v128.load16_splat(limits, 2);
  const zero = i16x8.splat(0);
  const s0 = i16x8.add(i16x8.sub(even0, i16x8.shl(odd0, 8)), start);
  const s1 = i16x8.add(odd0, start);
  const s2 = i16x8.add(i16x8.sub(even1, i16x8.shl(odd1, 8)), start);
  const s3 = i16x8.add(odd1, start);
  const open =
    i8x16.bitmask(
      i8x16.narrow_i16x8_s(i16x8.eq(i16x8.sub_sat_u(s0, limit), zero), i16x8.eq(i16x8.sub_sat_u(s1, limit), zero)),
    ) |
    (i8x16.bitmask(
      i8x16.narrow_i16x8_s(i16x8.eq(i16x8.sub_sat_u(s2, limit), zero), i16x8.eq(i16x8.sub_sat_u(s3, limit), zero)),
    ) <<
      16);
  if (open == 0) return 0;
  v128.store(keys, s0);
  v128.store(keys, s1, 16);
  v128.store(keys, s2, 32);
  v128.store(keys, s3, 48);
  return open;
}

/** The lanes of 32 keys that are at most `most`. */
export function lanesUpTo(keys: usize, most: i32): i32 {
  let open = 0;
  for (let lane = 0; lane < GROUP; lane += 8, keys += 16) {
    const above = i16x8.sub_sat_u(v128.load(keys), i16x8.splat(<i16>most));
    open |= i16x8.bitmask(i16x8.eq(above, i16x8.splat(0))) << lane;
  }
  return open;
}

/**
 * Accumulators of the first plane of some groups of a block, and the least key of each so far (u16). The sum is finishGroup's, written out again:
 * a function returns one vector at most, and four that went through memory would leave their registers.
 */
export function firstPlanes(code: usize, groups: i32, table: usize, start: i32, partials: usize, least: usize): void {
  const mask = v128.load(table);
  const stop = table + 16 + WIDTH;
  for (let end = partials + <usize>groups * SUMS; partials < end; partials += SUMS, least += 2) {
    let even0 = i16x8.splat(0);
    let odd0 = even0;
    let even1 = even0;
    let odd1 = even0;
    for (let t = table + 16; t < stop; t += 32, code += 32) {
      let c = v128.load(code);
      let r = lookUp(v128.load(t), v128.and(c, mask));
      even0 = i16x8.add(even0, r);
      odd0 = i16x8.add(odd0, i16x8.shr_u(r, 8));
      r = lookUp(v128.load(t, 0, 1), v128.and(i16x8.shr_u(c, 4), mask));
      even1 = i16x8.add(even1, r);
      odd1 = i16x8.add(odd1, i16x8.shr_u(r, 8));
      c = v128.load(code, 16);
      r = lookUp(v128.load(t, 16), v128.and(c, mask));
      even0 = i16x8.add(even0, r);
      odd0 = i16x8.add(odd0, i16x8.shr_u(r, 8));
      r = lookUp(v128.load(t, 16, 1), v128.and(i16x8.shr_u(c, 4), mask));
      even1 = i16x8.add(even1, r);
      odd1 = i16x8.add(odd1, i16x8.shr_u(r, 8));
    }
    v128.store(partials, even0);
    v128.store(partials, odd0, 16);
    v128.store(partials, even1, 32);
    v128.store(partials, odd1, 48);
    let v = leastOf(even0, odd0, even1, odd1);
    v = i16x8.min_u(v, i64x2.shr_u(v, 32));
    v = i16x8.min_u(v, i32x4.shr_u(v, 16));
    store<u16>(least, <u16>(min<i32>(i16x8.extract_lane_u(v, 0), i16x8.extract_lane_u(v, 4)) + start));
  }
}

/** The least of vectors p, p + 8, p + 16 and p + 24 of a group so far, in lane p. */
@inline
function leastOf(even0: v128, odd0: v128, even1: v128, odd1: v128): v128 {
  return i16x8.min_u(
    i16x8.min_u(i16x8.sub(even0, i16x8.shl(odd0, 8)), odd0),
    i16x8.min_u(i16x8.sub(even1, i16x8.shl(odd1, 8)), odd1),
  );
}

/** The lanes of a group that hold one of `left` vectors. */
@inline
export function lanesOf(left: i32): i32 {
  return left < GROUP ? (1 << left) - 1 : -1;
}

/** Offers `count` vectors of a list, from the start of a block on, to a sink. start: what keys start from. */
export function scanBlocks(
  job: Job,
  block: usize,
  count: i32,
  table: usize,
  start: i32,
  firstSlot: i32,
  sink: Sink,
): void {
  const bbs = job.code.bbs;
  const M2 = job.code.M2;
  const admitted = job.plan.admitted;
  const keys = job.keys;
  const end = table + tableBytes(M2);
  const width = min((<usize>M2) << 4, WIDTH);
  const nothing = job.nothing;
  store<u16>(keys + SUMS, <u16>start);
  for (let done = 0; done < count; done += GROUP) {
    const most = sink.most;
    if (most < 0) return;
    // Starts of groups are multiples of 32.
    let there: i32 = -1;
    if (admitted != 0) {
      there = load<i32>(admitted + <usize>((firstSlot + done) >> 3));
      if (there == 0) continue;
    }
    store<u16>(keys + SUMS, <u16>most, 2);
    const group = (done % bbs) / GROUP;
    const code = block + <usize>(done / bbs) * <usize>((bbs * M2) >> 1) + <usize>group * width;
    const open = finishGroup(job, nothing, code, group, table + 16, end) & there & lanesOf(count - done);
    if (open != 0) sink.take(open, keys, firstSlot + done);
  }
}
