// Makes one small fault at a time in assembly/ or src/, builds what it is in, runs the tests of that room, and lists the faults that no
// test notices.
//
//     npm run mutate -- assembly/blend.ts src/handle/range.ts     all faults of some files
//     npm run mutate -- --sample 200 --seed 1                     so many, drawn from all files
//     … --list                                                    says which, and makes none
//     … --of src                                                  of one of the two folders alone
//     … --jobs 2 --tests blend --tests npy                        two at a time; these tests in place of the room's
//     … --numbers 12,47 --all                                     these of the sample once more, against every test but the fuzzers
//
// What is left over goes to docs/mutations.md, with the reason why it is no fault, or to a new test.

import { fork } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
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
  // Of kernels: comparisons, halves and lanes of vectors, the last of some, widths and masks.
  [/\.lt\(/g, ".le("],
  [/\.le\(/g, ".lt("],
  [/\.gt\(/g, ".ge("],
  [/\.ge\(/g, ".gt("],
  [/_low_/g, "_high_"],
  [/_high_/g, "_low_"],
  [/, 0\)/g, ", 1)"],
  [/ \+ 1\b/g, ""],
  [/ - 1\b/g, ""],
  [/\b16\b/g, "8"],
  [/<< 4\b/g, "<< 3"],
  [/& 15\b/g, "& 7"],
  [/\binf\b|\bInfinity\b/g, "0"],
  [/<< 2\b/g, "<< 3"],
  [/& ~3\b/g, "& ~7"],
  [/\?(?= )/g, "== false ?"],
  [/\btrue\b/g, "false"],
  [/\bfalse\b/g, "true"],
  // A default that is one more; a check that does not refuse, a step that is left out.
  [/\?\? (?=\d)/g, "?? 1 + "],
  [/(?<=[({,] ?\w+ = )(?=\d)/g, "1 + "],
  [/^\s*this\.[\w#.[\]]+ = .*;$/g, ""],
  [/\bfail\(/g, "((..._: unknown[]) => undefined as never)("],
  [/^\s*(?:await )?[\w.#]+\(.*\);$/g, ""],
];
/** Which tests hold which room; the first that fits. */
const ROOMS = [
  [/src\/cli/, ["cli", "commands", "convert", "convert-matrix", "outline", "text"]],
  [/src\/worker/, ["worker", "handle-worker", "threads"]],
  [
    /src\/remote/,
    [
      "pieces",
      "http",
      "cache-store",
      "remote-sources",
      "remote",
      "remote-cache",
      "remote-flow",
      "similarity",
      "remote-faults",
    ],
  ],
  [
    /src\/rvc/,
    [
      "blend",
      "measure",
      "voice-inputs",
      "npy",
      "shrink",
      "compact",
      "steps",
      "voice-file",
      "kmeans-faiss",
      "allocation",
    ],
  ],
  [/src\/threads/, ["shared-module", "threads", "worker", "thread-faults"]],
  [/src\/ring/, ["ring"]],
  [/src\/format/, ["reading", "sources", "npy", "faiss-files", "handle", "storage"]],
  [/src\/handle/, ["handle", "handle-inputs", "filter", "id-selectors", "errors", "search", "storage", "allocation"]],
  [
    /src\/faiss/,
    [
      "faiss-files",
      "descriptions",
      "encode",
      "reading",
      "old-files",
      "sign-blocks",
      "storage",
      "errors",
      "grammar",
      "guards",
      "remote",
      "fastscan",
      "ivf-pqr",
    ],
  ],
  [/kmeans|heads|training|mini-batch/, ["kmeans", "kmeans-faiss", "steps"]],
  [/assembly\/(bounds|candidates)|bounds\/sketch/, ["bounds", "filter", "search", "guards"]],
  [/row-codes|coded-|whole-/, ["row-codes", "bounds", "filter", "guards"]],
  [/graph/, ["hnsw", "sieve", "filter", "guards"]],
  [/fastscan|packed|pool/, ["fastscan", "fastscan-residuals", "ivf-pq", "filter", "guards"]],
  [/transforms|linear|opq|eigen/, ["transforms", "elementary", "eigen", "product-quantizer", "guards"]],
  [
    /codes|quantizers|pq|scalar|residuals/,
    [
      "codes",
      "encode",
      "reconstruct",
      "product-quantizer",
      "sign-blocks",
      "faiss-files",
      "filter",
      "ivf-pq",
      "guards",
      "ivf-pqr",
    ],
  ],
  [/blend/, ["blend", "allocation"]],
  [
    /codec/,
    [
      "voice-head",
      "voice-file",
      "shrink",
      "elementary",
      "spread",
      "compact",
      "guards",
      "voice-kinds",
      "voice-damage",
      "remote",
    ],
  ],
  [/src\/factory/, ["grammar", "descriptions", "errors", "storage"]],
  [/src\/work/, ["elementary", "steps", "kmeans-faiss"]],
  [
    /src\/lists|src\/wasm/,
    ["update", "guards", "storage", "behind-a-file", "filter", "hnsw", "ivf-pq", "limits", "faults"],
  ],
  [/src\/indexes/, ["search", "filter", "update", "storage", "faiss-files", "ivf-pq", "steps", "faults", "limits"]],
  [/./, ["search", "filter", "update", "storage", "faiss-files", "ivf-pq", "guards", "tiny", "steps", "handle-inputs"]],
];
/** Tests that damage at random for minutes: what only they notice has no test. */
const CHANCE = /^(fuzz|voice-damage|readme|demo|native)\.test/;
/** A mutant that runs longer hangs, which counts as noticed: far longer than its tests take on a machine that others use. */
const PATIENCE = 600_000;
const HANG = "a hang";

const root = fileURLToPath(new URL("../", import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sample: { type: "string" },
    seed: { type: "string", default: "1" },
    of: { type: "string", multiple: true, default: ["assembly", "src"] },
    jobs: { type: "string", default: "1" },
    tests: { type: "string", multiple: true },
    numbers: { type: "string" },
    all: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
  },
});
const chosen = values.numbers?.split(",").map(Number);
const mutants = drawn(filesOf(positionals).flatMap((file) => mutantsOf(file, readFileSync(join(root, file), "utf8"))))
  .map((mutant, number) => ({ ...mutant, number }))
  .filter(({ number }) => chosen === undefined || chosen.includes(number));
if (values.list) {
  for (const mutant of mutants) console.log(told(mutant));
  process.exit();
}
const survivors = [];
/** How many faults each test has noticed. */
const noticed = new Map();
let [killed, unbuilt, unsound, next] = [0, 0, 0, 0];
const folder = join(root, "build/mutants");
snapshot(join(folder, "whole"));
await Promise.all(
  Array.from({ length: Number(values.jobs) }, (_, job) => work(join(folder, "whole"), join(folder, String(job)))),
);
const tried = killed + survivors.length;
console.log(
  `${killed} of ${tried} faults noticed (${((100 * killed) / tried).toFixed(1)} %), ${unbuilt} did not compile or made no other code, ${unsound} met a test that fails without them`,
);
for (const mutant of survivors) console.log(told(mutant));

/** The files asked for, or all that are written by hand and in the library. */
function filesOf(given) {
  if (given.length > 0) return given;
  const all = values.of.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true }).map((name) => join(folder, name)),
  );
  return all.filter((name) => /(?<!\.gen|index|api)\.ts$/.test(name) && !/^src.packaging/.test(name)).sort();
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

/** Those that call kernels themselves, which takes the least time. */
function kernelTestsOf(file) {
  if (file.startsWith("assembly/codec")) return ["codec-kernels"];
  if (!file.startsWith("assembly")) return [];
  if (/bounds|candidates|coded|heads|whole|row-codes|scalar|sieve/.test(file))
    return ["kernels", "compared", "inner-bounds", "inner-kernels"];
  return /scan|pool|fastscan/.test(file) ? ["kernels", "inner-kernels"] : ["kernels"];
}

/** Tests that hold a file. */
function testsOf(file) {
  const everything = readdirSync(join(root, "test")).filter((name) => name.endsWith(".test.ts") && !CHANCE.test(name));
  const [, room] = ROOMS.find(([pattern]) => pattern.test(file));
  const names = (values.tests ?? [...kernelTestsOf(file), ...room]).map((name) => `${name}.test.ts`);
  // What has noticed most goes first.
  names.sort((a, b) => (noticed.get(b) ?? 0) - (noticed.get(a) ?? 0));
  return [...new Set(values.all ? [...names, ...everything] : names)].filter((name) =>
    existsSync(join(root, "test", name)),
  );
}

function told({ file, line, before, after, number }) {
  return `  ${number}  ${file}:${line}: ${before}\n        -> ${after}`;
}

/** The project as it is when the run begins, for jobs to copy: it may change meanwhile. */
function snapshot(folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "build"), { recursive: true });
  const kept = /^(assembly|src|test|bench|dist|docs|examples|findings|.*\.(json|md|ts|js))$/;
  for (const name of readdirSync(root).filter((entry) => kept.test(entry)))
    cpSync(join(root, name), join(folder, name), { recursive: true });
  for (const name of readdirSync(join(root, "build")).filter((entry) => /\.wasm$|^esm$/.test(entry)))
    cpSync(join(root, "build", name), join(folder, "build", name), { recursive: true });
}

/** Tries one mutant after the other in a copy of the project. */
async function work(whole, folder) {
  let job;
  while (next < mutants.length) {
    const mutant = mutants[next++];
    if (job === undefined) {
      rmSync(folder, { recursive: true, force: true });
      cpSync(whole, folder, { recursive: true });
      symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
      job = await started(folder);
    }
    const before = Date.now();
    const result = await asked(job, { mutant, tests: testsOf(mutant.file) });
    if (result === "none") unbuilt++;
    else if (result === "unsound") unsound++;
    else if (result === "") survivors.push(mutant);
    else {
      killed++;
      noticed.set(result, (noticed.get(result) ?? 0) + 1);
    }
    const seconds = ((Date.now() - before) / 1000).toFixed(0);
    console.log(`${result === "" ? "LEFT OVER" : result} (${seconds} s)${told(mutant)}`);
    if (result === HANG) job = undefined;
  }
  job?.disconnect();
}

/** A job in a group of its own, so that a mutant that hangs ends with all that it started. */
async function started(folder) {
  const job = fork(join(folder, "test/mutate-job.mjs"), {
    cwd: folder,
    detached: true,
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  await new Promise((resolve) => job.once("message", resolve));
  return job;
}

/** What becomes of one fault; a job that answers nothing for long hangs. One that ends by itself is no answer, but a mistake here. */
function asked(job, order) {
  return new Promise((resolve, reject) => {
    const done = (result) => {
      clearTimeout(late);
      job.removeAllListeners();
      resolve(result);
    };
    const late = setTimeout(() => {
      process.kill(-job.pid, "SIGKILL");
      done(HANG);
    }, PATIENCE);
    job.once("message", done);
    job.once("exit", () => reject(new Error(`the job ended:${told(order.mutant)}`)));
    job.send(order);
  });
}
