import { basename, dirname, extname, join } from "node:path";
import { Option } from "commander";
import type { Command } from "commander";
import type { Metric } from "../api.js";
import type { VectorIndex } from "../handle/vector-index.js";
import { newIndex, openIndex } from "./files.js";
import { forceOption, jsonOption, seedOption, skipOption } from "./options.js";
import { checkTargets, writeFiles, writeIndex } from "./output.js";
import { cellsOf, idsTaken } from "./parts.js";
import { drawQueries, K, measure, SHIFT, takeSample } from "./quality.js";
import type { Measured } from "./quality.js";
import { InputError, run, secondsSince } from "./run.js";
import type { Answer, Ask, Watch } from "./run.js";
import { orderBySimilarity } from "../remote/similarity.js";
import { voiceOf } from "../rvc/measure.js";
import { storedVectors } from "../rvc/stored.js";
import type { Stored } from "../rvc/stored.js";
import { Pace } from "../work/pace.js";
import { columns, count, metricName, size, table, whole } from "./text.js";

interface ConvertFlags {
  to: string;
  order?: "similarity";
  seed: number;
  out?: string;
  force?: boolean;
  skipNonfinite?: boolean;
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
    .option("--to <string>", "what to make of it, in faiss' language; of a voice file, faiss: the index as it stands")
    .addOption(
      new Option(
        "--order <order>",
        "the same index, its lists in another order: similarity puts near cells beside each other, for openRemote",
      )
        .choices(["similarity"])
        .conflicts(["to", "seed", "skipNonfinite"]),
    )
    .addOption(seedOption())
    .addOption(skipOption())
    .option("--out <file>", "the file to write (default: beside the old one, named after what it is)")
    .addOption(forceOption())
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
        "  cellist convert alice.voice --to faiss\n" +
        "  cellist convert alice.index --order similarity",
    )
    .action((file: string, { to, ...flags }: Partial<ConvertFlags> & { seed: number }, command: Command) => {
      const { order } = flags;
      if (to === undefined && order === undefined)
        command.error("error: say what to make of it: --to <string>, or --order similarity");
      return run(flags.json ?? false, (watch, ask) => {
        if (to !== undefined && to !== "faiss") return convert(file, { ...flags, to }, watch, ask);
        return rewrite(file, flags, order === undefined ? "faiss" : "ordered", watch, ask);
      });
    });
}

/** Encodes an index another way, writes it, and says what that saves and costs. */
export async function convert(file: string, flags: ConvertFlags, watch: Watch, ask: Ask | undefined): Promise<Answer> {
  const { to, seed, out, force, skipNonfinite = false } = flags;
  const started = performance.now();
  let measuring = 0;
  const measured = async <T>(work: Promise<T>): Promise<T> => {
    const begin = performance.now();
    const result = await work;
    measuring += performance.now() - begin;
    return result;
  };

  const rules = { inputs: [file], force, ask };
  if (out !== undefined) await checkTargets([out], rules);
  const { index: source, bytes: bytesBefore } = await openSource(file, watch);
  const { d, metric, description } = source;
  const target = await newIndex(d, to, metric, watch);
  const path = out ?? beside(file, description, target.description);
  if (out === undefined) await checkTargets([path], rules);
  const { stored, skipped } = withFiniteRows(await storedVectors(source.node, new Pace(watch)), d, file, skipNonfinite);
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
  const sample = await measured(takeSample(stored, d, metric, drawQueries(stored, d, seed), watch));
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
  const bytes = await writeIndex(path, target, watch);

  const after = {
    file: path,
    description: target.description,
    ...cellsOf(target),
    bytes,
    measured: results,
  };
  const seconds = secondsSince(started + measuring);
  warnOfBlends(after, watch);
  const data = {
    d,
    ntotal: target.ntotal,
    skipped,
    metric,
    decoded,
    seconds,
    queries: sample.count,
    k: K,
    before,
    after,
  };
  return { text: report(data), data };
}

