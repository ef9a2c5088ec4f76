// Commands and manners of the command line that came after the first ones: set, measure, merge, completion; what may be read and written.

import { execFile, execFileSync, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { dump } from "npyjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openIndex } from "../src/cli/files.js";
import { nprobeHint } from "../src/cli/info.js";
import { framesOf } from "../src/cli/measure.js";
import { writeFiles } from "../src/cli/output.js";
import { takesControlCodes } from "../src/cli/progress.js";
import { takeSample } from "../src/cli/quality.js";
import { indexFactory, METRIC_INNER_PRODUCT, METRIC_L2, readIndex } from "../src/index.js";
import type { Index, Metric } from "../src/index.js";
import { blend, measureVoice, readVoice, shrinkVoice } from "../src/rvc/index.js";
import { randomOf, uniform } from "./random.js";
import { zipOf } from "./zips.js";

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const D = 16;
const N = 900;

let folder: string;
let vectors: Float32Array;

interface Result {
  code: number | null;
  stdout: string;
  stderr: string;
}

const at = (name: string): string => join(folder, name);
const bytesOf = (name: string): Buffer => readFileSync(at(name));
const open = (name: string): Promise<Index> => readIndex(bytesOf(name));
const npy = (data: Float32Array, shape: number[]): Uint8Array => new Uint8Array(dump(data, shape));

function cellist(...args: string[]): Promise<Result> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [main, ...args], { cwd: folder }, (_, stdout, stderr) => {
      resolve({ code: child.exitCode, stdout, stderr });
    });
  });
}

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await cellist(...args, "--json");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as Record<string, unknown>;
}

async function failing(code: number, ...args: string[]): Promise<string> {
  const result = await cellist(...args);
  expect(result).toMatchObject({ code, stdout: "" });
  expect(result.stderr).toMatch(/^cellist: .+\n$/);
  return result.stderr;
}

async function write(name: string, description: string, metric?: 0 | 1, ids?: number[]): Promise<Index> {
  const index = await indexFactory(D, description, metric);
  await index.train(vectors);
  await (ids === undefined ? index.add(vectors) : index.addWithIds(vectors, ids));
  writeFileSync(at(name), index.toBytes());
  return index;
}

function readlink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

/** Where two files differ. */
function differences(a: Uint8Array, b: Uint8Array): number[] {
  expect(a.length).toBe(b.length);
  return [...a.keys()].filter((i) => a[i] !== b[i]);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "cellist-commands-"));
  vectors = uniform(randomOf(5), N * D);
  await write("voice.index", "IVF20,Flat");
  writeFileSync(at("queries.npy"), npy(uniform(randomOf(6), 40 * D), [40, D]));
});

afterAll(() => rmSync(folder, { recursive: true }));

