import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { access, open, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pathError } from "./files.js";
import { InputError } from "./run.js";

/** A file that is going to be written. */
export interface OutputFile {
  path: string;
  bytes: Uint8Array | ArrayBuffer;
}

/** Throws an InputError where a file can't be written, before the work whose result it gets. */
export async function checkTarget(path: string): Promise<void> {
  await checkFolder(dirname(path));
  let isFile = true;
  try {
    isFile = (await stat(path)).isFile();
  } catch {
    // It is not there yet.
  }
  if (!isFile) throw new InputError(`can't write ${path}: it is no plain file; give another name`);
}

/** Throws an InputError where a file can't be written, or is the one that is going to be read. */
export async function checkOutput(path: string, source: string): Promise<void> {
  await checkTarget(path);
  const [a, b] = await Promise.all([path, source].map((name) => stat(name, { bigint: true }).catch(() => undefined)));
  if (a !== undefined && a.dev === b?.dev && a.ino === b.ino) {
    throw new InputError(`can't write ${path}: it is the index that is read; give another name`);
  }
}

/** Throws an InputError where no file can be written into a folder. */
export async function checkFolder(folder: string): Promise<void> {
  try {
    if (!(await stat(folder)).isDirectory()) throw new InputError(`can't write into ${folder}: it is no folder`);
    await access(folder, constants.W_OK);
  } catch (error) {
    throw pathError("write into", folder, error);
  }
}

/**
 * Writes files so that each is complete or as it was before: under temporary names beside them, which are taken away when anything
 * fails or the signal aborts, and given the right names when all bytes of all files are on the disk.
 */
export async function writeFiles(files: readonly OutputFile[], signal: AbortSignal): Promise<void> {
  const parts: string[] = [];
  try {
    for (const { path, bytes } of files) {
      const part = join(dirname(path), `.cellist-${randomBytes(6).toString("hex")}.part`);
      try {
        const file = await open(part, "wx");
        parts.push(part);
        try {
          await file.writeFile(bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes), { signal });
          await file.sync();
        } finally {
          await file.close();
        }
      } catch (error) {
        signal.throwIfAborted();
        throw pathError("write", path, error);
      }
    }
    signal.throwIfAborted();
    for (const [i, { path }] of files.entries()) {
      try {
        await rename(parts[i], path);
      } catch (error) {
        throw pathError("write", path, error);
      }
    }
  } finally {
    // What has its right name by now is not there any more.
    await Promise.all(parts.map((part) => rm(part, { force: true })));
  }
}
