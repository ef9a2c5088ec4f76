import { describe, expect, test } from "vitest";
import { shared } from "../src/threads/shared-module.js";

// The same module for shared memory, of modules that are written here by the specification, and checked by the engine.

describe("a module whose imports stand otherwise", () => {
  const text = (name: string): number[] => [name.length, ...Buffer.from(name)];
  const leb = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...leb(value >> 7)]);
  const section = (id: number, body: number[]): number[] => [id, ...leb(body.length), ...body];
  /** By the specification: a section of its own first, then a function, a global and memory, whose limits are given, and a global behind it. */
  const moduleOf = (limits: number[], name: string): Uint8Array<ArrayBuffer> => {
    const imports = [
      [...text("e"), ...text(name), 0, 0],
      [...text("e"), ...text("g"), 3, 0x7f, 0],
      [...text("e"), ...text("m"), 2, ...limits],
      [...text("e"), ...text("h"), 3, 0x7e, 0],
    ];
    return Uint8Array.of(
      ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      ...section(0, [...text("notes"), ...Array<number>(300).fill(2)]),
      ...section(1, [1, 0x60, 0, 0]),
      ...section(2, [imports.length, ...imports.flat()]),
      ...section(7, [1, ...text("out"), 2, 0]),
    );
  };

  test.each<[string, number[], number]>([
    ["no most", [0, 2], 2],
    ["a most", [1, 2, 7], 2],
    ["more than 127 pages of both", [1, ...leb(300), ...leb(20_000)], 300],
  ])("%s", (_, limits, least) => {
    // The length of the section takes a byte more from 128 on.
    for (const length of [1, 60, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95, 120]) {
      const name = "f".repeat(length);
      const plain = new WebAssembly.Module(moduleOf(limits, name));
      const module = new WebAssembly.Module(shared(moduleOf(limits, name)));
      expect(WebAssembly.Module.imports(module)).toEqual(WebAssembly.Module.imports(plain));
      const run = (pages: number, isShared: boolean): WebAssembly.Instance => {
        const m = new WebAssembly.Memory({ initial: pages, maximum: 65_536, shared: isShared });
        return new WebAssembly.Instance(module, {
          e: { [name]: () => undefined, g: 1, m, h: new WebAssembly.Global({ value: "i64" }, 2n) },
        });
      };
      const { out } = run(least, true).exports;
      expect((out as WebAssembly.Memory).buffer).toBeInstanceOf(SharedArrayBuffer);
      expect(() => run(least - 1, true)).toThrow(WebAssembly.LinkError);
      expect(() => run(least, false)).toThrow(WebAssembly.LinkError);
    }
  });
});
