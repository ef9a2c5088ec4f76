// The script of a thread in which allocations fail, or which ends in the midst of its work, as test/thread-faults.test.ts says; it is a worker
// of the library's otherwise. Plain JavaScript, for a thread runs no TypeScript.

import { workerData } from "node:worker_threads";

/** What is shared with the test: see test/thread-faults.test.ts. */
const { script, words, role } = workerData;
const [ROLE, COUNT, FIRST, MANY, TAKEN, LAST, BEFORE] = [0, 1, 2, 3, 4, 5, 6];
/** How long, in ms, others leave pieces to the thread that is to end. */
const PATIENCE = 20_000;

const isOver = () => {
  if (Atomics.load(words, ROLE) !== role) return false;
  const number = Atomics.add(words, COUNT, 1);
  return number >= words[FIRST] && number < words[FIRST] + words[MANY];
};

for (const name of ["Uint8Array", "Int32Array", "Uint32Array", "Float32Array", "Float64Array", "BigInt64Array"]) {
  globalThis[name] = new Proxy(globalThis[name], {
    construct(target, args, newTarget) {
      // A view of memory that is there takes none.
      const isView = args[0] instanceof ArrayBuffer || args[0] instanceof SharedArrayBuffer;
      if (!isView && isOver()) throw new RangeError("Array buffer allocation failed");
      return Reflect.construct(target, args, newTarget);
    },
  });
}
for (const [name, message] of [
  ["Memory", "could not allocate memory"],
  ["Instance", "Out of memory"],
]) {
  WebAssembly[name] = new Proxy(WebAssembly[name], {
    construct(target, args, newTarget) {
      if (isOver()) throw new RangeError(`WebAssembly.${name}(): ${message}`);
      return Reflect.construct(target, args, newTarget);
    },
  });
}
const { slice } = Object.getPrototypeOf(Uint8Array.prototype);
Object.getPrototypeOf(Uint8Array.prototype).slice = function (...range) {
  if (isOver()) throw new RangeError("Array buffer allocation failed");
  return slice.apply(this, range);
};
const { grow } = WebAssembly.Memory.prototype;
WebAssembly.Memory.prototype.grow = function (pages) {
  if (isOver()) throw new RangeError("WebAssembly.Memory.grow(): Unable to grow instance memory");
  return grow.call(this, pages);
};

// Pieces of work are taken by this, and nothing else is.
const { compareExchange } = Atomics;
/** Counts a piece; whether it is the last. */
const isLast = () => {
  const number = Atomics.add(words, TAKEN, 1);
  Atomics.notify(words, TAKEN);
  return number === words[LAST];
};
Atomics.compareExchange = (control, at, expected, replacement) => {
  const ends = words[LAST] >= 0 && words[ROLE] === role;
  if (ends && words[BEFORE] === 1 && isLast()) process.exit();
  if (words[LAST] >= 0 && words[ROLE] !== role) {
    // The other one has a turn: on a machine that is busy it would come too late.
    const taken = Atomics.load(words, TAKEN);
    if (taken <= words[LAST]) Atomics.wait(words, TAKEN, taken, PATIENCE);
  }
  const seen = compareExchange(control, at, expected, replacement);
  if (ends && seen === expected && words[BEFORE] === 0 && isLast()) process.exit();
  return seen;
};

await import(script);
