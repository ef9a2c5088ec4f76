// Node, Deno and Bun, with the index in a worker that others help.

import { readFileSync } from "node:fs";
import * as rvc from "cellist/rvc";
import * as worker from "cellist/worker";
import { behindWorker, checkWorker, runSearches, THREADED } from "./searches.mjs";

const file = new Uint8Array(readFileSync(new URL("vectors.npy", import.meta.url)));
await checkWorker(worker, file, THREADED);
console.log(JSON.stringify(await runSearches(behindWorker(worker, rvc), file, { engine: THREADED })));
