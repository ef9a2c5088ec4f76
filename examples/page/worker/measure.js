import { blend, measureVoice } from "cellist/rvc";
import { BLOCK } from "../sound/timing.js";

/** Neighbours of a frame, and how far it moves towards them: RVC's figures. */
export const K = 8;
export const RATE = 0.75;
/** Times of a setting, each the mean of as many blocks as a coarse clock needs, and the time after which no other is taken. */
const TIMES = 9;
const SPAN = 4;
const PATIENCE = 150;

/**
 * What a voice finds and what that costs, at so many nprobe: recall and blend error by the library's own measure, on frames of another
 * recording or held out of the voice, and the time of a block.
 *
 * @param {import("cellist").Index} index
 * @param {{ nprobes: number[], nlist: number, queries?: Float32Array, frames: Float32Array, onProgress?: Function }} how `queries`: n x d
 *   of another recording; `frames`: whole blocks to take the time with
 * @returns {Promise<{ nprobe: number, recall: number, error: number, ms: number }[]>}
 */
export async function measure(index, { queries, onProgress, ...how }) {
  const { nprobes, nlist } = how;
  const options = { k: K, nprobe: nprobes.filter((nprobe) => nprobe < nlist), sample: queries, onProgress };
  const { settings } = await measureVoice(index, options);
  return timed(index, settings, how);
}

/** Settings as measureVoice and shrinkVoice give them, each with the time of a block. */
export function timed(index, settings, { nprobes, nlist, frames }) {
  return settings
    .map(({ nprobe, recall, error }) => ({ nprobe: nprobe ?? nlist, recall, error }))
    .filter(({ nprobe }) => nprobes.includes(nprobe))
    .map((setting) => ({ ...setting, ms: blockTime(index, frames, setting.nprobe) }));
}

/**
 * Where a stand-in for a frame that the voice does not hold is: so far from one of its frames towards another. A frame that it holds
 * would only find itself.
 */
const SHIFT = 0.3;

/** Stand-ins for frames to blend, as many as there are frames given, these being n x d. */
export function standIns(rows, d) {
  const n = rows.length / d;
  return rows.map((value, i) => {
    const other = (Math.floor(i / d) + (n >> 1)) % n;
    return value + SHIFT * (rows[other * d + (i % d)] - value);
  });
}

/** Features after a blend, in a new array. */
export function blended(index, features, nprobe, k = K) {
  return blend(index, features.slice(), { k, rate: RATE, nprobe });
}

/** The time of a block: the lower quartile of many, since what else a machine does only ever adds to them. */
function blockTime(index, features, nprobe) {
  const size = Math.min(features.length, BLOCK * index.d);
  const options = { k: K, rate: RATE, nprobe };
  index.warmUp({ batch: size / index.d, k: K, nprobe });
  const block = new Float32Array(size);
  const times = [];
  const begin = performance.now();
  for (let from = 0; times.length < TIMES && (times.length < 3 || performance.now() - begin < PATIENCE);) {
    const start = performance.now();
    let blocks = 0;
    let now = start;
    for (; now - start < SPAN; blocks++, now = performance.now()) {
      block.set(features.subarray(from, from + size));
      blend(index, block, options);
      from = (from + size) % (features.length - size + 1);
    }
    times.push((now - start) / blocks);
  }
  return times.sort((a, b) => a - b)[times.length >> 2];
}
