// Turns the compiled kernels into one TypeScript module: their bytes in base64, and an interface of their exports that is
// read off the declarations asc writes, so that TypeScript never guesses what the kernels take.

import { readFileSync, writeFileSync } from "node:fs";

const root = new URL("../", import.meta.url);
const read = (path) => readFileSync(new URL(path, root));

/** Kernels keep no data of their own (several instances may share a memory): a data section would be a mistake. */
function withoutData(path) {
  const bytes = read(path);
  for (let at = 8; at < bytes.length;) {
    const id = bytes[at++];
    let size = 0;
    for (let shift = 0, byte = 128; byte & 128; shift += 7) size |= ((byte = bytes[at++]) & 127) << shift;
    if (id === 11) throw new Error(`${path} has a data section: a kernel has statics or a string`);
    at += size;
  }
  return bytes.toString("base64");
}

const declarations = read("build/baseline.d.ts").toString();
const members = [];
for (const [, name, parameters, result] of declarations.matchAll(/export function (\w+)\((.*?)\): (\w+);/g)) {
  members.push(`  ${name}(${parameters}): ${result};`);
}
for (const [, name] of declarations.matchAll(/export const (\w+): \{/g)) {
  members.push(`  readonly ${name}: { readonly value: number };`);
}

writeFileSync(
  new URL("src/wasm/kernels.gen.ts", root),
  `// Made by assembly/embed.mjs from assembly/: do not edit, do not commit.

/** What the kernels export: documented where they stand, in assembly/. */
export interface Kernels {
${members.join("\n")}
}

/** The baseline build (SIMD128), base64. */
export const baseline: string =
  "${withoutData("build/baseline.wasm")}";

/** The relaxed-SIMD build of the same source, base64. */
export const relaxed: string =
  "${withoutData("build/relaxed.wasm")}";
`,
);
