// Turns the compiled kernels into one TypeScript module: their bytes as text, and an interface of their exports that is
// read off the declarations asc writes, so that TypeScript never guesses what the kernels take. The relaxed build is kept as what
// makes it of the other one, which it shares all but a few instructions with: 1.2 KB in place of 31.

import { readFileSync, writeFileSync } from "node:fs";

import { textOf } from "./text.mjs";

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
  return bytes;
}

/** Instructions that V8's baseline compiler gets wrong where the CPU has no AVX: all in Node 20 to 26, but for the first two. */
const SPOILT =
  /\((i8x16\.(?:relaxed_)?swizzle|i16x8\.(?:q15mulr_sat_s|extmul_high_i8x16_[su]|relaxed_(?:q15mulr_s|dot_i8x16_i7x16_s)))\s+\((\S+)/g;

/**
 * Such an instruction overwrites an operand that it still needs when the other one is a local. A swizzle is right as long as its table
 * is loaded for it alone (Node 20 and 22 are wrong otherwise); the rest can do without.
 */
function withoutSpoilt(path) {
  for (const [, instruction, operand] of read(path).toString().matchAll(SPOILT)) {
    if (instruction.endsWith("swizzle") && operand === "v128.load") continue;
    throw new Error(
      `${path}: ${instruction} of ${operand} is wrong in V8 without AVX: see lookUp in assembly/lanes.ts`,
    );
  }
}

/** Runs that are shorter are not worth a copy. */
const SHORTEST = 8;

/**
 * What makes `target` of `source`, as src/wasm/patch.ts reads it: again and again the number of new bytes, these, how far the source
 * is skipped (2n, or -2n - 1 where it is backwards), and how many of its bytes follow; numbers in LEB128.
 */
function difference(source, target) {
  const places = new Map();
  const keyAt = (bytes, at) => bytes.toString("latin1", at, at + SHORTEST);
  for (let at = 0; at + SHORTEST <= source.length; at++) {
    const key = keyAt(source, at);
    places.set(key, [...(places.get(key) ?? []), at]);
  }
  const patch = [];
  const number = (n) => {
    for (; n > 127; n = Math.floor(n / 128)) patch.push((n % 128) + 128);
    patch.push(n);
  };
  let fresh = [];
  let position = 0;
  const write = (from, length) => {
    number(fresh.length);
    patch.push(...fresh);
    number(from >= position ? 2 * (from - position) : 2 * (position - from) - 1);
    number(length);
    position = from + length;
    fresh = [];
  };
  for (let at = 0; at < target.length;) {
    let [from, longest] = [0, 0];
    for (const place of places.get(keyAt(target, at)) ?? []) {
      let length = 0;
      while (at + length < target.length && source[place + length] === target[at + length]) length++;
      const nearer = Math.abs(place - position) < Math.abs(from - position);
      if (length > longest || (length === longest && nearer)) [from, longest] = [place, length];
    }
    if (longest < SHORTEST) fresh.push(target[at++]);
    else {
      write(from, longest);
      at += longest;
    }
  }
  if (fresh.length > 0) write(position, 0);
  return Buffer.from(patch);
}

/** The members of an interface of what a build exports. */
function members(build) {
  const declarations = read(`build/${build}.d.ts`).toString();
  const functions = [...declarations.matchAll(/export function (\w+)\((.*?)\): (\w+);/g)].map(
    ([, name, parameters, result]) => `  ${name}(${parameters}): ${result};`,
  );
  const numbers = [...declarations.matchAll(/export const (\w+): \{/g)].map(
    ([, name]) => `  readonly ${name}: { readonly value: number };`,
  );
  return [...functions, ...numbers].join("\n");
}

/**
 * Words of a record's fields, read off its class: every field is a word (usize, i32, f32), as AssemblyScript lays them out. A module for
 * each record, and not an object: a bundler puts the numbers where they are read, and the core is 300 B smaller gzipped.
 */
function writeRecord(folder, name, path) {
  const source = read(path)
    .toString()
    .replace(/ *\/\*[^]*?\*\/\n?| *\/\/.*\n/g, "");
  const start = source.indexOf("{", source.search(new RegExp(`export class ${name}\\b`))) + 1;
  const body = /^[^]*?(?=\n {2}[^\n]*\(|\n\})/.exec(source.slice(start))?.[0] ?? "";
  const fields = [...body.matchAll(/^ {2}(\w+): (\w+);/gm)].map(([, field, type]) => {
    if (!["usize", "i32", "f32"].includes(type)) throw new Error(`${name}.${field} is a ${type} and no word`);
    return field;
  });
  if (fields.length === 0) throw new Error(`${path} has no record ${name}`);
  const words = fields.map((field, i) => `export const ${field} = ${i};`).join("\n");
  const module = `${folder}/${name.replace(/(?!^)[A-Z]/g, "-$&").toLowerCase()}.gen.ts`;
  writeFileSync(new URL(module, root), `${MADE}\n\n// Words of a ${name} (${path}).\n\n${words}\n`);
}

const MADE = "// Made by assembly/embed.mjs of assembly/: do not edit, do not commit.";

/** What crosses: where each record stands. A code that has one adds it here. */
const RECORDS = {
  Plan: "assembly/records.ts",
  Lists: "assembly/records.ts",
  RowCodes: "assembly/row-codes.ts",
  Best: "assembly/found/best.ts",
  Within: "assembly/found/within.ts",
  Packed: "assembly/packed.ts",
  Scalar: "assembly/codes/scalar.ts",
  Half: "assembly/codes/half.ts",
  Product: "assembly/codes/pq.ts",
  Factored: "assembly/codes/factored.ts",
  Graph: "assembly/graph/records.ts",
};
/** What crosses to the codec's module beside these. */
const CODEC_RECORDS = { Compact: "assembly/codec/compact.ts" };
for (const [name, path] of Object.entries(RECORDS)) writeRecord("src/wasm", name, path);
for (const [name, path] of Object.entries(CODEC_RECORDS)) writeRecord("src/codec", name, path);

for (const build of ["baseline", "relaxed", "more-baseline", "more-relaxed", "codec"])
  withoutSpoilt(`build/${build}.wat`);

/** The baseline build of a module, as the constant that carries it. */
function baselineOf(prefix) {
  return `/** The baseline build (SIMD128), as text (src/wasm/text.ts). */
export const baseline: string =
  "${textOf(withoutData(`build/${prefix}baseline.wasm`))}";
`;
}

/** What makes the relaxed build of a module of the baseline one, as a constant. */
function patchOf(prefix, name, which) {
  const [baseline, relaxed] = ["baseline", "relaxed"].map((build) => withoutData(`build/${prefix}${build}.wasm`));
  return `/** What makes the relaxed-SIMD build of ${which} of the baseline one (patch.ts), as text. */
export const ${name}: string =
  "${textOf(difference(baseline, relaxed))}";
`;
}

writeFileSync(
  new URL("src/wasm/kernels.gen.ts", root),
  `${MADE}

/** What the kernels export: documented where they stand, in assembly/. */
export interface Kernels {
${members("baseline")}
}

${baselineOf("")}
/** What makes bytes of such texts (text.ts), itself as one. */
export const textKernel: string =
  "${textOf(withoutData("build/text.wasm"))}";
`,
);

writeFileSync(
  new URL("src/wasm/more.gen.ts", root),
  `${MADE}

/** What the module of "cellist/more" exports: documented where it stands, in assembly/. */
export interface MoreKernels {
${members("more-baseline")}
}

${baselineOf("more-")}
${patchOf("more-", "relaxedPatch", "these kernels")}
${patchOf("", "corePatch", "the core's")}`,
);

writeFileSync(
  new URL("src/codec/kernels.gen.ts", root),
  `${MADE}

/** What the codec's module exports: documented where it stands, in assembly/codec/. */
export interface CodecKernels {
${members("codec")}
}

/** The build (SIMD128), as text (src/wasm/text.ts). */
export const codecKernels: string =
  "${textOf(withoutData("build/codec.wasm"))}";
`,
);
