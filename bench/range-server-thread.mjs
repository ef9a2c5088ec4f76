// The server of range-server.mjs in a thread of its own, so that what the client computes holds up no byte.

import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { serveRanges } from "./range-server.mjs";

/** As serveRanges of a file without faults: `served()` gives the bytes that left it. */
export async function serveApart(bytes, line) {
  const worker = new Worker(new URL(import.meta.url), { workerData: { bytes, line } });
  const next = () => new Promise((resolve) => worker.once("message", resolve));
  const url = await next();
  return {
    url,
    served: () => {
      const answer = next();
      worker.postMessage("served");
      return answer;
    },
    close: () => worker.terminate(),
  };
}

if (!isMainThread && workerData?.line !== undefined) {
  const { url, served } = await serveRanges(workerData.bytes, workerData.line);
  parentPort.on("message", () => parentPort.postMessage(served.bytes));
  parentPort.postMessage(url);
}
