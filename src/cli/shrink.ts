import { basename, dirname, extname, join } from "node:path";
import { InvalidArgumentError, Option } from "commander";
import type { Command } from "commander";
import { shrinkVoice } from "../rvc/shrink.js";
import type { ShrinkReport } from "../rvc/shrink.js";
import { openIndex, readVectors } from "./files.js";
import { forceOption, jsonOption, seedOption, wholeNumber } from "./options.js";
import { checkTargets, writeIndex } from "./output.js";
import { run } from "./run.js";
import { framesOf, settingsData, settingsTable } from "./measure.js";
import { size, table, whole } from "./text.js";
import type { Json } from "./text.js";

/** What sizes are written in. */
const UNITS: Record<string, number> = { "": 1, B: 1, KB: 1e3, MB: 1e6, GB: 1e9 };

interface ShrinkFlags {
  ratio?: number;
  bytes?: number;
  error?: number;
  layers?: number;
  seed: number;
  frames?: string;
  out?: string;
  force?: boolean;
  json?: boolean;
}

/** Adds `cellist shrink`. */
export function addShrink(program: Command): void {
  program
    .command("shrink")
    .summary("make a voice small")
    .description(
      "Makes a voice file of an index: a quarter to a seventieth of its bytes, with what that costs. Ask for a size or for an error.",
    )
    .argument("<file>", "the index file of the voice")
    .addOption(new Option("--ratio <number>", "how many times smaller (default: 8)").argParser(above(1)))
    .addOption(new Option("--bytes <size>", "the most bytes, such as 8MB or 750KB").argParser(bytes).conflicts("ratio"))
    .addOption(
      new Option("--error <number>", "the blend error that is allowed, such as .05")
        .argParser(above(0))
        .conflicts(["ratio", "bytes"]),
    )
    .addOption(
      new Option("--layers <number>", "layers: the beginning of the file is a whole voice then").argParser(
        wholeNumber(1),
      ),
    )
    .option("--frames <file>", "measure on frames of another recording: an .npy file, [n, d]")
    .addOption(seedOption())
    .option("--out <file>", "the file to write (default: beside the index, .voice)")
    .addOption(forceOption())
    .addOption(jsonOption())
    .addHelpText(
      "after",
      "\n" +
        "What is measured: 256 frames of the voice (or those of --frames) and their 8 neighbours. A frame of the voice is held out\n" +
        "with the 8 nearest to it, which are those around it in time: another recording has nothing so near.\n" +
        "  recall       the share of the nearest frames that a search finds\n" +
        "  blend error  how far a blend ends from the exact one, as a share of how far that one moves a frame\n" +
        "\nExamples:\n" +
        "  cellist shrink added_IVF495_Flat_nprobe_1_alice_v2.index --ratio 16\n" +
        "  cellist shrink alice.index --error .05 --out alice.voice\n" +
        "  cellist convert alice.voice --to faiss",
    )
    .action((file: string, flags: ShrinkFlags) =>
      run(flags.json ?? false, async (watch, ask) => {
        const { ratio, bytes, error, layers, seed, frames, force } = flags;
        const path = flags.out ?? join(dirname(file), `${basename(file, extname(file))}.voice`);
        await checkTargets([path], { inputs: frames === undefined ? [file] : [file, frames], force, ask });
        const { index } = await openIndex(file, watch);
        const sample = frames === undefined ? undefined : (await readVectors(frames, index.d, watch)).rows;
        const { index: small, report } = await shrinkVoice(index, {
          ...watch,
          ratio,
          bytes,
          error,
          layers,
          seed,
          sample,
        });
        await writeIndex(path, small, watch);
        return { text: say(file, path, report), data: { file: path, ...dataOf(report) } };
      }),
    );
}

/** The answer for people. */
function say(file: string, path: string, report: ShrinkReport): string {
  const { before, after, ratio, ntotal, d, layers, settings } = report;
  const fields = table({
    vectors: `${whole(ntotal)} of ${d} dimensions`,
    bytes: `${size(before)} -> ${size(after)}, 1/${ratio.toPrecision(3)}`,
    "a vector": `${report.bytesPerVector.toFixed(1)} bytes`,
    ...(layers.length > 1 ? { layers: `they end at ${layers.map(whole).join(", ")} bytes` } : {}),
    seconds: `${report.seconds.encode.toFixed(1)}, and ${report.seconds.measure.toFixed(1)} to measure`,
    file: path,
  });
  return [
    basename(file),
    fields,
    "",
    settingsTable([
      ["before", settings.before],
      ["after", settings.after],
    ]),
    "",
    framesOf(report),
  ].join("\n");
}

/** The answer for programs. */
function dataOf({ settings, seconds, ...report }: ShrinkReport): Record<string, Json> {
  return {
    ...report,
    settings: { before: settingsData(settings.before), after: settingsData(settings.after) },
    seconds: { ...seconds },
  };
}

/** A parser of numbers above one; anything else is bad usage. */
function above(least: number): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? NaN : Number(text);
    if (!(value > least && value < Infinity)) throw new InvalidArgumentError(`Give a number above ${least}.`);
    return value;
  };
}

/** Parses a number of bytes: 8000000, 8MB, 7.5 MB; anything else is bad usage. */
function bytes(text: string): number {
  const [, number, unit] = /^\s*(\d*\.?\d+)\s*([kmg]?b?)\s*$/i.exec(text) ?? [];
  const value = Number(number) * UNITS[(unit ?? "?").toUpperCase().replace(/^[KMG]$/, "$&B")];
  if (!(value >= 1)) throw new InvalidArgumentError("Give a number of bytes, such as 8MB.");
  return value;
}
