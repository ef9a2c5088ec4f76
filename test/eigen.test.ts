import { describe, expect, test } from "vitest";
import { kernelsOf } from "../src/codec/kernels.js";
import { symmetricEigen } from "../src/training/eigen.js";
import { Engine } from "../src/wasm/engine.js";
import { Pace } from "../src/work/pace.js";
import { randomOf } from "./random.js";

describe("eigenvectors of a symmetric matrix", () => {
  test.each([1, 2, 3, 5, 8, 9, 17, 64, 100])("%i x %i: A v = λ v, and the vectors are at right angles", async (n) => {
    const random = randomOf(n);
    const a = new Float64Array(n * n);
    for (let i = 0; i < n; i++) for (let j = i; j < n; j++) a[i * n + j] = a[j * n + i] = random() - 0.5;
    const { values, vectors } = await solve(a, n);
    for (let v = 0; v < n; v++) {
      if (v > 0) expect(values[v]).toBeLessThanOrEqual(values[v - 1]);
      const own = vectors.subarray(v * n, (v + 1) * n);
      for (let i = 0; i < n; i++) {
        expect(Math.abs(dot(a.subarray(i * n, (i + 1) * n), own) - values[v] * own[i])).toBeLessThan(1e-12);
        const product = dot(vectors.subarray(i * n, (i + 1) * n), own);
        expect(Math.abs(product - (i === v ? 1 : 0))).toBeLessThan(1e-12);
      }
    }
  });

  test("of one that is known, and of one of zeros", async () => {
    const { values } = await solve(Float64Array.from([2, 1, 0, 1, 2, 1, 0, 1, 2]), 3);
    [2 + Math.SQRT2, 2, 2 - Math.SQRT2].forEach((value, i) => expect(values[i]).toBeCloseTo(value, 12));
    const zeros = await solve(new Float64Array(16), 4);
    expect([...zeros.values]).toEqual([0, 0, 0, 0]);
    for (let i = 0; i < 4; i++)
      expect(dot(zeros.vectors.subarray(4 * i), zeros.vectors.subarray(4 * i, 4 * i + 4))).toBe(1);
  });

  test("of numbers whose squares are zeros", async () => {
    const { values } = await solve(Float64Array.from([0, 1e-200, 0, 1e-200, 0, 1e-200, 0, 1e-200, 0]), 3);
    for (const value of values) expect(Math.abs(value)).toBeLessThan(1e-199);
  });

  test("ends with a NaN, and stops at an abort", async () => {
    await solve(Float64Array.from([1, NaN, NaN, 1]), 2);
    const stop = new AbortController();
    stop.abort("enough");
    await expect(solve(new Float64Array(9), 3, new Pace({ signal: stop.signal }))).rejects.toBe("enough");
  });
});

test("vectors take strips of eight components, and no more", () => {
  const kernels = kernelsOf(new Engine());
  expect([1, 8, 9, 768].map((n) => kernels.eigenVectorsBytes(n))).toEqual([64, 512, 1152, 768 * 768 * 8]);
});

test("the rotations of the QL method, to the bit, and no more of them", () => {
  const engine = new Engine();
  const kernels = kernelsOf(engine);
  const random = randomOf(1);
  const matrices = [
    ...[1, 2, 3, 7, 20, 41].map((n) => ({
      diagonal: Float64Array.from({ length: n }, () => random() - 0.5),
      off: Float64Array.from({ length: n }, () => random() - 0.5),
    })),
    // Next to nothing beside the sum of two that are alike, or opposite; zeros; one that is cut in three.
    { diagonal: Float64Array.of(1e8, 1e8, -1e8, 3), off: Float64Array.of(1e-9, 1e-9, 1, 0) },
    { diagonal: new Float64Array(3), off: Float64Array.of(0, 0, 0) },
    { diagonal: new Float64Array(4), off: Float64Array.of(1, 1, 1, 0) },
    { diagonal: Float64Array.of(1, 2, 3, 4, 5), off: Float64Array.of(1, 0, 1, 0, 0) },
    // Squares that are zeros in the middle of a sweep.
    { diagonal: Float64Array.of(-2e-162, 1e-162, 2e-162, 2e-162), off: Float64Array.of(-2e-162, 2e-162, 2e-162, 0) },
    {
      diagonal: Float64Array.of(-1e-162, 0, 1e-162, 0, 0, 2e-162),
      off: Float64Array.of(1e-162, -2e-162, 1, -2e-162, 1e-162, 0),
    },
  ];
  for (const { diagonal, off } of matrices) {
    const n = diagonal.length;
    off[n - 1] = 0;
    const state = engine.allocate(kernels.eigenStateBytes(n));
    const rotations = engine.allocate(kernels.rotationsBytes(n));
    engine.u8.fill(0, state, state + kernels.eigenStateBytes(n));
    engine.f64.set(diagonal, state >>> 3);
    engine.f64.set(off, (state >>> 3) + n);
    const bytes = kernels.solve(n, state, rotations);
    const expected = turned(diagonal, off);
    const given: number[] = [];
    for (let at = rotations; at < rotations + bytes; at += 16) {
      const count = engine.i32[(at >>> 2) + 1];
      given.push(engine.i32[at >>> 2], count, ...engine.f64.slice((at >>> 3) + 2, (at >>> 3) + 2 + 2 * count));
      at += 16 * count;
    }
    expect(given).toEqual(expected);
    expect(engine.f64.slice(state >>> 3, (state >>> 3) + n)).toEqual(diagonal);
    expect(kernels.solve(n, state, rotations)).toBe(0);
  }
});

/** EISPACK's tql2 on two diagonals: of each sweep its first row, how many rotations, and their cosines and sines. */
function turned(d: Float64Array, e: Float64Array): number[] {
  const n = d.length;
  const all: number[] = [];
  for (let l = 0; l < n; l++) {
    for (;;) {
      let m = l;
      while (m < n - 1 && Math.abs(d[m]) + Math.abs(d[m + 1]) + Math.abs(e[m]) !== Math.abs(d[m]) + Math.abs(d[m + 1]))
        m++;
      if (m === l) break;
      let g = (d[l + 1] - d[l]) / (2 * e[l]);
      let r = Math.sqrt(g * g + 1);
      g = d[m] - d[l] + e[l] / (g + (g < 0 ? -r : r));
      let [s, c, p, i] = [1, 1, 0, m - 1];
      const own: number[] = [];
      for (; i >= l; i--) {
        const f = s * e[i];
        const b = c * e[i];
        r = Math.sqrt(f * f + g * g);
        e[i + 1] = r;
        if (r === 0) {
          d[i + 1] -= p;
          e[m] = 0;
          break;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        r = (d[i] - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
        own.push(c, s);
      }
      all.push(m, own.length / 2, ...own);
      if (i >= l) continue;
      d[l] -= p;
      e[l] = g;
      e[m] = 0;
    }
  }
  return all;
}

async function solve(a: Float64Array, n: number, pace = new Pace()) {
  const engine = new Engine();
  const matrix = engine.allocate(n * n * 8);
  engine.f64.set(a, matrix >>> 3);
  return symmetricEigen(engine, kernelsOf(engine), matrix, n, pace);
}

function dot(a: Float64Array, b: Float64Array): number {
  return b.reduce((sum, x, i) => sum + x * a[i], 0);
}
