import { describe, expect, it } from "vitest";
import { PartsSource } from "../src/remote/parts-source.js";
import { Pieces } from "../src/remote/pieces.js";
import type { Piece } from "../src/remote/pieces.js";
import type { Ranges } from "../src/remote/ranges.js";

// What is asked for together, and when: requests as a source sees them.

const QUARTER = 1 << 18;
const MEGABYTE = 1 << 20;

/** A source that answers when it is told to, the bytes of a place in the file being what it is made of. */
function slowly(own: Partial<Ranges> = {}) {
  const asked: { from: number; to: number; answer: () => void }[] = [];
  const ranges: Ranges = {
    size: 1e9,
    bridge: 0,
    version: "",
    read: (from, to) =>
      new Promise((resolve) => {
        asked.push({ from, to, answer: () => resolve(new Uint8Array(to - from)) });
      }),
    close: () => undefined,
    ...own,
  };
  const spans = (): number[][] => asked.map(({ from, to }) => [from, to]);
  return { ranges, asked, spans };
}
const turn = () => new Promise((resolve) => setTimeout(resolve, 0));
const row = (count: number, bytes: number, gap = 0): Piece[] =>
  Array.from({ length: count }, (_, i) => ({ from: i * (bytes + gap), to: i * (bytes + gap) + bytes }));
const of = (ranges: Ranges, pieces: Piece[], take: () => void = () => undefined): Pieces =>
  new Pieces(ranges, pieces, take, () => undefined);

describe("a request", () => {
  it("joins pieces up to a megabyte, and not a byte more", async () => {
    const { ranges, asked, spans } = slowly();
    const pieces = of(ranges, row(8, QUARTER));
    const all = pieces.all(undefined, () => undefined);
    await turn();
    // A megabyte under way is enough until somebody waits.
    expect(spans()).toEqual([[0, MEGABYTE]]);
    asked[0].answer();
    await turn();
    expect(spans()).toEqual([
      [0, MEGABYTE],
      [MEGABYTE, 2 * MEGABYTE],
    ]);
    asked[1].answer();
    await all;
    expect([pieces.complete, pieces.missing, pieces.bytes]).toEqual([true, 0, 2 * MEGABYTE]);
    const more = slowly();
    void of(more.ranges, [...row(4, QUARTER), { from: MEGABYTE, to: MEGABYTE + 1 }]).need([0, 1, 2, 3, 4]);
    await turn();
    expect(more.spans()).toEqual([
      [0, MEGABYTE],
      [MEGABYTE, MEGABYTE + 1],
    ]);
  });

  it("is of one piece where that is longer, and of what the source says where it says it", async () => {
    const long = slowly();
    void of(long.ranges, row(2, 3 * MEGABYTE)).need([0, 1]);
    await turn();
    expect(long.spans()).toEqual([
      [0, 3 * MEGABYTE],
      [3 * MEGABYTE, 6 * MEGABYTE],
    ]);
    const short = slowly({ most: 2000 });
    void of(short.ranges, row(5, 1000)).need([0, 1, 2, 3, 4]);
    await turn();
    expect(short.spans()).toEqual([
      [0, 2000],
      [2000, 4000],
      [4000, 5000],
    ]);
  });

  it("bridges what is cheaper to read than to ask for twice, before and behind what is wanted most", async () => {
    for (const [gap, span] of [
      [100, [0, 3200]],
      // Those that are alone wait until what is waited for has come.
      [101, [1101, 2101]],
    ] as const) {
      const source = slowly({ bridge: 100 });
      const pieces = of(source.ranges, row(3, 1000, gap));
      pieces.want(0);
      pieces.want(2);
      void pieces.need([1]);
      await turn();
      expect(source.spans()).toEqual([span]);
      source.asked[0].answer();
      await turn();
      expect(source.asked).toHaveLength(gap === 100 ? 1 : 3);
    }
  });

  it("does not wait behind what nobody waits for, and is one of six", async () => {
    const { ranges, asked, spans } = slowly();
    const pieces = of(ranges, row(40, 1000, 1000));
    for (let i = 0; i < 20; i++) pieces.want(i);
    await turn();
    expect(asked).toHaveLength(6);
    void pieces.need([30]);
    await turn();
    expect(asked).toHaveLength(6);
    asked[2].answer();
    await turn();
    expect(spans().at(-1)).toEqual([60_000, 61_000]);
    // While that is under way, nothing else is asked for: it would take its share of the line.
    asked[3].answer();
    await turn();
    expect(asked).toHaveLength(7);
    asked[6].answer();
    await turn();
    expect(asked).toHaveLength(9);
  });

  it("goes on while what has come is put where it belongs, unless two megabytes have and are not", async () => {
    for (const [bytes, meanwhile] of [
      [MEGABYTE, 2],
      [2 * MEGABYTE - 1, 2],
      [2 * MEGABYTE, 1],
    ]) {
      const { ranges, asked } = slowly();
      const begun: number[] = [];
      const pieces = of(ranges, row(4, bytes), () => begun.push(asked.length));
      const all = pieces.all(undefined, () => undefined);
      for (let i = 0; i < 4; i++) {
        await turn();
        expect(asked).toHaveLength(i + 1);
        asked[i].answer();
      }
      await all;
      expect(begun).toEqual([meanwhile, meanwhile + 1, meanwhile + 2, 4].map((count) => Math.min(count, 4)));
    }
  });

  it("of what is only likely to be wanted waits for what was asked for", async () => {
    const { ranges, asked, spans } = slowly({ bridge: 5000 });
    const pieces = of(ranges, row(9, 1000, 1000));
    pieces.want(4, true);
    pieces.want(1);
    await turn();
    // It does not come along, near as it is.
    expect(spans()).toEqual([[2000, 3000]]);
    asked[0].answer();
    await turn();
    expect(spans().at(-1)).toEqual([8000, 9000]);
    // What was asked for later goes first.
    pieces.want(6);
    pieces.tick();
    pieces.want(8);
    asked[1].answer();
    await turn();
    expect(spans()[2][1]).toBe(17_000);
  });
});

