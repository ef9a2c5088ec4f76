import { fail } from "../errors.js";
import type { IndexNode } from "../indexes/node.js";
import { scratchSize } from "../wasm/engine.js";

/** The vectors of ids as the index keeps them: ids.length x d floats. Throws ERR_ID for an id that it does not hold. */
export function reconstruct(node: IndexNode, ids: BigInt64Array): Float32Array<ArrayBuffer> {
  const { engine, d } = node;
  const result = new Float32Array(ids.length * d);
  const block = engine.kernels.BLOCK.value;
  for (let first = 0; first < ids.length; first += block) {
    const count = Math.min(block, ids.length - first);
    engine.reserveScratch(scratchSize(count * 4) + scratchSize(count * d * 4) + node.decodeScratch(count));
    const slots = engine.takeScratch(count * 4);
    const vectors = engine.takeScratch(count * d * 4);
    for (let i = 0; i < count; i++) {
      const slot = node.slotOf(ids[first + i]);
      if (slot < 0) fail("ERR_ID", `the index holds no vector with the id ${ids[first + i]}`);
      engine.i32[(slots >>> 2) + i] = slot;
    }
    node.decode(slots, count, vectors);
    result.set(engine.f32.subarray(vectors >>> 2, (vectors >>> 2) + count * d), first * d);
  }
  return result;
}
