/**
 * Bytes of vectors that go to a worker by memory that is shared: with fewer there is little to share, and what is shared is nobody's to be freed
 * at once.
 */
const LEAST = 1 << 20;
const MOST = 64 << 20;

/**
 * Where a page puts vectors for an index with threads, so that all of them can copy a part into the memory of the index. The memory is used again
 * for the next ones, unless it was collected meanwhile: engines do not count what is shared when they look for garbage, and its pages are
 * there already (30 MB are copied in 4 ms in place of 14).
 */
export class Staging {
  #spare: WeakRef<SharedArrayBuffer> | undefined;

  /** A copy of floats in memory that is shared; undefined where they are too few, too many, or there is no memory. */
  copyOf(floats: Float32Array): Float32Array<SharedArrayBuffer> | undefined {
    const { byteLength, length } = floats;
    if (byteLength < LEAST || byteLength > MOST) return undefined;
    let buffer = this.#spare?.deref();
    this.#spare = undefined;
    try {
      if (buffer === undefined || buffer.byteLength < byteLength) buffer = new SharedArrayBuffer(byteLength);
    } catch {
      return undefined;
    }
    const copy = new Float32Array(buffer, 0, length);
    copy.set(floats);
    return copy;
  }

  /** To be called when nobody reads a copy any more. */
  takeBack({ buffer }: Float32Array<SharedArrayBuffer>): void {
    this.#spare = new WeakRef(buffer);
  }
}
