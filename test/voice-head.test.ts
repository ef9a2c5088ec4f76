import { crc32 as zlibCrc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { METRIC_L2 } from "../src/index.js";
import { Bytes, crc32, Section } from "../src/codec/bytes.js";
import {
  countLayers,
  headBytes,
  IDS_GAPS,
  IDS_NONE,
  IDS_WIDE,
  layerStart,
  readHead,
  writeHead,
} from "../src/codec/head.js";
import type { Head, LayerRecord } from "../src/codec/head.js";
import { packIds, readIds } from "../src/codec/ids.js";
import { fitTables, plainModel } from "../src/codec/models.js";

// The beginning of a voice file, field by field: what is taken up to which value, and that it is where docs/voice-files.md has it.

const layer = (own: Partial<LayerRecord> = {}): LayerRecord => ({
  step: 0.5,
  ratio: 0,
  width: 16,
  group: 4,
  sideBytes: 100,
  sideCrc: 0x89abcdef,
  dataBytes: 1000,
  dataCrc: 0xfedcba98,
  ...own,
});
const head = (own: Partial<Head> = {}): Head => ({
  d: 24,
  nlist: 5,
  ntotal: 77,
  nprobe: 3,
  metric: METRIC_L2,
  ids: IDS_GAPS,
  gapBits: 7,
  seed: 0xdeadbeef,
  unit: 0.25,
  basisStep: 0.125,
  centroidStep: 1.5,
  prefixBytes: 60,
  prefixCrc: 0x98765432,
  layers: [layer(), layer({ ratio: 3, width: 24, step: 0.125 })],
  ...own,
});

/** A head with other bytes, whose checksum is right. */
function patched(bytes: Uint8Array, at: number, ...values: number[]): Uint8Array {
  const copy = bytes.slice();
  copy.set(values, at);
  new DataView(copy.buffer).setUint32(copy.length - 4, zlibCrc32(copy.subarray(0, -4)), true);
  return copy;
}

describe("the head", () => {
  test("is read as it was written, and what is behind it is left alone", () => {
    const bytes = writeHead(head());
    expect(bytes.length).toBe(72 + 2 * 28 + 4);
    expect(headBytes(2)).toBe(bytes.length);
    expect(readHead(bytes)).toEqual(head());
    expect(readHead(Uint8Array.of(...bytes, 1, 2, 3))).toEqual(head());
    expect(countLayers(bytes.subarray(0, 72))).toBe(2);
    expect([0, 1, 2].map((i) => layerStart(head(), i))).toEqual([132 + 60, 132 + 60 + 1100, 132 + 60 + 2200]);
  });

  test("has each field where the format says", () => {
    const view = new DataView(writeHead(head()).buffer);
    const u32 = (at: number): number => view.getUint32(at, true);
    expect([view.getUint8(0), view.getUint8(1), view.getUint16(8, true)]).toEqual([0x89, 0x43, 1]);
    expect([view.getUint8(10), view.getUint8(11)]).toEqual([2, METRIC_L2]);
    expect([u32(12), u32(16), u32(20), u32(24)]).toEqual([24, 5, 77, 3]);
    expect([view.getUint8(28), view.getUint8(29), u32(32)]).toEqual([IDS_GAPS, 7, 0xdeadbeef]);
    expect([36, 40, 44].map((at) => view.getFloat32(at, true))).toEqual([0.25, 0.125, 1.5]);
    expect([u32(48), u32(52), u32(56), u32(60)]).toEqual([132 + 60 + 2200, 0, 60, 0x98765432]);
    expect(view.getFloat32(72, true)).toBe(0.5);
    expect([view.getUint16(76, true), view.getUint16(78, true)]).toEqual([0, 16]);
    expect([80, 84, 88, 92, 96].map(u32)).toEqual([4, 100, 0x89abcdef, 1000, 0xfedcba98]);
    expect(u32(128)).toBe(zlibCrc32(new Uint8Array(view.buffer, 0, 128)));
  });

  test("of a file of more than 4 GB says so in two words", () => {
    const long = head({ layers: [layer({ dataBytes: 2 ** 31 - 1 }), layer({ ratio: 2, dataBytes: 2 ** 31 - 1 })] });
    const bytes = writeHead({ ...long, prefixBytes: 4000 });
    const view = new DataView(bytes.buffer);
    expect(view.getUint32(48, true) + 2 ** 32 * view.getUint32(52, true)).toBe(132 + 4000 + 200 + 2 ** 32 - 2);
    expect(view.getUint32(52, true)).toBe(1);
    expect(readHead(bytes).layers[1].dataBytes).toBe(2 ** 31 - 1);
  });

  const two = (own: Partial<LayerRecord>): Partial<Head> => ({
    layers: [layer(), layer({ ratio: 3, width: 24, ...own })],
  });
  const one = (own: Partial<LayerRecord>): Partial<Head> => ({ layers: [layer(own)] });
  test.each<[string, Partial<Head>, Partial<Head>]>([
    ["d", { d: 4096, ...one({ width: 4096 }) }, { d: 4097, ...one({ width: 4096 }) }],
    ["d", { d: 1, ...one({ width: 1, group: 1 }) }, { d: 0, ...one({ width: 1 }) }],
    ["nlist", { nlist: 60 }, { nlist: 61 }],
    ["nlist", { nlist: 1 }, { nlist: 0 }],
    ["ntotal", { ntotal: 2 ** 31 - 1 }, { ntotal: 2 ** 31 }],
    ["ntotal", { ntotal: 0 }, { ntotal: 2 ** 32 - 1 }],
    ["nprobe", { nprobe: 1 }, { nprobe: 0 }],
    ["nprobe", { nprobe: 2 ** 31 - 1 }, { nprobe: 2 ** 31 }],
    ["ids", { ids: IDS_WIDE }, { ids: IDS_WIDE + 1 }],
    ["gap bits", { gapBits: 31 }, { gapBits: 32 }],
    ["unit", { unit: 1 }, { unit: 0 }],
    ["unit", { unit: 8 }, { unit: 0.75 }],
    ["unit", { unit: 2 ** -20 }, { unit: 1.5 }],
    ["unit", { unit: 2 }, { unit: -2 }],
    ["unit", { unit: 2 ** 30 }, { unit: Infinity }],
    ["basis step", { basisStep: 2 ** -100 }, { basisStep: 0 }],
    ["basis step", { basisStep: 1 }, { basisStep: NaN }],
    ["centroid step", { centroidStep: 2 ** -100 }, { centroidStep: 0 }],
    ["centroid step", { centroidStep: 1 }, { centroidStep: Infinity }],
    ["step", one({ step: 2 ** -100 }), one({ step: 0 })],
    ["step", two({ step: 1 }), two({ step: -1 })],
    ["ratio", one({ ratio: 0 }), one({ ratio: 2 })],
    ["ratio", two({ ratio: 2 }), two({ ratio: 1 })],
    ["ratio", two({ ratio: 63 }), two({ ratio: 64 })],
    ["width", two({ width: 16 }), two({ width: 8 })],
    ["width", two({ width: 24 }), two({ width: 32 })],
    ["width", { d: 21, ...two({ width: 21 }) }, { d: 21, ...two({ width: 20 }) }],
    ["width", one({ width: 8 }), one({ width: 0 })],
    ["group", one({ group: 1 }), one({ group: 0 })],
    ["group", one({ group: 24 }), one({ group: 25 })],
    ["data", one({ dataBytes: 2 ** 31 - 1 }), one({ dataBytes: 2 ** 31 })],
  ])("takes %s up to a value, and refuses the next", (field, fine, wrong) => {
    expect(readHead(writeHead(head(fine)))).toEqual(head(fine));
    let error: unknown;
    try {
      readHead(writeHead(head(wrong)));
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({
      code: "ERR_FORMAT",
      message: expect.stringContaining(`the head has ${field} = `) as string,
    });
  });

  test("is refused for what it is not", () => {
    const bytes = writeHead(head());
    const refused = (own: Uint8Array, code: string, text: string): void => {
      expect(() => readHead(own)).toThrow(
        expect.objectContaining({ code, message: expect.stringContaining(text) as string }) as Error,
      );
    };
    for (const at of [0, 1, 2, 3]) refused(patched(bytes, at, bytes[at] ^ 1), "ERR_FORMAT", "does not begin as one");
    for (const at of [4, 5, 6, 7]) refused(patched(bytes, at, bytes[at] ^ 1), "ERR_FORMAT", "line ends");
    refused(patched(bytes, 8, 2), "ERR_UNSUPPORTED", "version 2, and 1 is read here: take a newer cellist");
    refused(patched(bytes, 10, 0), "ERR_FORMAT", "has 0 layers");
    refused(patched(bytes, 10, 9), "ERR_FORMAT", "has 9 layers");
    refused(patched(bytes, 11, 2), "ERR_FORMAT", "has metric = 2");
    refused(patched(bytes, 48, 1, 0), "ERR_FORMAT", "has length = 1");
    refused(patched(bytes, 52, 1), "ERR_FORMAT", `has length = ${2 ** 32 + 132 + 60 + 2200}`);
    refused(bytes.subarray(0, 131), "ERR_FORMAT", "needs 132 bytes and 131 are left");
    for (let at = 12; at < bytes.length; at++) {
      const damaged = bytes.slice();
      damaged[at] ^= 4;
      refused(damaged, "ERR_FORMAT", "does not match its checksum");
    }
    const most = { layers: Array.from({ length: 8 }, (_, i) => layer({ ratio: i === 0 ? 0 : 3 })) };
    expect(readHead(writeHead(head(most)))).toEqual(head(most));
  });
});

test("checksums are zlib's, of any length from any offset", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), fc.nat(9), (bytes, from) => {
      expect(crc32(bytes.subarray(from))).toBe(zlibCrc32(bytes.subarray(from)));
    }),
  );
});

