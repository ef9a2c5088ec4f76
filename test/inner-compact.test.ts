import { expect, test } from "vitest";
import * as Compact from "../src/codec/compact.gen.js";
import { kernelsOf } from "../src/codec/kernels.js";
import { METRIC_INNER_PRODUCT, METRIC_L2 } from "../src/index.js";
import { Engine } from "../src/wasm/engine.js";
import { PLAN } from "../src/wasm/records.js";
import { Desk } from "./desk.js";
import { innerKernels } from "./inner.js";
import { below, randomOf, uniform } from "./random.js";
import { records } from "./records.js";
import { keyOf, rowOf } from "./reference.js";

// Rows of a voice that stay numbers: what bounds take off, beside the formula in f64, to a part of itself. A looser bound costs time only.

const { fround: f } = Math;
const engine = new Engine();
const kernels = kernelsOf(engine);
const desk = new Desk(engine);
const inner = await innerKernels<"turnCompact" | "keyOfCompact">(
  engine,
  `
  import { Compact } from "./codec/compact";
  import { Lists, Plan } from "./records";

  export function turnCompact(code: usize, plan: usize, list: i32, scratch: usize): void {
    changetype<Compact>(code).open(changetype<Plan>(plan), changetype<Lists>(0), scratch);
    changetype<Compact>(code).turn(1, list);
  }
  export function keyOfCompact(code: usize, row: usize, other: usize, bar: f32): f32 {
    return f32x4.extract_lane(changetype<Compact>(code).four(other, other, row, other, bar), 2);
  }
`,
);

/** u of rounding.ts. */
const U = 2 ** -24;
const up = (n: number, unit: number): number => Math.ceil(n / unit) * unit;
const dot = (x: ArrayLike<number>, y: ArrayLike<number>): number =>
  Array.from(x).reduce((sum, value, j) => sum + value * y[j], 0);
const square = (x: ArrayLike<number>): number => dot(x, x);
const less = (x: ArrayLike<number>, y: ArrayLike<number>): number[] => Array.from(x, (value, j) => value - y[j]);

test.each([METRIC_L2, METRIC_INNER_PRODUCT] as const)("what a bound takes off: metric %i", (metric) => {
  const random = randomOf(1);
  for (const [d, width] of [
    [8, 8],
    [9, 5],
    [21, 21],
    [40, 33],
  ]) {
    for (const wide of [0, 1]) {
      const [nlist, list] = [3, 2];
      const basis = desk.own(uniform(random, width * d));
      const [asRows, columns] = [
        desk.room(kernels.packedBytes(width, d)),
        desk.room(kernels.packedBytes(d, up(width, 8))),
      ];
      const room = desk.room(kernels.orthonormalizeScratch(d, width));
      expect(kernels.orthonormalize(basis, width, d, 0, width, asRows, columns, room)).toBe(0);
      const directions = Array.from({ length: width }, (_, i) => desk.floats(basis + i * d * 4, d));
      const centroids = uniform(random, nlist * d);
      const centroid = rowOf(centroids, d, list);
      const centres = Float32Array.from({ length: nlist * d }, (_, at) => {
        const j = at % d;
        return j < width ? dot(rowOf(centroids, d, Math.floor(at / d)), directions[j]) : 0;
      });
      const queries = uniform(random, 2 * d);
      const query = rowOf(queries, d, 1);
      const most = wide === 0 ? 127 : 3000;
      const numbers = Int16Array.from({ length: width }, (_, j) => [1, -2, below(random, most), -most][j % 4]);
      const padded = up(width, 4);
      const [ones, twos] = [uniform(random, padded, 0.4), uniform(random, padded, 0.4)];
      const [onesAt, twosAt] = [desk.put(ones), desk.put(twos)];
      const scale = f(2 / most);
      const rowBytes = kernels.compactRowBytes(width, wide);
      const row = desk.room(rowBytes);
      const folded = [desk.put(numbers), 1, width, width, onesAt, twosAt, desk.put(Float32Array.of(scale))] as const;
      expect(kernels.foldRows(...folded, list, wide, row)).toBe(most);
      const far = desk.room(rowBytes);
      engine.u8.copyWithin(far, row, row + rowBytes);
      const code = desk.own(new Int32Array(Object.keys(Compact).length + 4));
      const words = { d, width, wide, most, columns, ones: onesAt, twos: twosAt };
      for (const [name, word] of Object.entries({
        ...words,
        centres: desk.put(centres),
        centroids: desk.put(centroids),
      }))
        engine.i32[(code >>> 2) + Compact[name as keyof typeof Compact]] = word;
      const values = Array.from(numbers, (k, j) => {
        const size = Math.abs(k);
        return Math.sign(k) * (size + (size === 1 ? ones[j] : size === 2 ? twos[j] : 0));
      });
      const reach = f(1.5 * scale * Math.sqrt(square(values)));
      engine.f32[(code >>> 2) + Compact.reach] = reach;
      records(engine, { queries: desk.put(queries), nq: 2, d, metric }, {}, {});
      inner.turnCompact(code, PLAN, list, desk.room(kernels.compactScratch(2, d, width)));

      const isL2 = metric === METRIC_L2;
      // Kernels sum products of the basis column by column.
      const rotated = directions.map((direction) => query.reduce((sum, x, j) => f(sum + f(x * direction[j])), 0));
      const rest = rotated.map((x, j) => (isL2 ? f(x - centres[list * d + j]) : x));
      const peak = Math.max(...rest.map(Math.abs));
      const levels = Math.min(32767, Math.floor(0x7fffffff / (most * up(width, 16))));
      const unit = peak / levels;
      const product =
        unit *
        scale *
        dot(
          rest.map((x) => Math.round(x / unit)),
          numbers,
        );
      const away = Math.sqrt(square(less(values, numbers)));
      const sizes = numbers.reduce((sum, k) => sum + Math.abs(k), 0);
      const length = Math.sqrt(square(rest));
      const off = product + 0.51 * unit * scale * sizes + length * scale * away;
      const coarse = keyOf(query, centroid, metric);
      const lost = (2 * width + 64) * U * ((length + reach) ** 2 + Math.abs(coarse));
      const base = isL2 ? (width === d ? 0 : Math.max(0, coarse - length ** 2)) : coarse;
      const bound = isL2 ? base + length ** 2 + scale ** 2 * square(values) - 2 * off - lost : base - off - lost;
      const stands = values.map((value) => value * scale);
      const exact = isL2 ? base + square(less(rest, stands)) : base - dot(rest, stands);
      expect(bound).toBeLessThan(exact);
      expect(inner.keyOfCompact(code, row, far, Infinity)).toBeCloseTo(exact, 4);
      // Where the bar is below the bound, the key is not computed.
      let [under, above] = [bound - 4 * lost - Math.abs(off), exact];
      for (let step = 0; step < 40; step++) {
        const bar = (under + above) / 2;
        if (inner.keyOfCompact(code, row, row, bar) === Infinity) under = bar;
        else above = bar;
      }
      expect(Math.abs(under - bound), `${d}, ${width}, ${wide}`).toBeLessThan(0.1 * lost);
      desk.clear();
    }
  }
});
