// Mutates kernels: makes one small fault at a time in assembly/, builds, runs tests, and lists the faults that no test notices.
//
//     npm run mutate -- assembly/blend.ts test/blend.test.ts [more tests]     all faults of one kernel by the tests that hold it
//     … --every 5 --jobs 2                                                    a fifth of them, two at a time
//
// What is left over goes to docs/mutations.md, with the reason why it is no fault.

import { spawn } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

/** What becomes of what: every place where the left side stands is a fault of its own. */
const OPERATORS = [
  [/ \+ /g, " - "],
  [/ - /g, " + "],
  [/ \* /g, " / "],
  [/ \/ /g, " * "],
  [/ \+= /g, " -= "],
  [/ < /g, " <= "],
  [/ <= /g, " < "],
  [/ > /g, " >= "],
  [/ >= /g, " > "],
  [/ == /g, " != "],
  [/ != /g, " == "],
  [/ && /g, " || "],
  [/ \|\| /g, " && "],
  [/\bmin\(/g, "max("],
  [/\bmax\(/g, "min("],
  [/\.add\(/g, ".sub("],
  [/\.sub\(/g, ".add("],
  [/\.mul\(/g, ".add("],
  [/\.pmin\(/g, ".pmax("],
  [/\.pmax\(/g, ".pmin("],
  [/\bcontinue;/g, ";"],
  [/\bbreak;/g, ";"],
  [/\b0\.5\b/g, "0.6"],
  [/: 1(?=[;,)])/g, ": 0"],
  [/: 0(?=[;,)])/g, ": 1"],
  [/<< 2\b/g, "<< 3"],
  [/& ~3\b/g, "& ~7"],
  [/\?(?= )/g, "== false ?"],
];
/** A mutant that runs longer hangs, which counts as noticed. */
const PATIENCE = 180_000;

const root = fileURLToPath(new URL("../", import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { every: { type: "string" }, jobs: { type: "string" } },
});
const [file, ...tests] = positionals;
const every = Number(values.every ?? 1);
const jobs = Number(values.jobs ?? Math.max(1, availableParallelism() >> 1));

const mutants = mutantsOf(readFileSync(join(root, file), "utf8")).filter((_, i) => i % every === 0);
const survivors = [];
let [killed, unbuilt, next] = [0, 0, 0];
await Promise.all(Array.from({ length: jobs }, (_, job) => work(join(root, "build/mutants", String(job)))));
const tried = killed + survivors.length;
console.log(
  `${file}: ${killed} of ${tried} faults noticed (${((100 * killed) / tried).toFixed(1)} %), ${unbuilt} did not compile`,
);
for (const { line, before, after } of survivors) console.log(`  line ${line}: ${before}\n        -> ${after}`);

/** All faults of a source, comments and imports left alone. */
function mutantsOf(source) {
  const lines = source.split("\n");
  const found = [];
  lines.forEach((text, i) => {
    const code = text.replace(/\/\/.*/, "");
    if (/^\s*(\*|\/\*|import |export \{)/.test(text)) return;
    for (const [pattern, by] of OPERATORS) {
      for (const { 0: match, index } of code.matchAll(pattern)) {
        const after = text.slice(0, index) + by + text.slice(index + match.length);
        found.push({
          line: i + 1,
          before: text.trim(),
          after: after.trim(),
          source: [...lines.slice(0, i), after, ...lines.slice(i + 1)].join("\n"),
        });
      }
    }
  });
  return found;
}

/** Tries one mutant after the other in a copy of the project. */
async function work(folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const copied = [
    "assembly",
    "src",
    "test",
    "bench",
    "asconfig.json",
    "package.json",
    "tsconfig.json",
    "vitest.config.ts",
  ];
  for (const name of copied) cpSync(join(root, name), join(folder, name), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  mkdirSync(join(folder, "build"));
  while (next < mutants.length) {
    const mutant = mutants[next++];
    writeFileSync(join(folder, file), mutant.source);
    process.stderr.write(`${next} of ${mutants.length}, ${survivors.length} left over\r`);
    if (!(await succeeds(folder, "npm", "run", "--silent", "build:kernels"))) {
      unbuilt++;
    } else if (await succeeds(folder, "npx", "vitest", "run", "--bail=1", ...tests)) {
      survivors.push(mutant);
    } else {
      killed++;
    }
  }
  rmSync(folder, { recursive: true, force: true });
}

function succeeds(cwd, command, ...args) {
  return new Promise((resolve) => {
    // A group of its own, so that a mutant that hangs ends with all that it started.
    const child = spawn(command, args, { cwd, stdio: "ignore", detached: true });
    const late = setTimeout(() => process.kill(-child.pid, "SIGKILL"), PATIENCE);
    child.on("close", (code) => {
      clearTimeout(late);
      resolve(code === 0);
    });
  });
}
