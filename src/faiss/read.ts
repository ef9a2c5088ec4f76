import type { FileCodec, IdType, Index, ReadOptions } from "../api.js";
import { what } from "../checks.js";
import { CellistError, fail, noArray } from "../errors.js";
import { Reader } from "../format/reader.js";
import { mangled, openIndexFile } from "../format/identify.js";
import type { Bytes } from "../format/source.js";
import { ListIndex } from "../indexes/list-index.js";
import type { IndexNode } from "../indexes/node.js";
import { readWork } from "../handle/options.js";
import { VectorIndex } from "../handle/vector-index.js";
import type { Origin } from "../handle/vector-index.js";
import { Pace, throwIfAborted } from "../work/pace.js";
import { Engine } from "../wasm/engine.js";
import { KINDS, knownKinds } from "./kinds.js";
import { unbuilt } from "./unbuilt.js";

/** What voice files begin with: they are read by a codec of another entry. */
const VOICE = "\x89CEL";
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
  const index: Index<IdType> = await read(source, options, false).catch(noArray);
  return index;
}

/** @internal What a file says of an index, as one whose vectors are all 0: it takes no more memory than that. */
export async function skimIndex(source: Bytes, options: ReadOptions = {}): Promise<VectorIndex> {
  return read(source, { ...options, bounds: false }, true).catch(noArray);
}

async function read(source: Bytes, options: ReadOptions, skims: boolean): Promise<VectorIndex> {
  const work = readWork(options);
  throwIfAborted(work.signal);
  const pace = new Pace(work);
  const { source: bytes, head } = await openIndexFile(source, options.bytes, pace);
  try {
    const engine = new Engine(options);
    const reader = new Reader(bytes, pace, undefined, skims);
    const fourcc = await reader.fourcc("fourcc");
    const codec = codecsOf(options).find(({ fourccs }) => fourccs.includes(fourcc));
    const { node, origin } =
      codec === undefined
        ? { node: await readNode(reader, engine, 0, fourcc), origin: undefined }
        : await codec.read(reader, engine, pace, options);
    await reader.finish();
    warnIfEmpty(node, engine);
    return new VectorIndex(node, origin);
  } catch (error) {
    const reason = error instanceof CellistError && error.code === "ERR_FORMAT" ? mangled(head) : undefined;
    if (reason !== undefined) fail("ERR_FORMAT", reason);
    throw error;
  } finally {
    bytes.close();
  }
}

/** A codec as it is: it reads what follows its fourcc. */
export interface ReadingCodec extends FileCodec {
  read(
    reader: Reader,
    engine: Engine,
    pace: Pace,
    options: ReadOptions,
  ): Promise<{ node: IndexNode; origin: Origin | undefined }>;
}

/** The codecs that are given. ERR_PARAMETER for what is none. */
function codecsOf({ codecs }: ReadOptions): readonly ReadingCodec[] {
  if (codecs === undefined) return [];
  for (const codec of Array.isArray(codecs) ? (codecs as unknown[]) : [codecs]) {
    if (typeof (codec as Partial<ReadingCodec> | null)?.read !== "function")
      fail("ERR_PARAMETER", `codecs is ${what(codecs)}: give an array of codecs, such as [voiceCodec]`);
  }
  return codecs as readonly ReadingCodec[];
}

/** Reads an index from behind its fourcc on; `depth` is that of its nesting. */
export async function readNode(reader: Reader, engine: Engine, depth: number, fourcc: string): Promise<IndexNode> {
  if (depth > MAX_DEPTH) reader.wrong("index", 0, `is nested more than ${MAX_DEPTH} levels deep`);
  const nested = async (r: Reader, e: Engine): Promise<IndexNode> => {
    const inner = await r.fourcc("fourcc");
    const read = (): Promise<IndexNode> => readNode(r, e, depth + 1, inner);
    // Through an IDMap queries reach the lists as they are, and what re-ranks looks at single rows; all else wants the whole.
    if (r.deferral === undefined || IDMAPS.has(fourcc) || r.deferral.rows) return read();
    return r.deferral.whole(read);
  };
  const kind = KINDS.find(({ fourccs }) => fourccs.includes(fourcc));
  if (kind !== undefined) return kind.read(reader, engine, fourcc, nested);
  const known = unbuilt(fourcc);
  if (known !== undefined) {
    const instead = `make one of these of its vectors, in faiss or here: ${knownKinds()}`;
    fail(
      "ERR_UNSUPPORTED",
      `the file is a faiss index of the kind "${fourcc}" (${known}), which is not built here: ${instead}`,
    );
  }
  if (fourcc === VOICE)
    fail(
      "ERR_UNSUPPORTED",
      `the file is a voice file of cellist: readIndex(file, { codecs: [voiceCodec] }) reads it, voiceCodec being of "cellist/rvc"`,
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
