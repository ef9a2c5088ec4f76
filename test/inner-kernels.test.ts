import { describe, expect, test } from "vitest";
import { METRIC_INNER_PRODUCT, METRIC_L2 } from "../src/index.js";
import { Engine } from "../src/wasm/engine.js";
import { Desk } from "./desk.js";
import { innerKernels } from "./inner.js";
import { below, randomOf } from "./random.js";
import type { Random } from "./random.js";
import { oneList, records } from "./records.js";

// Kernels that are within others, each beside its definition in plain numbers: what limits and bounds are is seen by how much is compared,
// and hardly by what is found.

const { fround: f } = Math;
const engine = new Engine();
const desk = new Desk(engine);
// What stands at the end of the memory is nobody's.
engine.release(engine.allocate(2 ** 20));
const inner = await innerKernels<
  | "limitOf"
  | "limitScratch"
  | "kth"
  | "poolSize"
  | "pour"
  | "emptyPool"
  | "scanLogged"
  | "wholeProducts"
  | "visitedRoom"
  | "openVisited"
  | "see"
  | "seeNew"
  | "forget"
>(
  engine,
  `
  import { limitOf, limitScratch } from "./candidates";
  import { Best } from "./found/best";
  import { makeVisited, Visited, visitedBytes } from "./graph/search";
  import { emptyPool, kth, poolSize, pour } from "./pool";
  import { Lists, Plan } from "./records";
  import { scanLists } from "./scan/lists";
  import { RowCode } from "./scan/row-code";

  import { wholeProducts } from "./whole-rows";

  export { emptyPool, kth, limitOf, pour, wholeProducts };
  export { limitScratchOf as limitScratch, poolSizeOf as poolSize };
  function limitScratchOf(k: i32): i32 { return limitScratch(k); }
  function poolSizeOf(k: i32): i32 { return poolSize(k); }

  export function visitedRoom(n: i32, width: i32): usize { return visitedBytes(n, width); }
  export function openVisited(at: usize, n: i32, width: i32): void { makeVisited(at, n, width); }
  export function see(at: usize, slot: i32): void { changetype<Visited>(at).see(slot); }
  export function seeNew(at: usize, list: usize, size: usize): i32 { return changetype<Visited>(at).seeNew(list, size); }
  export function forget(at: usize): void { changetype<Visited>(at).clear(); }

  /** A code whose keys are zero, and which writes down which query turned to which list. */
  @unmanaged
  class Logged extends RowCode {
    log: usize;
    open(_plan: Plan, _lists: Lists, _scratch: usize): void {}
    turn(i: i32, list: i32): void {
      store<i32>(this.log, (list << 8) | i);
      this.log += 4;
    }
    four(_a: usize, _b: usize, _c: usize, _e: usize, _bar: f32): v128 {
      return f32x4.splat(0);
    }
  }
  export function scanLogged(code: usize, plan: usize, lists: usize, found: usize): void {
    scanLists<Logged, Best>(
      changetype<Logged>(code),
      changetype<Plan>(plan),
      changetype<Lists>(lists),
      changetype<Best>(found),
    );
  }
`,
);

/** Numbers, some of them equal, some infinite. */
function bounds(random: Random, n: number, share: number): Float32Array {
  return Float32Array.from({ length: n }, () =>
    random() < share ? Infinity : random() < 0.3 ? below(random, 5) : random() * 9 - 3,
  );
}

/** limitOf as it is told: the least of each of 4k groups, and the limit halved six times. */
function limitOf(lower: Float32Array, k: number): number {
  const end = lower.length & ~3;
  const size = Math.min(4 * k, end);
  const least = Array.from({ length: size }, (_, i) => {
    let value = Infinity;
    for (let at = i; at < end; at += size) value = Math.min(value, lower[at]);
    return value;
  });
  const reached = (limit: number): boolean => least.filter((value) => value <= limit).length >= k;
  let low = Math.min(...least);
  let high = Math.max(...least.filter((value) => value < Infinity));
  if (!reached(high)) return Infinity;
  for (let step = 0; step < 6; step++) {
    const middle = f(f(low + high) / 2);
    if (reached(middle)) high = middle;
    else low = middle;
  }
  return high;
}

