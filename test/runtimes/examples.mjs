// Runs what stands in examples/, but for the pages that have tests of their own, from the packed tarball, as who copied it would.

import { execFile, spawn } from "node:child_process";
import { cpSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const FOLDERS = ["deno", "plain", "semantic", "server", "voice"];
const PATIENCE = 60_000;
const run = promisify(execFile);

/** Copies the examples into a folder; returns what they want installed there, beside the library. */
export function copyExamples(root, folder) {
  rmSync(folder, { recursive: true, force: true });
  const wanted = {};
  for (const name of FOLDERS) {
    cpSync(join(root, "examples", name), join(folder, name), {
      recursive: true,
      filter: (path) => !/node_modules|dist$|public$/.test(path),
    });
    if (name === "deno" || name === "plain") continue;
    const manifest = JSON.parse(readFileSync(join(folder, name, "package.json"), "utf8"));
    Object.assign(wanted, manifest.dependencies, manifest.devDependencies);
  }
  delete wanted.cellist;
  return Object.entries(wanted).map(([name, version]) => `${name}@${version}`);
}

/** Finds a document by its meaning: of English ones, the one that says most of it. */
export async function semantic(folder, node) {
  const { stdout } = await run(node, ["semantic.mjs", "how do cats sleep"], { cwd: join(folder, "semantic") });
  const found = stdout.trim().split("\n");
  if (found.length !== 3 || !/^0\.\d+ cats\/sleep /.test(found[0]) || stdout.includes("katzen"))
    throw new Error(`it found ${stdout}`);
}

/** Asks the server for the neighbours of a vector, and for what can't be. */
export async function server(folder, node) {
  const child = spawn(node, ["server.mjs"], { cwd: join(folder, "server"), env: { ...process.env, PORT: "0" } });
  try {
    const line = await new Promise((resolve, reject) => {
      child.stdout.once("data", (data) => resolve(String(data)));
      child.stderr.once("data", (data) => reject(new Error(String(data))));
      child.once("error", reject);
    });
    const address = line.split(" ")[0];
    const ask = async (body) => {
      const response = await fetch(`${address}/search`, { method: "POST", body });
      return { status: response.status, answer: await response.json() };
    };
    const vector = Array.from({ length: 64 }, (_, i) => Math.fround(Math.sin((5 * 64 + i) * 0.37 + 5 ** 0.5)));
    const found = await ask(JSON.stringify({ vector, k: 2 }));
    if (found.answer[0]?.id !== 5 || found.answer[0].distance !== 0) throw new Error(JSON.stringify(found));
    const wrong = await ask(JSON.stringify({ vector: [1, 2, 3] }));
    if (wrong.status !== 400 || wrong.answer.code !== "ERR_DIMENSION") throw new Error(JSON.stringify(wrong));
    const { ntotal } = await (await fetch(address)).json();
    if (ntotal !== 10_000) throw new Error(`it holds ${ntotal}`);
  } finally {
    child.kill();
  }
}

/** Makes the index at the first run, and reads it at the second; both find the same. */
export async function deno(folder, binary) {
  // It gets the library from the folder above, in place of the registry.
  const args = ["run", "--no-prompt", "--node-modules-dir=manual", "--no-config"];
  const script = [...args, "--allow-read=.", "--allow-write=.", "search.ts"];
  const once = async () => (await run(binary, script, { cwd: join(folder, "deno") })).stdout;
  const [first, second] = [await once(), await once()];
  if (!first.includes("\n42 ") || first !== second) throw new Error(`it printed ${first}, then ${second}`);
}

/** Opened from disk: an index, then .npy files, and what is no index. */
export async function plain(folder, browser, { index, slices, wrong }) {
  cpSync(join(folder, "node_modules/cellist/dist/cellist.iife.js"), join(folder, "plain/cellist.iife.js"));
  const page = await browser.newPage();
  try {
    await page.goto(`file://${join(folder, "plain/index.html")}`);
    const says = async (files, words) => {
      const input = await page.$("#files");
      await input.uploadFile(...files);
      await page
        .waitForFunction(
          (text) => document.querySelector("#what").textContent.includes(text),
          { timeout: 10_000 },
          words,
        )
        .catch(async () => {
          throw new Error(`no "${words}" but ${await page.$eval("#what", ({ textContent }) => textContent)}`);
        });
    };
    await says([index], "IVF");
    await page.click("#search");
    const [nearest] = await page.$$eval("#found li", (lines) => lines.map(({ textContent }) => textContent));
    if (!/^vector \d+, at 0\.0000$/.test(nearest)) throw new Error(`the nearest is ${nearest}`);
    await says(slices, "256");
    await says([wrong], "HTML page");
  } finally {
    await page.close();
  }
}

/** Downloads the voice, plays a tone through model and blend, and has the voice from the cache when it is opened again. */
export async function voice(folder, browser, serve) {
  const here = join(folder, "voice");
  const bin = (name) => join(folder, "node_modules", name);
  await run(process.execPath, ["make.mjs"], { cwd: here, timeout: PATIENCE });
  await run(process.execPath, [bin("vite/bin/vite.js"), "build", "--logLevel", "warn"], { cwd: here });
  const isolated = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    ETag: '"1"',
  };
  const address = await serve(join(here, "dist"), isolated);
  const page = await browser.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  const until = async (words) => {
    const shown = (text) => document.body.textContent.includes(text);
    await page.waitForFunction(shown, { timeout: PATIENCE / 2 }, words).catch(async () => {
      const text = await page.$eval("body", (body) => body.textContent.replace(/\s+/g, " "));
      throw new Error([`no "${words}" but ${text}`, ...complaints].join("\n"));
    });
  };
  try {
    await page.goto(address);
    await until(" frames");
    await page.click("#tone");
    await until("5 blocks, the last in");
    const errors = await page.$eval("#error", ({ textContent }) => textContent);
    if (errors !== "" || complaints.length > 0) throw new Error([errors, ...complaints].join("\n"));
    await page.reload();
    await until("from the cache");
  } finally {
    await page.close();
  }
}
