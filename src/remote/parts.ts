import type { Deferred } from "../format/deferral.js";
import type { Origin } from "../handle/vector-index.js";
import type { IndexNode } from "../indexes/node.js";
import type { Absent } from "./absent.js";
import type { More } from "./pieces.js";
import type { Ranges } from "./ranges.js";

/** A file of which everything was read that can't come later. */
export interface Parts {
  node: IndexNode;
  /** Where what comes later is read. */
  ranges: Ranges;
  /** What writes the file, where it is no faiss file. */
  origin: Origin | undefined;
  /** What comes later, in the order of the file. */
  stretches: readonly Deferred[];
  absent: Absent;
  /** Whether the stretches come at once and unasked: the first layer of a voice, which is all of its frames. */
  unasked: boolean;
  /** What comes behind them, where that is told by more of the file. */
  more?: (Omit<More, "open"> & { open(signal: AbortSignal): Promise<readonly Deferred[]> }) | undefined;
  /** What is to be true of the whole. */
  checks: (() => void)[];
}
