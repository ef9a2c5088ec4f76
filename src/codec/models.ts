import type { Engine } from "../wasm/engine.js";
import { wrong } from "./bytes.js";
import type { Bytes, Section } from "./bytes.js";
import type { CodecKernels } from "./kernels.js";

/** Symbols of a table, the middle one, and the one for what is farther out, as assembly/codec/records.ts has them. */
const SYMBOLS = 16;
const MIDDLE = 7;
const BEYOND = 15;
/** Tables of a model: one for a number of which nothing is known, and two for what refines one. */
const PLAIN_TABLES = 1;
const TABLES = 3;
/** Of a table's probabilities, in 1 / 2^14, each symbol has one at least. */
const WHOLE = 1 << 14;
/** Odds from one level of probability to the next: 64 of them reach from .0004 to .9996. */
const STEP = 1.28;
const LEVELS = 64;
/** Low bits at most, so that numbers stay in 16 bits. */
const MOST_SHIFT = 12;

/** How the numbers of some columns are likely to be. */
export interface Model {
  /** Low bits of a number that are not in the tables. */
  shift: number;
  /** What 1 and 2 stand for, in 1/256 more than themselves. */
  one: number;
  two: number;
  /** For each table its decisions, as levels of probability: as many as are known to matter, the rest being even. */
  tables: number[][];
}

/** A model of which nothing is known but its low bits. */
export function plainModel(shift: number): Model {
  return { shift, one: 0, two: 0, tables: Array.from({ length: TABLES }, () => []) };
}

// A table's decisions. Where nothing is known of a number, a minus is as likely as a plus: is it 0? if not: is it 1 or -1? 2 or -2? …
// 7 or -7? Where it refines another one: is it 0? is it a plus? then in turn, if a plus: is it 1? if a minus: is it -1? is it 2? …

/** Probabilities of the levels, in 1 / 2^16. */
const probabilities = ((): Uint32Array => {
  // Products of one constant: other than powers and logarithms, these are the same on every engine.
  const odds = new Float64Array(LEVELS);
  odds[32] = 1;
  for (let i = 33; i < LEVELS; i++) odds[i] = odds[i - 1] * STEP;
  for (let i = 31; i >= 0; i--) odds[i] = odds[i + 1] / STEP;
  return Uint32Array.from(odds, (x) => Math.floor((65536 * x) / (1 + x)));
})();

/** The level for a decision that was taken `yes` times of `all`. */
function levelOf(yes: number, all: number): number {
  // Half a time more for each side: what never came up is still possible.
  const share = (65536 * (2 * yes + 1)) / (2 * all + 2);
  let level = 0;
  while (level < LEVELS - 1 && 2 * share > probabilities[level] + probabilities[level + 1]) level++;
  return level;
}

/** The decisions that fit counts of symbols best. */
function fit(counts: Uint32Array, refines: boolean): number[] {
  const all = counts.reduce((sum, count) => sum + count, 0);
  if (all === 0) return [];
  const levels = [levelOf(counts[MIDDLE], all)];
  const [plus, minus] = [0, 0].map((_, side) =>
    Array.from({ length: MIDDLE }, (_, i) => counts[side === 0 ? MIDDLE + 1 + i : MIDDLE - 1 - i]),
  );
  const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);
  let left = [sum(plus), sum(minus)];
  if (refines) {
    levels.push(levelOf(left[0], left[0] + left[1]));
    // What is farther out is on either side alike.
    left = left.map((value) => value + counts[BEYOND] / 2);
    for (let i = 0; i < MIDDLE; i++) {
      levels.push(levelOf(plus[i], left[0]), levelOf(minus[i], left[1]));
      left = [left[0] - plus[i], left[1] - minus[i]];
    }
  } else {
    let both = left[0] + left[1] + counts[BEYOND];
    for (let i = 0; i < MIDDLE; i++) {
      levels.push(levelOf(plus[i] + minus[i], both));
      both -= plus[i] + minus[i];
    }
  }
  while (levels.length > 0 && levels[levels.length - 1] === 32) levels.pop();
  return levels;
}

