import { execFile, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { dump } from "npyjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeFiles } from "../src/cli/output.js";
import { toJson } from "../src/cli/text.js";
import { indexFactory, METRIC_INNER_PRODUCT, readIndex } from "../src/index.js";
import type { Index } from "../src/index.js";
import { blend, buildVoiceIndex } from "../src/rvc/index.js";
import { floats, ids } from "./npy.js";

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const D = 256;
const NAME = "added_IVF5_Flat_nprobe_1_alice_v1.index";

let folder: string;
/** logs/alice/3_feature256, as RVC lays it out. */
let features: string;
/** A voice built by the library from the same slices, on the disk and open. */
let voiceFile: string;
let voice: Index;
/** 70 queries: more than one block of them. */
let queriesFile: string;
let queries: Float32Array;

interface Result {
  code: number | null;
  stdout: string;
  stderr: string;
}

function cellist(...args: string[]): Promise<Result> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [main, ...args], { cwd: folder }, (_, stdout, stderr) => {
      resolve({ code: child.exitCode, stdout, stderr });
    });
  });
}

/** Runs a command that must succeed, in silence on stderr, and returns its JSON. */
async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await cellist(...args, "--json");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout.trimEnd()).not.toContain("\n");
  return JSON.parse(stdout) as Record<string, unknown>;
}

/** Runs a command that must fail, and checks that it says so in one line. */
async function failing(code: number, ...args: string[]): Promise<string> {
  const result = await cellist(...args);
  expect(result).toMatchObject({ code, stdout: "" });
  expect(result.stderr).toMatch(/^cellist: .+\n$/);
  return result.stderr;
}

/** n x d numbers around 0, the same ones for a seed everywhere. */
function vectors(n: number, d: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: n * d }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

function writeNpy(path: string, data: Float32Array | Float64Array | Int32Array, shape: number[]): string {
  writeFileSync(path, new Uint8Array(dump(data, shape)));
  return path;
}

function writeSlices(path: string, names: string[], n: number, d: number): void {
  mkdirSync(path, { recursive: true });
  names.forEach((name, i) => writeNpy(join(path, name), vectors(n, d, i + 1), [n, d]));
}

function at(name: string): string {
  return join(folder, name);
}

