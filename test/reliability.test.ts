import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

// docs/reliability.md says which test holds what: they must be there.

const page = readFileSync(new URL("../docs/reliability.md", import.meta.url), "utf8");
const rows = page.split("\n").filter((line) => /^\| (\d+\.|a |an |no |damaged )/.test(line));
const held = rows.flatMap((row) =>
  row
    .split("|")[2]
    .split(";")
    .flatMap((part) => [...part.matchAll(/`([\w-]+)`: (.*)/g)].map(([, file, name]) => [file, name.trim()] as const)),
);

test("each row names a test", () => {
  expect(rows.filter((row) => /^\| \d/.test(row))).toHaveLength(24);
  for (const row of rows) expect(row.split("|")[2]).toMatch(/`[\w-]+`: \w/);
});

test.each(held)("%s: %s", (file, name) => {
  const source = readFileSync(new URL(`${file}.test.ts`, import.meta.url), "utf8");
  // As the name of a test, not in passing.
  const names = [...source.matchAll(/(["`])((?:(?!\1)[^\\\n]|\\.)*)\1/g)].map(([, , text]) => text);
  expect(names.some((text) => text.endsWith(name))).toBe(true);
});
