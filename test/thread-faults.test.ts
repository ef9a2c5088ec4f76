import { createHash } from "node:crypto";
import { Worker } from "node:worker_threads";
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
// What is built, for a thread runs no TypeScript.
import { METRIC_L2 } from "../dist/index.js";
import type { CellistError, Work } from "../dist/index.js";
import { indexFactory, readIndex } from "../dist/worker/index.js";
import type { AsyncIndex, AsyncOptions } from "../dist/worker/index.js";
import { withFaults } from "./faults.js";
import { randomOf, uniform } from "./random.js";
import { codeOf, thrownBy } from "./rejections.js";

const D = 32;
const N = 200;
const rows = uniform(randomOf(1), 600 * D);
const more = uniform(randomOf(2), 300 * D);
const queries = uniform(randomOf(3), 40 * D);
/** What of each kind is shared out among threads. */
const SHARED: Record<string, string[]> = {
  Flat: ["search"],
  "IVF8,PQ8x4fs,RFlat": ["train", "add", "search", "blend"],
  "PCA16,IVF8,SQ8": ["train", "add", "search", "rangeSearch"],
  HNSW4: ["search"],
};
const KINDS = Object.keys(SHARED);

/** Which thread has faults: none, that which has indexes, one that helps it, one that has an index for a while. */
const [NOBODY, INDEX, HELPER, DOOMED] = [0, 1, 2, 3];
/**
 * What threads are told (test/faulty-thread.mjs): whose faults they are; allocations so far, the first that fails, how many do; pieces of work
 * that were taken, and after how many the thread ends, -1 for never, with its piece or (1) before it has it.
 */
const words = new Int32Array(new SharedArrayBuffer(7 * 4));
const COUNT = 1;
function tell({ role = NOBODY, first = 0, many = 0, last = -1, early = 0 } = {}): void {
  [role, 0, first, many, 0, last, early].forEach((word, i) => Atomics.store(words, i, word));
}

class Faulty extends Worker {
  constructor(script: URL, role: unknown) {
    const workerData = { script: script.href, words, role: typeof role === "number" ? role : HELPER };
    super(new URL("faulty-thread.mjs", import.meta.url), { execArgv: [], workerData });
  }
}

const nodeThreads = process.getBuiltinModule("node:worker_threads");
/** Has all indexes, so that none needs a start. */
const own = workerOf(INDEX);
let worker = own;
const made = new Set<AsyncIndex>();

function workerOf(role: number): Faulty {
  const started = new Faulty(new URL("../dist/worker/worker.js", import.meta.url), role);
  started.unref();
  return started;
}

function options(others: AsyncOptions = {}): AsyncOptions {
  return { worker, threads: 2, onWarning: () => undefined, ...others };
}

async function make(description: string): Promise<AsyncIndex> {
  const index = await indexFactory(D, description, METRIC_L2, options());
  made.add(index);
  return index;
}

async function open(bytes: Uint8Array): Promise<AsyncIndex> {
  const index = await readIndex(bytes, options());
  made.add(index);
  return index;
}

async function close(index: AsyncIndex): Promise<void> {
  made.delete(index);
  await index.dispose();
}

beforeEach(() => {
  tell();
  vi.spyOn(process, "getBuiltinModule").mockReturnValue({ ...nodeThreads, Worker: Faulty });
});
afterEach(async () => {
  tell();
  await Promise.all([...made].map(close));
  vi.restoreAllMocks();
  worker = own;
});
afterAll(() => own.terminate());

/** What an index holds, and what it finds. */
async function stateOf(index: AsyncIndex): Promise<string> {
  const hash = createHash("sha256").update(await index.toBytes());
  if (await index.isTrained)
    for (const array of Object.values(await index.search(queries, 5, { nprobe: 8 })))
      hash.update(array as Float32Array);
  return hash.digest("hex");
}

async function fileOf(description: string): Promise<Uint8Array> {
  const index = await make(description);
  await index.train(rows);
  await index.add(rows.subarray(0, N * D));
  const bytes = await index.toBytes();
  await close(index);
  return bytes;
}

/** What threads share. */
const OPERATIONS: Record<string, (index: AsyncIndex) => Promise<unknown>> = {
  add: (index) => index.add(more),
  search: (index) => index.search(queries, 5, { nprobe: 8 }),
  warmUp: (index) => index.warmUp({ batch: 20, k: 10, nprobe: 4 }),
  rangeSearch: (index) => index.rangeSearch(queries, 20, { nprobe: 8 }),
  blend: (index) => index.blend(queries, { k: 3, nprobe: 2 }),
  compact: (index) => index.compact(),
};

