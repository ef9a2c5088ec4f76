import { expect, test } from "vitest";
import { METRIC_L2 } from "../src/index.js";
import { Engine } from "../src/wasm/engine.js";
import { Desk } from "./desk.js";
import { randomOf, uniform } from "./random.js";
import {
  basisOf,
  dot,
  headOf,
  lengthOf,
  LOST,
  nearest,
  sumError,
  TOO_LONG,
  upTo,
  wholeRows,
} from "./heads-reference.js";
import type { Random } from "./random.js";
import { keyOf, rowOf } from "./reference.js";

// Heads and what they are made by, to the bit: a basis that is a little worse than it should be, or a bound a little looser, costs time, and
// no result shows it.

const engine = new Engine();
const { kernels } = engine;
const desk = new Desk(engine);
const { fround: f, sqrt } = Math;

/** The length of a direction in whole numbers. */
const DIRECTION_LENGTH = 128000;

/** Rows whose dimensions matter less and less. */
function spread(random: Random, n: number, d: number): Float32Array {
  return uniform(random, n * d, 3).map((x, i) => x * 0.9 ** (i % d) + 0.2);
}

function bytesAt(address: number, n: number): Uint8Array {
  return engine.u8.slice(address, address + n);
}

test("a basis, and the heads that it makes", () => {
  const random = randomOf(1);
  for (const [n, d, m] of [
    [1, 5, 2],
    [3, 8, 8],
    [23, 17, 24],
    [70, 19, 8],
    [131, 12, 4],
    [1100, 6, 4],
  ]) {
    const rows = spread(random, n, d);
    desk.atEnds(() => {
      const [basisAt, scratch] = [desk.room(kernels.basisBytes(d, m)), desk.room(kernels.makeHeadsScratch(d, m))];
      const rowsAt = desk.put(rows);
      expect(kernels.makeBasis(rowsAt, n, d, m, basisAt, scratch)).toBe(1);
      const basis = basisOf(rows, d, m);
      expect(desk.floats(basisAt, 4)).toEqual([0, lengthOf(basis.mean), basis.slack, 0]);
      expect(desk.floats(basisAt + 16, d)).toEqual([...basis.mean]);
      const from = basisAt + 16 + upTo(d, 4) * 4;
      expect(desk.floats(from, (m - 1) * d)).toEqual(basis.directions.flatMap((row) => [...row]));
      const [lengths, heads] = [desk.room(n * 4), desk.room(n * m * 4)];
      expect(kernels.makeHeads(rowsAt, n, d, m, basisAt, lengths, heads, scratch)).toBe(1);
      const own = Array.from({ length: n }, (_, i) => headOf(rowOf(rows, d, i), basis));
      expect(desk.floats(lengths, n)).toEqual(own.map(({ length }) => length));
      expect(desk.floats(heads, n * m)).toEqual(own.flatMap(({ head }) => [...head]));
      const longest = Math.max(...own.map(({ length }) => length));
      expect(desk.floats(basisAt, 1)).toEqual([f(f(f(sqrt(longest)) * f(1.001)) + LOST)]);
      // It stays the longest of all that were seen.
      expect(kernels.makeHeads(basisAt + 16, 1, d, m, basisAt, desk.room(4), desk.room(m * 4), scratch)).toBe(1);
      expect(desk.floats(basisAt, 1)).toEqual([f(f(f(sqrt(longest)) * f(1.001)) + LOST)]);
    });
  }
});

/** A vector whose squared length is a float, or the next smaller one that is met. */
function ofSquare(square: number, d: number): Float32Array {
  const vector = new Float32Array(d);
  const bits = new Int32Array(vector.buffer);
  vector[0] = sqrt(0.7 * square);
  vector[1] = sqrt(square - vector[0] ** 2) * (1 + 1e-6);
  while (dot(vector, vector) > square) bits[1]--;
  return vector;
}

