import { Option } from "commander";
import type { Command } from "commander";
import { blend } from "../rvc/blend.js";
import { openIndex, readVectors } from "./files.js";
import { npyChunks } from "./npy-output.js";
import { forceOption, fraction, jsonOption, kOption, nprobeOption } from "./options.js";
import type { SearchFlags } from "./options.js";
import { checkTargets, writeFiles } from "./output.js";
import { listsScanned } from "./parts.js";
import { inBlocks, run } from "./run.js";
import { count, table } from "./text.js";

/** Adds `cellist blend`. */
export function addBlend(program: Command): void {
  program
    .command("blend")
    .summary("move features towards a voice")
    .description(
      "Moves each feature towards the weighted mean of its neighbours, as RVC does, and writes the result: float32, of the shape of the input.",
    )
    .argument("<file>", "the index file of the voice")
    .argument("<features>", "an .npy file of floats, [n, d]")
    .addOption(
      new Option("--rate <number>", "how far to move, 0 to 1: RVC's index rate").default(0.75).argParser(fraction),
    )
    .addOption(kOption())
    .addOption(nprobeOption())
    .option("--out <file>", "the file to write (default: FEATURES.blended.npy)")
    .addOption(forceOption())
    .addOption(jsonOption())
    .addHelpText("after", "\nExample:\n  cellist blend alice.index features.npy --rate 0.5 --out blended.npy")
    .action((file: string, features: string, flags: SearchFlags & { rate: number }) =>
      run(flags.json ?? false, async (watch, ask) => {
        const { rate, k, nprobe, out = `${features.replace(/\.npy$/i, "")}.blended.npy` } = flags;
        await checkTargets([out], { inputs: [file, features], force: flags.force, ask });
        const { index } = await openIndex(file, watch);
        const { d } = index;
        const { shape, rows } = await readVectors(features, d, watch);
        const n = rows.length / d;
        const seconds = await inBlocks("blend", n, watch, (first, end) => {
          blend(index, rows.subarray(first * d, end * d), { rate, k, nprobe });
        });
        await writeFiles([{ path: out, chunks: npyChunks(rows, shape) }], watch.signal);

        const lists = listsScanned(index, nprobe);
        const scanned = lists === null ? "" : `, nprobe ${lists}`;
        const how = `${count(n, "feature", "features")}, rate ${rate}, k ${k}${scanned}, ${seconds} s`;
        return {
          text: `${how}\n${table({ file: out })}`,
          data: { file: out, features: n, rate, k, nprobe: lists, seconds },
        };
      }),
    );
}
