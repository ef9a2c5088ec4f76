import { fail } from "../errors.js";
import { CacheStore } from "./cache-store.js";
import { follow, PART } from "./flow.js";
import { FolderStore, hasFolders } from "./folder-store.js";
import type { Ranges } from "./ranges.js";

/** Bytes that all cached files of one name may take: beyond it, those used longest ago go. */
const MOST_BYTES = 2 ** 30;

/** Where stretches of files are kept from visit to visit. A file is known by a name; what it holds, by names too. */
export interface Store {
  /** Names of what a file holds; none where there is no such file. */
  names(file: string): Promise<string[]>;
  get(file: string, name: string): Promise<Uint8Array | undefined>;
  /** Whole or not at all, whoever else writes. */
  put(file: string, name: string, bytes: Uint8Array): Promise<void>;
  /** All files, with their bytes and when they were last opened (ms). */
  files(): Promise<{ file: string; bytes: number; used: number }[]>;
  /** Says that a file was opened now. */
  touch(file: string): Promise<void>;
  remove(file: string): Promise<void>;
}

/**
 * Opens the cache that a caller names: a folder, where the runtime has a file system for programs, else a name among the page's Caches.
 *
 * @throws {CellistError} ERR_UNSUPPORTED where there is neither
 */
export function openStore(name: string): Store {
  if (hasFolders()) return new FolderStore(name);
  if (typeof caches !== "undefined") return new CacheStore(name);
  return fail(
    "ERR_UNSUPPORTED",
    "the runtime has no Cache API (it wants https) and no file system: leave out the option cache",
  );
}

/**
 * What is cached of one file. Nothing of it is trusted: a stretch counts if it is as long as its name says and has its checksum, and what
 * can't be read or written is as good as not there.
 */
export class CachedFile {
  readonly #store: Store;
  readonly #file: string;
  readonly #most: number;
  /** Writes are done one after another, and nobody waits for them but {@link settled}. */
  #writing: Promise<void> = Promise.resolve();
  /** Bytes that were put since something was looked for to go, and those of the file that are there. */
  #written = 0;
  #own = 0;
  /** Goes into the name of each stretch: another tab may have another version of the file. */
  #version = "";

  constructor(store: Store, address: string, most: number = MOST_BYTES) {
    this.#store = store;
    this.#file = nameOfText(address);
    this.#most = most;
  }

