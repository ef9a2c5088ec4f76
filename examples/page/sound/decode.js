/** The rate of what does not tell it here. */
const USUAL = 48_000;
/** Rates that browsers decode at. */
const [LOWEST, HIGHEST] = [8_000, 96_000];
/** Samples that tell how they were made. */
const ASKED = 10_000;
/** Off by less than this, in steps of 16 bits and on average, samples were made of 16 bits: others are off by a quarter. */
const ROUNDING = 0.01;

/**
 * Decodes a recording at the rate it has, so that no browser's resampler touches it: each is another one. Channels are averaged.
 *
 * @param {Uint8Array} bytes of a file
 * @param {number} [longest] seconds that are taken of it
 * @returns {Promise<{ samples: Float32Array, rate: number }>} samples that were encoded in 16 bits as multiples of 1/32768
 */
export async function decode(bytes, longest = Infinity) {
  const told = rateOf(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const rate = told >= LOWEST && told <= HIGHEST ? told : USUAL;
  const buffer = await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes.slice().buffer);
  const length = Math.min(buffer.length, longest * rate);
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, i) => asEncoded(buffer.getChannelData(i)));
  const mean = (_, i) => channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length;
  return { samples: Float32Array.from({ length }, mean), rate };
}

/** Samples a second, as the head of a .wav or .flac file tells. */
function rateOf(head) {
  const word = (at) =>
    at + 4 <= head.byteLength ? String.fromCharCode(...[0, 1, 2, 3].map((i) => head.getUint8(at + i))) : "";
  if (word(0) === "fLaC") return head.byteLength > 21 ? head.getUint32(18) >>> 12 : undefined;
  if (word(0) !== "RIFF") return undefined;
  let at = 12;
  while (at + 16 <= head.byteLength && word(at) !== "fmt ") at += 8 + head.getUint32(at + 4, true);
  return at + 16 <= head.byteLength ? head.getUint32(at + 12, true) : undefined;
}

/**
 * The very numbers that were encoded in 16 bits: browsers divide by 32768, or positive ones by 32767, whichever makes whole numbers.
 * Sound of other bits is left as it is.
 */
function asEncoded(samples) {
  const asked = samples.filter((value) => value > 0).slice(0, ASKED);
  const off = (scale) =>
    asked.reduce((sum, value) => sum + Math.abs(value * scale - Math.round(value * scale)), 0) / asked.length;
  const scale = off(32767) < off(32768) ? 32767 : 32768;
  if (!(off(scale) < ROUNDING)) return samples;
  return samples.map((value) => Math.round(value * (value > 0 ? scale : 32768)) / 32768);
}
