// Packs the library, installs it as a stranger would and runs the same searches in every runtime: all must give the same bytes.
// Prints a line for each, with a checksum of all it computed; exits with 1 if one fails or differs. `npm run test:runtimes`
// after a build, with names of PARTS behind it for these alone (`node test/runtimes/run.mjs examples`); what it needs it installs itself, into build/runtimes: runtimes and bundlers from npm's registry, the browsers
// as packages of Debian where they are missing.

import { execFile, execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { extname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { build as bundle, version as esbuildVersion } from "esbuild";
import { CHROMIUM, CHROMIUM_FLAGS, FIREFOX, installDebian } from "../browsers.mjs";
import { makeExtension, searchInExtension } from "./extension.mjs";
import * as examples from "./examples.mjs";
import { checksum } from "./project/searches.mjs";
import { serveRemote } from "./remote.mjs";
import { TIERS } from "./tiers.mjs";
import { COMPILERS, compilations } from "./types.mjs";

/** What npm brings. puppeteer-core 25 and later want a newer Node than CI may have. */
const TOOLS = [
  `node20@npm:node-${process.platform}-${process.arch}@20`,
  `node22@npm:node-${process.platform}-${process.arch}@22`,
  `node@npm:node-${process.platform}-${process.arch}@latest`,
  "deno@2",
  "bun@1",
  "workerd@1",
  "puppeteer-core@24",
  "vite@8",
  "webpack@5",
  "webpack-cli@7",
  ...COMPILERS,
];
/** What a run in a worker of "cellist/worker" is called. */
const HELPER = "cellist/worker";
/** A runtime that takes longer hangs: all of them take seconds. */
const PATIENCE = 60_000;
/** So does a bundler, and npm where it installs dozens of packages over a slow line. */
const LONG = 300_000;
/** Characters of a line that an error may print: those of dist are broken from 160 on, but not within a string. */
const LONGEST_LINE = 300;
const THREADS = `${HELPER}, 3 threads`;
/** What a page must be sent with that is to have shared memory. */
const ISOLATED = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};
const CSP = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'";
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript" };

/** Bundles the page into a folder, with defaults; returns the bundler's version. */
const BUNDLERS = {
  async vite(folder) {
    await tool("vite/bin/vite.js", "build", "--outDir", folder, "--logLevel", "warn");
    return versionOf("vite");
  },
  async webpack(folder) {
    await tool("webpack-cli/bin/cli.js", "--mode", "production", "--entry", "./page.mjs", "--output-path", folder);
    writeHtml(folder, "main.js");
    return versionOf("webpack");
  },
  async esbuild(folder) {
    // It does not know workers, so that theirs must be named, to stand beside the page's script.
    const entryPoints = { page: "page.mjs", worker: "cellist/worker-script" };
    await esbuild({ entryPoints, format: "esm", outdir: folder });
    writeHtml(folder, "page.js");
    return esbuildVersion;
  },
};

/** What is tried, by name. */
const PARTS = {
  async types() {
    for (const { title, job } of compilations(tools, project)) await attempt(title, "strict, all of lib checked", job);
    await attempt("Deno", "jsr.json, dry run", dryRun);
  },
  async runtimes() {
    const remote = await serveRemote(project);
    closers.push(remote.close);
    await runConsoles(remote);
    await runBrowsers(remote);
  },
  extension: runExtension,
  examples: runExamples,
};

const root = fileURLToPath(new URL("../../", import.meta.url));
const build = join(root, "build/runtimes");
const tools = join(build, "tools");
const project = join(build, "project");
const out = join(build, "out");
/** Runs a program to its end, or for so long. */
const run = (command, args, options = {}) =>
  promisify(execFile)(command, args, { timeout: PATIENCE, killSignal: "SIGKILL", ...options });
const closers = [];
/** What the first run of each kind gave: the others must give the same. */
const expected = {};
let tarball, started;
let passed = 0;
let failed = 0;

try {
  installProject();
  installTools();
  for (const name of process.argv.length > 2 ? process.argv.slice(2) : Object.keys(PARTS)) await PARTS[name]();
} finally {
  // A browser that does not close keeps nobody waiting: with this process it ends.
  const late = setTimeout(() => {
    console.error("A browser does not close.");
    process.exit(1);
  }, PATIENCE);
  for (const close of closers.reverse()) await close();
  clearTimeout(late);
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);

/** A fresh project with the packed library in it, from the tarball. */
function installProject() {
  rmSync(project, { recursive: true, force: true });
  rmSync(out, { recursive: true, force: true });
  cpSync(join(root, "test/runtimes/project"), project, { recursive: true });
  const [{ filename }] = JSON.parse(npm(root, "pack", "--ignore-scripts", "--json", "--pack-destination", project));
  tarball = join(project, filename);
  npmInstall(project, tarball);
}

function installTools() {
  mkdirSync(tools, { recursive: true });
  npmInstall(tools, ...TOOLS);
  installDebian("chromium", "firefox-esr");
}

function npmInstall(folder, ...packages) {
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
  // Without scripts: what they would fetch comes from no registry, and the binaries are in packages of their own.
  npm(folder, "install", "--no-save", "--no-package-lock", "--prefer-offline", "--ignore-scripts", ...packages);
}

function npm(folder, ...args) {
  return execFileSync("npm", [...args, "--loglevel=error"], {
    cwd: folder,
    encoding: "utf8",
    timeout: LONG,
    killSignal: "SIGKILL",
  });
}

/** JSR takes no types that it would have to infer; what it takes is checked as it would be there, and sent nowhere. */
async function dryRun() {
  const deno = binaryOf("@deno", "deno");
  await run(deno, ["publish", "--dry-run", "--allow-dirty"], { cwd: root, timeout: 2 * PATIENCE });
}

async function runConsoles(remote) {
  const bin = (path) => join(tools, "node_modules", path);
  const [deno, bun] = [binaryOf("@deno", "deno"), binaryOf("@oven", "bin/bun")];
  const nodes = ["node20", "node22", "node"].map((name) => bin(`${name}/bin/node`));
  const newest = nodes[2];
  const denoRun = ["run", "--no-prompt", "--allow-read=.", "--node-modules-dir=manual"];
  for (const [script, what] of [
    ["console.mjs", ""],
    ["helper.mjs", HELPER],
    ["threads.mjs", THREADS],
  ]) {
    for (const node of nodes) await runConsole("Node", node, [script], what);
    await runConsole("Deno", deno, [...denoRun, script], what);
    await runConsole("Bun", bun, [script], what);
  }
  const visits = async (name, command, ...args) => {
    const script = [...args, "remote-console.mjs", remote.folder(), `cache-${name}-${passed}`];
    await runConsole(name, command, script, "cellist/remote, then without a connection", "remote");
  };
  for (const node of nodes) await visits("Node", node);
  await visits("Deno", deno, ...denoRun, "--allow-write=.", "--allow-net");
  await visits("Bun", bun);
  await runConsole("Node", newest, ["require.cjs"], "require() from CommonJS");
  for (const node of nodes) await attempt("Node", "an error that nobody catches", () => checkUncaught(node));
  // Every compiler of V8, with and without AVX, by all kernels and by faiss' files.
  const golden = join(root, "test/runtimes/tiers.mjs");
  for (const node of nodes) {
    await runConsole("Node", node, [golden], "faiss' files", "golden");
    for (const flags of TIERS) {
      await runConsole("Node", node, [...flags, "console.mjs"], flags.join(" "));
      await runConsole("Node", node, [...flags, golden], `faiss' files ${flags.join(" ")}`, "golden");
    }
  }
  await runWorkerd(binaryOf("@cloudflare", "bin/workerd"));
}

async function runConsole(name, command, args, what = "", kind = "searches") {
  const { stdout } = await run(command, ["--version"]);
  const version = /\d+\.\d+\.\d+/.exec(stdout)[0];
  const job = async () => {
    const { stdout: sums } = await run(command, args, { cwd: project });
    return JSON.parse(sums);
  };
  await check(`${name} ${version}`, what, job, kind);
}

/** What Node prints of an error that nobody catches is the line that threw it: short, and followed by the error's own words. */
async function checkUncaught(node) {
  const script = 'import { readIndex } from "cellist"; await readIndex(new Uint8Array(3));';
  const { stderr } = await run(node, ["--input-type=module", "-e", script], { cwd: project }).catch((error) => error);
  if (!stderr.includes("CellistError: ")) throw new Error(`this was printed: ${stderr}`);
  const longest = Math.max(...stderr.split("\n").map((line) => line.length));
  if (longest > LONGEST_LINE) throw new Error(`a line of ${longest} characters was printed: ${stderr}`);
}

/** Cloudflare's runtime forbids compiling: it gets the modules as files, beside what esbuild makes of the rest. */
async function runWorkerd(workerd) {
  const files = {
    core: "cellist/cellist.wasm",
    more: "cellist/more.wasm",
    codec: "cellist/codec.wasm",
    data: "vectors.npy",
  };
  await esbuild({ entryPoints: ["workerd.mjs"], format: "esm", outfile: "workerd.js", external: Object.values(files) });
  const modules = [
    '(name = "workerd.js", esModule = embed "workerd.js")',
    `(name = "${files.core}", wasm = embed "node_modules/cellist/dist/cellist.wasm")`,
    `(name = "${files.more}", wasm = embed "node_modules/cellist/dist/more.wasm")`,
    `(name = "${files.codec}", wasm = embed "node_modules/cellist/dist/codec.wasm")`,
    `(name = "${files.data}", data = embed "${files.data}")`,
  ];
  const worker = `(modules = [${modules.join(", ")}], compatibilityDate = "2025-01-01")`;
  writeFileSync(
    join(project, "workerd.capnp"),
    `using W = import "/workerd/workerd.capnp";
     const config :W.Config = (services = [(name = "main", worker = ${worker})]);`,
  );
  const { stdout } = await run(workerd, ["--version"]);
  const version = /\d+\S+/.exec(stdout)[0];
  const job = async () => {
    const { stdout: lines } = await run(workerd, ["test", "workerd.capnp"], { cwd: project });
    return JSON.parse(lines.split("\n").find((line) => line.startsWith("{")));
  };
  await check(`workerd ${version}`, "no compiling, modules given", job);
}

/** The binary of this machine's platform: npm installed that package alone. */
function binaryOf(scope, path) {
  const folder = join(tools, "node_modules", scope);
  const [platform] = readdirSync(folder);
  return join(folder, platform, path);
}

/** Starts the two browsers, once. */
async function browsers() {
  if (started !== undefined) return started;
  const { default: puppeteer } = await import(
    pathToFileURL(createRequire(join(tools, "package.json")).resolve("puppeteer-core"))
  );
  const launch = async (options) => {
    const browser = await puppeteer.launch({
      headless: true,
      timeout: PATIENCE,
      protocolTimeout: 2 * PATIENCE,
      ...options,
    });
    closers.push(() => browser.close());
    const [name, version] = (await browser.version()).split("/");
    return { browser, title: `${name === "firefox" ? "Firefox" : "Chromium"} ${version}` };
  };
  const chromium = await launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS, enableExtensions: true });
  const firefox = await launch({ browser: "firefox", executablePath: FIREFOX });
  started = { chromium, firefox };
  return started;
}

