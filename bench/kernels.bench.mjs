// The hot loops by themselves: what the engine makes of each kernel.

import { readFileSync } from "node:fs";
import { Bench } from "tinybench";
import { Engine } from "../build/esm/wasm/engine.js";
import * as Best from "../build/esm/wasm/best.gen.js";
import * as Lists from "../build/esm/wasm/lists.gen.js";
import * as Packed from "../build/esm/wasm/packed.gen.js";
import * as Plan from "../build/esm/wasm/plan.gen.js";
import * as RowCodes from "../build/esm/wasm/row-codes.gen.js";
import { relaxedKernels } from "../build/esm/wasm/more.js";
import { CODE, FOUND, LISTS, PLAN } from "../build/esm/wasm/records.js";
import { summary, table } from "./measure.mjs";

export const title = "kernels";

export async function run() {
  console.log("baseline");
  await measure(new Engine());
  if (WebAssembly.validate(readFileSync(new URL("../build/relaxed.wasm", import.meta.url)))) {
    console.log("\nrelaxed SIMD");
    await measure(new Engine({ relaxed: true, relaxedKernels }));
  } else console.log("\nrelaxed SIMD: left out, this engine has none (Node has it from 21 on)");
}

async function measure(engine) {
  const bench = new Bench({ time: 300, warmupTime: 100 });
  const multiplyAdds = {};
  for (const [name, work, call] of [...distances(engine), ...quantizers(engine), ...refinements(engine)]) {
    multiplyAdds[name] = work;
    bench.add(name, call);
  }
  await bench.run();
  table(
    bench.tasks.map(({ name, result: { latency } }) => ({
      kernel: name,
      "µs, median": latency.p50 * 1e3,
      "µs, min": latency.min * 1e3,
      "G multiply-adds/s": multiplyAdds[name] / latency.p50 / 1e6,
    })),
  );
  console.log("FastScan alone; to be at least 24 G lookups/s at one query, baseline, on a quiet core");
  table(scans(engine));
}

/** Exact distances and blends, on data in cache. */
function distances(engine) {
  const { kernels } = engine;
  const [d, n, nq, k] = [768, 512, 16, 8];
  const queries = floats(engine, nq * d);
  const rows = floats(engine, n * d);
  const tile = engine.allocate(nq * n * 4);
  const keys = engine.allocate(nq * k * 4);
  const slots = engine.allocate(nq * k * 4);
  const scratch = engine.allocate(kernels.searchRowsScratch(nq));
  const mean = engine.allocate(d * 4);
  const list = oneList(engine, n);
  const lists = { ...list, codes: rows, blockBytes: d * 4 };
  const plan = { queries, d, metric: 1 };
  const found = { keys, slots, k };
  const search = (nq) => kernels.searchRows(CODE, ...records(engine, { ...plan, nq, scratch }, lists, found));
  search(nq);
  const codes = engine.allocate(kernels.rowCodesBytes(n, d));
  const centred = engine.allocate(kernels.encodeRowsScratch(d));
  kernels.meanOfRows(rows, 0, 0, d, codes);
  const words = codes >>> 2;
  engine.i32[words + RowCodes.capacity] = n;
  engine.i32[words + RowCodes.part] = d;
  engine.i32[words + RowCodes.heads] = engine.i32[words + RowCodes.inParts] = 0;
  for (let j = 0; j < d; j++) engine.i32[words + RowCodes.mean + d + j] = 4 * j;
  const encode = () => kernels.encodeRows(rows, 0, n, d, codes, centred);
  encode();
  const codedScratch = engine.allocate(kernels.searchCodedScratch(1, nq, 1, d, k));
  const coded = (nq) =>
    kernels.searchRowsCoded(CODE, codes, ...records(engine, { ...plan, nq, scratch: codedScratch }, lists, found));
  return [
    ["innerProducts 16 x 512 x 768", nq * n * d, () => kernels.innerProducts(queries, nq, rows, n, d, tile, n)],
    ["searchRows L2, 1 query", n * d, () => search(1)],
    ["searchRows L2, 16 queries", nq * n * d, () => search(nq)],
    ["searchRowsCoded L2, 1 query", n * d, () => coded(1)],
    ["searchRowsCoded L2, 16 queries", nq * n * d, () => coded(nq)],
    ["encodeRows 512 x 768", n * d, encode],
    ["squaredNorms 512 x 768", n * d, () => kernels.squaredNorms(rows, n, d, tile)],
    [
      "blendRows 16 x 8 x 768",
      nq * k * d,
      () => kernels.blendRows(queries, nq, d, 0, k, keys, slots, rows, false, scratch, mean),
    ],
  ];
}

/** Tables and codes of a product quantizer: 256 dimensions in 128 parts of 4 bits. */
function quantizers(engine) {
  const { kernels } = engine;
  const [d, M, K, n] = [256, 128, 16, 64];
  const vectors = floats(engine, n * d);
  const codebook = floats(engine, d * K);
  const out = engine.allocate(M * K * 4);
  const lookUpTable = (metric) => kernels.lookUpTable(vectors, M, K, d / M, codebook, metric.value, out);
  return [
    ["lookUpTable 128 x 16, L2", d * K, () => lookUpTable(kernels.L2)],
    ["lookUpTable 128 x 16, inner product", d * K, () => lookUpTable(kernels.INNER_PRODUCT)],
    ["quantize 64 x 256", n * d * K, () => kernels.quantize(vectors, n, M, K, d / M, codebook, out, 0)],
  ];
}

