// What a search of float rows by their codes (row-codes.ts), and heads (whole-heads.ts), knows of the rows and of each query.

import { pairKey } from "./distance";
import { limitScratch } from "./candidates";
import { Best } from "./found/best";
import { slackOf } from "./heads";
import { INNER_PRODUCT, L2 } from "./metric";
import { Lists, Plan } from "./records";
import { sumError, TINY } from "./rounding";
import { arrange, codesMean, factsOf, LEVELS, quantize, RowCodes, strideOf, up16 } from "./row-codes";
import { SEAT, WORD } from "./scan/lists";
import { headsOf, lengthsOf, makeQueryHeads, QUERY_LENGTH, QueryHead, sizeOf } from "./whole-heads";
import { AT_ONCE, lengthOf } from "./whole-rows";

/** The largest number in the code of a query, where a product's 32 bits allow it. */
const QUERY_LEVELS: i32 = 8191;
/** Bounds of a query that wait to be looked at, a multiple of TILE_ROWS: those of 16 lists of 40 rows and more. */
export const ROOM: i32 = 1024;
/** Numbers in a head of a row, at most. */
const MOST_HEAD: i32 = 64;

/** Bytes of scratch that searchListsCoded and, nlist and nprobe being 1, searchRowsCoded take. */
export function searchCodedScratch(nlist: i32, nq: i32, nprobe: i32, d: i32, k: i32): i32 {
  const queries = nq * (up16(d) * 2 + MOST_HEAD * 6 + <i32>offsetof<Seeker>() + SEAT + (ROOM * 2 + AT_ONCE) * 4);
  const pairs = nlist + 1 + nq * nprobe + 1 + WORD;
  return <i32>offsetof<Scan>() + up16(d) * 4 + queries + limitScratch(k) + 64 + pairs * 4;
}

/** What is known of a query, of its code and, where rows have heads, of its head. */
@unmanaged
export class Seeker extends QueryHead {
  /** What of the key of an inner product is the same for all rows. */
  constant: f32;
  /** The length of what is behind the part, at least; 0 where that is nothing. */
  behind: f32;
  /** Bounds that wait, how many, and the slots that they are of. */
  waiting: i32;
  bounds: usize;
  slots: usize;
}

/** What a scan is about: one record, so that its parts need not hand on twenty numbers. It stands at the start of the scratch. */
@unmanaged
export class Scan {
  plan: Plan;
  lists: Lists;
  found: Best;
  D: i32;
  /** Numbers of a code that are looked at first: D where these are all. */
  part: i32;
  /** Scales of slots, and how far from these norms are, from these errors, and from these rests. */
  facts: usize;
  stride: usize;
  codes: usize;
  queryCodes: usize;
  seekers: usize;
  /** Numbers in a head, 0 where rows have none; where heads and lengths of rows, and heads of queries are; what is left of lengths. */
  m: i32;
  heads: usize;
  lengths: usize;
  queryHeads: usize;
  shrink: f32;
  /** Scratch of limitOf. */
  least: usize;
  /** What is known of the codes of four rows: 16 f32. */
  gathered: usize;
  /** Whether rows come in the order of the plain scan, and where equal keys are noted that do not matter then. */
  inOrder: bool;
  noTie: f32;
  /** Address of what the caller needs besides: the pairs of queries and lists. */
  rest: usize;
}

/** Fills the record, encodes the queries and empties their heaps. */
export function openScan(rowCodes: RowCodes, plan: Plan, lists: Lists, found: Best): Scan {
  const scratch = plan.scratch;
  const nq = plan.nq;
  const d = plan.d;
  const k = found.k;
  const scan = changetype<Scan>(scratch);
  const D = up16(d);
  const size = (<usize>d) << 2;
  const block = changetype<usize>(rowCodes);
  const mean = codesMean(block);
  const capacity = rowCodes.capacity;
  scan.plan = plan;
  scan.lists = lists;
  scan.found = found;
  scan.D = D;
  scan.part = rowCodes.inParts ? rowCodes.part : D;
  scan.facts = factsOf(block, D);
  scan.stride = strideOf(capacity);
  scan.codes = scan.facts + (scan.stride << 2);
  const centred = scratch + offsetof<Scan>();
  scan.queryCodes = centred + ((<usize>D) << 2);
  scan.seekers = scan.queryCodes + ((<usize>(nq * D)) << 1);
  const seats = scan.seekers + <usize>nq * offsetof<Seeker>();
  scan.queryHeads = seats + <usize>(nq * SEAT);
  const headScratch = scan.queryHeads + ((<usize>(nq * MOST_HEAD)) << 1);
  const bounds = headScratch + ((<usize>(nq * MOST_HEAD)) << 2);
  const waiting: usize = (ROOM * 2 + AT_ONCE) * 4;
  scan.least = bounds + <usize>nq * waiting;
  scan.gathered = scan.least + limitScratch(k);
  scan.rest = scan.gathered + 64;
  found.open(nq, lists.ids, plan.metric, seats);

  const levels = min(QUERY_LEVELS, 0x7fffffff / (LEVELS * D));
  const meanLength = sqrt(-pairKey(mean, mean, D, INNER_PRODUCT));
  let query = plan.queries;
  memory.fill(centred, 0, (<usize>D) << 2);
  for (let i = 0; i < nq; i++, query += size) {
    const seeker = seekerOf(scan, i);
    arrange(query, block, d, plan.metric == L2 ? 1 : 0, centred);
    const codes = scan.queryCodes + ((<usize>(i * D)) << 1);
    const facts = changetype<usize>(seeker);
    const square = quantize(centred, D, levels, QUERY_LENGTH, facts, 4, codes, false);
    // Nothing is below a NaN, nor above: all rows are compared.
    if (square < 0) seeker.scale = seeker.norm = f32.NaN;
    seeker.square = square;
    const left = D - scan.part;
    seeker.behind = left == 0 ? 0 : lengthOf(centred + ((<usize>scan.part) << 2), left) + seeker.error;
    if (plan.metric == INNER_PRODUCT) {
      const product = -pairKey(query, mean, d, INNER_PRODUCT);
      seeker.constant = -product - <f32>8 * sumError(d) * sqrt(square) * meanLength - TINY;
    }
    seeker.waiting = 0;
    seeker.bounds = bounds + <usize>i * waiting;
    seeker.slots = seeker.bounds + ((ROOM + AT_ONCE) << 2);
  }
  const heads = rowCodes.heads;
  scan.m = 0;
  if (heads != 0) {
    scan.m = sizeOf(heads);
    scan.heads = headsOf(heads, d, capacity);
    scan.lengths = lengthsOf(heads, d);
    scan.shrink = plan.metric == L2 ? 1 - slackOf(heads) : 0;
    const worth = load<f32>(scan.heads);
    const step = offsetof<Seeker>();
    makeQueryHeads(
      plan.queries,
      nq,
      d,
      plan.metric,
      heads,
      worth,
      scan.seekers,
      step,
      scan.queryCodes,
      headScratch,
      scan.queryHeads,
    );
  }
  return scan;
}


@inline
export function seekerOf(scan: Scan, i: i32): Seeker {
  return changetype<Seeker>(scan.seekers + <usize>i * offsetof<Seeker>());
}

/** Where the next bounds of query i go. */
@inline
export function outOf(scan: Scan, i: i32): usize {
  const seeker = seekerOf(scan, i);
  return seeker.bounds + ((<usize>seeker.waiting) << 2);
}
