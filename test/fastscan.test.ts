import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { METRIC_INNER_PRODUCT, METRIC_L2 } from "../src/index.js";
import type { Metric } from "../src/index.js";
import { Engine } from "../src/wasm/engine.js";
import { below, pick, randomOf, shuffled, uniform } from "./random.js";
import type { Random } from "./random.js";
import { packed as packedRecord, records } from "./records.js";
import { best, keyOf, NOTHING, rowOf } from "./reference.js";
import type { Candidate } from "./reference.js";

// FastScan as reference/file-format.md (8, 9, 11) tells it, in scalar code that shares nothing with the kernels but the arguments: what
// searchPacked must give, to the last bit.

/** Centroids of a sub-quantizer. */
const K = 16;
/** The largest sum that two bytes hold. */
const MOST = 65535;

/** One inverted list: the ids of its vectors, and M numbers from 0 to 15 for each. */
interface List {
  ids: bigint[];
  numbers: Uint8Array;
}

/** All that a search of packed lists is about. */
interface Shape {
  d: number;
  M: number;
  metric: Metric;
  /** Whether the sum of the spans bounds the scale. */
  guard: boolean;
  bbs: number;
  /** [M][16][d / M]. */
  codebook: Float32Array;
  /** Where codes are those of residuals, else undefined: a row for each list. */
  centroids: Float32Array | undefined;
  lists: List[];
  queries: Float32Array;
  /** nq x nprobe, -1 for none. */
  probes: Int32Array;
  nprobe: number;
  /** Coarse distances of the probes. */
  biases: Float32Array;
  atLeast: number;
  maxCodes: number;
  k: number;
  /** Whether ids are given; else a slot is its own id. */
  withIds: boolean;
}

interface Answer {
  distances: Float32Array;
  labels: bigint[];
}

/** Numbers of n vectors in whole blocks, by the formula of section 8. */
function packed({ M, bbs }: Pick<Shape, "M" | "bbs">, numbers: Uint8Array): Uint8Array {
  const n = numbers.length / M;
  const M2 = M + (M % 2);
  const blocks = new Uint8Array((Math.ceil(n / bbs) * bbs * M2) / 2);
  for (let i = 0; i < n; i++) {
    const v = i % 16;
    const group = Math.floor(i / bbs) * ((bbs * M2) / 2) + Math.floor((i % bbs) / 32) * 32;
    const byte = group + (v < 8 ? 2 * v : 2 * (v - 8) + 1);
    const shift = i % 32 < 16 ? 0 : 4;
    for (let s = 0; s < M; s++) blocks[byte + (s >> 1) * bbs + 16 * (s & 1)] |= numbers[i * M + s] << shift;
  }
  return blocks;
}

/** Any places for the sub-quantizers, the one that an odd M lacks being the last. */
function placesOf(M: number): Int32Array {
  const order = shuffled(
    randomOf(M),
    Array.from({ length: M }, (_, m) => m),
  );
  return Int32Array.from([...order, M]);
}

/** A query's look-up table, M x 16. */
function tableOf(shape: Shape, query: Float32Array, metric: number): Float32Array {
  const { fround } = Math;
  const { d, M, codebook } = shape;
  const sub = d / M;
  return Float32Array.from({ length: M * K }, (_, entry) => {
    let sum = 0;
    for (let j = 0; j < sub; j++) {
      const x = query[Math.floor(entry / K) * sub + j];
      const y = codebook[entry * sub + j];
      const difference = fround(x - y);
      sum = fround(sum + (metric === METRIC_L2 ? fround(difference * difference) : fround(x * y)));
    }
    return sum;
  });
}

/**
 * What each code of a residual adds to the coarse distance, |r|² + 2 cr - 2 xr, rounded as faiss rounds it: the table of a list is made once,
 * the query's products once a query.
 */
function residualTable(shape: Shape, query: Float32Array, centroid: Float32Array): Float32Array {
  const { fround } = Math;
  const lengths = tableOf(shape, new Float32Array(shape.d), METRIC_L2);
  const [own, products] = [centroid, query].map((x) => tableOf(shape, x, METRIC_INNER_PRODUCT));
  return lengths.map((length, i) => fround(fround(length + fround(2 * own[i])) - fround(2 * products[i])));
}

/** What a list adds to the sums of its vectors, and the table that it is scanned with. */
interface QuantizedProbe {
  list: number;
  bias: number;
  table: Uint8Array;
}