describe.concurrent("set", () => {
  test("changes one byte of the file, which stays the same one", async () => {
    await write("set.index", "IVF20,Flat");
    chmodSync(at("set.index"), 0o600);
    linkSync(at("set.index"), at("set.link"));
    const before = bytesOf("set.index");
    const inode = statSync(at("set.index")).ino;
    expect(await json("set", "set.index", "nprobe=8")).toEqual({ file: "set.index", changed: 1, nprobe: 8 });
    expect(differences(before, bytesOf("set.index")).length).toBe(1);
    expect((await open("set.index")).get("nprobe")).toBe(8);
    expect(statSync(at("set.index")).ino).toBe(inode);
    expect(statSync(at("set.index")).mode & 0o777).toBe(0o600);
    expect(bytesOf("set.link")).toEqual(bytesOf("set.index"));
    // What it says already, and numbers of two bytes.
    expect(await json("set", "set.index", "nprobe=8")).toMatchObject({ changed: 0 });
    expect(await json("set", "set.index", "nprobe=258")).toMatchObject({ changed: 2, nprobe: 258 });
    expect((await open("set.index")).get("nprobe")).toBe(258);
    const text = await cellist("set", "set.index", "nprobe=1");
    expect(text).toMatchObject({ code: 0, stdout: "set.index: 2 bytes changed\n  nprobe  1\n" });
    expect(bytesOf("set.index")).toEqual(before);
  });

  test("several at once, in whatever kind of index, as index.set does", async () => {
    await write("set.pq.index", "IVF20,PQ8x4fs,RFlat");
    const index = await open("set.pq.index");
    index.set("nprobe=5,k_factor_rf=3.5");
    await json("set", "set.pq.index", "nprobe=5", "k_factor_rf=3.5");
    expect(Buffer.compare(bytesOf("set.pq.index"), index.toBytes())).toBe(0);
    await write("set.map.index", "IDMap,IVF20,Flat", undefined, [...Array(N).keys()]);
    await json("set", "set.map.index", "nprobe=7");
    expect((await open("set.map.index")).get("nprobe")).toBe(7);
  });

  test("with --out, in a copy", async () => {
    const before = bytesOf("voice.index");
    const { file } = await json("set", "voice.index", "nprobe=4", "--out", "copies/deep/v.index");
    expect(bytesOf("voice.index")).toEqual(before);
    expect(differences(before, bytesOf(String(file))).length).toBe(1);
    // Of a zip, the index in it.
    writeFileSync(at("voice.zip"), zipOf({ "a.index": before }, { deflate: true }));
    await json("set", "voice.zip", "nprobe=4", "--out", "copies/z.index");
    expect(bytesOf("copies/z.index")).toEqual(bytesOf(String(file)));
  });

  test("refuses what can't be, and leaves the file", async () => {
    await write("set.flat.index", "Flat");
    writeFileSync(at("set.zip"), zipOf({ "a.index": bytesOf("voice.index") }));
    const files = ["voice.index", "set.flat.index", "set.zip"];
    const before = files.map(bytesOf);
    expect(await failing(1, "set", "set.flat.index", "nprobe=4")).toContain('parameter "nprobe"');
    expect(await failing(1, "set", "voice.index", "nprobe=0")).toContain("nprobe");
    expect(await failing(1, "set", "voice.index", "nprobe")).toContain("name=value");
    expect(await failing(1, "set", "voice.index", "nprobe=4", "k_factor_rf=2")).toContain("k_factor_rf");
    expect(await failing(1, "set", "set.zip", "nprobe=4")).toContain("is packed");
    expect(await failing(1, "set", "voice.index", "nprobe=4", "--out", "voice.index", "--force")).toContain(
      "is an input",
    );
    expect(await failing(2, "set", "voice.index")).toContain("missing required argument");
    expect(files.map(bytesOf)).toEqual(before);
  });
});

describe.concurrent("info", () => {
  test("of several files, and on when one of them is none", async () => {
    writeFileSync(at("no.index"), "404: Not Found");
    const { code, stdout, stderr } = await cellist("info", "voice.index", "no.index", "voice.index", "--json");
    expect(code).toBe(1);
    expect(stderr).toMatch(/^cellist: no\.index: the file is text, "404: Not Found", not an index.*\n$/);
    const lines = stdout.trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(
      Array.from(
        { length: 2 },
        () => expect.objectContaining({ file: "voice.index", ntotal: N, nlist: 20 }) as unknown,
      ),
    );
    expect((await cellist("info", "voice.index", "voice.index")).stdout).toMatch(
      /^voice\.index\n[^]+\n\nvoice\.index\n/,
    );
  });

  test("of an index that is made of several: each part, for people and for programs", async () => {
    const index = await indexFactory(D, "PCA8,IVF9_HNSW4,SQ8,RFlat");
    await index.train(vectors);
    await index.add(vectors);
    index.set("nprobe=2,k_factor_rf=3");
    writeFileSync(at("nested.index"), index.toBytes());
    const { stdout } = await cellist("info", "nested.index");
    expect(stdout.split("\n\n")[1].trimEnd().split("\n")).toEqual([
      `  finds candidates: PCA8,IVF9_HNSW4,SQ8, d = ${D}, ${N} vectors`,
      `    has what the transforms make: IVF9_HNSW4,SQ8, d = 8, ${N} vectors, nprobe = 2`,
      "      finds the lists: HNSW4, d = 8, 9 vectors, efSearch = 16",
      "        stores the vectors: Flat, d = 8, 9 vectors",
      `  compares them again: Flat, d = ${D}, ${N} vectors`,
    ]);
    const { parts } = await json("info", "nested.index");
    expect(parts).toMatchObject([
      { part: "finds candidates", parts: [{ description: "IVF9_HNSW4,SQ8", parameters: { nprobe: 2 }, parts: [{}] }] },
      { part: "compares them again", description: "Flat", d: D, ntotal: N, parameters: {}, parts: [] },
    ]);
    expect(await json("info", "voice.index")).not.toHaveProperty("parts");
  });

  test.skipIf(process.platform === "win32")("of stdin and of a pipe", async () => {
    const expected = await json("info", "voice.index");
    for (const command of [
      "info - --json < voice.index",
      "info <(cat voice.index) --json",
      "info /dev/stdin --json < voice.index",
    ]) {
      const output = execFileSync("bash", ["-c", `"${process.execPath}" "${main}" ${command}`], {
        cwd: folder,
        encoding: "utf8",
      });
      expect(JSON.parse(output)).toEqual(expected);
    }
  });

  test("takes memory for the header, not for the file", async () => {
    const big = await indexFactory(1024, "IVF4,Flat");
    await big.train(uniform(randomOf(1), 200 * 1024));
    for (let i = 0; i < 12; i++) await big.add(new Float32Array(2000 * 1024));
    const bytes = big.toBytes();
    writeFileSync(at("big.index"), bytes);
    expect(bytes.length).toBeGreaterThan(98e6);
    // What the process holds at its end. Not the most that it held: that begins with what the process held that started it.
    const held = (file: string): number => {
      const script = `process.on("exit", () => console.error(process.memoryUsage().rss)); await import("${main}");`;
      const { stderr, status } = spawnSync(
        process.execPath,
        ["--input-type=module", "-e", script, "--", "info", file, "--json"],
        { cwd: folder, encoding: "utf8" },
      );
      expect(status).toBe(0);
      return Number(stderr);
    };
    expect(held("big.index") - held("voice.index")).toBeLessThan(20e6);
    rmSync(at("big.index"));
  });

  test("of a voice file: from its head alone, what it is read as", async () => {
    const small = await shrinkVoice(await open("voice.index"), { ratio: 4 });
    small.index.nprobe = 3;
    const bytes = small.index.toBytes();
    writeFileSync(at("info.voice"), bytes);
    const { description, d, ntotal } = await readVoice(bytes);
    const expected = { description, d, ntotal, metric: METRIC_L2, isTrained: true, nlist: 20, nprobe: 3 };
    expect(await json("info", "info.voice")).toEqual({ ...expected, bytes: bytes.length });
    // What is behind the head is not looked at, nor need it be there.
    writeFileSync(at("info.begun.voice"), bytes.subarray(0, 400));
    expect(await json("info", "info.begun.voice")).toEqual({ ...expected, bytes: 400 });
    writeFileSync(at("info.cut.voice"), bytes.subarray(0, 60));
    expect(await failing(1, "info", "info.cut.voice")).toContain("info.cut.voice: ");
  });

  test("points at what a wider search would find", async () => {
    expect((await cellist("info", "voice.index")).stdout).toContain("cellist set voice.index nprobe=8");
    await write("wide.index", "IVF20,Flat");
    await json("set", "wide.index", "nprobe=8");
    expect((await cellist("info", "wide.index")).stdout).not.toContain("cellist set");
  });
});

