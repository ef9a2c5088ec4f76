// Makes one allocation fail, whichever is asked for: arrays of JavaScript's and copies of them, blocks of an engine, growth of its memory, new memories and
// instances.

import { fail } from "../src/errors.js";
import { Engine } from "../src/wasm/engine.js";

const ARRAYS = [
  "Uint8Array",
  "Int32Array",
  "Uint32Array",
  "Float32Array",
  "Float64Array",
  "BigInt64Array",
  "SharedArrayBuffer",
] as const;

/** What becomes of allocations while a job runs. */
export interface Faults {
  /** Allocations so far. */
  count: number;
  /** Bytes of arrays made so far, engines' memories left aside. */
  bytes: number;
}

/** Runs a job, counting what it allocates; `many` allocations from number `first` on fail, as they would for want of memory. */
export async function withFaults<T>(
  first: number,
  many: number,
  job: () => T,
): Promise<{ faults: Faults; result: Awaited<T> }> {
  const faults: Faults = { count: 0, bytes: 0 };
  const isOver = (): boolean => {
    const number = faults.count++;
    return number >= first && number < first + many;
  };
  const restore: (() => void)[] = [];
  const global = globalThis as unknown as Record<string, object>;
  for (const name of ARRAYS) {
    const original = global[name] as Uint8ArrayConstructor;
    restore.push(() => (global[name] = original));
    global[name] = new Proxy(original, {
      construct(target, args: unknown[], newTarget) {
        // A view of memory that is there takes none.
        const isView = args[0] instanceof ArrayBuffer || args[0] instanceof SharedArrayBuffer;
        if (!isView && isOver()) throw new RangeError("Array buffer allocation failed");
        const array = Reflect.construct(target, args, newTarget) as Uint8Array;
        if (!isView) faults.bytes += array.byteLength;
        return array;
      },
    });
  }
  const before = (prototype: object, name: string, check: (...args: unknown[]) => void): void => {
    const method = Object.getOwnPropertyDescriptor(prototype, name);
    const original = method?.value as (...args: unknown[]) => unknown;
    Object.defineProperty(prototype, name, {
      ...method,
      value(this: unknown, ...args: unknown[]) {
        check(...args);
        return original.apply(this, args);
      },
    });
    restore.push(() => Object.defineProperty(prototype, name, { ...method }));
  };
  // A copy takes memory, too, which no constructor of ours is asked for.
  before(Object.getPrototypeOf(Uint8Array.prototype) as object, "slice", () => {
    if (isOver()) throw new RangeError("Array buffer allocation failed");
  });
  for (const name of ["allocate", "borrow"]) {
    before(Engine.prototype, name, () => {
      if (isOver()) fail("ERR_MEMORY", "no block, for a test");
    });
  }
  // A block that is to be larger grows where it stands as long as there is room behind it.
  before(Engine.prototype, "resize", (_address, old, wanted) => {
    if (Number(wanted) > Number(old) && isOver()) fail("ERR_MEMORY", "no room to grow, for a test");
  });
  before(WebAssembly.Memory.prototype, "grow", () => {
    if (isOver()) throw new RangeError("WebAssembly.Memory.grow(): Unable to grow instance memory");
  });
  const wasm = WebAssembly as unknown as Record<string, object>;
  for (const [name, message] of [
    ["Memory", "could not allocate memory"],
    ["Instance", "Out of memory: Cannot allocate Wasm memory for new instance"],
  ]) {
    const original = wasm[name] as typeof WebAssembly.Memory;
    restore.push(() => (wasm[name] = original));
    wasm[name] = new Proxy(original, {
      construct(target, args, newTarget) {
        if (isOver()) throw new RangeError(`WebAssembly.${name}(): ${message}`);
        return Reflect.construct(target, args, newTarget) as object;
      },
    });
  }
  try {
    return { faults, result: await job() };
  } finally {
    for (const undo of restore) undo();
  }
}
