import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

import { indexFactory, METRIC_L2, readIndex } from "../src/index.js";
import { ascii, concat, i32, i64 } from "./files.js";
import { goldenFolder } from "./golden.js";
import { oldSignBlocks, oldSignLists } from "./old-sign-files.js";
import { randomOf, uniform } from "./random.js";

// Files of faiss' first versions, files that faiss made wrong, and files of what is not built.

const golden = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(`${name}.index`, goldenFolder)));
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

/** Cuts an IVF file without a direct map at its lists: what comes before the map, what comes between, codes and ids of each list. */
function cutOf(
  bytes: Uint8Array,
  rowBytes: number,
): { head: Uint8Array; body: Uint8Array; lists: { codes: Uint8Array; ids: Uint8Array }[] } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = text(bytes).lastIndexOf("ilar");
  expect(text(bytes).slice(at + 20, at + 24)).toBe("full");
  const nlist = Number(view.getBigInt64(at + 4, true));
  let next = at + 32 + nlist * 8;
  const lists = Array.from({ length: nlist }, (_, list) => {
    const size = Number(view.getBigInt64(at + 32 + list * 8, true));
    const codes = bytes.subarray(next, (next += size * rowBytes));
    return { codes, ids: bytes.subarray(next, (next += size * 8)) };
  });
  // The map: its kind, 0, and an empty array; the coarse quantizer, a flat, ends before it.
  const coarse = text(bytes).indexOf("IxF2") + 37;
  const map = coarse + 8 + Number(view.getBigInt64(coarse, true)) * 4;
  expect([...bytes.subarray(map, map + 9)]).toEqual(new Array(9).fill(0));
  return { head: bytes.subarray(4, map), body: bytes.subarray(map + 9, at), lists };
}

/** The same index as the first versions of faiss wrote it. */
function oldOf(fourcc: string, bytes: Uint8Array, rowBytes: number, itemBytes: number): Uint8Array {
  const { head, body, lists } = cutOf(bytes, rowBytes);
  const ids = lists.map(({ ids }) => concat(i64(ids.length / 8), ids));
  const codes = lists.map(({ codes }) => concat(i64(codes.length / itemBytes), codes));
  return concat(ascii(fourcc), head, ...ids, new Uint8Array(9), body, ...codes);
}

describe("files of faiss' first versions", () => {
  test.each([
    ["IvFl", "ivf_flat_l2", 64 * 4, 4],
    ["IvFL", "ivf_flat_l2", 64 * 4, 1],
    ["IvPQ", "ivf_pq16x8_l2", 16, 1],
  ])("%s of %s is written anew as faiss does today", async (fourcc, name, rowBytes, itemBytes) => {
    const bytes = golden(name);
    const old = oldOf(fourcc, bytes, rowBytes, itemBytes);
    expect(Buffer.compare((await readIndex(old)).toBytes(), bytes)).toBe(0);
    // Cut anywhere near the lists, it says what is missing.
    for (const cut of [1, 100, 5000]) {
      await expect(readIndex(old.subarray(0, old.length - cut))).rejects.toThrow(/codes of/);
    }
  });

  test("IwSQ and IvSQ have codes of residuals without saying so", async () => {
    const bytes = golden("ivf_sq8_l2");
    const { head, body, lists } = cutOf(bytes, 64);
    const said = body.subarray(0, -1);
    const at = text(bytes).lastIndexOf("ilar");
    const newer = concat(ascii("IwSQ"), head, new Uint8Array(9), said, bytes.subarray(at));
    expect(Buffer.compare((await readIndex(newer)).toBytes(), bytes)).toBe(0);
    const ids = lists.map(({ ids }) => concat(i64(ids.length / 8), ids));
    const codes = lists.map(({ codes }) => concat(i64(codes.length), codes));
    const older = concat(ascii("IvSQ"), head, ...ids, new Uint8Array(9), said, ...codes);
    expect(Buffer.compare((await readIndex(older)).toBytes(), bytes)).toBe(0);
  });

  test("IxPQ and IxPo are of L2, whatever they say", async () => {
    const bytes = golden("pq16x8_l2");
    for (const [fourcc, end] of [
      ["IxPQ", bytes.length - 9],
      ["IxPo", bytes.length],
    ] as const) {
      const old = concat(ascii(fourcc), bytes.subarray(4, end));
      // Inner product, as old versions had it.
      old.set(i32(0), 33);
      const index = await readIndex(old);
      expect([index.metric, index.description]).toEqual([METRIC_L2, "PQ16"]);
      expect(Buffer.compare(index.toBytes(), bytes)).toBe(0);
    }
  });
});