describe.concurrent("measure", () => {
  test("says what measureVoice does, of its own frames and of given ones", async () => {
    const index = await open("voice.index");
    const untimed = (report: object): unknown =>
      JSON.parse(JSON.stringify(report, (key, value: unknown) => (key === "milliseconds" ? typeof value : value)));
    const own = untimed(await measureVoice(index, { nprobe: [2, 5], seed: 7 })) as object;
    const measured = await json("measure", "voice.index", "--nprobe", "2,5", "--seed", "7");
    expect(untimed(measured)).toEqual({ ...own, bytes: bytesOf("voice.index").length });

    // Of given queries, against the definition.
    const given = await json("measure", "voice.index", "queries.npy");
    const queries = uniform(randomOf(6), 40 * D);
    const exact = await indexFactory(D, "Flat");
    await exact.add(vectors);
    const [truth, found] = [exact.search(queries, 8).labels, index.search(queries, 8).labels];
    let hits = 0;
    for (let i = 0; i < 40; i++) {
      const row = new Set(truth.subarray(i * 8, i * 8 + 8));
      for (const id of found.subarray(i * 8, i * 8 + 8)) if (row.has(id)) hits++;
    }
    expect(given).toMatchObject({ frames: 40, heldOut: false, k: 8 });
    const settings = given.settings as { nprobe: number | null; recall: number }[];
    expect(settings.map(({ nprobe }) => nprobe)).toEqual([1, 4, 16, null]);
    expect(settings[0].recall).toBeCloseTo(hits / 320, 10);
    const text = await cellist("measure", "voice.index");
    expect(text.stdout).toMatch(/nprobe +recall +blend error +its median +ms for 16\n( +(\d+|all)( +[\d.]+){4}\n){4}/);
  });

  test("refuses what can't be measured", async () => {
    writeFileSync(at("measure.empty.index"), (await indexFactory(D, "Flat")).toBytes());
    writeFileSync(at("measure.nan.npy"), npy(new Float32Array(2 * D).fill(NaN, D), [2, D]));
    writeFileSync(at("measure.none.npy"), npy(new Float32Array(0), [0, D]));
    expect(await failing(1, "measure", "measure.empty.index")).toContain("holds no vectors");
    expect(await failing(1, "measure", "voice.index", "measure.nan.npy")).toContain("row 1 of sample has NaN");
    expect(await failing(1, "measure", "voice.index", "measure.none.npy")).toContain("no frames");
    expect(await failing(2, "measure", "voice.index", "--nprobe", "1,x")).toContain("whole number");
  });
});

