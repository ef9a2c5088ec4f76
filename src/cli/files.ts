import { createReadStream } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Index } from "../api.js";
import { CellistError } from "../errors.js";
import { readIndex } from "../faiss/read.js";
import { parseNpy } from "../rvc/npy.js";
import { InputError } from "./run.js";
import type { Watch } from "./run.js";

/** Bytes that a file is read by: with less, the calls take more time than the bytes (measured: 64 kB 184 ms, 1 MB 158 ms). */
const CHUNK = 1 << 20;

/** What the codes of the system mean to the person who typed the path. */
const REASONS: Record<string, string> = {
  EACCES: "you have no permission",
  EPERM: "you have no permission",
  EISDIR: "it is a folder, not a file",
  ENOENT: "there is no such file or folder",
  ENOSPC: "the disk is full",
  ENOTDIR: "it is no folder",
  EROFS: "the disk is read-only",
};

/** The system's error on a path, as one plain line; any other error stays what it is. */
export function pathError(doing: string, path: string, error: unknown): unknown {
  if (!(error instanceof Error && "code" in error && typeof error.code === "string")) return error;
  if (error instanceof CellistError) return new CellistError(error.code, `${path}: ${error.message}`);
  return new InputError(`can't ${doing} ${path}: ${REASONS[error.code] ?? error.message}`);
}

/** Opens an index as its bytes come from the disk: the file is never in memory beside the index. */
export async function openIndex(path: string, watch: Watch): Promise<{ index: Index; bytes: number }> {
  try {
    const { size: bytes } = await stat(path);
    const index = await readIndex(createReadStream(path, { highWaterMark: CHUNK }), {
      ...watch,
      onProgress: ({ phase, done }) => watch.onProgress({ phase, done, total: bytes }),
    });
    return { index, bytes };
  } catch (error) {
    throw pathError("read", path, error);
  }
}

/** The bytes of a file. */
export async function readBytes(path: string): Promise<Uint8Array | ArrayBuffer> {
  try {
    const bytes = await readFile(path);
    // parseNpy copies a Uint8Array, which may be a part of something, but not an ArrayBuffer.
    return bytes.buffer instanceof ArrayBuffer && bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : bytes;
  } catch (error) {
    throw pathError("read", path, error);
  }
}

/** The vectors of an `.npy` file, [n, d], or one of [d]: an InputError for any other shape. */
export async function readVectors(path: string, d: number): Promise<{ shape: number[]; rows: Float32Array }> {
  const { shape, rows } = await parseNpy(path, await readBytes(path));
  if (shape.length < 1 || shape.length > 2 || shape.at(-1) !== d) {
    throw new InputError(
      `${path} has the shape [${shape.join(", ")}], and vectors of the index have ${d} dimensions: give [n, ${d}]`,
    );
  }
  return { shape, rows };
}

/** The names of a folder's `.npy` files, sorted; an InputError where there are none. */
export async function listNpy(folder: string): Promise<string[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    throw pathError("read", folder, error);
  }
  // Names with a dot are hidden: macOS leaves a "._x.npy" beside each file on a foreign disk.
  const files = names.filter((name) => /\.npy$/i.test(name) && !name.startsWith(".")).sort();
  if (files.length === 0) {
    const features = names.find((name) => /_feature(256|768)$/.test(name)) ?? "3_feature768";
    throw new InputError(
      `${folder} has no .npy files: give the folder with the features, such as ${join(folder, features)}`,
    );
  }
  return files;
}
