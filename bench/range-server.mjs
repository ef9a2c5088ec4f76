// A server of one file on this machine, as slow as a line and as faulty as wanted: what remote voices are measured and tested with.

import { createServer } from "node:http";

/**
 * Serves bytes at /file until `close()`.
 *
 * @param {Uint8Array} bytes
 * @param {{ mbit?: number, delay?: number, behave?: (request: { from: number, to: number, number: number, ranged: boolean }) => object | undefined }} options
 *   mbit: of the line that all answers share; delay: ms before each answer's first byte; behave: what is to go wrong with a request:
 *   { status, headers, cut: bytes after which the connection breaks, short: bytes left out at the end, shift: bytes by which the wrong part
 *   is sent, etag, ranges: false for the whole file, gzip: true, hang: true }
 */
export async function serveRanges(bytes, { mbit = Infinity, delay = 0, behave = () => undefined } = {}) {
  const served = { requests: 0, bytes: 0, ranges: [] };
  let free = 0;
  /** Resolves when the line has carried so many bytes more. */
  const line = async (count) => {
    if (mbit === Infinity) return;
    const now = performance.now();
    // What a timer was late is caught up on, or the line would be slower than it says.
    free = Math.max(free, now - 50) + (count * 8) / (mbit * 1000);
    await new Promise((resolve) => setTimeout(resolve, free - now));
  };
  const server = createServer(async (request, response) => {
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
    const from = range === null ? 0 : Number(range[1]);
    const to = range === null ? bytes.length : Math.min(Number(range[2]) + 1, bytes.length);
    const fault = behave({ from, to, number: served.requests++, ranged: range !== null }) ?? {};
    if (fault.hang) return;
    if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
    const partial = range !== null && fault.ranges !== false;
    const [start, end] = partial
      ? [from + (fault.shift ?? 0), to + (fault.shift ?? 0) - (fault.short ?? 0)]
      : [0, bytes.length];
    served.ranges.push([start, end]);
    const headers = {
      ETag: fault.etag ?? '"1"',
      "Access-Control-Allow-Origin": "*",
      "Access-Control-Expose-Headers": "Content-Range, ETag",
      ...fault.headers,
    };
    if (fault.status !== undefined) {
      response.writeHead(fault.status, headers).end();
      return;
    }
    if (fault.gzip) headers["Content-Encoding"] = "gzip";
    if (partial)
      headers["Content-Range"] ??= `bytes ${from + (fault.shift ?? 0)}-${to + (fault.shift ?? 0) - 1}/${bytes.length}`;
    if (fault.cut === undefined) headers["Content-Length"] = end - start;
    else headers["Content-Length"] = end - start + 1;
    response.writeHead(partial ? 206 : 200, headers);
    if (request.method === "HEAD") {
      response.end();
      return;
    }
    const last = fault.cut === undefined ? end : Math.min(end, start + fault.cut);
    const step = mbit === Infinity ? last - start : 16384;
    for (let at = start; at < last && !response.destroyed; at += step) {
      const chunk = bytes.subarray(at, Math.min(at + step, last));
      await line(chunk.length);
      served.bytes += chunk.length;
      response.write(chunk);
    }
    if (fault.cut === undefined) response.end();
    else response.destroy();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/file`,
    served,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(resolve);
      }),
  };
}
