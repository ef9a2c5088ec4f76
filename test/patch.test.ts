import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { baseline } from "../src/wasm/kernels.gen.js";
import { relaxedKernels } from "../src/wasm/more.js";
import { corePatch } from "../src/wasm/more.gen.js";
import { applyPatch } from "../src/wasm/patch.js";
import { bytesOf } from "../src/wasm/text.js";

test("the relaxed build is made of the baseline one, byte for byte", () => {
  const [source, target] = ["baseline", "relaxed"].map((name) =>
    readFileSync(new URL(`../build/${name}.wasm`, import.meta.url)),
  );
  expect(Buffer.compare(bytesOf(baseline), source)).toBe(0);
  expect(Buffer.compare(source, target)).not.toBe(0);
  expect(Buffer.compare(relaxedKernels(), target)).toBe(0);
  expect(corePatch.length).toBeLessThan(0.2 * baseline.length);
});

test("a patch copies forwards and backwards, and adds", () => {
  // Two new bytes and two from the start; none, and the last after three were skipped; one, and five back from there nothing.
  const patch = Uint8Array.of(2, 7, 8, 0, 2, 0, 6, 1, 1, 9, 9, 1, 0, 1, 0);
  const source = Uint8Array.of(10, 11, 12, 13, 14, 15);
  expect([...applyPatch(source, patch)]).toEqual([7, 8, 10, 11, 15, 9, 11]);
});
