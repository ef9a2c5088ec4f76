// Damages index files and looks what becomes of them: bytes from outside are refused, or are an index like any other.

import { readFileSync } from "node:fs";
import { CellistError, indexFactory, readIndex } from "../src/index.js";
import type { Index } from "../src/index.js";
import { withFaults } from "./faults.js";
import { concat, i32, i64 } from "./files.js";
import { use } from "./fuzz-use.js";
import { damageStructure, structureOf } from "./fuzz-structure.js";
import type { Structure } from "./fuzz-structure.js";
import { goldenCases, goldenFolder } from "./golden.js";
import { oldSignBlocks, oldSignLists } from "./old-sign-files.js";
import { below, pick, randomOf, uniform } from "./random.js";

/** A file to damage. */
export interface Seed {
  name: string;
  bytes: Uint8Array<ArrayBuffer>;
  /** Where fields of sizes and kinds are: the beginning, and what is near a fourcc. */
  fields: number[];
  /** What the reader sees in it. */
  structure: Structure;
}

/**
 * What there is to damage: faiss' files, and each of them again with a few vectors only, of which thousands are read in a second.
 *
 * @param only those whose names match
 */
export async function seeds(only: RegExp): Promise<{ small: Seed[]; large: Seed[] }> {
  const all: Seed[] = [];
  for (const { name, file } of goldenCases(goldenFolder)) {
    const bytes = new Uint8Array(readFileSync(new URL(file, goldenFolder)));
    all.push(await seedOf(name, bytes));
    if (name.startsWith("rabitqfs")) all.push(await seedOf(`old ${name}`, oldSignBlocks(bytes)));
    if (name.startsWith("ivf_rabitqfs")) all.push(await seedOf(`old ${name}`, oldSignLists(bytes)));
    if (bytes.length < 30_000) continue;
    try {
      all.push(await seedOf(`${name}, 5 vectors`, await withFew(bytes, 5)));
    } catch (error) {
      // Not every index takes removals.
      if (!(error instanceof CellistError)) throw error;
    }
  }
  const nested = await indexFactory(3, "IVF4(IVF2,Flat),Flat,IDMap");
  nested.set("nprobe=2,quantizer_nprobe=2");
  await nested.train(uniform(randomOf(1), 90));
  await nested.addWithIds(uniform(randomOf(2), 15), [5, 6, 7, 8, 9]);
  all.push(await seedOf("nested", nested.toBytes()));
  for (const [d, description] of MADE) all.push(await seedOf(description, await made(d, description)));
  for (const description of ["Flat", "IVF4,Flat"]) {
    // Wide enough for codes of rows.
    const wide = await indexFactory(128, description);
    await wide.train(uniform(randomOf(3), 20 * 128));
    await wide.add(uniform(randomOf(4), 50 * 128));
    all.push(await seedOf(`wide ${description}`, wide.toBytes()));
  }
  const chosen = all.filter(({ name }) => only.test(name));
  return {
    small: chosen.filter(({ bytes }) => bytes.length < 30_000),
    large: chosen.filter(({ bytes }) => bytes.length >= 30_000),
  };
}