/** The states before and after a job. */
async function outcome(
  begin: () => Promise<AsyncIndex>,
  job: (index: AsyncIndex) => Promise<unknown>,
): Promise<string[]> {
  const index = await begin();
  const before = await stateOf(index);
  await job(index);
  const after = await stateOf(index);
  await close(index);
  return [before, after];
}

/** An index to begin with, and what is done with it. */
async function jobsOf(
  description: string,
): Promise<[name: string, begin: () => Promise<AsyncIndex>, job: (index: AsyncIndex) => Promise<unknown>][]> {
  const bytes = await fileOf(description);
  const all: Awaited<ReturnType<typeof jobsOf>> = [
    ["train", () => make(description), (index) => index.train(rows)],
    ...Object.entries(OPERATIONS).map(
      ([name, job]) => [name, () => open(bytes), job] as [string, () => Promise<AsyncIndex>, typeof job],
    ),
  ];
  // Files of a graph are made as they are.
  return all.filter(([name]) => name !== "compact" || !description.startsWith("HNSW"));
}

describe.each(KINDS)("%s with two threads", (description) => {
  test.each([
    ["which has the index", INDEX],
    ["that helps", HELPER],
  ])("whichever allocation fails in the one %s, a call does all or nothing", async (_, role) => {
    for (const [name, begin, job] of await jobsOf(description)) {
      const [before, after] = await outcome(begin, job);
      let index = await begin();
      for (const many of [1, Infinity]) {
        for (let at = 0; ; at++) {
          tell({ role, first: at, many: Math.min(many, 1e9) });
          const error = await thrownBy(job(index));
          const count = Atomics.load(words, COUNT);
          tell();
          const which = `${name}, allocation ${at}`;
          if (error !== undefined) expect(error, which).toMatchObject({ code: "ERR_MEMORY" });
          expect(await stateOf(index), which).toBe(error === undefined ? after : before);
          if (error === undefined) {
            await close(index);
            index = await begin();
          }
          if (count <= at) break;
        }
      }
      await job(index);
      expect(await stateOf(index), name).toBe(after);
    }
  });

  test("whichever piece a thread dies with that helps, the index is what it was, and all goes on", async () => {
    const died = new Set<string>();
    for (const [name, begin, job] of await jobsOf(description)) {
      if (!SHARED[description].includes(name)) continue;
      const [before, after] = await outcome(begin, job);
      for (const [last, early] of [
        [0, 0],
        [0, 1],
        [1, 0],
      ]) {
        const index = await begin();
        tell({ role: HELPER, last, early });
        const error = await thrownBy(job(index));
        tell();
        const which = `${name}, piece ${last}`;
        if (error !== undefined) {
          died.add(name);
          expect(error, which).toMatchObject({ code: "ERR_MEMORY" });
          expect((error as Error).message).toMatch("a thread ended");
          expect(await stateOf(index), which).toBe(before);
          // With the threads that are left.
          await job(index);
        }
        expect(await stateOf(index), which).toBe(after);
        await close(index);
      }
    }
    expect([...died]).toEqual(SHARED[description]);
  });

  test("whichever piece the thread dies with that has the index, its calls settle, and other indexes go on", async () => {
    const other = await make("IVF8,Flat");
    await other.train(rows);
    await other.add(rows);
    const expected = await stateOf(other);
    for (const last of [0, 1]) {
      worker = own;
      for (const [name, begin, job] of await jobsOf(description)) {
        if (!SHARED[description].includes(name)) continue;
        worker = workerOf(DOOMED);
        const index = await begin();
        tell({ role: DOOMED, last });
        const [call, later, found] = [job(index), thrownBy(index.search(queries, 1)), other.search(queries, 5)];
        expect(await codeOf(call), `${name}, piece ${last}`).toBe("ERR_DISPOSED");
        // It may have been refused while the first one lived.
        expect(["ERR_DISPOSED", "ERR_BUSY"]).toContain(((await later) as CellistError).code);
        await found;
        tell();
        expect(await stateOf(other)).toBe(expected);
        await close(index);
      }
    }
  });

  test("an abort at any news leaves the index as it was, or comes too late", async () => {
    const bytes = await fileOf(description);
    for (const [name, begin, job] of [
      ["train", () => make(description), (index, work) => index.train(rows, work)],
      ["add", () => open(bytes), (index, work) => index.add(more, work)],
    ] as [string, () => Promise<AsyncIndex>, (index: AsyncIndex, work: Work) => Promise<void>][]) {
      const [before, after] = await outcome(begin, (index) => job(index, {}));
      for (let at = 0; ; at++) {
        const index = await begin();
        const [controller, reason] = [new AbortController(), new Error("enough")];
        let news = 0;
        const onProgress = (): void => {
          if (news++ === at) controller.abort(reason);
        };
        const error = await thrownBy(job(index, { signal: controller.signal, onProgress }));
        if (error !== undefined) {
          expect(error).toBe(reason);
          expect(await stateOf(index), `${name}, news ${at}`).toBe(before);
          await job(index, {});
        }
        expect(await stateOf(index), `${name}, news ${at}`).toBe(after);
        await close(index);
        if (news <= at) break;
      }
    }
  });
});

