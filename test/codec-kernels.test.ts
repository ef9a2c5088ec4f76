import { describe, expect, test } from "vitest";
import * as Compact from "../src/codec/compact.gen.js";
import { kernelsOf } from "../src/codec/kernels.js";
import { Engine } from "../src/wasm/engine.js";
import { Desk } from "./desk.js";
import { below, randomOf, uniform } from "./random.js";
import type { Random } from "./random.js";
import { rowOf } from "./reference.js";

// The codec's kernels, each beside its definition, of all sizes that vectors of lanes leave a rest of.

const engine = new Engine();
const kernels = kernelsOf(engine);
const desk = new Desk(engine);
const { fround: f } = Math;

const WIDTHS = [1, 2, 3, 4, 5, 7, 8, 9, 11, 15, 16, 17, 19];

function whole(random: Random, n: number, most = 6): Float32Array {
  return Float32Array.from({ length: n }, () => below(random, 2 * most + 1) - most);
}

/** Numbers of all sizes, of which ones and twos are many. */
function numbersOf(random: Random, n: number, most: number): Int16Array {
  return Int16Array.from({ length: n }, () => {
    const size = [0, 1, 2, 3, below(random, most + 1), most][below(random, 6)];
    return random() < 0.5 ? -size : size;
  });
}

function dot(x: Float32Array, y: Float32Array): number {
  return x.reduce((sum, value, i) => sum + value * y[i], 0);
}

const plain = (numbers: Iterable<number>): number[] => Array.from(numbers, (x) => x + 0);

describe("rows of floats", () => {
  test("less their centroids, and their sizes; scaled; added up", () => {
    const random = randomOf(1);
    for (const d of WIDTHS) {
      desk.atEnds(() => {
        const n = 3;
        const [rows, center] = [whole(random, n * d), whole(random, d)];
        const [out, sizes] = [desk.room(n * d * 4), desk.room(n * 4)];
        kernels.residuals(desk.put(rows), n, d, 2, desk.put(center), out, sizes);
        const expected = rows.map((x, at) => 2 * x - center[at % d]);
        expect(plain(desk.floats(out, n * d))).toEqual(plain(expected));
        desk.floats(sizes, n).forEach((size, i) => {
          const row = rowOf(expected, d, i);
          expect(size).toBeCloseTo(Math.sqrt(dot(row, row) / d), 5);
        });
        const factors = Float32Array.from([2, -1, 0.5]);
        const scaled = desk.own(rows);
        kernels.scaleRows(scaled, n, d, desk.put(factors));
        expect(plain(desk.floats(scaled, n * d))).toEqual(plain(rows.map((x, at) => x * factors[Math.floor(at / d)])));
        const sums = desk.own(new Float64Array(d).fill(0.25));
        kernels.addRows(desk.put(rows), n, d, sums);
        expect(desk.doubles(sums, d)).toEqual(
          Array.from({ length: d }, (_, j) => 0.25 + rows[j] + rows[d + j] + rows[2 * d + j]),
        );
      });
    }
  });

  test("halves: each one read, those that are none told, and floats rounded to them", () => {
    const bits = Int32Array.from({ length: 0x7c00 }, (_, i) => i);
    const halfOf = (half: number): number =>
      half < 0x400 ? half * 2 ** -24 : (1024 + (half & 1023)) * 2 ** ((half >> 10) - 25);
    const [at, out] = [desk.put(bits), desk.room(bits.length * 4)];
    expect(kernels.fromHalves(at, bits.length, 2, out)).toBe(0);
    expect(desk.floats(out, bits.length).every((value, i) => value === 2 * halfOf(i))).toBe(true);
    for (const bad of [0x7c00, -1, 0xffff, 0x8000]) {
      for (const place of [0, 2]) {
        const some = Int32Array.from([1, 2, 3].map((half, i) => (i === place ? bad : half)));
        expect(kernels.fromHalves(desk.put(some), 3, 1, desk.room(12))).toBe(1);
      }
    }
    // Back, and what lies between two: to the nearer, in the middle to the even one.
    const back = desk.room(bits.length * 4);
    kernels.toHalves(out, bits.length, 0.5, back);
    expect(desk.ints(back, bits.length).every((half, i) => half === i)).toBe(true);
    const between = Array.from(bits.subarray(0, -1), (half) => [halfOf(half), halfOf(half + 1)] as const).filter(
      (_, i) => i < 2100 || i % 31 === 0 || (i & 1023) > 1020,
    );
    const lower = new Map(Array.from(bits, (half) => [halfOf(half), half]));
    for (const [share, chosen] of [
      [0.499, (half: number) => half],
      [0.501, (half: number) => half + 1],
      [0.5, (half: number) => half + (half & 1)],
    ] as const) {
      const floats = Float32Array.from(between, ([low, high]) => low + share * (high - low));
      const rounded = desk.room(floats.length * 4);
      kernels.toHalves(desk.put(floats), floats.length, 1, rounded);
      const known = desk.ints(rounded, floats.length);
      between.forEach(([low], i) => expect(known[i]).toBe(chosen(lower.get(low) ?? -1)));
    }
    const edges = Float32Array.from([0, -1, NaN, 65504, 65520, Infinity, 1e-9]);
    const own = desk.room(28);
    kernels.toHalves(desk.put(edges), 7, 1, own);
    expect(desk.ints(own, 7)).toEqual([0, 0, 0, 0x7bff, 0x7bff, 0x7bff, 0]);
    desk.clear();
  });
});

