import { readFileSync } from "node:fs";
import { createServer } from "node:http";

/** With these a page may share memory between its threads; it works without. */
export const ISOLATED = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

/**
 * Serves one file on this machine.
 *
 * @param {string} path
 * @param {number} port another is taken where it is in use
 * @param {Record<string, string>} [headers]
 * @returns {Promise<{ address: string, close(): void }>} until it is closed the process goes on
 */
export async function serve(path, port, headers = ISOLATED) {
  const server = createServer((request, response) => {
    if (new URL(request.url, "http://localhost").pathname !== "/") return response.writeHead(404).end();
    response.writeHead(200, { "content-type": "text/html; charset=utf-8", ...headers }).end(readFileSync(path));
  });
  const listen = (at) =>
    new Promise((resolve, reject) =>
      server.once("error", reject).listen(at, "127.0.0.1", () => resolve(server.off("error", reject))),
    );
  await listen(port).catch((error) => (error.code === "EADDRINUSE" ? listen(0) : Promise.reject(error)));
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { address: `http://localhost:${server.address().port}/`, close };
}
