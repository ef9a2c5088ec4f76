import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

// What the README and docs/ show must run as it is: each of its examples, in the package itself, where "cellist" is this package.

const pages = ["README.md", ...readdirSync(new URL("../docs/", import.meta.url)).map((name) => `docs/${name}`)].filter(
  (name) => name.endsWith(".md"),
);
const readme = pages.map((page) => readFileSync(new URL(`../${page}`, import.meta.url), "utf8")).join("\n");
const examples = [...readme.matchAll(/```js\n([\s\S]*?)```/g)].map(([, code]) => code);
const folder = new URL("../build/readme/", import.meta.url);

describe("the examples of the README and of docs/", () => {
  test("are there", () => {
    expect(examples.length).toBeGreaterThan(1);
  });

  test.each(examples.map((code, i) => [i + 1, code] as const))("number %i runs, and its assertions hold", (i, code) => {
    mkdirSync(folder, { recursive: true });
    const file = new URL(`${i}.mjs`, folder);
    // A failed console.assert only prints; here it is to fail.
    writeFileSync(file, code.replaceAll("console.assert(", "assertTrue(") + ASSERT);
    try {
      expect(execFileSync(process.execPath, [file.pathname], { encoding: "utf8" })).toBe("");
    } finally {
      rmSync(file);
    }
  });
});

const ASSERT =
  "\nfunction assertTrue(holds) {\n  if (!holds) throw new Error('an assertion of the README does not hold');\n}\n";
