import { describe, expect, test } from "vitest";
import { METRIC_INNER_PRODUCT, METRIC_L2 } from "../src/index.js";
import type { Metric } from "../src/index.js";
import { Engine } from "../src/wasm/engine.js";
import * as Best from "../src/wasm/best.gen.js";
import * as Factored from "../src/wasm/factored.gen.js";
import * as Graph from "../src/wasm/graph.gen.js";
import * as Lists from "../src/wasm/lists.gen.js";
import * as Plan from "../src/wasm/plan.gen.js";
import * as RowCodes from "../src/wasm/row-codes.gen.js";
import * as Scalar from "../src/wasm/scalar.gen.js";
import { moreKernels } from "../src/wasm/more.js";
import { Desk } from "./desk.js";
import { innerKernels } from "./inner.js";
import { below, randomOf, uniform } from "./random.js";
import type { Random } from "./random.js";
import { openRowCodes, rowCodes } from "./records.js";
import { rowOf } from "./reference.js";

// Bounds, each beside its formula in f64. What they take off for what floats lose is so little that hardly a search would miss it: so it is
// looked at here, to a part of itself.

const { fround: f } = Math;
const engine = new Engine();
const desk = new Desk(engine);
const { kernels } = engine;
const more = moreKernels(engine);
const inner = await innerKernels<
  | "sieveRoom"
  | "turnSieve"
  | "siftSlots"
  | "kept"
  | "openScalar"
  | "turnFactored"
  | "keyOfScalar"
  | "restOfHead"
  | "openCoded"
  | "seekerAt"
  | "queryCodesAt"
  | "queryHeadsAt"
  | "boundByCodes"
  | "boundByHeads"
>(
  engine,
  `
  import { boundCodes, headProducts, products } from "./coded-bounds";
  import { openScan, outOf, Scan, seekerOf } from "./coded-scan";
  import { Factored } from "./codes/factored";
  import { Bytes } from "./codes/scalar";
  import { Best } from "./found/best";
  import { Graph } from "./graph/records";
  import { Sieve } from "./graph/sieve";
  import { storeRest } from "./heads";
  import { Lists, Plan } from "./records";
  import { RowCodes } from "./row-codes";
  import { boundKeys } from "./whole-heads";

  export function sieveRoom(d: i32, width: i32): usize { return Sieve.scratch(d, width); }
  export function turnSieve(at: usize, plan: usize, graph: usize, i: i32): void {
    changetype<Sieve>(at).open(changetype<Plan>(plan), changetype<Graph>(graph), at);
    changetype<Sieve>(at).turn(i);
  }
  export function siftSlots(at: usize, slots: usize, n: i32, bar: f32): i32 { return changetype<Sieve>(at).sift(slots, n, bar); }
  export function kept(at: usize): usize { return changetype<Sieve>(at).kept(); }

  export function turnFactored(code: usize, plan: usize, lists: usize, scratch: usize): usize {
    changetype<Factored>(code).open(changetype<Plan>(plan), changetype<Lists>(lists), scratch);
    changetype<Factored>(code).turn(0, 0);
    return changetype<Factored>(code).moreTable;
  }
  export function openScalar(code: usize, plan: usize, lists: usize, scratch: usize): void {
    changetype<Bytes>(code).open(changetype<Plan>(plan), changetype<Lists>(lists), scratch);
    changetype<Bytes>(code).turn(0, 0);
  }
  export function keyOfScalar(code: usize, row: usize, bar: f32): f32 {
    return f32x4.extract_lane(changetype<Bytes>(code).four(row, row, row, row, bar), 2);
  }

  export function restOfHead(head: usize, m: i32, length: f32, slack: f32): void { storeRest(head, m, length, slack); }

  export function openCoded(codes: usize, plan: usize, lists: usize, found: usize): usize {
    return changetype<usize>(openScan(changetype<RowCodes>(codes), changetype<Plan>(plan), changetype<Lists>(lists), changetype<Best>(found)));
  }
  export function seekerAt(scan: usize, i: i32): usize { return changetype<usize>(seekerOf(changetype<Scan>(scan), i)); }
  export function queryCodesAt(scan: usize): usize { return changetype<Scan>(scan).queryCodes; }
  export function queryHeadsAt(scan: usize): usize { return changetype<Scan>(scan).queryHeads; }
  export function boundByCodes(at: usize, n: i32, from: usize, until: usize): usize {
    const scan = changetype<Scan>(at);
    products(scan, scan.codes, n, from, until);
    const i = load<i32>(from);
    boundCodes(scan, outOf(scan, i), n, scan.facts, scan.stride, seekerOf(scan, i));
    return outOf(scan, i);
  }
  export function boundByHeads(at: usize, n: i32, from: usize, until: usize): usize {
    const scan = changetype<Scan>(at);
    headProducts(scan, 0, n, from, until);
    const i = load<i32>(from);
    boundKeys(outOf(scan, i), n, scan.lengths, scan.shrink, seekerOf(scan, i));
    return outOf(scan, i);
  }
`,
);

