import type { Work } from "../api.js";
import { checkCallback, checkOptions, what } from "../checks.js";
import { fail } from "../errors.js";
import type { SearchParams } from "../indexes/node.js";
import { checkSignal } from "../work/pace.js";
import { filterOf } from "./filter.js";
import type { VectorIndex } from "./vector-index.js";

/** What an option may be, in code and in words. */
interface Rule<T> {
  takes: (value: T) => boolean;
  wanted: string;
}

const truth: Rule<boolean> = { takes: (value) => typeof value === "boolean", wanted: "true or false" };
const factor: Rule<number> = { takes: (value) => Number.isFinite(value) && value >= 1, wanted: "a number from 1 on" };

function whole(from: number, to = Number.MAX_SAFE_INTEGER): Rule<number> {
  const takes = (value: number): boolean => Number.isSafeInteger(value) && value >= from && value <= to;
  const end = to === Number.MAX_SAFE_INTEGER ? "" : `, at most ${to}`;
  return { takes, wanted: `a whole number from ${from} on${end}` };
}

/** What options hold. */
interface Options {
  nprobe: number;
  kFactor: number;
  efSearch: number;
  ensureK: boolean;
  d: number;
  rows: number;
  k: number;
  batch: number;
  rate: number;
  seed: number;
}

/** Every option of a call, once. */
const RULES: { readonly [N in keyof Options]: Rule<Options[N]> } = {
  nprobe: whole(1),
  kFactor: factor,
  efSearch: whole(1),
  ensureK: truth,
  d: whole(1),
  rows: whole(0),
  k: whole(1),
  batch: whole(1),
  rate: {
    takes: (value) => typeof value === "number" && value >= 0 && value <= 1,
    wanted: "a number from 0 to 1",
  },
  // The generator has 32 bits of state: a wider seed would be another one's.
  seed: whole(0, 2 ** 32 - 1),
};

type Name = keyof Options;

/** What is taken where an option is left out, unless a call says otherwise. */
export const DEFAULTS: Readonly<{ seed: number; k: number; rate: number }> = {
  /** faiss' own. */
  seed: 1234,
  /** RVC's neighbours of a frame, and the index rate of its web page. */
  k: 8,
  rate: 0.75,
};

/** The options of a search. */
const SEARCH: readonly Name[] = ["nprobe", "kFactor", "efSearch", "ensureK", "d"];
export const SEARCH_NAMES: ReadonlySet<string> = new Set([...SEARCH, "filter"]);
export const WARM_UP_NAMES: ReadonlySet<string> = new Set([...SEARCH, "filter", "batch", "k"]);
export const BLEND_NAMES: ReadonlySet<string> = new Set([...SEARCH, "filter", "k", "rate", "rows"]);

/** A value that is what its name promises. ERR_PARAMETER for any other. */
export function checkOption<N extends Name>(name: N, value: unknown): Options[N] {
  return checked(name, RULES[name], value);
}

function checked<T>(name: Name, { takes, wanted }: Rule<T>, value: unknown): T {
  if (!takes(value as T)) fail("ERR_PARAMETER", `${name} is ${what(value)}: give ${wanted}`);
  return value as T;
}

/** The value of an option, or what stands for it where it is left out. ERR_PARAMETER for a value that it can't have. */
export function option<N extends Name, D>(options: object | undefined, name: N, otherwise: D): Options[N] | D {
  const value = (options as Partial<Options> | undefined)?.[name];
  return value === undefined ? otherwise : checkOption(name, value);
}

/** Throws ERR_PARAMETER for options that are no object, and for names that a call does not know: a slip would have no effect. */
export function checkNames(options: unknown, names: ReadonlySet<string>): void {
  if (options === undefined) return;
  checkOptions(options);
  for (const name in options) {
    if (!names.has(name)) fail("ERR_PARAMETER", `there is no option "${name}": ${listed(names)} are known`);
  }
}

/**
 * Writes the options of a search of this index, whose names are checked, to `params`, the one object that serves all calls. Allocates nothing once
 * the filter is made, and reads each by its name as it stands here: engines look names that they don't know beforehand up anew at each call.
 */
export function readSearch(
  index: VectorIndex,
  options: object | undefined,
  params: SearchParams,
  ensureK = false,
): void {
  // All of them before any is written, and the filter made: a getter, or a filter's function, may search, too.
  const given: (Partial<Options> & { filter?: unknown }) | undefined = options;
  const nprobe = given?.nprobe;
  const kFactor = given?.kFactor;
  const efSearch = given?.efSearch;
  const goesOn = given?.ensureK;
  const filter = given?.filter;
  if (nprobe !== undefined) checked("nprobe", RULES.nprobe, nprobe);
  if (kFactor !== undefined) checked("kFactor", RULES.kFactor, kFactor);
  if (efSearch !== undefined) checked("efSearch", RULES.efSearch, efSearch);
  if (goesOn !== undefined) checked("ensureK", RULES.ensureK, goesOn);
  const bits = filter === undefined ? undefined : filterOf(index, filter).bitsFor(index);
  params.admitted = index.admit(bits);
  params.nprobe = nprobe ?? 0;
  params.kFactor = kFactor ?? 0;
  params.efSearch = efSearch ?? 0;
  params.ensureK = goesOn ?? ensureK;
}

/** Throws ERR_DIMENSION where the caller takes the index for one of another d. */
export function checkD(options: object | undefined, d: number): void {
  const believed = (options as Partial<Options> | undefined)?.d;
  if (believed !== undefined && checked("d", RULES.d, believed) !== d)
    fail("ERR_DIMENSION", `d is ${d}, and the caller says ${believed}: were index and vectors made by the same model?`);
}

/** The signal and the callback of long work, read once. ERR_PARAMETER for what is none. */
export function readWork(options: unknown): Work {
  if (options === undefined) return {};
  checkOptions(options);
  const { signal, onProgress } = options as Work;
  checkSignal(signal);
  checkCallback("onProgress", onProgress);
  return { signal, onProgress };
}

/** Names, for a sentence. */
function listed(names: ReadonlySet<string>): string {
  const all = [...names];
  return `${all.slice(0, -1).join(", ")} and ${all[all.length - 1]}`;
}
