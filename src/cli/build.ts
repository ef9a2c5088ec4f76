import { basename, dirname, join, resolve } from "node:path";
import { Option } from "commander";
import type { Command } from "commander";
import { METRIC_L2 } from "../api.js";
import { VectorIndex } from "../handle/vector-index.js";
import { buildVoiceIndex, nlistOf, storedRows, voiceFileName } from "../rvc/build.js";
import type { Slice } from "../rvc/slices.js";
import { listNpy, newIndex, openSlice, readShape } from "./files.js";
import { nprobeHint } from "./info.js";
import { forceOption, jsonOption, namePart, seedOption, skipOption } from "./options.js";
import { checkFolder, checkTargets, writeIndex } from "./output.js";
import { cellsOf } from "./parts.js";
import { InputError, run, secondsSince } from "./run.js";
import type { Answer, Ask, Watch } from "./run.js";
import { size, table, whole } from "./text.js";

/** RVC's versions by the dimensions of their features. */
const VERSIONS: Record<number, "v1" | "v2" | undefined> = { 256: "v1", 768: "v2" };
const DIMENSIONS = { v1: 256, v2: 768 };

interface BuildFlags {
  name?: string;
  version?: "v1" | "v2";
  factory?: string;
  seed: number;
  out: string;
  force?: boolean;
  skipNonfinite?: boolean;
  json?: boolean;
}

/** Adds `cellist build`. */
export function addBuild(program: Command): void {
  program
    .command("build")
    .summary("build a voice's index from its features")
    .description(
      "Builds a voice's index from .npy files of features, as RVC does, and writes it under RVC's name: " +
        "added_IVF495_Flat_nprobe_1_alice_v2.index.",
    )
    .argument("<paths...>", "folders of features, such as logs/alice/3_feature768, or .npy files of rows of any width")
    .addOption(new Option("--name <name>", "what the voice is called (default: as its folder)").argParser(namePart))
    .addOption(
      new Option(
        "--version <version>",
        "RVC's version: v1 has 256 dimensions, v2 768 (default: by the folder's name or the first file)",
      ).choices(["v1", "v2"]),
    )
    .option("--factory <string>", "what to build, in faiss' language (default: RVC's IVF{nlist},Flat)")
    .addOption(seedOption())
    .addOption(skipOption())
    .option("--out <folder>", "where to write the file; made if it is not there", ".")
    .addOption(forceOption())
    .addOption(jsonOption())
    .addHelpText(
      "after",
      "\nExamples:\n" +
        "  cellist build logs/alice/3_feature768\n" +
        "  cellist build features --name alice --version v2 --seed 7 --out voices\n" +
        "  cellist build hubert-large/*.npy --name alice",
    )
    .action((paths: string[], flags: BuildFlags) =>
      run(flags.json ?? false, (watch, ask) => build(paths, flags, watch, ask)),
    );
}

async function build(paths: string[], flags: BuildFlags, watch: Watch, ask: Ask | undefined): Promise<Answer> {
  const started = performance.now();
  const { factory, seed, out, force, skipNonfinite = false } = flags;
  const files = await listNpy(paths);
  const d = flags.version === undefined ? await guessDimensions(paths, files[0], watch) : DIMENSIONS[flags.version];
  const name = flags.name ?? guessName(paths[0]);
  const rules = { inputs: files, force, ask };
  // Whatever else can be wrong is found before the features are read, which may take minutes.
  await checkFolder(out);
  const description = await describe(files, d, factory, watch);
  const expected = description === undefined ? undefined : join(out, voiceFileName(description, name, d));
  if (expected !== undefined) await checkTargets([expected], rules);

  const { index, fileName, rows, skipped } = await buildVoiceIndex(slices(files, watch), {
    ...watch,
    onProgress: ({ phase, done, total }) =>
      watch.onProgress({ phase, done, total: Number.isFinite(total) ? total : files.length }),
    name,
    d,
    seed,
    skipNonFinite: skipNonfinite,
    ...(factory === undefined ? {} : { factory }),
  });
  if (!(index instanceof VectorIndex)) throw new Error("an index that was made is a VectorIndex");
  const file = join(out, fileName);
  if (file !== expected) await checkTargets([file], rules);
  const bytes = await writeIndex(file, index, watch);

  const { nlist } = cellsOf(index);
  const version = VERSIONS[d];
  const seconds = secondsSince(started);
  const fields = table({
    rows: whole(rows),
    ...(skipNonfinite && { skipped: `${whole(skipped)} with NaN or infinity` }),
    nlist: whole(nlist),
    bytes: size(bytes),
    seconds: seconds.toFixed(1),
    file,
  });
  const title = version === undefined ? name : `${name}, RVC ${version}`;
  const hint = nprobeHint({ ...cellsOf(index), metric: index.metric }, file);
  return {
    text: `${title}: ${index.description} of ${d} dimensions\n${fields}${hint === undefined ? "" : `\n\n${hint}`}`,
    data: {
      file,
      name,
      version: version ?? null,
      description: index.description,
      d,
      rows,
      skipped,
      nlist,
      bytes,
      seconds,
    },
  };
}

/** The slices one after the other: of the files' bytes, only one file's are in memory. */
async function* slices(files: readonly string[], watch: Watch): AsyncGenerator<Slice> {
  for (const file of files) yield openSlice(file, watch);
}

/** What is going to be built, as far as the files' headers say; undefined where one is not as it should be. Throws for a bad factory. */
async function describe(
  files: readonly string[],
  d: number,
  factory: string | undefined,
  watch: Watch,
): Promise<string | undefined> {
  if (factory !== undefined) {
    const index = await newIndex(d, factory, METRIC_L2, watch);
    const { description } = index;
    index.dispose();
    return description;
  }
  let rows = 0;
  for (const file of files) {
    const shape = await readShape(file, watch);
    if (shape.length !== 2 || shape[1] !== d) return undefined;
    rows += shape[0];
  }
  return `IVF${nlistOf(storedRows(rows))},Flat`;
}

/** The dimensions by the folder's name, where that says 256 or 768, or else those of the first file. */
async function guessDimensions(paths: readonly string[], first: string, watch: Watch): Promise<number> {
  const named = /(?<!\d)(?:256|768)(?!\d)/.exec(basename(resolve(paths[0])));
  if (named !== null && paths[0] !== first) return Number(named[0]);
  const shape = await readShape(first, watch);
  if (shape.length === 2) return shape[1];
  throw new InputError(
    `${first} has the shape [${shape.join(", ")}]: features are [n, d], such as [n, 768] of RVC's v2`,
  );
}

/** RVC keeps features in logs/alice/3_feature768: the voice is called as the folder above, or as the folder itself elsewhere. */
function guessName(path: string): string {
  const folder = /\.npy$/i.test(path) ? dirname(resolve(path)) : resolve(path);
  const own = /feature\d+/.test(basename(folder)) ? dirname(folder) : folder;
  return basename(own) || "voice";
}