test("numbers of seven bits a byte come back, and no longer form of one is taken", () => {
  fc.assert(
    fc.property(fc.oneof(fc.nat(300), fc.nat(2 ** 31 - 1), fc.nat(2 ** 40)), (value) => {
      const bytes = new Bytes();
      bytes.varint(value);
      expect(bytes.length).toBe(Math.max(1, Math.ceil(Math.log2(value + 1) / 7)));
      const section = new Section("x", bytes.written);
      expect(section.varint("n", value)).toBe(value);
      section.finish();
      if (value > 0) expect(() => new Section("x", bytes.written).varint("n", value - 1)).toThrow("is more than");
      const longer = Uint8Array.of(...bytes.written, 0);
      expect(() => {
        new Section("x", longer).finish();
      }).toThrow("too many");
      longer[bytes.length - 1] |= 128;
      expect(() => new Section("x", longer).varint("n", value)).toThrow("say nothing");
    }),
  );
  expect(() => new Section("x", Uint8Array.of(0x80)).varint("n", 9)).toThrow("needs 1 bytes and 0 are left");
});

describe("ids", () => {
  const headOf = (kind: number, gapBits: number, ntotal: number): Head => head({ ids: kind, gapBits, ntotal });
  const sizesOf = (lists: number[][]): Uint32Array => Uint32Array.from(lists, (list) => list.length);
  const idsOf = (lists: number[][]): BigInt64Array => BigInt64Array.from(lists.flat(), BigInt);

  test("that ascend in their lists take as few bytes as any number of low bits gives, and come back", () => {
    const list = fc.uniqueArray(fc.oneof(fc.nat(40), fc.nat(5000), fc.nat(2 ** 31 - 1)), { maxLength: 12 });
    fc.assert(
      fc.property(fc.array(list, { minLength: 1, maxLength: 5 }), (given) => {
        const lists = given.map((ids) => [...ids].sort((a, b) => a - b));
        const [ids, sizes] = [idsOf(lists), sizesOf(lists)];
        const packed = packIds(ids, sizes);
        expect(readIds(packed.bytes, headOf(packed.kind, packed.gapBits, ids.length), sizes)).toEqual(ids);
        const gaps = lists.flatMap((own) => own.map((id, i) => id - (i === 0 ? 0 : own[i - 1])));
        const least = Math.min(
          ...Array.from({ length: 31 }, (_, low) =>
            Math.ceil(gaps.reduce((bits, gap) => bits + Math.floor(gap / 2 ** low) + 1 + low, 0) / 8),
          ),
        );
        const inPlace = ids.every((id, i) => id === BigInt(i));
        if (inPlace) expect([packed.kind, packed.bytes.length]).toEqual([IDS_NONE, 0]);
        else expect(packed.bytes.length).toBe(Math.min(least, 8 * ids.length));
      }),
    );
  });

  test("of more than 31 bits, or below 0, are kept as they are", () => {
    const sizes = Uint32Array.of(2);
    for (const [id, kind] of [
      [0x7fffffffn, IDS_GAPS],
      [0x80000000n, IDS_WIDE],
      [1n << 62n, IDS_WIDE],
    ] as const) {
      const ids = BigInt64Array.of(5n, id);
      const packed = packIds(ids, sizes);
      expect(packed.kind).toBe(kind);
      expect(readIds(packed.bytes, headOf(kind, packed.gapBits, 2), sizes)).toEqual(ids);
    }
    const negative = BigInt64Array.of(-1n, 5n);
    expect(packIds(negative, sizes).kind).toBe(IDS_WIDE);
    expect(readIds(packIds(negative, sizes).bytes, headOf(IDS_WIDE, 0, 2), sizes)).toEqual(negative);
    // Of a part of an array, that part.
    expect(packIds(BigInt64Array.of(9n, -1n, 5n).subarray(1), sizes).bytes).toEqual(packIds(negative, sizes).bytes);
  });

  test("that don't fit are refused", () => {
    const refused = (bytes: number[], given: Head, sizes: number[], text: string): void => {
      expect(() => readIds(Uint8Array.from(bytes), given, Uint32Array.from(sizes))).toThrow(
        expect.objectContaining({ code: "ERR_FORMAT", message: expect.stringContaining(text) as string }) as Error,
      );
    };
    refused(Array<number>(15).fill(0), headOf(IDS_WIDE, 0, 2), [2], "are 15 bytes for 2 rows");
    refused(Array<number>(17).fill(0), headOf(IDS_WIDE, 0, 2), [2], "are 17 bytes for 2 rows");
    refused([0], headOf(IDS_GAPS, 0, 9), [9], "are 1 bytes for 9 rows");
    // Eight zeros: the first id of eight lists.
    const eight = Array<number>(8).fill(1);
    expect(readIds(Uint8Array.of(0), headOf(IDS_GAPS, 0, 8), Uint32Array.from(eight))).toEqual(new BigInt64Array(8));
    refused([0, 0], headOf(IDS_GAPS, 0, 8), eight, "say nothing");
    refused([0xff], headOf(IDS_GAPS, 0, 1), [1], "end too early");
    // A gap of 2^31 - 1 and one more.
    const longest = headOf(IDS_GAPS, 31, 1);
    expect(readIds(Uint8Array.of(0xfe, 0xff, 0xff, 0xff), longest, Uint32Array.of(1))).toEqual(
      BigInt64Array.of(0x7fffffffn),
    );
    refused([0x01, 0, 0, 0, 0], longest, [1], "more than 31 bits");
  });
});

test("each table of a model is fitted to its own counts of 16 symbols", () => {
  const counts = Uint32Array.from(
    { length: 48 },
    (_, i) => [900, 300, 40][Math.floor(i / 16)] >> Math.abs((i % 16) - 7),
  );
  const model = plainModel(0);
  fitTables(model, counts);
  for (let t = 0; t < 3; t++) {
    const alone = plainModel(0);
    fitTables(
      alone,
      counts.map((count, i) => (Math.floor(i / 16) === t ? count : 0)),
    );
    const expected: number[][] = [[], [], []];
    expected[t] = model.tables[t];
    expect(alone.tables).toEqual(expected);
    expect(model.tables[t].length).toBeGreaterThan(0);
  }
});
