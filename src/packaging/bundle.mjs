// Makes the files of dist of the modules that tsc wrote into build/esm: entries, and chunks that they share. Run by `npm run build:bundle`.
//
// What a new Node process waits for before it searches is above all this: .6 ms for each file until it is there, and 4 ms for V8 to look
// through the core's. So the core is one file beside that of the error class, where a bundler by itself makes four: what other entries want
// of it, it exports as a list, by one name more than it says. And names within its functions have one letter, for .5 ms; those of functions,
// classes and methods stay, so that a stack trace can be read.
//
// What pages have of the core without having the core (cellist/worker, cellist/ring) stands in their files again, but for the class of
// errors, of which there is one. A worker's script is alone where it runs: it shares nothing.

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build, transform } from "esbuild";

process.chdir(fileURLToPath(new URL("../../", import.meta.url)));

const STYLE = { minifyWhitespace: true, minifySyntax: true, lineLimit: 160, target: "es2022", logLevel: "warning" };
const BUNDLE = { ...STYLE, bundle: true, format: "esm", platform: "neutral", packages: "external" };
const OPTIONS = { ...BUNDLE, outbase: "build/esm", outdir: "dist" };
const CORE = "dist/index.js";
const ERRORS = "dist/errors.js";
/** The name of the list. */
const LIST = "internals";
const entries = (...names) => names.map((name) => `build/esm/${name}.js`);

/** Where errors.js is for the files of a folder of dist. */
const sharedErrors = {
  name: "shared errors",
  setup: ({ onResolve }) => onResolve({ filter: /\/errors\.js$/ }, () => ({ path: "../errors.js", external: true })),
};
await build({ ...OPTIONS, entryPoints: entries("ring/index", "worker/index"), plugins: [sharedErrors] });
await build({ ...OPTIONS, entryPoints: entries("errors", "worker/worker") });

/** What a bundler makes by itself: files by their paths. */
const { outputFiles, metafile } = await build({
  ...OPTIONS,
  entryPoints: entries("errors", "index", "more/index", "rvc/index", "remote/index", "cli/main"),
  splitting: true,
  chunkNames: "chunk-[hash]",
  write: false,
  metafile: true,
});
const files = new Map(outputFiles.map(({ path, text }) => [relative(".", path), text]));
const importsOf = (path) => metafile.outputs[path].imports.filter(({ kind }) => kind === "import-statement");
const errors = importsOf(ERRORS).map(({ path }) => path);
/** What becomes the core's file: a set grows while it is gone through. */
const core = new Set([CORE]);
for (const file of core) for (const { path } of importsOf(file)) if (!errors.includes(path)) core.add(path);

/** What others want of these files: places in the list, by file and name. */
const wanted = new Map();
for (const [path, text] of files) {
  if (!core.has(path) && path !== ERRORS && !errors.includes(path)) write(path, withoutChunks(path, text));
}
write(CORE, await withShortNames(await coreText()));

/** The names that the core's entry has of a chunk. */
function saidOf(target) {
  const own = files.get(CORE).matchAll(/import\{([^}]*)\}from"(\.[^"]*)";/g);
  const lists = [...own].filter(([, , module]) => join(dirname(CORE), module) === target);
  return lists.flatMap(([, names]) => names.split(",").map((name) => name.trim()));
}

/** A file with imports from the core's file in place of those from its parts. */
function withoutChunks(path, text) {
  const from = (target) => relative(dirname(path), target).replace(/^(?!\.)/, "./");
  const [said, taken] = [[LIST], []];
  const imports = /import(?:\{([^}]*)\}from)?"(\.[^"]*)";/g;
  const own = text.replace(imports, (all, names, module) => {
    const target = join(dirname(path), module);
    if (errors.includes(target)) return all.replace(module, from(ERRORS));
    if (!core.has(target)) return all;
    for (const [name, alias = name] of (names?.split(",") ?? []).map((each) => each.trim().split(" as "))) {
      // By its name only where it is the same: chunks may have another of that name.
      if (metafile.outputs[CORE].exports.includes(name) && saidOf(target).includes(name)) {
        said.push(`${name} as ${alias}`);
        continue;
      }
      const key = `${target} ${name}`;
      if (!wanted.has(key)) wanted.set(key, wanted.size);
      taken.push(`${wanted.get(key)}:${alias}`);
    }
    return "";
  });
  if (taken.length === 0) return own;
  if (new RegExp(`\\b${LIST}\\b`).test(own)) throw new Error(`${path} has the name ${LIST}, too`);
  const start = /^#!.*\n/.exec(own)?.[0] ?? "";
  return `${start}import{${said}}from"${from(CORE)}";const{${taken.join(",")}}=${LIST};\n${own.slice(start.length)}`;
}

/** The core's file, of its parts. */
async function coreText() {
  const lines = [...wanted].map(([key, place]) => {
    const [path, name] = key.split(" ");
    return `import{${name} as _${place}}from"./${path}";`;
  });
  const contents = `${lines.join("")}export*from"./${CORE}";export const ${LIST}=[${[...wanted.values()].map((place) => `_${place}`)}];`;
  const parts = {
    name: "parts",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^\./ }, ({ path, kind, importer }) => {
        if (kind === "dynamic-import") return { path, external: true };
        const target = importer === "<stdin>" ? path.slice(2) : `dist/${path.slice(2)}`;
        return errors.includes(target) ? { path: "./errors.js", external: true } : { path: target, namespace: "part" };
      });
      onLoad({ filter: /^/, namespace: "part" }, ({ path }) => ({ contents: files.get(path) }));
    },
  };
  const made = await build({ ...BUNDLE, stdin: { contents, resolveDir: "." }, plugins: [parts], write: false });
  return made.outputFiles[0].text;
}

/** The core's file with short names within its functions. As a script, which ends where imports and exports do, it keeps those without. */
async function withShortNames(text) {
  const names = [];
  const own = text.replace(
    /import(?:\{([^{}]*)\}from)?"\.\/errors\.js";/g,
    (_, some) => (some && names.push(some), ""),
  );
  const [, body, exports] = /^([^]*)(export\{[^{}]*\};\n*)$/.exec(own);
  const { code } = await transform(body, { ...STYLE, minifyIdentifiers: true });
  return `import{${names}}from"./errors.js";${code.trimEnd()}${exports}`;
}

function write(path, text) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
