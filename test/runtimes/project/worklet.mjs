import * as core from "./node_modules/cellist/dist/index.js";
import { more } from "./node_modules/cellist/dist/more/index.js";
import * as rvc from "./node_modules/cellist/dist/rvc/index.js";
import { blendOptions, checksum, runSearches } from "./searches.mjs";

class Blender extends AudioWorkletProcessor {
  constructor({ processorOptions: { bytes, queries, options } }) {
    super();
    this.queries = queries;
    this.options = blendOptions(options);
    this.blended = new Float32Array(queries.length);
    this.frame = new Float32Array(64);
    this.at = 0;
    this.index = undefined;
    const ready = core.readIndex(bytes).then((index) => {
      this.index = index;
      index.warmUp({ batch: 1, k: this.options.k, nprobe: this.options.nprobe });
      this.memory = index.memory;
    });
    this.port.onmessage = ({ data }) => {
      ready
        .then(checkMore)
        .then(() => runSearches({ ...core, ...rvc }, data, { engine: { more } }))
        .then(
          (sums) => this.port.postMessage(sums),
          (error) => this.port.postMessage({ error: String(error.stack) }),
        );
    };
  }

  process() {
    const { frame, at } = this;
    if (at === this.queries.length) return false;
    for (let i = 0; i < frame.length; i++) frame[i] = this.queries[at + i];
    rvc.blend(this.index, frame, this.options);
    this.blended.set(frame, at);
    this.at += frame.length;
    if (this.at === this.queries.length) {
      if (this.index.memory !== this.memory) throw new Error("the memory has grown");
      this.port.postMessage(checksum(this.blended));
    }
    return true;
  }
}

/** Throws unless an index that is not of the core is refused where nothing can be imported, with what to do. */
async function checkMore() {
  const error = await core.indexFactory(64, "SQ8").catch((thrown) => thrown);
  if (error.code !== "ERR_UNSUPPORTED" || !error.message.includes('import { more } from "cellist/more"'))
    throw new Error(`SQ8 without "cellist/more" gave ${String(error)}`);
}

registerProcessor("cellist", Blender);