describe("RaBitQfs as the first faiss wrote it, with what follows the signs apart", () => {
  test.each(["rabitqfs_l2", "rabitqfs_ip", "rabitqfs3_l2", "rabitqfs3_ip"])("Irfs of %s", async (name) => {
    const bytes = golden(name);
    expect(Buffer.compare((await readIndex(oldSignBlocks(bytes))).toBytes(), bytes)).toBe(0);
    for (const [ids, more] of [
      [0, 0],
      [199, 0],
      [199, 3],
    ])
      await expect(readIndex(oldSignBlocks(bytes, ids, more))).rejects.toThrow(/flat_storage at offset/);
  });

  test.each(["ivf_rabitqfs_l2", "ivf_rabitqfs_ip", "ivf_rabitqfs4_64_l2", "ivf_rabitqfs4_64_ip"])(
    "Iwrf of %s",
    async (name) => {
      const bytes = golden(name);
      const old = oldSignLists(bytes);
      expect(Buffer.compare((await readIndex(old)).toBytes(), bytes)).toBe(0);
      // An id for which there are no factors.
      old.set(i64(200), text(old).lastIndexOf("ilbl") + 36 + 8);
      await expect(readIndex(old)).rejects.toThrow(/has the id 200, for which there are no factors/);
    },
  );
});

describe("an IDMap over an IVF from which faiss removed vectors", () => {
  /** Removes from the IVF alone, and from the list of ids: what faiss' remove_ids leaves. */
  async function removed(two: boolean): Promise<{ bytes: Uint8Array; rows: Float32Array; ids: number[] }> {
    const [n, d] = [60, 4];
    const rows = uniform(randomOf(3), n * d);
    const inner = await indexFactory(d, "IVF4,Flat");
    await inner.train(rows);
    await inner.add(rows);
    inner.set("nprobe=4");
    const gone = [3, 4, 17, 59];
    inner.removeIds(gone);
    const ids = Array.from({ length: n }, (_, i) => 1000 + 7 * i).filter((_, i) => !gone.includes(i));
    const bytes = inner.toBytes();
    const header = concat(i32(d), i64(ids.length, 1 << 20, 1 << 20), new Uint8Array([1]), i32(1));
    const fourcc = ascii(two ? "IxM2" : "IxMp");
    return { bytes: concat(fourcc, header, bytes, i64(ids.length), i64(...ids)), rows, ids };
  }

  test.each([false, true])("is put right by the order of its labels (IDMap2: %s)", async (two) => {
    const { bytes, rows, ids } = await removed(two);
    const codes: string[] = [];
    const index = await readIndex(bytes, { onWarning: ({ code }) => codes.push(code) });
    expect(codes).toEqual(["WARN_IDS"]);
    for (const id of ids) {
      const row = rows.subarray(((id - 1000) / 7) * 4, ((id - 1000) / 7) * 4 + 4);
      expect(index.search(row, 1).labels[0]).toBe(id);
      expect(index.reconstruct(id)).toEqual(row);
    }
    // Saved, it is as it should have been.
    const again = await readIndex(index.toBytes(), { onWarning: ({ code }) => codes.push(code) });
    expect(codes).toHaveLength(1);
    expect(again.search(rows, 3)).toEqual(index.search(rows, 3));
  });

  test("is refused where two vectors have one label, as of two that were merged", async () => {
    const { bytes } = await removed(true);
    const copy = bytes.slice();
    // The first id of the first list that has two becomes the second's.
    const at = text(copy).lastIndexOf("full");
    const sizes = new BigInt64Array(copy.slice(at + 12, at + 12 + 32).buffer);
    const ids = at + 12 + 32 + Number(sizes[0]) * 16;
    copy.copyWithin(ids, ids + 8, ids + 16);
    await expect(readIndex(copy)).rejects.toMatchObject({
      code: "ERR_UNSUPPORTED",
      message: expect.stringMatching(/merged two IDMaps/) as string,
    });
  });
});

test.each(["Pcam", "LTra", "HRot", "VNrm"])(
  "%s: a transform without an index is told from a damaged file",
  async (fourcc) => {
    const bytes = concat(ascii(fourcc), new Uint8Array(100));
    await expect(readIndex(bytes)).rejects.toThrow(/a vector transform that faiss saved by itself/);
  },
);

/** All that faiss 1.15 reads and that is not built. */
const UNBUILT =
  "IBFf IBHc IBHf IBHh IBHm IBM2 IBMp IBwF IBxF IH00 IHN2 IHNc IHc2 IHfP ILVQ ILfs INNf INSf INSp INSs IPLf IPRf IRMf IRMh IRfs ISID " +
  "ISIL ISIQ ISV2 ISVD ISVF ISVL IVLf IVRf ImRQ Imiq IwFd IwIQ IwLS IwPL IwPR IwRQ IwSh Ix2L IxHE IxHe IxLS IxLa IxPL IxPR IxRP IxRQ " +
  "IxRq NPLf NPRf null";

test.each(UNBUILT.split(" "))("%s is known by its name, and what to do instead is said", async (fourcc) => {
  const bytes = concat(ascii(fourcc), new Uint8Array(100));
  await expect(readIndex(bytes)).rejects.toMatchObject({
    code: "ERR_UNSUPPORTED",
    message: expect.stringMatching(/not built here: make one of these/) as string,
  });
});
