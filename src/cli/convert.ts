import { basename, dirname, extname, join } from "node:path";
import { Option } from "commander";
import type { Command } from "commander";
import type { IdType, Index, Metric } from "../api.js";
import { indexFactory } from "../factory/build.js";
import { VectorIndex } from "../handle/vector-index.js";
import { openIndex } from "./files.js";
import { cellsOf } from "./info.js";
import { K, measure, SHIFT, takeSample } from "./measure.js";
import type { Measured } from "./measure.js";
import { jsonOption, wholeNumber } from "./options.js";
import { checkOutput, checkTarget, writeFiles } from "./output.js";
import { InputError, run, secondsSince } from "./run.js";
import type { Answer, Watch } from "./run.js";
import { storedVectors } from "../rvc/stored.js";
import { Pace } from "../work/pace.js";
import { columns, count, metricName, size, table, whole } from "./text.js";

interface ConvertFlags {
  to: string;
  seed: number;
  out?: string;
  json?: boolean;
}

/** {@link SHIFT} for people. */
const WAY = `${SHIFT * 100} %`;

/** Adds `cellist convert`. */
export function addConvert(program: Command): void {
  program
    .command("convert")
    .summary("encode an index another way")
    .description(
      "Takes the vectors out of an index, encodes them as another one, and says what that saves and what it costs. Ids stay as they " +
        "are, and nprobe where both indexes have lists.",
    )
    .argument("<file>", "the index file")
    .requiredOption(
      "--to <string>",
      "what to make of it, in faiss' language; of a voice file, faiss: the index as it stands",
    )
    .addOption(
      new Option("--seed <number>", "the same seed gives the same file").default(1234).argParser(wholeNumber(0)),
    )
    .option("--out <file>", "the file to write (default: beside the old one, named after what it is)")
    .addOption(jsonOption())
    .addHelpText(
      "after",
      "\n" +
        `What is measured: up to 500 queries, drawn with the seed; each is a vector of the index, moved ${WAY} of the way\n` +
        "to another one, because a stored vector would only find itself. The truth is an exact search of all vectors.\n" +
        `  recall@${K}     the share of the ${K} nearest vectors that a search finds\n` +
        "  blend error  how far a blend (at rate 1) ends from the exact one, as a share of how far that one moves\n" +
        "               a query: a mean; for L2 only\n" +
        "An index of codes (PQ without RFlat) gives the vectors that its codes stand for, and these are the truth then.\n" +
        "\nExamples:\n" +
        "  cellist convert added_IVF495_Flat_nprobe_1_alice_v2.index --to IVF495,PQ384x4fs,RFlat\n" +
        "  cellist convert alice.index --to Flat --out alice.flat.index\n" +
        "  cellist convert alice.voice --to faiss",
    )
    .action((file: string, flags: ConvertFlags) =>
      run(flags.json ?? false, (watch) =>
        flags.to === "faiss" ? asFaiss(file, flags, watch) : convert(file, flags, watch),
      ),
    );
}

async function convert(file: string, { to, seed, out }: ConvertFlags, watch: Watch): Promise<Answer> {
  const started = performance.now();
  let measuring = 0;
  const measured = async <T>(work: Promise<T>): Promise<T> => {
    const begin = performance.now();
    const result = await work;
    measuring += performance.now() - begin;
    return result;
  };

  if (out !== undefined) await checkOutput(out, file);
  const { index: source, bytes: bytesBefore } = await openSource(file, watch);
  const { d, metric, description } = source;
  const target = await indexFactory(d, to, metric, watch);
  const path = out ?? beside(file, description, target.description);
  if (out === undefined) await checkTarget(path);
  const stored = await storedVectors(source.node, new Pace(watch));
  const { ids, vectors, inSequence, decoded } = stored;
  if (ids.length === 0) {
    const hint = ': of the two files that RVC writes for a voice, give the "added_…" one';
    throw new InputError(`${file} holds no vectors to convert${cellsOf(source).nlist === null ? "" : hint}`);
  }
  const takes = idsTaken(target);
  if (!inSequence && takes === "none") {
    const instead = `--to "IDMap,${target.description}"`;
    throw new InputError(
      `${file} has ids of its own, and ${target.description} numbers its vectors itself: give ${instead} to keep them`,
    );
  }

  // First, so that the old index, the new one and the exact one are never in memory all together.
  const sample = await measured(takeSample(stored, d, metric, seed, watch));
  const before = {
    file,
    description,
    ...cellsOf(source),
    bytes: bytesBefore,
    measured: await measured(measure(source, sample, watch)),
  };
  const nprobe = before.nlist === null ? undefined : source.get("nprobe");
  source.dispose();

  await target.train(vectors, { ...watch, seed });
  if (inSequence && takes !== "always") await target.add(vectors, watch);
  else await target.addWithIds(vectors, ids, watch);
  if (nprobe !== undefined && cellsOf(target).nlist !== null) target.set(`nprobe=${nprobe}`);
  const results = await measured(measure(target, sample, watch));
  const bytes = target.toBytes();
  await writeFiles([{ path, bytes }], watch.signal);

  const after = {
    file: path,
    description: target.description,
    ...cellsOf(target),
    bytes: bytes.length,
    measured: results,
  };
  const seconds = secondsSince(started + measuring);
  const data = { d, ntotal: target.ntotal, metric, decoded, seconds, queries: sample.count, k: K, before, after };
  return { text: report(data), data };
}

