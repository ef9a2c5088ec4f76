// Makes build/jsr of src/: what jsr.json publishes, TypeScript as it is but for the names of modules, which there are those of files.

import { cpSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const OF_NPM_ALONE = ["cli", "classic.ts", "packaging"];
/** Imports, exports, types by import(), and the address of the worker. */
const MODULES = /((?:\bfrom|\bimport|\bimport\(|new URL\()\s*"(?:\.{1,2}\/)?[^"]+)\.js"/g;

process.chdir(fileURLToPath(new URL("../../", import.meta.url)));
rmSync("build/jsr", { recursive: true, force: true });
cpSync("src", "build/jsr", { recursive: true });
for (const name of OF_NPM_ALONE) rmSync(join("build/jsr", name), { recursive: true });
for (const name of readdirSync("build/jsr", { recursive: true })) {
  if (!name.endsWith(".ts")) continue;
  const path = join("build/jsr", name);
  writeFileSync(path, readFileSync(path, "utf8").replace(MODULES, '$1.ts"'));
}
