import { what } from "../checks.js";
import { fail } from "../errors.js";
import type { Others } from "../format/index-file.js";
import type { IndexTree } from "../indexes/tree.js";
import { isRelaxed } from "../wasm/modules.js";
import type { EngineOptions, More } from "../wasm/options.js";
import type { Kind } from "./kinds.js";

/** `more` of "cellist/more" as it is. */
export interface Rest extends More {
  readonly kinds: readonly Kind[];
  /** The tree of a description by the whole grammar: ERR_FACTORY for what it can't be. */
  plan(d: number, description: string): IndexTree;
  /** Fails for a fourcc that no kind has, with what it stands for. Does nothing where it is none of faiss'. */
  refuse(fourcc: string): void;
  /** Looks into files that are no index. */
  readonly others: Others;
  /** The relaxed build of the core's kernels. */
  readonly relaxedKernels: () => Uint8Array<ArrayBuffer>;
}

/** Gives the rest, once it is asked for; `wish` is what asks for it. ERR_UNSUPPORTED where it can't be had. */
export type LoadRest = (wish: string) => Promise<Rest>;

/** The rest as options give it, or else `load`. ERR_PARAMETER for what is none. */
export function restOf({ more }: EngineOptions, load: LoadRest): LoadRest {
  if (more === undefined) return load;
  if (typeof (more as Partial<Rest> | null)?.plan !== "function")
    fail("ERR_PARAMETER", `more is ${what(more)}: give the more of "cellist/more", or leave it out`);
  return async () => more as Rest;
}

/** Options of an engine with the relaxed build of the kernels, where that is wanted and of use: the core carries the other one alone. */
export async function withRelaxed<O extends EngineOptions>(options: O, rest: LoadRest): Promise<O> {
  if (options.module !== undefined || !isRelaxed(options)) return options;
  const { relaxedKernels } = await rest("relaxed SIMD");
  return { ...options, relaxedKernels };
}