async function runExtension() {
  const bundlers = {
    esbuild,
    async vite(config) {
      writeFileSync(join(project, "vite.extension.mjs"), `export default ${JSON.stringify(config)};`);
      await tool("vite/bin/vite.js", "build", "--config", "vite.extension.mjs", "--logLevel", "warn");
    },
  };
  const { chromium } = await browsers();
  for (const name of ["esbuild", "vite"]) {
    await check(chromium.title, `service worker of an extension, ${name}`, async () =>
      searchInExtension(chromium.browser, await makeExtension(project, name, bundlers)),
    );
  }
}

async function runExamples() {
  const folder = join(build, "examples");
  const wanted = examples.copyExamples(root, folder);
  npmInstall(folder, tarball, ...wanted);
  const node = join(tools, "node_modules/node/bin/node");
  await attempt("Node", "example: semantic", () => examples.semantic(folder, node));
  await attempt("Node", "example: server", () => examples.server(folder, node));
  await attempt("Deno", "example: deno", () => examples.deno(folder, binaryOf("@deno", "deno")));
  const { chromium, firefox } = await browsers();
  const speech = join(root, "bench/speech/3_feature256");
  const files = {
    index: join(root, "test/golden/ivf_flat_custom_ids.index"),
    slices: readdirSync(speech).map((name) => join(speech, name)),
    wrong: join(folder, "plain/index.html"),
  };
  for (const { browser, title } of [chromium, firefox]) {
    await attempt(title, "example: plain", () => examples.plain(folder, browser, files));
  }
  // Firefox plays nothing on a machine without a sound device.
  await attempt(chromium.title, "example: voice", () => examples.voice(folder, chromium.browser, serve));
}

