import { fail } from "../errors.js";
import type { Engine } from "../wasm/engine.js";
import { bytesOf } from "../wasm/text.js";
import { codecKernels } from "./kernels.gen.js";
import type { CodecKernels } from "./kernels.gen.js";

export type { CodecKernels } from "./kernels.gen.js";

let compiled: WebAssembly.Module | undefined;
const attached = new WeakMap<Engine, CodecKernels>();

/** The codec's kernels on the memory of an engine: an instance of their own, made once for each. */
export function kernelsOf(engine: Engine): CodecKernels {
  let kernels = attached.get(engine);
  if (kernels === undefined) {
    try {
      compiled ??= new WebAssembly.Module(bytesOf(codecKernels));
    } catch (error) {
      fail("ERR_UNSUPPORTED", `the runtime does not compile the codec's WebAssembly (${String(error)})`);
    }
    kernels = engine.attach(compiled) as unknown as CodecKernels;
    attached.set(engine, kernels);
  }
  return kernels;
}