/** The names in a folder, temporary ones included. */
function list(path: string): string[] {
  return readdirSync(path).sort();
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "cellist-cli-"));
  features = at("logs/alice/3_feature256");
  writeSlices(features, ["0_1.npy", "10_0.npy", "1_0.npy"], 70, D);
  writeFileSync(join(features, "._0_1.npy"), "macOS leaves such files");
  const slices = ["0_1.npy", "10_0.npy", "1_0.npy"].map((name) => ({ name, data: readFileSync(join(features, name)) }));
  ({ index: voice } = await buildVoiceIndex(slices, { version: "v1", seed: 7 }));
  voiceFile = at("voice.index");
  writeFileSync(voiceFile, voice.toBytes());
  queries = vectors(70, D, 99);
  queriesFile = writeNpy(at("queries.npy"), queries, [70, D]);
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe("build", () => {
  test("writes the library's file under RVC's name, the same one for the same seed", async () => {
    const first = await json("build", features, "--seed", "7", "--out", at("a/deep"));
    const file = at(`a/deep/${NAME}`);
    expect(first).toMatchObject({
      file,
      name: "alice",
      version: "v1",
      d: D,
      rows: 210,
      nlist: 5,
      description: "IVF5,Flat",
    });
    expect(first.bytes).toBe(readFileSync(file).length);
    expect(first.seconds).toBeTypeOf("number");
    expect(Buffer.compare(readFileSync(file), voice.toBytes())).toBe(0);
    expect(await readIndex(readFileSync(file))).toMatchObject({ d: D, ntotal: 210 });
    expect(list(at("a/deep"))).toEqual([NAME]);

    await json("build", features, "--seed", "8", "--out", at("a"));
    expect(Buffer.compare(readFileSync(at(`a/${NAME}`)), voice.toBytes())).not.toBe(0);
  });

  test("writes into the current folder and says what it did", async () => {
    const { code, stdout, stderr } = await cellist("build", features, "--name", "bob", "--version", "v1");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const file = NAME.replace("alice", "bob");
    expect(stdout).toContain("bob, RVC v1: IVF5,Flat of 256 dimensions");
    expect(stdout).toMatch(
      new RegExp(`rows +210\n +nlist +5\n +bytes +[\\d,]+ \\(.*B\\)\n +seconds +[\\d.]+\n +file +${file}\n$`),
    );
    expect(list(folder)).toContain(file);
  });

  test("takes version and name from elsewhere where the folder's name does not say them, and another factory", async () => {
    writeSlices(at("carol"), ["a.npy", "b.npy"], 10, 768);
    const built = await json("build", at("carol"), "--factory", "Flat");
    expect(built).toMatchObject({ name: "carol", version: "v2", d: 768, rows: 20, nlist: null, description: "Flat" });
    expect(built.file).toBe("added_Flat_nprobe_1_carol_v2.index");
  });

  test("stops at bad input", async () => {
    const here = list(folder);
    mkdirSync(at("empty/3_feature768"), { recursive: true });
    mkdirSync(at("odd"));
    writeNpy(at("odd/a.npy"), vectors(10, 12, 1), [10, 3, 4]);
    await Promise.all([
      expect(failing(1, "build", at("nowhere"))).resolves.toContain("no such file or folder"),
      expect(failing(1, "build", voiceFile)).resolves.toContain("is a faiss index, not an .npy array"),
      expect(failing(1, "build", at("empty"))).resolves.toContain(join("empty", "3_feature768")),
      expect(failing(1, "build", at("odd"))).resolves.toContain("[10, 3, 4]"),
      expect(failing(1, "build", features, "--version", "v2")).resolves.toContain("0_1.npy"),
      expect(failing(1, "build", features, "--factory", "Falt")).resolves.toContain('"Falt"'),
      expect(failing(1, "build", features, "--out", queriesFile)).resolves.toContain(queriesFile),
    ]);
    expect(list(folder)).toEqual([...here, "empty", "odd"].sort());
  });

  test("leaves an existing file alone when it fails", async () => {
    const path = at("broken/3_feature256");
    writeSlices(path, ["a.npy", "b.npy"], 105, D);
    writeNpy(join(path, "b.npy"), vectors(105, D, 2).fill(NaN, 5, 6), [105, D]);
    mkdirSync(at("kept"));
    writeFileSync(at(`kept/${NAME}`), "kept");
    const build = ["build", path, "--name", "alice", "--out", at("kept")];
    expect(await failing(1, ...build)).toContain("--force");
    expect(await failing(1, ...build, "--force")).toContain("b.npy: row 0 has NaN in column 5");
    expect(list(at("kept"))).toEqual([NAME]);
    expect(readFileSync(at(`kept/${NAME}`), "utf8")).toBe("kept");
  });

  test.skipIf(process.platform === "win32")("stops at SIGINT and leaves nothing behind", async () => {
    const path = at("long/3_feature256");
    writeSlices(path, ["a.npy", "b.npy"], 2000, D);
    mkdirSync(at("stopped"));
    const child = spawn(process.execPath, [main, "build", path, "--factory", "IVF2000,Flat", "--out", at("stopped")]);
    let stderr = "";
    child.stderr.on("data", (text: Buffer) => {
      // The training begins with a warning of few points, and then takes seconds.
      if (stderr === "") child.kill("SIGINT");
      stderr += text.toString();
    });
    const code = await new Promise((resolve) => child.on("close", resolve));
    expect(code).toBe(130);
    expect(stderr).toMatch(/^cellist: warning: .+\ncellist: stopped.*\n$/);
    expect(list(at("stopped"))).toEqual([]);
  });
});

