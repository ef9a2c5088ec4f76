import { fail } from "../errors.js";
import { bytesOf, named } from "../format/given.js";
import { throwIfAborted } from "../work/pace.js";
import type { RangeReader, Ranges } from "./ranges.js";

/** A Blob or File, of a page, of an origin private file system, or of Node's openAsBlob. */
export class BlobRanges implements Ranges {
  readonly bridge = 0;
  readonly size: number;
  readonly version: string;
  readonly #blob: Blob;

  constructor(blob: Blob) {
    this.#blob = blob;
    this.size = blob.size;
    this.version = String((blob as Partial<File>).lastModified ?? "");
  }

  async read(from: number, to: number, signal: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal);
    let bytes;
    try {
      bytes = new Uint8Array(await this.#blob.slice(from, to).arrayBuffer());
    } catch (error) {
      return fail(
        "ERR_FORMAT",
        `the file can't be read any more (${String(error)}): it has changed or is gone, choose it again`,
      );
    }
    throwIfAborted(signal);
    if (bytes.length !== to - from)
      fail("ERR_FORMAT", `the file gave ${bytes.length} of ${to - from} bytes: it has changed, open it again`);
    return bytes;
  }

  close(): void {
    // Nothing is open.
  }
}

/** What a caller's own `{ size, read }` gives, which is counted. */
export class OwnRanges implements Ranges {
  readonly bridge = 0;
  readonly size: number;
  readonly version = "";
  readonly #reader: RangeReader;

  constructor(reader: RangeReader) {
    const { size } = reader;
    if (!Number.isSafeInteger(size) || size < 0)
      fail("ERR_PARAMETER", `the source's size is ${String(size)}: give its bytes, a whole number`);
    this.#reader = reader;
    this.size = size;
  }

  async read(from: number, to: number, signal: AbortSignal): Promise<Uint8Array> {
    throwIfAborted(signal);
    const given = await this.#reader.read(from, to, signal);
    throwIfAborted(signal);
    const bytes = bytesOf(given);
    if (bytes === undefined)
      fail("ERR_PARAMETER", `the source gave ${named(given)}: let read(from, to) give a Uint8Array or an ArrayBuffer`);
    if (bytes.length !== to - from)
      fail(
        "ERR_FORMAT",
        `the source gave ${bytes.length} bytes for ${from} to ${to}: let read(from, to) give all of them, to excluded`,
      );
    return bytes;
  }

  close(): void {
    // What the caller opened, the caller closes.
  }
}
