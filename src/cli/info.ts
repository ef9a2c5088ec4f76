import { basename } from "node:path";
import type { Command } from "commander";
import { METRIC_L2 } from "../api.js";
import type { Metric } from "../api.js";
import type { Head } from "../codec/head.js";
import { openOutline, openVoiceHead, titleOf } from "./files.js";
import { jsonOption } from "./options.js";
import { partLines, partsOf } from "./outline.js";
import type { Part } from "./outline.js";
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
      "Says what is in index files: of cellist, RVC or any faiss. Of an index that is made of several, each part is shown. Vectors are not read, so it takes a moment whatever the size.",
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
  const voice = await openVoiceHead(file);
  const found = voice === undefined ? await outlineOf(file, watch) : voiceOf(voice.head, voice.bytes);
  const { description, d, ntotal, metric, isTrained, nlist, nprobe, bytes, parts } = found;
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
  const hint = nprobeHint(found, file);
  const lines = parts.length > 0 ? ["", ...partLines(parts)] : [];
  if (hint !== undefined) lines.push("", hint);
  return {
    text: [basename(titleOf(file)), fields, ...lines].join("\n"),
    data: {
      ...{ description, d, ntotal, metric, isTrained, nlist, nprobe, bytes },
      ...(parts.length > 0 ? { parts: parts as unknown as Json } : {}),
    },
  };
}

/** What is said of a file. */
interface Outline {
  description: string;
  d: number;
  ntotal: number;
  metric: Metric;
  isTrained: boolean;
  nlist: number | null;
  nprobe: number | null;
  bytes: number;
  /** The indexes that it is made of, where there are several. */
  parts: readonly Part[];
}

async function outlineOf(file: string, watch: Watch): Promise<Outline> {
  const { index, bytes } = await openOutline(file, watch);
  const { description, d, ntotal, metric, isTrained } = index;
  return { description, d, ntotal, metric, isTrained, ...cellsOf(index), bytes, parts: partsOf(index) };
}

/** A voice file stands for the IVF,Flat that it is read as. */
function voiceOf({ d, ntotal, metric, nlist, nprobe }: Head, bytes: number): Outline {
  const description = `IVF${nlist},Flat`;
  return { description, d, ntotal, metric, isTrained: true, nlist, nprobe: Math.min(nprobe, nlist), bytes, parts: [] };
}

/** What a voice gains from a wider search, where it has RVC's narrowest: with 500 cells, 8 neighbours are found .5 of at 1 and .9 at 8. */
export function nprobeHint(
  { nlist, nprobe, metric }: Pick<Outline, "nlist" | "nprobe" | "metric">,
  file: string,
): string | undefined {
  if (nlist === null || nlist < 8 || nprobe !== 1 || metric !== METRIC_L2) return undefined;
  return (
    `A search scans 1 of ${whole(nlist)} lists, and may miss half of the neighbours: cellist set ${file} nprobe=8 changes what the file ` +
    `says,\nfor RVC and all else that reads it (cellist measure ${file} shows the difference).`
  );
}
