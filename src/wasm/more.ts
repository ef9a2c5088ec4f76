import { CellistError, fail } from "../errors.js";
import { compiledOnce, isRelaxed } from "./modules.js";
import type { Engine } from "./engine.js";
import { applyPatch } from "./patch.js";
import { bytesOf } from "./text.js";
import { baseline as coreBaseline } from "./kernels.gen.js";
import { baseline, corePatch, relaxedPatch } from "./more.gen.js";
import type { MoreKernels } from "./more.gen.js";

export type { MoreKernels } from "./more.gen.js";

/** The kernels of the kinds of "cellist/more" on the memory of an engine. */
export function moreKernels(engine: Engine): MoreKernels {
  return engine.attach(compiled(engine)) as unknown as MoreKernels;
}

/** The relaxed build of the core's kernels. */
export function relaxedKernels(): Uint8Array<ArrayBuffer> {
  return applyPatch(bytesOf(coreBaseline), bytesOf(corePatch));
}

/** Throws ERR_PARAMETER for a `moreModule` that is another module, ERR_UNSUPPORTED where there is none and nothing may be compiled. */
export function checkKernels(engine: Engine): void {
  const module = compiled(engine);
  let reason = "it has not the kernels";
  try {
    if ("FACTORED" in engine.attach(module)) return;
  } catch (error) {
    if (error instanceof CellistError) throw error;
    reason = String(error);
  }
  fail("ERR_PARAMETER", `moreModule can't be used (${reason}): give the more.wasm of this version`);
}

function compiled({ options }: Engine): WebAssembly.Module {
  if (options.moreModule !== undefined) return options.moreModule;
  if (isRelaxed(options))
    return compiledOnce(options, "more, relaxed", () => applyPatch(bytesOf(baseline), bytesOf(relaxedPatch)));
  return compiledOnce(options, "more", () => bytesOf(baseline));
}
