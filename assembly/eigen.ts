// Eigenvectors of a symmetric matrix, in f64: Householder's reduction to three diagonals, then the implicit QL method, as in EISPACK's
// tred2 and tql2 (Martin, Reinsch, Wilkinson, 1968). Only + - * / and sqrt decide, in one order: every engine gives the same bits.
//
// Four steps, each of which can be done in parts, so that nobody waits long for one call: tridiagonalize, startVectors, then solve and
// rotate in turn until solve has no more rotations, and takeVectors. 768 x 768 takes half a second.

/** Components of a vector that lie beside each other: a cache line, four registers. */
const STRIP = 8;
/** Sweeps for one eigenvalue at most: two are usual, and with a NaN in the matrix it would go on for ever. */
const MOST_SWEEPS = 60;
/** Bytes of a rotation (cosine, sine), and of what stands before the rotations of a sweep (first row, count). */
const ROTATION = 16;

/** Bytes of the vectors of an n x n matrix: strips of eight components, in each of them all vectors. */
export function eigenVectorsBytes(n: i32): i32 {
  return (((n + STRIP - 1) / STRIP) * n * STRIP) << 3;
}

/** Bytes of what the steps keep from call to call. */
export function eigenStateBytes(n: i32): i32 {
  return (8 * n + 8) << 3;
}

/** Bytes of a buffer of rotations: some sweeps, at least one. */
export function rotationsBytes(n: i32): i32 {
  return max(1 << 20, (n + 1) * ROTATION);
}

// The state, n f64 each: diagonal (in the end the eigenvalues), off-diagonal, factors of the reflections, and the vectors v, w, next
// and p of the step that is going on; then, i32 each, the row that is solved for and its sweeps so far.
@inline
function part(state: usize, n: i32, i: i32): usize {
  return state + ((<usize>n * i) << 3);
}

/** The sum of the two lanes. */
@inline
function sum2(v: v128): f64 {
  return f64x2.extract_lane(v, 0) + f64x2.extract_lane(v, 1);
}

/** The inner product of m numbers, from the last one on. */
function dot(x: usize, y: usize, m: i32): f64 {
  let acc = f64x2.splat(0);
  const end = x + ((<usize>(m & ~1)) << 3);
  for (; x < end; x += 16, y += 16) acc = f64x2.add(acc, f64x2.mul(v128.load(x), v128.load(y)));
  return (m & 1) == 1 ? sum2(acc) + load<f64>(x) * load<f64>(y) : sum2(acc);
}

/**
 * Steps `first` to `last - 1` of n: step k finds the reflection that leaves one number right of the diagonal in row k. What the step
 * before subtracts from the matrix is subtracted on the way, and the product with the new reflection taken: one pass over what is left.
 *
 *                 columns  k+1 ... i   i+1 .......... n-1
 *     row k                | next: the new reflection   |
 *     row i                         | a -= v_i w + w_i v |   the upper triangle only; each number of it
 *                                   | dot  += a next     |   counts for its row (dot)
 *                                   | p    += a next_i   |   and for its column (p)
 *
 * matrix: n x n f64, of which the diagonal and what is right of it are read; it comes to hold the reflections.
 */
