// Node, Deno and Bun, with a folder for a cache: both are arguments.

import { readFileSync } from "node:fs";
import { openRemote } from "cellist/remote";
import { blend, readVoice } from "cellist/rvc";
import { visitTwice } from "./remote.mjs";

const [folder, cache] = process.argv.slice(2);
const file = new Uint8Array(readFileSync(new URL("vectors.npy", import.meta.url)));
console.log(JSON.stringify(await visitTwice({ openRemote, blend, readVoice }, folder, file, cache)));
