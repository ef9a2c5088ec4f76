/** Which of n places went, and which place each of the others has now: known, and its memory had, before anything is changed. */
export class Places {
  /** How many went. */
  readonly removed: number;
  /** By old place, the new one; -1 where it went. */
  readonly #next: Int32Array;

  /** @param isGone is asked of each place, in order */
  constructor(n: number, isGone: (place: number) => boolean) {
    this.#next = new Int32Array(n);
    let kept = 0;
    for (let place = 0; place < n; place++) this.#next[place] = isGone(place) ? -1 : kept++;
    this.removed = n - kept;
  }

  isGone(place: number | bigint): boolean {
    return this.#next[Number(place)] < 0;
  }

  /** The new place of one that did not go. */
  next(place: number | bigint): number {
    return this.#next[Number(place)];
  }
}
