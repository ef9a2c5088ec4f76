import { readFileSync, readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { CellistError, indexFactory, METRIC_L2, readIndex } from "../src/index.js";
import { ascii, concat, flatFile, header, i32, i64 } from "./files.js";
import { structureOf } from "./fuzz-structure.js";
import { goldenFolder } from "./golden.js";
import { randomOf, uniform } from "./random.js";
import { thrownBy } from "./rejections.js";

// One field of a file after the other gets another number. What each may be, to the last number that is allowed and the first that is not,
// and that an error names the field that is wrong and the place where it stands in the file.

const D = 2 ** 20;
const COUNT = 2 ** 31 - 1;

/** Of numbers that have limits of their own: some that are within them, the outermost ones among these, and some that are not. */
const LIMITS: Record<string, { within: number[]; beyond: number[] }> = {
  d: { within: [1, D], beyond: [-1, 0, D + 1, -(2 ** 31)] },
  ntotal: { within: [0, COUNT], beyond: [-1, COUNT + 1] },
  metric_type: { within: [0, 1, 2, 25], beyond: [-1, 26] },
  nlist: { within: [1, COUNT], beyond: [-1, 0, COUNT + 1] },
  nprobe: { within: [1, COUNT], beyond: [-1, 0, COUNT + 1] },
  "direct map type": { within: [0, 1, 2], beyond: [3, 255] },
  scale_type: { within: [0, 1, 2], beyond: [-1, 3] },
  bbs: { within: [32, 96, 65536], beyond: [-32, 0, 16, 31, 33, 48, 65536 + 32] },
  M: { within: [1], beyond: [-1, 0, 33, 63, 65, 128] },
  search_type: { within: [0, 1, 5], beyond: [-1, 6] },
  rangestat: { within: [0, 1, 3], beyond: [-1, 4] },
  qtype: { within: [0, 1, 9, 25], beyond: [-1, 26] },
  k_factor: { within: [1, 1.5, 1000], beyond: [NaN, -1, 0, 0.99, 1000.5, Infinity] },
  n_levels: { within: [1, 64], beyond: [-1, 0, 65] },
  batch_size: { within: [1], beyond: [-1, 0] },
  "number of transforms": { within: [0, 50], beyond: [-1, 51] },
  d_in: { within: [1, D], beyond: [-1, 0, D + 1] },
  d_out: { within: [1, D], beyond: [-1, 0, D + 1] },
  entry_point: { within: [0, 999], beyond: [-2, 1000] },
};
/** Bits of a code and of a query, which differ among kinds. */
const BITS: [field: string, files: RegExp, limits: { within: number[]; beyond: number[] }][] = [
  ["bits", /eden/, { within: [1, 8], beyond: [-1, 0, 9] }],
  ["bits", /rabitq/, { within: [1, 9], beyond: [-1, 0, 10] }],
  ["qb", /rabitqfs/, { within: [1, 8], beyond: [0, 9, 255] }],
  ["qb", /rabitq/, { within: [0, 8], beyond: [9, 255] }],
  ["nbits", /x4fs|pq4fs/, { within: [4], beyond: [-1, 0, 3, 5, 8] }],
  ["nbits", /pq/, { within: [1, 16], beyond: [-1, 0, 17] }],
];
/** Numbers that faiss knows, and that are refused by name here. */
const UNBUILT: Partial<Record<string, number[]>> = { centered: [1], metric_type: [2, 25], qtype: [9, 25], norm: [1] };
/** What is told of a part as a whole, once it has been read. */
const PARTS =
  /^(index (under|behind)|coarse quantizer|storage of the|inverted lists (hold|need)|direct map (is|says|has)|first index|second index|transform takes|PCA)/;

/** Numbers that say what follows: where they are others, fields are looked for where there are none. */
const MOVING = /^(direct map type|number of transforms|list sizes|fourcc.*)$/;

interface Item {
  name: string;
  kind: string;
  at: number;
  width: number;
  /** Whether it is how many items follow. */
  counts: boolean;
}

async function filesOf(): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const names = readdirSync(goldenFolder).filter((name) => name.endsWith(".index"));
  const files = new Map(names.map((name) => [name, new Uint8Array(readFileSync(new URL(name, goldenFolder)))]));
  // Transforms of which there are no files of faiss' here.
  for (const description of ["RR8,Flat", "HR16,Flat", "Pad20,Flat"]) {
    const index = await indexFactory(16, description, METRIC_L2);
    const rows = uniform(randomOf(1), 200 * 16);
    await index.train(rows);
    await index.add(rows);
    files.set(description, index.toBytes());
  }
  const mean = new Uint8Array(new Float32Array(4).buffer);
  const centring = concat(ascii("VCnt"), i64(4), mean, i32(4), i32(4), Uint8Array.of(1));
  const flat = flatFile(4, METRIC_L2, new Float32Array(12));
  files.set("Centre", concat(header("IxPT", 4, 3, METRIC_L2), i32(1), centring, flat));
  return files;
}

