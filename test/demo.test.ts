import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readIndex } from "../src/index.js";

const demo = fileURLToPath(new URL("../bench/demo/demo.mjs", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "cellist-demo-"));
let printed = "";

beforeAll(async () => {
  const env = { ...process.env, CELLIST_DEMO_ROUNDS: "1" };
  ({ stdout: printed } = await promisify(execFile)(process.execPath, [demo, folder], { env }));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Recall and error of the blend, in the printed table. */
function row(search: string): { recall: number; error: number } {
  const [recall, error, median, p95] = new RegExp(
    `^ *${search} +([\\d.]+) +([\\d.]+) +([\\d.]+) ms +([\\d.]+) ms$`,
    "m",
  )
    .exec(printed)
    ?.slice(1)
    .map(Number) ?? [NaN];
  expect(median).toBeGreaterThan(0);
  expect(p95).toBeGreaterThanOrEqual(median);
  return { recall, error };
}

test("the demo prints what more lists are worth", () => {
  const [one, four, sixteen, exact] = ["nprobe 1", "nprobe 4", "nprobe 16", "exact"].map(row);
  expect(four.recall).toBeGreaterThan(one.recall);
  expect(sixteen.recall).toBeGreaterThan(four.recall);
  expect(four.error).toBeLessThan(one.error);
  expect(sixteen.error).toBeLessThan(four.error);
  // Measured: 0.554, 0.918 and 0.997.
  expect(one.recall).toBeGreaterThan(0.5);
  expect(sixteen.recall).toBeGreaterThan(0.985);
  expect(exact).toEqual({ recall: 1, error: 0 });
});

test("the demo's file opens with all rows", async () => {
  const rows = Number(/rows +([\d,]+) of 256/.exec(printed)?.[1].replaceAll(",", ""));
  expect(rows).toBeGreaterThan(0);
  const name = readdirSync(folder).find((file) => file.endsWith(".index"));
  expect(name).toMatch(/^added_IVF\d+_Flat_nprobe_1_demo_v1\.index$/);
  const index = await readIndex(readFileSync(join(folder, name ?? "")));
  expect(index).toMatchObject({ d: 256, ntotal: rows, isTrained: true });
  index.dispose();
});

test("the demo's report has pictures and needs no network", () => {
  const page = readFileSync(join(folder, "report.html"), "utf8");
  expect(page).toContain("</svg>");
  // Three spectrograms, each for a page and for a phone.
  expect(page.match(/<image [^>]*href="data:image\/png;base64,/g)).toHaveLength(6);
  // What it costs and what it is worth, against the time that there is; and how to go on.
  for (const words of ["recall@8", "↑ blend error", "the next block comes: 250 ms", "mel bands", "npm run page"])
    expect(page).toContain(words);
  const words = page.replaceAll(/base64,[^"]*/g, "");
  expect(words).not.toMatch(/NaN|undefined/);
  expect(words).not.toMatch(/https?:|<script|<link|@import|\b(?:src|href)="(?!data:)|url\((?!#)/);
});
