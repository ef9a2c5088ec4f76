import { dump } from "npyjs";
import { describe, expect, test } from "vitest";
import { buildVoiceIndex } from "../src/rvc/index.js";
import type { Slices, Voice, VoiceOptions } from "../src/rvc/index.js";
import { randomOf, uniform } from "./random.js";
import { refusalOf } from "./rejections.js";

const D = 256;
const N = 60;
const names = ["0_0.npy", "0_1.npy"];
const [a, b] = [1, 2].map((seed) => uniform(randomOf(seed), N * D));
const files = [a, b].map((rows) => new Uint8Array(dump(rows, [N, D])));
const odd = (slices: unknown): Slices => slices as Slices;

function build(slices: unknown, options: VoiceOptions = {}): Promise<Voice> {
  return buildVoiceIndex(odd(slices), { version: "v1", ...options });
}

const expected = (await build(names.map((name, i) => ({ name, data: [a, b][i] })))).index.toBytes();

describe("slices are taken as pages have them", () => {
  const fileList = (): unknown => {
    const list = names.map((name, i) => new File([files[i]], name));
    // As browsers have it: of items and a length, to be iterated.
    return { 0: list[0], 1: list[1], length: 2, item: (i: number) => list[i], [Symbol.iterator]: () => list.values() };
  };
  const response = (i: number): Response =>
    Object.create(new Response(files[i]), { url: { value: `https://x.org/${names[i]}?v=1` } }) as Response;

  test.each<[string, () => unknown]>([
    ["bytes", () => names.map((name, i) => ({ name, data: files[i] }))],
    ["in any order", () => [1, 0].map((i) => ({ name: names[i], data: files[i] }))],
    ["ArrayBuffers", () => names.map((name, i) => ({ name, data: files[i].buffer }))],
    ["Files", () => names.map((name, i) => new File([files[i]], name))],
    ["Files as data", () => names.map((name, i) => ({ name, data: new File([files[i]], "other") }))],
    ["a FileList", fileList],
    ["Blobs as data", () => names.map((name, i) => ({ name, data: new Blob([files[i]]) }))],
    ["responses", () => [response(1), response(0)]],
    ["fetches that were not awaited", () => names.map(async (_, i) => response(i))],
    ["fetches as data", () => names.map((name, i) => ({ name, data: Promise.resolve(new Response(files[i])) }))],
    ["streams", () => names.map((name, i) => ({ name, data: new Blob([files[i]]).stream() }))],
    ["a Map", () => new Map(names.map((name, i) => [name, files[i]]))],
    ["entries of an object", () => Object.entries({ "0_1.npy": files[1], "0_0.npy": files[0] })],
    ["no names", () => [{ data: files[0] }, { data: files[1] }]],
    ["arrays alone", () => [a, b]],
    [
      "a generator that uses one array for all",
      function* () {
        const rows = new Float32Array(N * D);
        for (const [i, name] of names.entries()) {
          rows.set([a, b][i]);
          yield { name, data: rows };
        }
      },
    ],
    [
      "a generator that uses one piece of memory for all files",
      async function* () {
        const bytes = new Uint8Array(files[0].length);
        for (const [i, name] of names.entries()) {
          bytes.set(files[i]);
          yield { name, data: bytes };
        }
      },
    ],
  ])("%s", async (_, slices) => {
    const given = slices();
    const { index, rows } = await build(typeof given === "function" ? (given as () => unknown)() : given);
    expect(rows).toBe(2 * N);
    expect(Buffer.compare(index.toBytes(), expected)).toBe(0);
  });

  test.each<[string, unknown]>([
    ["a File", new File([files[0]], "0_0.npy")],
    ["a Blob", new Blob([files[0]])],
    ["a response", new Response(files[0])],
    ["bytes", files[0]],
    ["floats", a],
    ["a slice", { name: "x", data: a }],
  ])("a single one: %s", async (_, slice) => {
    const one = await build([{ name: "0_0.npy", data: a }]);
    const { index } = await build(slice);
    expect(Buffer.compare(index.toBytes(), one.index.toBytes())).toBe(0);
  });
});

describe("what is no slice is called what it is, with the next step", () => {
  test.each<[string, unknown, RegExp]>([
    ["undefined", undefined, /slices are undefined: give an array of \{ name, data \}/],
    ["null", null, /slices are null/],
    ["a path", "3_feature256", /slices are the text "3_feature256"/],
    ["an object", { "0_0.npy": files[0] }, /slices are an Object: .*Object\.entries/],
    ["a promise", Promise.resolve([]), /slices are a Promise: await it first/],
    ["none", [], /there are no rows/],
    ["numbers", [1, 2, 3], /slice 0 is the number 1: give \{ name, data \} or a File/],
    ["paths", [{ data: a }, "0_0.npy"], /slice 1 is the text "0_0\.npy"/],
    ["undefined data", [{ name: "0_0.npy", data: undefined }], /0_0\.npy .*undefined/],
    ["a path as data", [{ name: "0_0.npy", data: "x/0_0.npy" }], /0_0\.npy .*x\/0_0\.npy/],
    ["an object as data", [{ name: "0_0.npy", data: {} }], /0_0\.npy .*Object/],
  ])("%s", async (_, slices, sentence) => {
    const error = await refusalOf(build(slices));
    expect(error.code).toBe("ERR_PARAMETER");
    expect(error.message).toMatch(sentence);
  });

  test("a shape that does not fit says what would", async () => {
    const of = (shape: number[]): unknown[] => [
      { name: "0_0.npy", data: dump(new Float32Array(shape.reduce((x, y) => x * y, 1)), shape) },
    ];
    for (const [shape, sentence] of [
      [[2, 10, D], /shape \[2, 10, 256\].*reshape\(-1, 256\)/],
      [[D], /shape \[256\].*x\[None\]/],
      [[D, 9], /shape \[256, 9\].*x\.T/],
      [[9, 768], /shape \[9, 768\].*other RVC version/],
    ] as const) {
      const error = await refusalOf(build(of([...shape])));
      expect(error.code).toBe("ERR_DIMENSION");
      expect(error.message).toMatch(sentence);
    }
  });

  test("a download that failed", async () => {
    const error = await refusalOf(build([{ name: "0_0.npy", data: new Response("no", { status: 404 }) }]));
    expect(error.message).toMatch(/the response is 404/);
  });
});

