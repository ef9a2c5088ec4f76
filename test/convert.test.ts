import { execFile, spawn } from "node:child_process";
import { linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { indexFactory, METRIC_INNER_PRODUCT, METRIC_L2, readIndex } from "../src/index.js";
import type { Ids, Index, Metric, SearchOptions } from "../src/index.js";
import { permutation } from "../src/work/random.js";

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const N = 700;
const D = 16;
const K = 8;

let folder: string;
let vectors: Float32Array;
/** IVF10,Flat of the vectors, with nprobe 3. */
let voiceFile: string;

interface Result {
  code: number | null;
  stdout: string;
  stderr: string;
}

interface Measured {
  nprobe: number | null;
  kFactor: number | null;
  recall: number;
  blendError: number | null;
}

interface Side {
  file: string;
  description: string;
  nlist: number | null;
  nprobe: number | null;
  bytes: number;
  measured: Measured[];
}

interface Report {
  d: number;
  ntotal: number;
  metric: Metric;
  decoded: boolean;
  seconds: number;
  queries: number;
  k: number;
  before: Side;
  after: Side;
}

function convert(...args: string[]): Promise<Result> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [main, "convert", ...args], { cwd: folder }, (_, stdout, stderr) => {
      resolve({ code: child.exitCode, stdout, stderr });
    });
  });
}

/** Converts, in silence on stderr unless warnings are expected, and returns the report and the new index. */
async function converted(
  file: string,
  to: string,
  out?: string,
  warns = false,
): Promise<{ report: Report; index: Index }> {
  const { code, stdout, stderr } = await convert(
    file,
    "--to",
    to,
    ...(out === undefined ? [] : ["--out", out]),
    "--json",
  );
  // Random vectors have no neighbours to speak of: what a blend of codes makes of them is far off, and said.
  const rest = stderr.replace(/^cellist: warning: blends by .*\n/gm, "");
  expect({ code, stderr: warns ? "" : rest }).toEqual({ code: 0, stderr: "" });
  expect(stdout.trimEnd()).not.toContain("\n");
  const report = JSON.parse(stdout) as Report;
  return { report, index: await open(report.after.file) };
}

/** Runs a conversion that must fail, and checks that it says so in one line. */
async function failing(code: number, ...args: string[]): Promise<string> {
  const result = await convert(...args);
  expect(result).toMatchObject({ code, stdout: "" });
  expect(result.stderr).toMatch(/^cellist: .+\n$/);
  return result.stderr;
}

function at(name: string): string {
  return join(folder, name);
}

function list(path = folder): string[] {
  return readdirSync(path).sort();
}

function open(path: string): Promise<Index> {
  return readIndex(readFileSync(at(path)));
}

/** n x d numbers around 0, the same ones for a seed everywhere. */
function random(n: number, d: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: n * d }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

function measured({ measured }: Side, nprobe: number, kFactor: number): Measured {
  const found = measured.find((one) => one.nprobe === nprobe && one.kFactor === kFactor);
  if (found === undefined) throw new Error(`nothing was measured at nprobe ${nprobe}, kFactor ${kFactor}`);
  return found;
}

/** Writes a file of an index of the vectors, which get the ids given. */
async function write(
  name: string,
  factory: string,
  ids?: Ids,
  rows = vectors,
  metric: Metric = METRIC_L2,
): Promise<Index> {
  const index = await indexFactory(D, factory, metric);
  await index.train(rows);
  if (ids === undefined) await index.add(rows);
  else await index.addWithIds(rows, ids);
  writeFileSync(at(name), index.toBytes());
  return index;
}

function range(n: number): Int32Array {
  return Int32Array.from({ length: n }, (_, i) => i);
}

interface Neighbour {
  id: number;
  s: number;
  vector: Float32Array;
}

function distance(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let j = 0; j < D; j++) sum += (a[j] - b[j]) ** 2;
  return sum;
}