/** The starts of a table's symbols, in 1 / 2^14, from its decisions. */
function startsOf(levels: number[], refines: boolean): Uint16Array {
  const sizes = new Uint32Array(SYMBOLS).fill(1);
  const chance = (i: number): number => probabilities[levels[i] ?? 32];
  const part = (of: number, i: number): number => Math.floor((of * chance(i)) / 65536);
  const spare = WHOLE - SYMBOLS;
  sizes[MIDDLE] += part(spare, 0);
  const rest = spare - (sizes[MIDDLE] - 1);
  const plus = refines ? part(rest, 1) : Math.floor(rest / 2);
  const left = [plus, rest - plus];
  for (let i = 0; i < MIDDLE; i++) {
    for (let side = 0; side < 2; side++) {
      const size = part(left[side], refines ? 2 + 2 * i + side : 1 + i);
      sizes[side === 0 ? MIDDLE + 1 + i : MIDDLE - 1 - i] += size;
      left[side] -= size;
    }
  }
  sizes[BEYOND] += left[0] + left[1];
  const starts = new Uint16Array(SYMBOLS + 1);
  for (let i = 0; i < SYMBOLS; i++) starts[i + 1] = starts[i] + sizes[i];
  return starts;
}

/** Fits a model's tables to counts: u32 for each of its tables and symbols. */
export function fitTables(model: Model, counts: Uint32Array): void {
  model.tables = model.tables.map((_, t) => fit(counts.subarray(t * SYMBOLS, (t + 1) * SYMBOLS), t >= PLAIN_TABLES));
}

/** The low bits that leave numbers of a mean size to tables of -7 to 7. */
export function shiftFor(mean: number): number {
  let shift = 0;
  for (; mean > 2 && shift < MOST_SHIFT; mean /= 2) shift++;
  return shift;
}

/** Puts the models into memory as the coder reads them; the address is of `models.length` x MODEL_BYTES bytes. */
export function placeModels(engine: Engine, kernels: CodecKernels, models: readonly Model[], address: number): void {
  const view = new DataView(engine.u8.buffer);
  models.forEach(({ shift, tables }, i) => {
    const at = address + i * kernels.MODEL_BYTES.value;
    view.setInt32(at, shift, true);
    tables.forEach((levels, t) => {
      const table = at + 4 + t * kernels.TABLE_BYTES.value;
      startsOf(levels, t >= PLAIN_TABLES).forEach((start, s) => view.setUint16(table + 2 * s, start, true));
    });
  });
}

/** Writes a model: only the tables that a layer uses, `refines` saying whether there is one before it. */
export function writeModel(bytes: Bytes, model: Model, refines: boolean): void {
  bytes.u8(model.shift);
  bytes.u8(model.one & 255);
  bytes.u8(model.two & 255);
  for (let t = 0; t < (refines ? TABLES : PLAIN_TABLES); t++) {
    bytes.u8(model.tables[t].length);
    for (const level of model.tables[t]) bytes.u8(level);
  }
}

/** Reads a model. ERR_FORMAT for what writeModel does not write. */
export function readModel(section: Section, refines: boolean): Model {
  const model = plainModel(section.u8("low bits"));
  if (model.shift > MOST_SHIFT) wrong("a model", `has ${model.shift} low bits`);
  model.one = section.i8("shift of 1");
  model.two = section.i8("shift of 2");
  for (let t = 0; t < (refines ? TABLES : PLAIN_TABLES); t++) {
    const most = t < PLAIN_TABLES ? 1 + MIDDLE : 2 + 2 * MIDDLE;
    const levels = section.u8("decisions");
    if (levels > most) wrong("a model", `has ${levels} decisions where ${most} are all`);
    model.tables[t] = Array.from(section.take("decisions", levels));
    if (model.tables[t].some((level) => level >= LEVELS)) wrong("a model", "has a probability that does not exist");
  }
  return model;
}
