#!/usr/bin/env bash
# Chromium cuts parallel range requests for one address off as they begin, with their connections, and sends them again.
#
# Versions: Chromium 153.0.8010.0 (@sparticuz/chromium 153.0.0), driven by puppeteer-core 25.16.0.
# Behaviour: once an answer of 206 that may be cached has begun for an address, every other fetch of a range of it that is on its way to
#   the server is broken off and asked for anew, its connection closed; of six ranges at once, nine requests were thrown away, on top
#   of the seven that were answered. Pages see seven answers and no error. With { cache: "no-store" }, or answers that say no-store, each
#   range is asked for once.
# Why it matters: readers of large files by parts (tiles, databases, indexes) ask for several ranges of one address at a time. Each of
#   them costs a second request, and behind HTTP/1.1 a new connection with its handshakes, unless they go past the cache.
# Output: default: 7 ranges, 16 requests, 9 cut off; no-store: 7 ranges, 7 requests, 0 cut off (the first counts vary a little)
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
export TMPDIR="$PWD"
[ "$(uname -sm)" = "Linux x86_64" ] || { echo "needs Linux on x86-64"; exit 2; }
npm install --no-audit --no-fund --loglevel=error @sparticuz/chromium@153.0.0 puppeteer-core@25.16.0 >/dev/null
cat >run.mjs <<'JS'
import { createServer } from "node:http";
import chromium from "@sparticuz/chromium";
import puppeteer from "puppeteer-core";
const bytes = Buffer.alloc(2_000_000, 7);
let asked = [];
const server = createServer(async ({ url, headers }, answer) => {
  const [, from, last] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? "") ?? [];
  if (from === undefined) return answer.writeHead(url === "/" ? 200 : 404, { "Content-Type": "text/html" }).end();
  const own = { cut: false };
  asked.push(own);
  answer.on("close", () => (own.cut = !answer.writableFinished));
  answer.writeHead(206, {
    ETag: '"1"',
    "Cache-Control": "max-age=600",
    "Content-Range": `bytes ${from}-${last}/${bytes.length}`,
    "Content-Length": Number(last) - Number(from) + 1,
  });
  for (let at = Number(from); at <= Number(last); at += 20_000) {
    answer.write(bytes.subarray(at, Math.min(at + 20_000, Number(last) + 1)));
    await new Promise((done) => setTimeout(done, 50));
  }
  answer.end();
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const executablePath = await chromium.executablePath();
const browser = await puppeteer.launch({ args: chromium.args, executablePath, headless: "shell" });
const page = await browser.newPage();
await page.goto(`http://127.0.0.1:${server.address().port}/`);
const counts = {};
for (const cache of ["default", "no-store"]) {
  asked = [];
  await page.evaluate(async (own) => {
    const read = async (from) => {
      const headers = { Range: `bytes=${from}-${from + 99_999}` };
      return (await fetch(`/file-${own}`, { cache: own, headers })).arrayBuffer();
    };
    await read(0);
    await Promise.all([1, 2, 3, 4, 5, 6].map((i) => read(i * 200_000)));
  }, cache);
  counts[cache] = [asked.length, asked.filter(({ cut }) => cut).length];
  console.log(`${cache}: 7 ranges, ${counts[cache][0]} requests, ${counts[cache][1]} cut off`);
}
await browser.close();
server.close();
const { default: cached, "no-store": uncached } = counts;
process.exitCode = cached[1] >= 3 && uncached[0] === 7 && uncached[1] === 0 ? 0 : 1;
JS
node run.mjs
