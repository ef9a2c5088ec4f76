import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { skimIndex } from "../src/open.js";
import { Writer } from "../src/format/writer.js";
import { readIndex } from "../src/index.js";
import type { Bytes } from "../src/index.js";
import { goldenCases, goldenFolder } from "./golden.js";

/** A source that can leave out bytes, as a file can. */
function seekable(bytes: Uint8Array, seen: { taken: number }): Bytes {
  let at = 0;
  return {
    total: bytes.length,
    expected: bytes.length,
    next: async () => {
      const chunk = bytes.subarray(at, at + 100);
      at += chunk.length;
      seen.taken += chunk.length;
      return chunk.length === 0 ? undefined : chunk;
    },
    skip: (count: number) => void (at += count),
    close: () => undefined,
  } as unknown as Bytes;
}

test.each(goldenCases(goldenFolder))("what $name says of itself, without its vectors", async ({ name }) => {
  const bytes = new Uint8Array(readFileSync(new URL(`${name}.index`, goldenFolder)));
  const index = await readIndex(bytes);
  const valueOf = (parameter: string): number | undefined => {
    try {
      return index.get(parameter);
    } catch {
      return undefined;
    }
  };
  const seen = { taken: 0 };
  const chunks = Array.from({ length: Math.ceil(bytes.length / 1000) }, (_, i) =>
    bytes.subarray(i * 1000, i * 1000 + 1000),
  );
  for (const source of [seekable(bytes, seen), chunks, bytes]) {
    const outline = await skimIndex(source);
    for (const field of ["description", "d", "ntotal", "metric", "isTrained"] as const)
      expect(outline[field]).toBe(index[field]);
    for (const parameter of ["nprobe", "k_factor_rf", "efSearch"])
      expect(outline.node.parameter(parameter)?.get()).toBe(valueOf(parameter));
    // The same fields at the same places: what "cellist set" goes by.
    const writer = new Writer(outline.node.engine);
    outline.node.write(writer);
    const written = writer.finish();
    const whole = index.toBytes();
    expect(written.length).toBe(whole.length);
    expect(Buffer.compare(written.subarray(0, 37), whole.subarray(0, 37))).toBe(0);
  }
  if (name.includes("flat") && bytes.length > 30_000) expect(seen.taken).toBeLessThan(bytes.length / 2);
});
