import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { runInNewContext } from "node:vm";
import { gzipSync } from "node:zlib";
import { dump } from "npyjs";
import { describe, expect, test, vi } from "vitest";
import { openIndexFile } from "../src/format/index-file.js";
import { before } from "../src/format/source.js";
import { indexFactory, METRIC_L2, readIndex } from "../src/index.js";
import type { Bytes, Progress } from "../src/index.js";
import { Pace } from "../src/work/pace.js";
import { ascii, concat, flatFile, header, i64 } from "./files.js";
import { goldenFolder } from "./golden.js";
import { randomOf, uniform } from "./random.js";
import { refusalOf } from "./rejections.js";
import { zipOf } from "./zips.js";

const golden = (name: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(new URL(`${name}.index`, goldenFolder)));
const file = golden("ivf_flat_l2");
const text = (content: string): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.from(content));
const odd = (value: unknown): Bytes => value as Bytes;

function respond(body: BodyInit | null, status: number, headers: Record<string, string> = {}): Response {
  return new Response(body, { status, headers });
}

/** A response as browsers make it, which a constructor can't. */
function responseLike(properties: Record<string, unknown>): Bytes {
  return odd(
    Object.create(
      new Response(file),
      Object.fromEntries(Object.entries(properties).map(([k, value]) => [k, { value }])),
    ),
  );
}

