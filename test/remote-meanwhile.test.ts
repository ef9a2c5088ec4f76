import { expect, test } from "vitest";
import { indexFactory } from "../src/index.js";
import type { Index } from "../src/index.js";
import { openRemote } from "../src/remote/index.js";
import type { RangeReader } from "../src/remote/ranges.js";
import { blend } from "../src/rvc/index.js";
import { randomOf, uniform } from "./random.js";
import { codeOf } from "./rejections.js";

// What a remote index is given: sources that answer late, never, or with what is no bytes, and queries that are the caller's own kind.

const D = 16;
const rows = uniform(randomOf(1), 5000 * D);
const queries = uniform(randomOf(2), 20 * D);
/** A frame has its own size, whatever is asked of its constructor. */
class Frames extends Float32Array {
  constructor() {
    super(20 * D);
    this.set(queries);
  }
}

async function voice(): Promise<{ index: Index; source: RangeReader }> {
  const index = await indexFactory(D, "IVF64,Flat");
  await index.train(rows);
  await index.add(rows);
  const bytes = index.toBytes();
  return { index, source: { size: bytes.length, read: async (from, to) => bytes.slice(from, to) } };
}

test("queries may be reused once the call has returned its promise, and are what their numbers are", async () => {
  const { index, source } = await voice();
  const expected = index.search(queries, 5, { nprobe: 4 });
  const blended = blend(index, queries.slice(), { nprobe: 4 });
  for (const loaded of [false, true]) {
    const remote = await openRemote(source, { readAhead: 0 });
    if (loaded) await remote.load();
    const own = queries.slice();
    const found = remote.search(own, 5, { nprobe: 4 });
    own.fill(0);
    expect(await found).toEqual(expected);
  }
  const searched = await openRemote(source, { readAhead: 0 });
  expect(await searched.search(new Frames(), 5, { nprobe: 4 })).toEqual(expected);
  const remote = await openRemote(source, { readAhead: 0 });
  expect([...(await remote.blend(new Frames(), { nprobe: 4 }))]).toEqual([...blended]);
  const now = new Frames();
  expect(remote.blendNow(now, { nprobe: 4 })).toBe(0);
  expect([...now]).toEqual([...blended]);
});

test("opening is ended by its signal, whoever does not heed it", async () => {
  const never = async (): Promise<never> => new Promise(() => undefined);
  const stuck = new Response(new ReadableStream(), { status: 206, headers: { "content-range": "bytes 0-99/100" } });
  const opens: ((signal: AbortSignal) => Promise<unknown>)[] = [
    (signal) => openRemote({ size: 100, read: never }, { signal }),
    (signal) => openRemote({ getFile: never }, { signal }),
    (signal) => openRemote("http://localhost/voice", { signal, fetch: never }),
    (signal) => openRemote("http://localhost/voice", { signal, fetch: async () => stuck }),
  ];
  for (const open of opens) {
    const controller = new AbortController();
    const opening = open(controller.signal);
    setTimeout(() => controller.abort(new Error("enough")), 20);
    await expect(opening).rejects.toThrow("enough");
  }
});

test("what is no bytes is refused, and numbers are no zeros", async () => {
  const { source } = await voice();
  const gone = async (from: number, to: number): Promise<Uint8Array> => {
    const bytes = new Uint8Array(to - from);
    structuredClone(bytes, { transfer: [bytes.buffer] });
    return bytes;
  };
  const wrong: [(from: number, to: number) => unknown, string][] = [
    [(from, to) => to - from, "ERR_PARAMETER"],
    [() => null, "ERR_PARAMETER"],
    [() => "bytes", "ERR_PARAMETER"],
    [gone, "ERR_PARAMETER"],
    [() => new Uint8Array(3), "ERR_FORMAT"],
  ];
  for (const [read, code] of wrong) expect(await codeOf(openRemote({ ...source, read: read as never }))).toBe(code);
  const nothing = async (): Promise<Response> => null as never;
  expect(await codeOf(openRemote("http://localhost/voice", { fetch: nothing }))).toBe("ERR_FORMAT");
});
