// What a file is made of, as the library's own reader sees it: fields with their names, and indexes within indexes. Damage that knows this
// goes deeper than bytes at random, most of which are refused by the first look.

import { KINDS } from "../src/faiss/kinds.js";
import type { Kind } from "../src/faiss/kinds.js";
import { MORE_KINDS } from "../src/faiss/more-kinds.js";
import { Reader } from "../src/format/reader.js";
import { readIndex } from "../src/index.js";
import { concat, i32, i64, idMapFile, refineFile } from "./files.js";
import { below, pick } from "./random.js";
import type { Random } from "./random.js";

/** A field: what it is read as, and where it stands. */
interface Field {
  kind: "u8" | "i32" | "f32" | "bool" | "i64" | "count" | "vectorCount" | "fourcc" | "i64s" | "bytes" | "into";
  name: string;
  at: number;
  end: number;
}

/** An index within a file, its fourcc being its first bytes. */
interface Subtree {
  at: number;
  end: number;
  fourcc: string;
  d: number;
  metric: number;
  ntotal: number;
}

export interface Structure {
  fields: Field[];
  subtrees: Subtree[];
}

const READERS = ["u8", "i32", "f32", "bool", "i64", "count", "vectorCount", "fourcc", "i64s", "bytes", "into"] as const;
const ALL_KINDS: readonly Kind[] = [...KINDS, ...MORE_KINDS];
const FOURCCS = ALL_KINDS.flatMap(({ fourccs }) => fourccs);

/** Reads a file and notes what is read, where. */
export async function structureOf(bytes: Uint8Array<ArrayBuffer>): Promise<Structure> {
  const fields: Field[] = [];
  const subtrees: Subtree[] = [];
  const restore: (() => void)[] = [];
  const prototype = Reader.prototype as unknown as Record<string, (...args: unknown[]) => unknown>;
  for (const kind of READERS) {
    const original = prototype[kind];
    restore.push(() => (prototype[kind] = original));
    prototype[kind] = function (this: Reader, ...args: unknown[]) {
      const at = this.offset;
      const name = String(kind === "into" ? args[1] : args[0]);
      const note = (value: unknown): unknown => {
        fields.push({ kind, name, at, end: this.offset });
        return value;
      };
      const result = original.apply(this, args);
      return result instanceof Promise ? result.then(note) : note(result);
    };
  }
  for (const row of ALL_KINDS as unknown as { read: Kind["read"] }[]) {
    const { read } = row;
    restore.push(() => (row.read = read));
    row.read = async (reader, engine, fourcc, nested) => {
      const at = reader.offset - 4;
      const node = await read(reader, engine, fourcc, nested);
      const { d, ntotal, metric } = node;
      subtrees.push({ at, end: reader.offset, fourcc, d, metric, ntotal });
      return node;
    };
  }
  try {
    (await readIndex(bytes)).dispose();
  } finally {
    for (const undo of restore) undo();
  }
  return { fields: fields.filter(({ end }) => end > 0 && end <= bytes.length), subtrees };
}

const SIZES = [
  0n,
  1n,
  2n,
  3n,
  7n,
  -1n,
  127n,
  255n,
  65536n,
  1n << 20n,
  (1n << 31n) - 1n,
  1n << 31n,
  1n << 32n,
  1n << 40n,
];
const WIDE = [1n << 53n, 1n << 61n, (1n << 63n) - 1n, -(1n << 63n)];
const FLOATS = [0, -0, 1, -1, NaN, Infinity, -Infinity, 1e-45, 1e-38, 1e-20, 1e19, 3e38, 1000, 1000.5];

