import FFT from "fft.js";
import { RATE } from "./timing.js";

/**
 * How the features of bench/speech and of the sample were made: spectra of 25 ms, a hundred a second, of sound at 16 kHz, in 64
 * triangular bands that are as wide as the ear's (HTK's mel scale). A row is four spectra, two of them new: 50 rows a second.
 */

export const BANDS = 64;
export const FRAMES = 4;
/** Numbers in a row. */
export const D = BANDS * FRAMES;

const HOP = 160;
const WINDOW = 400;
const SIZE = 512;
const [LOWEST, HIGHEST] = [60, 7600];
/** Power below this counts as this: about the noise of 16-bit samples. */
const FLOOR = 1e-7;

const mel = (hertz) => 2595 * Math.log10(1 + hertz / 700);
const hann = Float64Array.from({ length: WINDOW }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / (WINDOW - 1)));
const bands = triangles();
const fft = new FFT(SIZE);
const windowed = new Array(SIZE).fill(0);
const spectrum = fft.createComplexArray();

/** Log-mel rows of sound that comes in pieces: rows leave as soon as their samples are there. */
export class RowStream {
  #samples = new Float32Array(4096);
  #length = 0;
  #frames = [];

  /**
   * Takes samples in.
   *
   * @param {Float32Array} samples at 16 kHz
   * @returns {Float32Array[]} the rows that are now complete, 256 numbers each, in log10 of power
   */
  push(samples) {
    this.#keep(samples);
    const rows = [];
    let at = 0;
    for (; at + WINDOW <= this.#length; at += HOP) {
      this.#frames.push(logMel(this.#samples, at));
      if (this.#frames.length < FRAMES) continue;
      const row = new Float32Array(D);
      this.#frames.forEach((frame, i) => row.set(frame, i * BANDS));
      rows.push(row);
      this.#frames.splice(0, 2);
    }
    this.#samples.copyWithin(0, at, this.#length);
    this.#length -= at;
    return rows;
  }

  #keep(samples) {
    const needed = this.#length + samples.length;
    if (needed > this.#samples.length) {
      const larger = new Float32Array(needed * 2);
      larger.set(this.#samples.subarray(0, this.#length));
      this.#samples = larger;
    }
    this.#samples.set(samples, this.#length);
    this.#length = needed;
  }
}

/**
 * The log-mel rows of a whole recording: row i begins at sample 320 i.
 *
 * @param {Float32Array} samples at 16 kHz
 * @returns {Float32Array[]}
 */
export function rowsOf(samples) {
  return new RowStream().push(samples);
}

/** The spectrum of the 400 samples from `at` on. */
function logMel(samples, at) {
  for (let i = 0; i < WINDOW; i++) windowed[i] = samples[at + i] * hann[i];
  fft.realTransform(spectrum, windowed);
  return bands.map(({ first, weights }) => {
    let power = 0;
    for (let i = 0, bin = first * 2; i < weights.length; i++, bin += 2) {
      power += weights[i] * (spectrum[bin] ** 2 + spectrum[bin + 1] ** 2);
    }
    return Math.log10(Math.max(power, FLOOR));
  });
}

/** Where a frequency lies among the bands: 0 in the middle of the first one. */
export function bandOf(hertz) {
  return ((mel(hertz) - mel(LOWEST)) / (mel(HIGHEST) - mel(LOWEST))) * (BANDS + 1) - 1;
}

/** The weights of each band, from the first bin of the spectrum that has one. */
function triangles() {
  const hertz = (value) => 700 * (10 ** (value / 2595) - 1);
  const [low, high] = [mel(LOWEST), mel(HIGHEST)];
  const edges = Array.from({ length: BANDS + 2 }, (_, i) => hertz(low + ((high - low) * i) / (BANDS + 1)));
  return Array.from({ length: BANDS }, (_, band) => {
    const [from, peak, to] = edges.slice(band, band + 3);
    const weight = (bin) => {
      const at = (bin * RATE) / SIZE;
      return Math.max(0, Math.min((at - from) / (peak - from), (to - at) / (to - peak)));
    };
    const first = Math.ceil((from * SIZE) / RATE);
    const last = Math.floor((to * SIZE) / RATE);
    return { first, weights: Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => weight(first + i)) };
  });
}
