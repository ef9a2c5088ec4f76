import { dump, parse } from "npyjs";
import { describe, expect, test } from "vitest";
import { openNpy } from "../src/format/npy.js";
import { openSource } from "../src/format/unreadable.js";
import { CellistError } from "../src/index.js";
import type { Bytes } from "../src/index.js";
import { Pace } from "../src/work/pace.js";
import { withFaults } from "./faults.js";
import { concat } from "./files.js";

const NUMBERS = [0, 1, -2, 3.5, -0.25, 1024];
const LITTLE = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";

async function read(bytes: Bytes): Promise<{ shape: number[]; numbers: number[] }> {
  const file = await openNpy("x.npy", openSource(bytes), new Pace());
  return { shape: file.shape, numbers: [...(await file.floats())] };
}

/** A file of a header as somebody else writes it, and of numbers. */
function npy(header: string, data: ArrayBufferView, version = 1): Uint8Array<ArrayBuffer> {
  const text = Uint8Array.from(header, (character) => character.charCodeAt(0));
  const length = [text.length & 255, text.length >> 8, ...(version === 1 ? [] : [0, 0])];
  const magic = Uint8Array.from([0x93, ...Array.from("NUMPY", (c) => c.charCodeAt(0)), version, 0, ...length]);
  return concat(magic, text, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

/** The bytes of numbers, each turned round. */
function turned(data: ArrayBufferView, size: number): Uint8Array {
  const bytes = new Uint8Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength));
  for (let at = 0; at < bytes.length; at += size) bytes.subarray(at, at + size).reverse();
  return bytes;
}

const floats = Float32Array.from(NUMBERS);

