import { deflateRawSync } from "node:zlib";
import { ascii, concat } from "./files.js";

const u16 = (...values: number[]): Uint8Array => new Uint8Array(Uint16Array.from(values).buffer);
const u32 = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);

/** How a zip is made. */
export interface ZipOptions {
  /** Packs the files. */
  deflate?: boolean;
  /** Sizes stand behind the files and not before them, as where a zip is written to a stream. */
  streamed?: boolean;
  /** Says that the files are encrypted, or packed in some other way. */
  encrypted?: boolean;
  method?: number;
  comment?: string;
}

/** A zip of files by name. No checksums: nothing here looks at them. */
export function zipOf(files: Record<string, Uint8Array>, options: ZipOptions = {}): Uint8Array<ArrayBuffer> {
  const { deflate = false, streamed = false, encrypted = false, method = deflate ? 8 : 0, comment = "" } = options;
  const flags = (encrypted ? 1 : 0) | (streamed ? 8 : 0);
  const bodies: Uint8Array[] = [];
  const entries: Uint8Array[] = [];
  let at = 0;
  for (const [name, bytes] of Object.entries(files)) {
    const packed = deflate ? new Uint8Array(deflateRawSync(bytes)) : bytes;
    const sizes = u32(0, packed.length, bytes.length);
    const common = concat(u16(20, flags, method, 0, 0), streamed ? u32(0, 0, 0) : sizes, u16(name.length));
    // An extra field stands in one header and not in the other.
    const local = concat(ascii("PK\x03\x04"), common, u16(4), ascii(name), u16(0xcafe, 0), packed);
    const body = streamed ? concat(local, ascii("PK\x07\x08"), sizes) : local;
    const central = concat(u16(20, flags, method, 0, 0), sizes, u16(name.length, 0, 0, 0, 0), u32(0, at), ascii(name));
    entries.push(concat(ascii("PK\x01\x02"), u16(20), central));
    bodies.push(body);
    at += body.length;
  }
  const directory = concat(...entries);
  const count = entries.length;
  const end = concat(u16(0, 0, count, count), u32(directory.length, at), u16(comment.length), ascii(comment));
  return concat(...bodies, directory, ascii("PK\x05\x06"), end);
}