describe.concurrent("shrink", () => {
  test("writes the file of shrinkVoice, which the other commands read", async () => {
    const answer = await json("shrink", "voice.index", "--ratio", "5", "--out", "small/v.voice");
    const { index: small } = await shrinkVoice(await open("voice.index"), { ratio: 5 });
    expect(bytesOf("small/v.voice")).toEqual(Buffer.from(small.toBytes()));
    expect(answer).toMatchObject({ file: "small/v.voice", ntotal: N, d: D });
    expect(await json("info", "small/v.voice")).toMatchObject({ description: "IVF20,Flat", ntotal: N, nprobe: 1 });
    await json("set", "small/v.voice", "nprobe=4");
    expect(await json("info", "small/v.voice")).toMatchObject({ nprobe: 4 });
    await json("convert", "small/v.voice", "--to", "Flat", "--out", "small/flat.index");
    expect((await open("small/flat.index")).reconstruct(7)).toEqual(small.reconstruct(7));
  });

  test("says where layers end, of more than one", async () => {
    const one = await cellist("shrink", "voice.index", "--out", "small/one.voice");
    expect(one.stdout).toMatch(/^voice\.index\n[^]*a vector/);
    expect(one.stdout).not.toContain("layers");
    const two = await cellist("shrink", "voice.index", "--layers", "2", "--out", "small/two.voice");
    const [, first, last] = /layers +they end at ([\d,]+), ([\d,]+) bytes/.exec(two.stdout) ?? expect.unreachable();
    const bytes = bytesOf("small/two.voice");
    expect(Number(last.replaceAll(",", ""))).toBe(bytes.length);
    expect((await readVoice(bytes.subarray(0, Number(first.replaceAll(",", ""))), { layers: 1 })).ntotal).toBe(N);
  });

  test("by one target of three", async () => {
    const bytes = Number((await json("shrink", "voice.index", "--bytes", "12kB", "--out", "small/b.voice")).after);
    expect(bytes).toBeLessThanOrEqual(12_000);
    expect(await failing(2, "shrink", "voice.index", "--bytes", "12kB", "--ratio", "3")).toContain(
      "cannot be used with",
    );
    expect(await failing(2, "shrink", "voice.index", "--bytes", "many")).toContain("such as 8MB");
    expect(await failing(1, "shrink", "voice.index", "--bytes", "10", "--out", "small/c.voice")).toContain(
      "ask for more",
    );
    expect(existsSync(at("small/c.voice"))).toBe(false);
  });
});

