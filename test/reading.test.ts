import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { CellistError, METRIC_INNER_PRODUCT, METRIC_L2, readIndex } from "../src/index.js";
import type { Bytes, Progress } from "../src/index.js";
import { ascii, concat, flatFile, header, HEADER_BYTES, i32, i64, idMapFile, ivfFile, u8 } from "./files.js";
import type { IvfFile } from "./files.js";
import { goldenCases, goldenFolder } from "./golden.js";
import { below, randomOf, uniform } from "./random.js";
import { errorOf } from "./rejections.js";

const golden = (name: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(new URL(`${name}.index`, goldenFolder)));

/** The bytes in chunks, with empty ones among them. */
function* chunksOf(bytes: Uint8Array<ArrayBuffer>, size: number): Generator<Uint8Array<ArrayBuffer>> {
  for (let at = 0; at < bytes.length; at += size) {
    if (at % 3 === 0) yield new Uint8Array(0);
    yield bytes.subarray(at, at + size);
  }
}

/** Chunks that come one turn of the event loop after the other. */
async function* slowly(chunks: Iterable<Uint8Array<ArrayBuffer>>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (const chunk of chunks) {
    await new Promise((resolve) => setImmediate(resolve));
    yield chunk;
  }
}

/** A stream of chunks that tells whether it was cancelled, and how many chunks were taken. */
function streamOf(chunks: Iterator<Uint8Array<ArrayBuffer>>) {
  const seen = { taken: 0, cancelled: false };
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      pull(controller) {
        const step = chunks.next();
        if (step.done === true) {
          controller.close();
          return;
        }
        seen.taken++;
        controller.enqueue(step.value);
      },
      cancel() {
        seen.cancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, seen };
}

const SOURCES: [name: string, open: (bytes: Uint8Array<ArrayBuffer>) => Bytes][] = [
  ["a Uint8Array", (bytes) => bytes],
  ["a part of a buffer", (bytes) => Uint8Array.from([9, 9, 9, ...bytes, 9]).subarray(3, 3 + bytes.length)],
  ["a Buffer", (bytes) => Buffer.from(bytes)],
  ["an ArrayBuffer", (bytes) => bytes.buffer],
  [
    "shared memory",
    (bytes) => {
      const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
      shared.set(bytes);
      return shared;
    },
  ],
  ["a Blob", (bytes) => new Blob([bytes.subarray(0, 30), bytes.subarray(30)])],
  ["a Response", (bytes) => new Response(bytes)],
  ["a ReadableStream", (bytes) => streamOf(chunksOf(bytes, 1000)).stream],
  ["an array of chunks", (bytes) => [...chunksOf(bytes, 500)]],
  ["chunks of 1 byte", (bytes) => chunksOf(bytes, 1)],
  ["slow chunks of 7 bytes", (bytes) => slowly(chunksOf(bytes, 7))],
  ["slow chunks of 64 KiB", (bytes) => slowly(chunksOf(bytes, 65536))],
];

describe.each(SOURCES)("from %s", (_, open) => {
  test.each(["flat_empty", "ivf_flat_untrained", "ivf_flat_empty_trained", "ivf_flat_sparse_lists"])(
    "%s",
    async (name) => {
      const bytes = golden(name);
      const index = await readIndex(open(bytes));
      expect(Buffer.compare(index.toBytes(), bytes)).toBe(0);
    },
  );

  test("progress does not run backwards and ends at the end", async () => {
    const bytes = golden("ivf_flat_sparse_lists");
    const seen: Progress[] = [];
    await readIndex(open(bytes), { onProgress: (progress) => seen.push({ ...progress }) });
    expect(seen[0]).toMatchObject({ phase: "read", done: 0 });
    expect(seen.at(-1)).toEqual({ phase: "read", done: bytes.length, total: bytes.length });
    seen.reduce((before, now) => {
      expect(now.phase).toBe("read");
      expect(now.done).toBeGreaterThan(before.done);
      expect(now.total).toBeLessThanOrEqual(before.total);
      return now;
    });
  });
});