test("a limit that k bounds reach, by halving", () => {
  const random = randomOf(1);
  for (const share of [0, 0.4, 0.95, 1]) {
    for (const n of [1, 3, 4, 7, 8, 30, 64, 131, 400]) {
      for (const k of [1, 2, 3, 8, 17, 100]) {
        const lower = bounds(random, n, share);
        const scratch = desk.room(inner.limitScratch(k));
        const limit = inner.limitOf(desk.put(lower), n, k, scratch);
        expect(limit, `${k} of ${n}`).toBe(limitOf(lower, k));
        if (limit < Infinity) expect(lower.filter((bound) => bound <= limit).length).toBeGreaterThanOrEqual(k);
        desk.clear();
      }
    }
  }
});

describe("pools of 16-bit sums", () => {
  const order = (sums: Uint16Array): number[] => [...sums].sort((a, b) => a - b);

  test("what parts the k-th smallest from the next", () => {
    const random = randomOf(2);
    for (const most of [1, 4, 1000, 65536]) {
      for (const n of [8, 16, 24, 120]) {
        for (const base of [0, 65536 - most]) {
          const sums = Uint16Array.from({ length: n }, () => base + below(random, most));
          const at = desk.put(sums);
          for (let k = 1; k <= n; k++) {
            const [own, next] = order(sums).slice(k - 1, k + 1);
            const limit = inner.kth(at, n, k);
            expect(limit).toBeGreaterThanOrEqual(own);
            // Where the next is another, any number that parts them.
            if (next === own) expect(limit).toBe(own);
            else if (next !== undefined) expect(limit).toBeLessThan(next);
          }
          expect(inner.kth(at, n, n + 1)).toBe(65535);
          desk.clear();
        }
      }
    }
  });

  test("poured in, sifted when full, and emptied in order", () => {
    const random = randomOf(3);
    for (const metric of [METRIC_L2, METRIC_INNER_PRODUCT]) {
      for (const k of [1, 5, 20, 70, 140]) {
        for (const most of [3, 300, 65536]) {
          const size = inner.poolSize(k);
          expect(size).toBeGreaterThanOrEqual(2 * k);
          const pool = desk.room(4 + 6 * size);
          engine.i32[pool >>> 2] = 0;
          const all: { sum: number; slot: number }[] = [];
          let limit = 65535;
          for (let first = 0; first < 32 * 30; first += 32) {
            const sums = Uint16Array.from({ length: 32 }, () => below(random, most));
            const open = below(random, 2 ** 32);
            sums.forEach((sum, lane) => {
              if ((open >>> lane) & 1) all.push({ sum, slot: first + lane });
            });
            limit = inner.pour(open, desk.put(sums), first, pool, k, limit);
            const kth = all.map(({ sum }) => sum).sort((a, b) => a - b)[k - 1] ?? 65535;
            // What may enter has fallen to what is below the k-th when the pool was sifted last.
            expect(limit).toBeGreaterThanOrEqual(kth - 1);
            expect(engine.i32[pool >>> 2]).toBeLessThan(size);
          }
          const sorted = all.sort((a, b) => a.sum - b.sum || a.slot - b.slot).slice(0, k);
          const [keys, slots] = [desk.room(4 * k), desk.room(4 * k)];
          expect(inner.emptyPool(pool, k, keys, slots, 0, metric)).toBe(sorted.length);
          expect(desk.floats(keys, k)).toEqual(sorted.map(({ sum }) => sum));
          // Among equals, the first come are kept, and the smaller or the larger slot is the better.
          const kept = sorted.map(({ slot, sum }) => ({ slot, sum }));
          if (metric === METRIC_INNER_PRODUCT) kept.sort((a, b) => a.sum - b.sum || b.slot - a.slot);
          expect(desk.ints(slots, k)).toEqual(kept.map(({ slot }) => slot));
          desk.clear();
        }
      }
    }
  });
});

test("a stretch of a list is compared for all queries that want it before the next comes from memory", () => {
  // A stretch has 256 KB, here four rows: so it begins on slots 0, 4 and 8.
  const [n, nq, k] = [10, 3, 1];
  const size = 2 ** 16;
  const log = desk.room(100 * 4);
  const code = desk.own(Int32Array.from([log]));
  const probes = desk.put(new Int32Array(nq));
  const rows = desk.room(n * size);
  const scratch = desk.room(engine.kernels.scanListsScratch(1, nq, 1));
  const [keys, slots] = [desk.room(nq * k * 4), desk.room(nq * k * 4)];
  const plan = { nq, d: 1, metric: METRIC_L2, probes, nprobe: 1, atLeast: 1, scratch };
  const lists = { ...oneList(engine, n), codes: rows, blockBytes: size };
  inner.scanLogged(code, ...records(engine, plan, lists, { keys, slots, k }));
  // After these, each query is scanned once more, since all keys are equal.
  expect(desk.ints(log, 3 * nq)).toEqual([0, 1, 2, 0, 1, 2, 0, 1, 2]);
  expect(desk.ints(slots, nq)).toEqual([0, 0, 0]);
  desk.clear();
});

