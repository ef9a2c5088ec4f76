// The exports of the module of "cellist/more": what only its kinds of index need. It runs on the memory of the kernels and, as they do,
// takes addresses and sizes, leaves results at addresses, and keeps nothing.

export {
  checkLinks,
  rangeGraphCodes,
  rangeGraphF32,
  searchGraphCodes,
  searchGraphF32,
  searchGraphScratch,
  searchGraphSifted,
} from "../graph/search";
export { addVerticesCodes, addVerticesF32, addVerticesScratch } from "../graph/build";
export { openSieve, sieveBytes, sieveRows, sieveScratch } from "../graph/sieve";
export { decodeScalar, encodeDirect, encodeScalar, termsOfScalar } from "../codes/scalar";
export { decodeHalves, encodeBf16, encodeFp16 } from "../codes/half";
export { factoredScratch } from "../codes/factored";
export { BF16, BYTES, FACTORED, FP16, PACKED, PRODUCT, PRODUCT8, scanCodesBest, scanCodesWithin } from "../codes/any";
export {
  addProducts,
  addProductsScratch,
  applyLinear,
  applyLinearScratch,
  combineRows,
  multiplyRows,
  orthonormal,
  reflect,
  remapRows,
  rotateByHadamard,
  shiftRows,
  transposeRows,
  undoHadamard,
  undoLinear,
  undoRemap,
} from "../linear";
export {
  eigenStateBytes,
  eigenVectorsBytes,
  rotate,
  rotationsBytes,
  solve,
  startVectors,
  takeVectors,
  tridiagonalize,
} from "../eigen";
export { decodeColumns, groupsBytes, makeGroups, quantizeByGroups } from "../opq";
export { decodeProduct, encodeProduct, termsOfProduct } from "../codes/pq";
