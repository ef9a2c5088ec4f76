import { describe, expect, test } from "vitest";
import { kernelsOf } from "../src/codec/kernels.js";
import { indexFactory } from "../src/index.js";
import { Engine } from "../src/wasm/engine.js";
import { exponential, logarithm } from "../src/work/elementary.js";
import { randomOf, uniform } from "./random.js";

describe("what must be the same in every engine is what mathematics says", () => {
  test("logarithms", () => {
    for (const x of [1e-300, 1e-9, 0.1, 0.5, 0.999, 1, 1.5, 2, 3, 1024, 1e9, 1e300])
      expect(logarithm(x)).toBeCloseTo(Math.log(x), 11);
  });

  test("powers of e", () => {
    for (const x of [0, -1e-9, -0.1, -0.5, -1, -3, -17.25, -300])
      expect(exponential(x) / Math.exp(x)).toBeCloseTo(1, 11);
  });
});

/** SplitMix64 in 32-bit halves, as its authors' C has it: the last bit of each number. */
function lastBits(seed: number, n: number): number[] {
  let state = BigInt(seed);
  return Array.from({ length: n }, () => {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
    let z = BigInt.asUintN(64, (state ^ (state >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    return Number((z ^ (z >> 31n)) & 1n);
  });
}

test("a Hadamard rotation is three times signs of SplitMix64 and a Hadamard matrix", async () => {
  // Of seed 0 the first numbers are e220a8397b1dcdaf 6e789e6aa1b965f4 06c45d188009454f f88bb8a8724c81ec.
  expect(lastBits(0, 4)).toEqual([1, 0, 1, 0]);
  const [d, p] = [6, 8];
  const index = await indexFactory(d, "HR,Flat");
  const row = uniform(randomOf(1), d);
  await index.train(row);
  await index.add(row);
  const bytes = index.toBytes();
  const seed = new DataView(bytes.buffer).getInt32(Buffer.from(bytes).indexOf("HRot") + 4, true);
  const signs = lastBits(seed, 3 * p).map((bit) => (bit === 0 ? -1 : 1));
  let x = Array.from({ length: p }, (_, i) => (i < d ? row[i] : 0));
  for (let round = 0; round < 3; round++) {
    const signed = x.map((value, i) => value * signs[round * p + i]);
    x = signed.map((_, i) => {
      // The sign of an entry of the matrix is the parity of the bits that its row and column share.
      const parity = (j: number): number => (i & j).toString(2).replaceAll("0", "").length % 2;
      return signed.reduce((sum, value, j) => sum + (parity(j) === 0 ? value : -value), 0) / Math.sqrt(p);
    });
  }
  // What is kept are the rotated rows, at the end of the file.
  const kept = new Float32Array(bytes.slice(bytes.length - p * 4).buffer);
  x.forEach((value, i) => {
    expect(kept[i]).toBeCloseTo(value, 5);
  });
});

test("sums of magnitudes are those of the columns", () => {
  const engine = new Engine();
  const kernels = kernelsOf(engine);
  const [n, width, stride] = [5, 3, 7];
  const numbers = Int16Array.from({ length: n * stride }, (_, i) => ((i * 37) % 100) - 50);
  const at = engine.allocate(numbers.byteLength);
  new Int16Array(engine.u8.buffer, at, numbers.length).set(numbers);
  const sums = engine.allocate(width * 8);
  for (const square of [0, 1]) {
    engine.f64.fill(0.5, sums >>> 3, (sums >>> 3) + width);
    kernels.addMagnitudes(at, n, width, stride, square, sums);
    const expected = Array.from({ length: width }, (_, j) => {
      let sum = 0.5;
      for (let i = 0; i < n; i++) sum += Math.abs(numbers[i * stride + j]) ** (1 + square);
      return sum;
    });
    expect([...engine.f64.subarray(sums >>> 3, (sums >>> 3) + width)]).toEqual(expected);
  }
});