/** u of rounding.ts, and what a sum of d terms may be off. */
const U = 2 ** -24;
const sumError = (d: number): number => 1.04 * (Math.floor(d / 4) + 32) * U;
const up16 = (n: number): number => Math.ceil(n / 16) * 16;

function square(vector: ArrayLike<number>): number {
  return dot(vector, vector);
}

function dot(x: ArrayLike<number>, y: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * y[i];
  return sum;
}

function less(x: ArrayLike<number>, y: ArrayLike<number>): number[] {
  return Array.from(x, (value, i) => value - y[i]);
}

/** Rows whose dimensions matter less and less, so that heads leave a little over. */
function spreadRows(random: Random, n: number, d: number): Float32Array {
  return uniform(random, n * d, 3).map((x, i) => x * 0.96 ** (i % d) + 0.2);
}

function whole(address: number, n: number): number[] {
  return [...new Int16Array(engine.u8.buffer, address, n)];
}

function bytes(address: number, n: number): number[] {
  return [...new Int8Array(engine.u8.buffer, address, n)];
}

/** A record of words, 0 standing for what is left out. */
function record<T extends Record<string, number>>(layout: T, words: Partial<Record<keyof T, number>>): number {
  const values = new Int32Array(Object.keys(layout).length + 24);
  for (const [name, word] of Object.entries(layout)) values[word] = words[name] ?? 0;
  return desk.own(values);
}

