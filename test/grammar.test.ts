import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CellistError } from "../src/errors.js";
import { describeTree } from "../src/indexes/describe.js";
import { parseBrief } from "../src/factory/brief.js";
import { parseFactory } from "../src/factory/grammar.js";
import { outputDimension } from "../src/indexes/tree.js";
import type { IndexTree, ScalarType, TransformTree } from "../src/indexes/tree.js";

const flat: IndexTree = { kind: "flat" };
const sq = (type: ScalarType): IndexTree => ({ kind: "sq", type });
const pq = (m: number, bits = 8, polysemous = true): IndexTree => ({ kind: "pq", m, bits, polysemous });
type Pqr = IndexTree & { kind: "pqr" };
const pqr = (m: number, finer: number): Pqr => ({ kind: "pqr", m, bits: 8, finer: { m: finer, bits: 8 } });
const pqfs = (m: number, bbs = 32, residual = false): IndexTree => ({ kind: "pqfs", m, residual, bbs });
const hnsw = (m: number, storage: IndexTree = flat): IndexTree => ({ kind: "hnsw", m, storage });
const ivf = (nlist: number, code: IndexTree, coarse: IndexTree = flat): IndexTree => ({
  kind: "ivf",
  nlist,
  coarse,
  code,
});
const idmap = (base: IndexTree): IndexTree => ({ kind: "idmap", two: false, base });
const idmap2 = (base: IndexTree): IndexTree => ({ kind: "idmap", two: true, base });
const refine = (base: IndexTree, by: IndexTree = flat): IndexTree => ({ kind: "refine", base, refine: by });
const after = (transforms: TransformTree[], base: IndexTree): IndexTree => ({
  kind: "transform",
  transforms,
  base,
});
const pca = (dout: number, whiten = false, rotate = false): TransformTree => ({
  type: "PCA",
  dout,
  whiten,
  rotate,
});
const l2norm: TransformTree = { type: "L2norm" };

/** What parseFactory throws, which must be an ERR_FACTORY. */
function refusal(d: number, description: unknown): string {
  try {
    parseFactory(d, description as string);
  } catch (error) {
    expect(error).toBeInstanceOf(CellistError);
    expect((error as CellistError).code).toBe("ERR_FACTORY");
    return (error as CellistError).message;
  }
  return expect.unreachable(`${String(description)} parsed`);
}

