// The exports of the codec's module, which runs on the memory of the kernels. As in the core, every function is pure: addresses and
// sizes in, results at addresses out. There is no relaxed build: a file is the same on every machine.

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
export {
  compactRowBytes,
  compactScratch,
  foldRows,
  listOfRow,
  scanCompactBest,
  scanCompactWithin,
  unfoldRows,
  unfoldWhole,
} from "./compact";
export {
  addProducts,
  basisBlock,
  orthonormalize,
  orthonormalizeScratch,
  packedBytes,
  packColumns,
  packRows,
  product,
} from "./matrix";
export { countRows, readRows, writeRows } from "./range";
export { CONTEXTS, MODEL_BYTES, MIDDLE, PRECISION_BITS, SYMBOLS, TABLE_BYTES } from "./records";
export {
  addMagnitudes,
  addMeans,
  addRows,
  expand,
  fitScales,
  fromHalves,
  quantize,
  residuals,
  scaleRows,
  toHalves,
} from "./rows";
export { spread, spreadScratch } from "./spread";
export { scanListsScratch } from "../scan/lists";
