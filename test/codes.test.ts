import { describe, expect, it } from "vitest";

import { METRIC_INNER_PRODUCT, METRIC_L2 } from "../src/index.js";
import type { Metric } from "../src/index.js";
import type { ScalarType } from "../src/indexes/tree.js";
import { moreKernels } from "../src/wasm/more.js";
import { ProductQuantizer } from "../src/quantizers/product.js";
import { ScalarQuantizer } from "../src/quantizers/scalar.js";
import { Engine } from "../src/wasm/engine.js";
import * as Best from "../src/wasm/best.gen.js";
import * as Half from "../src/wasm/half.gen.js";
import * as Lists from "../src/wasm/lists.gen.js";
import * as Plan from "../src/wasm/plan.gen.js";
import * as Product from "../src/wasm/product.gen.js";
import * as Scalar from "../src/wasm/scalar.gen.js";
import { below, randomOf, uniform } from "./random.js";
import { exactKeyOf, rowOf } from "./reference.js";

// Codes kept as rows of bytes: what they stand for, and that a scan of them gives what comparing what they stand for gives.

const TYPES: readonly ScalarType[] = [
  "8",
  "6",
  "4",
  "8_uniform",
  "4_uniform",
  "8_direct",
  "8_direct_signed",
  "fp16",
  "bf16",
];

/** One list of codes after the other, and what a scan of them is given. */
interface Shape {
  d: number;
  metric: Metric;
  queries: Float32Array;
  nq: number;
  k: number;
  sizes: number[];
  probes: Int32Array;
  coarse: Float32Array;
  nprobe: number;
  centroids?: Float32Array | undefined;
}

function put(engine: Engine, items: ArrayBufferView): number {
  const address = engine.allocate(items.byteLength + 64);
  engine.u8.set(new Uint8Array(items.buffer, items.byteOffset, items.byteLength), address);
  return address;
}

/** Scans lists of rows that stand at `codes`, `code` being the record of what they are. */
function scan(
  engine: Engine,
  code: Uint32Array,
  shape: Shape,
  codes: number,
  rowBytes: number,
): { keys: Float32Array; slots: Int32Array } {
  const { nq, k, nprobe, sizes } = shape;
  const starts = new Uint32Array(sizes.length);
  for (let i = 1; i < sizes.length; i++) starts[i] = starts[i - 1] + sizes[i - 1];
  const plan = new Uint32Array(16);
  plan[Plan.queries] = put(engine, shape.queries);
  plan[Plan.nq] = nq;
  plan[Plan.d] = shape.d;
  plan[Plan.metric] = shape.metric;
  plan[Plan.probes] = put(engine, shape.probes);
  plan[Plan.coarse] = put(engine, shape.coarse);
  plan[Plan.nprobe] = plan[Plan.atLeast] = nprobe;
  plan[Plan.centroids] = shape.centroids === undefined ? 0 : put(engine, shape.centroids);
  plan[Plan.scratch] = engine.allocate(1 << 20);
  const lists = new Uint32Array(8);
  lists[Lists.nlist] = sizes.length;
  lists[Lists.starts] = put(engine, starts);
  lists[Lists.sizes] = put(engine, Uint32Array.from(sizes));
  lists[Lists.codes] = codes;
  lists[Lists.blockBytes] = rowBytes;
  const found = new Uint32Array(8);
  found[Best.keys] = engine.allocate(nq * k * 4);
  found[Best.slots] = engine.allocate(nq * k * 4);
  found[Best.k] = k;
  moreKernels(engine).scanCodesBest(put(engine, code), put(engine, plan), put(engine, lists), put(engine, found));
  return {
    keys: engine.f32.slice(found[Best.keys] >>> 2, (found[Best.keys] >>> 2) + nq * k),
    slots: engine.i32.slice(found[Best.slots] >>> 2, (found[Best.slots] >>> 2) + nq * k),
  };
}

