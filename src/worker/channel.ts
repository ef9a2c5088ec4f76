import type { Progress, Work } from "../api.js";
import { CellistError, fail } from "../errors.js";
import type { ByteSource } from "../format/source.js";
import { reasonOf, throwIfAborted } from "../work/pace.js";
import type { Warning } from "../wasm/options.js";
import { awaitLock } from "./lock.js";
import type { Hello, Reply, Request } from "./messages.js";
import { Parcel } from "./parcel.js";
import { keepModules } from "./pool.js";
import { onFailure, startWorker } from "./start.js";
import type { OwnWorker, WorkerLike } from "./start.js";

/** A call that has no answer yet. */
interface Call {
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
  onProgress: ((progress: Progress) => void) | undefined;
  /** What it was stopped with, or what stopped it: the error to reject with, whatever the worker says. */
  stopped?: { error: unknown };
}

/**
 * How often and how many times it is looked whether a worker of the caller's, which gives no sign when its script does not import ours,
 * has answered; a page that is busy looks later, and as often.
 */
const LOOK_EVERY = 1000;
const LOOKS = 10;
/** A worker's own news of its end, in ms: the reason of a failure is better than that a port was closed. */
const AFTER_CLOSE = 50;

/** The page's end of an index that is in a worker: sends calls and hands out answers, progress, warnings and errors. */
export class Channel {
  readonly #port: MessagePort;
  readonly #calls = new Map<number, Call>();
  readonly #onWarning: ((warning: Warning) => void) | undefined;
  readonly #end: () => void;
  /** What is done beside when there are no more calls. */
  #after = (): void => undefined;
  /** Withdraws the wish for the worker's lock. */
  readonly #watch = new AbortController();
  #source: ByteSource | undefined;
  #heard = false;
  #last = 0;
  /** Why there are no more calls. */
  #closed: Error | undefined;

