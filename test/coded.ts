import type { Index } from "../src/index.js";
import { VectorIndex } from "../src/handle/vector-index.js";

/** Counts the searches of an index that go by codes of its rows, from now on: without them, tests of codes would test nothing. */
export function countCoded(index: Index): () => number {
  if (!(index instanceof VectorIndex)) throw new Error("an index is a VectorIndex");
  const { engine } = index.node;
  const { kernels } = engine;
  let count = 0;
  const counted = {
    ...kernels,
    searchRowsCoded: (...args: Parameters<typeof kernels.searchRowsCoded>) => {
      count++;
      kernels.searchRowsCoded(...args);
    },
    searchListsCoded: (...args: Parameters<typeof kernels.searchListsCoded>) => {
      count++;
      kernels.searchListsCoded(...args);
    },
  };
  Object.defineProperty(engine, "kernels", { value: counted });
  return () => count;
}
