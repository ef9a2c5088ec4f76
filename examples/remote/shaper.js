/** Sound to rows of features, and back: the spectrum of what is heard, moved as its rows were. */
import FFT from "fft.js";
import { BANDS, bandOf, D, RowStream } from "../page/sound/log-mel.js";
import { BLOCK, RATE, ROW, ROWS } from "./timing.js";

const SIZE = 512;
/** Samples from a spectrum to the next; each is of two hops, whose Hann windows add up to 1. */
const HOP = ROW / 2;
/** A band becomes so many times as loud at most, or as quiet. */
const MOST = 16;

export class Shaper {
  #means;
  #stream = new RowStream();
  /** What was heard from the first sample of the next block on, and the sum of what is answered from there on. */
  #heard = new Float32Array(4 * BLOCK);
  #filled = 0;
  #sum = new Float32Array(BLOCK + SIZE);
  #rows = [];
  #number = 0;
  #fft = new FFT(SIZE);
  #windowed = new Array(SIZE).fill(0);
  #spectrum = this.#fft.createComplexArray();
  #back = this.#fft.createComplexArray();
  #window = Float32Array.from({ length: 2 * HOP }, (_, i) => 0.5 - 0.5 * Math.cos((Math.PI * i) / HOP));
  /** The place of each bin among the bands. */
  #places = Float32Array.from({ length: SIZE / 2 + 1 }, (_, bin) => bandOf((bin * RATE) / SIZE));

  /** @param {number[]} means of the columns, which features are without */
  constructor(means) {
    this.#means = means;
  }

  /** Takes sound in: returns a block of 16 rows whenever one is whole, to be changed in place. */
  push(samples) {
    this.#heard.set(samples, this.#filled);
    this.#filled += samples.length;
    this.#rows.push(...this.#stream.push(samples));
    if (this.#rows.length < ROWS) return undefined;
    const rows = new Float32Array(ROWS * D);
    this.#rows.splice(0, ROWS).forEach((row, i) =>
      rows.set(
        row.map((x, j) => x - this.#means[j]),
        i * D,
      ),
    );
    return { number: this.#number++, rows, before: rows.slice() };
  }

  /** The sound of a block, of which rows were changed. */
  shape({ rows, before }) {
    for (let frame = 0; frame < 2 * ROWS; frame++) {
      // A row begins with the two spectra that are its own.
      const at = (frame >> 1) * D + (frame & 1) * BANDS;
      this.#add(frame * HOP, rows.subarray(at, at + BANDS), before.subarray(at, at + BANDS));
    }
    const answer = this.#sum.slice(0, BLOCK);
    this.#sum.copyWithin(0, BLOCK);
    this.#sum.fill(0, SIZE);
    this.#heard.copyWithin(0, BLOCK, this.#filled);
    this.#filled -= BLOCK;
    return answer;
  }

  #add(start, to, from) {
    for (let i = 0; i < 2 * HOP; i++) this.#windowed[i] = this.#heard[start + i] * this.#window[i];
    this.#fft.realTransform(this.#spectrum, this.#windowed);
    this.#places.forEach((place, bin) => {
      const low = Math.min(BANDS - 1, Math.max(0, Math.floor(place)));
      const high = Math.min(BANDS - 1, low + 1);
      const share = Math.min(1, Math.max(0, place - low));
      const change = (1 - share) * (to[low] - from[low]) + share * (to[high] - from[high]);
      // Features are of power: half of it is of amplitude.
      const gain = Math.min(MOST, Math.max(1 / MOST, 10 ** (change / 2)));
      this.#spectrum[2 * bin] *= gain;
      this.#spectrum[2 * bin + 1] *= gain;
    });
    this.#fft.completeSpectrum(this.#spectrum);
    this.#fft.inverseTransform(this.#back, this.#spectrum);
    for (let i = 0; i < SIZE; i++) this.#sum[start + i] += this.#back[2 * i];
  }
}
