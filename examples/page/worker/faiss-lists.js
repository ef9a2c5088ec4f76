/**
 * The cells of an `IVF…,Flat` file, read where they stand in it: the centroids, and which frames each list holds. A faiss file has no
 * padding and no index of its own; what is skipped here is the frames.
 */

const HEADER = 37; // fourcc, d, ntotal, two unused numbers, is_trained, metric
const ID = 8;

/**
 * @param {Blob} file
 * @returns {Promise<{ nlist: number, d: number, centroids: Float32Array, lists: number[][] } | undefined>} the ids of each list;
 *   undefined for any other kind of index
 */
export async function readLists(file) {
  const take = fields(file);
  const head = await take(HEADER + 16);
  if (fourcc(head, 0) !== "IwFl") return undefined;
  const d = head.getInt32(4, true);
  const nlist = size(head, HEADER);
  const coarse = await take(HEADER + 8);
  if (!["IxF2", "IxFI"].includes(fourcc(coarse, 0)) || size(coarse, HEADER) !== nlist * d) return undefined;
  const centroids = new Float32Array((await take(nlist * d * 4)).buffer);
  const map = await take(9);
  take.skip(size(map, 1) * 8);
  if (map.getUint8(0) === 2) take.skip(size(await take(8), 0) * 16);
  const kind = await take(24);
  if (fourcc(kind, 0) !== "ilar") return undefined;
  const sparse = fourcc(kind, 20) === "sprs";
  const counts = await take(size(await take(8), 0) * 8);
  const sizes = new Array(nlist).fill(0);
  for (let i = 0; i < counts.byteLength / 8; i += sparse ? 2 : 1) {
    if (sparse) sizes[size(counts, i * 8)] = size(counts, (i + 1) * 8);
    else sizes[i] = size(counts, i * 8);
  }
  const lists = [];
  for (const count of sizes) {
    take.skip(count * d * 4);
    const ids = count === 0 ? undefined : await take(count * ID);
    lists.push(Array.from({ length: count }, (_, i) => size(ids, i * ID)));
  }
  return { nlist, d, centroids, lists };
}

/** Reads one piece of a file after the other, a stretch of it at a time. */
function fields(file) {
  const STRETCH = 1 << 22;
  let at = 0;
  let stretch = new ArrayBuffer(0);
  let from = 0;
  const take = async (bytes) => {
    if (at < from || at + bytes > from + stretch.byteLength) {
      stretch = await file.slice(at, at + Math.max(bytes, STRETCH)).arrayBuffer();
      from = at;
    }
    const part = stretch.slice(at - from, at - from + bytes);
    at += bytes;
    return new DataView(part);
  };
  take.skip = (bytes) => (at += bytes);
  return take;
}

function fourcc(view, at) {
  return String.fromCharCode(...[0, 1, 2, 3].map((i) => view.getUint8(at + i)));
}

/** A 64-bit number that a file of this size can't have beyond what a double holds. */
function size(view, at) {
  return Number(view.getBigInt64(at, true));
}