/** Writes the faiss file of an index as it stands: of a voice file, the vectors that it stands for, in the cells that it has. */
async function asFaiss(file: string, { out }: ConvertFlags, watch: Watch): Promise<Answer> {
  const name = basename(file, extname(file));
  const path = out ?? join(dirname(file), `${name}${extname(file) === ".index" ? ".faiss" : ""}.index`);
  await checkOutput(path, file);
  const { index, bytes: before } = await openSource(file, watch);
  const bytes = index.toFaiss();
  await writeFiles([{ path, bytes }], watch.signal);
  const { description, d, ntotal, metric } = index;
  const fields = table({ description, bytes: `${size(before)} -> ${size(bytes.length)}`, file: path });
  return {
    text: `${basename(file)}: ${count(ntotal, "vector", "vectors")} of ${count(d, "dimension", "dimensions")}\n${fields}`,
    data: {
      d,
      ntotal,
      metric,
      description,
      before: { file, bytes: before },
      after: { file: path, bytes: bytes.length },
    },
  };
}

/** Opens the index to convert. That there is nothing in it is an error here, so the warning of it is left out. */
async function openSource(file: string, watch: Watch): Promise<{ index: VectorIndex; bytes: number }> {
  const { index, bytes } = await openIndex(file, {
    ...watch,
    onWarning: (warning) => {
      if (warning.code !== "WARN_EMPTY") watch.onWarning(warning);
    },
  });
  if (!(index instanceof VectorIndex)) throw new Error("an index that was read is a VectorIndex");
  return { index, bytes };
}

/**
 * Where the new index goes by default: into the same folder, with what it is in its name. RVC's names say that already:
 * added_IVF495_Flat_nprobe_1_alice_v2.index.
 */
function beside(file: string, before: string, after: string): string {
  const [from, to] = [before, after].map((text) => text.replace(/\W+/g, "_").replace(/_$/, ""));
  const name = basename(file);
  const renamed = name.replace(new RegExp(`(?<![A-Za-z0-9])${from}(?![A-Za-z0-9])`), to);
  if (renamed !== name) return join(dirname(file), renamed);
  const extension = extname(name);
  return join(dirname(file), `${basename(name, extension)}.${to}${extension}`);
}

/** Whether an index takes ids of the user's: never, or as well, or only so. */
function idsTaken(index: Index<IdType>): "none" | "some" | "always" {
  const kind = index instanceof VectorIndex ? index.node.tree.kind : undefined;
  return kind === "idmap" ? "always" : kind === "ivf" ? "some" : "none";
}

/** What is said of the index before and of the one after. */
interface Side {
  file: string;
  description: string;
  nprobe: number | null;
  bytes: number;
  measured: readonly Measured[];
}

/** The answer for people. */
function report(answer: {
  d: number;
  ntotal: number;
  metric: Metric;
  decoded: boolean;
  seconds: number;
  queries: number;
  before: Side;
  after: Side;
}): string {
  const { d, ntotal, metric, decoded, seconds, queries, before, after } = answer;
  const share = ((after.bytes / before.bytes) * 100).toLocaleString("en-US", { maximumSignificantDigits: 3 });
  const fields = table({
    description: `${before.description} -> ${after.description}`,
    bytes: `${size(before.bytes)} -> ${size(after.bytes)}, ${share} %`,
    nprobe: whole(after.nprobe),
    seconds: seconds.toFixed(1),
    file: after.file,
  });
  const ofIndex = (name: string, { measured }: Side): string[][] =>
    measured.map(({ nprobe, kFactor, recall, blendError }) => [
      name,
      String(nprobe ?? "-"),
      String(kFactor ?? "-"),
      recall.toFixed(3),
      blendError?.toFixed(3) ?? "-",
    ]);
  const header = ["", "nprobe", "k_factor", `recall@${K}`, "blend error"];
  const rows = [...ofIndex("before", before), ...ofIndex("after", after)];
  const used = header.map((_, column) => rows.some((row) => row[column] !== "-"));
  const truth = decoded
    ? [
        `The old index holds codes only: its vectors, and the truth for both, are what ${before.description} decodes to.`,
      ]
    : [];
  return [
    `${basename(before.file)}: ${count(ntotal, "vector", "vectors")} of ${count(d, "dimension", "dimensions")}, ${metricName(metric)}`,
    fields,
    "",
    columns([header, ...rows].map((row) => row.filter((_, column) => used[column]))),
    "",
    `Measured with ${count(queries, "query", "queries")}, each a vector of the index moved ${WAY} of the way to another one,`,
    "against an exact search of all vectors (cellist convert --help says more).",
    ...truth,
  ].join("\n");
}
