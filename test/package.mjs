// Checks what would be published: its files, its types and its size, and that nothing in the repository belongs to one
// machine. Run by `npm run check:package`, after a build; prints the sizes, and what is wrong.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { publint } from "publint";
import { formatMessage } from "publint/utils";

/** The core, minified and gzipped, in bytes: all that it brings without being asked. What does not fit goes to src/more. */
const MAX_CORE = 60_000;
/** What esbuild makes of src/classic.ts. */
const CLASSIC = "dist/cellist.iife.js";
/** All that a package may hold. */
const PUBLISHED =
  /^(dist\/.+\.(js|d\.ts)|dist\/(cellist|more|codec)\.wasm|package\.json|README\.md|LICENSE|CHANGELOG\.md)$/;

const BUNDLE = {
  bundle: true,
  minify: true,
  format: "esm",
  platform: "neutral",
  packages: "external",
  write: false,
  metafile: true,
  // What is imported once it is asked for is a file of its own.
  splitting: true,
  outdir: "bundle",
  logLevel: "silent",
};

const root = fileURLToPath(new URL("../", import.meta.url));
process.chdir(root);
const manifest = JSON.parse(readFileSync("package.json", "utf8"));
const problems = [];
const folder = mkdtempSync(join(tmpdir(), "cellist-"));
try {
  const packed = pack();
  checkFiles(packed.files);
  await checkWithTools(join(folder, packed.filename));
  await checkExports(packed.files);
  printTable([["entry", "minified", "gzipped", "later", "imports"], ...(await entrySizes())]);
  console.log(`tarball: ${packed.size} bytes, unpacked: ${packed.unpackedSize} bytes, ${packed.files.length} files`);
  checkLock();
  checkJsr();
  checkPaths();
} finally {
  rmSync(folder, { recursive: true });
}
for (const problem of problems) console.error(`✗ ${problem}`);
process.exitCode = problems.length > 0 ? 1 : 0;

function pack() {
  const flags = ["--ignore-scripts", "--json", "--loglevel=error", "--pack-destination", folder];
  const output = execFileSync("npm", ["pack", ...flags], { encoding: "utf8" });
  const [packed] = JSON.parse(output);
  return { ...packed, files: packed.files.map(({ path }) => path) };
}

function checkFiles(files) {
  for (const path of files) {
    if (!PUBLISHED.test(path)) problems.push(`${path} would be published: see "files" in package.json`);
    const [, module] = /^dist\/(.+?)(\.d)?\.[jt]s$/.exec(path) ?? [];
    const made = path === CLASSIC || path.endsWith(".wasm.d.ts") || /^dist\/chunk-\w+\.js$/.test(path);
    if (module !== undefined && !made && !existsSync(`src/${module}.ts`)) {
      problems.push(`${path} is left from an older build: remove dist and build again`);
    }
  }
}

async function checkWithTools(tarball) {
  const { buffer, byteOffset, byteLength } = readFileSync(tarball);
  const { messages } = await publint({
    pack: { tarball: buffer.slice(byteOffset, byteOffset + byteLength) },
    strict: true,
  });
  for (const message of messages) problems.push(`publint: ${formatMessage(message, manifest, { color: false })}`);
  try {
    const flags = ["--profile", "esm-only", "--no-definitely-typed", "--no-emoji"];
    execFileSync("node_modules/.bin/attw", [tarball, ...flags], { encoding: "utf8" });
  } catch (error) {
    problems.push(`attw: ${(error.stdout || error.message).trim()}`);
  }
}

/** Every export is there, can be imported as users do, and has types. */
async function checkExports(files) {
  for (const [path, target] of Object.entries(manifest.exports)) {
    const targets = typeof target === "string" ? [target] : Object.values(target);
    for (const file of targets) {
      if (!files.includes(file.replace("./", "")))
        problems.push(`the export "${path}" is ${file}, which is not packed`);
    }
    if (!targets.some((file) => file.endsWith(".js"))) continue;
    if (target.types === undefined) problems.push(`the export "${path}" has no types`);
    try {
      await import(`${manifest.name}${path.slice(1)}`);
    } catch (error) {
      problems.push(`the export "${path}" can't be imported: ${error.message}`);
    }
  }
}