/** Lists of a few rows each, and queries that probe some of them. */
function shapeOf(
  seed: number,
  d: number,
  metric: Metric,
  residual: boolean,
  offset: number,
  whole: boolean,
): Shape & { rows: Float32Array; cells: Int32Array } {
  const random = randomOf(seed);
  const nlist = 5;
  const sizes = Array.from({ length: nlist }, () => below(random, 40));
  const n = sizes.reduce((sum, size) => sum + size, 0);
  const nq = 3;
  const nprobe = 4;
  const draw = (length: number): Float32Array<ArrayBuffer> => {
    const values = uniform(random, length, whole ? 100 : 1);
    return values.map((value) => (whole ? Math.round(value) : value) + offset);
  };
  const queries = draw(nq * d);
  const rows = draw(n * d);
  const centroids = residual ? draw(nlist * d) : undefined;
  const probes = new Int32Array(nq * nprobe);
  const coarse = new Float32Array(nq * nprobe);
  for (let i = 0; i < nq; i++) {
    for (let p = 0; p < nprobe; p++) {
      const list = (probes[i * nprobe + p] = (p * 2 + i) % nlist);
      if (centroids === undefined) continue;
      const key = exactKeyOf(rowOf(queries, d, i), rowOf(centroids, d, list), metric);
      coarse[i * nprobe + p] = metric === METRIC_L2 ? key : -key;
    }
  }
  const cells = Int32Array.from(sizes.flatMap((size, list) => new Array<number>(size).fill(list)));
  return { d, metric, queries, nq, k: 7, sizes, probes, coarse, nprobe, centroids, rows, cells };
}

/** The best of what rows stand for, compared in double precision. */
function expectBest(
  shape: Shape & { cells: Int32Array },
  decoded: Float32Array,
  found: { keys: Float32Array; slots: Int32Array },
  tolerance: number,
): void {
  const { d, metric, k, nq, nprobe, probes, centroids, cells } = shape;
  for (let i = 0; i < nq; i++) {
    const probed = new Set(probes.subarray(i * nprobe, (i + 1) * nprobe));
    const query = rowOf(shape.queries, d, i);
    const keyOf = (slot: number): number => {
      const row = Float64Array.from(rowOf(decoded, d, slot));
      if (centroids !== undefined) row.forEach((value, j) => (row[j] = value + centroids[cells[slot] * d + j]));
      const key = row.reduce((sum, y, j) => sum + (metric === METRIC_L2 ? (query[j] - y) ** 2 : -query[j] * y), 0);
      return metric === METRIC_L2 ? key : -key;
    };
    const all = [...cells.keys()].filter((slot) => probed.has(cells[slot])).map((slot) => ({ slot, key: keyOf(slot) }));
    all.sort((a, b) => (metric === METRIC_L2 ? a.key - b.key : b.key - a.key));
    const scale = Math.max(...all.map(({ key }) => Math.abs(key)), ...query.map((x) => x * x * d), 1e-30);
    for (let j = 0; j < k; j++) {
      const slot = found.slots[i * k + j];
      if (j >= all.length) {
        expect(slot).toBe(-1);
        continue;
      }
      // The right distance at each rank, and the distance of the slot that is named.
      expect(Math.abs(found.keys[i * k + j] - all[j].key)).toBeLessThanOrEqual(tolerance * scale);
      expect(Math.abs(found.keys[i * k + j] - keyOf(slot))).toBeLessThanOrEqual(tolerance * scale);
    }
    expect(new Set(found.slots.subarray(i * k, i * k + Math.min(k, all.length))).size).toBe(Math.min(k, all.length));
  }
}

