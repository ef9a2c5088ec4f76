import type { Metric } from "../api.js";
import type { Reader } from "../format/reader.js";
import { Coarse } from "../indexes/coarse.js";
import { DirectMap } from "../indexes/direct-map.js";
import { readHeader } from "../indexes/header.js";
import type { IvfState } from "../indexes/list-index.js";
import { hasPlacesForLabels } from "../indexes/node.js";
import type { NodeReader } from "../indexes/node.js";
import type { Engine } from "../wasm/engine.js";

/** What every IVF has in a file before its own fields. */
export interface IvfHeader extends IvfState {
  d: number;
  metric: Metric;
  coarse: Coarse;
  /** Ids of each list, in files of the first versions of faiss; else none. */
  ids: readonly BigInt64Array[];
}

/** Reads what all IVFs begin with, and checks that it fits together. The direct map is to be checked once the lists are there. */
export async function readIvfHeader(
  reader: Reader,
  engine: Engine,
  readNode: NodeReader,
  fourcc = "Iw",
): Promise<IvfHeader> {
  const header = await readHeader(reader);
  const nlist = await reader.count("nlist", 0x7fffffff);
  const nprobe = await reader.count("nprobe", 0x7fffffff);
  if (nlist === 0) reader.wrong("nlist", 16, "is 0");
  if (nprobe === 0) reader.wrong("nprobe", 8, "is 0");
  const node = await readNode(reader, engine);
  if (node.d !== header.d) reader.wrong("coarse quantizer", 0, `has d = ${node.d}, its index ${header.d}`);
  const full = node.isTrained && node.ntotal === nlist && node.stored === nlist;
  if (header.isTrained ? !full : header.ntotal !== 0 || (node.ntotal !== 0 && !full)) {
    const state = header.isTrained ? "trained" : "untrained";
    reader.wrong("coarse quantizer", 0, `has ${node.stored} of ${nlist} centroids, and the index is ${state}`);
  }
  if (!hasPlacesForLabels(node, nlist)) {
    reader.wrong("coarse quantizer", 0, `has labels that are not from 0 to ${nlist - 1}, each once`);
  }
  // Before lists had a part of their own in files, their ids stood here.
  const ids: BigInt64Array[] = [];
  for (let list = 0; fourcc.startsWith("Iv") && list < nlist; list++) {
    ids.push(await reader.i64s(`ids of list ${list}`, await reader.vectorCount(`ids of list ${list}`, 8)));
  }
  const coarse = new Coarse(node, nlist);
  coarse.sharpen();
  return { ...header, nprobe, coarse, directMap: await DirectMap.read(reader), ids };
}
