// The nearest lists of a query before all others, for what may enter. Lists are scanned in the order of their numbers, as in faiss, since that
// decides between equals; but most of the best are in the lists whose centroids are nearest. So these are scanned beforehand, what comes out is
// kept until it is their turn, and the k-th of their keys is a limit that holds for all from the first on: k vectors reach it.

import { finishGroup, lanesOf, lanesUpTo, SUMS } from "./fastscan-groups";
import { Sink } from "./fastscan-sink";
import { GROUP, Job, tableBytes } from "./fastscan-tables";
import { kth } from "./pool";

/** Groups of the nearest lists whose keys are kept, at most. */
const KEPT: i32 = 32;
/** Groups after which the limit is found anew. */
const ANEW: usize = 4;
/** So many vectors for each result are enough: with 4, nprobe 4 took 3 % more (of an earlier form, in which they were copied). */
const SHARE: i32 = 2;

/** Bytes of scratch that scanNearest takes. */
export const NEAREST_SCRATCH: i32 = KEPT * <i32>SUMS + 16;

/**
 * Scans the nearest of a query's lists, finds the limit and returns how many probes were scanned: their keys stand from `kept` on, 65535 for what is
 * not there, or can't enter, and where each one's do in job.low, whose numbers nobody needs any more.
 */
export function scanNearest(job: Job, sink: Sink, kept: usize): i32 {
  const plan = job.plan;
  const k = sink.k;
  const M2 = job.code.M2;
  if (k == 0 || job.code.bbs != GROUP || plan.maxCodes > 0 || plan.admitted != 0) return 0;
  // Further probes are scanned only as long as k are not found.
  const probes = min(job.used, plan.atLeast);
  const keys = job.keys;
  const end = kept + <usize>KEPT * SUMS;
  const bytes = (<usize>M2) << 4;
  let at = kept;
  let most = 65535;
  let seen = 0;
  let p: i32 = 0;
  for (; p < probes && seen < SHARE * k; p++) {
    const list = <usize>load<i32>(job.probes + ((<usize>p) << 2));
    const count = load<i32>(job.lists.sizes + (list << 2));
    if (at + <usize>((count + GROUP - 1) / GROUP) * SUMS > end) break;
    const start = load<u32>(job.lists.starts + (list << 2));
    const table = job.bytes + (job.perProbe ? <usize>p * tableBytes(M2) : 0);
    let code = job.lists.codes + <usize>(start / GROUP) * bytes;
    store<usize>(job.low + ((<usize>p) << 2), at);
    for (let done = 0; done < count; done += GROUP, code += bytes) {
      if (at > kept && (at - kept) % (ANEW * SUMS) == 0) most = kth(kept, <i32>((at - kept) >> 1), k);
      // Keys are written to where they are kept, and limits stand behind them.
      job.keys = at;
      store<i32>(at + SUMS, load<i32>(job.sums + ((<usize>p) << 2)));
      store<u16>(at + SUMS, <u16>most, 2);
      const open = finishGroup(job, job.nothing, code, 0, table + 16, table + tableBytes(M2));
      const there: usize = open == 0 ? 0 : (<usize>min(count - done, GROUP)) << 1;
      if (there < SUMS) memory.fill(at + there, 255, SUMS - there);
      at += SUMS;
    }
    seen += count;
  }
  job.keys = keys;
  sink.most = kth(kept, <i32>((at - kept) >> 1), k);
  return p;
}

/** Offers the kept keys of a list of `count` vectors, SUMS bytes (u16) a group, to a sink. */
export function takeKept(kept: usize, count: i32, firstSlot: i32, sink: Sink): void {
  for (let done = 0; done < count; done += GROUP, kept += SUMS) {
    const open = lanesUpTo(kept, sink.most) & lanesOf(count - done);
    if (open != 0) sink.take(open, kept, firstSlot + done);
  }
}
