// FastScan: 4-bit codes scanned with look-up tables that sit in a register (Andre, Kermarrec, Le Scouarnec, 2015; faiss' layout).
//
// A table entry is 8 bits wide, a sum of entries 16. Vectors lie in blocks of `bbs` (a multiple of 32); in a block, for each pair
// of sub-quantizers, each group of 32 vectors has 32 bytes:
//
//     byte j of the first 16     | low nibble: vector p(j) | high nibble: vector p(j) + 16 |   first sub-quantizer of the pair
//     byte j of the last 16      | the same                                              |   second
//     p = 0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15
//
// so that the even bytes of a register belong to vectors 0 … 7 and the odd ones to 8 … 15, and sums need no shuffle. A table
// of 8-bit entries is 16 bytes of 15 (a mask: see finishGroup), then 16 entries for each sub-quantizer. In memory the chunks of 16 bytes stand in
// another order, the widest sub-quantizers first: packed.ts has it.
//
//     fastscan-tables.ts   a query's tables       fastscan-groups.ts   keys of a group of 32, given up half-way
//     fastscan-sink.ts     where keys go          fastscan-long.ts     a long list, whose limit is found first
//     fastscan-nearest.ts  of many lists the nearest first, for the limit

import { GROUP_SCRATCH, scanBlocks, SUMS } from "./fastscan-groups";
import { longScratch, roomOf, scanLong } from "./fastscan-long";
import { NEAREST_SCRATCH, scanNearest, takeKept } from "./fastscan-nearest";
import { Sink } from "./fastscan-sink";
import { Job, openJob, tableBytes, turnJob } from "./fastscan-tables";
import { Best } from "./found/best";
import { Packed } from "./packed";
import { poolSize } from "./pool";
import { Lists, Plan } from "./records";

/** Vectors that one call of the kernel scans: V8 swaps in its optimised code only between calls. */
const STRETCH: i32 = 4096;

/**
 * Bytes of scratch that searchPacked takes, which may be more than there are addresses for. A residual index under L2 has a table for
 * each probe. k: 0 for rangePacked. n: vectors of the one list of all vectors, or 0.
 */
export function searchPackedScratch(M: i32, M2: i32, nprobe: i32, tables: i32, k: i32, n: i32): f64 {
  const table = <f64>(64 * M + <i32>tableBytes(M2));
  const records = <f64>(offsetof<Job>() + offsetof<Sink>() + <i32>GROUP_SCRATCH);
  const further = <f64>max(longScratch(roomOf(n, M2, k), k), NEAREST_SCRATCH);
  return records + 64 * <f64>M + <f64>tables * table + 12 * <f64>nprobe + 4 + 6 * <f64>poolSize(k) + further;
}

/**
 * Searches packed lists for the queries of a plan, with the sums of quantised tables that faiss makes: best first, distances as in faiss,
 * sum / a + b. code: a Packed, found: a Best. A start of a list is a multiple of bbs; the plan's centroids are given where codes are those
 * of residuals.
 */
export function searchPacked(code: usize, plan: usize, lists: usize, found: usize): void {
  collect(changetype<Packed>(code), changetype<Plan>(plan), changetype<Lists>(lists), found, changetype<Best>(found).k);
}

/** All whose distance, sum / a + b, is within the radius. found: a Within. */
export function rangePacked(code: usize, plan: usize, lists: usize, found: usize): void {
  collect(changetype<Packed>(code), changetype<Plan>(plan), changetype<Lists>(lists), found, 0);
}

function collect(code: Packed, plan: Plan, lists: Lists, found: usize, k: i32): void {
  const job = changetype<Job>(plan.scratch);
  openJob(job, code, plan, lists);
  job.nothing = job.keys + GROUP_SCRATCH - SUMS;
  memory.fill(job.nothing, 0, SUMS);
  const sink = changetype<Sink>(job.keys + GROUP_SCRATCH);
  const pool = job.keys + GROUP_SCRATCH + offsetof<Sink>();
  sink.open(plan, lists, found, k, pool);
  for (let i = 0; i < plan.nq; i++) {
    turnJob(job, i);
    sink.turn(i, job.scale, job.base);
    scanProbes(job, sink, pool + 4 + 6 * poolSize(k));
    sink.close();
  }
}

/** Scans the lists of a query in their order. */
function scanProbes(job: Job, sink: Sink, scratch: usize): void {
  const code = job.code;
  const plan = job.plan;
  const bbs = code.bbs;
  const M2 = code.M2;
  const blockBytes = <usize>((bbs * M2) >> 1);
  const room = job.climbs && plan.admitted == 0 ? roomOf(code.listed, M2, sink.k) : 0;
  const nearest = scanNearest(job, sink, scratch);
  let scanned: i32 = 0;
  for (let at = 0; at < job.used; at++) {
    if (at >= plan.atLeast && sink.isFull()) break;
    const p = <usize>load<i32>(job.order + ((<usize>at) << 2));
    const list = <usize>load<i32>(job.probes + (p << 2));
    const start = load<u32>(job.lists.starts + (list << 2));
    let count = load<i32>(job.lists.sizes + (list << 2));
    if (plan.maxCodes > 0) count = min(count, plan.maxCodes - scanned);
    scanned += count;
    if (<i32>p < nearest) {
      takeKept(load<usize>(job.low + (p << 2)), count, <i32>start, sink);
      continue;
    }
    const table = job.bytes + (job.perProbe ? p * tableBytes(M2) : 0);
    const from = load<i32>(job.sums + (p << 2));
    let first = <i32>start;
    let block = job.lists.codes + <usize>(start / <u32>bbs) * blockBytes;
    while (count > 0) {
      const long = room > 0 && count >= room / 2;
      const stretch = min(count, max((long ? room : STRETCH) / bbs, 1) * bbs);
      if (long) scanLong(job, block, stretch, table, from, first, sink, room, scratch);
      else scanBlocks(job, block, stretch, table, from, first, sink);
      const blocks = (stretch + bbs - 1) / bbs;
      block += <usize>blocks * blockBytes;
      first += blocks * bbs;
      count -= blocks * bbs;
    }
    if (plan.maxCodes > 0 && scanned >= plan.maxCodes) break;
  }
}
