import type { Progress } from "../api.js";
import type { ErrorCode } from "../errors.js";
import type { Warning } from "../wasm/options.js";

// What goes between a page and its worker. Each index has a port of its own, which the worker is given in a Hello; a call has a
// number, which its answer and all news of it bear.

/** The one message to the worker itself: others that it gets are none of ours. */
export interface Hello {
  cellist: MessagePort;
}

/** To the worker. */
export type Request =
  /** Makes or reads the index, or calls a method or gets a property of it. */
  | { kind: "call"; id: number; method: string; args: unknown[]; progress: boolean }
  | { kind: "abort"; id: number }
  /** The bytes that were pulled; none are left where it is undefined. */
  | { kind: "chunk"; chunk: Uint8Array | undefined }
  /** Bytes were pulled and there is an error in their place: the call must fail, with whatever. */
  | { kind: "no chunk" }
  /** Nobody will call any more. */
  | { kind: "end" };

/** From the worker. */
export type Reply =
  /** The first: it is there. Who is granted the lock of this name (Web Locks), where it has one, learns that the worker has ended. */
  | { kind: "ready"; lock: string | undefined }
  | { kind: "value"; id: number; value: unknown }
  | { kind: "error"; id: number; code: ErrorCode; message: string }
  /** Anything thrown that is no CellistError. */
  | { kind: "thrown"; id: number; error: unknown }
  | { kind: "progress"; id: number; progress: Progress }
  | { kind: "warning"; warning: Warning }
  /** Kernels that it has compiled for threads, by their names. */
  | { kind: "modules"; modules: Record<string, WebAssembly.Module> }
  /** Wants the next bytes of the file that is read. */
  | { kind: "pull" }
  /** Got a message that it could not unpack, so that a call is lost. */
  | { kind: "lost" };

/** In place of a file: it comes when it is pulled, chunk by chunk. */
export const PULLED = "pulled";
