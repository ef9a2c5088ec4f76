import * as Best from "../wasm/best.gen.js";
import * as Plan from "../wasm/plan.gen.js";
import { FOUND, PLAN, RECORDS_END } from "../wasm/records.js";
import {
  ARGS,
  ARGS_COUNT,
  BASE,
  COUNT_ARG,
  keepLeast,
  PIECE,
  RECORD_ARGS,
  RECORD_STEPS,
  RESULT_STEP,
  SCRATCH_ARG,
  STEPS,
  STRIDE,
  TOTAL,
} from "./control.js";

/** A kernel, whatever it takes. */
export type Kernel = (...args: number[]) => unknown;

/** Bytes before a thread's scratch that hold its own records. */
export const RECORDS_ROOM = 1024;

/**
 * Does piece number `piece` of a job: calls the kernel for its rows alone, with scratch of the thread's own.
 *
 * @param memory words of the memory that the kernel works on
 * @param seat the number of the thread among those that work for this index
 */
export function runPiece(
  kernel: Kernel,
  memory: Int32Array,
  control: Int32Array,
  slot: number,
  piece: number,
  seat: number,
): void {
  const first = piece * control[slot + PIECE];
  const count = Math.min(control[slot + PIECE], control[slot + TOTAL] - first);
  const own = (control[slot + BASE] >>> 0) + seat * control[slot + STRIDE];
  const args: number[] = [];
  for (let i = 0; i < control[slot + ARGS_COUNT]; i++) {
    args.push((control[slot + ARGS + i] + Math.imul(first, control[slot + STEPS + i])) | 0);
  }
  if (control[slot + COUNT_ARG] >= 0) args[control[slot + COUNT_ARG]] = count;
  if (control[slot + SCRATCH_ARG] >= 0) args[control[slot + SCRATCH_ARG]] = own + RECORDS_ROOM;
  const records = control[slot + RECORD_ARGS];
  if (records !== 0) {
    // Kernels write to records: what they make of a query, and where.
    memory.copyWithin(own >>> 2, PLAN >>> 2, RECORDS_END >>> 2);
    turnTo(memory, own - PLAN, first, count, control.subarray(slot + RECORD_STEPS));
    memory[(own >>> 2) + Plan.scratch] = own + RECORDS_ROOM;
    for (let i = 0; i < args.length; i++) if ((records & (1 << i)) !== 0) args[i] += own - PLAN;
  }
  const result = kernel(...args);
  const step = control[slot + RESULT_STEP];
  if (step >= 0) keepLeast(control, slot, (result as number) < 0 ? -1 : (result as number) + first * step);
}

/** Turns records, or those that are `away` bytes further, to `count` queries that come `first` behind those that they are of. */
export function turnTo(memory: Int32Array, away: number, first: number, count: number, steps: ArrayLike<number>): void {
  const plan = (PLAN + away) >>> 2;
  const found = (FOUND + away) >>> 2;
  memory[plan + Plan.nq] = count;
  memory[plan + Plan.queries] += Math.imul(first, steps[0]);
  memory[plan + Plan.probes] += Math.imul(first, steps[1]);
  memory[plan + Plan.coarse] += Math.imul(first, steps[2]);
  memory[found + Best.keys] += Math.imul(first, steps[3]);
  memory[found + Best.slots] += Math.imul(first, steps[4]);
}