/** Numbers of a file, each kind of them in each kind of index once, and the first, second and last of those that are many. */
async function itemsOf(
  bytes: Uint8Array<ArrayBuffer>,
  seen: Set<string>,
): Promise<{ items: Item[]; starts: Map<string, Set<number>> }> {
  const { fields, subtrees } = await structureOf(bytes);
  const starts = new Map<string, Set<number>>();
  const items: Item[] = [];
  const counting = new Set(fields.filter(({ kind }) => kind === "vectorCount").map(({ at }) => at));
  for (const { name, kind, at, end } of fields) {
    const isBody = ["bytes", "into", "i64s"].includes(kind);
    const counted =
      isBody && fields.some((field) => field.kind === "vectorCount" && field.name === name && field.end === at);
    if (!counted) starts.set(name, (starts.get(name) ?? new Set()).add(at));
    const around = subtrees.filter((tree) => tree.at <= at && at < tree.end).sort((a, b) => b.at - a.at)[0];
    const key = `${around?.fourcc} ${kind} ${name.replace(/\d+$/, "")}`;
    if (kind === "vectorCount" || seen.has(key)) continue;
    seen.add(key);
    if (!isBody) items.push({ name, kind, at, width: end - at, counts: counting.has(at) });
    const many = kind === "i64s" ? 8 : ["levels", "cum_nneighbor_per_level", "map", "neighbors"].includes(name) ? 4 : 0;
    if (many === 0 || end - at < 3 * many) continue;
    for (const place of [at, at + many, end - many])
      items.push({ name, kind: many === 8 ? "i64" : "i32", at: place, width: many, counts: false });
  }
  return { items, starts };
}

function valueAt(view: DataView, { kind, at, width }: Item): number {
  if (kind === "f32") return view.getFloat32(at, true);
  return width === 1 ? view.getUint8(at) : width === 4 ? view.getInt32(at, true) : Number(view.getBigInt64(at, true));
}

/** The file with another number, or nothing where the field does not hold it. */
function damaged(bytes: Uint8Array<ArrayBuffer>, item: Item, value: number): Uint8Array<ArrayBuffer> | undefined {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  if (item.kind === "f32") view.setFloat32(item.at, value, true);
  else if (item.width === 8) view.setBigInt64(item.at, BigInt(value), true);
  else if (item.width === 4) view.setInt32(item.at, value, true);
  else view.setUint8(item.at, value);
  return Object.is(valueAt(view, item), value) ? copy : undefined;
}

async function outcomeOf(bytes: Uint8Array<ArrayBuffer>): Promise<{ code: string; said: string }> {
  const error = await thrownBy(async () => (await readIndex(bytes)).dispose());
  if (error === undefined) return { code: "", said: "" };
  expect(error).toBeInstanceOf(CellistError);
  const { code, message } = error as CellistError;
  expect(code).toMatch(/^ERR_(FORMAT|UNSUPPORTED|MEMORY)$/);
  return { code, said: message };
}

describe("a number that is wrong", async () => {
  const seen = new Set<string>();
  for (const [file, bytes] of await filesOf())
    test(`in ${file}`, async () => {
      const { items, starts } = await itemsOf(bytes, seen);
      const log: string[] = [];
      for (const item of items) {
        const { name, at, kind } = item;
        const was = valueAt(new DataView(bytes.buffer), item);
        const { within, beyond } = LIMITS[name] ??
          BITS.find(([field, files]) => field === name && files.test(file))?.[2] ?? {
            within: [],
            beyond: kind === "bool" ? [2, 255] : [],
          };
        for (const value of new Set([...within, ...beyond, -1, 0, 1, was - 1, was + 1, 2 * was, 2 ** 53, 2 ** 62])) {
          const copy = value === was ? undefined : damaged(bytes, item, value);
          if (copy === undefined) continue;
          const { code, said } = await outcomeOf(copy);
          if (UNBUILT[name]?.includes(value) === true && code !== "ERR_UNSUPPORTED")
            log.push(`not known by name: ${name} at ${at}: ${was} -> ${value}: ${said}`);
          const given = [value, ...(Number.isInteger(value) ? [BigInt.asUintN(64, BigInt(value))] : [])];
          const own = given.some((text) => said.startsWith(`${name} at offset ${at} is ${text}`));
          const what = `${name} at ${at}: ${was} -> ${value}: ${said}`;
          if (beyond.includes(value) && !own) log.push(`beyond its limits: ${what}`);
          if (within.includes(value) && /, not from|, more than|, not \d or|no multiple/.test(said) && own)
            log.push(`within its limits: ${what}`);
          const [, whole, place, rest] = /^(.+?) at offset (\d+) (.+)/s.exec(said) ?? [];
          // Behind a vector of another length all stands elsewhere.
          const named = whole?.replace(/^code_size or M2$/, "code_size").replace(/^ids of list .*/, "ids");
          const moves = item.counts || MOVING.test(name);
          if (named === undefined || PARTS.test(`${named} ${rest}`) || (moves && named !== name)) continue;
          const [, number] = /item (\d+)/.exec(rest) ?? [];
          const here = [...(starts.get(named) ?? [])].some((start) =>
            number === undefined
              ? start === Number(place)
              : [4, 8].some((width) => start + 8 + Number(number) * width === Number(place)),
          );
          if (Number(place) !== at && !here) log.push(`elsewhere: ${what}`);
        }
      }
      expect(log).toEqual([]);
    });
});