describe("whole numbers", () => {
  test("what they stand for, filled up with zeros; they may stand where memory ends", () => {
    // What stands at the end of the memory is nobody's.
    engine.release(engine.allocate(2 ** 20));
    const random = randomOf(6);
    for (const width of WIDTHS) {
      const [n, padded] = [3, Math.ceil(width / 4) * 4];
      const numbers = numbersOf(random, n * width, 300);
      const at = engine.u8.length - numbers.byteLength;
      new Int16Array(engine.u8.buffer, at, n * width).set(numbers);
      const [ones, twos] = [uniform(random, padded, 0.5), uniform(random, padded, 0.5)];
      const scales = uniform(random, n, 2);
      const out = desk.room(n * padded * 4);
      kernels.expand(at, n, width, width, desk.put(ones), desk.put(twos), desk.put(scales), out, padded);
      const expected = Array.from({ length: n * padded }, (_, place) => {
        const [i, j] = [Math.floor(place / padded), place % padded];
        return j < width ? f(f(valueOf(numbers[i * width + j], ones[j], twos[j])) * scales[i]) : 0;
      });
      expect(plain(desk.floats(out, n * padded))).toEqual(plain(expected));
      desk.clear();
    }
  });

  test("what projections become, what ones and twos stand for, and the scale that fits", () => {
    const random = randomOf(2);
    for (const width of WIDTHS) {
      const [n, zStride, stride] = [4, width + 3, width + 5];
      const z = uniform(random, n * zStride, 4);
      z[0] = -0.0001;
      z[1] = 1e6;
      z[2] = -1e6;
      const factors = uniform(random, n, 0.5).map((x) => 1 + x);
      for (const [round, least] of [
        [0.5, 0.7],
        [0.25, 0],
        [0.4, 1.5],
      ]) {
        desk.atEnds(() => {
          const [zAt, factorsAt, out] = [desk.put(z), desk.put(factors), desk.room(n * stride * 2)];
          const untouched = new Int16Array(engine.u8.buffer, out, n * stride).slice();
          kernels.quantize(zAt, n, width, zStride, factorsAt, round, least, out, stride);
          const words = new Int16Array(engine.u8.buffer, out, n * stride).slice();
          const numbers = new Int16Array(n * width);
          for (let i = 0; i < n; i++) {
            for (let j = 0; j < stride; j++) {
              const x = z[i * zStride + j];
              const size = Math.min(32766, f(Math.abs(x) * factors[i]));
              const number = size >= f(least) ? Math.floor(f(size + f(round))) : 0;
              // Beyond the width nothing is written.
              expect(words[i * stride + j]).toBe(
                j < width ? (x < 0 ? -number : number) + 0 : untouched[i * stride + j],
              );
              if (j < width) numbers[i * width + j] = x < 0 ? -number : number;
            }
          }
          const sums = desk.own(new Float64Array(width * 4).fill(0.5));
          kernels.addMeans(zAt, n, width, zStride, factorsAt, out, stride, sums);
          const padded = Math.ceil(width / 4) * 4;
          const [ones, twos] = [uniform(random, padded, 0.5), uniform(random, padded, 0.5)];
          for (let j = 0; j < width; j++) {
            const own = [0.5, 0.5, 0.5, 0.5];
            for (let i = 0; i < n; i++) {
              const size = Math.abs(numbers[i * width + j]);
              if (size !== 1 && size !== 2) continue;
              own[2 * size - 2]++;
              own[2 * size - 1] += f(Math.abs(z[i * zStride + j]) * factors[i]);
            }
            expect(desk.doubles(sums + j * 32, 4)).toEqual(own);
          }
          const scales = desk.room(n * 4);
          kernels.fitScales(zAt, n, width, zStride, out, stride, desk.put(ones), desk.put(twos), scales);
          for (let i = 0; i < n; i++) {
            let [along, norm] = [0, 0];
            for (let j = 0; j < width; j++) {
              const value = valueOf(numbers[i * width + j], ones[j], twos[j]);
              along += value * z[i * zStride + j];
              norm += value * value;
            }
            const scale = norm === 0 ? 0 : Math.max(0, along / norm);
            expect(Math.abs(desk.floats(scales + i * 4, 1)[0] - scale)).toBeLessThan(1e-5 * (1 + scale));
          }
        });
      }
    }
  });

  test("rows of bytes or words: their numbers and factors, unfolded, whole, and their lists", () => {
    const random = randomOf(3);
    for (const width of WIDTHS) {
      for (const wide of [0, 1]) {
        desk.atEnds(() => {
          const [n, stride, d] = [3, width + 2, width + 3];
          const [padded, quarter] = [Math.ceil(width / 16) * 16, Math.ceil(width / 4) * 4];
          const most = wide === 1 ? 32767 : 127;
          const numbers = numbersOf(random, n * stride, most);
          numbers[width - 1] = -most;
          const [ones, twos] = [uniform(random, quarter, 0.5), uniform(random, quarter, 0.5)];
          const scales = uniform(random, n, 0.5).map((x) => 1 + x);
          const rowBytes = kernels.compactRowBytes(width, wide);
          expect(rowBytes).toBe(padded * (1 + wide) + 20);
          const rows = desk.room(n * rowBytes);
          const [onesAt, twosAt] = [desk.put(ones), desk.put(twos)];
          const [numbersAt, scalesAt] = [desk.put(numbers), desk.put(scales)];
          expect(kernels.foldRows(numbersAt, n, width, stride, onesAt, twosAt, scalesAt, 2, wide, rows)).toBe(most);
          const outStride = quarter + 4;
          const out = desk.room(n * outStride * 4);
          kernels.unfoldRows(rows, n, width, onesAt, twosAt, wide, out, outStride);
          const centres = whole(random, 3 * d);
          const wholes = desk.room(n * d * 4);
          kernels.unfoldWhole(rows, n, d, width, onesAt, twosAt, wide, desk.put(centres), wholes);
          for (let i = 0; i < n; i++) {
            const at = rows + i * rowBytes;
            const own = numbers.subarray(i * stride, i * stride + width);
            const stored =
              wide === 1 ? new Int16Array(engine.u8.buffer, at, padded) : new Int8Array(engine.u8.buffer, at, padded);
            expect([...stored]).toEqual([...own, ...new Array<number>(padded - width).fill(0)]);
            const values = Array.from(own, (k, j) => valueOf(k, ones[j], twos[j]));
            const factors = desk.floats(at + padded * (1 + wide), 4);
            const close = (given: number, exact: number): void =>
              expect(Math.abs(given - exact)).toBeLessThanOrEqual(2e-6 * Math.abs(exact));
            close(factors[0], scales[i]);
            close(factors[1], scales[i] ** 2 * values.reduce((sum, value) => sum + value ** 2, 0));
            // What rounding takes, and what ones and twos are away: never less.
            const sizes = own.reduce((sum, k) => sum + Math.abs(k), 0);
            const away = Math.hypot(...Array.from(own, (k, j) => [0, ones[j], twos[j]][Math.abs(k)] ?? 0));
            close(factors[2], 0.51 * scales[i] * sizes);
            close(factors[3], scales[i] * away);
            expect(factors[3] * (1 + 1e-7)).toBeGreaterThanOrEqual(scales[i] * away);
            expect(kernels.listOfRow(at, width, wide)).toBe(2);
            expect(plain(desk.floats(out + i * outStride * 4, width))).toEqual(
              plain(values.map((value) => f(value * scales[i]))),
            );
            // Nothing behind the last four.
            expect(desk.floats(out + (i * outStride + quarter) * 4, 4)).toEqual([NaN, NaN, NaN, NaN]);
            desk.floats(wholes + i * d * 4, d).forEach((x, j) => {
              const exact = centres[2 * d + j] + (j < width ? values[j] * scales[i] : 0);
              expect(Math.abs(x - exact)).toBeLessThanOrEqual(1e-6 * (10 + Math.abs(exact)));
            });
          }
        });
      }
    }
    expect(Object.keys(Compact)).toContain("centroids");
  });

  /** What a number stands for. */
  function valueOf(k: number, one: number, two: number): number {
    const size = Math.abs(k);
    return Math.sign(k) * f(size + (size === 1 ? one : size === 2 ? two : 0));
  }
});

