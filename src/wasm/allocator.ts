/** Blocks start on a cache line. */
const ALIGNMENT = 64;

interface Span {
  address: number;
  bytes: number;
}

/**
 * Hands out parts of a linear address space and takes them back: which bytes are in use, without touching any.
 *
 * Freed blocks merge with their neighbours; a block is placed in the smallest hole that takes it, else at the end. The last
 * block can grow where it stands, which is how storage grows without being copied.
 */
export class Allocator {
  /** The end of what is handed out: the memory must reach here. */
  end: number;
  readonly #sizes = new Map<number, number>();
  /** Holes below `end`, by address, no two adjacent. */
  readonly #holes: Span[] = [];

  /** @param start the first address that may be handed out */
  constructor(start: number) {
    this.end = roundUp(start);
  }

  /** Takes a block of at least `bytes` bytes and returns its address. */
  allocate(bytes: number): number {
    const size = roundUp(Math.max(bytes, 1));
    let best = -1;
    for (let i = 0; i < this.#holes.length; i++) {
      const hole = this.#holes[i].bytes;
      if (hole >= size && (best < 0 || hole < this.#holes[best].bytes)) best = i;
    }
    let address = this.end;
    if (best < 0) {
      this.end += size;
    } else {
      const hole = this.#holes[best];
      address = hole.address;
      hole.address += size;
      hole.bytes -= size;
      if (hole.bytes === 0) this.#holes.splice(best, 1);
    }
    this.#sizes.set(address, size);
    return address;
  }

  /** Gives a block another size where it stands; false where its neighbour is in the way, and nothing has changed. */
  resize(address: number, bytes: number): boolean {
    const old = this.#size(address);
    const size = roundUp(Math.max(bytes, 1));
    if (size > old) {
      const next = this.#holes.find((hole) => hole.address === address + old);
      if (address + old === this.end) {
        this.end = address + size;
      } else if (next !== undefined && next.bytes >= size - old) {
        next.address += size - old;
        next.bytes -= size - old;
        if (next.bytes === 0) this.#holes.splice(this.#holes.indexOf(next), 1);
      } else {
        return false;
      }
    } else if (size < old) {
      this.#open(address + size, old - size);
    }
    this.#sizes.set(address, size);
    return true;
  }

  /** Takes a block back. */
  release(address: number): void {
    const size = this.#size(address);
    this.#sizes.delete(address);
    this.#open(address, size);
  }

  /** Whether a block of so many bytes fits below the end. */
  fits(bytes: number): boolean {
    return this.#holes.some((hole) => hole.bytes >= roundUp(Math.max(bytes, 1)));
  }

  /** The blocks from an address on, in ascending order. */
  from(address: number): Span[] {
    const blocks = [...this.#sizes]
      .filter(([start]) => start >= address)
      .map(([start, bytes]) => ({ address: start, bytes }));
    return blocks.sort((a, b) => a.address - b.address);
  }

  /**
   * Gives the block at an address another size and puts all blocks behind it one after the other, without a hole. Returns where each was
   * and is, in the order in which the bytes can be moved.
   */
  pack(address: number, bytes: number): { from: number; to: number; bytes: number }[] {
    const [first, ...above] = this.from(address);
    const size = roundUp(Math.max(bytes, 1));
    let to = first.address + size;
    const moves = above.map((block) => {
      const move = { from: block.address, to, bytes: block.bytes };
      to += block.bytes;
      return move;
    });
    for (const move of moves) this.#sizes.delete(move.from);
    for (const move of moves) this.#sizes.set(move.to, move.bytes);
    this.#sizes.set(first.address, size);
    this.#holes.splice(0, this.#holes.length, ...this.#holes.filter((hole) => hole.address < first.address));
    this.end = to;
    // Those that go up from the last one on, then those that go down: none runs over another.
    return [...moves.filter((move) => move.to > move.from).reverse(), ...moves.filter((move) => move.to < move.from)];
  }

  #size(address: number): number {
    const size = this.#sizes.get(address);
    if (size === undefined) throw new Error(`no block at ${address}`);
    return size;
  }

  /** Makes a hole, merged with its neighbours; one that reaches the end is given back to the end. */
  #open(address: number, bytes: number): void {
    let i = this.#holes.findIndex((hole) => hole.address > address);
    if (i < 0) i = this.#holes.length;
    this.#holes.splice(i, 0, { address, bytes });
    if (i + 1 < this.#holes.length && address + bytes === this.#holes[i + 1].address) {
      this.#holes[i].bytes += this.#holes[i + 1].bytes;
      this.#holes.splice(i + 1, 1);
    }
    if (i > 0 && this.#holes[i - 1].address + this.#holes[i - 1].bytes === address) {
      this.#holes[i - 1].bytes += this.#holes[i].bytes;
      this.#holes.splice(i, 1);
      i--;
    }
    const hole = this.#holes[i];
    if (hole.address + hole.bytes === this.end) {
      this.end = hole.address;
      this.#holes.splice(i, 1);
    }
  }
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
