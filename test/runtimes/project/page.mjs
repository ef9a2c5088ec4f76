// A page, and the index behind a worker that it may have; bundled or not.

import * as core from "cellist";
import * as rvc from "cellist/rvc";
import * as worker from "cellist/worker";
import { behindWorker, checkWorker, runSearches } from "./searches.mjs";

const load = async () => new Uint8Array(await (await fetch("/vectors.npy")).arrayBuffer());

window.runs = {
  ...window.runs,
  page: async () => runSearches({ ...core, ...rvc }, await load()),
  helper: async () => {
    await checkWorker(worker, await load());
    return runSearches(behindWorker(worker, rvc), await load());
  },
};