describe("info", () => {
  test("prints text", async () => {
    const { code, stdout, stderr } = await cellist("info", voiceFile);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const rows = stdout.trimEnd().split("\n");
    expect(rows[0]).toBe("voice.index");
    expect(rows.slice(1, -1).map((row) => row.trim().split(/ +/))).toEqual([
      ["description", "IVF5,Flat"],
      ["d", "256"],
      ["ntotal", "210"],
      ["metric", "L2"],
      ["isTrained", "yes"],
      ["nlist", "5"],
      ["nprobe", "1"],
    ]);
    expect(rows.at(-1)).toMatch(/bytes +[\d,]+ \(\d+ kB\)/);
  });

  test("prints JSON, also of an index without lists", async () => {
    expect(await json("info", voiceFile)).toEqual({
      description: "IVF5,Flat",
      d: D,
      ntotal: 210,
      metric: 1,
      isTrained: true,
      nlist: 5,
      nprobe: 1,
      bytes: voice.toBytes().length,
    });
    const flat = await indexFactory(3, "IDMap,Flat", METRIC_INNER_PRODUCT);
    writeFileSync(at("flat.index"), flat.toBytes());
    const expected = { description: "Flat,IDMap", d: 3, ntotal: 0, metric: 0, nlist: null, nprobe: null };
    expect(await json("info", at("flat.index"))).toMatchObject({ ...expected, description: flat.description });
  });

  test("warns of RVC's trained_ file", async () => {
    const empty = await readIndex(voice.toBytes());
    empty.reset();
    writeFileSync(at("trained.index"), empty.toBytes());
    const { code, stdout, stderr } = await cellist("info", at("trained.index"), "--json");
    expect(code).toBe(0);
    expect(stderr).toMatch(/^cellist: warning: .*added_.*\n$/);
    expect(JSON.parse(stdout)).toMatchObject({ ntotal: 0, isTrained: true });
  });

  test("says what is wrong with a file", async () => {
    writeFileSync(at("cut.index"), voice.toBytes().subarray(0, 5000));
    await Promise.all([
      expect(failing(1, "info", at("cut.index"))).resolves.toContain("cut.index"),
      expect(failing(1, "info", queriesFile)).resolves.toContain("queries.npy: the file is an .npy array"),
      expect(failing(1, "info", at("no.index"))).resolves.toContain("no.index: there is no such file"),
      expect(failing(1, "info", folder)).resolves.toContain("it is a folder"),
    ]);
  });
});