describe("a source that can stop is stopped", () => {
  const file = golden("ivf_flat_l2");
  /** The file, and then more than anyone wants to read. */
  function* endless(): Generator<Uint8Array<ArrayBuffer>> {
    yield* chunksOf(file, 4096);
    for (;;) yield new Uint8Array(4096).fill(7);
  }

  test("bytes behind the index are left alone", async () => {
    const { stream, seen } = streamOf(endless());
    const index = await readIndex(stream);
    expect(Buffer.compare(index.toBytes(), file)).toBe(0);
    expect(seen).toEqual({ taken: [...chunksOf(file, 4096)].length, cancelled: true });
    const first = await readIndex(Buffer.concat([file, file]));
    expect(Buffer.compare(first.toBytes(), file)).toBe(0);
    const chunks = endless();
    await readIndex(chunks);
    expect(chunks.next()).toEqual({ value: undefined, done: true });
  });

  test("an error ends the reading and leaves the rest", async () => {
    const broken = file.slice();
    broken[4] = 0;
    const { stream, seen } = streamOf(chunksOf(broken, 16));
    expect(await errorOf(readIndex(stream))).toBeInstanceOf(CellistError);
    expect(seen).toEqual({ taken: 6, cancelled: true });
    const chunks = chunksOf(broken, 16);
    await errorOf(readIndex(chunks));
    expect(chunks.next().done).toBe(true);
  });

  test("a source's own error comes out", async () => {
    const reason = new Error("the line is dead");
    function* dying(): Generator<Uint8Array<ArrayBuffer>> {
      yield file.subarray(0, 100);
      throw reason;
    }
    expect(await errorOf(readIndex(dying()))).toBe(reason);
    expect(await errorOf(readIndex(slowly(dying())))).toBe(reason);
    expect(await errorOf(readIndex(streamOf(dying()).stream))).toBe(reason);
  });

  test("an abort in the middle", async () => {
    const reason = new Error("enough");
    for (let after = 0; after < 30; after += 3) {
      const controller = new AbortController();
      const { signal } = controller;
      let taken = 0;
      const chunks = function* (): Generator<Uint8Array<ArrayBuffer>> {
        for (const chunk of endless()) {
          if (taken++ === after) controller.abort(reason);
          yield chunk;
        }
      };
      const { stream, seen } = streamOf(chunks());
      expect(await errorOf(readIndex(stream, { signal }))).toBe(reason);
      expect(seen.cancelled).toBe(true);
      expect(taken).toBeLessThanOrEqual(after + 2);
    }
  });

  test("an abort while nothing comes", async () => {
    const never = new Promise<never>(() => undefined);
    async function* stuck(): AsyncGenerator<Uint8Array> {
      yield file.subarray(0, 5000);
      await never;
    }
    for (const source of [stuck(), new ReadableStream<Uint8Array>({ pull: () => never, cancel: () => never })]) {
      const reason = new Error("enough");
      const controller = new AbortController();
      const reading = readIndex(source, { signal: controller.signal });
      setTimeout(() => controller.abort(reason), 5);
      expect(await errorOf(reading)).toBe(reason);
    }
  });

  test("an abort of bytes that are all there", async () => {
    // Ten steps of 4 MB, and at each a look at the signal.
    const bytes = flatFile(1 << 20, METRIC_L2, new Float32Array(10 << 20));
    const controller = new AbortController();
    let looks = 0;
    controller.signal.throwIfAborted = () => {
      if (++looks === 9) controller.abort();
      AbortSignal.prototype.throwIfAborted.call(controller.signal);
    };
    expect(await errorOf(readIndex(bytes, { signal: controller.signal }))).toMatchObject({ name: "AbortError" });
    expect(looks).toBe(9);
  });
});

test("a file of 64 MB may have sixteen million cells", async () => {
  const nlist = 1 << 24;
  const file = concat(
    header("IwFl", 1, 0, METRIC_L2),
    i64(nlist, 1),
    flatFile(1, METRIC_L2, new Float32Array(nlist)),
    concat(u8(0), i64(0), ascii("ilar"), i64(nlist, 4), ascii("sprs"), i64(0)),
  );
  const index = await readIndex(file);
  expect(index.memory).toBeLessThan(1.01 * file.length);
  expect([...index.search(Float32Array.of(1), 1).labels]).toEqual([-1]);
});

describe("the empty twin of a voice", () => {
  const warnings = async (name: string): Promise<unknown[]> => {
    const seen: unknown[] = [];
    const index = await readIndex(golden(name), { onWarning: (warning) => seen.push(warning) });
    expect(index.description).toMatch(/IVF|Flat/);
    return seen;
  };

  test("is opened with a warning, and nothing else is", async () => {
    expect(await warnings("ivf_flat_empty_trained")).toEqual([
      {
        code: "WARN_EMPTY",
        message: expect.stringMatching(
          /holds no vectors.*two files.*this is the “?"?trained_.*open the "?“?added_/,
        ) as string,
      },
    ]);
    for (const name of ["ivf_flat_untrained", "flat_empty", "ivf_flat_sparse_lists"])
      expect(await warnings(name)).toEqual([]);
  });
});