/** RVC's weighted mean. */
function mean(found: Neighbour[]): Float32Array {
  const weights = found.map(({ s }) => (found[0].s / s) ** 2);
  const total = weights.reduce((sum, w) => sum + w, 0);
  return Float32Array.from({ length: D }, (_, j) =>
    found.reduce((sum, { vector }, i) => sum + (weights[i] / total) * vector[j], 0),
  );
}

/** The queries of a conversion of the vectors and their true neighbours, by the definition. */
function sampleOf(): { query: Float32Array; truth: Neighbour[] }[] {
  const order = permutation(N, 1234);
  const row = (i: number): Float32Array => vectors.subarray(i * D, (i + 1) * D);
  return Array.from({ length: 500 }, (_, i) => {
    const [from, to] = [row(order[i]), row(order[i + 1])];
    const query = from.map((x, j) => x + 0.3 * (to[j] - x));
    const all = Array.from({ length: N }, (_, id) => ({ id, s: distance(query, row(id)), vector: row(id) }));
    return { query, truth: all.sort((a, b) => a.s - b.s).slice(0, K) };
  });
}

/** What is measured, by the definition. */
function expectedMeasure(
  index: Index,
  sample: ReturnType<typeof sampleOf>,
  options: SearchOptions,
): { recall: number; blendError: number } {
  let [hits, error] = [0, 0];
  for (const { query, truth } of sample) {
    const search = (ensureK: boolean): Neighbour[] => {
      const { labels, distances } = index.search(query, K, { ...options, ensureK });
      return Array.from(labels as Int32Array, (id, j) => ({ id, s: distances[j] }))
        .filter(({ id }) => id >= 0)
        .map((found) => ({ ...found, vector: index.reconstruct(found.id) }));
    };
    hits += search(false).filter(({ id }) => truth.some((other) => other.id === id)).length;
    const exact = mean(truth);
    error += Math.sqrt(distance(mean(search(true)), exact) / distance(exact, query));
  }
  return { recall: hits / (sample.length * K), blendError: error / sample.length };
}

/** Checks that a report says what the files are, and measured what it should. */
function expectConsistent({ before, after, ...report }: Report, indexes: Record<"before" | "after", Index>): void {
  for (const [name, side] of Object.entries({ before, after }) as ["before" | "after", Side][]) {
    const index = indexes[name];
    const { description, d, ntotal, metric } = index;
    expect(report).toMatchObject({ d, ntotal, metric, k: K, queries: Math.min(500, ntotal) });
    expect(side.description).toBe(description);
    expect(side.bytes).toBe(readFileSync(at(side.file)).length);
    const nlist = description.startsWith("IVF") ? Number(/\d+/.exec(description)?.[0]) : null;
    expect(side).toMatchObject({ nlist, nprobe: nlist === null ? null : index.get("nprobe") });
    const settings = side.measured.map(({ nprobe, kFactor }) => [nprobe, kFactor]);
    const nprobes = [...new Set([side.nprobe, 1, 4, 16])].sort((a, b) => Number(a) - Number(b));
    const kFactors = description.endsWith(",RFlat") ? [1, 4] : [null];
    const expected = nlist === null ? [null] : nprobes.filter((nprobe) => Number(nprobe) <= nlist);
    expect(settings).toEqual(kFactors.flatMap((kFactor) => expected.map((nprobe) => [nprobe, kFactor])));
  }
  expect(report.seconds).toBeGreaterThan(0);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "cellist-convert-"));
  vectors = random(N, D, 1);
  voiceFile = "added_IVF10_Flat_nprobe_1_alice_v1.index";
  const voice = await write(voiceFile, "IVF10,Flat");
  voice.set("nprobe=3");
  writeFileSync(at(voiceFile), voice.toBytes());
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Kinds beside those of the core, and what a file of each says that it is. */
const MORE = [
  ["SQ8", "SQ8"],
  ["IVF10,SQfp16", "IVF10,SQfp16"],
  ["PQ8x6np", "PQ8x6"],
  ["HNSW8", "HNSW8"],
  ["IVF10,RaBitQfs2", "IVF10,RaBitQfs2"],
  ["EDEN3", "EDEN3"],
  ["OPQ4_8,IVF10_HNSW8,PQ4,RFlat", "LTra8,IVF10_HNSW8,PQ4,RFlat"],
] as const;