describe("search", () => {
  test("writes what index.search finds", async () => {
    const answer = await json("search", voiceFile, queriesFile, "-k", "3", "--nprobe", "2", "--out", at("found"));
    const files = { distances: at("found.D.npy"), labels: at("found.I.npy") };
    expect(answer).toMatchObject({ queries: 70, k: 3, nprobe: 2, files });
    const { distances, labels } = voice.search(queries, 3, { nprobe: 2 });
    expect(floats(files.distances)).toEqual({ data: distances, shape: [70, 3] });
    expect(ids(files.labels)).toEqual(BigInt64Array.from(labels as Int32Array, BigInt));
    expect(readFileSync(files.labels, "latin1")).toMatch(/^\x93NUMPY.*'descr':'<i8'.*'shape':\(70,3\)/s);
    expect(readFileSync(files.distances, "latin1")).toMatch(/^\x93NUMPY.*'descr':'<f4'/s);
    expect(list(folder).filter((name) => name.endsWith(".part"))).toEqual([]);
  });

  test("prints all results as JSON, and the first ones for people", async () => {
    const { distances, labels } = voice.search(queries, 8);
    const answer = (await json("search", voiceFile, queriesFile)) as { distances: number[][]; labels: number[][] };
    expect(answer.distances.length).toBe(70);
    expect(answer.distances.flat()).toEqual([...distances]);
    expect(answer.labels.flat()).toEqual([...(labels as Int32Array)]);

    const { code, stdout, stderr } = await cellist("search", voiceFile, queriesFile, "-k", "9");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("70 queries, 9 nearest of 210 each, nprobe 1");
    expect(stdout).toMatch(new RegExp(`^ +0 +${labels[0]} \\(${Number(distances[0].toPrecision(4))}\\) `, "m"));
    expect(stdout).toContain("60 more queries, 1 more column:");
    expect(stdout.split("\n").length).toBeLessThan(15);
  });

  test("takes a single vector and float64, and prints wide ids with all digits", async () => {
    const wide = await indexFactory(4, "IDMap,Flat");
    const big = 2n ** 62n + 1n;
    await wide.addWithIds(Float32Array.of(0, 0, 0, 0, 1, 1, 1, 1), BigInt64Array.of(big, -5n));
    writeFileSync(at("wide.index"), wide.toBytes());
    writeNpy(at("one.npy"), Float64Array.of(0, 0, 0, 0.5), [4]);
    const { stdout } = await cellist("search", at("wide.index"), at("one.npy"), "-k", "3", "--json");
    expect(stdout).toContain(`"labels":[[${big},-5,-1]]`);
    expect(await json("search", at("wide.index"), at("one.npy"), "-k", "2", "--out", at("one"))).toMatchObject({
      queries: 1,
    });
    expect(ids(at("one.I.npy"))).toEqual(BigInt64Array.of(big, -5n));
    expect(floats(at("one.D.npy"))).toEqual({ data: Float32Array.of(0.25, 3.25), shape: [1, 2] });
  });

  test("stops at bad input, leaving existing files alone", async () => {
    const path = at("mine");
    mkdirSync(path);
    for (const name of ["r.D.npy", "r.I.npy"]) writeFileSync(join(path, name), "mine");
    const out = ["--out", join(path, "r"), "--force"];
    const bad = writeNpy(at("bad.npy"), vectors(4, 128, 1), [4, 128]);
    const cube = writeNpy(at("cube.npy"), vectors(4, D, 1), [2, 2, D]);
    const texts = at("texts.npy");
    writeFileSync(texts, readFileSync(cube, "latin1").replace("<f4", "<U5"), "latin1");
    const huge = ["-k", "999999999999"];
    await Promise.all([
      expect(failing(1, "search", voiceFile, bad, ...out)).resolves.toContain("[4, 128]"),
      expect(failing(1, "search", voiceFile, cube, ...out)).resolves.toContain("[2, 2, 256]"),
      expect(failing(1, "search", voiceFile, texts, ...out)).resolves.toContain("holds texts (<U5)"),
      expect(failing(1, "search", voiceFile, voiceFile, ...out)).resolves.toContain(
        "not an .npy array: give the index first",
      ),
      expect(failing(1, "search", voiceFile, queriesFile, ...huge, ...out)).resolves.toContain("smaller -k"),
      expect(failing(1, "search", voiceFile, queriesFile, "--out", join(queriesFile, "r"))).resolves.toContain(
        "no folder",
      ),
    ]);
    expect(list(path)).toEqual(["r.D.npy", "r.I.npy"]);
    expect(readFileSync(join(path, "r.D.npy"), "utf8")).toBe("mine");
  });
});

describe("blend", () => {
  test("writes what blend() makes", async () => {
    const answer = await json(
      "blend",
      voiceFile,
      queriesFile,
      "--rate",
      "0.5",
      "-k",
      "4",
      "--nprobe",
      "2",
      "--out",
      at("b.npy"),
    );
    expect(answer).toMatchObject({ file: at("b.npy"), features: 70, rate: 0.5, k: 4, nprobe: 2 });
    const expected = blend(voice, queries.slice(), { rate: 0.5, k: 4, nprobe: 2 });
    expect(floats(at("b.npy"))).toEqual({ data: expected, shape: [70, D] });
  });

  test("has RVC's defaults, and keeps the shape", async () => {
    const one = writeNpy(at("single.npy"), queries.slice(0, D), [D]);
    const { code, stdout, stderr } = await cellist("blend", voiceFile, one);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^1 feature, rate 0.75, k 8, nprobe 1, [\d.]+ s\n +file +\S+single\.blended\.npy\n$/);
    const expected = blend(voice, queries.slice(0, D));
    expect(floats(at("single.blended.npy"))).toEqual({ data: expected, shape: [D] });
  });

  test("stops at bad input", async () => {
    const ip = await indexFactory(D, "Flat", METRIC_INNER_PRODUCT);
    await ip.add(queries);
    writeFileSync(at("ip.index"), ip.toBytes());
    writeFileSync(at("old.npy"), "old");
    await Promise.all([
      expect(failing(1, "blend", at("ip.index"), queriesFile, "--out", at("old.npy"), "--force")).resolves.toContain(
        "METRIC_L2",
      ),
      expect(failing(1, "blend", voiceFile, queriesFile, "--out", at("old.npy"))).resolves.toContain("--force"),
      expect(failing(1, "blend", voiceFile, queriesFile, "--out", features)).resolves.toContain("no plain file"),
    ]);
    expect(readFileSync(at("old.npy"), "utf8")).toBe("old");
  });
});

