/** The Mersenne Twister MT19937 (Matsumoto and Nishimura, 1998), which is faiss' generator: seeds mean the same here. */
export class Random {
  readonly #state = new Uint32Array(624);
  #next = 624;

  constructor(seed: number) {
    const state = this.#state;
    state[0] = seed;
    for (let i = 1; i < 624; i++) state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
  }

  /** A generator that goes on as this one does. */
  copy(): Random {
    const other = new Random(0);
    other.#state.set(this.#state);
    other.#next = this.#next;
    return other;
  }

  /** The next 32 random bits, as a number from 0 to 2^32 - 1. */
  bits(): number {
    const state = this.#state;
    if (this.#next === 624) {
      for (let i = 0; i < 624; i++) {
        const y = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
        state[i] = state[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      this.#next = 0;
    }
    let y = state[this.#next++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  /** A whole number from 0 to max - 1, by faiss' rule (a remainder: slightly uneven, but the same numbers). */
  below(max: number): number {
    return this.bits() % max;
  }

  /** A number from 0 to 1, by faiss' rule. */
  unit(): number {
    return Math.fround(Math.fround(this.bits()) / Math.fround(0xffffffff));
  }
}

/** The first `count` of a random order of 0 … n - 1, the one that faiss draws with this seed: others are drawn after them. */
export function permutation(n: number, seed: number, count: number = n): Int32Array<ArrayBuffer> {
  const random = new Random(seed);
  const order = new Int32Array(n);
  for (let i = 0; i < n; i++) order[i] = i;
  for (let i = 0; i < count && i < n - 1; i++) {
    const j = i + random.below(n - i);
    const swapped = order[i];
    order[i] = order[j];
    order[j] = swapped;
  }
  return order.subarray(0, count);
}