describe("scalar quantizers", () => {
  const engine = new Engine();
  const spread = (bits: number): number => {
    const bytes = new Uint8Array(32);
    const multipliers = new Uint16Array(bytes.buffer, 16);
    for (let i = 0; i < 8; i++) {
      bytes[2 * i] = (i * bits) >> 3;
      bytes[2 * i + 1] = ((i * bits) >> 3) + 1;
      multipliers[i] = 2 ** (16 - bits - ((i * bits) & 7));
    }
    return put(engine, bytes);
  };

  for (const type of TYPES) {
    for (const metric of [METRIC_L2, METRIC_INNER_PRODUCT] as const) {
      for (const residual of [false, true]) {
        for (const d of [1, 7, 16, 37]) {
          for (const offset of type.startsWith("8_direct") ? [type === "8_direct" ? 100 : 0] : [0, 30]) {
            it(`SQ${type}, metric ${metric}, residual ${residual}, d ${d}, around ${offset}`, () => {
              const shape = shapeOf(d * 7 + metric, d, metric, residual, offset, type.startsWith("8_direct"));
              const quantizer = new ScalarQuantizer(engine, d, type);
              const less = shape.rows.map(
                (x, j) => x - (shape.centroids?.[shape.cells[Math.floor(j / d)] * d + (j % d)] ?? 0),
              );
              if (residual && type === "8_direct") return; // Residuals are negative.
              if (type === "8_direct_signed")
                for (let j = 0; j < less.length; j++) less[j] = Math.max(-128, Math.min(127, less[j]));
              quantizer.train(less);
              const n = less.length / d;
              const terms = metric === METRIC_L2 && !quantizer.isHalf;
              const rowBytes = quantizer.codeBytes + (terms ? 4 : 0);
              const codes = engine.allocate(n * rowBytes + 64);
              quantizer.encode(put(engine, less), n, codes, rowBytes, 0);
              if (terms) {
                const centroids = shape.centroids === undefined ? 0 : put(engine, shape.centroids);
                moreKernels(engine).termsOfScalar(
                  codes,
                  rowBytes,
                  n,
                  d,
                  quantizer.bits,
                  quantizer.low,
                  quantizer.scale,
                  centroids,
                  put(engine, shape.cells),
                );
              }
              const out = engine.allocate(n * d * 4 + 64);
              quantizer.decode(codes, rowBytes, n, out);
              const decoded = engine.f32.slice(out >>> 2, (out >>> 2) + n * d);
              const record = new Uint32Array(64);
              const floats = new Float32Array(record.buffer);
              if (quantizer.isHalf) {
                record[Half.d] = d;
                record[Half.constants] = put(
                  engine,
                  new Uint32Array([...new Array<number>(4).fill(0x8fffe000), ...new Array<number>(4).fill(0x77800000)]),
                );
                record[Half.kind] = (type === "fp16" ? moreKernels(engine).FP16 : moreKernels(engine).BF16).value;
                expectBest(shape, decoded, scan(engine, record, shape, codes, rowBytes), 1e-6);
                return;
              }
              record[Scalar.d] = d;
              record[Scalar.D] = Math.ceil(d / 8) * 8;
              record[Scalar.bits] = quantizer.bits;
              record[Scalar.termAt] = terms ? quantizer.codeBytes : 0;
              record[Scalar.low] = quantizer.low;
              record[Scalar.scale] = quantizer.scale;
              record[Scalar.spread] = spread(quantizer.bits);
              floats[Scalar.reach] = quantizer.reach;
              record[Scalar.kind] = (
                quantizer.bits === 8 ? moreKernels(engine).BYTES : moreKernels(engine).PACKED
              ).value;
              expectBest(shape, decoded, scan(engine, record, shape, codes, rowBytes), 1e-6);
            });
          }
        }
      }
    }
  }
});

