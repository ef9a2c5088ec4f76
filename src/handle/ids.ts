import { fail, makingArrays } from "../errors.js";
import type { IndexNode } from "../indexes/node.js";
import { scratchSize } from "../wasm/engine.js";

/** Slots whose labels are asked for together. */
const CHUNK = 1024;

/** Calls back with the id of each vector that can be found, in the order of storage, and its slot: numbers unless ids are wide. */
export function eachId(node: IndexNode, wide: boolean, each: (id: number | bigint, slot: number) => void): void {
  const { engine } = node;
  const runs: [start: number, length: number][] = [];
  node.slotRuns((start, length) => runs.push([start, length]));
  for (const [start, length] of runs) {
    for (let first = 0; first < length; first += CHUNK) {
      const n = Math.min(CHUNK, length - first);
      engine.reserveScratch(scratchSize(n * 4) + scratchSize(n * 8));
      const slots = engine.takeScratch(n * 4);
      const labels = engine.takeScratch(n * 8);
      for (let i = 0; i < n; i++) engine.i32[(slots >>> 2) + i] = start + first + i;
      node.scannedLabels(slots, n, labels);
      // A copy: what is called back may search, which takes the scratch.
      if (wide) {
        const ids = makingArrays(() => engine.i64.slice(labels >>> 3, (labels >>> 3) + n));
        for (let i = 0; i < n; i++) each(ids[i], start + first + i);
      } else {
        const ids = makingArrays(() => engine.i32.slice(labels >>> 2, (labels >>> 2) + 2 * n));
        for (let i = 0; i < n; i++) each(ids[2 * i], start + first + i);
      }
    }
  }
}

/** Index.ids: as an IDMap keeps them, else as they are stored. A file may count vectors that its index could not place, and any number of them. */
export function idsOf(node: IndexNode, wide: boolean): Int32Array<ArrayBuffer> | BigInt64Array<ArrayBuffer> {
  return makingArrays(() => {
    const { stored } = node;
    const ids = wide ? new BigInt64Array(stored) : new Int32Array(stored);
    let at = 0;
    if (stored === node.ntotal) node.eachLabel((label) => (ids[at++] = wide ? label : Number(label)));
    if (at === 0) eachId(node, wide, (id) => (ids[at++] = id));
    return ids;
  });
}

/** Throws ERR_ID for -1, and for an id that is too wide: `mend` says what to do. */
export function checkIds(ids: BigInt64Array, wide: boolean, mend: string): void {
  for (const id of ids) {
    if (id === -1n) fail("ERR_ID", "-1 can't be an id: as a label it means that nothing was found");
    if (!wide && id !== BigInt.asIntN(32, id)) fail("ERR_ID", `the id ${id} needs more than 32 bits: ${mend}`);
  }
}
