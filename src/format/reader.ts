import type { Deferral } from "./deferral.js";
import { fail } from "../errors.js";
import type { Pace } from "../work/pace.js";
import type { Engine } from "../wasm/engine.js";
import { nextBytes } from "./source.js";
import type { ByteSource } from "./source.js";

/** What is given at once where it is at hand, else promised: `await` takes both. */
type Given<T> = T | Promise<T>;

/** Where bytes go: an address, or what is asked where those behind the first `done` go, and how many fit there. */
type Target = number | ((done: number) => { address: number; room: number });

/** Makes of the bytes at a place what a field has in it. A function that closes over nothing: one a field is garbage. */
type Decode<T> = (reader: Reader, view: DataView, at: number, field: string, max: number) => T;

/** The most bytes that one step copies, so that progress and abort have their turn. */
const STEP = 4 << 20;
/** What is allocated ahead of the bytes of a block where the length of the file is not known. */
const AHEAD = 1 << 20;

/**
 * Reads little-endian fields from bytes as they come, and blocks of them straight into an engine's memory.
 *
 * Every field has a name, so that an error says which one is wrong and where it starts. Every size is checked against what is
 * left of the file before anything is allocated for it; where the length is not known, memory grows with what has arrived.
 *
 * What is at hand is given at once, what has yet to arrive as a promise: promises for all took 2 to 4 ms more for the first file of 256
 * lists, nothing being compiled yet (Node 20). Loops over lists don't await what is at hand either: V8 counts a function that is left and
 * entered again as often as one that ran as often, and optimised it for 5 ms on another core, which nobody was there any more to use.
 */
export class Reader {
  readonly #source: ByteSource;
  readonly #pace: Pace;
  readonly #skims: boolean;
  /** Where the file ends as far as anyone has said: progress counts on it. */
  #expected: number;
  #chunk = new Uint8Array(0);
  #view = new DataView(this.#chunk.buffer);
  #at = 0;
  /** Bytes of the chunk as it came: it has none any more once its memory was transferred to somewhere else. */
  #end = 0;
  /** Where the last step was. */
  #lastStep = 0;
  /** Bytes read so far. */
  offset = 0;
  /** The list that fields are of, for errors: none where it is negative. A name for each field of each list is garbage, too. */
  list = -1;
  readonly #gathered = new DataView(new ArrayBuffer(8));

  /** What of the file may come later; undefined where it is read from its first byte to its last. */
  readonly deferral: Deferral | undefined;

  /**
   * @param skims leaves out all codes of vectors: the memory that is allocated for them stays as the system gives it, which is a promise of
   *   memory until it is touched. For those who want to know what a file is, not what is in it.
   */
  constructor(source: ByteSource, pace: Pace, deferral?: Deferral, skims = false) {
    this.#source = source;
    this.deferral = deferral;
    this.#pace = pace;
    this.#skims = skims;
    this.#expected = source.expected;
  }

  /** Bytes left in the file; Infinity where that is not known. */
  get left(): number {
    return this.#source.total - this.offset;
  }

  /** Says that nearly all that is left of the file are the next `bytes` bytes, for progress where its length is not known. */
  announce(bytes: number): void {
    this.#expected = this.offset + bytes;
  }

  /** Throws ERR_FORMAT: names the field, and says that it started `back` bytes ago. */
  wrong(field: string, back: number, problem: string): never {
    const of = this.list < 0 ? "" : ` of list ${this.list}`;
    return fail(
      "ERR_FORMAT",
      `${field}${of} at offset ${this.offset - back} ${problem}: the file is damaged or no faiss index`,
    );
  }

  u8(field: string): Given<number> {
    return this.#field(field, 1, (_, view, at) => view.getUint8(at));
  }

  i32(field: string): Given<number> {
    return this.#field(field, 4, (_, view, at) => view.getInt32(at, true));
  }

  f32(field: string): Given<number> {
    return this.#field(field, 4, (_, view, at) => view.getFloat32(at, true));
  }