describe("product quantizers", () => {
  const engine = new Engine();
  for (const nbits of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13]) {
    for (const metric of [METRIC_L2, METRIC_INNER_PRODUCT] as const) {
      for (const residual of [false, true]) {
        it(`PQ of ${nbits} bits, metric ${metric}, residual ${residual}`, () => {
          const random = randomOf(nbits);
          const M = 1 + below(random, 6);
          const d = M * (1 + below(random, 3));
          const shape = shapeOf(nbits + metric, d, metric, residual, 0.5, false);
          const quantizer = new ProductQuantizer(engine, d, M, nbits);
          const codebook = uniform(random, d * quantizer.K);
          quantizer.setCodebook(codebook);
          const n = shape.cells.length;
          const terms = metric === METRIC_L2 && residual;
          const rowBytes = quantizer.codeBytes + (terms ? 4 : 0);
          const codes = engine.allocate(n * rowBytes + 64);
          const less = shape.rows.map(
            (x, j) => x - (shape.centroids?.[shape.cells[Math.floor(j / d)] * d + (j % d)] ?? 0),
          );
          moreKernels(engine).encodeProduct(
            put(engine, less),
            n,
            M,
            nbits,
            quantizer.lanes,
            d / M,
            quantizer.transposed,
            codes,
            rowBytes,
          );
          const out = engine.allocate(n * d * 4 + 64);
          moreKernels(engine).decodeProduct(codes, rowBytes, n, M, nbits, d / M, quantizer.codebook, out);
          const decoded = engine.f32.slice(out >>> 2, (out >>> 2) + n * d);
          // Each part is the nearest of all centroids.
          const sub = d / M;
          for (let i = 0; i < Math.min(n, 9); i++) {
            for (let m = 0; m < M; m++) {
              const part = less.subarray(i * d + m * sub, i * d + (m + 1) * sub);
              const own = exactKeyOf(part, decoded.subarray(i * d + m * sub, i * d + (m + 1) * sub), METRIC_L2);
              for (let c = 0; c < quantizer.K; c += Math.ceil(quantizer.K / 300)) {
                const other = exactKeyOf(part, rowOf(codebook, sub, m * quantizer.K + c), METRIC_L2);
                expect(own).toBeLessThanOrEqual(other * (1 + 1e-5));
              }
            }
          }
          if (terms) {
            moreKernels(engine).termsOfProduct(
              codes,
              rowBytes,
              n,
              M,
              nbits,
              sub,
              quantizer.codebook,
              put(engine, shape.centroids ?? new Float32Array()),
              put(engine, shape.cells),
            );
          }
          const record = new Uint32Array(64);
          record[Product.M] = M;
          record[Product.bits] = nbits;
          record[Product.K] = quantizer.lanes;
          record[Product.sub] = sub;
          record[Product.termAt] = terms ? quantizer.codeBytes : 0;
          record[Product.transposed] = quantizer.transposed;
          record[Product.kind] = (nbits === 8 ? moreKernels(engine).PRODUCT8 : moreKernels(engine).PRODUCT).value;
          if (!residual) shape.coarse.fill(0);
          expectBest(shape, decoded, scan(engine, record, shape, codes, rowBytes), 2e-6);
        });
      }
    }
  }
});

it.each(["8", "6", "4", "8_uniform", "4_uniform", "8_direct", "8_direct_signed"] as const)(
  "the reach of SQ%s is the length of the longest vector that a code can stand for",
  (type) => {
    const engine = new Engine();
    const d = 24;
    // Around different centres, so that either end of a range may be the farther one.
    const vectors = uniform(randomOf(3), 200 * d).map((x, i) => x + ((i % d) - 11));
    const quantizer = new ScalarQuantizer(engine, d, type);
    quantizer.train(vectors);
    const { codeBytes } = quantizer;
    const codes = engine.allocate(2 * codeBytes);
    engine.u8.fill(0, codes, codes + codeBytes);
    engine.u8.fill(255, codes + codeBytes, codes + 2 * codeBytes);
    const out = engine.allocate(2 * d * 4);
    quantizer.decode(codes, codeBytes, 2, out);
    const ends = engine.f32.slice(out >>> 2, (out >>> 2) + 2 * d);
    const longest = Math.hypot(
      ...Array.from({ length: d }, (_, j) => Math.max(...[ends[j], ends[d + j]].map(Math.abs))),
    );
    expect(quantizer.reach).toBeGreaterThanOrEqual(longest);
    expect(quantizer.reach / longest).toBeLessThan(1.00001);
  },
);
