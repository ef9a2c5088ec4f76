import { fail } from "../errors.js";

/** Writes little-endian fields into bytes of a size that is known beforehand. */
export class Writer {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  #at = 0;

  /** @param size bytes in all. Throws ERR_MEMORY where the runtime has no such array. */
  constructor(size: number) {
    try {
      this.bytes = new Uint8Array(size);
    } catch {
      fail("ERR_MEMORY", `a file of ${size} bytes does not fit into one Uint8Array here`);
    }
    this.#view = new DataView(this.bytes.buffer);
  }

  u8(value: number): void {
    this.#view.setUint8(this.#skip(1), value);
  }

  bool(value: boolean): void {
    this.u8(value ? 1 : 0);
  }

  i32(value: number): void {
    this.#view.setInt32(this.#skip(4), value, true);
  }

  f32(value: number): void {
    this.#view.setFloat32(this.#skip(4), value, true);
  }

  /** A 64-bit number, signed or not. */
  i64(value: number | bigint): void {
    this.#view.setBigInt64(this.#skip(8), BigInt(value), true);
  }

  fourcc(value: string): void {
    for (let i = 0; i < 4; i++) this.u8(value.charCodeAt(i));
  }

  /** Bytes as they are. */
  raw(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.#skip(bytes.length));
  }

  /** Throws unless every byte is written: a size and what it counts have come apart. */
  finish(): Uint8Array<ArrayBuffer> {
    if (this.#at !== this.bytes.length) throw new Error(`wrote ${this.#at} of ${this.bytes.length} bytes`);
    return this.bytes;
  }

  #skip(bytes: number): number {
    const at = this.#at;
    this.#at += bytes;
    return at;
  }
}
