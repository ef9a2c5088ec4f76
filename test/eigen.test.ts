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

async function solve(a: Float64Array, n: number, pace = new Pace()) {
  const engine = new Engine();
  const matrix = engine.allocate(n * n * 8);
  engine.f64.set(a, matrix >>> 3);
  return symmetricEigen(engine, kernelsOf(engine), matrix, n, pace);
}

function dot(a: Float64Array, b: Float64Array): number {
  return b.reduce((sum, x, i) => sum + x * a[i], 0);
}
