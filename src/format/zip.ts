import { CellistError, fail } from "../errors.js";
import { openSource } from "./unreadable.js";
import type { ByteSource } from "./source.js";

// A zip file ends in a directory of what it holds; only there are sizes always known. Layout: PKWARE's APPNOTE.TXT.

/** The directory's end: 22 bytes, behind which stands a comment of up to 65,535. */
const END = 0x06054b50;
const END_BYTES = 22;
const MAX_COMMENT = 65_535;
const ENTRY = 0x02014b50;
const ENTRY_BYTES = 46;
/** What stands before the bytes of a file, with its name and extra fields behind it. */
const LOCAL_BYTES = 30;
/** Sizes that don't fit stand elsewhere, in zip64's records. */
const ELSEWHERE = 0xffff_ffff;
const [STORED, DEFLATED] = [0, 8];

/** A file in a zip. */
interface Entry {
  name: string;
  method: number;
  encrypted: boolean;
  /** Bytes as they stand in the zip, and unpacked. */
  packed: number;
  size: number;
  /** Where its local header starts. */
  at: number;
}

/**
 * Opens the one index that a zip holds, as voices are passed around.
 *
 * @returns its bytes; rejects with ERR_FORMAT, which says what is in the zip otherwise, or
 *   ERR_UNSUPPORTED where it is packed in a way that can't be undone here
 */
export async function openZip(zip: Blob): Promise<ByteSource> {
  const entries = await readDirectory(zip);
  const entry = chooseIndex(entries);
  const { name, method, packed, size, at } = entry;
  if (entry.encrypted) fail("ERR_UNSUPPORTED", `${name} in the zip is encrypted: unzip it with its password first`);
  if (packed === ELSEWHERE || size === ELSEWHERE || at === ELSEWHERE)
    fail("ERR_UNSUPPORTED", `${name} in the zip is larger than 4 GB: unzip it first`);
  const local = await viewOf(zip, at, at + LOCAL_BYTES);
  const start = at + LOCAL_BYTES + local.getUint16(26, true) + local.getUint16(28, true);
  const stream = zip.slice(start, start + packed).stream();
  if (method === STORED) return openSource(stream, size);
  if (method !== DEFLATED) fail("ERR_UNSUPPORTED", `${name} is packed by method ${method} of zip: unzip it first`);
  let inflate: DecompressionStream;
  try {
    inflate = new DecompressionStream("deflate-raw");
  } catch {
    return fail("ERR_UNSUPPORTED", `the file is a zip, and this runtime has no DecompressionStream: unzip it first`);
  }
  const source = openSource(stream.pipeThrough(inflate), size);
  return {
    ...source,
    next: () =>
      source.next().catch((error: unknown) => {
        // Each runtime has an error of its own for what does not inflate.
        const damaged = new CellistError(
          "ERR_FORMAT",
          `${name} in the zip is damaged (${String(error)}): load it again`,
        );
        damaged.cause = error;
        throw damaged;
      }),
  };
}

/** The one index among files; ERR_FORMAT says what they are otherwise. */
function chooseIndex(entries: readonly Entry[]): Entry {
  // Folders, and what macOS puts beside each file.
  const files = entries.filter(({ name }) => !/\/$|(^|\/)(\._|__MACOSX\/)/.test(name));
  const indexes = files.filter(({ name }) => /\.(index|faiss|ivf)$/i.test(name));
  // Of the two files that RVC makes, the one with vectors in it.
  const filled = indexes.length > 1 ? indexes.filter(({ name }) => !/(^|\/)trained_/.test(name)) : indexes;
  if (filled.length === 1) return filled[0];
  const names = list(filled.length > 1 ? filled : files);
  if (filled.length > 1)
    return fail("ERR_FORMAT", `the file is a zip of several indexes (${names}): unzip one of them`);
  if (files.some(({ name }) => /(^|\/)data\.pkl$/.test(name))) {
    return fail(
      "ERR_FORMAT",
      "the file is a PyTorch checkpoint (.pth), the weights of a model: a voice's index is a file of its own, added_….index",
    );
  }
  if (files.length > 0 && files.every(({ name }) => name.endsWith(".npy"))) {
    return fail(
      "ERR_FORMAT",
      `the file is an .npz of arrays (${names}), not an index: unzip it, and build an index of an array`,
    );
  }
  return fail(
    "ERR_FORMAT",
    `the file is a zip that holds no .index (${names || "it is empty"}): take the index itself`,
  );
}

function list(files: readonly Entry[]): string {
  const names = files.slice(0, 5).map(({ name }) => name);
  return files.length > 5 ? `${names.join(", ")} and ${files.length - 5} more` : names.join(", ");
}

async function readDirectory(zip: Blob): Promise<Entry[]> {
  const tail = await viewOf(zip, Math.max(0, zip.size - END_BYTES - MAX_COMMENT), zip.size);
  let end = tail.byteLength - END_BYTES;
  while (end >= 0 && tail.getUint32(end, true) !== END) end--;
  if (end < 0) fail("ERR_FORMAT", "the file is a zip without its end: the download was cut, load it again");
  const [bytes, start] = [tail.getUint32(end + 12, true), tail.getUint32(end + 16, true)];
  if (start === ELSEWHERE) fail("ERR_UNSUPPORTED", "the file is a zip of more than 4 GB: unzip it first");
  const view = await viewOf(zip, start, start + bytes);
  const entries: Entry[] = [];
  for (let at = 0; at + ENTRY_BYTES <= view.byteLength && view.getUint32(at, true) === ENTRY;) {
    const nameBytes = view.getUint16(at + 28, true);
    const next = at + ENTRY_BYTES + nameBytes + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    let name = "";
    for (let i = at + ENTRY_BYTES; i < Math.min(at + ENTRY_BYTES + nameBytes, view.byteLength); i++)
      name += String.fromCharCode(view.getUint8(i));
    entries.push({
      name,
      method: view.getUint16(at + 10, true),
      encrypted: (view.getUint16(at + 8, true) & 1) !== 0,
      packed: view.getUint32(at + 20, true),
      size: view.getUint32(at + 24, true),
      at: view.getUint32(at + 42, true),
    });
    at = next;
  }
  return entries;
}

/** A part of the file. ERR_FORMAT where it reaches beyond the end. */
async function viewOf(zip: Blob, from: number, to: number): Promise<DataView> {
  if (to > zip.size) fail("ERR_FORMAT", "the file is a damaged zip: it points beyond its end; load it again");
  return new DataView(await zip.slice(from, to).arrayBuffer());
}
