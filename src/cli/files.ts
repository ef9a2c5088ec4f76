import { constants, createReadStream, openSync } from "node:fs";
import { open, readdir, stat } from "node:fs/promises";
import { Socket } from "node:net";
import { basename, join } from "node:path";
import type { IdType, Index, Metric } from "../api.js";
import { voiceCodec } from "../codec/voice-codec.js";
import { FOURCC, headBytes, MAX_LAYERS, readHead } from "../codec/head.js";
import type { Head } from "../codec/head.js";
import { CellistError } from "../errors.js";
import { indexFactory, readIndex, skimIndex } from "../open.js";
import { openNpy } from "../format/npy.js";
import type { ByteSource, Bytes } from "../format/source.js";
import { openSource } from "../format/unreadable.js";
import { VectorIndex } from "../handle/vector-index.js";
import type { Slice } from "../rvc/slices.js";
import { Pace } from "../work/pace.js";
import { InputError } from "./run.js";
import type { Watch } from "./run.js";

/** Bytes that a file is read by: with less, the calls take more time than the bytes (measured: 64 kB 184 ms, 1 MB 158 ms). */
const CHUNK = 1 << 20;
/** What is read after a leap: what is between two leaps may be a few numbers. */
const LEAP_CHUNK = 1 << 12;
/** What stands for stdin where a file is asked for. */
const STDIN = "-";

/** What the codes of the system mean to the person who typed the path. */
const REASONS: Record<string, string> = {
  EACCES: "you have no permission",
  EPERM: "you have no permission",
  EEXIST: "a file is where a folder is to be",
  EISDIR: "it is a folder, not a file",
  ELOOP: "its symbolic links lead in a circle",
  ENOENT: "there is no such file or folder",
  ENOSPC: "the disk is full",
  ENOTDIR: "it is no folder",
  EROFS: "the disk is read-only",
};

/** The system's error on a path, as one plain line; any other error stays what it is. */
export function pathError(doing: string, path: string, error: unknown): unknown {
  if (!(error instanceof Error && "code" in error && typeof error.code === "string")) return error;
  if (error instanceof CellistError) return new CellistError(error.code, `${titleOf(path)}: ${error.message}`);
  return new InputError(`can't ${doing} ${titleOf(path)}: ${REASONS[error.code] ?? error.message}`);
}

/** What a path is called in a sentence. */
export function titleOf(path: string): string {
  return path === STDIN ? "stdin" : path;
}

/** A file's bytes as they come: it is never in memory as a whole. Ends with the signal, also where nobody writes to a pipe. */
async function openFile(path: string, signal: AbortSignal): Promise<ByteSource> {
  if (path === STDIN) return streamed(process.stdin, signal);
  const stats = await stat(path);
  // A pipe is opened without waiting for who writes to it: that wait can't be ended by anything but a writer.
  if (stats.isFIFO()) {
    // Not by a FileHandle, which would close it under the reader once it is garbage.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    return streamed(new Socket({ fd, readable: true, writable: false }), signal);
  }
  if (!stats.isFile()) return streamed(createReadStream(path), signal);

  const file = await open(path);
  let at = 0;
  let most = CHUNK;
  return {
    total: stats.size,
    expected: stats.size,
    next: async () => {
      const { buffer, bytesRead } = await file.read(new Uint8Array(Math.min(most, Math.max(1, stats.size - at))), {
        position: at,
      });
      at += bytesRead;
      most = Math.min(CHUNK, most * 4);
      return bytesRead === 0 ? undefined : buffer.subarray(0, bytesRead);
    },
    skip: (bytes) => {
      at += bytes;
      if (bytes > 0) most = LEAP_CHUNK;
    },
    close: () => void file.close().catch(() => undefined),
  };
}

function streamed(stream: NodeJS.ReadableStream & { destroy(): unknown }, signal: AbortSignal): ByteSource {
  const source = openSource(stream as unknown as Bytes);
  const stop = (): void => void stream.destroy();
  signal.addEventListener("abort", stop);
  return {
    ...source,
    close: () => {
      signal.removeEventListener("abort", stop);
      stop();
    },
  };
}

/** Opens an index, and says how many bytes its file has: none of a stream. */
export async function openIndex(path: string, watch: Watch): Promise<{ index: VectorIndex; bytes: number }> {
  return opened(path, watch, (source, options) => readIndex(source, { ...options, codecs: [voiceCodec] }));
}

/** Opens what a file says of an index: its vectors are not read. */
export async function openOutline(path: string, watch: Watch): Promise<{ index: VectorIndex; bytes: number }> {
  return opened(path, watch, (source, options) => skimIndex(source, { ...options, codecs: [voiceCodec] }));
}

/**
 * What the head of a voice file says, and the bytes of the file: nothing behind it is read. Undefined for any other file, and for a stream,
 * which can't be begun again.
 */
