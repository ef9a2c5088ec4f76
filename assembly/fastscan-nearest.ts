// The nearest lists of a query before all others, for what may enter. Lists are scanned in the order of their numbers, as in faiss, since that
// decides between equals; but most of the best are in the lists whose centroids are nearest. So these are scanned beforehand, what comes out is
// kept until it is their turn, and the k-th of their keys is a limit that holds for all from the first on: k vectors reach it.

import { copySums, finishGroup, lanesOf, lanesUpTo, SUMS } from "./fastscan-groups";
import { Sink } from "./fastscan-sink";
import { GROUP, Job, tableBytes } from "./fastscan-tables";
import { kth } from "./pool";

/** Groups of the nearest lists whose keys are kept, at most. */
const KEPT: i32 = 32;
/** Groups after which the limit is found anew. */
const ANEW: usize = 4;
/** So many vectors for each result are enough: with 4, nprobe 4 takes 3 % more. */
const SHARE: i32 = 2;
/** Probes from which on it pays: IVF1024,PQ128x4fs,RFlat takes .97 of the time at nprobe 4, and .90 at 16. */
const LEAST_PROBES: i32 = 4;

/** Bytes of scratch that scanNearest takes. */
export const NEAREST_SCRATCH: i32 = KEPT * <i32>SUMS;

/**
 * Scans the nearest of a query's lists, finds the limit and returns how many probes were scanned: their keys stand from `kept` on, 65535 for what is
 * not there, or can't enter.
 */
export function scanNearest(job: Job, sink: Sink, kept: usize): i32 {
  const plan = job.plan;
  const k = sink.k;
  const M2 = job.code.M2;
  if (k == 0 || job.code.bbs != GROUP || plan.maxCodes > 0 || plan.admitted != 0) return 0;
  // Further probes are scanned only as long as k are not found.
  const probes = min(job.used, plan.atLeast);
  if (probes < LEAST_PROBES) return 0;
  const limits = job.keys + SUMS;
  const end = kept + <usize>NEAREST_SCRATCH;
  const bytes = (<usize>M2) << 4;
  let at = kept;
  let seen = 0;
  let p: i32 = 0;
  store<u16>(limits, 65535, 2);
  for (; p < probes && seen < SHARE * k; p++) {
    const list = <usize>load<i32>(job.probes + ((<usize>p) << 2));
    const count = load<i32>(job.lists.sizes + (list << 2));
    if (at + <usize>((count + GROUP - 1) / GROUP) * SUMS > end) break;
    const start = load<u32>(job.lists.starts + (list << 2));
    const table = job.bytes + (job.perProbe ? <usize>p * tableBytes(M2) : 0);
    let code = job.lists.codes + <usize>(start / GROUP) * bytes;
    store<u16>(limits, <u16>load<i32>(job.sums + ((<usize>p) << 2)));
    for (let done = 0; done < count; done += GROUP, code += bytes, at += SUMS) {
      const open = finishGroup(job, job.nothing, code, 0, table + 16, table + tableBytes(M2));
      copySums(job.keys, at);
      for (let lane = open == 0 ? 0 : min(count - done, GROUP); lane < GROUP; lane++)
        store<u16>(at + ((<usize>lane) << 1), 65535);
      if ((at - kept) % (ANEW * SUMS) == 0) store<u16>(limits, <u16>kth(kept, <i32>((at + SUMS - kept) >> 1), k), 2);
    }
    seen += count;
  }
  sink.most = kth(kept, <i32>((at - kept) >> 1), k);
  return p;
}

/** Where the keys of probe p stand, which is among the nearest. */
export function keptOf(job: Job, p: i32, kept: usize): usize {
  for (let i = 0; i < p; i++) {
    const list = <usize>load<i32>(job.probes + ((<usize>i) << 2));
    kept += <usize>((load<i32>(job.lists.sizes + (list << 2)) + GROUP - 1) / GROUP) * SUMS;
  }
  return kept;
}

/** Offers the kept keys of a list of `count` vectors to a sink. */
export function takeKept(kept: usize, count: i32, firstSlot: i32, sink: Sink): void {
  for (let done = 0; done < count; done += GROUP, kept += SUMS) {
    const open = lanesUpTo(kept, sink.most) & lanesOf(count - done);
    if (open != 0) sink.take(open, kept, firstSlot + done);
  }
}
