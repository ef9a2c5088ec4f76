import type { Index } from "../src/index.js";
import { VectorIndex } from "../src/handle/vector-index.js";
import type { Kernels } from "../src/wasm/kernels.gen.js";

/** Counts the searches of an index that go by codes of its rows, from now on: without them, tests of codes would test nothing. */
export function countCoded(index: Index): () => number {
  return countKernels(index, ["searchRowsCoded", "searchListsCoded"]);
}

/** Counts the calls of some kernels by an index, from now on. */
export function countKernels(index: Index, names: readonly (keyof Kernels)[]): () => number {
  if (!(index instanceof VectorIndex)) throw new Error("an index is a VectorIndex");
  const { engine } = index.node;
  let count = 0;
  const counted: Record<string, unknown> = { ...engine.kernels };
  for (const name of names) {
    const kernel = counted[name] as (...args: unknown[]) => unknown;
    counted[name] = (...args: unknown[]) => {
      count++;
      return kernel(...args);
    };
  }
  Object.defineProperty(engine, "kernels", { value: counted });
  return () => count;
}
