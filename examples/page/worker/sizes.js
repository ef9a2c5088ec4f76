import { METRIC_L2, readIndex } from "cellist";
import { shrinkVoice } from "cellist/rvc";
import { timed } from "./measure.js";

/** What a voice can be made of, largest first: how many times smaller it will be. */
const SIZES = [
  { id: "quarter", ratio: 4 },
  { id: "eighth", ratio: 8 },
  { id: "sixteenth", ratio: 16 },
];
/** Numbers in a voice that is made smaller unasked: about twenty seconds of work, in the background. */
const LARGE = 20e6;

/** The sizes for an index of frames as they are: for one of codes, and for a voice file, there is nothing to gain. */
export function sizesOf({ name, index: { d, ntotal, metric, description } }) {
  if (name.endsWith(".voice") || metric !== METRIC_L2 || !/^(IVF\d+,)?Flat$/.test(description))
    return { sizes: [], large: false };
  return { sizes: SIZES, large: ntotal * d > LARGE };
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
  try {
    const options = { ratio, sample: queries, nprobe: nprobes.filter((nprobe) => nprobe < nlist), onProgress };
    const { index: small, report } = await shrinkVoice(index, options);
    try {
      return { bytes: small.toBytes(), settings: timed(small, report.settings.after, how) };
    } finally {
      small.dispose();
    }
  } finally {
    index.dispose();
  }
}
