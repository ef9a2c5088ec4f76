import { isDetached, kindOf } from "../checks.js";
import { fail, noArray } from "../errors.js";
import type { Staging } from "./staging.js";

/** Arrays on their way to a worker, and the memory that goes with them: copies, unless their owner hands them over. */
export class Parcel {
  readonly transfer: ArrayBuffer[] = [];
  readonly #handover: boolean;
  readonly #staging: Staging | undefined;
  #staged: Float32Array<SharedArrayBuffer> | undefined;

  /** @param staging where vectors go that the worker's threads are to see */
  constructor(handover = false, staging?: Staging) {
    this.#handover = handover;
    this.#staging = staging;
  }

  /**
   * What to send for an array. Anything else goes as it is: the index will say what it thinks of it. Throws ERR_PARAMETER for an array
   * whose memory is gone, which would not arrive, ERR_MEMORY where there is none for a copy.
   */
  put<T>(value: T): T {
    if (kindOf(value) === undefined) return value;
    const array = value as Uint8Array<ArrayBuffer> & T;
    if (isDetached(array)) fail("ERR_PARAMETER", "the memory of an array is gone: it was handed over before");
    // Not left to postMessage: it would send all of the buffer that a subarray is a part of, and share what is shared.
    const handed = this.#handover ? handedOver(array) : undefined;
    const staged = handed === undefined ? this.#stage(array) : undefined;
    if (staged !== undefined) return staged as T;
    const own = handed ?? copyOf(array);
    this.transfer.push(own.buffer);
    return own;
  }

  /** To be called when the worker has answered. */
  arrived(): void {
    if (this.#staged !== undefined) this.#staging?.takeBack(this.#staged);
    this.#staged = undefined;
  }

  /** One array in a parcel at most: its vectors. */
  #stage(array: unknown): unknown {
    if (this.#staged !== undefined || kindOf(array) !== "Float32Array") return undefined;
    return (this.#staged = this.#staging?.copyOf(array as Float32Array));
  }

  /** What to send for vectors: of rows and of a tensor, which is an object that can't be sent, the arrays inside. */
  vectors(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((row: unknown) => this.put(row));
    if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || !("data" in value)) {
      return this.put(value);
    }
    const { data, dims, shape, type, dtype, fortranOrder } = value as Record<string, unknown>;
    return { data: this.put(data), dims, shape, type, dtype, fortranOrder };
  }
}

/**
 * The array with its memory taken from its owner, at once: what is handed over twice is found here, and not by the worker, which in
 * Node 20 can't say which call it came with. Undefined for what can't be handed over: a part, what is shared, a WebAssembly memory.
 */
function handedOver<T>(array: Uint8Array<ArrayBuffer> & T): (Uint8Array<ArrayBuffer> & T) | undefined {
  const { buffer, byteLength } = array;
  if (byteLength === 0 || byteLength !== buffer.byteLength) return undefined;
  try {
    return structuredClone(array, { transfer: [buffer] });
  } catch {
    return undefined;
  }
}

/** A copy with memory of its own, and of no subclass: what slice makes of Node's Buffer is a part of another memory, and of others what they like. */
function copyOf<T>(array: Uint8Array & T): Uint8Array<ArrayBuffer> & T {
  const kinds = globalThis as unknown as Record<string, new (array: Uint8Array) => Uint8Array<ArrayBuffer> & T>;
  try {
    return new kinds[kindOf(array) ?? "Uint8Array"](array);
  } catch (error) {
    return noArray(error);
  }
}
