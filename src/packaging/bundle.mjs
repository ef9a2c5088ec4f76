// Makes the files of dist of the modules that tsc wrote into build/esm: entries, and chunks that they share. Run by `npm run build:bundle`.
//
// A file more costs a new Node process .7 ms, and a core of two files a kilobyte when it is compressed. So what pages have of the core without
// having the core (cellist/worker, cellist/ring) stands in their files again, but for the class of errors, of which there is one.

import { fileURLToPath } from "node:url";
import { build } from "esbuild";

process.chdir(fileURLToPath(new URL("../../", import.meta.url)));

const OPTIONS = {
  bundle: true,
  format: "esm",
  platform: "neutral",
  packages: "external",
  target: "es2022",
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: 160,
  outbase: "build/esm",
  outdir: "dist",
  logLevel: "warning",
};
const entries = (...names) => names.map((name) => `build/esm/${name}.js`);

await build({
  ...OPTIONS,
  entryPoints: entries("errors", "index", "more/index", "rvc/index", "remote/index", "worker/worker", "cli/main"),
  splitting: true,
  chunkNames: "chunk-[hash]",
});

/** Where errors.js is for the files of a folder of dist. */
const sharedErrors = {
  name: "shared errors",
  setup: ({ onResolve }) => onResolve({ filter: /\/errors\.js$/ }, () => ({ path: "../errors.js", external: true })),
};
await build({ ...OPTIONS, entryPoints: entries("ring/index", "worker/index"), plugins: [sharedErrors] });
