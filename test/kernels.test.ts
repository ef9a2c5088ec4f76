import { describe, expect, test } from "vitest";
import { METRIC_INNER_PRODUCT, METRIC_L2 } from "../src/index.js";
import type { Metric } from "../src/index.js";
import { Engine } from "../src/wasm/engine.js";
import { moreKernels } from "../src/wasm/more.js";
import { Desk } from "./desk.js";
import { below, randomOf, shuffled } from "./random.js";
import type { Random } from "./random.js";
import { best, NOTHING, resultOf, rowOf } from "./reference.js";
import type { Candidate } from "./reference.js";

// Kernels that are small, each beside its definition, of all sizes that vectors of lanes leave a rest of. Numbers are whole and small, so
// that sums are exact in any order, and many are equal.

const engine = new Engine();
const { kernels } = engine;
const more = moreKernels(engine);
const desk = new Desk(engine);
const { fround: f } = Math;

const SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 19, 33];
const METRICS = [METRIC_L2, METRIC_INNER_PRODUCT] as const;

/** Whole numbers from -most to most. */
function whole(random: Random, n: number, most = 6): Float32Array {
  return Float32Array.from({ length: n }, () => below(random, 2 * most + 1) - most);
}

function dot(x: Float32Array, y: Float32Array): number {
  return x.reduce((sum, value, i) => sum + value * y[i], 0);
}

function keyOf(x: Float32Array, y: Float32Array, metric: Metric): number {
  return metric === METRIC_INNER_PRODUCT ? -dot(x, y) : x.reduce((sum, value, i) => sum + (value - y[i]) ** 2, 0);
}