/** Tables and biases as 8 and 16 bits, and what turns a sum back into a distance: sum * inverse + base. Undefined where it can't be. */
function quantized(shape: Shape, q: number): { probes: QuantizedProbe[]; inverse: number; base: number } | undefined {
  const { fround, floor } = Math;
  const { d, M, metric, centroids, guard, nprobe } = shape;
  const query = rowOf(shape.queries, d, q);
  const own = [...shape.probes.subarray(q * nprobe, (q + 1) * nprobe)];
  const lists = own.slice(0, own.includes(-1) ? own.indexOf(-1) : nprobe);
  const coarse = [...shape.biases.subarray(q * nprobe, q * nprobe + lists.length)];
  const perList = centroids !== undefined && metric === METRIC_L2;
  const residualProduct = centroids !== undefined && metric === METRIC_INNER_PRODUCT;
  const nearest = Math.min(...coarse);

  // One table, or one for each list where it depends on the centroid.
  const tables = (perList ? lists : [-1]).map((list, place) => {
    const centroid = centroids === undefined || list < 0 ? undefined : rowOf(centroids, d, list);
    const floats = centroid === undefined ? tableOf(shape, query, metric) : residualTable(shape, query, centroid);
    // The sum of the spans begins with what the coarse distances span, as faiss adds it up.
    let spans = 0;
    if (perList) spans = fround(coarse[place] - nearest);
    if (residualProduct) spans = fround(Math.max(...coarse) - nearest);
    let widest = 0;
    let base = centroid === undefined ? 0 : coarse[place];
    const mins = Array.from({ length: M }, (_, m) => {
      const entries = floats.subarray(m * K, (m + 1) * K);
      const min = Math.min(...entries);
      const span = fround(Math.max(...entries) - min);
      if (span > widest) widest = span;
      spans = fround(spans + span);
      base = fround(base + min);
      return min;
    });
    return { floats, mins, spans, widest, base };
  });
  const widest = Math.max(...tables.map((table) => table.widest));
  let base = Math.min(...tables.map((table) => table.base));
  if (residualProduct) base = fround(base + nearest);
  if (!Number.isFinite(widest) || !Number.isFinite(base)) return undefined;
  const most = Math.max(...tables.map((table) => table.spans));
  let a = widest > 0 ? fround(255 / widest) : Infinity;
  if (guard && most > 0) a = Math.min(a, fround(MOST / most));
  if (!Number.isFinite(a)) a = 0;
  const round = (value: number, least: number): number => floor(fround(fround(fround(value - least) * a) + 0.5));
  const bytes = tables.map(({ floats, mins }) =>
    Uint8Array.from(floats, (entry, i) => round(entry, mins[Math.floor(i / K)])),
  );
  const probes = lists.map((list, i) => {
    let bias = 0;
    if (perList) bias = round(tables[i].base, base);
    if (residualProduct) bias = round(coarse[i], nearest);
    // Where distances overflow, sums mean nothing, but stay in bounds.
    return { list, bias: Math.min(bias, 2 ** 31 - 1), table: bytes[perList ? i : 0] };
  });
  const inverse = fround(1 / a);
  return { probes, inverse: Number.isFinite(inverse) ? inverse : 0, base };
}

/** The vectors of a query's lists in the order in which they are visited, the sum as key: 65535 less it under inner product. */
function* visit(
  shape: Shape,
  probes: QuantizedProbe[],
  idOf: (list: number, i: number) => bigint,
): Generator<Candidate> {
  const { M, metric, bbs, atLeast, maxCodes, k } = shape;
  const byNumber = (a: QuantizedProbe, b: QuantizedProbe): number => a.list - b.list;
  // Blocks of 32 are visited list by list as they are numbered; that decides between ties.
  const order =
    bbs === 32 && maxCodes === 0 ? [...probes.slice(0, atLeast).sort(byNumber), ...probes.slice(atLeast)] : probes;
  let seen = 0;
  for (const [place, { list, bias, table }] of order.entries()) {
    if (place >= atLeast && seen >= k) return;
    const { numbers } = shape.lists[list];
    for (let i = 0; i * M < numbers.length; i++) {
      if (maxCodes > 0 && seen === maxCodes) return;
      seen++;
      let sum = bias;
      for (let m = 0; m < M; m++) sum = (sum + table[m * K + numbers[i * M + m]]) & MOST;
      yield { id: idOf(list, i), key: metric === METRIC_L2 ? sum : MOST - sum };
    }
  }
}

/** What faiss answers, but that it never finds an L2 sum of 65535 nor an inner product's of 0. */
function reference(shape: Shape): Answer {
  const { fround } = Math;
  const { k, metric } = shape;
  const nq = shape.queries.length / shape.d;
  const starts = startsOf(shape);
  const idOf = (list: number, i: number): bigint =>
    shape.withIds ? shape.lists[list].ids[i] : BigInt(starts[list] + i);
  const distances = new Float32Array(nq * k).fill(metric === METRIC_L2 ? NOTHING : -NOTHING);
  const labels = new Array<bigint>(nq * k).fill(-1n);
  for (let q = 0; q < nq; q++) {
    const tables = quantized(shape, q);
    if (tables === undefined) continue;
    collect(visit(shape, tables.probes, idOf), k, metric).forEach(({ id, key }, i) => {
      const sum = metric === METRIC_L2 ? key : MOST - key;
      distances[q * k + i] = fround(sum * tables.inverse) + tables.base;
      labels[q * k + i] = BigInt(id);
    });
  }
  return { distances, labels };
}

/** Vectors of a block in memory: one list has larger ones. */
function memoryBlock({ lists, bbs }: Pick<Shape, "lists" | "bbs">): number {
  return lists.length === 1 ? bbs * Math.max(1, Math.floor(256 / bbs)) : bbs;
}

