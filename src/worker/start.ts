import { fail } from "../errors.js";

/**
 * A worker of a page, of Deno, Bun, or of Node's worker_threads.
 *
 * @example
 *   const worker: WorkerLike = new Worker(new URL("mine.js", import.meta.url), { type: "module" });
 */
export interface WorkerLike {
  /**
   * `never`, because a page and Node have different types for what can be transferred.
   *
   * @example
   *   worker.postMessage({ mine: true }, []);
   */
  postMessage(message: unknown, transfer: never[]): void;
}

/** What a worker of ours has beside. */
export interface OwnWorker extends WorkerLike {
  terminate(): unknown;
  /** Node's and Bun's: the process may end though the worker is there. */
  unref?(): void;
}

/** Starts a worker that serves indexes. ERR_UNSUPPORTED where that can't be. */
export function startWorker(): OwnWorker {
  try {
    // The one form that bundlers know: they make a file of the worker, and put its address here.
    if (typeof Worker === "function") return new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    return startThread(import.meta.url);
  } catch (error) {
    return fail(
      "ERR_UNSUPPORTED",
      `no worker can be started here (${String(error)}): give one of your own that imports "cellist/worker-script"`,
    );
  }
}

/**
 * Node has no global Worker, but threads. Nothing is imported: bundlers for pages would stumble over node:worker_threads.
 *
 * @param here a parameter, for were it in its place below, bundlers would make a second file of the worker
 */
function startThread(here: string): OwnWorker {
  const threads = globalThis.process?.getBuiltinModule?.("node:worker_threads");
  if (threads === undefined) throw new Error("neither Worker nor, from Node 20.16 on, worker_threads");
  // Without the flags of the program, which are not for this script.
  return new threads.Worker(new URL("worker.js", here), { execArgv: [] });
}

/**
 * Calls back when a worker has an error, such as that its script can't be loaded. In Node it ends there, which is fatal; in a page
 * it goes on.
 *
 * @param failed returns whether that was the end of it
 * @returns stops listening
 */
export function onFailure(worker: WorkerLike, failed: (reason: string, fatal: boolean) => boolean): () => void {
  if ("on" in worker) {
    const thread = worker as unknown as import("node:worker_threads").Worker;
    const onError = (error: unknown): boolean => failed(String(error), true);
    const onExit = (code: number): boolean => failed(`it ended with code ${code}`, true);
    // Of one that has ended already there is no more news.
    if (thread.threadId === -1) queueMicrotask(() => failed("it has ended", true));
    thread.on("error", onError);
    thread.on("exit", onExit);
    return () => {
      thread.off("error", onError);
      thread.off("exit", onExit);
    };
  }
  const target = worker as unknown as EventTarget;
  const onError = (event: Event): void => {
    // Otherwise Deno would end the program for it.
    if (failed((event as Partial<ErrorEvent>).message ?? "its script could not be loaded", false))
      event.preventDefault();
  };
  target.addEventListener("error", onError);
  return () => target.removeEventListener("error", onError);
}
