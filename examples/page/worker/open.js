import { indexFactory } from "cellist";
import { buildVoiceIndex, readVoice } from "cellist/rvc";
import { unzipSync } from "fflate";
import { centred, ROW_HOP, ROW_SPAN } from "../sound/timing.js";

/** Frames of speech in a second, in every version of RVC and in the sample. */
export const FRAMES_PER_SECOND = 50;
const VERSIONS = { 256: "v1", 768: "v2" };
/** What people drop instead of an index, and what to say to them. */
const OTHERS = [
  [
    /\.(pth|pt|ckpt|safetensors|onnx)$/i,
    "is the model of a voice, not its index. Look beside it for the file that ends with .index.",
  ],
  [
    /\.(wav|mp3|flac|ogg|opus|m4a|aac)$/i,
    "is sound. Drop the .index that was made of it, or the folder 3_feature256 or 3_feature768.",
  ],
  [
    /\.(rar|7z|tar|gz)$/i,
    "is an archive of a kind that is not opened here. Unpack it and drop the .index, or drop a .zip.",
  ],
];

/** Something to say to a person, in place of an index. */
export class Sorry extends Error {}

/**
 * Makes an index of what was dropped.
 *
 * @param {File[]} files
 * @param {(progress: { phase: string, done: number, total: number }) => void} onProgress
 * @returns {Promise<{ name: string, file: Blob, index: import("cellist").Index, built: boolean }>}
 */
export async function openFiles(files, onProgress) {
  const slices = files.filter(({ name }) => name.endsWith(".npy") && !/^total_fea/.test(name));
  const index =
    files.find(({ name }) => /^added_.*\.index$/i.test(name)) ??
    files.find(({ name }) => /\.(index|faiss|ivf|voice)$/i.test(name));
  if (index !== undefined) return openIndex(index.name, index, onProgress);
  const zip = files.find(({ name }) => /\.zip$/i.test(name));
  if (zip !== undefined) return openZip(zip, onProgress);
  if (slices.length > 0) return buildOf(slices, onProgress);
  if (files.length === 0) throw new Sorry("There is nothing in it. Drop a .index, a .zip, or a folder of .npy files.");
  const [first] = files;
  const [, words] = OTHERS.find(([pattern]) => pattern.test(first.name)) ?? [];
  if (words !== undefined) throw new Sorry(`“${first.name}” ${words}`);
  if (files.length > 1) {
    throw new Sorry(
      `None of these ${files.length} files is an index. Drop a .index, a .zip, or a folder of .npy files.`,
    );
  }
  return openIndex(first.name, first, onProgress);
}

async function openIndex(name, file, onProgress) {
  const index = await readVoice(file, { onProgress }).catch((error) => {
    if (error.code !== "ERR_FORMAT" && error.code !== "ERR_UNSUPPORTED") throw error;
    throw new Sorry(`“${name}” could not be opened. ${sentence(error.message)}`);
  });
  if (index.ntotal === 0) {
    index.dispose();
    throw new Sorry(
      `“${name}” holds no frames. Of the two files that RVC writes for a voice, drop the one that begins with “added_”.`,
    );
  }
  return { name, file, index, built: false };
}

async function openZip(zip, onProgress) {
  onProgress({ phase: "unzip", done: 0, total: Infinity });
  let entries;
  try {
    entries = unzipSync(new Uint8Array(await zip.arrayBuffer()), {
      filter: ({ name }) => /\.(index|faiss|ivf|voice|npy)$/i.test(name),
    });
  } catch {
    throw new Sorry(`“${zip.name}” is damaged, or no .zip: it can't be unpacked.`);
  }
  const files = Object.entries(entries)
    .filter(([path]) => !path.startsWith("__MACOSX/"))
    .map(([path, bytes]) => new File([bytes], path.split("/").at(-1)));
  if (files.length === 0)
    throw new Sorry(`There is no .index in “${zip.name}”. Drop the .zip of a voice that has one.`);
  return openFiles(files, onProgress);
}

async function buildOf(slices, onProgress) {
  const data = await Promise.all(slices.map(async (file) => ({ name: file.name, data: await file.arrayBuffer() })));
  const version = VERSIONS[widthOf(data[0].data)] ?? "v2";
  try {
    return await build(data, { name: "voice", version, onProgress });
  } catch (error) {
    if (!["ERR_FORMAT", "ERR_DIMENSION", "ERR_NOT_FINITE", "ERR_PARAMETER"].includes(error.code)) throw error;
    throw new Sorry(`No voice can be built of these files. ${sentence(error.message)}`);
  }
}

/** Numbers in a row, as the header of an .npy file tells; undefined where it doesn't. */
function widthOf(npy) {
  const head = String.fromCharCode(...new Uint8Array(npy, 0, Math.min(npy.byteLength, 256)));
  return /'shape': \(\d+, (\d+)\)/.exec(head)?.[1];
}

async function build(slices, options) {
  const { index, fileName } = await buildVoiceIndex(slices, options);
  return { name: fileName, file: new Blob([index.toBytes()]), index, built: true };
}

/**
 * Makes a voice of sound: a slice for each prompt, of the rows that lie in it and are not silent.
 *
 * @param {Float32Array} samples at 16 kHz
 * @param {Float32Array[]} rows of its features
 * @param {{ prompts: [string, number, number][], means: number[] }} notes each prompt with its first row and how many it has
 */
export async function buildOfSound(samples, rows, { prompts, means }, onProgress) {
  const kept = prompts
    .flatMap(([, first, count]) => Array.from({ length: count }, (_, i) => first + i))
    .filter((row) => loudness(samples, row) > SILENCE);
  const features = new Float32Array(kept.length * means.length);
  kept.forEach((row, i) => features.set(centred(rows[row], means), i * means.length));
  // RVC's recipe but for the shuffling, so that the id of a frame tells where its sound is.
  const nlist = Math.min(Math.floor(16 * Math.sqrt(kept.length)), Math.floor(kept.length / 39));
  const index = await indexFactory(means.length, `IVF${nlist},Flat`);
  await index.train(features, { onProgress, seed: 1 });
  await index.add(features, { onProgress });
  const name = `added_IVF${nlist}_Flat_nprobe_1_sample_v1.index`;
  return { name, file: new Blob([index.toBytes()]), index, built: true, kept };
}

/** Rows below this mean square, -60 dB, are pauses. */
const SILENCE = 1e-6;

/** The mean square of a row's samples. */
function loudness(samples, row) {
  let sum = 0;
  for (let i = row * ROW_HOP, end = Math.min(samples.length, i + ROW_SPAN); i < end; i++) sum += samples[i] ** 2;
  return sum / ROW_SPAN;
}

export function sentence(words) {
  const text = words[0].toUpperCase() + words.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
