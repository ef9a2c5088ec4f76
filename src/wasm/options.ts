import { checkCallback, checkOptions, tagOf, what } from "../checks.js";
import { fail } from "../errors.js";

/**
 * How an index gets its WebAssembly instance, and whom it warns.
 *
 * @example
 *   const engine: EngineOptions = { maxBytes: 2 ** 30, onWarning: ({ message }) => console.warn(message) };
 */
export interface EngineOptions {
  /**
   * The compiled kernels, for a runtime that may not compile (`new WebAssembly.Module` of the package's `cellist.wasm`).
   * Default: compiled once from the bytes the library carries.
   *
   * @example
   *   import module from "cellist/cellist.wasm"; // in a Cloudflare Worker
   *   const index = await indexFactory(768, "IVF512,Flat", METRIC_L2, { module });
   */
  module?: WebAssembly.Module | undefined;
  /**
   * As `module`, of the package's `more.wasm`: the kernels of the kinds of "cellist/more".
   *
   * @example
   *   import moreModule from "cellist/more.wasm";
   *   const index = await readIndex(file, { module, moreModule, more });
   */
  moreModule?: WebAssembly.Module | undefined;
  /**
   * As `module`, of the package's `codec.wasm`: the kernels of voice files ("cellist/rvc").
   *
   * @example
   *   import codecModule from "cellist/codec.wasm";
   *   const index = await readVoice(file, { module, codecModule });
   */
  codecModule?: WebAssembly.Module | undefined;
  /**
   * `more` of "cellist/more", the kinds of index that the core does not carry. Default: imported when one is asked for, which a runtime
   * such as an AudioWorklet or a service worker does not do.
   *
   * @example
   *   import { more } from "cellist/more";
   *   const index = await indexFactory(768, "HNSW32", METRIC_L2, { more });
   */
  more?: More | undefined;
  /**
   * Use relaxed SIMD where the engine has it: faster, but results may differ in the last bits. What that takes is of "cellist/more":
   * ERR_UNSUPPORTED where that can't be imported (a worklet) and `more` is not given. Default: false.
   *
   * @example
   *   const index = await readIndex(file, { relaxed: true });
   */
  relaxed?: boolean | undefined;
  /**
   * The most bytes of memory that the index may hold. Default: 4 GiB, which is all that 32-bit addresses reach.
   *
   * @example
   *   const index = await readIndex(file, { maxBytes: 512 * 2 ** 20 });
   */
  maxBytes?: number | undefined;
  /**
   * Make what speeds up exact searches beside the vectors, at most .4 of their bytes: heads of the centroids when cells are learnt or
   * read (of few centroids of a file: by `warmUp` or `add`, or once `search` was given a thousand queries), 8-bit codes of the vectors, and their heads, those
   * of a graph's vectors too, by `warmUp`. Results are the same without. Default: true.
   *
   * @example
   *   const index = await readIndex(file, { bounds: false }); // as little memory as can be
   */
  bounds?: boolean | undefined;
  /**
   * Told of what is odd but no error ({@link Warning} has the codes). Default: nobody; the library prints nothing.
   *
   * @example
   *   const index = await readIndex(file, { onWarning: ({ code, message }) => console.warn(code, message) });
   */
  onWarning?: ((warning: Warning) => void) | undefined;
  /** @internal Threads that share the work: "cellist/worker" makes them of its option `threads`. */
  crew?: Crew | undefined;
  /** @internal What makes the relaxed build of the kernels: faiss/rest.ts has it of "cellist/more" where `relaxed` is true. */
  relaxedKernels?: (() => Uint8Array<ArrayBuffer>) | undefined;
}

/** @internal Threads that work on the memory of an engine (src/threads). */
export interface Crew {
  /** Threads that work. */
  readonly threads: number;
  /** What it has compiled. */
  readonly modules: Record<string, WebAssembly.Module | undefined>;
  /** A module for a memory that is shared, of one that imports one that is not. */
  shared(module: Uint8Array): Uint8Array<ArrayBuffer>;
  /** What an engine is to call in place of a module's exports: the same, shared out. `engine` is an Engine, which needs this file itself. */
  share<T extends object>(engine: object, memory: WebAssembly.Memory, module: WebAssembly.Module, exports: T): T;
  /** Copies floats to an address of an engine, each thread a part; false, having done nothing, where others don't see them. */
  write(engine: object, floats: Float32Array, address: number): boolean;
}

/**
 * Kinds of index that the core does not carry: `more` of "cellist/more".
 *
 * @example
 *   import { more } from "cellist/more";
 *   const kinds: More = more;
 */
export interface More {
  /**
   * How many there are.
   *
   * @example
   *   console.log(`${more.kinds.length} kinds more`);
   */
  readonly kinds: { readonly length: number };
}

/**
 * Something odd that is no error.
 *
 * @example
 *   const warn = ({ code, message }: Warning) => console.warn(code, message);
 */
export interface Warning {
  /**
   * `WARN_FEW_POINTS`: fewer than 39 training points a centroid. `WARN_EMPTY`: a trained file without a vector. `WARN_MEMORY`: no room
   * for what speeds up searches. `WARN_IDS`: ids of an IDMap that faiss left apart from its vectors, put right. `WARN_SEARCH_TYPE`: a
   * PQ file that asks faiss for another way to compare. `WARN_THREADS`: fewer threads than were asked for.
   *
   * @example
   *   if (warning.code === "WARN_EMPTY") alert("The voice has no frames.");
   */
  code: string;
  /**
   * What was seen and what to do, for people.
   *
   * @example
   *   console.warn(warning.message);
   */
  message: string;
}

/** The options of an engine, checked and copied: what the caller does to the object later is nothing to the index. */
export function readOptions(options: unknown): Readonly<EngineOptions> {
  checkOptions(options);
  const given = options as EngineOptions;
  const { module, moreModule, codecModule, relaxed, maxBytes, bounds, onWarning, crew, relaxedKernels } = given;
  for (const [name, value, file] of [
    ["module", module, "cellist.wasm"],
    ["moreModule", moreModule, "more.wasm"],
    ["codecModule", codecModule, "codec.wasm"],
  ] as const)
    if (value !== undefined && tagOf(value) !== "WebAssembly.Module")
      fail("ERR_PARAMETER", `${name} is ${what(value)}: give new WebAssembly.Module of the bytes of ${file}`);
  if (maxBytes !== undefined && !(typeof maxBytes === "number" && maxBytes > 0))
    fail("ERR_PARAMETER", `maxBytes is ${what(maxBytes)}: give a number of bytes above 0`);
  for (const [name, value] of Object.entries({ relaxed, bounds }))
    if (value !== undefined && typeof value !== "boolean")
      fail("ERR_PARAMETER", `${name} is ${what(value)}: give true or false`);
  checkCallback("onWarning", onWarning);
  return { module, moreModule, codecModule, relaxed, maxBytes, bounds, onWarning, crew, relaxedKernels };
}
