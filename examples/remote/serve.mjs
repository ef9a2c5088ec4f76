/**
 * A voice that speaks before it is downloaded: builds a voice of the repository's speech and the page, and serves both by parts.
 *
 *     node examples/remote/serve.mjs                 behind a line of 4 Mbit/s and 40 ms
 *     node examples/remote/serve.mjs --mbit 20       behind another one
 *
 * What a server needs for it is in `answer`: ranges, and an ETag. Any file server has them.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { buildVoiceIndex, shrinkVoice } from "cellist/rvc";

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const SPEECH = path("../../bench/speech/3_feature256/");
const SAMPLE = path("../page/sample/");
const OUT = path("../../build/remote/");
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".flac": "audio/flac", ".json": "application/json" };

/** The voice as a faiss file, and in four layers. Made once: it takes some seconds. */
async function makeVoice() {
  mkdirSync(OUT, { recursive: true });
  if (existsSync(join(OUT, "alice.voice"))) return;
  const slices = readdirSync(SPEECH).map((name) => ({ name, data: readFileSync(join(SPEECH, name)) }));
  const { index } = await buildVoiceIndex(slices, { version: "v1", seed: 1 });
  const { index: small } = await shrinkVoice(index, { layers: 4 });
  writeFileSync(join(OUT, "alice.index"), index.toBytes());
  writeFileSync(join(OUT, "alice.voice"), small.toBytes());
}

/** The page's scripts, by name. */
async function bundle() {
  const entryPoints = ["main.js", "worker.js", "worklet.js"].map(path);
  // The entries of the library import what they share for the order in which it is loaded, not for what it does.
  const logOverride = { "ignored-bare-import": "silent" };
  const { outputFiles } = await build({
    entryPoints,
    outdir: OUT,
    bundle: true,
    format: "esm",
    write: false,
    logOverride,
  });
  return Object.fromEntries(outputFiles.map((file) => [file.path.slice(OUT.length), file.contents]));
}

/** Serves all of it; returns the address and what ends it. */
export async function serve({ port = 0, mbit = 4, delay = 40 } = {}) {
  await makeVoice();
  const files = {
    ...(await bundle()),
    "index.html": readFileSync(path("index.html")),
    "sentence.flac": readFileSync(join(SAMPLE, "sentence.flac")),
    "sample.json": readFileSync(join(SAMPLE, "sample.json")),
    "alice.index": readFileSync(join(OUT, "alice.index")),
    "alice.voice": readFileSync(join(OUT, "alice.voice")),
  };
  const line = lineOf(mbit);
  const server = createServer((request, response) => {
    const name = new URL(request.url, "http://localhost").pathname.slice(1) || "index.html";
    // Only the voice is slow: the rest is there before a visitor plays anything.
    const slow = name.startsWith("alice");
    if (files[name] === undefined) response.writeHead(404).end();
    else setTimeout(() => void answer(request, response, name, files[name], slow ? line : undefined), slow ? delay : 0);
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    address: `http://localhost:${server.address().port}/`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Sends a file, or the part of it that is asked for. */
async function answer(request, response, name, bytes, line) {
  const headers = { "content-type": TYPES[extname(name)] ?? "application/octet-stream", etag: `"${bytes.length}"` };
  headers["accept-ranges"] = "bytes";
  const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
  const [from, to] =
    range === null ? [0, bytes.length] : [Number(range[1]), Math.min(Number(range[2]) + 1, bytes.length)];
  headers["content-length"] = to - from;
  if (range !== null) headers["content-range"] = `bytes ${from}-${to - 1}/${bytes.length}`;
  response.writeHead(range === null ? 200 : 206, headers);
  const step = line === undefined ? bytes.length : 8192;
  for (let at = from; at < to && !response.destroyed; at += step) {
    const part = bytes.subarray(at, Math.min(at + step, to));
    await line?.(part.length);
    response.write(part);
  }
  response.end();
}

/** A line that all answers share: resolves once it has carried so many bytes more. */
function lineOf(mbit) {
  let free = 0;
  return async (bytes) => {
    const now = performance.now();
    free = Math.max(free, now - 50) + (bytes * 8) / (mbit * 1000);
    await new Promise((resolve) => setTimeout(resolve, free - now));
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { port: { type: "string" }, mbit: { type: "string" } } });
  const { address } = await serve({ port: Number(values.port ?? 8081), mbit: Number(values.mbit ?? 4) });
  console.log(`Open ${address}. Ctrl-C ends it.`);
}
