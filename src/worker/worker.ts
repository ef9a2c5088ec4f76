/**
 * The script of a worker that serves indexes: those of "cellist/worker" start it, and a worker of your own that imports it as
 * "cellist/worker-script" can be given to them. Other messages are left alone.
 *
 * @module
 */
import { Helper } from "../threads/helper.js";
import type { HelperHello } from "../threads/messages.js";
import { holdLock } from "./lock.js";
import type { Hello } from "./messages.js";
import { serve } from "./serve.js";

/** The scope of a web worker has postMessage; a thread of Node has a port. */
const scope =
  typeof globalThis.postMessage === "function"
    ? globalThis
    : globalThis.process?.getBuiltinModule?.("node:worker_threads")?.parentPort;

(scope as EventTarget | null | undefined)?.addEventListener("message", (event) => {
  const { data } = event as MessageEvent<Partial<Hello & HelperHello> | undefined>;
  if (data?.cellist instanceof MessagePort) serve(data.cellist);
  if (data?.cellistHelper instanceof MessagePort) help(data as HelperHello);
});

let helper: Helper | undefined;

/** Helps an index: a worker of ours that is told so does nothing else. */
function help(hello: HelperHello): void {
  if (helper === undefined) {
    helper = new Helper(hello.control, hello.number);
    void holdLock().then((lock) => scope?.postMessage({ lock: lock?.name }));
  }
  helper.listen(hello.cellistHelper);
}