// The last column is the canonical description, where it is not the one given.
const table: [d: number, description: string, tree: IndexTree, canonical?: string][] = [
  // the kinds of factory.md that faiss' tests have
  [12, "IVF10,PQ4", ivf(10, pq(4))],
  [12, "IVF10,PQ4np", ivf(10, pq(4, 8, false))],
  [12, "PQ4", pq(4)],
  [12, "PQ4np", pq(4, 8, false)],
  [12, "SQ8", sq("8")],
  [12, "PCAR8,IVF10,PQ4", after([pca(8, false, true)], ivf(10, pq(4)))],
  [128, "OPQ16,Flat", after([{ type: "OPQ", m: 16 }], flat)],
  [128, "OPQ16_64,Flat", after([{ type: "OPQ", m: 16, dout: 64 }], flat)],
  [128, "RaBitQ", { kind: "rabitq", bits: 1 }],
  [128, "IVF256,RaBitQ", ivf(256, { kind: "rabitq", bits: 1 })],
  [12, "HNSW32", hnsw(32)],
  [12, "HNSW32_SQ8", hnsw(32, sq("8")), "HNSW32,SQ8"],
  [12, "HNSW32_PQ4", hnsw(32, pq(4)), "HNSW32,PQ4"],
  [12, "HNSW32,Flat", hnsw(32), "HNSW32"],
  [12, "HNSW32,SQ8", hnsw(32, sq("8"))],
  [12, "HNSW,PQ4", hnsw(32, pq(4)), "HNSW32,PQ4"],
  [12, "HNSW32,PQ4np", hnsw(32, pq(4, 8, false))],
  [12, "HNSW32,PQ4x12np", hnsw(32, pq(4, 12, false))],
  [56, "PQ28x4fs", pqfs(28)],
  [56, "PQ28x4fs_64", pqfs(28, 64)],
  [56, "IVF50,PQ28x4fs_64", ivf(50, pqfs(28, 64))],
  [56, "IVF50,PQ28x4fsr_64", ivf(50, pqfs(28, 64, true))],
  [56, "PQ28x4fs,RFlat", refine(pqfs(28))],
  [50, "IVF32(PQ25),Flat", ivf(32, flat, pq(25))],
  [50, "PCA30,IVF32(PQ15),Flat", after([pca(30)], ivf(32, flat, pq(15)))],
  [50, "IVF32,Flat,Refine(PQ25x12)", refine(ivf(32, flat), pq(25, 12))],
  [50, "PCA32,IVF32,Flat,Refine(PQ25x12)", refine(after([pca(32)], ivf(32, flat)), pq(25, 12))],
  [50, "IVF1000(IVF20,SQ4,Refine(SQ8)),Flat", ivf(1000, flat, refine(ivf(20, sq("4")), sq("8")))],
  [50, "IVF1000,PQ25x4fsr", ivf(1000, pqfs(25, 32, true))],
  [20, "PCA10,Flat", after([pca(10)], flat)],
  [16, "IVF10,PQ4np", ivf(10, pq(4, 8, false))],
  [123, "Flat,RFlat", refine(flat)],
  [123, "IVF456,Flat", ivf(456, flat)],
  [123, "IVF3k,Flat", ivf(3072, flat), "IVF3072,Flat"],
  [123, "IVF1M,Flat", ivf(1048576, flat), "IVF1048576,Flat"],
  [123, "IVF1M_HNSW,Flat", ivf(1048576, flat, hnsw(32)), "IVF1048576_HNSW32,Flat"],
  [123, "IVF100_HNSW,Flat", ivf(100, flat, hnsw(32)), "IVF100_HNSW32,Flat"],
  [123, "Flat,IDMap", idmap(flat)],
  [123, "Flat,IDMap2", idmap2(flat)],
  [123, "IDMap2,Flat", idmap2(flat), "Flat,IDMap2"],
  [8, "IDMap,PQ4x4fs,RFlat", idmap(refine(pqfs(4))), "PQ4x4fs,RFlat,IDMap"],
  [
    123,
    "PCAR100,L2Norm,PCAW50,Flat",
    after([pca(100, false, true), l2norm, pca(50, true)], flat),
    "PCAR100,L2norm,PCAW50,Flat",
  ],

  // defaults, written out
  [64, "PQ16x8", pq(16), "PQ16"],
  [64, "PQ16x4fs_32", pqfs(16), "PQ16x4fs"],
  [64, "HNSW", hnsw(32), "HNSW32"],
  [64, "HNSW16,", hnsw(16), "HNSW16"],
  [64, "OPQ16_64,Flat", after([{ type: "OPQ", m: 16 }], flat), "OPQ16,Flat"],
  [64, "RR64,Flat", after([{ type: "RR" }], flat), "RR,Flat"],
  [64, "RaBitQ1", { kind: "rabitq", bits: 1 }, "RaBitQ"],
  [64, "RaBitQfs1_32", { kind: "rabitqfs", bits: 1, bbs: 32 }, "RaBitQfs"],
  [64, "Flat,Refine(Flat)", refine(flat), "Flat,RFlat"],
  [64, "IVF16(Flat),Flat", ivf(16, flat), "IVF16,Flat"],
  [64, "IVF16(HNSW16,Flat),Flat", ivf(16, flat, hnsw(16)), "IVF16_HNSW16,Flat"],
  [64, "IVF0016,PQ016", ivf(16, pq(16)), "IVF16,PQ16"],

  [64, "IVF16,PQ8x8+16x8", ivf(16, pqr(8, 16)), "IVF16,PQ8+16"],

  // what is left of factory.md
  [64, "IVF16,PQ8+16", ivf(16, pqr(8, 16))],
  [
    64,
    "IVF16(HNSW8),PQ8x6+16x4",
    ivf(16, { ...pqr(8, 16), bits: 6, finer: { m: 16, bits: 4 } }, hnsw(8)),
    "IVF16_HNSW8,PQ8x6+16x4",
  ],
  [64, "RR96,Flat", after([{ type: "RR", dout: 96 }], flat)],
  [64, "PCAWR8,Flat", after([pca(8, true, true)], flat)],
  [60, "Pad64,PQ16", after([{ type: "Pad", dout: 64 }], pq(16))],
  [64, "Pad60,Flat", after([{ type: "Pad", dout: 64 }], flat), "Pad64,Flat"],
  [64, "RaBitQfs4_64", { kind: "rabitqfs", bits: 4, bbs: 64 }],
  [64, "IVF16,RaBitQ4", ivf(16, { kind: "rabitq", bits: 4 })],
  ...(["8", "6", "4", "fp16", "bf16", "8_direct", "8_direct_signed"] as const).flatMap((type): typeof table => [
    [5, `SQ${type}`, sq(type)],
    [5, `IVF16,SQ${type}`, ivf(16, sq(type))],
    [5, `HNSW8_SQ${type}`, hnsw(8, sq(type)), `HNSW8,SQ${type}`],
  ]),

  // the order of parsing
  [100, "PCA64,IVF100,Flat,RFlat", refine(after([pca(64)], ivf(100, flat)))],
  [100, "PCA64,IVF100,PQ16,Refine(PQ50)", refine(after([pca(64)], ivf(100, pq(16))), pq(50))],
  [256, "IVF4096(PQ128x4fs,RFlat),Flat,RFlat", refine(ivf(4096, flat, refine(pqfs(128))))],
  [8, "Flat,RFlat,RFlat", refine(refine(flat))],
  [8, "Flat,Refine(SQ8),Refine(SQ4)", refine(refine(flat, sq("8")), sq("4"))],
  [8, "SQ4,Refine(SQ8,Refine(Flat))", refine(sq("4"), refine(sq("8"))), "SQ4,Refine(SQ8,RFlat)"],
  [8, "Flat,IDMap,RFlat", refine(idmap(flat))],
  [8, "Flat,RFlat,IDMap2", idmap2(refine(flat))],
  [8, "Flat,IDMap,IDMap2", idmap2(idmap(flat))],
  [8, "Flat,IDMap2,IDMap", idmap(idmap2(flat))],
  [8, "IDMap,Flat,IDMap2", idmap2(idmap(flat)), "Flat,IDMap,IDMap2"],
  [8, "IDMap2,Flat,IDMap", idmap2(idmap(flat)), "Flat,IDMap,IDMap2"],
  [8, "IVF4(Flat,IDMap),Flat", ivf(4, flat, idmap(flat))],
  [8, "PCA4,Flat,IDMap", idmap(after([pca(4)], flat))],
  [8, "PCA4,IDMap,Flat", after([pca(4)], idmap(flat))],
  [8, "PCA4,(Flat,IDMap)", after([pca(4)], idmap(flat)), "PCA4,IDMap,Flat"],
  [8, "PCA4,IDMap,IDMap2,Flat", after([pca(4)], idmap(idmap2(flat)))],

  // parentheses around a whole index, where faiss has no description
  [8, "((Flat))", flat, "Flat"],
  [8, "PCA4,(Flat,RFlat)", after([pca(4)], refine(flat))],
  [8, "PCA4,IDMap,(Flat,RFlat)", after([pca(4)], idmap(refine(flat)))],
  [8, "PCA4,(L2norm,Flat)", after([pca(4)], after([l2norm], flat))],
  [8, "PCA4,(PQ4,Refine(PQ2)),Refine(PQ8)", refine(after([pca(4)], refine(pq(4), pq(2))), pq(8))],
];