describe.concurrent("merge", () => {
  test("adds the vectors of one to another, numbered on", async () => {
    const half = vectors.subarray(0, 400 * D);
    const other = await indexFactory(D, "Flat");
    await other.add(half);
    writeFileSync(at("merge.b.index"), other.toBytes());
    const expected = await open("voice.index");
    await expected.add(half);
    expect(await json("merge", "voice.index", "merge.b.index", "--out", "merged/ab.index")).toMatchObject({
      files: ["voice.index", "merge.b.index"],
      description: "IVF20,Flat",
      ntotal: N + 400,
    });
    expect(Buffer.compare(bytesOf("merged/ab.index"), expected.toBytes())).toBe(0);
    // A file may be in it twice, and Flat takes any.
    expect(
      await json("merge", "merge.b.index", "merge.b.index", "voice.index", "--out", "merged/bba.index"),
    ).toMatchObject({
      ntotal: 800 + N,
    });
    expect((await open("merged/bba.index")).reconstruct(400 + 7)).toEqual(half.slice(7 * D, 8 * D));
  });

  test("keeps ids of their own, each in one file", async () => {
    const ids = (from: number): number[] => Array.from({ length: N }, (_, i) => from + 2 * i);
    await write("merge.even.index", "IDMap,Flat", 1, ids(0));
    await write("merge.odd.index", "IDMap,Flat", 1, ids(1));
    await json("merge", "merge.even.index", "merge.odd.index", "--out", "merged/ids.index");
    const merged = await open("merged/ids.index");
    expect(merged.ntotal).toBe(2 * N);
    expect([...merged.search(vectors.subarray(0, D), 2).labels].sort()).toEqual([0, 1]);
    const twice = await failing(1, "merge", "merge.even.index", "merge.even.index", "--out", "merged/no.index");
    expect(twice).toMatch(/the id 0 is in merge\.even\.index and in a file before it/);
    expect(await failing(1, "merge", "merge.odd.index", "voice.index", "--out", "merged/no.index")).toContain(
      "the id 1 ",
    );
    const flat = await indexFactory(D, "Flat");
    writeFileSync(at("merge.flat.index"), flat.toBytes());
    const own = await failing(1, "merge", "merge.flat.index", "merge.odd.index", "--out", "merged/no.index");
    expect(own).toContain('--to "IDMap,Flat"');
    expect(existsSync(at("merged/no.index"))).toBe(false);
  });

  test("moves codes as they are where cells and codes are the same", async () => {
    const codes = async (from: number, to: number): Promise<Index> => {
      const index = await indexFactory(D, "IVF8,PQ4x4fs");
      await index.train(vectors, { seed: 3 });
      await index.add(vectors.subarray(from * D, to * D));
      return index;
    };
    const [first, second] = [await codes(0, 300), await codes(300, 800)];
    writeFileSync(at("merge.1.index"), first.toBytes());
    writeFileSync(at("merge.2.index"), second.toBytes());
    await json("merge", "merge.1.index", "merge.2.index", "--out", "merged/codes.index");
    // Codes of decoded vectors would be others: of a residual quantizer they are not what they were made of.
    expect(Buffer.compare(bytesOf("merged/codes.index"), (await codes(0, 800)).toBytes())).toBe(0);
  });

  test("refuses other dimensions and other metrics", async () => {
    writeFileSync(at("merge.narrow.index"), (await indexFactory(D / 2, "Flat")).toBytes());
    await write("merge.ip.index", "Flat", METRIC_INNER_PRODUCT);
    const out = ["--out", "merged/never.index"];
    expect(await failing(1, "merge", "voice.index", "merge.narrow.index", ...out)).toContain("8 dimensions");
    expect(await failing(1, "merge", "voice.index", "merge.ip.index", ...out)).toContain("inner product");
    expect(await failing(1, "merge", "voice.index", "voice.index", "--out", "voice.index", "--force")).toContain(
      "an input",
    );
  });
});

describe.concurrent("build", () => {
  const slices = (path: string, names: string[], d: number): void => {
    mkdirSync(at(path), { recursive: true });
    names.forEach((name, i) => writeFileSync(at(`${path}/${name}`), npy(uniform(randomOf(i), 50 * d), [50, d])));
  };

  test("of rows of any width, from folders and files", async () => {
    slices("wide/3_feature1024", ["0_0.npy", "0_1.npy"], 1024);
    const built = await json("build", "wide/3_feature1024", "--out", "built");
    expect(built).toMatchObject({ name: "wide", version: null, d: 1024, rows: 100, description: "IVF2,Flat" });
    expect(built.file).toBe(join("built", "added_IVF2_Flat_nprobe_1_wide_d1024.index"));
    const files = await json(
      ...["build", "wide/3_feature1024/0_1.npy", "wide/3_feature1024/0_0.npy", "--name", "files", "--out", "built"],
    );
    expect(bytesOf(String(files.file))).toEqual(bytesOf(String(built.file)));
  });

  test("leaves out total_fea.npy beside slices, and takes it alone", async () => {
    slices("total/3_feature256", ["0_0.npy", "0_1.npy", "total_fea.npy"], 256);
    expect(await json("build", "total/3_feature256", "--out", "built")).toMatchObject({ rows: 100 });
    slices("alone/3_feature256", ["total_fea.npy"], 256);
    expect(await json("build", "alone/3_feature256", "--out", "built")).toMatchObject({ rows: 50, name: "alone" });
  });

  test("says which row is not finite, and leaves such out", async () => {
    slices("nan/3_feature256", ["0_0.npy", "0_1.npy"], 256);
    const rows = uniform(randomOf(1), 50 * 256);
    rows[7 * 256 + 9] = NaN;
    writeFileSync(at("nan/3_feature256/0_1.npy"), npy(rows, [50, 256]));
    expect(await failing(1, "build", "nan/3_feature256", "--out", "built")).toMatch(
      /0_1\.npy: row 7 has NaN in column 9 .*--skip-nonfinite/,
    );
    const built = await json("build", "nan/3_feature256", "--out", "built", "--skip-nonfinite");
    expect(built).toMatchObject({ rows: 99, skipped: 1 });
  });

  test("any factory, in a file that is not there yet", async () => {
    slices("fac/3_feature256", ["0_0.npy", "0_1.npy"], 256);
    const build = ["build", "fac/3_feature256", "--out", "built", "--factory"];
    expect(await json(...build, "IVF2(Flat,RFlat),Flat")).toMatchObject({ nlist: 2 });
    expect(await failing(1, ...build, "IVF2(Flat,RFlat),Flat")).toContain("is there already");
    expect(await json(...build, "IVF2(Flat,RFlat),Flat", "--force")).toMatchObject({ nlist: 2 });
    expect(await failing(1, ...build, "PQ3x4fs")).toContain("PQ3x4fs");
  });
});