async function runBrowsers(remote) {
  const { chromium, firefox } = await browsers();
  const unbundled = `${await serve(project)}/unbundled.html`;
  const isolated = `${await serve(project, ISOLATED)}/unbundled.html`;
  for (const { browser, title } of [chromium, firefox]) {
    await runPage(browser, title, unbundled, {
      page: "page",
      worker: "module worker",
      worklet: "AudioWorklet",
      classic: "AudioWorklet, classic script",
      helper: `page, ${HELPER}`,
      alone: "page that is not isolated, 3 threads asked for",
    });
    await runPage(browser, title, isolated, { threads: `isolated page, ${THREADS}` });
    const visited = `${new URL(unbundled).origin}/remote.html#${remote.folder()}`;
    await runPage(browser, title, visited, { first: "page, cellist/remote" }, "remote");
    await runPage(browser, title, visited, { again: "page, cellist/remote, without a connection" }, "remote");
  }
  await prepareClassic();
  const classic = pathToFileURL(join(project, "classic.html")).href;
  for (const { browser, title } of [chromium, firefox]) {
    await runPage(browser, title, classic, { page: "page from disk, classic script" });
  }
  const { browser, title } = chromium;
  for (const [name, make] of Object.entries(BUNDLERS)) {
    const folder = join(out, name);
    let version;
    try {
      version = await make(folder);
    } catch (error) {
      report(`${name}`, "", error);
      continue;
    }
    await runPage(browser, title, `${await serve(folder)}/index.html`, {
      page: `page by ${name} ${version}`,
      helper: `page by ${name}, ${HELPER}`,
    });
    if (name === "esbuild") {
      await runPage(
        browser,
        title,
        `${await serve(folder, { "content-security-policy": CSP, ...ISOLATED })}/index.html`,
        {
          page: "page, strict CSP",
          helper: `page, strict CSP, ${HELPER}`,
          threads: `isolated page, strict CSP, ${THREADS}`,
        },
      );
    }
  }
}

