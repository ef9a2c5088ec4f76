import { Worker } from "node:worker_threads";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Ring } from "cellist/ring";

test("what is written is read, in order, whatever the sizes: held against an array", () => {
  const step = fc.record({ write: fc.boolean(), count: fc.nat(40) });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 64 }), fc.integer(), fc.array(step), (size, start, steps) => {
      const memory = Ring.memory(size);
      const room = 2 ** Math.ceil(Math.log2(size));
      // Counts that have gone round, and are about to.
      new Int32Array(memory).fill(start, 0, 2);
      const [writer, reader] = [new Ring(memory), new Ring(memory)];
      const queue: number[] = [];
      let next = 0;
      for (const { write, count } of steps) {
        if (write) {
          const numbers = Float32Array.from({ length: count }, () => next++);
          const fits = queue.length + count <= room;
          expect(writer.write(numbers)).toBe(fits);
          if (fits) queue.push(...numbers);
        } else {
          const numbers = new Float32Array(count).fill(-1);
          const there = queue.length >= count;
          expect(reader.read(numbers)).toBe(there);
          expect([...numbers]).toEqual(there ? queue.splice(0, count) : Array(count).fill(-1));
        }
        expect(reader.length).toBe(queue.length);
      }
    }),
    {
      examples: [
        [
          64,
          -20,
          Array(12)
            .fill([
              { write: true, count: 33 },
              { write: false, count: 33 },
            ])
            .flat(),
        ],
      ],
    },
  );
});

test("wait ends when another thread has written enough, and when time is up", async () => {
  const memory = Ring.memory(1000);
  const ring = new Ring(memory);
  expect(ring.wait(1, 5)).toBe(false);
  const code = `
    import("cellist/ring").then(({ Ring }) => {
      const ring = new Ring(require("node:worker_threads").workerData);
      let sent = 0;
      setInterval(() => sent < 500 && ring.write(Float32Array.from({ length: 100 }, () => sent++)), 5);
    });`;
  const worker = new Worker(code, { eval: true, workerData: memory });
  const block = new Float32Array(500);
  expect(ring.wait(block.length, 10_000)).toBe(true);
  expect(ring.read(block)).toBe(true);
  expect([...block]).toEqual(Array.from({ length: 500 }, (_, i) => i));
  await worker.terminate();
});

test("anything else is refused by name", () => {
  expect(() => Ring.memory(0)).toThrow("numbers is 0: give a whole number from 1 to 268435456");
  expect(() => new Ring(new ArrayBuffer(72) as unknown as SharedArrayBuffer)).toThrow("memory is ArrayBuffer");
  expect(() => new Ring(new SharedArrayBuffer(20))).toThrow("memory is of another size: give what Ring.memory made");
});

test("what is no array of numbers, and no time to wait, is refused, and nothing has come or gone", () => {
  const ring = new Ring(Ring.memory(8));
  ring.write([1, 2]);
  for (const odd of [undefined, null, 5, "12", {}, { length: -1 }, new BigInt64Array(1)])
    expect(() => ring.write(odd as never)).toThrow(/^numbers are .*: give a Float32Array$/);
  for (const odd of [undefined, null, 5, {}, { length: -1 }, [1], new Float64Array(1)])
    expect(() => ring.read(odd as never)).toThrow(/: give a Float32Array to write them to$/);
  for (const odd of [undefined, Number.NaN, "x"]) {
    expect(() => ring.wait(5, odd as never)).toThrow(/^milliseconds is .*: give a number$/);
    expect(() => ring.wait(odd as never, 5)).toThrow(/^numbers is .*: give a whole number$/);
  }
  expect(ring.length).toBe(2);
});
