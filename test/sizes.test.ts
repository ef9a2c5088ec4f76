import { expect, test } from "vitest";
import { kernelsOf } from "../src/codec/kernels.js";
import { Engine } from "../src/wasm/engine.js";
import { moreKernels } from "../src/wasm/more.js";

// What kernels ask for, to the byte, at sizes of this library's main use and at odd ones. Whoever asks for less is noticed by guards; who asks
// for more costs memory, which no result shows.

const engine = new Engine();
const { kernels } = engine;
const more = moreKernels(engine);
const codec = kernelsOf(engine);

test.each([
  ["searchBounded, 16 queries, k = 8", () => kernels.searchBoundedScratch(16, 1000, 256, 8), 83792],
  ["searchBounded, odd", () => kernels.searchBoundedScratch(3, 37, 19, 5), 2900],
  ["encodeRows", () => kernels.encodeRowsScratch(768), 3072],
  ["encodeRows, odd", () => kernels.encodeRowsScratch(19), 128],
  ["codes of rows", () => kernels.rowCodesBytes(1000, 768), 790224],
  ["codes of rows, odd", () => kernels.rowCodesBytes(37, 19), 2160],
  ["searchCoded", () => kernels.searchCodedScratch(64, 16, 8, 768, 8), 168216],
  ["searchCoded, odd", () => kernels.searchCodedScratch(5, 3, 2, 19, 5), 26964],
  ["searchRows", () => kernels.searchRowsScratch(16), 9536],
  ["whole heads", () => kernels.wholeHeadsBytes(1000, 768, 64), 234480],
  ["whole heads, odd", () => kernels.wholeHeadsBytes(37, 19, 16), 2880],
  ["making whole heads", () => kernels.wholeHeadsScratch(768, 64), 622864],
  ["a basis", () => kernels.basisBytes(19, 8), 628],
  ["heads", () => kernels.makeHeadsScratch(19, 8), 7520],
  ["assign", () => kernels.assignScratch(64), 32768],
  ["assignByHeads", () => kernels.assignByHeadsScratch(64, 24), 7360],
  ["assignByHeads, odd", () => kernels.assignByHeadsScratch(3, 6), 432],
  ["heads of centroids", () => kernels.headsBytes(37, 6), 1024],
  ["searchPacked, a list", () => kernels.searchPackedScratch(128, 128, 1, 1, 8, 1000), 21080],
  ["searchPacked, of lists", () => kernels.searchPackedScratch(7, 8, 5, 5, 40, 0), 6472],
  ["scanLists", () => kernels.scanListsScratch(64, 16, 8), 1288],
  ["scanLists, odd", () => kernels.scanListsScratch(5, 3, 2), 356],
  ["searchGraph", () => more.searchGraphScratch(16, 1000, 256, 64, 16), 2796],
  ["searchGraph, odd", () => more.searchGraphScratch(3, 37, 19, 10, 5), 740],
  ["addVertices", () => more.addVerticesScratch(1000, 64, 40, 256), 73660],
  ["addVertices, odd", () => more.addVerticesScratch(37, 10, 7, 19), 1668],
  ["a sieve", () => more.sieveBytes(37, 128), 27536],
  ["making a sieve", () => more.sieveScratch(128), 70400],
  ["codes of bits", () => more.factoredScratch(768, 1, 0), 30720],
  ["codes of bits, odd", () => more.factoredScratch(19, 1, 3), 1528],
  ["sums of products", () => more.addProductsScratch(19), 1280],
  ["linear, by fours", () => more.applyLinearScratch(16, 20), 0],
  ["linear, odd", () => more.applyLinearScratch(16, 19), 1280],
  ["eigenvalues", () => more.eigenStateBytes(19), 1280],
  ["rotations", () => more.rotationsBytes(19), 1048576],
  ["groups of centroids", () => more.groupsBytes(3, 4), 14592],
  ["a compact row", () => codec.compactRowBytes(19, 0), 52],
  ["a compact row of words", () => codec.compactRowBytes(16, 1), 52],
  ["compact", () => codec.compactScratch(3, 19, 17), 420],
  ["a basis of the codec", () => codec.orthonormalizeScratch(19, 24), 5504],
  ["a packed matrix", () => codec.packedBytes(5, 17), 480],
  ["spread", () => codec.spreadScratch(17), 2624],
] as const)("%s", (_, bytes, expected) => {
  expect(bytes()).toBe(expected);
});
