import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { expect, test, vi } from "vitest";

import { bytesOf } from "../src/wasm/text.js";

/** What assembly/text.mjs, which no types describe, makes of bytes. */
function textsOf(all: readonly Uint8Array[]): string[] {
  const script =
    `import { readFileSync } from "node:fs";` +
    `import { textOf } from "./assembly/text.mjs";` +
    `console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map((bytes) => textOf(bytes))))`;
  const input = JSON.stringify(all.map((bytes) => [...bytes]));
  return JSON.parse(
    execFileSync(process.execPath, ["--input-type=module", "-e", script], { input }).toString(),
  ) as string[];
}

test("what the build writes as text is read back, in characters that a string literal takes as they are", () => {
  const all = [Uint8Array.from({ length: 256 }, (_, i) => i), ...fc.sample(fc.uint8Array({ maxLength: 100 }), 50)];
  textsOf(all).forEach((text, i) => {
    expect(text).toMatch(/^[ !#%-[\]-_a-~]*$/);
    expect([...bytesOf(text)]).toEqual([...all[i]]);
  });
});

test("a long text is read by a kernel, and by hand where that can't be", () => {
  const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => (i * i * 31 + (i >>> 3)) % 256);
  const [text] = textsOf([bytes]);
  const same = (): boolean => Buffer.compare(bytesOf(text), bytes) === 0;
  const made = vi.spyOn(WebAssembly, "Instance");
  expect(same()).toBe(true);
  expect(made).toHaveBeenCalledTimes(1);
  made.mockRestore();
  for (const lacking of ["TextEncoder", "WebAssembly"]) {
    vi.stubGlobal(lacking, undefined);
    expect(same()).toBe(true);
    vi.unstubAllGlobals();
  }
});
