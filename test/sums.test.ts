import { expect, test } from "vitest";
import { kernelsOf } from "../src/codec/kernels.js";
import { METRIC_INNER_PRODUCT, METRIC_L2 } from "../src/index.js";
import { Engine } from "../src/wasm/engine.js";
import { moreKernels } from "../src/wasm/more.js";
import { Desk } from "./desk.js";
import { randomOf, uniform } from "./random.js";
import { keyOf, rowOf } from "./reference.js";

// Sums of numbers that round, to the bit: each kernel adds up by lanes and in the order that it says. A sum in another order is as near, but
// not the same, and takes longer where lanes are left out.

const engine = new Engine();
const { kernels } = engine;
const more = moreKernels(engine);
const codec = kernelsOf(engine);
const desk = new Desk(engine);
const { fround: f, sqrt } = Math;

const SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 17, 30];

const product = (x: Float32Array, y: Float32Array): number => -keyOf(x, y, METRIC_INNER_PRODUCT);

test("inner products, squared norms and distances of floats", () => {
  const random = randomOf(1);
  for (const d of SIZES) {
    for (const [nq, n] of [
      [1, 1],
      [1, 8],
      [2, 11],
      [3, 4],
    ]) {
      const [queries, rows] = [uniform(random, nq * d), uniform(random, n * d)];
      const pairs = (of: (x: Float32Array, y: Float32Array) => number): number[] =>
        Array.from({ length: nq * n }, (_, at) => of(rowOf(queries, d, Math.floor(at / n)), rowOf(rows, d, at % n)));
      desk.atEnds(() => {
        const [queriesAt, rowsAt] = [desk.put(queries), desk.put(rows)];
        const pitch = (n + 3) & ~3;
        const tile = desk.room(nq * pitch * 4);
        kernels.innerProducts(queriesAt, nq, rowsAt, n, d, tile, pitch);
        expect(Array.from({ length: nq }, (_, i) => desk.floats(tile + i * pitch * 4, n)).flat()).toEqual(
          pairs(product),
        );
        const out = desk.room(nq * n * 4);
        more.applyLinear(queriesAt, nq, d, rowsAt, n, 0, out, desk.room(more.applyLinearScratch(nq, n)));
        expect(desk.floats(out, nq * n)).toEqual(pairs(product));
        const [norms, halves] = [desk.room(n * 4), desk.room(n * 4)];
        kernels.squaredNorms(rowsAt, n, d, norms);
        kernels.halfNorms(rowsAt, n, d, halves);
        const squares = Array.from({ length: n }, (_, i) => product(rowOf(rows, d, i), rowOf(rows, d, i)));
        expect(desk.floats(norms, n)).toEqual(squares);
        expect(desk.floats(halves, n)).toEqual(squares.map((square) => square / 2));
        for (const metric of [METRIC_L2, METRIC_INNER_PRODUCT]) {
          const matches = desk.own(
            Int32Array.from({ length: nq * n * 3 }, (_, i) => (i % 3 === 0 ? Math.floor(i / 3 / n) : 0)),
          );
          const slots = desk.put(Int32Array.from({ length: nq * n }, (_, i) => i % n));
          kernels.compareMatches(queriesAt, d, metric, matches, nq * n, slots, rowsAt, false);
          const own = Array.from({ length: nq * n }, (_, i) => desk.floats(matches + i * 12 + 8, 1)[0]);
          expect(own).toEqual(pairs((x, y) => (metric === METRIC_L2 ? keyOf(x, y, metric) : product(x, y))));
        }
        const scaled = desk.own(rows);
        kernels.normalize(scaled, n, d);
        expect(desk.floats(scaled, n * d)).toEqual(
          [...rows].map((x, at) => f(x * f(1 / f(sqrt(squares[Math.floor(at / d)]))))),
        );
      });
    }
  }
});

/** By pairs of lanes, of which there are two; then what four are too many for, one by one. */
function wide(x: Float64Array, y: Float64Array): number {
  const body = x.length & ~3;
  const lanes = [0, 0, 0, 0];
  for (let j = 0; j < body; j++) lanes[j & 3] += x[j] * y[j];
  let sum = lanes[0] + lanes[2] + (lanes[1] + lanes[3]);
  for (let j = body; j < x.length; j++) sum += x[j] * y[j];
  return sum;
}