/** The first slot of each list: blocks are not shared. */
function startsOf(shape: Shape): number[] {
  const { lists, M } = shape;
  const bbs = memoryBlock(shape);
  const starts: number[] = [];
  let slot = 0;
  for (const { numbers } of lists) {
    starts.push(slot);
    slot += Math.ceil(numbers.length / M / bbs) * bbs;
  }
  return starts;
}

/** The kernel's answer. */
function search(shape: Shape): Answer {
  const engine = new Engine();
  const { kernels } = engine;
  const { d, M, metric, lists, k, nprobe, centroids } = shape;
  const bbs = memoryBlock(shape);
  const M2 = M + (M % 2);
  const nq = shape.queries.length / d;
  const put = (items: ArrayBufferView): number => {
    const address = engine.allocate(items.byteLength);
    engine.u8.set(new Uint8Array(items.buffer, items.byteOffset, items.byteLength), address);
    return address;
  };
  const starts = startsOf(shape);
  const blocks = lists.map(({ numbers }) => packed(shape, numbers));
  const slots = blocks.reduce((sum, { length }) => sum + Math.ceil((length * 2) / M2 / bbs) * bbs, 0);
  const ids = new BigInt64Array(slots).fill(-77n);
  lists.forEach((list, i) => ids.set(list.ids, starts[i]));
  const codes = engine.allocate((slots * M2) / 2);
  engine.u8.fill(0, codes, codes + (slots * M2) / 2);
  lists.forEach((_, i) => engine.u8.set(blocks[i], codes + (starts[i] * M2) / 2));
  const places = put(placesOf(M));
  kernels.arrangeCodes(codes, slots / bbs, M2, bbs, shape.bbs, places, engine.allocate((bbs * M2) / 2));
  const transposed = engine.allocate(shape.codebook.byteLength);
  kernels.transposeCodebook(put(shape.codebook), M, K, K, d / M, transposed);
  const lengths = put(tableOf(shape, new Float32Array(d), METRIC_L2));
  const tables = centroids !== undefined && metric === METRIC_L2 ? nprobe : 1;
  const listed = lists.length === 1 ? lists[0].numbers.length / M : 0;
  const scratchBytes = kernels.searchPackedScratch(M, M2, nprobe, tables, k, listed);
  const scratch = engine.allocate(scratchBytes + 64);
  const found = { keys: engine.allocate(nq * k * 4), slots: engine.allocate(nq * k * 4) };
  const addresses = {
    queries: put(shape.queries),
    probes: put(shape.probes),
    centroids: centroids === undefined ? 0 : put(centroids),
    biases: put(shape.biases),
    starts: put(Uint32Array.from(starts)),
    sizes: put(Uint32Array.from(lists, ({ numbers }) => numbers.length / M)),
    ids: shape.withIds ? put(ids) : 0,
  };
  engine.u8.fill(0xa5, scratch, scratch + scratchBytes + 64);
  const plan = {
    queries: addresses.queries,
    nq,
    d,
    metric,
    probes: addresses.probes,
    coarse: addresses.biases,
    nprobe,
    atLeast: shape.atLeast,
    maxCodes: shape.maxCodes,
    centroids: addresses.centroids,
    scratch,
  };
  const { starts: start, sizes: size, ids: id } = addresses;
  const own = { nlist: lists.length, starts: start, sizes: size, codes, blockBytes: (bbs * M2) / 2, ids: id };
  kernels.searchPacked(
    packedRecord(engine, { M, M2, bbs, places, transposed, lengths, guard: shape.guard ? 1 : 0, listed }),
    ...records(engine, plan, own, { ...found, k }),
  );
  const behind = engine.u8.subarray(scratch + scratchBytes, scratch + scratchBytes + 64);
  expect(behind.every((byte) => byte === 0xa5)).toBe(true);
  const takenSlots = engine.i32.slice(found.slots >>> 2, (found.slots >>> 2) + nq * k);
  return {
    distances: engine.f32.slice(found.keys >>> 2, (found.keys >>> 2) + nq * k),
    labels: Array.from(takenSlots, (slot) => (slot < 0 ? -1n : shape.withIds ? ids[slot] : BigInt(slot))),
  };
}

/** Expects the kernel's answer to be the reference's, bit for bit. */
function expectExact(shape: Shape): Answer {
  const [actual, expected] = [search(shape), reference(shape)];
  for (let i = 0; i < expected.labels.length; i++) {
    if (Object.is(actual.distances[i], expected.distances[i]) && actual.labels[i] === expected.labels[i]) continue;
    const [row, place] = [Math.floor(i / shape.k), i % shape.k];
    const is = `${actual.labels[i]} at ${actual.distances[i]}`;
    expect.fail(`result ${place} of query ${row}: ${is}, not ${expected.labels[i]} at ${expected.distances[i]}`);
  }
  return actual;
}

