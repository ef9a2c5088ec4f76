import type { FileCodec, ReadOptions } from "../api.js";
import { what } from "../checks.js";
import { CellistError, fail, noArray } from "../errors.js";
import { Reader } from "../format/reader.js";
import { openIndexFile } from "../format/index-file.js";
import type { Others } from "../format/index-file.js";
import type { Bytes } from "../format/source.js";
import { ListIndex } from "../indexes/list-index.js";
import type { IndexNode } from "../indexes/node.js";
import { readWork } from "../handle/options.js";
import { VectorIndex } from "../handle/vector-index.js";
import type { Origin } from "../handle/vector-index.js";
import { Pace, throwIfAborted } from "../work/pace.js";
import { Engine } from "../wasm/engine.js";
import { KINDS } from "./kinds.js";
import { restOf, withRelaxed } from "./rest.js";
import type { LoadRest } from "./rest.js";

/** What voice files begin with: they are read by a codec of another entry. */
const VOICE = "\x89CEL";
/** Indexes around another one that only give its vectors ids. */
const IDMAPS = new Set(["IxMp", "IxM2"]);
/** faiss 1.15 nests no deeper. */
const MAX_DEPTH = 50;

/**
 * Reads a file, as readIndex does.
 *
 * @param load gives what the core has not, where the options don't
 * @param skims for what the file says of the index only: its vectors are all 0 then and take no memory
 */
export async function openIndex(
  source: Bytes,
  options: ReadOptions,
  load: LoadRest,
  skims = false,
): Promise<VectorIndex> {
  return read(source, options, load, skims).catch(noArray);
}

async function read(source: Bytes, options: ReadOptions, load: LoadRest, skims: boolean): Promise<VectorIndex> {
  const work = readWork(options);
  const rest = restOf(options, load);
  const codecs = codecsOf(options);
  throwIfAborted(work.signal);
  const pace = new Pace(work);
  // Without it a wrong file is one that begins with no fourcc.
  const others = async (): Promise<Others | undefined> =>
    rest("a file that is no index").then(
      (more) => more.others,
      () => undefined,
    );
  const { source: bytes, head } = await openIndexFile(source, options.bytes, pace, async (beginning) => {
    const fourcc = String.fromCharCode(...beginning.subarray(0, 4));
    return codecs.some(({ fourccs }) => fourccs.includes(fourcc)) ? undefined : others();
  });
  try {
    const engine = new Engine(await withRelaxed(options, rest));
    const reader = new Reader(bytes, pace, undefined, skims);
    const fourcc = await reader.fourcc("fourcc");
    const codec = codecs.find(({ fourccs }) => fourccs.includes(fourcc));
    const { node, origin } =
      codec === undefined
        ? { node: await readNode(reader, engine, 0, fourcc, rest), origin: undefined }
        : await codec.read(reader, engine, pace, options);
    await reader.finish();
    warnIfEmpty(node, engine);
    return new VectorIndex(node, origin);
  } catch (error) {
    const damaged = error instanceof CellistError && error.code === "ERR_FORMAT";
    const reason = damaged ? (await others())?.mangled(head) : undefined;
    if (reason !== undefined) fail("ERR_FORMAT", reason);
    throw error;
  } finally {
    bytes.close();
  }
}

/** @internal A codec as it is: it reads what follows its fourcc. */
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

/** @internal Reads an index from behind its fourcc on; `depth` is that of its nesting, `load` gives what the core has not. */
export async function readNode(
  reader: Reader,
  engine: Engine,
  depth: number,
  fourcc: string,
  load: LoadRest,
): Promise<IndexNode> {
  if (depth > MAX_DEPTH) reader.wrong("index", 0, `is nested more than ${MAX_DEPTH} levels deep`);
  const nested = async (r: Reader, e: Engine): Promise<IndexNode> => {
    const inner = await r.fourcc("fourcc");
    const read = (): Promise<IndexNode> => readNode(r, e, depth + 1, inner, load);
    // Through an IDMap queries reach the lists as they are, and what re-ranks looks at single rows; all else wants the whole.
    if (r.deferral === undefined || IDMAPS.has(fourcc) || r.deferral.rows) return read();
    return r.deferral.whole(read);
  };
  const own = KINDS.find(({ fourccs }) => fourccs.includes(fourcc));
  if (own !== undefined) return own.read(reader, engine, fourcc, nested);
  if (fourcc === VOICE)
    fail(
      "ERR_UNSUPPORTED",
      `the file is a voice file of cellist: readIndex(file, { codecs: [voiceCodec] }) reads it, voiceCodec being of "cellist/rvc"`,
    );
  if (/^[INn]\w{3}$/.test(fourcc)) {
    const more = await load(`"${fourcc}"`);
    const kind = more.kinds.find(({ fourccs }) => fourccs.includes(fourcc));
    if (kind !== undefined) return kind.read(reader, engine, fourcc, nested);
    more.refuse(fourcc);
  }
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
