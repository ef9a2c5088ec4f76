// Reads every golden file and makes faiss' searches of it: prints a checksum of each file's answers as JSON. Run with flags that make V8
// compile otherwise, it must print the same: node --no-enable-avx --liftoff-only test/runtimes/tiers.mjs

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { readIndex } from "../../dist/index.js";
import { checksum } from "./project/searches.mjs";

/** What V8 is told, to be as on a CPU without AVX and to keep to its baseline compiler. Only x64 knows of AVX. */
export const TIERS = [
  ["--liftoff-only"],
  ...(process.arch === "x64" ? [["--no-enable-avx", "--liftoff-only"], ["--no-enable-avx"]] : []),
];

const golden = new URL("../golden/", import.meta.url);

async function answers() {
  const sums = {};
  for (const { name, file, queries, searches } of JSON.parse(readFileSync(new URL("manifest.json", golden))).cases) {
    const index = await readIndex(readFileSync(new URL(file, golden)));
    const npy = readFileSync(new URL(queries, golden));
    const floats = new Float32Array(new Uint8Array(npy.subarray(10 + npy.readUInt16LE(8))).buffer);
    const parts = searches.map(({ k, nprobe, k_factor: kFactor }) => {
      const options = { nprobe: nprobe ?? undefined, kFactor: kFactor ?? undefined };
      const { distances, labels } = index.search(floats, k, options);
      return checksum(distances) + checksum(labels);
    });
    sums[name] = parts.join(" ");
    index.dispose();
  }
  return sums;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) console.log(JSON.stringify(await answers()));
