import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { access, lstat, mkdir, open, readlink, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { IdType, Index } from "../api.js";
import { VectorIndex } from "../handle/vector-index.js";
import { pathError } from "./files.js";
import { InputError } from "./run.js";
import type { Ask, Watch } from "./run.js";

/** Bytes that are written at once: a signal is heard in between, and no system takes more than 2 GB. */
const CHUNK = 64 << 20;
/** Symbolic links that are followed, as the system does. */
const MOST_LINKS = 40;

/** A file that is going to be written. */
export interface OutputFile {
  path: string;
  /** Its bytes, in as many pieces as is convenient. */
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

/** What a command may do to files that are there. */
export interface OutputRules {
  /** What it reads: never written to, whatever is said. */
  inputs: readonly string[];
  /** Whether files that are there may be replaced: `--force`. */
  force: boolean | undefined;
  /** Asks the person at the terminal, where there is one. */
  ask: Ask | undefined;
}

/**
 * Sees to it, before the work whose result they get, that files can be written: throws an InputError where a path is no plain file, can't
 * be written to, is an input, or is there already, and neither `--force` nor the person at the terminal says that it may go.
 */
export async function checkTargets(paths: readonly string[], rules: OutputRules): Promise<void> {
  const inputs = await Promise.all(rules.inputs.map(identity));
  for (const path of paths) {
    const target = await followed(path);
    await checkFolder(dirname(target));
    const there = await stat(target).catch(() => undefined);
    if (there === undefined) continue;
    if (!there.isFile()) throw new InputError(`can't write ${path}: it is no plain file; give another name`);
    const own = await identity(target);
    if (inputs.includes(own))
      throw new InputError(`can't write ${path}: it is an input of this command; give another name`);
    if (rules.force === true || (await rules.ask?.(`${path} is there already: replace it?`)) === true) continue;
    throw new InputError(`${path} is there already: give another name, or --force to replace it`);
  }
}

/** Throws an InputError where no file can be written into a folder, be it there or yet to be made. */
export async function checkFolder(folder: string): Promise<void> {
  try {
    for (let at = resolve(folder); ; at = dirname(at)) {
      const there = await stat(at).catch((error: unknown) => {
        if ((error as NodeJS.ErrnoException).code === "ENOENT" && at !== dirname(at)) return undefined;
        throw error;
      });
      if (there === undefined) continue;
      if (!there.isDirectory()) throw new InputError(`can't write into ${folder}: ${at} is no folder`);
      await access(at, constants.W_OK);
      return;
    }
  } catch (error) {
    throw pathError("write into", folder, error);
  }
}

/**
 * Writes files so that each is complete or as it was before: under temporary names beside them, which are taken away when anything
 * fails or the signal aborts, and given the right names when all bytes of all files are on the disk. Folders are made; symbolic links
 * are followed; a file that is replaced leaves its permissions to the new one.
 */
export async function writeFiles(files: readonly OutputFile[], signal: AbortSignal): Promise<void> {
  const parts: { part: string; target: string }[] = [];
  try {
    for (const { path, chunks } of files) {
      try {
        const target = await followed(path);
        await mkdir(dirname(target), { recursive: true });
        const part = join(dirname(target), `.cellist-${randomBytes(6).toString("hex")}.part`);
        const old = await stat(target).catch(() => undefined);
        const file = await open(part, "wx", old?.mode);
        parts.push({ part, target });
        try {
          // What open gives is less than what the mode says, by the process' mask.
          if (old !== undefined) await file.chmod(old.mode & 0o7777);
          for await (const chunk of chunks) {
            for (let at = 0; at < chunk.length; at += CHUNK) {
              signal.throwIfAborted();
              await file.writeFile(chunk.subarray(at, at + CHUNK));
            }
          }
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
    for (const [i, { part, target }] of parts.entries()) {
      try {
        await rename(part, target);
      } catch (error) {
        throw pathError("write", files[i].path, error);
      }
    }
  } finally {
    // What has its right name by now is not there any more.
    await Promise.all(parts.map(({ part }) => rm(part, { force: true })));
  }
}

/** Writes an index, chunk by chunk. Returns how many bytes its file has. */
export async function writeIndex(path: string, index: Index<IdType>, watch: Watch): Promise<number> {
  let bytes = 0;
  function* chunks(): Generator<Uint8Array> {
    if (!(index instanceof VectorIndex)) throw new Error("an index of this package is a VectorIndex");
    const all = index.chunks();
    for (let step = all.next(); step.done !== true; step = all.next()) {
      bytes += step.value.length;
      yield step.value;
    }
  }
  await writeFiles([{ path, chunks: chunks() }], watch.signal);
  return bytes;
}

/** Where symbolic links lead, whether or not something is there. */
async function followed(path: string): Promise<string> {
  let at = path;
  for (let links = 0; links < MOST_LINKS; links++) {
    const there = await lstat(at).catch(() => undefined);
    if (there?.isSymbolicLink() !== true) return at;
    at = resolve(dirname(at), await readlink(at));
  }
  throw new InputError(`can't write ${path}: its symbolic links lead in a circle`);
}

/** What tells whether two paths are one file; undefined for what is no file. */
async function identity(path: string): Promise<string | undefined> {
  const there = await stat(path, { bigint: true }).catch(() => undefined);
  return there && `${there.dev}:${there.ino}`;
}