describe("rows and ids", () => {
  test("the first number that is not finite, wherever it is", () => {
    for (let n = 0; n < 14; n++) {
      const numbers = Float32Array.from({ length: n }, (_, i) => [NOTHING, -0, 1e-45, -NOTHING, 3][i % 5]);
      expect(kernels.firstNotFinite(desk.put(numbers), n)).toBe(-1);
      for (let at = 0; at < n; at++) {
        for (const bad of [NaN, Infinity, -Infinity]) {
          for (const other of [at, n - 1]) {
            const spoilt = numbers.slice();
            spoilt[at] = spoilt[other] = bad;
            expect(kernels.firstNotFinite(desk.put(spoilt), n)).toBe(at);
          }
        }
      }
      desk.clear();
    }
  });

  test("gathered, scattered and spread", () => {
    const random = randomOf(1);
    for (const size of [4, 8, 12, 16, 20, 68]) {
      desk.atEnds(() => {
        const n = 7;
        const rows = Uint8Array.from({ length: n * size }, () => below(random, 256));
        const slots = shuffled(random, [9, 0, 3, 4, 11, 7, 1]);
        const storage = desk.room(12 * size);
        const untouched = engine.u8.slice(storage, storage + 12 * size);
        kernels.scatterRows(desk.put(rows), n, size, desk.put(Int32Array.from(slots)), storage);
        const stored = engine.u8.slice(storage, storage + 12 * size);
        slots.forEach((slot, i) =>
          expect(stored.subarray(slot * size, slot * size + size)).toEqual(rows.subarray(i * size, i * size + size)),
        );
        // Others are as they were.
        for (const slot of [2, 5, 6, 8, 10]) {
          const own = slot * size;
          expect(stored.subarray(own, own + size)).toEqual(untouched.subarray(own, own + size));
        }
        const out = desk.room(9 * size);
        kernels.gatherRows(storage, size, desk.put(Int32Array.from([-1, ...slots, -1])), 9, out);
        const zeros = new Uint8Array(size);
        expect(engine.u8.slice(out, out + 9 * size)).toEqual(Uint8Array.from([...zeros, ...rows, ...zeros]));
        const apart = desk.room(n * (size + 8));
        engine.u8.set(rows, apart);
        kernels.spreadRows(apart, n, size, size + 8);
        for (let i = 0; i < n; i++) {
          const at = apart + i * (size + 8);
          expect(engine.u8.slice(at, at + size)).toEqual(rows.slice(i * size, i * size + size));
        }
      });
    }
  });

  test("ids of slots, and whether one is wide", () => {
    desk.atEnds(() => {
      const ids = [5n, -1n, 2n ** 31n - 1n, -(2n ** 31n), 2n ** 40n, 7n];
      const idsAt = desk.put(BigInt64Array.from(ids));
      const slots = [5, -1, 0, 2, 3, 1, -1];
      const at = desk.own(Int32Array.from(slots));
      const wide = desk.room(slots.length * 8);
      const read = (): bigint[] => [...engine.i64.subarray(wide >>> 3, (wide >>> 3) + slots.length)];
      kernels.mapSlotsWide(at, slots.length, 0, wide);
      expect(read()).toEqual(slots.map(BigInt));
      kernels.mapSlotsWide(at, slots.length, idsAt, wide);
      expect(read()).toEqual(slots.map((slot) => (slot < 0 ? -1n : ids[slot])));
      kernels.mapSlots(at, slots.length, idsAt);
      expect(desk.ints(at, slots.length)).toEqual(slots.map((slot) => (slot < 0 ? -1 : Number(ids[slot]))));
    });
    for (let n = 0; n < 4; n++) {
      desk.atEnds(() => {
        const narrow = [-(2n ** 31n), 2n ** 31n - 1n, 0n].slice(0, n);
        expect(kernels.hasWideIds(desk.put(BigInt64Array.from(narrow)), n)).toBe(0);
        for (let i = 0; i < n; i++)
          for (const id of [2n ** 31n, -(2n ** 31n) - 1n, 2n ** 32n])
            expect(
              kernels.hasWideIds(desk.put(BigInt64Array.from(narrow.map((other, j) => (j === i ? id : other)))), n),
            ).toBe(1);
      });
    }
  });

  test("entries sorted, equal ones by id", () => {
    const random = randomOf(2);
    for (const metric of METRICS) {
      for (const n of [0, 1, 2, 3, 8, 40, 65]) {
        const ids = shuffled(
          random,
          Array.from({ length: 100 }, (_, i) => BigInt(i) * 2n ** 33n - 50n),
        );
        for (const own of [true, false]) {
          desk.atEnds(() => {
            const slots = shuffled(
              random,
              Array.from({ length: 100 }, (_, i) => i),
            ).slice(0, n);
            const keys = whole(random, n, 3);
            const idOf = (slot: number): bigint => (own ? ids[slot] : BigInt(slot));
            const order = slots
              .map((slot, i) => ({ slot, key: keys[i], id: idOf(slot) }))
              .sort((a, b) => a.key - b.key || (a.id < b.id === (metric === METRIC_L2) ? -1 : 1));
            const [keysAt, slotsAt] = [desk.own(keys), desk.own(Int32Array.from(slots))];
            kernels.sortEntries(keysAt, slotsAt, n, own ? desk.put(BigInt64Array.from(ids)) : 0, metric);
            expect(desk.ints(slotsAt, n)).toEqual(order.map(({ slot }) => slot));
            expect(desk.floats(keysAt, n)).toEqual(order.map(({ key }) => key));
          });
        }
      }
    }
  });
});

