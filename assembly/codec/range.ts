// The coder of whole numbers: a range variant of asymmetric numeral systems (J. Duda, arXiv 1311.2540). Its state has 32 bits, of which
// 16 at a time go to the stream; its tables stand in the file and do not change. So a list can be read without those before it, and a
// state that does not end where writing began tells of damage. Only whole numbers: every engine gives the same bytes.
//
// A number is a symbol (its high part, if that is from -7 to 7), behind one that is farther out its distance, and as many low bits as
// the model says, which are as likely 0 as 1.

import {
  CONTEXTS,
  MIDDLE,
  MODEL_BYTES,
  MODEL_SHIFT,
  MODEL_TABLES,
  PRECISION_BITS,
  SYMBOLS,
  TABLE_BYTES,
} from "./records";

/** The state where writing begins and reading ends; between, it stays from here to 2^32. */
const LEAST: u32 = 1 << 16;
const MASK: u32 = (1 << PRECISION_BITS) - 1;
/** The symbol that says that the number is farther out. */
const BEYOND: i32 = SYMBOLS - 1;
/** Behind it: how many bits the distance has after its first, and the sign; then these bits. */
const LENGTH_BITS: u32 = 5;
/** The model of a column of a row; that of the scales for column -1. */
@inline
function modelOf(models: usize, count: i32, columns: usize, column: i32, row: i32): usize {
  const number =
    column < 0 ? count - 1 : min(count - 1, max(0, <i32>load<u16>(columns + ((<usize>column) << 1)) + row));
  return models + <usize>number * MODEL_BYTES;
}

/** What is added to the numbers of a row's models. */
@inline
function classOf(classes: usize, i: i32): i32 {
  return classes == 0 ? 0 : load<i32>(classes + ((<usize>i) << 2));
}

/**
 * Which table: by the number that the layer before had in the place, 0 for the first layer. (That the three columns before are large or
 * small says next to nothing once rows are divided by their size: 83.90 bytes a row without it, 83.87 with.)
 */
@inline
function tableOf(before: i32): i32 {
  return before == 0 ? 0 : before == 1 || before == -1 ? 1 : 2;
}

/** Half of what low bits can make: their middle is 0, so that symbols lie around 0 as numbers do. */
@inline
function half(shift: i32): i32 {
  return (1 << shift) >> 1;
}

/**
 * Reads rows of numbers from `at` to exactly `end`, and returns 0, or 1 for a stream that is damaged.
 *
 * models: `count` of them, the last one for scales. columns: u16 a column, which model is its; classes: i32 a row, which is added, the
 * sum being kept from 0 to count - 1, or 0 where rows are all alike. before: i16 rows x stride, the numbers of the layer before, in the first `known` columns (0 for the first layer);
 * ratio: how many of the new steps make one of those. out: i16 rows x stride; may be `before`. scales: i32 a row, to which what is
 * read is added, or 0 where rows have none.
 *
 *     table    | s1   | s2   | ... | s15  | 2^14 |   where symbols 1 to 15 start: as many as are not above the low bits of the
 *     slot     | slot | slot | ... | slot | slot |   state, that is the symbol: two comparisons of eight lanes
 */
export function readRows(
  at: usize,
  end: usize,
  rows: i32,
  width: i32,
  stride: i32,
  models: usize,
  count: i32,
  columns: usize,
  classes: usize,
  before: usize,
  known: i32,
  ratio: i32,
  out: usize,
  scales: usize,
): i32 {
  if (at + 4 > end || ((end - at) & 1) != 0) return 1;
  let state = load<u32>(at);
  at += 4;
  if (state < LEAST) return 1;
  const first = scales == 0 ? 0 : -1;
  for (let i = 0; i < rows; i++) {
    const row = classOf(classes, i);
    for (let j = first; j < width; j++) {
      const place = (<usize>j) << 1;
      const model = modelOf(models, count, columns, j, row);
      const shift = load<i32>(model, MODEL_SHIFT);
      const old = j >= 0 && j < known ? <i32>load<i16>(before + place) : 0;
      const table = model + MODEL_TABLES + <usize>tableOf(old) * TABLE_BYTES;
      const slot = state & MASK;
      const slots = i16x8.splat(<i16>slot);
      const symbol =
        popcnt(i16x8.bitmask(i16x8.le_s(v128.load(table, 2), slots))) +
        popcnt(i16x8.bitmask(i16x8.le_s(v128.load(table, 18), slots)));
      const entry = table + ((<usize>symbol) << 1);
      const start = <u32>load<u16>(entry);
      state = (<u32>load<u16>(entry, 2) - start) * (state >> PRECISION_BITS) + slot - start;
      if (state < LEAST) {
        if (at == end) return 1;
        state = (state << 16) | (<u32>load<u16>(at));
        at += 2;
      }
      let value = symbol - MIDDLE;
      if (symbol == BEYOND) {
        const length = state & ((1 << LENGTH_BITS) - 1);
        state >>= LENGTH_BITS;
        if (state < LEAST) {
          if (at == end) return 1;
          state = (state << 16) | (<u32>load<u16>(at));
          at += 2;
        }
        const bits = length >> 1;
        const distance = ((<u32>1) << bits) | (state & (((<u32>1) << bits) - 1));
        state >>= bits;
        if (state < LEAST) {
          if (at == end) return 1;
          state = (state << 16) | (<u32>load<u16>(at));
          at += 2;
        }
        value = (length & 1) == 0 ? MIDDLE + <i32>distance : -MIDDLE - <i32>distance;
      }
      if (shift != 0) {
        value = (value << shift) + <i32>(state & (((<u32>1) << shift) - 1)) - half(shift);
        state >>= shift;
        if (state < LEAST) {
          if (at == end) return 1;
          state = (state << 16) | (<u32>load<u16>(at));
          at += 2;
        }
      }
      if (j < 0) {
        const scale = scales + ((<usize>i) << 2);
        store<i32>(scale, load<i32>(scale) + value);
        continue;
      }
      value = (old < 0 ? -value : value) + old * ratio;
      if (value != <i32>(<i16>value)) return 1;
      store<i16>(out + place, <i16>value);
    }
    before += (<usize>stride) << 1;
    out += (<usize>stride) << 1;
  }
  return state == LEAST && at == end ? 0 : 1;
}