describe("heads of a graph's rows", () => {
  const [N, D, NUMBERS, LINE] = [300, 60, 48, 64];
  const random = randomOf(4);
  const rows = spreadRows(random, N, D);
  const queries = spreadRows(random, 12, D);
  const block = engine.allocate(more.sieveBytes(N, D));
  const rowsAt = engine.allocate(rows.byteLength);
  engine.f32.set(rows, rowsAt >>> 2);
  const scratch = engine.allocate(more.sieveScratch(D));
  const rest = more.openSieve(rowsAt, N, D, block, scratch);
  more.sieveRows(rowsAt, 0, N, D, block, scratch);
  // The basis: its slack, the mean, and 48 directions, up to a multiple of a line.
  const basis = block >>> 2;
  const slack = engine.f32[basis + 2];
  const mean = engine.f32.slice(basis + 4, basis + 4 + D);
  const directions = engine.f32.slice(basis + 4 + D, basis + 4 + D + NUMBERS * D);
  const records = Math.ceil((block + 4 * (4 + D + NUMBERS * D)) / LINE) * LINE;
  const G = sumError(D);

  const centred = (vectors: Float32Array, i: number): number[] => less(rowOf(vectors, D, i), mean);
  const headOf = (vector: number[]): number[] =>
    Array.from({ length: NUMBERS }, (_, i) => dot(vector, rowOf(directions, D, i)));

  const recordOf = (slot: number): { scale: number; norm: number; error: number; code: number[] } => {
    const at = records + slot * LINE;
    const [scale, norm, error] = desk.floats(at, 3);
    return { scale, norm, error, code: bytes(at + 16, NUMBERS) };
  };

  test("what they leave over, of all rows", () => {
    const all = Array.from({ length: N }, (_, i) => centred(rows, i));
    const seen = all.reduce((sum, row) => sum + square(headOf(row)), 0);
    const total = all.reduce((sum, row) => sum + square(row), 0);
    expect(rest).toBeGreaterThan(0.001);
    expect(Math.abs(rest - (1 - seen / total))).toBeLessThan(1e-5);
  });

  test("the code of a row, its length, and the length of what it leaves over and may be off by", () => {
    for (let slot = 0; slot < N; slot++) {
      const { scale, norm, error, code } = recordOf(slot);
      const row = centred(rows, slot);
      const head = headOf(row);
      const image = code.map((c) => c * scale);
      expect(Math.max(...code.map(Math.abs))).toBe(127);
      image.forEach((x, j) => expect(Math.abs(x - head[j])).toBeLessThan(scale * 0.5001));
      expect(norm / square(image)).toBeCloseTo(1, 6);
      const left = Math.sqrt(square(less(head, image)));
      // sqrt(Σ e²) (1.001 + G) + 8 u |R x| and, of R x itself, 1.001 slack |x|.
      const most = left * (1.001 + G) + 8 * U * Math.sqrt(square(head)) + 1.001 * slack * Math.sqrt(square(row));
      expect(error / most).toBeCloseTo(1, 4);
    }
  });

  test("rows are kept that may be within the bar", () => {
    const planAt = record(Plan, { queries: desk.put(queries), d: D });
    const graphAt = record(Graph, { heads: block });
    const width = 33;
    const at = desk.room(inner.sieveRoom(D, width));
    const shrink = 1 - 8 * G - slack;
    for (let i = 0; i < queries.length / D; i++) {
      inner.turnSieve(at, planAt, graphAt, i);
      const [scale, norm, error] = desk.floats(at, 3);
      const code = whole(inner.kept(at) - 2 * NUMBERS, NUMBERS);
      const query = centred(queries, i);
      const head = headOf(query);
      const image = code.map((c) => c * scale);
      expect(Math.max(...code.map(Math.abs))).toBe(8191);
      image.forEach((x, j) => expect(Math.abs(x - head[j])).toBeLessThan(scale * 0.51));
      expect(norm / square(image)).toBeCloseTo(1, 6);
      const left = Math.sqrt(square(less(head, image)));
      const off = 8 * U * Math.sqrt(square(head)) + 1.001 * slack * Math.sqrt(square(query));
      expect(error / (left * (1.001 + G) + off)).toBeCloseTo(1, 3);

      const least = Array.from({ length: N }, (_, slot) => {
        const row = recordOf(slot);
        const product = scale * row.scale * dot(code, row.code);
        const images = Math.sqrt(Math.max(0, (norm + row.norm) * shrink - 2 * product));
        const bound = Math.max(0, images - error - row.error) ** 2 * shrink;
        expect(bound).toBeLessThanOrEqual(square(less(rowOf(queries, D, i), rowOf(rows, D, slot))));
        return bound;
      });
      const sorted = [...least].sort((a, b) => a - b);
      for (let n = 0; n <= width; n++) {
        const slots = Array.from({ length: n }, () => below(random, N));
        // Between bounds, so that no rounding decides.
        const place = below(random, N - 1);
        const bar = f((sorted[place] + sorted[place + 1]) / 2);
        const count = inner.siftSlots(at, desk.put(Int32Array.from(slots)), n, bar);
        const surely = slots.filter((slot) => least[slot] < bar);
        if (Math.abs(sorted[place + 1] - sorted[place]) > 1e-4 * bar)
          expect(desk.ints(inner.kept(at), count)).toEqual(surely);
      }
    }
    desk.clear();
  });

  test("a row or query that just is not too long, whose head is, has none", () => {
    const width = 20;
    const slots = desk.put(Int32Array.from({ length: width }, (_, i) => i));
    const graphAt = record(Graph, { heads: block });
    const at = desk.room(inner.sieveRoom(D, width));
    // R, which is no rotation to the last bit, made a little longer along its first direction.
    const first = directions.subarray(0, D).map((x) => x * (1 + 1e-5));
    const given = [0.9, 1 - 1e-6].map((share) =>
      desk.put(directions.subarray(0, D).map((x) => x * 1e15 * Math.sqrt(share))),
    );
    const saved = desk.put(engine.u8.slice(records, records + LINE));
    engine.f32.set(first, basis + 4 + D);
    expect(given.map((row) => more.sieveRows(row, 0, 1, D, block, scratch))).toEqual([1, 0]);
    engine.u8.copyWithin(records, saved, saved + LINE);
    const kept = given.map((queries) => {
      inner.turnSieve(at, record(Plan, { queries, d: D }), graphAt, 0);
      return inner.siftSlots(at, slots, width, 1);
    });
    engine.f32.set(directions.subarray(0, D), basis + 4 + D);
    expect(kept).toEqual([0, width]);
    desk.clear();
  });
});

