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
import { serve } from "./serve.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const OUT = fileURLToPath(new URL("../../build/page/index.html", import.meta.url));
/** The page without the sample, gzipped, in bytes: what a visitor waits for. */
const MAX_SIZE = 200_000;

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
  loader: { ".wasm": "binary" },
  alias: { "speex-resampler.wasm": speex("./speex-resampler-nonsimd.wasm") },
  // Node's part of the resampler's glue.
  external: ["module"],
  legalComments: "none",
  logLevel: "warning",
  // The resampler's glue looks for its own address, which a classic script has not; its bytes are given instead.
  logOverride: { "empty-import-meta": "silent", "ignored-bare-import": "silent" },
  write: false,
};

/** `import script from "built:worker/worker.js"`: a script of its own, as text, for a worker or a worklet to be started from. */
const builtScripts = {
  name: "built",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^built:/ }, ({ path }) => ({ path: join(here, path.slice(6)), namespace: "built" }));
    onLoad({ filter: /./, namespace: "built" }, async ({ path }) => ({ contents: await script(path), loader: "text" }));
  },
};

/** Parts of D3 that Plot can't be bundled without, though the page draws no maps and has colours of its own: 18 KB gzipped. */
const UNUSED = /node_modules\/d3-(geo|scale-chromatic)\/dist\/[\w-]+\.mjs$/;

/** Puts functions that do nothing in their place. */
const withoutUnused = {
  name: "without-unused",
  setup({ onLoad }) {
    onLoad({ filter: UNUSED }, ({ path }) => {
      const [, exported] = /export \{([^}]+)\}/.exec(readFileSync(path, "utf8"));
      const names = exported.split(",").map((part) => part.trim().split(" as ").at(-1));
      return { contents: `const none = () => {};\nexport { ${names.map((name) => `none as ${name}`).join(", ")} };` };
    });
  },
};

async function script(entry) {
  const { outputFiles } = await build({ ...OPTIONS, entryPoints: [entry], plugins: [builtScripts, withoutUnused] });
  return outputFiles[0].text;
}

/** Builds the page; returns where it is. */
export async function buildPage() {
  const read = (name) => readFileSync(join(here, name), "utf8");
  const css = await build({ ...OPTIONS, entryPoints: [join(here, "page.css")] });
  // A script that holds another's end would end itself.
  const main = (await script(join(here, "main.js"))).replaceAll("</script", "<\\/script");
  const page = read("index.html")
    .replace("/* page.css */", () => css.outputFiles[0].text)
    .replace("/* main.js */", () => main);
  const size = gzipSync(page, { level: 9 }).length;
  if (size > MAX_SIZE) throw new Error(`the page has ${size} bytes gzipped, above ${MAX_SIZE}`);
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
    console.log(`Open ${await serve(page, 8080)}, or the file itself. Ctrl-C ends it.`);
}
