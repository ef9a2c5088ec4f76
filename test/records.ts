import type { Engine } from "../src/wasm/engine.js";
import * as Best from "../src/wasm/best.gen.js";
import * as Lists from "../src/wasm/lists.gen.js";
import * as Packed from "../src/wasm/packed.gen.js";
import * as Plan from "../src/wasm/plan.gen.js";
import * as RowCodes from "../src/wasm/row-codes.gen.js";
import * as Within from "../src/wasm/within.gen.js";
import { CODE, FOUND, LISTS, PLAN } from "../src/wasm/records.js";

type Words<T> = Partial<Record<keyof T, number>>;

function write<T extends Record<string, number>>(engine: Engine, at: number, layout: T, words: Words<T>): void {
  for (const [name, word] of Object.entries(layout)) engine.i32[(at >>> 2) + word] = words[name] ?? 0;
}

/** Writes the records of a crossing, 0 standing for what is left out, and returns their addresses for a kernel. */
export function records(
  engine: Engine,
  plan: Words<typeof Plan>,
  lists: Words<typeof Lists>,
  found: Words<typeof Best>,
): [plan: number, lists: number, found: number] {
  write(engine, PLAN, Plan, plan);
  write(engine, LISTS, Lists, lists);
  write(engine, FOUND, Best, found);
  return [PLAN, LISTS, FOUND];
}

/** Makes heads of m numbers of n rows, by which searchBounded goes; 0 where the rows hold what no bound covers. */
export function boundsOf(engine: Engine, rows: number, n: number, d: number, m: number): number {
  const { kernels } = engine;
  const block = engine.allocate(kernels.wholeHeadsBytes(n, d, m));
  const scratch = engine.allocate(kernels.wholeHeadsScratch(d, m));
  if (kernels.openHeads(rows, n, d, m, 0, n, block, scratch) === Infinity) return 0;
  return kernels.writeHeads(rows, 0, n, d, m, n, block, scratch) === 0 ? 0 : block;
}

/** As records, for a range search. Its radius is a float. */
export function within(engine: Engine, radius: number, matches: number, room: number): number {
  write(engine, FOUND, Within, { matches, room });
  engine.f32[(FOUND >>> 2) + Within.radius] = radius;
  return FOUND;
}

/** A record that a code's kernels fill. */
export const code: number = CODE;

/** Writes what encodeRows and searches by codes go by: a part of all numbers and the order of the dimensions, unless others are given. */
export function openRowCodes(
  engine: Engine,
  block: number,
  d: number,
  capacity: number,
  part: number = (d + 15) & ~15,
  order: ArrayLike<number> = Array.from({ length: d }, (_, j) => j),
): void {
  const at = block >>> 2;
  engine.i32[at + RowCodes.capacity] = capacity;
  engine.i32[at + RowCodes.part] = part;
  for (let j = 0; j < d; j++) engine.i32[at + RowCodes.mean + ((d + 15) & ~15) + j] = order[j] * 4;
}

/** Writes what a search by codes goes by besides. */
export function rowCodes(engine: Engine, block: number, heads = 0, inParts = false): number {
  engine.i32[(block >>> 2) + RowCodes.heads] = heads;
  engine.i32[(block >>> 2) + RowCodes.inParts] = Number(inParts);
  return block;
}

export function packed(engine: Engine, words: Words<typeof Packed>): number {
  write(engine, CODE, Packed, words);
  return CODE;
}

/** The one list of n rows from slot 0 on: its start and its size. */
export function oneList(engine: Engine, n: number): { nlist: number; starts: number; sizes: number } {
  const starts = engine.allocate(8);
  engine.i32[starts >>> 2] = 0;
  engine.i32[(starts >>> 2) + 1] = n;
  return { nlist: 1, starts, sizes: starts + 4 };
}