describe.concurrent("usage", () => {
  test.each([
    [["sing"], "unknown command"],
    [["info"], "missing required argument"],
    [["info", "a", "--wat"], "unknown option"],
    [["search", "a", "b", "-k", "0"], "whole number from 1"],
    [["search", "a", "b", "--nprobe", "two"], "whole number from 1"],
    [["blend", "a", "b", "--rate", "1.5"], "from 0 to 1"],
    [["build", "a", "--version", "v3"], "v1, v2"],
    [["build", "a", "--name", "a/b"], "part of the file's name"],
  ])("%j is an error of usage", async (args, message) => {
    expect(await failing(2, ...args)).toContain(message);
  });

  test("help has an example for every command", async () => {
    const commands = ["build", "info", "search", "blend"];
    const [program, nothing, ...helps] = await Promise.all([
      cellist("--help"),
      cellist(),
      ...commands.map((command) => cellist(command, "--help")),
    ]);
    expect(program).toMatchObject({ code: 0, stderr: "" });
    expect(program.stdout).not.toContain("\x1b");
    expect(nothing).toMatchObject({ code: 2, stdout: "" });
    for (const [i, command] of commands.entries()) {
      expect(program.stdout).toContain(`\n  ${command} `);
      expect(helps[i]).toMatchObject({ code: 0, stderr: "" });
      expect(helps[i].stdout).toMatch(new RegExp(`Examples?:\n  cellist ${command} `));
    }
  });

  test("--version before a command is cellist's own", async () => {
    const manifest = readFileSync(new URL("../package.json", import.meta.url), "utf8");
    const { version } = JSON.parse(manifest) as { version: string };
    expect(await cellist("--version")).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
  });
});

describe("writeFiles", () => {
  const bytes = Uint8Array.of(1, 2, 3);

  test("writes none of its files when one can't be written", async () => {
    const path = at("together");
    mkdirSync(path);
    writeFileSync(join(path, "a"), "old");
    const files = [
      { path: join(path, "a"), chunks: [bytes] },
      { path: join(path, "a/b"), chunks: [bytes] },
    ];
    await expect(writeFiles(files, new AbortController().signal)).rejects.toThrow(
      /can't write .*b: a file is where a folder is to be/,
    );
    expect(list(path)).toEqual(["a"]);
    expect(readFileSync(join(path, "a"), "utf8")).toBe("old");
  });

  test("writes nothing once its signal has aborted", async () => {
    const path = at("aborted");
    mkdirSync(path);
    const reason = new Error("enough");
    await expect(writeFiles([{ path: join(path, "a"), chunks: [bytes] }], AbortSignal.abort(reason))).rejects.toBe(
      reason,
    );
    expect(list(path)).toEqual([]);
  });
});

test("toJson writes what JSON.stringify does, and bigints", () => {
  const value = { a: [1.5, -0, NaN, true, null], 'b"': { c: "é\n" }, d: [] };
  expect(toJson(value)).toBe(JSON.stringify(value));
  expect(toJson({ id: 2n ** 63n - 1n })).toBe(`{"id":${2n ** 63n - 1n}}`);
});
