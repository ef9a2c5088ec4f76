import type { IdType, Index, ReadOptions } from "../api.js";
import { CellistError, fail, noArray } from "../errors.js";
import { Reader } from "../format/reader.js";
import { mangled, openIndexFile } from "../format/identify.js";
import type { Bytes } from "../format/source.js";
import { ListIndex } from "../indexes/list-index.js";
import type { IndexNode } from "../indexes/node.js";
import { readWork } from "../handle/options.js";
import { VectorIndex } from "../handle/vector-index.js";
import { Pace, throwIfAborted } from "../work/pace.js";
import { Engine } from "../wasm/engine.js";
import { KINDS, UNBUILT } from "./kinds.js";

/** Indexes around another one that only give its vectors ids. */
const IDMAPS = new Set(["IxMp", "IxM2"]);
/** faiss 1.15 nests no deeper. */
const MAX_DEPTH = 50;

/**
 * Opens a faiss file, from bytes that are there or as they come: a response is never held twice.
 *
 * @example
 *   const voice = await readIndex(await fetch("alice.index"));
 *   const wide = await readIndex<"int64">(bytes); // a file whose ids are known to need more than 32 bits
 *
 * @param source the file: Uint8Array, ArrayBuffer, Blob, Response, ReadableStream, or chunks, async or not. Bytes are read where they
 *   are, without a copy: leave them alone until the promise has resolved
 * @param options as for indexFactory; `signal` and `onProgress` watch the reading
 * @returns the index; rejects with ERR_FORMAT, which names the field and the offset, ERR_UNSUPPORTED, ERR_MEMORY, or the signal's
 *   reason. Bytes behind the index are left alone, as in faiss.
 */
export async function readIndex<I extends IdType = "int32">(
  source: Bytes,
  options: ReadOptions = {},
): Promise<Index<I>> {
  return read(source, options).catch(noArray);
}

async function read(source: Bytes, options: ReadOptions): Promise<VectorIndex> {
  const work = readWork(options);
  throwIfAborted(work.signal);
  const pace = new Pace(work);
  const { source: bytes, head } = await openIndexFile(source, options.bytes, pace);
  try {
    const engine = new Engine(options);
    const reader = new Reader(bytes, pace);
    const node = await readNode(reader, engine, 0);
    await reader.finish();
    warnIfEmpty(node, engine);
    return new VectorIndex(node);
  } catch (error) {
    const reason = error instanceof CellistError && error.code === "ERR_FORMAT" ? mangled(head) : undefined;
    if (reason !== undefined) fail("ERR_FORMAT", reason);
    throw error;
  } finally {
    bytes.close();
  }
}

/** Reads an index from its fourcc on; `depth` is that of its nesting. */
export async function readNode(reader: Reader, engine: Engine, depth: number): Promise<IndexNode> {
  if (depth > MAX_DEPTH) reader.wrong("index", 0, `is nested more than ${MAX_DEPTH} levels deep`);
  const fourcc = await reader.fourcc("fourcc");
  const nested = (r: Reader, e: Engine): Promise<IndexNode> => {
    const read = (): Promise<IndexNode> => readNode(r, e, depth + 1);
    // Through an IDMap queries reach the lists as they are, and what re-ranks looks at single rows; all else wants the whole.
    if (r.deferral === undefined || IDMAPS.has(fourcc) || r.deferral.rows) return read();
    return r.deferral.whole(read);
  };
  const kind = KINDS.find(({ fourccs }) => fourccs.includes(fourcc));
  if (kind !== undefined) return kind.read(reader, engine, fourcc, nested);
  if (fourcc in UNBUILT)
    fail(
      "ERR_UNSUPPORTED",
      `the file is a faiss index of the kind "${fourcc}" (${UNBUILT[fourcc]}), not built here yet`,
    );
  return reader.wrong("fourcc", 4, `is ${JSON.stringify(fourcc)}, which is no index type`);
}

/** RVC writes two files for a voice, and people pick the wrong one. */
function warnIfEmpty(node: IndexNode, engine: Engine): void {
  if (node instanceof ListIndex && node.coarse !== undefined && node.isTrained && node.ntotal === 0) {
    engine.warn(
      "WARN_EMPTY",
      `the file is trained but holds no vectors. RVC writes two files for a voice: this is the "trained_…" one; open the "added_…" one`,
    );
  }
}
