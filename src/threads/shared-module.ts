/** Sections and kinds of imports of a wasm module (WebAssembly Core Specification 2.0, 5.5). */
const IMPORTS = 2;
const TABLE = 1;
const MEMORY = 2;
const GLOBAL = 3;
/** Flags of a memory's limits: there is a most, and it is shared (threads proposal). */
const HAS_MOST = 1;
const SHARED = 2;
/** 65,536 pages in LEB128. */
const MOST_PAGES = [0x80, 0x80, 4];
/** Bytes of magic and version. */
const HEADER = 8;

/**
 * The same module for a memory that is shared between threads. A module must say of a memory that it imports whether it is: a flag and
 * the most pages, 4 bytes in place of one; no instruction is another.
 */
export function shared(module: Uint8Array): Uint8Array<ArrayBuffer> {
  let at = HEADER;
  const number = (): number => {
    let value = 0;
    for (let unit = 1; ; unit *= 128) {
      const byte = module[at++];
      value += (byte & 127) * unit;
      if (byte < 128) return value;
    }
  };
  // What is skipped begins behind its length.
  const skip = (): number => (at = number() + at);
  for (let section = module[at++]; section !== IMPORTS; section = module[at++]) skip();
  const sizeAt = at;
  const end = number() + at;
  const start = at;
  for (let left = number(); left > 0; left--) {
    for (let name = 0; name < 2; name++) skip();
    const kind = module[at++];
    if (kind === MEMORY) {
      const flagsAt = at;
      const flags = module[at++];
      number();
      const leastEnd = at;
      if ((flags & HAS_MOST) !== 0) number();
      const limits = [HAS_MOST | SHARED, ...module.subarray(flagsAt + 1, leastEnd), ...MOST_PAGES];
      const body = [...module.subarray(start, flagsAt), ...limits, ...module.subarray(at, end)];
      return Uint8Array.from([...module.subarray(0, sizeAt), ...leb(body.length), ...body, ...module.subarray(end)]);
    }
    if (kind === TABLE) throw new Error("kernels import no table");
    at += kind === GLOBAL ? 2 : 0;
    if (kind !== GLOBAL) number();
  }
  throw new Error("kernels import their memory");
}

function leb(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...leb(Math.floor(value / 128))];
}
