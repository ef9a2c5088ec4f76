import { expect, test } from "vitest";
import { METRIC_INNER_PRODUCT, METRIC_L2 } from "../src/index.js";
import { Engine } from "../src/wasm/engine.js";
import { moreKernels } from "../src/wasm/more.js";
import { Desk } from "./desk.js";
import { below, randomOf, uniform } from "./random.js";
import type { Random } from "./random.js";
import { rowOf } from "./reference.js";

// Kernels of product quantizers, each beside its definition, to the bit.

const engine = new Engine();
const { kernels } = engine;
const more = moreKernels(engine);
const desk = new Desk(engine);
const { fround: f } = Math;

/** Halves of a few sizes, of which many are equal, among which sums of squares are too. */
function halves(random: Random, n: number, most = 4): Float32Array {
  return Float32Array.from({ length: n }, () => (below(random, 2 * most + 1) - most) / 2);
}

/** Sub-quantizer m of a codebook of K centroids. */
function centroid(codebook: Float32Array, K: number, sub: number, m: number, c: number): Float32Array {
  return rowOf(codebook, sub, m * K + c);
}

function squared(x: Float32Array, y: Float32Array): number {
  return x.reduce((sum, value, j) => f(sum + f(f(value - y[j]) ** 2)), 0);
}

/** The first of the nearest centroids, and how far it is. */
function nearest(x: Float32Array, codebook: Float32Array, K: number, m: number): [number, number] {
  const all = Array.from({ length: K }, (_, c) => squared(x, centroid(codebook, K, x.length, m, c)));
  const least = Math.min(...all);
  return [all.indexOf(least), least];
}

/** A row of numbers of so many bits, low bits first. */
function packed(numbers: readonly number[], bits: number, bytes: number): Uint8Array {
  const row = new Uint8Array(bytes);
  numbers.forEach((number, m) => {
    for (let bit = 0; bit < bits; bit++)
      if ((number >> bit) & 1) row[(m * bits + bit) >> 3] |= 1 << ((m * bits + bit) & 7);
  });
  return row;
}

function transposed(codebook: Float32Array, M: number, given: number, K: number, sub: number): number {
  const at = desk.room(M * sub * K * 4);
  kernels.transposeCodebook(desk.put(codebook), M, given, K, sub, at);
  return at;
}

test("codebooks are transposed, and filled up with what is infinitely far", () => {
  const random = randomOf(1);
  for (const [M, given, K, sub] of [
    [1, 16, 16, 1],
    [3, 16, 16, 3],
    [2, 2, 16, 5],
    [2, 17, 32, 2],
    [1, 256, 256, 4],
  ]) {
    desk.atEnds(() => {
      const codebook = uniform(random, M * given * sub);
      const at = transposed(codebook, M, given, K, sub);
      for (let m = 0; m < M; m++)
        for (let j = 0; j < sub; j++)
          expect(desk.floats(at + (m * sub + j) * K * 4, K)).toEqual(
            Array.from({ length: K }, (_, c) => (c < given ? codebook[(m * given + c) * sub + j] : Infinity)),
          );
    });
  }
});

test("lengths of centroids, and how far those of a sub-quantizer are spread", () => {
  const random = randomOf(2);
  for (const [M, sub] of [
    [1, 1],
    [3, 2],
    [2, 5],
  ]) {
    desk.atEnds(() => {
      const codebook = uniform(random, M * 16 * sub, 3);
      const [lengths, spreads] = [desk.room(M * 16 * 4), desk.room(M * 8)];
      kernels.measureCodebook(desk.put(codebook), M, sub, lengths, spreads);
      for (let m = 0; m < M; m++) {
        const own = Array.from({ length: 16 }, (_, c) => centroid(codebook, 16, sub, m, c));
        expect(desk.floats(lengths + m * 64, 16)).toEqual(
          own.map((c) => c.reduce((sum, value) => f(sum + f(value * value)), 0)),
        );
        const mean = Array.from({ length: sub }, (_, j) => own.reduce((sum, c) => sum + c[j] / 16, 0));
        const spread = own.reduce((sum, c) => sum + c.reduce((part, value, j) => part + (value - mean[j]) ** 2, 0), 0);
        expect(Math.abs(desk.doubles(spreads + m * 8, 1)[0] / spread - 1)).toBeLessThan(1e-12);
      }
    });
  }
});