async function esbuild(options) {
  await bundle({ absWorkingDir: project, bundle: true, logLevel: "silent", ...options });
}

async function tool(path, ...args) {
  const { stdout, stderr } = await run(process.execPath, [join(tools, "node_modules", path), ...args], {
    cwd: project,
    timeout: LONG,
  });
  return stdout + stderr;
}

function versionOf(name) {
  return JSON.parse(readFileSync(join(tools, "node_modules", name, "package.json"), "utf8")).version;
}

function writeHtml(folder, script) {
  writeFileSync(join(folder, "index.html"), `<!doctype html>\n<script type="module" src="./${script}"></script>\n`);
}

/** A page opened from disk can load neither modules nor files: both as classic scripts. */
async function prepareClassic() {
  const vectors = readFileSync(join(project, "vectors.npy")).toString("base64");
  writeFileSync(join(project, "vectors.js"), `var vectors = "${vectors}";\n`);
  await esbuild({ entryPoints: ["searches.mjs"], format: "iife", globalName: "searches", outfile: "searches.js" });
}

/** Opens a page and makes each of its runs: a name in the page, and what it is called here. */
async function runPage(browser, title, address, runs, kind = "searches") {
  const page = await browser.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  try {
    await page.goto(address, { timeout: PATIENCE });
    for (const [name, what] of Object.entries(runs)) {
      const job = async () => {
        const result = await page.evaluate(
          (key, patience) => {
            const late = new Promise((_, reject) => setTimeout(reject, patience, new Error("no answer")));
            // What is thrown comes back without its stack.
            return Promise.race([window.runs[key](), late]).catch((error) => ({ error: `${error}\n${error.stack}` }));
          },
          name,
          PATIENCE,
        );
        if (result.error !== undefined) throw new Error([result.error, ...complaints].join("\n"));
        return result;
      };
      await check(title, what, job, kind);
    }
  } catch (error) {
    report(title, Object.values(runs).join(", "), new Error([error.message, ...complaints].join("\n")));
  } finally {
    await page.close();
  }
}

/** Serves a folder, and the vectors; returns its address. */
async function serve(folder, more = {}) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    const path = join(pathname === "/vectors.npy" ? project : folder, pathname.replace(/\/$/, "/index.html"));
    if (!existsSync(path)) return response.writeHead(404).end();
    const headers = { "content-type": TYPES[extname(path)] ?? "application/octet-stream" };
    response.writeHead(200, { ...headers, ...more }).end(readFileSync(path));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

/** Runs something that gives checksums by name, and holds them against those of the first of its kind that ran. */
async function check(title, what, job, kind = "searches") {
  await attempt(title, what, async () => {
    const sums = await job();
    expected[kind] ??= sums;
    for (const [name, sum] of Object.entries(expected[kind])) {
      if (sums[name] !== sum) throw new Error(`the checksum of "${name}" is ${sums[name]}, and was ${sum} before`);
    }
    return checksum(Uint8Array.from(Object.values(sums).join(), (character) => character.charCodeAt(0)));
  });
}

/** Runs something, and prints in a line that it did well and what it returned, or what went wrong. */
async function attempt(title, what, job) {
  const start = performance.now();
  try {
    const result = (await job()) ?? "";
    const seconds = ((performance.now() - start) / 1000).toFixed(2);
    passed++;
    console.log(`✓ ${title.padEnd(24)} ${what.padEnd(40)} ${result.padEnd(8)}  ${seconds} s`);
  } catch (error) {
    report(title, what, error);
  }
}

function report(title, what, error) {
  failed++;
  console.log(`✗ ${title.padEnd(24)} ${what}`);
  console.error(error.stderr || error.stack);
}
