import { crc32 } from "../codec/bytes.js";
import { indexOf, nprobeOf } from "../codec/cells.js";
import { VoiceDecoder } from "../codec/decoder.js";
import { countLayers, FIXED_BYTES, FOURCC, headBytes, layerStart, readHead } from "../codec/head.js";
import type { Head } from "../codec/head.js";
import { fileParts } from "../codec/voice-codec.js";
import { fail } from "../errors.js";
import type { Deferred } from "../format/deferral.js";
import type { ListIndex } from "../indexes/list-index.js";
import type { Engine } from "../wasm/engine.js";
import type { Pace } from "../work/pace.js";
import { AbsentLists } from "./absent.js";
import type { Parts } from "./parts.js";
import type { Ranges } from "./ranges.js";

/** Whether a file that begins so is a voice file. */
export function isLayered(beginning: Uint8Array): boolean {
  return beginning.length >= FIXED_BYTES && FOURCC === String.fromCharCode(...beginning.subarray(0, FOURCC.length));
}

/**
 * Reads the head and the prefix of a voice file and the side sections of its layers. Its lists come later, layer by layer: each becomes
 * better with every one.
 */
export async function openLayered(
  ranges: Ranges,
  beginning: Uint8Array,
  engine: Engine,
  signal: AbortSignal,
  pace: Pace,
): Promise<Parts> {
  const part = async (from: number, to: number): Promise<Uint8Array> => {
    if (to > ranges.size)
      fail(
        "ERR_FORMAT",
        `the voice file has ${ranges.size} bytes, and its head speaks of ${to}: it is cut off, load it again`,
      );
    return to <= beginning.length ? beginning.slice(from, to) : ranges.read(from, to, signal);
  };
  const size = headBytes(countLayers(beginning.subarray(0, FIXED_BYTES)));
  const head = readHead(await part(0, size));
  await part(layerStart(head, head.layers.length), layerStart(head, head.layers.length));
  // The first layer is on its way while the basis and the centroids are decoded.
  const [first] = head.layers;
  const start = layerStart(head, 0) + first.sideBytes;
  const ahead = startRead(ranges, start, start + first.dataBytes, signal);
  const [prefix, ...sides] = await Promise.all([
    part(size, size + head.prefixBytes),
    ...head.layers.map(({ sideBytes }, layer) => part(layerStart(head, layer), layerStart(head, layer) + sideBytes)),
  ]);
  const decoder = await VoiceDecoder.open(engine, head, prefix, pace);
  for (const side of sides) await decoder.openLayer(side, pace);
  return { ...new Layers(engine, head, prefix, sides, decoder).parts(), ranges: ahead };
}

/** Bytes of a part of the first layer: what has come is decoded while the next one comes. */
const PART = 1 << 18;

/** Begins to read a stretch, two parts at a time, and gives what lies in it once it is there. */
function startRead(ranges: Ranges, from: number, to: number, signal: AbortSignal): Ranges {
  const parts: Promise<Uint8Array>[] = [];
  for (let start = from; start < to; start += PART) {
    const read = (): Promise<Uint8Array> => ranges.read(start, Math.min(to, start + PART), signal);
    const before = parts.length < 2 ? undefined : parts[parts.length - 2];
    const part = before === undefined ? read() : before.then(read);
    // Told to whoever reads of it.
    part.catch(() => undefined);
    parts.push(part);
  }
  let failed = false;
  return {
    size: ranges.size,
    bridge: ranges.bridge,
    version: ranges.version,
    read: async (start, end, own) => {
      if (failed || start < from || end > to) return ranges.read(start, end, own);
      try {
        const bytes = new Uint8Array(end - start);
        for (let i = Math.floor((start - from) / PART); from + i * PART < end; i++) {
          const at = from + i * PART;
          const part = await parts[i];
          const first = Math.max(start, at);
          bytes.set(part.subarray(first - at, Math.min(end, at + part.length) - at), first - start);
        }
        return bytes;
      } catch {
        failed = true;
        return ranges.read(start, end, own);
      }
    },
    close: () => ranges.close(),
  };
}

/** The layers of the lists as they come. Their bytes are kept: a layer is decoded on top of those before, and the file is written again. */
class Layers {
  readonly #head: Head;
  readonly #engine: Engine;
  readonly #decoder: VoiceDecoder;
  readonly #prefix: Uint8Array;
  readonly #layers: { side: Uint8Array; data: Uint8Array }[];
  /** Whether layer l of list c has come, at l * nlist + c; and how many of a list are decoded. */
  readonly #come: Uint8Array;
  readonly #decoded: Uint8Array;
  /** Addresses of the numbers and scales of a list that is decoded. */
  readonly #numbers: number;
  readonly #scales: number;
  readonly #node: ListIndex;