describe("a file that is no index is called what it is, with the next step", () => {
  const page = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>";
  const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:aa11\nsize 7897259\n";
  const array = new Uint8Array(dump(new Float32Array(64), [2, 32]));
  const serialized = concat(
    ascii(
      `\x93NUMPY\x01\0\x76\0${`{'descr': '|u1', 'fortran_order': False, 'shape': (${file.length},), }`.padEnd(117)}\n`,
    ),
    file,
  );

  test.each<[string, Uint8Array, RegExp]>([
    ["nothing", new Uint8Array(0), /is empty, 0 bytes, not an index: .*again/],
    [".npy", array, /is an \.npy array of numpy, not an index: make an index of its rows.*the index comes first/],
    ["serialize_index'd", serialized, /is an \.npy array of an index's bytes .*deserialize_index/],
    ["gzip", new Uint8Array(gzipSync(file)), /is compressed by gzip, .*DecompressionStream\("gzip"\)/],
    ["xz", concat(ascii("\xfd7zXZ\0"), file), /is compressed \(bzip2, xz/],
    [
      "tar",
      concat(new Uint8Array(257).fill(65), ascii("ustar"), new Uint8Array(300)),
      /is an archive \(tar\).*take the \.index out/,
    ],
    ["a pickle", concat(ascii("\x80\x04\x95"), new Uint8Array(60)), /is a Python pickle .*write_index/],
    [
      "safetensors",
      concat(i64(300), ascii('{"__metadata__":{}}'), new Uint8Array(300)),
      /safetensors file, the weights/,
    ],
    ["a page", text(page), /is an HTML page \("Sign in"\).*check it .*sign in/],
    ["a page of XML", text(`<?xml version="1.0"?>\n<!-- x -->${page}`), /is an HTML page/],
    ["JSON", text('{"error":"Repository not found"}'), /is JSON, .*Repository not found.*server's answer/],
    ["a Git LFS pointer", text(pointer), /is a Git LFS pointer to a file of 7897259 bytes.*git lfs pull/],
    ["text", text("404: Not Found"), /is text, "404: Not Found", not an index: check the address/],
    ["text that begins like one", text("Invalid username or password."), /is text, "Invalid username/],
    ["sound", concat(ascii("RIFF"), new Uint8Array(60)), /is a sound file/],
    ["a byte order mark", concat(ascii("\xef\xbb\xbf"), file), /is text, made of an index's bytes.*as bytes/],
    [
      "UTF-8 of an index",
      new Uint8Array(Buffer.from(Buffer.from(file).toString("latin1"), "utf8")),
      /read or saved as text.*as bytes/,
    ],
    [
      "an index read as UTF-8",
      new Uint8Array(Buffer.from(Buffer.from(file).toString("utf8"), "utf8")),
      /read or saved as text/,
    ],
    ["something else", Uint8Array.of(1, 2, 0, 4, 5, 6, 7, 8), /fourcc at offset 0 is .*no index type/],
  ])("%s", async (name, bytes, sentence) => {
    // Of what begins as an index does, fewer bytes are looked at.
    const chunks = [...chunksOf(bytes, name.includes("UTF-8") ? 600 : 5)];
    for (const source of [bytes, new Blob([bytes as Uint8Array<ArrayBuffer>]), chunks]) {
      const error = await refusalOf(readIndex(source));
      expect(error.code).toBe("ERR_FORMAT");
      expect(error.message).toMatch(sentence);
    }
  });
});

function* chunksOf(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe("a zip", () => {
  const other = text("not this");
  const voice = { "model/weights.pth": other, "model/added_v2.index": file, "model/trained_v2.index": other };

  test.each<[string, Uint8Array<ArrayBuffer>]>([
    ["stored", zipOf({ "a.index": file })],
    ["packed", zipOf({ "a.index": file }, { deflate: true })],
    ["packed into a stream", zipOf({ "a.index": file }, { deflate: true, streamed: true })],
    ["with a comment", zipOf({ "a.index": file }, { comment: "PK".repeat(300) })],
    ["of a model", zipOf(voice, { deflate: true })],
    [
      "of macOS",
      zipOf({ "b/": new Uint8Array(0), "b/a.index": file, "__MACOSX/b/._a.index": other }, { deflate: true }),
    ],
  ])("%s, that holds one index is opened", async (_, zip) => {
    const generator = function* (): Generator<Uint8Array> {
      // The same memory for each chunk.
      const chunk = new Uint8Array(100);
      for (const part of chunksOf(zip, 100)) {
        chunk.set(part);
        yield chunk.subarray(0, part.length);
      }
    };
    for (const source of [zip, new Blob([zip]), new Response(zip), generator()]) {
      const index = await readIndex(source);
      expect(Buffer.compare(index.toBytes(), file)).toBe(0);
    }
  });

  test("progress goes to the end of the index", async () => {
    const seen: Progress[] = [];
    await readIndex(zipOf({ "a.index": file }, { deflate: true }), {
      onProgress: (progress) => seen.push({ ...progress }),
    });
    for (const { total } of seen) expect(total).toBe(file.length);
    expect(seen.at(-1)?.done).toBe(file.length);
  });

  const spoilt = zipOf({ "a.index": file }, { deflate: true }).fill(255, 3000, 3100);
  test.each<[string, Uint8Array, string, RegExp]>([
    ["of two", zipOf({ "a.index": file, "b.index": file }), "ERR_FORMAT", /several indexes \(a\.index, b\.index\)/],
    [
      "of two, and of what is none",
      zipOf({ "trained_a.index": file, "x.txt": other, "a.index": file, "b.index": file }),
      "ERR_FORMAT",
      /several indexes \(a\.index, b\.index\)/,
    ],
    [
      "of five others, and of six",
      zipOf(Object.fromEntries(Array.from("abcdef", (name) => [`${name}.txt`, other]))),
      "ERR_FORMAT",
      /no \.index \(a\.txt, b\.txt, c\.txt, d\.txt, e\.txt and 1 more\)/,
    ],
    [
      "of five others",
      zipOf(Object.fromEntries(Array.from("abcde", (name) => [`${name}.txt`, other]))),
      "ERR_FORMAT",
      /no \.index \(a\.txt, b\.txt, c\.txt, d\.txt, e\.txt\)/,
    ],
    ["of none", zipOf({ "x.txt": other }), "ERR_FORMAT", /a zip that holds no \.index \(x\.txt\)/],
    ["of nothing", zipOf({}), "ERR_FORMAT", /holds no \.index \(it is empty\)/],
    [
      "of PyTorch",
      zipOf({ "archive/data.pkl": other, "archive/data/0": other }),
      "ERR_FORMAT",
      /PyTorch checkpoint \(\.pth\).*added_/,
    ],
    ["of arrays", zipOf({ "x.npy": other, "y.npy": other }), "ERR_FORMAT", /\.npz of arrays \(x\.npy, y\.npy\)/],
    [
      "of another file",
      zipOf({ "a.index": text("<html>x</html>") }),
      "ERR_FORMAT",
      /the file in the zip is an HTML page/,
    ],
    ["encrypted", zipOf({ "a.index": file }, { encrypted: true }), "ERR_UNSUPPORTED", /encrypted/],
    ["by another method", zipOf({ "a.index": file }, { method: 93 }), "ERR_UNSUPPORTED", /method 93/],
    ["cut off", zipOf({ "a.index": file }).subarray(0, 3000), "ERR_FORMAT", /without its end/],
    ["that is damaged", spoilt, "ERR_FORMAT", /a\.index in the zip is damaged/],
    ["that points beyond its end", zipOf({ "a.index": file }).fill(250, -6, -4), "ERR_FORMAT", /points beyond its end/],
  ])("%s", async (_, zip, code, sentence) => {
    const error = await refusalOf(readIndex(zip));
    expect(error.message).toMatch(sentence);
    expect(error.code).toBe(code);
  });
});

describe("a response that is no file", () => {
  test.each<[string, () => Bytes, RegExp]>([
    ["404", () => respond("nope", 404), /the response is 404, not a file: check the address/],
    ["403 with words", () => new Response("", { status: 403, statusText: "Forbidden" }), /is 403 Forbidden/],
    [
      "opaque",
      () => responseLike({ type: "opaque", status: 0, ok: false }),
      /is opaque.*no-cors.*Access-Control-Allow-Origin/,
    ],
    ["a part", () => respond(file.subarray(0, 99), 206, { "content-range": "bytes 0-98/4200" }), /a part of a file/],
    ["empty", () => respond(null, 204), /has no body \(204\)/],
    [
      "with an address",
      () => responseLike({ url: "https://x.org/a.index", status: 500, ok: false }),
      /500.*https:\/\/x\.org/,
    ],
  ])("%s", async (_, open, sentence) => {
    const error = await refusalOf(readIndex(open()));
    expect(error.code).toBe("ERR_FORMAT");
    expect(error.message).toMatch(sentence);
  });

  test("read already", async () => {
    const response = new Response(file);
    await response.arrayBuffer();
    expect((await refusalOf(readIndex(response))).message).toMatch(/has been read already.*clone/);
  });

  test("all of a file as a part of it is a file", async () => {
    const all = respond(file, 206, { "content-range": `bytes 0-${file.length - 1}/${file.length}` });
    expect(await readIndex(all)).toMatchObject({ description: "IVF32,Flat" });
  });
});

describe("what bytes can't be read from is called what it is, with the next step", () => {
  test.each<[string, unknown, RegExp]>([
    ["a path", "voices/a.index", /the text "voices\/a\.index": a path is not opened.*readFile/],
    ["an address", "https://x.org/a.index", /fetch it first: readIndex\(await fetch\(url\)\)/],
    ["base64", Buffer.from(file).toString("base64"), /decode base64/],
    ["a URL", new URL("https://x.org/a.index"), /a URL: fetch it first/],
    ["a promise", Promise.resolve(new Response(file)), /a Promise: await it first/],
    ["numbers", [1, 2, 3], /an Array of length 3: give Uint8Array\.from/],
    ["floats", new Float32Array(8), /a Float32Array of length 8: these are numbers; make an index of vectors/],
    ["an answer of another library", { data: file, status: 200 }, /give its data/],
    ["undefined", undefined, /from undefined: give a Uint8Array/],
    ["null", null, /from null: give/],
    ["options", { maxBytes: 1 }, /an Object: give a Uint8Array/],
    ["a symbol", Symbol("x"), /symbol/],
    ["a proxy of bytes", new Proxy(file, {}), /can't read a file's bytes from a/],
    ["what only seems to be iterable", { [Symbol.asyncIterator]: 5 }, /an Object: give a Uint8Array/],
  ])("%s", async (_, input, sentence) => {
    const error = await refusalOf(readIndex(odd(input)));
    expect(error.code).toBe("ERR_PARAMETER");
    expect(error.message).toMatch(sentence);
  });

  test("chunks of something else", async () => {
    expect((await refusalOf(readIndex(odd(["IxF2", "more"])))).message).toMatch(/a chunk is the text "IxF2"/);
    expect((await refusalOf(readIndex(odd(new Map([["a", file]]))))).message).toMatch(
      /a chunk is an Array of length 2/,
    );
  });
});

describe("bytes of another realm and in other wrappings", () => {
  const foreign = runInNewContext("Uint8Array.from(bytes)", { bytes: [...file] }) as Uint8Array<ArrayBuffer>;
  test.each<[string, unknown]>([
    ["a Uint8Array of another realm", foreign],
    ["an ArrayBuffer of another realm", foreign.buffer],
    ["chunks of another realm", [foreign.subarray(0, 100), foreign.subarray(100)]],
    ["a DataView", new DataView(file.buffer)],
    ["a Uint8ClampedArray", Uint8ClampedArray.from(file)],
    ["a File", new File([file], "a.index")],
  ])("%s", async (_, input) => {
    expect(input instanceof Uint8Array && input.constructor === Uint8Array).toBe(false);
    const index = await readIndex(odd(input));
    expect(Buffer.compare(index.toBytes(), file)).toBe(0);
  });

  test("a response whose body is iterated and no stream", async () => {
    const body = (async function* () {
      yield* chunksOf(file, 1000);
    })();
    const index = await readIndex(responseLike({ body }));
    expect(index.ntotal).toBe(1000);
  });
});

describe("what breaks off says so", () => {
  test("a connection that is cut in the middle of a download", async () => {
    const server = createServer((_, response) => {
      response.writeHead(200, { "content-length": file.length });
      response.write(file.subarray(0, 20_000), () => response.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/a.index`);
      const error = await refusalOf(readIndex(response));
      expect(error.code).toBe("ERR_FORMAT");
      expect(error.message).toMatch(
        new RegExp(`broke off after \\d+ of ${file.length} bytes .*connection was cut.*again`),
      );
      expect(error.cause).toBeInstanceOf(TypeError);
    } finally {
      server.close();
    }
  });

  test("an abort of the fetch is no error of ours", async () => {
    const reason = new DOMException("enough", "AbortError");
    const stream = new ReadableStream({ pull: (controller) => controller.error(reason) });
    await expect(readIndex(stream)).rejects.toBe(reason);
  });

  test("bytes that are transferred away, before and while they are read", async () => {
    const gone = (bytes: Uint8Array<ArrayBuffer>): void =>
      void structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    const before = file.slice();
    gone(before);
    for (const input of [before, before.buffer])
      expect((await refusalOf(readIndex(input))).message).toMatch(/memory is gone/);
    const atOnce = file.slice();
    const reading = readIndex(atOnce);
    gone(atOnce);
    expect((await refusalOf(reading)).code).toBe("ERR_PARAMETER");
    // In the middle: more than one step of the reader.
    const large = flatFile(1 << 20, METRIC_L2, new Float32Array(10 << 20));
    let steps = 0;
    const onProgress = (): void => {
      if (++steps === 3) gone(large);
    };
    // A clock on which every step is slow enough to be told of, however quick the machine.
    let now = 0;
    const clock = vi.spyOn(Date, "now").mockImplementation(() => (now += 20));
    const slow = readIndex(large, { onProgress });
    const error = await refusalOf(slow);
    clock.mockRestore();
    expect(error.code).toBe("ERR_PARAMETER");
    expect(error.message).toMatch(/transferred away while they were read/);
  });

  test("a stream whose cancel never ends holds nobody up", async () => {
    const never = (): Promise<never> => new Promise(() => undefined);
    const open = (bytes: Uint8Array): ReadableStream<Uint8Array> =>
      new ReadableStream({ start: (controller) => controller.enqueue(bytes), cancel: never });
    expect(await readIndex(open(file))).toMatchObject({ ntotal: 1000 });
    expect((await refusalOf(readIndex(open(text("x".repeat(600)))))).code).toBe("ERR_FORMAT");
    async function* stuck(): AsyncGenerator<Uint8Array> {
      try {
        yield file;
      } finally {
        await never();
      }
    }
    expect(await readIndex(stuck())).toMatchObject({ ntotal: 1000 });
  });

  test("a stream of another library whose cancel fails, and one that ends without a word", async () => {
    const read = async (): Promise<unknown> => ({ value: text("x".repeat(600)) });
    const cancel = (): never => {
      throw new Error("not I");
    };
    const stream = { getReader: () => ({ read, cancel }) };
    expect((await refusalOf(readIndex(odd(stream)))).code).toBe("ERR_FORMAT");
    const steps = [{ value: file.subarray(0, 100) }, null];
    const chunks = { [Symbol.asyncIterator]: () => ({ next: () => steps.shift() ?? null }) };
    expect((await refusalOf(readIndex(odd(chunks)))).message).toMatch(/the file ends there/);
  });

  test("endless empty chunks let others work, and end", async () => {
    async function* nothing(first: Uint8Array): AsyncGenerator<Uint8Array> {
      yield first;
      for (;;) yield new Uint8Array(0);
    }
    for (const first of [new Uint8Array(0), file.subarray(0, 4000)]) {
      let turns = 0;
      const timer = setInterval(() => turns++, 0);
      const error = await refusalOf(readIndex(nothing(first)));
      clearInterval(timer);
      expect(error.message).toMatch(/empty chunks in a row/);
      expect(turns).toBeGreaterThan(0);
      const controller = new AbortController();
      setTimeout(() => controller.abort(new Error("enough")), 5);
      await expect(readIndex(nothing(first), { signal: controller.signal })).rejects.toThrow("enough");
    }
  });
});

describe("progress has a total", () => {
  const totals = async (source: Bytes, bytes?: number): Promise<number[]> => {
    const seen: Progress[] = [];
    await readIndex(source, { bytes, onProgress: (progress) => seen.push({ ...progress }) });
    expect(seen.length).toBeGreaterThan(1);
    expect(seen.at(-1)).toMatchObject({ done: file.length, total: file.length });
    for (const { done, total } of seen) expect(done).toBeLessThanOrEqual(total);
    return seen.map(({ total }) => total);
  };
  const chunks = (): Bytes => [...chunksOf(file, 500)];

  test("from the response's Content-Length, from the caller, from the header", async () => {
    const response = new Response(file, { headers: { "content-length": String(file.length) } });
    expect(new Set(await totals(response))).toEqual(new Set([file.length]));
    expect(new Set(await totals(chunks(), file.length))).toEqual(new Set([file.length]));
    for (const source of [chunks(), new Response(file)])
      expect(new Set(await totals(source))).toEqual(new Set([file.length]));
  });

  test("a Content-Length of other bytes, or a wrong one, does no harm", async () => {
    const encoded = { "content-length": "100", "content-encoding": "gzip" };
    expect(new Set(await totals(new Response(file, { headers: encoded })))).toEqual(new Set([file.length]));
    const lying = await totals(new Response(file, { headers: { "content-length": "100" } }));
    expect(Math.max(...lying)).toBe(file.length);
    await totals(chunks(), 7);
  });

  test("whatever the kind, it is finite and near", async () => {
    for (const name of [
      "flat_l2",
      "ivf_pq4fs_l2",
      "ivf_pq4fs_rflat_l2",
      "pq4fs_l2",
      "idmap_flat_l2",
      "ivf_flat_sparse_lists",
    ]) {
      const bytes = golden(name);
      const seen: Progress[] = [];
      await readIndex([...chunksOf(bytes, 100)], { onProgress: (progress) => seen.push({ ...progress }) });
      for (const { total } of seen) expect(total).toBeLessThan(Infinity);
      if (name.includes("flat"))
        for (const { total } of seen) expect(Math.abs(total / bytes.length - 1)).toBeLessThan(0.7);
    }
  });

  test("what is no number of bytes is refused", async () => {
    for (const bytes of [-1, NaN, "7"]) {
      const error = await refusalOf(readIndex(chunks(), { bytes: bytes as number }));
      expect(error.code).toBe("ERR_PARAMETER");
    }
  });
});

test("what can never fit is refused before it is loaded", async () => {
  const d = 1 << 10;
  const head = concat(header("IxF2", d, 2 ** 22, METRIC_L2), i64(d * 2 ** 22));
  let taken = 0;
  function* huge(): Generator<Uint8Array> {
    yield head;
    for (;;) {
      taken++;
      yield new Uint8Array(1 << 20);
    }
  }
  expect((await refusalOf(readIndex(huge()))).code).toBe("ERR_MEMORY");
  // One to tell what the file is.
  expect(taken).toBe(1);
  const lists = golden("ivf_flat_l2");
  const error = await refusalOf(readIndex([...chunksOf(lists, 1000)], { maxBytes: 65536 }));
  expect(error.code).toBe("ERR_MEMORY");
});

test("bytes that are given again before the rest are left out like others", async () => {
  const whole = Uint8Array.from({ length: 40 }, (_, i) => i);
  for (const from of [0, 1, 4, 5, 9, 10, 11, 20, 39]) {
    let at = 10;
    const rest = {
      total: 40,
      expected: 40,
      next: async () => {
        const chunk = whole.subarray(at, at + 7);
        at += 7;
        return chunk.length > 0 ? chunk : undefined;
      },
      skip: (bytes: number) => void (at += bytes),
      close: () => undefined,
    };
    const again = before([whole.subarray(0, 5), whole.subarray(5, 10)], rest, 41);
    expect(again.expected).toBe(41);
    again.skip?.(from);
    const given: number[] = [];
    for (let chunk; (chunk = await again.next()) !== undefined;) given.push(...chunk);
    expect(given).toEqual([...whole.subarray(from)]);
  }
});

test("what is no file is refused where nothing more looks into it, too", async () => {
  const opened = openIndexFile(7 as unknown as Bytes, undefined, new Pace(), async () => undefined);
  const error = await refusalOf(opened);
  expect([error.code, error.message.includes("7")]).toEqual(["ERR_PARAMETER", true]);
});

test("a field of a file that is longer than what is read ahead comes whole from a stream of unknown length", async () => {
  // The ranges of a scalar quantizer: 2.4 MB in pieces of odd sizes.
  const d = 300_000;
  const made = await indexFactory(d, "SQ8");
  await made.train(uniform(randomOf(1), 2 * d));
  const bytes = made.toBytes();
  function* pieces(): Generator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += 77_777) yield bytes.slice(at, at + 77_777);
  }
  const index = await readIndex(pieces());
  expect(Buffer.compare(index.toBytes(), bytes)).toBe(0);
});