describe("products and means", () => {
  test("inner products of a tile, and squares", () => {
    const random = randomOf(3);
    for (const d of SIZES) {
      for (const [nq, n, wider] of [
        [1, 1, 0],
        [2, 3, 4],
        [3, 4, 0],
        [5, 9, 8],
        [4, 6, 0],
      ]) {
        desk.atEnds(() => {
          const [queries, rows] = [whole(random, nq * d), whole(random, n * d)];
          const stride = Math.ceil(n / 4) * 4 + wider;
          const tile = desk.room(nq * stride * 4);
          kernels.innerProducts(desk.put(queries), nq, desk.put(rows), n, d, tile, stride);
          for (let i = 0; i < nq; i++)
            expect(desk.floats(tile + i * stride * 4, n)).toEqual(
              Array.from({ length: n }, (_, j) => dot(rowOf(queries, d, i), rowOf(rows, d, j))),
            );
          const [norms, halves] = [desk.room(n * 4), desk.room(n * 4)];
          kernels.squaredNorms(desk.put(rows), n, d, norms);
          kernels.halfNorms(desk.put(rows), n, d, halves);
          const squares = Array.from({ length: n }, (_, j) => dot(rowOf(rows, d, j), rowOf(rows, d, j)));
          expect(desk.floats(norms, n)).toEqual(squares);
          expect(desk.floats(halves, n)).toEqual(squares.map((square) => square / 2));
        });
      }
    }
  });

  test("the first of the nearest centroids, over tiles of them", () => {
    const random = randomOf(4);
    for (const [k, d] of [
      [1, 3],
      [2, 1],
      [5, 4],
      [63, 2],
      [64, 5],
      [65, 2],
      [130, 3],
      [200, 6],
    ]) {
      const n = 7;
      const [points, centroids] = [whole(random, n * d, 3), whole(random, k * d, 3)];
      for (const spherical of [false, true]) {
        desk.atEnds(() => {
          const half = desk.put(
            Float32Array.from({ length: Math.ceil(k / 4) * 4 }, (_, j) =>
              spherical || j >= k ? 0 : dot(rowOf(centroids, d, j), rowOf(centroids, d, j)) / 2,
            ),
          );
          const [lists, scores] = [desk.room(n * 4), desk.room(n * 4)];
          kernels.assign(
            desk.put(points),
            n,
            desk.put(centroids),
            half,
            k,
            d,
            lists,
            scores,
            desk.room(kernels.assignScratch(n)),
          );
          const found = Array.from({ length: n }, (_, i) => {
            let nearest = { list: 0, score: Infinity };
            for (let j = 0; j < k; j++) {
              const centroid = rowOf(centroids, d, j);
              const score = (spherical ? 0 : dot(centroid, centroid) / 2) - dot(rowOf(points, d, i), centroid);
              if (score < nearest.score) nearest = { list: j, score };
            }
            return nearest;
          });
          expect(desk.ints(lists, n)).toEqual(found.map(({ list }) => list));
          expect(desk.floats(scores, n)).toEqual(found.map(({ score }) => score));
        });
      }
    }
  });

  test("sums of points by centroid, of some centroids alone, their means and lengths", () => {
    const random = randomOf(5);
    for (const d of SIZES) {
      const [n, k] = [23, 6];
      const points = whole(random, n * d);
      // Nobody is nearest to centroid 4.
      const lists = Array.from({ length: n }, () => [0, 1, 2, 3, 5][below(random, 5)]);
      for (const [first, some] of [
        [0, k],
        [2, 2],
        [5, 1],
      ]) {
        desk.atEnds(() => {
          const [sums, counts] = [desk.own(new Float32Array(k * d)), desk.own(new Int32Array(k))];
          kernels.accumulate(desk.put(points), n, d, desk.put(Int32Array.from(lists)), sums, counts, first, some);
          const expected = new Float32Array(k * d);
          const own = Array.from({ length: k }, () => 0);
          lists.forEach((list, i) => {
            if (list < first || list >= first + some) return;
            own[list]++;
            for (let j = 0; j < d; j++) expected[list * d + j] += points[i * d + j];
          });
          expect(desk.floats(sums, k * d)).toEqual([...expected]);
          expect(desk.ints(counts, k)).toEqual(own);
          kernels.average(sums, counts, k, d);
          expect(desk.floats(sums, k * d)).toEqual(
            [...expected].map((sum, at) => f(sum * f(1 / (own[Math.floor(at / d)] || 1)))),
          );
        });
      }
      desk.atEnds(() => {
        const rows = whole(random, 3 * d);
        rows.fill(0, d, 2 * d);
        const at = desk.own(rows);
        kernels.normalize(at, 3, d);
        const scales = [0, 1, 2].map((i) => 1 / Math.sqrt(dot(rowOf(rows, d, i), rowOf(rows, d, i)) || 1));
        desk.floats(at, 3 * d).forEach((value, j) => expect(value).toBeCloseTo(rows[j] * scales[Math.floor(j / d)], 6));
      });
    }
  });

  test("centroids taken from vectors and given back, by list and by slot, whatever lists are empty", () => {
    const random = randomOf(6);
    for (const d of [1, 4, 6]) {
      desk.atEnds(() => {
        // Lists 1, 2 and 5 have no slots; one without slots starts where the next does.
        const starts = [0, 3, 3, 3, 8, 9, 9];
        const ownerOf = (slot: number): number => (slot < 3 ? 0 : slot < 8 ? 3 : slot < 9 ? 4 : 6);
        const centroids = whole(random, starts.length * d);
        const slots = [...Array.from({ length: 14 }, (_, i) => i), -1];
        const vectors = whole(random, slots.length * d);
        const own = (sign: number): number[] =>
          [...vectors].map((value, at) => {
            const slot = slots[Math.floor(at / d)];
            return slot < 0 ? value : value + sign * centroids[ownerOf(slot) * d + (at % d)];
          });
        const added = desk.own(vectors);
        const centroidsAt = desk.put(centroids);
        const startsAt = desk.put(Int32Array.from(starts));
        kernels.addCentroids(added, 15, d, desk.put(Int32Array.from(slots)), startsAt, 7, centroidsAt);
        expect(desk.floats(added, 15 * d)).toEqual(own(1));
        const taken = desk.own(vectors);
        kernels.lessCentroids(taken, 14, d, desk.put(Int32Array.from(slots.slice(0, 14), ownerOf)), centroidsAt);
        expect(desk.floats(taken, 14 * d)).toEqual(own(-1).slice(0, 14 * d));
        // One list alone.
        const one = desk.own(vectors);
        kernels.addCentroids(one, 15, d, desk.put(new Int32Array(15)), startsAt, 1, centroidsAt);
        expect(desk.floats(one, 15 * d)).toEqual([...vectors].map((value, at) => value + centroids[at % d]));
      });
    }
  });
});