describe("what numpy reads as numbers is read", () => {
  test.each<[string, Uint8Array]>([
    ["as numpy writes it", npy(`${LITTLE.padEnd(117)}\n`, floats)],
    ["version 2", npy(`${LITTLE.padEnd(115)}\n`, floats, 2)],
    ["version 3", npy(`${LITTLE.padEnd(115)}\n`, floats, 3)],
    ["not padded", npy(`${LITTLE}\n`, floats)],
    ["no new line", npy(LITTLE, floats)],
    ["an odd length", npy(`${LITTLE} \n`, floats)],
    ["another order", npy("{'shape': (2, 3), 'fortran_order': False, 'descr': '<f4'}", floats)],
    ["no blanks", npy("{'descr':'<f4','fortran_order':False,'shape':(2,3)}", floats)],
    ["Python 2", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }", floats)],
    ["a comma more", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3,), }", floats)],
    ["double quotes", npy('{"descr": "<f4", "fortran_order": False, "shape": (2, 3)}', floats)],
    ["JSON", npy('{"descr": "<f4", "fortran_order": false, "shape": [2, 3]}', floats)],
    ["this machine's order", npy(LITTLE.replace("<f4", "=f4"), floats)],
    ["no order", npy(LITTLE.replace("<f4", "f4"), floats)],
    ["a word", npy(LITTLE.replace("<f4", "float32"), floats)],
    ["big-endian float32", npy(LITTLE.replace("<f4", ">f4"), turned(floats, 4))],
    ["big-endian float64", npy(LITTLE.replace("<f4", ">f8"), turned(Float64Array.from(NUMBERS), 8))],
    ["bytes behind the array", concat(npy(LITTLE, floats), new Uint8Array(17))],
    ["two arrays", concat(npy(LITTLE, floats), npy(LITTLE, floats))],
    ["columns first", npy(LITTLE.replace("False", "True"), Float32Array.of(0, 3.5, 1, -0.25, -2, 1024))],
    [
      "columns first, float64",
      npy(LITTLE.replace("False", "True").replace("<f4", "<f8"), Float64Array.of(0, 3.5, 1, -0.25, -2, 1024)),
    ],
  ])("%s", async (_, bytes) => {
    const expected = { shape: [2, 3], numbers: NUMBERS };
    expect(await read(bytes)).toEqual(expected);
    // As it comes, cut anywhere: in the header, and in the middle of a number.
    for (const size of [1, 7, 50]) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.subarray(i * size, (i + 1) * size),
      );
      expect(await read(chunks)).toEqual(expected);
    }
    expect(await read(new Blob([bytes as Uint8Array<ArrayBuffer>]))).toEqual(expected);
  });

  test.each([
    ["i1", Int8Array.of(-128, 0, 127)],
    ["i2", Int16Array.of(-32768, 1, 32767)],
    ["i4", Int32Array.of(-(2 ** 31), 1, 2 ** 31 - 1)],
    ["i8", BigInt64Array.of(-(2n ** 63n), 1n, 2n ** 53n + 1n)],
    ["u1", Uint8Array.of(0, 1, 255)],
    ["u2", Uint16Array.of(0, 1, 65535)],
    ["u4", Uint32Array.of(0, 1, 2 ** 32 - 1)],
    ["u8", BigUint64Array.of(0n, 1n, 2n ** 64n - 1n)],
    ["f8", Float64Array.of(0.1, -1e300, NaN)],
  ])("%s, as npyjs writes it, and turned round", async (descr, data) => {
    const expected = {
      shape: [3],
      numbers: Array.from(data as ArrayLike<number | bigint>, (x) => Math.fround(Number(x))),
    };
    expect(await read(dump(data as unknown as Float32Array, [3]))).toEqual(expected);
    const header = `{'descr': '>${descr}', 'fortran_order': False, 'shape': (3,), }`;
    expect(await read(npy(header, turned(data, data.BYTES_PER_ELEMENT)))).toEqual(expected);
  });

  test("truth values", async () => {
    const header = "{'descr': '|b1', 'fortran_order': False, 'shape': (4,), }";
    expect(await read(npy(header, Uint8Array.of(0, 1, 1, 0)))).toEqual({ shape: [4], numbers: [0, 1, 1, 0] });
  });

  test("all float16 there are, as npyjs reads them", async () => {
    const halves = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const header = `${"{'descr': '<f2', 'fortran_order': False, 'shape': (65536,), }".padEnd(117)}\n`;
    const file = npy(header, halves);
    const { numbers } = await read(file);
    expect(Float32Array.from(numbers)).toEqual(parse(file.buffer).data);
    expect((await read(npy(header.replace("<f2", ">f2"), turned(halves, 2)))).numbers).toEqual(numbers);
  });

  test("long doubles of x86, as numpy 1.24 wrote them there", async () => {
    // 1, -2, 0, 1/3, 6e-8, infinity, NaN: mantissa, then sign and exponent, then six bytes of anything.
    const words: [bigint, number][] = [
      [0x8000000000000000n, 0x3fff],
      [0x8000000000000000n, 0xc000],
      [0n, 0],
      [0xaaaaaaaaaaaaa800n, 0x3ffd],
      [0x80d9594d23495800n, 0x3fe7],
      [0x8000000000000000n, 0x7fff],
      [0xc000000000000000n, 0x7fff],
    ];
    const data = new DataView(new ArrayBuffer(16 * words.length));
    words.forEach(([mantissa, top], i) => {
      data.setBigUint64(i * 16, mantissa, true);
      data.setUint16(i * 16 + 8, top, true);
    });
    const header = `{'descr': '<f16', 'fortran_order': False, 'shape': (${words.length},), }`;
    expect((await read(npy(header, data))).numbers).toEqual([1, -2, 0, 1 / 3, 6e-8, Infinity, NaN].map(Math.fround));
    // One in the format of other machines, whose top bit of these is that of a fraction.
    data.setBigUint64(0, 0n, true);
    await expect(read(npy(header, data))).rejects.toThrow(/long doubles of another machine/);
  });

  test("no rows, no dimensions, one more dimension", async () => {
    const empty = "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), }";
    expect(await read(npy(empty, new Uint8Array(0)))).toEqual({ shape: [0, 3], numbers: [] });
    const scalar = "{'descr': '<f4', 'fortran_order': False, 'shape': (), }";
    expect(await read(npy(scalar, Float32Array.of(7)))).toEqual({ shape: [], numbers: [7] });
    // Item (i, j, k) is 100 i + 10 j + k: in the file i runs fastest.
    const items = [0, 100, 10, 110, 20, 120, 1, 101, 11, 111, 21, 121];
    const cube = "{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3, 2), }";
    expect(await read(npy(cube, Int32Array.from(items)))).toEqual({
      shape: [2, 3, 2],
      numbers: [0, 1, 10, 11, 20, 21, 100, 101, 110, 111, 120, 121],
    });
  });
});

