import { basename } from "node:path";
import type { Command } from "commander";
import type { IdType, Index } from "../api.js";
import { openIndex } from "./files.js";
import { jsonOption } from "./options.js";
import { run } from "./run.js";
import { metricName, size, table, whole } from "./text.js";

/** Adds `cellist info`. */
export function addInfo(program: Command): void {
  program
    .command("info")
    .summary("say what is in an index file")
    .description("Says what is in an index file: of cellist, RVC or any faiss.")
    .argument("<file>", "the index file")
    .addOption(jsonOption())
    .addHelpText("after", "\nExample:\n  cellist info added_IVF495_Flat_nprobe_1_alice_v2.index")
    .action((file: string, { json = false }: { json?: boolean }) =>
      run(json, async (watch) => {
        const { index, bytes } = await openIndex(file, watch);
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
        return {
          text: `${basename(file)}\n${fields}`,
          data: { description, d, ntotal, metric, isTrained, nlist, nprobe, bytes },
        };
      }),
    );
}

/** The lists of an IVF and how many of them a search scans; null for an index without lists. */
export function cellsOf(index: Index<IdType>): { nlist: number | null; nprobe: number | null } {
  const lists = /\bIVF(\d+)/.exec(index.description);
  if (lists === null) return { nlist: null, nprobe: null };
  const nlist = Number(lists[1]);
  return { nlist, nprobe: Math.min(index.get("nprobe"), nlist) };
}

/** The lists that a search scans with `--nprobe` given or not; null for an index without lists. */
export function listsScanned(index: Index<IdType>, wanted: number | undefined): number | null {
  const { nlist, nprobe } = cellsOf(index);
  return nlist === null || wanted === undefined ? nprobe : Math.min(wanted, nlist);
}