test("a row that is as long as bounds reach has no head, and one that is a little shorter has", () => {
  const [d, m] = [6, 4];
  const long = ofSquare(TOO_LONG, d);
  expect(dot(long, long)).toBe(TOO_LONG);
  const shorter = ofSquare(f(TOO_LONG * (1 - 2 ** -24)), d);
  for (const [row, known] of [
    [long, 0],
    [shorter, 1],
  ] as const) {
    const [basis, scratch] = [desk.room(kernels.basisBytes(d, m)), desk.room(kernels.makeHeadsScratch(d, m))];
    // Of one row that is the mean: zeros are left, and its length counts.
    const rowAt = desk.put(row);
    expect(kernels.makeBasis(rowAt, 1, d, m, basis, scratch)).toBe(known);
    expect(kernels.makeBasis(desk.put(spread(randomOf(2), 9, d)), 9, d, m, basis, scratch)).toBe(1);
    engine.f32.fill(0, (basis >>> 2) + 4, (basis >>> 2) + 4 + d);
    expect(kernels.makeHeads(rowAt, 1, d, m, basis, desk.room(4), desk.room(m * 4), scratch)).toBe(known);
    desk.clear();
  }
  for (const bad of [NaN, Infinity, -Infinity]) {
    for (const at of [0, 7, 3 * d + 5]) {
      const rows = spread(randomOf(3), 9, d);
      rows[at] = bad;
      const [basis, scratch] = [desk.room(kernels.basisBytes(d, m)), desk.room(kernels.makeHeadsScratch(d, m))];
      expect(kernels.makeBasis(desk.put(rows), 9, d, m, basis, scratch)).toBe(0);
      desk.clear();
    }
  }
});

test("heads of centroids in whole numbers, and how far centroids have moved", () => {
  const random = randomOf(4);
  for (const [k, d, m] of [
    [1, 5, 8],
    [16, 9, 8],
    [17, 12, 16],
    [30, 7, 8],
  ]) {
    const rows = spread(random, k, d);
    const basis = basisOf(rows, d, m);
    const own = Array.from({ length: k }, (_, i) => headOf(rowOf(rows, d, i), basis));
    const to = rows.slice();
    for (let i = 0; i < k; i++) {
      const by = [0, 1e-6, 0.02, 0.5, 90][i % 5];
      for (let j = i % d; j < d; j++) to[i * d + j] += by * random();
    }
    desk.atEnds(() => {
      const [basisAt, scratch] = [desk.room(kernels.basisBytes(d, m)), desk.room(kernels.makeHeadsScratch(d, m))];
      const rowsAt = desk.put(rows);
      kernels.makeBasis(rowsAt, k, d, m, basisAt, scratch);
      const bytes = kernels.headsBytes(k, m);
      const full = upTo(k, 16);
      expect(bytes).toBe(16 + full * m * 2 + full * 5);
      const heads = desk.room(bytes);
      const floats = desk.room(k * m * 4);
      const lengths = heads + bytes - full * 5;
      kernels.makeHeads(rowsAt, k, d, m, basisAt, lengths, floats, scratch);
      const [longest] = desk.floats(basisAt, 1);
      kernels.blockHeads(floats, k, m, basisAt, heads);
      const rest = new Uint8Array((full - upTo(k, 4)) * m * 2);
      const whole = wholeRows(
        own.map(({ head }) => head),
        m,
        32000,
      );
      expect(bytesAt(heads, 16 + full * m * 2)).toEqual(Uint8Array.from([...whole, ...rest]));
      expect(desk.floats(lengths, k)).toEqual(own.map(({ length }) => f(length * f(1 - basis.slack))));
      expect(bytesAt(lengths + k * 4, (full - k) * 4)).toEqual(new Uint8Array((full - k) * 4).fill(127));
      const units = f(127 / longest);
      expect(desk.floats(basisAt + 12, 1)).toEqual([units]);
      const moves = lengths + full * 4;
      const before = bytesAt(moves, full);
      kernels.measureMoves(rowsAt, desk.put(to), k, d, m, basisAt, heads);
      const moved = own.map((_, i) => {
        const [x, y] = [rowOf(rows, d, i), rowOf(to, d, i)];
        if (x.every((value, j) => value === y[j])) return 0;
        const way = f(f(f(f(sqrt(keyOf(x, y, METRIC_L2))) * f(1.001)) + LOST) * units);
        return Math.floor(Math.min(255, f(way + 1)));
      });
      expect([...bytesAt(moves, full)]).toEqual([...moved, ...before.subarray(k)]);
      // The first length is what units go by.
      engine.f32[basisAt >>> 2] *= 2;
      kernels.blockHeads(floats, k, m, basisAt, heads);
      expect(desk.floats(basisAt + 12, 1)).toEqual([units]);
    });
  }
});

