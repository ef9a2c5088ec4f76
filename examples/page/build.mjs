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
import { OPTIONS } from "./bundle.mjs";
import { serve } from "./serve.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const OUT = fileURLToPath(new URL("../../build/page/index.html", import.meta.url));
/** The page without the sample, gzipped, in bytes: what a visitor waits for. */
const MAX_SIZE = 200_000;

/** What the sample alone needs, at the end of the page: its sound, its notes, what brings sound to another rate and what answers it. */
export const SAMPLE = {
  voice: join(here, "sample/voice.flac"),
  sentence: join(here, "sample/sentence.flac"),
  notes: join(here, "sample/sample.json"),
  // Beside the package's script, which alone it exports.
  speex: fileURLToPath(
    new URL("./speex-resampler-nonsimd.wasm", import.meta.resolve("@echogarden/speex-resampler-wasm")),
  ),
};

/** A script to stand in the page: one that held another's end would end itself. */
async function script(entry, options = {}) {
  const { outputFiles } = await build({ ...OPTIONS, ...options, entryPoints: [join(here, entry)] });
  return outputFiles[0].text.trim().replaceAll("</script", "<\\/script");
}

/** Builds the page; returns where it is, or throws where it has become too large. */
export async function buildPage() {
  const read = (name) => readFileSync(join(here, name), "utf8");
  const css = await build({ ...OPTIONS, entryPoints: [join(here, "page.css")] });
  const [main, worker] = await Promise.all(["main.js", "worker/worker.js"].map((entry) => script(entry)));
  const page = read("index.html")
    .replace("/* page.css */", () => css.outputFiles[0].text)
    .replace("/* main.js */", () => main)
    .replace("/* worker.js */", () => worker);
  const size = gzipSync(page, { level: 9 }).length;
  if (size > MAX_SIZE) throw new Error(`The page has ${size} bytes gzipped: a visitor waits for ${MAX_SIZE} at most.`);
  const sound = await script("sound/of-sample.js", { globalName: "sound" });
  const worklet = await script("sound/worklet.js");
  let whole = page
    .replace('id="sample-sound">', (block) => block + sound)
    .replace('id="sample-worklet">', (block) => block + worklet);
  for (const [name, path] of Object.entries(SAMPLE)) {
    const block = `id="sample-${name}">`;
    whole = whole.replace(block, () => block + readFileSync(path).toString("base64"));
  }
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
