import { indexFactory, METRIC_L2, readIndex } from "cellist";
import { measureVoice, shrinkVoice } from "cellist/rvc";
import { readLists } from "./faiss-lists.js";
import { K, timed } from "./measure.js";
import { Sorry } from "./open.js";

/** What a voice can be made of, largest first: how many times smaller it will be. */
const SIZES = [
  { id: "half", ratio: 2 },
  { id: "quarter", ratio: 4 },
  { id: "eighth", ratio: 8 },
  { id: "sixteenth", ratio: 16 },
];
/** Numbers in a voice, and in a frame, that are made smaller unasked: about twenty seconds of work, in the background. */
const LARGE = 20e6;
const WIDE = 1024;
/** Frames that are turned into other numbers at a time. */
const CHUNK = 2048;

/** The sizes for an index of frames as they are: for one of codes, and for a voice file, there is nothing to gain. */
export function sizesOf({ name, index: { d, ntotal, metric, description } }) {
  if (name.endsWith(".voice") || metric !== METRIC_L2 || !/^(IVF\d+,)?Flat$/.test(description))
    return { sizes: [], large: false };
  return { sizes: SIZES, large: ntotal * d > LARGE || d > WIDE };
}

/**
 * Makes a voice smaller.
 *
 * @returns {Promise<{ bytes: Uint8Array, settings: any[] }>} the file, and what it finds
 */
export async function shrink({ file, queries }, { ratio }, how) {
  const { nprobes, nlist, onProgress } = how;
  // Of an index of its own, so that the voice can be searched meanwhile.
  const index = await readIndex(file);
  const options = { sample: queries, nprobe: nprobes.filter((nprobe) => nprobe < nlist), onProgress };
  try {
    const { index: small, settings } =
      ratio === 2 ? await halved(index, file, options) : await coded(index, { ...options, ratio });
    try {
      return { bytes: small.toBytes(), settings: timed(small, settings, how) };
    } finally {
      small.dispose();
    }
  } finally {
    index.dispose();
  }
}

/** A voice file. */
async function coded(voice, options) {
  const { index, report } = await shrinkVoice(voice, options).catch((error) => {
    throw error.code === "ERR_PARAMETER" ? new Sorry("It has too few frames.") : error;
  });
  return { index, settings: report.settings.after };
}

/** The same frames in numbers of 16 bits, in the same cells. faiss reads it, and so does RVC. */
async function halved(voice, file, { onProgress, ...options }) {
  const { d, ntotal } = voice;
  const lists = await readLists(file);
  const index = await indexFactory(d, lists === undefined ? "SQfp16" : `IVF${lists.nlist},SQfp16`);
  // As many vectors as there are lists are their centroids.
  await index.train(lists === undefined ? voice.reconstructBatch([0]) : lists.centroids);
  const ids = voice.ids();
  for (let at = 0; at < ntotal; at += CHUNK) {
    const some = ids.slice(at, at + CHUNK);
    const frames = voice.reconstructBatch(some);
    await (lists === undefined ? index.add(frames) : index.addWithIds(frames, some));
    onProgress({ phase: "add", done: at + some.length, total: ntotal });
  }
  const { settings } = await measureVoice(index, { ...options, k: K, truth: voice });
  return { index, settings };
}