describe.concurrent("convert", () => {
  test("of an index with another in its cells", async () => {
    await write("nested.index", "IVF10(Flat,RFlat),Flat");
    const { after } = (await json("convert", "nested.index", "--to", "Flat", "--out", "flat.index")) as {
      after: { description: string };
    };
    expect(after.description).toBe("Flat");
    const flat = await open("flat.index");
    expect(flat.reconstruct(5)).toEqual(vectors.slice(5 * D, 6 * D));
  });

  test("says where a blend would be far off, and what brings it nearer", async () => {
    const far = await cellist("convert", "voice.index", "--to", "PQ2x4fs", "--out", "far.index");
    expect(far.code).toBe(0);
    expect(far.stderr).toMatch(/^cellist: warning: blends by PQ2x4fs end [\d.]+ of the way off.*,RFlat behind it\n$/);
    const cells = await cellist("convert", "voice.index", "--to", "IVF60,Flat", "--out", "cells.index");
    expect(cells.stderr).toMatch(
      /end [\d.]+ of the way off.*cellist set FILE nprobe=(4|16) brings it to 0\.[0-4]\d\n$/,
    );
    const near = await cellist("convert", "voice.index", "--to", "Flat", "--out", "near.index");
    expect(near.stderr).toBe("");
  });

  test("leaves out what no index takes, where that is asked for", async () => {
    const file = bytesOf("voice.index");
    const index = await open("voice.index");
    const spoil = (name: string, id: number): void => {
      const place = file.indexOf(Buffer.from(index.reconstruct(id).buffer));
      expect(place).toBeGreaterThan(0);
      const spoilt = new Uint8Array(file);
      new DataView(spoilt.buffer).setFloat32(place + 8, NaN, true);
      writeFileSync(at(name), spoilt);
    };
    spoil("nan.index", 3);
    spoil("last.index", N - 1);
    const convert = ["convert", "nan.index", "--to", "IDMap,Flat", "--out", "clean.index"];
    expect(await failing(1, ...convert)).toMatch(/nan\.index: the vector 3 has NaN in column 2.*--skip-nonfinite/);
    expect(await json(...convert, "--skip-nonfinite")).toMatchObject({ ntotal: N - 1, skipped: 1 });
    // What numbers its vectors itself takes what is numbered so, and nothing else.
    const flat = (name: string): string[] => ["convert", name, "--to", "Flat", "--out", "flat", "--skip-nonfinite"];
    expect(await failing(1, ...flat("nan.index"))).toContain("has ids of its own");
    expect(await json(...flat("last.index"))).toMatchObject({ ntotal: N - 1, skipped: 1 });
    const clean = await open("clean.index");
    expect(clean.reconstruct(4)).toEqual(vectors.slice(4 * D, 5 * D));
    expect(() => clean.reconstruct(3)).toThrow(/no vector/);
  });
});

