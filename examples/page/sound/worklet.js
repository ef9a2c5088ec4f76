/**
 * The sound of the mosaic. What is heard goes to the worker of the voice, hop by hop of 20 ms; back come grains: which stretch of the
 * voice's own sound to play for a hop, and how loud. Grains overlap by half, and are added up a quarter of a second after what they
 * answer was heard.
 */
import { Ring } from "cellist/ring";
import { DELAY, GRAIN, GRAIN_FIELDS, HOPS_PER_SECOND, QUANTUM } from "./timing.js";

class MosaicProcessor extends AudioWorkletProcessor {
  #voice = new Float32Array(0);
  #port;
  #toWorker;
  #fromWorker;
  #grain = new Float32Array(GRAIN_FIELDS);
  #heard = new Float32Array(Math.round(sampleRate / HOPS_PER_SECOND));
  #filled = 0;
  /** Two seconds around the present: what was heard, and the sum of the grains. */
  #before = new Float32Array(2 * sampleRate);
  #sum = new Float32Array(2 * sampleRate);
  #window = hann(Math.round(GRAIN * sampleRate));
  #time = 0;
  #rate = 1;
  /** The number of the last hop whose grain has come, and of the last that was due. */
  #latest = -1;
  #due = -1;
  #late = 0;
  #levels = { heard: 0, played: 0, samples: 0 };
  #running = true;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => {
      if (data.stop) this.#running = false;
      if (data.rate !== undefined) this.#rate = data.rate;
      if (data.port !== undefined) this.#connect(data);
    };
  }

  #connect({ port, shared }) {
    this.#port = port;
    if (shared !== undefined) {
      this.#toWorker = new Ring(shared.heard);
      this.#fromWorker = new Ring(shared.grains);
    }
    port.onmessage = ({ data }) => {
      if (data.voice !== undefined) this.#voice = data.voice;
      else this.#add(data);
    };
  }

  process([[heard]], [[played]]) {
    if (!this.#running) return false;
    if (this.#voice.length === 0) return true;
    const { length } = this.#before;
    while (this.#fromWorker?.read(this.#grain)) this.#add(this.#grain);
    this.#checkDue();
    const delay = Math.round(DELAY * sampleRate);
    for (let i = 0; i < QUANTUM; i++) {
      const sample = heard?.[i] ?? 0;
      const now = (this.#time + i) % length;
      this.#before[now] = sample;
      this.#hear(sample);
      const answer = this.#rate * this.#sum[now] + (1 - this.#rate) * this.#before[(now + length - delay) % length];
      this.#sum[now] = 0;
      played[i] = answer;
      this.#levels.heard += sample * sample;
      this.#levels.played += answer * answer;
    }
    this.#time += QUANTUM;
    this.#tell();
    return true;
  }

  #hear(sample) {
    this.#heard[this.#filled++] = sample;
    if (this.#filled < this.#heard.length) return;
    this.#filled = 0;
    // A message's array is a copy; where the worker is so far behind that a ring is full, the hop is lost and so is its grain.
    if (this.#toWorker === undefined) this.#port.postMessage(this.#heard);
    else this.#toWorker.write(this.#heard);
  }

  /** Adds a grain to what will be played, as far as its time has not passed. */
  #add([hop, from, gain]) {
    this.#latest = Math.max(this.#latest, hop);
    const start = Math.round((hop / HOPS_PER_SECOND + DELAY) * sampleRate);
    const first = Math.round(from * sampleRate);
    for (let i = Math.max(0, this.#time - start); i < this.#window.length; i++) {
      this.#sum[(start + i) % this.#sum.length] += gain * this.#window[i] * (this.#voice[first + i] ?? 0);
    }
  }

  /** Counts the hops whose time has come and whose grain has not. */
  #checkDue() {
    const due = Math.floor((this.#time / sampleRate - DELAY) * HOPS_PER_SECOND);
    if (due <= this.#due) return;
    this.#due = due;
    if (due >= 0 && due > this.#latest) this.#late++;
  }

  /** Tells the page how loud it was, twenty times a second. */
  #tell() {
    this.#levels.samples += QUANTUM;
    const { heard, played, samples } = this.#levels;
    if (samples < sampleRate / 20) return;
    const level = (sum) => Math.sqrt(sum / samples);
    this.port.postMessage({ heard: level(heard), played: level(played), late: this.#late });
    this.#levels = { heard: 0, played: 0, samples: 0 };
  }
}

function hann(size) {
  return Float32Array.from({ length: size }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 0.5)) / size));
}

registerProcessor("mosaic", MosaicProcessor);
