/**
 * The bridge between an AudioWorklet and a worker: a queue of numbers in shared memory, one thread writing and one reading.
 *
 * @module
 */
import { kindOf, tagOf, what } from "../checks.js";
import { fail } from "../errors.js";

/** Bytes before the numbers: how many were written, and how many were read, both modulo 2^32. */
const HEAD = 8;
/** So that both counts can be told apart, and the bytes addressed. */
const MOST = 2 ** 28;

/**
 * A queue of numbers between two threads, one that writes and one that reads. Neither a write nor a read waits or allocates, so that an
 * AudioWorklet can have either end.
 *
 * @example
 *   // the page, which must be cross-origin isolated
 *   const memory = Ring.memory(16_000);
 *   worker.postMessage({ memory });
 *   new AudioWorkletNode(context, "bridge", { processorOptions: { memory } });
 *   // the worklet, in process([[input]])
 *   if (input !== undefined) this.ring.write(input);
 *   // the worker
 *   while (!ring.wait(block.length, 1000));
 *   ring.read(block);
 */
export class Ring {
  readonly #counts: Int32Array;
  readonly #numbers: Float32Array;

  /**
   * One end of a queue.
   *
   * @example
   *   const ring = new Ring(memory);
   *
   * @param memory what {@link Ring.memory} made, the same for both ends; ERR_PARAMETER for anything else
   */
  constructor(memory: SharedArrayBuffer) {
    const shared = tagOf(memory) === "SharedArrayBuffer";
    const size = shared ? (memory.byteLength - HEAD) / 4 : 0;
    // Counts go round at 2^32, and places with them only where their number divides that.
    if (!(size >= 1 && Math.log2(size) % 1 === 0))
      fail("ERR_PARAMETER", `memory is ${shared ? "of another size" : what(memory)}: give what Ring.memory made`);
    this.#counts = new Int32Array(memory, 0, 2);
    this.#numbers = new Float32Array(memory, HEAD);
  }

  /**
   * Memory for a queue of at least so many numbers: as many as the next power of two.
   *
   * @example
   *   const memory = Ring.memory(48_000); // a second, and a little more
   *
   * @returns throws ERR_PARAMETER for anything but a whole number from 1 to 2^28, ERR_UNSUPPORTED where memory can't be shared
   */
  static memory(numbers: number): SharedArrayBuffer {
    if (!Number.isSafeInteger(numbers) || numbers < 1 || numbers > MOST)
      fail("ERR_PARAMETER", `numbers is ${what(numbers)}: give a whole number from 1 to ${MOST}`);
    if (typeof SharedArrayBuffer === "undefined")
      fail(
        "ERR_UNSUPPORTED",
        "memory can't be shared here: send the page with the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp",
      );
    return new SharedArrayBuffer(HEAD + 4 * 2 ** Math.ceil(Math.log2(numbers)));
  }

  /**
   * How many numbers there are to be read.
   *
   * @example
   *   const late = ring.length > 2 * block.length;
   */
  get length(): number {
    return (Atomics.load(this.#counts, 0) - Atomics.load(this.#counts, 1)) >>> 0;
  }

  /**
   * Writes all of an array, or nothing where there is no room.
   *
   * @example
   *   if (!ring.write(input)) this.lost += input.length;
   *
   * @returns whether it did
   */
  write(numbers: ArrayLike<number>): boolean {
    const kind = kindOf(numbers);
    if (!Array.isArray(numbers) && (kind === undefined || kind.startsWith("Big")))
      fail("ERR_PARAMETER", `numbers are ${what(numbers)}: give a Float32Array`);
    const written = Atomics.load(this.#counts, 0);
    const size = this.#numbers.length;
    if (this.length + numbers.length > size) return false;
    for (let i = 0; i < numbers.length; i++) this.#numbers[(written + i) & (size - 1)] = numbers[i];
    Atomics.store(this.#counts, 0, written + numbers.length);
    Atomics.notify(this.#counts, 0);
    return true;
  }

  /**
   * Fills an array, or leaves it as it is where there are fewer to be read.
   *
   * @example
   *   if (!ring.read(output)) output.fill(0);
   *
   * @returns whether it did
   */
  read(numbers: Float32Array): boolean {
    if (kindOf(numbers) !== "Float32Array")
      fail("ERR_PARAMETER", `numbers are ${what(numbers)}: give a Float32Array to write them to`);
    const read = Atomics.load(this.#counts, 1);
    const size = this.#numbers.length;
    if (this.length < numbers.length) return false;
    for (let i = 0; i < numbers.length; i++) numbers[i] = this.#numbers[(read + i) & (size - 1)];
    Atomics.store(this.#counts, 1, read + numbers.length);
    return true;
  }

  /**
   * Blocks the thread until so many numbers can be read, or until so many milliseconds have passed. For workers: a page and a worklet may
   * not be blocked.
   *
   * @example
   *   while (!ring.wait(block.length, 1000)); // until there is a block
   *
   * @returns whether they can be read
   */
  wait(numbers: number, milliseconds: number): boolean {
    if (!Number.isSafeInteger(numbers)) fail("ERR_PARAMETER", `numbers is ${what(numbers)}: give a whole number`);
    // With what is no number it would wait for ever.
    if (typeof milliseconds !== "number" || Number.isNaN(milliseconds))
      fail("ERR_PARAMETER", `milliseconds is ${what(milliseconds)}: give a number`);
    const until = Date.now() + milliseconds;
    for (;;) {
      const written = Atomics.load(this.#counts, 0);
      if (this.length >= numbers) return true;
      const left = until - Date.now();
      if (left <= 0) return false;
      Atomics.wait(this.#counts, 0, written, left);
    }
  }
}
