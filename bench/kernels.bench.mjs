// The hot loops by themselves, on data in cache: what the engine makes of each kernel.

import { Bench } from "tinybench";
import { Engine } from "../dist/wasm/engine.js";
import { table } from "./measure.mjs";

export const title = "kernels";

export async function run() {
  for (const relaxed of [false, true]) {
    const engine = new Engine({ relaxed });
    const { kernels } = engine;
    const [d, n, nq, k] = [768, 512, 16, 8];
    const fill = (bytes) => {
      const address = engine.allocate(bytes);
      for (let i = 0; i < bytes >>> 2; i++) engine.f32[(address >>> 2) + i] = ((i * 7919) % 1009) / 1009;
      return address;
    };
    const queries = fill(64 * d * 4);
    const rows = fill(n * d * 4);
    const tile = fill(64 * n * 4);
    const keys = fill(64 * k * 4);
    const slots = fill(64 * k * 4);
    const scratch = fill(kernels.searchRowsScratch(64));
    const mean = fill(d * 4);
    const search = (count) => kernels.searchRows(queries, count, rows, n, d, 1, k, keys, slots, scratch);
    const multiplyAdds = {
      "innerProducts 16 x 512 x 768": nq * n * d,
      "searchRows L2, 1 query": n * d,
      "searchRows L2, 16 queries": nq * n * d,
      "squaredNorms 512 x 768": n * d,
      "blendRows 16 x 8 x 768": nq * k * d,
    };
    const bench = new Bench({ time: 300, warmupTime: 100 })
      .add("innerProducts 16 x 512 x 768", () => kernels.innerProducts(queries, nq, rows, n, d, tile, n))
      .add("searchRows L2, 1 query", () => search(1))
      .add("searchRows L2, 16 queries", () => search(nq))
      .add("squaredNorms 512 x 768", () => kernels.squaredNorms(rows, n, d, tile))
      .add("blendRows 16 x 8 x 768", () => {
        kernels.blendRows(queries, nq, d, 0, k, keys, slots, rows, scratch, mean);
      });
    search(nq);
    await bench.run();
    console.log(relaxed ? "\nrelaxed SIMD (baseline where the engine lacks it)" : "\nbaseline");
    table(
      bench.tasks.map(({ name, result }) => ({
        kernel: name,
        "µs, median": result.latency.p50 * 1e3,
        "µs, min": result.latency.min * 1e3,
        "G multiply-adds/s": multiplyAdds[name] / result.latency.p50 / 1e6,
      })),
    );
  }
}