/** A flat index: one list, one probe, ids in order. */
function flatShape(
  parts: Pick<Shape, "M" | "d" | "codebook" | "queries" | "k"> & Partial<Shape>,
  numbers: Uint8Array,
): Shape {
  const nq = parts.queries.length / parts.d;
  const n = numbers.length / parts.M;
  return {
    metric: METRIC_L2,
    guard: true,
    bbs: 32,
    centroids: undefined,
    lists: [{ ids: Array.from({ length: n }, (_, i) => BigInt(i)), numbers }],
    probes: new Int32Array(nq),
    nprobe: 1,
    biases: new Float32Array(nq),
    atLeast: 1,
    maxCodes: 0,
    withIds: false,
    ...parts,
  };
}

/** Ways to fill a codebook, [M][16][sub]: what is usual, what ties, what spans nothing, what dominates, what is far out. */
const CODEBOOKS: Record<string, (random: Random, i: number, m: number) => number> = {
  noise: (random) => random() * 2 - 1,
  integers: (random) => below(random, 4) - 1,
  constants: (_random, _i, m) => m % 3,
  zeros: () => 0,
  "some constant": (random, _i, m) => (m % 2 === 0 ? 1.5 : random()),
  "one loud": (random, _i, m) => random() * (m === 0 ? 1000 : 1),
  large: (random) => (random() * 2 - 1) * 1e17,
  tiny: (random) => (random() * 2 - 1) * 1e-18,
  vanishing: (random) => (random() * 2 - 1) * 1e-22,
};
const QUERIES: Record<string, (random: Random) => number> = {
  noise: (random) => random() * 2 - 1,
  integers: (random) => below(random, 4) - 1,
  zeros: () => 0,
  far: (random) => random() * 1000,
  "far out": (random) => random() * 4e19,
  "not finite": (random) => pick(random, [0, 1, NaN, Infinity, -Infinity]),
};
const SIZES = [0, 1, 5, 31, 32, 33, 63, 64, 65, 95, 96, 97, 200];

/** A shape, drawn; numbers come from the seed. */
interface Draw {
  seed: number;
  M: number;
  sub: number;
  metric: Metric;
  guard: boolean;
  bbs: number;
  codebook: string;
  queries: string;
  residual: boolean;
  nlist: number;
  /** Whether a list is longer than what one call of the kernel's inner loop takes. */
  long: boolean;
  nq: number;
  k: number;
  maxCodes: number;
  withIds: boolean;
  /** Whether coarse distances are not exact. */
  rough: boolean;
}

const shapes: fc.Arbitrary<Draw> = fc.record({
  seed: fc.integer(),
  M: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(1, 2, 3, 4, 5, 7, 8, 15, 16, 33) },
    { weight: 2, arbitrary: fc.constantFrom(128, 257, 384) },
  ),
  sub: fc.integer({ min: 1, max: 4 }),
  metric: fc.constantFrom<Metric>(METRIC_L2, METRIC_INNER_PRODUCT),
  guard: fc.boolean(),
  bbs: fc.constantFrom(32, 64, 96),
  codebook: fc.oneof(fc.constant("noise"), fc.constantFrom(...Object.keys(CODEBOOKS))),
  queries: fc.oneof(fc.constant("noise"), fc.constantFrom(...Object.keys(QUERIES))),
  residual: fc.boolean(),
  nlist: fc.integer({ min: 1, max: 7 }),
  long: fc.nat(20).map((x) => x === 0),
  nq: fc.oneof(fc.constantFrom(0, 1), fc.integer({ min: 1, max: 9 })),
  k: fc.oneof(fc.constantFrom(1, 2, 10), fc.integer({ min: 1, max: 300 })),
  maxCodes: fc.oneof(fc.constant(0), fc.nat(300)),
  withIds: fc.boolean(),
  rough: fc.boolean(),
});

function shapeOf(draw: Draw): Shape {
  const random = randomOf(draw.seed);
  const { M, sub, metric, nlist, nq } = draw;
  const d = M * sub;
  const filled = Float32Array.from({ length: d * K }, (_, i) =>
    CODEBOOKS[draw.codebook](random, i, Math.floor(i / (K * sub))),
  );
  const long = draw.long ? below(random, nlist) : -1;
  const lists = Array.from({ length: nlist }, (_, list): List => {
    const n = list === long ? pick(random, [4095, 4096, 4097, 4128, 8200]) : pick(random, SIZES);
    // Few numbers make many ties.
    const numbers = pick(random, [2, K]);
    return { ids: [], numbers: Uint8Array.from({ length: n * M }, () => below(random, numbers)) };
  });
  const total = lists.reduce((sum, { numbers }) => sum + numbers.length / M, 0);
  const ids = shuffled(
    random,
    Array.from({ length: total }, (_, i) => BigInt(i) * (random() < 0.5 ? 1n : (1n << 33n) + 1n)),
  );
  // Twice the same id would leave the order of ties open.
  const distinct = [...new Set(ids)];
  while (distinct.length < total) distinct.push(-BigInt(distinct.length) - 2n);
  let next = 0;
  for (const list of lists) list.ids = distinct.slice(next, (next += list.numbers.length / M));
  const nprobe = 1 + below(random, nlist);
  const numbers = Array.from({ length: nlist }, (_, i) => i);
  const probes = Int32Array.from(
    Array.from({ length: nq }, () => {
      const chosen = shuffled(random, numbers).slice(0, nprobe);
      return random() < 0.2 ? chosen.fill(-1, below(random, nprobe + 1)) : chosen;
    }).flat(),
  );
  const queries = Float32Array.from({ length: nq * d }, () => QUERIES[draw.queries](random));
  const centroids = draw.residual ? uniform(random, nlist * d, pick(random, [0.1, 1, 30])) : undefined;
  return {
    d,
    M,
    metric,
    guard: draw.guard || draw.residual,
    bbs: draw.bbs,
    codebook: filled,
    centroids,
    lists,
    queries,
    probes,
    nprobe,
    biases: Float32Array.from(probes, (list, i) => {
      if (centroids === undefined || list < 0) return NaN;
      const query = rowOf(queries, d, Math.floor(i / nprobe));
      const roughly = draw.rough ? 1 + random() / 50 : 1;
      return roughly * keyOf(query, rowOf(centroids, d, list), metric) * (metric === METRIC_L2 ? 1 : -1);
    }),
    atLeast: random() < 0.7 ? nprobe : 1 + below(random, nprobe),
    maxCodes: draw.maxCodes,
    k: draw.k,
    withIds: draw.withIds,
  };
}

