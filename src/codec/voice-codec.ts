import type { FileCodec, ReadOptions } from "../api.js";
import { what } from "../checks.js";
import { CellistError, fail } from "../errors.js";
import type { ReadingCodec } from "../faiss/read.js";
import type { Reader } from "../format/reader.js";
import type { Origin } from "../handle/vector-index.js";
import type { IndexNode } from "../indexes/node.js";
import type { Engine } from "../wasm/engine.js";
import type { Pace } from "../work/pace.js";
import { crc32, wrong } from "./bytes.js";
import { indexOf, nprobeOf } from "./cells.js";
import { CompactCode } from "./compact.js";
import { checkLayers, HALF_UNIT, listBytes, VoiceDecoder } from "./decoder.js";
import { countLayers, FIXED_BYTES, FOURCC, headBytes, layerStart, readHead, writeHead } from "./head.js";
import type { Head } from "./head.js";
import { kernelsOf } from "./kernels.js";

/** A voice file in memory, or the first layers of one. */
interface VoiceFile {
  head: Head;
  prefix: Uint8Array;
  layers: { side: Uint8Array; data: Uint8Array }[];
}

async function read(
  reader: Reader,
  engine: Engine,
  pace: Pace,
  options: ReadOptions,
): Promise<{ node: IndexNode; origin: Origin }> {
  const { layers, compact = false } = options;
  if (typeof compact !== "boolean") fail("ERR_PARAMETER", `compact is ${what(compact)}: give true or false`);
  const file = await readFile(reader, layers);
  const node = await (compact ? decodeCompact : decode)(file, engine, pace);
  return { node, origin: { parts: (own) => fileParts(file, nprobeOf(own)) } };
}

/** Reads the bytes behind the fourcc, and looks whether they are what the head says. */
async function readFile(reader: Reader, wanted: number | undefined): Promise<VoiceFile> {
  const fixed = new Uint8Array(FIXED_BYTES);
  for (let i = 0; i < FOURCC.length; i++) fixed[i] = FOURCC.charCodeAt(i);
  fixed.set(await reader.bytes("the head of the voice file", FIXED_BYTES - FOURCC.length), FOURCC.length);
  const size = headBytes(countLayers(fixed));
  const whole = new Uint8Array(size);
  whole.set(fixed);
  whole.set(await reader.bytes("the head of the voice file", size - FIXED_BYTES), FIXED_BYTES);
  const head = readHead(whole);
  if (wanted !== undefined) checkLayers(wanted, head);
  const count = wanted ?? head.layers.length;
  reader.announce(layerStart(head, count) - size);
  const prefix = await reader.bytes("the prefix of the voice file", head.prefixBytes);
  const layers: VoiceFile["layers"] = [];
  while (layers.length < count) {
    const number = layers.length;
    const { sideBytes, dataBytes, dataCrc } = head.layers[number];
    try {
      const side = await reader.bytes(`the side section of layer ${number + 1}`, sideBytes);
      const data = await reader.bytes(`the lists of layer ${number + 1}`, dataBytes);
      if (crc32(data) !== dataCrc) wrong(`layer ${number + 1}`, "does not match its checksum");
      layers.push({ side, data });
    } catch (error) {
      if (!(error instanceof CellistError) || error.code !== "ERR_FORMAT" || number === 0) throw error;
      const first = number === 1 ? "the first layer is" : `the first ${number} layers are`;
      fail("ERR_FORMAT", `${error.message}. But ${first} whole: give { layers: ${number} } to open what there is`);
    }
  }
  return { head: { ...head, layers: head.layers.slice(0, count) }, prefix, layers };
}

/** @internal The parts of a file, with another nprobe: of its first layers, where only these were read. */
export function fileParts({ head, prefix, layers }: VoiceFile, nprobe: number): Uint8Array[] {
  return [writeHead({ ...head, nprobe }), prefix, ...layers.flatMap(({ side, data }) => [side, data])];
}

/** An `IVFn,Flat` of the rows that a file stands for. */
async function decode({ head, prefix, layers }: VoiceFile, engine: Engine, pace: Pace): Promise<IndexNode> {
  const { d, ntotal, nlist, metric, nprobe } = head;
  const decoder = await VoiceDecoder.open(engine, head, prefix, pace);
  const { sizes } = decoder;
  for (const { side } of layers) await decoder.openLayer(side, pace);
  const ids = decoder.ids();

  // What stays comes first, so that what goes is at the end of the memory.
  const rows = ntotal === 0 ? 0 : engine.allocate(ntotal * d * 4);
  const labels = ntotal === 0 ? 0 : engine.allocate(ntotal * 8);
  const most = sizes.reduce((largest, size) => Math.max(largest, size), 0);
  const numbers = engine.allocate(most * decoder.stride * 2);
  const scales = engine.allocate(most * 4);
  let row = 0;
  for (let list = 0; list < nlist; list++) {
    layers.forEach(({ data }, layer) => {
      decoder.readList(list, layer, listBytes(decoder.layers[layer], list, data), numbers, scales);
    });
    const at = rows + row * d * 4;
    decoder.writeRows(list, layers.length - 1, numbers, scales, at);
    if (engine.kernels.firstNotFinite(at, sizes[list] * d) >= 0) wrong(`list ${list}`, "has rows that are not finite");
    row += sizes[list];
    await pace.step("decode", row, ntotal);
  }
  if (ids !== undefined) engine.i64.set(ids, labels >>> 3);
  else for (let i = 0; i < ntotal; i++) engine.i64[(labels >>> 3) + i] = BigInt(i);
  const centroids = decoder.takeCentroids();
  decoder.release();
  engine.release(numbers);
  engine.release(scales);
  return indexOf(engine, { d, metric, nprobe, sizes, centroids, rows, ids: labels });
}

