import { afterEach, describe, expect, it } from "vitest";
import { serveRanges } from "../bench/range-server.mjs";
import type { Fault, RangeServer } from "../bench/range-server.mjs";
import { Flow } from "../src/remote/flow.js";
import { FIRST_BYTES, openHttp } from "../src/remote/http.js";
import { BlobRanges, OwnRanges } from "../src/remote/local.js";
import { Pieces } from "../src/remote/pieces.js";
import type { Ranges } from "../src/remote/ranges.js";

const BYTES = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7 + (i >> 8)) & 255);
const servers: RangeServer[] = [];
const never = new AbortController().signal;

async function open(behave?: (request: { from: number; to: number; number: number }) => Fault | undefined) {
  const server = await serveRanges(BYTES, behave === undefined ? {} : { behave });
  servers.push(server);
  return { server, ...(await openHttp(server.url, fetch, never)) };
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

describe("a file on a server", () => {
  it("is read in the parts that are asked for", async () => {
    const { ranges, beginning, server } = await open();
    expect(ranges.size).toBe(BYTES.length);
    expect(beginning).toEqual(BYTES.slice(0, FIRST_BYTES));
    expect(await ranges.read(1000, 1001, never)).toEqual(BYTES.slice(1000, 1001));
    expect(await ranges.read(299_000, 300_000, never)).toEqual(BYTES.slice(299_000));
    expect(server.served.bytes).toBe(FIRST_BYTES + 1001);
  });

  it("is read whole where the server knows no ranges, and parts are there as they come by", async () => {
    const { ranges, server } = await open(() => ({ ranges: false }));
    expect(await ranges.read(200_000, 200_010, never)).toEqual(BYTES.slice(200_000, 200_010));
    expect(await ranges.read(5, 10, never)).toEqual(BYTES.slice(5, 10));
    expect(server.served.requests).toBe(1);
  });

  for (const [name, fault] of Object.entries({
    "429": { status: 429 },
    "500": { status: 500 },
    "503 with Retry-After": { status: 503, headers: { "Retry-After": "0" } },
    "a connection that is cut": { cut: 100 },
    "a byte too few": { short: 1 },
    "another part": { shift: 16 },
  } satisfies Record<string, Fault>)) {
    it(`survives ${name}`, async () => {
      const { ranges, server } = await open(({ number }) => (number === 1 ? fault : undefined));
      expect(await ranges.read(100_000, 150_000, never)).toEqual(BYTES.slice(100_000, 150_000));
      expect(server.served.requests).toBe(3);
    });
  }

  it("fails in words when it does not pass", { timeout: 20_000 }, async () => {
    const { ranges } = await open(({ number }) => (number > 0 ? { short: 1 } : undefined));
    await expect(ranges.read(0, 10, never)).rejects.toMatchObject({
      code: "ERR_FORMAT",
      message: expect.stringMatching(/in 5 tries: 9 of 10 bytes came/) as string,
    });
  });

  it("fails at once where another try would not help", async () => {
    await expect(open(() => ({ status: 404 }))).rejects.toThrow(/answers 404.*check the address/);
    await expect(open(() => ({ gzip: true }))).rejects.toMatchObject({ code: "ERR_UNSUPPORTED" });
    await expect(openHttp("alice.index", fetch, never)).rejects.toMatchObject({ code: "ERR_PARAMETER" });
    await expect(openHttp(new Request("http://127.0.0.1/", { method: "POST" }), fetch, never)).rejects.toMatchObject({
      code: "ERR_PARAMETER",
    });
  });

  it("says so when it changes in between, and mixes nothing", async () => {
    const { ranges } = await open(({ number }) => (number > 0 ? { etag: '"2"' } : undefined));
    await expect(ranges.read(0, 10, never)).rejects.toThrow(/has changed/);
  });

  it("is read in as many answers as a server makes of a range, and followed as it comes", async () => {
    const most = 10_000;
    const asked: number[] = [];
    const fetched = async ({ headers }: Request) => {
      const [from, last] = (headers.get("Range") ?? "").slice(6).split("-").map(Number);
      const to = Math.min(last + 1, from + most, BYTES.length);
      asked.push(from);
      const range = `bytes ${from}-${to - 1}/${BYTES.length}`;
      return new Response(BYTES.slice(from, to), { status: 206, headers: { "Content-Range": range } });
    };
    const { ranges, beginning } = await openHttp("http://localhost/x", fetched, never);
    expect(Buffer.compare(beginning, BYTES.slice(0, FIRST_BYTES))).toBe(0);
    expect(asked).toEqual([0, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000]);
    expect(Buffer.compare(await ranges.read(100_000, 123_456, never), BYTES.slice(100_000, 123_456))).toBe(0);
    const flow = new Flow(ranges, beginning, 150_000);
    expect(Buffer.compare(await flow.read(60_000, 140_000, never), BYTES.slice(60_000, 140_000))).toBe(0);
  });

  it("is followed from byte to byte, and what breaks off is read", async () => {
    const faults: (Fault | undefined)[] = [
      undefined,
      { ranges: false },
      { cut: 20_000 },
      { short: 7 },
      { status: 503 },
    ];
    for (const fault of faults) {
      const { ranges, beginning, server } = await open(({ number }) => (number === 1 ? fault : undefined));
      const flow = new Flow(ranges, beginning, 200_000);
      expect(flow.most).toBeLessThan(1 << 16);
      const parts = await Promise.all(
        [0, 60_000, 70_000, 190_000].map((from) => flow.read(from, from + 10_000, never)),
      );
      for (const [i, from] of [0, 60_000, 70_000, 190_000].entries())
        expect(Buffer.compare(parts[i], BYTES.slice(from, from + 10_000))).toBe(0);
      expect(Buffer.compare(await flow.read(200_000, 300_000, never), BYTES.slice(200_000))).toBe(0);
      if (fault === undefined || "ranges" in fault) expect(server.served.requests).toBe(3);
      await flow.nearly(never);
      flow.forget();
      expect(Buffer.compare(await flow.read(0, 100, never), BYTES.slice(0, 100))).toBe(0);
      flow.close();
    }
  });

  it("is followed until a signal or its end, whatever comes", async () => {
    const { ranges, beginning } = await open(({ to }) => (to === 200_000 ? { hang: true } : undefined));
    const flow = new Flow(ranges, beginning, 200_000);
    const controller = new AbortController();
    const given = flow.read(100_000, 110_000, controller.signal);
    const kept = flow.read(100_000, 110_000, never);
    controller.abort(new Error("enough"));
    await expect(given).rejects.toThrow("enough");
    flow.close();
    // The flow is over: what others want is read.
    expect(Buffer.compare(await kept, BYTES.slice(100_000, 110_000))).toBe(0);
  });

  it("is asked for again behind a redirection, and past the cache of a browser unless the caller wants that", async () => {
    const { ranges } = await open(({ number }) =>
      number % 2 === 0 ? { status: 302, headers: { Location: "/file" } } : undefined,
    );
    expect(await ranges.read(7, 70, never)).toEqual(BYTES.slice(7, 70));
    for (const [cache, wanted] of [
      [undefined, "no-store"],
      ["force-cache", "force-cache"],
    ] as const) {
      const seen: (string | null)[] = [];
      const fetched = async (request: Request) => {
        seen.push(request.cache, request.headers.get("Range"));
        if (request.method === "HEAD") return new Response(null, { headers: { "Content-Length": "10" } });
        return new Response(BYTES.slice(0, 10), { status: 206 });
      };
      await openHttp(new Request("http://localhost/x", cache === undefined ? {} : { cache }), fetched, never);
      expect(seen).toEqual([wanted, `bytes=0-${FIRST_BYTES - 1}`, cache ?? "default", "bytes=0-"]);
    }
  });

  it("is known by Last-Modified where there is no ETag", async () => {
    let day = 1;
    const answers = (headers: Headers) => {
      const [from, to] = (headers.get("Range") ?? "").slice(6).split("-").map(Number);
      const end = Math.min(to + 1, BYTES.length);
      return new Response(BYTES.slice(from, end), {
        status: 206,
        headers: {
          "Content-Range": `bytes ${from}-${end - 1}/${BYTES.length}`,
          "Last-Modified": `Mon, 0${day} Jun 2026 12:00:00 GMT`,
        },
      });
    };
    const { ranges } = await openHttp("http://localhost/x", async (request) => answers(request.headers), never);
    expect(await ranges.read(7, 70, never)).toEqual(BYTES.slice(7, 70));
    day = 2;
    await expect(ranges.read(7, 70, never)).rejects.toThrow(/has changed.*01 Jun.*02 Jun/);
  });

  it("is asked for with the headers of the caller's request, and uncompressed", async () => {
    const seen: (string | null)[][] = [];
    const fetched = async (request: Request) => {
      seen.push(["authorization", "accept-encoding", "range"].map((name) => request.headers.get(name)));
      return new Response(BYTES.slice(0, 10), { status: 206, headers: { "Content-Range": "bytes 0-9/10" } });
    };
    const request = new Request("http://localhost/x", { headers: { Authorization: "Bearer x" } });
    const { ranges } = await openHttp(request, fetched, never);
    await ranges.read(0, 10, never);
    expect(seen).toEqual([
      ["Bearer x", "identity", `bytes=0-${FIRST_BYTES - 1}`],
      ["Bearer x", "identity", "bytes=0-9"],
    ]);
  });

  it("that another origin keeps to itself is told so", { timeout: 20_000 }, async () => {
    const kept = async () => Promise.reject(new TypeError("Failed to fetch"));
    await expect(openHttp("http://localhost/x", kept, never, 2)).rejects.toThrow(/CORS.*Access-Control-Allow-Origin/);
    // One that lets parts be read, but not Content-Range, and not the size either.
    const hidden = async ({ method }: Request) =>
      method === "HEAD" ? new Response(null, { status: 405 }) : new Response(BYTES.slice(0, 10), { status: 206 });
    await expect(openHttp("http://localhost/x", hidden, never)).rejects.toThrow(
      /Access-Control-Expose-Headers: Content-Range, ETag/,
    );
  });

  it("is given up by a signal, whether it hangs or waits for another try", async () => {
    for (const fault of [{ hang: true }, { status: 503 }] satisfies Fault[]) {
      const { ranges } = await open(({ number }) => (number > 0 ? fault : undefined));
      const controller = new AbortController();
      const promise = ranges.read(0, 10, controller.signal);
      setTimeout(() => controller.abort(new Error("enough")), 50);
      await expect(promise).rejects.toThrow("enough");
    }
  });
});

describe("a file at hand", () => {
  it("may be a Blob or the caller's own", async () => {
    const blob = new BlobRanges(new Blob([BYTES]));
    const own = new OwnRanges({ size: BYTES.length, read: async (from, to) => BYTES.slice(from, to).buffer });
    for (const ranges of [blob, own] satisfies Ranges[]) {
      expect(ranges.size).toBe(BYTES.length);
      expect(await ranges.read(7, 4000, never)).toEqual(BYTES.slice(7, 4000));
    }
  });

  it("is counted", async () => {
    const own = new OwnRanges({ size: 100, read: async () => new Uint8Array(3) });
    await expect(own.read(0, 4, never)).rejects.toThrow(/gave 3 bytes for 0 to 4/);
    expect(() => new OwnRanges({ size: Number.NaN, read: async () => new Uint8Array(0) })).toThrow(/whole number/);
  });
});

describe("pieces", () => {
  /** A source that answers when it is told to. */
  function slowly() {
    const asked: [number, number, () => void, (error: Error) => void][] = [];
    const ranges: Ranges = {
      size: BYTES.length,
      bridge: 100,
      version: "",
      read: (from, to, signal) =>
        new Promise((resolve, reject) => {
          signal.addEventListener("abort", () => reject(signal.reason as Error));
          asked.push([from, to, () => resolve(BYTES.slice(from, to)), reject]);
        }),
      close: () => undefined,
    };
    return { asked, ranges };
  }
  const turn = () => new Promise((resolve) => setTimeout(resolve, 0));
  const thousand = Array.from({ length: 200 }, (_, i) => ({ from: i * 1000, to: i * 1000 + 900 }));

  it("are asked for together where they are near, six requests at most, the urgent first", async () => {
    const { asked, ranges } = slowly();
    const taken: number[] = [];
    const pieces = new Pieces(
      ranges,
      thousand,
      (piece) => taken.push(piece),
      () => undefined,
    );
    for (let i = 0; i < 20; i += 2) pieces.want(i);
    pieces.want(100, true);
    await turn();
    expect(asked.map(([from]) => from / 1000).sort((a, b) => a - b)).toEqual([0, 2, 4, 6, 8, 10]);
    const needed = pieces.need([150, 151]);
    asked[0][2]();
    await turn();
    expect(asked.at(-1)?.slice(0, 2)).toEqual([150_000, 151_900]);
    asked.at(-1)?.[2]();
    await needed;
    expect(pieces.there[150] + pieces.there[151] + pieces.there[0]).toBe(3);
    expect(taken).toEqual([0, 150, 151]);
  });

  it("come all in the end, each once", async () => {
    const own = new OwnRanges({ size: BYTES.length, read: async (from, to) => BYTES.slice(from, to) });
    const sums = new Map<number, number>();
    const take = (piece: number, bytes: Uint8Array) => {
      expect(sums.has(piece)).toBe(false);
      sums.set(piece, bytes.length);
      expect(bytes).toEqual(BYTES.slice(thousand[piece].from, thousand[piece].to));
    };
    const pieces = new Pieces(own, thousand, take, () => undefined);
    await Promise.all([pieces.all(undefined, () => undefined), pieces.need([3, 199, 3])]);
    expect(pieces.complete).toBe(true);
    expect(pieces.bytes).toBe(200 * 900);
  });

  it("tell whoever waits what kept them away, and can be asked for again", async () => {
    const { asked, ranges } = slowly();
    const warnings: string[] = [];
    const pieces = new Pieces(
      ranges,
      thousand,
      () => undefined,
      (message) => warnings.push(message),
    );
    const needed = pieces.need([5]);
    await turn();
    asked[0][3](new Error("lost"));
    await expect(needed).rejects.toThrow("lost");
    pieces.want(6);
    await turn();
    asked[1][3](new Error("lost again"));
    await turn();
    expect(warnings).toEqual(["lost again"]);
    const again = pieces.need([5]);
    await turn();
    asked[2][2]();
    await again;
    const left = pieces.need([7]);
    pieces.close(new Error("closed"));
    await expect(left).rejects.toThrow("closed");
  });

  it("that can't be had are not asked for without end while others come", async () => {
    let asked = 0;
    const ranges: Ranges = {
      size: BYTES.length,
      bridge: 0,
      version: "",
      most: 900,
      read: async (from, to) => {
        asked++;
        if (from > 0) throw new Error("gone");
        await turn();
        return BYTES.slice(from, to);
      },
      close: () => undefined,
    };
    const pieces = new Pieces(
      ranges,
      thousand.slice(0, 20),
      () => undefined,
      () => undefined,
    );
    await expect(pieces.all(undefined, () => undefined)).rejects.toThrow("gone");
    expect(pieces.count).toBe(1);
    expect(asked).toBeLessThan(50);
  });

  it("leave a call by its signal and go on for others", async () => {
    const { asked, ranges } = slowly();
    const pieces = new Pieces(
      ranges,
      thousand,
      () => undefined,
      () => undefined,
    );
    const controller = new AbortController();
    const given = pieces.need([5], controller.signal);
    const kept = pieces.need([5]);
    await turn();
    controller.abort(new Error("enough"));
    await expect(given).rejects.toThrow("enough");
    asked[0][2]();
    await kept;
  });
});
