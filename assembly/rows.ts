// Moving rows and their ids about.

/** The position of the first NaN or infinity among n floats, or -1. */
export function firstNotFinite(values: usize, n: i32): i32 {
  const start = values;
  const end = values + ((<usize>n) << 2);
  const body = values + ((<usize>(n & ~3)) << 2);
  // x - x is 0 for a finite x and NaN otherwise; four at a time, then the place is sought one by one.
  for (; values < body; values += 16) {
    const x = v128.load(values);
    const u = f32x4.sub(x, x);
    if (v128.any_true(f32x4.ne(u, u))) break;
  }
  for (; values < end; values += 4) {
    const x = load<f32>(values);
    if (x - x != 0) return <i32>((values - start) >> 2);
  }
  return -1;
}

/** Copies n rows of `size` bytes to the slots given: storage[slots[i]] = rows[i]. */
export function scatterRows(rows: usize, n: i32, size: usize, slots: usize, storage: usize): void {
  for (let i = 0; i < n; i++, rows += size, slots += 4) {
    memory.copy(storage + <usize>load<u32>(slots) * size, rows, size);
  }
}

/** Moves n rows of `from` bytes, one after the other, apart in place, so that each has `to` bytes; those between are left as they are. */
export function spreadRows(at: usize, n: i32, from: usize, to: usize): void {
  for (let i = n - 1; i > 0; i--) memory.copy(at + <usize>i * to, at + <usize>i * from, from);
}

/** Copies the rows of n slots together: out[i] = storage[slots[i]]. A slot of -1 gives zeros. */
export function gatherRows(storage: usize, size: usize, slots: usize, n: i32, out: usize): void {
  for (let i = 0; i < n; i++, slots += 4, out += size) {
    const slot = load<i32>(slots);
    if (slot < 0) memory.fill(out, 0, size);
    else memory.copy(out, storage + <usize>slot * size, size);
  }
}

/** Ids of n slots as i32, in place: slots[i] = ids[slots[i]], -1 stays. */
export function mapSlots(slots: usize, n: i32, ids: usize): void {
  for (let i = 0; i < n; i++, slots += 4) {
    const slot = load<i32>(slots);
    if (slot >= 0) store<i32>(slots, <i32>load<i64>(ids + ((<usize>slot) << 3)));
  }
}

/** Ids of n slots as i64: out[i] = ids[slots[i]], or the slot itself where ids is 0; -1 stays. */
export function mapSlotsWide(slots: usize, n: i32, ids: usize, out: usize): void {
  for (let i = 0; i < n; i++, slots += 4, out += 8) {
    const slot = load<i32>(slots);
    store<i64>(out, slot < 0 || ids == 0 ? <i64>slot : load<i64>(ids + ((<usize>slot) << 3)));
  }
}

/** 1 where one of n ids needs more than 32 bits, else 0. */
export function hasWideIds(ids: usize, n: i32): i32 {
  for (const end = ids + ((<usize>n) << 3); ids < end; ids += 8) {
    const id = load<i64>(ids);
    if (<i64>(<i32>id) != id) return 1;
  }
  return 0;
}

/** Marks n ids in `marks`, a byte for each that may be, of which there are `most`. 0 where one is another, or has its mark already; else 1. */
export function markIds(ids: usize, n: i32, marks: usize, most: u32): i32 {
  for (const end = ids + ((<usize>n) << 3); ids < end; ids += 8) {
    const id = load<u64>(ids);
    if (id >= most) return 0;
    const mark = marks + <usize>id;
    if (load<u8>(mark) != 0) return 0;
    store<u8>(mark, 1);
  }
  return 1;
}

/** Writes x - mean, or x where mean is 0. */
export function centre(x: usize, mean: usize, size: usize, out: usize): void {
  if (mean == 0) {
    memory.copy(out, x, size);
    return;
  }
  const body = size & ~15;
  let at: usize = 0;
  for (; at < body; at += 16) v128.store(out + at, f32x4.sub(v128.load(x + at), v128.load(mean + at)));
  for (; at < size; at += 4) store<f32>(out + at, load<f32>(x + at) - load<f32>(mean + at));
}

/** to += by * from. */
export function addMultiple(to: usize, from: usize, by: f32, size: usize): void {
  const by4 = f32x4.splat(by);
  let j: usize = 0;
  for (const body = size & ~15; j < body; j += 16) {
    v128.store(to + j, f32x4.add(v128.load(to + j), f32x4.mul(by4, v128.load(from + j))));
  }
  for (; j < size; j += 4) store<f32>(to + j, load<f32>(to + j) + by * load<f32>(from + j));
}
