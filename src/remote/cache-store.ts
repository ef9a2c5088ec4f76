import type { Store } from "./cache.js";

/** A file's address within its cache; it is never fetched. */
const BASE = "https://cellist.invalid/";
/** What notes when a file was last opened. */
const USED = "used";

/** Stretches of files among a page's Caches: one cache a file, one answer a stretch. */
export class CacheStore implements Store {
  readonly #prefix: string;

  constructor(name: string) {
    this.#prefix = `cellist/${name}/`;
  }

  async names(file: string): Promise<string[]> {
    if (!(await caches.has(this.#prefix + file))) return [];
    const cache = await caches.open(this.#prefix + file);
    return (await cache.keys()).map(({ url }) => decodeURIComponent(url.slice(BASE.length)));
  }

  async get(file: string, name: string): Promise<Uint8Array | undefined> {
    const cache = await caches.open(this.#prefix + file);
    const answer = await cache.match(BASE + encodeURIComponent(name));
    return answer === undefined ? undefined : new Uint8Array(await answer.arrayBuffer());
  }

  async put(file: string, name: string, bytes: Uint8Array): Promise<void> {
    const cache = await caches.open(this.#prefix + file);
    const headers = { "Content-Length": String(bytes.length) };
    await cache.put(BASE + encodeURIComponent(name), new Response(bytes as Uint8Array<ArrayBuffer>, { headers }));
  }

  async files(): Promise<{ file: string; bytes: number; used: number }[]> {
    const own = (await caches.keys()).filter((key) => key.startsWith(this.#prefix));
    return Promise.all(
      own.map(async (key) => {
        const file = key.slice(this.#prefix.length);
        let [bytes, used] = [0, 0];
        for (const name of await this.names(file)) {
          const [from, to] = name.split("-").map(Number);
          if (to > from) bytes += to - from;
          if (name.startsWith(`${USED}-`)) used = Math.max(used, Number(name.slice(USED.length + 1)));
        }
        return { file, bytes, used };
      }),
    );
  }

  async touch(file: string): Promise<void> {
    const cache = await caches.open(this.#prefix + file);
    for (const name of await this.names(file))
      if (name.startsWith(`${USED}-`)) await cache.delete(BASE + encodeURIComponent(name));
    await this.put(file, `${USED}-${Date.now()}`, new Uint8Array(0));
  }

  async remove(file: string): Promise<void> {
    await caches.delete(this.#prefix + file);
  }
}
