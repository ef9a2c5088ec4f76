import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { readIndex } from "../src/index.js";
import { goldenFolder } from "./golden.js";

interface Golden {
  queries: number[];
  answers: { nprobe: number; D: number[]; I: number[] }[];
}

// golden/residual-tables.py: queries at which one rounding step of a table tells other orders of the same sums from faiss' own.
test("tables of residuals are rounded as faiss rounds them", async () => {
  const { queries, answers } = JSON.parse(
    readFileSync(new URL("residual-tables.json", goldenFolder), "utf8"),
  ) as Golden;
  const index = await readIndex(readFileSync(new URL("ivf_pq4fsr_l2.index", goldenFolder)));
  for (const { nprobe, D, I } of answers) {
    const { distances, labels } = index.search(Float32Array.from(queries), 8, { nprobe });
    distances.forEach((distance, i) => expect(Math.abs(distance - D[i]) / D[i], `${i}`).toBeLessThan(1e-5));
    // Equal sums may change places.
    labels.forEach((label, i) => {
      if (D[i] !== D[i - 1] && D[i] !== D[i + 1] && i % 8 !== 7) expect(label).toBe(I[i]);
    });
  }
});