export function tridiagonalize(matrix: usize, n: i32, state: usize, first: i32, last: i32): void {
  const diagonal = part(state, n, 0);
  const off = part(state, n, 1);
  const factors = part(state, n, 2);
  const v = part(state, n, 3);
  const w = part(state, n, 4);
  const next = part(state, n, 5);
  const p = part(state, n, 6);
  if (first == 0) memory.fill(state, 0, eigenStateBytes(n));
  for (let k = first; k < last; k++) {
    const row = matrix + ((<usize>n * k) << 3);
    const vk = load<f64>(v + (k << 3));
    const wk = load<f64>(w + (k << 3));
    for (let j = k; j < n; j++) {
      const at = (<usize>j) << 3;
      store<f64>(row + at, load<f64>(row + at) - (vk * load<f64>(w + at) + wk * load<f64>(v + at)));
    }
    store<f64>(diagonal + (k << 3), load<f64>(row + (k << 3)));
    const m = n - 1 - k;
    if (m == 0) {
      store<f64>(off + (k << 3), 0);
      continue;
    }

    // The reflection turns what is right of the diagonal into one number.
    const from = (<usize>(k + 1)) << 3;
    const x = load<f64>(row + from);
    const rest = dot(row + from + 8, row + from + 8, m - 1);
    let factor: f64 = 0;
    let beyond = x;
    if (rest > 0) {
      const length = sqrt(x * x + rest);
      beyond = x > 0 ? -length : length;
      store<f64>(row + from, x - beyond);
      factor = 2 / ((x - beyond) * (x - beyond) + rest);
    }
    store<f64>(off + (k << 3), beyond);
    store<f64>(factors + (k << 3), factor);
    memory.copy(next + from, row + from, (<usize>m) << 3);
    memory.fill(p + from, 0, (<usize>m) << 3);
    for (let i = k + 1; i < n; i++) {
      const at = (<usize>i) << 3;
      store<f64>(
        p + at,
        load<f64>(p + at) + passRow(matrix + ((<usize>n * i) << 3) + at, v + at, w + at, next + at, p + at, n - i),
      );
    }
    // p = factor A next; w = p - (factor / 2)(p next) next.
    let scale: f64 = 0;
    for (let j = k + 1; j < n; j++) {
      const at = (<usize>j) << 3;
      const value = factor * load<f64>(p + at);
      store<f64>(p + at, value);
      scale += value * load<f64>(next + at);
    }
    scale *= 0.5 * factor;
    for (let j = k + 1; j < n; j++) {
      const at = (<usize>j) << 3;
      const value = load<f64>(next + at);
      store<f64>(v + at, factor == 0 ? 0 : value);
      store<f64>(w + at, load<f64>(p + at) - scale * value);
    }
  }
}

/** One row of that pass, from its diagonal on: subtracts, adds to p, and returns the product of the row with `next`. */
@inline
function passRow(a: usize, v: usize, w: usize, next: usize, p: usize, m: i32): f64 {
  const vi = load<f64>(v);
  const wi = load<f64>(w);
  const ni = load<f64>(next);
  let value = load<f64>(a) - (vi * load<f64>(w) + wi * load<f64>(v));
  store<f64>(a, value);
  let total = value * ni;
  a += 8;
  v += 8;
  w += 8;
  next += 8;
  p += 8;
  if ((m & 1) == 0) {
    value = load<f64>(a) - (vi * load<f64>(w) + wi * load<f64>(v));
    store<f64>(a, value);
    total += value * load<f64>(next);
    store<f64>(p, load<f64>(p) + value * ni);
    a += 8;
    v += 8;
    w += 8;
    next += 8;
    p += 8;
  }
  const end = a + ((<usize>((m - 1) & ~1)) << 3);
  const vs = f64x2.splat(vi);
  const ws = f64x2.splat(wi);
  const ns = f64x2.splat(ni);
  let acc = f64x2.splat(0);
  while (a < end) {
    const x = f64x2.sub(v128.load(a), f64x2.add(f64x2.mul(vs, v128.load(w)), f64x2.mul(ws, v128.load(v))));
    v128.store(a, x);
    acc = f64x2.add(acc, f64x2.mul(x, v128.load(next)));
    v128.store(p, f64x2.add(v128.load(p), f64x2.mul(x, ns)));
    a += 16;
    v += 16;
    w += 16;
    next += 16;
    p += 16;
  }
  return total + sum2(acc);
}

/**
 * The product of all reflections, strips `first` to `last - 1` of it: what solve's rotations are applied to.
 *
 *     strip    | component 8s | 8s+1 | ... | 8s+7 |   of vector 0
 *              | component 8s | 8s+1 | ... | 8s+7 |   of vector 1 ...   a reflection is a sum and a difference of such rows
 */
