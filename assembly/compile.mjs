// Compiles the kernels, and makes modules of them (embed.mjs), where anything in this folder, asconfig.json or the compiler is other than
// last time: it is half of a build, and tests, checks and benchmarks begin with one each.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { inOrder, likeBesideLike, tried } from "./order.mjs";

process.chdir(fileURLToPath(new URL("../", import.meta.url)));

/** What is compiled, and each build of it: a target of asconfig.json. */
const BUILDS = [
  ["assembly/index.ts", "baseline"],
  ["assembly/index.ts", "relaxed"],
  ["assembly/more/index.ts", "more-baseline"],
  ["assembly/more/index.ts", "more-relaxed"],
  ["assembly/codec/index.ts", "codec"],
  ["assembly/text.ts", "text"],
];
const MADE = [
  ...BUILDS.map(([, target]) => `build/${target}.wasm`),
  ...["src/wasm/kernels.gen.ts", "src/wasm/more.gen.ts", "src/codec/kernels.gen.ts"],
];
/** Orders of the core's functions that are tried: bytes of the others count less. */
const TRIES = 500;
const STAMP = "build/kernels.sha256";

const hash = createHash("sha256");
const sources = readdirSync("assembly", { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
const tools = ["assemblyscript", "binaryen"].map((name) => `node_modules/${name}/package.json`);
for (const path of [...sources.sort(), "asconfig.json", ...tools]) hash.update(`${path}\0`).update(readFileSync(path));
const stamp = hash.digest("hex");

if (!MADE.every(existsSync) || !existsSync(STAMP) || readFileSync(STAMP, "utf8") !== stamp) {
  rmSync(STAMP, { force: true });
  for (const [entry, target] of BUILDS)
    execFileSync("node", ["node_modules/assemblyscript/bin/asc.js", entry, "--target", target], { stdio: "inherit" });
  // Both builds of a module alike: the relaxed one is kept as what makes it of the other.
  for (const prefix of ["", "more-"]) {
    const [baseline, relaxed] = ["baseline", "relaxed"].map((target) => `build/${prefix}${target}.wasm`);
    const bytes = readFileSync(baseline);
    const order = tried(bytes, likeBesideLike(bytes), prefix === "" ? TRIES : 0);
    for (const path of [baseline, relaxed]) writeFileSync(path, inOrder(readFileSync(path), order));
  }
  await import("./embed.mjs");
  writeFileSync(STAMP, stamp);
}
