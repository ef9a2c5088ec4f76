// One job of test/mutate.mjs: makes one fault after the other in its own copy of the project, builds no more than what the fault is in,
// and runs tests until one notices. It stays up, so that compilers and what they have parsed stay warm: a fault in a kernel costs a
// second of compiling, one in src/ none.

import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import asc from "assemblyscript/asc";
import { build, transform } from "esbuild";
import { createVitest } from "vitest/node";
import { textOf } from "../assembly/text.mjs";

/** Each module of kernels: where its source begins, and the text that carries it. Node 20 has no relaxed SIMD, so its builds stay as they are. */
const MODULES = [
  ["assembly/index.ts", "src/wasm/kernels.gen.ts", "baseline"],
  ["assembly/more/index.ts", "src/wasm/more.gen.ts", "baseline"],
  ["assembly/codec/index.ts", "src/codec/kernels.gen.ts", "codecKernels"],
];
const ASC = "--enable simd --runtime stub --importMemory --initialMemory 1 --noAssert -O1".split(" ");
const DIST = [
  "index",
  "more/index",
  "rvc/index",
  "remote/index",
  "ring/index",
  "worker/index",
  "worker/worker",
  "cli/main",
];

const folder = process.cwd();
// Time on a clock says nothing where others use the machine: test/mutate.mjs counts the processor's.
const vitest = await createVitest("test", {
  root: folder,
  watch: false,
  bail: 1,
  maxWorkers: 1,
  reporters: [{}],
  testTimeout: 3_600_000,
  hookTimeout: 3_600_000,
});
/** Tests that are known to pass without a fault. */
const sound = new Set();
/** What the kernels are without a fault. */
const right = new Map();
process.on("message", ({ mutant, tests }) => void tried(mutant, tests).then((result) => process.send(result)));
process.on("disconnect", () => process.exit());
process.send("ready");

/** What becomes of a fault: "none" where it does not compile or makes no other code, "unsound" where a test fails without it, the test that notices it, or nothing. */
async function tried({ file, source }, tests) {
  const path = join(folder, file);
  const original = readFileSync(path, "utf8");
  const changed = new Map([[path, original]]);
  const restore = () => {
    for (const [name, text] of changed) {
      writeFileSync(name, text);
      vitest.invalidateFile(name);
    }
  };
  try {
    if (file.startsWith("assembly")) {
      let differs = false;
      for (const [entry, carrier, name] of MODULES) {
        if (!sourcesOf(entry).has(file)) continue;
        if (!right.has(entry)) right.set(entry, await compiled(entry));
        writeFileSync(path, source);
        const wasm = await compiled(entry);
        writeFileSync(path, original);
        if (wasm === undefined) return "none";
        differs ||= Buffer.compare(wasm, right.get(entry)) !== 0;
        const text = readFileSync(join(folder, carrier), "utf8");
        changed.set(join(folder, carrier), text);
        writeFileSync(
          join(folder, carrier),
          text.replace(new RegExp(`(${name}: string =\\s+)"[^"]*"`), (_, head) => `${head}"${textOf(wasm)}"`),
        );
      }
      if (!differs) return "none";
    } else if (!(await differ(original, source))) return "none";
    writeFileSync(path, source);
    // Tests that are not known to run the place run what is built.
    if (tests.some(({ ids }) => ids === undefined)) await bundle();
    for (const name of changed.keys()) vitest.invalidateFile(name);
    for (const test of tests) {
      const { name } = test;
      process.send({ ms: test.ms });
      if (await passes(test)) continue;
      if (sound.has(name)) return name;
      // The first time that a test notices something: it must be the fault that it notices.
      restore();
      if (test.ids === undefined) await bundle();
      if (await passes(test)) {
        sound.add(name);
        return name;
      }
      console.error(`${name} fails without a fault`);
      return "unsound";
    }
    return "";
  } finally {
    restore();
  }
}

/** Whether two sources are other code, types and spelling apart, and both compile. */
async function differ(...sources) {
  try {
    const [a, b] = await Promise.all(sources.map((text) => transform(text, { loader: "ts", minify: true })));
    return a.code !== b.code;
  } catch {
    return false;
  }
}

/** Builds dist/ of what stands in src/: workers and the command line run what is built. */
async function bundle() {
  await build({
    entryPoints: DIST.map((name) => ({ in: `src/${name}.ts`, out: name })),
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "neutral",
    packages: "external",
    outdir: "dist",
    logLevel: "silent",
    allowOverwrite: true,
  });
  // Tests that import it would have it as it was when they did so first.
  for (const name of readdirSync(join(folder, "dist"), { recursive: true }))
    vitest.invalidateFile(join(folder, "dist", name));
}

/** Whether all tests of a file pass, or those that are named. */
async function passes({ name, ids }) {
  const file = vitest.getRootProject().createSpecification(join(folder, "test", name), { testIds: ids });
  // What has failed before would count against the first failure that ends a run.
  vitest.state.filesMap.clear();
  vitest.state.idMap.clear();
  const { testModules, unhandledErrors } = await vitest.runTestSpecifications([file]);
  if (unhandledErrors.length > 0 || testModules.length !== 1) return false;
  // A file whose tests run side by side is pending when the first failure has ended it, and says that it is well.
  const [{ children }] = testModules;
  return testModules[0].ok() && children.allTests("failed").next().done === true;
}

/** The files that a module of kernels is made of. */
function sourcesOf(path, found = new Set()) {
  found.add(path);
  for (const [, name] of readFileSync(join(folder, path), "utf8").matchAll(/ from "(\.[^"]+)"/g)) {
    const other = join(dirname(path), `${name}.ts`);
    if (!found.has(other)) sourcesOf(other, found);
  }
  return found;
}

/** A module's bytes, or nothing where it does not compile. */
async function compiled(entry) {
  let wasm;
  const { error } = await asc.main([entry, "--outFile", "out.wasm", ...ASC], {
    writeFile: (name, bytes) => void (wasm = name.endsWith(".wasm") ? bytes : wasm),
  });
  return error ? undefined : wasm;
}
