// What every runtime does, with nothing but JavaScript's own: a worklet has neither fetch nor TextDecoder nor performance.

import { checkTiny } from "./tiny.mjs";

const [ROWS, D, K, SEED] = [2000, 64, 8, 7];

/** What each index is, and what it is searched and blended with. */
export const INDEXES = {
  flat: ["Flat", 1, {}],
  ip: ["IVF32,Flat", 0, { nprobe: 3 }],
  ivf: ["IVF32,Flat", 1, { nprobe: 4 }],
  pq: ["IVF32,PQ16x4fs,RFlat", 1, { nprobe: 4, kFactor: 4 }],
  // Of "cellist/more", which the core imports for them where it is not given.
  opq: ["OPQ16_32,IVF32,SQ8,RFlat", 1, { nprobe: 4, kFactor: 4 }],
  hnsw: ["HNSW16", 1, {}],
};

/** Of "cellist/worker": threads, of which none may be missing. */
export const THREADED = {
  threads: 3,
  onWarning: ({ code, message }) => {
    if (code === "WARN_THREADS") throw new Error(message);
  },
};

export const blendOptions = (options) => ({ k: K, rate: 0.75, ...options });

/** The vectors and the queries of vectors.npy. */
export function readVectors(file) {
  const start = 10 + file[8] + 256 * file[9];
  const floats = new Float32Array(file.slice(start).buffer);
  return { base: floats.slice(0, ROWS * D), queries: floats.slice(ROWS * D) };
}

/**
 * Trains, fills, writes, reads, searches and blends, and returns a checksum of each: `{ "ivf labels": "0b5c2f19", … }`. An index
 * whose calls all return promises does as well.
 *
 * @param cellist indexFactory, readIndex, blend and, where there is one, buildVoiceIndex
 * @param file vectors.npy
 * @param engine what indexes are made with
 */
export async function runSearches(cellist, file, { engine = {} } = {}) {
  const { base, queries } = readVectors(file);
  const sums = {};
  for (const [name, [description, metric, options]] of Object.entries(INDEXES)) {
    const made = await cellist.indexFactory(D, description, metric, { ...engine });
    await made.train(base, { seed: SEED });
    sums[`${name} trained`] = checksum(await made.toBytes());
    await made.add(base.subarray(0, 1200 * D));
    await made.add(base.subarray(1200 * D));
    const bytes = await made.toBytes();
    await made.dispose();
    sums[`${name} file`] = checksum(bytes);
    const index = await cellist.readIndex(bytes, { ...engine });
    const { distances, labels } = await index.search(queries, K, options);
    sums[`${name} distances`] = checksum(distances);
    sums[`${name} labels`] = checksum(labels);
    await checkRelaxed(cellist, bytes, engine, queries, options, distances);
    // From here on Flat and IVF,Flat are searched by codes of their rows, which give the same.
    await index.warmUp({ batch: 16, k: K, ...options });
    const warm = await index.search(queries, K, options);
    if (checksum(warm.distances) !== sums[`${name} distances`] || checksum(warm.labels) !== sums[`${name} labels`]) {
      throw new Error(`${description} finds something else after warmUp`);
    }
    if (metric === 1) {
      sums[`${name} blend`] = checksum(await cellist.blend(index, queries.slice(), blendOptions(options)));
      sums[`${name} frames`] = await blendFrames(cellist, index, queries, options);
    }
    await index.dispose();
  }
  await checkTiny(cellist, base, engine);
  if (cellist.buildVoiceIndex !== undefined) {
    // 516 rows of an RVC v1 voice, in two slices.
    const middle = 300 * 256;
    const slices = [
      { name: "b", data: asNpy(base.subarray(middle)) },
      { name: "a", data: base.slice(0, middle) },
    ];
    const { index } = await cellist.buildVoiceIndex(slices, { version: "v1", seed: SEED, ...engine });
    sums["voice file"] = checksum(index.toBytes());
    // Made small: the same bytes everywhere, and the same vectors of them, be they floats or kept as they are.
    const { index: small } = await cellist.shrinkVoice(index, { layers: 2, sample: 16, ...engine });
    const bytes = small.toBytes();
    sums["small voice"] = checksum(bytes);
    const read = await cellist.readVoice(bytes, { ...engine });
    sums["small voice decoded"] = checksum(read.reconstructBatch(Array.from({ length: read.ntotal }, (_, i) => i)));
    const compact = await cellist.readVoice(bytes, { ...engine, compact: true });
    sums["small voice compact"] = checksum(compact.search(slices[1].data, K, { nprobe: 4 }).distances);
    for (const voice of [small, read, compact]) voice.dispose();
    index.dispose();
  }
  return sums;
}

