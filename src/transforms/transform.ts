import type { Writer } from "../format/writer.js";
import type { TransformTree } from "../indexes/tree.js";
import type { Pace } from "../work/pace.js";

/** What the untrained have, so that to forget takes no memory. */
export const NO_FLOATS: Float32Array<ArrayBuffer> = new Float32Array(0);

/** Makes vectors of other vectors, before an index takes them. Addresses are of the engine's memory. */
export interface Transform {
  /** What it is, for a description. */
  readonly tree: TransformTree;
  /** Dimensions in and out. */
  readonly din: number;
  readonly dout: number;
  readonly isTrained: boolean;
  /** Learns from n x din vectors, which stay as they are. All or nothing. */
  train(vectors: Float32Array, seed: number, pace: Pace): Promise<void>;
  /** Forgets what was learnt. */
  untrain(): void;
  /** Bytes of scratch that {@link apply} and {@link invert} take for n vectors. */
  scratchBytes(n: number): number;
  /** Writes what becomes of n vectors, n x dout, elsewhere. */
  apply(from: number, n: number, to: number): void;
  /** Whether {@link invert} can be. */
  readonly canInvert: boolean;
  /** Writes what n vectors came from, n x din, elsewhere: as far as it is still in them. */
  invert(from: number, n: number, to: number): void;
  /** Writes it, from the fourcc on. */
  write(writer: Writer): void;
}

/** Writes what all transforms end with. */
export function writeTail(writer: Writer, transform: Transform): void {
  writer.i32(transform.din);
  writer.i32(transform.dout);
  writer.bool(transform.isTrained);
}