/** Re-ranking of 32 rows: from anywhere in 100 MB, others at each call, and from the first 100 rows. */
function refinements(engine) {
  const { kernels } = engine;
  const [d, n, k, sets] = [256, 32, 8, 4096];
  const query = floats(engine, d);
  const rows = floats(engine, 100_000 * d);
  const keys = engine.allocate(k * 4);
  const slots = engine.allocate(k * 4);
  return [100_000, 100].map((among) => {
    const candidates = engine.allocate(sets * n * 4);
    for (let i = 0; i < sets * n; i++) engine.i32[(candidates >>> 2) + i] = Math.floor(Math.random() * among);
    let set = 0;
    const refine = () => {
      const own = candidates + (set++ % sets) * n * 4;
      kernels.refineRows(query, 1, rows, d, kernels.L2.value, false, own, n, k, keys, slots);
    };
    return [`refineRows 32 of ${among} x 256`, n * d, refine];
  });
}

/**
 * The FastScan scan alone: searches of all codes less searches of one group of them, in turn, so that tables and the rest of a call
 * do not count. The first code is nearer than any other one, so that the heap has nothing to do.
 */
function scans(engine) {
  const { kernels } = engine;
  const [d, M, K, bbs, most, group] = [256, 128, 16, 32, 100_000, 32];
  const transposed = engine.allocate(d * K * 4);
  for (let i = 0; i < d * K; i++) engine.f32[(transposed >>> 2) + i] = (i % K) + 1;
  const codes = engine.allocate((most * M) / 2);
  for (let i = 0; i < (most * M) / 2; i++) engine.u8[codes + i] = Math.floor(Math.random() * 256);
  const numbers = engine.allocate(M);
  engine.u8.fill(0, numbers, numbers + M);
  engine.u8[numbers] = 1;
  const zeros = engine.allocate(4 * d * 4);
  engine.u8.fill(0, zeros, zeros + 4 * d * 4);
  const places = engine.allocate(M * 4);
  for (let m = 0; m < M; m++) engine.i32[(places >>> 2) + m] = m;
  kernels.copyCodes(numbers, 1, M, M, bbs, places, zeros, codes, true);
  const size = engine.allocate(4);
  const keys = engine.allocate(4 * 4);
  const slots = engine.allocate(4 * 4);
  const scratch = engine.allocate(kernels.searchPackedScratch(M, M, 1, 1, 1, 0));
  const own = record(engine, CODE, Packed, { M, M2: M, bbs, places, transposed, guard: 1 });
  const search = (nq, n) => {
    engine.u32[size >>> 2] = n;
    const plan = { queries: zeros, nq, d, metric: 1, probes: zeros, nprobe: 1, atLeast: 1, scratch };
    const lists = { nlist: 1, starts: zeros, sizes: size, codes, blockBytes: (bbs * M) / 2 };
    kernels.searchPacked(own, ...records(engine, plan, lists, { keys, slots, k: 1 }));
  };
  const timed = (nq, n, calls) => {
    const start = performance.now();
    for (let i = 0; i < calls; i++) search(nq, n);
    return (performance.now() - start) / calls;
  };
  return [1024, most].flatMap((n) =>
    [1, 4].map((nq) => {
      const calls = Math.ceil(100_000 / n / nq);
      const times = Array.from({ length: 200 }, () => [timed(nq, n, calls), timed(nq, group, calls)]).slice(20);
      const all = summary(times.map(([all]) => all));
      const rest = summary(times.map(([, rest]) => rest));
      const rate = (which) => (nq * (n - group) * M) / (all[which] - rest[which]) / 1e6;
      return {
        scan: `${n} codes x ${M}, ${nq === 1 ? "1 query" : `${nq} queries`}`,
        "µs, median": all.median * 1e3,
        "of it not the scan": rest.median * 1e3,
        "G lookups/s": rate("median"),
        "by the smallest times": rate("min"),
      };
    }),
  );
}

/** Writes a record, 0 standing for what is left out, and returns its address. */
function record(engine, at, layout, words) {
  for (const name in layout) engine.i32[(at >>> 2) + layout[name]] = words[name] ?? 0;
  return at;
}

/** Writes the records of a crossing, and returns what a kernel takes. */
function records(engine, plan, lists, found) {
  return [record(engine, PLAN, Plan, plan), record(engine, LISTS, Lists, lists), record(engine, FOUND, Best, found)];
}

/** The one list of n rows. */
function oneList(engine, n) {
  const starts = engine.allocate(8);
  engine.i32[starts >>> 2] = 0;
  engine.i32[(starts >>> 2) + 1] = n;
  return { nlist: 1, starts, sizes: starts + 4 };
}

/** The address of floats that repeat after 1009. */
function floats(engine, n) {
  const address = engine.allocate(n * 4);
  for (let i = 0; i < n; i++) engine.f32[(address >>> 2) + i] = ((i * 7919) % 1009) / 1009;
  return address;
}
