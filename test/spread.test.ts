import fc from "fast-check";
import { expect, it } from "vitest";
import { kernelsOf } from "../src/codec/kernels.js";
import { Engine } from "../src/wasm/engine.js";
import { Desk } from "./desk.js";
import { below, randomOf, uniform } from "./random.js";

// Rows of numbers times the basis: as the sum over columns in their order, in floats, and as expand and product give them, to the bit.

const f = Math.fround;

it("rows of numbers times a matrix equal their scalar twin, few zeros or many", () => {
  const engine = new Engine();
  const kernels = kernelsOf(engine);
  const placed = (array: Float32Array | Int16Array) => {
    const address = engine.allocate(array.byteLength + 16);
    engine.u8.set(new Uint8Array(array.buffer, 0, array.byteLength), address);
    return address;
  };
  const shape = fc.record({
    n: fc.integer({ min: 1, max: 37 }),
    width: fc.integer({ min: 1, max: 41 }),
    more: fc.integer({ min: 0, max: 9 }),
    d: fc.integer({ min: 1, max: 53 }),
    density: fc.constantFrom(0, 0.1, 0.4, 0.6, 0.65, 0.9, 1),
    seed: fc.integer(),
  });
  const dense = { below: 0, above: 0 };
  fc.assert(
    fc.property(shape, ({ n, width, more, d, density, seed }) => {
      const random = randomOf(seed);
      const stride = width + more;
      const padded = Math.ceil(width / 4) * 4;
      const capacity = Math.ceil((width + more) / 8) * 8;
      const numbers = Int16Array.from({ length: n * stride }, () => {
        if (random() >= density) return 0;
        return (random() < 0.5 ? -1 : 1) * (random() < 0.02 ? 32767 : 1 + below(random, 4));
      });
      const scales = Float32Array.from({ length: n }, random);
      const [ones, twos] = [uniform(random, padded, 0.5), uniform(random, padded, 0.5)];
      const base = Float32Array.from(uniform(random, d), (x) => (random() < 0.2 ? 0 : x));
      const matrix = uniform(random, width * d);
      const top = [numbers, scales, ones, twos, base, matrix].map(placed);
      const [numbersAt, scalesAt, onesAt, twosAt, baseAt, matrixAt] = top;
      const packed = engine.allocate(kernels.packedBytes(capacity, d));
      kernels.packRows(matrixAt, width, d, 0, capacity, packed);

      const scratch = engine.allocate(kernels.spreadScratch(width));
      const out = engine.allocate(n * d * 4 + 16);
      const behind = (out >>> 2) + n * d;
      engine.f32.fill(7, behind, behind + 4);
      kernels.spread(numbersAt, n, width, stride, onesAt, twosAt, scalesAt, packed, capacity, d, baseAt, out, scratch);
      const result = engine.f32.slice(out >>> 2, behind);
      expect([...engine.f32.subarray(behind, behind + 4)]).toEqual([7, 7, 7, 7]);

      let listed = 0;
      const twin = new Float32Array(n * d);
      for (let i = 0; i < n; i++) {
        for (let j = 0; j < d; j++) {
          let sum = base[j];
          for (let c = 0; c < width; c++) {
            const k = numbers[i * stride + c];
            if (k === 0) continue;
            listed += j === 0 ? 1 : 0;
            const size = Math.abs(k);
            const value = Math.sign(k) * f(size + (size === 1 ? ones[c] : size === 2 ? twos[c] : 0));
            sum = f(sum + f(f(value * scales[i]) * matrix[c * d + j]));
          }
          twin[i * d + j] = sum;
        }
      }
      dense[listed > 0.62 * n * width ? "above" : "below"]++;
      expect(result).toEqual(twin);

      const [floats, other] = [engine.allocate(n * padded * 4), engine.allocate(n * d * 4)];
      kernels.expand(numbersAt, n, width, stride, onesAt, twosAt, scalesAt, floats, padded);
      kernels.product(floats, n, padded, width, packed, capacity, d, baseAt, other, d);
      expect(engine.f32.slice(other >>> 2, (other >>> 2) + n * d)).toEqual(result);
      for (const address of [...top, packed, scratch, out, floats, other]) engine.release(address);
    }),
    { numRuns: 150, seed: 11 },
  );
  expect(Math.min(dense.below, dense.above)).toBeGreaterThan(20);
});

it("what nobody has is left out where there are few numbers, and all is multiplied where there are more than .62", () => {
  const engine = new Engine();
  const kernels = kernelsOf(engine);
  const desk = new Desk(engine);
  const random = randomOf(12);
  const [n, width, d] = [4, 25, 20];
  for (const given of [0, 1, 61, 62, 63, 96]) {
    // Of a hundred numbers; the last column has none, and its row of the basis is no number.
    const places = Array.from({ length: n * (width - 1) }, (_, i) => (i % n) * width + Math.floor(i / n)).slice(
      0,
      given,
    );
    const numbers = new Int16Array(n * width);
    for (const place of places) numbers[place] = 3;
    const matrix = uniform(random, width * d).fill(NaN, (width - 1) * d);
    const packed = desk.room(kernels.packedBytes(width, d));
    kernels.packRows(desk.put(matrix), width, d, 0, width, packed);
    const more = desk.put(new Float32Array(28));
    const scales = desk.put(new Float32Array(n).fill(1));
    const out = desk.room(n * d * 4);
    const scratch = desk.room(kernels.spreadScratch(width));
    const base = desk.put(uniform(random, d));
    kernels.spread(desk.put(numbers), n, width, width, more, more, scales, packed, width, d, base, out, scratch);
    expect(desk.floats(out, n * d).every(Number.isNaN), String(given)).toBe(given > 62);
    expect(desk.floats(out, n * d).some(Number.isNaN)).toBe(given > 62);
    desk.clear();
  }
});