describe("a file that ends too soon", () => {
  /** Which field, where it starts or is missed, and that the file ends. */
  const SENTENCE =
    /^[A-Za-z][\w ]* at offset (\d+) (is missing: the file ends there|needs? \d+ bytes and the file has \d+ left): the file is damaged/;

  /** Where files are cut: at every byte of their beginning, and here and there behind it. */
  function* lengths(bytes: number): Generator<number> {
    for (
      let length = 1;
      length < bytes;
      length += length < 240 ? 1 : length < 600 ? 3 : bytes - length > 605 ? 61 : 7
    ) {
      // What lies between the ends of a long file are blocks.
      if (length > 10_000 && bytes - length > 700) length = bytes - 600;
      yield length;
    }
  }

  test.each(goldenCases(goldenFolder))("$name", async ({ name }) => {
    const bytes = golden(name);
    for (const length of lengths(bytes.length)) {
      const part = bytes.subarray(0, length);
      // As a stream, too: of that nobody knows beforehand that it will end.
      for (const source of length % 40 === 0 ? [part, chunksOf(part, 4096)] : [part]) {
        const error = await errorOf(readIndex(source));
        expect(error).toMatchObject({ name: "CellistError", code: "ERR_FORMAT" });
        const [, offset] = SENTENCE.exec((error as Error).message) ?? expect.fail((error as Error).message);
        expect(Number(offset)).toBeLessThanOrEqual(length);
      }
    }
  });
});

describe("a file that contradicts itself", () => {
  const file = (parts: Partial<IvfFile> = {}): Uint8Array => {
    const lists = [
      { ids: [3, 4], rows: Float32Array.of(0, 1, 2, 3) },
      { ids: [], rows: new Float32Array(0) },
      { ids: [5], rows: Float32Array.of(4, 5) },
      ...Array.from({ length: 5 }, () => ({ ids: [], rows: new Float32Array(0) })),
    ];
    const coarse = flatFile(2, METRIC_L2, new Float32Array(16));
    return ivfFile({ d: 2, metric: METRIC_L2, nprobe: 1, coarse, lists, ...parts });
  };
  const flat = flatFile(2, METRIC_L2, new Float32Array(6));
  /** A copy with other bytes at a place, which may be counted from the end. */
  const patched = (bytes: Uint8Array, at: number, ...parts: Uint8Array[]): Uint8Array => {
    const result = bytes.slice();
    result.set(concat(...parts), at < 0 ? bytes.length + at : at);
    return result;
  };
  const coarseAt = HEADER_BYTES + 16;
  const mapAt = coarseAt + HEADER_BYTES + 8 + 64;
  const listsAt = mapAt + 9;
  const tableAt = listsAt + 4 + 16 + 4;
  const untrained = file({ trained: false, coarse: flatFile(2, METRIC_L2, new Float32Array(0)), ntotal: 0 });
  let nested = flat;
  for (let i = 0; i < 51; i++) nested = idMapFile(2, METRIC_L2, nested, [0, 1, 2]);

  test("the ones that the others are made of can be read", async () => {
    await readIndex(flat);
    await readIndex(file());
    await readIndex(patched(file(), tableAt, i64(4, 0, 2, 2, 1)));
  });

  test.each<[field: RegExp, problem: RegExp, bytes: Uint8Array]>([
    [/^d at offset 4/, /is 0, not from 1/, patched(flat, 4, i32(0))],
    [/^d at offset 4/, /is 1048577/, patched(flat, 4, i32((1 << 20) + 1))],
    [/^d at offset 4/, /is -2147483648/, patched(flat, 4, i32(-(2 ** 31)))],
    [/^ntotal at offset 8/, /is 2147483648, more than/, patched(flat, 8, i64(2 ** 31))],
    [/^ntotal at offset 8/, /is 18446744073709551615/, patched(flat, 8, i64(-1))],
    [/^is_trained at offset 32/, /is 2, not 0 or 1/, patched(flat, 32, u8(2))],
    [/^metric_type at offset 33/, /is -1/, patched(flat, 33, i32(-1))],
    [/^codes at offset 37/, /has 6 items, not 8/, patched(flat, 8, i64(4))],
    [/^codes at offset 37/, /needs 32 bytes and the file has 24 left/, patched(flat, 37, i64(8))],
    [/^codes at offset 37/, /is \d{16,}, more than/, patched(flat, 37, i64(1n << 62n))],
    [
      /^id_map at offset/,
      /has 4 items, not 3/,
      concat(idMapFile(2, METRIC_L2, flat, [1, 2, 3]).subarray(0, -32), i64(4, 1, 2, 3, 4)),
    ],
    [/^index under the IDMap/, /has d = 2, the IDMap 3/, idMapFile(3, METRIC_L2, flat, [1, 2, 3])],
    [/^index under the IDMap/, /has 3 vectors, the IDMap 2/, idMapFile(2, METRIC_L2, flat, [1, 2])],
    [/^index at offset/, /is nested more than 50 levels deep/, nested],
    [/^nlist at offset 37/, /is 0/, patched(file(), 37, i64(0))],
    [/^nlist at offset 37/, /is 2147483648, more than/, patched(file(), 37, i64(2 ** 31))],
    [/^nprobe at offset 45/, /is 0/, patched(file(), 45, i64(0))],
    [/^coarse quantizer at offset/, /has 8 of 9 centroids, and the index is trained/, patched(file(), 37, i64(9))],
    [
      /^coarse quantizer at offset/,
      /has d = 1, its index 2/,
      file({ coarse: flatFile(1, METRIC_L2, new Float32Array(8)) }),
    ],
    [/^fourcc at offset 53/, /is "nill", which is no index type/, patched(file(), coarseAt, ascii("nill"))],
    [/^nlist of the inverted lists at/, /is 7, not 8/, patched(file(), listsAt + 4, i64(7))],
    [/^code_size of the inverted lists/, /is 4, not 8/, patched(file(), listsAt + 12, i64(4))],
    [/^kind of list sizes at/, /is "none", not full or sprs/, patched(file(), listsAt + 20, ascii("none"))],
    [/^list sizes at/, /have 4 items, not 8/, patched(file(), listsAt + 20, ascii("full"))],
    [/^list sizes at/, /have 3 items, an odd number/, patched(file(), tableAt, i64(3))],
    [/^list sizes at/, /name list 0 after list 0/, patched(file(), tableAt, i64(4, 0, 2, 0, 1))],
    [/^list sizes at/, /name list 1 after list 2/, patched(file(), tableAt, i64(4, 2, 2, 1, 1))],
    [/^list sizes at/, /name list 8 after list 0/, patched(file(), tableAt, i64(4, 0, 2, 8, 1))],
    [/^list sizes at/, /name list -1 after list -1/, patched(file(), tableAt, i64(4, -1, 2, 2, 1))],
    [/^list sizes at/, /give list 2 the size -1/, patched(file(), tableAt, i64(4, 0, 4, 2, -1))],
    [/^list sizes at/, /give list 2 the size 2147483647/, patched(file(), tableAt, i64(4, 0, 2, 2, 2 ** 31 - 1))],
    [/^inverted lists at/, /hold 3 vectors, and ntotal is 2/, file({ ntotal: 2 })],
    [/^inverted lists at/, /hold 3 vectors, and ntotal is 0/, untrained],
    // Tables for so many lists would be 16 GB.
    [/^inverted lists at/, /hold 3 vectors/, patched(patched(untrained, 37, i64(2 ** 31 - 1)), -108, i64(2 ** 31 - 1))],
    [/^inverted lists at/, /need 48 bytes and the file has 47 left/, file().subarray(0, -1)],
  ])("%s, %s", async (field, problem, bytes) => {
    for (const source of [bytes, [bytes]]) {
      if (source !== bytes && problem.source.includes("the file has")) continue;
      const error = await errorOf(readIndex(source));
      expect(error).toMatchObject({ code: "ERR_FORMAT", message: expect.stringMatching(field) as string });
      expect((error as Error).message).toMatch(problem);
    }
  });
});

