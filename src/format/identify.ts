import { fail } from "../errors.js";
import type { Pace } from "../work/pace.js";
import { tagOf } from "../checks.js";
import { begin, HEAD, isIndex } from "./index-file.js";
import type { Begun, Others } from "./index-file.js";
import { nextBytes } from "./source.js";
import type { Bytes } from "./source.js";
import { unreadable } from "./unreadable.js";
import { openZip } from "./zip.js";

/** What a file is that is no index, and what to do about it. */
export interface Kind {
  kind: "npy" | "zip" | "other";
  what: string;
  next: string;
}

/** Kinds that are told by what they begin with, or have at another place: characters of one byte each. */
const SIGNATURES: readonly { begins: readonly string[]; at?: number; what: string; next: string }[] = [
  {
    begins: ["\x1f\x8b"],
    what: "compressed by gzip",
    next: 'unpack it first, a stream by .pipeThrough(new DecompressionStream("gzip"))',
  },
  {
    begins: ["BZh", "\xfd7zXZ", "\x28\xb5\x2f\xfd", "\x04\x22\x4d\x18"],
    what: "compressed (bzip2, xz, zstd or lz4)",
    next: "unpack it first",
  },
  {
    begins: ["Pcam", "PcAm", "PCAm", "LTra", "rrot", "VNrm", "VCnt", "RmDT", "HRot", "Viqm", "Viqt"],
    what: "a vector transform that faiss saved by itself",
    next: "save the index behind it, too, by faiss.IndexPreTransform(transform, index)",
  },
  { begins: ["7z\xbc\xaf", "Rar!"], what: "an archive (7z or rar)", next: "unpack it, and take the .index out" },
  { begins: ["ustar"], at: 257, what: "an archive (tar)", next: "unpack it, and take the .index out" },
  {
    begins: ["\x80\x02", "\x80\x03", "\x80\x04", "\x80\x05"],
    what: "a Python pickle (a .pkl, or an old .pth)",
    next: "load it in Python; where an index is in it, faiss.write_index(index, path) saves it as a file",
  },
  {
    begins: ['{"'],
    at: 8,
    what: "a safetensors file, the weights of a model",
    next: "a voice's index is a file of its own, added_….index",
  },
  {
    begins: ["RIFF", "ID3", "fLaC", "OggS", "\xff\xfb", "\xff\xf3"],
    what: "a sound file",
    next: "give the index of a voice, or build one of features",
  },
  { begins: ["SQLite format 3"], what: "an SQLite database", next: "give the index itself" },
  {
    begins: ["\x89PNG", "%PDF", "\xff\xd8\xff", "GIF8"],
    what: "a picture or a document",
    next: "check which file was meant",
  },
];