test("the first of the nearest centroids, the vectors that numbers stand for, and tables", () => {
  const random = randomOf(3);
  for (const [M, K, sub] of [
    [1, 16, 1],
    [3, 16, 3],
    [2, 48, 2],
    [2, 256, 5],
    [5, 16, 4],
  ]) {
    for (const few of [true, false]) {
      const some = (n: number): Float32Array => (few ? halves(random, n) : uniform(random, n));
      for (const n of [0, 1, 3]) {
        desk.atEnds(() => {
          const [codebook, vectors] = [some(M * K * sub), some(n * M * sub)];
          const at = transposed(codebook, M, K, K, sub);
          const [vectorsAt, numbers] = [desk.put(vectors), desk.room(n * M)];
          const errors = desk.own(new Float64Array(M).fill(0.25));
          kernels.quantize(vectorsAt, n, M, K, sub, at, numbers, errors);
          const own = Array.from({ length: n * M }, (_, i) => nearest(rowOf(vectors, sub, i), codebook, K, i % M));
          expect([...engine.u8.slice(numbers, numbers + n * M)]).toEqual(own.map(([number]) => number));
          expect(desk.doubles(errors, M)).toEqual(
            Array.from({ length: M }, (_, m) =>
              own.reduce((sum, [, least], i) => sum + (i % M === m ? least : 0), 0.25),
            ),
          );
          const others = desk.room(n * M);
          kernels.quantize(vectorsAt, n, M, K, sub, at, others, 0);
          expect(engine.u8.slice(others, others + n * M)).toEqual(engine.u8.slice(numbers, numbers + n * M));
          const back = desk.room(n * M * sub * 4);
          kernels.dequantize(numbers, n, M, K, sub, desk.put(codebook), back);
          expect(desk.floats(back, n * M * sub)).toEqual(
            own.flatMap(([number], i) => [...centroid(codebook, K, sub, i % M, number)]),
          );
          for (const metric of n === 0 ? [] : [METRIC_L2, METRIC_INNER_PRODUCT]) {
            const table = desk.room(M * K * 4);
            kernels.lookUpTable(vectorsAt, M, K, sub, at, metric, table);
            expect(desk.floats(table, M * K).map((x) => x + 0)).toEqual(
              Array.from({ length: M * K }, (_, i) => {
                const [m, c] = [Math.floor(i / K), i % K];
                const [x, y] = [rowOf(vectors, sub, m), centroid(codebook, K, sub, m, c)];
                return metric === METRIC_L2
                  ? squared(x, y)
                  : x.reduce((sum, value, j) => f(sum + f(value * y[j])), 0) + 0;
              }),
            );
          }
        });
      }
    }
  }
});

test("numbers of any bits: rows, the vectors they stand for, and terms", () => {
  const random = randomOf(4);
  for (const bits of [1, 3, 4, 5, 7, 8, 9, 11, 12]) {
    const given = 2 ** bits;
    const K = Math.max(16, given);
    for (const [M, sub] of [
      [1, 1],
      [3, 2],
      [7, 3],
    ]) {
      desk.atEnds(() => {
        const [n, nlist] = [3, 4];
        const codebook = uniform(random, M * given * sub);
        const vectors = uniform(random, n * M * sub);
        // One that is the last centroid, all of whose bits are set.
        for (let m = 0; m < M; m++) vectors.set(centroid(codebook, given, sub, m, given - 1), m * sub);
        const at = transposed(codebook, M, given, K, sub);
        const bytes = Math.ceil((M * bits) / 8);
        const rowBytes = bytes + 5;
        const rows = desk.room(n * rowBytes + 4);
        more.encodeProduct(desk.put(vectors), n, M, bits, K, sub, at, rows, rowBytes);
        const numbers = Array.from({ length: n }, (_, i) =>
          Array.from({ length: M }, (__, m) => nearest(rowOf(vectors, sub, i * M + m), codebook, given, m)[0]),
        );
        numbers.forEach((own, i) => {
          const row = rows + i * rowBytes;
          expect(engine.u8.slice(row, row + rowBytes)).toEqual(packed(own, bits, rowBytes));
        });
        expect(numbers[0]).toEqual(new Array(M).fill(given - 1));
        const [codebookAt, out] = [desk.put(codebook), desk.room(n * M * sub * 4)];
        more.decodeProduct(rows, rowBytes, n, M, bits, sub, codebookAt, out);
        const decoded = numbers.map((own) => own.flatMap((c, m) => [...centroid(codebook, given, sub, m, c)]));
        expect(desk.floats(out, n * M * sub)).toEqual(decoded.flat());
        const [centroids, cells] = [uniform(random, nlist * M * sub), [3, 0, 2]];
        more.termsOfProduct(
          rows,
          rowBytes,
          n,
          M,
          bits,
          sub,
          codebookAt,
          desk.put(centroids),
          desk.put(Int32Array.from(cells)),
        );
        numbers.forEach((own, i) => {
          const row = rows + i * rowBytes;
          expect(engine.u8.slice(row, row + rowBytes - 4)).toEqual(packed(own, bits, rowBytes).subarray(0, -4));
          const term = new DataView(engine.u8.buffer, row + rowBytes - 4).getFloat32(0, true);
          const cell = rowOf(centroids, M * sub, cells[i]);
          expect(term).toBe(f(decoded[i].reduce((sum, r, j) => sum + r * (r + 2 * cell[j]), 0)));
        });
      });
    }
  }
});