describe("a scalar quantizer of 8 bits", () => {
  test.each([METRIC_L2, METRIC_INNER_PRODUCT])("what its bound takes off: metric %i", (metric) => {
    const random = randomOf(5);
    for (const d of [5, 8, 24, 61]) {
      for (const listed of [false, true]) {
        const D = Math.ceil(d / 8) * 8;
        const padded = (values: Float32Array): Float32Array =>
          Float32Array.from({ length: D }, (_, j) => values[j] ?? 0);
        const low = padded(uniform(random, d, 2));
        const scale = padded(uniform(random, d, 0.01).map(Math.abs));
        const [query, centroid] = [uniform(random, d, 2), uniform(random, d, 1)];
        const code = Uint8Array.from({ length: D }, (_, j) => (j < d ? below(random, 256) : 0));
        const reach = f(Math.sqrt(square(low.map((x, j) => Math.max(Math.abs(x), Math.abs(x + 255 * scale[j]))))));
        const stands = low.subarray(0, d).map((x, j) => x + scale[j] * code[j]);
        const own = listed ? centroid : new Float32Array(d);
        // A row has its term behind its bytes.
        const row = new Uint8Array(D + 4 + 16);
        row.set(code);
        new DataView(row.buffer).setFloat32(D, square(stands) + 2 * dot(own, stands), true);
        const at = record(Scalar, {
          d,
          D,
          bits: 8,
          termAt: metric === METRIC_L2 ? D : 0,
          low: desk.put(low),
          scale: desk.put(scale),
        });
        engine.f32[(at >>> 2) + Scalar.reach] = reach;
        const plan = record(Plan, {
          queries: desk.put(query),
          nq: 1,
          d,
          metric,
          centroids: listed ? desk.put(centroid) : 0,
        });
        inner.openScalar(at, plan, record(Lists, {}), desk.room(D * 6));
        const rowAt = desk.put(row);

        const weights = query.map((x, j) => f(x * scale[j]));
        const unit = Math.max(...weights.map(Math.abs)) / 32767;
        const product =
          unit *
          dot(
            weights.map((weight) => Math.round(weight / unit)),
            code,
          );
        const cut = 0.51 * unit * 255 * d;
        const away = Math.sqrt(square(less(query, own)));
        const length = Math.sqrt(square(query));
        let exact: number;
        let bound: number;
        let lost: number;
        if (metric === METRIC_L2) {
          exact = square(less(less(query, own), stands));
          lost = (d + 64) * U * (2 * (length + reach) + away) ** 2;
          bound = away ** 2 + square(stands) + 2 * dot(own, stands) - 2 * dot(query, low) - 2 * (product + cut) - lost;
        } else {
          const coarse = dot(query, own);
          exact = -coarse - dot(query, stands);
          lost = (d + 64) * U * (2 * length * reach + Math.abs(coarse));
          bound = -coarse - dot(query, low) - product - cut - lost;
        }
        expect(bound).toBeLessThan(exact);
        expect(inner.keyOfScalar(at, rowAt, Infinity)).toBeCloseTo(exact, 4);
        // Where the bar is below the bound, the key is not computed.
        let [under, above] = [bound - 4 * lost - cut, exact];
        for (let step = 0; step < 40; step++) {
          const bar = (under + above) / 2;
          if (inner.keyOfScalar(at, rowAt, bar) === Infinity) under = bar;
          else above = bar;
        }
        expect(Math.abs(under - bound)).toBeLessThan(0.1 * lost);
        desk.clear();
      }
    }
  });
});

