import { mkdir } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { Option } from "commander";
import type { Command } from "commander";
import { indexFactory } from "../factory/build.js";
import { buildVoiceIndex } from "../rvc/build.js";
import type { Slice } from "../rvc/slices.js";
import { listNpy, openSlice, pathError, readNpy } from "./files.js";
import { cellsOf } from "./info.js";
import { jsonOption, namePart, wholeNumber } from "./options.js";
import { checkFolder, writeFiles } from "./output.js";
import { InputError, run, secondsSince } from "./run.js";
import type { Watch } from "./run.js";
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
  json?: boolean;
}

/** Adds `cellist build`. */
export function addBuild(program: Command): void {
  program
    .command("build")
    .summary("build a voice's index from its features")
    .description(
      "Builds a voice's index from all .npy files of a folder, as RVC does, and writes it under RVC's name: " +
        "added_IVF495_Flat_nprobe_1_alice_v2.index.",
    )
    .argument("<folder>", "the folder of features, such as logs/alice/3_feature768")
    .addOption(new Option("--name <name>", "what the voice is called (default: as its folder)").argParser(namePart))
    .addOption(
      new Option(
        "--version <version>",
        "RVC's version: v1 has 256 dimensions, v2 768 (default: by the folder's name or the first file)",
      ).choices(["v1", "v2"]),
    )
    .option("--factory <string>", "what to build, in faiss' language (default: RVC's IVF{nlist},Flat)")
    .addOption(
      new Option("--seed <number>", "the same seed gives the same file").default(1234).argParser(wholeNumber(0)),
    )
    .option("--out <folder>", "where to write the file; made if it is not there", ".")
    .addOption(jsonOption())
    .addHelpText(
      "after",
      "\nExamples:\n" +
        "  cellist build logs/alice/3_feature768\n" +
        "  cellist build features --name alice --version v2 --seed 7 --out voices",
    )
    .action((folder: string, flags: BuildFlags) =>
      run(flags.json ?? false, async (watch) => {
        const started = performance.now();
        const { factory, seed, out } = flags;
        const files = await listNpy(folder);
        const version = flags.version ?? (await guessVersion(folder, files[0], watch));
        const name = flags.name ?? guessName(folder);
        // Whatever else can be wrong is found before the features are read, which may take minutes.
        if (factory !== undefined) (await indexFactory(DIMENSIONS[version], factory)).dispose();
        await mkdir(out, { recursive: true }).catch((error: unknown) => {
          throw pathError("make", out, error);
        });
        await checkFolder(out);

        const { index, fileName, rows } = await buildVoiceIndex(slices(folder, files), {
          ...watch,
          onProgress: ({ phase, done, total }) =>
            watch.onProgress({ phase, done, total: Number.isFinite(total) ? total : files.length }),
          name,
          version,
          seed,
          ...(factory === undefined ? {} : { factory }),
        });
        const file = join(out, fileName);
        const bytes = index.toBytes();
        await writeFiles([{ path: file, bytes }], watch.signal);

        const { description, d } = index;
        const { nlist } = cellsOf(index);
        const seconds = secondsSince(started);
        const fields = table({
          rows: whole(rows),
          nlist: whole(nlist),
          bytes: size(bytes.length),
          seconds: seconds.toFixed(1),
          file,
        });
        return {
          text: `${name}, RVC ${version}: ${description} of ${d} dimensions\n${fields}`,
          data: { file, name, version, description, d, rows, nlist, bytes: bytes.length, seconds },
        };
      }),
    );
}

/** The slices one after the other: of the files' bytes, only one file's are in memory. */
async function* slices(folder: string, files: readonly string[]): AsyncGenerator<Slice> {
  for (const name of files) yield openSlice(folder, name);
}

/** The version by the folder's name, where that says 256 or 768, or else by the dimensions of its first file. */
async function guessVersion(folder: string, first: string, watch: Watch): Promise<"v1" | "v2"> {
  const named = /(?<!\d)(?:256|768)(?!\d)/.exec(basename(resolve(folder)));
  let version = VERSIONS[Number(named?.[0])];
  if (version === undefined) {
    const path = join(folder, first);
    const { shape } = await readNpy(path, watch, () => undefined);
    version = VERSIONS[shape.length === 2 ? shape[1] : NaN];
    if (version === undefined) {
      throw new InputError(
        `${path} has the shape [${shape.join(", ")}]: features of RVC are [n, 256] (v1) or [n, 768] (v2)`,
      );
    }
  }
  return version;
}

/** RVC keeps features in logs/alice/3_feature768: the voice is called as the folder above, or as the folder itself elsewhere. */
function guessName(folder: string): string {
  const path = resolve(folder);
  const own = /feature(256|768)/.test(basename(path)) ? dirname(path) : path;
  return basename(own) || "voice";
}
