import type { Engine } from "./engine.js";

type Words = Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>;

/**
 * A view of a part of an engine's memory, kept from call to call: an array can be set from it without an allocation. (Copied number by
 * number, each float is an object of 16 bytes for as long as the loop runs uncompiled.) Two views are kept, since a batch that is cut
 * into blocks has two lengths of them.
 */
export class Window<T extends Words> {
  readonly #type: new (buffer: ArrayBuffer, address: number, length: number) => T;
  /** The view of all of the memory that both are views of: to be asked for its buffer, an array takes 30 ns. */
  #memory: Uint8Array | undefined;
  #last: T | undefined;
  #other: T | undefined;

  /** @param type Float32Array or Int32Array */
  constructor(type: new (buffer: ArrayBuffer, address: number, length: number) => T) {
    this.#type = type;
  }

  /** Gives the views up, which hold the memory that they look at. */
  close(): void {
    this.#memory = this.#last = this.#other = undefined;
  }

  /** The `length` items from an address on. */
  at(engine: Engine, address: number, length: number): T {
    if (this.#memory !== engine.u8) this.close();
    this.#memory = engine.u8;
    let view = this.#last;
    if (view?.byteOffset === address && view.length === length) return view;
    view = this.#other;
    this.#other = this.#last;
    if (view?.byteOffset !== address || view.length !== length) {
      view = new this.#type(engine.u8.buffer, address, length);
    }
    return (this.#last = view);
  }
}
