/**
 * The worker of one voice: it opens the file or builds it, measures it, encodes it smaller, and answers every hop of the mosaic. The
 * page ends it when another voice is dropped, and all memory goes with it.
 */
import { METRIC_L2 } from "cellist";
import { readVoice } from "cellist/rvc";
import { cellsOf } from "./cells.js";
import { BLOCK, centred } from "../sound/timing.js";
import { blended, measure, standIns } from "./measure.js";
import { buildOfSound, FRAMES_PER_SECOND, openFiles, sentence, Sorry } from "./open.js";
import { shrink, sizesOf } from "./sizes.js";

/** Lists that a search looks into, as far as there are so many. */
const NPROBES = [1, 2, 4, 8, 16, 32, 64];
/** Frames to look at, two seconds or so, and to take the time with. */
const SHOWN_ROWS = 6 * BLOCK;

/** @type {Awaited<ReturnType<typeof openFiles>> & Record<string, any>} */
let voice;
let mosaic;
/** sound/of-sample.js, once there is sound. */
let sound;

const methods = {
  /** Opens what was dropped. */
  async open({ files }, onProgress) {
    voice = await openFiles(files, onProgress);
    return card();
  },

  /** Builds the sample of its sound, and keeps the sentence that asks it. */
  async openSound({ script, speex, samples, spoken, notes }, onProgress) {
    onProgress({ phase: "listen", done: 0, total: Infinity });
    sound = load(script);
    sound.useSpeex(speex);
    voice = await buildOfSound(samples, sound.rowsOf(samples), notes, onProgress);
    voice.samples = samples;
    voice.notes = notes;
    const rows = sound.rowsOf(spoken).map((row) => centred(row, notes.means));
    const count = rows.length - (rows.length % BLOCK);
    voice.queries = new Float32Array(count * voice.index.d);
    rows.slice(0, count).forEach((row, i) => voice.queries.set(row, i * voice.index.d));
    return card();
  },

  /** The picture of the cells. */
  cells() {
    const { index, name, samples, queries } = voice;
    const file = name.endsWith(".voice") ? new Blob([index.toFaiss()]) : voice.file;
    const walk = samples === undefined ? new Float32Array(0) : queries;
    return cellsOf(file, (ids) => index.reconstructBatch(ids), walk);
  },

  /** Measures the file at every nprobe. */
  async measure(_, onProgress) {
    const { index, file, queries } = voice;
    const settings = await measure(index, { ...(await prepare()), queries, onProgress });
    return settings.map((setting) => ({ size: "full", bytes: file.size, ...setting }));
  },

  /** The sizes that this voice can be brought to, smallest last. */
  sizes() {
    return sizesOf(voice);
  },

  /** What another worker needs to make the voice smaller: this one goes on answering meanwhile. */
  async handOver() {
    return { file: voice.file, queries: voice.queries, how: await prepare() };
  },

  /** Makes a voice smaller that was handed over, and measures that. */
  async shrink({ file, queries, size, how }, onProgress) {
    const { bytes, settings } = await shrink({ file, queries }, size, { ...how, onProgress });
    const points = settings.map((setting) => ({ size: size.id, bytes: bytes.length, ...setting }));
    return { bytes, points };
  },

  /** Keeps what the other worker made. */
  keep({ size, bytes }) {
    voice.smaller[size.id] = bytes;
  },

  /** The file of a choice. */
  async take({ size, nprobe, faiss }) {
    const index = await indexOf(size);
    const before = index.nprobe;
    if (voice.nlist > 1) index.nprobe = nprobe;
    const bytes = faiss ? index.toFaiss() : index.toBytes();
    if (index === voice.index) index.nprobe = before;
    return bytes;
  },

  /** Frames before a blend and after it: as the file has it, as chosen, and exactly. */
  async picture({ size, nprobe }) {
    const { frames: before } = await prepare();
    const { index, stored, nlist } = voice;
    const chosen = blended(await indexOf(size), before, nprobe);
    return { d: index.d, before, stored: blended(index, before, stored), chosen, exact: blended(index, before, nlist) };
  },

  /** Sound at another rate. */
  resample({ samples, from, to }) {
    return sound.resampled(samples, from, to);
  },

  /** Begins to answer sound: through the port come samples, and out of it go the grains to play. */
  async mosaic({ port, shared, rate, options }) {
    mosaic?.stop();
    mosaic = await sound.Mosaic.start({ voice, port, shared, rate, options });
  },

  /** Changes what the mosaic does, or ends it. */
  steer({ options }) {
    if (options === undefined) mosaic?.stop();
    else mosaic?.steer(options);
  },
};

/** Runs a script that the page holds; returns what it is made of. */
function load(script) {
  const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  self.importScripts(address);
  URL.revokeObjectURL(address);
  return self.sound;
}

/** What is known of a voice at once. */
function card() {
  const { index, name, file, built, samples } = voice;
  const [, nlist] = /IVF(\d+)/.exec(index.description) ?? [];
  voice.nlist = Number(nlist ?? 1);
  voice.stored = nlist === undefined ? 1 : index.nprobe;
  voice.smaller = {};
  return {
    name,
    built,
    bytes: file.size,
    d: index.d,
    frames: index.ntotal,
    seconds: index.ntotal / FRAMES_PER_SECOND,
    nlist: nlist === undefined ? undefined : voice.nlist,
    nprobe: voice.stored,
    description: index.description,
    sound: samples !== undefined,
  };
}

/** What every measurement needs, made when the first does. */
function prepare() {
  return (voice.prepared ??= gather());
}

async function gather() {
  const { index, nlist, stored, queries } = voice;
  if (index.metric !== METRIC_L2) {
    throw new Sorry(
      "This index compares by inner product, and the frames of a voice are compared by distance. Drop one that was built for distance (L2).",
    );
  }
  const nprobes = [...new Set([stored, ...NPROBES])].filter((nprobe) => nprobe <= nlist).sort((a, b) => a - b);
  const frames = queries?.slice(0, SHOWN_ROWS * index.d) ?? standIns(framesOf(index, SHOWN_ROWS), index.d);
  return { nprobes, nlist, frames };
}

/** Some frames of a voice, evenly from all of it. */
function framesOf(index, count) {
  const ids = index.ids();
  const places = Array.from({ length: count }, (_, i) => Math.floor((i * ids.length) / count));
  return index.reconstructBatch(ids.constructor.from(places, (place) => ids[place]));
}

/** The index of a size: the small ones are kept as files, and opened for as long as one is asked. */
async function indexOf(size) {
  if (size === "full" || voice.smaller[size] === undefined) return voice.index;
  if (voice.opened?.size !== size) {
    voice.opened?.index.dispose();
    voice.opened = { size, index: await readVoice(voice.smaller[size]) };
  }
  return voice.opened.index;
}

self.onmessage = async ({ data: { id, method, args } }) => {
  const onProgress = (progress) => self.postMessage({ id, progress });
  try {
    const value = await methods[method](args ?? {}, onProgress);
    const transfer = value instanceof Uint8Array ? [value.buffer] : [];
    self.postMessage({ id, value }, transfer);
  } catch (error) {
    const message = error instanceof Sorry ? error.message : sentence(String(error.message ?? error));
    self.postMessage({ id, error: message });
  }
};