describe("the coder", () => {
  test("what is written is read, of all sizes; a stream that is cut, longer or changed is damaged", () => {
    const random = randomOf(4);
    // As many of each symbol, or nearly all of one.
    const tables = [
      Array.from({ length: 17 }, (_, s) => s * 1024),
      Array.from({ length: 17 }, (_, s) => (s <= 7 ? s : s === 16 ? 16384 : 16384 - 16 + s)),
      Array.from({ length: 17 }, (_, s) => (s === 16 ? 16384 : s)),
    ];
    const shifts = [0, 1, 3, 9, 0];
    const models = new Uint8Array(5 * 112);
    const view = new DataView(models.buffer);
    shifts.forEach((shift, m) => {
      view.setInt32(m * 112, shift, true);
      for (let t = 0; t < 3; t++)
        tables[(m + t) % 3].forEach((start, s) => view.setUint16(m * 112 + 4 + t * 36 + s * 2, start, true));
    });
    for (const width of [1, 2, 5, 8, 13]) {
      for (const [known, ratio, scaled, most] of [
        [0, 0, true, 32000],
        [0, 0, false, 9],
        [width >> 1, 3, true, 200],
        [width, 4, false, 2],
      ] as const) {
        desk.atEnds(() => {
          const [n, stride] = [6, width + 2];
          const values = numbersOf(random, n * stride, most);
          const before = Int16Array.from({ length: n * stride }, () => below(random, 7) - 3);
          const columns = Uint16Array.from({ length: width }, () => below(random, 5));
          const classes = Int32Array.from({ length: n }, () => below(random, 9) - 4);
          const scales = Int32Array.from({ length: n }, () => below(random, 41) - 20);
          const modelsAt = desk.put(models);
          const [valuesAt, beforeAt, columnsAt] = [desk.put(values), desk.put(before), desk.put(columns)];
          const [classesAt, scalesAt] = [desk.put(classes), scaled ? desk.put(scales) : 0];
          const room = desk.room(n * (width + 1) * 8 + 8);
          const end = room + n * (width + 1) * 8 + 8;
          const shape = [n, width, stride, modelsAt, 5, columnsAt, classesAt, beforeAt, known, ratio] as const;
          const start = kernels.writeRows(end, ...shape, valuesAt, scalesAt);
          expect(start).toBeGreaterThanOrEqual(room);
          const read = (from: number, to: number): number | [number[], number[]] => {
            const out = desk.own(new Int16Array(n * stride));
            // What is read is added.
            const own = scaled ? desk.own(new Int32Array(n).fill(100)) : 0;
            if (kernels.readRows(from, to, ...shape, out, own) !== 0) return 1;
            const words = new Int16Array(engine.u8.buffer, out, n * stride);
            return [[...words], scaled ? desk.ints(own, n) : []];
          };
          const expected = Int16Array.from(values, (value, at) => (at % stride < width ? value : 0));
          expect(read(start, end)).toEqual([[...expected], scaled ? Array.from(scales, (scale) => scale + 100) : []]);
          expect(read(start, end - 2)).toBe(1);
          expect(read(start + 2, end)).toBe(1);
          expect(read(start - 2, end)).toBe(1);
          expect(read(start, end + 2)).toBe(1);
          // Symbols are counted as they were written.
          const counts = desk.own(new Uint32Array(5 * 3 * 16) as unknown as Int32Array);
          kernels.countRows(...shape, valuesAt, scalesAt, counts);
          const total = new Int32Array(5 * 3 * 16);
          for (let i = 0; i < n; i++) {
            for (let j = scaled ? -1 : 0; j < width; j++) {
              const model = j < 0 ? 4 : Math.min(4, Math.max(0, columns[j] + classes[i]));
              const old = j >= 0 && j < known ? before[i * stride + j] : 0;
              const left = j < 0 ? scales[i] : (values[i * stride + j] - old * ratio) * (old < 0 ? -1 : 1);
              const high = Math.floor((left + ((2 ** shifts[model]) >> 1)) / 2 ** shifts[model]);
              total[(model * 3 + Math.min(2, Math.abs(old))) * 16 + (Math.abs(high) > 7 ? 15 : high + 7)]++;
            }
          }
          expect(desk.ints(counts, total.length)).toEqual([...total]);
        });
      }
    }
  });

  test("a state that is exactly where it has to be shortened", () => {
    // Writing begins at 2^16. A symbol whose numbers begin with 0, and low bits that are zeros, multiply by powers of two: so limits are met.
    const [low, high] = [-7, 8];
    for (let rare = 0; rare < 14; rare++) {
      desk.atEnds(() => {
        const tables = [
          Array.from({ length: 17 }, (_, s) => (s === 0 ? 0 : s === 16 ? 16384 : 2 ** rare + s - 1)),
          // Nearly all for what is farther out.
          Array.from({ length: 17 }, (_, s) => (s === 16 ? 16384 : s)),
        ];
        const models = new Uint8Array(2 * 16 * 112);
        const view = new DataView(models.buffer);
        for (let m = 0; m < 32; m++) {
          view.setInt32(m * 112, m >> 1, true);
          for (let t = 0; t < 3; t++)
            tables[m & 1].forEach((start, s) => view.setUint16(m * 112 + 4 + t * 36 + s * 2, start, true));
        }
        const modelsAt = desk.put(models);
        const room = desk.room(64);
        const end = room + 64;
        const [columns, none, values, out] = [desk.room(4), desk.put(new Int16Array(2)), desk.room(4), desk.room(4)];
        const shape = [1, 2, 2, modelsAt, 32, columns, 0, none, 0, 0] as const;
        const write = (at: number, pair: readonly number[]): void =>
          engine.u8.set(new Uint8Array(Int16Array.from(pair).buffer), at);
        for (let first = 0; first < 12; first++) {
          for (let second = 0; second < 12; second++) {
            for (let bits = -1; bits < 4; bits++) {
              const far = bits < 0 ? low : high - 1 + 2 ** bits;
              const pair = [far * 2 ** second - ((2 ** second) >> 1), low * 2 ** first - ((2 ** first) >> 1)];
              if (pair.some((value) => value !== (value << 16) >> 16)) continue;
              // The last column is written first.
              write(columns, [bits < 0 ? second * 2 : second * 2 + 1, first * 2]);
              write(values, pair);
              write(out, [0, 0]);
              const start = kernels.writeRows(end, ...shape, values, 0);
              expect(kernels.readRows(start, end, ...shape, out, 0), String([rare, first, second, bits])).toBe(0);
              expect([...new Int16Array(engine.u8.buffer, out, 2)]).toEqual(pair);
            }
          }
        }
      });
    }
  });
});

