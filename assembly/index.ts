// The exports, and nothing else. Every function is pure: addresses and sizes in, results at addresses out. None allocates,
// grows the memory or keeps a value between calls, so that several instances may share one memory.

export { INNER_PRODUCT, L2 } from "./metric";
export { searchBounded, searchBoundedScratch } from "./bounds";
export { encodeRows, encodeRowsScratch, meanOfRows, rowCodesBytes } from "./row-codes";
export { searchCodedScratch } from "./coded-scan";
export { searchListsCoded, searchRowsCoded } from "./coded-search";
export { BLOCK, searchRows, searchRowsScratch } from "./scan/all";
export { openHeads, wholeHeadsBytes, wholeHeadsScratch, writeHeads } from "./whole-heads";
export { basisBytes, makeBasis, makeHeads, makeHeadsScratch } from "./heads";
export { accumulate, assign, assignScratch, average, halfNorms, normalize, objective } from "./kmeans";
export { assignByHeads, assignByHeadsScratch, blockHeads, headsBytes, measureMoves } from "./kmeans-heads";
export { innerProducts, squaredNorms } from "./distance";
export {
  firstNotFinite,
  gatherRows,
  hasWideIds,
  mapSlots,
  mapSlotsWide,
  markIds,
  scatterRows,
  spreadRows,
} from "./rows";
export { blendRows } from "./blend";
export { dequantize, lookUpTable, measureCodebook, quantize, transposeCodebook } from "./pq";
export { rangePacked, searchPacked, searchPackedScratch } from "./fastscan";
export { arrangeCodes, copyCodes } from "./packed";
export { compareMatches, refineRows } from "./refine";
export { addCentroids, lessCentroids } from "./residuals";
export { scanF32Best, scanF32Within } from "./codes/f32";
export { trainProduct } from "./codes/pq";
export { scanListsScratch } from "./scan/lists";
export { sortEntries } from "./topk";
