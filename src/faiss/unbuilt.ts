import { fail } from "../errors.js";
import { knownKinds } from "./more-kinds.js";

/** faiss' indexes that are known and not built here: fourccs, and what they are. The first that matches counts. */
const UNBUILT: readonly (readonly [RegExp, string])[] = [
  [/^IB/, "binary vectors, compared by Hamming distance"],
  [
    /^(Ix(RQ|Rq|LS|PL|PR)|Iw(RQ|LS|PL|PR)|I(L|R|PL|PR|VL|VR)fs?|NP[LR]f|ImRQ)$/,
    "additive quantizers: residual or local search",
  ],
  [/^IN[NS]/, "a graph of NSG or NNDescent"],
  [/^(IHNc|IHc2|IH00)$/, "HNSW made on a GPU, or without its vectors"],
  [/^(IHN2|Ix2L)$/, "two-level codes: IVF and PQ in one row"],
  [/^IMIQ$|^Imiq$/i, "a multi-index quantizer (IMI)"],
  [/^IxH[Ee]$|^I[wv]S[hH]$/, "hashes (LSH, spectral)"],
  [/^IxLa$/, "a lattice quantizer"],
  [/^IwFd$/, "an IVF that keeps duplicates apart"],
  [/^IwIQ$/, "an IVF whose quantizer sees other vectors"],
  [/^IRM[fh]$/, "rows scaled between their least and largest component"],
  [/^(ILVQ|IS.[A-Z0-9])$/, "Intel's Scalable Vector Search (SVS)"],
  [/^(IxRP|IHfP)$/, "a Refine or an HNSW with Panorama"],
  [/^null$/, "no index: another part of it was to be given apart"],
];

/** Fails for a fourcc that is faiss' and not built here, with what it stands for. Does nothing for another. */
export function refuse(fourcc: string): void {
  const kind = UNBUILT.find(([pattern]) => pattern.test(fourcc))?.[1];
  if (kind === undefined) return;
  fail(
    "ERR_UNSUPPORTED",
    `the file is a faiss index of the kind "${fourcc}" (${kind}), which is not built here: make one of these of its vectors, in ` +
      `faiss or here: ${knownKinds()}`,
  );
}