describe("rows with NaN or infinity", () => {
  const spoilt = b.slice();
  spoilt[7 * D + 9] = NaN;
  spoilt[8 * D] = Infinity;
  const slices = (): unknown => [
    { name: "0_1.npy", data: dump(spoilt, [N, D]) },
    { name: "0_0.npy", data: a },
  ];

  test("are said by their file, row and column", async () => {
    const error = await refusalOf(build(slices()));
    expect(error.code).toBe("ERR_NOT_FINITE");
    expect(error.message).toMatch(/^0_1\.npy: row 7 has NaN in column 9 .*skipNonFinite/);
    expect((await refusalOf(build([a, spoilt]))).message).toMatch(/^slice 1: row 7 has NaN in column 9/);
  });

  test("are left out where that is asked for, and counted", async () => {
    const rest = Float32Array.of(...b.subarray(0, 7 * D), ...b.subarray(9 * D));
    const wanted = await build([
      { name: "0_0.npy", data: a },
      { name: "0_1.npy", data: rest },
    ]);
    expect(wanted.skipped).toBe(0);
    const { index, skipped, rows } = await build(slices(), { skipNonFinite: true });
    expect({ skipped, rows }).toEqual({ skipped: 2, rows: 2 * N - 2 });
    expect(Buffer.compare(index.toBytes(), wanted.index.toBytes())).toBe(0);
    // The caller's own arrays stay as they are.
    expect(spoilt[8 * D]).toBe(Infinity);
    await build([spoilt], { skipNonFinite: true });
    expect(spoilt[7 * D + 9]).toBeNaN();
  });

  test("nothing but such rows is no voice", async () => {
    const error = await refusalOf(build([new Float32Array(3 * D).fill(NaN)], { skipNonFinite: true }));
    expect(error.message).toMatch(/no rows \(3 with NaN or infinity were left out\)/);
  });
});

describe("the name and the dimensions", () => {
  test("a name can't lead out of the folder", async () => {
    for (const [name, part] of [
      ["a/b:c", "a_b_c"],
      ["../../x", ".._.._x"],
      ['<"|?*\\>\n', "_"],
      ["", "voice"],
      ["王 (final) #2", "王 (final) #2"],
    ]) {
      expect((await build([a], { name })).fileName).toBe(`added_IVF1_Flat_nprobe_1_${part}_v1.index`);
    }
    expect((await refusalOf(build([a], { name: 7 as never }))).message).toMatch(/name is the number 7/);
  });

  test("d decides the version, or does without", async () => {
    const of = async (options: VoiceOptions, d: number): Promise<string> =>
      (await buildVoiceIndex([uniform(randomOf(3), 50 * d)], options)).fileName;
    expect(await of({ d: 256 }, 256)).toMatch(/_v1\.index$/);
    expect(await of({ d: 768 }, 768)).toMatch(/_v2\.index$/);
    expect(await of({}, 768)).toMatch(/_v2\.index$/);
    expect(await of({ d: 1024 }, 1024)).toBe("added_IVF1_Flat_nprobe_1_voice_d1024.index");
    expect(await refusalOf(build([a], { d: 768 }))).toMatchObject({ code: "ERR_DIMENSION" });
    expect(await refusalOf(build([a], { d: 0, version: undefined as never }))).toMatchObject({ code: "ERR_PARAMETER" });
    for (const version of ["V2", 2, "toString"])
      expect(await refusalOf(build([a], { version: version as never }))).toMatchObject({ code: "ERR_PARAMETER" });
  });
});

test.each(["dims", "shape"])("a slice that is an array with %s is taken by what these say", async (key) => {
  const data = uniform(randomOf(3), 300 * 768);
  const slice = (width: number): unknown => ({ data, [key]: [(300 * 768) / width, width] });
  const rowsOf = async (width: number): Promise<number> => (await build([slice(width)])).index.ntotal;
  expect(await rowsOf(256)).toBe(900);
  // As many numbers as 900 rows of 256 have, and none of them.
  expect(await refusalOf(rowsOf(768))).toMatchObject({
    code: "ERR_DIMENSION",
    message: expect.stringContaining("768") as string,
  });
});
