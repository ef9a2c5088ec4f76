// Makes of the .d.ts files that tsc wrote into dist what is published: only those that an entry of package.json leads to, in words that
// compilers from TypeScript 5.2 on know, and a declaration for each .wasm file. The last step of
// `npm run build:ts`; run again it changes nothing.

import { existsSync, readFileSync, readdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** A typed array's buffer is a type parameter from TypeScript 5.7 on. What `of` returns is the same type there, and known before. */
const OWN_BUFFER = /\b(\w+Array)<ArrayBuffer>/g;
/** An import for what it does, which a type needs nothing of. */
const FOR_EFFECT = /^import "[^"]+";\n/gm;
/** Where a declaration leads: to imports, exports and types by import(). */
const LEADS = /(?:\bfrom|\bimport\()\s*"(\.{1,2}\/[^"]+)\.js"/g;

const WASM = `/**
 * The compiled module, as Cloudflare's workerd and bundlers for it import it: given as the option \`module\` where nothing may be compiled.
 *
 * @example
 *   import module from "cellist/NAME";
 *   const index = await indexFactory(768, "IVF512,Flat", METRIC_L2, { module });
 */
declare const module: WebAssembly.Module;
export default module;
`;

process.chdir(fileURLToPath(new URL("../../", import.meta.url)));
const { exports } = JSON.parse(readFileSync("package.json", "utf8"));
const files = Object.values(exports).flatMap((target) => Object.values(typeof target === "string" ? [target] : target));

for (const file of files.filter((name) => name.endsWith(".wasm"))) {
  writeFileSync(`${file}.d.ts`, WASM.replace("NAME", file.split("/").at(-1)));
}

const reached = new Set();
for (const file of files.filter((name) => name.endsWith(".d.ts"))) reach(join(file));
for (const file of readdirSync("dist", { recursive: true })) {
  const path = join("dist", file);
  if (path.endsWith(".d.ts") && !reached.has(path)) rmSync(path);
}
removeEmpty("dist");

/** Rewrites a declaration and all that it leads to. */
function reach(path) {
  if (reached.has(path)) return;
  reached.add(path);
  const text = readFileSync(path, "utf8");
  const plain = text.replace(OWN_BUFFER, "ReturnType<typeof $1.of>").replace(FOR_EFFECT, "");
  if (plain !== text) writeFileSync(path, plain);
  for (const [, lead] of plain.matchAll(LEADS)) {
    const next = join(dirname(path), `${lead}.d.ts`);
    if (!existsSync(next)) throw new Error(`${path} leads to ${next}, which is not there: build from the start`);
    reach(next);
  }
}

function removeEmpty(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeEmpty(join(folder, entry.name));
  }
  if (readdirSync(folder).length === 0) rmdirSync(folder);
}
