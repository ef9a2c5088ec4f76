import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Index } from "../api.js";
import { CellistError } from "../errors.js";
import { readVoice } from "../rvc/shrink.js";
import { openNpy } from "../format/npy.js";
import { openSource } from "../format/source.js";
import type { ByteSource, Bytes } from "../format/source.js";
import type { Slice } from "../rvc/slices.js";
import { Pace } from "../work/pace.js";
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

/** A file's bytes as they come from the disk: it is never in memory as a whole. */
async function openFile(path: string): Promise<ByteSource> {
  const { size } = await stat(path);
  const chunks = openSource(createReadStream(path, { highWaterMark: CHUNK }));
  return { ...chunks, total: size, expected: size };
}

/** Opens an index as its bytes come. */
export async function openIndex(path: string, watch: Watch): Promise<{ index: Index; bytes: number }> {
  try {
    const source = await openFile(path);
    return { index: await readVoice(source as unknown as Bytes, watch), bytes: source.total };
  } catch (error) {
    throw pathError("read", path, error);
  }
}

/** The shape of an `.npy` file, and its numbers unless `check` throws for the shape. */
export async function readNpy(
  path: string,
  watch: Watch,
  check: (shape: readonly number[]) => void,
): Promise<{ shape: number[]; rows: Float32Array }> {
  try {
    const source = await openFile(path);
    try {
      const npy = await openNpy(path, source, new Pace(watch));
      check(npy.shape);
      return { shape: npy.shape, rows: await npy.floats() };
    } finally {
      source.close();
    }
  } catch (error) {
    // Its sentences begin with the path.
    throw error instanceof CellistError ? error : pathError("read", path, error);
  }
}

/** A slice of a voice, for buildVoiceIndex. */
export async function openSlice(folder: string, name: string): Promise<Slice> {
  const path = join(folder, name);
  try {
    return { name, data: (await openFile(path)) as unknown as Bytes };
  } catch (error) {
    throw pathError("read", path, error);
  }
}

/** The vectors of an `.npy` file, [n, d], or one of [d]: an InputError for any other shape. */
export function readVectors(path: string, d: number, watch: Watch): Promise<{ shape: number[]; rows: Float32Array }> {
  return readNpy(path, watch, (shape) => {
    if (shape.length < 1 || shape.length > 2 || shape.at(-1) !== d) {
      throw new InputError(
        `${path} has the shape [${shape.join(", ")}], and vectors of the index have ${d} dimensions: give [n, ${d}]`,
      );
    }
  });
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
