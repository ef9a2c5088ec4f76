import { basename } from "node:path";
import type { Command } from "commander";
import { METRIC_L2 } from "../api.js";
import type { VectorIndex } from "../handle/vector-index.js";
import { openOutline, titleOf } from "./files.js";
import { jsonOption } from "./options.js";
import { cellsOf } from "./parts.js";
import { report, run } from "./run.js";
import type { Answer, Watch } from "./run.js";
import type { Json } from "./text.js";
import { metricName, size, table, whole } from "./text.js";

/** Adds `cellist info`. */
export function addInfo(program: Command): void {
  program
    .command("info")
    .summary("say what is in index files")
    .description(
      "Says what is in index files: of cellist, RVC or any faiss. Vectors are not read, so it takes a moment whatever the size.",
    )
    .argument("<file...>", "index files; - is stdin")
    .addOption(jsonOption())
    .addHelpText(
      "after",
      "\nExamples:\n  cellist info added_IVF495_Flat_nprobe_1_alice_v2.index\n  curl -s https://example.com/alice.index | cellist info -",
    )
    .action((files: string[], { json = false }: { json?: boolean }) =>
      run(json, async (watch) => {
        if (files.length === 1) return infoOf(files[0], watch);
        const answers: Answer[] = [];
        for (const file of files) {
          try {
            const { text, data } = await infoOf(file, watch);
            answers.push({ text, data: { file, ...(data as Record<string, Json>) } });
          } catch (error) {
            // The others are told all the same.
            process.exitCode = report(error);
            watch.signal.throwIfAborted();
          }
        }
        return {
          text: answers.map(({ text }) => text).join("\n\n"),
          data: answers.map(({ data }) => data),
        };
      }),
    );
}

async function infoOf(file: string, watch: Watch): Promise<Answer> {
  const { index, bytes } = await openOutline(file, watch);
  const { description, d, ntotal, metric, isTrained } = index;
  const { nlist, nprobe } = cellsOf(index);
  const fields = table({
    description,
    d: String(d),
    ntotal: whole(ntotal),
    metric: metricName(metric),
    isTrained: isTrained ? "yes" : "no",
    nlist: whole(nlist),
    nprobe: whole(nprobe),
    bytes: size(bytes),
  });
  const hint = nprobeHint(index, file);
  return {
    text: `${basename(titleOf(file))}\n${fields}${hint === undefined ? "" : `\n\n${hint}`}`,
    data: { description, d, ntotal, metric, isTrained, nlist, nprobe, bytes },
  };
}

/** What a voice gains from a wider search, where it has RVC's narrowest: with 500 cells, 8 neighbours are found .5 of at 1 and .9 at 8. */
export function nprobeHint(index: VectorIndex, file: string): string | undefined {
  const { nlist, nprobe } = cellsOf(index);
  if (nlist === null || nlist < 8 || nprobe !== 1 || index.metric !== METRIC_L2) return undefined;
  return (
    `A search scans 1 of ${whole(nlist)} lists, and may miss half of the neighbours: cellist set ${file} nprobe=8 changes what the file ` +
    `says,\nfor RVC and all else that reads it (cellist measure ${file} shows the difference).`
  );
}
