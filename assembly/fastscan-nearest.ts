// The nearest lists of a query before all others, for what may enter. Lists are scanned in the order of their numbers, as in faiss, since that
// decides between equals; but most of the best are in the lists whose centroids are nearest. So these are scanned beforehand, what comes out is
// kept until it is their turn, and the k-th of their keys is a limit that holds for all from the first on: k vectors reach it.

import { finishGroup, GROUP_SCRATCH, lanesOf, lanesUpTo, SUMS } from "./fastscan-groups";
import { Sink } from "./fastscan-sink";
import { GROUP, Job, tableBytes } from "./fastscan-tables";
import { pour, sift } from "./pool";

/** Groups of the nearest lists that are kept, at most, and bytes of one: its lanes that may enter (i32), and its keys. */
const KEPT: i32 = 32;
const BYTES: usize = 4 + SUMS;
/** So many vectors for each result are enough: with 4, nprobe 4 takes 3 % more. */
const SHARE: i32 = 2;
/** Probes from which on it pays: IVF1024,PQ128x4fs,RFlat takes .97 of the time at nprobe 4, and .90 at 16. */
const LEAST_PROBES: i32 = 4;

/** Bytes of scratch that scanNearest takes. */
export const NEAREST_SCRATCH: i32 = KEPT * <i32>BYTES;

/**
 * Scans the nearest of a query's lists, finds the limit and returns how many probes were scanned: their groups are kept from `kept` on. pool:
 * one of sink.k, which is left empty.
 */
export function scanNearest(job: Job, sink: Sink, pool: usize, kept: usize): i32 {
  const plan = job.plan;
  const k = sink.k;
  const M2 = job.code.M2;
  if (k == 0 || job.code.bbs != GROUP || plan.maxCodes > 0 || plan.admitted != 0) return 0;
  // Further probes are scanned only as long as k are not found.
  const probes = min(job.used, plan.atLeast);
  if (probes < LEAST_PROBES) return 0;
  const keys = job.keys;
  const nothing = keys + GROUP_SCRATCH - SUMS;
  const end = kept + <usize>NEAREST_SCRATCH;
  const bytes = (<usize>M2) << 4;
  memory.fill(nothing, 0, SUMS);
  store<i32>(pool, 0);
  let most = 65535;
  let seen = 0;
  let p: i32 = 0;
  for (; p < probes && seen < SHARE * k; p++) {
    const list = <usize>load<i32>(job.probes + ((<usize>p) << 2));
    const count = load<i32>(job.lists.sizes + (list << 2));
    if (kept + <usize>((count + GROUP - 1) / GROUP) * BYTES > end) break;
    const start = load<u32>(job.lists.starts + (list << 2));
    const table = job.bytes + (job.perProbe ? <usize>p * tableBytes(M2) : 0);
    let code = job.lists.codes + <usize>(start / GROUP) * bytes;
    store<u16>(keys + SUMS, <u16>load<i32>(job.sums + ((<usize>p) << 2)));
    for (let done = 0; done < count; done += GROUP, code += bytes, kept += BYTES) {
      // Another list, whose turn comes before, may have what equals the last of the best so far: the pool takes no more of these.
      store<u16>(keys + SUMS, <u16>min(most + 1, 65535), 2);
      const open = finishGroup(job, nothing, code, 0, table + 16, table + tableBytes(M2)) & lanesOf(count - done);
      store<i32>(kept, open);
      if (open == 0) continue;
      memory.copy(kept + 4, keys, SUMS);
      most = pour(open, keys, 0, pool, k, most);
    }
    seen += count;
  }
  const count = load<i32>(pool);
  if (count >= k) sink.most = sift(pool, count, k);
  store<i32>(pool, 0);
  return p;
}

/** Where the groups of probe p stand, which is among the nearest. */
export function keptOf(job: Job, p: i32, kept: usize): usize {
  for (let i = 0; i < p; i++) {
    const list = <usize>load<i32>(job.probes + ((<usize>i) << 2));
    kept += <usize>((load<i32>(job.lists.sizes + (list << 2)) + GROUP - 1) / GROUP) * BYTES;
  }
  return kept;
}

/** Offers the kept groups of a list of `count` vectors to a sink. */
export function takeKept(kept: usize, count: i32, firstSlot: i32, sink: Sink): void {
  for (let done = 0; done < count; done += GROUP, kept += BYTES) {
    let open = load<i32>(kept);
    if (open != 0) open &= lanesUpTo(kept + 4, sink.most);
    if (open != 0) sink.take(open, kept + 4, firstSlot + done);
  }
}
