import { fail } from "../errors.js";
import type { Engine } from "../wasm/engine.js";

/** Bytes for fields that are taken ahead. */
const AHEAD = 1 << 12;

/** A part of a file: bytes that are there, or where in the engine's memory they stand. */
type Part = Uint8Array | { address: number; length: number };

/**
 * Collects what a file is made of, in order: little-endian fields, which are written at once, and blocks of bytes, which are copied
 * when the file is put together. Until then they must stay as they are; those in the engine's memory may see it grow.
 */
export class Writer {
  readonly #engine: Engine;
  readonly #parts: Part[] = [];
  /** The fields since the last block, and where in their array they begin and end. */
  #fields = new DataView(new ArrayBuffer(AHEAD));
  #from = 0;
  #at = 0;
  /** Bytes collected. */
  length = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  u8(value: number): void {
    const at = this.#take(1);
    this.#fields.setUint8(at, value);
  }

  bool(value: boolean): void {
    this.u8(value ? 1 : 0);
  }

  i32(value: number): void {
    const at = this.#take(4);
    this.#fields.setInt32(at, value, true);
  }

  f32(value: number): void {
    const at = this.#take(4);
    this.#fields.setFloat32(at, value, true);
  }

  /** A 64-bit number, signed or not. */
  i64(value: number | bigint): void {
    const at = this.#take(8);
    this.#fields.setBigInt64(at, BigInt(value), true);
  }

  fourcc(value: string): void {
    for (let i = 0; i < 4; i++) this.u8(value.charCodeAt(i));
  }

  /** Bytes as they are, and as they will be when the file is put together. */
  raw(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#close();
    const { buffer, byteOffset: address, length } = bytes;
    this.#parts.push(buffer === this.#engine.u8.buffer ? { address, length } : bytes);
    this.length += length;
  }

  /** The file in one array. Throws ERR_MEMORY where the runtime has no such array. */
  finish(): Uint8Array<ArrayBuffer> {
    let bytes: Uint8Array<ArrayBuffer>;
    try {
      bytes = new Uint8Array(this.length);
    } catch {
      fail("ERR_MEMORY", `a file of ${this.length} bytes does not fit into one Uint8Array here: use stream()`);
    }
    let at = 0;
    for (const part of this.#collected()) {
      const piece = this.#bytesOf(part);
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }

  /** The file in arrays of `size` bytes, the last one shorter, each made when it is asked for. */
  *chunks(size: number): Generator<Uint8Array<ArrayBuffer>, void> {
    let left = this.length;
    let chunk = new Uint8Array(Math.min(size, left));
    let at = 0;
    for (const part of this.#collected()) {
      for (let done = 0; done < part.length;) {
        const count = Math.min(part.length - done, chunk.length - at);
        chunk.set(this.#bytesOf(part).subarray(done, done + count), at);
        done += count;
        at += count;
        if (at < chunk.length) continue;
        yield chunk;
        left -= at;
        chunk = new Uint8Array(Math.min(size, left));
        at = 0;
      }
    }
  }

  #collected(): readonly Part[] {
    this.#close();
    return this.#parts;
  }

  #bytesOf(part: Part): Uint8Array {
    return part instanceof Uint8Array ? part : this.#engine.u8.subarray(part.address, part.address + part.length);
  }

  /** Room for the next `bytes` bytes of a field. */
  #take(bytes: number): number {
    if (this.#at + bytes > this.#fields.byteLength) {
      this.#close();
      this.#fields = new DataView(new ArrayBuffer(AHEAD));
      this.#from = this.#at = 0;
    }
    const at = this.#at;
    this.#at += bytes;
    this.length += bytes;
    return at;
  }

  /** Makes a part of the fields since the last one. */
  #close(): void {
    if (this.#at === this.#from) return;
    this.#parts.push(new Uint8Array(this.#fields.buffer, this.#from, this.#at - this.#from));
    this.#from = this.#at;
  }
}
