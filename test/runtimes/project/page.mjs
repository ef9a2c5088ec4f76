// A page, and the index behind a worker that it may have; bundled or not.

import * as core from "cellist";
import * as rvc from "cellist/rvc";
import * as worker from "cellist/worker";
import { behindWorker, checkWorker, runSearches, THREADED } from "./searches.mjs";

const load = async () => new Uint8Array(await (await fetch("/vectors.npy")).arrayBuffer());

window.runs = {
  ...window.runs,
  page: async () => runSearches({ ...core, ...rvc }, await load()),
  helper: async () => {
    await checkWorker(worker, await load());
    return runSearches(behindWorker(worker, rvc), await load());
  },
  threads: async () => {
    await checkWorker(worker, await load(), THREADED);
    return runSearches(behindWorker(worker, rvc), await load(), { engine: THREADED });
  },
  alone: async () => {
    const codes = new Set();
    const onWarning = ({ code }) => codes.add(code);
    const sums = await runSearches(behindWorker(worker, rvc), await load(), { engine: { threads: 3, onWarning } });
    if (!codes.has("WARN_THREADS")) throw new Error("a page that is not isolated was not warned");
    return sums;
  },
};