test.each(table)("d = %i, %s", (d, description, tree, canonical = description) => {
  expect(parseFactory(d, description)).toStrictEqual(tree);
  expect(describeTree(tree)).toBe(canonical);
  expect(parseFactory(d, canonical)).toStrictEqual(tree);
});

describe("refusals", () => {
  test.each<[d: number, description: unknown, message: RegExp]>([
    [10, "PQ4", /^"PQ4" does not suit d = 10: d should be a multiple of M = 4; the next smaller M is 2$/],
    [10, "IVF16,PQ4x4fs", /^"PQ4x4fs" in "IVF16,PQ4x4fs" does not suit d = 10/],
    [8, "PCA6,PQ4", /d = 6: d should be a multiple of M = 4; the next smaller M is 3$/],
    [8, "PQ16", /next smaller M is 8$/],
    [8, "HNSW_PQ3", /^"PQ3" in "HNSW_PQ3" does not suit d = 8/],
    [8, "IVF16(PQ3),Flat", /multiple of M = 3/],
    [10, "PCA8,Flat,Refine(PQ8)", /d = 10/],
    [8, "PCA9,Flat", /PCA keeps at most d dimensions; take 8 or fewer/],
    [12, "OPQ16,Flat", /dout should be a multiple of M = 16/],
    [128, "OPQ16_60,Flat", /dout should be a multiple of M = 16; the next smaller M is 15/],
    [8, "Foo", /^could not parse "Foo": expected Flat, PQ16, .*IVF1024,Flat/],
    [8, "IVF16,Foo", /^could not parse "Foo" in "IVF16,Foo": expected Flat, PQ16, PQ32x4fs, SQ8/],
    [8, "HNSW32,PQ4x4fs", /^could not parse "PQ4x4fs" in .*: expected nothing, Flat, PQ16/],
    [8, "", /^could not parse "": expected Flat/],
    [8, "PCA4,", /^could not parse "" in "PCA4,"/],
    [8, "IVF16,", /^could not parse "" in "IVF16,"/],
    [8, "Flat,Refine()", /^could not parse "" in/],
    [8, ",Flat", /could not parse/],
    [8, ",IDMap", /could not parse "" in ",IDMap"/],
    [8, "flat", /case matters/],
    [8, "Flat ", /no blanks/],
    [8, "IVF16, Flat", /no blanks/],
    [8, "Flat\n", /could not parse "Flat\\n": .*blanks/],
    [8, "IVF16", /an IVF needs a code after a comma/],
    [8, "PCA4", /a transform stands before an index/],
    [8, "IVF16_HNSW8(Flat),Flat", /could not parse/],
    [8, "Flat(Flat)", /could not parse/],
    [8, "PQ4x4fsr", /only an IVF has residuals/],
    [8, "PQ4x8fs", /FastScan codes have 4 bits/],
    [64, "LTra64,Flat", /plain linear transform read from a file, which cannot be trained from a string/],
    [64, "PCA32,LTra16,Flat", /"LTra16,Flat" in .*plain linear transform/],
    [8, "PQ0", /M should be from 1 to 2147483647, not 0$/],
    [8, "IVF0,Flat", /the number of lists should be from 1/],
    [8, "IVF2147483648,Flat", /the number of lists should be from 1 to 2147483647/],
    [8, "IVF2048M,Flat", /the number before M should be from 1 to 2047, not 2048/],
    [8, "HNSW0", /M of HNSW should be from 1 to/],
    [8, "HNSW1", /M of HNSW should be from 2 to 524288, not 1/],
    [8, "IVF16_HNSW1,Flat", /M of HNSW should be from 2/],
    [8, "PQ4x0", /bits of a PQ code should be from 1 to 24/],
    [8, "PQ4x25", /bits of a PQ code should be from 1 to 24/],
    [8, "PQ4x4fs_48", /block size 48 should be a multiple of 32/],
    [8, "PQ4x4fs_0", /block size/],
    [8, "RaBitQ0", /could not parse/],
    [8, "Flat)", /unbalanced parentheses in "Flat\)": the "\)" at position 4 closes nothing/],
    [8, "IVF16(Flat,Flat", /the "\(" at position 5 is never closed/],
    [0, "Flat", /d should be an integer from 1 to 2147483647, not 0/],
    [1.5, "Flat", /d should be/],
    [NaN, "Flat", /not NaN/],
    [2 ** 31, "Flat", /d should be/],
    [8, undefined, /expected a description such as "IVF1024,Flat", not undefined/],
    [8, ["Flat"], /not object/],
    // faiss' own, outside of factory.md
    ...[
      ..."IVF10,FlatDedup NSG64 NSG64,Flat LSHrt LSH16rt ITQ8,LSHt LSHrt,Refine(Flat)".split(" "),
      ..."IVF100(LSHr),Flat IVF256(RCQ2x4),RQ3x4 RQ2x16_3x8_6x4 RQ8x8_Nqint8 IVF256,ITQ64,SH1.2".split(" "),
      "IVF65536_NSG64,Flat",
      ..."HNSW32,256+PQ41 HNSW32_2x8+PQ41 HNSW32,FlatPanorama IVF10,FlatPanorama4_32 FlatL2Panorama8 IVF10,SQtqmse4".split(
        " ",
      ),
    ].map((description): [number, unknown, RegExp] => [123, description, /faiss has this one, cellist does not/]),
    [64, "PQ8+8", /only an IVF has a PQ that a second one refines, as in IVF1024,PQ16\+8/],
    [64, "IVF16,PQ8+7", /d should be a multiple of M = 7/],
  ])("d = %d, %j", (d, description, message) => {
    expect(refusal(d, description)).toMatch(message);
  });

  test("at 50 levels and not at 51", () => {
    for (const [left, right] of [
      ["", ",IDMap"],
      ["IDMap2,", ""],
      ["", ",RFlat"],
      ["IVF4(", "),Flat"],
      ["RR,(", ")"],
    ]) {
      const nested = (n: number) => `${left.repeat(n)}Flat${right.repeat(n)}`;
      const tree = parseFactory(8, nested(49));
      expect(parseFactory(8, describeTree(tree))).toStrictEqual(tree);
      expect(refusal(8, nested(50))).toMatch(/deeper than 50 levels/);
    }
  });

  test.each([
    "(",
    ")",
    "()",
    "IVF4(",
    "Flat,Refine(",
    "IDMap,",
    ",IDMap",
    ",RFlat",
    ",",
    "1",
    "PQ1",
    "IVF",
    "Flat,",
    "x",
    " ",
    "\ud800",
  ])("100 kB of %j, quickly and in a short sentence", (text) => {
    const start = performance.now();
    expect(refusal(8, text.repeat(1e5 / text.length)).length).toBeLessThan(600);
    for (const before of ["HNSW", "IVF", "PQ", "PCA4,", "IVF16,", "OPQ4_"])
      refusal(8, before + text.repeat(1e5 / text.length) + "!");
    expect(performance.now() - start).toBeLessThan(1000);
  });
});

