// 4-bit codes and exact re-ranking on 100,000 x 256 speech-like vectors: recall, time, training and encoding, and faiss beside it.

import { readFileSync } from "node:fs";
import { indexFactory, readIndex } from "cellist";
import { startFaiss } from "./native.mjs";
import { cached, keep, npy, recall, summary, table, time, timeBlocks } from "./measure.mjs";
import { speechlike, speechlikeFile } from "./speechlike.mjs";
import { ProductQuantizer } from "../dist/quantizers/product.js";
import { quantizeAll } from "../dist/indexes/pq-fastscan.js";
import { Pace } from "../dist/training/work.js";
import { Engine } from "../dist/wasm/engine.js";

const [N, D, NLIST, M, K, K_FACTOR] = [100_000, 256, 1024, 128, 8, 4];
const [BASE, QUERIES] = [
  [N, D, 1],
  // More than 500, and blocks of 16 come out even.
  [512, D, 2],
];
const ROUNDS = 5;
const BATCHES = [1, 16];
/** A scan of everything is slow in a faiss without AVX2: so many queries tell. */
const FEW = 32;
/** The recall that a flat scan is to reach, and the most candidates, as a multiple of k, that it may take. */
const WANTED = 0.99;
const MOST_FACTOR = 64;

export const title = "FastScan: 100,000 x 256, k 8";

export async function run() {
  const base = speechlike(...BASE);
  const queries = speechlike(...QUERIES);
  const exact = npy(await keep(`exact-${BASE}-${QUERIES}.npy`, () => nearest(base, queries)));
}