describe("memory held after reading", () => {
  const random = randomOf(1);
  const d = 256;
  const nlist = 300;
  const rows = uniform(random, 8200 * d);
  const ids = Array.from({ length: 8200 }, (_, i) => i * 3);
  const starts = [0, ...Array.from({ length: nlist - 1 }, () => below(random, 8200)).sort((a, b) => a - b), 8200];
  const lists = Array.from({ length: nlist }, (_, i) => ({
    ids: ids.slice(starts[i], starts[i + 1]),
    rows: rows.subarray(starts[i] * d, starts[i + 1] * d),
  }));
  const coarse = flatFile(d, METRIC_INNER_PRODUCT, uniform(random, nlist * d));

  test.each([
    ["Flat", flatFile(d, METRIC_L2, rows)],
    ["IDMap", idMapFile(d, METRIC_L2, flatFile(d, METRIC_L2, rows), ids)],
    ["IVF", ivfFile({ d, metric: METRIC_INNER_PRODUCT, nprobe: 1, coarse, lists })],
  ])("%s: little more than the file", async (_, bytes) => {
    expect(bytes.length).toBeGreaterThan(8 << 20);
    for (const source of [bytes, chunksOf(bytes, 65536), [bytes]]) {
      const index = await readIndex(source);
      expect(index.memory).toBeLessThan(1.15 * bytes.length);
      expect(Buffer.compare(index.toBytes(), bytes)).toBe(0);
      index.dispose();
    }
  });
});
