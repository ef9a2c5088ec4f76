import type { Engine } from "../wasm/engine.js";

/** Bytes of a match: query (i32), slot (i32), distance (f32). */
const MATCH = 12;
/** Matches that there is room for at first. */
const FIRST = 1024;

/** What a range search finds, in the engine's memory: a block that grows to what there is. One for each search; release it. */
export class Matches {
  readonly #engine: Engine;
  /** Squared distance below which, or inner product above which, a vector is within. */
  radius: number;
  #address = 0;
  /** Matches that there is room for, and those that are there. */
  #room = 0;
  count = 0;

  constructor(engine: Engine, radius: number) {
    this.#engine = engine;
    this.radius = radius;
  }

  /** Where the matches stand; not to be kept across a call that may grow the memory. */
  get address(): number {
    return this.#address;
  }

  get room(): number {
    return this.#room;
  }

  /** Makes room for so many. Throws ERR_MEMORY, having changed nothing. */
  reserve(matches: number): void {
    if (matches <= this.#room) return;
    const room = Math.max(matches, FIRST);
    // Not by a resize, which gives up the scratch of the search that is under way.
    const address = this.#engine.borrow(room * MATCH);
    this.#engine.u8.copyWithin(address, this.#address, this.#address + this.count * MATCH);
    this.#engine.release(this.#address);
    this.#address = address;
    this.#room = room;
  }

  /** The place of match i in words of 4 bytes: its query, and behind it slot and distance. */
  wordOf(i: number): number {
    return (this.#address >>> 2) + i * 3;
  }

  release(): void {
    this.#engine.release(this.#address);
    this.#address = this.#room = this.count = 0;
  }
}
