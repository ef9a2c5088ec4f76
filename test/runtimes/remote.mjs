// The server of the remote runs: files of the packed library, in parts, to pages of any origin; each run has its own, until it says that
// the connection is gone.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { readVectors } from "./project/searches.mjs";

const CORS = {
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Allow-Headers": "Range",
  "Access-Control-Expose-Headers": "Content-Range, ETag",
};

/** Makes the files by the library in a project, and serves them: returns the address of each run's folder, and what ends it all. */
export async function serveRemote(project) {
  const files = await makeFiles(project);
  const gone = new Set();
  const server = createServer((request, response) => {
    const [, run, name] = request.url.split("/");
    if (name === "gone") {
      gone.add(run);
      return response.writeHead(204, CORS).end();
    }
    // Nobody answers: what a runtime meets without a connection.
    if (gone.has(run)) return request.socket.destroy();
    if (request.method === "OPTIONS") return response.writeHead(204, CORS).end();
    const bytes = files[name];
    if (bytes === undefined) return response.writeHead(404, CORS).end();
    const headers = { ...CORS, ETag: `"${name}"`, "Content-Type": "application/octet-stream" };
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
    if (range === null || name.startsWith("whole"))
      return response.writeHead(200, { ...headers, "Content-Length": bytes.length }).end(bytes);
    const [from, to] = [Number(range[1]), Math.min(Number(range[2]) + 1, bytes.length)];
    headers["Content-Range"] = `bytes ${from}-${to - 1}/${bytes.length}`;
    return response.writeHead(206, { ...headers, "Content-Length": to - from }).end(bytes.subarray(from, to));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  let runs = 0;
  return {
    folder: () => `http://127.0.0.1:${server.address().port}/run${++runs}/`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function makeFiles(project) {
  const load = (entry) => import(pathToFileURL(join(project, "node_modules/cellist/dist", entry)));
  const { indexFactory } = await load("index.js");
  const { shrinkVoice } = await load("rvc/index.js");
  const { base } = readVectors(new Uint8Array(readFileSync(join(project, "vectors.npy"))));
  const make = async (description) => {
    const index = await indexFactory(64, description);
    await index.train(base, { seed: 7 });
    await index.add(base);
    return index;
  };
  const lists = await make("IVF32,Flat");
  const refined = await make("IVF32,PQ16x4fs,RFlat");
  const { index: voice } = await shrinkVoice(lists, { layers: 3, sample: 16 });
  const [ivf, pq, small] = [lists, refined, voice].map((index) => index.toBytes());
  return { "ivf.index": ivf, "pq.index": pq, "small.voice": small, "part.index": ivf, "whole.index": ivf };
}