  /** The size and version that were noted, where the file was cached before: what is got is of that one, unless another begins. */
  async noted(): Promise<{ size: number; version: string } | undefined> {
    for (const name of await this.#names()) {
      const note = /^note-(\d+)-(.*)$/.exec(name);
      if (note !== null) return { size: Number(note[1]), version: (this.#version = note[2]) };
    }
    return undefined;
  }

  /** Begins to cache a file of this size and version; what was kept of another version goes. */
  async begin(size: number, version: string): Promise<void> {
    const noted = await this.noted();
    this.#version = nameOfText(version);
    if (noted !== undefined && (noted.size !== size || noted.version !== this.#version))
      await this.#quietly(this.#store.remove(this.#file));
    await this.#quietly(this.#store.put(this.#file, `note-${size}-${this.#version}`, new Uint8Array(0)));
    await this.#quietly(this.#store.touch(this.#file));
    this.#own = (await this.#stretches()).reduce((sum, { from, to }) => sum + to - from, 0);
  }

  /** Keeps a stretch that begins at a byte of the file, where there is room for it. */
  put(from: number, bytes: Uint8Array): void {
    if (this.#own + bytes.length > this.#most) return;
    this.#own += bytes.length;
    const copy = bytes.slice();
    this.#writing = this.#writing.then(async () => {
      await this.#quietly(this.#store.put(this.#file, this.#nameOf(from, copy), copy));
      this.#written += copy.length;
      if (this.#written > this.#most / 64) await this.#evict();
    });
  }

  /** A stretch that was kept as it was read, or undefined. */
  async get(from: number, to: number): Promise<Uint8Array | undefined> {
    for (const stretch of await this.#stretches())
      if (stretch.from === from && stretch.to === to) return this.#checked(from, stretch.name);
    return undefined;
  }

  /** Calls back with all stretches that end behind a byte, in the order of the file. */
  async each(take: (from: number, bytes: Uint8Array) => void, behind = 0): Promise<void> {
    const stretches = (await this.#stretches()).filter(({ to }) => to > behind);
    for (const { from, name } of stretches.sort((a, b) => a.from - b.from || b.to - a.to)) {
      const bytes = await this.#checked(from, name);
      if (bytes !== undefined) take(from, bytes);
    }
  }

  /** Resolves when all that was put is written. */
  async settled(): Promise<void> {
    await this.#writing;
    await this.#evict();
  }

  async #checked(from: number, name: string): Promise<Uint8Array | undefined> {
    const bytes = await this.#quietly(this.#store.get(this.#file, name));
    return bytes !== undefined && this.#nameOf(from, bytes) === name ? bytes : undefined;
  }

  /** The stretches of this version, by their names. */
  async #stretches(): Promise<{ from: number; to: number; name: string }[]> {
    const stretches = [];
    for (const name of await this.#names()) {
      const [from, to, version] = name.split("-");
      if (version === this.#version && /^\d+$/.test(from)) stretches.push({ from: Number(from), to: Number(to), name });
    }
    return stretches;
  }

  #nameOf(from: number, bytes: Uint8Array): string {
    return `${from}-${from + bytes.length}-${this.#version}-${checksum(bytes)}`;
  }

  async #names(): Promise<string[]> {
    return (await this.#quietly(this.#store.names(this.#file))) ?? [];
  }

  async #evict(): Promise<void> {
    this.#written = 0;
    const files = (await this.#quietly(this.#store.files())) ?? [];
    let bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    for (const file of files.sort((a, b) => a.used - b.used)) {
      if (bytes <= this.#most) return;
      if (file.file === this.#file) continue;
      await this.#quietly(this.#store.remove(file.file));
      bytes -= file.bytes;
    }
  }

  /** A full disk, a cache that somebody cleared: searches go on without. */
  async #quietly<T>(promise: Promise<T>): Promise<T | undefined> {
    return promise.catch(() => undefined);
  }
}

/** A file whose stretches come from the cache where it has just these. */
export function remembering(ranges: Ranges, cached: CachedFile): Ranges {
  return {
    size: ranges.size,
    bridge: ranges.bridge,
    version: ranges.version,
    read: async (from, to, signal) => {
      const kept = await cached.get(from, to);
      if (kept !== undefined) return kept;
      const bytes = await ranges.read(from, to, signal);
      cached.put(from, bytes);
      return bytes;
    },
    // Kept part by part: the same parts at every visit.
    follow: async function* (from, to, signal) {
      const end = (): number => Math.min(to, from + PART);
      for (let kept; from < to && (kept = await cached.get(from, end())) !== undefined; from += kept.length) yield kept;
      if (from === to) return;
      let [part, filled] = [new Uint8Array(end() - from), 0];
      for await (const bytes of follow(ranges, from, to, signal)) {
        for (let taken = 0; taken < bytes.length && from < to;) {
          const some = bytes.subarray(taken, taken + part.length - filled);
          part.set(some, filled);
          filled += some.length;
          taken += some.length;
          if (filled < part.length) break;
          cached.put(from, part);
          from += filled;
          [part, filled] = [new Uint8Array(end() - from), 0];
        }
        yield bytes;
      }
    },
    close: () => ranges.close(),
  };
}

/** A file of which only what is cached can be had, there being no connection. */
export function offline(noted: { size: number; version: string }, reason: Error): Ranges {
  return {
    size: noted.size,
    bridge: 0,
    version: noted.version,
    read: () => Promise.reject(reason),
    close: () => undefined,
  };
}

/** FNV-1a over words of 32 bits, twice from other starts: tells a damaged stretch, and is no protection against anybody. */
export function checksum(bytes: Uint8Array): string {
  let [a, b] = [0x811c9dc5, 0x9747b28c ^ bytes.length];
  const words = bytes.length >> 2;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let i = 0; i < words; i++) {
    const word = view.getUint32(i * 4, true);
    a = Math.imul(a ^ word, 0x01000193);
    b = Math.imul(b ^ word, 0x85ebca6b) ^ (a >>> 15);
  }
  for (let i = words * 4; i < bytes.length; i++) {
    a = Math.imul(a ^ bytes[i], 0x01000193);
    b = Math.imul(b ^ bytes[i], 0x85ebca6b) ^ (a >>> 15);
  }
  return (a >>> 0).toString(16).padStart(8, "0") + (b >>> 0).toString(16).padStart(8, "0");
}

/** A name for a text, of which files are made. */
function nameOfText(text: string): string {
  return checksum(new Uint8Array(Uint16Array.from({ length: text.length }, (_, i) => text.charCodeAt(i)).buffer));
}