/**
 * Writes the faiss file of an index as it stands (of a voice file, the vectors that it stands for, in the cells that it has), or with its
 * lists in order of similarity.
 */
async function rewrite(
  file: string,
  { out, force }: Partial<ConvertFlags>,
  how: "faiss" | "ordered",
  watch: Watch,
  ask: Ask | undefined,
): Promise<Answer> {
  const name = basename(file, extname(file));
  const suffix = how === "ordered" ? ".ordered" : extname(file) === ".index" ? ".faiss" : "";
  const path = out ?? join(dirname(file), `${name}${suffix}.index`);
  await checkTargets([path], { inputs: [file], force, ask });
  const { index, bytes: before } = await openSource(file, watch);
  const result = how === "ordered" ? await orderBySimilarity(index, watch) : index;
  const bytes = voiceOf("index", result).toFaiss();
  await writeFiles([{ path, chunks: [bytes] }], watch.signal);
  const { description, d, ntotal, metric } = result;
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

/** The vectors that an index takes: an InputError names the first other one, unless such may be left out. */
function withFiniteRows(stored: Stored, d: number, file: string, skip: boolean): { stored: Stored; skipped: number } {
  const { vectors, ids } = stored;
  let kept = 0;
  for (let row = 0; row < ids.length; row++) {
    let column = 0;
    while (column < d && vectors[row * d + column] - vectors[row * d + column] === 0) column++;
    const usable = column === d && ids[row] !== -1n;
    if (!usable && !skip) {
      const why = column === d ? "has the id -1" : `has ${vectors[row * d + column]} in column ${column}`;
      throw new InputError(
        `${file}: the vector ${ids[row]} ${why}, and no index takes it: --skip-nonfinite leaves it out`,
      );
    }
    if (!usable) continue;
    if (kept !== row) {
      vectors.copyWithin(kept * d, row * d, row * d + d);
      ids[kept] = ids[row];
    }
    kept++;
  }
  const skipped = ids.length - kept;
  if (skipped === 0) return { stored, skipped };
  const rest = { ...stored, vectors: vectors.subarray(0, kept * d), ids: ids.subarray(0, kept) };
  return { stored: { ...rest, inSequence: rest.ids.every((id, i) => id === BigInt(i)) }, skipped };
}

/** A blend so far from the exact one that the voice is another: RVC's own index at nprobe 1 is .45 off, on speech of somebody else. */
const LARGE = 0.5;

/** Says it where blends by the new index, as its file says to search it, are far from exact. */
function warnOfBlends({ measured, nprobe, description }: Side, watch: Watch): void {
  const own = measured.find((setting) => setting.nprobe === nprobe);
  if (own?.blendError === undefined || own.blendError === null || own.blendError < LARGE) return;
  const better = measured.find(({ blendError }) => blendError !== null && blendError < LARGE);
  const setting = better?.nprobe !== nprobe ? `nprobe=${better?.nprobe ?? ""}` : `k_factor_rf=${better.kFactor ?? ""}`;
  const next =
    better === undefined
      ? "take a description with more bytes a vector, or with ,RFlat behind it"
      : `cellist set FILE ${setting} brings it to ${(better.blendError ?? 0).toFixed(2)}`;
  watch.onWarning({
    code: "WARN_BLEND",
    message: `blends by ${description} end ${own.blendError.toFixed(2)} of the way off, which can be heard: ${next}`,
  });
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
  skipped: number;
  metric: Metric;
  decoded: boolean;
  seconds: number;
  queries: number;
  before: Side;
  after: Side;
}): string {
  const { d, ntotal, skipped, metric, decoded, seconds, queries, before, after } = answer;
  const share = ((after.bytes / before.bytes) * 100).toLocaleString("en-US", { maximumSignificantDigits: 3 });
  const fields = table({
    description: `${before.description} -> ${after.description}`,
    bytes: `${size(before.bytes)} -> ${size(after.bytes)}, ${share} %`,
    nprobe: whole(after.nprobe),
    ...(skipped > 0 && { skipped: `${count(skipped, "vector", "vectors")} with NaN or infinity` }),
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
