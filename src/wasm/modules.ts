import { CellistError, fail } from "../errors.js";
import { baseline } from "./kernels.gen.js";
import type { Kernels } from "./kernels.gen.js";
import type { EngineOptions } from "./options.js";
import { bytesOf } from "./text.js";

/** `i8x16.relaxed_swizzle` in an otherwise empty function: valid only where relaxed SIMD is. */
const RELAXED_PROBE = "%|.|@|:&%%%&*&|-%&|H('&%/4&2%h% 4h% 4 |M'0";

/** `i8x16.splat` in an otherwise empty function: valid only where SIMD is. */
const SIMD_PROBE = "%|.|@|:&%%%&*&|-%&|H('&%/-&+%h% 40";

const modules: Record<string, WebAssembly.Module | undefined> = {};

/** The core's kernels as the options want them. */
export function compiled(options: EngineOptions): WebAssembly.Module {
  if (typeof WebAssembly === "undefined") {
    fail(
      "ERR_UNSUPPORTED",
      "this runtime has no WebAssembly, or has it switched off (a browser's lockdown mode): use another",
    );
  }
  if (options.module !== undefined) return options.module;
  const { relaxedKernels } = options;
  if (relaxedKernels !== undefined) return compiledOnce(options, "relaxed", relaxedKernels);
  return compiledOnce(options, "baseline", () => bytesOf(baseline));
}

/** A module, compiled when it is first asked for by this name; for those who share their memory, as such a one. */
export function compiledOnce(
  options: EngineOptions,
  name: string,
  bytes: () => Uint8Array<ArrayBuffer>,
): WebAssembly.Module {
  // An option that declarations do not have can't be named in one.
  const { crew } = options;
  return ((crew?.modules ?? modules)[name] ??= compile(crew?.shared(bytes()) ?? bytes()));
}

let relaxedThere: boolean | undefined;

/** Whether relaxed SIMD is wanted, and the runtime has it. */
export function isRelaxed({ relaxed }: EngineOptions): boolean {
  if (relaxed !== true || typeof WebAssembly === "undefined") return false;
  return (relaxedThere ??= WebAssembly.validate(bytesOf(RELAXED_PROBE)));
}

/** Compiles kernels. Throws ERR_UNSUPPORTED, which says why and what to do. */
function compile(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module {
  try {
    return new WebAssembly.Module(bytes);
  } catch (error) {
    noKernels(error);
    if (!WebAssembly.validate(bytesOf(SIMD_PROBE))) {
      const engines = "Chrome 91, Firefox 89, Safari 16.4, Node 20 or later, on a CPU with SSE4.1 or NEON";
      fail("ERR_UNSUPPORTED", `the WebAssembly of this runtime has no SIMD: use ${engines}`);
    }
    return fail(
      "ERR_UNSUPPORTED",
      `the runtime does not compile WebAssembly (${String(error)}): allow a page of yours 'wasm-unsafe-eval' in its ` +
        `Content-Security-Policy; on a page of others, as a content script, put the index into the extension's service worker or ` +
        `offscreen document and send it the features; elsewhere import "cellist/cellist.wasm" and give it as the option module ` +
        `("cellist/more.wasm" as moreModule, "cellist/codec.wasm" as codecModule)`,
    );
  }
}

/** Throws ERR_MEMORY where an error says that the runtime had no memory for code: there is nothing wrong with a module then. */
function noKernels(error: unknown): void {
  // Chrome had RangeErrors for what is too large to be compiled in a page, too.
  if (error instanceof RangeError && /memory/i.test(error.message))
    fail("ERR_MEMORY", `no memory for kernels (${error.message}): dispose of an index first`);
}

/** What a module exports on a memory. */
export function exportsOf(module: WebAssembly.Module, memory: WebAssembly.Memory): WebAssembly.Exports {
  const abort = (): never => fail("ERR_MEMORY", "a kernel gave up");
  try {
    return new WebAssembly.Instance(module, { env: { memory, abort } }).exports;
  } catch (error) {
    noKernels(error);
    throw error;
  }
}

/** The core's kernels on a memory. Throws ERR_PARAMETER where the module is another. */
export function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): Kernels {
  let reason = "it is another";
  try {
    const exports = exportsOf(module, memory) as Partial<Kernels>;
    if (exports.BLOCK !== undefined) return exports as Kernels;
  } catch (error) {
    if (error instanceof CellistError) throw error;
    reason = String(error);
  }
  return fail("ERR_PARAMETER", `module can't be used (${reason}): give the cellist.wasm of this version`);
}
