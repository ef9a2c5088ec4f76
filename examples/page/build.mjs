/**
 * Builds the page: one HTML file that needs nothing beside it, nor a network.
 *
 *     npm run page              builds it, serves it and prints its address
 *     npm run page -- --build   builds it
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { textOf } from "../../assembly/text.mjs";
import { serve } from "./serve.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const OUT = fileURLToPath(new URL("../../build/page/index.html", import.meta.url));
/** The page without the sample, gzipped, in bytes: what a visitor waits for. */
const MAX_SIZE = 200_000;

/**
 * What Plot can't be bundled without, and the page does not use: maps, dates, tips, legends, and other colours than the page's own. It
 * is 29 KB gzipped, a third of Plot.
 */
const UNUSED =
  /node_modules\/(d3-(geo|scale-chromatic|time|time-format)\/dist\/.+|@observablehq\/plot\/src\/(marks\/tip|interactions\/pointer|legends))\.m?js$/;

/** Puts functions that make nothing in its place. */
const withoutUnused = {
  name: "without-unused",
  setup({ onLoad }) {
    onLoad({ filter: UNUSED }, ({ path }) => {
      const text = readFileSync(path, "utf8");
      const listed = /export \{([^}]+)\}/.exec(text)?.[1].split(",") ?? [];
      const declared = Array.from(text.matchAll(/export (?:function|const|class) (\w+)/g), ([, name]) => name);
      const names = [...listed.map((part) => part.trim().split(" as ").at(-1)), ...declared];
      return { contents: `const none = () => [];\nexport { ${names.map((name) => `none as ${name}`).join(", ")} };` };
    });
  },
};

/** A binary as text of which gzip makes as little as of its bytes: see assembly/text.mjs. */
const binaryAsText = {
  name: "binary-as-text",
  setup({ onLoad }) {
    onLoad({ filter: /\.wasm$/ }, ({ path }) => ({ contents: textOf(readFileSync(path)), loader: "text" }));
  },
};

/** A file of the resampler beside its script: the package exports that alone. */
function speex(path) {
  return fileURLToPath(new URL(path, import.meta.resolve("@echogarden/speex-resampler-wasm")));
}

export const OPTIONS = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2022",
  alias: { "speex-resampler.wasm": speex("./speex-resampler-nonsimd.wasm") },
  // Node's part of the resampler's glue.
  external: ["module"],
  legalComments: "none",
  logLevel: "warning",
  // The resampler's glue looks for its own address, which a classic script has not; its bytes are given instead.
  logOverride: { "empty-import-meta": "silent", "ignored-bare-import": "silent" },
  plugins: [withoutUnused, binaryAsText],
  write: false,
};

/** A script to stand in the page: one that held another's end would end itself. */
async function script(entry) {
  const { outputFiles } = await build({ ...OPTIONS, entryPoints: [join(here, entry)] });
  return outputFiles[0].text.trim().replaceAll("</script", "<\\/script");
}

/** Builds the page; returns where it is. */
export async function buildPage() {
  const read = (name) => readFileSync(join(here, name), "utf8");
  const css = await build({ ...OPTIONS, entryPoints: [join(here, "page.css")] });
  const scripts = await Promise.all(["main.js", "worker/worker.js", "sound/worklet.js"].map(script));
  const [main, worker, worklet] = scripts;
  const page = read("index.html")
    .replace("/* page.css */", () => css.outputFiles[0].text)
    .replace("/* main.js */", () => main)
    .replace("/* worker.js */", () => worker)
    .replace("/* worklet.js */", () => worklet);
  const size = gzipSync(page, { level: 9 }).length;
  if (size > MAX_SIZE) console.warn(`That is more than the ${MAX_SIZE} a visitor should wait for.`);
  const sample = (name) => readFileSync(join(here, "sample", name)).toString("base64");
  const whole = page
    .replace('id="sample-voice">', () => `id="sample-voice">${sample("voice.flac")}`)
    .replace('id="sample-sentence">', () => `id="sample-sentence">${sample("sentence.flac")}`);
  mkdirSync(join(OUT, ".."), { recursive: true });
  writeFileSync(OUT, whole);
  console.log(`${OUT}\n${size} bytes gzipped, and ${whole.length - page.length} of the sample`);
  return OUT;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const page = await buildPage();
  if (!process.argv.includes("--build"))
    console.log(`Open ${(await serve(page, 8080)).address}, or the file itself. Ctrl-C ends it.`);
}