export async function openVoiceHead(path: string): Promise<{ head: Head; bytes: number } | undefined> {
  if (path === STDIN) return undefined;
  const stats = await stat(path).catch(() => undefined);
  if (stats?.isFile() !== true) return undefined;
  try {
    const file = await open(path);
    try {
      const { buffer, bytesRead } = await file.read(new Uint8Array(headBytes(MAX_LAYERS)), { position: 0 });
      const bytes = buffer.subarray(0, bytesRead);
      if (Array.from({ length: 4 }, (_, i) => bytes[i]).some((byte, i) => byte !== FOURCC.charCodeAt(i)))
        return undefined;
      return { head: readHead(bytes), bytes: stats.size };
    } finally {
      await file.close();
    }
  } catch (error) {
    throw pathError("read", path, error);
  }
}

async function opened(
  path: string,
  watch: Watch,
  read: (source: Bytes, watch: Watch) => Promise<Index<IdType>>,
): Promise<{ index: VectorIndex; bytes: number }> {
  try {
    const source = await openFile(path, watch.signal);
    let { total: bytes } = source;
    const onProgress: Watch["onProgress"] = (progress) => {
      if (source.total === Infinity) bytes = progress.done;
      watch.onProgress(progress);
    };
    const index = await read(source as unknown as Bytes, { ...watch, onProgress });
    if (!(index instanceof VectorIndex)) throw new Error("an index that was read is a VectorIndex");
    return { index, bytes };
  } catch (error) {
    watch.signal.throwIfAborted();
    throw pathError("read", path, error);
  }
}

/** An empty index from a description. */
export async function newIndex(d: number, description: string, metric: Metric, watch: Watch): Promise<VectorIndex> {
  const index = await indexFactory(d, description, metric, { onWarning: watch.onWarning });
  if (!(index instanceof VectorIndex)) throw new Error("an index that was made is a VectorIndex");
  return index;
}

/** The shape of an `.npy` file, and its numbers unless `check` throws for the shape. */
export async function readNpy(
  path: string,
  watch: Watch,
  check: (shape: readonly number[]) => void,
): Promise<{ shape: number[]; rows: Float32Array<ArrayBuffer> }> {
  try {
    const source = await openFile(path, watch.signal);
    try {
      const npy = await openNpy(titleOf(path), source, new Pace(watch));
      check(npy.shape);
      return { shape: npy.shape, rows: await npy.floats() };
    } finally {
      source.close();
    }
  } catch (error) {
    watch.signal.throwIfAborted();
    // Its sentences begin with the path.
    throw error instanceof CellistError ? error : pathError("read", path, error);
  }
}

/** The shape of an `.npy` file. */
export async function readShape(path: string, watch: Watch): Promise<readonly number[]> {
  try {
    const source = await openFile(path, watch.signal);
    try {
      return (await openNpy(titleOf(path), source, new Pace(watch))).shape;
    } finally {
      source.close();
    }
  } catch (error) {
    throw error instanceof CellistError ? error : pathError("read", path, error);
  }
}

/** A slice of a voice, for buildVoiceIndex. */
export async function openSlice(path: string, watch: Watch): Promise<Slice> {
  try {
    return { name: basename(path), data: (await openFile(path, watch.signal)) as unknown as Bytes };
  } catch (error) {
    throw pathError("read", path, error);
  }
}

/** The vectors of an `.npy` file, [n, d], or one of [d]: an InputError for any other shape. */
export function readVectors(
  path: string,
  d: number,
  watch: Watch,
): Promise<{ shape: number[]; rows: Float32Array<ArrayBuffer> }> {
  return readNpy(path, watch, (shape) => {
    if (shape.length < 1 || shape.length > 2 || shape.at(-1) !== d) {
      throw new InputError(
        `${titleOf(path)} has the shape [${shape.join(", ")}], and vectors of the index have ${d} dimensions: give [n, ${d}]`,
      );
    }
  });
}

/**
 * The `.npy` files that paths stand for: themselves, and those of folders, sorted by name. An InputError where there are none. A
 * `total_fea.npy` beside other files holds the rows of all of them again (RVC saves it), and is left out.
 */
export async function listNpy(paths: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const path of paths) {
    let names: string[];
    try {
      if (!(await stat(path)).isDirectory()) {
        files.push(path);
        continue;
      }
      names = await readdir(path);
    } catch (error) {
      throw pathError("read", path, error);
    }
    // Names with a dot are hidden: macOS leaves a "._x.npy" beside each file on a foreign disk.
    const all = names.filter((name) => /\.npy$/i.test(name) && !name.startsWith(".")).sort();
    const slices = all.filter((name) => name !== "total_fea.npy");
    if (all.length === 0) {
      const features = names.find((name) => /^\d_feature\d+$/.test(name));
      const instead = features === undefined ? "extract the features first" : `give ${join(path, features)}`;
      throw new InputError(`${path} has no .npy files: ${instead}`);
    }
    files.push(...(slices.length > 0 ? slices : all).map((name) => join(path, name)));
  }
  return files;
}