test("whichever piece of what all threads copy a thread dies with, the index is what it was, and all goes on", async () => {
  const big = uniform(randomOf(4), 20_000 * D);
  let died = 0;
  for (const [description, name, transfer] of [
    ["Flat", "add", false],
    ["Flat", "add", true],
    ["IVF8,Flat", "train", false],
    ["IVF8,Flat", "train", true],
  ] as const) {
    const job = (index: AsyncIndex): Promise<void> => index[name](transfer ? big.slice() : big, { transfer });
    const [before, after] = await outcome(() => make(description), job);
    for (const [last, early] of [
      [0, 0],
      [0, 1],
      [1, 0],
    ]) {
      const index = await make(description);
      tell({ role: HELPER, last, early });
      const error = await thrownBy(job(index));
      tell();
      if (error !== undefined) {
        died++;
        expect(error).toMatchObject({ code: "ERR_MEMORY" });
        expect((error as Error).message).toMatch("a thread ended");
        expect(await stateOf(index), description).toBe(before);
        await job(index);
      }
      expect(await stateOf(index), description).toBe(after);
      await close(index);
    }
  }
  expect(died).toBeGreaterThan(0);
});

test("whatever the page has no memory for, a call does all or nothing, with fewer threads or not at all", async () => {
  const jobs: (() => Promise<unknown>)[] = [
    async () => close(await make("IVF8,Flat")),
    async () => {
      const index = await make("Flat");
      await index.add(rows);
      const found = await index.search(queries, 3);
      expect(found.labels[0]).toBeGreaterThanOrEqual(0);
      await close(index);
    },
  ];
  let failed = 0;
  for (const job of jobs) {
    for (let at = 0; ; at++) {
      let error: unknown;
      const { faults } = await withFaults(at, 1, async () => (error = await thrownBy(job())));
      if (error !== undefined) {
        failed++;
        expect(error, `allocation ${at}`).toMatchObject({ code: "ERR_MEMORY" });
      }
      if (faults.count <= at) break;
    }
  }
  expect(failed).toBeGreaterThan(0);
});

test.each([
  [
    "can't be started",
    "no worker can be started",
    () => {
      throw new Error("no more threads");
    },
  ],
  ["has no script", "a thread has ended", () => new Worker("throw new Error('no script')", { eval: true })],
  ["ends at once", "a thread has ended", () => new Worker("process.exit(3)", { eval: true })],
])("a thread that %s is done without, and it is said", async (_, why, start) => {
  // Called by new, a function may return another object.
  function Failing(): Worker {
    return start();
  }
  vi.spyOn(process, "getBuiltinModule").mockReturnValue({
    ...nodeThreads,
    Worker: Failing as unknown as typeof Worker,
  });
  const warnings: string[] = [];
  const index = await indexFactory(
    D,
    "IVF8,Flat",
    METRIC_L2,
    options({ onWarning: ({ message }) => warnings.push(message) }),
  );
  made.add(index);
  await index.train(rows);
  await index.add(rows);
  await vi.waitFor(() => expect(warnings.join()).toMatch(why), { timeout: 30_000 });
  const { labels } = await index.search(rows, 1, { nprobe: 8 });
  expect([...labels]).toEqual(Array.from({ length: 600 }, (_, i) => i));
});