  /** @param own a worker of the caller's, which is not ended with the channel; otherwise one is started */
  constructor(own: WorkerLike | undefined, onWarning: ((warning: Warning) => void) | undefined) {
    this.#onWarning = onWarning;
    const worker = own ?? startWorker();
    const started = own === undefined ? (worker as OwnWorker) : undefined;
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    // A worker of the caller's lives through errors of other things that it does.
    const forget = onFailure(worker, (reason, fatal) => {
      const ours = fatal || started !== undefined || !this.#heard;
      if (ours) this.#fail(reason);
      return ours;
    });
    // Of the caller's worker only: of ours, a script that can't be loaded is an error.
    const looking = started === undefined ? this.#lookAfter() : undefined;
    this.#end = () => {
      forget();
      clearInterval(looking);
      this.#watch.abort();
      port1.close();
      started?.terminate();
      this.#after();
    };
    port1.onmessage = ({ data }: MessageEvent<Reply>) => this.#receive(data);
    // Of the other end, with its worker: in Node, Bun and Chromium.
    port1.addEventListener("close", () => setTimeout(() => this.#fail("it has ended"), AFTER_CLOSE));
    port1.onmessageerror = () => this.#fail("an answer could not be unpacked");
    started?.unref?.();
    const hello: Hello = { cellist: port2 };
    worker.postMessage(hello, [port2] as never[]);
  }

  /** Tells the caller's onWarning; what it throws, the calls that wait reject with. */
  warn(warning: Warning): void {
    try {
      this.#onWarning?.(warning);
    } catch (error) {
      for (const id of this.#calls.keys()) this.#stop(id, error);
    }
  }

  /** Has something done when there are no more calls. */
  afterwards(what: () => void): void {
    this.#after = what;
  }

  /** Calls a method, or gets a property. `source` is what the worker will pull. */
  async call(
    method: string,
    args: unknown[],
    transfer: Transferable[],
    work: Work = {},
    source?: ByteSource,
  ): Promise<unknown> {
    const { signal, onProgress } = work;
    throwIfAborted(signal);
    if (this.#closed !== undefined) throw this.#closed;
    const id = ++this.#last;
    const answered = new Promise<unknown>((resolve, reject) => {
      this.#calls.set(id, { resolve, reject, onProgress });
    });
    const abort = (): void => signal && this.#stop(id, reasonOf(signal));
    try {
      try {
        this.#send({ kind: "call", id, method, args, progress: onProgress !== undefined }, transfer);
      } catch {
        fail(
          "ERR_PARAMETER",
          `an argument of ${method} can't be sent to a worker (a function, a proxy, a symbol): give plain values and arrays`,
        );
      }
      this.#source = source;
      signal?.addEventListener("abort", abort);
      this.#hold();
      return await answered;
    } finally {
      signal?.removeEventListener("abort", abort);
      this.#calls.delete(id);
      this.#hold();
    }
  }

  /** Ends the channel and the worker that was started for it. Calls that wait, and later ones, reject with the error. */
  close(error: Error): void {
    if (this.#closed !== undefined) return;
    this.#closed = error;
    for (const [id, call] of this.#calls) {
      this.#send({ kind: "abort", id });
      call.reject(error);
    }
    // To a worker that lives on.
    this.#send({ kind: "end" });
    this.#end();
  }

  /** Whether no call waits for its answer. */
  get isIdle(): boolean {
    return this.#calls.size === 0;
  }

  #fail(reason: string): void {
    this.close(new CellistError("ERR_DISPOSED", `the worker of this index failed (${reason}): make or read another`));
  }

  #send(request: Request, transfer: Transferable[] = []): void {
    this.#port.postMessage(request, transfer);
  }

  /** Node ends when no one waits for an answer, and not before. */
  #hold(): void {
    const port = this.#port as MessagePort & { ref?(): void; unref?(): void };
    if (this.#calls.size > 0) port.ref?.();
    else port.unref?.();
  }

  #stop(id: number, error: unknown): void {
    const call = this.#calls.get(id);
    if (call === undefined || call.stopped !== undefined) return;
    call.stopped = { error };
    this.#send({ kind: "abort", id });
  }

  #lookAfter(): ReturnType<typeof setInterval> {
    let looks = 0;
    const looking = setInterval(() => {
      if (this.#heard) clearInterval(looking);
      else if (++looks === LOOKS)
        this.#fail(`it has not answered for ${(LOOKS * LOOK_EVERY) / 1000} s; does it import "cellist/worker-script"?`);
    }, LOOK_EVERY);
    (looking as { unref?(): void }).unref?.();
    return looking;
  }

  #receive(reply: Reply): void {
    this.#heard = true;
    switch (reply.kind) {
      case "ready":
        if (reply.lock !== undefined) awaitLock(reply.lock, this.#watch.signal, () => this.#fail("it has ended"));
        return;
      case "warning":
        this.warn(reply.warning);
        return;
      case "modules":
        keepModules(reply.modules);
        return;
      case "pull":
        void this.#feed();
        return;
      case "lost":
        this.#fail("a call could not be unpacked");
        return;
    }
    const call = this.#calls.get(reply.id);
    switch (reply.kind) {
      case "progress":
        try {
          call?.onProgress?.(reply.progress);
        } catch (error) {
          this.#stop(reply.id, error);
        }
        return;
      case "value":
        // Done before it could be stopped: the index is changed, and that is what the caller must know.
        call?.resolve(reply.value);
        return;
      case "error":
        call?.reject(call.stopped === undefined ? new CellistError(reply.code, reply.message) : call.stopped.error);
        return;
      case "thrown":
        call?.reject(call.stopped === undefined ? reply.error : call.stopped.error);
    }
  }

  /** Sends the next bytes of the source. */
  async #feed(): Promise<void> {
    let chunk: Uint8Array | undefined;
    try {
      chunk = await this.#source?.next();
    } catch (error) {
      for (const call of this.#calls.values()) call.stopped ??= { error };
      this.#send({ kind: "no chunk" });
      return;
    }
    // A copy, for whoever made the chunk may hold on to it.
    const parcel = new Parcel();
    this.#send({ kind: "chunk", chunk: parcel.put(chunk) }, parcel.transfer);
  }
}
