/** Clusters drawn by what they can give, the points that they have but one, in logarithmic time (a Fenwick tree of partial sums). */
export class Shares {
  /** sums[i] is of the clusters from i - (i & -i) to i - 1. */
  readonly #sums: Float64Array;

  constructor(counts: Int32Array) {
    this.#sums = new Float64Array(counts.length + 1);
    for (let i = 0; i < counts.length; i++) this.add(i, Math.max(counts[i] - 1, 0));
  }

  /** Lets cluster i have so many more to give. */
  add(i: number, more: number): void {
    for (let at = i + 1; at < this.#sums.length; at += at & -at) this.#sums[at] += more;
  }

  /** The cluster at a place from 0 to 1 in the row of all that can be given. */
  draw(place: number): number {
    const k = this.#sums.length - 1;
    let total = 0;
    for (let at = k; at > 0; at -= at & -at) total += this.#sums[at];
    let left = Math.floor(place * total);
    let below = 0;
    for (let step = 1 << (31 - Math.clz32(k)); step > 0; step >>= 1) {
      if (below + step <= k && this.#sums[below + step] <= left) {
        below += step;
        left -= this.#sums[below];
      }
    }
    return below;
  }
}