describe("of what was found", () => {
  test("candidates are compared again, wherever some are missing", () => {
    const random = randomOf(7);
    for (const metric of METRICS) {
      for (const d of [1, 4, 7]) {
        for (const n of [1, 2, 3, 4, 5, 6, 7, 66, 130]) {
          for (const k of [1, 3, n + 2]) {
            for (const inOrder of [false, true]) {
              desk.atEnds(() => {
                const [nq, all] = [2, 200];
                const queries = whole(random, nq * d, 2);
                const storage = whole(random, all * d, 2);
                const slots = Array.from({ length: nq }, () => {
                  const some = shuffled(
                    random,
                    Array.from({ length: all }, (_, i) => i),
                  ).slice(0, n);
                  const share = random();
                  return some.map((slot) => (random() < share ? -1 : slot));
                }).flat();
                const rows = inOrder
                  ? Float32Array.from(slots.flatMap((slot) => [...rowOf(storage, d, Math.max(slot, 0))]))
                  : storage;
                const [keys, found] = [desk.room(nq * k * 4), desk.room(nq * k * 4)];
                const [queriesAt, candidates] = [desk.put(queries), desk.put(Int32Array.from(slots))];
                kernels.refineRows(queriesAt, nq, desk.put(rows), d, metric, inOrder, candidates, n, k, keys, found);
                for (let i = 0; i < nq; i++) {
                  const own: Candidate[] = slots
                    .slice(i * n, i * n + n)
                    .filter((slot) => slot >= 0)
                    .map((id) => ({ id, key: keyOf(rowOf(queries, d, i), rowOf(storage, d, id), metric) }));
                  const { distances, labels } = resultOf(best(own, k, metric), k, metric);
                  expect(desk.ints(found + i * k * 4, k).map(BigInt)).toEqual(labels);
                  expect(desk.floats(keys + i * k * 4, k)).toEqual(distances.map((distance) => distance + 0));
                }
              });
            }
          }
        }
      }
    }
  });

  test("matches get their distances, and other slots", () => {
    const random = randomOf(8);
    for (const metric of METRICS) {
      for (const inOrder of [false, true]) {
        desk.atEnds(() => {
          const [d, n] = [6, 9];
          const [queries, storage] = [whole(random, 4 * d), whole(random, 20 * d)];
          const matches = Int32Array.from({ length: 3 * n }, (_, i) => (i % 3 === 0 ? (i / 3) % 4 : -7));
          const slots = Array.from({ length: n }, () => below(random, 20));
          const rows = inOrder ? Float32Array.from(slots.flatMap((slot) => [...rowOf(storage, d, slot)])) : storage;
          const at = desk.own(matches);
          const slotsAt = desk.put(Int32Array.from(slots));
          kernels.compareMatches(desk.put(queries), d, metric, at, n, slotsAt, desk.put(rows), inOrder);
          for (let i = 0; i < n; i++) {
            expect(desk.ints(at + i * 12, 2)).toEqual([i % 4, slots[i]]);
            const key = keyOf(rowOf(queries, d, i % 4), rowOf(storage, d, slots[i]), metric);
            expect(desk.floats(at + i * 12 + 8, 1)[0]).toBeCloseTo(metric === METRIC_L2 ? key : -key, 5);
          }
        });
      }
    }
  });

  test("blends: weights by squared distances, hits, missing ones and rows without any", () => {
    const random = randomOf(9);
    for (const d of SIZES) {
      for (const inOrder of [false, true]) {
        desk.atEnds(() => {
          const [n, k, rate] = [5, 4, 0.75];
          const features = whole(random, n * d);
          const storage = whole(random, 30 * d);
          const distances = [
            [1, 2, 4, 8],
            [0, 0, 1, 3],
            [2, 2, NOTHING, NOTHING],
            [NOTHING, NOTHING, NOTHING, NOTHING],
            [0, 5, 6, 7],
          ];
          const slots = distances.map((row) => row.map((distance) => (distance === NOTHING ? -1 : below(random, 30))));
          const rows = inOrder
            ? Float32Array.from(slots.flat().flatMap((slot) => [...rowOf(storage, d, Math.max(slot, 0))]))
            : storage;
          const at = desk.own(features);
          const [distancesAt, slotsAt] = [
            desk.put(Float32Array.from(distances.flat())),
            desk.put(Int32Array.from(slots.flat())),
          ];
          const [weights, mean] = [desk.room(k * 4), desk.room(d * 4)];
          kernels.blendRows(at, n, d, rate, k, distancesAt, slotsAt, desk.put(rows), inOrder, weights, mean);
          distances.forEach((row, i) => {
            const exact = row.map((distance) => (row[0] > 0 ? (1 / distance) ** 2 : distance === 0 ? 1 : 0));
            const own = exact.map((weight, j) => (slots[i][j] < 0 ? 0 : weight));
            const total = own.reduce((sum, weight) => sum + weight, 0);
            const blended = desk.floats(at + i * d * 4, d);
            for (let j = 0; j < d; j++) {
              const value = own.reduce(
                (sum, weight, l) => sum + (weight === 0 ? 0 : weight * storage[slots[i][l] * d + j]),
                0,
              );
              const expected =
                total === 0 ? features[i * d + j] : rate * (value / total) + (1 - rate) * features[i * d + j];
              expect(blended[j]).toBeCloseTo(expected, 5);
            }
          });
        });
      }
    }
  });
});

