import * as Best from "../wasm/best.gen.js";
import * as Lists from "../wasm/lists.gen.js";
import * as Plan from "../wasm/plan.gen.js";
import * as Within from "../wasm/within.gen.js";
import { FOUND, LISTS, PLAN } from "../wasm/records.js";
import type { Scan } from "./code.js";
import type { Code } from "./code.js";

/** Writes the records of a scan, all but the code's own. */
export function writeScan(code: Code, scan: Scan, scratch: number): void {
  const { engine } = code;
  const { i32, f32 } = engine;
  const plan = PLAN >>> 2;
  i32[plan + Plan.queries] = scan.queries;
  i32[plan + Plan.nq] = scan.nq;
  i32[plan + Plan.d] = code.d;
  i32[plan + Plan.metric] = code.metric;
  i32[plan + Plan.probes] = scan.probes;
  i32[plan + Plan.coarse] = scan.coarse;
  i32[plan + Plan.nprobe] = scan.nprobe;
  i32[plan + Plan.atLeast] = scan.atLeast;
  i32[plan + Plan.maxCodes] = scan.maxCodes;
  i32[plan + Plan.admitted] = scan.admitted;
  i32[plan + Plan.centroids] = scan.centroids;
  i32[plan + Plan.scratch] = scratch;
  const { lists, matches } = scan;
  const list = LISTS >>> 2;
  i32[list + Lists.nlist] = lists.nlist;
  i32[list + Lists.starts] = lists.starts;
  i32[list + Lists.sizes] = lists.sizes;
  i32[list + Lists.codes] = lists.codes;
  i32[list + Lists.blockBytes] = lists.layout.blockBytes;
  i32[list + Lists.ids] = lists.ids;
  const found = FOUND >>> 2;
  if (matches === undefined) {
    i32[found + Best.keys] = scan.distances;
    i32[found + Best.slots] = scan.slots;
    i32[found + Best.k] = scan.k;
  } else {
    f32[found + Within.radius] = matches.radius;
    i32[found + Within.matches] = matches.address;
    i32[found + Within.room] = matches.room;
    i32[found + Within.count] = matches.count;
  }
}

/**
 * Runs a scan for all within a radius, again where there was too little room for what it found. `cross` writes the records and calls the
 * kernel.
 */
export function scanWithin(code: Code, scan: Scan, cross: () => void): void {
  const { matches } = scan;
  if (matches === undefined) return;
  cross();
  const { engine } = code;
  const count = engine.i32[(FOUND >>> 2) + Within.count];
  if (count > matches.room) {
    matches.reserve(Math.max(count, matches.room * 2));
    cross();
  }
  matches.count = count;
}
