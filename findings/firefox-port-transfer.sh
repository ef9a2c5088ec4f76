#!/usr/bin/env bash
# Firefox copies an ArrayBuffer that is transferred through a MessagePort, 7 ms a megabyte; through the worker itself it moves it.
#
# Versions: Firefox 153.7.0esr (Debian's firefox-esr 153.7.0esr-1~deb12u1), driven by puppeteer-core 24.43.1.
# Behaviour: a buffer of 30 MB in the transfer list of `port.postMessage`, the other end of the channel being in a worker of the page, takes
#   some 200 ms until it is there, of which 70 are spent in postMessage, while the page does nothing else. The same buffer by
#   `worker.postMessage` takes .3 to 3 ms, and less than one in postMessage. Both leave the sender's buffer empty. In Chromium 156 both take 3.
# Why it matters: whoever talks to a worker through channels (an RPC library, an index a port) and transfers what is large, to spare a copy,
#   has several. Send it by the worker, or lay it in shared memory, of which a port passes on the address alone.
# Output: firefox/153.7.0: by the worker 0.3 ms, by a port 230.3 ms, by a port, shared 0.4 ms (the least of 7; times vary)
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
export HOME="$PWD" TMPDIR="$PWD"
[ "$(uname -sm)" = "Linux x86_64" ] || { echo "needs Linux on x86-64, with the libraries that Firefox takes from the system (GTK 3)"; exit 2; }
apt-get download firefox-esr=153.7.0esr-1~deb12u1 >/dev/null 2>&1
dpkg -x firefox-esr*.deb .
npm install --no-audit --no-fund --loglevel=error puppeteer-core@24.43.1 >/dev/null
cat >run.mjs <<'JS'
import { createServer } from "node:http";
import { resolve } from "node:path";
import puppeteer from "puppeteer-core";
const headers = {
  "Content-Type": "text/html",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};
const server = createServer((_, answer) => answer.writeHead(200, headers).end());
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const executablePath = resolve("usr/lib/firefox-esr/firefox-esr");
const browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true, protocolTimeout: 120_000 });
const page = await browser.newPage();
await page.goto(`http://127.0.0.1:${server.address().port}/`);
const [moved, sent, shared] = await page.evaluate(async () => {
  const script = `onmessage = ({ data }) => {
    if (data.port) data.port.onmessage = ({ data }) => postMessage(data.byteLength);
    postMessage(data.byteLength ?? 0);
  }`;
  const worker = new Worker(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
  const { port1, port2 } = new MessageChannel();
  const answer = () => new Promise((done) => (worker.onmessage = ({ data }) => done(data)));
  const ready = answer();
  worker.postMessage({ port: port2 }, [port2]);
  await ready;
  const bytes = 30_000_000;
  const least = async (to, isShared) => {
    let best = Infinity;
    for (let i = 0; i < 7; i++) {
      const buffer = isShared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);
      new Uint8Array(buffer).fill(1);
      const got = answer();
      const start = performance.now();
      to.postMessage(buffer, isShared ? [] : [buffer]);
      if ((await got) !== bytes) throw new Error("another buffer came");
      best = Math.min(best, performance.now() - start);
      if (!isShared && buffer.byteLength !== 0) throw new Error("the buffer is still here");
    }
    return best;
  };
  return [await least(worker, false), await least(port1, false), await least(port1, true)];
});
const ms = (time) => `${time.toFixed(1)} ms`;
console.log(`${await browser.version()}: by the worker ${ms(moved)}, by a port ${ms(sent)}, by a port, shared ${ms(shared)}`);
await browser.close();
server.close();
process.exitCode = sent > 10 * moved && sent > 10 * shared ? 0 : 1;
JS
node run.mjs
