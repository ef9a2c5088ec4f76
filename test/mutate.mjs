// Makes one small fault at a time in assembly/ or src/, builds, runs the tests of that room, and lists the faults that no test notices.
//
//     npm run mutate -- assembly/blend.ts src/handle/range.ts     all faults of some files
//     npm run mutate -- --sample 200 --seed 1                     so many, drawn from all files but the command line's
//     … --jobs 2 --tests test/blend.test.ts                       two at a time; these tests in place of the room's
//
// What is left over goes to docs/mutations.md, with the reason why it is no fault, or to a new test.

import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
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
  [/ === /g, " !== "],
  [/ !== /g, " === "],
  [/ \?\? /g, " && "],
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
/** Which tests hold which room; the first that fits. */
const ROOMS = [
  [/kmeans|heads|training|mini-batch/, ["kmeans", "kmeans-faiss", "steps"]],
  [/assembly\/(bounds|candidates)|bounds\/sketch/, ["bounds", "filter"]],
  [/row-codes|coded-search/, ["row-codes", "filter"]],
  [/fastscan|packed|pool/, ["fastscan", "ivf-pq", "filter"]],
  [/transforms|linear|opq|eigen/, ["transforms", "eigen"]],
  [/graph/, ["hnsw", "filter"]],
  [/codes|quantizers|pq|scalar|residuals/, ["codes", "encode", "product-quantizer", "faiss-files", "filter", "ivf-pq"]],
  [/blend/, ["blend", "allocation"]],
  [/src\/rvc/, ["blend", "voice-inputs", "npy", "steps", "voice-file", "kmeans-faiss"]],
  [/threads/, ["threads", "worker"]],
  [/codec/, ["voice-file", "voice-damage"]],
  [/remote/, ["remote", "remote-sources"]],
  [/worker/, ["worker", "handle-worker"]],
  [/src\/format/, ["reading", "sources", "npy", "faiss-files"]],
  [/src\/faiss/, ["faiss-files", "encode", "reading", "old-files", "storage", "errors"]],
  [/src\/factory/, ["grammar", "errors", "storage"]],
  [/src\/work/, ["steps", "kmeans-faiss"]],
  [/src\/lists|src\/wasm/, ["update", "storage", "filter", "hnsw", "ivf-pq", "limits", "faults"]],
  [/src\/handle/, ["handle", "handle-inputs", "filter", "id-selectors", "errors"]],
  [/./, ["search", "filter", "update", "storage", "faiss-files", "ivf-pq", "steps"]],
];
/** A mutant that runs longer hangs, which counts as noticed. */
const PATIENCE = 300_000;

const root = fileURLToPath(new URL("../", import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sample: { type: "string" },
    seed: { type: "string", default: "1" },
    jobs: { type: "string" },
    tests: { type: "string", multiple: true },
  },
});
const jobs = Number(values.jobs ?? Math.max(1, availableParallelism() >> 1));
const mutants = drawn(filesOf(positionals).flatMap((file) => mutantsOf(file, readFileSync(join(root, file), "utf8"))));
const survivors = [];
let [killed, unbuilt, next] = [0, 0, 0];
await Promise.all(Array.from({ length: jobs }, (_, job) => work(join(root, "build/mutants", String(job)))));
const tried = killed + survivors.length;
console.log(
  `${killed} of ${tried} faults noticed (${((100 * killed) / tried).toFixed(1)} %), ${unbuilt} did not compile`,
);
for (const { file, line, before, after } of survivors) console.log(`  ${file}:${line}: ${before}\n        -> ${after}`);

/** The files asked for, or all that are written by hand and in the library. */
function filesOf(given) {
  if (given.length > 0) return given;
  const all = ["assembly", "src"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true }).map((name) => join(folder, name)),
  );
  return all.filter((name) => /(?<!\.gen|index|api)\.ts$/.test(name) && !name.startsWith("src/cli")).sort();
}

/** As many of them as are wanted, by a seeded shuffle. */
function drawn(all) {
  if (values.sample === undefined) return all;
  let state = Number(values.seed);
  for (let i = all.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const j = Math.floor((state / 2 ** 32) * (i + 1));
    [all[i], all[j]] = [all[j], all[i]];
  }
  return all.slice(0, Number(values.sample));
}

/** All faults of a source, comments, imports and messages left alone. */
function mutantsOf(file, source) {
  const lines = source.split("\n");
  const found = [];
  lines.forEach((text, i) => {
    const code = text.replace(/\/\/.*/, "").replace(/"[^"]*"|`[^`]*`/g, (quoted) => "_".repeat(quoted.length));
    if (/^\s*(\*|\/\*|import |export \{|\} from )/.test(text)) return;
    for (const [pattern, by] of OPERATORS) {
      for (const { 0: match, index } of code.matchAll(pattern)) {
        const after = text.slice(0, index) + by + text.slice(index + match.length);
        found.push({
          file,
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

/** Tests that hold a file. */
function testsOf(file) {
  if (values.tests !== undefined) return values.tests;
  const [, names] = ROOMS.find(([room]) => room.test(file));
  return names.map((name) => `test/${name}.test.ts`).filter((path) => existsSync(join(root, path)));
}

/** Tries one mutant after the other in a copy of the project. */
async function work(folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const copied = ["assembly", "src", "test", "bench", "dist", "docs", "examples", "README.md", "package.json"];
  copied.push(...readdirSync(root).filter((name) => /^(asconfig|tsconfig|vitest).*/.test(name)));
  for (const name of copied) cpSync(join(root, name), join(folder, name), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  mkdirSync(join(folder, "build"));
  // Whether the kernels that stand there are a mutant's.
  let stale = false;
  while (next < mutants.length) {
    const mutant = mutants[next++];
    const path = join(folder, mutant.file);
    const original = readFileSync(path);
    writeFileSync(path, mutant.source);
    process.stderr.write(`${next} of ${mutants.length}, ${survivors.length} left over\r`);
    const isKernel = mutant.file.startsWith("assembly");
    // A worker runs what is built.
    const build = isKernel || stale ? ["build:kernels"] : [];
    if (mutant.file.startsWith("src/worker")) build.push("build:ts");
    stale = isKernel;
    if (!(await each(build, (script) => succeeds(folder, "npm", "run", "--silent", script)))) {
      unbuilt++;
    } else if (await succeeds(folder, "npx", "vitest", "run", "--bail=1", ...testsOf(mutant.file))) {
      survivors.push(mutant);
      console.log(`left over: ${mutant.file}:${mutant.line}: ${mutant.before}\n        -> ${mutant.after}`);
    } else {
      killed++;
    }
    writeFileSync(path, original);
  }
  rmSync(folder, { recursive: true, force: true });
}

async function each(items, succeed) {
  for (const item of items) if (!(await succeed(item))) return false;
  return true;
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