describe("transforms", () => {
  test("linear ones and back, of any dimensions", () => {
    const random = randomOf(10);
    for (const din of [1, 3, 4, 5, 8, 11]) {
      for (const dout of [1, 2, 3, 4, 5, 7, 8, 12, 13]) {
        for (const n of [1, 2, 3]) {
          for (const biased of [false, true]) {
            desk.atEnds(() => {
              const [vectors, matrix, bias] = [whole(random, n * din), whole(random, dout * din), whole(random, dout)];
              const [matrixAt, biasAt] = [desk.put(matrix), biased ? desk.put(bias) : 0];
              const [out, back] = [desk.room(n * dout * 4), desk.room(n * din * 4)];
              const scratch = desk.room(more.applyLinearScratch(n, dout));
              more.applyLinear(desk.put(vectors), n, din, matrixAt, dout, biasAt, out, scratch);
              const expected = Array.from({ length: n * dout }, (_, at) => {
                const [i, j] = [Math.floor(at / dout), at % dout];
                return dot(rowOf(vectors, din, i), rowOf(matrix, din, j)) + (biased ? bias[j] : 0);
              });
              expect(desk.floats(out, n * dout).map((x) => x + 0)).toEqual(expected.map((x) => x + 0));
              // Behind what is undone stand numbers: NaN, if it were undone, would be what stands behind the result.
              const behind = desk.put(
                Float32Array.of(...desk.floats(out, n * dout), ...new Float32Array(dout).fill(1)),
              );
              more.undoLinear(behind, n, din, matrixAt, dout, biasAt, back);
              const returned = Array.from({ length: n * din }, (_, at) => {
                const [i, l] = [Math.floor(at / din), at % din];
                let sum = 0;
                for (let j = 0; j < dout; j++)
                  sum += (expected[i * dout + j] - (biased ? bias[j] : 0)) * matrix[j * din + l];
                return sum;
              });
              expect(desk.floats(back, n * din).map((x) => x + 0)).toEqual(returned.map((x) => x + 0));
            });
          }
        }
      }
    }
  });

  test("what numbers stand for, as columns that are filled up with zeros or not", () => {
    const random = randomOf(12);
    const [M, K] = [2, 256];
    for (const [n, pitch, sub] of [
      [3, 3, 2],
      [4, 4, 1],
      [3, 6, 3],
    ]) {
      desk.atEnds(() => {
        const codebook = whole(random, M * K * sub);
        const numbers = Uint8Array.from({ length: n * M }, () => below(random, K));
        const out = desk.room(M * sub * pitch * 4);
        more.decodeColumns(desk.put(numbers), n, M, sub, desk.put(codebook), out, pitch);
        const expected = Array.from({ length: M * sub * pitch }, (_, at) => {
          const [m, j, i] = [Math.floor(at / pitch / sub), Math.floor(at / pitch) % sub, at % pitch];
          return i < n ? codebook[(m * K + numbers[i * M + m]) * sub + j] : 0;
        });
        expect(desk.floats(out, expected.length)).toEqual(expected);
      });
    }
  });

  test("shifted, remapped and transposed", () => {
    const random = randomOf(11);
    for (const d of SIZES) {
      desk.atEnds(() => {
        const n = 3;
        const [vectors, mean] = [whole(random, n * d), whole(random, d)];
        const shifted = desk.own(vectors);
        more.shiftRows(shifted, n, d, desk.put(mean), -3);
        expect(desk.floats(shifted, n * d).map((x) => x + 0)).toEqual(
          [...vectors].map((x, at) => x - 3 * mean[at % d] + 0),
        );
        const dout = d + 2;
        const map = Int32Array.from(shuffled(random, [-1, -1, ...Array.from({ length: d }, (_, j) => j)]));
        // One that is left out.
        if (d > 2) map[map.indexOf(1)] = -1;
        const [vectorsAt, mapAt] = [desk.put(vectors), desk.put(map)];
        const [out, back] = [desk.room(n * dout * 4), desk.room(n * d * 4)];
        more.remapRows(vectorsAt, n, d, mapAt, dout, out);
        expect(desk.floats(out, n * dout)).toEqual(
          Array.from({ length: n * dout }, (_, at) => {
            const from = map[at % dout];
            return from < 0 ? 0 : vectors[Math.floor(at / dout) * d + from];
          }),
        );
        more.undoRemap(out, n, d, mapAt, dout, back);
        expect(desk.floats(back, n * d)).toEqual([...vectors].map((x, at) => (d > 2 && at % d === 1 ? 0 : x)));
        const pitch = 4;
        const columns = desk.room(d * pitch * 4);
        more.transposeRows(vectorsAt, n, d, columns, pitch);
        expect(desk.floats(columns, d * pitch)).toEqual(
          Array.from({ length: d * pitch }, (_, at) =>
            at % pitch < n ? vectors[(at % pitch) * d + Math.floor(at / pitch)] : 0,
          ),
        );
      });
    }
  });

  test("Hadamard's rotation keeps lengths, and is undone", () => {
    const random = randomOf(12);
    for (const [d, p] of [
      [1, 1],
      [2, 2],
      [3, 4],
      [5, 8],
      [16, 16],
      [19, 32],
    ]) {
      desk.atEnds(() => {
        const n = 2;
        const vectors = whole(random, n * d);
        const signs = desk.put(Float32Array.from({ length: 3 * p }, () => (random() < 0.5 ? -1 : 1)));
        const [out, back, scratch] = [desk.room(n * p * 4), desk.room(n * d * 4), desk.room(p * 4)];
        more.rotateByHadamard(desk.put(vectors), n, d, signs, p, out);
        for (let i = 0; i < n; i++) {
          const rotated = Float32Array.from(desk.floats(out + i * p * 4, p));
          expect(dot(rotated, rotated)).toBeCloseTo(dot(rowOf(vectors, d, i), rowOf(vectors, d, i)), 3);
        }
        more.undoHadamard(out, n, d, signs, p, back, scratch);
        desk.floats(back, n * d).forEach((x, at) => expect(x).toBeCloseTo(vectors[at], 4));
      });
    }
  });

  test("sums of products, all or the upper half", () => {
    const random = randomOf(13);
    for (const [dx, dy, n] of [
      [1, 1, 4],
      [3, 5, 8],
      [16, 17, 4],
      [17, 17, 12],
      [33, 33, 4],
      [35, 6, 16],
    ]) {
      for (const upper of dx === dy ? [false, true] : [false]) {
        desk.atEnds(() => {
          const [x, y] = [whole(random, dx * n), whole(random, dy * n)];
          const sums = desk.own(new Float64Array(dx * dy).fill(0.5));
          const [xAt, yAt] = [desk.put(x), desk.put(y)];
          more.addProducts(xAt, dx, yAt, dy, n, upper, sums, desk.room(more.addProductsScratch(dy)));
          const all = desk.doubles(sums, dx * dy);
          for (let i = 0; i < dx; i++)
            for (let j = upper ? i : 0; j < dy; j++)
              expect(all[i * dy + j]).toBe(0.5 + dot(rowOf(x, n, i), rowOf(y, n, j)));
        });
      }
    }
  });

  test("in f64: products, combinations, and reflections that leave a triangle", () => {
    const random = randomOf(14);
    for (const [n, m] of [
      [1, 1],
      [2, 5],
      [3, 3],
      [4, 8],
      [5, 11],
    ]) {
      desk.atEnds(() => {
        const rows = Float64Array.from(whole(random, n * m));
        const product = (x: Float64Array, i: number, y: Float64Array, j: number): number => {
          let sum = 0;
          for (let l = 0; l < m; l++) sum += x[i * m + l] * y[j * m + l];
          return sum;
        };
        const rowsAt = desk.put(rows);
        const sums = desk.own(new Float64Array(n * n).fill(0.5));
        more.multiplyRows(rowsAt, n, m, sums, 0, n);
        expect(desk.doubles(sums, n * n)).toEqual(
          Array.from({ length: n * n }, (_, at) => {
            const [i, j] = [Math.floor(at / n), at % n];
            return j < i ? 0.5 : product(rows, i, rows, j);
          }),
        );
        for (const [next, step] of [
          [n, 1],
          [1, n],
        ]) {
          const coefficients = Float64Array.from(whole(random, n * n));
          const out = desk.room(n * m * 8);
          more.combineRows(desk.put(coefficients), next, step, rowsAt, n, m, out, 0, n);
          expect(desk.doubles(out, n * m).map((x) => x + 0)).toEqual(
            Array.from({ length: n * m }, (_, at) => {
              const [i, l] = [Math.floor(at / m), at % m];
              let sum = 0;
              for (let j = 0; j < n; j++) sum += coefficients[i * next + j * step] * rows[j * m + l];
              return sum + 0;
            }),
          );
        }
        const [turned, scales] = [desk.own(rows), desk.room(2 * n * 8)];
        more.reflect(turned, n, m, scales, 0, n);
        const diagonal = desk.doubles(scales + n * 8, n);
        // The triangle: what of each vector lies along those before it stands before its own number.
        const triangle = Array.from({ length: n }, (_, k) => desk.doubles(turned + k * m * 8, k));
        more.orthonormal(turned, n, m, scales, 0, n);
        const basis = Float64Array.from(desk.doubles(turned, n * m));
        for (let i = 0; i < n; i++)
          for (let j = 0; j <= i; j++) expect(product(basis, i, basis, j)).toBeCloseTo(i === j ? 1 : 0, 10);
        for (let k = 0; k < n; k++) {
          for (let l = 0; l < m; l++) {
            let sum = diagonal[k] * basis[k * m + l];
            triangle[k].forEach((along, j) => (sum += along * basis[j * m + l]));
            expect(sum).toBeCloseTo(rows[k * m + l], 9);
          }
        }
      });
    }
  });
});