  /** A one-byte truth value: only 0 and 1 are taken, so that it is written back as it was. */
  bool(field: string): Given<boolean> {
    return this.#field(field, 1, (reader, view, at, name) => {
      const value = view.getUint8(at);
      if (value > 1) reader.wrong(name, 1, `is ${value}, not 0 or 1`);
      return value === 1;
    });
  }

  /** A signed 64-bit number, which must be exact as a JavaScript number. */
  i64(field: string): Given<number> {
    return this.#field(field, 8, (reader, view, at, name) => {
      const high = view.getInt32(at + 4, true);
      if (high < -(2 ** 21) || high >= 2 ** 21) reader.wrong(name, 8, `is ${view.getBigInt64(at, true)}`);
      return high * 2 ** 32 + view.getUint32(at, true);
    });
  }

  /** A 64-bit count, from 0 to `max`, which must be exact as a JavaScript number. */
  count(field: string, max: number): Given<number> {
    return this.#field(field, 8, countAt, max);
  }

  /** Four ASCII characters. */
  fourcc(field: string): Given<string> {
    return this.#field(field, 4, (_, view, at) => {
      const { buffer, byteOffset } = view;
      return String.fromCharCode(...new Uint8Array(buffer, byteOffset + at, 4));
    });
  }

  /**
   * The count before a vector of items of `itemBytes` bytes, all of which must be left in the file. Where it is known already, any other
   * than `wanted` is an error.
   */
  vectorCount(field: string, itemBytes: number, wanted?: number): Given<number> {
    const count = this.count(field, Number.MAX_SAFE_INTEGER);
    if (typeof count !== "number") return this.#arrived(field, itemBytes, count, wanted);
    return this.#checked(field, itemBytes, count, wanted);
  }

  #checked(field: string, itemBytes: number, count: number, wanted = count): number {
    this.#expect(field, 8, count * itemBytes);
    if (count !== wanted) this.wrong(field, 8, `has ${count} items, not ${wanted}`);
    return count;
  }

  async #arrived(field: string, itemBytes: number, count: Promise<number>, wanted?: number): Promise<number> {
    return this.#checked(field, itemBytes, await count, wanted);
  }

  /** `count` signed 64-bit numbers. */
  async i64s(field: string, count: number): Promise<BigInt64Array<ArrayBuffer>> {
    return new BigInt64Array((await this.bytes(field, count * 8)).buffer);
  }

  /** `bytes` bytes in memory of their own. */
  bytes(field: string, bytes: number): Given<Uint8Array<ArrayBuffer>> {
    const lent = this.lent(field, bytes);
    return lent instanceof Promise ? lent : new Uint8Array(lent);
  }

  /** `bytes` bytes that are to be copied before the next call. */
  lent(field: string, bytes: number): Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>> {
    this.#expect(field, 0, bytes);
    const at = this.#take(bytes);
    if (at >= 0) return this.#chunk.subarray(at, at + bytes);
    this.#source.ahead?.(bytes - (this.#end - this.#at));
    return this.#gather(field, bytes);
  }

  async #gather(field: string, bytes: number): Promise<Uint8Array<ArrayBuffer>> {
    let result = new Uint8Array(Math.min(bytes, this.left === Infinity ? AHEAD : bytes));
    for (let done = 0; done < bytes;) {
      if (done === result.length) {
        const grown = new Uint8Array(Math.min(bytes, done * 2));
        grown.set(result);
        result = grown;
      }
      const piece = await this.#piece(field, result.length - done);
      result.set(piece, done);
      done += piece.length;
    }
    return result;
  }

  /**
   * Copies `bytes` bytes into the engine's memory: to an address, or, `to(done)` being asked before each piece, to where it goes and to
   * how many bytes fit there.
   */
  into(engine: Engine, field: string, bytes: number, to: Target): Given<void> {
    this.#expect(field, 0, bytes);
    if (bytes === 0) return;
    if (this.#leavesOut(field)) return this.#skip(field, bytes);
    const { address, room } = typeof to === "number" ? { address: to, room: bytes } : to(0);
    const at = bytes <= room ? this.#take(bytes) : -1;
    if (at < 0) this.#source.ahead?.(bytes - (this.#end - this.#at));
    if (at < 0) return this.#intoInPieces(engine, field, bytes, to);
    engine.u8.set(this.#chunk.subarray(at, at + bytes), address);
  }

  #leavesOut(field: string): boolean {
    return this.#skims && /^codes\b/.test(field);
  }

  async #skip(field: string, bytes: number): Promise<void> {
    const here = Math.min(bytes, this.#end - this.#at);
    this.#at += here;
    this.offset += here;
    bytes -= here;
    if (this.#source.skip !== undefined) {
      this.#source.skip(bytes);
      this.offset += bytes;
      return;
    }
    while (bytes > 0) bytes -= (await this.#piece(field, bytes)).length;
  }

  async #intoInPieces(engine: Engine, field: string, bytes: number, to: Target): Promise<void> {
    for (let done = 0; done < bytes;) {
      const { address, room } = typeof to === "number" ? { address: to + done, room: bytes - done } : to(done);
      const piece = await this.#piece(field, Math.min(room, bytes - done));
      engine.u8.set(piece, address);
      done += piece.length;
    }
  }

  /** Leaves out `bytes` bytes, list or row `number`, for the {@link Deferral}: `arrive` is called with them when they come. */
  defer(field: string, bytes: number, number: number, arrive: (bytes: Uint8Array) => void): void {
    this.#expect(field, 0, bytes);
    this.deferral?.stretches.push({ from: this.offset, to: this.offset + bytes, number, arrive });
    const here = Math.min(bytes, this.#end - this.#at);
    this.#at += here;
    this.offset += bytes;
    if (bytes > here) this.#source.skip?.(bytes - here);
  }

  /** Makes sure of something, now or once all that was left out is there. */
  check(check: () => void): void {
    if (this.deferral === undefined || this.deferral.stretches.length === 0) check();
    else this.deferral.checks.push(check);
  }

  /** A new block of the engine's memory with the next `bytes` bytes in it. */
  async block(engine: Engine, field: string, bytes: number): Promise<number> {
    const block = this.growing(engine, field, bytes);
    await this.into(engine, field, bytes, block.to);
    return block.address;
  }

  /**
   * A new block for `bytes` bytes that are going to be read: all of it where they are known to be there, else as much as has
   * arrived, and ever more.
   *
   * @param coming those that are still to come, where others were read before
   */
  growing(
    engine: Engine,
    field: string,
    bytes: number,
    coming: number = bytes,
  ): { address: number; to: (done: number) => { address: number; room: number } } {
    this.#expect(field, 0, coming);
    const waits = this.left === Infinity && !this.#leavesOut(field);
    // What can never fit is refused before it is loaded.
    if (waits) engine.checkRoom(bytes);
    let size = waits ? Math.min(bytes, AHEAD) : bytes;
    const block = {
      address: engine.allocate(size),
      to: (done: number): { address: number; room: number } => {
        if (done === size) {
          const grown = Math.min(bytes, Math.ceil(size * 1.5) + AHEAD);
          block.address = engine.resize(block.address, size, grown);
          size = grown;
        }
        return { address: block.address + done, room: size - done };
      },
    };
    return block;
  }

  get #total(): number {
    const { total } = this.#source;
    return total === Infinity ? Math.max(this.#expected, this.offset) : total;
  }

  /** Reports that all is read. */
  async finish(): Promise<void> {
    await this.#pace.step("read", this.offset, this.offset);
  }

  #expect(field: string, back: number, bytes: number): void {
    if (bytes > this.left) {
      this.wrong(field, back, `needs ${bytes} bytes and the file has ${this.left} left`);
    }
  }

  /** Takes `bytes` bytes where all are at hand and no step is due, and returns where in the chunk they are; else -1. */
  #take(bytes: number): number {
    const at = this.#at;
    if (bytes > this.#chunk.length - at || bytes > STEP || this.offset - this.#lastStep >= STEP) return -1;
    this.#at += bytes;
    this.offset += bytes;
    return at;
  }

  /** Between 1 and `most` bytes that have arrived, to be copied before the next call. */
  async #piece(field: string, most: number): Promise<Uint8Array> {
    if (this.#at === this.#end || this.offset - this.#lastStep >= STEP) {
      await this.#pace.step("read", this.offset, this.#total);
      this.#lastStep = this.offset;
    }
    if (this.#at === this.#end) {
      const chunk = await nextBytes(this.#source, this.#pace);
      if (chunk === undefined) this.wrong(field, 0, "is missing: the file ends there");
      const { buffer, byteOffset, length } = chunk as Uint8Array<ArrayBuffer>;
      // A Buffer of Node is one that makes views of itself more slowly.
      this.#chunk = new Uint8Array(buffer, byteOffset, length);
      this.#view = new DataView(buffer, byteOffset, length);
      this.#at = 0;
      this.#end = chunk.length;
    } else if (this.#chunk.length !== this.#end) {
      fail("ERR_PARAMETER", "the bytes were transferred away while they were read: wait for the promise before");
    }
    const piece = this.#chunk.subarray(this.#at, this.#at + Math.min(most, STEP));
    this.#at += piece.length;
    this.offset += piece.length;
    return piece;
  }

  /** A field of up to 8 bytes. */
  #field<T>(field: string, bytes: number, decode: Decode<T>, max = 0): Given<T> {
    if (bytes > this.left) this.wrong(field, 0, "is missing: the file ends there");
    const at = this.#take(bytes);
    return at >= 0 ? decode(this, this.#view, at, field, max) : this.#gatherField(field, bytes, decode, max);
  }

  async #gatherField<T>(field: string, bytes: number, decode: Decode<T>, max: number): Promise<T> {
    for (let i = 0; i < bytes;) {
      const piece = await this.#piece(field, bytes - i);
      for (const byte of piece) this.#gathered.setUint8(i++, byte);
    }
    return decode(this, this.#gathered, 0, field, max);
  }
}

function countAt(reader: Reader, view: DataView, at: number, field: string, max: number): number {
  // Rounded where it is beyond 2^53, and then too large anyway.
  const value = view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
  if (value > max) reader.wrong(field, 8, `is ${view.getBigUint64(at, true)}, more than ${max}`);
  return value;
}
