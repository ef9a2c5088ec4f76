#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { Command } from "commander";
import { addBlend } from "./blend.js";
import { addBuild } from "./build.js";
import { addCompletion } from "./completion.js";
import { addConvert } from "./convert.js";
import { addInfo } from "./info.js";
import { addMeasure } from "./measure.js";
import { addMerge } from "./merge.js";
import { report, say } from "./run.js";
import { addSearch } from "./search.js";
import { addSet } from "./set.js";
import { addShrink } from "./shrink.js";

const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

const program = new Command("cellist")
  .description(
    "Vector search for voices: builds, describes, searches and converts faiss index files, and blends features with them.",
  )
  // `cellist --version` is the program's, `cellist build --version v2` the voice's.
  .version(manifest.version, "-V, --version", "print the version of cellist")
  .helpOption("-h, --help", "print this help")
  .helpCommand("help [command]", "print the help of a command")
  .enablePositionalOptions()
  .exitOverride()
  .configureOutput({
    outputError: (text, write) =>
      write(
        `${text
          .replace(/^error: /, "cellist: ")
          .trim()
          .replace(/\n+/g, " ")}\n`,
      ),
  })
  .addHelpText("after", "\nExample:\n  cellist build logs/alice/3_feature768 && cellist info added_*_alice_v2.index");
for (const add of [
  addBuild,
  addInfo,
  addSet,
  addMeasure,
  addSearch,
  addBlend,
  addConvert,
  addShrink,
  addMerge,
  addCompletion,
])
  add(program);

// Whoever reads the answer may have seen enough of it (`cellist search … | head`).
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") say(`can't write to stdout: ${error.message}`);
  process.exit(error.code === "EPIPE" ? 0 : 1);
});

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}