describe.concurrent("files that are there", () => {
  const output = (name: string): string => {
    writeFileSync(at(name), "mine");
    return name;
  };

  test("are not replaced unless by --force, and inputs never", async () => {
    const out = output("taken.npy");
    const blending = ["blend", "voice.index", "queries.npy", "--out"];
    expect(await failing(1, ...blending, out)).toMatch(/taken\.npy is there already: .*--force/);
    expect(readFileSync(at(out), "utf8")).toBe("mine");
    await json(...blending, out, "--force");
    const expected = blend(await open("voice.index"), uniform(randomOf(6), 40 * D));
    expect(bytesOf(out).subarray(-expected.byteLength)).toEqual(Buffer.from(expected.buffer));
    const before = ["voice.index", "queries.npy"].map(bytesOf);
    symlinkSync("voice.index", at("voice.link"));
    for (const name of ["voice.index", "queries.npy", "voice.link", "./voice.index"])
      expect(await failing(1, ...blending, name, "--force")).toContain("it is an input of this command");
    linkSync(at("queries.npy"), at("found.D.npy"));
    const searching = ["search", "voice.index", "queries.npy", "--force", "--out"];
    expect(await failing(1, ...searching, "found")).toContain("found.D.npy: it is an input");
    expect(["voice.index", "queries.npy"].map(bytesOf)).toEqual(before);
  });

  test.skipIf(process.platform === "win32")("keep their mode, and links to them stay links", async () => {
    chmodSync(at(output("private.npy")), 0o600);
    mkdirSync(at("elsewhere"));
    symlinkSync("elsewhere/private.npy", at("to-nothing.npy"));
    symlinkSync("private.npy", at("to-private.npy"));
    for (const name of ["to-private.npy", "to-nothing.npy"]) {
      await json("blend", "voice.index", "queries.npy", "--force", "--out", name);
      expect(lstatSync(at(name)).isSymbolicLink()).toBe(true);
    }
    expect(statSync(at("private.npy")).mode & 0o777).toBe(0o600);
    expect(bytesOf("private.npy").length).toBeGreaterThan(40 * D * 4);
    expect(bytesOf("elsewhere/private.npy")).toEqual(bytesOf("private.npy"));
    symlinkSync("circle", at("circle"));
    expect(await failing(1, "blend", "voice.index", "queries.npy", "--out", "circle")).toContain("circle");
  });

  test("folders are made, and only when there is something to put there", async () => {
    expect(await failing(1, "blend", "no.index", "queries.npy", "--out", "new/deep/x.npy")).toContain("no.index");
    expect(existsSync(at("new"))).toBe(false);
    await json("blend", "voice.index", "queries.npy", "--out", "new/deep/x.npy");
    expect(readdirSync(at("new/deep"))).toEqual(["x.npy"]);
  });

  test("are written piece by piece, and not at all once the signal has come in between", async () => {
    const stop = new AbortController();
    const reason = new Error("enough");
    function* chunks(): Generator<Uint8Array> {
      yield Uint8Array.of(1, 2);
      yield Uint8Array.of(3);
      stop.abort(reason);
      yield Uint8Array.of(4);
    }
    mkdirSync(at("pieces"));
    await expect(writeFiles([{ path: at("pieces/a"), chunks: chunks() }], stop.signal)).rejects.toBe(reason);
    expect(readdirSync(at("pieces"))).toEqual([]);
    await writeFiles(
      [{ path: at("pieces/a"), chunks: [Uint8Array.of(1, 2), Uint8Array.of(3)] }],
      new AbortController().signal,
    );
    expect([...bytesOf("pieces/a")]).toEqual([1, 2, 3]);
  });
});

describe.skipIf(process.platform !== "linux")("a pipe that nobody writes to", () => {
  test.each(["SIGTERM", "SIGINT"] as const)("is given up at %s", async (signal) => {
    const pipe = at(`pipe.${signal}`);
    execFileSync("mkfifo", [pipe]);
    const child = spawn(process.execPath, [main, "info", pipe], { stdio: ["ignore", "ignore", "pipe"] });
    let stderr = "";
    child.stderr.on("data", (text: Buffer) => (stderr += text.toString()));
    const ended = new Promise((resolve) => child.on("close", resolve));
    // Not before the process has got so far as to open it.
    const open = `/proc/${child.pid ?? 0}/fd`;
    const timer = setInterval(() => {
      const paths = existsSync(open) ? readdirSync(open).map((fd) => readlink(join(open, fd))) : [];
      if (paths.includes(pipe)) child.kill(signal);
    }, 20);
    expect(await ended).toBe(signal === "SIGTERM" ? 143 : 130);
    clearInterval(timer);
    expect(stderr).toBe("cellist: stopped: nothing was written\n");
  });
});

test("bars are for terminals that take more than lines", () => {
  expect(takesControlCodes({ TERM: "xterm" })).toBe(true);
  expect(takesControlCodes({ TERM: "xterm", NO_COLOR: "" })).toBe(true);
  expect(takesControlCodes({ TERM: "dumb" })).toBe(false);
  expect(takesControlCodes({ TERM: "xterm", NO_COLOR: "1" })).toBe(false);
});

