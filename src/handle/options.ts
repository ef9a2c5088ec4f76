import type { SearchOptions } from "../api.js";
import { fail } from "../errors.js";
import type { SearchParams } from "../indexes/node.js";

/** Checks the options of one search and writes them to `params`, the one object that serves all calls. */
export function readSearchOptions(options: SearchOptions | undefined, params: SearchParams): SearchParams {
  params.nprobe = params.kFactor = params.efSearch = 0;
  params.ensureK = false;
  if (options === undefined || options === null) return params;
  for (const name in options) {
    const value = options[name as keyof SearchOptions];
    if (value === undefined) continue;
    switch (name) {
      case "nprobe":
      case "efSearch":
        if (!Number.isSafeInteger(value) || (value as number) < 1) {
          fail("ERR_PARAMETER", `${name} is ${String(value)}: give a whole number from 1 on`);
        }
        params[name] = value as number;
        break;
      case "kFactor":
        if (!Number.isFinite(value) || (value as number) < 1) {
          fail("ERR_PARAMETER", `kFactor is ${String(value)}: give a number from 1 on`);
        }
        params.kFactor = value as number;
        break;
      case "ensureK":
        if (typeof value !== "boolean") fail("ERR_PARAMETER", `ensureK is ${String(value)}: give true or false`);
        params.ensureK = value;
        break;
      default:
        fail("ERR_PARAMETER", `there is no option "${name}": nprobe, kFactor, efSearch and ensureK are known`);
    }
  }
  return params;
}
