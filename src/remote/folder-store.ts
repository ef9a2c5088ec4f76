import type { Store } from "./cache.js";

/** What is taken of Node's file system, which Deno and Bun have too. */
interface FileSystem {
  mkdir(path: string, options: { recursive: true }): Promise<unknown>;
  readdir(path: string): Promise<string[]>;
  readFile(path: string): Promise<Uint8Array>;
  writeFile(path: string, bytes: Uint8Array): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  rm(path: string, options: { recursive: true; force: true }): Promise<void>;
  stat(path: string): Promise<{ mtimeMs: number; size: number }>;
}

/** The file system, asked for at run time and not imported, so that bundlers for pages find nothing to complain of. */
function fileSystem(): FileSystem | undefined {
  const { process } = globalThis as { process?: { getBuiltinModule?(name: string): unknown } };
  return process?.getBuiltinModule?.("node:fs/promises") as FileSystem | undefined;
}

/** Whether the runtime has a file system for programs: Node from 20.16, Deno, Bun. */
export function hasFolders(): boolean {
  return fileSystem() !== undefined;
}

let writes = 0;

/** Stretches of files as files of a folder: one folder a file. */
export class FolderStore implements Store {
  readonly #root: string;
  readonly #fs: FileSystem;

  /** Call only where {@link hasFolders}. */
  constructor(root: string) {
    this.#root = root;
    const fs = fileSystem();
    if (fs === undefined) throw new Error("there is no file system");
    this.#fs = fs;
  }

  async names(file: string): Promise<string[]> {
    return (await this.#fs.readdir(`${this.#root}/${file}`)).filter((name) => !name.endsWith(".part"));
  }

  async get(file: string, name: string): Promise<Uint8Array> {
    // A Buffer is a Uint8Array whose slice is a view: nobody here expects that.
    return new Uint8Array(await this.#fs.readFile(`${this.#root}/${file}/${name}`));
  }

  async put(file: string, name: string, bytes: Uint8Array): Promise<void> {
    const path = `${this.#root}/${file}/${name}`;
    const part = `${path}-${Date.now()}-${++writes}.part`;
    await this.#fs.mkdir(`${this.#root}/${file}`, { recursive: true });
    await this.#fs.writeFile(part, bytes);
    await this.#fs.rename(part, path);
  }

  async files(): Promise<{ file: string; bytes: number; used: number }[]> {
    const files = await this.#fs.readdir(this.#root);
    return Promise.all(
      files.map(async (file) => {
        const { mtimeMs } = await this.#fs.stat(`${this.#root}/${file}/used`).catch(() => ({ mtimeMs: 0 }));
        const names = await this.#fs.readdir(`${this.#root}/${file}`);
        const sizes = await Promise.all(
          names.map(
            async (name) => (await this.#fs.stat(`${this.#root}/${file}/${name}`).catch(() => ({ size: 0 }))).size,
          ),
        );
        return { file, bytes: sizes.reduce((sum, size) => sum + size, 0), used: mtimeMs };
      }),
    );
  }

  async touch(file: string): Promise<void> {
    await this.put(file, "used", new Uint8Array(0));
  }

  async remove(file: string): Promise<void> {
    await this.#fs.rm(`${this.#root}/${file}`, { recursive: true, force: true });
  }
}
