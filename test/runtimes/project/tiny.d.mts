import type { indexFactory, readIndex } from "../../../src/index.js";

/** Throws unless vectors with subnormal squared distances are found as a plain scan finds them; `base` has 400 x 128 floats at least. */
export function checkTiny(
  cellist: { indexFactory: typeof indexFactory; readIndex: typeof readIndex },
  base: Float32Array,
  engine?: object,
): Promise<void>;