test("numbers of 16 bits, all of which are set, and rows that end with them", () => {
  const [K, n] = [2 ** 16, 2];
  const codebook = Float32Array.from({ length: K }, (_, c) => c);
  const at = transposed(codebook, 1, K, K, 1);
  const rows = desk.room(n * 2);
  more.encodeProduct(desk.put(Float32Array.of(258, 65535)), n, 1, 16, K, 1, at, rows, 2);
  expect([...engine.u8.slice(rows, rows + 4)]).toEqual([2, 1, 255, 255]);
  desk.clear();
});

test("sums of sub-vectors by their nearest centroids, of some sub-quantizers of all", () => {
  const random = randomOf(5);
  for (const [all, M, bits, sub] of [
    [1, 1, 4, 2],
    [5, 2, 4, 3],
    [3, 3, 8, 1],
    [4, 3, 3, 2],
  ]) {
    const given = 2 ** bits;
    const K = Math.max(16, given);
    // Vectors go by 32.
    for (const n of [0, 1, 31, 32, 33, 70]) {
      desk.atEnds(() => {
        const codebook = halves(random, M * given * sub);
        const vectors = halves(random, n * all * sub);
        const at = transposed(codebook, M, given, K, sub);
        const sums = desk.own(new Float32Array(M * given * sub).fill(0.5));
        const counts = desk.own(new Int32Array(M * given).fill(2));
        const errors = desk.own(new Float64Array(M).fill(0.25));
        kernels.trainProduct(desk.put(vectors), n, all, M, bits, K, sub, at, sums, counts, errors);
        const expected = {
          sums: new Float32Array(M * given * sub).fill(0.5),
          counts: new Array<number>(M * given).fill(2),
          errors: new Array<number>(M).fill(0.25),
        };
        for (let i = 0; i < n; i++) {
          for (let m = 0; m < M; m++) {
            const x = rowOf(vectors, sub, i * all + m);
            const [number, least] = nearest(x, codebook, given, m);
            const own = m * given + number;
            expected.counts[own]++;
            expected.errors[m] += least;
            x.forEach((value, j) => (expected.sums[own * sub + j] += value));
          }
        }
        expect(desk.floats(sums, M * given * sub)).toEqual([...expected.sums]);
        expect(desk.ints(counts, M * given)).toEqual(expected.counts);
        expect(desk.doubles(errors, M)).toEqual(expected.errors);
      });
    }
  }
});

