// A long list in two passes. What may enter falls only while near vectors are met, and those lie together: over 100,000 x 256 speech-like
// vectors a scan in their order has .38 of the look-ups to do, of which .27 would be left if the limit were known from the start. So the
// first plane is added up for all groups; the groups that look nearest are finished, and the k-th key of these is a limit that holds: k vectors
// reach it. Then the others go on from where they are.

import { finishGroup, firstPlanes, lanesOf, nextPlane, SUMS } from "./fastscan-groups";
import { Sink } from "./fastscan-sink";
import { GROUP, Job, tableBytes } from "./fastscan-tables";
import { L2 } from "./metric";
import { PLANE } from "./packed";
import { emptyPool, poolSize, pour, sift } from "./pool";

/** Vectors that go through both passes together: 128 KB of accumulators, which stay in the second-level cache. */
const LONG: i32 = 131072;
/** Of so many groups at least one is finished beforehand. */
const SHARE: i32 = 8;

/** Groups that are finished beforehand: as many as results, since a good one has few that are better than what a bad one has. */
@inline
function nearGroups(k: i32): i32 {
  return max(k, 16);
}

/** Vectors of a list of n that go through both passes together: 0 where these do not pay. */
export function roomOf(n: i32, M2: i32, k: i32): i32 {
  const least = nearGroups(k) * SHARE * GROUP;
  return k > 0 && M2 > PLANE && n >= least && least <= LONG ? min((n + GROUP - 1) & -GROUP, LONG) : 0;
}

/** Bytes of scratch that scanLong takes for such a room: accumulators and the least of each group, two pools, entries of the larger one. */
export function longScratch(room: i32, k: i32): i32 {
  if (room == 0) return 0;
  const T = nearGroups(k);
  return room * 2 + (room / GROUP) * 2 + 16 + 8 + 6 * (poolSize(T) + poolSize(k)) + 8 * T;
}

/** As scanBlocks, of a list with `room` vectors at least. scratch: longScratch(room, k) bytes. */
export function scanLong(
  job: Job,
  block: usize,
  count: i32,
  table: usize,
  start: i32,
  firstSlot: i32,
  sink: Sink,
  room: i32,
  scratch: usize,
): void {
  const bbs = job.code.bbs;
  const M2 = job.code.M2;
  const blockBytes = <usize>((bbs * M2) >> 1);
  const keys = job.keys;
  const partials = scratch;
  const least = partials + <usize>room * 2;
  const end = table + tableBytes(M2);
  const second = table + 16 + ((<usize>PLANE) << 4);
  const groups = (count + GROUP - 1) / GROUP;

  for (let done = 0; done < count; done += bbs) {
    const inBlock = (min(bbs, count - done) + GROUP - 1) / GROUP;
    const first = done / GROUP;
    firstPlanes(
      block + <usize>(done / bbs) * blockBytes,
      inBlock,
      table,
      start,
      partials + <usize>first * SUMS,
      least + ((<usize>first) << 1),
    );
  }
  store<u16>(keys + SUMS, <u16>start);
  sink.most = limitOf(job, block, count, table, firstSlot, sink, least, room, scratch);
  for (let g = 0; g < groups; g++) {
    if (<i32>load<u16>(least + ((<usize>g) << 1)) > sink.most) continue;
    const open = resume(job, block, g, second, end, partials, sink.most) & lanesOf(count - g * GROUP);
    if (open != 0) sink.take(open, keys, firstSlot + g * GROUP);
  }
}

/** The k-th key of the groups that look nearest, or what may enter anyway where these don't tell. */
function limitOf(
  job: Job,
  block: usize,
  n: i32,
  table: usize,
  firstSlot: i32,
  sink: Sink,
  least: usize,
  room: i32,
  scratch: usize,
): i32 {
  const k = sink.k;
  const T = nearGroups(k);
  const near = least + ((<usize>(room / GROUP)) << 1) + 16;
  const pool = near + 4 + <usize>(6 * poolSize(T));
  const entries = pool + 4 + <usize>(6 * poolSize(k));
  const numbers = entries + ((<usize>T) << 2);
  const end = table + tableBytes(job.code.M2);
  const second = table + 16 + ((<usize>PLANE) << 4);
  const groups = (n + GROUP - 1) / GROUP;

  store<i32>(near, 0);
  let most = 65535;
  for (let g = 0; g < groups; g += 8) {
    const values = v128.load(least + ((<usize>g) << 1));
    const above = i16x8.sub_sat_u(values, i16x8.splat(<i16>most));
    let open = i8x16.bitmask(i8x16.narrow_i16x8_s(i16x8.eq(above, i16x8.splat(0)), i16x8.splat(0)));
    if (groups - g < 8) open &= (1 << (groups - g)) - 1;
    if (open != 0) most = pour(open, least + ((<usize>g) << 1), g, near, T, most);
  }
  const found = emptyPool(near, T, entries, numbers, 0, L2);

  store<i32>(pool, 0);
  most = sink.most;
  for (let i = 0; i < found; i++) {
    const g = load<i32>(numbers + ((<usize>i) << 2));
    if (<i32>load<f32>(entries + ((<usize>i) << 2)) > most) break;
    const open = resume(job, block, g, second, end, scratch, most) & lanesOf(n - g * GROUP);
    if (open != 0) most = pour(open, job.keys, firstSlot + g * GROUP, pool, k, most);
  }
  const count = load<i32>(pool);
  return count < k ? sink.most : sift(pool, count, k);
}

/** Finishes group g from its accumulators: see finishGroup. */
@inline
function resume(job: Job, block: usize, g: i32, t: usize, end: usize, partials: usize, most: i32): i32 {
  const bbs = job.code.bbs;
  const from = partials + <usize>g * SUMS;
  store<u16>(job.keys + SUMS, <u16>most, 2);
  const perBlock = bbs / GROUP;
  const group = g % perBlock;
  const code = block + <usize>(g / perBlock) * <usize>((bbs * job.code.M2) >> 1) + ((<usize>(group * PLANE)) << 4);
  return finishGroup(job, from, nextPlane(job, code, group, end - t), group, t, end);
}
