/**
 * A queue of numbers between two threads, one that writes and one that reads, in shared memory: neither ever waits. The first two
 * places count what was written and what was read.
 */
export class Ring {
  #counts;
  #data;

  /** @param {SharedArrayBuffer} memory from {@link Ring.memory} */
  constructor(memory) {
    this.#counts = new Int32Array(memory, 0, 2);
    this.#data = new Float32Array(memory, 8);
  }

  /** Memory for so many numbers. */
  static memory(numbers) {
    return new SharedArrayBuffer(8 + numbers * 4);
  }

  /** Writes all of an array, or nothing where there is no room: returns whether it did. */
  write(numbers) {
    const written = Atomics.load(this.#counts, 0);
    const size = this.#data.length;
    if (((written - Atomics.load(this.#counts, 1)) | 0) + numbers.length > size) return false;
    for (let i = 0; i < numbers.length; i++) this.#data[((written >>> 0) + i) % size] = numbers[i];
    Atomics.store(this.#counts, 0, (written + numbers.length) | 0);
    return true;
  }

  /** Fills an array, or leaves it where there is less to read: returns whether it did. */
  read(numbers) {
    const read = Atomics.load(this.#counts, 1);
    if (((Atomics.load(this.#counts, 0) - read) | 0) < numbers.length) return false;
    for (let i = 0; i < numbers.length; i++) numbers[i] = this.#data[((read >>> 0) + i) % this.#data.length];
    Atomics.store(this.#counts, 1, (read + numbers.length) | 0);
    return true;
  }
}
