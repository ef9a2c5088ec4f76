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

import { execFileSync, fork } from "node:child_process";
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
/** Which tests hold which kernels; the first that fits. */
const ROOMS = [
  [/kmeans|heads/, ["kmeans", "kmeans-faiss", "steps"]],
  [/bounds|candidates/, ["bounds", "filter", "search", "guards"]],
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
  [/./, ["search", "filter", "update", "storage", "faiss-files", "ivf-pq", "guards", "tiny", "steps", "handle-inputs"]],
];
/** Of src/ those tests are asked that run the place (mutate-reach.mjs), and these, which run it in processes and threads of their own. */
const OUTSIDE = [
  [/src.cli/, ["cli", "commands", "convert"]],
  [/src.(worker|threads)/, ["worker", "handle-worker", "threads", "thread-faults"]],
  [/src.ring/, ["ring"]],
];
/** Tests that damage at random for minutes: what only they notice has no test. */
const CHANCE = /^(fuzz|voice-damage|readme|demo|native)\.test/;
/**
 * A fault hangs, which counts as noticed, where a file of tests takes so many seconds of a processor more than it may, or none for so
 * long: what others do on the machine is no matter.
 */
const [PATIENCE, IDLE] = [30, 120];
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
const { blocks, files: reaching } = mutants.some(({ file }) => file.startsWith("src")) ? await reach() : {};
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
          at: lines.slice(0, i).join("\n").length + (i > 0 ? 1 : 0) + index,
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
  if (!file.startsWith("assembly")) return [];
  if (file.startsWith("assembly/codec")) return ["codec-kernels", "sums", "inner-compact"];
  if (/scalar|half/.test(file)) return ["scalar-kernels", "inner-bounds"];
  if (/pq|codes.pq|opq/.test(file)) return ["product-kernels", "kernels"];
  if (/bounds|candidates|coded|heads|whole|row-codes|factored|sieve/.test(file))
    return ["kernels", "heads-kernels", "compared", "inner-bounds", "inner-kernels"];
  return /scan|pool|fastscan|search/.test(file)
    ? ["kernels", "sizes", "padding", "inner-kernels"]
    : ["kernels", "sums", "sizes"];
}

/** The tests that hold a place, the quickest first: names of files, and of those that are known to run it, which ones. */
function testsOf(mutant) {
  const { file } = mutant;
  const named = (names) => names.map((name) => ({ name: `${name}.test.ts` }));
  const everything = readdirSync(join(root, "test")).filter((name) => name.endsWith(".test.ts") && !CHANCE.test(name));
  const room = (rooms) => rooms.find(([pattern]) => pattern.test(file))?.[1] ?? [];
  const tests = values.tests
    ? named(values.tests)
    : file.startsWith("src")
      ? [...reachedBy(mutant), ...named(room(OUTSIDE))]
      : // What has noticed most goes first.
        named([...kernelTestsOf(file), ...room(ROOMS)]).sort(
          (a, b) => (noticed.get(b.name) ?? 0) - (noticed.get(a.name) ?? 0),
        );
  if (values.all)
    tests.push(...everything.filter((name) => tests.every((test) => test.name !== name)).map((name) => ({ name })));
  return tests.filter(({ name }) => existsSync(join(root, "test", name)));
}

/** Tests that run the innermost block around a fault; where it stands in none, those that run any of its file. */
function reachedBy({ file, at }) {
  const here = [...blocks.entries()].filter(([, block]) => block.file === file);
  const around = here.filter(([, { from, to }]) => from <= at && at < to);
  const least = Math.min(...around.map(([, { from, to }]) => to - from));
  const wanted = new Set(
    (around.length > 0 ? around.filter(([, { from, to }]) => to - from === least) : here).map(([id]) => id),
  );
  const runs = (list) => list.some((id) => wanted.has(id));
  // What runs whenever the library is read is no reason to run every test there is.
  const always = reaching.filter(({ marks }) => runs(marks.load)).length > reaching.length / 4;
  return reaching
    .map(({ name, marks: { load, rest, tests } }) => {
      const whole = runs(rest) || (runs(load) && !always);
      const chosen = tests.filter((test) => whole || runs(test.blocks));
      return { name, ids: chosen.map(({ id }) => id), ms: chosen.reduce((sum, { ms }) => sum + ms, 0) };
    })
    .filter(({ ids }) => ids.length > 0)
    .sort((a, b) => a.ms - b.ms);
}

/** Which tests run which block: of the whole suite but fuzzers, kernels' own and what runs elsewhere. */
async function reach() {
  const elsewhere = /^(kernels|\w+-kernels|sums|sizes|inner-\w+|compared|tiers|soak)\.test/;
  const outside = new Set(OUTSIDE.flatMap(([, names]) => names.map((name) => `${name}.test.ts`)));
  const names = readdirSync(join(root, "test")).filter(
    (name) => name.endsWith(".test.ts") && !CHANCE.test(name) && !elsewhere.test(name) && !outside.has(name),
  );
  const known = join(root, "build/reach.json");
  const child = fork(join(root, "test/mutate-reach.mjs"), [values.jobs, known, ...names], {
    cwd: join(folder, "whole"),
  });
  await new Promise((resolve) => child.once("exit", resolve));
  return JSON.parse(readFileSync(known, "utf8"));
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
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
}

/** Tries one mutant after the other in a copy of the project. */
async function work(whole, folder) {
  let job;
  while (next < mutants.length) {
    const mutant = mutants[next++];
    if (job === undefined) {
      rmSync(folder, { recursive: true, force: true });
      cpSync(whole, folder, { recursive: true });
      job = await started(folder);
    }
    const before = Date.now();
    const result = await asked(job, { mutant, tests: testsOf(mutant) });
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

/** What becomes of one fault; a job that takes too long hangs. One that ends by itself is no answer, but a mistake here. */
function asked(job, order) {
  return new Promise((resolve, reject) => {
    // Since the last file of tests: what was spent then, what may be, and when anything was spent last.
    let [begun, allowed, last, at] = [spentBy(job.pid).seconds, PATIENCE, "", Date.now()];
    const watch = setInterval(() => {
      const { seconds, text } = spentBy(job.pid);
      if (text !== last) [last, at] = [text, Date.now()];
      if (seconds - begun < allowed && Date.now() - at < IDLE * 1000) return;
      process.kill(-job.pid, "SIGKILL");
      done(HANG);
    }, 5000);
    const done = (result) => {
      clearInterval(watch);
      job.removeAllListeners();
      resolve(result);
    };
    job.on("message", (news) => {
      if (typeof news === "string") done(news);
      else [begun, allowed] = [spentBy(job.pid).seconds, PATIENCE + (4 * (news.ms ?? 60_000)) / 1000];
    });
    job.once("exit", () => reject(new Error(`the job ended:${told(order.mutant)}`)));
    job.send(order);
  });
}

/** Seconds of a processor that the living processes of a group have taken, and which these are. */
function spentBy(group) {
  let [seconds, text] = [0, ""];
  for (const line of execFileSync("ps", ["-A", "-o", "pgid=,pid=,time="], { encoding: "utf8" }).split("\n")) {
    const [id, , time] = line.trim().split(/\s+/);
    if (Number(id) !== group) continue;
    text += line;
    // Hours, minutes and seconds; days before them.
    const [days, ...clock] = time.includes("-") ? time.split(/[-:]/) : ["0", ...time.split(":")];
    seconds += clock.reduce((all, part) => 60 * all + Number(part), 0) + 86_400 * Number(days);
  }
  return { seconds, text };
}