test("a linear transform from a file is described", () => {
  expect(describeTree(after([{ type: "LTra", dout: 64 }], ivf(16, pqfs(32))))).toBe("LTra64,IVF16,PQ32x4fs");
  expect(describeTree(after([], refine(flat)))).toBe("Flat,RFlat");
});

test("outputDimension", () => {
  expect(outputDimension(pca(8), 64)).toBe(8);
  expect(outputDimension({ type: "OPQ", m: 4 }, 64)).toBe(64);
  expect(outputDimension(l2norm, 64)).toBe(64);
});

describe("properties", () => {
  const from = fc.constantFrom;
  const bbs = from(32, 64, 96);
  const bits = fc.integer({ min: 1, max: 9 });
  const divisor = (d: number) => from(...[1, 2, 3, 4, 6, 8, 12, 24].filter((m) => d % m === 0));

  const scalar = from<ScalarType>(
    ...(["8", "6", "4", "fp16", "bf16", "8_direct", "8_direct_signed", "8_uniform", "4_uniform"] as const),
  ).map(sq);
  const product = (d: number) =>
    fc.tuple(divisor(d), fc.integer({ min: 1, max: 24 }), fc.boolean()).map((x) => pq(...x));
  const storage = (d: number) => fc.oneof(fc.constant(flat), scalar, product(d));
  const code = (d: number, residual: boolean): fc.Arbitrary<IndexTree> =>
    fc.oneof(
      storage(d),
      fc.tuple(divisor(d), bbs, residual ? fc.boolean() : fc.constant(false)).map((x) => pqfs(...x)),
      bits.map((n): IndexTree => ({ kind: "rabitq", bits: n })),
      fc.tuple(bits, bbs).map(([n, size]): IndexTree => ({ kind: "rabitqfs", bits: n, bbs: size })),
      fc
        .tuple(fc.integer({ min: 1, max: 8 }), fc.boolean())
        .map(([n, biased]): IndexTree => ({ kind: "eden", bits: n, biased })),
      ...(residual
        ? [
            fc.tuple(divisor(d), bits, divisor(d), bits).map(([m, n, ...finer]): IndexTree => ({
              kind: "pqr",
              m,
              bits: n,
              finer: { m: finer[0], bits: finer[1] },
            })),
          ]
        : []),
    );
  const dout = from(4, 8, 12, 24, 48);
  const transform = (d: number): fc.Arbitrary<TransformTree> =>
    fc.oneof(
      fc.tuple(fc.integer({ min: 1, max: d }), fc.boolean(), fc.boolean()).map((x) => pca(...x)),
      divisor(d).map((m): TransformTree => ({ type: "OPQ", m })),
      dout.filter((n) => n !== d).chain((n) => divisor(n).map((m): TransformTree => ({ type: "OPQ", m, dout: n }))),
      dout.map((n): TransformTree => (n === d ? { type: "RR" } : { type: "RR", dout: n })),
      fc.constant(l2norm),
      fc.nat(9).map((n): TransformTree => ({ type: "Pad", dout: d + n })),
    );
  const transforms = (d: number, n: number): fc.Arbitrary<TransformTree[]> =>
    transform(d).chain((t) =>
      n === 1 ? fc.constant([t]) : transforms(outputDimension(t, d), n - 1).map((rest) => [t, ...rest]),
    );
  const tree = (d: number, levels: number): fc.Arbitrary<IndexTree> => {
    const basic = fc.oneof(
      code(d, false),
      fc.tuple(fc.integer({ min: 2, max: 64 }), storage(d)).map((x) => hnsw(...x)),
    );
    if (levels === 0) return basic;
    const inner = tree(d, levels - 1);
    return fc.oneof(
      basic,
      fc.tuple(fc.integer({ min: 1, max: 5000 }), code(d, true), inner).map((x) => ivf(...x)),
      inner.map(idmap),
      inner.map(idmap2),
      inner.map((base) => refine(base)),
      fc.tuple(inner, inner).map((x) => refine(...x)),
      fc
        .nat(2)
        .chain((n) => transforms(d, n + 1))
        .chain((chain) =>
          tree(
            chain.reduce((dim, t) => outputDimension(t, dim), d),
            levels - 1,
          ).map((base) => after(chain, base)),
        ),
    );
  };

  test("every tree has a description", () => {
    fc.assert(
      fc.property(
        dout.chain((d) => fc.tuple(fc.constant(d), tree(d, 4))),
        ([d, t]) => {
          expect(parseFactory(d, describeTree(t))).toStrictEqual(t);
        },
      ),
      { numRuns: 1000 },
    );
  });

  test("in brief: the kinds of the core, and the grammar's trees of them", () => {
    for (const [d, text] of [
      [8, "Flat"],
      [8, "IVF7,Flat"],
      [8, "PQ4x4fs"],
      [8, "IDMap,PQ4x4fs_64"],
      [8, "IVF7,PQ2x4fsr,RFlat"],
      [8, "IDMap2,IVF1024,PQ8x4fs,RFlat"],
      [8, "IVF7,PQ2x4fsr_64,RFlat,IDMap"],
    ] as const) {
      expect(parseBrief(d, text)).toStrictEqual(parseFactory(d, text));
    }
    // What the grammar has more to say of is left to it.
    for (const text of "IVF0,Flat IVF0,PQ4x4fs PQ3x4fs PQ4x4fs_0 PQ4x4fs_33 PQ4x4fsr IDMap,Flat,IDMap".split(" "))
      expect(parseBrief(8, text), text).toBeUndefined();
    const parts = from(
      ..."Flat PQ4x4fs PQ3x4fs PQ4x4fsr _64 _33 _0 IVF4 IVF0 IVF04 IVF9999999999 IDMap IDMap2 RFlat SQ8 , , ,".split(
        " ",
      ),
    );
    fc.assert(
      fc.property(
        fc.array(parts, { maxLength: 9 }).map((x) => x.join("")),
        from(8, 0, 2 ** 31, 7.5),
        (text, d) => {
          const brief = parseBrief(d, text);
          if (brief !== undefined) expect(brief).toStrictEqual(parseFactory(d, text));
        },
      ),
      { numRuns: 3000 },
    );
  });

  const words =
    "Flat PQ4 PQ4x4fs PQ4x4fsr_64 x8 np SQ8 HNSW HNSW16 IVF4 IVF4k _HNSW8 IDMap IDMap2 RFlat Refine( Refine(Flat) ( ) , , , _ PCA4 OPQ4 OPQ2_4 RR L2Norm Pad9 LTra8 7 PQ4+2 x5+8x3";
  test("whatever parses survives, whatever does not is an ERR_FACTORY", () => {
    let parsed = 0;
    const check = (text: string) => {
      let t: IndexTree;
      try {
        t = parseFactory(8, text);
      } catch (error) {
        expect((error as CellistError).code).toBe("ERR_FACTORY");
        return;
      }
      parsed++;
      const canonical = describeTree(t);
      const again = parseFactory(8, canonical);
      expect(again).toStrictEqual(t);
      expect(describeTree(again)).toBe(canonical);
    };
    fc.assert(fc.property(fc.string({ unit: "binary" }), check), { numRuns: 500 });
    fc.assert(
      fc.property(
        fc.array(from(...words.split(" ")), { maxLength: 9 }).map((x) => x.join("")),
        check,
      ),
      { numRuns: 3000 },
    );
    fc.assert(
      fc.property(
        fc.array(from(...words.split(" ")), { maxLength: 9 }).map((x) => x.join(",")),
        check,
      ),
      { numRuns: 3000 },
    );
    expect(parsed).toBeGreaterThan(100);
  });
});
