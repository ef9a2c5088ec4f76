/**
 * The script of a worker that serves indexes: those of "cellist/worker" start it, and a worker of your own that imports it as
 * "cellist/worker-script" can be given to them. Other messages are left alone.
 *
 * @module
 */
import type { Hello } from "./messages.js";
import { serve } from "./serve.js";

/** The scope of a web worker has postMessage; a thread of Node has a port. */
const scope =
  typeof globalThis.postMessage === "function"
    ? globalThis
    : globalThis.process?.getBuiltinModule?.("node:worker_threads")?.parentPort;

(scope as EventTarget | null | undefined)?.addEventListener("message", (event) => {
  const { data } = event as MessageEvent<Partial<Hello> | undefined>;
  if (data?.cellist instanceof MessagePort) serve(data.cellist);
});