describe.concurrent("completion", () => {
  test("of bash completes commands and options", async () => {
    const { stdout } = await cellist("completion", "bash");
    const complete = (...words: string[]): string[] => {
      const script = `${stdout}\nCOMP_WORDS=(${words.map((word) => `"${word}"`).join(" ")}); COMP_CWORD=${words.length - 1}; _cellist; echo "\${COMPREPLY[@]}"`;
      return execFileSync("bash", ["-c", script], { encoding: "utf8" }).trim().split(" ");
    };
    expect(complete("cellist", "me")).toEqual(["measure", "merge"]);
    expect(complete("cellist", "build", "--s")).toEqual(["--seed", "--skip-nonfinite"]);
    expect(complete("cellist", "build", "x")).toEqual([""]);
  });

  test("of zsh and fish names all commands and their options", async () => {
    const { stdout: help } = await cellist("--help");
    const commands = [...help.matchAll(/^ {2}(\w+) .*(?:\[options\]|<)/gm)].map(([, name]) => name);
    expect(commands.length).toBeGreaterThan(8);
    const [zsh, fish] = await Promise.all(["zsh", "fish"].map((shell) => cellist("completion", shell)));
    for (const command of commands) {
      expect(zsh.stdout).toContain(`'${command}:`);
      expect(fish.stdout).toContain(`-a ${command} `);
    }
    expect(zsh.stdout).toMatch(/^#compdef cellist\n/);
    expect(zsh.stdout).toContain("'--nprobe[lists to scan for each row (default\\: as the file says)]'");
    expect(fish.stdout).toMatch(/^complete -c cellist -n '__fish_seen_subcommand_from set' -l out -d /m);
    expect(await failing(2, "completion", "tcsh")).toContain("bash, zsh, fish");
  });
});

test("a query's neighbours in the measure of a conversion are those of an exact search, by either metric", async () => {
  const [d, n] = [6, 40];
  const rows = uniform(randomOf(31), n * d);
  const queries = uniform(randomOf(32), 5 * d);
  const ids = BigInt64Array.from({ length: n }, (_, i) => BigInt(3 * i + 1));
  for (const metric of [METRIC_L2, METRIC_INNER_PRODUCT] as const) {
    const watch = { signal: new AbortController().signal, onProgress: () => undefined, onWarning: () => undefined };
    const stored = { vectors: rows, ids, inSequence: false, decoded: false };
    const sample = await takeSample(stored, d, metric, queries, watch);
    const near = (query: number, row: number): number => {
      let sum = 0;
      for (let j = 0; j < d; j++) {
        const [a, b] = [queries[query * d + j], rows[row * d + j]];
        sum += metric === METRIC_L2 ? -((a - b) ** 2) : a * b;
      }
      return sum;
    };
    for (let query = 0; query < 5; query++) {
      const all = Array.from({ length: n }, (_, row) => near(query, row));
      expect(sample.nearness(query, 3n * 7n + 1n)).toBeCloseTo(all[7], 10);
      expect(sample.farthest[query]).toBeCloseTo([...all].sort((a, b) => b - a)[7], 10);
    }
    expect([sample.count, sample.k, sample.blended?.length]).toEqual([5, 8, metric === METRIC_L2 ? 5 * d : undefined]);
  }
});

test("what was measured on is said: whose frames, how many, of how many neighbours", () => {
  expect(framesOf({ frames: 1234, heldOut: true, k: 5 })).toMatch(/1,234 .*held out.* 5 neighbours/);
  expect(framesOf({ frames: 9, heldOut: false, k: 8 })).toMatch(/ 9 .*given.* 8 neighbours/);
  expect(framesOf({ frames: 9, heldOut: false, k: 8 })).not.toContain("held out");
});

test.skipIf(process.platform === "win32")(
  "what is read of a pipe is not closed by a collection of garbage",
  async () => {
    const pipe = at("collected.pipe");
    execFileSync("mkfifo", [pipe]);
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const warnings: string[] = [];
    const onWarning = ({ name, message }: Error): void => void warnings.push(`${name}: ${message}`);
    process.on("warning", onWarning);
    try {
      const watch = { signal: new AbortController().signal, onProgress: () => undefined, onWarning: () => undefined };
      const reading = openIndex(pipe, watch);
      const writer = spawn("sh", ["-c", `sleep .3; cat voice.index > collected.pipe`], { cwd: folder });
      await new Promise((resolve) => setTimeout(resolve, 100));
      for (let i = 0; i < 3; i++) {
        collect();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      const { index } = await reading;
      expect(Buffer.compare(index.toBytes(), bytesOf("voice.index"))).toBe(0);
      if (writer.exitCode === null) await new Promise((resolve) => writer.once("exit", resolve));
    } finally {
      process.off("warning", onWarning);
    }
    expect(warnings).toEqual([]);
  },
);

test("what is said of a narrow search: of a voice with cells to gain from, and of no other", () => {
  const narrow = { nlist: 8, nprobe: 1, metric: METRIC_L2 as Metric };
  expect(nprobeHint(narrow, "a.index")).toMatch(/1 of 8 lists.*cellist set a\.index nprobe=8/s);
  for (const other of [
    { nlist: 7 },
    { nlist: null },
    { nprobe: 2 },
    { nprobe: null },
    { metric: METRIC_INNER_PRODUCT },
  ])
    expect(nprobeHint({ ...narrow, ...other } as typeof narrow, "a.index")).toBe(undefined);
});