test("tables of numbers with few bits: of half bytes where these are full, in scratch to the byte", () => {
  const random = randomOf(6);
  for (const bits of [1, 2, 3, 4, 6]) {
    for (const d of [1, 3, 8]) {
      const [query, centre] = [uniform(random, d, 2), uniform(random, d, 1)];
      // What stands behind the levels is none of them.
      const levels = uniform(random, (1 << bits) + 4);
      const code = record(Factored, {
        d,
        bits: 1,
        levels: desk.put(Float32Array.of(-1, 1)),
        signs: 1,
        moreBits: bits,
        moreLevels: desk.put(levels),
        centre: desk.put(centre),
      });
      const scratch = desk.room(more.factoredScratch(d, 1, bits));
      const plan = record(Plan, { queries: desk.put(query), nq: 1, d, metric: METRIC_L2 });
      const table = inner.turnFactored(code, plan, record(Lists, {}), scratch);
      const rest = query.map((x, j) => x - centre[j]);
      const halved = 4 % bits === 0;
      // How many numbers an entry is of, and how many entries these have.
      const each = halved ? 4 / bits : 1;
      const entries = 1 << (each * bits);
      const halves = halved ? Math.ceil((d * bits) / 8) * 2 : d;
      const expected = Array.from({ length: halves * entries }, (_, at) => {
        const [from, value] = [Math.floor(at / entries) * each, at % entries];
        let sum = 0;
        for (let u = 0; u < each; u++) sum += (rest[from + u] ?? 0) * levels[(value >> (u * bits)) & ((1 << bits) - 1)];
        return sum;
      });
      desk.floats(table, expected.length).forEach((x, at) => {
        expect(x).toBeCloseTo(expected[at], 5);
      });
      desk.clear();
    }
  }
});

test("tables of a rounded query: half bytes by whole numbers up to 255, bits behind the last dimension adding nothing", () => {
  const random = randomOf(10);
  for (const bits of [1, 4, 8]) {
    for (const d of [1, 4, 6, 11, 300]) {
      const [query, centre] = [uniform(random, d, 2), uniform(random, d, 1)];
      const code = record(Factored, {
        d,
        bits: 1,
        levels: desk.put(Float32Array.of(0, 1)),
        signs: 1,
        centre: desk.put(centre),
        queryBits: bits,
        rounds: 1,
      });
      const plan = record(Plan, { queries: desk.put(query), nq: 1, d, metric: METRIC_L2, nprobe: 1, atLeast: 1 });
      inner.turnFactored(code, plan, record(Lists, {}), desk.room(more.factoredScratch(d, 1, 0)));
      const rest = less(query, centre);
      const least = Math.min(...rest);
      const step = (Math.max(...rest) - least) / (2 ** bits - 1);
      // In units of 2 / sqrt(d) what a component stands for.
      const image = rest.map(
        (x) => (least + (step > 0 ? Math.floor((x - least) / step + 0.5) * step : 0)) * (2 / Math.sqrt(d)),
      );
      const sums = Array.from({ length: Math.ceil(d / 8) * 2 }, (_, half) =>
        Array.from({ length: 16 }, (__, value) =>
          [0, 1, 2, 3].reduce((sum, u) => sum + ((value >> u) & 1) * (image[half * 4 + u] ?? 0), 0),
        ),
      );
      const lows = sums.map((own) => Math.min(...own));
      const spans = sums.map((own, half) => Math.max(...own) - lows[half]);
      const total = spans.reduce((sum, span) => sum + span, 0);
      const scale = Math.min(255 / Math.max(...spans), 65535 / total);
      const [table] = desk.ints(code + Factored.table * 4, 1);
      desk.floats(table, sums.length * 16).forEach((number, at) => {
        const [half, value] = [at >> 4, at & 15];
        expect(Math.abs(number - scale * (sums[half][value] - lows[half])), `${bits}, ${d}, ${at}`).toBeLessThan(0.51);
        expect(number).toBe(Math.floor(number));
      });
      desk.clear();
    }
  }
});

