// Notes which blocks of src/ each test runs, and what it takes, for test/mutate-reach.mjs, which sets the marks.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { cpuUsage, env } from "node:process";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";

const marks = new Uint8Array(1 << 16);
Object.assign(globalThis, { __marks: marks });

interface Marked {
  id: string;
  ms: number;
  blocks: number[];
}
/** What runs while files are read, what runs between tests (hooks of whole groups), and what each test runs. */
let load: number[] = [];
const rest = new Set<number>();
const tests: Marked[] = [];
let [before, file] = [0, ""];

function taken(): number[] {
  const found: number[] = [];
  for (let i = marks.indexOf(1); i >= 0; i = marks.indexOf(1, i + 1)) found.push(i);
  marks.fill(0);
  return found;
}
function spent(): number {
  const { user, system } = cpuUsage();
  return (user + system) / 1e3;
}

beforeAll(() => {
  load = taken();
});
beforeEach(() => {
  for (const block of taken()) rest.add(block);
  before = spent();
});
afterEach(({ task }) => {
  file = task.file.id;
  tests.push({ id: task.id, ms: Math.round(spent() - before), blocks: taken() });
});
afterAll(() => {
  for (const block of taken()) rest.add(block);
  writeFileSync(join(env.CELLIST_MARKS ?? "", `${file}.json`), JSON.stringify({ load, rest: [...rest], tests }));
});