/** Indexes that are made to be damaged: dimensions and description. */
const MADE: readonly (readonly [number, string])[] = [
  ...["HNSW3", "HNSW2,SQ6", "HNSW2,PQ3x2", "HNSW2,IDMap", "IVF4_HNSW2,Flat"].map((text) => [3, text] as const),
  ...["PCAWR2,Flat", "Pad5,HR,Flat,IDMap", "L2norm,RR2,IVF4,Flat", "PCA2,Flat,RFlat"].map((text) => [3, text] as const),
  ...["8", "6", "4", "fp16", "bf16", "8_uniform", "4_uniform"].flatMap((type) => [
    [5, `SQ${type}`] as const,
    [5, `IVF3,SQ${type}`] as const,
  ]),
  [5, "SQ8_direct"],
  [5, "SQ8_direct_signed"],
  ...Array.from({ length: 12 }, (_, i) => [i < 10 ? 2 : 1, `PQ${i < 10 ? 2 : 1}x${i + 1}`] as const),
  ...[1, 2, 3, 5, 8, 9].map((bits) => [2, `IVF3,PQ2x${bits}np`] as const),
  ...["RaBitQ", "RaBitQ4", "RaBitQfs", "RaBitQfs3_64", "EDEN", "EDEN3BIASED", "PQ3x4fs_64"].flatMap((text) => [
    [9, text] as const,
    [9, `IVF3,${text}`] as const,
  ]),
  ...[
    "HNSW2,SQ8",
    "HNSW2,SQfp16",
    "HNSW2,PQ2x8",
    "OPQ2_4,IVF3,PQ2x3",
    "PCAW3,SQ8,RFlat",
    "IVF4(SQ8),PQ2x2",
    "IVF3,PQ2x3+3x2",
  ].map((text) => [6, text] as const),
];

/** A file of an index of that description. */
async function made(d: number, description: string): Promise<Uint8Array<ArrayBuffer>> {
  const index = await indexFactory(d, description);
  const learnt = Math.max(256, 2 ** Number(/PQ\d+x(\d+)/.exec(description)?.[1] ?? 8));
  const rows = uniform(randomOf(5), learnt * d);
  if (description.includes("direct")) rows.forEach((value, i) => (rows[i] = Math.floor(Math.abs(value) * 100)));
  await index.train(rows);
  const vectors = rows.subarray(0, 20 * d);
  await (description.endsWith("IDMap")
    ? index.addWithIds(
        vectors,
        Array.from({ length: 20 }, (_, i) => i + 20),
      )
    : index.add(vectors));
  return index.toBytes();
}

async function withFew(bytes: Uint8Array<ArrayBuffer>, keep: number): Promise<Uint8Array<ArrayBuffer>> {
  const index = await readIndex(bytes);
  const { labels } = index.search(new Float32Array(index.d), index.ntotal, { nprobe: 1 << 30 });
  index.removeIds(Array.from(labels.slice(keep), BigInt));
  return index.toBytes();
}