test("products of rows of f64, and Householder's reflections", () => {
  const random = randomOf(2);
  const doubles = (n: number): Float64Array => Float64Array.from({ length: n }, () => random() - 0.5);
  for (const [n, m] of [
    [1, 1],
    [2, 3],
    [3, 4],
    [3, 9],
    [5, 22],
  ]) {
    const rows = doubles(n * m);
    const row = (of: Float64Array, i: number, from = 0): Float64Array => of.subarray(i * m + from, i * m + m);
    desk.atEnds(() => {
      const sums = desk.room(n * n * 8);
      more.multiplyRows(desk.put(rows), n, m, sums, 0, n);
      for (let i = 0; i < n; i++)
        expect(desk.doubles(sums + (i * n + i) * 8, n - i)).toEqual(
          Array.from({ length: n - i }, (_, j) => wide(row(rows, i), row(rows, i + j))),
        );
      // As LAPACK's dgeqr2 and dorg2r.
      const [own, scales, left] = [rows.slice(), new Float64Array(n), new Float64Array(n)];
      const add = (to: Float64Array, from: Float64Array, by: number): void =>
        from.forEach((x, j) => void (to[j] += by * x));
      for (let k = 0; k < n; k++) {
        const v = row(own, k, k);
        const rest = wide(v.subarray(1), v.subarray(1));
        left[k] = v[0];
        if (rest === 0) continue;
        const norm = sqrt(v[0] * v[0] + rest);
        left[k] = v[0] < 0 ? norm : -norm;
        scales[k] = (left[k] - v[0]) / left[k];
        const by = 1 / (v[0] - left[k]);
        for (let j = 1; j < v.length; j++) v[j] *= by;
        v[0] = 1;
        for (let j = k + 1; j < n; j++) add(row(own, j, k), v, -scales[k] * wide(v, row(own, j, k)));
      }
      const [turned, scalesAt] = [desk.own(rows), desk.room(2 * n * 8)];
      more.reflect(turned, n, m, scalesAt, 0, n);
      expect(desk.doubles(scalesAt, 2 * n)).toEqual([...scales, ...left]);
      expect(desk.doubles(turned, n * m)).toEqual([...own]);
      for (let k = n - 1; k >= 0; k--) {
        const v = row(own, k, k);
        if (scales[k] === 0) v.fill(0);
        for (let j = k + 1; j < n && scales[k] !== 0; j++) add(row(own, j, k), v, -scales[k] * wide(v, row(own, j, k)));
        v.forEach((x, j) => (v[j] = -scales[k] * x));
        v[0] += 1;
        own.fill(0, k * m, k * m + k);
      }
      more.orthonormal(turned, n, m, scalesAt, 0, n);
      expect(desk.doubles(turned, n * m).map((x) => x + 0)).toEqual([...own].map((x) => x + 0));
    });
  }
});

test("of the codec: products with a matrix, sizes, and a basis by Gram and Schmidt", () => {
  const random = randomOf(3);
  for (const d of SIZES) {
    const [n, depth] = [5, 7];
    const [x, matrix, center] = [uniform(random, n * depth), uniform(random, depth * d), uniform(random, d)];
    desk.atEnds(() => {
      const packed = desk.room(codec.packedBytes(depth, d));
      codec.packRows(desk.put(matrix), depth, d, 0, depth, packed);
      const out = desk.room(n * d * 4);
      const centerAt = desk.put(center);
      codec.product(desk.put(x), n, depth, depth, packed, depth, d, centerAt, out, d);
      const own = Float32Array.from({ length: n * d }, (_, at) => {
        const [i, j] = [Math.floor(at / d), at % d];
        let sum = center[j];
        for (let l = 0; l < depth; l++) sum = f(sum + f(x[i * depth + l] * matrix[l * d + j]));
        return sum;
      });
      expect(desk.floats(out, n * d)).toEqual([...own]);
      const [rests, sizes] = [desk.room(n * d * 4), desk.room(n * 4)];
      codec.residuals(out, n, d, 0.3, centerAt, rests, sizes);
      const less = own.map((value, at) => f(f(f(0.3) * value) - center[at % d]));
      expect(desk.floats(rests, n * d)).toEqual([...less]);
      expect(desk.floats(sizes, n)).toEqual(
        Array.from({ length: n }, (_, i) => f(f(sqrt(product(rowOf(less, d, i), rowOf(less, d, i)))) / f(sqrt(d)))),
      );
      const sums = desk.own(new Float64Array(d * d).fill(0.5));
      codec.addProducts(desk.put(matrix), depth, d, sums, desk.room(codec.packedBytes(depth, d) + d * depth * 4));
      for (let i = 0; i < d; i++)
        expect(desk.doubles(sums + (i * d + i) * 8, d - i)).toEqual(
          Array.from({ length: d - i }, (_, j) => {
            let sum = 0;
            for (let l = 0; l < depth; l++) sum = f(sum + f(matrix[l * d + i] * matrix[l * d + i + j]));
            return 0.5 + sum;
          }),
        );
      const some = Math.min(d, depth);
      const basis = desk.own(matrix.subarray(0, some * d));
      const rooms = [codec.packedBytes(some, d), codec.packedBytes(d, 8 * Math.ceil(some / 8))].map((n) =>
        desk.room(n),
      );
      const scratch = desk.room(codec.orthonormalizeScratch(d, some));
      const given = codec.orthonormalize(basis, some, d, 0, some, rooms[0], rooms[1], scratch);
      const rows = Array.from({ length: some }, (_, i) => matrix.slice(i * d, i * d + d));
      expect(given).toBe(orthonormal(rows) ? 0 : 1);
      if (given === 0) expect(desk.floats(basis, some * d)).toEqual(rows.flatMap((row) => [...row]));
    });
  }
});

/** Makes rows orthogonal and of length 1, once, and once more where one has lost more than half of its squared length; false where one has then. */
function orthonormal(rows: Float32Array[]): boolean {
  const scale = (row: Float32Array, least: number): boolean => {
    const norm = product(row, row);
    const factor = f(1 / f(sqrt(norm)));
    if (norm > least) row.forEach((x, j) => (row[j] = x * factor));
    return norm > least;
  };
  if (!rows.every((row) => scale(row, 0))) return false;
  for (let pass = 0; ; pass++) {
    let again = false;
    for (const [i, row] of rows.entries()) {
      for (const other of rows.slice(0, i)) {
        const along = product(row, other);
        row.forEach((x, j) => (row[j] = x - f(along * other[j])));
      }
      if (product(row, row) < 0.5) {
        if (pass > 0) return false;
        again = true;
      }
      if (!scale(row, f(1e-10))) return false;
    }
    if (!again) return true;
  }
}