export function startVectors(matrix: usize, n: i32, state: usize, vectors: usize, first: i32, last: i32): void {
  const factors = part(state, n, 2);
  const size = (<usize>n * STRIP) << 3;
  for (let strip = first; strip < last; strip++) {
    const rows = vectors + size * strip;
    memory.fill(rows, 0, size);
    for (let j = strip * STRIP; j < min(n, strip * STRIP + STRIP); j++) {
      store<f64>(rows + ((<usize>(j * STRIP + (j & (STRIP - 1)))) << 3), 1);
    }
    for (let k = 0; k < n - 1; k++) {
      const factor = load<f64>(factors + (k << 3));
      if (factor != 0)
        reflect(rows + ((<usize>(k + 1) * STRIP) << 3), matrix + ((<usize>n * k + k + 1) << 3), n - 1 - k, factor);
    }
  }
}

/** Eight numbers of each of m rows, reflected: minus factor (row v) v. */
function reflect(rows: usize, v: usize, m: i32, factor: f64): void {
  const end = v + ((<usize>m) << 3);
  let s0 = f64x2.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  for (let x = v, row = rows; x < end; x += 8, row += 64) {
    const t = v128.load64_splat(x);
    s0 = f64x2.add(s0, f64x2.mul(t, v128.load(row)));
    s1 = f64x2.add(s1, f64x2.mul(t, v128.load(row, 16)));
    s2 = f64x2.add(s2, f64x2.mul(t, v128.load(row, 32)));
    s3 = f64x2.add(s3, f64x2.mul(t, v128.load(row, 48)));
  }
  const f = f64x2.splat(factor);
  s0 = f64x2.mul(s0, f);
  s1 = f64x2.mul(s1, f);
  s2 = f64x2.mul(s2, f);
  s3 = f64x2.mul(s3, f);
  for (let x = v, row = rows; x < end; x += 8, row += 64) {
    const t = v128.load64_splat(x);
    v128.store(row, f64x2.sub(v128.load(row), f64x2.mul(t, s0)));
    v128.store(row, f64x2.sub(v128.load(row, 16), f64x2.mul(t, s1)), 16);
    v128.store(row, f64x2.sub(v128.load(row, 32), f64x2.mul(t, s2)), 32);
    v128.store(row, f64x2.sub(v128.load(row, 48), f64x2.mul(t, s3)), 48);
  }
}

/**
 * Goes on with the QL method on the three diagonals until it is done or `rotations` is full, and returns the bytes of rotations that it
 * wrote: 0 once there are no more. Then the diagonal, n f64 at `state`, has the eigenvalues, in no order.
 */
export function solve(n: i32, state: usize, rotations: usize): i32 {
  const d = part(state, n, 0);
  const e = part(state, n, 1);
  const place = part(state, n, 8);
  const room = rotations + rotationsBytes(n);
  let out = rotations;
  let l = load<i32>(place);
  let sweeps = load<i32>(place, 4);
  while (l < n) {
    let m = l;
    for (; m < n - 1; m++) {
      const near = abs(load<f64>(d + (m << 3))) + abs(load<f64>(d + (m << 3), 8));
      if (abs(load<f64>(e + (m << 3))) + near == near) break;
    }
    if (m == l || sweeps == MOST_SWEEPS) {
      l++;
      sweeps = 0;
      continue;
    }
    if (out + <usize>(m - l + 1) * ROTATION > room) break;
    sweeps++;
    const header = out;
    out += ROTATION;
    const dl = load<f64>(d + (l << 3));
    const el = load<f64>(e + (l << 3));
    let g = (load<f64>(d + (l << 3), 8) - dl) / (2 * el);
    let r = sqrt(g * g + 1);
    g = load<f64>(d + (m << 3)) - dl + el / (g + (g < 0 ? -r : r));
    let s: f64 = 1;
    let c: f64 = 1;
    let p: f64 = 0;
    let i = m - 1;
    for (; i >= l; i--) {
      const at = (<usize>i) << 3;
      const f = s * load<f64>(e + at);
      const b = c * load<f64>(e + at);
      r = sqrt(f * f + g * g);
      store<f64>(e + at, r, 8);
      if (r == 0) {
        store<f64>(d + at, load<f64>(d + at, 8) - p, 8);
        store<f64>(e + (m << 3), 0);
        break;
      }
      s = f / r;
      c = g / r;
      g = load<f64>(d + at, 8) - p;
      r = (load<f64>(d + at) - g) * s + 2 * c * b;
      p = s * r;
      store<f64>(d + at, g + p, 8);
      g = c * r - b;
      store<f64>(out, c);
      store<f64>(out, s, 8);
      out += ROTATION;
    }
    store<i32>(header, m);
    store<i32>(header, m - 1 - i, 4);
    if (i >= l) continue;
    store<f64>(d + (l << 3), load<f64>(d + (l << 3)) - p);
    store<f64>(e + (l << 3), g);
    store<f64>(e + (m << 3), 0);
  }
  store<i32>(place, l);
  store<i32>(place, sweeps, 4);
  return <i32>(out - rotations);
}