describe.concurrent("what is written", () => {
  test("codes and back again: the first file, byte for byte", async () => {
    const there = await converted(voiceFile, "IVF10,PQ8x4fs,RFlat", "there.index");
    expectConsistent(there.report, { before: await open(voiceFile), after: there.index });
    expect(there.report).toMatchObject({ decoded: false, after: { file: "there.index", nprobe: 3 } });
    expect(there.index.get("nprobe")).toBe(3);
    expect(there.index.get("k_factor_rf")).toBe(1);
    expect(there.index.reconstructBatch(range(N))).toEqual(vectors);

    const back = await converted("there.index", "IVF10,Flat", "back.index");
    expectConsistent(back.report, { before: there.index, after: back.index });
    expect(Buffer.compare(readFileSync(at("back.index")), readFileSync(at(voiceFile)))).toBe(0);
  });

  test("is what the library makes of the vectors, by the seed", async () => {
    const one = await converted(voiceFile, "PQ8x4fs", "seeded.index");
    const library = await indexFactory(D, "PQ8x4fs");
    await library.train(vectors, { seed: 1234 });
    await library.add(vectors);
    expect(Buffer.compare(one.index.toBytes(), library.toBytes())).toBe(0);
    expect((await convert(voiceFile, "--to", "PQ8x4fs", "--seed", "7", "--out", "other.index")).code).toBe(0);
    expect(Buffer.compare((await open("other.index")).toBytes(), library.toBytes())).not.toBe(0);
  });

  test("Flat into lists, and codes alone into what they decode to", async () => {
    await write("flat.index", "Flat");
    const lists = await converted("flat.index", "IVF5,PQ8x4fs");
    expect(lists.report).toMatchObject({ decoded: false, after: { file: "flat.IVF5_PQ8x4fs.index", nprobe: 1 } });
    expectConsistent(lists.report, { before: await open("flat.index"), after: lists.index });
    const decoded = lists.index.reconstructBatch(range(N));
    expect(decoded).not.toEqual(vectors);

    const flat = await converted("flat.IVF5_PQ8x4fs.index", "Flat");
    expect(flat.report).toMatchObject({ decoded: true, after: { file: "flat.Flat.index" } });
    expect(flat.index.reconstructBatch(range(N))).toEqual(decoded);
    expect(flat.report.after.measured).toEqual([{ nprobe: null, kFactor: null, recall: 1, blendError: 0 }]);
  });

  test.each(MORE)("%s and back to floats: what it decodes to", async (to, said) => {
    const name = to.replace(/\W/g, "_");
    const there = await converted(voiceFile, to, `${name}.index`, true);
    expect(there.index.description).toBe(said);
    expect(there.report).toMatchObject({ decoded: false, ntotal: N });
    const all = there.index.reconstructBatch(range(N));
    const back = await converted(`${name}.index`, "Flat", `${name}.flat.index`, true);
    expect(back.index.reconstructBatch(range(N))).toEqual(all);
    if (to.endsWith("RFlat") || to === "HNSW8") expect(all).toEqual(vectors);
  });

  test("ids of the user's, by any index that has them", async () => {
    const ids = range(N).map((i) => (i * 37) % 1009);
    await write("own.index", "IVF10,Flat", ids);
    for (const [to, out] of [
      ["IVF10,PQ8x4fs", "own.pq.index"],
      ["IDMap,PQ8x4fs,RFlat", "own.map.index"],
    ]) {
      const { report, index } = await converted("own.index", to, out);
      expect(report.ntotal).toBe(N);
      expect(index.idType).toBe("int32");
      if (to.includes("RFlat")) expect(index.reconstructBatch(ids)).toEqual(vectors);
      const { labels } = index.search(vectors.subarray(0, D), 1);
      expect(labels[0]).toBe(ids[0]);
      expect(report.after.measured.at(-1)?.recall).toBeGreaterThan(0.5);
    }
    const message = await failing(1, "own.index", "--to", "Flat", "--out", "own.flat.index");
    expect(message).toContain(
      'own.index has ids of its own, and Flat numbers its vectors itself: give --to "IDMap,Flat"',
    );
    const flat = await converted("own.map.index", "IDMap,Flat", "own.flat.index");
    expect(flat.index.reconstructBatch(ids)).toEqual(vectors);
  });

  test("ids of 64 bits, twice the same one, and those in sequence that an IDMap holds in another order", async () => {
    const ids = BigInt64Array.from({ length: N }, (_, i) => 2n ** 62n - BigInt(i * i));
    ids[5] = -7n;
    ids[6] = ids[9];
    await write("wide.index", "IDMap,Flat", ids);
    const wide = await converted("wide.index", "IVF10,Flat", "wide.ivf.index");
    expect(wide.index.idType).toBe("int64");
    const search = (row: number): unknown => wide.index.search(vectors.subarray(row * D, (row + 1) * D), 1).labels[0];
    for (const row of [0, 5, 6, 9, N - 1]) expect(search(row)).toBe(ids[row]);

    await write("turned.index", "IDMap,Flat", range(N).reverse());
    const turned = await converted("turned.index", "Flat", "straight.index");
    expect(turned.index.reconstruct(N - 1)).toEqual(vectors.slice(0, D));
    expect(turned.index.idType).toBe("int32");
    const mapped = await converted("straight.index", "IDMap,Flat", "mapped.index");
    expect(mapped.index.description).toBe("Flat,IDMap");
    expect(mapped.index.reconstruct(N - 1)).toEqual(vectors.slice(0, D));
  });

  test("a few vectors, and one", async () => {
    await write("three.index", "Flat", undefined, vectors.slice(0, 3 * D));
    const { report } = await converted("three.index", "IVF1,Flat", "three.ivf.index", true);
    expect(report).toMatchObject({
      ntotal: 3,
      queries: 3,
      after: { measured: [{ nprobe: 1, recall: 1, blendError: 0 }] },
    });
    await write("one.index", "Flat", undefined, vectors.slice(0, D));
    const one = await converted("one.index", "IDMap,Flat", "one.map.index");
    // The vector is at distance 0 of itself, so that the exact blend moves nothing.
    expect(one.report.after.measured).toEqual([{ nprobe: null, kFactor: null, recall: 1, blendError: null }]);
  });

  test("under a name beside the old one that says what it is", async () => {
    mkdirSync(at("names"));
    writeFileSync(at("names/x_IVF10_Flat.faiss"), readFileSync(at(voiceFile)));
    const name = async (to: string): Promise<string> =>
      (await converted("names/x_IVF10_Flat.faiss", to)).report.after.file;
    expect(await name("IVF10,PQ8x4fs,RFlat")).toBe(join("names", "x_IVF10_PQ8x4fs_RFlat.faiss"));
    expect(await name("IVF5,Flat,Refine(PQ8x4fs)")).toBe(join("names", "x_IVF5_Flat_Refine_PQ8x4fs.faiss"));
    expect(await name("IVF10,Flat")).toBe(join("names", "x_IVF10_Flat.IVF10_Flat.faiss"));
  });
});