describe("matrices", () => {
  test("packed by rows and by columns, and multiplied", () => {
    const random = randomOf(5);
    for (const columns of WIDTHS) {
      desk.atEnds(() => {
        const depth = 5;
        const capacity = 8;
        const matrix = whole(random, depth * columns);
        const packed = desk.room(kernels.packedBytes(capacity, columns));
        const matrixAt = desk.put(matrix);
        // In two parts.
        kernels.packRows(matrixAt, 2, columns, 0, capacity, packed);
        kernels.packRows(matrixAt + 2 * columns * 4, 3, columns, 2, capacity, packed);
        const transposed = desk.room(kernels.packedBytes(columns, capacity));
        kernels.packColumns(matrixAt, depth, columns, 0, transposed);
        for (const n of [1, 2, 3, 4, 5, 9]) {
          for (const based of [false, true]) {
            const [xStride, outStride] = [depth + 1, columns + 2];
            const [x, base] = [whole(random, n * xStride), whole(random, columns)];
            const out = desk.room(n * outStride * 4);
            const baseAt = based ? desk.put(base) : 0;
            kernels.product(desk.put(x), n, xStride, depth, packed, capacity, columns, baseAt, out, outStride);
            const y = whole(random, n * columns);
            const back = desk.room(n * depth * 4);
            kernels.product(desk.put(y), n, columns, columns, transposed, columns, depth, 0, back, depth);
            for (let i = 0; i < n; i++) {
              const own = Array.from({ length: columns }, (_, j) => {
                let sum = based ? base[j] : 0;
                for (let l = 0; l < depth; l++) sum += x[i * xStride + l] * matrix[l * columns + j];
                return sum + 0;
              });
              expect(plain(desk.floats(out + i * outStride * 4, columns))).toEqual(own);
              expect(desk.floats(out + (i * outStride + columns) * 4, 2)).toEqual([NaN, NaN]);
              expect(plain(desk.floats(back + i * depth * 4, depth))).toEqual(
                Array.from({ length: depth }, (_, l) => dot(rowOf(matrix, columns, l), rowOf(y, columns, i)) + 0),
              );
            }
          }
        }
      });
    }
  });

  test("products of all pairs of columns, right of the diagonal", () => {
    const random = randomOf(6);
    for (const d of WIDTHS) {
      for (const n of [1, 3, 64]) {
        desk.atEnds(() => {
          const rows = whole(random, n * d);
          const matrix = desk.own(new Float64Array(d * d).fill(0.5));
          kernels.addProducts(desk.put(rows), n, d, matrix, desk.room(kernels.packedBytes(n, d) + d * n * 4));
          const all = desk.doubles(matrix, d * d);
          for (let i = 0; i < d; i++) {
            for (let j = i; j < d; j++) {
              let sum = 0.5;
              for (let l = 0; l < n; l++) sum += rows[l * d + i] * rows[l * d + j];
              expect(all[i * d + j]).toBe(sum);
            }
          }
        });
      }
    }
  });

  test("a basis: of length 1 and at right angles, block after block, and rows that depend on others are told", () => {
    const random = randomOf(7);
    for (const d of [8, 11, 40, 45]) {
      desk.atEnds(() => {
        const capacity = Math.ceil(d / 8) * 8;
        const asRows = desk.room(kernels.packedBytes(capacity, d));
        const asColumns = desk.room(kernels.packedBytes(d, capacity));
        const scratch = desk.room(kernels.orthonormalizeScratch(d, capacity));
        const basis: Float32Array[] = [];
        for (let first = 0; first < d; first += 8) {
          const n = Math.min(8, d - first);
          const rows = uniform(random, n * d);
          // Nearly all of it lies along one before: what is left is cleaned once more.
          if (first > 0) for (let j = 0; j < d; j++) rows[j] = basis[0][j] + 0.01 * rows[j];
          const at = desk.own(rows);
          expect(kernels.orthonormalize(at, n, d, first, capacity, asRows, asColumns, scratch)).toBe(0);
          for (let i = 0; i < n; i++) basis.push(Float32Array.from(desk.floats(at + i * d * 4, d)));
          if (first + 8 <= d) {
            for (const bad of [new Float32Array(d), new Float32Array(d).fill(NaN), basis[first], rowOf(rows, d, 0)]) {
              const own = Float32Array.from([...uniform(random, d), ...bad, ...bad]);
              expect(
                kernels.orthonormalize(
                  desk.own(own),
                  3,
                  d,
                  first + 8 > d ? first : 0,
                  capacity,
                  asRows,
                  asColumns,
                  scratch,
                ),
              ).toBe(1);
            }
          }
        }
        basis.forEach((row, i) =>
          basis
            .slice(0, i + 1)
            .forEach((other, j) => expect(Math.abs(dot(row, other) - (i === j ? 1 : 0))).toBeLessThan(2e-6)),
        );
      });
    }
  });
});