/** What each entry brings to a page: bundled by itself, the package's dependencies left out. `later` is what it imports when it is asked for. */
async function entrySizes() {
  const rows = [];
  for (const [path, { default: file }] of Object.entries(manifest.exports)) {
    if (!file?.endsWith(".js")) continue;
    let bundle;
    try {
      bundle = await build({ ...BUNDLE, entryPoints: [file] });
    } catch (error) {
      problems.push(`the export "${path}" can't be bundled: ${error.message}`);
      continue;
    }
    const { outputs } = bundle.metafile;
    const [entry] = Object.keys(outputs).filter((name) => outputs[name].entryPoint === file.replace("./", ""));
    const imported = (name) => outputs[name].imports.filter(({ kind }) => kind !== "dynamic-import");
    // An entry and the chunks that come with it: a set grows while it is gone through.
    const names = new Set([entry]);
    const external = new Set();
    for (const name of names)
      for (const { path: other } of imported(name)) (other in outputs ? names : external).add(other);
    const parts = bundle.outputFiles.filter((output) => names.has(relative(root, output.path)));
    const contents = Buffer.concat(parts.map((part) => part.contents));
    const sizeOf = (files) => files.reduce((sum, part) => sum + gzipSync(part.contents, { level: 9 }).length, 0);
    const gzipped = sizeOf(parts);
    const later = sizeOf(bundle.outputFiles) - gzipped;
    const imports = [...external];
    if (path === "." && imports.length > 0) problems.push(`the core imports ${imports.join(", ")}`);
    if (path === "." && gzipped > MAX_CORE) problems.push(`the core has ${gzipped} bytes gzipped, above ${MAX_CORE}`);
    rows.push([`cellist${path.slice(1)}`, contents.length, gzipped, later, imports.join(", ") || "nothing"]);
  }
  const classic = readFileSync(CLASSIC);
  rows.push([CLASSIC, classic.length, gzipSync(classic, { level: 9 }).length, 0, "nothing"]);
  return rows;
}

/** Addresses in the lock file would tie the project to the registry of whoever wrote it: see .npmrc. */
function checkLock() {
  const lock = readFileSync("package-lock.json", "utf8");
  const named = lock.split("\n").filter((line) => /"resolved"|:\/\/registry\.|\.tgz"/.test(line));
  if (named.length > 0)
    problems.push(`package-lock.json has ${named.length} download addresses, such as ${named[0].trim()}`);
}

/** JSR has the entries that npm has, but for files that are no modules, under the same version. */
function checkJsr() {
  const jsr = JSON.parse(readFileSync("jsr.json", "utf8"));
  const modules = Object.entries(manifest.exports).filter(([, target]) => target.default?.endsWith(".js"));
  const wanted = modules.map(([path, { default: file }]) => [
    path,
    file.replace("./dist/", "./build/jsr/").replace(/js$/, "ts"),
  ]);
  if (JSON.stringify(Object.entries(jsr.exports)) !== JSON.stringify(wanted))
    problems.push(`jsr.json has other exports than package.json: give ${JSON.stringify(Object.fromEntries(wanted))}`);
  if (jsr.version !== manifest.version) problems.push(`jsr.json is of version ${jsr.version}`);
}

/** No text names the folder that the checkout stands in, or the home of who wrote it. */
function checkPaths() {
  const escape = (path) => path.replace(/[^\w/]/g, "\\$&");
  const folders = [dirname(root), homedir()].filter((path) => path !== "/" && path !== tmpdir());
  // Not where a longer path or a pattern has these names in its middle.
  const own = new RegExp(`(?<![\\w.~*})\\\\-])(${folders.map(escape).join("|")})/`);
  if (folders.length === 0) return;
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    encoding: "utf8",
  });
  for (const path of new Set(listed.split("\0"))) {
    if (path === "" || !existsSync(path)) continue;
    const text = readFileSync(path, "utf8");
    if (text.includes("\0")) continue;
    text.split("\n").forEach((line, i) => {
      if (own.test(line)) problems.push(`${path}:${i + 1} has a path of this machine: ${line.trim().slice(0, 100)}`);
    });
  }
}

function printTable(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => String(row[column]).length)));
  const cell = (value, column) =>
    typeof value === "number" ? String(value).padStart(widths[column]) : value.padEnd(widths[column]);
  for (const row of rows) console.log(row.map(cell).join("  ").trimEnd());
}
