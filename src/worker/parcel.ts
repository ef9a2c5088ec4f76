/** Arrays on their way to a worker, and the memory that goes with them: copies, unless their owner hands them over. */
export class Parcel {
  readonly transfer: ArrayBuffer[] = [];
  readonly #handover: boolean;

  constructor(handover = false) {
    this.#handover = handover;
  }

  /** What to send for an array. Anything else goes as it is: the index will say what it thinks of it. */
  put<T>(value: T): T {
    if (!isTypedArray(value)) return value;
    const { buffer, byteLength } = value;
    const whole = buffer instanceof ArrayBuffer && byteLength === buffer.byteLength;
    // Not left to postMessage: it would send all of the buffer that a subarray is a part of, and share what is shared.
    const own = (this.#handover && whole ? value : copyOf(value)) as Uint8Array<ArrayBuffer> & T;
    this.transfer.push(own.buffer);
    return own;
  }
}

function isTypedArray(value: unknown): value is Uint8Array | Float32Array {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

/** A copy with memory of its own: what slice makes of Node's Buffer, which is a Uint8Array, has not. */
function copyOf(array: Uint8Array | Float32Array): Uint8Array | Float32Array {
  return array instanceof Uint8Array ? new Uint8Array(array) : array.slice();
}
