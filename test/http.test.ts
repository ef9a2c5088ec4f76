import { afterEach, describe, expect, test, vi } from "vitest";
import { FIRST_BYTES, openHttp } from "../src/remote/http.js";
import type { Ranges } from "../src/remote/ranges.js";
import { refusalOf } from "./rejections.js";

// What a server may answer, one answer at a time: which are asked for again and when, which are taken for what they are, which are an
// error of what words. Time is the test's own.

const BYTES = Uint8Array.from({ length: 200_000 }, (_, i) => (i * 7 + (i >> 8)) & 255);
const SIZE = BYTES.length;
const never = new AbortController().signal;
const ADDRESS = "http://localhost/x.index";

interface Answer {
  status?: number;
  headers?: Record<string, string>;
  /** The part that comes, where it is another than what was asked for. */
  from?: number;
  to?: number;
  size?: number;
  /** Bytes that come less than the part is said to have. */
  short?: number;
}

/** A server that answers as it should, but for what `odd` says of its n-th request, from 0. */
function serve(odd: (n: number, from: number, to: number) => Answer | Error | undefined = () => undefined) {
  const times: number[] = [];
  const asked: [from: number, to: number][] = [];
  const fetched = async (request: Request): Promise<Response> => {
    const [from, last] = (request.headers.get("Range") ?? "").slice(6).split("-").map(Number);
    const answer = odd(asked.length, from, last + 1) ?? {};
    times.push(Date.now());
    asked.push([from, last + 1]);
    if (answer instanceof Error) throw answer;
    const { status = 206, headers = {}, size = SIZE, short = 0 } = answer;
    if (status === 200) return new Response(BYTES, { headers: { "Content-Length": `${SIZE}`, ...headers } });
    if (status !== 206) return new Response("no", { status, statusText: "Odd", headers });
    const begin = answer.from ?? from;
    const end = answer.to ?? Math.min(last + 1, SIZE);
    const range = `bytes ${begin}-${end - 1}/${size}`;
    return new Response(BYTES.slice(begin, end - short), {
      status,
      headers: { "Content-Range": range, ETag: '"1"', ...headers },
    });
  };
  return { fetched, times, asked };
}

/** A promise's end, while the clock is set on for as long as it takes. */
async function inTime<T>(promise: Promise<T>): Promise<T> {
  let over = false;
  void promise.then(
    () => (over = true),
    () => (over = true),
  );
  while (!over) await vi.advanceTimersByTimeAsync(50);
  return promise;
}

async function open(odd?: Parameters<typeof serve>[0]): Promise<ReturnType<typeof serve> & { ranges: Ranges }> {
  const server = serve(odd);
  return { ...server, ...(await openHttp(ADDRESS, server.fetched, never)) };
}

afterEach(() => {
  vi.useRealTimers();
});