/**
 * Applies `bytes` bytes of rotations to strips `first` to `last - 1`. A sweep goes up through the rows, each rotation mixing two
 * neighbours; the upper one stays in registers.
 *
 *     row i      | z |  ->  c z - s f   stays: the f of the next rotation
 *     row i + 1  | f |  ->  s z + c f   stored
 */
export function rotate(vectors: usize, n: i32, rotations: usize, bytes: i32, first: i32, last: i32): void {
  const size = (<usize>n * STRIP) << 3;
  for (let strip = first; strip < last; strip++) {
    for (let at = rotations, end = rotations + bytes; at < end;) {
      const count = load<i32>(at, 4);
      let row = vectors + size * strip + ((<usize>load<i32>(at) * STRIP) << 3);
      at += ROTATION;
      let f0 = v128.load(row);
      let f1 = v128.load(row, 16);
      let f2 = v128.load(row, 32);
      let f3 = v128.load(row, 48);
      for (const stop = at + <usize>count * ROTATION; at < stop; at += ROTATION) {
        const c = v128.load64_splat(at);
        const s = v128.load64_splat(at, 8);
        const above = row - 64;
        let z = v128.load(above);
        v128.store(row, f64x2.add(f64x2.mul(s, z), f64x2.mul(c, f0)));
        f0 = f64x2.sub(f64x2.mul(c, z), f64x2.mul(s, f0));
        z = v128.load(above, 16);
        v128.store(row, f64x2.add(f64x2.mul(s, z), f64x2.mul(c, f1)), 16);
        f1 = f64x2.sub(f64x2.mul(c, z), f64x2.mul(s, f1));
        z = v128.load(above, 32);
        v128.store(row, f64x2.add(f64x2.mul(s, z), f64x2.mul(c, f2)), 32);
        f2 = f64x2.sub(f64x2.mul(c, z), f64x2.mul(s, f2));
        z = v128.load(above, 48);
        v128.store(row, f64x2.add(f64x2.mul(s, z), f64x2.mul(c, f3)), 48);
        f3 = f64x2.sub(f64x2.mul(c, z), f64x2.mul(s, f3));
        row = above;
      }
      v128.store(row, f0);
      v128.store(row, f1, 16);
      v128.store(row, f2, 32);
      v128.store(row, f3, 48);
    }
  }
}

/** Writes `count` of the vectors to `out`, a row of n f64 each; `order` (i32) says which. */
export function takeVectors(vectors: usize, n: i32, order: usize, count: i32, out: usize): void {
  const size = (<usize>n * STRIP) << 3;
  for (let i = 0; i < count; i++) {
    const from = vectors + ((<usize>load<i32>(order + (i << 2)) * STRIP) << 3);
    for (let j = 0; j < n; j++, out += 8)
      store<f64>(out, load<f64>(from + size * (j >>> 3) + ((j & (STRIP - 1)) << 3)));
  }
}