describe.concurrent("what is reported", () => {
  test("recall and the error of the blend, by their definitions", async () => {
    const { report, index } = await converted(voiceFile, "IVF10,PQ8x4fs,RFlat", "measured.index");
    const codes = await converted(voiceFile, "PQ8x4fs", "codes.index");
    const cases = [
      { index: await open(voiceFile), measured: report.before.measured },
      { index, measured: report.after.measured },
      { index: codes.index, measured: codes.report.after.measured },
    ];
    const sample = sampleOf();
    for (const { index, measured } of cases) {
      for (const { nprobe, kFactor, recall, blendError } of measured) {
        const options = { nprobe: nprobe ?? undefined, kFactor: kFactor ?? undefined };
        const expected = expectedMeasure(index, sample, options);
        expect(recall).toBeCloseTo(expected.recall, 6);
        expect(blendError).toBeCloseTo(expected.blendError, 4);
      }
    }
    const [narrow, wide] = [measured(report.after, 1, 4), measured(report.after, 4, 4)];
    expect(wide.recall).toBeGreaterThan(narrow.recall);
    expect(wide.blendError).toBeLessThan(Number(narrow.blendError));
  });

  test("text for people, with the columns that the indexes have", async () => {
    const { code, stdout, stderr } = await convert(voiceFile, "--to", "IVF10,PQ8x4fs,RFlat", "--out", "text.index");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const lines = stdout.trimEnd().split("\n");
    expect(lines[0]).toBe(`${voiceFile}: 700 vectors of 16 dimensions, L2`);
    expect(stdout).toMatch(/^ {2}description +IVF10,Flat -> IVF10,PQ8x4fs,RFlat$/m);
    expect(stdout).toMatch(/^ {2}bytes +[\d,]+ \([\d.]+ kB\) -> [\d,]+ \([\d.]+ kB\), [\d.]+ %$/m);
    expect(stdout).toMatch(/^ {2}nprobe +3$/m);
    expect(stdout).toMatch(/^ {10}nprobe {2}k_factor {2}recall@8 {2}blend error$/m);
    expect(lines.filter((line) => /^ {2}before +[134] +- +[\d.]+ +[\d.]+$/.test(line)).length).toBe(3);
    expect(lines.filter((line) => /^ {2}after +[134] +[14] +[\d.]+ +[\d.]+$/.test(line)).length).toBe(6);
    expect(stdout).toContain("Measured with 500 queries, each a vector of the index moved 30 %");
    expect(stdout).not.toContain("decodes to");

    await write("coded.index", "PQ8x4fs");
    const coded = await convert("coded.index", "--to", "Flat");
    expect(coded.stdout).toContain("what PQ8x4fs decodes to");
    expect(coded.stdout).toMatch(/^ {10}recall@8 {2}blend error$/m);
  });

  test("no blends under inner product", async () => {
    await write("ip.index", "Flat", undefined, vectors, METRIC_INNER_PRODUCT);
    const { report, index } = await converted("ip.index", "IVF4,Flat", "ip.ivf.index");
    expect(index.metric).toBe(METRIC_INNER_PRODUCT);
    expectConsistent(report, { before: await open("ip.index"), after: index });
    expect(report.before.measured).toEqual([{ nprobe: null, kFactor: null, recall: 1, blendError: null }]);
    expect(report.after.measured.at(-1)).toEqual({ nprobe: 4, kFactor: null, recall: 1, blendError: null });
    const { stdout } = await convert("ip.ivf.index", "--to", "Flat", "--out", "ip.flat.index");
    expect(stdout).toMatch(/, inner product\n/);
    expect(stdout).toMatch(/^ {10}nprobe {2}recall@8$/m);
  });
});

