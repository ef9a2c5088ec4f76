// Cloudflare's workerd, which compiles no WebAssembly that comes as bytes: it has the modules from files.

import module from "cellist/cellist.wasm";
import moreModule from "cellist/more.wasm";
import codecModule from "cellist/codec.wasm";
import * as core from "cellist";
import * as rvc from "cellist/rvc";
import file from "vectors.npy";
import { runSearches } from "./searches.mjs";

export default {
  async test() {
    const error = await core.indexFactory(4, "Flat").catch((thrown) => thrown);
    if (error.code !== "ERR_UNSUPPORTED")
      throw new Error("an index without a module was made: nothing is forbidden here");
    const sums = await runSearches({ ...core, ...rvc }, new Uint8Array(file), {
      engine: { module, moreModule, codecModule },
    });
    console.log(JSON.stringify(sums));
  },
};