test("what a search of a graph has seen: a bit each, and a trail by which it is forgotten while that is short", () => {
  const random = randomOf(6);
  for (const [n, width] of [
    [1, 4],
    [127, 4],
    [129, 6],
    [1000, 8],
    [4096, 33],
  ]) {
    const visited = desk.room(inner.visitedRoom(n, width));
    inner.openVisited(visited, n, width);
    // Fields of the record, and behind it the bits.
    const [bits, bytes, trail, room] = desk.ints(visited, 4);
    expect([bits, bytes, trail]).toEqual([visited + 64, Math.ceil(n / 128) * 16, visited + 64 + bytes]);
    expect(visited + inner.visitedRoom(n, width) - trail).toBe((room + 1) * 4);
    const expectBits = (seen: Set<number>): void => {
      const words = new Uint8Array(bytes);
      for (const slot of seen) words[slot >> 3] |= 1 << (slot & 7);
      expect(engine.u8.slice(bits, bits + bytes)).toEqual(words);
    };
    for (const steps of [0, 1, 4, 40]) {
      const seen = new Set<number>();
      let own: number[] = [];
      let lost = false;
      for (let step = 0; step < steps; step++) {
        // A list has no slot twice, and may end before its end.
        const links = [...new Set(Array.from({ length: width }, () => below(random, n)))];
        const list = desk.put(Int32Array.from({ length: width }, (_, i) => links[i] ?? -1));
        const fresh = links.filter((slot) => !seen.has(slot));
        if (own.length + width > room) {
          lost = true;
          own = [];
        }
        own.push(...fresh);
        for (const slot of fresh) seen.add(slot);
        expect(inner.seeNew(visited, list, width * 4)).toBe(fresh.length);
        expect(desk.ints(trail, own.length)).toEqual(own);
        expect(desk.ints(visited + 16, 1)).toEqual([own.length]);
        expect(engine.u8[visited + 20]).toBe(lost ? 1 : 0);
        expectBits(seen);
      }
      inner.forget(visited);
      expectBits(new Set());
      expect(desk.ints(visited + 16, 1)).toEqual([0]);
      expect(engine.u8[visited + 20]).toBe(0);
    }
    // The trail filled to the last, and one more, which nobody asks room for.
    for (let i = 0; i < room; i++) inner.see(visited, i % n);
    const none = desk.put(new Int32Array(width).fill(-1));
    expect(inner.seeNew(visited, none, 0)).toBe(0);
    expect(engine.u8[visited + 20]).toBe(0);
    inner.see(visited, 0);
    desk.clear();
  }
});

test("products of whole rows, of any number of blocks, which may stand where memory ends", () => {
  const random = randomOf(5);
  for (const D of [16, 48]) {
    for (let blocks = 1; blocks <= 9; blocks++) {
      const rows = Array.from({ length: 4 * blocks }, () => numbers(random, D));
      const queries = [numbers(random, D), numbers(random, D)];
      const at = engine.u8.length - blocks * D * 8;
      const words = new Int16Array(engine.u8.buffer, at, blocks * D * 4);
      rows.forEach((row, i) => {
        row.forEach((x, j) => (words[(i >> 2) * D * 4 + (j >> 1) * 8 + (i & 3) * 2 + (j & 1)] = x));
      });
      const [x, y] = queries.map((query) => desk.put(Int16Array.from(query)));
      // Up to twelve products more than there are rows.
      const outs = [0, 1].map(() => desk.room(Math.ceil(blocks / 4) * 16 * 4));
      const expected = queries.map((query) =>
        rows.map((row) => row.reduce((sum, value, j) => sum + value * query[j], 0)),
      );
      inner.wholeProducts(x, y, D, at, blocks, outs[0], outs[1]);
      expect(outs.map((out) => desk.ints(out, rows.length))).toEqual(expected);
      inner.wholeProducts(y, 0, D, at, blocks, outs[0], 0);
      expect(desk.ints(outs[0], rows.length)).toEqual(expected[1]);
      desk.clear();
    }
  }
});

function numbers(random: Random, n: number): number[] {
  return Array.from({ length: n }, () => below(random, 2001) - 1000);
}
