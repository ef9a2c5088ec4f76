import { crc32 } from "../codec/bytes.js";
import { indexOf, nprobeOf } from "../codec/cells.js";
import { VoiceDecoder } from "../codec/decoder.js";
import { countLayers, FIXED_BYTES, FOURCC, headBytes, layerStart, readHead } from "../codec/head.js";
import type { Head } from "../codec/head.js";
import { fileParts } from "../codec/voice-codec.js";
import { fail, makingArrays } from "../errors.js";
import type { Deferred } from "../format/deferral.js";
import type { ListIndex } from "../indexes/list-index.js";
import type { Engine } from "../wasm/engine.js";
import { Pace } from "../work/pace.js";
import { AbsentLists } from "./absent.js";
import { Flow } from "./flow.js";
import type { Parts } from "./parts.js";
import type { Ranges } from "./ranges.js";

/** Whether a file that begins so is a voice file. */
export function isLayered(beginning: Uint8Array): boolean {
  return beginning.length >= FIXED_BYTES && FOURCC === String.fromCharCode(...beginning.subarray(0, FOURCC.length));
}

/**
 * Reads the head and the prefix of a voice file and what it says of its first layer. Its lists come later, layer by layer: each becomes
 * better with every one.
 */
export async function openLayered(
  ranges: Ranges,
  beginning: Uint8Array,
  engine: Engine,
  signal: AbortSignal,
  pace: Pace,
): Promise<Parts> {
  const size = headBytes(countLayers(beginning.subarray(0, FIXED_BYTES)));
  const head = readHead(beginning.subarray(0, size));
  const total = layerStart(head, head.layers.length);
  if (total > ranges.size)
    fail(
      "ERR_FORMAT",
      `the voice file has ${ranges.size} bytes, and its head speaks of ${total}: it is cut off, load it again`,
    );
  // All up to the end of the first layer comes with one request, and is decoded as it comes.
  const flow = new Flow(ranges, beginning, layerStart(head, 1));
  try {
    const prefix = await flow.read(size, size + head.prefixBytes, signal);
    const decoder = await VoiceDecoder.open(engine, head, prefix, pace);
    const layers = new Layers(engine, head, prefix, decoder, flow);
    return { ...(await layers.parts(signal, pace)), ranges: flow };
  } catch (error) {
    flow.close();
    throw error;
  }
}

/** The layers of the lists as they come. Their bytes are kept: a layer is decoded on top of those before, and the file is written again. */
class Layers {
  readonly #head: Head;
  readonly #engine: Engine;
  readonly #decoder: VoiceDecoder;
  readonly #prefix: Uint8Array;
  readonly #flow: Flow;
  /** Those whose lists are known. */
  readonly #layers: { side: Uint8Array; data: Uint8Array }[] = [];
  /** The piece of layer l of list c, at l * nlist + c; -1 where there is none, or it is not known yet. */
  readonly #pieceOf: Int32Array;
  #pieces = 0;
  /** Lists of the first layer that have not come. */
  #left = 0;
  /** Whether layer l of list c has come, at l * nlist + c; and how many of a list are decoded. */
  readonly #come: Uint8Array;
  readonly #decoded: Uint8Array;
  /** Addresses of the numbers and scales of a list that is decoded. */
  readonly #numbers: number;
  readonly #scales: number;
  readonly #node: ListIndex;

  constructor(engine: Engine, head: Head, prefix: Uint8Array, decoder: VoiceDecoder, flow: Flow) {
    const { d, ntotal, nlist, metric, nprobe } = head;
    const { sizes } = decoder;
    this.#engine = engine;
    this.#head = head;
    this.#decoder = decoder;
    this.#prefix = prefix;
    this.#flow = flow;
    this.#pieceOf = new Int32Array(head.layers.length * nlist).fill(-1);
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

  async parts(signal: AbortSignal, pace: Pace): Promise<Omit<Parts, "ranges">> {
    const { layers } = this.#head;
    const stretches = await this.#open(1, signal, pace);
    this.#left = stretches.length;
    const start = layerStart(this.#head, 1);
    return {
      node: this.#node,
      origin: {
        parts: (own) => fileParts({ head: this.#head, prefix: this.#prefix, layers: this.#layers }, nprobeOf(own)),
      },
      stretches,
      absent: new AbsentLists(this.#node, this.#pieceOf, this.#decoder.sizes),
      unasked: true,
      more:
        layers.length === 1
          ? undefined
          : {
              bytes: layerStart(this.#head, layers.length) - start,
              count: stretches.length * (layers.length - 1),
              soon: async (own) => this.#flow.nearly(own),
              open: async (own) => this.#open(layers.length, own, new Pace({ signal: own })),
            },
      checks: [() => this.#checkWhole()],
    };
  }

  /** Reads what tells the lists of layers up to `count`, and gives these lists. */
  async #open(count: number, signal: AbortSignal, pace: Pace): Promise<Deferred[]> {
    const { nlist, layers } = this.#head;
    const known = this.#layers.length;
    const sides = await Promise.all(
      layers.slice(known, count).map(async ({ sideBytes }, i) => {
        const start = layerStart(this.#head, known + i);
        return this.#flow.read(start, start + sideBytes, signal);
      }),
    );
    for (const side of sides) {
      const { dataBytes } = layers[this.#layers.length];
      const data = makingArrays(() => new Uint8Array(dataBytes));
      await this.#decoder.openLayer(side, pace);
      this.#layers.push({ side, data });
    }
    const stretches: Deferred[] = [];
    for (let number = count === 1 ? 0 : nlist; number < count * nlist; number++) {
      const [layer, list] = [Math.floor(number / nlist), number % nlist];
      if (this.#decoder.sizes[list] === 0) continue;
      this.#pieceOf[number] = this.#pieces++;
      const start = layerStart(this.#head, layer) + layers[layer].sideBytes;
      const { starts } = this.#decoder.layers[layer];
      const [from, to] = [start + starts[list], start + starts[list + 1]];
      stretches.push({ from, to, number, arrive: (bytes) => this.#arrive(layer, list, bytes) });
    }
    return stretches;
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
    if (this.#decoded[list] === 0 && --this.#left === 0) this.#flow.forget();
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
