/** How a scalar quantizer stores one component: what follows `SQ` in a description. */
export type ScalarType = "8" | "6" | "4" | "fp16" | "bf16" | "8_direct" | "8_direct_signed" | "8_uniform" | "4_uniform";

/** A vector transform: d dimensions in, `dout` out, left out where it is the default, d. */
export type TransformTree =
  /** Principal components; `whiten` divides by their standard deviations, `rotate` mixes them at random. */
  | { type: "PCA"; dout: number; whiten: boolean; rotate: boolean }
  /** The rotation that suits a product quantizer of `m` parts. */
  | { type: "OPQ"; m: number; dout?: number }
  /** A random rotation. */
  | { type: "RR"; dout?: number }
  /** Scales vectors to length 1. */
  | { type: "L2norm" }
  /** A random rotation without a matrix, to the next power of 2 dimensions. */
  | { type: "HR"; dout: number; seed: number }
  /** Appends zeros. */
  | { type: "Pad"; dout: number }
  /** A linear transform that a file stores without saying what trained it: described, never parsed. */
  | { type: "LTra"; dout: number }
  /** A mean that is subtracted, and dimensions that are put elsewhere: described, never parsed. */
  | { type: "Centre" }
  | { type: "Remap"; dout: number };

/**
 * What a description says, as a tree. This is syntax: every default is filled in, nothing is built, and a kind
 * that parses need not be one that the library builds.
 */
export type IndexTree =
  | { kind: "flat" }
  | { kind: "sq"; type: ScalarType }
  /** `m` codes of `bits` bits a vector. */
  | { kind: "pq"; m: number; bits: number; polysemous: boolean }
  /** The same, and behind it the numbers of a second quantizer of what it leaves over; only as the code of an `ivf`. */
  | { kind: "pqr"; m: number; bits: number; finer: { m: number; bits: number } }
  /** `m` codes of 4 bits in blocks of `bbs` vectors; `residual` only as the code of an `ivf`. */
  | { kind: "pqfs"; m: number; residual: boolean; bbs: number }
  | { kind: "rabitq"; bits: number }
  /** `biased`: with the scale of the smallest error, in place of that which leaves products unbiased. */
  | { kind: "eden"; bits: number; biased: boolean }
  | { kind: "rabitqfs"; bits: number; bbs: number }
  /** `storage` is flat, pq or sq. */
  | { kind: "hnsw"; m: number; storage: IndexTree }
  /** `coarse` is any index, `code` flat, sq, pq, pqr, pqfs, rabitq, rabitqfs or eden. */
  | { kind: "ivf"; nlist: number; coarse: IndexTree; code: IndexTree }
  /** `two`: IDMap2, which can reconstruct by id. */
  | { kind: "idmap"; two: boolean; base: IndexTree }
  /** `refine` re-ranks what `base` finds; flat is RFlat. */
  | { kind: "refine"; base: IndexTree; refine: IndexTree }
  | { kind: "transform"; transforms: TransformTree[]; base: IndexTree };

/** Dimensions that come out of a transform which takes d. */
export function outputDimension(transform: TransformTree, d: number): number {
  return ("dout" in transform ? transform.dout : undefined) ?? d;
}