it("of a file that is read in a row takes twice as much each time, and what will be read in a row in whole", async () => {
  const [KB, size] = [1024, 40 * MEGABYTE];
  const asked: number[][] = [];
  const ranges: Ranges = {
    ...slowly().ranges,
    size,
    read: (from, to) => Promise.resolve(new Uint8Array(to - from)).finally(() => asked.push([from, to - from])),
  };
  const source = new PartsSource(ranges, new Uint8Array(100), new AbortController().signal);
  expect([(await source.next())?.length, source.read]).toEqual([100, 100]);
  for (let i = 0; i < 10; i++) await source.next();
  const row = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 4096];
  expect(asked.map(([, bytes]) => bytes / KB)).toEqual(row);
  expect(source.read).toBe(100 + 12_272 * KB);
  source.skip(50);
  source.ahead(5 * MEGABYTE);
  for (let i = 0; i < 4; i++) await source.next();
  const from = 150 + 12_272 * KB;
  expect(asked.slice(10)).toEqual([
    [from, 4 * MEGABYTE],
    [from + 4 * MEGABYTE, MEGABYTE],
    [from + 5 * MEGABYTE, 64 * KB],
    [from + 5 * MEGABYTE + 64 * KB, 128 * KB],
  ]);
  source.skip(size - 1000 - (from + 5 * MEGABYTE + 192 * KB));
  expect((await source.next())?.length).toBe(1000);
  expect(await source.next()).toBeUndefined();
});

describe("what tells of further pieces", () => {
  it("is asked for once, and where it fails again at the next asking; nobody who waits is warned too", async () => {
    const { ranges, asked } = slowly();
    const warnings: string[] = [];
    let opened = 0;
    let broken = true;
    const more = {
      bytes: 300,
      count: 3,
      soon: async () => undefined,
      open: async () => {
        opened++;
        if (broken) throw new Error("no way through");
        return [{ from: 1000, to: 1300 }];
      },
    };
    const pieces = new Pieces(
      ranges,
      row(1, 1000),
      () => undefined,
      (warning) => warnings.push(warning),
      more,
    );
    expect([pieces.total, pieces.missing, pieces.complete]).toEqual([4, 1300, false]);
    await turn();
    expect([opened, warnings.length]).toEqual([1, 1]);
    expect(warnings[0]).toContain("no way through");
    // Pieces come, and nobody asks anew: it is not tried again.
    const first = pieces.need([0]);
    await turn();
    asked[0].answer();
    await first;
    await turn();
    expect([pieces.count, opened]).toEqual([1, 1]);
    pieces.tick();
    await turn();
    expect([opened, warnings.length]).toEqual([2, 2]);
    await expect(pieces.known()).rejects.toThrow("no way through");
    expect([opened, warnings.length]).toEqual([3, 2]);
    broken = false;
    pieces.tick();
    await turn();
    expect([opened, pieces.total, pieces.missing, pieces.complete]).toEqual([4, 2, 300, false]);
    pieces.tick();
    await turn();
    expect(opened).toBe(4);
    const last = pieces.need([1]);
    await turn();
    asked[1].answer();
    await last;
    expect([pieces.total, pieces.missing, pieces.complete]).toEqual([2, 0, true]);
  });
});

describe("what goes wrong", () => {
  const failing = (): { warnings: string[]; pieces: Pieces; asked: ((error: Error) => void)[] } => {
    const asked: ((error: Error) => void)[] = [];
    const warnings: string[] = [];
    const ranges: Ranges = {
      size: 1e9,
      bridge: 0,
      version: "",
      read: (_from, _to, signal) =>
        new Promise((_, reject) => {
          asked.push(reject);
          signal.addEventListener("abort", () => reject(signal.reason as Error));
        }),
      close: () => undefined,
    };
    const pieces = new Pieces(
      ranges,
      row(2, QUARTER),
      () => undefined,
      (warning) => warnings.push(warning),
    );
    return { warnings, pieces, asked };
  };

  it("is told whoever waits, and is a warning where nobody does", async () => {
    const { warnings, pieces, asked } = failing();
    const waiting = pieces.need([0]);
    await turn();
    asked[0](new Error("gone"));
    await expect(waiting).rejects.toThrow("gone");
    expect(warnings).toEqual([]);
    pieces.tick();
    pieces.want(1);
    await turn();
    asked[1](new Error("gone again"));
    await turn();
    expect(warnings).toEqual(["gone again"]);
  });

  it("is no warning once all is closed, waited for or not", async () => {
    const { warnings, pieces, asked } = failing();
    pieces.want(1);
    const waiting = pieces.need([0]);
    await turn();
    expect(asked.length).toBeGreaterThan(0);
    pieces.close(new Error("closed"));
    await expect(waiting).rejects.toThrow("closed");
    await turn();
    expect(warnings).toEqual([]);
  });

  it("is an abort: at once where nothing was asked for, and while it is under way", async () => {
    const reason = new Error("enough");
    const { pieces, asked } = failing();
    const aborted = AbortSignal.abort(reason);
    await expect(pieces.all(aborted, () => undefined)).rejects.toBe(reason);
    await expect(pieces.need([0], aborted)).rejects.toBe(reason);
    await turn();
    expect(asked).toEqual([]);
    const controller = new AbortController();
    const waiting = pieces.need([0], controller.signal);
    await turn();
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect(asked.length).toBe(1);
  });
});
