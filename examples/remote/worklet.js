/** The sound: what is heard goes to the worker, and comes back a little later. What does not come in time is played as it was heard. */
import { BLOCK, DELAY, ROW } from "./timing.js";

/** Samples that are kept around the present. */
const KEPT = 8 * BLOCK;

class BlendedProcessor extends AudioWorkletProcessor {
  #port;
  #row = new Float32Array(ROW);
  #heard = new Float32Array(KEPT);
  #answers = new Float32Array(KEPT);
  #time = 0;
  /** The block that has come last. */
  #latest = -1;
  #late = 0;

  constructor() {
    super();
    this.port.onmessage = ({ data: port }) => {
      this.#port = port;
      port.onmessage = ({ data: { block, samples } }) => {
        this.#answers.set(samples, (block * BLOCK) % KEPT);
        this.#latest = block;
      };
    };
  }

  process([[heard]], [[played]]) {
    if (this.#port === undefined) return true;
    for (let i = 0; i < played.length; i++, this.#time++) {
      const sample = heard?.[i] ?? 0;
      this.#heard[this.#time % KEPT] = sample;
      this.#row[this.#time % ROW] = sample;
      if (this.#time % ROW === ROW - 1) this.#port.postMessage(this.#row);
      const due = this.#time - DELAY;
      if (due < 0) continue;
      const isThere = Math.floor(due / BLOCK) <= this.#latest;
      if (due % BLOCK === 0) {
        if (!isThere) this.#late++;
        this.port.postMessage({ late: this.#late });
      }
      played[i] = (isThere ? this.#answers : this.#heard)[due % KEPT];
    }
    return true;
  }
}

registerProcessor("blended", BlendedProcessor);