describe("what passes is asked for again", () => {
  const since = (times: number[]): number[] => times.slice(1).map((time) => time - times[1]);

  test("five times in all, each pause twice the one before", async () => {
    vi.useFakeTimers();
    const { ranges, times } = await open((n) => (n > 0 ? { status: 503 } : undefined));
    const error = await inTime(refusalOf(ranges.read(0, 10, never)));
    expect(error.code).toBe("ERR_FORMAT");
    expect(error.message).toMatch(/localhost\/x\.index can't be read, in 5 tries: the server answers 503 Odd\. Check/);
    expect(since(times)).toEqual([0, 250, 750, 1750, 3750]);
  });

  test.each([
    ["2", 2000],
    ["0", 250],
    ["100", 30_000],
    ["soon", 250],
    ["Thu, 01 Jan 1970 00:00:05 GMT", 4900],
    ["Thu, 01 Jan 1970 00:00:00 GMT", 250],
  ])("after what the server wants to be left alone for: %s", async (wish, pause) => {
    vi.useFakeTimers({ now: 100 });
    const headers = { "Retry-After": wish };
    const { ranges, times } = await open((n) => (n === 1 ? { status: 429, headers } : undefined));
    expect(await inTime(ranges.read(5, 9, never))).toEqual(BYTES.slice(5, 9));
    expect(Math.abs(since(times)[1] - pause)).toBeLessThanOrEqual(1);
  });

  test.each([408, 425, 429, 500, 502, 503, 504])("status %i", async (status) => {
    vi.useFakeTimers();
    const { ranges, asked } = await open((n) => (n === 1 ? { status } : undefined));
    expect(await inTime(ranges.read(5, 9, never))).toEqual(BYTES.slice(5, 9));
    expect(asked).toHaveLength(3);
  });

  test.each<[string, Answer | Error]>([
    ["no answer", new TypeError("Failed to fetch")],
    ["a byte too few", { short: 1 }],
    ["another beginning", { from: 99_999 }],
    ["an end behind what was asked for", { to: 110_001 }],
    ["a part shorter than a page of memory", { to: 100_000 + 4095 }],
  ])("%s", async (_, answer) => {
    vi.useFakeTimers();
    const { ranges, asked } = await open((n) => (n === 1 ? answer : undefined));
    expect(Buffer.compare(await inTime(ranges.read(100_000, 110_000, never)), BYTES.slice(100_000, 110_000))).toBe(0);
    expect(asked.slice(1)).toEqual([
      [100_000, 110_000],
      [100_000, 110_000],
    ]);
  });

  test("a part of 4 KB is taken for what it is, and the rest asked for", async () => {
    const { ranges, asked } = await open((n, from, to) => (n > 0 ? { to: Math.min(to, from + 4096) } : undefined));
    expect(Buffer.compare(await ranges.read(100_000, 110_000, never), BYTES.slice(100_000, 110_000))).toBe(0);
    expect(asked.slice(1)).toEqual([
      [100_000, 110_000],
      [104_096, 110_000],
      [108_192, 110_000],
    ]);
  });
});

describe("what does not pass is an error at once", () => {
  test.each([400, 401, 403, 404, 410, 501])("status %i", async (status) => {
    const { ranges, asked } = await open((n) => (n > 0 ? { status } : undefined));
    const error = await refusalOf(ranges.read(5, 9, never));
    expect(error.code).toBe("ERR_FORMAT");
    expect(error.message).toBe(`the server answers ${status} Odd: check the address, and whether it asks to sign in`);
    expect(asked).toHaveLength(2);
  });

  test("a byte that there is none of, and parts that come compressed", async () => {
    const gone = await open((n) => (n > 0 ? { status: 416 } : undefined));
    expect((await refusalOf(gone.ranges.read(5, 9, never))).message).toMatch(/^the server has no byte 5 .*\(416\)/);
    const packed = await open((n) => (n > 0 ? { headers: { "Content-Encoding": "br" } } : undefined));
    expect(await refusalOf(packed.ranges.read(5, 9, never))).toMatchObject({
      code: "ERR_UNSUPPORTED",
      message: expect.stringMatching(/compressed \(br\)/) as string,
    });
    const plain = await open(() => ({ headers: { "Content-Encoding": "identity" } }));
    expect(await plain.ranges.read(5, 9, never)).toEqual(BYTES.slice(5, 9));
  });

  test.each<[string, Answer | undefined, Answer]>([
    ["another size", undefined, { size: SIZE + 1 }],
    ["another tag", undefined, { headers: { ETag: '"2"' } }],
    ["no tag, where there was one", undefined, { headers: { ETag: "" } }],
    [
      "another date, where there is no tag",
      { headers: { ETag: "", "Last-Modified": "Mon, 01 Jun 2026 12:00:00 GMT" } },
      { headers: { ETag: "", "Last-Modified": "Mon, 01 Jun 2026 12:00:01 GMT" } },
    ],
  ])("another version of the file: %s", async (_, first, then) => {
    const { ranges, asked } = await open((n) => (n > 0 ? then : first));
    const error = await refusalOf(ranges.read(5, 9, never));
    expect(error.code).toBe("ERR_FORMAT");
    expect(error.message).toMatch(/^the file on the server has changed \(.*, 200000 bytes; now .*\): open it again$/);
    expect(asked).toHaveLength(2);
  });

  test.each<[string, Answer, Answer]>([
    ["a tag that has become weak", {}, { headers: { ETag: 'W/"1"' } }],
    [
      "a date that has changed, the tag having not",
      { headers: { "Last-Modified": "a" } },
      { headers: { "Last-Modified": "b" } },
    ],
    [
      "only one of two that knows tags, both being of one date",
      { headers: { "Last-Modified": "a" } },
      { headers: { ETag: "", "Last-Modified": "a" } },
    ],
    ["neither tag nor date", { headers: { ETag: "" } }, { headers: { ETag: "" } }],
  ])("the same version: %s", async (_, first, then) => {
    const { ranges } = await open((n) => (n > 0 ? then : first));
    expect(await ranges.read(5, 9, never)).toEqual(BYTES.slice(5, 9));
  });
});

describe("what is known after the first request", () => {
  test("the version is the tag, or else the date, and the beginning is as long as it was asked for", async () => {
    for (const [headers, version] of [
      [{}, '"1"'],
      [{ ETag: 'W/"7"', "Last-Modified": "x" }, '"7"'],
      [{ ETag: "", "Last-Modified": "x" }, "x"],
      [{ ETag: "" }, ""],
    ] as const) {
      const server = serve(() => ({ headers }));
      const { ranges, beginning } = await openHttp(ADDRESS, server.fetched, never);
      expect([ranges.version, ranges.size, ranges.bridge]).toEqual([version, SIZE, 131_072]);
      expect(Buffer.compare(beginning, BYTES.slice(0, FIRST_BYTES))).toBe(0);
      expect(server.asked).toEqual([[0, FIRST_BYTES]]);
    }
  });

  test("a file shorter than its beginning is there at once", async () => {
    const short = async (): Promise<Response> =>
      new Response(BYTES.slice(0, 100), { status: 206, headers: { "Content-Range": "bytes 0-99/100" } });
    const { ranges, beginning } = await openHttp(ADDRESS, short, never);
    expect([ranges.size, beginning]).toEqual([100, BYTES.slice(0, 100)]);
  });

  test.each<[string, Record<string, string>, number, boolean]>([
    ["a length", { "Content-Length": "100" }, 200, true],
    ["a length of nothing", { "Content-Length": "0" }, 200, false],
    ["no number", { "Content-Length": "many" }, 200, false],
    ["none", {}, 200, false],
    ["an error page's", { "Content-Length": "100" }, 404, false],
  ])("where parts don't say what of, its size is asked for: %s", async (_, headers, status, known) => {
    const hidden = async ({ method }: Request): Promise<Response> =>
      method === "HEAD" ? new Response(null, { status, headers }) : new Response(BYTES.slice(0, 100), { status: 206 });
    const opened = openHttp(ADDRESS, hidden, never);
    if (known) expect((await opened).ranges.size).toBe(100);
    else expect(await refusalOf(opened)).toMatchObject({ code: "ERR_UNSUPPORTED" });
  });
});

test("a whole file in place of a part has what is wanted, and one that is cut is asked for again", async () => {
  vi.useFakeTimers();
  const { ranges, asked } = await open((n) => (n > 0 ? { status: 200, headers: { ETag: '"1"' } } : undefined));
  expect(await ranges.read(123_456, 123_460, never)).toEqual(BYTES.slice(123_456, 123_460));
  expect(asked).toHaveLength(2);
  const cut = async ({ headers }: Request): Promise<Response> =>
    headers.get("Range") === "bytes=0-65535"
      ? serve().fetched(new Request(ADDRESS, { headers }))
      : new Response(BYTES.slice(1), { headers: { ETag: '"1"' } });
  const file = await openHttp(ADDRESS, cut, never);
  const error = await inTime(refusalOf(file.ranges.read(5, 9, never)));
  expect(error.message).toMatch(/in 5 tries: the answer has 199999 of 200000 bytes/);
});

test("what is followed comes to its last byte, and not one more", async () => {
  const followed = async (ranges: Ranges, from: number, to: number): Promise<Uint8Array> => {
    const parts: Uint8Array[] = [];
    for await (const part of ranges.follow?.(from, to, never) ?? []) parts.push(part.slice());
    return Uint8Array.from(parts.flatMap((part) => [...part]));
  };
  const plain = await open();
  expect(Buffer.compare(await followed(plain.ranges, 70_000, 90_001), BYTES.slice(70_000, 90_001))).toBe(0);
  // A server that has lost the range sends the file.
  const whole = await open((n) => (n > 0 ? { status: 200, headers: { ETag: '"1"' } } : undefined));
  expect(Buffer.compare(await followed(whole.ranges, 70_000, 90_001), BYTES.slice(70_000, 90_001))).toBe(0);
  const short = await open((n) => (n > 0 ? { short: 1 } : undefined));
  await expect(followed(short.ranges, 70_000, 90_001)).rejects.toThrow("20000 of 20001 bytes came");
});
