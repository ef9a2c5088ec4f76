import { expect, test } from "vitest";
import { Engine } from "../src/wasm/engine.js";
import { moreKernels } from "../src/wasm/more.js";
import { Desk } from "./desk.js";
import { below, randomOf, uniform } from "./random.js";
import { rowOf } from "./reference.js";

// Kernels of scalar quantizers and 16-bit floats, each beside its definition, to the bit.

const engine = new Engine();
const more = moreKernels(engine);
const desk = new Desk(engine);
const { fround: f } = Math;

const SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 16, 19];

/** A row of numbers of so many bits, low bits first, and so many bytes. */
function packed(numbers: readonly number[], bits: number, bytes: number): number[] {
  const row = new Array<number>(bytes).fill(0);
  numbers.forEach((number, j) => {
    for (let bit = 0; bit < bits; bit++)
      if ((number >> bit) & 1) row[(j * bits + bit) >> 3] |= 1 << ((j * bits + bit) & 7);
  });
  return row;
}

function bytesAt(address: number, n: number): number[] {
  return [...engine.u8.slice(address, address + n)];
}

test("components become numbers of any bits, and stand for a place in their range", () => {
  const random = randomOf(1);
  for (const d of SIZES) {
    for (const bits of [1, 3, 4, 5, 6, 7, 8]) {
      for (const n of [0, 1, 3]) {
        const most = 2 ** bits - 1;
        const [first, span] = [uniform(random, d), uniform(random, d).map((x) => 1.5 + x)];
        if (d > 2) span[1] = 0;
        const vectors = uniform(random, n * d, 3);
        // At the ends of the range, beyond them, and none at all.
        for (let i = 0; i < n; i++) {
          const j = (3 * i) % d;
          vectors[i * d + j] = [first[j], f(first[j] + span[j]), NaN][i % 3];
        }
        const bytes = Math.ceil((d * bits) / 8);
        const rowBytes = bytes + 6;
        desk.atEnds(() => {
          const rows = desk.room(n * rowBytes);
          more.encodeScalar(desk.put(vectors), n, d, bits, desk.put(first), desk.put(span), rows, rowBytes);
          const numbers = Array.from({ length: n }, (_, i) =>
            Array.from(rowOf(vectors, d, i), (x, j) => {
              if (span[j] === 0) return 0;
              const share = Math.min(1, Math.max(0, f(f(x - first[j]) / span[j])));
              return Number.isNaN(share) ? 0 : Math.floor(bits === 8 ? f(share * 255) : share * most);
            }),
          );
          expect(bytesAt(rows, n * rowBytes)).toEqual(numbers.flatMap((own) => packed(own, bits, rowBytes)));
          const [low, scale] = [uniform(random, d), uniform(random, d)];
          const given = desk.put(Uint8Array.from(numbers.flatMap((own) => packed(own, bits, bytes))));
          const [lowAt, scaleAt] = [desk.put(low), desk.put(scale)];
          const out = desk.room(n * d * 4);
          more.decodeScalar(given, bytes, n, d, bits, lowAt, scaleAt, out);
          expect(desk.floats(out, n * d)).toEqual(
            numbers.flatMap((own) => own.map((number, j) => f(low[j] + f(scale[j] * number)))),
          );
          // The term of a row is its last four bytes.
          const centroids = uniform(random, 4 * d);
          const cells = Array.from({ length: n }, () => below(random, 4));
          const cellsAt = desk.put(Int32Array.from(cells));
          for (const centroidsAt of [0, desk.put(centroids)]) {
            more.termsOfScalar(rows, rowBytes, n, d, bits, lowAt, scaleAt, centroidsAt, cellsAt);
            numbers.forEach((own, i) => {
              const at = rows + i * rowBytes;
              expect(bytesAt(at, rowBytes - 4)).toEqual(packed(own, bits, rowBytes).slice(0, -4));
              const sum = own.reduce((total, number, j) => {
                const r = low[j] + scale[j] * number;
                return total + r * (centroidsAt === 0 ? r : r + 2 * centroids[cells[i] * d + j]);
              }, 0);
              expect(new DataView(engine.u8.buffer).getFloat32(at + rowBytes - 4, true)).toBe(f(sum));
            });
          }
        });
      }
    }
  }
});

test("whole numbers that are bytes, and the first that is none", () => {
  const random = randomOf(2);
  for (const [d, offset] of [
    [1, 0],
    [3, 128],
    [8, 0],
  ]) {
    for (const n of [0, 1, 4]) {
      const vectors = Float32Array.from({ length: n * d }, (_, at) => [0, 255, below(random, 256)][at % 3] - offset);
      const rowBytes = d + 4;
      desk.atEnds(() => {
        const rows = desk.room(n * rowBytes);
        const untouched = bytesAt(rows, n * rowBytes);
        expect(more.encodeDirect(desk.put(vectors), n, d, offset, rows, rowBytes)).toBe(-1);
        expect(bytesAt(rows, n * rowBytes)).toEqual(
          untouched.map((byte, at) => {
            const [i, j] = [Math.floor(at / rowBytes), at % rowBytes];
            return j < d ? vectors[i * d + j] + offset : byte;
          }),
        );
      });
      for (let at = 0; at < n * d; at++) {
        for (const bad of [-1, 256, 1e10]) {
          const spoilt = vectors.slice();
          spoilt[at] = spoilt[n * d - 1] = bad - offset;
          expect(more.encodeDirect(desk.put(spoilt), n, d, offset, desk.room(n * rowBytes), rowBytes)).toBe(at);
          desk.clear();
        }
      }
    }
  }
});

test("16-bit floats: rows that are wider than their components, and what is infinite", () => {
  const random = randomOf(3);
  for (const d of SIZES) {
    for (const n of [0, 1, 3]) {
      const rowBytes = 2 * d + 4;
      // Multiples of 1/4 below 32: both kinds have them.
      const vectors = Float32Array.from({ length: n * d }, () => (below(random, 255) - 127) / 4);
      desk.atEnds(() => {
        const vectorsAt = desk.put(vectors);
        for (const brain of [false, true]) {
          const rows = desk.room(n * rowBytes);
          const untouched = bytesAt(rows, n * rowBytes);
          if (brain) more.encodeBf16(vectorsAt, n, d, rows, rowBytes);
          else expect(more.encodeFp16(vectorsAt, n, d, rows, rowBytes)).toBe(-1);
          // What is behind the components of a row stays.
          bytesAt(rows, n * rowBytes).forEach((byte, at) => {
            if (at % rowBytes >= 2 * d) expect(byte).toBe(untouched[at]);
          });
          const own = Array.from({ length: n }, (_, i) => bytesAt(rows + i * rowBytes, 2 * d));
          const given = desk.put(Uint8Array.from(own.flat()));
          const out = desk.room(n * d * 4);
          more.decodeHalves(given, 2 * d, n, d, brain, out);
          expect(desk.floats(out, n * d).map((x) => x + 0)).toEqual([...vectors].map((x) => x + 0));
        }
      });
    }
  }
});
