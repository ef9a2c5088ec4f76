// Files as faiss writes them, put together field by field from the description of the format: nothing of src/ is used, so that an
// index may be in any state that a file can say, and what the library writes can be held against it.

import type { Metric } from "../src/index.js";

/** One inverted list: its ids and its rows, one after the other. */
export interface List {
  ids: readonly (number | bigint)[];
  rows: Float32Array;
}

/** What an `IVF…,Flat` file says. */
export interface IvfFile {
  d: number;
  metric: Metric;
  nprobe: number;
  /** The coarse quantizer: a file of nlist vectors. */
  coarse: Uint8Array;
  lists: readonly List[];
  /** Default: what the lists hold. */
  ntotal?: number;
  trained?: boolean;
  /** Default: none. */
  directMap?: Uint8Array;
}

export function u8(...values: number[]): Uint8Array {
  return Uint8Array.from(values);
}

export function i32(value: number): Uint8Array {
  return new Uint8Array(Int32Array.of(value).buffer);
}

export function i64(...values: (number | bigint)[]): Uint8Array {
  return new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
}

export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** The bytes of an array's items. */
export function raw(items: Float32Array): Uint8Array {
  return new Uint8Array(items.buffer, items.byteOffset, items.byteLength);
}

export function concat(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

/** Bytes of what every index starts with: fourcc, d, ntotal, two numbers without a meaning, is_trained, metric. */
export const HEADER_BYTES = 4 + 4 + 3 * 8 + 1 + 4;

export function header(fourcc: string, d: number, ntotal: number, metric: Metric, trained = true): Uint8Array {
  return concat(ascii(fourcc), i32(d), i64(ntotal, 1 << 20, 1 << 20), u8(trained ? 1 : 0), i32(metric));
}

export function flatFile(d: number, metric: Metric, rows: Float32Array): Uint8Array<ArrayBuffer> {
  const fourcc = metric === 1 ? "IxF2" : "IxFI";
  return concat(header(fourcc, d, rows.length / d, metric), i64(rows.length), raw(rows));
}

export function ivfFile(file: IvfFile): Uint8Array<ArrayBuffer> {
  const { d, metric, nprobe, coarse, lists, trained = true } = file;
  const sizes = lists.map(({ ids }) => ids.length);
  const count = sizes.reduce((sum, size) => sum + size, 0);
  const filled = sizes.filter((size) => size > 0).length;
  const full = filled > Math.floor(sizes.length / 2);
  const table = full ? sizes : sizes.flatMap((size, list) => (size > 0 ? [list, size] : []));
  return concat(
    header("IwFl", d, file.ntotal ?? count, metric, trained),
    i64(lists.length, nprobe),
    coarse,
    file.directMap ?? concat(u8(0), i64(0)),
    ascii("ilar"),
    i64(lists.length, d * 4),
    ascii(full ? "full" : "sprs"),
    i64(table.length, ...table),
    ...lists.flatMap(({ ids, rows }) => [raw(rows), i64(...ids)]),
  );
}

export function idMapFile(
  d: number,
  metric: Metric,
  base: Uint8Array,
  ids: readonly (number | bigint)[],
): Uint8Array<ArrayBuffer> {
  return concat(header("IxMp", d, ids.length, metric), base, i64(ids.length, ...ids));
}

export function refineFile(
  d: number,
  metric: Metric,
  base: Uint8Array,
  refine: Uint8Array,
  ntotal: number,
  kFactor = 1,
): Uint8Array<ArrayBuffer> {
  return concat(header("IxRF", d, ntotal, metric), base, refine, raw(Float32Array.of(kFactor)));
}