test("what a head leaves over: its length, and what that may be off", () => {
  const random = randomOf(6);
  for (const m of [4, 16, 48]) {
    for (const slack of [0, 1e-4, 0.009]) {
      for (const share of [0, 0.5, 0.99, 1.2]) {
        const head = uniform(random, m, 10);
        const seen = square(head.subarray(0, m - 1));
        const length = f(share === 0 ? seen * 4 : seen / share);
        const at = desk.own(head);
        inner.restOfHead(at, m, length, slack);
        const [rest] = desk.floats(at + 4 * (m - 1), 1);
        const left = Math.max(0, length * (1 + f(slack)) - seen);
        expect(Math.abs(rest - (Math.sqrt(left) * 1.0001 + 1e-19))).toBeLessThanOrEqual(3e-5 * rest);
        desk.clear();
      }
    }
  }
});

test("heads leave over little more than those by the dimensions that matter most", () => {
  const [N, D, M] = [1500, 128, 64];
  const rows = spreadRows(randomOf(9), N, D);
  const scratch = desk.room(kernels.wholeHeadsScratch(D, M));
  const heads = desk.room(kernels.wholeHeadsBytes(N, D, M));
  const rest = kernels.openHeads(desk.put(rows), N, D, M, 0, N, heads, scratch);
  const [m] = desk.ints(heads + 12, 1);
  let [all, left] = [0, 0];
  rows.forEach((x, i) => {
    all += (x - 0.2) ** 2;
    if (i % D >= m - 1) left += (x - 0.2) ** 2;
  });
  expect(rest).toBeLessThan((1.04 * left) / all);
  desk.clear();
});