test("what whole heads are made by: directions in whole numbers, and zeros where rows will be", () => {
  const random = randomOf(5);
  for (const [n, d, m, capacity] of [
    [70, 20, 16, 70],
    [300, 33, 48, 301],
  ]) {
    const rows = uniform(random, n * d);
    desk.atEnds(() => {
      const basis = basisOf(rows, d, m);
      const bytes = kernels.wholeHeadsBytes(capacity, d, m);
      const block = desk.room(bytes);
      const scratch = desk.room(kernels.wholeHeadsScratch(d, m));
      expect(kernels.openHeads(desk.put(rows), n, d, m, 0, capacity, block, scratch)).toBeLessThan(1);
      expect(desk.ints(block + 12, 1)).toEqual([m]);
      expect(desk.floats(block + 4, 2)).toEqual([lengthOf(basis.mean), basis.slack]);
      expect(desk.floats(block + 16, d)).toEqual([...basis.mean]);
      const at = block + 16 + upTo(d, 4) * 4;
      const D = upTo(d, 16);
      const whole = wholeRows(basis.directions, D, DIRECTION_LENGTH);
      const directions = 16 + m * D * 2;
      expect(bytesAt(at, directions)).toEqual(Uint8Array.from({ length: directions }, (_, i) => whole[i] ?? 0));
      const lengths = at + directions;
      const heads = lengths + upTo(capacity, 16) * 4;
      expect(bytesAt(lengths, heads - lengths).some((byte) => byte !== 0)).toBe(false);
      const [longest] = desk.floats(block, 1);
      expect(desk.floats(heads, 1)).toEqual([f(f(longest * 4) / 32000)]);
      expect(bytesAt(heads + 4, block + bytes - heads - 4).some((byte) => byte !== 0)).toBe(false);
    });
  }
});

