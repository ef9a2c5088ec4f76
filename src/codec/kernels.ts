import { fail } from "../errors.js";
import type { Engine } from "../wasm/engine.js";
import { bytesOf } from "../wasm/text.js";
import { codecKernels } from "./kernels.gen.js";
import type { CodecKernels } from "./kernels.gen.js";

export type { CodecKernels } from "./kernels.gen.js";

let compiled: WebAssembly.Module | undefined;

/** The codec's kernels on the memory of an engine. */
export function kernelsOf(engine: Engine): CodecKernels {
  try {
    compiled ??= new WebAssembly.Module(bytesOf(codecKernels));
  } catch (error) {
    fail("ERR_UNSUPPORTED", `the runtime does not compile the codec's WebAssembly (${String(error)})`);
  }
  return engine.attach(compiled) as unknown as CodecKernels;
}