async function seedOf(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<Seed> {
  const fields = new Set<number>();
  const text = Buffer.from(bytes).toString("latin1");
  for (const { index } of text.matchAll(
    /^|I[xwPH][A-Z][A-Za-z0-9]|Pcam|LTra|rrot|VNrm|RmDT|HRot|ilar|ilbl|full|sprs/g,
  )) {
    for (let at = Math.max(0, index - 40); at < Math.min(bytes.length, index + 80); at++) fields.add(at);
  }
  for (let at = Math.max(0, bytes.length - 40); at < bytes.length; at++) fields.add(at);
  return { name, bytes, fields: [...fields], structure: await structureOf(bytes) };
}

const HOSTILE = [0n, 1n, 2n, 7n, -1n, 127n, 255n, 65536n, 1n << 20n, 1n << 30n, (1n << 31n) - 1n, 1n << 31n];
const WIDE = [1n << 32n, (1n << 32n) + 1n, 1n << 40n, 1n << 53n, 1n << 61n, (1n << 63n) - 1n, -(1n << 63n)];

/** One damaged file and what was done to it: all drawn from the number given. */
export function damage(
  number: number,
  { small, large }: { small: Seed[]; large: Seed[] },
): { bytes: Uint8Array<ArrayBuffer>; story: string } {
  const random = randomOf(number);
  const draw = (): Seed => pick(random, large.length > 0 && random() < 0.03 ? large : small);
  const { name, bytes: whole, fields, structure } = draw();
  // Every other file by what is known of its structure.
  if (number % 2 === 1) {
    const other = draw();
    const { bytes, story } = damageStructure(random, whole, structure, other.bytes, other.structure);
    return { bytes, story: `${name}: ${story} (${other.name})` };
  }
  let bytes = whole.slice();
  const story = [name];
  for (let left = pick(random, [1, 1, 1, 2, 3]); left > 0 && bytes.length > 0; left--) {
    // Mostly where it matters; behind other damage a place may have moved, which is as good.
    const place = (): number =>
      Math.min(random() < 0.85 ? pick(random, fields) : below(random, bytes.length), bytes.length - 1);
    const at = place();
    const put = (value: Uint8Array): void => bytes.set(value.subarray(0, bytes.length - at), at);
    const kind = pick(random, ["flip", "i32", "i64", "i64", "i64", "cut", "repeat", "delete", "splice"]);
    switch (kind) {
      case "flip": {
        const bits = 1 + below(random, 8);
        for (let i = 0; i < bits; i++) bytes[Math.min(at + (i >> 2), bytes.length - 1)] ^= 1 << below(random, 8);
        story.push(`${bits} bits flipped at ${at}`);
        break;
      }
      case "i32": {
        const value = pick(random, HOSTILE);
        put(i32(Number(value)));
        story.push(`i32 ${value} at ${at}`);
        break;
      }
      case "i64": {
        const value = pick(random, [...HOSTILE, ...WIDE]);
        put(i64(value));
        story.push(`i64 ${value} at ${at}`);
        break;
      }
      case "cut":
        bytes = bytes.slice(0, at);
        story.push(`cut at ${at}`);
        break;
      case "repeat":
      case "delete": {
        const end = Math.min(at + pick(random, [1, 4, 8, 16, 45, below(random, 1000)]), bytes.length);
        const again = kind === "repeat";
        bytes = concat(bytes.subarray(0, again ? end : at), bytes.subarray(again ? at : end));
        story.push(`${kind} ${at} to ${end}`);
        break;
      }
      default: {
        const other = draw();
        const from = pick(random, other.fields);
        bytes = concat(bytes.subarray(0, at), other.bytes.subarray(from));
        story.push(`cut at ${at}, goes on with ${other.name} from ${from}`);
      }
    }
  }
  return { bytes, story: story.join("; ") };
}

/** What an index may hold beside what its file does: a page to begin with, and tables. */
const SLACK = 256 << 10;
/** Bytes of JavaScript's own arrays that reading may make beside what the file holds, all of them counted. */
const ARRAYS = 1 << 20;
/** The same for a file of unknown length: room is taken ahead of what comes. */
const STREAM_SLACK = SLACK + (2 << 20);
/** The same for all that is done to an index: it is written and read several times. */
const [USED, ARRAYS_USED, SLACK_USED] = [50, 8 << 20, 2 << 20];

/** Reads damaged bytes and, where they are an index, uses it. Returns whether they were. Throws for what must not be. */
export async function survive(
  number: number,
  source: Uint8Array<ArrayBuffer> | Iterable<Uint8Array>,
  length: number,
): Promise<boolean> {
  let index: Index;
  let arrays: number;
  try {
    const { faults, result } = await withFaults(Infinity, 0, () => readIndex(source));
    arrays = faults.bytes;
    index = result;
  } catch (error) {
    if (error instanceof CellistError) return false;
    throw error;
  }
  try {
    if (arrays > 2 * length + ARRAYS) throw new Error(`${arrays} bytes of arrays were made for a file of ${length}`);
    if (index.memory > 2 * length + (source instanceof Uint8Array ? SLACK : STREAM_SLACK))
      throw new Error(`${index.memory} bytes are held for a file of ${length}`);
    // Vectors that are given are of the d that the file claims.
    const given = 64 * 4 * index.d;
    const { faults } = await withFaults(Infinity, 0, () => use(index, randomOf(number)));
    if (faults.bytes > USED * length + given + ARRAYS_USED)
      throw new Error(`${faults.bytes} bytes of arrays were made in using a file of ${length}`);
    if (index.memory > 4 * length + given + SLACK_USED)
      throw new Error(`${index.memory} bytes are held in using a file of ${length}`);
  } finally {
    index.dispose();
  }
  return true;
}
