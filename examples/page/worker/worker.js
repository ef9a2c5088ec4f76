/**
 * The worker of one voice: it opens the file or builds it, measures it, encodes it smaller, and answers every hop of the mosaic. The
 * page ends it when another voice is dropped, and all memory goes with it.
 */
import { METRIC_L2 } from "cellist";
import { cellsOf } from "./cells.js";
import { BLOCK, blended, measure, standIns, truthOf } from "./measure.js";
import { Mosaic } from "./mosaic.js";
import { buildOfSound, centred, FRAMES_PER_SECOND, openFiles, sentence, Sorry } from "./open.js";
import { readLists } from "./faiss-lists.js";
import { encodings, encode } from "./sizes.js";
import { rowsOf as logMelRows } from "../sound/log-mel.js";

/** Lists that a search looks into, as far as there are so many. */
const NPROBES = [1, 2, 4, 8, 16, 32, 64];
/** Rows of the spectrograms: two seconds or so. */
const SHOWN_ROWS = 96;

/** @type {Awaited<ReturnType<typeof openFiles>> & Record<string, any>} */
let voice;
let mosaic;

const methods = {
  /** Opens what was dropped. */
  async open({ files }, onProgress) {
    voice = await openFiles(files, onProgress);
    return card();
  },

  /** Builds the sample of its sound, and keeps the sentence that asks it. */
  async openSound({ samples, sentence: spoken, notes }, onProgress) {
    voice = await buildOfSound(samples, notes, onProgress);
    voice.samples = samples;
    voice.notes = notes;
    const rows = logMelRows(spoken).map((row) => centred(row, notes.means));
    const count = rows.length - (rows.length % BLOCK);
    voice.queries = new Float32Array(count * voice.index.d);
    rows.slice(0, count).forEach((row, i) => voice.queries.set(row, i * voice.index.d));
    return card();
  },

  /** The picture of the cells. */
  async cells() {
    await prepare();
    const { index, file, samples, queries } = voice;
    const walk = samples === undefined ? new Float32Array(0) : queries;
    return cellsOf(file, (ids) => index.reconstructBatch(ids), walk);
  },

  /** Measures the file as it is, then at every nprobe, and tells each as it comes. */
  async measure(_, onProgress) {
    const { index, settings, stored } = await prepare();
    const points = [];
    for (const nprobe of settings) {
      points.push(point(index, "full", voice.file.size, nprobe));
      onProgress({ point: points.at(-1), stored });
      await pause();
    }
    return points;
  },

  /** The sizes that this voice can be brought to, smallest last. */
  sizes() {
    const { d, metric, description } = voice.index;
    if (metric !== METRIC_L2 || !/^IVF\d+,Flat$/.test(description)) return [];
    return encodings(d, description);
  },

  /** Encodes the voice smaller and measures that. */
  async shrink({ size }, onProgress) {
    await prepare();
    const { index, bytes } = await encode(voice, size, onProgress);
    voice.smaller[size.id] = index;
    const points = [];
    for (const nprobe of voice.settings) {
      points.push({ ...point(index, size.id, bytes, nprobe), factory: size.factory });
      onProgress({ point: points.at(-1) });
      await pause();
    }
    return points;
  },

  /** The file of a choice. */
  take({ size, nprobe }) {
    const index = size === "full" ? voice.index : voice.smaller[size];
    const before = index.get("nprobe");
    index.set(`nprobe=${nprobe}`);
    const bytes = index.toBytes();
    index.set(`nprobe=${before}`);
    return bytes;
  },

  /** Frames before a blend and after it: as the file has it, as chosen, and exactly. */
  async picture({ size, nprobe }) {
    const { index, queries, stored, everything } = await prepare();
    const rows = queries.subarray(0, SHOWN_ROWS * index.d);
    const chosen = size === "full" ? index : (voice.smaller[size] ?? index);
    return {
      d: index.d,
      before: rows,
      stored: blended(index, rows, stored),
      chosen: blended(chosen, rows, nprobe),
      exact: blended(index, rows, everything),
    };
  },

  /** Begins to answer sound: through the port come samples, and out of it go the grains to play. */
  async mosaic({ port, shared, rate, options }) {
    mosaic?.stop();
    mosaic = await Mosaic.start({ voice, port, shared, rate, options });
  },

  /** Changes what the mosaic does, or ends it. */
  steer({ options }) {
    if (options === undefined) mosaic?.stop();
    else mosaic?.steer(options);
  },
};

/** What is known of a voice at once. */
function card() {
  const { index, name, file, built, samples } = voice;
  const [, nlist] = /IVF(\d+)/.exec(index.description) ?? [];
  voice.nlist = Number(nlist ?? 1);
  voice.stored = nlist === undefined ? 1 : index.get("nprobe");
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
  const { index, nlist, stored } = voice;
  const { d } = index;
  if (index.metric !== METRIC_L2)
    throw new Sorry("This index compares by inner product. Voices are compared by distance (L2).");
  voice.everything = nlist;
  voice.settings = [...new Set([stored, ...NPROBES])].filter((nprobe) => nprobe <= nlist).sort((a, b) => a - b);
  if (voice.settings.length === 0) voice.settings = [stored];
  const { ids, rows } = await framesOf(voice);
  voice.rows = rows;
  voice.queries ??= standIns(rows, d);
  voice.truth = truthOf(index, voice.queries, voice.everything);
  voice.ids = ids;
  // Where frames are numbered in sequence, as RVC has them, a label is a place.
  voice.placeOf = ids.every((id, i) => id === i) ? (label) => label : placesOf(ids);
  return voice;
}

/** All frames of a voice, and their ids. */
async function framesOf({ index, file }) {
  const inSequence = Array.from({ length: index.ntotal }, (_, i) => i);
  try {
    return { ids: inSequence, rows: index.reconstructBatch(inSequence) };
  } catch (error) {
    const lists = error.code === "ERR_ID" ? await readLists(file) : undefined;
    if (lists === undefined) throw error;
    const ids = lists.lists.flat();
    return { ids, rows: index.reconstructBatch(ids) };
  }
}

function placesOf(ids) {
  const places = new Map(ids.map((id, place) => [id, place]));
  return (label) => places.get(label);
}

function point(index, size, bytes, nprobe) {
  const { rows, queries, truth, placeOf } = voice;
  const { d } = index;
  const distance = (query, label) => {
    let sum = 0;
    for (let i = query * d, end = i + d, j = placeOf(label) * d; i < end; i++, j++) sum += (queries[i] - rows[j]) ** 2;
    return sum;
  };
  return { size, bytes, nprobe, ...measure(index, truth, nprobe, distance) };
}

/** Lets messages in between two pieces of work. */
function pause() {
  return new Promise((resolve) => setTimeout(resolve));
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
