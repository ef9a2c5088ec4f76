// A runtime that forbids compiling: once the module is there, everything that could make another throws.

import { readFileSync } from "node:fs";
import * as core from "cellist";
import * as rvc from "cellist/rvc";
import { runSearches } from "./searches.mjs";

const module = new WebAssembly.Module(readFileSync(new URL(import.meta.resolve("cellist/cellist.wasm"))));
const forbid = (name) => () => {
  throw new WebAssembly.CompileError(`${name}: Wasm code generation disallowed by embedder`);
};
WebAssembly.Module = new Proxy(WebAssembly.Module, { construct: forbid("Module()") });
for (const name of ["compile", "compileStreaming", "instantiateStreaming"]) WebAssembly[name] = forbid(name);

const file = new Uint8Array(readFileSync(new URL("vectors.npy", import.meta.url)));
let refused = false;
await core.indexFactory(4, "Flat").catch(() => (refused = true));
if (!refused) throw new Error("an index without a module was made all the same: nothing is forbidden here");
console.log(JSON.stringify(await runSearches({ ...core, ...rvc }, file, { npy: true, engine: { module } })));
