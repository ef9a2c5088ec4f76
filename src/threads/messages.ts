/** From the worker that has an index to a thread that helps it. */
export type ToHelper =
  /** Work will come for this memory: its number, the slot that will say so, the thread's seat; modules that it may not have yet. */
  | {
      kind: "help";
      slot: number;
      id: number;
      seat: number;
      memory: WebAssembly.Memory;
      modules: WebAssembly.Module[];
    }
  /** Floats that are to be copied to a memory, by a kernel that has a number in place of a name; undefined when they are. */
  | { kind: "source"; id: number; number: number; floats: Float32Array | undefined }
  /** No more work will come for a memory. */
  | { kind: "forget"; id: number }
  /** There is work. */
  | { kind: "wake" };

/** To a worker, which is to help an index from now on: its number in the pool, and where it hears of work. */
export interface HelperHello {
  cellistHelper: MessagePort;
  control: SharedArrayBuffer;
  number: number;
}

/** From a helper: it can't have a memory, or not use it. */
export const UNABLE = "unable";