/**
 * Up to 20 results come from a heap; more from a pool, as in faiss, where ties at the cut are free: ours keeps those that came first.
 */
function collect(candidates: Iterable<Candidate>, k: number, metric: Metric): Candidate[] {
  if (k <= 20) return best(candidates, k, metric);
  const first = [...candidates].sort((a, b) => a.key - b.key).slice(0, k);
  return best(first, k, metric);
}

describe("searchPacked", () => {
  test("equals the scalar reference bit for bit, whatever the shape, the batch and the numbers", () => {
    fc.assert(
      fc.property(shapes, (draw) => void expectExact(shapeOf(draw))),
      { numRuns: 250 },
    );
  });

  test.each([
    [1, 32],
    [15, 32],
    [16, 64],
    [16, 96],
    [128, 32],
    [384, 64],
    [384, 96],
  ])("M = %i in blocks of %i: every length about the ends of groups, blocks and calls of the inner loop", (M, bbs) => {
    const random = randomOf(M + bbs);
    const codebook = uniform(random, M * K * 2);
    for (const n of [0, 1, 31, 32, 33, 63, 64, 65, 4095, 4096, 4097, 4128, 4129, 4200]) {
      if (M > 128 && [4095, 4096, 4097, 4128].includes(n)) continue;
      const numbers = Uint8Array.from({ length: n * M }, () => below(random, K));
      const queries = uniform(random, 2 * M * 2);
      // The last vector is the best of all: what is lost at an end is lost first there.
      const nearest = Array.from({ length: M }, (_, m) =>
        Array.from({ length: K }, (_, c) => c).reduce((a, c) => {
          const far = (x: number): number =>
            (queries[2 * m] - codebook[(m * K + x) * 2]) ** 2 +
            (queries[2 * m + 1] - codebook[(m * K + x) * 2 + 1]) ** 2;
          return far(c) < far(a) ? c : a;
        }, 0),
      );
      if (n > 0) numbers.set(nearest, (n - 1) * M);
      const shape = flatShape({ M, d: M * 2, codebook, queries, k: 10, bbs }, numbers);
      const { labels } = expectExact(shape);
      // With one sub-quantizer, many are as near.
      if (n > 0 && M > 1) expect(labels[0]).toBe(BigInt(n - 1));
    }
  });

  test("many queries find what each finds alone", () => {
    const draw = { seed: 5, M: 15, sub: 2, bbs: 32, codebook: "noise", queries: "noise", nlist: 7, nq: 64 };
    for (const metric of [METRIC_L2, METRIC_INNER_PRODUCT] as const) {
      for (const residual of [false, true]) {
        const more = { metric, residual, guard: true, long: false, k: 12, maxCodes: 0, withIds: true, rough: false };
        const shape = { ...shapeOf({ ...draw, ...more }), nprobe: 3, atLeast: 3 };
        const random = randomOf(1);
        shape.probes = Int32Array.from(
          Array.from({ length: 64 }, () => shuffled(random, [0, 1, 2, 3, 4, 5, 6]).slice(0, 3)).flat(),
        );
        shape.biases = uniform(random, 64 * 3);
        const together = expectExact(shape);
        const alone = Array.from({ length: 64 }, (_, q) =>
          search({
            ...shape,
            queries: rowOf(shape.queries, shape.d, q),
            probes: shape.probes.subarray(q * 3, q * 3 + 3),
            biases: shape.biases.subarray(q * 3, q * 3 + 3),
          }),
        );
        expect(together.labels).toEqual(alone.flatMap(({ labels }) => labels));
        expect([...together.distances]).toEqual(alone.flatMap(({ distances }) => [...distances]));
      }
    }
  });

  test("tables without any spread: every sum is 0, and the first that are seen are found", () => {
    const numbers = Uint8Array.from({ length: 100 * 4 }, (_, i) => i % K);
    for (const metric of [METRIC_L2, METRIC_INNER_PRODUCT] as const) {
      const codebook = new Float32Array(8 * K).fill(0.5);
      const queries = new Float32Array(8).fill(2);
      const { distances, labels } = expectExact(flatShape({ M: 4, d: 8, metric, codebook, queries, k: 3 }, numbers));
      expect(labels).toEqual(metric === METRIC_L2 ? [0n, 1n, 2n] : [2n, 1n, 0n]);
      expect([...distances]).toEqual(metric === METRIC_L2 ? [18, 18, 18] : [8, 8, 8]);
    }
  });

  test("the zero query under inner product finds vectors at 0, where faiss finds none", () => {
    const random = randomOf(3);
    const numbers = Uint8Array.from({ length: 40 * 4 }, () => below(random, K));
    const parts = { M: 4, d: 8, metric: METRIC_INNER_PRODUCT, codebook: uniform(random, 8 * K), k: 2 } as const;
    const { distances, labels } = expectExact(flatShape({ ...parts, queries: new Float32Array(8) }, numbers));
    expect([labels, [...distances]]).toEqual([
      [1n, 0n],
      [0, 0],
    ]);
  });

  test("sums of 65535 under L2 and of 0 under inner product are found, where faiss leaves them out", () => {
    // 257 spans of 1 make a = 255, and 257 * 255 = 65535.
    const M = 257;
    const codebook = Float32Array.from({ length: M * K }, (_, i) => (i % K === 0 ? 0 : 1));
    const numbers = Uint8Array.from({ length: 3 * M }, (_, i) => (i < M ? 0 : i < 2 * M ? 5 : i % 2));
    const l2 = flatShape({ M, d: M, codebook, queries: new Float32Array(M), k: 4 }, numbers);
    const near = expectExact(l2);
    expect([near.labels, near.distances[0], near.distances[2]]).toEqual([[0n, 2n, 1n, -1n], 0, 257]);
    expectExact({ ...l2, k: 2 });
    const product = { ...l2, metric: METRIC_INNER_PRODUCT, queries: new Float32Array(M).fill(1) } as const;
    const high = expectExact(product);
    expect([high.labels, high.distances[0], high.distances[2]]).toEqual([[1n, 2n, 0n, -1n], 257, 0]);
  });

  test("a flat index of more than 257 sub-quantizers keeps its sums below 65536", () => {
    // faiss scales the tables of a flat index by the widest span alone, so that 384 * 255 wraps and the farthest vector of all comes
    // before near ones. An inverted file of faiss minds the sum too, and so does a flat index here: one that the wrap could reach.
    const M = 384;
    const codebook = Float32Array.from({ length: M * K }, (_, i) => (i % K) / 15);
    const numbers = Uint8Array.from({ length: 2 * M }, (_, i) => (i < M ? 14 : 9));
    const flat = flatShape({ M, d: M, codebook, queries: new Float32Array(M), k: 2 }, numbers);
    expect(expectExact(flat).labels).toEqual([1n, 0n]);
    expect(expectExact({ ...flat, guard: false }).labels).toEqual([0n, 1n]);
    // Up to 257 sub-quantizers, the widest span is always the narrower bound.
    const few = flatShape(
      {
        ...flat,
        M: 257,
        d: 257,
        codebook: codebook.subarray(0, 257 * K),
        queries: new Float32Array(257),
        lists: [{ ids: [0n, 1n], numbers: numbers.slice(M - 257, M + 257) }],
      },
      new Uint8Array(0),
    );
    expect(expectExact(few)).toEqual(expectExact({ ...few, guard: false }));
  });

  test("residuals far beyond the spans of their codes: the coarse distances have room in the sums", () => {
    // Lists so far apart that the sums of far ones would wrap, were not the coarse distances' range a part of the scale.
    const random = randomOf(8);
    const [M, d, nlist] = [128, 128, 5];
    const centroids = Float32Array.from({ length: nlist * d }, (_, i) => Math.floor(i / d) * 40);
    const queries = uniform(random, d);
    const biases = Float32Array.from({ length: nlist }, (_, list) =>
      queries.reduce((sum, x, j) => sum + (x - centroids[list * d + j]) ** 2, 0),
    );
    const shape = flatShape(
      { M, d, codebook: uniform(random, d * K), queries, k: 60, centroids, biases },
      new Uint8Array(0),
    );
    shape.lists = Array.from({ length: nlist }, (_, list) => ({
      ids: Array.from({ length: 20 }, (_, i) => BigInt(list * 20 + i)),
      numbers: Uint8Array.from({ length: 20 * M }, () => below(random, K)),
    }));
    Object.assign(shape, { probes: Int32Array.of(4, 2, 0, 1, 3), nprobe: 5, atLeast: 5, withIds: true });
    shape.biases = Float32Array.from(shape.probes, (list) => biases[list]);
    // Nearest lists first, and none of the far ones among them.
    const cells = expectExact(shape).labels.map((id) => Number(id) / 20);
    expect(cells.map(Math.floor)).toEqual([0, 1, 2].flatMap((list) => new Array<number>(20).fill(list)));
  });

  test("room for a list's own coarse distance and spans, not for the largest of both", () => {
    // List 1 is far where the codebook spans nothing, list 2 is nearer, where it does.
    const random = randomOf(9);
    const [M, d, nlist] = [300, 300, 3];
    const half = (i: number): boolean => i % d < 150;
    const codebook = Float32Array.from({ length: d * K }, (_, i) => (i < 150 * K ? 0 : random() * 2 - 1));
    const centroids = Float32Array.from({ length: nlist * d }, (_, i) =>
      i < d ? 0 : i < 2 * d ? (half(i) ? 40 : 0) : half(i) ? 0 : 5,
    );
    const queries = uniform(random, d, 0.1);
    const shape = flatShape({ M, d, codebook, queries, k: 60, centroids }, new Uint8Array(0));
    shape.lists = Array.from({ length: nlist }, (_, list) => ({
      ids: Array.from({ length: 20 }, (_, i) => BigInt(list * 20 + i)),
      numbers: Uint8Array.from({ length: 20 * M }, () => below(random, K)),
    }));
    Object.assign(shape, { probes: Int32Array.of(0, 2, 1), nprobe: 3, atLeast: 3, withIds: true });
    shape.biases = Float32Array.from(shape.probes, (list) => keyOf(queries, rowOf(centroids, d, list), METRIC_L2));
    expectExact(shape);
  });

  test("of equals at the cut, those of the list with the lower number come first, though another is nearer", () => {
    // Lists 5 and 4 are the nearest and fill the pool of 92 before the last of list 4 come, which are as near as all of list 5.
    const near = (count: number): number[] => new Array<number>(count).fill(0);
    const far = (count: number): number[] => new Array<number>(count).fill(1);
    const members = [...[0, 1, 2, 3].map(() => far(5)), [...far(33), ...near(26)], near(59)];
    const codebook = Float32Array.from({ length: 2 * K }, (_, i) => i % K);
    const shape = flatShape({ M: 2, d: 2, codebook, queries: new Float32Array(2), k: 30 }, new Uint8Array(0));
    shape.lists = members.map((own, list) => ({
      ids: own.map((_, i) => BigInt(list * 100 + i)),
      numbers: Uint8Array.from(own.flatMap((number) => [number, number])),
    }));
    Object.assign(shape, { probes: Int32Array.of(5, 4, 3, 2, 1, 0), nprobe: 6, atLeast: 6, withIds: true });
    const { labels } = expectExact(shape);
    expect(labels.filter((label) => label < 500n)).toHaveLength(26);
  });

  test("a query with a NaN, or one that overflows, finds nothing", () => {
    const random = randomOf(2);
    const numbers = Uint8Array.from({ length: 50 * 4 }, () => below(random, K));
    const queries = uniform(random, 5 * 8);
    queries[3] = NaN;
    queries[8] = Infinity;
    queries[16 + 7] = -1e30;
    for (const metric of [METRIC_L2, METRIC_INNER_PRODUCT] as const) {
      const parts = { M: 4, d: 8, metric, codebook: uniform(random, 8 * K), queries, k: 3 };
      const { labels } = expectExact(flatShape(parts, numbers));
      expect(labels.map((label) => label >= 0n)).toEqual(
        [false, false, metric === METRIC_INNER_PRODUCT, true, true].flatMap((some) => [some, some, some]),
      );
    }
  });

  test("as many results as there are vectors, and more than eight lanes of 16 bits can count", () => {
    const random = randomOf(12);
    const n = 530_000;
    const numbers = Uint8Array.from({ length: n }, () => below(random, K));
    const parts = { M: 1, d: 1, codebook: uniform(random, K), queries: new Float32Array(1) };
    // Sums by value, then the order of the vectors.
    const shape = flatShape({ ...parts, k: 1 }, numbers);
    const table = quantized(shape, 0)?.probes[0].table ?? new Uint8Array(K);
    const order = Array.from({ length: 256 }, () => [] as bigint[]);
    numbers.forEach((number, i) => order[table[number]].push(BigInt(i)));
    const expected = order.flat();
    for (const k of [263_000, n])
      expect(search({ ...shape, k }).labels.every((id, i) => id === expected[i])).toBe(true);
  });

  test("tables for a million lists are more than there is memory for, and say so", () => {
    const { kernels } = new Engine();
    expect(kernels.searchPackedScratch(384, 384, 1 << 20, 1 << 20, 1, 0)).toBeGreaterThan(2 ** 34);
  });

  test("tables of 8 bits are off by less than 5e-4 on average", () => {
    // Tables as in faiss' own test: numbers from 0 to 100, 20 sub-quantizers. The query is all ones, so that products are entries.
    const random = randomOf(6);
    const M = 20;
    const codebook = Float32Array.from({ length: M * K }, () => random() * 100);
    const numbers = Uint8Array.from({ length: 1000 * M }, () => below(random, K));
    const parts = {
      M,
      d: M,
      metric: METRIC_INNER_PRODUCT as Metric,
      codebook,
      queries: new Float32Array(M).fill(1),
      k: 1000,
    };
    const { distances, labels } = expectExact(flatShape(parts, numbers));
    let [errors, sum] = [0, 0];
    labels.forEach((label, i) => {
      const code = rowOf(Float32Array.from(numbers), M, Number(label));
      const exact = code.reduce((total, number, m) => total + codebook[m * K + number], 0);
      errors += Math.abs(distances[i] - exact);
      sum += exact;
    });
    expect(errors).toBeLessThan(5e-4 * sum);
  });

  test.each<[Metric, number]>([
    [METRIC_L2, 1],
    [METRIC_L2, 8],
    [METRIC_L2, 40],
    [METRIC_INNER_PRODUCT, 8],
    [METRIC_INNER_PRODUCT, 40],
  ])(
    "metric %i, k = %i: a list that is long enough for two passes, with near vectors in runs, ties and an odd M",
    (metric, k) => {
      const random = randomOf(k);
      for (const M of [17, 24, 41]) {
        const n = 11_000 + below(random, 40);
        const codebook = uniform(random, M * K * 2);
        // What stands together is alike, and some of it the same.
        const numbers = new Uint8Array(n * M);
        for (let i = 0; i < n; i++)
          for (let m = 0; m < M; m++)
            numbers[i * M + m] = i % 60 === 0 || random() < 0.1 ? below(random, K) : numbers[(i - 1) * M + m];
        const queries = uniform(random, 3 * M * 2);
        expectExact(flatShape({ M, d: M * 2, codebook, queries, k, metric }, numbers));
      }
    },
  );

  test("a limited scan takes the nearest lists, not those of the lowest numbers", () => {
    const random = randomOf(4);
    const draw = {
      seed: 9,
      M: 8,
      sub: 1,
      metric: METRIC_L2,
      guard: true,
      bbs: 32,
      codebook: "noise",
      nq: 1,
      k: 4,
    } as const;
    const shape = shapeOf({
      ...draw,
      queries: "noise",
      residual: false,
      nlist: 3,
      long: false,
      maxCodes: 30,
      withIds: true,
      rough: false,
    });
    shape.lists.forEach((list, i) => {
      list.ids = Array.from({ length: 40 }, (_, j) => BigInt(i * 40 + j));
      list.numbers = Uint8Array.from({ length: 40 * 8 }, () => below(random, K));
    });
    Object.assign(shape, { probes: Int32Array.of(2, 0, 1), nprobe: 3, atLeast: 3, biases: new Float32Array(3) });
    expect(expectExact(shape).labels.every((id) => id >= 80n && id < 110n)).toBe(true);
  });
});