describe("what is no array of numbers is refused by name", () => {
  const holding = (descr: string): Uint8Array => npy(LITTLE.replace("'<f4'", descr), new Uint8Array(96));
  const text = (content: string): Uint8Array => Uint8Array.from(content, (character) => character.charCodeAt(0));

  test.each<[string, Uint8Array, RegExp]>([
    ["complex", holding("'<c8'"), /x\.npy holds complex numbers \(<c8\): save .*real/],
    ["objects", holding("'|O'"), /holds Python objects \(\|O\): .*stack/],
    ["texts", holding("'<U5'"), /holds texts \(<U5\)/],
    ["bytes", holding("'|S5'"), /holds texts \(\|S5\)/],
    ["times", holding("'<M8[s]'"), /holds times/],
    ["records", holding("[('a', '<f4'), ('b', '<f4')]"), /holds records of several fields/],
    ["void", holding("'|V8'"), /holds values of an unknown type \(\|V8\)/],
    ["a short array", npy(LITTLE, new Float32Array(5)), /cut off: the shape \[2, 3\] takes 24 bytes, and 20 are there/],
    [
      "a huge shape",
      npy(LITTLE.replace("(2, 3)", "(99999999999, 768)"), floats),
      /cut off: .*takes 307199999996928 bytes/,
    ],
    ["half a header", npy(LITTLE, floats).subarray(0, 30), /cut off in its header/],
    ["a long header", npy(" ".repeat(60000), floats), /has a header of 60000 bytes/],
    ["no shape", npy("{'descr': '<f4', 'fortran_order': False}", floats), /header that can't be understood/],
    ["a shape of calls", npy(LITTLE.replace("2, 3", "np.int64(2), 3"), floats), /header that can't be understood/],
    ["another version", npy(LITTLE, floats).fill(9, 6, 7), /version 9 of the \.npy format/],
    [
      "an index",
      concat(text("IxF2"), Uint8Array.of(3, 0, 0, 0), new Uint8Array(60)),
      /is a faiss index, not an \.npy array: give the index first/,
    ],
    ["a zip", text("PK\x03\x04 and more"), /is a zip, as an \.npz .* is, not an \.npy/],
    ["a text", text("0.1 0.2 0.3\n0.4"), /is text, "0\.1 0\.2 0\.3 0\.4", not an \.npy/],
    ["nothing", new Uint8Array(0), /is empty, 0 bytes, not an \.npy/],
    ["anything", Uint8Array.of(1, 2, 0, 4, 5, 6, 7, 8), /is no \.npy file/],
  ])("%s", async (_, bytes, sentence) => {
    const refused = { code: "ERR_FORMAT", message: expect.stringMatching(sentence) as string };
    await expect(read(bytes)).rejects.toMatchObject(refused);
  });

  test("a stream of unknown length: rows and columns of more than are read at once", async () => {
    const [n, d] = [300_001, 3];
    const numbers = Float32Array.from({ length: n * d }, (_, i) => i);
    const file = npy(LITTLE.replace("(2, 3)", `(${n}, ${d})`), numbers);
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < file.length; at += 100_003) yield file.slice(at, at + 100_003);
    }
    const of = async (): Promise<Float32Array> => (await openNpy("x.npy", openSource(pieces()), new Pace())).floats();
    expect(Buffer.compare(Buffer.from((await of()).buffer), Buffer.from(numbers.buffer))).toBe(0);
    const { faults, result } = await withFaults(Infinity, 1, of);
    expect(result.length).toBe(n * d);
    // Each time twice as much: what was made in all is at most four times the whole, chunks among it.
    expect(faults.bytes).toBeLessThan(4.5 * numbers.byteLength);
  });

  test("more numbers than memory holds", async () => {
    const file = npy(LITTLE.replace("(2, 3)", "(4, 4)"), new Float32Array(16));
    let failed = 0;
    for (let at = 0; ; at++) {
      let thrown: unknown;
      const { faults } = await withFaults(at, 1, () =>
        read(file).catch((error: unknown) => {
          thrown = error;
        }),
      );
      // What is there of the file already is none of its numbers.
      if (thrown instanceof CellistError) {
        failed++;
        expect(thrown).toMatchObject({ code: "ERR_MEMORY", message: expect.stringMatching(/x\.npy.* 16 /) as string });
      }
      if (faults.count <= at) break;
    }
    expect(failed).toBeGreaterThan(0);
  });

  test("a stream that says it is huge takes no more memory than it brings", async () => {
    const file = npy(LITTLE.replace("(2, 3)", "(99999999999, 768)"), floats);
    await expect(read([file])).rejects.toThrow(/cut off after \d+ bytes/);
  });
});