/** Throws unless relaxed SIMD, where the engine has it, finds as much: it may round otherwise, and is left out of the checksums. */
async function checkRelaxed({ readIndex }, bytes, engine, queries, options, distances) {
  const index = await readIndex(bytes, { ...engine, relaxed: true });
  const relaxed = (await index.search(queries, K, options)).distances;
  await index.dispose();
  const sum = (all) => all.reduce((total, x) => total + Math.abs(x), 0);
  const share = sum(relaxed) / sum(distances);
  if (!(Math.abs(share - 1) < 1e-3)) throw new Error(`with relaxed SIMD distances are ${share} times as large`);
}

/** What runSearches wants, of the entries "cellist/worker" and "cellist/rvc": voices are built on this side. */
export function behindWorker(worker, { buildVoiceIndex, shrinkVoice, readVoice }) {
  const voices = { buildVoiceIndex, shrinkVoice, readVoice };
  return { ...worker, blend: (index, features, options) => index.blend(features, options), ...voices };
}

/** Throws unless progress comes out of a worker, and an abort gets in and leaves the index as it was. */
export async function checkWorker({ indexFactory }, file, engine = {}) {
  const index = await indexFactory(D, "IVF512,Flat", 1, engine);
  const controller = new AbortController();
  const reason = new Error("enough");
  const work = { signal: controller.signal, onProgress: () => controller.abort(reason) };
  const thrown = await index.train(readVectors(file).base, work).catch((error) => error);
  if (thrown !== reason) throw new Error(`an aborted training in a worker ended with ${String(thrown)}`);
  if (await index.isTrained) throw new Error("an aborted training in a worker has trained all the same");
  await index.dispose();
  if (engine.threads !== undefined) await checkMany(indexFactory, readVectors(file).base, engine);
}

/** Throws unless vectors arrive that are so many that threads copy them together, laid where all see them or handed over. */
async function checkMany(indexFactory, base, engine) {
  const many = new Float32Array(5 * base.length);
  for (let i = 0; i < 5; i++)
    many.set(
      base.map((x) => x + i),
      i * base.length,
    );
  const files = [];
  for (const transfer of [false, true]) {
    const index = await indexFactory(D, "IVF64,PQ16x4fs,RFlat", 1, engine);
    await index.train(many.slice(), { transfer });
    for (let again = 0; again < 2; again++) await index.add(many.slice(), { transfer });
    const rows = await index.reconstructBatch([0, 7777, 9999, 12345]);
    for (const [i, row] of [0, 7777, 9999, 2345].entries())
      for (let j = 0; j < D; j++) if (rows[i * D + j] !== many[row * D + j]) throw new Error(`row ${row} is another`);
    files.push(checksum(await index.toBytes()));
    await index.dispose();
  }
  if (files[0] !== files[1]) throw new Error("vectors that are handed over make another file");
}

/** Blends the queries one at a time, as an AudioWorklet does. Returns a checksum, as of all at once. */
async function blendFrames(cellist, index, queries, options) {
  const blended = new Float32Array(queries.length);
  for (let i = 0; i < queries.length; i += D) {
    blended.set(await cellist.blend(index, queries.slice(i, i + D), blendOptions(options)), i);
  }
  return checksum(blended);
}

/** FNV-1a over an array's bytes, as eight hexadecimal digits. */
export function checksum(array) {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  let hash = 0x811c9dc5;
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}

/** The .npy file of rows of 256. */
function asNpy(rows) {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows.length / 256}, 256), }`.padEnd(117) + "\n";
  const file = new Uint8Array(128 + rows.byteLength);
  file.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, 118, 0]);
  for (let i = 0; i < text.length; i++) file[10 + i] = text.charCodeAt(i);
  file.set(new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength), 128);
  return file;
}