/** One file damaged with knowledge of what it is made of, and what was done. */
export function damageStructure(
  random: Random,
  whole: Uint8Array<ArrayBuffer>,
  { fields, subtrees }: Structure,
  other: Uint8Array<ArrayBuffer>,
  { subtrees: others }: Structure,
): { bytes: Uint8Array<ArrayBuffer>; story: string } {
  let bytes = whole.slice();
  const view = (): DataView => new DataView(bytes.buffer);
  const [from, to] = [pick(random, subtrees), pick(random, others)];
  const insert = (at: number, end: number, by: Uint8Array): void => {
    bytes = concat(bytes.subarray(0, at), by, bytes.subarray(end));
  };
  switch (pick(random, ["field", "field", "field", "lie", "length", "numbers", "graft", "graft", "wrap", "fourcc"])) {
    case "field": {
      const field = pick(random, fields);
      return { story: `${field.name} at ${field.at} is ${change(random, view(), field)}`, bytes };
    }
    case "lie": {
      // One number wherever it is said, so that the fields agree.
      const sizes = fields.filter(({ kind }) => ["i32", "i64", "count", "vectorCount"].includes(kind));
      if (sizes.length === 0) break;
      const of = pick(random, sizes);
      const value = valueOf(view(), of);
      const by = random() < 0.5 ? value + pick(random, [-1n, 1n, 2n, -value]) : pick(random, SIZES);
      for (const field of sizes) if (valueOf(view(), field) === value) write(view(), field, by);
      return { story: `every ${value} (${of.name}) is ${by}`, bytes };
    }
    case "length": {
      // A vector with fewer or more items than the rest of the file expects.
      const counts = fields.filter(({ kind }) => kind === "vectorCount");
      if (counts.length === 0) break;
      const count = pick(random, counts);
      const items = Number(valueOf(view(), count));
      const body = fields.find(({ at }) => at >= count.end);
      if (body === undefined || items === 0) break;
      const size = Math.floor((body.end - body.at) / items);
      const more = pick(random, [-1, 1, -items, items]);
      if (size === 0) break;
      write(view(), count, BigInt(items + more));
      const cut = Math.max(0, -more) * size;
      insert(body.end - cut, body.end, bytes.slice(body.at, body.at + Math.max(0, more) * size));
      return { story: `${count.name} has ${more} items more, and says so`, bytes };
    }
    case "numbers": {
      const bodies = fields.filter(({ kind, at, end }) => ["bytes", "into", "i64s"].includes(kind) && end - at >= 4);
      if (bodies.length === 0) break;
      const body = pick(random, bodies);
      const many = 1 + below(random, 5);
      for (let i = 0; i < many; i++) {
        const room = body.end - body.at;
        if (room >= 8 && (body.kind === "i64s" || /ids|labels/.test(body.name)))
          view().setBigInt64(body.at + below(random, room >> 3) * 8, pick(random, [...SIZES, ...WIDE]), true);
        else view().setFloat32(body.at + below(random, room >> 2) * 4, pick(random, FLOATS), true);
      }
      return { story: `${many} numbers of ${body.name} at ${body.at}`, bytes };
    }
    case "graft":
      insert(from.at, from.end, other.subarray(to.at, to.end));
      return { story: `${from.fourcc} at ${from.at} is another file's ${to.fourcc}`, bytes };
    case "wrap": {
      const inner = bytes.slice(from.at, from.end);
      const metric = from.metric === 0 ? 0 : 1;
      const n = Math.min(from.ntotal, 5000);
      const ids = Array.from({ length: n }, (_, i) => pick(random, [i, i, i + 7, below(random, n), -1]));
      if (random() < 0.5) insert(from.at, from.end, idMapFile(from.d, metric, inner, ids));
      else {
        const second = random() < 0.5 ? inner : other.slice(to.at, to.end);
        insert(from.at, from.end, refineFile(from.d, metric, inner, second, from.ntotal, pick(random, [1, 4, 1000])));
      }
      return { story: `${from.fourcc} at ${from.at} is wrapped`, bytes };
    }
    default: {
      const fourcc = pick(random, FOURCCS);
      bytes.set(
        Array.from(fourcc, (char) => char.charCodeAt(0)),
        from.at,
      );
      return { story: `${from.fourcc} at ${from.at} is called ${fourcc}`, bytes };
    }
  }
  return { story: "nothing", bytes };
}

function valueOf(view: DataView, { at, end }: Field): bigint {
  return end - at === 8 ? view.getBigInt64(at, true) : BigInt(view.getInt32(at, true));
}

function write(view: DataView, { at, end }: Field, value: bigint): void {
  if (end - at === 8) view.setBigInt64(at, value, true);
  else view.setInt32(at, Number(BigInt.asIntN(32, value)), true);
}

/** Gives a field another value, and says which. */
function change(random: Random, view: DataView, field: Field): string {
  const { kind, at, end } = field;
  const put = (bytes: Uint8Array): void =>
    bytes.subarray(0, end - at).forEach((byte, i) => view.setUint8(at + i, byte));
  switch (kind) {
    case "u8":
    case "bool": {
      const value = pick(random, [0, 1, 2, 127, 255]);
      view.setUint8(at, value);
      return String(value);
    }
    case "f32": {
      const value = pick(random, FLOATS);
      view.setFloat32(at, value, true);
      return String(value);
    }
    case "i32":
    case "i64":
    case "count":
    case "vectorCount": {
      const value = random() < 0.4 ? valueOf(view, field) + pick(random, [-1n, 1n]) : pick(random, [...SIZES, ...WIDE]);
      write(view, field, value);
      return String(value);
    }
    default: {
      const value = pick(random, [...SIZES, ...WIDE]);
      put(random() < 0.5 ? i64(value) : i32(Number(BigInt.asIntN(32, value))));
      return `begun with ${value}`;
    }
  }
}
