import { basename } from "node:path";
import type { Command } from "commander";
import { measureVoice } from "../rvc/measure.js";
import type { VoiceSetting } from "../rvc/measure.js";
import { openIndex, readVectors } from "./files.js";
import { jsonOption, kOption, seedOption, wholeNumbers } from "./options.js";
import { run } from "./run.js";
import type { Json } from "./text.js";
import { columns, size, table, whole } from "./text.js";

interface MeasureFlags {
  truth?: string;
  k: number;
  nprobe?: number[];
  seed: number;
  json?: boolean;
}

/** Adds `cellist measure`. */
export function addMeasure(program: Command): void {
  program
    .command("measure")
    .summary("say how faithful a voice is")
    .description(
      "Says what searches of a voice find and how near its blends are to exact ones: on frames of its own that are held out, or on " +
        "frames of another recording, which is better.",
    )
    .argument("<file>", "the index or voice file")
    .argument("[queries]", "frames of another recording: an .npy file, [n, d]")
    .option(
      "--truth <file>",
      "what is exact: the index that this one was made of (default: itself, searched exhaustively)",
    )
    .addOption(kOption())
    .addOption(wholeNumbers("--nprobe <numbers>", "lists to scan, beside all of them (default: 1,4,16)"))
    .addOption(seedOption())
    .addOption(jsonOption())
    .addHelpText("after", "\nExample:\n  cellist measure alice.voice --truth added_IVF495_Flat_nprobe_1_alice_v2.index")
    .action((file: string, queries: string | undefined, flags: MeasureFlags) =>
      run(flags.json ?? false, async (watch) => {
        const { k, nprobe, seed } = flags;
        const { index, bytes } = await openIndex(file, watch);
        const truth = flags.truth === undefined ? undefined : (await openIndex(flags.truth, watch)).index;
        const sample = queries === undefined ? undefined : (await readVectors(queries, index.d, watch)).rows;
        const report = await measureVoice(index, { ...watch, truth, sample, k, nprobe, seed });
        const { description, d, ntotal, settings } = report;
        const fields = table({ description, vectors: `${whole(ntotal)} of ${d} dimensions`, bytes: size(bytes) });
        return {
          text: [basename(file), fields, "", settingsTable([["", settings]]), "", framesOf(report)].join("\n"),
          data: { ...report, bytes, settings: settingsData(settings) },
        };
      }),
    );
}

/** Settings of some indexes below each other. */
export function settingsTable(
  indexes: readonly (readonly [name: string, settings: readonly VoiceSetting[]])[],
): string {
  const rows = indexes.flatMap(([name, settings]) =>
    settings.map(({ nprobe, recall, error, median, milliseconds }) => [
      name,
      nprobe === null ? "all" : String(nprobe),
      recall.toFixed(3),
      error?.toFixed(4) ?? "-",
      median?.toFixed(4) ?? "-",
      milliseconds.toFixed(2),
    ]),
  );
  return columns([["", "nprobe", "recall", "blend error", "its median", "ms for 16"], ...rows]);
}

/** What was measured on. */
export function framesOf({ frames, heldOut, k }: { frames: number; heldOut: boolean; k: number }): string {
  const which = heldOut ? "frames of the voice, held out with those around them" : "frames that were given";
  return `Measured on ${whole(frames)} ${which}: ${k} neighbours each, against an exact search of all vectors.`;
}

/** Settings for programs. */
export function settingsData(settings: readonly VoiceSetting[]): Json {
  return settings.map((setting) => ({ ...setting }));
}