/** Kinds of text. */
const TEXTS: readonly [RegExp, (text: string, match: RegExpExecArray) => [what: string, next: string]][] = [
  [
    /^version https:\/\/git-lfs[^]*?(?:\nsize (\d+))?/,
    (text) => {
      const size = /\nsize (\d+)/.exec(text)?.[1];
      const of = size === undefined ? "" : ` to a file of ${size} bytes`;
      return [`a Git LFS pointer${of}`, `run "git lfs pull", or download the file itself (…/resolve/main/…)`];
    },
  ],
  [
    /^\s*(?:<\?xml[^>]*>\s*)?<(?:!doctype|html|head|body|!--|\?xml|error)/i,
    (text) => {
      const title = /<title[^>]*>\s*([^<]{1,60})/i.exec(text)?.[1].trim();
      return [
        `an HTML page${title === undefined ? "" : ` ("${title}")`}`,
        "the address leads to a page, not to the file: check it (…/resolve/… and not …/blob/…), and whether it asks to sign in",
      ];
    },
  ],
  [/^\s*[{[]/, (text) => [`JSON, ${quote(text)}`, "this is a server's answer, not the file: check the address"]],
  [/^/, (text) => [`text, ${quote(text)}`, "check the address or the path"]],
];

/** What bytes are that can't begin a faiss file; undefined where they may. */
export function identify(head: Uint8Array): Kind | undefined {
  let text = "";
  for (const byte of head.subarray(0, HEAD)) text += String.fromCharCode(byte);
  if (text === "") {
    return { kind: "other", what: "empty, 0 bytes", next: "save or download it again" };
  }
  if (text.startsWith("\x93NUMPY")) {
    return serialized(text)
      ? {
          kind: "npy",
          what: "an .npy array of an index's bytes (faiss.serialize_index)",
          next: "in Python, faiss.write_index(faiss.deserialize_index(numpy.load(path)), …) saves it as a file",
        }
      : {
          kind: "npy",
          what: "an .npy array of numpy",
          next:
            "make an index of its rows (indexFactory, train, add; buildVoiceIndex or cellist build for a voice); " +
            "where both an index and an array are asked for, the index comes first",
        };
  }
  if (text.startsWith("PK\x03\x04") || text.startsWith("PK\x05\x06"))
    return { kind: "zip", what: "a zip", next: "unzip it first" };
  // All that faiss writes begins with four letters or digits, and an I where it is an index.
  if (isIndex(text)) return undefined;
  for (const { begins, at = 0, what, next } of SIGNATURES) {
    if (begins.some((characters) => text.startsWith(characters, at))) return { kind: "other", what, next };
  }
  if (text.startsWith("\xef\xbb\xbfI") && text.includes("\0")) {
    return { kind: "other", what: "text, made of an index's bytes", next: MANGLED };
  }
  if (text.length < 4 || !isText(head)) return undefined;
  for (const [pattern, tell] of TEXTS) {
    const match = pattern.exec(text);
    if (match === null) continue;
    const [what, next] = tell(text, match);
    return { kind: "other", what, next };
  }
  return undefined;
}

/** Whether bytes could be text: those that are no characters in any encoding of it, but line breaks and the like, are not among them. */
function isText(bytes: Uint8Array): boolean {
  return bytes.every((byte) => (byte >= 0x20 && byte !== 0x7f) || (byte >= 0x09 && byte <= 0x0d) || byte === 0x1b);
}

const MANGLED = "its bytes are not what they were; load it again as bytes (arrayBuffer(), no encoding)";

/** What to say where the bytes of a file went through text: they are valid UTF-8 then, which floats are not for long. */
function mangled(head: Uint8Array): string | undefined {
  let characters = 0;
  for (let i = 0; i < Math.min(head.length, HEAD); i++) {
    if (head[i] < 0x80) continue;
    const more = head[i] >= 0xf0 ? 3 : head[i] >= 0xe0 ? 2 : 1;
    if (head[i] < 0xc2 || head[i] > 0xf4) return undefined;
    for (let j = 0; j < more; j++) if (++i < head.length && (head[i] & 0xc0) !== 0x80) return undefined;
    characters++;
  }
  return characters >= 8 ? `the file was read or saved as text: ${MANGLED}` : undefined;
}

/**
 * Looks into a file that does not begin as an index does. A zip that holds one index is opened.
 *
 * @returns the file, or what is in it, where that may be an index after all; rejects with ERR_FORMAT that names what it is
 */
async function open(input: Bytes, begun: Begun, pace: Pace): Promise<Begun> {
  let kind = identify(begun.head);
  let where = "the file";
  if (kind?.kind === "zip" && typeof Blob === "function" && typeof DecompressionStream === "function") {
    const inside = await pace.unlessAborted(async () => openZip(await whole(input, begun, pace)));
    begun.source.close();
    try {
      begun = await begin(inside, pace);
    } catch (error) {
      inside.close();
      throw error;
    }
    kind = identify(begun.head);
    where = "the file in the zip";
  }
  if (kind === undefined) return begun;
  begun.source.close();
  return fail("ERR_FORMAT", `${where} is ${kind.what}, not an index: ${kind.next}`);
}

/** What readIndex knows of files that are no index. */
export const others: Others = { open, mangled, unreadable };

/** All bytes of a source that has given some: a zip is read from its end. */
async function whole(input: Bytes, { source, chunks }: Begun, pace: Pace): Promise<Blob> {
  if (tagOf(input) === "Blob" || tagOf(input) === "File") return input as Blob;
  // One by one, since their memory may be used again, and may be shared, which a Blob does not take.
  const parts = chunks.map(blobOf);
  for (let chunk; (chunk = await nextBytes(source, pace)) !== undefined;) parts.push(blobOf(chunk));
  return new Blob(parts);
}

function blobOf(chunk: Uint8Array): Blob {
  return new Blob([new Uint8Array(chunk)]);
}

/** Whether an array holds bytes that begin as an index does. */
function serialized(npy: string): boolean {
  return npy.includes("'descr': '|u1'") && isIndex(npy.slice(npy.indexOf("\n") + 1));
}

/** The beginning of a text, on one line. */
function quote(text: string): string {
  const line = text.trim().replace(/\s+/g, " ");
  return JSON.stringify(line.length > 70 ? `${line.slice(0, 67)}...` : line);
}