  constructor(engine: Engine, head: Head, prefix: Uint8Array, sides: Uint8Array[], decoder: VoiceDecoder) {
    const { d, ntotal, nlist, metric, nprobe } = head;
    const { sizes } = decoder;
    this.#engine = engine;
    this.#head = head;
    this.#decoder = decoder;
    this.#prefix = prefix;
    this.#layers = sides.map((side, layer) => ({ side, data: new Uint8Array(head.layers[layer].dataBytes) }));
    this.#come = new Uint8Array(head.layers.length * nlist);
    this.#decoded = new Uint8Array(nlist);
    const most = sizes.reduce((largest, size) => Math.max(largest, size), 0);
    const rows = ntotal === 0 ? 0 : engine.allocate(ntotal * d * 4);
    const labels = ntotal === 0 ? 0 : engine.allocate(ntotal * 8);
    this.#numbers = engine.allocate(most * decoder.stride * 2);
    this.#scales = engine.allocate(most * 4);
    const ids = decoder.ids();
    if (ids !== undefined) engine.i64.set(ids, labels >>> 3);
    else for (let i = 0; i < ntotal; i++) engine.i64[(labels >>> 3) + i] = BigInt(i);
    const centroids = decoder.takeCentroids();
    this.#node = indexOf(engine, { d, metric, nprobe, sizes, centroids, rows, ids: labels });
    if (ntotal > 0) this.#node.lists.hide();
  }

  parts(): Omit<Parts, "ranges"> {
    const { nlist, layers } = this.#head;
    const { sizes } = this.#decoder;
    const stretches: Deferred[] = [];
    const pieceOf = new Int32Array(layers.length * nlist).fill(-1);
    let unasked = 0;
    for (let layer = 0; layer < layers.length; layer++) {
      const start = layerStart(this.#head, layer) + layers[layer].sideBytes;
      const { starts } = this.#decoder.layers[layer];
      for (let list = 0; list < nlist; list++) {
        if (sizes[list] === 0) continue;
        pieceOf[layer * nlist + list] = stretches.length;
        stretches.push({
          from: start + starts[list],
          to: start + starts[list + 1],
          number: layer * nlist + list,
          arrive: (bytes) => this.#arrive(layer, list, bytes),
        });
      }
      if (layer === 0) unasked = stretches.length;
    }
    return {
      node: this.#node,
      origin: {
        parts: (own) => fileParts({ head: this.#head, prefix: this.#prefix, layers: this.#layers }, nprobeOf(own)),
      },
      stretches,
      absent: new AbsentLists(this.#node, pieceOf, sizes),
      unasked,
      checks: [() => this.#checkWhole()],
    };
  }

  #arrive(layer: number, list: number, bytes: Uint8Array): void {
    const { nlist, layers } = this.#head;
    const { data } = this.#layers[layer];
    data.set(bytes, this.#decoder.layers[layer].starts[list]);
    this.#come[layer * nlist + list] = 1;
    let whole = 0;
    while (whole < layers.length && this.#come[whole * nlist + list] === 1) whole++;
    if (whole === this.#decoded[list]) return;
    try {
      this.#decode(list, whole);
    } catch (error) {
      this.#come[layer * nlist + list] = 0;
      throw error;
    }
    this.#decoded[list] = whole;
  }

  /** Writes the rows that the first layers of a list stand for, and lets searches see them. */
  #decode(list: number, layers: number): void {
    const decoder = this.#decoder;
    const { engine, sizes } = decoder;
    for (let layer = 0; layer < layers; layer++) {
      const { starts } = decoder.layers[layer];
      const bytes = this.#layers[layer].data.subarray(starts[list], starts[list + 1]);
      decoder.readList(list, layer, bytes, this.#numbers, this.#scales);
    }
    const { lists, d } = this.#node;
    decoder.writeRows(list, layers - 1, this.#numbers, this.#scales, lists.codes + lists.start(list) * d * 4);
    const at = lists.codes + lists.start(list) * d * 4;
    if (engine.kernels.firstNotFinite(at, sizes[list] * d) >= 0) {
      engine.f32.fill(0, at >>> 2, (at >>> 2) + sizes[list] * d);
      fail("ERR_FORMAT", `list ${list} of the voice file has rows that are not finite: the file is damaged`);
    }
    lists.show(list);
  }

  #checkWhole(): void {
    for (const [layer, { dataCrc }] of this.#head.layers.entries()) {
      if (crc32(this.#layers[layer].data) !== dataCrc)
        fail(
          "ERR_FORMAT",
          `layer ${layer + 1} of the voice file does not match its checksum: the file is damaged, load it again`,
        );
    }
    this.#decoder.release();
    this.#engine.release(this.#numbers);
    this.#engine.release(this.#scales);
  }
}
