// Puts a guard behind each block of each engine, and looks whether anybody wrote over it: a block that is too small mostly does no harm that
// answers show, for what lies behind it is room for something else. New blocks and scratch hold NaN, where fresh memory would hide by its
// zeros that somebody forgot to write.

import { Allocator } from "../src/wasm/allocator.js";
import { Engine } from "../src/wasm/engine.js";

/** A cache line, to which blocks are rounded up: the guard is then the last one of each. */
const GUARD = 64;
const PATTERN = 0xa5;
/** What new blocks and scratch hold, whose bytes nobody may count on: as floats NaN. */
const NAN = 0xff;

/** Runs a job with guards. Throws where one of them was written over, by the time its block is given back or the job ends. */
export async function withGuards(job: () => Promise<void>): Promise<void> {
  const allocators = new Map<Engine, Allocator>();
  let current: Engine | undefined;
  const restore: (() => void)[] = [];
  const replace = <T extends object, K extends keyof T>(prototype: T, name: K, by: (original: T[K]) => T[K]): void => {
    const original = prototype[name];
    prototype[name] = by(original);
    restore.push(() => (prototype[name] = original));
  };
  const during = <T>(engine: Engine, call: () => T): T => {
    const before = current;
    current = engine;
    try {
      return call();
    } finally {
      current = before;
    }
  };
  const guard = (engine: Engine, address: number, bytes: number): number => {
    const end = address + Math.ceil(Math.max(bytes, 1) / GUARD) * GUARD;
    engine.u8.fill(PATTERN, end, end + GUARD);
    return address;
  };
  const poison = (engine: Engine, address: number, bytes: number): number => {
    engine.u8.fill(NAN, address, address + bytes);
    return address;
  };
  const check = (engine: Engine, address: number, bytes: number): void => {
    const end = address + bytes;
    const at = engine.u8.subarray(end - GUARD, end).findIndex((byte) => byte !== PATTERN);
    if (at >= 0) throw new Error(`byte ${at} behind a block of ${bytes - GUARD} was written`);
  };
  replace(
    Allocator.prototype,
    "allocate",
    (original) =>
      function (this: Allocator, bytes) {
        if (current !== undefined) allocators.set(current, this);
        return original.call(this, bytes);
      },
  );
  replace(
    Allocator.prototype,
    "release",
    (original) =>
      function (this: Allocator, address) {
        if (current !== undefined) check(current, address, this.from(address)[0].bytes);
        original.call(this, address);
      },
  );
  for (const name of ["allocate", "borrow"] as const) {
    replace(
      Engine.prototype,
      name,
      (original) =>
        function (this: Engine, bytes) {
          const address = during(this, () => original.call(this, Math.max(bytes, 1) + GUARD));
          return poison(this, guard(this, address, bytes), bytes);
        },
    );
  }
  replace(
    Engine.prototype,
    "takeScratch",
    (original) =>
      function (this: Engine, bytes) {
        return poison(this, original.call(this, bytes), bytes);
      },
  );
  replace(
    Engine.prototype,
    "reserveScratch",
    (original) =>
      function (this: Engine, bytes) {
        original.call(this, bytes);
        poison(this, this.scratchTop, bytes);
      },
  );
  replace(
    Engine.prototype,
    "resize",
    (original) =>
      function (this: Engine, address, oldBytes, bytes) {
        // A guard that a block outgrows is part of it.
        return guard(this, original.call(this, address, oldBytes + GUARD, Math.max(bytes, 1) + GUARD), bytes);
      },
  );
  replace(
    Engine.prototype,
    "release",
    (original) =>
      function (this: Engine, address) {
        during(this, () => original.call(this, address));
      },
  );
  try {
    await job();
    for (const [engine, allocator] of allocators) {
      for (const { address, bytes } of allocator.from(0)) check(engine, address, bytes);
    }
  } finally {
    for (const undo of restore.reverse()) undo();
  }
}