test("codes are packed as section 8 says and arranged, and come back, whatever the order of writing", () => {
  const shape = fc.record({
    seed: fc.integer(),
    M: fc.integer({ min: 1, max: 40 }),
    bbs: fc.constantFrom(32, 64, 96, 256),
    n: fc.integer({ min: 1, max: 300 }),
    times: fc.integer({ min: 1, max: 3 }),
  });
  fc.assert(
    fc.property(shape, ({ seed, M, bbs, n, times }) => {
      const random = randomOf(seed);
      const engine = new Engine();
      const { kernels } = engine;
      const M2 = M + (M % 2);
      const numbers = Uint8Array.from({ length: n * M }, () => below(random, K));
      const perBlock = bbs * times;
      const bytes = (Math.ceil(n / perBlock) * perBlock * M2) / 2;
      const [codes, blocks] = [engine.allocate(bytes), engine.allocate(bytes)];
      engine.u8.fill(0, codes, codes + bytes);
      engine.u8.fill(0, blocks, blocks + bytes);
      engine.u8.set(packed({ M, bbs }, numbers), blocks);
      const places = engine.allocate((M + 1) * 4);
      engine.i32.set(placesOf(M), places >>> 2);
      kernels.arrangeCodes(blocks, bytes / ((perBlock * M2) / 2), M2, perBlock, bbs, places, engine.allocate(bytes));
      const [from, slots, back] = [engine.allocate(n * M), engine.allocate(n * 4), engine.allocate(n * M)];
      const order = shuffled(
        random,
        Array.from({ length: n }, (_, i) => i),
      );
      // Each is written twice, first with other numbers: nothing of them may stay.
      for (const flip of [K - 1, 0]) {
        order.forEach((slot, i) => {
          engine.i32[(slots >>> 2) + i] = slot;
          for (let m = 0; m < M; m++) engine.u8[from + i * M + m] = numbers[slot * M + m] ^ flip;
        });
        kernels.copyCodes(from, n, M, M2, perBlock, places, slots, codes, true);
      }
      expect(engine.u8.slice(codes, codes + bytes)).toEqual(engine.u8.slice(blocks, blocks + bytes));
      kernels.copyCodes(back, n, M, M2, perBlock, places, slots, codes, false);
      expect(engine.u8.slice(back, back + n * M)).toEqual(engine.u8.slice(from, from + n * M));
    }),
  );
});
