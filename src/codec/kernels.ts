import { CellistError, fail } from "../errors.js";
import { compiledOnce } from "../wasm/modules.js";
import type { Engine } from "../wasm/engine.js";
import { bytesOf } from "../wasm/text.js";
import { codecKernels } from "./kernels.gen.js";
import type { CodecKernels } from "./kernels.gen.js";

export type { CodecKernels } from "./kernels.gen.js";

/** The codec's kernels on the memory of an engine. ERR_PARAMETER for a `codecModule` that is another module. */
export function kernelsOf(engine: Engine): CodecKernels {
  const given = engine.options.codecModule;
  if (given === undefined)
    return attach(
      engine,
      compiledOnce(engine.options, "codec", () => bytesOf(codecKernels)),
    );
  let reason = "it has not the kernels";
  try {
    const kernels = attach(engine, given);
    if ("foldRows" in kernels) return kernels;
  } catch (error) {
    if (error instanceof CellistError) throw error;
    reason = String(error);
  }
  return fail("ERR_PARAMETER", `codecModule can't be used (${reason}): give the codec.wasm of this version`);
}

function attach(engine: Engine, module: WebAssembly.Module): CodecKernels {
  return engine.attach(module) as unknown as CodecKernels;
}