/** The same, of which the numbers are kept. */
async function decodeCompact(file: VoiceFile, engine: Engine, pace: Pace): Promise<IndexNode> {
  // Nearly all voices of an eighth and less have numbers of 8 bits; where one has more, it is begun again.
  return (
    (await fold(file, engine, pace, false)) ??
    (await fold(file, engine, pace, true)) ??
    wrong("a list", "is too far out")
  );
}

/** Undefined where a number has more than 8 bits and they are not to be wide: the memory is as it was. */
async function fold(
  { head, prefix, layers }: VoiceFile,
  engine: Engine,
  pace: Pace,
  wide: boolean,
): Promise<IndexNode | undefined> {
  const { d, ntotal, nlist, metric, nprobe } = head;
  const kernels = kernelsOf(engine);
  const decoder = await VoiceDecoder.open(engine, head, prefix, pace);
  const { sizes, stride } = decoder;
  for (const { side } of layers) await decoder.openLayer(side, pace);
  const ids = decoder.ids();
  const { width } = head.layers[layers.length - 1];
  const rowBytes = kernels.compactRowBytes(width, wide ? 1 : 0);
  const rows = ntotal === 0 ? 0 : engine.allocate(ntotal * rowBytes);
  const labels = ntotal === 0 ? 0 : engine.allocate(ntotal * 8);
  const padded = Math.ceil(width / 16) * 16;
  const ones = engine.allocate(padded * 8);
  const twos = ones + padded * 4;
  engine.f32.fill(0, ones >>> 2, (ones >>> 2) + padded * 2);
  const last = decoder.layers[layers.length - 1];
  const more = Math.ceil(width / 4) * 16;
  engine.u8.copyWithin(ones, last.ones, last.ones + more);
  engine.u8.copyWithin(twos, last.twos, last.twos + more);

  const longest = sizes.reduce((largest, size) => Math.max(largest, size), 0);
  const numbers = engine.allocate(longest * stride * 2);
  const scales = engine.allocate(longest * 4);
  const factors = engine.allocate(longest * 4);
  let [row, most, square] = [0, 0, 0];
  for (let list = 0; list < nlist; list++) {
    const n = sizes[list];
    layers.forEach(({ data }, layer) => {
      decoder.readList(list, layer, listBytes(decoder.layers[layer], list, data), numbers, scales);
    });
    if (kernels.fromHalves(scales, n, Math.fround(head.unit / HALF_UNIT), factors) !== 0)
      wrong(`list ${list}`, "has a scale that can't be");
    if (engine.kernels.firstNotFinite(factors, n) >= 0) wrong(`list ${list}`, "has rows that are not finite");
    const at = rows + row * rowBytes;
    most = Math.max(most, kernels.foldRows(numbers, n, width, stride, ones, twos, factors, list, wide ? 1 : 0, at));
    if (!wide && most > 127) {
      decoder.release();
      for (const block of [rows, labels, ones, numbers, scales, factors]) engine.release(block);
      return undefined;
    }
    // Infinite for rows whose squares no float holds: they are compared without bounds then.
    for (let i = 1; i <= n; i++) square = Math.max(square, engine.f32[((at + i * rowBytes) >>> 2) - 4]);
    row += n;
    await pace.step("decode", row, ntotal);
  }
  if (ids !== undefined) engine.i64.set(ids, labels >>> 3);
  else for (let i = 0; i < ntotal; i++) engine.i64[(labels >>> 3) + i] = BigInt(i);
  const basis = await decoder.completeBasis(pace);
  const centroids = decoder.takeCentroids();
  decoder.release();
  for (const block of [numbers, scales, factors]) engine.release(block);
  const centres = engine.allocate(nlist * d * 4);
  kernels.product(centroids, nlist, d, d, basis.asColumns, d, d, 0, centres, d);
  const parts = { basis, width, wide, most, reach: Math.sqrt(square), ones, twos, centres };
  const code = new CompactCode(engine, d, metric, parts);
  return indexOf(engine, { d, metric, nprobe, sizes, centroids, rows, ids: labels }, code);
}

const codec: ReadingCodec = { name: "voice files", fourccs: [FOURCC], read };

/**
 * Reads voice files, which shrinkVoice makes: `readIndex(file, { codecs: [voiceCodec] })`.
 *
 * @example
 *   const voice = await readIndex(await fetch("alice.voice"), { codecs: [voiceCodec] });
 */
export const voiceCodec: FileCodec = codec;
