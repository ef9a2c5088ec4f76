import { fail } from "../errors.js";

/** Throws ERR_FORMAT for a voice file: what is wrong, and where. */
export function wrong(what: string, problem: string): never {
  return fail("ERR_FORMAT", `${what} ${problem}: the voice file is damaged`);
}

/** Four tables of 256: what a byte does to the checksum, and what it does with one, two or three zeros behind it. */
let crcTables: Uint32Array | undefined;

function makeTables(): Uint32Array {
  const tables = new Uint32Array(1024);
  for (let i = 0; i < 256; i++) {
    let c = i;
    for (let bit = 0; bit < 8; bit++) c = (c & 1) === 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
    tables[i] = c;
  }
  for (let i = 256; i < 1024; i++) tables[i] = tables[tables[i - 256] & 255] ^ (tables[i - 256] >>> 8);
  return tables;
}

/** CRC-32 (ISO 3309, as in PNG and gzip) of bytes, four at a time: byte by byte 15 MB took 190 ms. */
export function crc32(bytes: Uint8Array): number {
  const t = (crcTables ??= makeTables());
  let crc = 0xffffffff;
  let i = 0;
  for (; i + 4 <= bytes.length; i += 4) {
    crc ^= bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
    crc = t[768 + (crc & 255)] ^ t[512 + ((crc >>> 8) & 255)] ^ t[256 + ((crc >>> 16) & 255)] ^ t[crc >>> 24];
  }
  for (; i < bytes.length; i++) crc = t[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** Reads fields of a section that is there as a whole. Every read past its end is ERR_FORMAT. */
export class Section {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  at = 0;

  constructor(name: string, bytes: Uint8Array) {
    this.name = name;
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Bytes that are left. */
  get left(): number {
    return this.bytes.length - this.at;
  }

  #skip(bytes: number, field: string): number {
    if (bytes > this.left) wrong(`${field} in ${this.name}`, `needs ${bytes} bytes and ${this.left} are left`);
    this.at += bytes;
    return this.at - bytes;
  }

  u8(field: string): number {
    return this.#view.getUint8(this.#skip(1, field));
  }

  i8(field: string): number {
    return this.#view.getInt8(this.#skip(1, field));
  }

  u16(field: string): number {
    return this.#view.getUint16(this.#skip(2, field), true);
  }

  i16(field: string): number {
    return this.#view.getInt16(this.#skip(2, field), true);
  }

  u32(field: string): number {
    return this.#view.getUint32(this.#skip(4, field), true);
  }

  f32(field: string): number {
    return this.#view.getFloat32(this.#skip(4, field), true);
  }

  /** A number of up to `max`, seven bits a byte, the low ones first; the form with the fewest bytes only. */
  varint(field: string, max: number): number {
    let value = 0;
    for (let unit = 1, count = 0; ; unit *= 128, count++) {
      const byte = this.u8(field);
      value += (byte & 127) * unit;
      if (value > max) wrong(`${field} in ${this.name}`, `is more than ${max}`);
      if (byte < 128) {
        if (byte === 0 && count > 0) wrong(`${field} in ${this.name}`, "has bytes that say nothing");
        return value;
      }
    }
  }

  /** The next bytes, as a view. */
  take(field: string, bytes: number): Uint8Array {
    const at = this.#skip(bytes, field);
    return this.bytes.subarray(at, at + bytes);
  }

  /** Throws ERR_FORMAT where something is left. */
  finish(): void {
    if (this.left > 0) wrong(this.name, `has ${this.left} bytes too many`);
  }
}

/** Bytes as they are written, one after the other. */
export class Bytes {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  length = 0;

  #room(bytes: number): number {
    const at = this.length;
    this.length += bytes;
    if (this.length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.length, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }

  u8(value: number): void {
    const at = this.#room(1);
    this.#view.setUint8(at, value);
  }

  u16(value: number): void {
    const at = this.#room(2);
    this.#view.setUint16(at, value, true);
  }

  u32(value: number): void {
    const at = this.#room(4);
    this.#view.setUint32(at, value, true);
  }

  f32(value: number): void {
    const at = this.#room(4);
    this.#view.setFloat32(at, value, true);
  }

  varint(value: number): void {
    for (; value >= 128; value = Math.floor(value / 128)) this.u8((value % 128) + 128);
    this.u8(value);
  }

  raw(bytes: Uint8Array): void {
    const at = this.#room(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** What is written so far; a view that is good until more is written. */
  get written(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.length);
  }
}
