import type { Engine } from "../wasm/engine.js";

/** With fewer centroids or dimensions, heads cost as much as they spare. */
const LEAST_CENTROIDS = 64;
const LEAST_DIMENSIONS = 128;
/** Rows whose heads one call of the kernel makes, as in k-means. */
const CHUNK = 64;

/**
 * Heads of points and centroids (assembly/heads.ts), by which an assignment passes over most centroids and comes out the same. The basis
 * is made once.
 *
 * Of speech with 256 dimensions and 1488 centroids, 16, 24, 32 and 40 numbers in a head make k-means of 58,050 rows take 1.5, 1.7, 2.0
 * and 2.3 s (11 s without); of vectors with rather more hidden dimensions, 1.9, 1.8, 2.2 and 2.5. Of a voice with 768 and 495 centroids,
 * 48, 64, 88 and 112 make 0.93, 0.90, 1.02 and 1.14 s (3.7 s without): all of them before what is known of groups was kept.
 */
export class Heads {
  readonly #engine: Engine;
  readonly #k: number;
  readonly #d: number;
  readonly #m: number;
  /** Addresses. */
  readonly #basis: number;
  readonly #pointLengths: number;
  readonly #pointHeads: number;
  readonly #floats: number;
  readonly #heads: number;
  /** Of 64 points at a time, what is known of their distances to groups of 16 centroids. */
  readonly #groups: number;
  /** Bytes of that a point; 0 where it would take too much: nothing is known then of the last time, and all calls have the same. */
  readonly #step: number;
  readonly #scratch: number;

  /** Takes the memory. Throws ERR_MEMORY. */
  private constructor(engine: Engine, n: number, k: number, d: number) {
    const { kernels } = engine;
    this.#engine = engine;
    this.#k = k;
    this.#d = d;
    this.#m = d < 512 ? 24 : 64;
    this.#basis = engine.allocate(kernels.basisBytes(d, this.#m));
    this.#pointLengths = engine.allocate((n + 3) * 4);
    this.#pointHeads = engine.allocate(n * this.#m * 4);
    this.#floats = engine.allocate(k * this.#m * 4);
    const bytes = kernels.headsBytes(k, this.#m);
    this.#heads = engine.allocate(bytes);
    // Nothing is known of where centroids were.
    engine.u8.fill(255, this.#heads, this.#heads + bytes);
    // A quarter of the points' bytes at most.
    const size = (k + 15) >> 4;
    this.#step = size > d ? 0 : size;
    this.#groups = engine.allocate(((size > d ? engine.span : n) + CHUNK) * size);
    this.#scratch = engine.allocate(
      Math.max(kernels.makeHeadsScratch(d, this.#m), kernels.assignByHeadsScratch(CHUNK, this.#m)),
    );
  }

  /**
   * A basis made of some of `count` rows, and room for the heads of n points and k centroids; undefined where these would not pay, have
   * no memory, or rows are beyond bounds.
   *
   * @param rows address of count x d
   */
  static make(engine: Engine, rows: number, count: number, n: number, k: number, d: number): Heads | undefined {
    if (engine.options.bounds === false || k < LEAST_CENTROIDS || d < LEAST_DIMENSIONS) return undefined;
    let heads: Heads;
    try {
      heads = new Heads(engine, n, k, d);
    } catch {
      return undefined;
    }
    const made = engine.kernels.makeBasis(rows, count, d, heads.#m, heads.#basis, heads.#scratch);
    return made === 1 ? heads : undefined;
  }

  /** Makes the heads of points first … first + count - 1, which stand at `rows`; false where they are beyond bounds. */
  takePoints(rows: number, first: number, count: number): boolean {
    return this.#take(rows, count, this.#pointLengths + first * 4, this.#pointHeads + first * this.#m * 4);
  }

  /** Makes the heads of the centroids as they stand now; false where they are beyond bounds. */
  takeCentroids(centroids: number): boolean {
    const { kernels } = this.#engine;
    const [k, m] = [this.#k, this.#m];
    const lengths = this.#heads + kernels.headsBytes(k, m) - ((k + 15) & ~15) * 5;
    if (!this.#take(centroids, k, lengths, this.#floats)) return false;
    kernels.blockHeads(this.#floats, k, m, this.#basis, this.#heads);
    return true;
  }

  /** To be called before centroids that move are taken again: what is known of all points then stays known. */
  moveCentroids(from: number, to: number): void {
    if (this.#step > 0)
      this.#engine.kernels.measureMoves(from, to, this.#k, this.#d, this.#m, this.#basis, this.#heads);
  }

  /**
   * As the kernel assign, of points first … first + count - 1, which stand at `points`, first being a multiple of 64. The other addresses
   * are of what belongs to point and centroid 0; lists have where the points were before, or any list where nobody said how centroids moved.
   */
  assign(
    points: number,
    first: number,
    count: number,
    centroids: number,
    half: number,
    norms: number,
    lists: number,
    scores: number,
  ): void {
    const at = first * 4;
    this.#engine.kernels.assignByHeads(
      points,
      count,
      centroids,
      half,
      this.#k,
      this.#d,
      norms + at,
      this.#m,
      this.#basis,
      this.#pointLengths + at,
      this.#pointHeads + at * this.#m,
      this.#heads,
      this.#groups + first * this.#step,
      lists + at,
      scores + at,
      this.#scratch,
    );
  }

  #take(rows: number, count: number, lengths: number, heads: number): boolean {
    const { kernels } = this.#engine;
    return kernels.makeHeads(rows, count, this.#d, this.#m, this.#basis, lengths, heads, this.#scratch) === 1;
  }
}