test("groups of centroids that are passed over, and how far they are known to be", () => {
  const random = randomOf(6);
  for (const [n, k, d, m] of [
    [1, 5, 6, 8],
    [7, 40, 9, 8],
    [64, 64, 12, 16],
  ]) {
    const points = spread(random, n, d);
    // Points of few centroids, which are near some of them.
    for (let i = 0; i < n * d; i++) points[i] = points[(i % d) + (Math.floor(i / d) % 3) * d] + 0.3 * (random() - 0.5);
    let centroids = spread(random, k, d);
    centroids.set(rowOf(points, d, 0));
    const full = upTo(k, 16);
    const [basisAt, scratch] = [desk.room(kernels.basisBytes(d, m)), desk.room(kernels.makeHeadsScratch(d, m))];
    const pointsAt = desk.put(points);
    expect(kernels.makeBasis(pointsAt, n, d, m, basisAt, scratch)).toBe(1);
    const [pointLengths, pointHeads] = [desk.room(n * 4), desk.room(n * m * 4)];
    kernels.makeHeads(pointsAt, n, d, m, basisAt, pointLengths, pointHeads, scratch);
    const norms = Float32Array.from({ length: n }, (_, i) => dot(rowOf(points, d, i), rowOf(points, d, i)));
    const [heads, floats] = [desk.room(kernels.headsBytes(k, m)), desk.room(k * m * 4)];
    const lengths = heads + kernels.headsBytes(k, m) - full * 5;
    const moves = lengths + full * 4;
    engine.u8.fill(255, moves, moves + full);
    const groups = desk.own(new Uint8Array(64 * (full / 16)));
    const [lists, scores] = [desk.own(new Int32Array(n)), desk.own(new Float32Array(n))];
    const seekers = desk.room(kernels.assignByHeadsScratch(n, m));
    const [centroidsAt, half] = [desk.own(centroids), desk.own(new Float32Array(full))];
    const known = new Uint8Array(64 * (full / 16));
    for (let round = 0; round < 4; round++) {
      kernels.halfNorms(centroidsAt, k, d, half);
      kernels.makeHeads(centroidsAt, k, d, m, basisAt, lengths, floats, scratch);
      kernels.blockHeads(floats, k, m, basisAt, heads);
      const before = { lists: desk.ints(lists, n), scores: desk.floats(scores, n) };
      // prettier-ignore
      kernels.assignByHeads(
        pointsAt, n, centroidsAt, half, k, d, desk.put(norms), m, basisAt, pointLengths, pointHeads, heads, groups, lists, scores, seekers,
      );
      const halves = desk.floats(half, k);
      const own = desk.floats(lengths, full);
      const moved = bytesAt(moves, full);
      const [one] = desk.floats(heads, 1);
      const [longest, meanLength, slack, units] = desk.floats(basisAt, 4);
      const farthest = f(one * 32000);
      const lost = f(f(f(f(sqrt(m)) * f(2.05)) / 32000) * farthest);
      const reachOfAll = f(longest + meanLength);
      const wholes = Array.from({ length: full }, (_, c) =>
        Array.from({ length: m }, (__, j) => {
          const at = heads + 16 + (c >> 2) * m * 8 + (j >> 1) * 16 + (c & 3) * 4 + (j & 1) * 2;
          return new DataView(engine.u8.buffer).getInt16(at, true);
        }),
      );
      const found = Array.from({ length: n }, (_, i) => {
        const point = rowOf(points, d, i);
        const scoreOf = (c: number): number => f(halves[c] - dot(point, rowOf(centroids, d, c)));
        let list = before.lists[i];
        let score = moved[list] === 0 ? before.scores[i] : scoreOf(list);
        const head = Float32Array.from(desk.floats(pointHeads + i * m * 4, m));
        const reach = lengthOf(head);
        const whole = Array.from(head, (x) => nearest(f(f(x * 32000) / reach)));
        const share = f(f(8 * sumError(d)) * f(norms[i] + f(reachOfAll * reachOfAll)));
        const rounding = f(f(share + f(lost * reach)) + f(1e-35));
        const scale = f(f(f(reach / 32000) * f(farthest / 32000)) * 2);
        const base = f(f(f(1 - slack) * desk.floats(pointLengths + i * 4, 1)[0]) - rounding);
        const above = f(f(norms[i] + rounding) - base);
        let limit = f(f(2 * score) + above);
        const way = f(f(f(sqrt(Math.max(0, f(limit + base)))) * units) * f(1.0001));
        const until = Math.floor(Math.min(255, f(way + 1)));
        let waiting: number[] = [];
        const compare = (): void => {
          for (const c of waiting) {
            const its = scoreOf(c);
            if (its < score || (its === score && c < list)) [score, list] = [its, c];
          }
          limit = f(f(2 * score) + above);
          waiting = [];
        };
        for (let first = 0; first < k; first += 16) {
          const at = first * 4 + i;
          known[at] = Math.max(0, known[at] - Math.max(...moved.subarray(first, Math.min(k, first + 16))));
          if (known[at] >= until) continue;
          const bounds = Array.from({ length: 16 }, (__, u) => {
            const product = wholes[first + u].reduce((sum, x, j) => sum + x * whole[j], 0);
            return f(own[first + u] - f(f(product) * scale));
          });
          const least = Math.min(...bounds);
          known[at] =
            least > limit
              ? Math.floor(Math.min(254, f(f(f(sqrt(Math.max(0, f(least + base)))) * units) * f(0.9999))))
              : 0;
          const most = limit;
          bounds.forEach((bound, u) => {
            if (bound > most || first + u === list) return;
            waiting.push(first + u);
            if (waiting.length === 4) compare();
          });
        }
        compare();
        return { list, score };
      });
      expect(desk.ints(lists, n)).toEqual(found.map(({ list }) => list));
      expect(desk.floats(scores, n)).toEqual(found.map(({ score }) => score));
      const given = bytesAt(groups, known.length);
      for (let g = 0; g < full / 16; g++)
        expect([...given.subarray(g * 64, g * 64 + n)]).toEqual([...known.subarray(g * 64, g * 64 + n)]);
      const to = centroids.map((x, at) => x + [0, 1e-4, 0.01, 0.2][(Math.floor(at / d) + round) % 4] * random());
      kernels.measureMoves(centroidsAt, desk.put(to), k, d, m, basisAt, heads);
      engine.f32.set(to, centroidsAt >>> 2);
      centroids = to;
    }
    // Of those that moved little, some groups are known to be far.
    if (n === 64) expect(known.filter((far) => far > 0).length).toBeGreaterThan(20);
    desk.clear();
  }
});
