import { RATE } from "./timing.js";

/**
 * Decodes sound that has 16 kHz and 16 bits, as the sample does, to the very numbers that were encoded: at its own rate, so that no
 * browser's resampler touches it. Browsers divide 16-bit samples by 32768, or positive ones by 32767: whichever makes whole numbers.
 *
 * @param {Uint8Array} bytes of a file
 * @returns {Promise<Float32Array>} samples as multiples of 1/32768
 */
export async function decode(bytes) {
  const context = new OfflineAudioContext(1, 1, RATE);
  const buffer = await context.decodeAudioData(bytes.slice().buffer);
  const samples = buffer.getChannelData(0);
  const off = (scale) =>
    samples.slice(0, RATE).reduce((sum, v) => (v > 0 ? sum + Math.abs(v * scale - Math.round(v * scale)) : sum), 0);
  const positive = off(32767) < off(32768) ? 32767 : 32768;
  return samples.map((value) => Math.round(value * (value > 0 ? positive : 32768)) / 32768);
}
