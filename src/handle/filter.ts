import type { Filter } from "../api.js";
import { what } from "../checks.js";
import { fail, makingArrays } from "../errors.js";
import type { IndexNode } from "../indexes/node.js";
import { eachId } from "./ids.js";
import type { VectorIndex } from "./vector-index.js";
import { matcherOf } from "./where.js";
import type { Where } from "./where.js";

/** Bytes of a bitmap that kernels read beyond its last slot. */
const BEYOND = 16;

/** What a filter has that was not asked for yet. */
const NONE = new Uint8Array(0);

/** Which of an index's vectors a search may find. It follows the index: made for its state when it is next asked for. */
export class IdFilter implements Filter {
  readonly #index: VectorIndex;
  readonly #where: Where;
  /** The bitmap of the slots that searches scan, of which state of the index it is, and how many are admitted. */
  #bits: Uint8Array = NONE;
  #version = -1;
  #count = 0;

  constructor(index: VectorIndex, where: Where) {
    this.#index = index;
    this.#where = where;
    Object.freeze(this);
  }

  get count(): number {
    this.bitsFor(this.#index);
    return this.#count;
  }

  not(): Filter {
    return new IdFilter(this.#index, { kind: "not", of: this.#where });
  }

  and(other: Filter): Filter {
    return this.#with("and", other);
  }

  or(other: Filter): Filter {
    return this.#with("or", other);
  }

  #with(kind: "and" | "or", other: Filter): Filter {
    const b = filterOf(this.#index, other).#where;
    return new IdFilter(this.#index, { kind, a: this.#where, b });
  }

  /** Throws ERR_PARAMETER for the filter of another index. */
  checkOwner(index: VectorIndex): void {
    if (this.#index !== index)
      fail("ERR_PARAMETER", "the filter is of another index: make one by this index's filter method");
  }

  /** The bitmap, as the index now stands. Allocates nothing where that has not changed. */
  bitsFor(index: VectorIndex): Uint8Array {
    const { node, version } = index;
    if (version === this.#version) return this.#bits;
    const wide = index.idType === "int64";
    const matches = matcherOf(this.#where, wide);
    let count = 0;
    const bits = makingArrays(() => {
      const made = new Uint8Array(Math.ceil(node.slots / 8) + BEYOND);
      eachId(node, wide, (id, slot) => {
        const admits = matches(id);
        if (index.version !== version)
          fail("ERR_BUSY", "the index was changed by the filter's own function: let it only look at ids");
        if (!admits) return;
        made[slot >> 3] |= 1 << (slot & 7);
        count++;
      });
      return made;
    });
    this.#bits = bits;
    this.#version = version;
    this.#count = count;
    return bits;
  }
}

/** A filter that is of this index. ERR_PARAMETER for anything else. */
export function filterOf(index: VectorIndex, given: unknown): IdFilter {
  if (!(given instanceof IdFilter))
    fail("ERR_PARAMETER", `the filter is ${what(given)}: make one by the index's filter method`);
  given.checkOwner(index);
  return given;
}

/** The one bitmap in the engine's memory: that of the filter that was searched with last. */
export class Admitted {
  #address = 0;
  #bits: Uint8Array | undefined;

  /** Where a bitmap stands. Allocates nothing where it is that of the last call. Throws ERR_MEMORY. */
  at({ engine }: IndexNode, bits: Uint8Array): number {
    if (bits === this.#bits) return this.#address;
    if (this.#bits?.length !== bits.length) {
      this.drop({ engine });
      engine.dropScratch();
      this.#address = engine.borrow(bits.length);
    }
    engine.u8.set(bits, this.#address);
    this.#bits = bits;
    return this.#address;
  }

  /** Gives the memory back: it would stand in the way of lists that grow. */
  drop({ engine }: Pick<IndexNode, "engine">): void {
    engine.release(this.#address);
    this.#address = 0;
    this.#bits = undefined;
  }
}