/** What is coded of a number: what the layer before says of it is taken off, towards the side that this was on. */
@inline
function restOf(value: i32, old: i32, ratio: i32): i32 {
  const rest = value - old * ratio;
  return old < 0 ? -rest : rest;
}

/** The symbol of a number without its low bits. */
@inline
function symbolOf(high: i32): i32 {
  return high < -MIDDLE || high > MIDDLE ? BEYOND : high + MIDDLE;
}

/**
 * Counts the symbols of rows, as writeRows would write them, into `counts`: u32 for each model, table and symbol. The arguments are
 * those of readRows; a number's distance has up to 16 bits.
 */
export function countRows(
  rows: i32,
  width: i32,
  stride: i32,
  models: usize,
  count: i32,
  columns: usize,
  classes: usize,
  before: usize,
  known: i32,
  ratio: i32,
  values: usize,
  scales: usize,
  counts: usize,
): void {
  for (let i = 0; i < rows; i++) {
    const row = classOf(classes, i);
    for (let j = scales == 0 ? 0 : -1; j < width; j++) {
      const place = (<usize>j) << 1;
      const model = modelOf(models, count, columns, j, row);
      const shift = load<i32>(model, MODEL_SHIFT);
      const old = j >= 0 && j < known ? <i32>load<i16>(before + place) : 0;
      const value = j < 0 ? load<i32>(scales + ((<usize>i) << 2)) : <i32>load<i16>(values + place);
      const rest = j < 0 ? value : restOf(value, old, ratio);
      const cell =
        (<i32>((model - models) / MODEL_BYTES) * CONTEXTS + tableOf(old)) * SYMBOLS +
        symbolOf((rest + half(shift)) >> shift);
      store<u32>(counts + ((<usize>cell) << 2), load<u32>(counts + ((<usize>cell) << 2)) + 1);
    }
    before += (<usize>stride) << 1;
    values += (<usize>stride) << 1;
  }
}

/**
 * Writes rows as readRows reads them, from the last number to the first: the last bytes stand before `end`. Returns where the first
 * one stands. Eight bytes a number are enough.
 */
export function writeRows(
  end: usize,
  rows: i32,
  width: i32,
  stride: i32,
  models: usize,
  count: i32,
  columns: usize,
  classes: usize,
  before: usize,
  known: i32,
  ratio: i32,
  values: usize,
  scales: usize,
): usize {
  let state: u32 = LEAST;
  let at = end;
  const first = scales == 0 ? 0 : -1;
  for (let i = rows - 1; i >= 0; i--) {
    const row = classOf(classes, i);
    const offset = (<usize>i * stride) << 1;
    for (let j = width - 1; j >= first; j--) {
      const place = offset + ((<usize>j) << 1);
      const model = modelOf(models, count, columns, j, row);
      const shift = <u32>load<i32>(model, MODEL_SHIFT);
      const old = j >= 0 && j < known ? <i32>load<i16>(before + place) : 0;
      const value =
        half(shift) +
        (j < 0 ? load<i32>(scales + ((<usize>i) << 2)) : restOf(<i32>load<i16>(values + place), old, ratio));
      if (shift != 0) {
        if (state >= (<u32>1) << (32 - shift)) {
          at -= 2;
          store<u16>(at, <u16>state);
          state >>= 16;
        }
        state = (state << shift) | ((<u32>value) & (((<u32>1) << shift) - 1));
      }
      const high = value >> shift;
      const symbol = symbolOf(high);
      if (symbol == BEYOND) {
        const distance = <u32>(abs(high) - MIDDLE);
        const bits = <u32>31 - clz(distance);
        if (bits != 0) {
          if (state >= (<u32>1) << (32 - bits)) {
            at -= 2;
            store<u16>(at, <u16>state);
            state >>= 16;
          }
          state = (state << bits) | (distance & (((<u32>1) << bits) - 1));
        }
        if (state >= (<u32>1) << (32 - LENGTH_BITS)) {
          at -= 2;
          store<u16>(at, <u16>state);
          state >>= 16;
        }
        state = (state << LENGTH_BITS) | (bits << 1) | (high < 0 ? 1 : 0);
      }
      const entry = model + MODEL_TABLES + <usize>tableOf(old) * TABLE_BYTES + ((<usize>symbol) << 1);
      const start = <u32>load<u16>(entry);
      const size = <u32>load<u16>(entry, 2) - start;
      if (state >= size << (32 - PRECISION_BITS)) {
        at -= 2;
        store<u16>(at, <u16>state);
        state >>= 16;
      }
      const quotient = state / size;
      state = (quotient << PRECISION_BITS) + (state - quotient * size) + start;
    }
  }
  store<u32>(at - 4, state);
  return at - 4;
}