describe("what can't be", () => {
  test("is said in one line, and nothing is left behind", async () => {
    mkdirSync(at("bad"));
    const path = (name: string): string => join("bad", name);
    const rest = vectors.slice(0, 12 * D);
    await write(path("few.index"), "Flat", undefined, rest);
    writeFileSync(at(path("empty.index")), (await indexFactory(D, "Flat")).toBytes());
    writeFileSync(at(path("untrained.index")), (await indexFactory(D, "IVF4,PQ8x4fs")).toBytes());
    const trained = await open(voiceFile);
    trained.reset();
    writeFileSync(at(path("trained.index")), trained.toBytes());
    writeFileSync(at(path("cut.index")), readFileSync(at(voiceFile)).subarray(0, 3000));
    writeFileSync(at(path("kept.index")), "kept");
    linkSync(at(path("few.index")), at(path("same.index")));
    const before = list(at("bad"));
    const bad = (name: string, to: string, ...args: string[]): Promise<string> =>
      failing(1, path(name), "--to", to, ...args);
    const kept = ["--out", path("kept.index"), "--force"];
    const [empty, untrained, onlyTrained, ...messages] = await Promise.all([
      bad("empty.index", "IVF4,Flat", ...kept),
      bad("untrained.index", "Flat", ...kept),
      bad("trained.index", "Flat", ...kept),
      bad("cut.index", "Flat", ...kept),
      bad("few.index", "Falt", ...kept),
      bad("few.index", "PQ5x4fs", ...kept),
      bad("few.index", "IVF13,Flat", ...kept),
      bad("few.index", "PQ8x4fs", ...kept),
      bad("few.index", "Flat", "--out", path("few.index")),
      bad("few.index", "Flat", "--out", path("same.index")),
      bad("few.index", "Flat", "--out", path("kept.index/x.index")),
      bad("few.index", "Flat", "--out", path("kept.index")),
    ]);
    expect(empty).toBe(`cellist: ${path("empty.index")} holds no vectors to convert\n`);
    for (const message of [untrained, onlyTrained]) expect(message).toMatch(/holds no vectors to convert: .*added_/);
    const parts = ["cut.index", '"Falt"', "multiple of M = 5", "12 training points for 13 centroids"];
    parts.push("12 training vectors for 16 centroids", "is an input of this command", "is an input of this command");
    parts.push("is no folder", "--force");
    for (const [i, part] of parts.entries()) expect(messages[i]).toContain(part);
    expect(list(at("bad"))).toEqual(before);
    expect(readFileSync(at(path("kept.index")), "utf8")).toBe("kept");
    expect((await open(path("few.index"))).ntotal).toBe(12);
  });

  test.concurrent.each([
    [["--to", "Flat"], "missing required argument"],
    [["a.index"], "--to"],
    [["a.index", "--to", "Flat", "--order", "similarity"], "--order"],
    [["a.index", "--order", "size"], "similarity"],
    [["a.index", "--to", "Flat", "--seed", "-1"], "whole number from 0"],
  ])("%j is an error of usage", async (args, message) => {
    expect(await failing(2, ...args)).toContain(message);
  });

  test.skipIf(process.platform === "win32")("stops at SIGINT and leaves nothing behind", async () => {
    mkdirSync(at("stopped"));
    const big = await indexFactory(256, "Flat");
    await big.add(random(4000, 256, 3));
    writeFileSync(at("stopped/big.index"), big.toBytes());
    const child = spawn(process.execPath, [main, "convert", at("stopped/big.index"), "--to", "IVF3000,Flat"]);
    let stderr = "";
    child.stderr.on("data", (text: Buffer) => {
      // The training begins with a warning of few points, and then takes seconds.
      if (stderr === "") child.kill("SIGINT");
      stderr += text.toString();
    });
    const code = await new Promise((resolve) => child.on("close", resolve));
    expect(code).toBe(130);
    expect(stderr).toMatch(/^cellist: warning: .+\ncellist: stopped.*\n$/);
    expect(list(at("stopped"))).toEqual(["big.index"]);
  });
});

test("puts lists in order of similarity", async () => {
  const before = await write(
    "order.index",
    "IVF10,Flat",
    Int32Array.from({ length: N }, (_, i) => 2 * i),
  );
  const { code, stdout } = await convert("order.index", "--order", "similarity", "--json");
  expect(code).toBe(0);
  const { after } = JSON.parse(stdout) as Report;
  expect(after.file).toBe("order.ordered.index");
  const ordered = await open(after.file);
  const options = { nprobe: 3 };
  const queries = random(20, D, 9);
  expect(ordered.search(queries, K, options)).toEqual(before.search(queries, K, options));
  expect(readFileSync(at(after.file)).equals(readFileSync(at("order.index")))).toBe(false);
});

test("the help says what is measured and has examples", async () => {
  const { code, stdout } = await convert("--help");
  expect(code).toBe(0);
  expect(stdout).toMatch(/recall@8 .*share of the 8 nearest/);
  expect(stdout).toMatch(/Examples:\n {2}cellist convert added_/);
});
