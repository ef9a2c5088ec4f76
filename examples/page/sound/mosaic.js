import { Ring } from "cellist/ring";
import { BANDS, D, FRAMES, RowStream } from "./log-mel.js";
import { resampled, resampler } from "./resample.js";
import { BLOCK, centred, GRAIN, HOPS_PER_SECOND, RATE, ROW_HOP } from "./timing.js";

/** A grain is the middle of its row's samples. */
const MIDDLE = 120;
const GRAIN_SAMPLES = GRAIN * RATE;
/** Samples that a grain may be moved, to go on from the one before it in step. */
const SHIFT = 80;
/** No frame is made louder than this. */
const LOUDEST = 4;
/** Below this power, about -60 dB, what is heard is silence. */
const SILENCE = 1e-2;
/** How often shared memory is looked into, in ms. */
const POLL = 4;
/** Blocks in a minute. */
const MINUTE = (60 * HOPS_PER_SECOND) / BLOCK;

/**
 * Answers sound with the sound of a voice: each hop's features are looked up, and one of the frames found is what is played. Which one
 * is a matter of distance and of rhythm: how much the frame that follows the last one is preferred.
 */
export class Mosaic {
  #voice;
  #features = new RowStream();
  #send;
  #filter;
  #options;
  #timer;
  #port;
  #hop = 0;
  /** The frame of the last grain, and where that begins. */
  #last = -1;
  #lastStart = 0;
  #busy = 0;
  #times = [];

  /** @param {{ voice: any, port: MessagePort, shared?: Record<string, SharedArrayBuffer>, rate: number, options: object }} way */
  static async start({ voice, port, shared, rate, options }) {
    const mosaic = new Mosaic();
    mosaic.#voice = voice;
    mosaic.#port = port;
    mosaic.#filter = await resampler(rate, RATE);
    mosaic.steer(options);
    const sound = await resampled(voice.samples, RATE, rate);
    const copy = sound === voice.samples ? sound.slice() : sound;
    if (shared === undefined) {
      port.onmessage = ({ data }) => mosaic.#hear(data);
      mosaic.#send = (grain) => port.postMessage(grain);
    } else {
      const heard = new Ring(shared.heard);
      const grains = new Ring(shared.grains);
      const samples = new Float32Array(Math.round(rate / HOPS_PER_SECOND));
      mosaic.#send = (grain) => grains.write(grain);
      mosaic.#timer = setInterval(() => {
        while (heard.read(samples)) mosaic.#hear(samples);
      }, POLL);
    }
    port.postMessage({ voice: copy }, [copy.buffer]);
    return mosaic;
  }

  /** @param {{ k: number, nprobe: number, rhythm: number }} options */
  steer(options) {
    this.#options = options;
    this.#voice.index.warmUp({ batch: 1, k: options.k, nprobe: options.nprobe });
    this.#last = -1;
  }

  stop() {
    clearInterval(this.#timer);
    this.#port.onmessage = null;
    this.#port.close();
  }

  #hear(samples) {
    const start = performance.now();
    for (const row of this.#features.push(this.#filter.push(samples))) {
      this.#answer(row);
      this.#hop++;
      if (this.#hop % BLOCK === 0) this.#tell(this.#busy + performance.now() - start);
    }
    this.#busy = this.#hop % BLOCK === 0 ? 0 : this.#busy + performance.now() - start;
  }

  /** Sends the grain of a row. */
  #answer(row) {
    const { notes, kept } = this.#voice;
    const power = powerOf(row);
    if (power < SILENCE) {
      this.#last = -1;
      this.#send([this.#hop, 0, 0]);
      return;
    }
    const frame = this.#choose(centred(row, notes.means));
    const start = this.#place(frame);
    this.#last = frame;
    this.#lastStart = start;
    const gain = Math.min(LOUDEST, Math.sqrt(power / this.#framePower(frame, notes.means)));
    this.#send([this.#hop, start / RATE, kept.length > 0 ? gain : 0]);
  }

  /** The frame to play for a query. */
  #choose(query) {
    const { index } = this.#voice;
    const { k, nprobe, rhythm } = this.#options;
    const { distances, labels } = index.search(query, k, { nprobe, ensureK: true });
    const next = this.#follows(this.#last) ? this.#last + 1 : -1;
    let best = labels[0];
    let least = Infinity;
    const consider = (frame, distance) => {
      const cost = distance / (distances[0] || 1) - (frame === next ? 2 * rhythm : 0);
      if (cost < least) [best, least] = [frame, cost];
    };
    for (let i = 0; i < k && labels[i] >= 0; i++) consider(labels[i], distances[i]);
    if (next >= 0) consider(next, this.#distance(query, next));
    return best;
  }

  /** Whether the frame after this one is the next in time, too. */
  #follows(frame) {
    const { kept } = this.#voice;
    return frame >= 0 && kept[frame + 1] === kept[frame] + 1;
  }

  /** Where the grain of a frame begins: in step with the one before it. */
  #place(frame) {
    const { samples, kept } = this.#voice;
    const natural = kept[frame] * ROW_HOP + MIDDLE;
    if (this.#last < 0) return natural;
    const wanted = this.#lastStart + ROW_HOP;
    if (Math.abs(wanted - natural) <= SHIFT) return wanted;
    let best = natural;
    let most = -Infinity;
    for (let start = natural - SHIFT; start <= natural + SHIFT; start += 2) {
      let product = 0;
      let norm = 1e-9;
      for (let i = 0; i < ROW_HOP; i += 2) {
        const sample = samples[start + i] ?? 0;
        product += sample * (samples[wanted + i] ?? 0);
        norm += sample * sample;
      }
      const likeness = product / Math.sqrt(norm);
      if (likeness > most) [best, most] = [start, likeness];
    }
    return Math.max(0, Math.min(samples.length - GRAIN_SAMPLES, best));
  }

  #distance(query, frame) {
    const row = this.#voice.index.reconstruct(frame);
    let sum = 0;
    for (let i = 0; i < D; i++) sum += (query[i] - row[i]) ** 2;
    return sum;
  }

  #framePower(frame, means) {
    return powerOf(this.#voice.index.reconstruct(frame).map((value, i) => value + means[i]));
  }

  /** Tells the page what a block took, and the worst of the last minute. */
  #tell(ms) {
    this.#times.push(ms);
    if (this.#times.length > MINUTE) this.#times.shift();
    self.postMessage({ meter: { ms, worst: Math.max(...this.#times) } });
  }
}

/** The power of the two middle spectra of a row. */
function powerOf(row) {
  let power = 0;
  for (let i = BANDS; i < (FRAMES - 1) * BANDS; i++) power += 10 ** row[i];
  return power;
}
