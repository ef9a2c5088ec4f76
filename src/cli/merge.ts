import { basename } from "node:path";
import type { Command } from "commander";
import { CellistError } from "../errors.js";
import type { VectorIndex } from "../handle/vector-index.js";
import { openIndex } from "./files.js";
import { forceOption, jsonOption } from "./options.js";
import { checkTargets, writeIndex } from "./output.js";
import { cellsOf, idsTaken } from "./parts.js";
import { InputError, run, secondsSince } from "./run.js";
import type { Watch } from "./run.js";
import { entriesOf, storedVectors } from "../rvc/stored.js";
import { Pace } from "../work/pace.js";
import { metricName, size, table, whole } from "./text.js";

interface MergeFlags {
  out: string;
  force?: boolean;
  json?: boolean;
}

/** Adds `cellist merge`. */
export function addMerge(program: Command): void {
  program
    .command("merge")
    .summary("put several indexes into one")
    .description(
      "Puts the vectors of several index files into one, which is as the first one is: its cells, its codes, its parameters. Vectors that " +
        "have no ids of their own are numbered on; ids of their own are kept, and may be in one file only.",
    )
    .argument("<file>", "the index to begin with")
    .argument("<more...>", "indexes whose vectors are added to it")
    .requiredOption("--out <file>", "the file to write")
    .addOption(forceOption())
    .addOption(jsonOption())
    .addHelpText("after", "\nExample:\n  cellist merge alice.index alice-2.index --out both.index")
    .action((file: string, more: string[], { out, force, json = false }: MergeFlags) =>
      run(json, async (watch, ask) => {
        const started = performance.now();
        await checkTargets([out], { inputs: [file, ...more], force, ask });
        const { index } = await openIndex(file, watch);
        const ids = new Set(entriesOf(index.node).map(({ id }) => id));
        for (const path of more) await take(index, path, ids, watch);
        const bytes = await writeIndex(out, index, watch);
        const { description, d, ntotal } = index;
        const { nlist } = cellsOf(index);
        const seconds = secondsSince(started);
        const files = [file, ...more];
        return {
          text: `${files.map((path) => basename(path)).join(" + ")}: ${description} of ${d} dimensions\n${table({
            ntotal: whole(ntotal),
            nlist: whole(nlist),
            bytes: size(bytes),
            seconds: seconds.toFixed(1),
            file: out,
          })}`,
          data: { file: out, files, description, d, ntotal, nlist, bytes, seconds },
        };
      }),
    );
}

/** Adds the vectors of a file to an index. `ids` are those that it has, where they may be a user's own. */
async function take(index: VectorIndex, path: string, ids: Set<bigint>, watch: Watch): Promise<void> {
  const { index: other } = await openIndex(path, watch);
  if (other.d !== index.d)
    throw new InputError(
      `${path} has vectors of ${other.d} dimensions, and the first file ${index.d}: they can't be one index`,
    );
  if (other.metric !== index.metric)
    throw new InputError(
      `${path} is for ${metricName(other.metric)}, and the first file for ${metricName(index.metric)}: they can't be one index`,
    );
  const theirs = entriesOf(other.node)
    .map(({ id }) => id)
    .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const takes = idsTaken(index);
  const numbered = theirs.every((id, i) => id === BigInt(i)) && isSequence(ids);
  const shift = numbered ? BigInt(ids.size) : 0n;
  if (takes === "none" && !numbered)
    throw new InputError(
      `${path} has ids of its own, and ${index.description} numbers its vectors itself: cellist convert the first file --to ` +
        `"IDMap,${index.description}"`,
    );
  const twice = theirs.find((id) => ids.has(id + shift));
  if (twice !== undefined)
    throw new InputError(`the id ${twice} is in ${path} and in a file before it: an id may be in one of them only`);
  if (!(await moved(index, other, takes === "none" ? 0n : shift, watch))) {
    const stored = await storedVectors(other.node, new Pace(watch));
    if (numbered && takes !== "always") await index.add(stored.vectors, watch);
    else
      await index.addWithIds(
        stored.vectors,
        stored.ids.map((id) => id + shift),
        watch,
      );
  }
  other.dispose();
  for (const id of theirs) ids.add(id + shift);
}

/** Moves what another index of the same kind and training holds, codes as they are; false where it is another kind, or was trained otherwise. */
async function moved(index: VectorIndex, other: VectorIndex, addId: bigint, watch: Watch): Promise<boolean> {
  try {
    await index.mergeFrom(other, { addId, ...watch });
    return true;
  } catch (error) {
    if (error instanceof CellistError && (error.code === "ERR_PARAMETER" || error.code === "ERR_NOT_TRAINED"))
      return false;
    throw error;
  }
}

/** Whether ids are 0, 1, 2 … */
function isSequence(ids: Set<bigint>): boolean {
  for (let id = 0n; id < ids.size; id++) if (!ids.has(id)) return false;
  return true;
}