test("groups of centroids: each has 16 in order, halved where they differ most, and their box", () => {
  const random = randomOf(6);
  for (const [M, sub] of [
    [1, 1],
    [2, 3],
    [1, 4],
  ]) {
    for (const few of [true, false]) {
      const codebook = few ? halves(random, M * 256 * sub) : uniform(random, M * 256 * sub);
      const bytes = more.groupsBytes(M, sub);
      const groups = desk.room(bytes);
      more.makeGroups(desk.put(codebook), M, sub, groups);
      for (let m = 0; m < M; m++) {
        const of = (c: number, j: number): number => centroid(codebook, 256, sub, m, c)[j];
        const at = groups + (bytes / M) * m;
        const order = at + (256 + 32) * sub * 4;
        const all = [...engine.u8.slice(order, order + 256)];
        const parts = halved(
          Array.from({ length: 256 }, (_, c) => c),
          of,
          sub,
        );
        if (!few) expect(all).toEqual(parts.flatMap((part) => part.sort((a, b) => a - b)));
        expect(all.slice().sort((a, b) => a - b)).toEqual(Array.from({ length: 256 }, (_, c) => c));
        for (let g = 0; g < 16; g++) {
          const members = all.slice(g * 16, g * 16 + 16);
          expect(members).toEqual(members.slice().sort((a, b) => a - b));
          for (let j = 0; j < sub; j++) {
            const own = members.map((c) => of(c, j));
            expect(desk.floats(at + (g * sub + j) * 64, 16)).toEqual(own);
            expect(desk.floats(at + 256 * sub * 4 + (j * 16 + g) * 4, 1)).toEqual([Math.min(...own)]);
            expect(desk.floats(at + 272 * sub * 4 + (j * 16 + g) * 4, 1)).toEqual([Math.max(...own)]);
          }
        }
      }
      for (const n of [0, 1, 5]) {
        const vectors = few ? halves(random, n * M * sub, 6) : uniform(random, n * M * sub, 1.3);
        const numbers = desk.room(n * M);
        const sums = desk.own(new Float32Array(M * 256 * sub).fill(0.5));
        const counts = desk.own(new Int32Array(M * 256).fill(2));
        const errors = desk.own(new Float64Array(M).fill(0.25));
        const vectorsAt = desk.put(vectors);
        more.quantizeByGroups(vectorsAt, n, M, sub, groups, numbers, errors, sums, counts);
        const own = Array.from({ length: n * M }, (_, i) => nearest(rowOf(vectors, sub, i), codebook, 256, i % M));
        expect([...engine.u8.slice(numbers, numbers + n * M)]).toEqual(own.map(([number]) => number));
        const expectedSums = new Float32Array(M * 256 * sub).fill(0.5);
        const expectedCounts = new Array<number>(M * 256).fill(2);
        own.forEach(([number], i) => {
          const to = (i % M) * 256 + number;
          expectedCounts[to]++;
          rowOf(vectors, sub, i).forEach((value, j) => (expectedSums[to * sub + j] += value));
        });
        expect(desk.floats(sums, expectedSums.length)).toEqual([...expectedSums]);
        expect(desk.ints(counts, expectedCounts.length)).toEqual(expectedCounts);
        desk.doubles(errors, M).forEach((error, m) => {
          const exact = own.reduce((sum, [, least], i) => sum + (i % M === m ? least : 0), 0);
          expect(error).toBe(exact + 0.25);
        });
        const others = desk.room(n * M);
        more.quantizeByGroups(vectorsAt, n, M, sub, groups, others, errors, 0, 0);
        expect(engine.u8.slice(others, others + n * M)).toEqual(engine.u8.slice(numbers, numbers + n * M));
      }
      desk.clear();
    }
  }
});

/** Sixteen parts of some centroids, halved along the dimension in which they differ most, the first of equals. */
function halved(some: number[], of: (c: number, j: number) => number, sub: number): number[][] {
  if (some.length === 16) return [some];
  const widths = Array.from({ length: sub }, (_, j) => {
    const own = some.map((c) => of(c, j));
    return f(Math.max(...own) - Math.min(...own));
  });
  const widest = widths.indexOf(Math.max(...widths));
  const order = some.slice().sort((a, b) => of(a, widest) - of(b, widest));
  return [order.slice(0, some.length / 2), order.slice(some.length / 2)].flatMap((half) => halved(half, of, sub));
}

test("of 16 groups only those whose box is near enough are looked at", () => {
  // Sixteen clusters far from each other: each box holds one.
  const random = randomOf(7);
  const sub = 2;
  const codebook = Float32Array.from({ length: 256 * sub }, (_, at) => {
    const cluster = (at >> 1) & 15;
    return (at & 1 ? cluster >> 2 : cluster & 3) * 100 + random();
  });
  const groups = desk.room(more.groupsBytes(1, sub));
  more.makeGroups(desk.put(codebook), 1, sub, groups);
  const order = groups + (256 + 32) * sub * 4;
  const numbers = desk.room(1);
  const errors = desk.own(new Float64Array(1));
  let seen = 0;
  for (let c = 0; c < 256; c++) {
    const x = desk.put(codebook.subarray(c * sub, c * sub + sub));
    for (let g = 0; g < 16; g++) {
      // Behind its box, what a group has becomes what is sought.
      const at = (groups >>> 2) + g * 16 * sub;
      const kept = engine.f32.slice(at, at + 16 * sub);
      for (let j = 0; j < sub; j++) engine.f32.fill(codebook[c * sub + j], at + j * 16, at + j * 16 + 16);
      more.quantizeByGroups(x, 1, 1, sub, groups, numbers, errors, 0, 0);
      if (engine.u8.subarray(order + g * 16, order + g * 16 + 16).includes(engine.u8[numbers])) seen++;
      engine.f32.set(kept, at);
    }
  }
  // Each time it was the group that has it.
  expect(seen).toBe(256);
  desk.clear();
});
