// Node, Deno and Bun.

import { readFileSync } from "node:fs";
import * as core from "cellist";
import * as rvc from "cellist/rvc";
import { runSearches } from "./searches.mjs";

const file = new Uint8Array(readFileSync(new URL("vectors.npy", import.meta.url)));
console.log(JSON.stringify(await runSearches({ ...core, ...rvc }, file)));