describe("16-bit floats", () => {
  const view = new DataView(new ArrayBuffer(4));
  const floatOf = (bits: number): number => (view.setUint32(0, bits), view.getFloat32(0));
  const bitsOf = (float: number): number => (view.setFloat32(0, float), view.getUint32(0));
  /** What a half is, by its definition. */
  const halfOf = (bits: number): number => {
    const [sign, exponent, mantissa] = [bits >> 15 === 0 ? 1 : -1, (bits >> 10) & 31, bits & 1023];
    if (exponent === 31) return mantissa === 0 ? sign * Infinity : NaN;
    return sign * (exponent === 0 ? mantissa * 2 ** -24 : (1024 + mantissa) * 2 ** (exponent - 25));
  };
  const positive = Array.from({ length: 0x7c00 }, (_, bits) => halfOf(bits));

  test("each of them decoded", () => {
    const all = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
    const [at, out] = [desk.put(all), desk.room(65536 * 4)];
    more.decodeHalves(at, 8 * 2, 65536 / 8, 8, false, out);
    expect(desk.floats(out, 65536).every((value, bits) => Object.is(value, halfOf(bits)))).toBe(true);
    more.decodeHalves(at, 8 * 2, 65536 / 8, 8, true, out);
    expect(desk.floats(out, 65536).every((value, bits) => Object.is(value, floatOf(bits * 65536)))).toBe(true);
    desk.clear();
  });

  test("rounded to the nearest, and of two to the even one; infinite ones are told", () => {
    // Each half, what lies in the middle to the next, and the floats beside that.
    const floats = positive.slice(0, -1).flatMap((value, bits) => {
      const middle = (value + positive[bits + 1]) / 2;
      const next = bitsOf(middle);
      return bits % 7 === 0 || bits < 40 || (bits & 1023) > 1020 || (bits & 1023) < 3
        ? [value, floatOf(next - 1), middle, floatOf(next + 1)]
        : [];
    });
    const expected = floats.map((value) => {
      let low = 0;
      for (let step = 1 << 14; step > 0; step >>= 1)
        if (low + step < 0x7c00 && positive[low + step] <= value) low += step;
      const [down, up] = [value - positive[low], (positive[low + 1] ?? Infinity) - value];
      return up < down || (up === down && (low & 1) === 1) ? low + 1 : low;
    });
    const rows = desk.room(floats.length * 2 * 2);
    const both = floats.flatMap((value) => [value, -value]);
    expect(more.encodeFp16(desk.put(Float32Array.from(both)), floats.length, 2, rows, 4)).toBe(-1);
    const given = [...new Uint16Array(engine.u8.buffer, rows, floats.length * 2)];
    expect(given).toEqual(expected.flatMap((bits) => [bits, bits + 32768]));
    desk.clear();
    for (const bad of [65520, Infinity, -65520, NaN]) {
      const vectors = Float32Array.from([1, 65519, -65519, 2, 3, bad, bad, 0]);
      expect(more.encodeFp16(desk.put(vectors), 4, 2, desk.room(16), 4)).toBe(5);
      desk.clear();
    }
  });

  test("bf16: half a unit is added", () => {
    const floats = [1, 1.00390625, 1.005, -3.1415926, 1e-40, 0, -0, 65504, 3e38];
    const rows = desk.room(9 * 6);
    more.encodeBf16(desk.put(Float32Array.from(floats)), 9, 1, rows, 6);
    const words = new Uint16Array(engine.u8.buffer, rows, 27);
    floats.forEach((value, i) => expect(words[i * 3]).toBe((bitsOf(value) + 32768) >>> 16));
    desk.clear();
  });
});