describe.each<Metric>([METRIC_L2, METRIC_INNER_PRODUCT])("codes of rows and their heads: metric %i", (metric) => {
  const [N, NQ, D, M, PART] = [48, 5, 90, 64, 48];
  const wide = up16(D);
  const random = randomOf(7 + metric);
  // Heads see nearly all of a row; what they leave over is not next to nothing.
  const rows = spreadRows(random, N, D);
  const queries = spreadRows(random, NQ, D);
  const take = (size: number): number => engine.allocate(size);
  const rowsAt = take(rows.byteLength);
  engine.f32.set(rows, rowsAt >>> 2);
  const block = take(kernels.rowCodesBytes(N, D));
  const slots = take(N * 4);
  engine.i32.set(
    Array.from({ length: N }, (_, i) => i),
    slots >>> 2,
  );
  kernels.meanOfRows(rowsAt, slots, N, D, block);
  openRowCodes(engine, block, D, N, PART);
  kernels.encodeRows(rowsAt, 0, N, D, block, take(kernels.encodeRowsScratch(D)));
  const heads = take(kernels.wholeHeadsBytes(N, D, M));
  const scratch = take(kernels.wholeHeadsScratch(D, M));
  kernels.openHeads(rowsAt, N, D, M, block, N, heads, scratch);
  kernels.writeHeads(rowsAt, 0, N, D, M, N, heads, scratch);
  const mean = desk.floats(block + RowCodes.mean * 4, D);
  const room = (N + 7) & ~3;

  const open = (headsAt: number, inParts = false): number => {
    const k = 4;
    const plan = record(Plan, {
      queries: desk.put(queries),
      nq: NQ,
      d: D,
      metric,
      scratch: desk.room(kernels.searchCodedScratch(1, NQ, 1, D, k)),
    });
    const found = record(Best, { keys: desk.room(NQ * k * 4), slots: desk.room(NQ * k * 4), k });
    return inner.openCoded(rowCodes(engine, block, headsAt, inParts), plan, record(Lists, { codes: rowsAt }), found);
  };
  /** The numbers of some queries, and where they end. */
  const pairsOf = (numbers: number[]): [number, number] => {
    const from = desk.put(Int32Array.from(numbers));
    return [from, from + numbers.length * 4];
  };
  const exactOf = (i: number, row: number): number =>
    metric === METRIC_L2
      ? square(less(rowOf(queries, D, i), rowOf(rows, D, row)))
      : -dot(rowOf(queries, D, i), rowOf(rows, D, row));

  test.each([wide, PART])("bounds by %i numbers of codes", (part) => {
    const scan = open(0, part < wide);
    const G = 8 * sumError(D);
    for (const numbers of [[0], [1, 2], [3, 4, 0], [2, 0, 1, 4]]) {
      const lower = inner.boundByCodes(scan, N, ...pairsOf(numbers));
      const [i] = numbers;
      const [scale, norm, error, own] = desk.floats(inner.seekerAt(scan, i), 4);
      const [behind] = desk.floats(inner.seekerAt(scan, i) + 8 * 4, 1);
      const query = rowOf(queries, D, i);
      const centred = metric === METRIC_L2 ? less(query, mean) : [...query];
      const code = whole(inner.queryCodesAt(scan) + i * wide * 2, wide);
      const image = code.map((c) => c * scale);
      const left = Math.sqrt(square(less(centred, image)));
      expect(own / square(centred)).toBeCloseTo(1, 6);
      expect(norm / square(image)).toBeCloseTo(1, 6);
      expect(error / (left * (1.001 + sumError(wide)) + 8 * U * Math.sqrt(own))).toBeCloseTo(1, 3);
      if (part < wide) {
        expect(behind).toBeGreaterThan(Math.sqrt(square(image.slice(part))));
        expect(behind).toBeCloseTo(Math.sqrt(square(centred.slice(part))) * 1.001 + error, 3);
      } else expect(behind).toBe(0);
      for (let row = 0; row < N; row++) {
        const at = block + RowCodes.mean * 4 + wide * 8 + row * 4;
        const facts = [0, 1, 2, 3].map((fact) => desk.floats(at + fact * room * 4, 1)[0]);
        const [rowScale, rowNorm, rowError, rest] = facts;
        const rowCode = bytes(at + room * 16 + row * (wide - 4), wide);
        const restOfAll = Math.sqrt(square(rowCode.slice(PART).map((c) => c * rowScale)));
        expect(rest).toBeGreaterThan(restOfAll);
        expect(rest / restOfAll).toBeCloseTo(1.001, 4);
        const product = scale * rowScale * dot(code.slice(0, part), rowCode) + behind * rest;
        const length = Math.sqrt(own);
        let bound: number;
        let lost: number;
        if (metric === METRIC_L2) {
          lost = (norm + rowNorm) * G;
          const images = Math.sqrt(Math.max(0, norm + rowNorm - lost - 2 * product));
          bound = Math.max(0, images - error - rowError) ** 2 * (1 - G);
        } else {
          const rowLength = Math.sqrt(rowNorm) + rowError;
          const meanLength = Math.sqrt(square(mean));
          lost = G * length * (meanLength + rowLength);
          bound = -dot(query, mean) - product - length * rowError - error * rowLength - lost;
        }
        expect(bound).toBeLessThanOrEqual(exactOf(i, row));
        expect(Math.abs(desk.floats(lower + row * 4, 1)[0] - bound), `${i}, ${row}`).toBeLessThan(0.2 * lost);
      }
    }
    desk.clear();
  });

  test("bounds by heads", () => {
    const scan = open(heads);
    const facts = desk.floats(heads, 3);
    const [longest, meanLength, slack] = [facts[0] * 1.01, facts[1], facts[2]];
    const [m] = desk.ints(heads + 12, 1);
    const directions = heads + 16 + Math.ceil(D / 4) * 16;
    const [one, lost] = desk.floats(directions, 2);
    const lengths = directions + 16 + Math.ceil((m - 1) / 4) * 4 * wide * 2;
    const own = lengths + up16(N) * 4;
    const [worth] = desk.floats(own, 1);
    /** Row i of whole rows (whole-rows.ts) of so many numbers. */
    const wholeRow = (at: number, i: number, width: number): number[] =>
      Array.from({ length: width }, (_, j) => {
        const pair = at + 16 + (i >> 2) * width * 8 + (i & 3) * 4 + (j >> 1) * 16;
        return whole(pair, 2)[j & 1];
      });
    for (const numbers of [[0], [1, 2], [3, 4, 0], [2, 0, 1, 4]]) {
      const lower = inner.boundByHeads(scan, N, ...pairsOf(numbers));
      const [i] = numbers;
      const seeker = desk.floats(inner.seekerAt(scan, i), 7);
      const [scale, , queryError, squared, factor, base, rest] = seeker;
      const query = rowOf(queries, D, i);
      const code = whole(inner.queryCodesAt(scan) + i * wide * 2, wide);
      const head = whole(inner.queryHeadsAt(scan) + i * m * 2, m);
      const headScale = factor / worth / (metric === METRIC_L2 ? 2 : 1);
      // What R sees, and what it leaves over at the most.
      const seen = Array.from({ length: m - 1 }, (_, j) => scale * one * dot(code, wholeRow(directions, j, wide)));
      const [length, error] = [Math.sqrt(squared) * 1.01, queryError * 1.01];
      const off = ((lost + 4 * U) * (length + error) + error) * 1.01;
      const left = (squared + 2 * off * (length + off)) * (1 + slack) - square(seen);
      const full = [...seen, Math.sqrt(left) * 1.0001];
      expect(left).toBeGreaterThan(0.005 * squared);
      full.forEach((x, j) => expect(Math.abs(x / headScale - head[j])).toBeLessThan(0.6));
      const rests = Math.sqrt(square(full.map((x, j) => x - head[j] * headScale)));
      expect(rest / (rests * 1.001 + 8 * U * Math.sqrt(square(full)))).toBeCloseTo(1, 1);

      const image = headScale * Math.sqrt(square(head));
      const away = off * longest + rest * longest + image * worth * Math.sqrt(m) * 0.52;
      const expected =
        metric === METRIC_L2
          ? squared * (1 - slack) - 2 * away
          : -dot(query, mean) - slack * length * (longest + meanLength) - away;
      expect(Math.abs(base - expected)).toBeLessThan(0.01 * away);
      for (let row = 0; row < N; row++) {
        const product = dot(head, wholeRow(own, row, m));
        const [rowSquare] = desk.floats(lengths + row * 4, 1);
        expect(rowSquare / square(less(rowOf(rows, D, row), mean))).toBeCloseTo(1, 5);
        const bound = base - factor * product + (metric === METRIC_L2 ? rowSquare * (1 - slack) : 0);
        expect(bound).toBeLessThanOrEqual(exactOf(i, row));
        expect(Math.abs(desk.floats(lower + row * 4, 1)[0] - bound)).toBeLessThan(1e-6 * (squared + rowSquare));
      }
    }
    desk.clear();
  });
});
