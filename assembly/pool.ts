// The k smallest of many 16-bit sums, where k is large: all that are good enough are poured into a pool, which is sifted when it is
// full, by counting eight sums at once. (For 1,600 sums a heap of 32 took about 10 of a query's 40 µs.)
//
// A pool is the number of its entries (i32), then their sums (u16), then their slots (i32), with room for poolSize(k) of each.

/** Places of a pool beyond twice its results: the more, the seldomer it is sifted, and the later the limit falls that scans stop at. */
const SPARE: i32 = 32;

/** Places of a pool for k results. */
@inline
export function poolSize(k: i32): i32 {
  return (2 * k + SPARE + 7) & ~7;
}

/**
 * Puts the sums of a group, those of the lanes that are open, into a pool, and sifts it when it is full. Returns the largest sum that
 * may still enter.
 */
export function pour(open: i32, sums: usize, slot: i32, pool: usize, k: i32, most: i32): i32 {
  const size = poolSize(k);
  const slots = pool + 4 + ((<usize>size) << 1);
  let count = load<i32>(pool);
  while (open != 0) {
    const lane = ctz(open);
    open &= open - 1;
    const sum = load<u16>(sums + ((<usize>lane) << 1));
    if (<i32>sum > most) continue;
    store<u16>(pool + 4 + ((<usize>count) << 1), sum);
    store<i32>(slots + ((<usize>count) << 2), slot + lane);
    if (++count == size) {
      most = sift(pool, count, k) - 1;
      count = k;
    }
  }
  store<i32>(pool, count);
  return most;
}

/** Keeps the k smallest of more sums, the first of equals, in their order. Returns the largest that is kept. */
export function sift(pool: usize, count: i32, k: i32): i32 {
  const sums = pool + 4;
  const size = poolSize(k);
  const slots = sums + ((<usize>size) << 1);
  const rounded = (count + 7) & ~7;
  for (let i = count; i < rounded; i++) store<u16>(sums + ((<usize>i) << 1), 65535);
  // The smallest value that k sums do not exceed, by halving: eight sums are compared at once.
  let low = 0;
  let high = 65535;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (countUpTo(sums, rounded, middle) >= k) high = middle;
    else low = middle + 1;
  }
  let equal = low == 0 ? k : k - countUpTo(sums, rounded, low - 1);
  let kept: usize = 0;
  for (let i: usize = 0; i < <usize>count; i++) {
    const sum = <i32>load<u16>(sums + (i << 1));
    if (sum > low || (sum == low && equal-- <= 0)) continue;
    store<u16>(sums + (kept << 1), <u16>sum);
    store<i32>(slots + (kept << 2), load<i32>(slots + (i << 2)));
    kept++;
  }
  return low;
}

/** How many of n sums, n a multiple of 8, are at most `limit`. */
function countUpTo(sums: usize, n: i32, limit: i32): i32 {
  const limits = i16x8.splat(<i16>limit);
  const zero = i16x8.splat(0);
  const end = sums + ((<usize>n) << 1);
  let total = 0;
  while (sums < end) {
    // A lane of 16 bits counts to 65535.
    const stop = min(end, sums + (65535 << 4));
    let counts = zero;
    for (; sums < stop; sums += 16) {
      counts = i16x8.sub(counts, i16x8.eq(i16x8.sub_sat_u(v128.load(sums), limits), zero));
    }
    const pairs = i32x4.extadd_pairwise_i16x8_u(counts);
    total +=
      i32x4.extract_lane(pairs, 0) +
      i32x4.extract_lane(pairs, 1) +
      i32x4.extract_lane(pairs, 2) +
      i32x4.extract_lane(pairs, 3);
  }
  return total;
}

/** Writes the k smallest of a pool as keys and slots, in the order they came. */
export function emptyPool(pool: usize, k: i32, keys: usize, slots: usize): void {
  let count = load<i32>(pool);
  if (count > k) {
    sift(pool, count, k);
    count = k;
    store<i32>(pool, k);
  }
  const from = pool + 4 + ((<usize>poolSize(k)) << 1);
  for (let i: usize = 0; i < <usize>count; i++) {
    store<f32>(keys + (i << 2), <f32>load<u16>(pool + 4 + (i << 1)));
    store<i32>(slots + (i << 2), load<i32>(from + (i << 2)));
  }
}
